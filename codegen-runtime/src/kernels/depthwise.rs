//! Depthwise convolution: each output channel reads one input channel.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][out_c]`, where output channel
//! `oc` reads input channel `oc / multiplier`. Invariant: a position outside
//! the input reads as `pad_code`.
//!
//! Constants: `[bias i32 x out_c][m i32 x out_c][if shifts: k u8 x out_c, padded
//! to 4][weights i8: kernel_h][kernel_w][out_c]`.

use super::super::requant::Out;
use super::super::rows::{self, Rows, Taps};
use super::super::view::{Bytes, Consts};
use super::channels::Channels;

/// A depthwise convolution. Sizes, strides, pads and dilations are in rows,
/// columns and channels.
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
    /// Channels of the output: `in_c * multiplier`.
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
    /// Output channels an input channel.
    pub multiplier: usize,
    /// What positions outside the input read as.
    pub pad_code: i8,
    /// Whether the constants hold shifts `k`; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
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
    let (in_row, out_row) = (p.in_w * p.in_c, p.out_w * p.out_c);
    let first = rows::first(oy, p.stride_h, p.pad_top);
    let window = rows::window::<KH>(input, in_row, first, p.dilation_h, p.in_h);
    step(p, consts, &window, output.sub(oy * out_row, out_row), scratch);
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
pub fn step(p: &Params, consts: Consts<'_>, rows: &[Option<Bytes<'_>>], out: Bytes<'_>, _scratch: Bytes<'_>) {
    let channels = Channels::new(consts, p.out_c, p.shifts, p.out);
    let weights = channels.weights(p.kernel_h * p.kernel_w * p.out_c);
    for ox in 0..p.out_w {
        let taps = rows::taps(rows::first(ox, p.stride_w, p.pad_left), p.dilation_w, p.kernel_w, p.in_w);
        let pixel = out.sub(ox * p.out_c, p.out_c);
        let mut oc = 0;
        if p.multiplier == 1 {
            // Only 64-bit machines have the registers for wide blocks.
            while cfg!(target_pointer_width = "64") && oc + 16 <= p.out_c {
                channels.finish(oc, accumulate::<16>(p, weights, rows, taps, oc, oc), pixel);
                oc += 16;
            }
            while oc + 4 <= p.out_c {
                channels.finish(oc, accumulate::<4>(p, weights, rows, taps, oc, oc), pixel);
                oc += 4;
            }
        }
        let (mut ic, mut share) = (if p.multiplier == 1 { oc } else { 0 }, 0);
        while oc < p.out_c {
            channels.finish(oc, accumulate::<1>(p, weights, rows, taps, oc, ic), pixel);
            oc += 1;
            share += 1;
            if share == p.multiplier {
                share = 0;
                ic += 1;
            }
        }
    }
}

/// The window's products for `N` output channels from `oc` on, which read the
/// `N` input channels from `ic` on; without the bias.
#[inline(always)]
fn accumulate<const N: usize>(
    p: &Params,
    weights: Consts<'_>,
    rows: &[Option<Bytes<'_>>],
    taps: Taps,
    oc: usize,
    ic: usize,
) -> [i32; N] {
    let pad_code = i32::from(p.pad_code);
    let mut acc = [0i32; N];
    let mut weight = oc;
    for row in rows {
        let mut from = taps.position * p.in_c + ic;
        for kx in 0..p.kernel_w {
            let filter = weights.sub(weight, N);
            match row {
                Some(row) if (taps.begin..taps.end).contains(&kx) => {
                    let run = row.sub(from, N);
                    for (n, acc) in acc.iter_mut().enumerate() {
                        let product = i32::from(run.get(n)) * i32::from(filter.i8_at(n));
                        *acc = acc.wrapping_add(product);
                    }
                    from += p.dilation_w * p.in_c;
                }
                _ => {
                    for (n, acc) in acc.iter_mut().enumerate() {
                        *acc = acc.wrapping_add(pad_code * i32::from(filter.i8_at(n)));
                    }
                }
            }
            weight += p.out_c;
        }
    }
    acc
}
