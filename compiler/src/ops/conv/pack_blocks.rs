//! Constants of the tile kernels: blocks of four channels, in the order in which
//! the kernels read them.
//!
//! In: folded biases, multipliers and weights. Out: the blob that the runtime's
//! `blocks` describes. Invariant: the weights of two channels share 16-bit halves
//! only where the upper channel's accumulator provably stays within 24 bits.

use crate::lower::{Constants, Packer};
use crate::quant::LayerQuant;

/// A layer's blob, and how it is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Blocks, and shifts if there are any.
    pub consts: Constants,
    /// Whether the weights of two channels share 16-bit halves.
    pub dual: bool,
    /// Whether shifts are present.
    pub shifts: bool,
}

/// The least and the greatest value of `bias + sum(q * w)` over codes `q` of int8.
pub fn reach(bias: i32, weights: &[i8]) -> (i64, i64) {
    weights.iter().map(|&w| i64::from(w)).fold((i64::from(bias), i64::from(bias)), |(least, most), w| {
        let (a, b) = (-128 * w, 127 * w);
        (least + a.min(b), most + a.max(b))
    })
}

/// Whether `256 * B + A` can carry both channels: the weight `B` fits the upper
/// byte when `A` borrows from it, and the sum of `B` fits the 24 bits above `A`'s
/// byte (the sum of `A` may wrap: its own accumulator is exact).
fn shares(bias: i32, weights: &[i8]) -> bool {
    let (least, most) = reach(bias, weights);
    weights.iter().all(|&w| w != i8::MIN) && least >= -(1 << 23) && most < 1 << 23
}

/// Packs `[channels][inputs]` weights: input `i` of a channel goes to half `i % 2` of word
/// `i / 2` where `places[i]` is that place; places that no input has, and channels that
/// fill up a block, have weights of 0. There are `words` words of
/// two inputs. With `halves`, the last block is stored as its first two channels alone.
///
/// # Panics
/// If there is not one place for each weight of a channel.
pub fn pack_blocks(
    bias: &[i32],
    layer: &LayerQuant,
    weights: &[i8],
    places: &[usize],
    words: usize,
    halves: bool,
) -> Packed {
    let channels = bias.len();
    let taps = weights.len() / channels;
    assert_eq!(taps, places.len(), "a place for each weight");
    let in_place = |row: &[i8]| {
        let mut placed = vec![0; 2 * words];
        row.iter().zip(places).for_each(|(&weight, &place)| placed[place] = weight);
        placed
    };
    let rows: Vec<Vec<i8>> = weights.chunks(taps).map(in_place).collect();
    let nothing = vec![0; 2 * words];
    let row = |channel: usize| rows.get(channel).unwrap_or(&nothing);
    let bias = |channel: usize| bias.get(channel).copied().unwrap_or(0);
    let dual = (1..channels).step_by(2).all(|channel| shares(bias(channel), row(channel)));
    let shifts = layer.multipliers.iter().any(|m| m.k > 0);
    let mut packer = Packer::new();
    for first in (0..channels).step_by(4) {
        let halves = halves && first + 4 > channels;
        let pairs: &[[usize; 2]] = &[[first, first + 1], [first + 2, first + 3]];
        let pairs = if halves { &pairs[..1] } else { pairs };
        for &[a, b] in pairs {
            let start = if dual { bias(b).wrapping_mul(256).wrapping_add(bias(a)) } else { bias(b) };
            packer = packer.biases([start, bias(a)]);
        }
        for word in (0..2 * words).step_by(2) {
            for [a, b] in pairs.iter().map(|pair| pair.map(row)) {
                packer = packer.bytes(half(a[word], b[word], dual));
                packer = packer.bytes(half(a[word + 1], b[word + 1], dual));
            }
        }
        let multiplier = |&channel: &usize| layer.multipliers.get(channel).map_or(0, |m| m.m);
        packer = packer.multipliers(pairs.iter().flatten().map(multiplier));
    }
    if shifts {
        packer = packer.shifts(layer.multipliers.iter().map(|m| m.k));
    }
    Packed { consts: packer.finish(), dual, shifts }
}

/// The places of a row's inputs: of every four a, b, c, d two words, (a, c) and (b, d).
pub fn places_of_row(inputs: usize) -> Vec<usize> {
    (0..inputs).map(|i| i / 4 * 4 + i % 2 * 2 + i / 2 % 2).collect()
}

/// Two weights of one input as 16 bits.
fn half(a: i8, b: i8, dual: bool) -> [u8; 2] {
    if dual { (256 * i16::from(b) + i16::from(a)).to_le_bytes() } else { [a as u8, b as u8] }
}

/// Constants of `depthwise_quad`, from `[channels][9]` weights of at least four channels, as
/// the kernel describes them.
pub fn pack_quads(bias: &[i32], layer: &LayerQuant, weights: &[i8]) -> Constants {
    let channels = bias.len();
    let mut packer = Packer::new();
    for first in (0..channels).step_by(4) {
        let group = first..channels.min(first + 4);
        for channel in group.clone() {
            packer = packer.biases([bias[channel]]).multipliers([layer.multipliers[channel].m]);
        }
        packer = packer.bytes(std::iter::repeat_n(0, 4 - group.len()));
        packer = packer.codes(&weights[9 * group.start..9 * group.end]);
    }
    packer.finish()
}

/// Constants of `depthwise_lines`, from `[channels][taps]` weights of at least four channels:
/// four by four, the last group ending with the last channel.
pub fn pack_fours(bias: &[i32], layer: &LayerQuant, weights: &[i8]) -> Constants {
    let channels = bias.len();
    let taps = weights.len() / channels;
    let mut packer = Packer::new();
    for first in (0..channels).step_by(4).map(|first| first.min(channels - 4)) {
        let four = first..first + 4;
        let of_tap = |tap: usize| four.clone().map(move |c| weights[taps * c + tap] as u8);
        packer = packer.biases(bias[four.clone()].iter().copied());
        packer = packer.multipliers(layer.multipliers[four.clone()].iter().map(|m| m.m));
        packer = packer.bytes((0..taps).flat_map(of_tap));
    }
    packer.finish()
}
