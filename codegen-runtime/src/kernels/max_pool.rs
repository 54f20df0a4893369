//! Maximum over windows.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][in_c]`. Invariant: positions
//! outside the input do not take part; a window without any position inside
//! gives the least code.
//!
//! Constants: none.

use super::super::arch::{POOL_WORDS, PixelMaxima};
use super::super::rows::{self, Rows, Taps};
use super::super::view::Bytes;

/// A maximum pooling. Sizes, strides, pads and dilations are in rows, columns
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
    /// The least code to write.
    pub lo: i8,
    /// The greatest code to write.
    pub hi: i8,
}

/// Private bytes of the arena that the kernel needs.
pub const fn scratch_bytes(_p: &Params) -> usize {
    0
}

/// The whole tensor; `KH` is `p.kernel_h`.
#[inline(always)]
pub fn run<const KH: usize>(p: &Params, input: Bytes<'_>, output: Bytes<'_>, scratch: Bytes<'_>) {
    for oy in 0..p.out_h {
        row::<KH>(p, input, output, scratch, oy);
    }
}

/// The same from the last row to the first, for an output above its input.
#[inline(always)]
pub fn run_back<const KH: usize>(p: &Params, input: Bytes<'_>, output: Bytes<'_>, scratch: Bytes<'_>) {
    for oy in (0..p.out_h).rev() {
        row::<KH>(p, input, output, scratch, oy);
    }
}

#[inline(always)]
fn row<const KH: usize>(p: &Params, input: Bytes<'_>, output: Bytes<'_>, scratch: Bytes<'_>, oy: usize) {
    let (in_row, out_row) = (p.in_w * p.in_c, p.out_w * p.in_c);
    let first = rows::first(oy, p.stride_h, p.pad_top);
    let window = rows::window::<KH>(input, in_row, first, p.dilation_h, p.in_h);
    step(p, &window, output.sub(oy * out_row, out_row), scratch);
}

/// Output rows `y..y + count`, one after the other, wherever rows lie; `WINDOW` is
/// at least `p.kernel_h`.
#[inline(always)]
pub fn run_rows<const WINDOW: usize>(
    p: &Params,

    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let mut window = [None; WINDOW];
    for oy in y..y + count {
        input.window(rows::first(oy, p.stride_h, p.pad_top), p.dilation_h, &mut window);
        step(p, window.get(..p.kernel_h).unwrap_or(&window), output.run(oy, 1), scratch);
    }
}

/// One output row from the `kernel_h` input rows of its window.
#[inline(never)]
pub fn step(p: &Params, rows: &[Option<Bytes<'_>>], out: Bytes<'_>, _scratch: Bytes<'_>) {
    for ox in 0..p.out_w {
        let taps = rows::taps(rows::first(ox, p.stride_w, p.pad_left), p.dilation_w, p.kernel_w, p.in_w);
        let pixel = out.sub(ox * p.in_c, p.in_c);
        let mut c = 0;
        while c + 4 * POOL_WORDS <= p.in_c {
            maximum::<POOL_WORDS>(p, rows, taps, c, pixel);
            c += 4 * POOL_WORDS;
        }
        while c < p.in_c && p.in_c >= 4 {
            // The last four may be among those before.
            maximum::<1>(p, rows, taps, c.min(p.in_c - 4), pixel);
            c += 4;
        }
        while c < p.in_c {
            maximum_of_one(p, rows, taps, c, pixel);
            c += 1;
        }
    }
}

/// The window's maxima of `WORDS` times four channels from `c` on.
#[inline(always)]
fn maximum<const WORDS: usize>(p: &Params, rows: &[Option<Bytes<'_>>], taps: Taps, c: usize, out: Bytes<'_>) {
    let mut maxima = PixelMaxima::<WORDS>::new();
    let (count, step) = (taps.end - taps.begin, p.dilation_w * p.in_c);
    if count > 0 {
        for row in rows.iter().flatten() {
            let codes = row.sub(taps.position * p.in_c + c, (count - 1) * step + 4 * WORDS);
            maxima.add(codes, step, count);
        }
    }
    for (n, max) in maxima.finish().into_iter().flatten().enumerate() {
        out.set(c + n, max.max(p.lo).min(p.hi));
    }
}

/// The window's maximum of channel `c`.
#[inline(always)]
fn maximum_of_one(p: &Params, rows: &[Option<Bytes<'_>>], taps: Taps, c: usize, out: Bytes<'_>) {
    let mut max = i8::MIN;
    for row in rows.iter().flatten() {
        let mut at = taps.position * p.in_c + c;
        for _ in taps.begin..taps.end {
            max = row.get(at).max(max);
            at += p.dilation_w * p.in_c;
        }
    }
    out.set(c, max.max(p.lo).min(p.hi));
}
