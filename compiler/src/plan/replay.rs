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
//!
//! Of a window that slides, tags name rows of the present window. Before each step they
//! are renamed to what the rows are in the next window, as far as they are rows of it at
//! all (`slide.rs`); the first steps, in which the window is not full, begin with nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use super::slide::Same;
use super::tags::{Tag, Tags};
use super::{Event, IoPlan, Operand, Plan, PlannedCall, RowWork, Slide, Step, Work};
use crate::ir::ValueId;
use crate::lower::Kernel;
use crate::lower::sweep::Walk;

/// Walks through a plan; through that of a window that slides until what a step leaves is
/// what the one before it left, so that every later step is like the last.
///
/// # Errors
/// The first violation, with the number of the verifier's property.
pub fn run(plan: &Plan) -> Result<(), String> {
    let mut replay = Replay { tags: Tags::default(), content: BTreeMap::new(), strict: true };
    let Some(slide) = &plan.slide else {
        if plan.pushed.is_none() {
            plan.inputs.iter().for_each(|input| replay.input(input));
        }
        return replay.once(plan);
    };
    let same = Same::of(plan);
    let mut before = None;
    // Whatever the first state, each later one follows from the one before.
    for step in 1..=slide.steps() + slide.rows + 2 {
        replay.strict = step >= slide.steps();
        replay.tags = replay.tags.renamed(|value| same.moved(value));
        replay.slide(plan, slide);
        replay.once(plan)?;
        if replay.strict && before.as_ref() == Some(&replay.tags) {
            return Ok(());
        }
        before = Some(replay.tags.clone());
    }
    Err("(12) what a step leaves changes from step to step".to_string())
}

struct Replay {
    tags: Tags,
    /// Whose bytes each value shows: a view those of its source, what is joined in place
    /// those of its operands, everything else its own.
    content: BTreeMap<ValueId, Vec<Shown>>,
    /// Whether a read of other bytes is a violation. Until a window is full, what is made
    /// of them is just not there.
    strict: bool,
}

/// Bytes of a value that are another's, or its own.
#[derive(Debug, Clone)]
struct Shown {
    /// Which bytes.
    bytes: Range<usize>,
    /// Whose.
    value: ValueId,
    /// The first of them there.
    from: usize,
}

impl Shown {
    /// All of a value of at most so many bytes, as its own.
    fn own(value: ValueId, bytes: usize) -> Vec<Shown> {
        vec![Shown { bytes: 0..bytes, value, from: 0 }]
    }
}

impl Replay {
    /// The caller has written an input.
    fn input(&mut self, input: &IoPlan) {
        let range = input.range;
        self.makes(input.value);
        self.tags.write(range.offset, range.bytes, Tag::of(input.value, 0, range.offset));
    }

    /// The rows of the step before move up, and the newest rows of the input come.
    fn slide(&mut self, plan: &Plan, slide: &Slide) {
        for kept in &slide.kept {
            let (range, by) = (kept.range(&plan.row_tables), kept.shift_bytes(&plan.row_tables));
            self.tags.copy(range.offset + by, range.offset, range.bytes.saturating_sub(by));
        }
        let table = &plan.row_tables[slide.kept[slide.input].table];
        self.makes(table.value);
        for row in slide.rows - slide.hop..slide.rows {
            let place = table.row(row);
            self.tags.write(place.offset, place.bytes, Tag::of(table.value, row * place.bytes, place.offset));
        }
    }

    /// Everything that a run does.
    fn once(&mut self, plan: &Plan) -> Result<(), String> {
        if let (Some(_), [input]) = (&plan.pushed, plan.inputs.as_slice()) {
            // Rows are written when they are pushed, one after the other.
            self.makes(input.value);
        }
        for event in plan.events() {
            let Some(step) = event.step().map(|step| &plan.steps[step.index()]) else {
                self.push(plan, &event)?;
                continue;
            };
            match self.event(plan, step, &event) {
                Err(_) if !self.strict => self.forget(plan, step, &event),
                done => done?,
            }
        }
        for output in plan.outputs.iter().filter(|_| self.strict) {
            let whole = Operand { value: output.value, range: output.range };
            self.holds(&whole, 0..whole.range.bytes)
                .map_err(|reason| format!("(8) output '{}' {reason}", output.name))?;
        }
        Ok(())
    }

    /// Nothing of what an event writes is there.
    fn forget(&mut self, plan: &Plan, step: &Step, event: &Event) {
        self.makes(step.output);
        match (&step.work, event) {
            (Work::Rows(work), Event::Rows(_, units)) => {
                let private = work.scratch(units.start);
                self.tags.erase(private.offset, private.bytes);
                // Sums of which some are lost.
                for row in units.clone().filter_map(|unit| work.form.writes(unit)) {
                    let place = plan.row_tables[work.output].row(row);
                    self.tags.erase(place.offset, place.bytes);
                }
            }
            _ => {
                for call in step.work.calls() {
                    self.tags.erase(call.scratch.offset, call.scratch.bytes);
                }
                self.tags.erase(step.output_range.offset, step.output_range.bytes);
            }
        }
    }

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
            // Whoever reads it sees whether it is there.
            (Work::View, _) => {
                self.shows(step).map_err(|reason| format!("(6) step '{name}' {reason}"))?;
            }
            (Work::Rows(work), Event::Rows(_, units)) => self
                .rows(plan, step, work, units.clone())
                .map_err(|reason| format!("(6) step '{name}', units {units:?}, {reason}"))?,
            (work, _) => {
                for (position, call) in work.calls().iter().enumerate() {
                    self.call(step, call, position)
                        .map_err(|reason| format!("(6) step '{name}' {reason}"))?;
                }
                self.shows(step).map_err(|reason| format!("(6) step '{name}' {reason}"))?;
                let whole = Operand { value: step.output, range: step.output_range };
                self.holds(&whole, 0..whole.range.bytes)
                    .map_err(|reason| format!("(7) step '{name}' {reason}"))?;
            }
        }
        Ok(())
    }

    /// A value shows its own bytes.
    fn makes(&mut self, value: ValueId) {
        self.content.insert(value, Shown::own(value, usize::MAX));
    }

    /// The output of a step shows bytes of its operands.
    fn shows(&mut self, step: &Step) -> Result<(), String> {
        let output = step.output_range;
        let mut parts = Vec::new();
        for operand in &step.shown {
            let inside = operand.range.offset >= output.offset && operand.range.end() <= output.end();
            let of = self.content.get(&operand.value).filter(|_| inside);
            let of = of.ok_or_else(|| format!("shows nothing of {}", operand.value))?;
            let start = operand.range.offset - output.offset;
            let cut = |part: &Shown| {
                let end = part.bytes.end.min(operand.range.bytes);
                Shown { bytes: start + part.bytes.start..start + end, ..*part }
            };
            parts.extend(of.iter().map(cut).filter(|part| !part.bytes.is_empty()));
        }
        if !parts.is_empty() {
            // What it does not show, it has made.
            parts.sort_by_key(|part| part.bytes.start);
            let mut end = 0;
            let mut own = Vec::new();
            for part in &parts {
                own.push(Shown { bytes: end..part.bytes.start, value: step.output, from: end });
                end = part.bytes.end;
            }
            own.push(Shown { bytes: end..output.bytes, value: step.output, from: end });
            parts.extend(own.into_iter().filter(|part| !part.bytes.is_empty()));
            self.content.insert(step.output, parts);
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
        self.makes(step.output);
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
        self.makes(step.output);
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
        let private = work.scratch(units.start);
        // Sums are kept from one unit to the next.
        if work.form.gathers && units.start > 0 {
            self.tags
                .check(private.offset, private.bytes, scratch)
                .map_err(|f| format!("finds {f} instead of its sums"))?;
        }
        self.makes(step.output);
        self.tags.write(private.offset, private.bytes, scratch);
        let output = &plan.row_tables[work.output];
        for row in units.clone().filter_map(|unit| work.form.writes(unit)) {
            let place = output.row(row);
            self.tags.write(place.offset, place.bytes, Tag::of(step.output, row * place.bytes, place.offset));
        }
        if self.strict || work.form.gathers {
            return units.into_iter().try_for_each(|unit| self.unit(plan, work, unit));
        }
        let lost: Vec<usize> = units.filter(|&unit| self.unit(plan, work, unit).is_err()).collect();
        for row in lost.into_iter().filter_map(|unit| work.form.writes(unit)) {
            self.tags.erase(output.row(row).offset, output.row_bytes);
        }
        Ok(())
    }

    /// Whether what a unit reads is there.
    fn unit(&self, plan: &Plan, work: &RowWork, unit: usize) -> Result<(), String> {
        for (operand, &table) in work.call.inputs.iter().zip(&work.inputs) {
            for row in work.form.reads(unit) {
                let place = plan.row_tables[table].row(row);
                let start = row * place.bytes;
                self.shown(operand.value, start..start + place.bytes, place.offset)
                    .map_err(|reason| format!("row {row} {reason}"))?;
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
        self.shown(operand.value, bytes.clone(), operand.range.offset + bytes.start)
    }

    /// Whether these bytes of a value lie from `offset` on.
    fn shown(&self, value: ValueId, bytes: Range<usize>, offset: usize) -> Result<(), String> {
        let parts = self.content.get(&value).ok_or_else(|| format!("reads {value} before it is made"))?;
        for part in parts {
            let (start, end) = (bytes.start.max(part.bytes.start), bytes.end.min(part.bytes.end));
            if start >= end {
                continue;
            }
            let (first, at) = (part.from + start - part.bytes.start, offset + start - bytes.start);
            self.tags.check(at, end - start, Tag::of(part.value, first, at)).map_err(|found| {
                format!("finds {found} instead of byte {} of {}", first + found.offset - at, part.value)
            })?;
        }
        Ok(())
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
