//! Convolution to `conv2d` or `depthwise` calls.
//!
//! In: a quantized node. Out: one call. Invariant: the input's zero point is
//! folded into the bias, and the accumulator is proven to stay in 32 bits from
//! the actual weights.

use tinyc_runtime::kernels::{conv2d, depthwise};

use super::Conv;
use crate::ir::{Graph, NodeId, QuantParams};
use crate::lower::{Bordered, BorderedConv, Call, Constants, Kernel, LowerError, Lowered, Packer};
use crate::quant::{LayerQuant, QuantTable};

/// The runtime's view of the output parameters.
pub fn out_params(q: &QuantParams) -> tinyc_runtime::requant::Out {
    tinyc_runtime::requant::Out { zero_point: q.zero_point.into(), lo: q.lo.into(), hi: q.hi.into() }
}

/// Bias with the input's zero point folded in, per output channel:
/// `bias - zero_point * sum(weights)`; `weights` holds one row per channel.
///
/// # Errors
/// [`LowerError::Accumulator`] where `|bias'| + 128 * sum |w|` does not fit 31 bits.
pub fn fold_zero_point(layer: &LayerQuant, zero_point: i8) -> Result<Vec<i32>, LowerError> {
    let per_channel = layer.weights.len() / layer.bias.len();
    layer
        .weights
        .chunks(per_channel)
        .zip(&layer.bias)
        .enumerate()
        .map(|(channel, (weights, &bias))| {
            let sum: i64 = weights.iter().map(|&w| i64::from(w)).sum();
            let magnitude: i64 = weights.iter().map(|&w| i64::from(w).abs()).sum();
            let folded = i64::from(bias) - i64::from(zero_point) * sum;
            let corrections = layer.borders.iter().flat_map(|borders| borders.of_channel(channel));
            let biases = corrections.map(|more| folded + i64::from(more)).chain([folded]);
            let bound = biases.map(i64::abs).max().unwrap_or(0) + 128 * magnitude;
            if bound > i64::from(i32::MAX) {
                return Err(LowerError::Accumulator { channel, bound });
            }
            Ok(folded as i32)
        })
        .collect()
}

/// Biases, multipliers and shifts, then weights: the constants' layout that
/// `conv2d`, `depthwise` and `dense` share. Returns whether shifts are present.
pub fn pack(bias: &[i32], layer: &LayerQuant, weights: &[i8]) -> (Constants, bool) {
    let (packer, shifts) = pack_outputs(bias, layer);
    (packer.codes(weights).finish(), shifts)
}

/// Biases, multipliers and shifts, and whether shifts are present.
pub fn pack_outputs(bias: &[i32], layer: &LayerQuant) -> (Packer, bool) {
    let shifts = layer.multipliers.iter().any(|m| m.k > 0);
    let mut packer =
        Packer::new().biases(bias.iter().copied()).multipliers(layer.multipliers.iter().map(|m| m.m));
    if shifts {
        packer = packer.shifts(layer.multipliers.iter().map(|m| m.k));
    }
    (packer, shifts)
}

/// Lowers a convolution.
///
/// # Errors
/// [`LowerError::Accumulator`].
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId, conv: &Conv) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let input = quant.activation(node.inputs[0]);
    let layer = quant.layer(id);
    let bias = fold_zero_point(layer, input.zero_point)?;
    let [in_h, in_w, in_c] =
        graph.shape(node.inputs[0]).hwc().expect("verified: convolution input is [1, H, W, C]");
    let [out_h, out_w, out_c] =
        graph.shape(node.output).hwc().expect("verified: convolution output is [1, H, W, C]");
    let window = conv.window;
    let pad_code = input.code(f64::from(conv.pad_value));
    let out = out_params(&quant.activation(node.output));
    // With one input channel left, a layer with biases by class is no depthwise one.
    let depthwise = conv.groups == in_c && layer.borders.is_none();
    let (kernel, consts) = if depthwise && graph.shape(node.inputs[1]).channels() == 1 {
        let (consts, shifts) = pack(&bias, layer, &taps_first(&layer.weights, out_c));
        let params = depthwise::Params {
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            out_c,
            kernel_h: window.kernel[0],
            kernel_w: window.kernel[1],
            stride_h: window.stride[0],
            stride_w: window.stride[1],
            pad_top: window.pads.top,
            pad_left: window.pads.left,
            dilation_h: window.dilation[0],
            dilation_w: window.dilation[1],
            multiplier: out_c / in_c,
            pad_code,
            shifts,
            out,
        };
        (Kernel::Depthwise(params), consts)
    } else {
        let (consts, shifts) = pack(&bias, layer, &layer.weights);
        let params = conv2d::Params {
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            out_c,
            kernel_h: window.kernel[0],
            kernel_w: window.kernel[1],
            stride_h: window.stride[0],
            stride_w: window.stride[1],
            pad_top: window.pads.top,
            pad_left: window.pads.left,
            dilation_h: window.dilation[0],
            dilation_w: window.dilation[1],
            groups: conv.groups,
            pad_code,
            shifts,
            out,
        };
        (Kernel::Conv2d(params), consts)
    };
    let scratch_bytes = match &kernel {
        Kernel::Conv2d(p) => conv2d::scratch_bytes(p),
        Kernel::Depthwise(p) => depthwise::scratch_bytes(p),
        _ => 0,
    };
    let call = Call { kernel, consts, inputs: vec![node.inputs[0]], scratch_bytes };
    Ok(Lowered::one(with_borders(call, layer)))
}

/// The call of a layer whose biases may differ at borders: their classes follow the
/// other constants, and the kernel is told so.
pub fn with_borders(call: Call, layer: &LayerQuant) -> Call {
    let Some(borders) = &layer.borders else { return call };
    let pixels = borders.pixels();
    let conv = match call.kernel {
        Kernel::Conv2d(p) => BorderedConv::Conv2d(p),
        Kernel::ConvTile(p) => BorderedConv::ConvTile(p),
        Kernel::ConvWindow(p) => BorderedConv::ConvWindow(p),
        other => unreachable!("tinyc bug: {other:?} has no borders"),
    };
    let consts = call.consts.then(&borders.pack());
    Call { kernel: Kernel::Bordered(Bordered { conv, pixels }), consts, ..call }
}

/// `[channels][taps]` to `[taps][channels]`.
pub fn taps_first(weights: &[i8], channels: usize) -> Vec<i8> {
    let taps = weights.len() / channels;
    (0..taps).flat_map(|t| (0..channels).map(move |c| weights[c * taps + t])).collect()
}
