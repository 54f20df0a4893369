//! `conv_tile` with biases that differ at borders.
//!
//! In and out: as `conv_tile` says; the classes of `borders` follow its constants.
//! Invariant: a pixel's sums, with what its class adds, are requantized as those of all
//! others. Pixels that add nothing are done as there, in pairs side by side; a pair with
//! one that does leaves the inner loop with its sums. Pixels know their rows, so that
//! those of a pointwise convolution are not one row.

use super::super::arch;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};
use super::blocks::Blocks;
use super::borders::{Borders, Extra};
pub use super::conv_tile::{Layer, Params};
use super::conv_tile::{many, one, size};

/// The whole tensor; `KH` is `p.kernel_h`.
#[inline(always)]
pub fn run<const KH: usize>(
    p: &Layer,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let (in_row, out_row) = (size(p.in_w) * size(p.in_c), size(p.out_w) * size(p.out_c));
    let mut window = [Some(input); KH];
    for oy in 0..size(p.out_h) {
        let first = rows::first(oy, size(p.stride_h), size(p.pad_top));
        rows::fill(&mut window, input, in_row, first, size(p.dilation_h), size(p.in_h));
        step(p, consts, oy, &window, &[output.sub(oy * out_row, out_row)], scratch);
    }
}

/// Output rows `y..y + count`, in one step, wherever rows lie; `WINDOW` is at least
/// `p.kernel_h * count`, `COUNT` at least `count`.
#[inline(always)]
pub fn run_rows<const WINDOW: usize, const COUNT: usize>(
    p: &Layer,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let mut window = [None; WINDOW];
    let mut outs = [scratch; COUNT];
    let windows = window.chunks_exact_mut(size(p.kernel_h));
    for (oy, (rows, out)) in (y..y + count).zip(windows.zip(&mut outs)) {
        input.window(rows::first(oy, size(p.stride_h), size(p.pad_top)), size(p.dilation_h), rows);
        *out = output.run(oy, 1);
    }
    step(p, consts, y, &window, outs.get(..count).unwrap_or(&outs), scratch);
}

/// `outs.len()` output rows from row `y` on, from the `kernel_h` input rows of each
/// one's window, window after window.
#[inline(always)]
pub fn step(
    p: &Layer,
    consts: Consts<'_>,
    y: usize,
    rows: &[Option<Bytes<'_>>],
    outs: &[Bytes<'_>],
    scratch: Bytes<'_>,
) {
    // As in `conv_tile`: one copy for all layers, variants that nobody asks for left out.
    let layer = arch::opaque(p);
    match (p.dual, !p.shifts) {
        (true, true) => variant::<true, true>(layer, consts, y, rows, outs, scratch),
        (true, false) => variant::<true, false>(layer, consts, y, rows, outs, scratch),
        (false, true) => variant::<false, true>(layer, consts, y, rows, outs, scratch),
        (false, false) => variant::<false, false>(layer, consts, y, rows, outs, scratch),
    }
    if !p.shifts && (p.lo, p.hi) != (i8::MIN, i8::MAX) {
        let codes = size(p.out_w) * size(p.out_c);
        outs.iter().for_each(|out| arch::clamp_codes(*out, codes, p.out()));
    }
}

#[inline(never)]
fn variant<const DUAL: bool, const SATURATES: bool>(
    p: &Layer,
    consts: Consts<'_>,
    y: usize,
    rows: &[Option<Bytes<'_>>],
    outs: &[Bytes<'_>],
    scratch: Bytes<'_>,
) {
    let (width, channels, tile_step) = (size(p.out_w), size(p.out_c), size(p.tile_step));
    let blocks = p.blocks(consts, scratch);
    let borders = Borders::new(consts, blocks.bytes(), [size(p.out_h), width, channels], y);
    let tiles = scratch.sub(0, size(p.strip_bytes));
    // A last pixel without a neighbour waits for the first one of the next row.
    let mut waiting: Option<(Bytes<'_>, Extra<'_>)> = None;
    let mut next_rows = rows;
    for (row, out) in outs.iter().enumerate() {
        let (window, rest) = next_rows.split_at_checked(size(p.kernel_h)).unwrap_or((next_rows, &[]));
        next_rows = rest;
        let pixel = |ox: usize| out.sub(ox * channels, channels);
        let mut ox = 0;
        while ox < width {
            if let Some((before, extra)) = waiting.take() {
                one(p, window, ox, scratch, 1);
                let extra = [extra, borders.extra(row, ox)];
                pairs::<DUAL, SATURATES>(blocks, borders, tiles, 0, [before, pixel(ox)], 1, extra);
                ox += 1;
                continue;
            }
            let count = ((width - ox) / 2).min(size(p.strip));
            let count = if p.shares() { many(p, window, width, ox, tiles, count) } else { 0 };
            if count == 0 {
                one(p, window, ox, scratch, 0);
                waiting = Some((pixel(ox), borders.extra(row, ox)));
                ox += 1;
            }
            let mut done = 0;
            while done < count {
                let alike = borders.alike(row, ox, count - done);
                let len = (2 * alike - 1) * channels;
                let to = [out.sub(ox * channels, len), out.sub((ox + 1) * channels, len)];
                let extra = [borders.extra(row, ox), borders.extra(row, ox + 1)];
                let strip = tiles.sub(done * tile_step, (alike - 1) * tile_step + 8 * size(p.words));
                pairs::<DUAL, SATURATES>(blocks, borders, strip, tile_step, to, alike, extra);
                ox += 2 * alike;
                done += alike;
            }
        }
    }
    if let Some((last, extra)) = waiting {
        // Whatever the tile holds as pixel 1, its codes do not stay.
        pairs::<DUAL, SATURATES>(blocks, borders, tiles, 0, [last, last], 1, [extra; 2]);
    }
}

/// Pairs of pixels as `Blocks::two` does them: several that add nothing, or one.
#[inline(never)]
fn pairs<const DUAL: bool, const SATURATES: bool>(
    blocks: Blocks<'_>,
    borders: Borders<'_>,
    tiles: Bytes<'_>,
    step: usize,
    out: [Bytes<'_>; 2],
    count: usize,
    extra: [Extra<'_>; 2],
) {
    if extra[0].is_none() && extra[1].is_none() {
        blocks.two::<DUAL, SATURATES>(tiles, step, out, count);
        return;
    }
    let tile = tiles.sub(0, 8 * blocks.words);
    for block in 0..blocks.channels.div_ceil(4) {
        let [first, second] = arch::sums_2x4::<DUAL>(tile, blocks.words, blocks.block(block));
        blocks.finish(block, borders.add(extra[1], 4 * block, second), out[1]);
        blocks.finish(block, borders.add(extra[0], 4 * block, first), out[0]);
    }
}
