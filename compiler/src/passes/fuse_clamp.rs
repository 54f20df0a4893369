//! ReLU, ReLU6 and Clip become the clamp of the node in front of them.
//!
//! A max-pooling in between trades places first: the maximum commutes with a
//! clamp. Invariant: a tensor that the model quantizes keeps its rounding: a
//! clamp fuses across it only where both sides have one scale.

use super::{Context, PassError, edit};
use crate::Module;
use crate::ir::{Clamp, NewNode, NodeId, Origin};
use crate::ops::Op;
use crate::ops::pool::Kind;
use crate::ops::unary::Function;

/// Runs the pass.
pub fn run(module: &mut Module, _: &Context<'_>) -> Result<(), PassError> {
    for id in module.graph.order().to_vec() {
        let Op::Unary(chain) = module.graph.node(id).op.clone() else { continue };
        let (clamp, rest) = leading_clamps(&chain);
        if rest.len() == chain.len() {
            continue;
        }
        let id = if rest.is_empty() { hoist_over_max_pool(module, id, clamp) } else { id };
        fuse(module, id, clamp, rest);
    }
    Ok(())
}

/// The clamps at the head of a chain as one, and what follows.
fn leading_clamps(chain: &[Function]) -> (Clamp, Vec<Function>) {
    let mut clamp = Clamp::NONE;
    let mut rest = chain.iter();
    let mut tail = rest.clone();
    while let Some(Function::Clamp(next)) = rest.next() {
        clamp = clamp.then(*next);
        tail = rest.clone();
    }
    (clamp, tail.copied().collect())
}

fn fuse(module: &mut Module, id: NodeId, clamp: Clamp, rest: Vec<Function>) {
    let graph = &module.graph;
    let node = graph.node(id);
    let input = node.inputs[0];
    let Some(producer) = graph.producer(input) else { return };
    let computes = match &graph.node(producer).op {
        Op::Conv(_) | Op::Dense | Op::Binary(_) | Op::Affine => true,
        Op::Pool(pool) => matches!(pool.kind, Kind::Average { .. }),
        Op::Unary(_) | Op::Softmax | Op::Reshape | Op::Transpose(_) | Op::Concat(_) | Op::Pad(_) => false,
    };
    let before = module.given.activation(graph, input);
    let after = module.given.activation(graph, node.output);
    let one_rounding = match (before, after) {
        (None, _) => true,
        (Some(a), Some(b)) => rest.is_empty() && a.same_scale(&b),
        (Some(_), None) => false,
    };
    if !computes || !one_rounding || graph.sole_reader(input) != Some(id) {
        return;
    }
    if rest.is_empty() {
        let own = graph.node(id).clamp;
        let node = module.graph.node_mut(producer);
        node.clamp = node.clamp.then(clamp).then(own);
        edit::absorb(&mut module.graph, producer, id);
        return;
    }
    // The rest stays a table; its operand is now the clamped tensor, which the ONNX
    // file has no name for.
    let node = module.graph.node_mut(producer);
    node.clamp = node.clamp.then(clamp);
    module.graph.node_mut(id).op = Op::Unary(rest);
    if let Some(origin) = &mut module.graph.value_mut(input).origin {
        origin.clamp = origin.clamp.then(clamp);
    }
}

/// `clamp(max_pool(x))` to `max_pool(clamp(x))`; returns the node that clamps now.
fn hoist_over_max_pool(module: &mut Module, id: NodeId, clamp: Clamp) -> NodeId {
    let graph = &module.graph;
    let pooled = graph.node(id).inputs[0];
    let Some(pool) = graph.producer(pooled) else { return id };
    let is_max = matches!(&graph.node(pool).op, Op::Pool(p) if p.kind == Kind::Max);
    let x = graph.node(pool).inputs[0];
    let quantized =
        [x, pooled, graph.node(id).output].iter().any(|&v| module.given.activation(graph, v).is_some());
    let alone = graph.sole_reader(pooled) == Some(id) && graph.sole_reader(x) == Some(pool);
    if !is_max || quantized || !alone || graph.producer(x).is_none() {
        return id;
    }
    let source = graph.value(x).clone();
    let origin = source.origin.map(|o| Origin { clamp: o.clamp.then(clamp), ..o });
    let node = graph.node(id).clone();
    let new = NewNode {
        name: &node.name,
        onnx_op: &node.onnx_op,
        op: Op::Unary(vec![Function::Clamp(clamp)]),
        inputs: vec![x],
        output_name: &source.name,
        shape: source.shape,
        origin,
    };
    let hoisted = module.graph.add_node(new, Some(pool));
    let output = module.graph.node(hoisted).output;
    module.graph.node_mut(pool).inputs[0] = output;
    let kept = module.graph.node(pool).output;
    edit::take_place(&mut module.graph, kept, node.output);
    module.graph.remove_node(id);
    hoisted
}
