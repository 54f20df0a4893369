//! Kernels that a plan can do without.
//!
//! In: the layers in their forms. Out: other forms for some of them, in kernels that
//! other layers take anyhow. Invariant: with all of them, no layer takes the kernel
//! that they leave: its code is not linked.

use super::PlanError;
use crate::Module;
use crate::ir::NodeId;
use crate::lower::{Kernel, Lowered};
use crate::ops::dense::lower_tile::lower_pixels;

/// The dense layers over one row, as convolutions of one pixel, where there are
/// convolutions: by their place among the steps. None where one of them cannot be.
///
/// # Errors
/// [`PlanError::Lower`].
pub fn dense_as_convolutions(
    module: &Module,
    steps: &[(NodeId, Lowered)],
) -> Result<Vec<(usize, Lowered)>, PlanError> {
    let takes = |step: &(NodeId, Lowered), kernel: fn(&Kernel) -> bool| {
        step.1.calls.iter().any(|call| kernel(&call.kernel))
    };
    if !steps.iter().any(|step| takes(step, |kernel| matches!(kernel.even(), Kernel::ConvTile(_)))) {
        return Ok(Vec::new());
    }
    let graph = &module.graph;
    let mut others = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        if !takes(step, |kernel| matches!(kernel, Kernel::DenseTile(_))) {
            continue;
        }
        let id = step.0;
        let other = lower_pixels(graph, &module.quant, id).map_err(|source| PlanError::Lower {
            node: graph.node(id).name.clone(),
            op: graph.node(id).onnx_op.clone(),
            source,
        })?;
        let Some(other) = other else { return Ok(Vec::new()) };
        others.push((index, other));
    }
    Ok(others)
}
