//! A weight stream in blocks of four channels, which the tile kernels share.
//!
//! In: `[block x ceil(channels / 4)]`, then, if there are shifts, `[k u8 x
//! channels, padded to a multiple of 4]`. A block is what `tiles_2x4` of the
//! primitives describes; channels that fill up the last one have weights,
//! biases and multipliers of 0. Out: codes. Invariant: nothing is written beyond
//! the channels that exist; the biases hold the layer's bias minus the input's
//! zero point times the sum of the channel's weights, so that kernels multiply
//! raw codes.

use super::super::arch::{self, Tiles};
use super::super::requant::Out;
use super::super::view::{Bytes, Consts};

/// The constants of a layer.
#[derive(Clone, Copy)]
pub struct Blocks<'a> {
    /// The stream and the shifts.
    pub consts: Consts<'a>,
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
    /// All blocks.
    #[inline(always)]
    fn all(self) -> Consts<'a> {
        self.stream(0, self.channels.div_ceil(4))
    }

    /// Blocks `first..first + count`.
    #[inline(always)]
    pub(super) fn stream(self, first: usize, count: usize) -> Consts<'a> {
        let bytes = arch::block_bytes(self.words);
        self.consts.sub(first * bytes, count * bytes)
    }

    /// Bytes of blocks and shifts.
    #[inline(always)]
    pub(super) fn bytes(self) -> usize {
        let shifts = if self.shifts { self.channels } else { 0 };
        arch::block_bytes(self.words) * self.channels.div_ceil(4) + shifts
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
            arch::tiles_2x4::<DUAL>(tiles, self.all(), self.channels, out, self.out.zero_point);
            return;
        }
        for pair in 0..pairs {
            let tile = tiles.sub(pair * step, 8 * self.words);
            let out = out.map(|out| out.sub(2 * pair * self.channels, self.channels));
            for block in 0..self.channels.div_ceil(4) {
                let [first, second] = arch::sums_2x4::<DUAL>(tile, self.words, self.stream(block, 1));
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
            arch::tiles_1x4::<DUAL>(codes, len, self.stream(0, whole), whole, out, zero_point);
            if rest > 0 {
                let mut last = [0i8; 4];
                let last = Bytes::from_mut(&mut last);
                arch::tiles_1x4::<DUAL>(codes, len, self.stream(whole, 1), 1, last, zero_point);
                let mut channel = 0;
                while channel < rest {
                    out.set(4 * whole + channel, last.get(channel));
                    channel = arch::opaque_count(channel + 1);
                }
            }
        } else {
            for block in 0..self.channels.div_ceil(4) {
                self.finish(block, arch::sums_1x4::<DUAL>(codes, len, self.stream(block, 1)), out);
            }
        }
    }

    /// Requantizes a block's accumulators.
    #[inline(always)]
    pub(super) fn finish(self, block: usize, sums: [i32; 4], out: Bytes<'_>) {
        let multipliers = arch::block_bytes(self.words) * (block + 1) - 16;
        let shifts = arch::block_bytes(self.words) * self.channels.div_ceil(4);
        for (n, sum) in sums.into_iter().enumerate() {
            let channel = 4 * block + n;
            if channel < self.channels {
                let m = self.consts.i32_at(multipliers + 4 * n);
                let k = if self.shifts { u32::from(self.consts.u8_at(shifts + channel)) } else { 0 };
                out.set(channel, arch::requantize(sum, m, k, self.out));
            }
        }
    }
}
