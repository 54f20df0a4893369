//! Concatenation to one `copy` call an input.
//!
//! In: a node. Out: as many calls as inputs. Invariant: the calls write every
//! byte of the output exactly once.

use tinyc_runtime::kernels::copy;

use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Kernel, LowerError, Lowered};
use crate::ops::transpose::lower::Strided;
use crate::quant::QuantTable;

/// Lowers a concatenation.
///
/// # Errors
/// None that a verified graph can cause: each copy has two loops.
pub fn lower(graph: &Graph, _quant: &QuantTable, id: NodeId, axis: usize) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let out = graph.shape(node.output);
    let row: usize = out.0[axis..].iter().product();
    let mut out_offset = 0;
    let mut calls = Vec::with_capacity(node.inputs.len());
    for &input in &node.inputs {
        let (outer, inner) = graph.shape(input).0.split_at(axis);
        let inner: usize = inner.iter().product();
        let strided = Strided {
            dims: vec![outer.iter().product(), inner],
            in_offset: 0,
            in_strides: vec![inner, 1],
            out_offset,
            out_strides: vec![row, 1],
        };
        out_offset += inner;
        let params = strided.params(None, out.elements())?;
        let scratch_bytes = copy::scratch_bytes(&params);
        let kernel = Kernel::Copy(params);
        calls.push(Call { kernel, consts: Vec::new(), inputs: vec![input], scratch_bytes });
    }
    Ok(Lowered::many(calls))
}
