//! Which values share bytes, and from when to when bytes are needed.
//!
//! In: the schedule with every node lowered. Out: [`Lives`]: buffers with their
//! first and last moment, and the buffer of every value. Invariants: a value's
//! buffer lives from the moment the value is written to the last moment that
//! it, or a view of it, is read; values share a buffer only as views of each
//! other, or one after the other in place.
//!
//! Graph inputs live from the start, all of them: the caller writes them in
//! any order before it runs the model. They may be overwritten once they were
//! read for the last time ([`IoPlan::overwritten`](super::IoPlan) says whether
//! they are). Graph outputs live to the end. Scratch lives for one step.

use std::collections::BTreeMap;

use super::ids::{BufferId, StepId, Time};
use super::{Buffer, BufferKind};
use crate::ir::{Graph, NodeId, ValueId};
use crate::lower::{Call, Lowered};

/// Word accesses of kernels want their rows aligned like this.
const ACTIVATION_ALIGN: usize = 4;
/// Scratch holds 16- and 32-bit elements, which kernels load in groups.
const SCRATCH_ALIGN: usize = 16;

/// What liveness finds; see the module's text. Offsets are not known yet (0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lives {
    /// The buffers.
    pub buffers: Vec<Buffer>,
    /// The buffer of every activation.
    pub buffer_of: BTreeMap<ValueId, BufferId>,
    /// The scratch buffer of each call of each step, where it needs one.
    pub scratch: Vec<Vec<Option<BufferId>>>,
}

/// Finds the lives; `steps` are the nodes in order of execution.
///
/// # Errors
/// A sentence where a view and its source differ in size: a bug of the graph.
pub fn lives(graph: &Graph, steps: &[(NodeId, Lowered)]) -> Result<Lives, String> {
    let source = sources(graph, steps);
    let last_use = last_uses(graph, steps, &source);
    let mut lives = Lives { buffers: Vec::new(), buffer_of: BTreeMap::new(), scratch: Vec::new() };
    for &input in &graph.inputs {
        let last = last_use.get(&input).copied().unwrap_or(Time::START);
        lives.add_value(graph, input, Time::START, last);
    }
    for (index, (node, lowered)) in steps.iter().enumerate() {
        let now = StepId(index as u32).time();
        let node = graph.node(*node);
        let output = node.output;
        let last = last_use.get(&output).copied().unwrap_or(now);
        let taken = if lowered.is_view() {
            Some(node.inputs[0])
        } else {
            dying_operand(graph, lowered, output, now, &source, &last_use)
        };
        match taken {
            Some(operand) => lives.share(graph, operand, output, last)?,
            None => lives.add_value(graph, output, now, last),
        }
        let scratch = lowered.calls.iter().enumerate().map(|(call, c)| {
            (c.scratch_bytes > 0).then(|| {
                lives.add(Buffer {
                    kind: BufferKind::Scratch { step: StepId(index as u32), call },
                    bytes: c.scratch_bytes,
                    align: SCRATCH_ALIGN,
                    first: now,
                    last: now,
                    offset: 0,
                })
            })
        });
        let scratch = scratch.collect();
        lives.scratch.push(scratch);
    }
    Ok(lives)
}

/// The value whose bytes each view shows, itself for everything else.
fn sources(graph: &Graph, steps: &[(NodeId, Lowered)]) -> BTreeMap<ValueId, ValueId> {
    let mut source: BTreeMap<ValueId, ValueId> = graph.inputs.iter().map(|&v| (v, v)).collect();
    for (node, lowered) in steps {
        let node = graph.node(*node);
        let of = if lowered.is_view() { source[&node.inputs[0]] } else { node.output };
        source.insert(node.output, of);
    }
    source
}

/// The last moment at which the bytes of a value are needed, its views
/// included; entries exist for every value, read or not, that is no plain input.
fn last_uses(
    graph: &Graph,
    steps: &[(NodeId, Lowered)],
    source: &BTreeMap<ValueId, ValueId>,
) -> BTreeMap<ValueId, Time> {
    let mut by_source: BTreeMap<ValueId, Time> = BTreeMap::new();
    let mut note = |value: ValueId, time: Time| {
        let last = by_source.entry(source[&value]).or_insert(time);
        *last = (*last).max(time);
    };
    for (index, (node, lowered)) in steps.iter().enumerate() {
        let now = StepId(index as u32).time();
        lowered.calls.iter().flat_map(|call| &call.inputs).for_each(|&v| note(v, now));
        if !lowered.is_view() {
            note(graph.node(*node).output, now);
        }
    }
    graph.outputs.iter().for_each(|&v| note(v, Time::end(steps.len())));
    source.iter().filter_map(|(&v, s)| by_source.get(s).map(|&t| (v, t))).collect()
}

/// The operand whose bytes the output takes: the first of those that the op
/// allows which nobody needs after this step.
fn dying_operand(
    graph: &Graph,
    lowered: &Lowered,
    output: ValueId,
    now: Time,
    source: &BTreeMap<ValueId, ValueId>,
    last_use: &BTreeMap<ValueId, Time>,
) -> Option<ValueId> {
    let operands = &lowered.calls.first()?.inputs;
    lowered.in_place.iter().filter_map(|&position| operands.get(position).copied()).find(|&operand| {
        operand != output
            && graph.shape(operand).elements() == graph.shape(output).elements()
            && last_use.get(&source[&operand]).is_some_and(|&last| last <= now)
            && lowered.calls.iter().all(|call| safe_in(call, lowered, operand, source))
    })
}

/// Whether a call reads the bytes of `operand` only at positions that the op
/// declares safe: `x + x` reads them twice.
fn safe_in(call: &Call, lowered: &Lowered, operand: ValueId, source: &BTreeMap<ValueId, ValueId>) -> bool {
    let reads = call.inputs.iter().enumerate();
    reads
        .filter(|(_, v)| source.get(v) == source.get(&operand))
        .all(|(position, _)| lowered.in_place.contains(&position))
}

impl Lives {
    fn add(&mut self, buffer: Buffer) -> BufferId {
        self.buffers.push(buffer);
        BufferId(self.buffers.len() as u32 - 1)
    }

    fn add_value(&mut self, graph: &Graph, value: ValueId, first: Time, last: Time) {
        let id = self.add(Buffer {
            kind: BufferKind::Values(vec![value]),
            bytes: graph.shape(value).elements(),
            align: ACTIVATION_ALIGN,
            first,
            last,
            offset: 0,
        });
        self.buffer_of.insert(value, id);
    }

    /// Puts `value` into the buffer of `operand`, which lives on to `last`.
    fn share(&mut self, graph: &Graph, operand: ValueId, value: ValueId, last: Time) -> Result<(), String> {
        let id = self.buffer_of[&operand];
        let buffer = &mut self.buffers[id.index()];
        let bytes = graph.shape(value).elements();
        if bytes != buffer.bytes {
            let name = &graph.value(value).name;
            return Err(format!("'{name}' of {bytes} B cannot share a buffer of {} B", buffer.bytes));
        }
        if let BufferKind::Values(values) = &mut buffer.kind {
            values.push(value);
        }
        buffer.last = buffer.last.max(last);
        self.buffer_of.insert(value, id);
        Ok(())
    }
}
