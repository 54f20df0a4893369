//! The primitives of element-wise and pooling kernels in plain Rust.
//!
//! In: runs of codes. Out: codes, sums or maxima of codes. Invariant: as for
//! `portable.rs`, of which this is a part.

use super::super::requant::Out;
use super::super::view::{Bytes, Consts};

/// What [`weighted_sum`] computes: `(qa * ma + qb * mb + c) >> shift`, modulo 2^32
/// before the shift.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct WeightedSum {
    /// What a code of the first operand counts.
    pub ma: i32,
    /// What a code of the second operand counts.
    pub mb: i32,
    /// What is added to every element.
    pub c: i32,
    /// Fractional bits, below 32.
    pub shift: u32,
}

/// Weighted sums of `len` codes of two operands, saturated to int8. The output may
/// be the very bytes of an operand.
#[inline(always)]
pub fn weighted_sum([a, b]: [Bytes<'_>; 2], out: Bytes<'_>, len: usize, sum: &WeightedSum) {
    for i in 0..len {
        let qa = i32::from(a.get(i)).wrapping_mul(sum.ma);
        let qb = i32::from(b.get(i)).wrapping_mul(sum.mb);
        let code = qa.wrapping_add(qb).wrapping_add(sum.c).wrapping_shr(sum.shift);
        out.set(i, code.clamp(-128, 127) as i8);
    }
}

/// `table[code]` for `len` codes; the table holds the codes 0 to 127, then -128 to
/// -1. The output may be the very bytes of the codes.
#[inline(always)]
pub fn look_up(table: Consts<'_>, codes: Bytes<'_>, out: Bytes<'_>, len: usize) {
    for i in 0..len {
        out.set(i, table.i8_at(usize::from(codes.get(i) as u8)));
    }
}

/// Brings `len` codes into the range of `out`: what a kernel that saturates to int8 leaves
/// to do. Nothing where that is all of int8.
#[inline(always)]
pub fn clamp_codes(codes: Bytes<'_>, len: usize, out: Out) {
    if out.lo == -128 && out.hi == 127 {
        return;
    }
    for i in 0..len {
        codes.set(i, i32::from(codes.get(i)).max(out.lo).min(out.hi) as i8);
    }
}

/// How many times four channels pooling takes at once, where there are enough.
pub const POOL_WORDS: usize = 2;

/// Sums of pixels, for `WORDS` times four channels.
#[derive(Debug, Clone, Copy)]
pub struct PixelSums<const WORDS: usize>([[i32; 4]; WORDS]);

impl<const WORDS: usize> PixelSums<WORDS> {
    /// No pixel yet; sums begin at `start`.
    #[inline(always)]
    pub fn new(start: i32) -> Self {
        PixelSums([[start; 4]; WORDS])
    }

    /// Adds `count` pixels that are `step` bytes apart.
    #[inline(always)]
    pub fn add(&mut self, codes: Bytes<'_>, step: usize, count: usize) {
        for pixel in 0..count {
            let codes = codes.sub(pixel * step, 4 * WORDS);
            for (n, sum) in self.0.as_flattened_mut().iter_mut().enumerate() {
                *sum = sum.wrapping_add(i32::from(codes.get(n)));
            }
        }
    }

    /// The sums of each four channels.
    #[inline(always)]
    pub fn finish(&mut self) -> &[[i32; 4]; WORDS] {
        &self.0
    }
}

/// Maxima of pixels, for `WORDS` times four channels.
#[derive(Debug, Clone, Copy)]
pub struct PixelMaxima<const WORDS: usize>([[i8; 4]; WORDS]);

impl<const WORDS: usize> PixelMaxima<WORDS> {
    /// No pixel yet: the least code.
    #[inline(always)]
    pub fn new() -> Self {
        PixelMaxima([[i8::MIN; 4]; WORDS])
    }

    /// Takes `count` more pixels that are `step` bytes apart.
    #[inline(always)]
    pub fn add(&mut self, codes: Bytes<'_>, step: usize, count: usize) {
        for pixel in 0..count {
            let codes = codes.sub(pixel * step, 4 * WORDS);
            for (n, max) in self.0.as_flattened_mut().iter_mut().enumerate() {
                *max = codes.get(n).max(*max);
            }
        }
    }

    /// The maxima of each four channels.
    #[inline(always)]
    pub fn finish(self) -> [[i8; 4]; WORDS] {
        self.0
    }
}

impl<const WORDS: usize> Default for PixelMaxima<WORDS> {
    fn default() -> Self {
        PixelMaxima::new()
    }
}
