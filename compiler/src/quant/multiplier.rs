//! The one requantization: a real multiplier as an integer and a shift.
//!
//! In: a positive real multiplier. Out: [`Multiplier`], and [`requantize`], the
//! compiler's own copy of the rounding rule (the runtime has the other one; the
//! two are compared by tests). Formula: docs/numerics.md, "Requantization".

use crate::ir::QuantParams;

/// `m * 2^k / 2^32`; `k` is 0 for multipliers below one half, and where `k > 0`,
/// `m >= 2^30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Multiplier {
    /// Mantissa, `0 <= m < 2^31`.
    pub m: i32,
    /// Left shift of the accumulator before the multiplication.
    pub k: u8,
}

impl Multiplier {
    /// The nearest multiplier to `real`; `None` where `real` is negative, not
    /// finite or too large (`2^30` or more).
    pub fn from_real(real: f64) -> Option<Multiplier> {
        if !real.is_finite() || real < 0.0 {
            return None;
        }
        (0..=31u8).find_map(|k| {
            let m = (real * libm::exp2(32.0 - f64::from(k))).round_ties_even();
            (m < 2147483648.0).then_some(Multiplier { m: m as i32, k })
        })
    }

    /// The real number that the integers stand for.
    pub fn real(&self) -> f64 {
        f64::from(self.m) * libm::exp2(f64::from(self.k) - 32.0)
    }
}

/// `clamp(zero_point + ((sat32(acc << k) * m + 2^31) >> 32), lo, hi)`: the
/// reference's requantization, in 128-bit arithmetic without shortcuts.
pub fn requantize(acc: i64, multiplier: Multiplier, out: &QuantParams) -> i8 {
    let shifted = (i128::from(acc) << multiplier.k).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
    let rounded = (shifted * i128::from(multiplier.m) + (1i128 << 31)).div_euclid(1i128 << 32);
    (rounded + i128::from(out.zero_point)).clamp(i128::from(out.lo), i128::from(out.hi)) as i8
}
