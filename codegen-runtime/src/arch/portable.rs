//! The primitives in plain Rust.
//!
//! In: runs of activations and of weights. Out: 32-bit sums and int8 codes.
//! Invariant: this file defines the result; a file for a particular
//! instruction set has the same functions and returns the same bits.

use super::super::requant::{self, Out};
use super::super::view::{Bytes, Consts};

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
