//! Depthwise convolution 3 x 3 in vectors of 16 channels: any stride, padding and
//! dilation.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][in_c]`. Invariant: a position
//! outside the input reads as `pad_code`.
//!
//! Constants: the stream of `arch::depthwise_lanes`. The biases hold the layer's bias minus
//! the input's zero point times the sum of the channel's weights. No weight is -128. Where
//! the channels of several pixels fill a vector, and the stride along rows is 1, pixels
//! are computed so many at a time, and the stream holds each channel so many times.

use super::super::arch::{self, Taps};
use super::super::requant::Out;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};

/// A depthwise convolution. Sizes, strides, pads and dilations are in rows,
/// columns and channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows of the input.
    pub in_h: usize,
    /// Columns of the input.
    pub in_w: usize,
    /// Channels of input and output.
    pub in_c: usize,
    /// Rows of the output.
    pub out_h: usize,
    /// Columns of the output.
    pub out_w: usize,
    /// Input rows from one output row to the next.
    pub stride_h: usize,
    /// Input columns from one output column to the next.
    pub stride_w: usize,
    /// Rows of padding above the input.
    pub pad_top: usize,
    /// Columns of padding left of the input.
    pub pad_left: usize,
    /// Input rows from one kernel row to the next.
    pub dilation_h: usize,
    /// Input columns from one kernel column to the next.
    pub dilation_w: usize,
    /// What positions outside the input read as.
    pub pad_code: i8,
    /// How many pixels are computed at a time, at least 1.
    pub repeat: usize,
    /// Whether the constants hold shifts `k`; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

impl Params {
    /// Whether a window reaches beyond the first and last row, and column.
    const fn padded(&self) -> (bool, bool) {
        let last_row = self.out_h.saturating_sub(1) * self.stride_h + 2 * self.dilation_h;
        let last_column = self.out_w.saturating_sub(1) * self.stride_w + 2 * self.dilation_w;
        let rows = self.pad_top > 0 || last_row >= self.in_h;
        (rows, self.pad_left > 0 || last_column >= self.in_w)
    }
}

/// Private bytes of the arena that the kernel needs: a row of padding, or a pixel of it.
pub const fn scratch_bytes(p: &Params) -> usize {
    match p.padded() {
        (true, _) => p.in_w * p.in_c,
        (false, true) => p.in_c,
        (false, false) => 0,
    }
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
    // Variants, of which only those that the parameters ask for are linked.
    if p.shifts {
        all::<true>(arch::opaque(p), consts, input, output, scratch, |oy| oy);
    } else {
        all::<false>(arch::opaque(p), consts, input, output, scratch, |oy| oy);
    }
}

/// The same from the last row to the first, for an output above its input.
#[inline(always)]
pub fn run_back<const KH: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let last = p.out_h.saturating_sub(1);
    if p.shifts {
        all::<true>(arch::opaque(p), consts, input, output, scratch, |oy| last - oy);
    } else {
        all::<false>(arch::opaque(p), consts, input, output, scratch, |oy| last - oy);
    }
}

#[inline(always)]
fn all<const SHIFTS: bool>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
    row: impl Fn(usize) -> usize,
) {
    let (in_row, out_row) = (p.in_w * p.in_c, p.out_w * p.in_c);
    scratch.fill(p.pad_code, scratch_bytes(p));
    let mut window = [None; 3];
    for index in 0..p.out_h {
        let oy = row(index);
        let first = rows::first(oy, p.stride_h, p.pad_top);
        rows::fill(&mut window, input, in_row, first, p.dilation_h, p.in_h);
        variant::<SHIFTS>(p, consts, &window, output.sub(oy * out_row, out_row), scratch);
    }
}

/// Output rows `y..y + count`, one after the other, wherever rows lie.
#[inline(always)]
pub fn run_rows(
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let shifts = p.shifts;
    let p = arch::opaque(p);
    scratch.fill(p.pad_code, scratch_bytes(p));
    let mut window = [None; 3];
    for oy in y..y + count {
        input.window(rows::first(oy, p.stride_h, p.pad_top), p.dilation_h, &mut window);
        if shifts {
            variant::<true>(p, consts, &window, output.run(oy, 1), scratch);
        } else {
            variant::<false>(p, consts, &window, output.run(oy, 1), scratch);
        }
    }
}

/// One output row from the three input rows of its window. The scratch gets padding.
#[inline(always)]
pub fn step(
    p: &Params,
    consts: Consts<'_>,
    rows: &[Option<Bytes<'_>>; 3],
    out: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    scratch.fill(p.pad_code, scratch_bytes(p));
    // Variants, of which only those that the parameters ask for are linked.
    if p.shifts {
        variant::<true>(p, consts, rows, out, scratch);
    } else {
        variant::<false>(p, consts, rows, out, scratch);
    }
}

#[inline(never)]
fn variant<const SHIFTS: bool>(
    p: &Params,
    consts: Consts<'_>,
    rows: &[Option<Bytes<'_>>; 3],
    out: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let channels = p.in_c;
    let step = p.stride_w * channels;
    let mut first = -(p.pad_left as isize);
    let mut ox = 0;
    while ox < p.out_w {
        // Pixels whose windows have all of their columns are done together, others alone.
        let last = first + (2 * p.dilation_w) as isize;
        let whole = first >= 0 && last < p.in_w as isize;
        let mut pixels = 1;
        let mut reach = last + p.stride_w as isize;
        while whole && ox + pixels < p.out_w && reach < p.in_w as isize {
            pixels += 1;
            reach += p.stride_w as isize;
        }
        let bytes = (pixels - 1) * step + channels;
        let mut taps = [scratch; 9];
        for (taps, row) in taps.chunks_exact_mut(3).zip(rows) {
            let row = row.unwrap_or(scratch);
            let mut column = first;
            for tap in taps {
                // Left of the first column, this is a large number.
                let inside = (column as usize) < p.in_w;
                *tap =
                    if inside { row.sub(column as usize * channels, bytes) } else { scratch.sub(0, bytes) };
                column += p.dilation_w as isize;
            }
        }
        let out = out.sub(ox * channels, pixels * channels);
        if p.repeat > 1 {
            several::<SHIFTS>(p, &taps, consts, pixels, out);
        } else {
            arch::depthwise_lanes::<SHIFTS>(&Taps { taps, step, pixels }, consts, channels, out, &p.out);
        }
        ox += pixels;
        first += (pixels * p.stride_w) as isize;
    }
}

/// `p.repeat` pixels at a time, as if they were one; then those that are left.
#[inline(always)]
fn several<const SHIFTS: bool>(
    p: &Params,
    taps: &[Bytes<'_>; 9],
    consts: Consts<'_>,
    pixels: usize,
    out: Bytes<'_>,
) {
    let step = p.repeat * p.in_c;
    let many = pixels.checked_div(p.repeat).unwrap_or(0);
    let (bytes, rest) = (many * step, pixels * p.in_c - many * step);
    if many > 0 {
        let taps = Taps { taps: taps.map(|tap| tap.sub(0, bytes)), step, pixels: many };
        arch::depthwise_lanes::<SHIFTS>(&taps, consts, step, out.sub(0, bytes), &p.out);
    }
    if rest > 0 {
        let taps = Taps { taps: taps.map(|tap| tap.sub(bytes, rest)), step, pixels: 1 };
        arch::depthwise_lanes::<SHIFTS>(&taps, consts, rest, out.sub(bytes, rest), &p.out);
    }
}
