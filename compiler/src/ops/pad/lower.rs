//! Padding to one `copy` call that fills first.
//!
//! In: a quantized node. Out: one call. Invariant: the fill is the code of the
//! padding's value under the tensor's parameters.

use tinyc_runtime::kernels::copy;

use super::Pad;
use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Constants, Kernel, LowerError, Lowered};
use crate::ops::transpose::lower::Strided;
use crate::quant::QuantTable;

/// Lowers a padding.
///
/// # Errors
/// [`LowerError::Limit`] where more than six dimensions are padded.
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId, pad: &Pad) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let shape = graph.shape(node.inputs[0]);
    let out = graph.shape(node.output);
    let out_strides = out.strides();
    let strided = Strided {
        dims: shape.0.clone(),
        in_offset: 0,
        in_strides: shape.strides(),
        out_offset: pad.before.iter().zip(&out_strides).map(|(b, s)| b * s).sum(),
        out_strides,
    };
    let fill = quant.activation(node.inputs[0]).code(f64::from(pad.value));
    let params = strided.params(Some(fill), out.elements())?;
    let scratch_bytes = copy::scratch_bytes(&params);
    Ok(Lowered::one(Call {
        kernel: Kernel::Copy(params),
        consts: Constants::default(),
        inputs: vec![node.inputs[0]],
        scratch_bytes,
    }))
}
