//! A fully connected layer to `sparse`: weights that are zero take a bit.
//!
//! In: a quantized node. Out: one call. Invariant: the same bytes as the other
//! forms give.

use tinyc_runtime::kernels::sparse;

use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Kernel, LowerError, Lowered};
use crate::ops::conv::lower::{fold_zero_point, out_params};
use crate::ops::conv::lower_sparse::pack_sparse;
use crate::quant::QuantTable;

/// Lowers a fully connected layer: its rows are a column of pixels.
///
/// # Errors
/// [`LowerError::Accumulator`].
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let layer = quant.layer(id);
    let bias = fold_zero_point(layer, quant.activation(node.inputs[0]).zero_point)?;
    let in_c = graph.shape(node.inputs[0]).channels();
    let rows = graph.shape(node.inputs[0]).elements() / in_c;
    let (consts, nonzeros, shifts) = pack_sparse(&bias, layer);
    let params = sparse::Params {
        in_h: 1,
        in_w: rows,
        in_c,
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
        nonzeros,
        shifts,
        out: out_params(&quant.activation(node.output)),
    };
    let scratch_bytes = sparse::scratch_bytes(&params);
    Ok(Lowered::one(Call {
        kernel: Kernel::Sparse(params),
        consts,
        inputs: vec![node.inputs[0]],
        scratch_bytes,
    }))
}
