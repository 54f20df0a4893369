//! What a kernel call costs, before anything is built.
//!
//! In: a kernel with its parameters, the kernel set of the machine. Out:
//! estimated cycles. Invariant: the estimate depends on nothing else, so that
//! choices which follow from it are the same on every machine.
//!
//! Each family is a sum of a few products of its sizes (multiply-accumulates,
//! pixels, blocks of channels, calls). The coefficients stand for a Cortex-M4
//! without wait states and come from counted layers of the MLPerf Tiny models;
//! they rank forms of one layer, and are rough as absolute figures.

use tinyc_runtime::kernels::{conv_tile, conv_winograd, depthwise_quad, sparse};

use crate::lower::{Kernel, KernelSet};

/// Cycles around a call: entering it, and its parameters.
const CALL: usize = 60;

/// Cycles of a multiply-accumulate in the portable kernels, loads included.
const PORTABLE_MAC: usize = 6;

/// Times that a kernel for DSP instructions takes longer in its portable body.
const WITHOUT_DSP: usize = 8;

/// Estimated cycles of one call of a kernel.
pub fn call_cycles(kernel: &Kernel, kernels: KernelSet) -> u64 {
    let portable = kernels == KernelSet::General;
    let slower = if portable { WITHOUT_DSP } else { 1 };
    let cycles = match kernel {
        Kernel::ConvTile(p) => slower * conv_tile_cycles(p),
        Kernel::ConvWinograd(p) => slower * conv_winograd_cycles(p),
        Kernel::Sparse(p) => sparse_cycles(p, portable),
        Kernel::DepthwiseQuad(p) => slower * depthwise_quad_cycles(p),
        Kernel::DenseTile(p) => {
            let quads = p.in_features.div_ceil(4);
            slower * p.rows * p.out_features.div_ceil(4) * (60 + 20 * quads)
        }
        Kernel::Conv2d(p) => {
            let taps = p.kernel_h * p.kernel_w * p.in_c / p.groups.max(1);
            p.out_h * p.out_w * p.out_c * (30 + PORTABLE_MAC * taps)
        }
        Kernel::Depthwise(p) => {
            p.out_h * p.out_w * p.out_c * (30 + (PORTABLE_MAC + 2) * p.kernel_h * p.kernel_w)
        }
        Kernel::Dense(p) => p.rows * p.out_features * (30 + PORTABLE_MAC * p.in_features),
        Kernel::ConvWindow(p) => {
            let taps = p.kernel_h * p.kernel_w * p.in_c;
            (p.out_h * p.out_w).div_ceil(2) * (10 * taps + 2 * p.out_c * (30 + 3 * taps))
        }
        Kernel::DepthwiseWindow(p) => {
            p.out_h * p.out_w * (60 + p.in_c * (30 + PORTABLE_MAC * p.kernel_h * p.kernel_w))
        }
        Kernel::MaxPool(p) => p.out_h * p.out_w * (60 + p.in_c * (6 + 6 * p.kernel_h * p.kernel_w)),
        Kernel::AvgPool(p) => p.out_h * p.out_w * (60 + p.in_c * (20 + 2 * p.kernel_h * p.kernel_w)),
        Kernel::Add(p) => 7 * p.shape.iter().product::<usize>(),
        Kernel::Mul(p) => 9 * p.shape.iter().product::<usize>(),
        Kernel::Lut(p) => 5 * p.len,
        Kernel::Softmax(p) => p.rows * (60 + 30 * p.n),
        Kernel::Copy(p) => 5 * p.dims.iter().product::<usize>(),
    };
    (CALL + cycles) as u64
}

/// Widening a window, then 30 cycles for each four inputs of two pixels by four channels.
fn conv_tile_cycles(p: &conv_tile::Params) -> usize {
    let quads = p.kernel_h * (p.kernel_w * p.in_c).div_ceil(4);
    let pairs = (p.out_h * p.out_w).div_ceil(2);
    let blocks = p.out_c.div_ceil(4);
    pairs * (2 * (40 + 20 * p.kernel_h + 4 * quads) + blocks * (80 + 30 * quads))
}

/// For two tiles at a time: transforming the inputs, 16 cycles for each pair of inputs
/// at each position of a block of four channels, transforming the products.
fn conv_winograd_cycles(p: &conv_winograd::Params) -> usize {
    let positions = (p.tile_h + 2) * (p.tile_w + 2);
    let (tiles, strips) = (p.out_w.div_ceil(p.tile_w), p.out_h.div_ceil(p.tile_h));
    let pairs = p.in_c.div_ceil(4) * 2;
    // Around the pairs of a position; two numbers of pairs are unrolled.
    let position = if p.tile_h == 4 && [8, 16].contains(&pairs) { 19 } else { 38 };
    // Of one tile: four channels of inputs, one channel of outputs.
    let (quad, output) = match (p.tile_h, p.tile_w) {
        (2, 2) => (310, 110),
        (2, _) => (650, 190),
        _ => (1000, 330),
    };
    let inputs = 150 + quad * pairs / 2;
    let products = tiles.div_ceil(2) * p.out_c.div_ceil(4) * (60 + positions * (position + 16 * pairs));
    strips * (products + tiles * (inputs + 30 * p.out_c.div_ceil(4) + output * p.out_c))
}

/// For four pixels at a time: gathering windows, walking through the masks, and for
/// each weight that is not zero finding it and four products.
fn sparse_cycles(p: &sparse::Params, portable: bool) -> usize {
    let taps = p.kernel_h * p.kernel_w * p.in_c;
    let gather = if sparse::scratch_bytes(p) > 0 { 60 * p.kernel_h + taps } else { 0 };
    // Cores without these instructions find the next bit by a table.
    let find = if portable { 16 } else { 8 };
    let pass = |pixels: usize| {
        p.out_c * (20 + 30 * pixels + 8 * taps.div_ceil(32)) + p.nonzeros * (find + 5 * pixels)
    };
    let pixels = p.out_w * p.out_h;
    p.out_h * (p.out_w / 4 * pass(4) + p.out_w % 4 * pass(1)) + pixels * gather
}

/// For each strip and four channels: pairing pixels up, unpacking weights, then 9
/// taps an output in pairs.
fn depthwise_quad_cycles(p: &depthwise_quad::Params) -> usize {
    let strips = p.out_h.div_ceil(p.step_rows()) * p.out_w.div_ceil(p.columns);
    let quads = p.channels.div_ceil(4);
    let read = p.in_h * p.in_w * quads;
    strips * (250 + 450 * quads) + 9 * read + p.out_h * p.out_w * 4 * quads * (15 + 2 * p.stride)
}
