//! Element-wise functions by table.
//!
//! In: `len` codes. Out: `len` codes. Invariant: `out[i] = table[q as u8]`. The
//! output may be the very bytes of the input.
//!
//! Constants: `[i8 x 256]`, for the codes 0 to 127, then -128 to -1.

use super::super::arch;
use super::super::rows::Rows;
use super::super::view::{Bytes, Consts};

/// A table look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Elements.
    pub len: usize,
}

/// Private bytes of the arena that the kernel needs.
pub const fn scratch_bytes(_p: &Params) -> usize {
    0
}

/// The whole tensor.
#[inline(always)]
pub fn run(p: &Params, consts: Consts<'_>, input: Bytes<'_>, output: Bytes<'_>, _scratch: Bytes<'_>) {
    step(consts, input, output, p.len);
}

/// Rows `y..y + count` of `row_bytes` each, wherever rows lie.
#[inline(always)]
pub fn run_rows(
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    row_bytes: usize,
) {
    for row in y..y + count {
        step(consts, input.run(row, 1), output.run(row, 1), row_bytes);
    }
}

/// `len` elements.
#[inline(never)]
pub fn step(consts: Consts<'_>, input: Bytes<'_>, out: Bytes<'_>, len: usize) {
    arch::look_up(consts, input, out, len);
}
