//! The head of a constants blob that convolutions and dense layers share.
//!
//! In: `[bias i32 x channels][m i32 x channels]`, then, if there are shifts,
//! `[k u8 x channels, padded to a multiple of 4]`, then the weights. Out: the
//! constants of a channel. Invariant: the bias holds the layer's bias minus the
//! input's zero point times the sum of the channel's weights, so that kernels
//! multiply raw codes.

use super::super::arch;
use super::super::requant::Out;
use super::super::view::{Bytes, Consts};

/// The per-channel constants of a layer.
#[derive(Clone, Copy)]
pub struct Channels<'a> {
    consts: Consts<'a>,
    channels: usize,
    shifts: bool,
    out: Out,
}

impl<'a> Channels<'a> {
    /// The constants of `channels` output channels, at the start of `consts`.
    #[inline(always)]
    pub fn new(consts: Consts<'a>, channels: usize, shifts: bool, out: Out) -> Self {
        Channels { consts, channels, shifts, out }
    }

    /// The `len` bytes of weights that follow.
    #[inline(always)]
    pub fn weights(self, len: usize) -> Consts<'a> {
        self.consts.sub(self.weights_at(), len)
    }

    /// Where the weights begin.
    #[inline(always)]
    pub(super) fn weights_at(self) -> usize {
        let shift_bytes = if self.shifts { (self.channels + 3) & !3 } else { 0 };
        self.channels * 8 + shift_bytes
    }

    /// How many channels there are.
    #[inline(always)]
    pub(super) fn count(self) -> usize {
        self.channels
    }

    /// Adds the biases to the `N` accumulators of the channels from `first`
    /// on, requantizes them, and writes the codes to `out[first..]`.
    #[inline(always)]
    pub fn finish<const N: usize>(self, first: usize, accumulators: [i32; N], out: Bytes<'_>) {
        for (n, acc) in accumulators.into_iter().enumerate() {
            let channel = first + n;
            let bias = self.consts.i32_at(channel * 4);
            let m = self.consts.i32_at((self.channels + channel) * 4);
            let k = if self.shifts { u32::from(self.consts.u8_at(self.channels * 8 + channel)) } else { 0 };
            out.set(channel, arch::requantize(acc.wrapping_add(bias), m, k, self.out));
        }
    }

    /// The same for the four channels from `first` on, or those of them that exist;
    /// small, for chips with little flash.
    #[inline(always)]
    pub fn finish_four(self, first: usize, accumulators: &[i32; 4], out: Bytes<'_>) {
        if self.shifts || first + 4 > self.channels {
            return self.finish_rest(first, accumulators, out);
        }
        let biases = self.consts.sub(first * 4, 16);
        let multipliers = self.consts.sub((self.channels + first) * 4, 16);
        arch::requantize_four(accumulators, biases, multipliers, out.sub(first, 4), &self.out);
    }

    #[inline(never)]
    fn finish_rest(self, first: usize, accumulators: &[i32; 4], out: Bytes<'_>) {
        for (n, &acc) in accumulators.iter().enumerate() {
            if first + n < self.channels {
                self.finish(first + n, [acc], out);
            }
        }
    }
}
