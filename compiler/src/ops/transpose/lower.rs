//! Transposes, and whatever else only moves bytes, to `copy` calls.
//!
//! In: a node. Out: one call, or a view where nothing moves. Invariant: a copy
//! has at most six loops, none of them of one turn, the innermost one last.

use tinyc_runtime::kernels::copy;

use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Constants, Kernel, LowerError, Lowered};
use crate::quant::QuantTable;

/// The dimensions of a [`copy::Params`].
const MAX_DIMS: usize = 6;

/// Where a copy reads and writes; dimensions outermost first, strides in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strided {
    /// Turns of each loop.
    pub dims: Vec<usize>,
    /// Position of the first element read.
    pub in_offset: usize,
    /// Step between elements read.
    pub in_strides: Vec<usize>,
    /// Position of the first element written.
    pub out_offset: usize,
    /// Step between elements written.
    pub out_strides: Vec<usize>,
}

impl Strided {
    /// The same copy in as few loops as possible: loops of one turn go, and
    /// neighbours that run through both tensors as one become one.
    pub fn merged(&self) -> Strided {
        let mut out = Strided { dims: vec![], in_strides: vec![], out_strides: vec![], ..self.clone() };
        for i in (0..self.dims.len()).filter(|&i| self.dims[i] != 1) {
            let (n, read, write) = (self.dims[i], self.in_strides[i], self.out_strides[i]);
            match (out.dims.last_mut(), out.in_strides.last_mut(), out.out_strides.last_mut()) {
                (Some(dim), Some(r), Some(w)) if *r == n * read && *w == n * write => {
                    (*dim, *r, *w) = (*dim * n, read, write);
                }
                _ => {
                    out.dims.push(n);
                    out.in_strides.push(read);
                    out.out_strides.push(write);
                }
            }
        }
        out
    }

    /// The runtime's parameters for a tensor of `out_len` elements, of which
    /// those not copied become `fill`, where it is given.
    ///
    /// # Errors
    /// [`LowerError::Limit`] where more than six loops remain.
    pub fn params(&self, fill: Option<i8>, out_len: usize) -> Result<copy::Params, LowerError> {
        let merged = self.merged();
        let Some(unused) = MAX_DIMS.checked_sub(merged.dims.len()) else {
            return Err(LowerError::Limit(format!(
                "moving its elements takes {} nested loops after merging, the runtime's copy has {MAX_DIMS}: split it into two steps",
                merged.dims.len()
            )));
        };
        let front = |values: &[usize], missing: usize| {
            let mut all = [missing; MAX_DIMS];
            all[unused..].copy_from_slice(values);
            all
        };
        Ok(copy::Params {
            dims: front(&merged.dims, 1),
            in_offset: self.in_offset,
            in_strides: front(&merged.in_strides, 0),
            out_offset: self.out_offset,
            out_strides: front(&merged.out_strides, 0),
            fill: fill.is_some(),
            fill_code: fill.unwrap_or(0),
            out_len,
        })
    }
}

/// The loops of a transpose, in the order of its output.
fn strided(graph: &Graph, id: NodeId, perm: &[usize]) -> Strided {
    let node = graph.node(id);
    let shape = graph.shape(node.output);
    let in_strides = graph.shape(node.inputs[0]).strides();
    Strided {
        dims: shape.0.clone(),
        in_offset: 0,
        in_strides: perm.iter().map(|&p| in_strides[p]).collect(),
        out_offset: 0,
        out_strides: shape.strides(),
    }
}

/// Lowers a transpose: a view where only dimensions of one element move.
///
/// # Errors
/// [`LowerError::Limit`] where more than six groups of dimensions move.
pub fn lower(graph: &Graph, _quant: &QuantTable, id: NodeId, perm: &[usize]) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let strided = strided(graph, id, perm);
    if strided.merged().dims.len() <= 1 {
        return Ok(Lowered::view());
    }
    let params = strided.params(None, graph.shape(node.output).elements())?;
    let scratch_bytes = copy::scratch_bytes(&params);
    Ok(Lowered::one(Call {
        kernel: Kernel::Copy(params),
        consts: Constants::default(),
        inputs: vec![node.inputs[0]],
        scratch_bytes,
    }))
}
