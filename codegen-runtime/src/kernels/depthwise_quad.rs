//! Depthwise convolution 3 x 3, stride 1 or 2, four channels at a time.
//!
//! In: `[in_h][in_w][channels]`, at least 4 channels. Out: `[out_h][out_w][channels]`.
//! Invariant: a position outside the input reads as `pad_code`; requantization has
//! no shift. Of rows that are computed in one step all input
//! rows are read before the step ends: its output may not overlap them.
//!
//! Rows of four channels are paired up in a strip of scratch, once for all windows
//! that read them. The last four channels may begin among those before them, which
//! are paired up again.
//!
//! Constants: for every four channels `[bias i32, m i32] x 4, [weights i8: 9 taps in rows] x
//! 4`; for the `n` that are left, if any, `[bias, m] x n`, `4 - n` bytes of nothing, `[weights]
//! x n`, so that the weights of either end with a word. The bias holds the layer's bias
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

    /// Whether [`Params::layer`] has room for all of it.
    pub const fn fits(&self) -> bool {
        let sizes = self.in_h | self.in_w | self.channels | self.out_h | self.out_w;
        sizes <= u16::MAX as usize && (self.pad_top | self.pad_left) <= u8::MAX as usize
    }

    /// As the kernel takes it, if it [fits](Params::fits).
    pub const fn layer(&self) -> Layer {
        Layer {
            in_h: self.in_h as u16,
            in_w: self.in_w as u16,
            channels: self.channels as u16,
            out_h: self.out_h as u16,
            out_w: self.out_w as u16,
            stride: self.stride as u8,
            pad_top: self.pad_top as u8,
            pad_left: self.pad_left as u8,
            pad_code: self.pad_code,
            rows: self.step_rows() as u8,
            columns: self.columns as u8,
            zero_point: self.out.zero_point as i8,
            lo: self.out.lo as i8,
            hi: self.out.hi as i8,
        }
    }
}

/// A depthwise convolution as the kernel takes it: [`Params`] in few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    in_h: u16,
    in_w: u16,
    channels: u16,
    out_h: u16,
    out_w: u16,
    stride: u8,
    pad_top: u8,
    pad_left: u8,
    pad_code: i8,
    rows: u8,
    columns: u8,
    zero_point: i8,
    lo: i8,
    hi: i8,
}

impl Layer {
    const fn out(&self) -> Out {
        Out { zero_point: self.zero_point as i32, lo: self.lo as i32, hi: self.hi as i32 }
    }
}

/// A field of [`Layer`] as a number of something.
#[inline(always)]
fn size(field: impl Into<usize>) -> usize {
    field.into()
}

/// Pairs of rows that output rows read, an even number of them.
const fn strip_pairs(stride: usize, rows: usize) -> usize {
    rows.div_ceil(2) * stride + 1
}

/// Private bytes of the arena that the kernel needs, 4-byte aligned: the strip, and
/// a pixel of padding.
pub const fn scratch_bytes(p: &Params) -> usize {
    strip_bytes(p.stride, p.columns, p.step_rows()) + 4
}

/// Bytes of a strip for output rows: the last pair ends with the columns in use.
const fn strip_bytes(stride: usize, columns: usize, rows: usize) -> usize {
    let columns = columns * stride + 3 - stride;
    (strip_pairs(stride, rows) - 1) * PAIR_PITCH + columns * PAIR_BYTES
}

/// The whole tensor; `KH` is 3.
#[inline(always)]
pub fn run<const KH: usize>(
    p: &Layer,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    forward(size(p.stride), arch::opaque(p), consts, input, output, scratch);
    arch::clamp_codes(output, size(p.out_h) * size(p.out_w) * size(p.channels), p.out());
}

#[inline(never)]
fn forward(
    stride: usize,
    p: &Layer,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let mut oy = 0;
    while oy < size(p.out_h) {
        let count = size(p.rows).min(size(p.out_h) - oy);
        rows_of(stride, p, consts, input, output, scratch, (oy, count));
        oy += count;
    }
}

/// The same from the last rows to the first, for an output above its input.
#[inline(always)]
pub fn run_back<const KH: usize>(
    p: &Layer,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    backward(size(p.stride), arch::opaque(p), consts, input, output, scratch);
    arch::clamp_codes(output, size(p.out_h) * size(p.out_w) * size(p.channels), p.out());
}

#[inline(never)]
fn backward(
    stride: usize,
    p: &Layer,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let mut oy = size(p.out_h);
    while oy > 0 {
        // The last step is the short one.
        let over = oy.checked_rem(size(p.rows)).unwrap_or(0);
        let count = if over > 0 { over } else { size(p.rows) };
        oy -= count;
        rows_of(stride, p, consts, input, output, scratch, (oy, count));
    }
}

#[inline(never)]
fn rows_of(
    stride: usize,
    p: &Layer,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
    (oy, count): (usize, usize),
) {
    let (in_row, out_row) = (size(p.in_w) * size(p.channels), size(p.out_w) * size(p.channels));
    let row = |row: usize| input.sub(row * in_row, in_row);
    step(stride, p, consts, row, output.sub(oy * out_row, count * out_row), (oy, count), scratch);
}

/// Output rows `y..y + count`, in one step; the input's rows lie anywhere, those of
/// the output follow each other.
#[inline(always)]
pub fn run_rows(
    p: &Layer,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let out = output.run(y, count);
    rows_anywhere(size(p.stride), arch::opaque(p), consts, input, out, (y, count), scratch);
    arch::clamp_codes(out, count * size(p.out_w) * size(p.channels), p.out());
}

#[inline(never)]
fn rows_anywhere(
    stride: usize,
    p: &Layer,
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
    p: &Layer,
    consts: Consts<'_>,
    row: impl Fn(usize) -> Bytes<'a>,
    out: Bytes<'_>,
    (oy, count): (usize, usize),
    scratch: Bytes<'a>,
) {
    let channels = size(p.channels);
    let strip_len = strip_bytes(stride, size(p.columns), count);
    let (strip, pad) = (scratch.sub(0, strip_len), scratch.sub(strip_len, 4));
    pad.fill(p.pad_code, 4);
    let out_row = size(p.out_w) * channels;
    let inside_rows =
        rows::inside(rows::first(oy, stride, size(p.pad_top)), (count - 1) * stride + 3, size(p.in_h));
    let pairs_len = strip_pairs(stride, count);
    // All that a strip reads is written anew.
    let mut pairs = [RowPair::new([pad, pad], [0, 0], 4); MOST_PAIRS];
    let mut x = 0;
    while x < size(p.out_w) {
        let columns = size(p.columns).min(size(p.out_w) - x);
        let read = (columns - 1) * stride + 3;
        let inside = rows::inside(rows::first(x, stride, size(p.pad_left)), read, size(p.in_w));
        let len = inside.end - inside.begin;
        let (from, reach) = (inside.position * channels, len * channels);
        // Without a column inside, all that is paired up is padding.
        let rows_len = if len > 0 { inside_rows.end - inside_rows.begin } else { 0 };
        let mut next = 0;
        for pair in pairs.get_mut(..pairs_len).unwrap_or_default() {
            let run = |index: usize| {
                // Above the first row inside, this is a large number.
                let index = index.wrapping_sub(inside_rows.begin);
                if index < rows_len {
                    (row(inside_rows.position + index).sub(from, reach), channels)
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
        let at = x * channels;
        let part = Part {
            pairs: pairs.get(..pairs_len).unwrap_or(&[]),
            strip,
            inside: (inside.begin, len),
            consts,
            out: out.sub(at, (count - 1) * out_row + columns * channels),
            channels,
            out_row,
            columns,
            rows: count,
            zero_point: p.zero_point.into(),
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
