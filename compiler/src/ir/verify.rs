//! The verifier: what holds of every graph, checked after every pass.
//!
//! 1. Every operand of a node is an input, a constant, or the output of a node
//!    that stands earlier in the order.
//! 2. A node is its output's definition, and no other node's.
//! 3. Constants are finite.
//! 4. A node's output shape is the one that its operator computes, without the
//!    rows and columns that a convolution or a pooling leaves out; a reshape keeps
//!    the number of elements.
//! 5. Weights, biases, scales and shifts are constants; other operands are not.
//! 6. Every graph output is defined by an input or a live node.
//! 7. Value names are unique.
//! 8. A value that selects channels of its tensor has as many as it selects, in
//!    increasing order out of those that there are.

use std::collections::BTreeSet;

use super::{Def, Graph, Node, NodeId, Shape, ValueId};
use crate::ops::Op;

/// Checks a graph.
///
/// # Errors
/// The first violation, with the number of the property and the node's name.
/// It is always a bug of tinyc, never of the model.
pub fn verify(graph: &Graph) -> Result<(), String> {
    let mut defined: BTreeSet<ValueId> = graph.inputs.iter().copied().collect();
    let mut names = BTreeSet::new();
    for (id, value) in graph.values() {
        if let Def::Const(data) = &value.def {
            if data.iter().any(|v| v.is_nan()) {
                return Err(format!("(3) constant '{}' holds NaN", value.name));
            }
            defined.insert(id);
        }
        if let Some(selection) = value.origin.as_ref().and_then(|o| o.channels.as_ref()) {
            let increasing = selection.kept.is_sorted_by(|a, b| a < b);
            let within = selection.kept.last().is_some_and(|&last| last < selection.of);
            if selection.kept.len() != value.shape.channels() || !increasing || !within {
                return Err(format!("(8) value '{}' does not hold the channels it selects", value.name));
            }
        }
        if !names.insert(&value.name) {
            return Err(format!("(7) two values are named '{}'", value.name));
        }
    }
    for &id in graph.order() {
        let node = graph.node(id);
        let name = &node.name;
        if let Some(&early) = node.inputs.iter().find(|v| !defined.contains(v)) {
            return Err(format!(
                "(1) node '{name}' reads '{}' before it is defined",
                graph.value(early).name
            ));
        }
        if graph.value(node.output).def != Def::Node(id) || !defined.insert(node.output) {
            return Err(format!("(2) node '{name}' is not the only definition of its output"));
        }
        operands(graph, id)?;
        shape(graph, id)?;
    }
    match graph.outputs.iter().find(|o| !defined.contains(o)) {
        Some(&output) => Err(format!("(6) output '{}' has no definition", graph.value(output).name)),
        None => Ok(()),
    }
}

fn operands(graph: &Graph, id: NodeId) -> Result<(), String> {
    let node = graph.node(id);
    let activations = match node.op {
        Op::Binary(_) => 2,
        Op::Concat(_) => node.inputs.len(),
        _ => 1,
    };
    for (i, &operand) in node.inputs.iter().enumerate() {
        if graph.constant(operand).is_some() != (i >= activations) {
            return Err(format!(
                "(5) operand {i} of node '{}' ({}) is of the wrong kind",
                node.name,
                node.op.name()
            ));
        }
    }
    Ok(())
}

fn shape(graph: &Graph, id: NodeId) -> Result<(), String> {
    let node = graph.node(id);
    let shapes: Vec<_> = node.inputs.iter().map(|&v| graph.shape(v)).collect();
    let actual = graph.shape(node.output);
    let by_rule = node.op.output_shape(&shapes).and_then(|shape| cropped(node, shape));
    match by_rule {
        Err(reason) => Err(format!("(4) node '{}': {reason}", node.name)),
        Ok(Some(expected)) if expected != *actual => {
            Err(format!("(4) node '{}' should give {expected}, its output has {actual}", node.name))
        }
        Ok(None) if shapes[0].elements() != actual.elements() => {
            Err(format!("(4) reshape '{}' turns {} into {actual}", node.name, shapes[0]))
        }
        Ok(_) => Ok(()),
    }
}

/// The shape without the rows and columns that the node leaves out.
fn cropped(node: &Node, shape: Option<Shape>) -> Result<Option<Shape>, String> {
    if node.crop == [0; 2] {
        return Ok(shape);
    }
    let window = matches!(node.op, Op::Conv(_) | Op::Pool(_));
    match shape.as_ref().and_then(Shape::hwc) {
        Some([h, w, c]) if window && h > node.crop[0] && w > node.crop[1] => {
            Ok(Some(Shape(vec![1, h - node.crop[0], w - node.crop[1], c])))
        }
        _ => Err(format!("it cannot leave out {:?} rows and columns", node.crop)),
    }
}
