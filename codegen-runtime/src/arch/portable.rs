//! The primitives in plain Rust.
//!
//! In: runs of activations and of weights. Out: 32-bit sums and int8 codes.
//! Invariant: this file defines the result; a file for a particular
//! instruction set has the same functions and returns the same bits.

use super::super::requant::{self, Out};
use super::super::view::{Bytes, Consts};
pub use super::portable_columns::{
    Columns, Four, column_place, column_words, widen_columns, widen_fours, widen_pairs,
};
pub use super::portable_elementwise::{
    POOL_WORDS, PixelMaxima, PixelSums, WeightedSum, clamp_codes, look_up, weighted_sum,
};
pub use super::portable_lanes::{
    LANES, Taps, Windows, copy_columns, depthwise_group_bytes, depthwise_lanes, depthwise_place, lanes,
    lanes_block_bytes,
};
pub use super::portable_window::{column_sums, pair_windows, requantize_four, window_sums};
pub use super::portable_winograd::{
    winograd_block_bytes, winograd_input, winograd_output, winograd_products,
};

/// Parameters as a value that the compiler knows nothing of, where a file for an
/// instruction set can hide it: a kernel that gets them is made once for all layers,
/// and not once more for what it knows of each.
#[inline(always)]
pub fn opaque<T>(params: &T) -> &T {
    params
}

/// A count that the compiler knows nothing of, where a file for an instruction set can
/// hide it: loops that take little of the time are not unrolled.
#[inline(always)]
pub fn opaque_count(count: usize) -> usize {
    count
}

/// `N` dot products of the same `len` activations with `N` runs of int8
/// weights that start `stride` bytes apart, as wrapping 32-bit sums.
#[inline(always)]
pub fn dots<const N: usize>(
    activations: Bytes<'_>,
    weights: Consts<'_>,
    stride: usize,
    len: usize,
) -> [i32; N] {
    let mut sums = [0i32; N];
    for i in 0..len {
        let activation = i32::from(activations.get(i));
        for (n, sum) in sums.iter_mut().enumerate() {
            let weight = i32::from(weights.i8_at(n * stride + i));
            *sum = sum.wrapping_add(activation * weight);
        }
    }
    sums
}

/// The sums of `N` runs of `len` int8 weights that start `stride` bytes apart:
/// what a window has beyond the edge of its input, where all activations are
/// one code.
#[inline(always)]
pub fn sums<const N: usize>(weights: Consts<'_>, stride: usize, len: usize) -> [i32; N] {
    let mut sums = [0i32; N];
    for i in 0..len {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum = sum.wrapping_add(i32::from(weights.i8_at(n * stride + i)));
        }
    }
    sums
}

/// See [`requant::requantize`].
#[inline(always)]
pub fn requantize(acc: i32, m: i32, k: u32, out: Out) -> i8 {
    requant::requantize(acc, m, k, out)
}

/// Bytes of a [block](tiles_2x4) of a weight stream for `words` words of two inputs.
#[inline(always)]
pub const fn block_bytes(words: usize) -> usize {
    32 + 8 * words
}

/// A block's accumulators as they run: channels 1 and 3 together with 0 and 2
/// where weights are packed in pairs.
#[derive(Clone, Copy)]
struct Block([i32; 4]);

impl Block {
    #[inline(always)]
    fn start(stream: Consts<'_>) -> Self {
        Block([0, 1, 2, 3].map(|i| stream.i32_at(i * 4)))
    }

    /// Two inputs times two words of weights, at byte `at` of the stream.
    #[inline(always)]
    fn add<const DUAL: bool>(&mut self, stream: Consts<'_>, at: usize, first: i16, second: i16) {
        let (first, second) = (i32::from(first), i32::from(second));
        for pair in 0..2 {
            let word = stream.i32_at(at + pair * 4);
            let low = |word: i32| i32::from(word as i8) * first + i32::from((word >> 16) as i8) * second;
            let other = if DUAL {
                let upper = (word >> 16).wrapping_mul(second);
                i32::from(word as i16).wrapping_mul(first).wrapping_add(upper)
            } else {
                low(word >> 8)
            };
            self.0[pair * 2] = self.0[pair * 2].wrapping_add(other);
            self.0[pair * 2 + 1] = self.0[pair * 2 + 1].wrapping_add(low(word));
        }
    }

    /// The accumulators of the four channels.
    #[inline(always)]
    fn finish<const DUAL: bool>(self) -> [i32; 4] {
        let [b, a, d, c] = self.0;
        if DUAL { [a, b.wrapping_sub(a) >> 8, c, d.wrapping_sub(c) >> 8] } else { [a, b, c, d] }
    }
}

/// The accumulators, biases included, of four channels at the two pixels of a
/// tile of at least two words; `stream` is one block, see [`tiles_2x4`].
#[inline(always)]
pub fn sums_2x4<const DUAL: bool>(tile: Bytes<'_>, words: usize, stream: Consts<'_>) -> [[i32; 4]; 2] {
    [0, 1].map(|pixel| {
        let mut block = Block::start(stream);
        for word in 0..words {
            let at = word * 4 + pixel * 2;
            block.add::<DUAL>(stream, 16 + word * 8, tile.get_i16(at), tile.get_i16(at + 1));
        }
        block.finish::<DUAL>()
    })
}

/// Where tiles lie: `step` bytes from one to the next, each of `words` words of two
/// inputs (at least two words), see `portable_columns.rs`.
#[derive(Clone, Copy)]
pub struct Tiles<'a> {
    /// The first one, 4-byte aligned.
    pub tiles: Bytes<'a>,
    /// A multiple of 4.
    pub step: usize,
    /// Words of each.
    pub words: usize,
    /// How many.
    pub pairs: usize,
}

/// `channels` channels at the two pixels of each tile: sums, requantized with `k = 0`
/// and saturated to int8. The outputs of one tile are `out`, those of the next one lie
/// two pixels further: where there are several tiles, all pixels lie one after the other.
/// Each block's codes of pixel 1 are written before those of pixel 0, so that the two of
/// a single tile may have one output.
///
/// The stream holds a block for every four channels; the block of those that are left is
/// `last`, which is not read where there are none, and of which only the channels that exist
/// matter. A block is `[start i32 x 4][words][m i32 x 4]`, with 8 bytes of words
/// for each word of inputs a, b: `[channels 0 1][channels 2 3]`. A word holds four
/// weights, of channels A and B:
/// - plain: bytes `A(a) B(a) A(b) B(b)`; starts are the biases of channels
///   `1 0 3 2`.
/// - `DUAL`: 16-bit halves `256 * B(a) + A(a)` and `256 * B(b) + A(b)`; starts
///   are `256 * bias1 + bias0, bias0, 256 * bias3 + bias2, bias2`, modulo 2^32.
///   The accumulator of a channel B must lie within 24 bits.
#[inline(always)]
pub fn tiles_2x4<const DUAL: bool>(
    tiles: Tiles<'_>,
    stream: Consts<'_>,
    last: Consts<'_>,
    channels: usize,
    out: [Bytes<'_>; 2],
    zero_point: i32,
) {
    let Tiles { tiles, step, words, pairs } = tiles;
    let bytes = block_bytes(words);
    for pair in 0..pairs {
        let tile = tiles.sub(pair * step, 8 * words);
        for first in (0..channels).step_by(4) {
            let count = (channels - first).min(4);
            let block = if count < 4 { last.sub(0, bytes) } else { stream.sub(first / 4 * bytes, bytes) };
            let sums = sums_2x4::<DUAL>(tile, words, block);
            for pixel in [1, 0] {
                let out = out[pixel].sub(2 * pair * channels + first, count);
                store(sums[pixel], block, words, out, count, zero_point);
            }
        }
    }
}

#[inline(always)]
fn store(sums: [i32; 4], block: Consts<'_>, words: usize, out: Bytes<'_>, count: usize, zero_point: i32) {
    for (channel, sum) in sums.into_iter().enumerate().take(count) {
        let m = block.i32_at(16 + 8 * words + 4 * channel);
        out.set(channel, requantize(sum, m, 0, Out { zero_point, lo: -128, hi: 127 }));
    }
}

/// The accumulators, biases included, of four channels over `len` codes (at
/// least one); `stream` is one block, see [`tiles_2x4`], of two words for every group
/// of four codes a, b, c, d: (a, c) and (b, d).
#[inline(always)]
pub fn sums_1x4<const DUAL: bool>(codes: Bytes<'_>, len: usize, stream: Consts<'_>) -> [i32; 4] {
    let mut block = Block::start(stream);
    let code = |index: usize| if index < len { i16::from(codes.get(index)) } else { 0 };
    for half in 0..2 * len.div_ceil(4) {
        let first = (half >> 1) * 4 + (half & 1);
        block.add::<DUAL>(stream, 16 + half * 8, code(first), code(first + 2));
    }
    block.finish::<DUAL>()
}

/// Four channels a block over the same `len` codes (at least one): sums,
/// requantized with `k = 0` and saturated to int8, block `i` to `out[4 * i..]`.
/// The stream is that of [`sums_1x4`].
#[inline(always)]
pub fn tiles_1x4<const DUAL: bool>(
    codes: Bytes<'_>,
    len: usize,
    stream: Consts<'_>,
    blocks: usize,
    out: Bytes<'_>,
    zero_point: i32,
) {
    let words = 2 * len.div_ceil(4);
    let bytes = block_bytes(words);
    for index in 0..blocks {
        let block = stream.sub(index * bytes, bytes);
        let sums = sums_1x4::<DUAL>(codes, len, block);
        store(sums, block, words, out.sub(4 * index, 4), 4, zero_point);
    }
}

/// Columns of a [strip](Part::strip).
pub const STRIP_COLUMNS: usize = 18;

/// Two rows of pixels that are paired up, column by column.
#[derive(Clone, Copy)]
pub struct RowPair<'a> {
    rows: [Bytes<'a>; 2],
    steps: [usize; 2],
}

impl<'a> RowPair<'a> {
    /// Pixels of the rows are `steps` bytes apart. A row of padding has step 0 and
    /// four bytes, which stand for all of its channels and columns; of the others
    /// no more than `reach` bytes are read.
    #[inline(always)]
    pub fn new(rows: [Bytes<'a>; 2], steps: [usize; 2], reach: usize) -> Self {
        let runs = |at: usize| rows[at].sub(0, if steps[at] == 0 { 4 } else { reach });
        RowPair { rows: [runs(0), runs(1)], steps }
    }

    /// Byte `index` of both rows in a column.
    #[inline(always)]
    fn at(&self, column: usize, channel: usize, index: usize) -> [i16; 2] {
        [0, 1].map(|row| {
            let from = if self.steps[row] == 0 { 0 } else { column * self.steps[row] + channel };
            i16::from(self.rows[row].get(from + index))
        })
    }
}

/// A part of a depthwise convolution: all channels, at least four, of some outputs.
#[derive(Clone, Copy)]
pub struct Part<'a, Pair> {
    /// The rows of the windows, two by two.
    pub pairs: &'a [Pair],
    /// Scratch, 4-byte aligned: of the four channels at hand 16 bytes for each pair of
    /// rows and column, their 32-bit words, the upper row in the lower half, the lower
    /// row in the upper one. Pairs are [`STRIP_COLUMNS`] columns apart. What is in it
    /// beyond the windows of the outputs does not matter, but it reaches to those of
    /// even numbers of rows and columns.
    pub strip: Bytes<'a>,
    /// The first column that the rows of the pairs go to, and how many: the others
    /// hold padding.
    pub inside: (usize, usize),
    /// For every four channels 68 bytes, `[bias i32, m i32] x 4, [weights i8: 9 taps in rows]
    /// x 4`; for `n` of one to three that are left `16 n + 4`: `[bias, m] x n`, `4 - n` bytes
    /// that mean nothing, `[weights] x n`.
    pub consts: Consts<'a>,
    /// Outputs, pixels `channels` bytes apart.
    pub out: Bytes<'a>,
    /// Channels.
    pub channels: usize,
    /// Bytes from one row of outputs to the next.
    pub out_row: usize,
    /// Outputs along a row.
    pub columns: usize,
    /// Rows of outputs.
    pub rows: usize,
    /// The code of real zero in the output.
    pub zero_point: i32,
}

/// A 3 x 3 depthwise convolution with stride 1 or 2, requantized with
/// `k = 0` and saturated to int8. Of four channels everything is read before their
/// outputs are written.
#[inline(always)]
pub fn depthwise_3x3(stride: usize, part: Part<'_, RowPair<'_>>) {
    for group in 0..part.channels.div_ceil(4) {
        let channel = (4 * group).min(part.channels - 4);
        let skip = 4 * group - channel;
        let consts = part.consts.sub(group * 68, 68 - 16 * skip);
        pair_rows(&part, channel);
        for y in 0..part.rows {
            for x in 0..part.columns {
                let out = part.out.sub(y * part.out_row + x * part.channels + channel, 4);
                window(stride, &part, consts, skip, (y, x), out);
            }
        }
    }
}

/// Widens the four channels from `channel` on to 16 bits, in the strip.
#[inline(always)]
fn pair_rows(part: &Part<'_, RowPair<'_>>, channel: usize) {
    let (first, columns) = part.inside;
    for (index, pair) in part.pairs.iter().enumerate() {
        for column in 0..columns {
            for i in 0..4 {
                let [upper, lower] = pair.at(column, channel, i);
                let element = (index * STRIP_COLUMNS + first + column) * 8 + 2 * i;
                part.strip.set_i16(element, upper);
                part.strip.set_i16(element + 1, lower);
            }
        }
    }
}

/// Four channels of an output but for the first `skip`, which `consts` does not have.
#[inline(always)]
fn window(
    stride: usize,
    part: &Part<'_, RowPair<'_>>,
    consts: Consts<'_>,
    skip: usize,
    (y, x): (usize, usize),
    out: Bytes<'_>,
) {
    for channel in skip..4 {
        let own = channel - skip;
        let weights = 32 - 7 * skip + 9 * own;
        let mut acc = consts.i32_at(8 * own);
        for ky in 0..3 {
            for kx in 0..3 {
                let (row, column) = (y * stride + ky, x * stride + kx);
                let element = (row / 2 * STRIP_COLUMNS + column) * 8 + 2 * channel + row % 2;
                let weight = i32::from(consts.i8_at(weights + 3 * ky + kx));
                acc = acc.wrapping_add(i32::from(part.strip.get_i16(element)) * weight);
            }
        }
        let m = consts.i32_at(8 * own + 4);
        let to = Out { zero_point: part.zero_point, lo: -128, hi: 127 };
        out.set(channel, requantize(acc, m, 0, to));
    }
}
