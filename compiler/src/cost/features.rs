//! What a kernel call does, in numbers that its cycles are a sum of.
//!
//! In: a kernel with its parameters. Out: [`Features`]: which kind of work, and
//! how much of each of its parts. Invariant: the last number is 1, for the call
//! itself; two calls of one key do the same kind of thing, so that one set of
//! coefficients serves both.

use tinyc_runtime::kernels::conv_tile::Gather;
use tinyc_runtime::kernels::{
    avg_pool, conv_tile, conv_window, conv_winograd, conv2d, copy, dense_tile, depthwise, depthwise_lines,
    depthwise_quad, depthwise_window, max_pool, sparse,
};

use super::features_lanes;
use crate::lower::{Bordered, BorderedConv, Kernel};

/// A call by its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// Which kind of work: a kernel, and a form of it where forms differ.
    pub key: &'static str,
    /// How much of each part; the last is 1.
    pub values: Vec<u64>,
}

/// The parts of a call.
#[must_use]
pub fn features(kernel: &Kernel) -> Features {
    let (key, parts): (&'static str, Vec<usize>) = match kernel {
        Kernel::Bordered(p) => return bordered(p),
        Kernel::Conv2d(p) => general(p),
        Kernel::Depthwise(p) => ("depthwise", windows(p)),
        Kernel::Dense(p) => ("dense", vec![p.rows * p.out_features * p.in_features, p.rows * p.out_features]),
        Kernel::ConvTile(p) => tile(p),
        Kernel::ConvWinograd(p) => winograd(p),
        Kernel::ConvWindow(p) => conv_window(p),
        Kernel::DepthwiseWindow(p) => ("depthwise_window", depthwise_window(p)),
        Kernel::ConvLanes(p) => ("conv_lanes", features_lanes::convolution(p)),
        Kernel::DenseLanes(p) => ("dense_lanes", features_lanes::dense(p)),
        Kernel::DepthwiseLanes(p) => ("depthwise_lanes", features_lanes::depthwise(p)),
        Kernel::Sparse(p) => ("sparse", sparse_weights(p)),
        Kernel::DepthwiseQuad(p) => quad(p),
        Kernel::DepthwiseLines(p) => lines_of_pairs(p),
        Kernel::DenseTile(p) => dense(p),
        Kernel::MaxPool(p) => ("max_pool", maximum(p)),
        Kernel::AvgPool(p) => average(p),
        Kernel::Add(p) => (if p.wide { "add.wide" } else { "add" }, lines(p.shape)),
        Kernel::Mul(p) => ("mul", lines(p.shape)),
        Kernel::Lut(p) => ("lut", vec![p.len]),
        Kernel::Softmax(p) => ("softmax", vec![p.rows * p.n, p.rows]),
        // Elements, pieces.
        Kernel::Join(p) => {
            let pieces = p.rows * p.width;
            let operands = p.lens.iter().filter(|&&len| len > 0).count();
            ("join", vec![pieces * p.lens.iter().sum::<usize>(), operands * pieces])
        }
        Kernel::Copy(p) => copies(p),
    };
    Features { key, values: parts.into_iter().chain([1]).map(|part| part as u64).collect() }
}

/// As with biases that do not differ; in the tile kernel the codes of pixels at borders
/// are made one by one, as those that need more than a saturation.
fn bordered(p: &Bordered) -> Features {
    let mut features = features(&p.even());
    if let BorderedConv::ConvTile(tile) = &p.conv {
        features.values[TILE_SLOW_BLOCKS] += (p.pixels.div_ceil(2) * tile.out_c.div_ceil(4)) as u64;
    }
    features
}

/// Products, outputs, inputs of windows, rows of windows, pixels.
fn general(p: &conv2d::Params) -> (&'static str, Vec<usize>) {
    let pixels = p.out_h * p.out_w;
    let depth = p.in_c / p.groups.max(1);
    let taps = p.kernel_h * p.kernel_w;
    let parts =
        vec![pixels * p.out_c * taps * depth, pixels * p.out_c * p.kernel_h, pixels * p.out_c, pixels];
    (if taps == 1 { "conv2d.1x1" } else { "conv2d" }, parts)
}

/// Products of pairs of pixels, outputs of pairs, inputs of windows, their rows,
/// pixels.
fn conv_window(p: &conv_window::Params) -> (&'static str, Vec<usize>) {
    let (pixels, taps) = (p.out_h * p.out_w, p.kernel_h * p.kernel_w * p.in_c);
    let pairs = pixels.div_ceil(2);
    let gathered = if p.kernel_h * p.kernel_w > 1 { pixels } else { 0 };
    let parts = vec![pairs * p.out_c * taps, pairs * p.out_c, gathered * taps, gathered * p.kernel_h, pixels];
    ("conv_window", parts)
}

/// Products, outputs, taps of all pixels, pixels.
fn depthwise_window(p: &depthwise_window::Params) -> Vec<usize> {
    let (pixels, taps) = (p.out_h * p.out_w, p.kernel_h * p.kernel_w);
    vec![pixels * p.in_c * taps, pixels * p.in_c, pixels * taps, pixels]
}

/// Products, outputs, taps of all pixels, pixels.
fn windows(p: &depthwise::Params) -> Vec<usize> {
    let (pixels, taps) = (p.out_h * p.out_w, p.kernel_h * p.kernel_w);
    vec![pixels * p.out_c * taps, pixels * p.out_c, pixels * taps, pixels]
}

/// Where [`tile`] says how many blocks need more than a saturation.
const TILE_SLOW_BLOCKS: usize = 10;

/// Words of two inputs by four channels by two pixels; blocks of outputs; pairs of
/// pixels; what is widened: groups of four codes, single codes, columns of three by
/// three codes, rows of columns; strips of pixels, of columns; outputs without the rest
/// of their block; outputs with shifts; rows.
fn tile(p: &conv_tile::Params) -> (&'static str, Vec<usize>) {
    let pointwise = p.pointwise();
    let rows = if pointwise { 1 } else { p.out_h };
    let width = if pointwise { p.out_h * p.out_w } else { p.out_w };
    let (pairs, blocks) = ((rows * width).div_ceil(2), p.out_c.div_ceil(4));
    let strips = rows * (width / 2).div_ceil(p.strip.max(1));
    let (strips_of_pixels, strips_of_columns) = match p.gather() {
        Gather::Pixels => (strips, 0),
        Gather::Shared => (0, strips),
        Gather::Fours | Gather::Apart => (0, 0),
    };
    let columns = match p.gather() {
        Gather::Pixels | Gather::Fours => 0,
        Gather::Shared => {
            let shared = 2 * p.stride_w * pairs + strips * (p.kernel_w.saturating_sub(p.stride_w));
            shared + rows * (width % 2) * p.kernel_w
        }
        Gather::Apart => 2 * pairs * p.kernel_w,
    };
    let codes = columns * p.kernel_h * p.in_c;
    let (fours, ones, threes) = match (p.gather(), p.in_c) {
        (Gather::Pixels, _) => (2 * pairs * p.in_c.div_ceil(4), 0, 0),
        (Gather::Fours, _) => (2 * pairs * p.kernel_h, 0, 0),
        (_, c) if c.is_multiple_of(4) => (codes / 4, 0, 0),
        (_, 3) if p.kernel_h == 3 => (0, 0, columns),
        _ => (0, codes, 0),
    };
    let last = if p.out_c.is_multiple_of(4) { 0 } else { pairs };
    let parts = vec![
        pairs * blocks * p.words(),
        pairs * blocks,
        pairs,
        fours,
        ones,
        threes,
        columns * p.kernel_h,
        strips_of_pixels,
        strips_of_columns,
        last,
        if p.shifts { pairs * blocks } else { 0 },
        rows,
    ];
    (if p.dual { "conv_tile.dual" } else { "conv_tile" }, parts)
}

/// Blocks of four inputs by four channels by two tiles; blocks of outputs of two
/// tiles, and of those whose inner loop is not unrolled; blocks of inputs, outputs,
/// tiles, strips of tiles.
fn winograd(p: &conv_winograd::Params) -> (&'static str, Vec<usize>) {
    let (across, strips) = (p.out_w.div_ceil(p.tile_w), p.out_h.div_ceil(p.tile_h));
    let (tiles, twos) = (strips * across, strips * across.div_ceil(2));
    let (quads, blocks) = (p.in_c.div_ceil(4), p.out_c.div_ceil(4));
    let rolled = if [4, 8].contains(&quads) { 0 } else { twos * blocks };
    let parts =
        vec![twos * blocks * quads, twos * blocks, rolled, tiles * quads, tiles * p.out_c, tiles, strips];
    let key = match (p.tile_h, p.tile_w) {
        (2, 2) => "conv_winograd.2x2",
        (2, _) => "conv_winograd.2x4",
        _ => "conv_winograd.4x4",
    };
    (key, parts)
}

/// Over all passes of four pixels: weights that are not zero, words of masks,
/// channels; the same over passes of one pixel; inputs and rows that are gathered.
fn sparse_weights(p: &sparse::Params) -> Vec<usize> {
    let taps = p.kernel_h * p.kernel_w * p.in_c;
    let words = p.out_c * taps.div_ceil(32);
    let (fours, ones) = (p.out_h * (p.out_w / 4), p.out_h * (p.out_w % 4));
    let gathered = if sparse::scratch_bytes(p) > 0 { p.out_h * p.out_w } else { 0 };
    vec![
        fours * p.nonzeros,
        fours * words,
        fours * p.out_c,
        ones * p.nonzeros,
        ones * words,
        ones * p.out_c,
        gathered * taps,
        gathered * p.kernel_h,
    ]
}

/// For each four channels: outputs, outputs in full groups of four, inputs,
/// rows out, rows in.
fn quad(p: &depthwise_quad::Params) -> (&'static str, Vec<usize>) {
    let quads = p.channels.div_ceil(4);
    let parts = vec![
        quads * p.out_h * p.out_w,
        quads * p.out_h * p.out_w.next_multiple_of(4),
        quads * p.out_h.next_multiple_of(2) * p.out_w,
        quads * p.in_h * p.in_w,
        quads * p.out_h,
        quads * p.out_w,
        quads * p.out_h.div_ceil(p.step_rows().max(1)),
        quads,
    ];
    (if p.stride == 1 { "depthwise_quad.1" } else { "depthwise_quad.2" }, parts)
}

/// For each four channels: pairs of the window by blocks of four pairs, lines of the window
/// by blocks, blocks; pairs of the window by blocks of two, blocks of two; pairs that are
/// widened; words of weights; rows of outputs; the lines of all strips; strips.
fn lines_of_pairs(p: &depthwise_lines::Params) -> (&'static str, Vec<usize>) {
    let quads = p.channels.div_ceil(4);
    let ([lines, taps], stride) = p.form();
    let pairs = tinyc_runtime::arch::window_pairs(taps, stride);
    // Rows and outputs along a line of a call, how many calls there are, and the lines of
    // all of them.
    let steps = p.out_h.div_ceil(p.step_rows().max(1));
    let parts: Vec<[usize; 2]> = if p.down() {
        chunks(p.out_h, p.rows).map(|outputs| [1, outputs]).collect()
    } else {
        chunks(p.out_w, p.columns).map(|outputs| [p.out_h, outputs]).collect()
    };
    let (repeats, read) = if p.down() {
        (p.out_w, steps * p.out_w)
    } else {
        (1, p.out_h * p.stride_h + steps * p.kernel_h.saturating_sub(p.stride_h))
    };
    let calls = repeats * parts.len() * if p.down() { 1 } else { steps };
    let (mut fours, mut twos, mut widened) = (0, 0, 0);
    for [rows, outputs] in parts {
        let (block, left) = (8 / stride, outputs % (8 / stride));
        // With stride 2 a block of two takes nearly as long as one of four.
        let as_two = stride == 1 && left > 0 && left <= block / 2;
        fours += repeats * rows * (outputs / block + usize::from(left > 0 && !as_two));
        twos += repeats * rows * usize::from(as_two);
        widened += if p.down() { repeats } else { read } * ((outputs - 1) * stride + taps).div_ceil(2);
    }
    let parts = vec![
        quads * fours * lines * pairs,
        quads * fours * lines,
        quads * fours,
        quads * twos * lines * pairs,
        quads * twos,
        quads * widened,
        quads * calls * lines * pairs,
        quads * repeats * if p.down() { steps } else { p.out_h * p.out_w.div_ceil(p.columns.max(1)) },
        read,
        calls,
    ];
    (if stride == 1 { "depthwise_lines.1" } else { "depthwise_lines.2" }, parts)
}

/// Parts of `len` that are at most `most` long.
fn chunks(len: usize, most: usize) -> impl Iterator<Item = usize> {
    let most = most.max(1);
    (0..len).step_by(most).map(move |first| most.min(len - first))
}

/// Blocks of four inputs by four outputs, blocks of outputs, rows.
fn dense(p: &dense_tile::Params) -> (&'static str, Vec<usize>) {
    let (blocks, quads) = (p.out_features.div_ceil(4), p.in_features.div_ceil(4));
    let slow = if p.shifts { p.rows * blocks } else { 0 };
    let last = if p.out_features.is_multiple_of(4) { 0 } else { p.rows };
    let parts = vec![p.rows * blocks * quads, p.rows * blocks, p.rows * quads, slow, last, p.rows];
    (if p.dual { "dense_tile.dual" } else { "dense_tile" }, parts)
}

/// Comparisons, outputs, taps of all pixels, pixels.
fn maximum(p: &max_pool::Params) -> Vec<usize> {
    let (pixels, taps) = (p.out_h * p.out_w, p.kernel_h * p.kernel_w);
    vec![pixels * p.in_c * taps, pixels * p.in_c, pixels * taps, pixels]
}

/// Summands, outputs, taps of all pixels, pixels; over the whole input or windows.
fn average(p: &avg_pool::Params) -> (&'static str, Vec<usize>) {
    let (pixels, taps) = (p.out_h * p.out_w, p.kernel_h * p.kernel_w);
    let parts = vec![pixels * p.in_c * taps, pixels * p.in_c, pixels * taps, pixels];
    (if pixels == 1 { "avg_pool.all" } else { "avg_pool" }, parts)
}

/// Elements, and lines of them.
fn lines(shape: [usize; 4]) -> Vec<usize> {
    let [a, b, c, d] = shape;
    vec![a * b * c * d, a * b * c]
}

/// Elements that move, lines of them, all bytes that are filled.
fn copies(p: &copy::Params) -> (&'static str, Vec<usize>) {
    let elements: usize = p.dims.iter().product();
    let [.., inner] = p.dims;
    let [.., from] = p.in_strides;
    let [.., to] = p.out_strides;
    let filled = if p.fill { p.out_len } else { 0 };
    let key = if from == 1 && to == 1 { "copy.lines" } else { "copy" };
    (key, vec![elements, elements / inner.max(1), filled])
}
