//! The verifier: what holds of every plan. It runs inside [`plan()`](super::plan()).
//!
//! 1. Every buffer lies inside the arena at a multiple of its alignment.
//! 2. Buffers that live at the same moment do not overlap.
//! 3. A step works on the buffers of its values, and only while they live; a
//!    call's scratch overlaps nothing that the call reads or writes.
//! 4. The constants of every call lie inside the blob, at a multiple of 4.
//! 5. A call's output overlaps an operand only as exactly the same bytes, and
//!    only at a position that the operator declares safe.
//! 6. Whatever is read was written before and not overwritten since. This is a
//!    replay: every byte of the arena carries the tag of what was written there
//!    last, and every read compares tags.
//! 7. After a step, every byte of its output was written.
//! 8. After the last step, every graph output still holds its own bytes.
//! 9. Graph inputs do not overlap each other.

use std::collections::BTreeMap;

use super::{ArenaRange, BufferKind, Operand, Plan, PlannedCall, Step, StepId, Time, Work};
use crate::ir::ValueId;
use crate::lower::Kernel;

/// Checks a plan.
///
/// # Errors
/// The first violation, with the number of the property. It is always a bug of
/// tinyc, never of the model.
pub fn verify(plan: &Plan) -> Result<(), String> {
    let placed = buffers(plan)?;
    for (index, input) in plan.inputs.iter().enumerate() {
        live(&placed, plan, input.value, input.range, Time::START)?;
        if plan.inputs[..index].iter().any(|other| other.range.overlaps(&input.range)) {
            return Err(format!("(9) input '{}' overlaps another input", input.name));
        }
    }
    for output in &plan.outputs {
        live(&placed, plan, output.value, output.range, Time::end(plan.steps.len()))?;
    }
    for (index, step) in plan.steps.iter().enumerate() {
        ranges(plan, &placed, StepId(index as u32), step)?;
    }
    replay(plan)
}

/// Properties 6, 7 and 8 alone; ranges must lie inside the arena.
///
/// # Errors
/// As for [`verify`].
pub fn replay(plan: &Plan) -> Result<(), String> {
    Replay::new(plan).run(plan)
}

/// Properties 1 and 2; returns the buffer of every value.
fn buffers(plan: &Plan) -> Result<BTreeMap<ValueId, usize>, String> {
    let mut placed = BTreeMap::new();
    for (index, buffer) in plan.buffers.iter().enumerate() {
        if buffer.range().end() > plan.arena_bytes || !buffer.offset.is_multiple_of(buffer.align) {
            return Err(format!("(1) buffer {index} at {} of {}", buffer.range(), plan.arena_bytes));
        }
        for (earlier, other) in plan.buffers[..index].iter().enumerate() {
            let meet = buffer.first <= other.last && other.first <= buffer.last;
            if meet && buffer.range().overlaps(&other.range()) {
                return Err(format!("(2) buffers {earlier} and {index} overlap while both live"));
            }
        }
        if let BufferKind::Values(values) = &buffer.kind {
            placed.extend(values.iter().map(|&v| (v, index)));
        }
    }
    Ok(placed)
}

/// Property 3 for a value.
fn live(
    placed: &BTreeMap<ValueId, usize>,
    plan: &Plan,
    value: ValueId,
    range: ArenaRange,
    time: Time,
) -> Result<(), String> {
    let buffer = placed.get(&value).map(|&b| &plan.buffers[b]);
    match buffer {
        Some(b) if b.range() == range && b.first <= time && time <= b.last => Ok(()),
        _ => Err(format!("(3) value {value} is used at {range}, {time}, which is not its buffer")),
    }
}

/// Properties 3, 4 and 5 for a step.
fn ranges(plan: &Plan, placed: &BTreeMap<ValueId, usize>, id: StepId, step: &Step) -> Result<(), String> {
    let name = &step.name;
    live(placed, plan, step.output, step.output_range, id.time())?;
    for (position, call) in step.work.calls().iter().enumerate() {
        if call.output != step.output_range {
            return Err(format!("(3) call {position} of '{name}' does not write the step's output"));
        }
        for (operand, read) in call.inputs.iter().enumerate() {
            live(placed, plan, read.value, read.range, id.time())?;
            if read.range.overlaps(&call.scratch) {
                return Err(format!("(3) the scratch of '{name}' overlaps its operand {operand}"));
            }
            let safe =
                read.range == call.output && (call.in_place.contains(&operand) || read.value == step.output);
            if read.range.overlaps(&call.output) && !safe {
                return Err(format!("(5) the output of '{name}' overlaps its operand {operand}"));
            }
        }
        scratch(plan, id, position, call).map_err(|reason| format!("(3) '{name}': {reason}"))?;
        if call.consts.end() > plan.weights.len() || !call.consts.offset.is_multiple_of(4) {
            return Err(format!("(4) constants {} of '{name}'", call.consts));
        }
    }
    Ok(())
}

fn scratch(plan: &Plan, id: StepId, position: usize, call: &PlannedCall) -> Result<(), String> {
    if call.scratch.bytes == 0 {
        return Ok(());
    }
    if call.scratch.overlaps(&call.output) {
        return Err("the scratch overlaps the output".to_string());
    }
    let kind = BufferKind::Scratch { step: id, call: position };
    let buffer = plan.buffers.iter().find(|b| b.kind == kind);
    match buffer {
        Some(b) if b.range() == call.scratch && b.first <= id.time() && id.time() <= b.last => Ok(()),
        _ => Err(format!("scratch {} is not the buffer of call {position}", call.scratch)),
    }
}

/// What was last written to a byte: which content, and which byte of it. Small,
/// since there is one for every byte of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Nothing,
    Scratch,
    Content(ValueId, u32),
}

/// The arena, byte by byte.
struct Replay {
    arena: Vec<Tag>,
    /// The value whose bytes each value shows: a view shows those of its source.
    content: BTreeMap<ValueId, ValueId>,
}

impl Replay {
    fn new(plan: &Plan) -> Replay {
        let mut replay = Replay { arena: vec![Tag::Nothing; plan.arena_bytes], content: BTreeMap::new() };
        for input in &plan.inputs {
            replay.content.insert(input.value, input.value);
            replay.write(input.value, input.range, 0..input.range.bytes);
        }
        replay
    }

    /// Properties 6, 7 and 8.
    fn run(mut self, plan: &Plan) -> Result<(), String> {
        for step in &plan.steps {
            let name = &step.name;
            match &step.work {
                Work::View => {
                    let source = step.inputs.first().and_then(|v| self.content.get(v)).copied();
                    let source = source.ok_or_else(|| format!("(6) view '{name}' of nothing"))?;
                    self.content.insert(step.output, source);
                }
                Work::Whole(calls) => {
                    for call in calls {
                        self.call(step, call).map_err(|reason| format!("(6) step '{name}' {reason}"))?;
                    }
                    let whole = Operand { value: step.output, range: step.output_range };
                    self.holds(&whole, 0..whole.range.bytes)
                        .map_err(|reason| format!("(7) step '{name}' {reason}"))?;
                }
            }
        }
        for output in &plan.outputs {
            let whole = Operand { value: output.value, range: output.range };
            self.holds(&whole, 0..output.range.bytes)
                .map_err(|reason| format!("(8) output '{}' {reason}", output.name))?;
        }
        Ok(())
    }

    fn call(&mut self, step: &Step, call: &PlannedCall) -> Result<(), String> {
        let (reads, writes) = touched(call);
        for operand in &call.inputs {
            match &reads {
                Some(bytes) => self.holds(operand, bytes.iter().copied())?,
                None => self.holds(operand, 0..operand.range.bytes)?,
            }
        }
        self.content.insert(step.output, step.output);
        for byte in call.scratch.offset..call.scratch.end() {
            self.arena[byte] = Tag::Scratch;
        }
        match writes {
            Some(bytes) => self.write(step.output, call.output, bytes),
            None => self.write(step.output, call.output, 0..call.output.bytes),
        }
        Ok(())
    }

    fn write(&mut self, value: ValueId, range: ArenaRange, bytes: impl IntoIterator<Item = usize>) {
        for byte in bytes {
            self.arena[range.offset + byte] = Tag::Content(value, byte as u32);
        }
    }

    fn holds(&self, operand: &Operand, bytes: impl IntoIterator<Item = usize>) -> Result<(), String> {
        let content = self.content.get(&operand.value);
        let content = content.ok_or_else(|| format!("reads {} before it is made", operand.value))?;
        for byte in bytes {
            let found = self.arena.get(operand.range.offset + byte);
            if found != Some(&Tag::Content(*content, byte as u32)) {
                return Err(format!(
                    "finds {found:?} at {} instead of byte {byte} of {content}",
                    operand.range.offset + byte
                ));
            }
        }
        Ok(())
    }
}

/// The bytes of its operand that a call reads and those of its output that it
/// writes; `None` for all of them.
fn touched(call: &PlannedCall) -> (Option<Vec<usize>>, Option<Vec<usize>>) {
    let Kernel::Copy(p) = &call.kernel else { return (None, None) };
    let reads = strided(p.dims, p.in_offset, p.in_strides);
    let writes = if p.fill { None } else { Some(strided(p.dims, p.out_offset, p.out_strides)) };
    (Some(reads), writes)
}

/// All positions `offset + sum(index * stride)` of an index space.
fn strided(dims: [usize; 6], offset: usize, strides: [usize; 6]) -> Vec<usize> {
    let mut positions = vec![offset];
    for (dim, stride) in dims.into_iter().zip(strides) {
        positions = positions.iter().flat_map(|&p| (0..dim).map(move |i| p + i * stride)).collect();
    }
    positions
}
