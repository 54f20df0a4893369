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

/// A row of `tinyc supported-ops`.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Row {
    /// ONNX operator.
    pub op: &'static str,
    /// What is supported of it.
    pub limits: &'static str,
}

/// The table's rows in alphabetical order.
pub fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = TABLE.iter().map(|e| Row { op: e.onnx, limits: e.limits }).collect();
    rows.extend([
        Row { op: "Constant", limits: "folded before import, with all arithmetic on constants and shapes" },
        Row { op: "DequantizeLinear", limits: "activations per tensor, weights per tensor or channel; int8, uint8, int32 bias" },
        Row { op: "QuantizeLinear", limits: "per tensor, int8 or uint8, constant scale" },
    ]);
    rows.sort_by_key(|r| r.op);
    rows
}

/// The table as text.
pub fn text() -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(["operator", "limits"]);
    for row in rows() {
        table.add_row([row.op, row.limits]);
    }
    table.to_string()
}
