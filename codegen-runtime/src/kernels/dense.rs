//! Fully connected layer.
//!
//! In: `[rows][in_features]`. Out: `[rows][out_features]`. Invariant: every row
//! meets the same weights.
//!
//! Constants: `[bias i32 x out_features][m i32 x out_features][if shifts: k u8 x
//! out_features, padded to 4][weights i8: out_features][in_features]`.

use super::super::arch;
use super::super::requant::Out;
use super::super::view::{Bytes, Consts};
use super::channels::Channels;

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
pub fn run(p: &Params, consts: Consts<'_>, input: Bytes<'_>, output: Bytes<'_>, scratch: Bytes<'_>) {
    for row in 0..p.rows {
        let from = input.sub(row * p.in_features, p.in_features);
        let to = output.sub(row * p.out_features, p.out_features);
        step(p, consts, from, to, scratch);
    }
}

/// One output row from one input row.
#[inline(never)]
pub fn step(p: &Params, consts: Consts<'_>, row: Bytes<'_>, out: Bytes<'_>, _scratch: Bytes<'_>) {
    let len = p.in_features;
    let channels = Channels::new(consts, p.out_features, p.shifts, p.out);
    let weights = channels.weights(p.out_features * len);
    let mut channel = 0;
    while channel + 4 <= p.out_features {
        let sums = arch::dots::<4>(row, weights.sub(channel * len, 4 * len), len, len);
        channels.finish(channel, sums, out);
        channel += 4;
    }
    while channel < p.out_features {
        let sums = arch::dots::<1>(row, weights.sub(channel * len, len), len, len);
        channels.finish(channel, sums, out);
        channel += 1;
    }
}
