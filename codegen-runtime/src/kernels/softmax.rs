//! Softmax of the rows of a matrix.
//!
//! In: `[rows][n]` codes. Out: the same shape. Invariant: with `t = table[max -
//! q]`, `out = clamp(zero_point + round(t * 256 / scaled), lo, hi)`, where
//! `scaled` is the row's sum of `t` times `sum_scale / 2^24`. The output may be
//! the very bytes of the input.
//!
//! Constants: `[t u32 x 256]`: the exponential of minus `d` input steps at entry
//! `d`, scaled to at most 2^22. Rows of up to 1,023 elements then cannot
//! overflow the 32-bit sum. Or two tables of factors, `[u32 x 16] [u32 x 16]`, of which
//! entry `d` is the product of the first one's `d / 16` and the second one's `d % 16`,
//! rounded from units of 2^-40: an eighth of the bytes, where factors exist that give
//! every entry exactly.

use core::num::NonZeroU32;

use super::super::arch;
use super::super::requant::Out;
use super::super::view::{Bytes, Consts};

/// A softmax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows, each normalised by itself.
    pub rows: usize,
    /// Codes of a row.
    pub n: usize,
    /// The output's scale times 256, in units of 2^-24.
    pub sum_scale: u32,
    /// Whether the constants are factors of the table.
    pub factors: bool,
    /// How quotients become output codes.
    pub out: Out,
}

/// Private bytes of the arena that the kernel needs.
pub const fn scratch_bytes(_p: &Params) -> usize {
    0
}

/// The whole tensor.
#[inline(always)]
pub fn run(p: &Params, consts: Consts<'_>, input: Bytes<'_>, output: Bytes<'_>, _scratch: Bytes<'_>) {
    for row in 0..p.rows {
        step(p, consts, input.sub(row * p.n, p.n), output.sub(row * p.n, p.n));
    }
}

/// One row.
#[inline(always)]
pub fn step(p: &Params, consts: Consts<'_>, row: Bytes<'_>, out: Bytes<'_>) {
    // Variants, of which only that of the parameters is linked.
    match p.factors {
        true => variant::<true>(p, consts, row, out),
        false => variant::<false>(p, consts, row, out),
    }
}

#[inline(never)]
fn variant<const FACTORS: bool>(p: &Params, consts: Consts<'_>, row: Bytes<'_>, out: Bytes<'_>) {
    let mut max = i8::MIN;
    let mut i = 0;
    while i < p.n {
        max = max.max(row.get(i));
        i = arch::opaque_count(i + 1);
    }
    // `max - q` is in 0..=255, so the difference of the low bytes is exact.
    let term = |i| {
        let d = usize::from(max.wrapping_sub(row.get(i)) as u8);
        let word = |index: usize| consts.i32_at(4 * index) as u32;
        if !FACTORS {
            return word(d);
        }
        let product = u64::from(word(d / 16)).wrapping_mul(u64::from(word(16 + d % 16)));
        (product.wrapping_add(1 << 39) >> 40) as u32
    };
    let mut sum = 0u32;
    i = 0;
    while i < p.n {
        sum = sum.wrapping_add(term(i));
        i = arch::opaque_count(i + 1);
    }
    let scaled = u64::from(sum).wrapping_mul(u64::from(p.sum_scale)).wrapping_add(1 << 23) >> 24;
    // A sum that does not fit rounds every quotient to 0, as the largest that fits does: t * 256
    // is at most 2^30, less than half of it. So all of this fits 32 bits, for which alone small
    // cores divide: 2^30 + (2^32 - 1) / 2 < 2^32.
    let scaled = scaled.min(u64::from(u32::MAX)) as u32;
    let half = scaled >> 1;
    let divisor = NonZeroU32::new(scaled).unwrap_or(NonZeroU32::MIN);
    i = 0;
    while i < p.n {
        let quotient = term(i).wrapping_shl(8).wrapping_add(half) / divisor;
        out.set(i, p.out.code(quotient as i32));
        i = arch::opaque_count(i + 1);
    }
}
