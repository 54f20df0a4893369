//! What `tinyc bench` prints for people.
//!
//! In: a [`BenchReport`]. Out: a table of layers and a block of totals.
//! Invariant: it holds no fact that the report does not hold.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use super::compare::{Change, Comparison};
use super::report::BenchReport;
use crate::report::StackFrame;
use crate::report::choices;
use crate::report::short;
use crate::target::units::{format_bytes, thousands};

/// Width of the labels of the totals.
const LABEL: usize = 14;

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} for {} (--opt {}), one {} of {} on emulated {}\n",
            self.model, self.target, self.opt, self.measured, self.input, self.core
        )?;
        writeln!(f, "{}\n", layers(self))?;
        let mut line = |label: &str, text: String| writeln!(f, "{label:LABEL$}{text}");
        line("instructions", thousands(self.instructions))?;
        match (self.cycles, self.timing) {
            (Some(cycles), Some(timing)) => {
                let per_mac = self.cycles_per_mac.map_or_else(String::new, |c| format!(", {c:.3} a MAC"));
                line("cycles", format!("{}{per_mac}, estimated by {timing}", thousands(cycles)))?;
            }
            _ => line("cycles", "not estimated: no timing table is published for this core".to_owned())?,
        }
        if let (Some(ms), Some(clock)) = (self.ms, self.clock_hz) {
            let waits = match (self.ms_with_flash, self.flash_wait_cycles) {
                (Some(ms), Some(cycles)) => {
                    format!("; {ms:.3} ms with {} cycles of waiting for flash, at most", thousands(cycles))
                }
                _ => "; what waiting for flash costs is not known".to_owned(),
            };
            line("time", format!("{ms:.3} ms at {} MHz{waits}", clock as f64 / 1e6))?;
        }
        if let Some(energy) = self.energy_uj {
            line("energy", format!("about {energy:.1} uJ"))?;
        }
        let flash = &self.flash_bytes;
        line(
            "flash",
            format!(
                "{} = code {} + weights {} + other {}",
                format_bytes(flash.code + flash.weights + flash.other),
                format_bytes(flash.code),
                format_bytes(flash.weights),
                format_bytes(flash.other)
            ),
        )?;
        if let Some(ratio) = self.weights_ratio {
            let parameters = format_bytes(self.parameters_bytes);
            let tables = format_bytes(self.tables_bytes);
            let text = format!(
                "{ratio:.3} of {parameters} of int8 weights and biases; multipliers and tables {tables} of the other"
            );
            line("weights", text)?;
        }
        for text in choices::lines(&self.choices) {
            line("kernels", text)?;
        }
        for row in self.unrolled.iter().filter(|row| row.refused.is_none()) {
            line("unrolled", row.line())?;
        }
        line(
            "RAM",
            format!(
                "{} = arena {} + stack {} + statics {}; stack: painted {}, bound {}",
                format_bytes(self.ram_bytes),
                format_bytes(self.arena_bytes),
                format_bytes(self.stack_bound_bytes),
                format_bytes(self.static_bytes),
                format_bytes(self.stack_bytes),
                format_bytes(self.stack_bound_bytes)
            ),
        )?;
        line("deepest stack", StackFrame::text(&self.stack_path))?;
        match &self.comparison {
            Some(comparison) => write!(f, "\n{}", Compared(comparison)),
            None => Ok(()),
        }
    }
}

fn layers(report: &BenchReport) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["layer", "kernel", "MACs", "instructions", "cycles", "a MAC", "ms", "% of all"]);
    let whole = report.cycles.unwrap_or(report.instructions).max(1);
    let share = |cycles: Option<u64>, instructions: u64| {
        format!("{:.1}", 100.0 * cycles.unwrap_or(instructions) as f64 / whole as f64)
    };
    for row in &report.layers {
        table.add_row([
            short(&row.name),
            row.kernel.to_owned(),
            thousands(row.macs),
            thousands(row.instructions),
            or_dash(row.cycles.map(thousands)),
            or_dash(row.cycles_per_mac.map(|c| format!("{c:.3}"))),
            or_dash(row.ms.map(|ms| format!("{ms:.3}"))),
            share(row.cycles, row.instructions),
        ]);
    }
    let rest = &report.rest;
    table.add_row([
        "(between layers)".to_owned(),
        "-".to_owned(),
        "0".to_owned(),
        thousands(rest.instructions),
        or_dash(rest.cycles.map(thousands)),
        "-".to_owned(),
        "-".to_owned(),
        share(rest.cycles, rest.instructions),
    ]);
    right(&mut table, 2..=7);
    table.trim_fmt()
}

struct Compared<'a>(&'a Comparison);

impl fmt::Display for Compared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { other_target, unit, total, arena_bytes, code_bytes, weights_bytes, .. } = self.0;
        let layers = &self.0.layers;
        if let Some(target) = other_target {
            writeln!(f, "note: the older report is for {target}")?;
        }
        if self.0.tables_as_weights {
            writeln!(
                f,
                "note: the older report counts multipliers and tables as weights; so does the comparison"
            )?;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([unit, "old", "new", "new / old"]);
        let mut add = |name: String, change: &Change| {
            let Change { old, new, ratio } = *change;
            let ratio = or_dash(ratio.map(|ratio| format!("{ratio:.4}")));
            table.add_row([name, or_dash(old.map(thousands)), or_dash(new.map(thousands)), ratio]);
        };
        for layer in layers {
            add(short(&layer.name), &layer.change);
        }
        add("total".to_owned(), total);
        add("arena B".to_owned(), arena_bytes);
        add("code and other B".to_owned(), code_bytes);
        add("weights B".to_owned(), weights_bytes);
        right(&mut table, 1..=3);
        writeln!(f, "{}", table.trim_fmt())
    }
}

fn right(table: &mut Table, columns: std::ops::RangeInclusive<usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}
