//! Convolution 3 x 3, stride 1, without groups, in Winograd's way: exactly, on
//! integers, with fewer multiplications than the convolution has.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][out_c]`. Invariant: a position
//! outside the input reads as `pad_code`; requantization has no shift;
//! all arithmetic is exact modulo 2^32 (docs/numerics.md says
//! why that is enough), so that the codes are those of the plain convolution.
//!
//! A tile of `tile_h` x `tile_w` outputs is made from two rows and columns more of
//! input: these are transformed once, multiplied position by position with
//! weights that were transformed when the model was compiled, and summed over the
//! channels; what comes out is transformed back.
//!
//! Constants, for every four output channels: `[bias i32 x 4][m i32 x 4][weights
//! i16: position][pair of inputs][channel][2]`. A pair is two inputs that lie two
//! apart: 0 and 2, 1 and 3, 4 and 6, and so on; inputs and channels that fill up
//! the last group of four have weights of 0. The bias holds the layer's bias minus
//! the input's zero point times the sum of the channel's weights.

use super::super::arch;
use super::super::requant::Out;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};

/// A convolution. Sizes and pads are in rows, columns and channels.
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
    /// Rows of padding above the input.
    pub pad_top: usize,
    /// Columns of padding left of the input.
    pub pad_left: usize,
    /// What positions outside the input read as.
    pub pad_code: i8,
    /// Rows of outputs that are made at once: 2 or 4.
    pub tile_h: usize,
    /// Columns of outputs that are made at once: `tile_h` or 4.
    pub tile_w: usize,
    /// How accumulators become output codes.
    pub out: Out,
}

impl Params {
    /// Positions of a transformed tile.
    const fn positions(&self) -> usize {
        (self.tile_h + 2) * (self.tile_w + 2)
    }

    /// Channels of the input, filled up to a multiple of four.
    const fn filled(&self) -> usize {
        self.in_c.div_ceil(4) * 4
    }
}

/// The transformed inputs of two tiles; then, in one place, the codes of a tile
/// before it is transformed and the products of two tiles.
const fn parts(p: &Params) -> [usize; 3] {
    let transformed = 4 * p.filled() * p.positions();
    let (codes, products) = (p.filled() * p.positions(), 32 * p.positions());
    [transformed, if codes > products { codes } else { products }, 4 * p.tile_h * p.tile_w]
}

/// Private bytes of the arena that the kernel needs, 4-byte aligned.
pub const fn scratch_bytes(p: &Params) -> usize {
    let [transformed, shared, beside] = parts(p);
    transformed + shared + beside
}

/// The whole tensor.
#[inline(always)]
pub fn run(p: &Params, consts: Consts<'_>, input: Bytes<'_>, output: Bytes<'_>, scratch: Bytes<'_>) {
    let (in_row, out_row) = (p.in_w * p.in_c, p.out_w * p.out_c);
    let mut oy = 0;
    while oy < p.out_h {
        let left = p.out_h - oy;
        let count = if left < p.tile_h { left } else { p.tile_h };
        let mut outs = [output; 4];
        for (y, out) in outs.iter_mut().take(count).enumerate() {
            *out = output.sub((oy + y) * out_row, out_row);
        }
        let first = rows::first(oy, 1, p.pad_top);
        let window = rows::window::<6>(input, in_row, first, 1, p.in_h);
        step(p, consts, &window, outs.get(..count).unwrap_or(&[]), scratch);
        oy += count;
    }
}

/// Output rows `y..y + count`, at most `tile_h`, in one step, wherever rows lie.
#[inline(always)]
pub fn run_rows(
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let mut window = [None; 6];
    input.window(rows::first(y, 1, p.pad_top), 1, &mut window);
    let mut outs = [scratch; 4];
    for (oy, out) in (y..y + count).zip(&mut outs) {
        *out = output.run(oy, 1);
    }
    step(p, consts, &window, outs.get(..count).unwrap_or(&[]), scratch);
}

/// `outs.len()` output rows, at most `tile_h`, from the `tile_h + 2` input rows
/// (rows beyond these are not looked at) that begin with the first one's window.
#[inline(always)]
pub fn step(
    p: &Params,
    consts: Consts<'_>,
    rows: &[Option<Bytes<'_>>],
    outs: &[Bytes<'_>],
    scratch: Bytes<'_>,
) {
    // Three variants, of which only those that the parameters ask for are linked.
    match (p.tile_h, p.tile_w) {
        (2, 2) => strip::<4, 4, 2, 2>(p, consts, rows, outs, scratch),
        (2, _) => strip::<4, 6, 2, 4>(p, consts, rows, outs, scratch),
        _ => strip::<6, 6, 4, 4>(p, consts, rows, outs, scratch),
    }
    if (p.out.lo, p.out.hi) != (-128, 127) {
        outs.iter().for_each(|out| arch::clamp_codes(*out, p.out_w * p.out_c, p.out));
    }
}

/// Tiles of `OY` x `OX` outputs from `SY` x `SX` inputs, two at a time along the row.
#[inline(never)]
fn strip<const SY: usize, const SX: usize, const OY: usize, const OX: usize>(
    p: &Params,
    consts: Consts<'_>,
    rows: &[Option<Bytes<'_>>],
    outs: &[Bytes<'_>],
    scratch: Bytes<'_>,
) {
    let pairs = p.filled() / 2;
    let [transformed, shared, beside] = parts(p);
    let inputs = scratch.sub(0, transformed);
    let codes = scratch.sub(transformed, p.filled() * SY * SX);
    let products = scratch.sub(transformed, 32 * SY * SX);
    let beside = scratch.sub(transformed + shared, beside);
    let block_bytes = arch::winograd_block_bytes::<SY, SX>(pairs);
    let mut first = 0;
    while first < p.out_w {
        let tiles = if first + OX < p.out_w { 2 } else { 1 };
        for tile in 0..tiles {
            let from = gather::<SY, SX>(p, rows, rows::first(first + tile * OX, 1, p.pad_left), codes);
            arch::winograd_input::<SY, SX>(from, p.filled(), pairs / 2, inputs, tile);
        }
        let mut channel = 0;
        let mut at = 0;
        while channel < p.out_c {
            let block = consts.sub(at, block_bytes);
            let left = p.out_c - channel;
            let channels = if left < 4 { left } else { 4 };
            arch::winograd_products::<SY, SX>(inputs, pairs, block, products);
            for tile in 0..tiles {
                let column = first + tile * OX;
                let products = products.sub(16 * tile, 32 * SY * SX - 16 * tile);
                let left = p.out_w - column;
                if left >= OX && outs.len() == OY {
                    let mut to = [beside; OY];
                    for (to, out) in to.iter_mut().zip(outs) {
                        *to = out.sub(column * p.out_c + channel, (OX - 1) * p.out_c + channels);
                    }
                    arch::winograd_output::<SY, SX, OY, OX>(
                        products,
                        block,
                        to,
                        p.out_c,
                        channels,
                        p.out.zero_point,
                    );
                } else {
                    // Outputs that do not exist are computed, but beside the tensor.
                    let mut to = [beside; OY];
                    for (y, to) in to.iter_mut().enumerate() {
                        *to = beside.sub(y * 4 * OX, 4 * OX);
                    }
                    arch::winograd_output::<SY, SX, OY, OX>(
                        products,
                        block,
                        to,
                        4,
                        channels,
                        p.out.zero_point,
                    );
                    let width = if left < OX { left } else { OX };
                    for (to, out) in to.into_iter().zip(outs) {
                        for x in 0..width {
                            let pixel = out.sub((column + x) * p.out_c + channel, channels);
                            for i in 0..channels {
                                pixel.set(i, to.get(4 * x + i));
                            }
                        }
                    }
                }
            }
            channel += 4;
            at += block_bytes;
        }
        first += 2 * OX;
    }
}

/// The rows of a tile from column `first` on: where they lie if all their columns
/// and groups of four channels exist, otherwise copied to `codes`.
#[inline(always)]
fn gather<'a, const SY: usize, const SX: usize>(
    p: &Params,
    rows: &[Option<Bytes<'a>>],
    first: isize,
    codes: Bytes<'a>,
) -> [Bytes<'a>; SY] {
    let filled = p.filled();
    let inside = first >= 0 && first as usize + SX <= p.in_w && p.in_c == filled;
    let mut from = [codes; SY];
    for (y, from) in from.iter_mut().enumerate() {
        *from = match rows.get(y).copied().flatten() {
            Some(row) if inside => row.sub(first as usize * filled, SX * filled),
            row => {
                let to = codes.sub(y * SX * filled, SX * filled);
                copy::<SX>(p, row, first, to);
                to
            }
        };
    }
    from
}

/// Copies the columns of a row from `first` on, with their padding.
#[inline(never)]
fn copy<const S: usize>(p: &Params, row: Option<Bytes<'_>>, first: isize, to: Bytes<'_>) {
    let (filled, all) = (p.filled(), S * p.filled());
    let Some(row) = row else {
        to.fill(p.pad_code, all);
        return;
    };
    let taps = rows::taps(first, 1, S, p.in_w);
    let (before, end) = (taps.begin * filled, taps.end * filled);
    let from = row.sub(taps.position * p.in_c, (taps.end - taps.begin) * p.in_c);
    if before > 0 {
        to.fill(p.pad_code, before);
    }
    if end < all {
        to.sub(end, all - end).fill(p.pad_code, all - end);
    }
    if p.in_c == filled {
        to.sub(before, end - before).copy_from(from, end - before);
        return;
    }
    let (mut at, mut pixel) = (0, before);
    while pixel < end {
        for i in 0..filled {
            to.set(pixel + i, if i < p.in_c { from.get(at + i) } else { p.pad_code });
        }
        at += p.in_c;
        pixel += filled;
    }
}
