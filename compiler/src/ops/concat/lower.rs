//! Concatenation of some tensors to one `join` call, of many to one `copy` call an input.
//!
//! In: a node. Out: one call, or as many as inputs. Invariant: the calls write every
//! byte of the output exactly once. `join` can work row by row. Where each input is one
//! run of the output, the calls are copies that a planner may leave out.

use tinyc_runtime::kernels::{copy, join};

use crate::ir::{Graph, NodeId, ValueId};
use crate::lower::{Call, Constants, Kernel, LowerError, Lowered};
use crate::ops::transpose::lower::Strided;
use crate::quant::QuantTable;

/// Lowers a concatenation.
///
/// # Errors
/// None that a verified graph can cause: each copy has two loops.
pub fn lower(graph: &Graph, _quant: &QuantTable, id: NodeId, axis: usize) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let out = graph.shape(node.output);
    let runs = out.0[..axis].iter().all(|&extent| extent == 1)
        && node.inputs.iter().all(|&input| graph.shape(input).elements() > 0);
    if !runs && node.inputs.len() <= join::MOST {
        return Ok(Lowered::one(together(graph, &node.inputs, axis)));
    }
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
        calls.push(Call { kernel, consts: Constants::default(), inputs: vec![input], scratch_bytes });
    }
    Ok(Lowered { side_by_side: runs, ..Lowered::many(calls) })
}

/// All of them in one call.
fn together(graph: &Graph, inputs: &[ValueId], axis: usize) -> Call {
    let mut lens = [0; join::MOST];
    for (len, &input) in lens.iter_mut().zip(inputs) {
        *len = graph.shape(input).0[axis..].iter().product();
    }
    let outer = inputs.first().map_or(&[][..], |&input| &graph.shape(input).0[..axis]);
    // Rows of `[1, H, W, C]`, where the axis is not before them.
    let rows = if axis >= 2 { outer[..2].iter().product() } else { 1 };
    let params = join::Params { rows, width: outer.iter().product::<usize>() / rows.max(1), lens };
    Call {
        kernel: Kernel::Join(params),
        consts: Constants::default(),
        inputs: inputs.to_vec(),
        scratch_bytes: join::scratch_bytes(&params),
    }
}
