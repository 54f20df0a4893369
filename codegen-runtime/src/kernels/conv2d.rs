//! General convolution: any kernel, stride, padding, dilation and groups.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][out_c]`. Invariant: a
//! position outside the input reads as `pad_code`.
//!
//! Constants: `[bias i32 x out_c][m i32 x out_c][if shifts: k u8 x out_c, padded
//! to 4][weights i8: out_c][kernel_h][kernel_w][in_c / groups]`.

use super::super::arch;
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
    /// Groups: divides `in_c` and `out_c`.
    pub groups: usize,
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
    let group_in = p.in_c.checked_div(p.groups).unwrap_or(0);
    let group_out = p.out_c.checked_div(p.groups).unwrap_or(0);
    let filter_bytes = p.kernel_h * p.kernel_w * group_in;
    let channels = Channels::new(consts, p.out_c, p.shifts, p.out);
    let weights = channels.weights(p.out_c * filter_bytes);
    for ox in 0..p.out_w {
        let mut span = Span::new(p, ox, group_in);
        let pixel = out.sub(ox * p.out_c, p.out_c);
        let mut oc = 0;
        for _ in 0..p.groups {
            let end = oc + group_out;
            while oc + 4 <= end {
                let filters = weights.sub(oc * filter_bytes, 4 * filter_bytes);
                channels.finish(oc, accumulate::<4>(&span, rows, filters), pixel);
                oc += 4;
            }
            while oc < end {
                let filters = weights.sub(oc * filter_bytes, filter_bytes);
                channels.finish(oc, accumulate::<1>(&span, rows, filters), pixel);
                oc += 1;
            }
            span.position += group_in;
        }
    }
}

/// Where the window of one pixel and one group meets an input row; in bytes.
pub(super) struct Span {
    /// Where in the row the first tap inside begins.
    position: usize,
    /// How many contiguous runs the taps inside make.
    runs: usize,
    /// The length of a run.
    run_len: usize,
    /// From one run to the next in the input; in the weights they are adjacent.
    run_step: usize,
    /// The weights of a kernel row whose taps lie left of the input.
    before: usize,
    /// The weights whose taps lie inside.
    inside: usize,
    /// The weights of a kernel row.
    row_len: usize,
    /// The weights of an output channel.
    filter_bytes: usize,
    /// What taps outside read as.
    pad_code: i8,
}

impl Span {
    /// The window of pixel `ox` and the first group, of `group_in` channels.
    #[inline(always)]
    pub(super) fn new(p: &Params, ox: usize, group_in: usize) -> Span {
        let taps = rows::taps(rows::first(ox, p.stride_w, p.pad_left), p.dilation_w, p.kernel_w, p.in_w);
        let inside = taps.end - taps.begin;
        // Adjacent taps are adjacent in memory too, unless something lies between them.
        let joined = p.dilation_w == 1 && p.groups == 1;
        Span {
            position: taps.position * p.in_c,
            runs: if joined { 1 } else { inside },
            run_len: if joined { inside * group_in } else { group_in },
            run_step: p.dilation_w * p.in_c,
            before: taps.begin * group_in,
            inside: inside * group_in,
            row_len: p.kernel_w * group_in,
            filter_bytes: p.kernel_h * p.kernel_w * group_in,
            pad_code: p.pad_code,
        }
    }
}

/// The window's products with `N` filters, without the bias.
#[inline(always)]
pub(super) fn accumulate<const N: usize>(
    span: &Span,
    rows: &[Option<Bytes<'_>>],
    filters: Consts<'_>,
) -> [i32; N] {
    let stride = span.filter_bytes;
    let reach = (N - 1) * stride;
    let mut acc = [0i32; N];
    let mut at = 0;
    for row in rows {
        if let Some(row) = row {
            let mut from = span.position;
            let mut weight = at + span.before;
            for _ in 0..span.runs {
                let run = filters.sub(weight, reach + span.run_len);
                add(&mut acc, arch::dots(row.sub(from, span.run_len), run, stride, span.run_len), 1);
                from += span.run_step;
                weight += span.run_len;
            }
            let after = span.before + span.inside;
            pad(&mut acc, span, filters, at, span.before);
            pad(&mut acc, span, filters, at + after, span.row_len - after);
        } else {
            pad(&mut acc, span, filters, at, span.row_len);
        }
        at += span.row_len;
    }
    acc
}

/// Adds what `len` weights a filter, from `at` on, make of the padding.
#[inline(always)]
fn pad<const N: usize>(acc: &mut [i32; N], span: &Span, filters: Consts<'_>, at: usize, len: usize) {
    if len > 0 && span.pad_code != 0 {
        let run = filters.sub(at, (N - 1) * span.filter_bytes + len);
        add(acc, arch::sums(run, span.filter_bytes, len), i32::from(span.pad_code));
    }
}

#[inline(always)]
fn add<const N: usize>(acc: &mut [i32; N], terms: [i32; N], factor: i32) {
    for (acc, term) in acc.iter_mut().zip(terms) {
        *acc = acc.wrapping_add(term.wrapping_mul(factor));
    }
}
