//! The operators: one folder each, and the tables that name them all.
//!
//! An op's `mod.rs` holds its attributes, its output shape and its **naive
//! integer reference** (plain loops over 64-bit integers that never call the
//! runtime); `import.rs` turns an ONNX node into it; `lower.rs` turns a planned
//! node into runtime calls with packed constants. Invariant: the reference and
//! the runtime's kernel agree byte for byte.

pub mod affine;
pub mod binary;
pub mod concat;
pub mod conv;
pub mod dense;
pub mod pad;
pub mod pool;
pub mod reshape;
pub mod softmax;
pub mod table;
pub mod transpose;
pub mod unary;

use crate::ir::{Graph, NodeId, Shape};
use crate::lower::{KernelSet, LowerError, Lowered};
use crate::quant::{QTensor, QuantTable};

/// What a node computes. All tensors are row-major in their own shape;
/// convolutions and poolings are channel-last.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Convolution of `[1, H, W, C]` with weights `[out, kh, kw, in / groups]`
    /// and an optional bias `[out]`.
    Conv(conv::Conv),
    /// `[.., in]` times weights `[out, in]` and an optional bias `[out]`.
    Dense,
    /// Maximum or mean over windows of `[1, H, W, C]`.
    Pool(pool::Pool),
    /// Addition, subtraction or product of two activations, numpy broadcasting.
    Binary(binary::Binary),
    /// A chain of element-wise functions of one tensor, applied left to right;
    /// the empty chain only changes the quantization.
    Unary(Vec<unary::Function>),
    /// `x * scale + shift` with constant operands that broadcast to `x`
    /// (same rank, each dimension 1 or that of `x`).
    Affine,
    /// Softmax over the last dimension.
    Softmax,
    /// The same bytes under another shape.
    Reshape,
    /// A permutation of dimensions: output dimension `i` is input dimension `perm[i]`.
    Transpose(Vec<usize>),
    /// Concatenation of activations along a dimension.
    Concat(usize),
    /// Constant padding.
    Pad(pad::Pad),
}

impl Op {
    /// The operator's name in the IR's text form and in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv(_) => "conv",
            Op::Dense => "dense",
            Op::Pool(p) => p.kind.name(),
            Op::Binary(b) => b.name(),
            Op::Unary(_) => "unary",
            Op::Affine => "affine",
            Op::Softmax => "softmax",
            Op::Reshape => "reshape",
            Op::Transpose(_) => "transpose",
            Op::Concat(_) => "concat",
            Op::Pad(_) => "pad",
        }
    }

    /// The shape of the output given the operands' shapes, or why they do not fit.
    ///
    /// # Errors
    /// A sentence that says what does not fit; the caller names the node.
    /// [`Op::Reshape`] has no rule of its own: any shape with as many elements holds.
    pub fn output_shape(&self, inputs: &[&Shape]) -> Result<Option<Shape>, String> {
        match self {
            Op::Conv(c) => c.output_shape(inputs).map(Some),
            Op::Dense => dense::output_shape(inputs).map(Some),
            Op::Pool(p) => p.output_shape(inputs).map(Some),
            Op::Binary(_) => binary::output_shape(inputs).map(Some),
            Op::Unary(_) | Op::Softmax => Ok(Some(inputs[0].clone())),
            Op::Affine => affine::output_shape(inputs).map(Some),
            Op::Reshape => Ok(None),
            Op::Transpose(perm) => transpose::output_shape(perm, inputs).map(Some),
            Op::Concat(axis) => concat::output_shape(*axis, inputs).map(Some),
            Op::Pad(p) => p.output_shape(inputs).map(Some),
        }
    }
}

/// Multiply-accumulates of one inference of a node: convolutions and dense
/// layers count each weight use, padding included (the convention of MLPerf
/// Tiny and of the vendors' tables); everything else counts none.
pub fn macs(graph: &Graph, id: NodeId) -> u64 {
    let node = graph.node(id);
    let out = graph.shape(node.output);
    match node.op {
        Op::Conv(_) | Op::Dense => {
            let weights = graph.shape(node.inputs[1]);
            let per_output: usize = weights.0[1..].iter().product();
            (out.elements() * per_output) as u64
        }
        _ => 0,
    }
}

/// The naive integer reference of a node: the codes of its output from the codes
/// of its activations (in the order of the node's non-constant operands).
///
/// The graph must have passed the integer half of the pipeline, so that `quant`
/// holds every activation and weight that the node needs.
pub fn reference(graph: &Graph, quant: &QuantTable, id: NodeId, inputs: &[&QTensor]) -> QTensor {
    let node = graph.node(id);
    let shape = graph.shape(node.output).clone();
    let out = quant.activation(node.output);
    let codes = match &node.op {
        Op::Conv(c) => {
            conv::reference(c, quant.layer(id), graph.shape(node.inputs[1]), inputs[0], &shape, out)
        }
        Op::Dense => dense::reference(quant.layer(id), inputs[0], &shape, out),
        Op::Pool(p) => pool::reference(p, inputs[0], &shape, out),
        Op::Binary(b) => binary::reference(*b, inputs[0], inputs[1], &shape, out),
        Op::Unary(chain) => unary::reference(chain, inputs[0], node.clamp, out),
        Op::Affine => affine::reference(quant.layer(id), graph.shape(node.inputs[1]), inputs[0], out),
        Op::Softmax => softmax::reference(inputs[0], out),
        Op::Reshape => inputs[0].codes.clone(),
        Op::Transpose(perm) => transpose::reference(perm, inputs[0], &shape),
        Op::Concat(axis) => concat::reference(*axis, inputs, &shape),
        Op::Pad(p) => pad::reference(p, inputs[0], &shape),
    };
    QTensor { shape, codes, params: out }
}

/// Turns a node of a quantized graph into calls of a set of kernels; what the set
/// has no kernel for goes to the general ones.
///
/// # Errors
/// [`LowerError`] where the integers do not fit the runtime's kernels.
pub fn lower_with(
    graph: &Graph,
    quant: &QuantTable,
    id: NodeId,
    kernels: KernelSet,
) -> Result<Lowered, LowerError> {
    let fast = match (&graph.node(id).op, kernels) {
        (Op::Conv(c), KernelSet::Tiles | KernelSet::DualTiles) => {
            conv::lower_tile::lower(graph, quant, id, c)?
        }
        (Op::Conv(c), KernelSet::Windows) => conv::lower_window::lower(graph, quant, id, c)?,
        (Op::Conv(c), KernelSet::Lanes) => conv::lower_lanes::lower(graph, quant, id, c)?,
        (Op::Dense, KernelSet::Lanes) => Some(dense::lower_lanes::lower(graph, quant, id)?),
        (Op::Dense, KernelSet::Tiles | KernelSet::DualTiles) => dense::lower_tile::lower(graph, quant, id)?,
        _ => None,
    };
    fast.map_or_else(|| lower(graph, quant, id), Ok)
}

/// The forms that a node can take with a set of kernels: first the one of
/// [`lower_with`], then those that trade constants and scratch for cycles, or cycles
/// for constants.
///
/// # Errors
/// As [`lower_with`].
pub fn candidates(
    graph: &Graph,
    quant: &QuantTable,
    id: NodeId,
    kernels: KernelSet,
) -> Result<Vec<Lowered>, LowerError> {
    let mut forms = vec![lower_with(graph, quant, id, kernels)?];
    if let (Op::Conv(c), true) = (&graph.node(id).op, kernels.has_tiles()) {
        for tile in conv::lower_winograd::Tile::ALL {
            forms.extend(conv::lower_winograd::lower(graph, quant, id, c, tile)?);
        }
    }
    let sparse = match &graph.node(id).op {
        Op::Conv(c) => conv::lower_sparse::lower(graph, quant, id, c)?,
        Op::Dense => Some(dense::lower_sparse::lower(graph, quant, id)?),
        _ => None,
    };
    let smaller = |form: &Lowered| form.const_bytes() < forms[0].const_bytes();
    forms.extend(sparse.filter(smaller));
    Ok(forms)
}

/// Turns a node of a quantized graph into calls of the general kernels.
///
/// # Errors
/// [`LowerError`] where the integers do not fit the runtime's kernels.
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId) -> Result<Lowered, LowerError> {
    match &graph.node(id).op {
        Op::Conv(c) => conv::lower::lower(graph, quant, id, c),
        Op::Dense => dense::lower::lower(graph, quant, id),
        Op::Pool(p) => pool::lower::lower(graph, quant, id, p),
        Op::Binary(b) => binary::lower::lower(graph, quant, id, *b),
        Op::Unary(chain) => unary::lower::lower(graph, quant, id, chain),
        Op::Affine => affine::lower::lower(graph, quant, id),
        Op::Softmax => softmax::lower::lower(graph, quant, id),
        Op::Reshape => Ok(Lowered::view()),
        Op::Transpose(perm) => transpose::lower::lower(graph, quant, id, perm),
        Op::Concat(axis) => concat::lower::lower(graph, quant, id, *axis),
        Op::Pad(p) => pad::lower::lower(graph, quant, id, p),
    }
}
