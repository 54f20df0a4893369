//! Depthwise convolution 3 x 3, stride 1 or 2, four channels at a time.
//!
//! In: `[in_h][in_w][channels]`, at least 4 channels. Out: `[out_h][out_w][channels]`.
//! Invariant: a position outside the input reads as `pad_code`; requantization has
//! no shift. Of rows that are computed in one step all input
//! rows are read before the step ends: its output may not overlap them.
//!
//! Rows of four channels are paired up in a strip of scratch, once for all windows
//! that read them. The last four channels may begin among those before them, which
//! are then computed twice, to the same bytes.
//!
//! Constants, for every four channels, the last four channels last: `[bias i32 x
//! 4][m i32 x 4][weights i8: 9 taps in rows][4]`. The bias holds the layer's bias
//! minus the input's zero point times the sum of the channel's weights.

use super::super::arch::{self, Part, RowPair, STRIP_COLUMNS};
use super::super::requant::Out;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};

/// A depthwise convolution. Sizes, strides and pads are in rows, columns and
/// channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows of the input.
    pub in_h: usize,
    /// Columns of the input.
    pub in_w: usize,
    /// Channels, at least 4.
    pub channels: usize,
    /// Rows of the output.
    pub out_h: usize,
    /// Columns of the output.
    pub out_w: usize,
    /// Input rows and columns from one output to the next: 1 or 2.
    pub stride: usize,
    /// Rows of padding above the input.
    pub pad_top: usize,
    /// Columns of padding left of the input.
    pub pad_left: usize,
    /// What positions outside the input read as.
    pub pad_code: i8,
    /// The most rows that a step computes, at most [`MOST_ROWS`]` / stride`. More rows
    /// are less work, fewer rows less scratch, and let output and input overlap more.
    pub rows: usize,
    /// The most outputs along a row in one strip: even, at most [`MOST_COLUMNS`]` / stride`.
    pub columns: usize,
    /// How accumulators become output codes.
    pub out: Out,
}

/// Output rows of the longest step with stride 1.
pub const MOST_ROWS: usize = 16;

/// Outputs along a row in the longest strip with stride 1.
pub const MOST_COLUMNS: usize = STRIP_COLUMNS - 2;

/// Pairs of input rows of the longest step.
const MOST_PAIRS: usize = (MOST_ROWS + 2) / 2;

const PAIR_BYTES: usize = 16;
const PAIR_PITCH: usize = STRIP_COLUMNS * PAIR_BYTES;

impl Params {
    /// The most rows that are computed in one step.
    pub const fn step_rows(&self) -> usize {
        if self.rows < self.out_h { self.rows } else { self.out_h }
    }
}

/// Pairs of rows that output rows read, an even number of them.
const fn strip_pairs(stride: usize, rows: usize) -> usize {
    rows.div_ceil(2) * stride + 1
}

/// Private bytes of the arena that the kernel needs, 4-byte aligned: the strip, and
/// a pixel of padding.
pub const fn scratch_bytes(p: &Params) -> usize {
    strip_bytes(p, p.step_rows()) + 4
}

/// Bytes of a strip for output rows: the last pair ends with the columns in use.
const fn strip_bytes(p: &Params, rows: usize) -> usize {
    let columns = p.columns * p.stride + 3 - p.stride;
    (strip_pairs(p.stride, rows) - 1) * PAIR_PITCH + columns * PAIR_BYTES
}

/// The whole tensor; `KH` is 3.
#[inline(always)]
pub fn run<const KH: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    forward(p.stride, arch::opaque(p), consts, input, output, scratch);
    arch::clamp_codes(output, p.out_h * p.out_w * p.channels, p.out);
}

#[inline(never)]
fn forward(
    stride: usize,
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let mut oy = 0;
    while oy < p.out_h {
        let count = p.rows.min(p.out_h - oy);
        rows_of(stride, p, consts, input, output, scratch, (oy, count));
        oy += count;
    }
}

/// The same from the last rows to the first, for an output above its input.
#[inline(always)]
pub fn run_back<const KH: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    backward(p.stride, arch::opaque(p), consts, input, output, scratch);
    arch::clamp_codes(output, p.out_h * p.out_w * p.channels, p.out);
}

#[inline(never)]
fn backward(
    stride: usize,
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let mut oy = p.out_h;
    while oy > 0 {
        // The last step is the short one.
        let over = oy.checked_rem(p.step_rows()).unwrap_or(0);
        let count = if over > 0 { over } else { p.step_rows() };
        oy -= count;
        rows_of(stride, p, consts, input, output, scratch, (oy, count));
    }
}

#[inline(never)]
fn rows_of(
    stride: usize,
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
    (oy, count): (usize, usize),
) {
    let (in_row, out_row) = (p.in_w * p.channels, p.out_w * p.channels);
    let row = |row: usize| input.sub(row * in_row, in_row);
    step(stride, p, consts, row, output.sub(oy * out_row, count * out_row), (oy, count), scratch);
}

/// Output rows `y..y + count`, in one step; the input's rows lie anywhere, those of
/// the output follow each other.
#[inline(always)]
pub fn run_rows(
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let out = output.run(y, count);
    rows_anywhere(p.stride, arch::opaque(p), consts, input, out, (y, count), scratch);
    arch::clamp_codes(out, count * p.out_w * p.channels, p.out);
}

#[inline(never)]
fn rows_anywhere(
    stride: usize,
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    out: Bytes<'_>,
    part: (usize, usize),
    scratch: Bytes<'_>,
) {
    step(stride, p, consts, |row| input.run(row, 1), out, part, scratch);
}

/// `count` output rows from row `oy` on, one after the other in `out`, at most
/// [`Params::step_rows`]; `row` is a row of the input, which exists.
#[inline(always)]
fn step<'a>(
    stride: usize,
    p: &Params,
    consts: Consts<'_>,
    row: impl Fn(usize) -> Bytes<'a>,
    out: Bytes<'_>,
    (oy, count): (usize, usize),
    scratch: Bytes<'a>,
) {
    let strip_len = strip_bytes(p, count);
    let (strip, pad) = (scratch.sub(0, strip_len), scratch.sub(strip_len, 4));
    pad.fill(p.pad_code, 4);
    let out_row = p.out_w * p.channels;
    let inside_rows = rows::inside(rows::first(oy, stride, p.pad_top), (count - 1) * stride + 3, p.in_h);
    let pairs_len = strip_pairs(stride, count);
    let mut x = 0;
    while x < p.out_w {
        let columns = p.columns.min(p.out_w - x);
        let read = (columns - 1) * stride + 3;
        let inside = rows::inside(rows::first(x, stride, p.pad_left), read, p.in_w);
        let len = inside.end - inside.begin;
        let (from, reach) = (inside.position * p.channels, len * p.channels);
        // Without a column inside, all that is paired up is padding.
        let rows_len = if len > 0 { inside_rows.end - inside_rows.begin } else { 0 };
        let mut pairs = [RowPair::new([pad, pad], [0, 0], 4); MOST_PAIRS];
        let mut next = 0;
        for pair in pairs.get_mut(..pairs_len).unwrap_or_default() {
            let run = |index: usize| {
                // Above the first row inside, this is a large number.
                let index = index.wrapping_sub(inside_rows.begin);
                if index < rows_len {
                    (row(inside_rows.position + index).sub(from, reach), p.channels)
                } else {
                    (pad, 0)
                }
            };
            let (upper, lower) = (run(next), run(next + 1));
            *pair = RowPair::new([upper.0, lower.0], [upper.1, lower.1], reach);
            next = arch::opaque_count(next + 2);
        }
        let mut column = if inside.begin > 0 { 0 } else { inside.end };
        while column < read {
            let bytes = column * PAIR_BYTES;
            pad_column(strip.sub(bytes, strip_len - bytes), p.pad_code, pairs_len);
            column += 1;
            if column == inside.begin {
                column = inside.end;
            }
        }
        let at = x * p.channels;
        let part = Part {
            pairs: pairs.get(..pairs_len).unwrap_or(&[]),
            strip,
            inside: (inside.begin, len),
            consts,
            out: out.sub(at, (count - 1) * out_row + columns * p.channels),
            channels: p.channels,
            out_row,
            columns,
            rows: count,
            zero_point: p.out.zero_point,
        };
        arch::depthwise_3x3(stride, part);
        x += columns;
    }
}

/// Writes padding to a column of `pairs` pairs; it stays there for all channels.
#[inline(always)]
fn pad_column(column: Bytes<'_>, code: i8, pairs: usize) {
    let code = i32::from(code);
    let code = (code & 0xFFFF) | (code << 16);
    let mut word = 0;
    for _ in 0..pairs {
        for channel in 0..4 {
            column.set_i32(word + channel, code);
        }
        word = arch::opaque_count(word + PAIR_PITCH / 4);
    }
}
