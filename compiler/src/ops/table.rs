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
pub const TABLE: &[Entry] = &[
    Entry { onnx: "Abs", limits: "any shape", import: super::unary::import::import },
    Entry {
        onnx: "Add",
        limits: "two activations (broadcasting in up to 4 loops), or an activation and a constant that broadcasts to it",
        import: super::binary::import::import,
    },
    Entry {
        onnx: "AveragePool",
        limits: "1-D and 2-D; kernel, stride, pads, dilation, ceil_mode, auto_pad, count_include_pad",
        import: super::pool::import::average_pool,
    },
    Entry {
        onnx: "BatchNormalization",
        limits: "inference mode, constant parameters; folded into a convolution where one precedes",
        import: super::affine::import::batch_norm,
    },
    Entry { onnx: "Cast", limits: "between float types", import: super::reshape::import::cast },
    Entry { onnx: "Ceil", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Celu", limits: "alpha 1", import: super::unary::import::import },
    Entry {
        onnx: "Clip",
        limits: "constant bounds, as attributes or as operands",
        import: super::unary::import::clip,
    },
    Entry { onnx: "Concat", limits: "of activations, along any axis", import: super::concat::import::import },
    Entry {
        onnx: "Conv",
        limits: "1-D and 2-D, constant weights; groups, depthwise, dilation, stride, pads, auto_pad",
        import: super::conv::import::import,
    },
    Entry { onnx: "Cos", limits: "any shape", import: super::unary::import::import },
    Entry {
        onnx: "Div",
        limits: "a constant divisor that broadcasts to the activation",
        import: super::binary::import::import,
    },
    Entry { onnx: "Dropout", limits: "inference", import: super::reshape::import::dropout },
    Entry { onnx: "Elu", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Erf", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Exp", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Flatten", limits: "any axis", import: super::reshape::import::flatten },
    Entry { onnx: "Floor", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Gelu", limits: "exact and tanh form", import: super::unary::import::import },
    Entry {
        onnx: "Gemm",
        limits: "A or B constant; alpha, beta, transA, transB; C constant or computed",
        import: super::dense::import::gemm,
    },
    Entry {
        onnx: "GlobalAveragePool",
        limits: "1-D and 2-D",
        import: super::pool::import::global_average_pool,
    },
    Entry { onnx: "GlobalMaxPool", limits: "1-D and 2-D", import: super::pool::import::global_max_pool },
    Entry { onnx: "HardSigmoid", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "HardSwish", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Identity", limits: "everything", import: super::reshape::import::same },
    Entry { onnx: "LeakyRelu", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Log", limits: "any shape", import: super::unary::import::import },
    Entry {
        onnx: "MatMul",
        limits: "one operand a constant matrix: the right one, or the left one of 2 dimensions",
        import: super::dense::import::matmul,
    },
    Entry {
        onnx: "MaxPool",
        limits: "1-D and 2-D; kernel, stride, pads, dilation, ceil_mode, auto_pad; no second output",
        import: super::pool::import::max_pool,
    },
    Entry { onnx: "Mish", limits: "any shape", import: super::unary::import::import },
    Entry {
        onnx: "Mul",
        limits: "two activations (broadcasting in up to 4 loops), or an activation and a constant that broadcasts to it",
        import: super::binary::import::import,
    },
    Entry { onnx: "Neg", limits: "any shape", import: super::unary::import::import },
    Entry {
        onnx: "PRelu",
        limits: "one constant slope for all channels",
        import: super::unary::import::prelu,
    },
    Entry {
        onnx: "Pad",
        limits: "mode constant; constant pads, none negative",
        import: super::pad::import::import,
    },
    Entry { onnx: "Pow", limits: "a constant exponent for all elements", import: super::unary::import::pow },
    Entry {
        onnx: "ReduceMax",
        limits: "any constant axes, keepdims or not",
        import: super::pool::import::reduce_max,
    },
    Entry {
        onnx: "ReduceMean",
        limits: "any constant axes, keepdims or not",
        import: super::pool::import::reduce_mean,
    },
    Entry { onnx: "Relu", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Reshape", limits: "constant shape", import: super::reshape::import::reshape },
    Entry { onnx: "Round", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Selu", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Sigmoid", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Sign", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Sin", limits: "any shape", import: super::unary::import::import },
    Entry {
        onnx: "Softmax",
        limits: "any axis, up to 2,048 values a row",
        import: super::softmax::import::import,
    },
    Entry { onnx: "Softplus", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Softsign", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Sqrt", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "Squeeze", limits: "constant axes", import: super::reshape::import::squeeze },
    Entry {
        onnx: "Sub",
        limits: "two activations (broadcasting in up to 4 loops), or an activation and a constant that broadcasts to it, on either side",
        import: super::binary::import::import,
    },
    Entry { onnx: "Swish", limits: "alpha 1", import: super::unary::import::import },
    Entry { onnx: "Tanh", limits: "any shape", import: super::unary::import::import },
    Entry { onnx: "ThresholdedRelu", limits: "any shape", import: super::unary::import::import },
    Entry {
        onnx: "Transpose",
        limits: "any permutation of up to 6 groups of dimensions",
        import: super::transpose::import::import,
    },
    Entry { onnx: "Unsqueeze", limits: "constant axes", import: super::reshape::import::unsqueeze },
];

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
        Row {
            op: "DequantizeLinear",
            limits: "activations per tensor, weights per tensor or channel; int8, uint8, int32 bias",
        },
        Row { op: "QuantizeLinear", limits: "per tensor, int8 or uint8, constant scale" },
    ]);
    rows.sort_by_key(|r| r.op);
    rows
}

/// The table as text.
pub fn text() -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["operator", "limits"]);
    for row in rows() {
        table.add_row([row.op, row.limits]);
    }
    table.trim_fmt()
}
