//! Convolution to `conv_winograd`: 3 x 3, stride 1, without groups.
//!
//! In: a quantized node, the size of the tiles. Out: one call, or nothing where it
//! would not be exact or the kernel does not serve. Invariant: transformed inputs
//! and weights fit 16 bits, and a sum scaled by its power of two fits 32 bits,
//! proven from the actual weights; then the codes are those of the plain
//! convolution (docs/numerics.md).

use tinyc_runtime::kernels::conv_winograd;

use super::Conv;
use super::lower::{fold_zero_point, out_params};
use super::pack_blocks::reach;
use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Constants, Kernel, LowerError, Lowered, Packer};
use crate::quant::{LayerQuant, QuantTable};

/// Rows or columns of outputs that a tile makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Two,
    Four,
}

impl Side {
    fn outputs(self) -> usize {
        match self {
            Side::Two => 2,
            Side::Four => 4,
        }
    }

    /// Rows of the kernel transform, scaled to integers.
    fn matrix(self) -> &'static [[i32; 3]] {
        match self {
            Side::Two => &[[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]],
            Side::Four => &[[6, 0, 0], [-1, -1, -1], [-1, 1, -1], [1, 2, 4], [1, -2, 4], [0, 0, 6]],
        }
    }

    /// Its part in the largest power of two by which a sum is scaled before it is
    /// shifted back.
    fn shift(self) -> u32 {
        match self {
            Side::Two => 1,
            Side::Four => 3,
        }
    }
}

/// Rows and columns of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile(Side, Side);

impl Tile {
    /// The tiles there are, by their constants: 32, 48 and 72 bytes for a kernel of 9
    /// weights.
    pub const ALL: [Tile; 3] =
        [Tile(Side::Two, Side::Two), Tile(Side::Two, Side::Four), Tile(Side::Four, Side::Four)];

    fn shift(self) -> u32 {
        self.0.shift() + self.1.shift()
    }
}

/// Lowers a convolution; `None` where this kernel does not serve.
///
/// # Errors
/// [`LowerError::Accumulator`].
pub fn lower(
    graph: &Graph,
    quant: &QuantTable,
    id: NodeId,
    conv: &Conv,
    tile: Tile,
) -> Result<Option<Lowered>, LowerError> {
    let node = graph.node(id);
    let input = quant.activation(node.inputs[0]);
    let layer = quant.layer(id);
    let [in_h, in_w, in_c] =
        graph.shape(node.inputs[0]).hwc().expect("verified: convolution input is [1, H, W, C]");
    let [out_h, out_w, out_c] =
        graph.shape(node.output).hwc().expect("verified: convolution output is [1, H, W, C]");
    let window = conv.window;
    let out = out_params(&quant.activation(node.output));
    let serves = conv.groups == 1
        && layer.borders.is_none()
        && window.kernel == [3, 3]
        && window.stride == [1, 1]
        && window.dilation == [1, 1]
        && layer.multipliers.iter().all(|m| m.k == 0);
    if !serves || !layer.weights.chunks(9 * in_c).all(|channel| scaled_fits(channel, tile)) {
        return Ok(None);
    }
    let bias = fold_zero_point(layer, input.zero_point)?;
    let Some(consts) = pack(&bias, layer, in_c, tile) else { return Ok(None) };
    let params = conv_winograd::Params {
        in_h,
        in_w,
        in_c,
        out_h,
        out_w,
        out_c,
        pad_top: window.pads.top,
        pad_left: window.pads.left,
        pad_code: input.code(f64::from(conv.pad_value)),
        tile_h: tile.0.outputs(),
        tile_w: tile.1.outputs(),
        out,
    };
    Ok(Some(Lowered::one(Call {
        kernel: Kernel::ConvWinograd(params),
        consts,
        inputs: vec![node.inputs[0]],
        scratch_bytes: conv_winograd::scratch_bytes(&params),
    })))
}

/// Whether `2^shift * sum(q * w)` fits 32 bits for all codes.
fn scaled_fits(weights: &[i8], tile: Tile) -> bool {
    let (least, most) = reach(0, weights);
    let fits = |sum: i64| i32::try_from(sum << tile.shift()).is_ok();
    fits(least) && fits(most)
}

/// The constants that the runtime's `conv_winograd` describes, from `[channel][3][3]
/// [in_c]` weights; `None` where a transformed weight does not fit 16 bits.
fn pack(bias: &[i32], layer: &LayerQuant, in_c: usize, tile: Tile) -> Option<Constants> {
    let weight = |channel: usize, tap: usize, input: usize| match channel < bias.len() && input < in_c {
        true => i32::from(layer.weights[(channel * 9 + tap) * in_c + input]),
        false => 0,
    };
    let mut packer = Packer::new();
    for first in (0..bias.len()).step_by(4) {
        let four = first..first + 4;
        packer = packer.biases(four.clone().map(|c| bias.get(c).copied().unwrap_or(0)));
        packer = packer.multipliers(four.clone().map(|c| layer.multipliers.get(c).map_or(0, |m| m.m)));
        for row in tile.0.matrix() {
            for column in tile.1.matrix() {
                for pair in (0..in_c).step_by(4).flat_map(|quad| [quad, quad + 1]) {
                    for (channel, input) in four.clone().flat_map(|c| [(c, pair), (c, pair + 2)]) {
                        let transformed: i32 = (0..9)
                            .map(|tap| row[tap / 3] * column[tap % 3] * weight(channel, tap, input))
                            .sum();
                        packer = packer.bytes(i16::try_from(transformed).ok()?.to_le_bytes());
                    }
                }
            }
        }
    }
    Some(packer.finish())
}
