//! Two tensors side by side: a concatenation of two along channels or columns.
//!
//! In: `[rows][width][a_len]` and `[rows][width][b_len]`. Out: `[rows][width][a_len +
//! b_len]`. Invariant: every byte of the output is written exactly once.
//!
//! Constants: none.

use super::super::rows::Rows;
use super::super::view::Bytes;

/// A concatenation. Lengths are in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows of the output, and of both operands.
    pub rows: usize,
    /// Pairs of pieces in a row.
    pub width: usize,
    /// What of the first operand comes at a time.
    pub a_len: usize,
    /// What of the second one follows it.
    pub b_len: usize,
}

/// Private bytes of the arena that the kernel needs.
pub const fn scratch_bytes(_p: &Params) -> usize {
    0
}

/// The whole tensor.
#[inline(always)]
pub fn run(p: &Params, a: Bytes<'_>, b: Bytes<'_>, output: Bytes<'_>, _scratch: Bytes<'_>) {
    step(p, [a, b], output, p.rows * p.width);
}

/// Rows `y..y + count`, wherever rows lie.
#[inline(always)]
pub fn run_rows(
    p: &Params,
    a: Rows<'_>,
    b: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    _scratch: Bytes<'_>,
) {
    for row in y..y + count {
        step(p, [a.run(row, 1), b.run(row, 1)], output.run(row, 1), p.width);
    }
}

/// `pairs` pieces of each operand, which follow each other in all three.
#[inline(never)]
pub fn step(p: &Params, [a, b]: [Bytes<'_>; 2], out: Bytes<'_>, pairs: usize) {
    for pair in 0..pairs {
        let to = pair * (p.a_len + p.b_len);
        out.sub(to, p.a_len).copy_from(a.sub(pair * p.a_len, p.a_len), p.a_len);
        out.sub(to + p.a_len, p.b_len).copy_from(b.sub(pair * p.b_len, p.b_len), p.b_len);
    }
}
