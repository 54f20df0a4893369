//! Softmax over the last dimension.
//!
//! In: codes of `[.., n]`. Out: `exp(x_i) / sum(exp(x_j))` of each row as codes.
//! Invariants: all arithmetic after the table is on integers, so that every
//! machine computes the same bytes; the result lies within 1 LSB of the exact
//! softmax of the dequantized input.
//!
//! With `d = max(row) - q`, `t[d] = round(exp(-d * s_in) * 2^B)` and
//! `F = round(256 * s_out * 2^24)`:
//! `sum = t summed over the row; scaled = (sum * F + 2^23) >> 24`;
//! `q_out = clamp(zero_point + floor((t * 256 + floor(scaled / 2)) / scaled), lo, hi)`,
//! that is `t / sum / s_out`, rounded to nearest.

pub mod import;
pub mod lower;

use crate::ir::QuantParams;
use crate::quant::QTensor;

/// The longest row: beyond it, the table's own rounding could add up to more
/// than half an LSB (`n / 2` units of `2^-B` in the sum, times 256 LSB).
pub const MAX_N: usize = 2048;

/// The integers of a softmax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integers {
    /// `round(exp(-d * s_in) * 2^B)` for `d` from 0 to 255.
    pub table: Vec<u32>,
    /// `round(256 * s_out * 2^24)`.
    pub sum_scale: u32,
}

impl Integers {
    /// The integers for rows of `n` codes. `B` is the largest up to 22 for which
    /// the sum, the scaled sum and the rounded dividend fit 32 bits unsigned.
    ///
    /// # Errors
    /// Where the row is longer than [`MAX_N`], or the output's scale is outside
    /// `2^-16..1`, which no probability needs.
    pub fn new(input: &QuantParams, output: &QuantParams, n: usize) -> Result<Integers, String> {
        if n == 0 || n > MAX_N {
            return Err(format!(
                "a softmax over {n} values is outside 1 to {MAX_N}, within which its error stays below 1 LSB: build with --no-softmax"
            ));
        }
        let factor = (256.0 * f64::from(output.scale) * libm::exp2(24.0)).round_ties_even();
        if !(65536.0..4294967296.0).contains(&factor) {
            return Err(format!(
                "its output scale {} is outside 2^-16 to 1: quantize the output with 1/256",
                output.scale
            ));
        }
        let sum_scale = factor as u32;
        let fits = |bits: u32| {
            let largest = (n as u128) << bits;
            let scaled = (largest * u128::from(sum_scale) + (1 << 23)) >> 24;
            largest < 1 << 32 && scaled < 1 << 32 && (256u128 << bits) + scaled / 2 < 1 << 32
        };
        let bits =
            (0..=22).rev().find(|&b| fits(b)).expect("B = 12 fits rows of 2048 at every scale below 1");
        let scale = f64::from(input.scale);
        let table = (0..256)
            .map(|d| (libm::exp(-f64::from(d) * scale) * libm::exp2(f64::from(bits))).round_ties_even())
            .map(|t| t as u32)
            .collect();
        Ok(Integers { table, sum_scale })
    }
}

/// The naive integer reference: the module's formula in 128 bits, row by row.
///
/// Rows and scales beyond [`Integers::new`]'s limits give the smallest code;
/// [`lower`] reports them.
pub fn reference(x: &QTensor, out: QuantParams) -> Vec<i8> {
    let n = x.shape.channels();
    let Ok(integers) = Integers::new(&x.params, &out, n) else { return vec![out.lo; x.codes.len()] };
    let mut codes = Vec::with_capacity(x.codes.len());
    for row in x.codes.chunks(n) {
        let max = row.iter().copied().max().expect("a row is not empty");
        let exponential = |q: i8| {
            let distance = i32::from(max) - i32::from(q);
            u128::from(integers.table[distance as usize])
        };
        let sum: u128 = row.iter().map(|&q| exponential(q)).sum();
        let scaled = (sum * u128::from(integers.sum_scale) + (1 << 23)) >> 24;
        for &q in row {
            let quotient = (exponential(q) * 256 + scaled / 2) / scaled;
            let code = i128::from(out.zero_point) + quotient as i128;
            codes.push(code.clamp(i128::from(out.lo), i128::from(out.hi)) as i8);
        }
    }
    codes
}
