//! From a chosen candidate to a plan.
//!
//! In: a module, its lowered steps, a [`Candidate`]. Out: a [`Plan`]. Invariant: none
//! beyond those of a plan, which its verifier checks.

use std::collections::{BTreeMap, BTreeSet};

use super::evaluate::Candidate;
use super::layout::Holds;
use super::moving::{hull, moving};
use super::order::{Event, segments};
use super::pack::profile;
use super::problem::{Kind, Problem};
use crate::Module;
use crate::ir::{Graph, Layout, NodeId, ValueId};
use crate::lower::Lowered;
use crate::lower::sweep::RowOrder;
use crate::ops;
use crate::plan::ids::Time;
use crate::plan::parts::start_of;
use crate::plan::weights::Blob;
use crate::plan::{
    ArenaRange, Buffer, BufferKind, Cascade, IoPlan, KeptRows, Operand, Part, Plan, PlanError, PlannedCall,
    Pushed, RowTable, RowWork, Slide, Step, StepId, Work, joined, shown, verify,
};

/// Where everything lies.
struct Places<'a> {
    problem: &'a Problem,
    /// First byte of each row of each home.
    rows: Vec<Vec<Option<usize>>>,
    /// Of each call of each step, or the hull of where they move.
    scratch: BTreeMap<(usize, usize), ArenaRange>,
    /// The places of steps whose private bytes move, by the first unit.
    moving: BTreeMap<usize, RowTable>,
    tables: Vec<RowTable>,
    table_of: BTreeMap<(usize, usize), usize>,
}

/// The plan of a candidate, whose offsets count through the parts if there are some.
///
/// # Errors
/// [`PlanError::Bug`] where the result does not pass [`verify`].
pub fn assemble(
    module: &Module,
    steps: Vec<(NodeId, Lowered)>,
    problem: &Problem,
    chosen: &Candidate,
    parts: Vec<Part>,
) -> Result<Plan, PlanError> {
    let graph = &module.graph;
    let mut places = Places::new(problem, chosen);
    let live = profile(&chosen.layout.items);
    let mut live_of = vec![0usize; steps.len()];
    for (index, event) in chosen.events.iter().enumerate() {
        if let Some(step) = event.step() {
            live_of[step] = live_of[step].max(live[index + 1]);
        }
    }
    let live_bound_bytes = live.iter().copied().max().unwrap_or(0);
    let mut blob = Blob::default();
    let mut planned: Vec<Step> = Vec::new();
    let steps = joined::fed(graph, &steps, problem.feed).into_owned();
    for (index, (id, lowered)) in steps.into_iter().enumerate() {
        let node = graph.node(id);
        let output_range = places.range(problem.home_of[&node.output]);
        let shown = shown(graph, node, &lowered, output_range);
        let work = match &problem.steps[index].kind {
            Kind::View => Work::View,
            Kind::Whole => Work::Whole(places.whole(index, lowered, node.output, &mut blob)),
            Kind::Rows(..) => Work::Rows(Box::new(places.by_rows(index, lowered, chosen, &mut blob))),
        };
        planned.push(Step {
            node: id,
            name: node.name.clone(),
            onnx_op: node.onnx_op.clone(),
            fused: node.fused.clone(),
            inputs: graph.activations(id),
            output: node.output,
            output_range,
            shown,
            work,
            live_bytes: live_of[index],
            macs: macs(problem, index, ops::macs(graph, id)),
        });
    }
    let cascades = cascades(problem, chosen);
    let pushed = pushed(problem, chosen, &mut places);
    let slide = slide(graph, problem, &mut places);
    let buffers = buffers(problem, chosen);
    let overwritten = |home: usize| {
        let input = places.range(home);
        buffers.iter().any(|b| {
            let own = matches!(&b.kind, BufferKind::Values(v) | BufferKind::Row { values: v, .. } if problem.home_of[&v[0]] == home);
            !own && b.range().overlaps(&input)
        })
    };
    let io = |&value: &ValueId, is_input: bool| IoPlan {
        value,
        name: graph.value(value).name.clone(),
        shape: graph.shape(value).clone(),
        layout: if is_input { Layout::of_input(graph, value) } else { Layout::Onnx },
        range: places.range(problem.home_of[&value]),
        params: module.quant.activation(value),
        overwritten: is_input
            && pushed.is_none()
            && !problem.slides()
            && overwritten(problem.home_of[&value]),
    };
    let (weights, table_bytes) = blob.finish();
    let plan = Plan {
        name: graph.name.clone(),
        inputs: graph.inputs.iter().map(|v| io(v, true)).collect(),
        outputs: graph.outputs.iter().map(|v| io(v, false)).collect(),
        peak_step: (0..planned.len())
            .find(|&s| planned[s].live_bytes == live_bound_bytes)
            .map(|s| StepId(s as u32)),
        steps: planned,
        cascades,
        row_tables: places.tables.clone(),
        pushed: pushed.clone(),
        slide,
        buffers,
        arena_bytes: chosen.placed.total_bytes,
        parts,
        live_bound_bytes,
        weights,
        table_bytes,
        unrolled: BTreeSet::new(),
    };
    verify::verify(&plan).map_err(PlanError::Bug)?;
    Ok(plan)
}

/// Whether the places of all rows can be emitted.
pub fn addressable(problem: &Problem, chosen: &Candidate) -> bool {
    addressable_in(problem, chosen, &[])
}

/// The same where the arena has parts.
pub fn addressable_in(problem: &Problem, chosen: &Candidate, parts: &[Part]) -> bool {
    let mut places = Places::new(problem, chosen);
    for step in &problem.steps {
        if let Kind::Rows(form, _) = &step.kind {
            for (operand, &home) in step.reads.iter().enumerate() {
                places.table(home, form.in_row_bytes(operand));
            }
            places.table(step.writes, form.walk.out_row_bytes);
        }
    }
    let tables = places.tables.iter().chain(places.moving.values());
    tables.into_iter().all(|table| table.fits(start_of(parts, table.hull().offset)))
}

impl<'a> Places<'a> {
    fn new(problem: &'a Problem, chosen: &Candidate) -> Places<'a> {
        let mut rows: Vec<Vec<Option<usize>>> = problem.homes.iter().map(|h| vec![None; h.rows()]).collect();
        let mut scratch = BTreeMap::new();
        for (holds, &offset) in chosen.layout.holds.iter().zip(&chosen.placed.offsets) {
            match *holds {
                Holds::Rows { home, first, count } => {
                    let info = &problem.homes[home];
                    let row_bytes = info.row_bytes.unwrap_or(info.bytes);
                    for index in 0..count {
                        rows[home][first + index] = Some(offset + index * row_bytes);
                    }
                    place_parts(problem, home, offset, &mut rows);
                }
                Holds::Scratch { step, call } => {
                    let range = ArenaRange { offset, bytes: chosen.way.scratch[step][call] };
                    scratch
                        .entry((step, call))
                        .and_modify(|known| *known = hull(*known, range))
                        .or_insert(range);
                }
            }
        }
        let moving = moving(problem, chosen, &scratch);
        Places { problem, rows, scratch, moving, tables: Vec::new(), table_of: BTreeMap::new() }
    }

    /// The bytes of a home, or the hull of its rows.
    fn range(&self, home: usize) -> ArenaRange {
        let info = &self.problem.homes[home];
        let row_bytes = info.row_bytes.unwrap_or(info.bytes);
        let made = || self.rows[home].iter().flatten();
        let start = made().min().copied().unwrap_or(0);
        if info.whole {
            return ArenaRange { offset: start, bytes: info.bytes };
        }
        let end = made().max().map_or(start, |offset| offset + row_bytes);
        ArenaRange { offset: start, bytes: end - start }
    }

    fn whole(&self, step: usize, lowered: Lowered, output: ValueId, blob: &mut Blob) -> Vec<PlannedCall> {
        let calls = lowered.calls.into_iter().enumerate();
        calls
            .map(|(position, call)| PlannedCall {
                kernel: call.kernel.whole(),
                consts: blob.add(call.consts),
                inputs: call
                    .inputs
                    .iter()
                    .map(|&value| Operand { value, range: self.range(self.problem.home_of[&value]) })
                    .collect(),
                output: self.range(self.problem.home_of[&output]),
                scratch: self.scratch.get(&(step, position)).copied().unwrap_or_default(),
                in_place: lowered.in_place.clone(),
                order: RowOrder::Forward,
            })
            .collect()
    }

    fn by_rows(&mut self, step: usize, lowered: Lowered, chosen: &Candidate, blob: &mut Blob) -> RowWork {
        let info = &self.problem.steps[step];
        let Kind::Rows(form, kernel) = &info.kind else { unreachable!("the caller matched") };
        let call = lowered.calls.into_iter().next().expect("a step of rows is one call");
        let homes: Vec<usize> = call.inputs.iter().map(|v| self.problem.home_of[v]).collect();
        let inputs =
            homes.iter().enumerate().map(|(at, &home)| self.table(home, form.in_row_bytes(at))).collect();
        let output = self.table(info.writes, form.walk.out_row_bytes);
        let operand = |(&value, &home): (&ValueId, &usize)| Operand { value, range: self.range(home) };
        RowWork {
            call: PlannedCall {
                kernel: chosen.way.driven[step].unwrap_or(*kernel),
                consts: blob.add(call.consts),
                inputs: call.inputs.iter().zip(&homes).map(operand).collect(),
                output: self.range(info.writes),
                scratch: self.scratch.get(&(step, 0)).copied().unwrap_or_default(),
                in_place: lowered.in_place,
                order: RowOrder::Forward,
            },
            form: *form,
            inputs,
            output,
            units: self.problem.todo[step].last().map_or(0, |last| last + 1),
            runs: self.problem.todo[step].len(),
            units_per_step: chosen.way.units[step],
            moving: self.moving.get(&step).cloned(),
        }
    }

    /// The table of a home in rows of a size.
    fn table(&mut self, home: usize, row_bytes: usize) -> usize {
        if let Some(&known) = self.table_of.get(&(home, row_bytes)) {
            return known;
        }
        let info = &self.problem.homes[home];
        let offsets: Vec<usize> = match info.row_bytes {
            Some(_) => filled(&self.rows[home]),
            None => {
                let start = self.rows[home].first().copied().flatten().unwrap_or(0);
                (0..info.bytes.checked_div(row_bytes).unwrap_or(0))
                    .map(|row| start + row * row_bytes)
                    .collect()
            }
        };
        self.tables.push(RowTable { value: info.values[0], row_bytes, offsets });
        self.table_of.insert((home, row_bytes), self.tables.len() - 1);
        self.tables.len() - 1
    }
}

/// The rows of the homes that lie in one at an offset.
fn place_parts(problem: &Problem, home: usize, offset: usize, rows: &mut [Vec<Option<usize>>]) {
    for &(part, at) in &problem.homes[home].parts {
        let info = &problem.homes[part];
        let row_bytes = info.row_bytes.unwrap_or(info.bytes);
        for (index, row) in rows[part].iter_mut().enumerate() {
            *row = Some(offset + at + index * row_bytes);
        }
        place_parts(problem, part, offset + at, rows);
    }
}

/// The values whose bytes lie at a byte of a home, those of what lies in it first.
fn values_at(problem: &Problem, home: usize, byte: usize) -> Vec<ValueId> {
    let info = &problem.homes[home];
    let inside = |&&(part, at): &&(usize, usize)| (at..at + problem.homes[part].bytes).contains(&byte);
    let part = info.parts.iter().find(inside);
    let mut values = part.map_or(Vec::new(), |&(part, at)| values_at(problem, part, byte - at));
    values.extend(&info.values);
    values
}

/// The places of all rows up to the last that has one; rows between that nobody makes
/// show the next one's.
pub fn filled(rows: &[Option<usize>]) -> Vec<usize> {
    let mut next = None;
    let places = rows.iter().rev().filter_map(|row| {
        next = row.or(next);
        next
    });
    let mut offsets: Vec<usize> = places.collect();
    offsets.reverse();
    offsets
}

fn cascades(problem: &Problem, chosen: &Candidate) -> Vec<Cascade> {
    segments(problem, &chosen.shape())
        .into_iter()
        .filter(|range| matches!(problem.steps[range.start].kind, Kind::Rows(..)))
        .map(|range| {
            let entries = || {
                chosen.events.iter().filter_map(|event| match event {
                    Event::Rows(step, units) if range.contains(step) => Some((step - range.start, units)),
                    _ => None,
                })
            };
            let starts = entries().map(|(_, units)| units.start as u16);
            Cascade {
                first: StepId::of(range.start),
                stages: range.len(),
                order: entries().map(|(stage, units)| (stage as u16, units.len() as u16)).collect(),
                starts: if problem.slides() { starts.collect() } else { Vec::new() },
            }
        })
        .collect()
}

/// The input that is pushed, with what runs after each of its rows.
fn pushed(problem: &Problem, chosen: &Candidate, places: &mut Places<'_>) -> Option<Pushed> {
    let home = problem.pushed()?;
    let info = &problem.homes[home];
    let first = segments(problem, &chosen.shape()).into_iter().next()?;
    let mut after = Vec::new();
    for event in &chosen.events {
        match event {
            Event::Push(_) => after.push(0),
            Event::Rows(step, _) if first.contains(step) => *after.last_mut()? += 1,
            _ => {}
        }
    }
    Some(Pushed { table: places.table(home, info.row_bytes?), rows: info.rows(), after })
}

/// What a window that slides takes over from the step before.
fn slide(graph: &Graph, problem: &Problem, places: &mut Places<'_>) -> Option<Slide> {
    let of = |home: usize| {
        let (info, kept) = (&problem.homes[home], problem.kept[home].as_ref()?);
        let table = places.table(home, info.row_bytes?);
        Some(KeptRows { table, first: kept.first, end: kept.end, shift: kept.shift })
    };
    let kept: Vec<(usize, KeptRows)> =
        (0..problem.homes.len()).map(of).enumerate().filter_map(|(home, kept)| Some((home, kept?))).collect();
    let input = kept.iter().position(|(home, _)| problem.homes[*home].maker.is_none())?;
    let rows = problem.homes[kept[input].0].rows();
    Some(Slide {
        rows,
        hop: kept[input].1.shift,
        input,
        kept: kept.into_iter().map(|(_, kept)| kept).collect(),
        window_macs: graph.order().iter().map(|&id| ops::macs(graph, id)).sum(),
    })
}

/// What of a step's multiply-accumulates is done where a window slides.
fn macs(problem: &Problem, step: usize, all: u64) -> u64 {
    match &problem.steps[step].kind {
        Kind::Rows(form, _) if problem.slides() => {
            all * problem.todo[step].len() as u64 / form.units().max(1) as u64
        }
        _ => all,
    }
}

/// Every piece as a buffer.
fn buffers(problem: &Problem, chosen: &Candidate) -> Vec<Buffer> {
    let mut buffers = Vec::new();
    let placed = chosen.layout.holds.iter().zip(&chosen.layout.items).zip(&chosen.placed.offsets);
    for ((holds, item), &offset) in placed {
        for piece in &item.pieces {
            let (kind, align) = match *holds {
                Holds::Scratch { step, call } => {
                    (BufferKind::Scratch { step: StepId::of(step), call }, item.align)
                }
                Holds::Rows { home, first, .. } => {
                    let info = &problem.homes[home];
                    let kind = match info.row_bytes {
                        _ if !info.parts.is_empty() => {
                            BufferKind::Values(values_at(problem, home, piece.start))
                        }
                        Some(bytes) => {
                            BufferKind::Row { values: info.values.clone(), row: first + piece.start / bytes }
                        }
                        None => BufferKind::Values(info.values.clone()),
                    };
                    (kind, if piece.start == 0 { item.align } else { 1 })
                }
            };
            buffers.push(Buffer {
                kind,
                bytes: piece.bytes,
                align,
                first: Time(piece.first as u32),
                last: Time(piece.last as u32),
                offset: offset + piece.start,
            });
        }
    }
    buffers
}
