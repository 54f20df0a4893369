//! The summary that `tinyc build` ends with.
//!
//! In: a [`BuildReport`]. Out: a few lines with aligned labels. Invariant: it
//! holds no fact that the report does not hold.

use std::fmt;

use super::build::{BuildReport, FileRow, InputFrames};
use super::choices;
use super::memory::{MemoryUse, PartRow, RegionRow};
use super::short;
use super::stack_path::StackFrame;
use crate::target::units::{format_bytes, thousands};

/// Width of the labels.
const LABEL: usize = 10;

impl fmt::Display for BuildReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} for {} ({})", self.model, self.target, self.part)?;
        self.facts(f, true)?;
        line(f, "verdict", if self.fits { "fits" } else { "does not fit" })?;
        self.crate_text(f)
    }
}

/// A labelled line.
pub(super) fn line(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {label:LABEL$}{text}")
}

impl BuildReport {
    /// What is known of the model, a line each; where it is `alone` on the chip also how
    /// much of it it may use.
    pub(super) fn facts(&self, f: &mut fmt::Formatter<'_>, alone: bool) -> fmt::Result {
        let verdict = |memory: &MemoryUse| match alone {
            true => format!("; {}", verdict(memory)),
            false => String::new(),
        };
        let mut line = |label: &str, text: String| line(f, label, &text);
        line(
            "layers",
            format!(
                "{}, {} MACs, {} parameters",
                self.layers,
                thousands(self.macs),
                thousands(self.parameters)
            ),
        )?;
        if let Some(frames) = self.input_frames {
            line("step", frames.text(self.macs))?;
        }
        line(
            "flash",
            format!(
                "{} = weights {} + tables {} + code about {}{}",
                format_bytes(self.flash.needed_bytes),
                format_bytes(self.weights_bytes),
                format_bytes(self.tables_bytes),
                format_bytes(self.code_bytes_estimate),
                verdict(&self.flash)
            ),
        )?;
        let peak = self
            .peak_step
            .as_deref()
            .map_or_else(|| "the ports".to_owned(), |step| format!("{:?}", short(step)));
        line(
            "RAM",
            format!(
                "{} arena, peak at {peak} (lower bound {}){}",
                format_bytes(self.arena_bytes),
                format_bytes(self.live_bound_bytes),
                verdict(&self.ram)
            ),
        )?;
        if let Some(text) = self.arena_region.as_ref().and_then(RegionRow::text).filter(|_| alone) {
            line("region", text)?;
        }
        if !self.arena_parts.is_empty() {
            line("regions", PartRow::text(&self.arena_parts))?;
        }
        line("stack", self.stack_text())?;
        if let Some(path) = &self.stack_path {
            line("deepest", StackFrame::text(path))?;
        }
        if self.outputs.is_empty() {
            line("accuracy", "not compared with float: no samples".to_owned())?;
        }
        for output in &self.outputs {
            let sqnr = output.sqnr_db.map_or_else(|| "unknown".to_owned(), |db| db.to_string());
            let top1 =
                output.top1_agreement.map_or_else(String::new, |p| format!(", top-1 agrees on {p:.1} %"));
            line(
                "accuracy",
                format!("{:?}: SQNR {sqnr} against float{top1} of {} samples", output.name, output.samples),
            )?;
        }
        for text in choices::lines(&self.choices) {
            line("kernels", text)?;
        }
        for row in &self.unrolled {
            line("unrolled", row.line())?;
        }
        for text in self.dead_channels.text() {
            line("dead", text)?;
        }
        line("scales", self.scales_text())
    }

    fn stack_text(&self) -> String {
        match (self.stack_bytes, self.static_bytes, self.ram_bytes) {
            (Some(stack), Some(statics), Some(ram)) => format!(
                "{} at most; RAM in all {} = arena {} + stack {} + statics {}",
                format_bytes(stack),
                format_bytes(ram),
                format_bytes(self.arena_bytes),
                format_bytes(stack),
                format_bytes(statics)
            ),
            _ => "not computed: pass --stack".to_owned(),
        }
    }

    fn scales_text(&self) -> String {
        let scales = &self.scales;
        let path = scales.path.as_deref().unwrap_or_default();
        match scales.source {
            "model" => "carried by the model".to_owned(),
            "recorded" => format!("recorded in {path} ({}, {} samples)", scales.method, scales.samples),
            "samples" => format!("{} over {} samples of {path}", scales.method, scales.samples),
            _ => format!("{} over {} SYNTHETIC inputs: pass --calib", scales.method, scales.samples),
        }
    }

    /// The crate's files, and how to use it.
    fn crate_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        files_text(f, &self.out_dir, &self.files)?;
        let library = self.package.replace('-', "_");
        writeln!(f, "\n  {} = {{ path = {:?} }}", self.package, self.out_dir)?;
        let new = match self.arena_parts.is_empty() {
            true => format!("let mut model = {library}::Model::new();"),
            false => format!("let mut model = {library}::Model::new(..); // its parts: README.md"),
        };
        if let Some(rows) = self.input_rows {
            writeln!(f, "  {new}")?;
            return writeln!(
                f,
                "  let output = model.push_row(&row); // {} times {} of i8; the last one gives the output",
                thousands(rows.rows as u64),
                thousands(rows.row_bytes as u64)
            );
        }
        if let Some(frames) = self.input_frames {
            writeln!(f, "  {new}")?;
            return writeln!(
                f,
                "  let output = model.step(&frame); // {} of i8 a frame; from frame {} on each gives an output",
                thousands((frames.hop * frames.row_bytes) as u64),
                thousands(frames.steps as u64)
            );
        }
        match (&self.input_shapes[..], &self.output_shapes[..]) {
            ([input], [output]) => {
                let elements = |shape: &[usize]| thousands(shape.iter().product::<usize>() as u64);
                writeln!(f, "  {new}")?;
                writeln!(f, "  model.input_mut().copy_from_slice(&codes); // {} of i8", elements(input))?;
                writeln!(f, "  let output = model.run(); // {} of i8", elements(output))
            }
            _ if self.arena_parts.is_empty() => {
                writeln!(f, "  {new} // inputs and outputs by name: README.md")
            }
            _ => writeln!(f, "  {new}"),
        }
    }
}

impl InputFrames {
    /// What a step is.
    fn text(&self, macs: u64) -> String {
        format!(
            "{} new of {} rows, {} of the {} MACs of a whole window ({:.0} %), {} kept from step to step",
            thousands(self.hop as u64),
            thousands(self.rows as u64),
            thousands(macs),
            thousands(self.window_macs),
            100.0 * macs as f64 / self.window_macs.max(1) as f64,
            format_bytes(self.kept_bytes as u64)
        )
    }
}

/// The files of a crate.
pub(super) fn files_text(f: &mut fmt::Formatter<'_>, out_dir: &str, files: &[FileRow]) -> fmt::Result {
    let total: u64 = files.iter().map(|file| file.bytes).sum();
    writeln!(f, "\n{out_dir}/ ({} files, {})", files.len(), format_bytes(total))?;
    let width = files.iter().map(|file| file.path.len()).max().unwrap_or(0);
    for file in files {
        writeln!(f, "  {:width$}  {:>11}", file.path, format_bytes(file.bytes))?;
    }
    Ok(())
}

/// "within 419,430 B (80 % of 524,288)", or how much it is over.
pub(super) fn verdict(memory: &MemoryUse) -> String {
    let limit = memory.budget.describe(memory.total_bytes);
    if memory.fits() {
        format!("within {limit}")
    } else {
        format!("{} over {limit}", format_bytes(memory.needed_bytes - memory.limit_bytes))
    }
}
