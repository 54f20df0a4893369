//! A fully connected layer to one `dense` call.
//!
//! In: a quantized node. Out: one call. Invariant: the input's zero point is
//! folded into the bias, and the accumulator is proven to stay in 32 bits.

use tinyc_runtime::kernels::dense;

use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Kernel, LowerError, Lowered};
use crate::ops::conv::lower::{fold_zero_point, out_params, pack};
use crate::quant::QuantTable;

/// Lowers a fully connected layer.
///
/// # Errors
/// [`LowerError::Accumulator`].
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let layer = quant.layer(id);
    let bias = fold_zero_point(layer, quant.activation(node.inputs[0]).zero_point)?;
    let (consts, shifts) = pack(&bias, layer, &layer.weights);
    let in_features = graph.shape(node.inputs[0]).channels();
    let params = dense::Params {
        rows: graph.shape(node.inputs[0]).elements() / in_features,
        in_features,
        out_features: graph.shape(node.output).channels(),
        shifts,
        out: out_params(&quant.activation(node.output)),
    };
    Ok(Lowered::one(Call {
        kernel: Kernel::Dense(params),
        consts,
        inputs: vec![node.inputs[0]],
        scratch_bytes: dense::scratch_bytes(&params),
    }))
}
