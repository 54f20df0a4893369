//! Convolution without groups, two pixels and four channels at once, for cores that
//! multiply one pair of numbers at a time: any kernel, stride, padding and dilation.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][out_c]`. Invariant: a position
//! outside the input reads as `pad_code`; both pixels of a pair are read before
//! the first is written.
//!
//! Constants: `[bias i32 x out_c][m i32 x out_c][if shifts: k u8 x out_c, padded
//! to 4][weights i8: ceil(out_c / 4)][kernel_h][kernel_w][in_c][4 channels]`, where
//! channels that fill up the last four have weights of 0. No weight is -128.

use core::hint::black_box;

use super::super::arch;
use super::super::requant::Out;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};
use super::channels::Channels;
use super::window::Window;

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
    /// Whether the constants hold shifts `k`; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

impl Params {
    /// Inputs of a window.
    pub(super) const fn taps(&self) -> usize {
        self.kernel_h * self.kernel_w * self.in_c
    }

    /// Whether output pixel `i` reads input pixel `i` and nothing else, so that
    /// rows which lie one after the other are one row.
    pub const fn pointwise(&self) -> bool {
        self.kernel_h == 1
            && self.kernel_w == 1
            && self.stride_h == 1
            && self.stride_w == 1
            && self.pad_top == 0
            && self.pad_left == 0
            && self.out_h == self.in_h
            && self.out_w == self.in_w
    }
}

/// Private bytes of the arena that the kernel needs, 4-byte aligned: a pair of
/// windows, and the two windows where they are not runs of the input.
pub const fn scratch_bytes(p: &Params) -> usize {
    let gathered = if p.pointwise() { 0 } else { 2 * p.taps() };
    4 * p.taps() + gathered
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
    // Otherwise the compiler makes a copy of `step` for each layer.
    let p = black_box(p);
    let (in_row, out_row) = (p.in_w * p.in_c, p.out_w * p.out_c);
    if p.pointwise() {
        let input = input.sub(0, p.in_h * in_row);
        step(p, consts, p.out_h * p.out_w, &[Some(input)], &[output], scratch);
        return;
    }
    let window =
        |oy| rows::window::<KH>(input, in_row, rows::first(oy, p.stride_h, p.pad_top), p.dilation_h, p.in_h);
    let mut oy = 0;
    // Rows of odd length in twos, so that only the last has half a pair.
    while p.out_w % 2 == 1 && oy + 2 <= p.out_h {
        let outs = [output.sub(oy * out_row, out_row), output.sub((oy + 1) * out_row, out_row)];
        step(p, consts, p.out_w, [window(oy), window(oy + 1)].as_flattened(), &outs, scratch);
        oy += 2;
    }
    while oy < p.out_h {
        step(p, consts, p.out_w, &window(oy), &[output.sub(oy * out_row, out_row)], scratch);
        oy += 1;
    }
}

/// Output rows `y..y + count`, in one step, wherever rows lie; `WINDOW` is at least
/// `p.kernel_h * count`, `COUNT` at least `count`.
#[inline(always)]
pub fn run_rows<const WINDOW: usize, const COUNT: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let mut window = [None; WINDOW];
    let mut outs = [scratch; COUNT];
    let windows = window.chunks_exact_mut(p.kernel_h);
    for (oy, (rows, out)) in (y..y + count).zip(windows.zip(&mut outs)) {
        input.window(rows::first(oy, p.stride_h, p.pad_top), p.dilation_h, rows);
        *out = output.run(oy, 1);
    }
    // As in `run`.
    let p = black_box(p);
    step(p, consts, p.out_w, &window, outs.get(..count).unwrap_or(&outs), scratch);
}

/// `outs.len()` output rows of `width` pixels (`p.out_w`, unless the convolution
/// is pointwise), from the `kernel_h` input rows of each one's window, window
/// after window.
#[inline(never)]
pub fn step(
    p: &Params,
    consts: Consts<'_>,
    width: usize,
    rows: &[Option<Bytes<'_>>],
    outs: &[Bytes<'_>],
    scratch: Bytes<'_>,
) {
    let taps = p.taps();
    let window = Window {
        in_w: p.in_w,
        channels: p.in_c,
        kernel_w: p.kernel_w,
        dilation_w: p.dilation_w,
        pad_code: p.pad_code,
    };
    let mut waiting = None;
    let mut rows = rows.iter();
    for out in outs {
        let mut first = -(p.pad_left as isize);
        for ox in 0..width {
            let pixel = out.sub(ox * p.out_c, p.out_c);
            let codes = match rows.clone().next() {
                Some(Some(row)) if p.pointwise() => row.sub(ox * p.in_c, p.in_c),
                _ => {
                    let slot = scratch.sub((4 + usize::from(waiting.is_some())) * taps, taps);
                    window.gather(rows.clone().take(p.kernel_h), first, slot);
                    slot
                }
            };
            waiting = match waiting {
                Some((before, out)) => {
                    arch::pair_windows(before, codes, taps, scratch);
                    two(p, consts, scratch, [out, pixel]);
                    None
                }
                None => Some((codes, pixel)),
            };
            first += p.stride_w as isize;
        }
        for _ in 0..p.kernel_h {
            rows.next();
        }
    }
    if let Some((codes, last)) = waiting {
        arch::pair_windows(codes, codes, taps, scratch);
        two(p, consts, scratch, [last, last]);
    }
}

/// All channels at a pair of pixels, which may be one.
#[inline(always)]
fn two(p: &Params, consts: Consts<'_>, pair: Bytes<'_>, outs: [Bytes<'_>; 2]) {
    let taps = p.taps();
    let channels = Channels::new(consts, p.out_c, p.shifts, p.out);
    let weights = channels.weights(p.out_c.div_ceil(4) * 4 * taps);
    let mut channel = 0;
    while channel < p.out_c {
        let sums = arch::window_sums(pair, taps, weights.sub(channel * taps, 4 * taps));
        channels.finish_four(channel, &sums[0], outs[0]);
        channels.finish_four(channel, &sums[1], outs[1]);
        channel += 4;
    }
}
