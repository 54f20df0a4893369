//! `conv_window` with biases that differ at borders.
//!
//! In and out: as `conv_window` says; the classes of `borders` follow its constants.
//! Invariant: what a pixel's class adds is added to its sums before they are requantized.
//! Pixels know their rows, so that those of a pointwise convolution are not one row.

use core::hint::black_box;

use super::super::arch;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};
use super::borders::{Borders, Extra};
use super::channels::Channels;
pub use super::conv_window::Params;
use super::window::Window;

/// The whole tensor; `KH` is `p.kernel_h`.
#[inline(always)]
pub fn run<const KH: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    // As in `conv_window`.
    let p = black_box(p);
    let (in_row, out_row) = (p.in_w * p.in_c, p.out_w * p.out_c);
    for oy in 0..p.out_h {
        let first = rows::first(oy, p.stride_h, p.pad_top);
        let window = rows::window::<KH>(input, in_row, first, p.dilation_h, p.in_h);
        step(p, consts, oy, &window, &[output.sub(oy * out_row, out_row)], scratch);
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
    let p = black_box(p);
    step(p, consts, y, &window, outs.get(..count).unwrap_or(&outs), scratch);
}

/// `outs.len()` output rows from row `y` on, from the `kernel_h` input rows of each
/// one's window, window after window.
#[inline(never)]
pub fn step(
    p: &Params,
    consts: Consts<'_>,
    y: usize,
    rows: &[Option<Bytes<'_>>],
    outs: &[Bytes<'_>],
    scratch: Bytes<'_>,
) {
    let taps = p.taps();
    let channels = Channels::new(consts, p.out_c, p.shifts, p.out);
    let at = channels.weights_at() + p.out_c.div_ceil(4) * 4 * taps;
    let borders = Borders::new(consts, at, [p.out_h, p.out_w, p.out_c], y);
    let window = Window {
        in_w: p.in_w,
        channels: p.in_c,
        kernel_w: p.kernel_w,
        dilation_w: p.dilation_w,
        pad_code: p.pad_code,
    };
    let mut waiting: Option<(Bytes<'_>, Bytes<'_>, Extra<'_>)> = None;
    let mut rows = rows.iter();
    for (row, out) in outs.iter().enumerate() {
        let mut first = -(p.pad_left as isize);
        for ox in 0..p.out_w {
            let pixel = out.sub(ox * p.out_c, p.out_c);
            let codes = match rows.clone().next() {
                Some(Some(row)) if p.pointwise() => row.sub(ox * p.in_c, p.in_c),
                _ => {
                    let slot = scratch.sub((4 + usize::from(waiting.is_some())) * taps, taps);
                    window.gather(rows.clone().take(p.kernel_h), first, slot);
                    slot
                }
            };
            let extra = borders.extra(row, ox);
            waiting = match waiting {
                Some((before, to, other)) => {
                    arch::pair_windows(before, codes, taps, scratch);
                    two(channels, borders, taps, scratch, [to, pixel], [other, extra]);
                    None
                }
                None => Some((codes, pixel, extra)),
            };
            first += p.stride_w as isize;
        }
        for _ in 0..p.kernel_h {
            rows.next();
        }
    }
    if let Some((codes, last, extra)) = waiting {
        arch::pair_windows(codes, codes, taps, scratch);
        two(channels, borders, taps, scratch, [last, last], [extra; 2]);
    }
}

/// All channels at a pair of pixels, which may be one.
#[inline(never)]
fn two(
    channels: Channels<'_>,
    borders: Borders<'_>,
    taps: usize,
    pair: Bytes<'_>,
    outs: [Bytes<'_>; 2],
    extra: [Extra<'_>; 2],
) {
    let count = channels.count();
    let weights = channels.weights(count.div_ceil(4) * 4 * taps);
    let mut channel = 0;
    while channel < count {
        let [first, second] = arch::window_sums(pair, taps, weights.sub(channel * taps, 4 * taps));
        channels.finish_four(channel, &borders.add(extra[0], channel, first), outs[0]);
        channels.finish_four(channel, &borders.add(extra[1], channel, second), outs[1]);
        channel += 4;
    }
}
