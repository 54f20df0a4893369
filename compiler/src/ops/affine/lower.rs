//! `x * scale + shift` to one `depthwise` call with a 1x1 kernel.
//!
//! In: a quantized node. Out: one call. The dimensions from the first along
//! which the constants vary are the kernel's channels, those before it are its
//! pixels; where a channel-last tensor meets constants along its last dimension,
//! that is the tensor's own geometry. Invariant: the constants are expanded to
//! the channels, so that every channel has its own weight, bias and multiplier.

use tinyc_runtime::kernels::depthwise;

use crate::ir::{Graph, NodeId, Shape};
use crate::lower::{Call, Kernel, LowerError, Lowered};
use crate::ops::conv::lower::{fold_zero_point, out_params, pack};
use crate::quant::{LayerQuant, QuantTable};

/// Lowers an affine node.
///
/// # Errors
/// [`LowerError::Accumulator`], with the position in the scale constant as the channel.
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let x = graph.shape(node.inputs[0]);
    let constants = graph.shape(node.inputs[1]);
    let layer = quant.layer(id);
    let bias = fold_zero_point(layer, quant.activation(node.inputs[0]).zero_point)?;

    let first = constants.0.iter().position(|&d| d != 1).unwrap_or(x.rank().saturating_sub(1));
    let (pixels, channels) = x.0.split_at(first);
    let elements = expand(&Shape::from(channels), &constants.0[first..]);
    let expanded = LayerQuant {
        borders: None,
        weights: elements.iter().map(|&e| layer.weights[e]).collect(),
        // Packing does not read them.
        weight_scales: Vec::new(),
        bias: elements.iter().map(|&e| bias[e]).collect(),
        multipliers: elements.iter().map(|&e| layer.multipliers[e]).collect(),
    };
    let (consts, shifts) = pack(&expanded.bias, &expanded, &expanded.weights);

    let width = pixels.last().copied().unwrap_or(1);
    let height = pixels.iter().rev().skip(1).product();
    let params = depthwise::Params {
        in_h: height,
        in_w: width,
        in_c: elements.len(),
        out_h: height,
        out_w: width,
        out_c: elements.len(),
        kernel_h: 1,
        kernel_w: 1,
        stride_h: 1,
        stride_w: 1,
        pad_top: 0,
        pad_left: 0,
        dilation_h: 1,
        dilation_w: 1,
        multiplier: 1,
        pad_code: 0,
        shifts,
        out: out_params(&quant.activation(node.output)),
    };
    let call = Call {
        kernel: Kernel::Depthwise(params),
        consts,
        inputs: vec![node.inputs[0]],
        scratch_bytes: depthwise::scratch_bytes(&params),
    };
    // A 1x1 window reads nothing but the element that it writes.
    Ok(Lowered::one(call).in_place_of([0]))
}

/// For each element of `full`, the position of the element of a constant of shape
/// `part` (each dimension 1 or that of `full`) that broadcasts to it.
fn expand(full: &Shape, part: &[usize]) -> Vec<usize> {
    let strides = Shape::from(part).strides();
    let mut positions = vec![0];
    for ((&dim, &stride), &part_dim) in full.0.iter().zip(&strides).zip(part) {
        let step = if part_dim == 1 { 0 } else { stride };
        positions = positions.iter().flat_map(|&p| (0..dim).map(move |i| p + i * step)).collect();
    }
    positions
}
