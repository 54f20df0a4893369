//! Convolution to `sparse`: weights that are zero take a bit.
//!
//! In: a quantized node. Out: one call, or nothing for groups. Invariant: the same
//! bytes as the other forms give.

use tinyc_runtime::kernels::sparse;

use super::Conv;
use super::lower::{fold_zero_point, out_params, pack_outputs};
use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Constants, Kernel, LowerError, Lowered};
use crate::quant::{LayerQuant, QuantTable};

/// Lowers a convolution; `None` where this kernel does not serve.
///
/// # Errors
/// [`LowerError::Accumulator`].
pub fn lower(
    graph: &Graph,
    quant: &QuantTable,
    id: NodeId,
    conv: &Conv,
) -> Result<Option<Lowered>, LowerError> {
    if conv.groups != 1 || quant.layer(id).borders.is_some() {
        return Ok(None);
    }
    let node = graph.node(id);
    let input = quant.activation(node.inputs[0]);
    let layer = quant.layer(id);
    let bias = fold_zero_point(layer, input.zero_point)?;
    let [in_h, in_w, in_c] =
        graph.shape(node.inputs[0]).hwc().expect("verified: convolution input is [1, H, W, C]");
    let [out_h, out_w, out_c] =
        graph.shape(node.output).hwc().expect("verified: convolution output is [1, H, W, C]");
    let window = conv.window;
    let (consts, nonzeros, shifts) = pack_sparse(&bias, layer);
    let params = sparse::Params {
        in_h,
        in_w,
        in_c,
        out_h,
        out_w,
        out_c,
        kernel_h: window.kernel[0],
        kernel_w: window.kernel[1],
        stride_h: window.stride[0],
        stride_w: window.stride[1],
        pad_top: window.pads.top,
        pad_left: window.pads.left,
        dilation_h: window.dilation[0],
        dilation_w: window.dilation[1],
        pad_code: input.code(f64::from(conv.pad_value)),
        nonzeros,
        shifts,
        out: out_params(&quant.activation(node.output)),
    };
    Ok(Some(Lowered::one(Call {
        kernel: Kernel::Sparse(params),
        consts,
        inputs: vec![node.inputs[0]],
        scratch_bytes: sparse::scratch_bytes(&params),
    })))
}

/// The constants that the runtime's `sparse` describes, how many weights are not
/// zero, and whether shifts are present.
pub fn pack_sparse(bias: &[i32], layer: &LayerQuant) -> (Constants, usize, bool) {
    let (mut packer, shifts) = pack_outputs(bias, layer);
    let window = layer.weights.len() / bias.len();
    for channel in layer.weights.chunks(window) {
        for word in channel.chunks(32) {
            let bits = word.iter().enumerate().map(|(i, &w)| u32::from(w != 0) << i);
            packer = packer.bytes(bits.sum::<u32>().to_le_bytes());
        }
    }
    let nonzeros: Vec<i8> = layer.weights.iter().copied().filter(|&w| w != 0).collect();
    (packer.codes(&nonzeros).finish(), nonzeros.len(), shifts)
}
