//! Nodes that change nothing: empty unary chains (Identity, Dropout), reshapes to
//! the same shape, identity permutations.
//!
//! Invariant: an Identity between two tensors that the model quantizes
//! differently stays, since it rounds.

use super::{Context, PassError, edit};
use crate::Module;
use crate::ops::Op;

/// Runs the pass.
pub fn run(module: &mut Module, _: &Context<'_>) -> Result<(), PassError> {
    for id in module.graph.order().to_vec() {
        let graph = &module.graph;
        let node = graph.node(id);
        let (input, output) = (node.inputs[0], node.output);
        let same_shape = graph.shape(input) == graph.shape(output);
        let nothing = match &node.op {
            Op::Unary(chain) => chain.is_empty(),
            Op::Reshape => same_shape,
            Op::Transpose(perm) => perm.iter().enumerate().all(|(i, &p)| i == p),
            Op::Concat(_) => node.inputs.len() == 1,
            _ => false,
        };
        let rounds = match (module.given.activation(graph, input), module.given.activation(graph, output)) {
            (Some(a), Some(b)) => !a.same_scale(&b),
            _ => false,
        };
        // A graph input read as a graph output must stay two ports.
        let port = graph.outputs.contains(&output) && graph.producer(input).is_none();
        if nothing && node.clamp.is_none() && !rounds && !port {
            edit::bypass(&mut module.graph, id);
        }
    }
    Ok(())
}
