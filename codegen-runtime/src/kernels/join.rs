//! Tensors side by side: a concatenation along channels or columns.
//!
//! In: `[rows][width][len]` of each operand's length. Out: `[rows][width][sum of the
//! lengths]`. Invariant: every byte of the output is written exactly once.
//!
//! Constants: none.

use super::super::rows::Rows;
use super::super::view::Bytes;

/// The most operands.
pub const MOST: usize = 8;

/// A concatenation. Lengths are in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows of the output, and of all operands.
    pub rows: usize,
    /// Pieces of each operand in a row.
    pub width: usize,
    /// What comes of each operand at a time; 0 behind the last one.
    pub lens: [usize; MOST],
}

/// Private bytes of the arena that the kernel needs.
pub const fn scratch_bytes(_p: &Params) -> usize {
    0
}

/// The whole tensor.
#[inline(always)]
pub fn run<const N: usize>(p: &Params, operands: [Bytes<'_>; N], output: Bytes<'_>, _scratch: Bytes<'_>) {
    step(p, &operands, output, p.rows * p.width);
}

/// Rows `y..y + count`, wherever rows lie.
#[inline(always)]
pub fn run_rows<const N: usize>(
    p: &Params,
    operands: [Rows<'_>; N],
    output: Rows<'_>,
    (y, count): (usize, usize),
    _scratch: Bytes<'_>,
) {
    for row in y..y + count {
        step(p, &operands.map(|operand| operand.run(row, 1)), output.run(row, 1), p.width);
    }
}

/// So many pieces of each operand, which follow each other in all of them.
#[inline(never)]
pub fn step(p: &Params, operands: &[Bytes<'_>], out: Bytes<'_>, pieces: usize) {
    let mut to = 0;
    for piece in 0..pieces {
        for (operand, &len) in operands.iter().zip(&p.lens) {
            out.sub(to, len).copy_from(operand.sub(piece * len, len), len);
            to += len;
        }
    }
}
