//! Convolution without groups, and dense layers, over the weights that are not zero.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][out_c]`. Invariant: a position
//! outside the input reads as `pad_code`; the sums are those of all weights, in
//! another order. A dense layer is a convolution of 1 x 1 over one column.
//!
//! Zeros cost a bit of flash each and nearly no time; what is not zero costs more
//! time than in the other kernels.
//!
//! Constants: the head that `channels` describes, then `[mask u32: out_c][window of
//! kernel_h * kernel_w * in_c in words of 32]`, bit `i` of a word being set where
//! weight `i` is not zero, then the weights that are not zero, i8, channel after
//! channel.

use super::super::requant::Out;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};
use super::channels::Channels;

/// A convolution. Sizes, strides, pads and dilations are in rows, columns and
/// channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows of the input.
    pub in_h: usize,
    /// Columns of the input.
    pub in_w: usize,
    /// Channels of the input.
    pub in_c: usize,
    /// Rows of the output.
    pub out_h: usize,
    /// Columns of the output.
    pub out_w: usize,
    /// Channels of the output.
    pub out_c: usize,
    /// Rows of the kernel.
    pub kernel_h: usize,
    /// Columns of the kernel.
    pub kernel_w: usize,
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
    /// Weights that are not zero.
    pub nonzeros: usize,
    /// Whether the constants hold shifts `k`; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

impl Params {
    /// Inputs of a window.
    const fn len(&self) -> usize {
        self.kernel_h * self.kernel_w * self.in_c
    }

    /// Words of a channel's mask.
    const fn words(&self) -> usize {
        self.len().div_ceil(32)
    }

    /// Whether windows are pixels of an input row, one after the other.
    const fn pixels(&self) -> bool {
        self.kernel_h == 1
            && self.kernel_w == 1
            && self.stride_w == 1
            && self.pad_top == 0
            && self.pad_left == 0
            && self.out_w <= self.in_w
    }
}

/// Pixels that share the reading of a weight.
const SHARE: usize = 4;

/// Private bytes of the arena that the kernel needs: windows, where they are not in
/// one piece.
pub const fn scratch_bytes(p: &Params) -> usize {
    if p.pixels() { 0 } else { SHARE * p.len() }
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
    let (in_row, out_row) = (p.in_w * p.in_c, p.out_w * p.out_c);
    for oy in 0..p.out_h {
        let first = rows::first(oy, p.stride_h, p.pad_top);
        let window = rows::window::<KH>(input, in_row, first, p.dilation_h, p.in_h);
        step(p, consts, &window, output.sub(oy * out_row, out_row), scratch);
    }
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
        step(p, consts, window.get(..p.kernel_h).unwrap_or(&window), output.run(oy, 1), scratch);
    }
}

/// One output row from the `kernel_h` input rows of its window.
#[inline(never)]
pub fn step(p: &Params, consts: Consts<'_>, rows: &[Option<Bytes<'_>>], out: Bytes<'_>, scratch: Bytes<'_>) {
    let mut ox = 0;
    while ox < p.out_w {
        let count = if p.out_w - ox >= SHARE { SHARE } else { 1 };
        let windows = match rows.first() {
            Some(Some(row)) if p.pixels() => row.sub(ox * p.in_c, count * p.in_c),
            _ => {
                for n in 0..count {
                    gather(p, rows, ox + n, scratch.sub(n * p.len(), p.len()));
                }
                scratch.sub(0, count * p.len())
            }
        };
        let to = out.sub(ox * p.out_c, count * p.out_c);
        if count == SHARE {
            pixels::<SHARE>(p, consts, windows, to);
        } else {
            pixels::<1>(p, consts, windows, to);
        }
        ox += count;
    }
}

/// All channels of `P` pixels.
#[inline(always)]
fn pixels<const P: usize>(p: &Params, consts: Consts<'_>, windows: Bytes<'_>, out: Bytes<'_>) {
    let channels = Channels::new(consts, p.out_c, p.shifts, p.out);
    let mask_bytes = 4 * p.words() * p.out_c;
    let tail = channels.weights(mask_bytes + p.nonzeros);
    let (mut masks, mut weight) = (0, mask_bytes);
    for channel in 0..p.out_c {
        let mut sums = [0i32; P];
        let mut base = 0;
        for _ in 0..p.words() {
            let mut mask = tail.i32_at(masks) as u32;
            while mask != 0 {
                let index = base + mask.trailing_zeros() as usize;
                let factor = i32::from(tail.i8_at(weight));
                for (n, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.wrapping_add(i32::from(windows.get(n * p.len() + index)) * factor);
                }
                mask &= mask.wrapping_sub(1);
                weight += 1;
            }
            masks += 4;
            base += 32;
        }
        for (n, sum) in sums.into_iter().enumerate() {
            channels.finish(channel, [sum], out.sub(n * p.out_c, p.out_c));
        }
    }
}

/// Copies the window of output column `ox`, with its padding.
#[inline(never)]
fn gather(p: &Params, rows: &[Option<Bytes<'_>>], ox: usize, to: Bytes<'_>) {
    let row_len = p.kernel_w * p.in_c;
    let taps = rows::taps(rows::first(ox, p.stride_w, p.pad_left), p.dilation_w, p.kernel_w, p.in_w);
    let whole = taps.begin == 0 && taps.end == p.kernel_w;
    let mut at = 0;
    for row in rows.iter().take(p.kernel_h) {
        let to = to.sub(at, row_len);
        at += row_len;
        let Some(row) = row else {
            to.fill(p.pad_code, row_len);
            continue;
        };
        if !whole {
            to.fill(p.pad_code, row_len);
        }
        // Adjacent taps are adjacent in memory too, unless something lies between them.
        let inside = taps.end - taps.begin;
        let (runs, run) = if p.dilation_w == 1 { (1, inside * p.in_c) } else { (inside, p.in_c) };
        let (mut from, mut tap) = (taps.position * p.in_c, taps.begin * p.in_c);
        for _ in 0..runs {
            to.sub(tap, run).copy_from(row.sub(from, run), run);
            from += p.dilation_w * p.in_c;
            tap += p.in_c;
        }
    }
}
