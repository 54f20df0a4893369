//! What `tinyc analyze` prints for people.
//!
//! In: an [`AnalyzeReport`]. Out: a table of layers and a block of totals.
//! Invariant: it holds no fact that the report does not hold.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use super::analyze::{AnalyzeReport, LayerRow};
use super::build_text::verdict;
use super::short;
use super::stack_path::StackFrame;
use crate::target::units::{format_bytes, thousands};

/// Width of the labels of the totals.
const LABEL: usize = 20;

impl fmt::Display for AnalyzeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", layers(&self.layers))?;
        let totals = &self.totals;
        let mut line = |label: &str, text: String| writeln!(f, "{label:LABEL$}{text}");
        let peak = totals
            .peak_step
            .as_deref()
            .map_or_else(|| "the ports".to_owned(), |step| format!("{:?}", short(step)));
        line(
            "layers",
            format!(
                "{}, {} MACs, {} parameters",
                totals.layers,
                thousands(totals.macs),
                thousands(totals.parameters)
            ),
        )?;
        line(
            "model size",
            format!(
                "{} in flash, {} as float32{}",
                format_bytes(totals.weights_bytes),
                format_bytes(totals.float32_bytes),
                totals.compression_ratio.map_or_else(String::new, |r| format!(": {r:.2} times smaller"))
            ),
        )?;
        line(
            "activations",
            format!(
                "{} at the peak ({peak}), arena {}",
                format_bytes(totals.peak_activation_bytes),
                format_bytes(totals.arena_bytes)
            ),
        )?;
        let stack = totals
            .stack_bytes
            .map_or_else(|| "stack not computed".to_owned(), |b| format!("stack {}", format_bytes(b)));
        line(
            "peak working memory",
            match totals.stack_bytes {
                Some(_) => format!(
                    "{} = weights + activations + {stack}",
                    format_bytes(totals.peak_working_memory_bytes)
                ),
                None => format!(
                    "{} = weights + activations ({stack})",
                    format_bytes(totals.peak_working_memory_bytes)
                ),
            },
        )?;
        if let Some(path) = &totals.stack_path {
            line("deepest stack", StackFrame::text(path))?;
        }
        line(
            "memory traffic",
            format!(
                "{} before fusion, {} after{}",
                format_bytes(totals.traffic_before_fusion.total_bytes),
                format_bytes(totals.traffic_after_fusion.total_bytes),
                totals.traffic_saved.map_or_else(String::new, |s| format!(": {:.1} % saved", 100.0 * s))
            ),
        )?;
        line("compute to memory", or_dash(totals.macs_per_byte.map(|r| format!("{r:.2} MACs a byte"))))?;
        line(
            "operator reuse",
            or_dash(totals.operator_reuse_ratio.map(|r| format!("{r:.2} calls a kernel"))),
        )?;
        line(
            "channel imbalance",
            or_dash(totals.channel_imbalance.map(|r| format!("{r:.2} at most (largest to median range)"))),
        )?;
        line("output SQNR", or_dash(totals.sqnr_db.map(|db| db.to_string())))?;
        for (index, row) in self.curve.iter().enumerate() {
            let how = if row.by_rows { "row by row" } else { "whole tensors" };
            line(
                if index == 0 { "RAM against cycles" } else { "" },
                format!(
                    "{} (lower bound {}), about {}, {how}{}",
                    format_bytes(row.arena_bytes),
                    format_bytes(row.live_bound_bytes),
                    estimate(row.cycles_estimate, row.instructions_estimate).unwrap_or_default(),
                    if row.taken { ", taken" } else { "" }
                ),
            )?;
        }
        line("", format!("by the costs of a {}", self.curve_core))?;
        if let Some(cycles) = totals.cycles_estimate {
            let ms = totals.ms_estimate.map_or_else(String::new, |ms| format!(", {ms:.2} ms"));
            line("estimated cycles", format!("about {}{ms}, memory never waiting", thousands(cycles)))?;
        } else if let Some(target) = &self.target {
            let instructions = totals
                .instructions_estimate
                .map_or_else(String::new, |count| format!("; about {} instructions", thousands(count)));
            line(
                "estimated cycles",
                format!("none: no timing table is published for the core of {target}{instructions}"),
            )?;
        }
        if let (Some(target), Some(flash), Some(ram)) = (&self.target, &self.flash, &self.ram) {
            line(
                target,
                format!(
                    "flash about {} {}; RAM {} {}",
                    format_bytes(flash.needed_bytes),
                    verdict(flash),
                    format_bytes(ram.needed_bytes),
                    verdict(ram)
                ),
            )?;
        }
        Ok(())
    }
}

/// An estimate with its unit.
fn estimate(cycles: Option<u64>, instructions: Option<u64>) -> Option<String> {
    let cycles = cycles.map(|cycles| format!("{} cycles", thousands(cycles)));
    cycles.or_else(|| Some(format!("{} instructions", thousands(instructions?))))
}

/// The table of layers; views are listed with a dash for a kernel.
fn layers(rows: &[LayerRow]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "layer",
        "op",
        "kernel",
        "input",
        "output",
        "MACs",
        "params",
        "weights B",
        "output B",
        "live B",
        if rows.iter().any(|row| row.instructions_estimate.is_some()) { "instructions" } else { "cycles" },
        "imbalance",
        "SQNR",
    ]);
    for row in rows {
        let name = match row.fused.len() {
            0 => short(&row.name),
            more => format!("{} +{more}", short(&row.name)),
        };
        let inputs: Vec<String> = row.input_shapes.iter().map(|s| dims(s)).collect();
        table.add_row([
            name,
            row.op.to_owned(),
            or_dash(row.kernel.map(str::to_owned)),
            inputs.join(" "),
            dims(&row.output_shape),
            thousands(row.macs),
            thousands(row.parameters),
            thousands(row.weights_bytes),
            thousands(row.activation_bytes),
            thousands(row.live_bytes),
            or_dash(row.cycles_estimate.or(row.instructions_estimate).map(thousands)),
            or_dash(row.channel_imbalance.map(|r| format!("{r:.2}"))),
            or_dash(row.sqnr_db.map(|db| db.to_string())),
        ]);
    }
    for index in 5..=12 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// "1x8x8x16".
fn dims(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}
