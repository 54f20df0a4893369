//! The primitives in plain Rust.
//!
//! In: runs of activations and of weights. Out: 32-bit sums and int8 codes.
//! Invariant: this file defines the result; a file for a particular
//! instruction set has the same functions and returns the same bits.

use super::super::requant::{self, Out};
use super::super::view::{Bytes, Consts};
pub use super::portable_winograd::{
    winograd_block_bytes, winograd_input, winograd_output, winograd_products,
};

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

/// Bytes of a [block](tiles_2x4) of a weight stream for `quads` groups of four
/// inputs.
#[inline(always)]
pub const fn block_bytes(quads: usize) -> usize {
    32 + 16 * quads
}

/// Widens `len` codes of pixel 0 or 1 of a tile to 16 bits.
///
/// A tile holds `16` bytes for four inputs a, b, c, d of two pixels, as 16-bit
/// numbers: `a0 c0 a1 c1 b0 d0 b1 d1`. What is missing in the last group of four
/// becomes 0. The tile is 4-byte aligned.
#[inline(always)]
pub fn widen(codes: Bytes<'_>, len: usize, tile: Bytes<'_>, pixel: usize) {
    let quads = len.div_ceil(4);
    for quad in 0..quads {
        for i in 0..4 {
            let index = quad * 4 + i;
            let code = if index < len { i16::from(codes.get(index)) } else { 0 };
            tile.set_i16(quad * 8 + (i & 1) * 4 + pixel * 2 + (i >> 1), code);
        }
    }
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
/// tile of `quads` groups of inputs; `stream` is one block, see [`tiles_2x4`].
#[inline(always)]
pub fn sums_2x4<const DUAL: bool>(tile: Bytes<'_>, quads: usize, stream: Consts<'_>) -> [[i32; 4]; 2] {
    [0, 1].map(|pixel| {
        let mut block = Block::start(stream);
        for half in 0..2 * quads {
            let at = half * 4 + pixel * 2;
            block.add::<DUAL>(stream, 16 + half * 8, tile.get_i16(at), tile.get_i16(at + 1));
        }
        block.finish::<DUAL>()
    })
}

/// Four channels a block, at the two pixels of a tile of `quads` groups of
/// inputs: sums, requantized with `k = 0` and saturated to int8, block `i` to
/// `out[pixel][4 * i..]`. Each block's codes of pixel 1 are written before
/// those of pixel 0, so that the two may have one output.
///
/// A block of the stream is `[start i32 x 4][words][m i32 x 4]`, with 16 bytes
/// of words for the inputs a, b, c, d: `[a c of channels 0 1][a c of 2 3][b d of
/// 0 1][b d of 2 3]`. A word holds four weights, of channels A and B:
/// - plain: bytes `A(a) B(a) A(c) B(c)`; starts are the biases of channels
///   `1 0 3 2`.
/// - `DUAL`: 16-bit halves `256 * B(a) + A(a)` and `256 * B(c) + A(c)`; starts
///   are `256 * bias1 + bias0, bias0, 256 * bias3 + bias2, bias2`, modulo 2^32.
///   The accumulator of a channel B must lie within 24 bits.
#[inline(always)]
pub fn tiles_2x4<const DUAL: bool>(
    tile: Bytes<'_>,
    quads: usize,
    stream: Consts<'_>,
    blocks: usize,
    out: [Bytes<'_>; 2],
    zero_point: i32,
) {
    let bytes = block_bytes(quads);
    for index in 0..blocks {
        let block = stream.sub(index * bytes, bytes);
        let [first, second] = sums_2x4::<DUAL>(tile, quads, block);
        store(second, block, quads, out[1], index, zero_point);
        store(first, block, quads, out[0], index, zero_point);
    }
}

#[inline(always)]
fn store(sums: [i32; 4], block: Consts<'_>, quads: usize, out: Bytes<'_>, index: usize, zero_point: i32) {
    for (channel, sum) in sums.into_iter().enumerate() {
        let m = block.i32_at(16 + 16 * quads + 4 * channel);
        let code = requantize(sum, m, 0, Out { zero_point, lo: -128, hi: 127 });
        out.set(4 * index + channel, code);
    }
}

/// The accumulators, biases included, of four channels over `len` codes (at
/// least one); `stream` is one block, see [`tiles_2x4`], for `len` rounded up to
/// groups of four.
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
/// The stream is that of [`tiles_2x4`].
#[inline(always)]
pub fn tiles_1x4<const DUAL: bool>(
    codes: Bytes<'_>,
    len: usize,
    stream: Consts<'_>,
    blocks: usize,
    out: Bytes<'_>,
    zero_point: i32,
) {
    let quads = len.div_ceil(4);
    let bytes = block_bytes(quads);
    for index in 0..blocks {
        let block = stream.sub(index * bytes, bytes);
        store(sums_1x4::<DUAL>(codes, len, block), block, quads, out, index, zero_point);
    }
}

/// Lines of a [strip](pair_up): how far apart two pairs of a line are, in units
/// of 16 bytes.
pub const STRIP_LINES: usize = 10;

/// Pairs up `count` pixels `a` and `b` of four channels, widened to 16 bits, in a
/// strip.
///
/// A strip holds 16 bytes for each pair and line, the 32-bit words of four
/// channels: `a` in the lower half, `b` in the upper one. Pixel `i` of `a` is at
/// `i * steps[0]`, of `b` at `i * steps[1]`; the pair goes to `i * steps[2]` of the
/// strip, all in bytes. The strip is 4-byte aligned.
#[inline(always)]
pub fn pair_up(a: Bytes<'_>, b: Bytes<'_>, strip: Bytes<'_>, steps: [usize; 3], count: usize) {
    for i in 0..count {
        for channel in 0..4 {
            let at = i * steps[2] / 2 + 2 * channel;
            strip.set_i16(at, i16::from(a.get(i * steps[0] + channel)));
            strip.set_i16(at + 1, i16::from(b.get(i * steps[1] + channel)));
        }
    }
}

/// What a 3 x 3 depthwise convolution of one channel needs: `[bias, m]`, then for
/// each line of the kernel the taps `0 1` and `1 2` as lower and upper halves.
pub type Taps3x3 = [i32; 8];

/// Where [`depthwise_3x3`] writes: in bytes.
#[derive(Clone, Copy)]
pub struct Steps {
    /// From one output to the next along the pairs.
    pub along: usize,
    /// From one line of outputs to the next.
    pub line: usize,
}

/// A 3 x 3 depthwise convolution of one channel with stride `STRIDE` (1 or 2),
/// from a strip of pairs: `groups` times four outputs along the pairs, on `lines`
/// lines; requantized with `k = 0` and saturated to int8. `strip` begins at the
/// channel's word of the first pair and line.
#[inline(always)]
pub fn depthwise_3x3<const STRIDE: usize>(
    strip: Bytes<'_>,
    taps: &Taps3x3,
    out: Bytes<'_>,
    steps: Steps,
    (groups, lines): (usize, usize),
    zero_point: i32,
) {
    let [bias, m, words @ ..] = *taps;
    let tap = |line: usize, at: usize| match at {
        0 => i32::from(words[2 * line] as i16),
        1 => words[2 * line] >> 16,
        _ => words[2 * line + 1] >> 16,
    };
    for index in 0..4 * groups {
        for line in 0..lines {
            let mut acc = bias;
            for kernel_line in 0..3 {
                for at in 0..3 {
                    let (x, y) = (index * STRIDE + at, line * STRIDE + kernel_line);
                    let element = (x / 2 * STRIP_LINES + y) * 8 + x % 2;
                    let product = i32::from(strip.get_i16(element)).wrapping_mul(tap(kernel_line, at));
                    acc = acc.wrapping_add(product);
                }
            }
            let code = requantize(acc, m, 0, Out { zero_point, lo: -128, hi: 127 });
            out.set(index * steps.along + line * steps.line, code);
        }
    }
}
