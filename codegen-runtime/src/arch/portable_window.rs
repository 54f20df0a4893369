//! The primitives over gathered windows in plain Rust.
//!
//! In: windows of codes, each one contiguous run, and weights. Out: 32-bit sums.
//! Invariant: this file defines the result, as `portable.rs` does. What a pair of
//! windows looks like in memory concerns only the two functions that make and
//! read it; a file for an instruction set may have its own form.

use super::super::requant::{self, Out};
use super::super::view::{Bytes, Consts};

/// Pairs up the windows `first` and `second` of `len` codes in `4 * len` bytes,
/// which are 4-byte aligned: words `65536 * second + first`, so that one product
/// with a weight serves both.
#[inline(always)]
pub fn pair_windows(first: Bytes<'_>, second: Bytes<'_>, len: usize, pair: Bytes<'_>) {
    for i in 0..len {
        let (first, second) = (i32::from(first.get(i)), i32::from(second.get(i)));
        pair.set_i32(i, (second << 16).wrapping_add(first));
    }
}

/// The products of a [pair](pair_windows) of windows of `len` codes with four
/// filters, `[input][filter]`, 4-byte aligned, of which no weight is -128: for each
/// window four wrapping sums.
#[inline(always)]
pub fn window_sums(pair: Bytes<'_>, len: usize, weights: Consts<'_>) -> [[i32; 4]; 2] {
    let mut sums = [[0i32; 4]; 2];
    for i in 0..len {
        let word = pair.get_i32(i);
        let first = i32::from(word as i16);
        let codes = [first, word.wrapping_sub(first) >> 16];
        for (sums, code) in sums.iter_mut().zip(codes) {
            for (channel, sum) in sums.iter_mut().enumerate() {
                *sum = sum.wrapping_add(code * i32::from(weights.i8_at(4 * i + channel)));
            }
        }
    }
    sums
}

/// The products of four channels of a window with their own filters, as wrapping
/// sums: of both, `count` taps are `step` bytes apart.
#[inline(always)]
pub fn column_sums(window: Bytes<'_>, weights: Consts<'_>, step: usize, count: usize) -> [i32; 4] {
    let mut sums = [0i32; 4];
    let mut at = 0;
    for _ in 0..count {
        let (codes, filters) = (window.sub(at, 4), weights.sub(at, 4));
        for (channel, sum) in sums.iter_mut().enumerate() {
            let product = i32::from(codes.get(channel)) * i32::from(filters.i8_at(channel));
            *sum = sum.wrapping_add(product);
        }
        at += step;
    }
    sums
}

/// Adds four biases to four sums and requantizes them with `k = 0`: the codes of four
/// channels. Biases and multipliers are 4-byte aligned words.
#[inline(never)]
pub fn requantize_four(
    sums: &[i32; 4],
    biases: Consts<'_>,
    multipliers: Consts<'_>,
    codes: Bytes<'_>,
    out: &Out,
) {
    for (channel, sum) in sums.iter().enumerate() {
        let acc = sum.wrapping_add(biases.i32_at(4 * channel));
        codes.set(channel, requant::requantize(acc, multipliers.i32_at(4 * channel), 0, *out));
    }
}
