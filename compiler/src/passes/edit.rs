//! Edits that several passes make.
//!
//! Invariant: the value that readers see keeps the name and the origin that the
//! user knows from the ONNX file.

use crate::ir::{Graph, NodeId, ValueId};

/// Lets `producer` stand for `absorbed`, its only reader: the producer's output
/// takes over name, origin and readers of the absorbed node's output.
pub fn absorb(graph: &mut Graph, producer: NodeId, absorbed: NodeId) {
    let (kept, gone) = (graph.node(producer).output, graph.node(absorbed).output);
    take_place(graph, kept, gone);
    let name = graph.node(absorbed).name.clone();
    graph.remove_node(absorbed);
    let node = graph.node_mut(producer);
    if node.name != name {
        node.fused.push(name);
    }
}

/// `kept` takes over name, origin and readers of `gone`.
pub fn take_place(graph: &mut Graph, kept: ValueId, gone: ValueId) {
    graph.swap_names(kept, gone);
    let origin = graph.value(gone).origin.clone();
    graph.value_mut(kept).origin = origin;
    graph.replace_uses(gone, kept);
}

/// Makes readers of a node's output read its first operand, and removes the node.
pub fn bypass(graph: &mut Graph, id: NodeId) {
    let node = graph.node(id);
    let (input, output) = (node.inputs[0], node.output);
    // The name that users read from the crate is that of the graph's output.
    if graph.outputs.contains(&output) && graph.producer(input).is_some() && !graph.outputs.contains(&input) {
        let origin = graph.value(output).origin.clone();
        graph.swap_names(input, output);
        graph.value_mut(input).origin = origin;
    }
    graph.replace_uses(output, input);
    graph.remove_node(id);
}
