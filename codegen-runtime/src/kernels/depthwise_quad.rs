//! Depthwise convolution 3 x 3, stride 1 or 2, four channels at a time.
//!
//! In: `[in_h][in_w][channels]`. Out: `[out_h][out_w][channels]`; the number of
//! channels is a multiple of 4. Invariant: a position outside the input reads as
//! `pad_code`; requantization has no shift and saturates to int8. Input and
//! output lie apart.
//!
//! Neighbouring pixels of four channels are paired up in a strip of scratch, once
//! for all windows that read them: along the columns, or along the rows where
//! these make fuller groups of four.
//!
//! Constants, for every four channels: `[bias i32 x 4][m i32 x 4][weights i8: 9 taps
//! in rows][4]`. The bias holds the layer's bias minus the input's zero point times
//! the sum of the channel's weights.

use super::super::arch::{self, STRIP_LINES, Steps, Taps3x3};
use super::super::rows;
use super::super::view::{Bytes, Consts};

/// A depthwise convolution. Sizes, strides and pads are in rows, columns and
/// channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows of the input.
    pub in_h: usize,
    /// Columns of the input.
    pub in_w: usize,
    /// Channels: a multiple of 4.
    pub channels: usize,
    /// Rows of the output.
    pub out_h: usize,
    /// Columns of the output.
    pub out_w: usize,
    /// Input rows and columns from one output to the next: 1 or 2.
    pub stride: usize,
    /// Rows of padding above the input.
    pub pad_top: usize,
    /// Columns of padding left of the input.
    pub pad_left: usize,
    /// What positions outside the input read as.
    pub pad_code: i8,
    /// Whether pixels are paired with those below instead of those to the right.
    pub down: bool,
    /// The code of real zero in the output.
    pub zero_point: i32,
}

impl Params {
    /// The most rows that [`step`] computes at once.
    pub const fn step_rows(&self) -> usize {
        let most = if self.down { LONGEST } else { self.strip_outputs() };
        if most < self.out_h { most } else { self.out_h }
    }

    /// Lines of outputs that a strip has room for.
    const fn strip_outputs(&self) -> usize {
        if self.stride == 1 { STRIP_LINES - 2 } else { (STRIP_LINES - 2) / 2 }
    }

    /// Pairs that four times as many groups of outputs read.
    const fn pairs(&self, outputs: usize) -> usize {
        outputs.div_ceil(4) * 2 * self.stride + 1
    }
}

/// Outputs down the rows in one step: what bounds its scratch.
const LONGEST: usize = 28;
/// Input rows of the longest step.
const LONGEST_INPUT: usize = 2 * LONGEST + 1;
const PAIR_BYTES: usize = 16;
const STRIP_PITCH: usize = STRIP_LINES * PAIR_BYTES;

/// Four outputs on as many lines as a strip has.
const BESIDE: usize = 4 * (STRIP_LINES - 2);

/// Private bytes of the arena that the kernel needs, 4-byte aligned: the strip, a
/// pixel of padding, and outputs that do not exist.
pub const fn scratch_bytes(p: &Params) -> usize {
    let along = if p.down { p.step_rows() } else { p.out_w };
    p.pairs(along) * STRIP_PITCH + 4 + BESIDE
}

/// The whole tensor; `KH` is 3.
#[inline(always)]
pub fn run<const KH: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let (in_row, out_row) = (p.in_w * p.channels, p.out_w * p.channels);
    let mut oy = 0;
    while oy < p.out_h {
        let left = p.out_h - oy;
        let count = if left < p.step_rows() { left } else { p.step_rows() };
        let first = rows::first(oy, p.stride, p.pad_top);
        let out = output.sub(oy * out_row, count * out_row);
        if p.down {
            let window = rows::window::<LONGEST_INPUT>(input, in_row, first, 1, p.in_h);
            step(p, consts, &window, out, count, scratch);
        } else {
            let window = rows::window::<STRIP_LINES>(input, in_row, first, 1, p.in_h);
            step(p, consts, &window, out, count, scratch);
        }
        oy += count;
    }
}

/// `count` output rows, one after the other in `out`, at most
/// [`Params::step_rows`]; from input rows that begin with the first one's window.
#[inline(never)]
pub fn step(
    p: &Params,
    consts: Consts<'_>,
    rows: &[Option<Bytes<'_>>],
    out: Bytes<'_>,
    count: usize,
    scratch: Bytes<'_>,
) {
    let out_row = p.out_w * p.channels;
    let (along, across) = if p.down { (count, p.out_w) } else { (p.out_w, count) };
    let steps = if p.down {
        Steps { along: out_row, line: p.channels }
    } else {
        Steps { along: p.channels, line: out_row }
    };
    let strip = scratch.sub(0, p.pairs(along) * STRIP_PITCH);
    let pad = scratch.sub(p.pairs(along) * STRIP_PITCH, 4);
    pad.fill(p.pad_code, 4);
    let beside = scratch.sub(p.pairs(along) * STRIP_PITCH + 4, BESIDE);
    let mut line = 0;
    while line < across {
        let left = across - line;
        let lines = if left < p.strip_outputs() { left } else { p.strip_outputs() };
        let mut channel = 0;
        while channel < p.channels {
            if p.down {
                pair_down(p, rows, (along, line, lines), channel, strip, pad);
            } else {
                pair_right(p, rows, lines, channel, strip, pad);
            }
            let constants = consts.sub(channel * 17, 68);
            let shape = (along, lines);
            let to = out.sub(line * steps.line + channel, (out_row * count) - line * steps.line - channel);
            four_channels(p, constants, strip, [to, beside], steps, shape);
            channel += 4;
        }
        line += lines;
    }
}

/// The four channels that are in the strip.
#[inline(always)]
fn four_channels(
    p: &Params,
    consts: Consts<'_>,
    strip: Bytes<'_>,
    [out, beside]: [Bytes<'_>; 2],
    steps: Steps,
    (along, lines): (usize, usize),
) {
    let (groups, rest) = (along / 4, along % 4);
    let used = p.pairs(along) * STRIP_PITCH;
    for channel in 0..4 {
        let taps = taps(consts, channel, p.down);
        let pairs = strip.sub(4 * channel, used - 4 * channel);
        let out = out.sub(channel, 1 + (along - 1) * steps.along + (lines - 1) * steps.line);
        compute(p, pairs, &taps, out, steps, (groups, lines));
        if rest > 0 {
            // Outputs that do not exist are computed, but beside the tensor.
            let first = groups * 2 * p.stride * STRIP_PITCH;
            let pairs = pairs.sub(first, used - 4 * channel - first);
            compute(p, pairs, &taps, beside, Steps { along: 1, line: 4 }, (1, lines));
            for line in 0..lines {
                for i in 0..rest {
                    let at = (4 * groups + i) * steps.along + line * steps.line;
                    out.set(at, beside.get(4 * line + i));
                }
            }
        }
    }
}

#[inline(always)]
fn compute(
    p: &Params,
    pairs: Bytes<'_>,
    taps: &Taps3x3,
    out: Bytes<'_>,
    steps: Steps,
    shape: (usize, usize),
) {
    if p.stride == 1 {
        arch::depthwise_3x3::<1>(pairs, taps, out, steps, shape, p.zero_point);
    } else {
        arch::depthwise_3x3::<2>(pairs, taps, out, steps, shape, p.zero_point);
    }
}

/// A channel's constants as the primitive wants them; lines of the kernel are
/// its columns where pairs go down.
#[inline(always)]
fn taps(consts: Consts<'_>, channel: usize, down: bool) -> Taps3x3 {
    let weight = |tap: usize| i32::from(consts.i8_at(32 + 4 * tap + channel));
    let (line, along) = if down { (1, 3) } else { (3, 1) };
    let mut taps = [consts.i32_at(4 * channel), consts.i32_at(16 + 4 * channel), 0, 0, 0, 0, 0, 0];
    let [_, _, words @ ..] = &mut taps;
    let mut first = 0;
    for pair in words.chunks_exact_mut(2) {
        if let [left, right] = pair {
            let [a, b, c] = [weight(first), weight(first + along), weight(first + 2 * along)];
            *left = (a & 0xFFFF) | (b << 16);
            *right = (b & 0xFFFF) | (c << 16);
        }
        first += line;
    }
    taps
}

/// Fills the strip with pairs of pixels and their right neighbours, rows being
/// its lines. Lines of padding are written for the first channels, and stay.
#[inline(always)]
fn pair_right(
    p: &Params,
    rows: &[Option<Bytes<'_>>],
    lines: usize,
    channel: usize,
    strip: Bytes<'_>,
    pad: Bytes<'_>,
) {
    let pairs = p.pairs(p.out_w);
    // Pairs `begin..end` lie in the input with both pixels.
    let begin = p.pad_left.div_ceil(2);
    let end = ((p.in_w + p.pad_left) / 2).min(pairs).max(begin);
    let mut at = 0;
    for row in rows.iter().take((lines - 1) * p.stride + 3) {
        let to = |first: usize, count: usize| {
            strip.sub(at + first * STRIP_PITCH, (count - 1) * STRIP_PITCH + PAIR_BYTES)
        };
        if let Some(row) = row {
            let pixel = |pair: usize, second: usize| {
                let x = (2 * pair + second).wrapping_sub(p.pad_left);
                if x < p.in_w { row.sub(x * p.channels + channel, 4) } else { pad }
            };
            for pair in 0..begin {
                arch::pair_up(pixel(pair, 0), pixel(pair, 1), to(pair, 1), [0, 0, 0], 1);
            }
            if end > begin {
                let steps = [2 * p.channels, 2 * p.channels, STRIP_PITCH];
                let first = (2 * begin - p.pad_left) * p.channels + channel;
                let reach = (end - begin - 1) * 2 * p.channels + 4;
                let (a, b) = (row.sub(first, reach), row.sub(first + p.channels, reach));
                arch::pair_up(a, b, to(begin, end - begin), steps, end - begin);
            }
            for pair in end..pairs {
                arch::pair_up(pixel(pair, 0), pixel(pair, 1), to(pair, 1), [0, 0, 0], 1);
            }
        } else if channel == 0 {
            arch::pair_up(pad, pad, to(0, pairs), [0, 0, STRIP_PITCH], pairs);
        }
        at += PAIR_BYTES;
    }
}

/// Fills the strip with pairs of pixels and their lower neighbours, columns being
/// its lines: those that outputs `line..line + lines` read. Lines of padding are
/// written for the first channels, and stay.
#[inline(always)]
fn pair_down(
    p: &Params,
    rows: &[Option<Bytes<'_>>],
    (count, line, lines): (usize, usize, usize),
    channel: usize,
    strip: Bytes<'_>,
    pad: Bytes<'_>,
) {
    let columns = (lines - 1) * p.stride + 3;
    // Of these columns, `begin..end` lie in the input.
    let first = rows::first(line, p.stride, p.pad_left);
    let inside = rows::taps(first, 1, columns, p.in_w);
    let mut rows = rows.iter().take((count - 1) * p.stride + 3);
    let mut at = 0;
    while let Some(upper) = rows.next() {
        let lower = rows.next().copied().flatten();
        let columns_inside = inside.end - inside.begin;
        let [(a, step_a), (b, step_b)] = [*upper, lower].map(|row| match row {
            Some(row) if columns_inside > 0 => {
                let reach = (columns_inside - 1) * p.channels + 4;
                (row.sub(inside.position * p.channels + channel, reach), p.channels)
            }
            _ => (pad, 0),
        });
        let to = |first: usize, count: usize| strip.sub(at + first * PAIR_BYTES, count * PAIR_BYTES);
        if channel == 0 && inside.begin > 0 {
            arch::pair_up(pad, pad, to(0, inside.begin), [0, 0, PAIR_BYTES], inside.begin);
        }
        arch::pair_up(a, b, to(inside.begin, columns_inside), [step_a, step_b, PAIR_BYTES], columns_inside);
        let after = columns - inside.end;
        if channel == 0 && after > 0 {
            arch::pair_up(pad, pad, to(inside.end, after), [0, 0, PAIR_BYTES], after);
        }
        at += STRIP_PITCH;
    }
}
