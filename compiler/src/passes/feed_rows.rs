//! An input that is pushed row by row arrives in the order in which it is read.
//!
//! In: a quantized module. Out, where rows are asked for: the only reader of a graph
//! input is no turn to channel-last and no reshape; the caller does it, or a sensor
//! that delivers channel-last pixels anyway. Invariant: the codes of every value that
//! stays are what they were; the origin of the new input says how its data is that of
//! the file's input.

use super::{Context, PassError};
use crate::Module;
use crate::ir::{Def, Graph, NodeId, Origin, Shape};
use crate::ops::Op;

/// Runs the pass.
pub(super) fn run(module: &mut Module, context: &Context<'_>) -> Result<(), PassError> {
    if context.feed.by_rows() {
        while step(module) {}
    }
    Ok(())
}

/// Makes the output of the node that turns an input the input; whether there was one.
fn step(module: &mut Module) -> bool {
    let graph = &mut module.graph;
    let turns = module.ports.inputs.iter().enumerate().find_map(|(index, port)| {
        let reader = graph.sole_reader(graph.inputs[index])?;
        let file = port.shape.clone().map(Shape);
        Some((index, reader, turned(graph, reader, file.as_ref())?))
    });
    let Some((index, reader, origin)) = turns else { return false };
    let (input, output) = (graph.inputs[index], graph.node(reader).output);
    graph.remove_node(reader);
    graph.value_mut(output).def = Def::Input;
    graph.value_mut(output).origin = Some(origin);
    // The name that users know.
    graph.swap_names(input, output);
    graph.inputs[index] = output;
    true
}

/// The origin of a node's output as an input, if the node only turns one or gives it
/// another shape; `file` is the shape in the file.
fn turned(graph: &Graph, reader: NodeId, file: Option<&Shape>) -> Option<Origin> {
    let node = graph.node(reader);
    let before = graph.value(node.inputs[0]);
    let origin = before.origin.clone()?;
    if graph.outputs.contains(&node.output) {
        return None;
    }
    match &node.op {
        Op::Transpose(perm) => {
            let (file, order) = (file?, origin.order.as_ref()?);
            let dims = dims(file, order, &before.shape)?;
            let moved = perm.iter().filter_map(|&p| dims[p]);
            // Where dimensions of one element stand says nothing about the data.
            let units = order.iter().copied().filter(|&dim| file.0[dim] == 1);
            Some(Origin { order: Some(units.chain(moved).collect()), ..origin.clone() })
        }
        // Its data stays that of the transposed tensor.
        Op::Reshape => Some(origin),
        _ => None,
    }
}

/// Which dimension of the file's tensor each dimension of a shape is, `None` for those of
/// one element; `None` where a reshape has split or joined some.
fn dims(file: &Shape, order: &[usize], shape: &Shape) -> Option<Vec<Option<usize>>> {
    let mut left = order.iter().copied().filter(|&dim| file.0[dim] != 1);
    let of = |&size: &usize| match size {
        1 => Some(None),
        _ => left.next().filter(|&dim| file.0[dim] == size).map(Some),
    };
    let dims: Option<Vec<_>> = shape.0.iter().map(of).collect();
    dims.filter(|_| left.next().is_none())
}
