//! Convolution without groups, two pixels and four channels at once: any
//! kernel, stride, padding and dilation.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][out_c]`. Invariant: a position
//! outside the input reads as `pad_code`; both pixels of a pair are read before
//! the first is written.
//!
//! The window of a pixel is widened to 16 bits once, kernel row by kernel row;
//! each kernel row is filled up to a multiple of four inputs.
//!
//! Constants: see `blocks`; the inputs are `[kernel_h][kernel_w * in_c, filled up
//! to a multiple of 4 with weights of 0]`.

use super::super::arch;
use super::super::requant::Out;
use super::super::rows;
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
    /// Groups of four inputs of a kernel row.
    const fn row_quads(&self) -> usize {
        (self.kernel_w * self.in_c).div_ceil(4)
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
/// widened windows, and a kernel row where columns are padding.
pub const fn scratch_bytes(p: &Params) -> usize {
    let gathered = if p.pointwise() { 0 } else { p.row_quads() * 4 };
    p.kernel_h * p.row_quads() * 16 + gathered
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
    let quads = p.kernel_h * p.row_quads();
    let blocks = Blocks { consts, channels: p.out_c, quads, shifts: p.shifts, out: p.out };
    let tile = scratch.sub(0, quads * 16);
    let mut waiting = None;
    let mut rows = rows.iter();
    for out in outs {
        let mut first = -(p.pad_left as isize);
        for ox in 0..width {
            let pixel = out.sub(ox * p.out_c, p.out_c);
            let slot = usize::from(waiting.is_some());
            fill(p, rows.clone(), first, scratch, slot);
            waiting = match waiting {
                Some(before) => {
                    blocks.two::<DUAL, SATURATES>(tile, [before, pixel]);
                    None
                }
                None => Some(pixel),
            };
            first += p.stride_w as isize;
        }
        for _ in 0..p.kernel_h {
            rows.next();
        }
    }
    if let Some(last) = waiting {
        // Whatever the tile holds as pixel 1, its codes do not stay.
        blocks.two::<DUAL, SATURATES>(tile, [last, last]);
    }
}

/// Widens the window whose first column is `first` to pixel `slot` of the tile.
#[inline(always)]
fn fill<'a>(
    p: &Params,
    rows: impl Iterator<Item = &'a Option<Bytes<'a>>>,
    first: isize,
    scratch: Bytes<'_>,
    slot: usize,
) {
    let len = p.kernel_w * p.in_c;
    let row_tile = p.row_quads() * 16;
    // Only a pointwise width may be that of several rows.
    let inside = p.dilation_w == 1 && first >= 0 && (p.pointwise() || first as usize + p.kernel_w <= p.in_w);
    let mut at = 0;
    for row in rows.take(p.kernel_h) {
        let tile = scratch.sub(at, row_tile);
        match row {
            Some(row) if inside => {
                arch::widen(row.sub(first as usize * p.in_c, len), len, tile, slot);
            }
            Some(row) => {
                let gathered = scratch.sub(p.kernel_h * row_tile, len);
                gather(p, *row, first, gathered);
                arch::widen(gathered, len, tile, slot);
            }
            None => {
                let code = i32::from(p.pad_code);
                let pair = (code << 16) | (code & 0xFFFF);
                for word in 0..2 * p.row_quads() {
                    tile.set_i32(2 * word + slot, pair);
                }
            }
        }
        at += row_tile;
    }
}

/// Copies a kernel row whose first column is `first`, with its padding.
#[inline(never)]
fn gather(p: &Params, row: Bytes<'_>, first: isize, to: Bytes<'_>) {
    let len = p.kernel_w * p.in_c;
    let taps = rows::taps(first, p.dilation_w, p.kernel_w, p.in_w);
    if p.dilation_w > 1 {
        to.fill(p.pad_code, len);
        let mut position = taps.position;
        for tap in taps.begin..taps.end {
            to.sub(tap * p.in_c, p.in_c).copy_from(row.sub(position * p.in_c, p.in_c), p.in_c);
            position += p.dilation_w;
        }
        return;
    }
    let (before, inside) = (taps.begin * p.in_c, (taps.end - taps.begin) * p.in_c);
    let from = row.sub(taps.position * p.in_c, inside);
    if len <= 16 {
        // Calls that fill and copy cost more than so few bytes.
        for i in 0..len {
            let at = i.wrapping_sub(before);
            to.set(i, if at < inside { from.get(at) } else { p.pad_code });
        }
    } else {
        to.fill(p.pad_code, before);
        to.sub(before, inside).copy_from(from, inside);
        to.sub(before + inside, len - before - inside).fill(p.pad_code, len - before - inside);
    }
}
