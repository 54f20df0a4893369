//! The one definition of rounding.
//!
//! In: a 32-bit accumulator and a real multiplier as two integers. Out: an
//! int8 code. Invariant: one multiplication, one rounding (to nearest, ties
//! toward plus infinity), the same bits on every machine.

/// How accumulators become codes of the output tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Out {
    /// The code of real zero, in -128..=127.
    pub zero_point: i32,
    /// The least code to write, at least -128: a fused activation's lower end.
    pub lo: i32,
    /// The greatest code to write, at most 127 and at least `lo`.
    pub hi: i32,
}

impl Out {
    /// `value` (in units of one code, from the zero point) as a code.
    #[inline(always)]
    pub fn code(self, value: i32) -> i8 {
        // Not `clamp`: it panics where lo > hi, and the compiler cannot see that it is not.
        self.zero_point.wrapping_add(value).max(self.lo).min(self.hi) as i8
    }
}

/// `clamp(zero_point + round(acc * m * 2^k / 2^32), lo, hi)`, that is
/// `((sat32(acc << k) * m + 2^31) >> 32)` with a 64-bit product and an
/// arithmetic shift.
///
/// `m` is in `0..2^31`; `k` is in `0..=31`, and where it is positive, `m` is at
/// least 2^30: then a shift that saturates belongs to a result that the clamp
/// saturates too, so the formula is exact.
#[inline(always)]
pub fn requantize(acc: i32, m: i32, k: u32, out: Out) -> i8 {
    // Nearly all layers have k = 0; a 64-bit shift costs a dozen cycles on small cores.
    let shifted = if k == 0 {
        acc
    } else {
        i64::from(acc).wrapping_shl(k).max(i64::from(i32::MIN)).min(i64::from(i32::MAX)) as i32
    };
    let product = i64::from(shifted).wrapping_mul(i64::from(m));
    out.code((product.wrapping_add(1 << 31) >> 32) as i32)
}

/// `(acc * m + 2^31) >> 32` for `0 <= m < 2^31`, as [`requantize`] has it, for cores
/// whose products have 32 bits: four products of halves, of which none leaves 32 bits.
#[inline(always)]
pub fn multiply_by_halves(acc: i32, m: i32) -> i32 {
    let (acc_high, acc_low) = (acc >> 16, (acc as u32) & 0xFFFF);
    let (m_high, m_low) = ((m as u32) >> 16, (m as u32) & 0xFFFF);
    let low = acc_low.wrapping_mul(m_low) >> 16;
    let across = acc_high.wrapping_mul(m_low as i32);
    // At most (2^16 - 1) * (2^15 - 1) + 2 * (2^16 - 1) + 2^15, below 2^32.
    let middle = acc_low.wrapping_mul(m_high).wrapping_add(low).wrapping_add(0x8000);
    let middle = middle.wrapping_add((across as u32) & 0xFFFF) >> 16;
    acc_high.wrapping_mul(m_high as i32).wrapping_add(across >> 16).wrapping_add(middle as i32)
}
