//! The replay: whatever is read was written before and not overwritten since.
//!
//! In: a plan whose ranges lie inside the arena. Out: the first read that finds
//! other bytes than its own. Invariant: it follows what kernels declare of their
//! reads and writes, and knows nothing of lives, distances or how offsets were found.
//!
//! Every byte of the arena carries the tag of what was written there last, and
//! every read compares tags. A call whose output overlaps its operand is walked
//! through in the order of its rows, and steps that run row by row as their cascade
//! orders them: what a step reads must still be there when it has written its
//! last byte. Nothing brings back a byte that was overwritten, so that looking
//! after the writes is enough.

use std::collections::BTreeMap;
use std::ops::Range;

use super::tags::{Tag, Tags};
use super::{Event, Operand, Plan, PlannedCall, RowWork, Step, Work};
use crate::ir::ValueId;
use crate::lower::Kernel;
use crate::lower::sweep::Walk;

/// Walks through a plan.
///
/// # Errors
/// The first violation, with the number of the verifier's property.
pub fn run(plan: &Plan) -> Result<(), String> {
    let mut replay = Replay { tags: Tags::default(), content: BTreeMap::new() };
    for input in &plan.inputs {
        replay.content.insert(input.value, input.value);
        if plan.pushed.is_some() {
            // Rows are written when they are pushed, one after the other.
            continue;
        }
        replay.tags.write(input.range.offset, input.range.bytes, Tag::of(input.value, 0, input.range.offset));
    }
    for event in plan.events() {
        match event.step() {
            Some(step) => replay.event(plan, &plan.steps[step.index()], &event)?,
            None => replay.push(plan, &event)?,
        }
    }
    for output in &plan.outputs {
        let whole = Operand { value: output.value, range: output.range };
        replay
            .holds(&whole, 0..whole.range.bytes)
            .map_err(|reason| format!("(8) output '{}' {reason}", output.name))?;
    }
    Ok(())
}

struct Replay {
    tags: Tags,
    /// The value whose bytes each value shows: a view shows those of its source.
    content: BTreeMap<ValueId, ValueId>,
}

impl Replay {
    /// The caller pushes a row.
    fn push(&mut self, plan: &Plan, event: &Event) -> Result<(), String> {
        let (Event::Push(row), Some(pushed), [input]) = (event, &plan.pushed, plan.inputs.as_slice()) else {
            return Err("(11) a row is pushed into no input".to_string());
        };
        let place = plan.row_tables[pushed.table].row(*row);
        self.tags.write(place.offset, place.bytes, Tag::of(input.value, row * place.bytes, place.offset));
        Ok(())
    }

    fn event(&mut self, plan: &Plan, step: &Step, event: &Event) -> Result<(), String> {
        let name = &step.name;
        match (&step.work, event) {
            (Work::View, _) => {
                let source = step.inputs.first().and_then(|v| self.content.get(v)).copied();
                let source = source.ok_or_else(|| format!("(6) view '{name}' of nothing"))?;
                self.content.insert(step.output, source);
            }
            (Work::Rows(work), Event::Rows(_, units)) => self
                .rows(plan, step, work, units.clone())
                .map_err(|reason| format!("(6) step '{name}', units {units:?}, {reason}"))?,
            (work, _) => {
                for (position, call) in work.calls().iter().enumerate() {
                    self.call(step, call, position)
                        .map_err(|reason| format!("(6) step '{name}' {reason}"))?;
                }
                let whole = Operand { value: step.output, range: step.output_range };
                self.holds(&whole, 0..whole.range.bytes)
                    .map_err(|reason| format!("(7) step '{name}' {reason}"))?;
            }
        }
        Ok(())
    }

    fn call(&mut self, step: &Step, call: &PlannedCall, position: usize) -> Result<(), String> {
        let scratch = Tag::Scratch { step: step.output, call: position };
        let walk = call.kernel.sweep().and_then(|sweep| sweep.walk(call.order));
        if let (Some(walk), [operand], true) = (walk, call.inputs.as_slice(), call.overlaps_operand()) {
            self.tags.write(call.scratch.offset, call.scratch.bytes, scratch);
            return self.walk(step, call, operand, &walk);
        }
        let (reads, writes) = touched(call);
        for operand in &call.inputs {
            match &reads {
                Some(runs) => runs.iter().try_for_each(|run| self.holds(operand, run.clone()))?,
                None => self.holds(operand, 0..operand.range.bytes)?,
            }
        }
        self.content.insert(step.output, step.output);
        self.tags.write(call.scratch.offset, call.scratch.bytes, scratch);
        match writes {
            Some(runs) => runs.into_iter().for_each(|run| self.write(step.output, call, run)),
            None => self.write(step.output, call, 0..call.output.bytes),
        }
        Ok(())
    }

    /// A call whose output overlaps its operand, step by step.
    fn walk(
        &mut self,
        step: &Step,
        call: &PlannedCall,
        operand: &Operand,
        walk: &Walk,
    ) -> Result<(), String> {
        self.content.insert(step.output, step.output);
        for rows in walk.steps(call.order) {
            self.write(step.output, call, rows.start * walk.out_row_bytes..rows.end * walk.out_row_bytes);
            for row in rows.flat_map(|y| walk.rows_read(y)) {
                let start = row * walk.in_row_bytes;
                self.holds(operand, start..start + walk.in_row_bytes)?;
            }
        }
        Ok(())
    }

    /// Some units of a step that runs row by row.
    fn rows(&mut self, plan: &Plan, step: &Step, work: &RowWork, units: Range<usize>) -> Result<(), String> {
        let scratch = Tag::Scratch { step: step.output, call: 0 };
        let private = work.call.scratch;
        // Sums are kept from one unit to the next.
        if work.form.gathers && units.start > 0 {
            self.tags
                .check(private.offset, private.bytes, scratch)
                .map_err(|f| format!("finds {f} instead of its sums"))?;
        }
        self.content.insert(step.output, step.output);
        self.tags.write(private.offset, private.bytes, scratch);
        let output = &plan.row_tables[work.output];
        for row in units.clone().filter_map(|unit| work.form.writes(unit)) {
            let place = output.row(row);
            self.tags.write(place.offset, place.bytes, Tag::of(step.output, row * place.bytes, place.offset));
        }
        for (operand, &table) in work.call.inputs.iter().zip(&work.inputs) {
            let content = self.content.get(&operand.value).copied();
            let content = content.ok_or_else(|| format!("reads {} before it is made", operand.value))?;
            for row in units.clone().flat_map(|unit| work.form.reads(unit)) {
                let place = plan.row_tables[table].row(row);
                let tag = Tag::of(content, row * place.bytes, place.offset);
                self.tags
                    .check(place.offset, place.bytes, tag)
                    .map_err(|found| format!("finds {found} instead of row {row} of {content}"))?;
            }
        }
        Ok(())
    }

    /// Writes some bytes of a call's output.
    fn write(&mut self, value: ValueId, call: &PlannedCall, bytes: Range<usize>) {
        let offset = call.output.offset + bytes.start;
        self.tags.write(offset, bytes.len(), Tag::of(value, bytes.start, offset));
    }

    fn holds(&self, operand: &Operand, bytes: Range<usize>) -> Result<(), String> {
        let content = self.content.get(&operand.value);
        let content = *content.ok_or_else(|| format!("reads {} before it is made", operand.value))?;
        let offset = operand.range.offset + bytes.start;
        self.tags.check(offset, bytes.len(), Tag::of(content, bytes.start, offset)).map_err(|found| {
            format!("finds {found} instead of byte {} of {content}", found.offset - operand.range.offset)
        })
    }
}

/// Bytes of a tensor, in runs.
type Runs = Vec<Range<usize>>;

/// The bytes of its operand that a call reads and those of its output that it
/// writes, in runs; `None` for all of them.
fn touched(call: &PlannedCall) -> (Option<Runs>, Option<Runs>) {
    let Kernel::Copy(p) = &call.kernel else { return (None, None) };
    let reads = strided(p.dims, p.in_offset, p.in_strides);
    let writes = if p.fill { None } else { Some(strided(p.dims, p.out_offset, p.out_strides)) };
    (Some(reads), writes)
}

/// All positions `offset + sum(index * stride)` of an index space, in runs.
fn strided(dims: [usize; 6], offset: usize, strides: [usize; 6]) -> Runs {
    let mut positions = vec![offset];
    for (dim, stride) in dims.into_iter().zip(strides) {
        positions = positions.iter().flat_map(|&p| (0..dim).map(move |i| p + i * stride)).collect();
    }
    let mut runs = Runs::new();
    for position in positions {
        match runs.last_mut() {
            Some(run) if run.end == position => run.end += 1,
            _ => runs.push(position..position + 1),
        }
    }
    runs
}
