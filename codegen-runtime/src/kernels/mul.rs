//! Product of two tensors.
//!
//! In: two tensors that broadcast to `shape`. Out: `shape`, row-major. Invariant:
//! `out = requantize((qa - za) * (qb - zb), m, k)`, one rounding. The output may
//! be the very bytes of an operand of the same shape.
//!
//! Constants: none.

use super::super::arch;
use super::super::requant::Out;
use super::super::rows::Rows;
use super::super::view::Bytes;
use super::strides;

/// A product. Strides are in elements; 0 repeats the element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The shape of the output.
    pub shape: [usize; 4],
    /// Elements from one index to the next along each axis of `a`.
    pub a_strides: [usize; 4],
    /// The same of `b`.
    pub b_strides: [usize; 4],
    /// The zero point of `a`.
    pub za: i32,
    /// The zero point of `b`.
    pub zb: i32,
    /// The multiplier's mantissa, below 2^31.
    pub m: i32,
    /// The multiplier's shift.
    pub k: u32,
    /// How products become output codes.
    pub out: Out,
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
#[inline(never)]
pub fn step(p: &Params, [a, b]: [Bytes<'_>; 2], strides: [usize; 2], out: Bytes<'_>, len: usize) {
    let [a_stride, b_stride] = strides;
    let (mut at_a, mut at_b) = (0, 0);
    for i in 0..len {
        let qa = i32::from(a.get(at_a)).wrapping_sub(p.za);
        let qb = i32::from(b.get(at_b)).wrapping_sub(p.zb);
        out.set(i, arch::requantize(qa.wrapping_mul(qb), p.m, p.k, p.out));
        at_a += a_stride;
        at_b += b_stride;
    }
}
