//! A fully connected layer to the kernel for vectors of 16 codes: `dense_lanes`.
//!
//! In: a quantized node. Out: one call. Invariant: the same bytes as `dense` gives.

use tinyc_runtime::kernels::dense_lanes;

use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Kernel, LowerError, Lowered};
use crate::ops::conv::lower::{fold_zero_point, out_params};
use crate::ops::conv::lower_lanes::pack;
use crate::quant::QuantTable;

/// Lowers a fully connected layer.
///
/// # Errors
/// [`LowerError::Accumulator`].
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let layer = quant.layer(id);
    let bias = fold_zero_point(layer, quant.activation(node.inputs[0]).zero_point)?;
    let in_features = graph.shape(node.inputs[0]).channels();
    let params = dense_lanes::Params {
        rows: graph.shape(node.inputs[0]).elements() / in_features,
        in_features,
        out_features: graph.shape(node.output).channels(),
        shifts: layer.multipliers.iter().any(|m| m.k > 0),
        out: out_params(&quant.activation(node.output)),
    };
    Ok(Lowered::one(Call {
        kernel: Kernel::DenseLanes(params),
        consts: pack(&bias, layer, &layer.weights),
        inputs: vec![node.inputs[0]],
        scratch_bytes: dense_lanes::scratch_bytes(&params),
    }))
}
