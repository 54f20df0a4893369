//! Weighted sum of two tensors, which also is subtraction.
//!
//! In: two tensors that broadcast to `shape`. Out: `shape`, row-major. Invariant:
//! `out = clamp((qa * ma + qb * mb + c) >> shift, lo, hi)`, one rounding at the
//! end; `c` holds both zero points, that of the output and the half that rounds.
//! The output may be the very bytes of an operand of the same shape.
//!
//! Constants: none.

use super::super::arch::{self, WeightedSum};
use super::super::requant::Out;
use super::super::rows::Rows;
use super::super::view::Bytes;
use super::strides;

/// A weighted sum. Strides are in elements; 0 repeats the element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The shape of the output.
    pub shape: [usize; 4],
    /// Elements from one index to the next along each axis of `a`.
    pub a_strides: [usize; 4],
    /// The same of `b`.
    pub b_strides: [usize; 4],
    /// What a code of `a` counts, in units of 2^-shift output codes.
    pub ma: i32,
    /// What a code of `b` counts.
    pub mb: i32,
    /// What is added to every element; fits 32 bits unless `wide`.
    pub c: i64,
    /// Fractional bits, below 32, or below 64 if `wide`.
    pub shift: u32,
    /// Whether the sum needs 64 bits.
    pub wide: bool,
    /// The least code to write, at least -128.
    pub lo: i32,
    /// The greatest code to write, at most 127.
    pub hi: i32,
}

impl Params {
    /// The sum of codes side by side.
    #[inline(always)]
    const fn sum(&self) -> WeightedSum {
        WeightedSum { ma: self.ma, mb: self.mb, c: self.c as i32, shift: self.shift }
    }
}

/// Private bytes of the arena that the kernel needs.
pub const fn scratch_bytes(_p: &Params) -> usize {
    0
}

/// The whole tensor.
#[inline(always)]
pub fn run(p: &Params, a: Bytes<'_>, b: Bytes<'_>, output: Bytes<'_>, _scratch: Bytes<'_>) {
    if let Some((len, a_stride, b_stride)) = strides::joined(p.shape, p.a_strides, p.b_strides) {
        return step(p, [a, b], [a_stride, b_stride], output, len);
    }
    let [.., len] = p.shape;
    let ([.., a_stride], [.., b_stride]) = (p.a_strides, p.b_strides);
    let tensors = [p.a_strides, p.b_strides, strides::contiguous(p.shape)];
    strides::lines(
        strides::six(p.shape, 1),
        tensors.map(|strides| strides::six(strides, 0)),
        |[from_a, from_b, to]| {
            let reach = |stride| strides::reach(len, stride);
            let operands = [a.sub(from_a, reach(a_stride)), b.sub(from_b, reach(b_stride))];
            step(p, operands, [a_stride, b_stride], output.sub(to, len), len);
        },
    );
}

/// Rows `y..y + count` of `row_bytes` each, of operands that are as large as the
/// output, wherever rows lie.
#[inline(always)]
pub fn run_rows(
    p: &Params,
    a: Rows<'_>,
    b: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    row_bytes: usize,
) {
    for row in y..y + count {
        step(p, [a.run(row, 1), b.run(row, 1)], [1, 1], output.run(row, 1), row_bytes);
    }
}

/// One line of `len` output elements; operands are read `strides` elements
/// apart.
#[inline(always)]
pub fn step(p: &Params, [a, b]: [Bytes<'_>; 2], strides: [usize; 2], out: Bytes<'_>, len: usize) {
    match strides {
        [1, 1] if !p.wide && p.lo == -128 && p.hi == 127 => {
            arch::weighted_sum([a, b], out, len, &p.sum());
        }
        [1, 1] if !p.wide => clamped(p, [a, b], out, len),
        // The strides that occur as constants, so that loops over them vectorise.
        [1, 1] => line(p, |i| (a.get(i), b.get(i)), out, len),
        [1, 0] => line(p, |i| (a.get(i), b.get(0)), out, len),
        [a_stride, b_stride] => line(p, |i| (a.get(i * a_stride), b.get(i * b_stride)), out, len),
    }
}

/// Kept apart: within `step` it keeps the compiler from leaving out what the parameters
/// do not need.
#[inline(never)]
fn clamped(p: &Params, operands: [Bytes<'_>; 2], out: Bytes<'_>, len: usize) {
    arch::weighted_sum(operands, out, len, &p.sum());
    // The zero point is part of the sum.
    arch::clamp_codes(out, len, Out { zero_point: 0, lo: p.lo, hi: p.hi });
}

#[inline(never)]
fn line(p: &Params, operands: impl Fn(usize) -> (i8, i8), out: Bytes<'_>, len: usize) {
    if p.wide {
        for i in 0..len {
            let (qa, qb) = operands(i);
            let a = i64::from(qa).wrapping_mul(i64::from(p.ma));
            let b = i64::from(qb).wrapping_mul(i64::from(p.mb));
            let sum = a.wrapping_add(b).wrapping_add(p.c).wrapping_shr(p.shift);
            out.set(i, sum.max(i64::from(p.lo)).min(i64::from(p.hi)) as i8);
        }
    } else {
        let c = p.c as i32;
        for i in 0..len {
            let (qa, qb) = operands(i);
            let a = i32::from(qa).wrapping_mul(p.ma);
            let b = i32::from(qb).wrapping_mul(p.mb);
            let sum = a.wrapping_add(b).wrapping_add(c).wrapping_shr(p.shift);
            out.set(i, sum.max(p.lo).min(p.hi) as i8);
        }
    }
}
