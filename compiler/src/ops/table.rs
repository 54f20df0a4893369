//! The table of ONNX operators: what can be imported, and within which limits.
//!
//! In: an operator's name. Out: its [`Entry`]. Invariant: `tinyc supported-ops`
//! prints exactly this table, and the importer knows no other operator.

use crate::ir::ValueId;
use crate::onnx::OnnxNode;
use crate::onnx::import::Importer;

/// Imports a node: returns the value of its first output, or why it cannot be
/// compiled and what to do.
pub type Import = fn(&mut Importer<'_>, &OnnxNode) -> Result<ValueId, String>;

/// An ONNX operator.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name in ONNX.
    pub onnx: &'static str,
    /// What is supported of it.
    pub limits: &'static str,
    /// Its importer.
    pub import: Import,
}

/// Every operator, by name.
pub const TABLE: &[Entry] = &[Entry {
    onnx: "Conv",
    limits: "1-D and 2-D, constant weights; groups, depthwise, dilation, stride, pads, auto_pad",
    import: super::conv::import::import,
}];

/// The entry of an operator.
pub fn find(onnx: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|e| e.onnx == onnx)
}
