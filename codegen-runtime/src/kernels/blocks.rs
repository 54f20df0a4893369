//! A weight stream in blocks of four channels, which the tile kernels share.
//!
//! In: `[block x ceil(channels / 4)]`, then, if there are shifts, `[k u8 x
//! channels, padded to a multiple of 4]`. A block is what `tiles_2x4` of the
//! primitives describes; channels that fill up the last one have weights,
//! biases and multipliers of 0. Out: codes. Invariant: nothing is written beyond
//! the channels that exist; the biases hold the layer's bias minus the input's
//! zero point times the sum of the channel's weights, so that kernels multiply
//! raw codes.

use super::super::arch::{self, Windows};
use super::super::requant::Out;
use super::super::view::{Bytes, Consts};

/// The constants of a layer.
#[derive(Clone, Copy)]
pub struct Blocks<'a> {
    /// The stream and the shifts.
    pub consts: Consts<'a>,
    /// Output channels.
    pub channels: usize,
    /// Groups of four inputs.
    pub quads: usize,
    /// Whether shifts `k` follow the blocks; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

/// Whether requantization is a multiplication and a saturation to int8.
#[inline(always)]
pub const fn saturates(shifts: bool, out: &Out) -> bool {
    !shifts && out.lo == -128 && out.hi == 127
}

impl<'a> Blocks<'a> {
    /// All blocks.
    #[inline(always)]
    fn all(self) -> Consts<'a> {
        self.stream(0, self.channels.div_ceil(4))
    }

    /// Blocks `first..first + count`.
    #[inline(always)]
    fn stream(self, first: usize, count: usize) -> Consts<'a> {
        let bytes = arch::block_bytes(self.quads);
        self.consts.sub(first * bytes, count * bytes)
    }

    /// All channels at the two pixels of a tile; `SATURATES` is [`saturates`].
    /// The two outputs may be one: then it is pixel 0's.
    #[inline(always)]
    pub fn two<const DUAL: bool, const SATURATES: bool>(self, tile: Bytes<'_>, out: [Bytes<'_>; 2]) {
        if SATURATES {
            let zero_point = self.out.zero_point;
            arch::tiles_2x4::<DUAL>(tile, self.quads, self.all(), self.channels, out, zero_point);
        } else {
            for block in 0..self.channels.div_ceil(4) {
                let [first, second] = arch::sums_2x4::<DUAL>(tile, self.quads, self.stream(block, 1));
                self.finish(block, second, out[1]);
                self.finish(block, first, out[0]);
            }
        }
    }

    /// All channels at `2 * pairs` pixels that lie `step` bytes apart, to outputs
    /// that lie one after the other; saturating. Whole groups of four codes are
    /// read of each pixel.
    #[inline(always)]
    pub fn run<const DUAL: bool>(
        self,
        codes: Bytes<'_>,
        step: usize,
        tile: Bytes<'_>,
        out: Bytes<'_>,
        pairs: usize,
    ) {
        let (stream, zero_point) = (self.all(), self.out.zero_point);
        let (quads, channels) = (self.quads, self.channels);
        arch::pixels_2x4::<DUAL>(codes, step, tile, quads, stream, channels, out, pairs, zero_point);
    }

    /// The same at `2 * pairs` windows.
    #[inline(always)]
    pub fn windows<const DUAL: bool>(
        self,
        windows: Windows<'_>,
        tile: Bytes<'_>,
        out: Bytes<'_>,
        pairs: usize,
    ) {
        let (stream, zero_point) = (self.all(), self.out.zero_point);
        arch::windows_2x4::<DUAL>(windows, tile, self.quads, stream, self.channels, out, pairs, zero_point);
    }

    /// All channels over one run of `len` codes.
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
                for channel in 0..rest {
                    out.set(4 * whole + channel, last.get(channel));
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
    fn finish(self, block: usize, sums: [i32; 4], out: Bytes<'_>) {
        let multipliers = arch::block_bytes(self.quads) * (block + 1) - 16;
        let shifts = arch::block_bytes(self.quads) * self.channels.div_ceil(4);
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
