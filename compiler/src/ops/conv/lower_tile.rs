//! Convolution to the kernels for DSP instructions: `conv_tile`, `depthwise_quad`,
//! `depthwise_lines`.
//!
//! In: a quantized node. Out: one call, or nothing where only the general kernels
//! serve (groups that are not depthwise, depthwise windows that are dilated or large,
//! sizes beyond 16 bits).
//! Invariant: the same bytes as the general kernels give.

use tinyc_runtime::kernels::conv_tile::{self, Gather};
use tinyc_runtime::kernels::{depthwise_lines, depthwise_quad};

use super::Conv;
use super::lower::{fold_zero_point, out_params, with_borders};
use super::pack_blocks::{pack_blocks, pack_fours, pack_quads};
use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Constants, Kernel, LowerError, Lowered};
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
    let [_, _, in_c] =
        graph.shape(node.inputs[0]).hwc().expect("verified: convolution input is [1, H, W, C]");
    if conv.groups == 1 {
        tile(graph, quant, id, conv)
    } else if conv.groups == in_c && graph.shape(node.inputs[1]).channels() == 1 {
        depthwise(graph, quant, id, conv)
    } else {
        Ok(None)
    }
}

fn tile(graph: &Graph, quant: &QuantTable, id: NodeId, conv: &Conv) -> Result<Option<Lowered>, LowerError> {
    let node = graph.node(id);
    let input = quant.activation(node.inputs[0]);
    let layer = quant.layer(id);
    let bias = fold_zero_point(layer, input.zero_point)?;
    let [in_h, in_w, in_c] =
        graph.shape(node.inputs[0]).hwc().expect("verified: convolution input is [1, H, W, C]");
    let [out_h, out_w, out_c] =
        graph.shape(node.output).hwc().expect("verified: convolution output is [1, H, W, C]");
    let window = conv.window;
    let params = conv_tile::Params {
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
        pad_code: input.code(f64::from(conv.pad_value)),
        strip: 1,
        dual: false,
        shifts: false,
        out: out_params(&quant.activation(node.output)),
    };
    let (params, consts) = pack(params, &bias, layer);
    if !params.fits() {
        return Ok(None);
    }
    let call = Call {
        kernel: Kernel::ConvTile(params),
        consts,
        inputs: vec![node.inputs[0]],
        scratch_bytes: conv_tile::scratch_bytes(&params),
    };
    // Both pixels of a pair are read before one is written.
    let in_place = params.pointwise() && in_c == out_c;
    Ok(Some(Lowered::one(with_borders(call, layer)).in_place_of(in_place.then_some(0))))
}

/// Bytes of scratch that a strip of pairs may take, where one pair takes no more.
const STRIP_BYTES: usize = 7168;

/// The constants of a layer, and what the parameters say about them.
pub fn pack(params: conv_tile::Params, bias: &[i32], layer: &LayerQuant) -> (conv_tile::Params, Constants) {
    let of_row = |ky| (0..params.kernel_w).flat_map(move |kx| (0..params.in_c).map(move |c| (ky, kx, c)));
    let places: Vec<usize> =
        (0..params.kernel_h).flat_map(of_row).map(|(ky, kx, c)| params.place(ky, kx, c)).collect();
    let packed = pack_blocks(bias, layer, &layer.weights, &places, params.words(), params.halves());
    let params = conv_tile::Params { dual: packed.dual, shifts: packed.shifts, ..params };
    (with_strip(params, STRIP_BYTES), packed.consts)
}

/// With the longest strips that take at most `bytes` of scratch and that equal parts of
/// the pixels that lie in one run need: of the whole tensor where pixels know no rows.
pub fn with_strip(params: conv_tile::Params, bytes: usize) -> conv_tile::Params {
    let pixels = if params.pointwise() { params.out_h * params.out_w } else { params.out_w };
    strip_of(params, pixels / 2, bytes)
}

/// As [`with_strip`], for a kernel that is called on rows, which lie anywhere.
pub fn with_row_strip(params: conv_tile::Params, bytes: usize) -> conv_tile::Params {
    strip_of(params, params.out_w / 2, bytes)
}

fn strip_of(params: conv_tile::Params, pairs: usize, bytes: usize) -> conv_tile::Params {
    let of = |strip| conv_tile::Params { strip, ..params };
    let most = match params.gather() {
        Gather::Pixels | Gather::Shared => pairs.max(1),
        Gather::Fours | Gather::Apart => 1,
    };
    let fits = |&strip: &usize| conv_tile::scratch_bytes(&of(strip)) <= bytes && of(strip).fits();
    let longest = (2..=most).take_while(fits).last().unwrap_or(1);
    of(most.div_ceil(most.div_ceil(longest)))
}

/// Taps of the largest window that has unrolled code.
const MOST_TAPS: usize = 64;

fn depthwise(
    graph: &Graph,
    quant: &QuantTable,
    id: NodeId,
    conv: &Conv,
) -> Result<Option<Lowered>, LowerError> {
    let node = graph.node(id);
    let input = quant.activation(node.inputs[0]);
    let layer = quant.layer(id);
    let [in_h, in_w, channels] =
        graph.shape(node.inputs[0]).hwc().expect("verified: convolution input is [1, H, W, C]");
    let [out_h, out_w, out_c] =
        graph.shape(node.output).hwc().expect("verified: convolution output is [1, H, W, C]");
    let window = conv.window;
    let [kernel_h, kernel_w] = window.kernel;
    let [stride_h, stride_w] = window.stride;
    let serves = window.dilation == [1, 1]
        && out_c == channels
        && channels >= 4
        && layer.multipliers.iter().all(|m| m.k == 0);
    if !serves {
        return Ok(None);
    }
    let out = out_params(&quant.activation(node.output));
    let bias = fold_zero_point(layer, input.zero_point)?;
    let pad_code = input.code(f64::from(conv.pad_value));
    let lowered = |kernel, consts, scratch_bytes| {
        let call = Call { kernel, consts, inputs: vec![node.inputs[0]], scratch_bytes };
        Ok(Some(Lowered::one(call)))
    };
    if window.kernel == [3, 3] && stride_h == stride_w && stride_h <= 2 {
        let params = depthwise_quad::Params {
            in_h,
            in_w,
            channels,
            out_h,
            out_w,
            stride: stride_h,
            pad_top: window.pads.top,
            pad_left: window.pads.left,
            pad_code,
            rows: even_steps(out_h, depthwise_quad::MOST_ROWS / stride_h),
            columns: even_parts(out_w, depthwise_quad::MOST_COLUMNS / stride_h),
            out,
        };
        if !params.fits() {
            return Ok(None);
        }
        let consts = pack_quads(&bias, layer, &layer.weights);
        return lowered(Kernel::DepthwiseQuad(params), consts, depthwise_quad::scratch_bytes(&params));
    }
    let params = depthwise_lines::Params {
        in_h,
        in_w,
        channels,
        out_h,
        out_w,
        kernel_h,
        kernel_w,
        stride_h,
        stride_w,
        pad_top: window.pads.top,
        pad_left: window.pads.left,
        pad_code,
        rows: 1,
        columns: 2,
        out,
    };
    let ([lines, _], stride) = params.form();
    // Along a column of pixels there is nothing beside it.
    let beside = params.down() && (window.pads.left > 0 || (out_w - 1) * stride_w >= in_w);
    let fits = stride <= 2 && lines <= depthwise_lines::MOST_LINES && kernel_w < MOST_TAPS / 2;
    if kernel_h * kernel_w > MOST_TAPS || !fits || beside {
        return Ok(None);
    }
    let params = depthwise_lines::Params {
        rows: whole_blocks(out_h, params.most_rows(), if params.down() { 8 / stride } else { 1 }),
        columns: whole_blocks(out_w, params.most_columns(), 8 / stride),
        ..params
    };
    let consts = pack_fours(&bias, layer, &layer.weights);
    lowered(Kernel::DepthwiseLines(params), consts, depthwise_lines::scratch_bytes(&params))
}

/// The even length of the fewest parts of `len` that are at most `most` long, which
/// is even too.
fn even_parts(len: usize, most: usize) -> usize {
    len.div_ceil(len.div_ceil(most)).next_multiple_of(2)
}

/// The length of the fewest parts of `len` that are at most `most` long, of whole blocks
/// where there are several and it can be.
fn whole_blocks(len: usize, most: usize, block: usize) -> usize {
    let part = len.div_ceil(len.div_ceil(most));
    if part < len && part.next_multiple_of(block) <= most { part.next_multiple_of(block) } else { part }
}

/// Rows of a step: the fewest of as few steps as there can be, but whole fours
/// where that leaves fewer rows over, which go by twos.
fn even_steps(rows: usize, most: usize) -> usize {
    let least = rows.div_ceil(rows.div_ceil(most));
    let twos = |step: usize| rows / step * (step % 4).div_ceil(2) + (rows % step % 4).div_ceil(2);
    let fours = least.next_multiple_of(4).min(most);
    if twos(fours) < twos(least) { fours } else { least }
}
