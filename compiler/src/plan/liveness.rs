//! Which values share bytes, and from when to when bytes are needed.
//!
//! In: the schedule with every node lowered. Out: [`Lives`]: buffers with their
//! first and last moment, the buffer of every value, and the pairs of buffers
//! that may overlap. Invariants: a value's
//! buffer lives from the moment the value is written to the last moment that
//! it, or a view of it, is read; values share a buffer only as views of each
//! other, or one after the other in place; two buffers may overlap only where
//! the one dies at the very step that makes the other by sweeping through it.
//!
//! Graph inputs live from the start, all of them: the caller writes them in
//! any order before it runs the model. They may be overwritten once they were
//! read for the last time ([`IoPlan::overwritten`](super::IoPlan) says whether
//! they are). Graph outputs live to the end. Scratch lives for one step.

use std::collections::BTreeMap;

use super::arena::{Block, Overlap, lower_bound, pack};
use super::divide::{Division, Full, SCRATCH_HEAT, Things, Unit, divide, heat};
use super::ids::{BufferId, StepId, Time};
use super::regions::Regions;
use super::{Buffer, BufferKind};
use crate::ir::{Graph, NodeId, ValueId};
use crate::lower::{Call, Lowered};

/// Word accesses of kernels want their rows aligned like this.
const ACTIVATION_ALIGN: usize = 4;
/// Scratch holds 16- and 32-bit elements, which kernels load in groups.
const SCRATCH_ALIGN: usize = 16;

/// What liveness finds; see the module's text. Offsets are not known yet (0).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lives {
    /// The buffers.
    pub buffers: Vec<Buffer>,
    /// The buffer of every activation.
    pub buffer_of: BTreeMap<ValueId, BufferId>,
    /// The scratch buffer of each call of each step, where it needs one.
    pub scratch: Vec<Vec<Option<BufferId>>>,
    /// The buffers, by position, that may overlap.
    pub overlaps: Vec<Overlap>,
}

/// Finds the lives; `steps` are the nodes in order of execution.
///
/// # Errors
/// A sentence where a view and its source differ in size: a bug of the graph.
pub fn lives(graph: &Graph, steps: &[(NodeId, Lowered)]) -> Result<Lives, String> {
    let source = sources(graph, steps);
    let last_use = last_uses(graph, steps, &source);
    let mut lives = Lives::default();
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
    lives.overlaps = steps
        .iter()
        .enumerate()
        .filter_map(|(index, (node, lowered))| {
            overlap(&lives, lowered, graph.node(*node).output, StepId(index as u32).time())
        })
        .collect();
    Ok(lives)
}

/// The buffers of a step's operand and output, if they may overlap: the step is
/// one sweep, and the only moment at which both are needed. Whoever needs the
/// operand later (a view, a graph output, another step) keeps its buffer alive.
fn overlap(lives: &Lives, lowered: &Lowered, output: ValueId, now: Time) -> Option<Overlap> {
    let [call] = lowered.calls.as_slice() else { return None };
    let [operand] = call.inputs.as_slice() else { return None };
    let sweep = call.kernel.sweep()?;
    let (dying, born) = (lives.buffer_of[operand], lives.buffer_of[&output]);
    let meet_once = lives.buffers[dying.index()].last == now && lives.buffers[born.index()].first == now;
    (dying != born && meet_once).then(|| Overlap {
        dying: dying.index(),
        born: born.index(),
        below_bytes: sweep.below_bytes(),
        above_bytes: sweep.above_bytes(),
    })
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

/// Blocks of which some are packed at a time.
struct Blocks<'a> {
    blocks: Vec<Block>,
    overlaps: &'a [Overlap],
}

impl Blocks<'_> {
    /// Some of them, and the pairs of these that may overlap.
    fn some(&self, members: &[usize]) -> (Vec<Block>, Vec<Overlap>) {
        let position: BTreeMap<usize, usize> = members.iter().enumerate().map(|(at, &m)| (m, at)).collect();
        let pair = |o: &Overlap| {
            Some(Overlap { dying: *position.get(&o.dying)?, born: *position.get(&o.born)?, ..*o })
        };
        (members.iter().map(|&m| self.blocks[m]).collect(), self.overlaps.iter().filter_map(pair).collect())
    }
}

impl Things for Blocks<'_> {
    fn bound(&self, members: &[usize]) -> usize {
        let (blocks, overlaps) = self.some(members);
        lower_bound(&blocks, &overlaps)
    }

    fn pack(&self, members: &[usize]) -> (Vec<usize>, usize) {
        let (blocks, overlaps) = self.some(members);
        let packing = pack(&blocks, &overlaps);
        (packing.offsets, packing.total_bytes)
    }
}

impl Lives {
    /// The buffers as the packer takes them.
    pub fn blocks(&self) -> Vec<Block> {
        let block = |b: &Buffer| Block { bytes: b.bytes, align: b.align, first: b.first, last: b.last };
        self.buffers.iter().map(block).collect()
    }

    /// The buffers over several regions, each in one of them.
    ///
    /// # Errors
    /// [`Full`] where something has no place.
    pub fn divided(
        &self,
        graph: &Graph,
        steps: &[(NodeId, Lowered)],
        regions: &Regions,
    ) -> Result<Division, Full> {
        let mut traffic = vec![0; self.buffers.len()];
        for (node, lowered) in steps {
            let touched = lowered.calls.iter().flat_map(|call| &call.inputs);
            let touched = touched.chain(lowered.calls.first().map(|_| &graph.node(*node).output));
            touched
                .for_each(|value| traffic[self.buffer_of[value].index()] += graph.shape(*value).elements());
        }
        let unit = |(index, buffer): (usize, &Buffer)| {
            let moments = buffer.last.index() - buffer.first.index() + 1;
            let (name, heat) = match &buffer.kind {
                BufferKind::Scratch { step, .. } => {
                    let node = graph.node(steps[step.index()].0);
                    (format!("the scratch of '{}'", node.name), SCRATCH_HEAT)
                }
                BufferKind::Values(values) | BufferKind::Row { values, .. } => (
                    format!("'{}'", graph.value(values[0]).name),
                    heat(traffic[index], buffer.bytes * moments),
                ),
            };
            Unit { name, members: vec![index], heat }
        };
        let units: Vec<Unit> = self.buffers.iter().enumerate().map(unit).collect();
        let blocks = Blocks { blocks: self.blocks(), overlaps: &self.overlaps };
        divide(regions, &units, self.buffers.len(), &blocks)
    }

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
