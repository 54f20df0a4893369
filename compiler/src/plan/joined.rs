//! Which operands of concatenations are written in place.
//!
//! In: nodes as kernel calls. Out: the same, with the copies of operands left out that
//! whoever makes them can write to their places in the output, and where these are.
//! Invariant: an operand lies in one output at most, at a place that is aligned as every
//! activation is; its bytes are those of the output from the moment it is made, so that
//! its other readers, before and after, find what they want.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::ACTIVATION_ALIGN;
use crate::Feed;
use crate::ir::{Graph, NodeId, ValueId};
use crate::lower::Lowered;

/// The nodes as they run where the input is handed over in a way: where a window slides,
/// what is kept of it moves, and nothing is written in place.
pub fn fed<'a>(graph: &Graph, steps: &'a [(NodeId, Lowered)], feed: Feed) -> Cow<'a, [(NodeId, Lowered)]> {
    let joined = match feed {
        Feed::Whole => in_place(graph, steps, true),
        Feed::Rows => in_place(graph, steps, false),
        Feed::Frames { .. } => None,
    };
    joined.map_or(Cow::Borrowed(steps), Cow::Owned)
}

/// The nodes with the copies left out that need not be; `None` where all need. Inputs of
/// the graph are written in place where the caller writes them `whole`.
///
/// An operand is copied where it lies in an output already, at a byte that words do not
/// begin at, or where the node reads its bytes twice.
pub fn in_place(graph: &Graph, steps: &[(NodeId, Lowered)], whole: bool) -> Option<Vec<(NodeId, Lowered)>> {
    if !steps.iter().any(|(_, lowered)| lowered.side_by_side) {
        return None;
    }
    let source = sources(graph, steps);
    let mut taken: BTreeSet<ValueId> = BTreeSet::new();
    // What lies in each joined value, itself included.
    let mut parts: BTreeMap<ValueId, BTreeSet<ValueId>> = BTreeMap::new();
    let mut steps = steps.to_vec();
    for (id, lowered) in steps.iter_mut().filter(|(_, lowered)| lowered.side_by_side) {
        let node = graph.node(*id);
        let inside = |input: &ValueId| {
            let root = source[input];
            parts.get(&root).cloned().unwrap_or_else(|| BTreeSet::from([root]))
        };
        let operands: Vec<BTreeSet<ValueId>> = node.inputs.iter().map(inside).collect();
        let mut own = BTreeSet::from([node.output]);
        let mut at = 0;
        let calls = std::mem::take(&mut lowered.calls);
        for (position, (&input, call)) in node.inputs.iter().zip(calls).enumerate() {
            let root = source[&input];
            let bytes = &operands[position];
            let others = operands.iter().enumerate().filter(|(other, _)| *other != position);
            let once = others.into_iter().all(|(_, other)| bytes.is_disjoint(other));
            let made = whole || !graph.inputs.contains(&root);
            if once && made && at % ACTIVATION_ALIGN == 0 && taken.insert(root) {
                lowered.shown.push((input, at));
                own.extend(bytes);
            } else {
                lowered.calls.push(call);
            }
            at += graph.shape(input).elements();
        }
        parts.insert(node.output, own);
    }
    steps.iter().any(|(_, lowered)| !lowered.shown.is_empty()).then_some(steps)
}

/// The value whose bytes each view shows, itself for everything else.
pub fn sources(graph: &Graph, steps: &[(NodeId, Lowered)]) -> BTreeMap<ValueId, ValueId> {
    let mut source: BTreeMap<ValueId, ValueId> = graph.inputs.iter().map(|&v| (v, v)).collect();
    for (node, lowered) in steps {
        let node = graph.node(*node);
        let of = if lowered.is_view() { source[&node.inputs[0]] } else { node.output };
        source.insert(node.output, of);
    }
    source
}
