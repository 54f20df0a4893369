//! Rows and columns that nobody reads are not computed.
//!
//! In: a quantized module. Out: the same network, in which a tensor ends where the last
//! window that reads it ends: strides and poolings in floor mode leave a rest. Invariant:
//! for every input the codes of the graph's outputs, and of all rows and columns that
//! stay, are what they were; docs/numerics.md, "Dead rows and columns".
//!
//! From the outputs back: what a tensor needs is the most that a reader needs. Inputs and
//! outputs of the graph keep their shapes; reshapes, transposes, softmax, dense layers
//! and pads read everything, and make everything. Values really get smaller, and
//! [`Node::crop`] says by how much a window's result ends before its own rule would.
//!
//! [`Node::crop`]: crate::ir::Node::crop

use std::collections::BTreeMap;

use super::{Context, PassError};
use crate::Module;
use crate::ir::{Graph, NodeId, Shape, ValueId};
use crate::ops::Op;
use crate::ops::conv::Window;

/// Rows and columns.
type Extent = [usize; 2];

/// Runs the pass.
pub(super) fn run(module: &mut Module, context: &Context<'_>) -> Result<(), PassError> {
    if !context.keep_dead_channels {
        remove(module);
    }
    Ok(())
}

/// Ends every value of a quantized module where its last reader ends.
pub fn remove(module: &mut Module) {
    let before = extents(&module.graph);
    let needs = needs(&module.graph, &before);
    // In order: the trailing padding of a window follows from what its input has left.
    for id in module.graph.order().to_vec() {
        shrink(&mut module.graph, id, &before, &needs);
    }
}

/// The size of every value `[1, H, W, C]`.
fn extents(graph: &Graph) -> BTreeMap<ValueId, Extent> {
    let sized = |value: ValueId| Some((value, extent(graph.shape(value))?));
    graph.live_activations().into_iter().filter_map(sized).collect()
}

/// How much of every value of `before` somebody reads; what an element-wise node ties
/// together has one size.
fn needs(graph: &Graph, before: &BTreeMap<ValueId, Extent>) -> BTreeMap<ValueId, Extent> {
    let mut needs: BTreeMap<ValueId, Extent> = before.keys().map(|&value| (value, [1; 2])).collect();
    for value in graph.inputs.iter().chain(&graph.outputs) {
        raise(&mut needs, before, *value, |size| size);
    }
    // Needs only grow, up to the whole: this ends.
    loop {
        let seen = needs.clone();
        for &id in graph.order().iter().rev() {
            read_by(graph, id, before, &mut needs);
        }
        if needs == seen {
            return needs;
        }
    }
}

/// Adds what a node reads.
fn read_by(
    graph: &Graph,
    id: NodeId,
    before: &BTreeMap<ValueId, Extent>,
    needs: &mut BTreeMap<ValueId, Extent>,
) {
    let node = graph.node(id);
    let operands = graph.activations(id);
    let window = match &node.op {
        Op::Conv(conv) => Some(conv.window),
        Op::Pool(pool) => Some(pool.window),
        _ => None,
    };
    if let (Some(window), Some(&out)) = (window, needs.get(&node.output)) {
        raise(needs, before, operands[0], |_| [0, 1].map(|axis| read(&window, axis, out[axis])));
        return;
    }
    let tied = match &node.op {
        Op::Binary(_) | Op::Unary(_) | Op::Concat(3) => true,
        Op::Affine => flat_constants(graph, id),
        _ => false,
    };
    let all = operands.iter().copied().chain([node.output]);
    let most =
        all.clone().filter_map(|value| needs.get(&value)).fold([1; 2], |most, need| larger(most, *need));
    for value in all {
        // A dimension of one element is repeated; `raise` never exceeds what there is.
        raise(needs, before, value, |size| if tied { most } else { size });
    }
}

/// Lets a value that is `[1, H, W, C]` have at least so much of its size.
fn raise(
    needs: &mut BTreeMap<ValueId, Extent>,
    before: &BTreeMap<ValueId, Extent>,
    value: ValueId,
    wanted: impl Fn(Extent) -> Extent,
) {
    if let (Some(need), Some(&size)) = (needs.get_mut(&value), before.get(&value)) {
        let wanted = wanted(size);
        *need = larger(*need, [0, 1].map(|axis| wanted[axis].min(size[axis])));
    }
}

fn larger(a: Extent, b: Extent) -> Extent {
    [a[0].max(b[0]), a[1].max(b[1])]
}

/// Rows or columns up to the last that the first `out` windows reach; more than there
/// are where they reach into the padding.
fn read(window: &Window, axis: usize, out: usize) -> usize {
    let lead = [window.pads.top, window.pads.left][axis];
    window.reach(axis, out).saturating_sub(lead)
}

/// Whether the constants of an affine node are the same for all rows and columns.
fn flat_constants(graph: &Graph, id: NodeId) -> bool {
    let constants = graph.node(id).inputs.iter().filter(|&&v| graph.constant(v).is_some());
    constants.map(|&v| &graph.shape(v).0).all(|dims| dims.iter().rev().skip(1).all(|&dim| dim == 1))
}

/// Gives a node's output the size that is needed.
fn shrink(
    graph: &mut Graph,
    id: NodeId,
    before: &BTreeMap<ValueId, Extent>,
    needs: &BTreeMap<ValueId, Extent>,
) {
    let (input, output) = (graph.node(id).inputs[0], graph.node(id).output);
    let (Some(&whole), Some(&need)) = (before.get(&output), needs.get(&output)) else { return };
    if let (Some(&had), Some(&has)) = (before.get(&input), needs.get(&input)) {
        let node = graph.node_mut(id);
        let sized = match &mut node.op {
            Op::Conv(conv) => Some((&mut conv.window, false)),
            Op::Pool(pool) => Some((&mut pool.window, pool.ceil)),
            _ => None,
        };
        if let Some((window, ceil)) = sized {
            for axis in (0..2).filter(|&axis| had[axis] != has[axis] || whole[axis] != need[axis]) {
                let reached = read(window, axis, need[axis]);
                let trail = if axis == 0 { &mut window.pads.bottom } else { &mut window.pads.right };
                // Of all windows in ceil mode the last may stick out beyond the padding,
                // where cells do not count: the padding ends where it ended.
                let sticks_out = ceil && whole[axis] == need[axis];
                *trail = if sticks_out {
                    *trail + had[axis] - has[axis]
                } else {
                    reached.saturating_sub(has[axis])
                };
            }
            if let Ok(by_rule) = window.output(has, ceil) {
                node.crop = [0, 1].map(|axis| by_rule[axis] - need[axis]);
            }
        }
    }
    if whole != need {
        let value = graph.value_mut(output);
        value.shape.0[1..3].copy_from_slice(&need);
        if let Some(origin) = &mut value.origin {
            origin.extent = Some(need);
        }
    }
}

/// Rows and columns of `[1, H, W, C]`.
fn extent(shape: &Shape) -> Option<Extent> {
    shape.hwc().map(|[height, width, _]| [height, width])
}
