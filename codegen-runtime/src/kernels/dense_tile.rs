//! Fully connected layer, four outputs at once.
//!
//! In: `[rows][in_features]`. Out: `[rows][out_features]`. Invariant: every row
//! meets the same weights; a row is read again for every four outputs, so input
//! and output lie apart. Many rows are better served by `conv_tile`, with a row
//! for a pixel.
//!
//! Constants: see `blocks`; of every four inputs a, b, c, d of a row two words, (a, c)
//! and (b, d), the last ones filled up with weights of 0.

use super::super::arch;
use super::super::requant::Out;
use super::super::view::{Bytes, Consts};
use super::blocks::{self, Blocks};

/// A fully connected layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows: how often the layer is applied.
    pub rows: usize,
    /// Codes of an input row.
    pub in_features: usize,
    /// Codes of an output row.
    pub out_features: usize,
    /// Whether the weights of two channels share 16-bit halves.
    pub dual: bool,
    /// Whether the constants hold shifts `k`; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

/// Private bytes of the arena that the kernel needs, 4-byte aligned: the last block.
pub const fn scratch_bytes(p: &Params) -> usize {
    blocks::last_bytes(p.out_features, p.words())
}

impl Params {
    /// Whether the constants end in [half a block](blocks::halves).
    pub const fn halves(&self) -> bool {
        blocks::halves(self.out_features, self.words())
    }

    /// Words of two inputs.
    const fn words(&self) -> usize {
        2 * self.in_features.div_ceil(4)
    }
}

/// The whole tensor.
#[inline(always)]
pub fn run(p: &Params, consts: Consts<'_>, input: Bytes<'_>, output: Bytes<'_>, scratch: Bytes<'_>) {
    for row in 0..p.rows {
        let from = input.sub(row * p.in_features, p.in_features);
        let to = output.sub(row * p.out_features, p.out_features);
        step(p, consts, from, to, scratch);
    }
    if !p.shifts {
        arch::clamp_codes(output, p.rows * p.out_features, p.out);
    }
}

/// One output row from one input row; without shifts, saturated to int8 alone.
#[inline(always)]
fn step(p: &Params, consts: Consts<'_>, row: Bytes<'_>, out: Bytes<'_>, scratch: Bytes<'_>) {
    // Four variants, of which only those that the parameters ask for are linked.
    match (p.dual, !p.shifts) {
        (true, true) => variant::<true, true>(p, consts, row, out, scratch),
        (true, false) => variant::<true, false>(p, consts, row, out, scratch),
        (false, true) => variant::<false, true>(p, consts, row, out, scratch),
        (false, false) => variant::<false, false>(p, consts, row, out, scratch),
    }
}

#[inline(never)]
fn variant<const DUAL: bool, const SATURATES: bool>(
    p: &Params,
    consts: Consts<'_>,
    row: Bytes<'_>,
    out: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let (channels, words) = (p.out_features, p.words());
    let last = blocks::last(consts, channels, words, scratch);
    let bytes = blocks::stream_bytes(channels, words);
    let blocks = Blocks { consts, last, bytes, channels, words, shifts: p.shifts, out: p.out };
    blocks.one::<DUAL, SATURATES>(row, p.in_features, out);
}
