//! A weight stream in blocks of four channels, which the tile kernels share.
//!
//! In: `[block x ceil(channels / 4)]`, then, if there are shifts, `[k u8 x
//! channels, padded to a multiple of 4]`. A block is what `tiles_2x4` of the
//! primitives describes; channels that fill up the last one have weights,
//! biases and multipliers of 0, or it is [half](halves) a block: the starts, words and
//! multipliers of channels 0 and 1 alone, which become a whole block in scratch. Out: codes.
//! Invariant: nothing is written beyond the channels that exist; the biases hold the
//! layer's bias minus the input's zero point times the sum of the channel's weights, so
//! that kernels multiply raw codes.

use super::super::arch::{self, Tiles};
use super::super::requant::Out;
use super::super::view::{Bytes, Consts};

/// Words of the largest block of which half is left out: it is put together in scratch, of
/// which it takes no more than 544 bytes.
const MOST_WORDS: usize = 64;

/// Words of the smallest one: below, a few bytes of flash are not worth twice of scratch.
const LEAST_WORDS: usize = 12;

/// Whether the last block is stored as half a block: where its second pair of channels does
/// not exist.
pub const fn halves(channels: usize, words: usize) -> bool {
    matches!(channels % 4, 1 | 2) && words >= LEAST_WORDS && words <= MOST_WORDS
}

/// Bytes of all blocks.
pub const fn stream_bytes(channels: usize, words: usize) -> usize {
    let bytes = arch::block_bytes(words);
    if halves(channels, words) { channels / 4 * bytes + bytes / 2 } else { channels.div_ceil(4) * bytes }
}

/// Bytes of scratch that putting the last block together needs.
pub const fn last_bytes(channels: usize, words: usize) -> usize {
    if halves(channels, words) { arch::block_bytes(words) } else { 0 }
}

/// The block of the channels beyond whole fours, if there are any; half a block becomes a
/// whole one in `scratch`, 4-byte aligned, in which channels 2 and 3 are whatever was there.
#[inline(always)]
pub(super) fn last<'a>(consts: Consts<'a>, channels: usize, words: usize, scratch: Bytes<'a>) -> Consts<'a> {
    if arch::HALVES { whole(consts, channels, words, scratch) } else { filled(consts, channels, words) }
}

/// The last block where it is stored as a whole.
#[inline(always)]
fn filled(consts: Consts<'_>, channels: usize, words: usize) -> Consts<'_> {
    let bytes = arch::block_bytes(words);
    consts.sub(channels / 4 * bytes, if channels.is_multiple_of(4) { 0 } else { bytes })
}

/// See [`last`]; one copy for all layers.
#[inline(never)]
fn whole<'a>(consts: Consts<'a>, channels: usize, words: usize, scratch: Bytes<'a>) -> Consts<'a> {
    if !halves(channels, words) {
        return filled(consts, channels, words);
    }
    let bytes = arch::block_bytes(words);
    let at = channels / 4 * bytes;
    let (half, block) = (consts.sub(at, bytes / 2), scratch.sub(0, bytes));
    block.set_i32(0, half.i32_at(0));
    block.set_i32(1, half.i32_at(4));
    // The last one is the first multiplier.
    let mut word = 0;
    while word <= words {
        block.set_i32(4 + 2 * word, half.i32_at(8 + 4 * word));
        word = arch::opaque_count(word + 1);
    }
    block.set_i32(5 + 2 * words, half.i32_at(12 + 4 * words));
    block.constants()
}

/// The constants of a layer.
#[derive(Clone, Copy)]
pub struct Blocks<'a> {
    /// The stream and the shifts.
    pub consts: Consts<'a>,
    /// The block of the channels beyond whole fours, whole.
    pub last: Consts<'a>,
    /// Bytes of the stream.
    pub bytes: usize,
    /// Output channels.
    pub channels: usize,
    /// Words of two inputs.
    pub words: usize,
    /// Whether shifts `k` follow the blocks; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

impl<'a> Blocks<'a> {
    /// All blocks of four channels.
    #[inline(always)]
    fn fours(self) -> Consts<'a> {
        self.consts.sub(0, self.channels / 4 * arch::block_bytes(self.words))
    }

    /// A block.
    #[inline(always)]
    pub(super) fn block(self, index: usize) -> Consts<'a> {
        let bytes = arch::block_bytes(self.words);
        if 4 * index + 4 > self.channels { self.last } else { self.consts.sub(index * bytes, bytes) }
    }

    /// Bytes of blocks and shifts.
    #[inline(always)]
    pub(super) fn bytes(self) -> usize {
        self.bytes + if self.shifts { self.channels } else { 0 }
    }

    /// All channels at the two pixels of each of `pairs` tiles that lie `step` bytes
    /// apart. With `SATURATES`, for layers without shifts, codes are saturated to int8: to
    /// [clamp](arch::clamp_codes) them is the caller's. `out` is the first tile's, the next one's
    /// lies two pixels further. The two outputs of a single tile may be one: then it is
    /// pixel 0's.
    #[inline(always)]
    pub fn two<const DUAL: bool, const SATURATES: bool>(
        self,
        tiles: Bytes<'_>,
        step: usize,
        out: [Bytes<'_>; 2],
        pairs: usize,
    ) {
        if SATURATES {
            let tiles = Tiles { tiles, step, words: self.words, pairs };
            let zero_point = self.out.zero_point;
            arch::tiles_2x4::<DUAL>(tiles, self.fours(), self.last, self.channels, out, zero_point);
            return;
        }
        for pair in 0..pairs {
            let tile = tiles.sub(pair * step, 8 * self.words);
            let out = out.map(|out| out.sub(2 * pair * self.channels, self.channels));
            for block in 0..self.channels.div_ceil(4) {
                let [first, second] = arch::sums_2x4::<DUAL>(tile, self.words, self.block(block));
                self.finish(block, second, out[1]);
                self.finish(block, first, out[0]);
            }
        }
    }

    /// All channels over one run of `len` codes; `SATURATES` as in [`Blocks::two`].
    #[inline(always)]
    pub fn one<const DUAL: bool, const SATURATES: bool>(self, codes: Bytes<'_>, len: usize, out: Bytes<'_>) {
        let (whole, rest) = (self.channels / 4, self.channels % 4);
        if SATURATES {
            let zero_point = self.out.zero_point;
            arch::tiles_1x4::<DUAL>(codes, len, self.fours(), whole, out, zero_point);
            if rest > 0 {
                let mut last = [0i8; 4];
                let last = Bytes::from_mut(&mut last);
                arch::tiles_1x4::<DUAL>(codes, len, self.last, 1, last, zero_point);
                let mut channel = 0;
                while channel < rest {
                    out.set(4 * whole + channel, last.get(channel));
                    channel = arch::opaque_count(channel + 1);
                }
            }
        } else {
            for block in 0..self.channels.div_ceil(4) {
                self.finish(block, arch::sums_1x4::<DUAL>(codes, len, self.block(block)), out);
            }
        }
    }

    /// Requantizes a block's accumulators.
    #[inline(always)]
    pub(super) fn finish(self, block: usize, sums: [i32; 4], out: Bytes<'_>) {
        let multipliers = self.block(block).sub(16 + 8 * self.words, 16);
        for (n, sum) in sums.into_iter().enumerate() {
            let channel = 4 * block + n;
            if channel < self.channels {
                let m = multipliers.i32_at(4 * n);
                let k = if self.shifts { u32::from(self.consts.u8_at(self.bytes + channel)) } else { 0 };
                out.set(channel, arch::requantize(sum, m, k, self.out));
            }
        }
    }
}
