//! Which kernels the layers took where they had a choice.
//!
//! In: the plan's [`Choice`]s. Out: [`ChoiceRow`]s, and the lines of the summary.
//! Invariant: every row names the layer as the model's file does, and every faster
//! form that was not taken with its reason.

use std::fmt::Write;

use serde::Serialize;

use super::short;
use crate::compile::Compiled;
use crate::plan::choose::{Choice, Reason};
use crate::target::units::{format_bytes, thousands};

/// A layer that had a choice; docs/json.md names every field for users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChoiceRow {
    /// The ONNX node.
    pub layer: String,
    /// The kernel taken, with its form.
    pub kernel: String,
    /// Estimated cycles less than the plain form; negative: more.
    pub saved_cycles: i64,
    /// Bytes of constants more than the plain form; negative: fewer.
    pub added_bytes: i64,
    /// Bytes of scratch more than the plain form.
    pub added_scratch_bytes: u64,
    /// Faster forms that were not taken.
    pub passed_over: Vec<PassedOver>,
}

/// A faster form that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// The kernel with its form.
    pub kernel: String,
    /// `flash`, `ram`, or `goal`: it was not asked for.
    pub reason: &'static str,
    /// `flash`: bytes of constants more than the form taken; `ram`: the arena with
    /// this form; `goal`: null.
    pub bytes: Option<u64>,
}

impl ChoiceRow {
    /// The rows of a compiled model, in the order of execution.
    #[must_use]
    pub fn all(compiled: &Compiled) -> Vec<ChoiceRow> {
        compiled.choices.iter().map(|choice| ChoiceRow::of(compiled, choice)).collect()
    }

    fn of(compiled: &Compiled, choice: &Choice) -> ChoiceRow {
        let passed_over = choice.passed_over.iter().map(|(kernel, reason)| {
            let (reason, bytes) = match *reason {
                Reason::Flash { bytes } => ("flash", Some(bytes)),
                Reason::Ram { arena_bytes } => ("ram", Some(arena_bytes)),
                Reason::Goal => ("goal", None),
            };
            PassedOver { kernel: kernel.clone(), reason, bytes }
        });
        ChoiceRow {
            layer: compiled.module.graph.node(choice.node).name.clone(),
            kernel: choice.taken.clone(),
            saved_cycles: choice.saved_cycles,
            added_bytes: choice.added_bytes,
            added_scratch_bytes: choice.added_scratch_bytes,
            passed_over: passed_over.collect(),
        }
    }

    /// Whether it says more than that nothing but the plain form was asked for.
    fn tells(&self) -> bool {
        self.saved_cycles != 0 || self.passed_over.iter().any(|form| form.reason != "goal")
    }

    fn line(&self) -> String {
        let mut line = format!("{:?}: {}", short(&self.layer), self.kernel);
        let (cycles, bytes) =
            (thousands(self.saved_cycles.unsigned_abs()), format_bytes(self.added_bytes.unsigned_abs()));
        let _ = match (self.saved_cycles > 0, self.added_bytes > 0) {
            (true, true) => write!(line, ", about {cycles} cycles saved for {bytes} of flash"),
            (true, false) => write!(line, ", about {cycles} cycles and {bytes} of flash saved"),
            _ if self.saved_cycles < 0 => write!(line, ", {bytes} of flash saved for about {cycles} cycles"),
            _ => Ok(()),
        };
        for form in &self.passed_over {
            let bytes = format_bytes(form.bytes.unwrap_or_default());
            let _ = match form.reason {
                "flash" => write!(line, "; {} does not fit: {bytes} more of flash", form.kernel),
                "ram" => write!(line, "; {} does not fit: an arena of {bytes}", form.kernel),
                _ => Ok(()),
            };
        }
        line
    }
}

/// The lines of a summary: the layers with more than their plain form, and how many
/// have faster ones that were not asked for.
#[must_use]
pub fn lines(rows: &[ChoiceRow]) -> Vec<String> {
    let mut lines: Vec<String> = rows.iter().filter(|row| row.tells()).map(ChoiceRow::line).collect();
    // Those that took a smaller form say so themselves.
    let slower = |row: &&ChoiceRow| !row.tells() && row.passed_over.iter().any(|form| form.reason == "goal");
    let unasked = rows.iter().filter(slower).count();
    match unasked {
        0 => {}
        1 => lines.push("1 layer has a faster form, for more flash: --opt speed".to_owned()),
        _ => lines.push(format!("{unasked} layers have faster forms, for more flash: --opt speed")),
    }
    lines
}
