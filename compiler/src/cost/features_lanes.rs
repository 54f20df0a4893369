//! What calls of the kernels for vectors of 16 codes do.
//!
//! In: parameters. Out: parts as [`super::features`] has them, without the call itself.
//! Invariant: parts follow the loops of the kernels: how often each of them is entered,
//! and how often it is run through.

use tinyc_runtime::kernels::{conv_lanes, dense_lanes, depthwise_lanes};

/// Vectors of two pixels by four channels, blocks of them, those whose window ends in part
/// of a vector; the same for single pixels; pairs of pixels; calls of the inner loops;
/// columns that are copied, in rows of them and in vectors; rows.
pub(super) fn convolution(p: &conv_lanes::Params) -> Vec<usize> {
    let (rows, width) = if p.pointwise() { (1, p.out_h * p.out_w) } else { (p.out_h, p.out_w) };
    let strip = if p.runs() { width } else { p.strip.max(1) };
    let (full, left) = (width / strip, width % strip);
    let pairs = rows * (full * (strip / 2) + left / 2);
    let ones = rows * (full * (strip % 2) + left % 2);
    let calls = rows * width.div_ceil(strip);
    let shared = p.dilation_w == 1 && p.stride_w < p.kernel_w;
    let columns = match (p.runs(), shared) {
        (true, _) => 0,
        (false, true) => rows * width * p.stride_w + calls * (p.kernel_w - p.stride_w),
        (false, false) => rows * width * p.kernel_w,
    };
    let mut parts = dots(pairs, ones, p.out_c, p.taps());
    parts.extend([
        pairs,
        calls,
        columns * p.kernel_h,
        columns * p.kernel_h * p.in_c.div_ceil(16),
        if shared || p.runs() { 0 } else { rows * width },
        rows,
    ]);
    parts
}

/// Vectors of a row by four outputs, blocks of them, those whose row ends in part of a
/// vector; rows.
pub(super) fn dense(p: &dense_lanes::Params) -> Vec<usize> {
    let mut parts = dots(p.rows / 2, p.rows % 2, p.out_features, p.in_features);
    parts.push(p.rows);
    parts
}

/// Vectors, blocks and unfinished blocks, of pairs of windows and of single ones.
fn dots(pairs: usize, ones: usize, channels: usize, taps: usize) -> Vec<usize> {
    let (blocks, vectors, rest) = (channels.div_ceil(4), taps / 16, !taps.is_multiple_of(16));
    let unfinished = |windows: usize| if rest { windows * blocks } else { 0 };
    [pairs, ones]
        .into_iter()
        .flat_map(|windows| [windows * blocks * vectors, windows * blocks, unfinished(windows)])
        .collect()
}

/// Whole vectors of channels, parts of vectors, pixels or several at a time; calls of the
/// inner loop; vectors of padding; rows.
pub(super) fn depthwise(p: &depthwise_lanes::Params) -> Vec<usize> {
    let first = |ox: usize| (ox * p.stride_w).checked_sub(p.pad_left);
    let whole = |ox: usize| first(ox).is_some_and(|first| first + 2 * p.dilation_w < p.in_w);
    let inside = (0..p.out_w).filter(|&ox| whole(ox)).count();
    let repeat = p.repeat.max(1);
    // Channels of a turn, and how many turns.
    let mut turns = vec![(repeat * p.in_c, inside / repeat)];
    let mut calls = usize::from(inside >= repeat) + (p.out_w - inside);
    if inside % repeat > 0 {
        turns.push((inside % repeat * p.in_c, 1));
        calls += 1;
    }
    turns.push((p.in_c, p.out_w - inside));
    let sum = |of: &dyn Fn(usize) -> usize| p.out_h * turns.iter().map(|&(c, n)| of(c) * n).sum::<usize>();
    vec![
        sum(&|channels| channels / 16),
        sum(&|channels| usize::from(channels % 16 > 0)),
        sum(&|_| 1),
        p.out_h * calls,
        depthwise_lanes::scratch_bytes(p).div_ceil(16),
        p.out_h,
    ]
}
