//! Convolution to the kernels for cores with one product at a time: `conv_window`,
//! `depthwise_window`.
//!
//! In: a quantized node. Out: one call, or nothing where only the general kernels
//! serve (groups that are not depthwise, several outputs a depthwise channel).
//! Invariant: the same bytes as the general kernels give.

use tinyc_runtime::kernels::{conv_window, depthwise_window};

use super::Conv;
use super::lower::{fold_zero_point, out_params, pack, taps_first, with_borders};
use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Kernel, LowerError, Lowered};
use crate::quant::QuantTable;

/// Lowers a convolution; `None` where these kernels do not serve.
///
/// # Errors
/// [`LowerError::Accumulator`].
pub fn lower(
    graph: &Graph,
    quant: &QuantTable,
    id: NodeId,
    conv: &Conv,
) -> Result<Option<Lowered>, LowerError> {
    let node = graph.node(id);
    let input = quant.activation(node.inputs[0]);
    let layer = quant.layer(id);
    let [in_h, in_w, in_c] =
        graph.shape(node.inputs[0]).hwc().expect("verified: convolution input is [1, H, W, C]");
    let [out_h, out_w, out_c] =
        graph.shape(node.output).hwc().expect("verified: convolution output is [1, H, W, C]");
    let window = conv.window;
    let depthwise = conv.groups == in_c && out_c == in_c && layer.borders.is_none();
    // Sums of two products must fit 16 bits.
    if !depthwise && (conv.groups != 1 || layer.weights.contains(&i8::MIN)) {
        return Ok(None);
    }
    let bias = fold_zero_point(layer, input.zero_point)?;
    let pad_code = input.code(f64::from(conv.pad_value));
    let out = out_params(&quant.activation(node.output));
    let inputs = vec![node.inputs[0]];
    if depthwise {
        let (consts, shifts) = pack(&bias, layer, &taps_first(&layer.weights, out_c));
        let params = depthwise_window::Params {
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            kernel_h: window.kernel[0],
            kernel_w: window.kernel[1],
            stride_h: window.stride[0],
            stride_w: window.stride[1],
            pad_top: window.pads.top,
            pad_left: window.pads.left,
            dilation_h: window.dilation[0],
            dilation_w: window.dilation[1],
            pad_code,
            shifts,
            out,
        };
        let scratch_bytes = depthwise_window::scratch_bytes(&params);
        let kernel = Kernel::DepthwiseWindow(params);
        return Ok(Some(Lowered::one(Call { kernel, consts, inputs, scratch_bytes })));
    }
    let (consts, shifts) = pack(&bias, layer, &four_channels(&layer.weights, out_c));
    let params = conv_window::Params {
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
        pad_code,
        shifts,
        out,
    };
    let scratch_bytes = conv_window::scratch_bytes(&params);
    // Both pixels of a pair are read before one is written.
    let in_place = params.pointwise() && in_c == out_c;
    let call = Call { kernel: Kernel::ConvWindow(params), consts, inputs, scratch_bytes };
    Ok(Some(Lowered::one(with_borders(call, layer)).in_place_of(in_place.then_some(0))))
}

/// `[channels][taps]` to `[blocks][taps][4 channels]`, the last block filled up
/// with zeros.
fn four_channels(weights: &[i8], channels: usize) -> Vec<i8> {
    let taps = weights.len() / channels;
    let weight = |channel: usize, tap: usize| weights.get(channel * taps + tap).copied().unwrap_or(0);
    (0..channels)
        .step_by(4)
        .flat_map(|first| (0..taps).flat_map(move |tap| (first..first + 4).map(move |c| weight(c, tap))))
        .collect()
}
