//! Softmax to a `softmax` call.
//!
//! In: a quantized node. Out: one call whose constants are the 256 exponentials.
//! Invariant: no value of the kernel's formula exceeds 32 bits unsigned.

use tinyc_runtime::kernels::softmax;

use super::Integers;
use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Kernel, LowerError, Lowered, Packer};
use crate::ops::conv::lower::out_params;
use crate::quant::QuantTable;

/// Lowers a softmax.
///
/// # Errors
/// [`LowerError::Limit`] for rows or scales beyond those of [`Integers::new`].
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let shape = graph.shape(node.output);
    let n = shape.channels();
    let output = quant.activation(node.output);
    let integers = Integers::new(&quant.activation(node.inputs[0]), &output, n).map_err(LowerError::Limit)?;
    let params = softmax::Params {
        rows: shape.elements() / n,
        n,
        sum_scale: integers.sum_scale,
        out: out_params(&output),
    };
    let consts = Packer::new().i32s(integers.table.iter().map(|&t| t as i32)).finish();
    let scratch_bytes = softmax::scratch_bytes(&params);
    Ok(Lowered::one(Call {
        kernel: Kernel::Softmax(params),
        consts,
        inputs: vec![node.inputs[0]],
        scratch_bytes,
    })
    .in_place_of([0]))
}
