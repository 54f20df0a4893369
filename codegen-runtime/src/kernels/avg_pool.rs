//! Mean over windows.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][in_c]`. Invariant: positions
//! outside the input add nothing; whether those within the padding count in the
//! divisor is a parameter, and positions beyond the padding never do. A window
//! that counts nothing gives the code of zero.
//!
//! Constants: `[m i32 x n][k u8 x n, padded to 4]`: the multiplier for a divisor of
//! `first_count + i` at entry `i`; `n` reaches to `kernel_h * kernel_w`.

use super::super::arch::{self, POOL_WORDS, PixelSums};
use super::super::requant::Out;
use super::super::rows::{self, Rows, Taps};
use super::super::view::{Bytes, Consts};

/// An average pooling. Sizes, strides, pads and dilations are in rows, columns
/// and channels.
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
    /// Rows of the window.
    pub kernel_h: usize,
    /// Columns of the window.
    pub kernel_w: usize,
    /// Input rows from one output row to the next.
    pub stride_h: usize,
    /// Input columns from one output column to the next.
    pub stride_w: usize,
    /// Rows of padding above the input.
    pub pad_top: usize,
    /// Columns of padding left of the input.
    pub pad_left: usize,
    /// Input rows from one row of the window to the next.
    pub dilation_h: usize,
    /// Input columns from one column of the window to the next.
    pub dilation_w: usize,
    /// The input's zero point.
    pub zero_point_in: i32,
    /// Whether positions in the padding count in the divisor.
    pub count_include_pad: bool,
    /// Rows of padding below the input; matters only where padding counts.
    pub pad_bottom: usize,
    /// Columns of padding right of the input; matters only where padding counts.
    pub pad_right: usize,
    /// The smallest divisor of any window, at least 1: the constants begin with it.
    pub first_count: usize,
    /// How sums become output codes.
    pub out: Out,
}

/// Private bytes of the arena that the kernel needs.
pub const fn scratch_bytes(_p: &Params) -> usize {
    0
}

/// The whole tensor; `KH` is `p.kernel_h`.
#[inline(always)]
pub fn run<const KH: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    for oy in 0..p.out_h {
        row::<KH>(p, consts, input, output, scratch, oy);
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
    for oy in (0..p.out_h).rev() {
        row::<KH>(p, consts, input, output, scratch, oy);
    }
}

#[inline(always)]
fn row<const KH: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
    oy: usize,
) {
    let (in_row, out_row) = (p.in_w * p.in_c, p.out_w * p.in_c);
    let first = rows::first(oy, p.stride_h, p.pad_top);
    let window = rows::window::<KH>(input, in_row, first, p.dilation_h, p.in_h);
    step(p, consts, &window, counted_rows(p, oy), output.sub(oy * out_row, out_row), scratch);
}

/// Output rows `y..y + count`, one after the other, wherever rows lie; `WINDOW` is
/// at least `p.kernel_h`.
#[inline(always)]
pub fn run_rows<const WINDOW: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let mut window = [None; WINDOW];
    for oy in y..y + count {
        input.window(rows::first(oy, p.stride_h, p.pad_top), p.dilation_h, &mut window);
        step(
            p,
            consts,
            window.get(..p.kernel_h).unwrap_or(&window),
            counted_rows(p, oy),
            output.run(oy, 1),
            scratch,
        );
    }
}

/// How many of the window's rows count in the divisor, for output row `oy`.
#[inline(always)]
pub fn counted_rows(p: &Params, oy: usize) -> usize {
    counted(
        rows::first(oy, p.stride_h, p.pad_top),
        p.dilation_h,
        p.kernel_h,
        p.in_h,
        Padding { before: p.pad_top, after: p.pad_bottom, counts: p.count_include_pad },
    )
}

/// One output row from the `kernel_h` input rows of its window, of which
/// `counted_rows` count in the divisor.
#[inline(never)]
pub fn step(
    p: &Params,
    consts: Consts<'_>,
    rows: &[Option<Bytes<'_>>],
    counted_rows: usize,
    out: Bytes<'_>,
    _scratch: Bytes<'_>,
) {
    let (mut rows_inside, mut index) = (0, 0);
    while let Some(row) = rows.get(index) {
        rows_inside += usize::from(row.is_some());
        index = arch::opaque_count(index + 1);
    }
    for ox in 0..p.out_w {
        let first = rows::first(ox, p.stride_w, p.pad_left);
        let taps = rows::taps(first, p.dilation_w, p.kernel_w, p.in_w);
        let mean = mean(p, consts, ox, counted_rows, rows_inside);
        let pixel = out.sub(ox * p.in_c, p.in_c);
        let mut c = 0;
        while c < p.in_c && p.in_c >= 4 * POOL_WORDS {
            // The last ones may be among those before.
            average::<POOL_WORDS>(p, rows, taps, mean, c.min(p.in_c - 4 * POOL_WORDS), pixel);
            c = arch::opaque_count(c + 4 * POOL_WORDS);
        }
        while c < p.in_c && p.in_c >= 4 {
            average::<1>(p, rows, taps, mean, c.min(p.in_c - 4), pixel);
            c = arch::opaque_count(c + 4);
        }
        while c < p.in_c {
            average_of_one(p, rows, taps, mean, c, pixel);
            c = arch::opaque_count(c + 1);
        }
    }
}

/// What the channels of one window share.
#[derive(Clone, Copy)]
pub struct Mean {
    /// What a sum of codes starts at.
    pub start: i32,
    /// The multiplier's mantissa.
    pub m: i32,
    /// The multiplier's shift.
    pub k: u32,
}

/// What the channels of the window at column `ox` share, `counted_rows` of whose rows
/// count in the divisor and `rows_inside` lie inside the input.
#[inline(always)]
pub fn mean(p: &Params, consts: Consts<'_>, ox: usize, counted_rows: usize, rows_inside: usize) -> Mean {
    let sizes = p.kernel_h * p.kernel_w + 1 - p.first_count;
    let padding = Padding { before: p.pad_left, after: p.pad_right, counts: p.count_include_pad };
    let first = rows::first(ox, p.stride_w, p.pad_left);
    let taps = rows::taps(first, p.dilation_w, p.kernel_w, p.in_w);
    let count = counted_rows * counted(first, p.dilation_w, p.kernel_w, p.in_w, padding);
    // Sums start at minus the zero points, once a position inside. A window that counts
    // nothing has nothing inside: its sum is 0, whatever it is multiplied with.
    let inside = rows_inside * (taps.end - taps.begin);
    let entry = count.saturating_sub(p.first_count);
    Mean {
        start: (inside as i32).wrapping_mul(p.zero_point_in).wrapping_neg(),
        m: consts.i32_at(entry * 4),
        k: u32::from(consts.u8_at(sizes * 4 + entry)),
    }
}

/// The window's means of `WORDS` times four channels from `c` on.
#[inline(always)]
fn average<const WORDS: usize>(
    p: &Params,
    rows: &[Option<Bytes<'_>>],
    taps: Taps,
    mean: Mean,
    c: usize,
    out: Bytes<'_>,
) {
    let mut sums = PixelSums::<WORDS>::new(mean.start);
    let (count, step) = (taps.end - taps.begin, p.dilation_w * p.in_c);
    if count > 0 {
        let mut index = 0;
        while let Some(row) = rows.get(index) {
            if let Some(row) = row {
                let codes = row.sub(taps.position * p.in_c + c, (count - 1) * step + 4 * WORDS);
                sums.add(codes, step, count);
            }
            index = arch::opaque_count(index + 1);
        }
    }
    let sums = sums.finish();
    let mut n = 0;
    while let Some(&sum) = sums.as_flattened().get(n) {
        out.set(c + n, arch::requantize(sum, mean.m, mean.k, p.out));
        n = arch::opaque_count(n + 1);
    }
}

/// The window's mean of channel `c`.
#[inline(always)]
fn average_of_one(p: &Params, rows: &[Option<Bytes<'_>>], taps: Taps, mean: Mean, c: usize, out: Bytes<'_>) {
    let mut sum = mean.start;
    for row in rows.iter().flatten() {
        let mut at = taps.position * p.in_c + c;
        for _ in taps.begin..taps.end {
            sum = sum.wrapping_add(i32::from(row.get(at)));
            at += p.dilation_w * p.in_c;
        }
    }
    out.set(c, arch::requantize(sum, mean.m, mean.k, p.out));
}

/// The padding of an axis, and whether it counts in divisors.
#[derive(Clone, Copy)]
struct Padding {
    before: usize,
    after: usize,
    counts: bool,
}

/// How many taps of an axis count: those inside, and those in counting padding.
#[inline(always)]
fn counted(first: isize, dilation: usize, kernel: usize, size: usize, padding: Padding) -> usize {
    let (before, after) = if padding.counts { (padding.before, padding.after) } else { (0, 0) };
    let taps = rows::taps(first + before as isize, dilation, kernel, before + size + after);
    taps.end - taps.begin
}
