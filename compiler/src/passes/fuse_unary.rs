//! Element-wise functions that follow each other become one chain, hence one table.
//!
//! Not done where the model quantizes the tensor between them, since that rounds.

use super::{Context, PassError, edit};
use crate::Module;
use crate::ops::Op;

/// Runs the pass.
pub fn run(module: &mut Module, _: &Context<'_>) -> Result<(), PassError> {
    for id in module.graph.order().to_vec() {
        let graph = &module.graph;
        let Op::Unary(second) = graph.node(id).op.clone() else { continue };
        let input = graph.node(id).inputs[0];
        let Some(first_id) = graph.producer(input) else { continue };
        let Op::Unary(first) = graph.node(first_id).op.clone() else { continue };
        if graph.sole_reader(input) != Some(id)
            || module.given.activation(graph, input).is_some()
            || !graph.node(first_id).clamp.is_none()
        {
            continue;
        }
        let clamp = graph.node(id).clamp;
        let producer = module.graph.node_mut(first_id);
        producer.op = Op::Unary(first.into_iter().chain(second).collect());
        producer.clamp = clamp;
        edit::absorb(&mut module.graph, first_id, id);
    }
    Ok(())
}
