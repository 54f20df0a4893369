//! Transposes that move only unit dimensions become reshapes; a reshape of a
//! reshape reads the first one's operand.

use super::sink_transposes::moves_only_units;
use super::{Context, PassError, remove_dead, remove_noops};
use crate::Module;
use crate::ops::Op;

/// Runs the pass.
pub fn run(module: &mut Module, context: &Context<'_>) -> Result<(), PassError> {
    let graph = &mut module.graph;
    for id in graph.order().to_vec() {
        let node = graph.node(id);
        if let Op::Transpose(perm) = &node.op
            && moves_only_units(graph.shape(node.inputs[0]), perm)
        {
            graph.node_mut(id).op = Op::Reshape;
        }
        let node = graph.node(id);
        if node.op == Op::Reshape
            && let Some(first) = graph.producer(node.inputs[0])
            && graph.node(first).op == Op::Reshape
        {
            let x = graph.node(first).inputs[0];
            graph.node_mut(id).inputs[0] = x;
        }
    }
    remove_dead::run(module, context)?;
    remove_noops::run(module, context)
}
