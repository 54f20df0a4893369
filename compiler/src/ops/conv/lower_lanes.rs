//! Convolution to the kernels for vectors of 16 codes: `conv_lanes`, `depthwise_lanes`.
//!
//! In: a quantized node. Out: one call, or nothing where only the general kernels
//! serve (groups that are not depthwise, other depthwise shapes than 3 x 3, depthwise
//! weights of -128, biases that differ at borders). Invariant: the same bytes as the
//! general kernels give.

use tinyc_runtime::arch::{LANES, depthwise_place};
use tinyc_runtime::kernels::{conv_lanes, depthwise_lanes};

use super::Conv;
use super::lower::{fold_zero_point, out_params};
use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Constants, Kernel, LowerError, Lowered, Packer};
use crate::quant::{LayerQuant, QuantTable};

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
    let depthwise = conv.groups == in_c && out_c == in_c && window.kernel == [3, 3];
    // Sums of two depthwise products must fit 16 bits.
    let grouped = conv.groups != 1 && (!depthwise || layer.weights.contains(&i8::MIN));
    if grouped || layer.borders.is_some() {
        return Ok(None);
    }
    let bias = fold_zero_point(layer, input.zero_point)?;
    let pad_code = input.code(f64::from(conv.pad_value));
    let out = out_params(&quant.activation(node.output));
    let shifts = layer.multipliers.iter().any(|m| m.k > 0);
    let ([stride_h, stride_w], [dilation_h, dilation_w]) = (window.stride, window.dilation);
    let (pad_top, pad_left) = (window.pads.top, window.pads.left);
    let (kernel, consts, scratch_bytes) = if conv.groups == 1 {
        let params = conv_lanes::Params {
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            out_c,
            kernel_h: window.kernel[0],
            kernel_w: window.kernel[1],
            stride_h,
            stride_w,
            pad_top,
            pad_left,
            dilation_h,
            dilation_w,
            pad_code,
            strip: 1,
            shifts,
            out,
        };
        let params = with_strip(params, STRIP_BYTES);
        let weights = columns_first(&layer.weights, window.kernel, in_c);
        let consts = pack(&bias, layer, &weights);
        (Kernel::ConvLanes(params), consts, conv_lanes::scratch_bytes(&params))
    } else {
        let repeat = if stride_w == 1 && LANES.is_multiple_of(in_c) { LANES / in_c } else { 1 };
        let params = depthwise_lanes::Params {
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            stride_h,
            stride_w,
            pad_top,
            pad_left,
            dilation_h,
            dilation_w,
            pad_code,
            repeat,
            shifts,
            out,
        };
        let scratch_bytes = depthwise_lanes::scratch_bytes(&params);
        (Kernel::DepthwiseLanes(params), pack_depthwise(&bias, layer, repeat), scratch_bytes)
    };
    Ok(Some(Lowered::one(Call { kernel, consts, inputs: vec![node.inputs[0]], scratch_bytes })))
}

/// Bytes of scratch that a strip of windows may take, where two take no more.
const STRIP_BYTES: usize = 4096;

/// With the longest strips, of a row at most, that take no more than `bytes` of scratch,
/// in equal parts, whole pairs of windows where a row has several; one window where not
/// even two fit.
pub fn with_strip(params: conv_lanes::Params, bytes: usize) -> conv_lanes::Params {
    let of = |strip| conv_lanes::Params { strip, ..params };
    let fits = |&strip: &usize| conv_lanes::scratch_bytes(&of(strip)) <= bytes;
    let most = (2..=params.out_w).take_while(fits).last().unwrap_or(1);
    if most >= params.out_w {
        return of(params.out_w.max(1));
    }
    let part = params.out_w.div_ceil(params.out_w.div_ceil(most)).next_multiple_of(2);
    of(if part <= most { part } else { (most / 2 * 2).max(1) })
}

/// Weights `[channels][kernel_h][kernel_w][inputs]` as `[channels][kernel_w][kernel_h][inputs]`.
fn columns_first(weights: &[i8], [kernel_h, kernel_w]: [usize; 2], inputs: usize) -> Vec<i8> {
    let columns = |channel: &[i8]| {
        let mut turned = Vec::with_capacity(channel.len());
        for kx in 0..kernel_w {
            for ky in 0..kernel_h {
                turned.extend_from_slice(&channel[(ky * kernel_w + kx) * inputs..][..inputs]);
            }
        }
        turned
    };
    weights.chunks(kernel_h * kernel_w * inputs).flat_map(columns).collect()
}

/// The stream of `arch::lanes`: of every four channels biases, weights `[channels][inputs]`
/// by 16 inputs, multipliers, and shifts if any channel has one.
pub fn pack(bias: &[i32], layer: &LayerQuant, weights: &[i8]) -> Constants {
    let channels = bias.len();
    let taps = weights.len() / channels;
    let shifts = layer.multipliers.iter().any(|m| m.k > 0);
    let weight = |channel: usize, tap: usize| match channel < channels && tap < taps {
        true => weights[channel * taps + tap],
        false => 0,
    };
    let mut packer = Packer::new();
    for first in (0..channels).step_by(4) {
        let four = first..first + 4;
        packer = packer.biases(four.clone().map(|c| bias.get(c).copied().unwrap_or(0)));
        for tap in (0..taps).step_by(LANES) {
            let width = (taps - tap).min(LANES).next_multiple_of(4);
            for channel in four.clone() {
                packer = packer.bytes((tap..tap + width).map(|tap| weight(channel, tap) as u8));
            }
        }
        packer = packer.multipliers(four.clone().map(|c| layer.multipliers.get(c).map_or(0, |m| m.m)));
        if shifts {
            packer = packer.multipliers(four.map(|c| layer.multipliers.get(c).map_or(0, |m| m.k.into())));
        }
    }
    packer.finish()
}

/// The stream of `arch::depthwise_lanes`, with each channel `repeat` times.
fn pack_depthwise(bias: &[i32], layer: &LayerQuant, repeat: usize) -> Constants {
    const TAPS: usize = 9;
    let shifts = layer.multipliers.iter().any(|m| m.k > 0);
    let mut packer = Packer::new();
    // Channels fill up the last vector with zeros, or all fill one vector.
    let channel = |lane: usize| if repeat > 1 { lane % bias.len() } else { lane };
    for first in (0..bias.len()).step_by(LANES) {
        // Words by place.
        let placed = |word: &dyn Fn(usize) -> Option<i32>| {
            let mut words = [0; LANES];
            for lane in 0..LANES {
                words[depthwise_place(lane)] = word(channel(first + lane)).unwrap_or(0);
            }
            words
        };
        packer = packer.biases(placed(&|c| bias.get(c).copied()));
        for tap in 0..TAPS {
            let weight = |c: usize| layer.weights.get(c * TAPS + tap).copied().unwrap_or(0);
            packer = packer.bytes((first..first + LANES).map(|c| weight(channel(c)) as u8));
        }
        packer = packer.multipliers(placed(&|c| layer.multipliers.get(c).map(|m| m.m)));
        if shifts {
            packer = packer.multipliers(placed(&|c| layer.multipliers.get(c).map(|m| m.k.into())));
        }
    }
    packer.finish()
}
