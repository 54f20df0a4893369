//! Transposes move towards the outputs until they meet their inverse.
//!
//! In: channel-last convolutions wrapped in transposes. Out: as few transposes as
//! these rules reach; the rest are honest copies. Rules, for `y = transpose(x)`:
//!
//! 1. A transpose of `y` is one transpose of `x`.
//! 2. An element-wise node, a softmax along a dimension that stays last, or a Pad
//!    of `y` is that node on `x`, then the transpose.
//! 3. A binary node or Concat whose operands all are such transposes (or can be
//!    turned for nothing: by moving only unit dimensions, or because an earlier
//!    node turns them already) is that node on the `x`s.
//! 4. A reshape of `y` that only adds or drops unit dimensions trades places with it.
//! 5. A reshape of `y` to one dimension in front of a dense layer: the layer's
//!    weights are permuted instead.
//! 6. An element-wise node behind a reshape trades places with it.
//!
//! Invariant: what each ONNX tensor holds is unchanged; values record in their
//! origin how their data is ordered.

use ndarray::Axis;

use super::{Context, PassError, remove_dead, remove_noops};
use crate::Module;
use crate::ir::{Graph, NewNode, NodeId, Origin, Shape, ValueId};
use crate::ops::Op;

/// Runs the pass.
pub fn run(module: &mut Module, context: &Context<'_>) -> Result<(), PassError> {
    // Each rule moves a transpose down, merges two or hoists an element-wise node:
    // the number of steps is bounded by nodes times transposes.
    let mut budget = 4 * module.graph.order().len().pow(2) + 64;
    while budget > 0 && step(module) {
        // A transpose that lost its readers would still count as one of its operand's.
        remove_dead::run(module, context)?;
        budget -= 1;
    }
    remove_noops::run(module, context)
}

/// Applies the first rule that fits anywhere; whether one did.
fn step(module: &mut Module) -> bool {
    for id in module.graph.order().to_vec() {
        let op = module.graph.node(id).op.clone();
        let moved = match op {
            Op::Transpose(_) => merge(&mut module.graph, id),
            Op::Unary(_) => through_single(&mut module.graph, id) || above_reshape(&mut module.graph, id),
            Op::Affine | Op::Pad(_) | Op::Softmax => through_single(&mut module.graph, id),
            Op::Binary(_) | Op::Concat(_) => through_many(&mut module.graph, id),
            Op::Reshape => through_unit_reshape(&mut module.graph, id),
            Op::Dense => permute_weights(module, id),
            Op::Conv(_) | Op::Pool(_) => false,
        };
        if moved {
            return true;
        }
    }
    false
}

/// The permutation and the operand of the transpose that defines a value.
fn transpose_of(graph: &Graph, value: ValueId) -> Option<(Vec<usize>, ValueId)> {
    let node = graph.node(graph.producer(value)?);
    match &node.op {
        Op::Transpose(perm) => Some((perm.clone(), node.inputs[0])),
        _ => None,
    }
}

fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    for (i, &p) in perm.iter().enumerate() {
        inverse[p] = i;
    }
    inverse
}

/// Rule 1.
fn merge(graph: &mut Graph, id: NodeId) -> bool {
    let Op::Transpose(outer) = graph.node(id).op.clone() else { return false };
    let Some((inner, x)) = transpose_of(graph, graph.node(id).inputs[0]) else { return false };
    let combined: Vec<usize> = outer.iter().map(|&p| inner[p]).collect();
    let node = graph.node_mut(id);
    node.inputs[0] = x;
    node.op = Op::Transpose(combined.clone());
    if combined.iter().enumerate().all(|(i, &p)| i == p) {
        super::edit::bypass(graph, id);
    }
    true
}

/// Rebuilds node `id` over `inputs` (operands before the transpose by `perm`) and
/// turns its result by `perm` into the value that readers know.
fn rebuild(graph: &mut Graph, id: NodeId, op: Op, inputs: Vec<ValueId>, shape: Shape, perm: &[usize]) {
    let node = graph.node(id).clone();
    let origin = graph.value(node.output).origin.clone();
    let back = inverse(perm);
    let turned = origin.map(|o| Origin {
        order: o
            .order
            .filter(|order| order.len() == back.len())
            .map(|order| back.iter().map(|&b| order[b]).collect()),
        ..o
    });
    let name = graph.value(node.output).name.clone();
    let inner = graph.add_node(
        NewNode {
            name: &node.name,
            onnx_op: &node.onnx_op,
            op,
            inputs,
            output_name: &name,
            shape,
            origin: turned,
        },
        Some(id),
    );
    graph.node_mut(inner).clamp = node.clamp;
    graph.node_mut(inner).fused = node.fused;
    let inner_output = graph.node(inner).output;
    graph.swap_names(inner_output, node.output);
    let outer = graph.node_mut(id);
    outer.op = Op::Transpose(perm.to_vec());
    outer.inputs = vec![inner_output];
    outer.clamp = crate::ir::Clamp::NONE;
    outer.fused = Vec::new();
}

/// Rule 2.
fn through_single(graph: &mut Graph, id: NodeId) -> bool {
    let node = graph.node(id).clone();
    let Some((perm, x)) = transpose_of(graph, node.inputs[0]) else { return false };
    let back = inverse(&perm);
    let mut inputs = vec![x];
    let op = match node.op {
        Op::Softmax if perm.last() != Some(&(perm.len() - 1)) => return false,
        Op::Pad(mut pad) => {
            pad.before = back.iter().map(|&b| pad.before[b]).collect();
            pad.after = back.iter().map(|&b| pad.after[b]).collect();
            Op::Pad(pad)
        }
        op => op,
    };
    for &constant in &node.inputs[1..] {
        let Some(data) = graph.constant(constant).cloned() else { return false };
        let turned = data.permuted_axes(&back[..]).as_standard_layout().into_owned();
        let name = graph.value(constant).name.clone();
        inputs.push(graph.add_const(&name, turned));
    }
    let shape = graph.shape(node.output).permuted(&back);
    rebuild(graph, id, op, inputs, shape, &perm);
    true
}

/// Whether a permutation moves only dimensions of size 1 past others.
pub fn moves_only_units(shape: &Shape, perm: &[usize]) -> bool {
    let kept: Vec<usize> = perm.iter().copied().filter(|&p| shape.0[p] != 1).collect();
    kept.is_sorted()
}

/// Rule 3.
fn through_many(graph: &mut Graph, id: NodeId) -> bool {
    let node = graph.node(id).clone();
    let turned: Vec<Option<(Vec<usize>, ValueId)>> =
        node.inputs.iter().map(|&v| transpose_of(graph, v)).collect();
    let Some((perm, _)) = turned.iter().flatten().max_by_key(|(_, x)| graph.shape(*x).elements()).cloned()
    else {
        return false;
    };
    let back = inverse(&perm);
    let free = |v: ValueId| graph.shape(v).rank() == perm.len() && moves_only_units(graph.shape(v), &back);
    // Only graph inputs: for other values the two directions could undo each other.
    let already = |v: ValueId| -> Option<ValueId> {
        graph.inputs.contains(&v).then_some(())?;
        let earlier = graph.order().iter().take_while(|&&n| n != id).map(|&n| graph.node(n));
        earlier.filter(|n| n.inputs[0] == v && n.op == Op::Transpose(back.clone())).map(|n| n.output).next()
    };
    let twins: Vec<Option<ValueId>> = node.inputs.iter().map(|&v| already(v)).collect();
    let fits = node
        .inputs
        .iter()
        .zip(turned.iter().zip(&twins))
        .all(|(&v, (t, twin))| t.as_ref().is_some_and(|(p, _)| *p == perm) || twin.is_some() || free(v));
    if !fits {
        return false;
    }
    let mut inputs = Vec::new();
    for ((&v, t), twin) in node.inputs.iter().zip(&turned).zip(twins) {
        inputs.push(match (t, twin) {
            (Some((p, x)), _) if *p == perm => *x,
            (_, Some(twin)) => twin,
            _ => {
                let shape = graph.shape(v).permuted(&back);
                let (name, origin) = (graph.value(v).name.clone(), turned_origin(graph, v, &back));
                let new = NewNode {
                    name: &node.name,
                    onnx_op: &node.onnx_op,
                    op: Op::Transpose(back.clone()),
                    inputs: vec![v],
                    output_name: &name,
                    shape,
                    origin,
                };
                let turn = graph.add_node(new, Some(id));
                graph.node(turn).output
            }
        });
    }
    let op = match node.op {
        Op::Concat(axis) => Op::Concat(perm[axis]),
        op => op,
    };
    let shape = graph.shape(node.output).permuted(&back);
    rebuild(graph, id, op, inputs, shape, &perm);
    true
}

fn turned_origin(graph: &Graph, value: ValueId, perm: &[usize]) -> Option<Origin> {
    graph.value(value).origin.clone().map(|o| Origin {
        order: o
            .order
            .filter(|order| order.len() == perm.len())
            .map(|order| perm.iter().map(|&p| order[p]).collect()),
        ..o
    })
}

/// Rule 4: `reshape(transpose(x))` with the same non-unit dimensions in the same order.
fn through_unit_reshape(graph: &mut Graph, id: NodeId) -> bool {
    let node = graph.node(id).clone();
    let Some((perm, x)) = transpose_of(graph, node.inputs[0]) else { return false };
    let (before, after) = (graph.shape(node.inputs[0]).clone(), graph.shape(node.output).clone());
    let solid = |s: &Shape| -> Vec<usize> { s.0.iter().copied().filter(|&d| d != 1).collect() };
    if solid(&before) != solid(&after) || moves_only_units(graph.shape(x), &perm) {
        return false;
    }
    // Solid dimensions of the result, as positions of x; sorted they give the new shape.
    let mut solids = perm.iter().copied().filter(|&p| graph.shape(x).0[p] != 1);
    let key: Vec<Option<usize>> =
        after.0.iter().map(|&d| if d == 1 { None } else { solids.next() }).collect();
    // Unit dimensions stay where the result has them, relative to its first dimensions.
    let mut slots: Vec<usize> = (0..after.rank()).filter(|&i| key[i].is_some()).collect();
    slots.sort_by_key(|&i| key[i]);
    let places: Vec<usize> = (0..after.rank()).filter(|&i| key[i].is_some()).collect();
    let mut new_perm: Vec<usize> = (0..after.rank()).collect();
    for (&place, &slot) in places.iter().zip(&slots) {
        new_perm[slot] = place;
    }
    let shape = after.permuted(&inverse(&new_perm));
    rebuild(graph, id, Op::Reshape, vec![x], shape, &new_perm);
    true
}

/// Rule 5.
fn permute_weights(module: &mut Module, id: NodeId) -> bool {
    let graph = &mut module.graph;
    let node = graph.node(id).clone();
    let Some(reshape) = graph.producer(node.inputs[0]) else { return false };
    if graph.node(reshape).op != Op::Reshape
        || graph.shape(node.inputs[0]).channels() != graph.shape(node.inputs[0]).elements()
    {
        return false;
    }
    let Some((perm, x)) = transpose_of(graph, graph.node(reshape).inputs[0]) else { return false };
    let Some(weights) = graph.constant(node.inputs[1]).cloned() else { return false };
    let turned = graph.shape(x).permuted(&perm);
    let (x_strides, turned_strides) = (graph.shape(x).strides(), turned.strides());
    // For each element of x, its position behind the transpose.
    let columns: Vec<usize> = (0..turned.elements())
        .map(|j| (0..perm.len()).map(|i| j / x_strides[perm[i]] % turned.0[i] * turned_strides[i]).sum())
        .collect();
    let permuted = weights.select(Axis(1), &columns);
    let (name, shape) = (graph.value(node.inputs[1]).name.clone(), graph.shape(node.inputs[0]).clone());
    let new_weights = graph.add_const(&name, permuted);
    if let Some(scales) = module.given.weight_scales.get(&node.inputs[1]).cloned() {
        module.given.weight_scales.insert(new_weights, scales);
    }
    let source = graph.value(node.inputs[0]).clone();
    let origin = graph.value(x).origin.clone();
    let reshaped = graph.node(reshape).clone();
    let new = NewNode {
        name: &reshaped.name,
        onnx_op: &reshaped.onnx_op,
        op: Op::Reshape,
        inputs: vec![x],
        output_name: &source.name,
        shape,
        origin,
    };
    let flat = graph.add_node(new, Some(id));
    let flat_output = graph.node(flat).output;
    let dense = graph.node_mut(id);
    dense.inputs[0] = flat_output;
    dense.inputs[1] = new_weights;
    true
}

/// Rule 6.
fn above_reshape(graph: &mut Graph, id: NodeId) -> bool {
    let node = graph.node(id).clone();
    let Some(reshape) = graph.producer(node.inputs[0]) else { return false };
    if graph.node(reshape).op != Op::Reshape || graph.sole_reader(node.inputs[0]) != Some(id) {
        return false;
    }
    let x = graph.node(reshape).inputs[0];
    let name = graph.value(node.output).name.clone();
    let (shape, origin) = (graph.shape(x).clone(), graph.value(node.output).origin.clone());
    let new = NewNode {
        name: &node.name,
        onnx_op: &node.onnx_op,
        op: node.op,
        inputs: vec![x],
        output_name: &name,
        shape,
        origin,
    };
    let hoisted = graph.add_node(new, Some(id));
    graph.node_mut(hoisted).clamp = node.clamp;
    let hoisted_output = graph.node(hoisted).output;
    graph.swap_names(hoisted_output, node.output);
    let (reshape_name, reshape_op) = (graph.node(reshape).name.clone(), graph.node(reshape).onnx_op.clone());
    let below = graph.node_mut(id);
    below.op = Op::Reshape;
    below.inputs = vec![hoisted_output];
    below.clamp = crate::ir::Clamp::NONE;
    below.name = reshape_name;
    below.onnx_op = reshape_op;
    true
}
