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
//! What is joined in place has the buffers of its operands and of what is copied beside
//! them, which are one piece of memory; each lives as long as anybody needs its own bytes.
//!
//! Graph inputs live from the start, all of them: the caller writes them in
//! any order before it runs the model. They may be overwritten once they were
//! read for the last time ([`IoPlan::overwritten`](super::IoPlan) says whether
//! they are). Graph outputs live to the end. Scratch lives for one step.

use std::collections::{BTreeMap, BTreeSet};

use super::arena::{Block, Overlap, Packing, Piece, lower_bound, pack_pieces};
use super::divide::{Division, Full, SCRATCH_HEAT, Things, Unit, divide, heat};
use super::ids::{BufferId, StepId, Time};
use super::joined::sources;
use super::regions::Regions;
use super::{ACTIVATION_ALIGN, ArenaRange, Buffer, BufferKind};
use crate::ir::{Graph, Node, NodeId, ValueId};
use crate::lower::{Call, Lowered};

/// Scratch holds 16- and 32-bit elements, which kernels load in groups.
const SCRATCH_ALIGN: usize = 16;

/// What liveness finds; see the module's text. Offsets are not known yet (0).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lives {
    /// The buffers.
    pub buffers: Vec<Buffer>,
    /// The buffers of every activation, one behind the other: several of what is joined in
    /// place, and of what takes its bytes.
    pub buffers_of: BTreeMap<ValueId, Vec<BufferId>>,
    /// Which piece of memory each buffer is of.
    pub pieces: Vec<Piece>,
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
    let uses = Uses::of(graph, steps);
    let mut lives = Lives::default();
    for &input in &graph.inputs {
        let last = uses.last(input).unwrap_or(Time::START);
        lives.add_value(graph, input, Time::START, last);
    }
    for (index, (node, lowered)) in steps.iter().enumerate() {
        let now = StepId(index as u32).time();
        let node = graph.node(*node);
        let output = node.output;
        let last = uses.last(output).unwrap_or(now);
        let taken = if lowered.is_view() {
            Some(node.inputs[0])
        } else {
            uses.dying_operand(graph, lowered, output, now, &lives)
        };
        match taken {
            Some(operand) => lives.share(graph, operand, output, last)?,
            None if !lowered.shown.is_empty() => lives.join(graph, node, &lowered.shown, now, last),
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
    let (&[dying], &[born]) = (&*lives.buffers_of[operand], &*lives.buffers_of[&output]) else { return None };
    let meet_once = lives.buffers[dying.index()].last == now && lives.buffers[born.index()].first == now;
    (dying != born && meet_once).then(|| Overlap {
        dying: dying.index(),
        born: born.index(),
        below_bytes: sweep.below_bytes(),
        above_bytes: sweep.above_bytes(),
    })
}

/// When whose bytes are needed.
struct Uses {
    /// The value whose bytes each view shows.
    source: BTreeMap<ValueId, ValueId>,
    /// The last moment at which the bytes of a value that is no view are needed, by itself, its
    /// views, or what it is joined into; no entry for an input that nobody reads.
    last: BTreeMap<ValueId, Time>,
    /// The last moment at which any of its bytes is, by what is joined in it as well.
    any: BTreeMap<ValueId, Time>,
    /// Values that lie in another one.
    joined: BTreeSet<ValueId>,
}

impl Uses {
    fn of(graph: &Graph, steps: &[(NodeId, Lowered)]) -> Uses {
        let source = sources(graph, steps);
        let mut last: BTreeMap<ValueId, Time> = BTreeMap::new();
        let note = |last: &mut BTreeMap<ValueId, Time>, value: ValueId, time: Time| {
            let known = last.entry(source[&value]).or_insert(time);
            *known = (*known).max(time);
        };
        for (index, (node, lowered)) in steps.iter().enumerate() {
            let now = StepId(index as u32).time();
            lowered.calls.iter().flat_map(|call| &call.inputs).for_each(|&v| note(&mut last, v, now));
            note(&mut last, graph.node(*node).output, now);
        }
        graph.outputs.iter().for_each(|&v| note(&mut last, v, Time::end(steps.len())));
        // What is joined is needed as long as what it is joined into, which comes behind it.
        for (node, lowered) in steps.iter().rev() {
            for &(value, _) in &lowered.shown {
                let whole = last[&graph.node(*node).output];
                note(&mut last, value, whole);
            }
        }
        let mut any = last.clone();
        for (node, lowered) in steps {
            for (value, _) in &lowered.shown {
                let part = any[&source[value]];
                note(&mut any, graph.node(*node).output, part);
            }
        }
        let joined = steps.iter().flat_map(|(_, lowered)| &lowered.shown).map(|(v, _)| source[v]).collect();
        Uses { last, any, joined, source }
    }

    /// The last moment at which the bytes of a value are needed.
    fn last(&self, value: ValueId) -> Option<Time> {
        self.last.get(&self.source[&value]).copied()
    }

    /// The operand whose bytes the output takes: the first of those that the op allows
    /// which nobody needs after this step. What is joined keeps its place.
    fn dying_operand(
        &self,
        graph: &Graph,
        lowered: &Lowered,
        output: ValueId,
        now: Time,
        lives: &Lives,
    ) -> Option<ValueId> {
        let operands = &lowered.calls.first()?.inputs;
        lowered.in_place.iter().filter_map(|&position| operands.get(position).copied()).find(|&operand| {
            let root = self.source[&operand];
            let alone = !self.joined.contains(&output) || lives.buffers_of[&operand].len() == 1;
            operand != output
                && graph.shape(operand).elements() == graph.shape(output).elements()
                && self.any.get(&root).is_some_and(|&last| last <= now)
                && !self.joined.contains(&root)
                && alone
                && lowered.calls.iter().all(|call| self.safe_in(call, lowered, operand))
        })
    }

    /// Whether a call reads the bytes of `operand` only at positions that the op
    /// declares safe: `x + x` reads them twice.
    fn safe_in(&self, call: &Call, lowered: &Lowered, operand: ValueId) -> bool {
        let reads = call.inputs.iter().enumerate();
        reads
            .filter(|(_, v)| self.source.get(v) == self.source.get(&operand))
            .all(|(position, _)| lowered.in_place.contains(&position))
    }
}

/// Blocks of which some are packed at a time.
struct Blocks<'a> {
    blocks: Vec<Block>,
    overlaps: &'a [Overlap],
    pieces: &'a [Piece],
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
        let pieces: Vec<Piece> = members.iter().map(|&m| self.pieces[m]).collect();
        let packing = pack_pieces(&blocks, &overlaps, &pieces);
        (packing.offsets, packing.total_bytes)
    }
}

impl Lives {
    /// The buffers as the packer takes them.
    pub fn blocks(&self) -> Vec<Block> {
        let block = |b: &Buffer| Block { bytes: b.bytes, align: b.align, first: b.first, last: b.last };
        self.buffers.iter().map(block).collect()
    }

    /// The buffers in one arena.
    pub fn packed(&self) -> Packing {
        pack_pieces(&self.blocks(), &self.overlaps, &self.pieces)
    }

    /// Where a value lies, once its buffers have places.
    pub fn range(&self, value: ValueId) -> ArenaRange {
        let of = |id: &BufferId| &self.buffers[id.index()];
        let buffers = &self.buffers_of[&value];
        let bytes = buffers.iter().map(|id| of(id).bytes).sum();
        ArenaRange { offset: buffers.first().map_or(0, |id| of(id).offset), bytes }
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
            for id in touched.flat_map(|value| &self.buffers_of[value]) {
                traffic[id.index()] += self.buffers[id.index()].bytes;
            }
        }
        let unit = |(index, buffer): (usize, &Buffer)| {
            let number = self.pieces[index].number;
            let members: Vec<usize> =
                (0..self.buffers.len()).filter(|&other| self.pieces[other].number == number).collect();
            let moments = |&m: &usize| {
                (self.buffers[m].last.index() - self.buffers[m].first.index() + 1) * self.buffers[m].bytes
            };
            let (touched, lived) =
                (members.iter().map(|&m| traffic[m]).sum(), members.iter().map(moments).sum());
            let (name, heat) = match &buffer.kind {
                BufferKind::Scratch { step, .. } => {
                    let node = graph.node(steps[step.index()].0);
                    (format!("the scratch of '{}'", node.name), SCRATCH_HEAT)
                }
                BufferKind::Values(values) | BufferKind::Row { values, .. } => {
                    (format!("'{}'", graph.value(values[0]).name), heat(touched, lived))
                }
            };
            Unit { name, members, heat }
        };
        // A piece of memory is a unit, which its first buffer stands for.
        let first = |&(index, _): &(usize, &Buffer)| {
            let number = self.pieces[index].number;
            self.pieces[..index].iter().all(|piece| piece.number != number)
        };
        let units: Vec<Unit> = self.buffers.iter().enumerate().filter(first).map(unit).collect();
        let blocks = Blocks { blocks: self.blocks(), overlaps: &self.overlaps, pieces: &self.pieces };
        divide(regions, &units, self.buffers.len(), &blocks)
    }

    fn add(&mut self, buffer: Buffer) -> BufferId {
        self.buffers.push(buffer);
        let index = self.buffers.len() - 1;
        self.pieces.push(Piece { number: index, at: 0 });
        BufferId(index as u32)
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
        self.buffers_of.insert(value, vec![id]);
    }

    /// Puts `value` into the buffers of `operand`, which live on to `last`.
    fn share(&mut self, graph: &Graph, operand: ValueId, value: ValueId, last: Time) -> Result<(), String> {
        let ids = self.buffers_of[&operand].clone();
        let bytes: usize = ids.iter().map(|id| self.buffers[id.index()].bytes).sum();
        let wanted = graph.shape(value).elements();
        if wanted != bytes {
            let name = &graph.value(value).name;
            return Err(format!("'{name}' of {wanted} B cannot share a buffer of {bytes} B"));
        }
        ids.iter().for_each(|&id| self.also(id, value, last));
        self.buffers_of.insert(value, ids);
        Ok(())
    }

    /// Puts the output of `node` where the operands `shown` lie, and what is copied beside
    /// them.
    fn join(&mut self, graph: &Graph, node: &Node, shown: &[(ValueId, usize)], now: Time, last: Time) {
        let mut joined: Vec<(BufferId, usize)> = Vec::new();
        let mut at = 0;
        for &input in &node.inputs {
            let bytes = graph.shape(input).elements();
            if shown.contains(&(input, at)) {
                for id in self.buffers_of[&input].clone() {
                    // Nothing else was there: an operand is joined once, and takes no joined bytes.
                    joined.push((id, at + self.pieces[id.index()].at));
                    self.also(id, node.output, last);
                }
            } else {
                let align = if at % ACTIVATION_ALIGN == 0 { ACTIVATION_ALIGN } else { 1 };
                let kind = BufferKind::Values(vec![node.output]);
                joined.push((self.add(Buffer { kind, bytes, align, first: now, last, offset: 0 }), at));
            }
            at += bytes;
        }
        let number = joined.first().map_or(0, |(id, _)| id.index());
        for &(id, at) in &joined {
            self.pieces[id.index()] = Piece { number, at };
        }
        self.buffers_of.insert(node.output, joined.into_iter().map(|(id, _)| id).collect());
    }

    /// A buffer holds `value` as well, to `last`.
    fn also(&mut self, id: BufferId, value: ValueId, last: Time) {
        let buffer = &mut self.buffers[id.index()];
        if let BufferKind::Values(values) = &mut buffer.kind {
            values.push(value);
        }
        buffer.last = buffer.last.max(last);
    }
}
