//! The verifier: what holds of every plan. It runs inside [`plan()`](super::plan()).
//!
//! 1. Every buffer lies inside the arena at a multiple of its alignment.
//! 2. Buffers that live at the same moment do not overlap, unless the one dies
//!    at the step at which the other is born, and that step is a single call
//!    which sweeps through its only operand.
//! 3. A step works on the buffers of its values, and only while they live; so does
//!    what it shows of others, which lies inside its output; a call's scratch overlaps
//!    nothing that the call reads or writes.
//! 4. The constants of every call lie inside the blob, at a multiple of 4.
//! 5. A call's output overlaps an operand only as exactly the same bytes at a
//!    position that the operator declares safe, or as the call of 2.
//! 6. Whatever is read was written before and not overwritten since. This is the
//!    replay of `replay.rs`.
//! 7. After a step, every byte of its output was written.
//! 8. After the last step, every graph output still holds its own bytes.
//! 9. Graph inputs do not overlap each other.
//! 10. A step that runs row by row does what its kernel declares, in no larger
//!     steps and with no fewer private bytes than the kernel knows; its rows lie
//!     inside the arena, those that must follow each other do, and every one that
//!     its units read or write has a place. Each cascade's order runs every unit
//!     of each of its steps.
//! 11. Of an input that is pushed, every row that anybody reads has a place inside
//!     the arena, the first step begins a cascade, and what runs after the rows is,
//!     all together, that cascade's order.
//! 12. Of a window that slides, what is kept lies in runs of the arena, that of the input
//!     ends with the newest row, and one step leaves what the next one needs: the replay
//!     begins with nothing and ends when two steps leave the same.
//! 13. Of an arena that is divided over RAM regions, the parts follow each other and are no
//!     larger than their regions allow; every buffer, all that a call gets and all rows
//!     of a tensor lie in one part, at a multiple of their alignment from its first byte.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{
    ArenaRange, Buffer, BufferKind, Cascade, Event, Plan, PlannedCall, Pushed, RowWork, Slide, Step, StepId,
    Time, Work, parts, replay,
};
use crate::ir::ValueId;

/// Checks a plan.
///
/// # Errors
/// The first violation, with the number of the property. It is always a bug of
/// tinyc, never of the model.
pub fn verify(plan: &Plan) -> Result<(), String> {
    let placed = buffers(plan)?;
    parts::check(plan)?;
    plan.pushed.iter().try_for_each(|input| pushed(plan, input))?;
    plan.slide.iter().try_for_each(|window| slide(plan, window))?;
    let whole = plan.pushed.is_none() && plan.slide.is_none();
    for (index, input) in plan.inputs.iter().enumerate().filter(|_| whole) {
        live(&placed, plan, input.value, input.range, Time::START)?;
        if plan.inputs[..index].iter().any(|other| other.range.overlaps(&input.range)) {
            return Err(format!("(9) input '{}' overlaps another input", input.name));
        }
    }
    plan.cascades.iter().try_for_each(|cascade| order(plan, cascade))?;
    let events = plan.events();
    for output in &plan.outputs {
        live(&placed, plan, output.value, output.range, Time::end(events.len()))?;
    }
    for (moment, event) in events.iter().enumerate() {
        let Some(id) = event.step() else { continue };
        let step = &plan.steps[id.index()];
        match (&step.work, event) {
            (Work::Rows(work), Event::Rows(_, units)) => adjacent(plan, step, work, units)?,
            _ => ranges(plan, &placed, id, step, Time::of(moment + 1))?,
        }
    }
    for step in &plan.steps {
        if let Work::Rows(work) = &step.work {
            by_rows(plan, step, work)?;
        }
    }
    replay(plan)?;
    for (moment, event) in events.iter().enumerate() {
        if let Event::Rows(id, units) = event
            && let Work::Rows(work) = &plan.steps[id.index()].work
        {
            private(plan, *id, work, units.start, Time::of(moment + 1))?;
        }
    }
    Ok(())
}

/// Properties 6, 7 and 8 alone; ranges must lie inside the arena.
///
/// # Errors
/// As for [`verify`].
pub fn replay(plan: &Plan) -> Result<(), String> {
    replay::run(plan)
}

/// The buffers of each value: one, or one a row.
type Placed = BTreeMap<ValueId, Vec<usize>>;

/// Properties 1 and 2; returns the buffers of every value.
fn buffers(plan: &Plan) -> Result<Placed, String> {
    let mut placed = Placed::new();
    for (index, buffer) in plan.buffers.iter().enumerate() {
        // Where there are parts, alignment counts from the first byte of each (13).
        let aligned = !plan.parts.is_empty() || buffer.offset.is_multiple_of(buffer.align);
        if buffer.range().end() > plan.arena_bytes || !aligned {
            return Err(format!("(1) buffer {index} at {} of {}", buffer.range(), plan.arena_bytes));
        }
        if let BufferKind::Values(values) | BufferKind::Row { values, .. } = &buffer.kind {
            values.iter().for_each(|&v| placed.entry(v).or_default().push(index));
        }
    }
    let mut by_first: Vec<usize> = (0..plan.buffers.len()).collect();
    by_first.sort_by_key(|&b| plan.buffers[b].first);
    let mut alive: Vec<usize> = Vec::new();
    for &index in &by_first {
        let buffer = &plan.buffers[index];
        alive.retain(|&other| plan.buffers[other].last >= buffer.first);
        for &other in &alive {
            let earlier = &plan.buffers[other];
            let swept = || swept(plan, buffer, earlier) || swept(plan, earlier, buffer);
            if buffer.range().overlaps(&earlier.range()) && !swept() {
                let (a, b) = (index.min(other), index.max(other));
                return Err(format!("(2) buffers {a} and {b} overlap while both live"));
            }
        }
        alive.push(index);
    }
    Ok(placed)
}

/// Whether two buffers meet only at a step that makes `born` by sweeping through
/// `dying`.
fn swept(plan: &Plan, dying: &Buffer, born: &Buffer) -> bool {
    let holds = |buffer: &Buffer, value: ValueId| matches!(&buffer.kind, BufferKind::Values(values) if values.contains(&value));
    let step = born.first.index().checked_sub(1).and_then(|step| plan.steps.get(step));
    // Moments are steps in a plan without cascades, and only there do whole calls sweep.
    plan.cascades.is_empty()
        && dying.last == born.first
        && step.is_some_and(|step| match step.work.calls() {
            [call] => {
                holds(born, step.output)
                    && call.kernel.sweep().is_some()
                    && matches!(call.inputs.as_slice(), [operand] if holds(dying, operand.value))
            }
            _ => false,
        })
}

/// Property 3 for a value.
fn live(placed: &Placed, plan: &Plan, value: ValueId, range: ArenaRange, time: Time) -> Result<(), String> {
    let all = placed.get(&value).into_iter().flatten().map(|&b| &plan.buffers[b]);
    // A row that moves before a step and is made anew in it has a life for each.
    let mut buffers: Vec<&Buffer> =
        all.filter(|b| plan.slide.is_none() || (b.first <= time && time <= b.last)).collect();
    // What is joined was made in any order; that its bytes are its own is for the replay (6).
    if buffers.iter().all(|b| matches!(b.kind, BufferKind::Values(_))) {
        buffers.sort_by_key(|b| b.offset);
    }
    let lives = buffers.iter().all(|b| b.first <= time && time <= b.last);
    let mut end = range.offset;
    let follow = buffers.iter().all(|b| std::mem::replace(&mut end, b.range().end()) == b.offset);
    if !buffers.is_empty() && lives && follow && end == range.end() {
        return Ok(());
    }
    Err(format!("(3) value {value} is used at {range}, {time}, which is not its buffer"))
}

/// Properties 3, 4 and 5 for a step on whole tensors at a moment.
fn ranges(plan: &Plan, placed: &Placed, id: StepId, step: &Step, time: Time) -> Result<(), String> {
    let name = &step.name;
    live(placed, plan, step.output, step.output_range, time)?;
    for shown in &step.shown {
        live(placed, plan, shown.value, shown.range, time)?;
        if shown.range.offset < step.output_range.offset || shown.range.end() > step.output_range.end() {
            return Err(format!("(3) '{name}' shows {} outside its output", shown.value));
        }
    }
    for (position, call) in step.work.calls().iter().enumerate() {
        if call.output != step.output_range {
            return Err(format!("(3) call {position} of '{name}' does not write the step's output"));
        }
        for (operand, read) in call.inputs.iter().enumerate() {
            live(placed, plan, read.value, read.range, time)?;
            if read.range.overlaps(&call.scratch) {
                return Err(format!("(3) the scratch of '{name}' overlaps its operand {operand}"));
            }
            let safe =
                read.range == call.output && (call.in_place.contains(&operand) || read.value == step.output);
            let swept = step.work.calls().len() == 1 && call.overlaps_operand();
            let walks = call.kernel.sweep().is_some_and(|sweep| sweep.walk(call.order).is_some());
            if read.range.overlaps(&call.output) && !safe && !(swept && walks) {
                return Err(format!("(5) the output of '{name}' overlaps its operand {operand}"));
            }
        }
        scratch(plan, id, position, call, time).map_err(|reason| format!("(3) '{name}': {reason}"))?;
        constants(plan, name, call)?;
    }
    Ok(())
}

/// Property 4.
fn constants(plan: &Plan, name: &str, call: &PlannedCall) -> Result<(), String> {
    if call.consts.end() > plan.weights.len() || !call.consts.offset.is_multiple_of(4) {
        return Err(format!("(4) constants {} of '{name}'", call.consts));
    }
    Ok(())
}

fn scratch(plan: &Plan, id: StepId, position: usize, call: &PlannedCall, time: Time) -> Result<(), String> {
    if call.scratch.bytes == 0 {
        return Ok(());
    }
    if call.scratch.overlaps(&call.output) {
        return Err("the scratch overlaps the output".to_string());
    }
    let kind = BufferKind::Scratch { step: id, call: position };
    let mut buffers = plan.buffers.iter().filter(|b| b.kind == kind);
    match buffers.find(|b| b.range() == call.scratch && b.first <= time && time <= b.last) {
        Some(_) => Ok(()),
        None => Err(format!("scratch {} is not the buffer of call {position}", call.scratch)),
    }
}

/// Properties 4 and 10 of a step that runs row by row.
fn by_rows(plan: &Plan, step: &Step, work: &RowWork) -> Result<(), String> {
    let name = &step.name;
    constants(plan, name, &work.call)?;
    let (kernel, walk) = (&work.call.kernel, &work.form.walk);
    let fails = |reason: &str| Err(format!("(10) '{name}' {reason}"));
    if kernel.row_form([walk.out_rows, 1, walk.out_row_bytes]) != Some(work.form) {
        return fails("does not do what its kernel declares");
    }
    if work.units_per_step == 0 || work.units_per_step > kernel.most_units(&work.form) {
        return fails("does more at a time than its kernel can");
    }
    let scratch = work.call.scratch;
    let bytes = work.moving.as_ref().map_or(scratch.bytes, |table| table.row_bytes);
    if bytes < kernel.row_scratch_bytes(work.units_per_step) || scratch.end() > plan.arena_bytes {
        return fails("has too few private bytes");
    }
    if let Some(table) = &work.moving {
        let inside = |o: &usize| scratch.offset <= *o && o + table.row_bytes <= scratch.end();
        if work.form.gathers || table.offsets.len() < work.units || !table.offsets.iter().all(inside) {
            return fails("has private bytes that move where they must not");
        }
        if !plan.addressable(table) {
            return fails("has private bytes that cannot be emitted");
        }
    }
    let tables = || work.inputs.iter().chain([&work.output]).map(|&table| plan.row_tables.get(table));
    for table in tables() {
        let inside = table.is_some_and(|t| {
            plan.addressable(t) && t.offsets.iter().all(|o| o + t.row_bytes <= plan.arena_bytes)
        });
        if !inside {
            return fails("has rows outside the arena, or that cannot be emitted");
        }
    }
    let rows = |table: usize| plan.row_tables[table].offsets.len();
    let reads = (0..work.units).flat_map(|unit| work.form.reads(unit)).max().map_or(0, |row| row + 1);
    let writes = (0..work.units).filter_map(|unit| work.form.writes(unit)).max().map_or(0, |row| row + 1);
    if work.inputs.iter().any(|&table| rows(table) < reads) || rows(work.output) < writes {
        return fails("has rows without a place");
    }
    Ok(())
}

/// Property 3 of the private bytes of a step that begins with a unit: a buffer holds them,
/// which then lives, and so keeps everything else away.
fn private(plan: &Plan, id: StepId, work: &RowWork, unit: usize, time: Time) -> Result<(), String> {
    let range = work.scratch(unit);
    let holds = |b: &Buffer| {
        let is_own = matches!(b.kind, BufferKind::Scratch { step, .. } if step == id);
        is_own && b.range() == range && b.first <= time && time <= b.last
    };
    match range.bytes == 0 || plan.buffers.iter().any(holds) {
        true => Ok(()),
        false => {
            let name = &plan.steps[id.index()].name;
            Err(format!("(3) '{name}': scratch {range} at unit {unit} is no buffer of it"))
        }
    }
}

/// Property 10 of the rows of some units.
fn adjacent(plan: &Plan, step: &Step, work: &RowWork, units: &Range<usize>) -> Result<(), String> {
    let Some(table) = plan.row_tables.get(work.output).filter(|_| work.form.adjacent) else { return Ok(()) };
    let rows = units.clone().filter_map(|unit| work.form.writes(unit));
    let mut places = rows.filter_map(|row| table.offsets.get(row)).peekable();
    while let Some(offset) = places.next() {
        if places.peek().is_some_and(|&&next| next != offset + table.row_bytes) {
            return Err(format!("(10) '{}' has rows apart that its kernel wants together", step.name));
        }
    }
    Ok(())
}

/// Property 11.
fn pushed(plan: &Plan, pushed: &Pushed) -> Result<(), String> {
    let fails = |reason: &str| Err(format!("(11) the pushed input {reason}"));
    let ([input], Some(table)) = (plan.inputs.as_slice(), plan.row_tables.get(pushed.table)) else {
        return fails("is not the only one, or has no rows");
    };
    if table.row_bytes * pushed.rows != input.shape.elements() || table.value != input.value {
        return fails("has rows that are not its own");
    }
    let inside = table.offsets.iter().all(|offset| offset + table.row_bytes <= plan.arena_bytes);
    if !inside
        || !plan.addressable(table)
        || table.offsets.len() != pushed.after.len()
        || pushed.after.is_empty()
    {
        return fails("has rows without a place");
    }
    let runs: usize = pushed.after.iter().map(|&count| usize::from(count)).sum();
    match plan.cascade_at(0) {
        Some(cascade) if cascade.order.len() == runs && pushed.after.len() <= pushed.rows => Ok(()),
        _ => fails("does not run its cascade"),
    }
}

/// Property 12, but for the replay.
fn slide(plan: &Plan, slide: &Slide) -> Result<(), String> {
    let fails = |reason: &str| Err(format!("(12) the window that slides {reason}"));
    let ([input], Some(own)) = (plan.inputs.as_slice(), slide.kept.get(slide.input)) else {
        return fails("is not that of the only input");
    };
    for kept in &slide.kept {
        let Some(table) = plan.row_tables.get(kept.table) else { return fails("has no rows") };
        let runs = kept.first < kept.end && kept.end <= table.offsets.len() && kept.shift > 0;
        if !runs || kept.shift > kept.end - kept.first {
            return fails("keeps rows that are none");
        }
        let start = table.offsets[kept.first];
        let follows = |row: usize| table.offsets[row] == start + (row - kept.first) * table.row_bytes;
        if !(kept.first..kept.end).all(follows) || kept.range(&plan.row_tables).end() > plan.arena_bytes {
            return fails("keeps rows that do not follow each other inside the arena");
        }
    }
    let table = &plan.row_tables[own.table];
    let is_whole = table.value == input.value && table.row_bytes * slide.rows == input.shape.elements();
    if !is_whole || own.end != slide.rows || own.shift != slide.hop || plan.pushed.is_some() {
        return fails("does not end with the newest rows of its input");
    }
    Ok(())
}

/// Property 10 of a cascade.
fn order(plan: &Plan, cascade: &Cascade) -> Result<(), String> {
    let slides = plan.slide.is_some();
    let first = cascade.first.index();
    if cascade.starts.len() != if slides { cascade.order.len() } else { 0 } {
        return Err(format!("(10) the cascade at step {first} does not say where its entries begin"));
    }
    for stage in 0..cascade.stages {
        let step = plan.steps.get(first + stage);
        let runs =
            || cascade.order.iter().filter(|(s, _)| usize::from(*s) == stage).map(|(_, n)| usize::from(*n));
        let fits = |work: &RowWork| {
            // Where a window slides the replay sees what is left out, but for sums.
            let parts = slides && !work.form.gathers;
            (if parts { ascends(cascade, stage, work) } else { runs().sum::<usize>() == work.units })
                && (parts || follows(cascade, stage))
                && runs().all(|count| (1..=work.units_per_step).contains(&count))
        };
        match step.map(|s| &s.work) {
            Some(Work::Rows(work)) if fits(work) => {}
            _ => return Err(format!("(10) stage {stage} of the cascade at step {first} is not run")),
        }
    }
    Ok(())
}

/// The units of a stage's entries, where the cascade says where they begin.
fn entries(cascade: &Cascade, stage: usize) -> impl Iterator<Item = Range<usize>> {
    let entries = cascade.order.iter().zip(&cascade.starts);
    let own = entries.filter(move |((s, _), _)| usize::from(*s) == stage);
    own.map(|((_, count), &start)| usize::from(start)..usize::from(start) + usize::from(*count))
}

/// Whether no unit of a stage is run twice, and none behind the last.
fn ascends(cascade: &Cascade, stage: usize, work: &RowWork) -> bool {
    let mut next = 0;
    entries(cascade, stage).all(|units| std::mem::replace(&mut next, units.end) <= units.start)
        && next <= work.units
}

/// Whether the units of a stage follow each other from the first on.
fn follows(cascade: &Cascade, stage: usize) -> bool {
    let mut next = 0;
    entries(cascade, stage).all(|units| std::mem::replace(&mut next, units.end) == units.start)
}
