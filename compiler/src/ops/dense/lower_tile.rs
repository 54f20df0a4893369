//! A fully connected layer to the kernels for DSP instructions: `dense_tile` for
//! one row, `conv_tile` for several (a row is a pixel).
//!
//! In: a quantized node. Out: one call, or nothing where sizes go beyond the kernel's
//! 16 bits. Invariant: the same bytes as `dense`
//! gives.

use tinyc_runtime::kernels::{conv_tile, dense_tile};

use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Kernel, LowerError, Lowered};
use crate::ops::conv::lower::{fold_zero_point, out_params};
use crate::ops::conv::lower_tile::pack;
use crate::ops::conv::pack_blocks::{pack_blocks, places_of_row};
use crate::quant::QuantTable;

/// Lowers a fully connected layer; `None` where these kernels do not serve.
///
/// # Errors
/// [`LowerError::Accumulator`].
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId) -> Result<Option<Lowered>, LowerError> {
    let node = graph.node(id);
    let in_features = graph.shape(node.inputs[0]).channels();
    if graph.shape(node.inputs[0]).elements() > in_features {
        return lower_pixels(graph, quant, id);
    }
    let layer = quant.layer(id);
    let bias = fold_zero_point(layer, quant.activation(node.inputs[0]).zero_point)?;
    let out_features = graph.shape(node.output).channels();
    let out = out_params(&quant.activation(node.output));
    let (places, words) = (places_of_row(in_features), 2 * in_features.div_ceil(4));
    // Neither of what the weights decide changes where they end.
    let params = dense_tile::Params { rows: 1, in_features, out_features, dual: false, shifts: false, out };
    let packed = pack_blocks(&bias, layer, &layer.weights, &places, words, params.halves());
    let params = dense_tile::Params { dual: packed.dual, shifts: packed.shifts, ..params };
    Ok(Some(Lowered::one(Call {
        kernel: Kernel::DenseTile(params),
        consts: packed.consts,
        inputs: vec![node.inputs[0]],
        scratch_bytes: dense_tile::scratch_bytes(&params),
    })))
}

/// Lowers it to `conv_tile`, however many rows there are; `None` where that does not
/// serve.
///
/// # Errors
/// [`LowerError::Accumulator`].
pub fn lower_pixels(graph: &Graph, quant: &QuantTable, id: NodeId) -> Result<Option<Lowered>, LowerError> {
    let node = graph.node(id);
    let layer = quant.layer(id);
    let bias = fold_zero_point(layer, quant.activation(node.inputs[0]).zero_point)?;
    let in_features = graph.shape(node.inputs[0]).channels();
    let rows = graph.shape(node.inputs[0]).elements() / in_features;
    let params = conv_tile::Params {
        in_h: 1,
        in_w: rows,
        in_c: in_features,
        out_h: 1,
        out_w: rows,
        out_c: graph.shape(node.output).channels(),
        kernel_h: 1,
        kernel_w: 1,
        stride_h: 1,
        stride_w: 1,
        pad_top: 0,
        pad_left: 0,
        dilation_h: 1,
        dilation_w: 1,
        pad_code: 0,
        strip: 1,
        dual: false,
        shifts: false,
        out: out_params(&quant.activation(node.output)),
    };
    let (params, consts) = pack(params, &bias, layer);
    if !params.fits() {
        return Ok(None);
    }
    Ok(Some(Lowered::one(Call {
        kernel: Kernel::ConvTile(params),
        consts,
        inputs: vec![node.inputs[0]],
        scratch_bytes: conv_tile::scratch_bytes(&params),
    })))
}
