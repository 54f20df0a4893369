//! Which layers are unrolled.
//!
//! In: what planning says of the layers that can be. Out: [`UnrollRow`]s, and the lines
//! of the summary. Invariant: every row names the layer as the model's file does, and one
//! that is not unrolled says why.

use serde::Serialize;

use super::short;
use crate::compile::Compiled;
use crate::plan::unroll::{Refused, Unroll};
use crate::target::units::{format_bytes, thousands};

/// A layer that can be unrolled; docs/json.md names every field for users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnrollRow {
    /// The ONNX node.
    pub layer: String,
    /// Cycles saved, or that it would save.
    pub saved_cycles: u64,
    /// Bytes of the body, which layers of one shape share.
    pub code_bytes: u64,
    /// Why it is not unrolled: `worth`, `budget` or `flash`; null where it is.
    pub refused: Option<&'static str>,
}

impl UnrollRow {
    /// The rows of a compiled model, in the order of execution.
    #[must_use]
    pub fn all(compiled: &Compiled) -> Vec<UnrollRow> {
        let row = |unroll: &Unroll| UnrollRow {
            layer: compiled.plan.steps[unroll.step.index()].name.clone(),
            saved_cycles: unroll.saved_cycles,
            code_bytes: unroll.shape.code_bytes(),
            refused: unroll.refused.map(|refused| match refused {
                Refused::Worth => "worth",
                Refused::Budget => "budget",
                Refused::Flash => "flash",
            }),
        };
        compiled.unrolls.iter().map(row).collect()
    }

    /// Its line in the summary.
    #[must_use]
    pub fn line(&self) -> String {
        let (cycles, bytes) = (thousands(self.saved_cycles), format_bytes(self.code_bytes));
        let name = short(&self.layer);
        match self.refused {
            None => format!("{name:?}: {cycles} cycles saved for {bytes} of code"),
            Some("budget") => {
                format!("not {name:?}: {cycles} cycles for {bytes} of code are over --unroll-budget")
            }
            Some("flash") => format!("not {name:?}: {bytes} of code do not fit the flash"),
            Some(_) => format!("not {name:?}: {cycles} cycles are not worth {bytes} of code"),
        }
    }
}
