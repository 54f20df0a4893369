//! Fully connected layer in vectors of 16 codes.
//!
//! In: `[rows][in_features]`. Out: `[rows][out_features]`. Invariant: every row
//! meets the same weights.
//!
//! Constants: the stream of `arch::lanes`, over rows. The biases hold the layer's bias
//! minus the input's zero point times the sum of the output's weights.

use super::super::arch::{self, Windows};
use super::super::requant::Out;
use super::super::view::{Bytes, Consts};

/// A fully connected layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows: how often the layer is applied.
    pub rows: usize,
    /// Codes of an input row.
    pub in_features: usize,
    /// Codes of an output row.
    pub out_features: usize,
    /// Whether the constants hold shifts `k`; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

/// Private bytes of the arena that the kernel needs.
pub const fn scratch_bytes(_p: &Params) -> usize {
    0
}

/// The whole tensor.
#[inline(always)]
pub fn run(p: &Params, consts: Consts<'_>, input: Bytes<'_>, output: Bytes<'_>, _scratch: Bytes<'_>) {
    let codes = input.sub(0, p.rows * p.in_features);
    let windows = Windows { codes, step: p.in_features, len: p.in_features, pixels: p.rows };
    // Variants, of which only those that the parameters ask for are linked.
    if p.shifts {
        arch::lanes::<true>(windows, consts, p.out_features, output, &p.out);
    } else {
        arch::lanes::<false>(windows, consts, p.out_features, output, &p.out);
    }
}
