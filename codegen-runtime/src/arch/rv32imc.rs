//! The primitives for RV32IMC.
//!
//! In and out: as `portable.rs` says, which defines every result; what is not
//! written here is taken from there. Plain Rust, of which the compiler makes good
//! code: there are registers enough.

use super::super::view::{Bytes, Consts};
pub use super::portable::*;

/// See [`super::portable::pair_windows`]; here a pair is two 16-bit halves, which
/// one load each widens.
#[inline(always)]
pub fn pair_windows(first: Bytes<'_>, second: Bytes<'_>, len: usize, pair: Bytes<'_>) {
    for i in 0..len {
        pair.set_i16(2 * i, i16::from(first.get(i)));
        pair.set_i16(2 * i + 1, i16::from(second.get(i)));
    }
}

/// See [`super::portable::window_sums`].
#[inline(never)]
pub fn window_sums(pair: Bytes<'_>, len: usize, weights: Consts<'_>) -> [[i32; 4]; 2] {
    let mut sums = [[0i32; 4]; 2];
    for i in 0..len {
        let codes = [pair.get_i16(2 * i), pair.get_i16(2 * i + 1)].map(i32::from);
        let weights = [0, 1, 2, 3].map(|channel| i32::from(weights.i8_at(4 * i + channel)));
        for (sums, code) in sums.iter_mut().zip(codes) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = sum.wrapping_add(code * weight);
            }
        }
    }
    sums
}
