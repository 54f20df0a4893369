//! The way to the deepest stack, for people and for machines.
//!
//! In: a [`StackBound`]. Out: its functions in the order of their calls.
//! Invariant: their bytes add up to the bound.

use serde::Serialize;

use crate::stack::StackBound;

/// A function on the way to the deepest stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StackFrame {
    /// The last parts of its path, or its symbol.
    pub function: String,
    /// What it holds of the stack where it calls the next one; of the last
    /// function, its deepest point.
    pub bytes: u32,
}

impl StackFrame {
    /// The functions, the outermost first: the harness's call of `run`.
    #[must_use]
    pub fn path(bound: &StackBound) -> Vec<StackFrame> {
        bound
            .path
            .iter()
            .map(|(function, bytes)| StackFrame { function: function.clone(), bytes: *bytes })
            .collect()
    }

    /// One line: `run 24 B > kernels::lut::step 8 B`. Functions that hold nothing are left out.
    pub(crate) fn text(path: &[StackFrame]) -> String {
        let frames: Vec<String> = path
            .iter()
            .filter(|frame| frame.bytes > 0)
            .map(|frame| format!("{} {} B", frame.function, frame.bytes))
            .collect();
        frames.join(" > ")
    }
}
