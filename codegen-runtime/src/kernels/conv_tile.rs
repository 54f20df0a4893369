//! Convolution without groups, two pixels and four channels at once: any
//! kernel, stride, padding and dilation.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][out_c]`. Invariant: a position
//! outside the input reads as `pad_code`; both pixels of a pair are read before
//! the first is written.
//!
//! The window of a pixel is widened to 16 bits once, kernel row by kernel row. What
//! is more than whole groups of four inputs in a kernel row is put aside, to be
//! widened after all rows.
//!
//! Constants: see `blocks`; the inputs are those of the whole groups of four of each
//! kernel row, then the others of each kernel row, filled up to a multiple of 4 with
//! weights of 0.

use super::super::arch::{self, Span, Windows};
use super::super::requant::Out;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};
use super::blocks::{Blocks, saturates};

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
    /// Whether the weights of two channels share 16-bit halves.
    pub dual: bool,
    /// Whether the constants hold shifts `k`; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

impl Params {
    /// Inputs of a kernel row.
    const fn row_len(&self) -> usize {
        self.kernel_w * self.in_c
    }

    /// Inputs of all kernel rows that are no whole groups of four.
    const fn others(&self) -> usize {
        self.kernel_h * (self.row_len() % 4)
    }

    /// Groups of four inputs.
    const fn quads(&self) -> usize {
        self.kernel_h * (self.row_len() / 4) + self.others().div_ceil(4)
    }

    /// Inputs that are copied before they are widened, where columns are padding: a
    /// kernel row, or all of them if nothing is put aside.
    const fn gathered(&self) -> usize {
        match (self.row_len() % 4, self.in_c % 4) {
            _ if self.pointwise() => 0,
            (_, 0) if self.dilation_w == 1 => 0,
            (0, _) => self.kernel_h * self.row_len(),
            _ => self.row_len(),
        }
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

/// Private bytes of the arena that the kernel needs, 4-byte aligned: the two
/// widened windows, the inputs put aside, and kernel rows where columns are padding.
pub const fn scratch_bytes(p: &Params) -> usize {
    p.quads() * 16 + p.others().next_multiple_of(4) + p.gathered()
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
    step(p, consts, p.out_w, &window, outs.get(..count).unwrap_or(&outs), scratch);
}

/// `outs.len()` output rows of `width` pixels (`p.out_w`, unless the convolution
/// is pointwise), from the `kernel_h` input rows of each one's window, window
/// after window.
#[inline(always)]
pub fn step(
    p: &Params,
    consts: Consts<'_>,
    width: usize,
    rows: &[Option<Bytes<'_>>],
    outs: &[Bytes<'_>],
    scratch: Bytes<'_>,
) {
    // Four variants, of which only those that the parameters ask for are linked.
    match (p.dual, saturates(p.shifts, &p.out)) {
        (true, true) => variant::<true, true>(p, consts, width, rows, outs, scratch),
        (true, false) => variant::<true, false>(p, consts, width, rows, outs, scratch),
        (false, true) => variant::<false, true>(p, consts, width, rows, outs, scratch),
        (false, false) => variant::<false, false>(p, consts, width, rows, outs, scratch),
    }
}

#[inline(never)]
fn variant<const DUAL: bool, const SATURATES: bool>(
    p: &Params,
    consts: Consts<'_>,
    width: usize,
    rows: &[Option<Bytes<'_>>],
    outs: &[Bytes<'_>],
    scratch: Bytes<'_>,
) {
    let blocks = Blocks { consts, channels: p.out_c, quads: p.quads(), shifts: p.shifts, out: p.out };
    let tile = scratch.sub(0, p.quads() * 16);
    let mut waiting = None;
    let mut next_rows = rows;
    for out in outs {
        let (window, rest) = next_rows.split_at_checked(p.kernel_h).unwrap_or((next_rows, &[]));
        next_rows = rest;
        let mut ox = 0;
        while ox < width {
            let pairs = match waiting {
                None if SATURATES => inside(p, width, ox) / 2,
                _ => 0,
            };
            if pairs > 0 {
                let to = out.sub(ox * p.out_c, 2 * pairs * p.out_c);
                many::<DUAL>(p, blocks, window, ox, to, pairs, scratch);
                ox += 2 * pairs;
                continue;
            }
            let pixel = out.sub(ox * p.out_c, p.out_c);
            fill(p, window, ox, scratch, usize::from(waiting.is_some()));
            waiting = match waiting {
                Some(before) => {
                    blocks.two::<DUAL, SATURATES>(tile, [before, pixel]);
                    None
                }
                None => Some(pixel),
            };
            ox += 1;
        }
    }
    if let Some(last) = waiting {
        // Whatever the tile holds as pixel 1, its codes do not stay.
        blocks.two::<DUAL, SATURATES>(tile, [last, last]);
    }
}

/// Output pixels from `ox` on whose windows have all their columns inside and next
/// to each other; of `width` in a row.
#[inline(always)]
fn inside(p: &Params, width: usize, ox: usize) -> usize {
    if p.pointwise() {
        // Whole groups of four are read, which the last pixels may lack.
        let beyond = match (p.in_c % 4, p.in_c) {
            (0, _) => 0,
            (_, 1) => 3,
            _ => 1,
        };
        return width.saturating_sub(ox + beyond);
    }
    if p.dilation_w > 1 || ox * p.stride_w < p.pad_left || p.in_w + p.pad_left < p.kernel_w {
        return 0;
    }
    let last = (p.in_w + p.pad_left - p.kernel_w).checked_div(p.stride_w).unwrap_or(0);
    (last + 1).min(width).saturating_sub(ox)
}

/// `pairs` pairs of pixels from `ox` on, which are [`inside`].
#[inline(always)]
fn many<const DUAL: bool>(
    p: &Params,
    blocks: Blocks<'_>,
    window: &[Option<Bytes<'_>>],
    ox: usize,
    out: Bytes<'_>,
    pairs: usize,
    scratch: Bytes<'_>,
) {
    let tile = scratch.sub(0, p.quads() * 16);
    if p.pointwise()
        && let [Some(row)] = window
    {
        let codes = row.sub(ox * p.in_c, (2 * pairs - 1) * p.in_c + 4 * p.quads());
        return blocks.run::<DUAL>(codes, p.in_c, tile, out, pairs);
    }
    let first = (ox * p.stride_w - p.pad_left) * p.in_c;
    let windows = Windows {
        rows: window,
        span: Span { first, len: p.row_len(), pad_code: p.pad_code },
        step: p.stride_w * p.in_c,
        aside: aside(p, scratch),
        last: p.others().div_ceil(4),
    };
    blocks.windows::<DUAL>(windows, tile, out, pairs);
}

/// Widens the window of output pixel `ox` to pixel `slot` of the tile.
#[inline(never)]
fn fill(p: &Params, rows: &[Option<Bytes<'_>>], ox: usize, scratch: Bytes<'_>, slot: usize) {
    let first = (ox * p.stride_w) as isize - p.pad_left as isize;
    // Only a pointwise width may be that of several rows.
    let inside = p.dilation_w == 1 && first >= 0 && (p.pointwise() || first as usize + p.kernel_w <= p.in_w);
    if inside {
        let span = Span { first: first as usize * p.in_c, len: p.row_len(), pad_code: p.pad_code };
        let tile = scratch.sub(0, p.quads() * 16);
        arch::widen_rows(rows, span, tile, slot, aside(p, scratch), p.others().div_ceil(4));
    } else {
        fill_beyond(p, rows, first, scratch, slot);
    }
}

/// The inputs that are put aside.
#[inline(always)]
fn aside<'a>(p: &Params, scratch: Bytes<'a>) -> Bytes<'a> {
    scratch.sub(p.quads() * 16, p.others().next_multiple_of(4))
}

/// [`fill`] where columns of the window are padding, or apart.
#[inline(always)]
fn fill_beyond(p: &Params, rows: &[Option<Bytes<'_>>], first: isize, scratch: Bytes<'_>, slot: usize) {
    let taps = rows::taps(first, p.dilation_w, p.kernel_w, p.in_w);
    let (quads, others) = (p.row_len() / 4, p.row_len() % 4);
    let none = scratch.sub(0, 0);
    let span = |first, len| Span { first, len, pad_code: p.pad_code };
    if p.dilation_w == 1 && p.in_c.is_multiple_of(4) {
        // Whole groups of four are padding, or inside.
        let (begin, end) = (taps.begin * p.in_c, taps.end * p.in_c);
        for (index, row) in rows.iter().enumerate() {
            let tile = scratch.sub(index * quads * 16, quads * 16);
            let after = tile.sub(4 * end, 4 * (p.row_len() - end));
            arch::widen_rows(&[None], span(0, begin), tile, slot, none, 0);
            let inside = span(taps.position * p.in_c, end - begin);
            arch::widen_rows(&[*row], inside, tile.sub(4 * begin, 4 * (end - begin)), slot, none, 0);
            arch::widen_rows(&[None], span(0, p.row_len() - end), after, slot, none, 0);
        }
        return;
    }
    let padding = p.others().next_multiple_of(4);
    let gathered = scratch.sub(p.quads() * 16 + padding, p.gathered());
    for i in 0..p.gathered() {
        gathered.set(i, p.pad_code);
    }
    if others == 0 {
        // Nothing is put aside: all rows are one run.
        for (index, row) in rows.iter().enumerate() {
            if let Some(row) = row {
                copy_taps(p, *row, &taps, gathered.sub(index * p.row_len(), p.row_len()));
            }
        }
        let tile = scratch.sub(0, p.quads() * 16);
        arch::widen_rows(&[Some(gathered)], span(0, p.gathered()), tile, slot, none, 0);
        return;
    }
    for (index, row) in rows.iter().enumerate() {
        if let Some(row) = row {
            copy_taps(p, *row, &taps, gathered);
        }
        let tile = scratch.sub(index * quads * 16, quads * 16);
        let aside = aside(p, scratch).sub(index * others, others);
        let source = row.map(|_| gathered);
        arch::widen_rows(&[source], span(0, p.row_len()), tile, slot, aside, 0);
    }
    let last = p.others().div_ceil(4);
    let tile = scratch.sub(rows.len() * quads * 16, last * 16);
    arch::widen_rows(&[Some(aside(p, scratch))], span(0, 4 * last), tile, slot, none, 0);
}

/// Copies the taps of a kernel row that are inside.
#[inline(always)]
fn copy_taps(p: &Params, row: Bytes<'_>, taps: &rows::Taps, to: Bytes<'_>) {
    if p.dilation_w == 1 {
        let (at, from) = (taps.begin * p.in_c, taps.position * p.in_c);
        for i in 0..(taps.end - taps.begin) * p.in_c {
            to.set(at + i, row.get(from + i));
        }
        return;
    }
    let mut from = taps.position * p.in_c;
    for tap in taps.begin..taps.end {
        for channel in 0..p.in_c {
            to.set(tap * p.in_c + channel, row.get(from + channel));
        }
        from += p.dilation_w * p.in_c;
    }
}
