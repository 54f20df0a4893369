//! `conv2d` without groups, with biases that differ at borders.
//!
//! In and out: as `conv2d` says; the classes of `borders` follow its constants.
//! Invariant: what a pixel's class adds is added to its sums before they are requantized.

use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};
use super::borders::Borders;
use super::channels::Channels;
pub use super::conv2d::Params;
use super::conv2d::{Span, accumulate};

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
        step(p, consts, oy, &window, output.sub(oy * out_row, out_row), scratch);
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
        step(p, consts, oy, window.get(..p.kernel_h).unwrap_or(&window), output.run(oy, 1), scratch);
    }
}

/// Output row `y` from the `kernel_h` input rows of its window.
#[inline(never)]
pub fn step(
    p: &Params,
    consts: Consts<'_>,
    y: usize,
    rows: &[Option<Bytes<'_>>],
    out: Bytes<'_>,
    _scratch: Bytes<'_>,
) {
    let filter_bytes = p.kernel_h * p.kernel_w * p.in_c;
    let channels = Channels::new(consts, p.out_c, p.shifts, p.out);
    let weights = channels.weights(p.out_c * filter_bytes);
    let at = channels.weights_at() + p.out_c * filter_bytes;
    let borders = Borders::new(consts, at, [p.out_h, p.out_w, p.out_c], y);
    for ox in 0..p.out_w {
        let span = Span::new(p, ox, p.in_c);
        let extra = borders.extra(0, ox);
        let pixel = out.sub(ox * p.out_c, p.out_c);
        for oc in 0..p.out_c {
            let filter = weights.sub(oc * filter_bytes, filter_bytes);
            channels.finish(oc, borders.add(extra, oc, accumulate::<1>(&span, rows, filter)), pixel);
        }
    }
}
