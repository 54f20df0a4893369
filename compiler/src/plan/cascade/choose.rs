//! Ways to run a schedule in little RAM, and what each costs.
//!
//! In: a `Problem`. Out: [`Candidate`]s: order, offsets, bytes, estimated cycles.
//! Invariant: a candidate's bytes are those of a real placement, never an estimate.

use rayon::prelude::*;

use super::cuts::best_cuts;
use super::effort::{Effort, Stopped};
use super::layout::{Layout, layout};
use super::order::{Event, Shape, events};
use super::pack::{Placed, pack, profile};
use super::problem::{Kind, Problem};
use crate::cost;
use crate::lower::{Kernel, KernelSet};

/// A way to run a schedule.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Cuts and units.
    pub shape: Shape,
    /// The kernel of each step that runs row by row.
    pub kernels: Vec<Option<Kernel>>,
    /// Private bytes of each call of each step.
    pub scratch: Vec<Vec<usize>>,
    /// What happens, in order.
    pub events: Vec<Event>,
    /// What lives when.
    pub layout: Layout,
    /// Where it lies.
    pub placed: Placed,
    /// The most bytes that live at one moment.
    pub bound_bytes: usize,
    /// Estimated cycles.
    pub cycles: u64,
    /// Whether something was left to try.
    pub stopped: Stopped,
}

/// How much is done at a time.
#[derive(Debug, Clone, Copy)]
enum Style {
    /// As many rows everywhere, and none before it is asked for.
    Exact {
        /// How many.
        rows: usize,
    },
    /// Rows wait where a layer makes more than the next one takes.
    Waiting {
        /// Rows of a depthwise convolution.
        depthwise: usize,
        /// Rows of other convolutions of odd width, whose pixels go in pairs.
        odd: usize,
    },
}

/// Looks at a conflict that a first placement may spend on searching.
const FIRST_BUDGET: usize = 200_000;
/// What searching for a placement may take, in placements of everything.
const ROUNDS: usize = 1000;

/// Candidates on the way from fast to small: none is worse than another in both.
pub fn candidates(problem: &Problem, kernels: KernelSet, effort: Effort) -> Vec<Candidate> {
    let shapes = styles(problem).into_iter().flat_map(|style| [(style, false), (style, true)]);
    let of = |(style, eager)| {
        let exact = matches!(style, Style::Exact { .. });
        let shape = Shape { cuts: Vec::new(), units: units(problem, style), exact, eager };
        let driven = drive(problem, &shape);
        let scratch = scratch(problem, &driven, &shape);
        let (cuts, all) = best_cuts(problem, &shape, &scratch, effort.units);
        let shape = Shape { cuts, ..shape };
        let stopped = Stopped { units: !all, looks: false };
        evaluate(problem, shape, driven, scratch, kernels, stopped)
    };
    let found = shapes.collect::<Vec<_>>().into_par_iter().map(of).collect();
    let packed = |c: Candidate| {
        let placed = pack(&c.layout.items, effort.looks, ROUNDS);
        let stopped = Stopped { looks: placed.stopped, ..c.stopped };
        let placed = if placed.total_bytes < c.placed.total_bytes { placed } else { c.placed };
        Candidate { placed, stopped, ..c }
    };
    front(found).into_par_iter().map(packed).collect()
}

fn styles(problem: &Problem) -> Vec<Style> {
    let quads = problem.steps.iter().any(|s| matches!(s.kind, Kind::Rows(_, Kernel::DepthwiseQuad(_))));
    let mut styles: Vec<Style> = [1, 2, 3, 4, 6, 8].map(|rows| Style::Exact { rows }).into();
    let depthwise: &[usize] = if quads { &[2, 4, 8] } else { &[1] };
    for &depthwise in depthwise {
        styles.extend([1, 2].map(|odd| Style::Waiting { depthwise, odd }));
    }
    styles
}

fn units(problem: &Problem, style: Style) -> Vec<usize> {
    let of = |kind: &Kind| match kind {
        Kind::Rows(form, kernel) => {
            let wanted = match (style, kernel) {
                (Style::Exact { rows }, Kernel::ConvWinograd(p)) => rows.max(p.tile_h),
                (Style::Exact { rows }, _) => rows,
                (_, Kernel::ConvWinograd(p)) => p.tile_h,
                (Style::Waiting { depthwise, .. }, Kernel::DepthwiseQuad(_)) => depthwise,
                (Style::Waiting { odd, .. }, Kernel::ConvTile(p)) if !p.out_w.is_multiple_of(2) => odd,
                _ => 1,
            };
            wanted.min(kernel.most_units(form))
        }
        _ => 1,
    };
    problem.steps.iter().map(|step| of(&step.kind)).collect()
}

fn drive(problem: &Problem, shape: &Shape) -> Vec<Option<Kernel>> {
    let kernel = |(step, &units): (&super::problem::StepInfo, &usize)| match &step.kind {
        Kind::Rows(_, kernel) => Some(kernel.for_steps(units)),
        _ => None,
    };
    problem.steps.iter().zip(&shape.units).map(kernel).collect()
}

fn scratch(problem: &Problem, driven: &[Option<Kernel>], shape: &Shape) -> Vec<Vec<usize>> {
    let of = |index: usize| match &driven[index] {
        Some(kernel) => vec![kernel.row_scratch_bytes(shape.units[index])],
        None => problem.steps[index].scratch_bytes.clone(),
    };
    (0..problem.steps.len()).map(of).collect()
}

/// Bytes that a table of rows can address in units of its alignment: 16 bits.
const UNITS: usize = 1 << 16;

/// Orders, places and counts.
fn evaluate(
    problem: &Problem,
    shape: Shape,
    driven: Vec<Option<Kernel>>,
    scratch: Vec<Vec<usize>>,
    kernels: KernelSet,
    stopped: Stopped,
) -> Candidate {
    let events = events(problem, &shape);
    let mut align = 4;
    let (layout, placed) = loop {
        let layout = layout(problem, &events, &scratch, align);
        let placed = pack(&layout.items, FIRST_BUDGET, ROUNDS);
        if placed.total_bytes <= UNITS * align || align >= 256 {
            break (layout, placed);
        }
        align *= 4;
    };
    let bound_bytes = profile(&layout.items).into_iter().max().unwrap_or(0);
    let cycles = cycles(problem, &driven, &events, kernels);
    Candidate { shape, kernels: driven, scratch, events, layout, placed, bound_bytes, cycles, stopped }
}

/// Cycles of resolving the rows of a step and of calling it, beyond those of a call.
const STEP_CYCLES: u64 = 60;

/// Estimated cycles of all events.
fn cycles(problem: &Problem, driven: &[Option<Kernel>], events: &[Event], kernels: KernelSet) -> u64 {
    // A pushed row is copied; a cycle a byte at most.
    let pushed_bytes = problem.pushed().and_then(|home| problem.homes[home].row_bytes).unwrap_or(0);
    let of = |event: &Event| {
        let (step, units) = match event {
            Event::Push(_) => return STEP_CYCLES + pushed_bytes as u64,
            Event::Whole(step) => (*step, None),
            Event::Rows(step, units) => (*step, Some(units)),
        };
        match (&problem.steps[step].kind, &driven[step], units) {
            (Kind::Rows(form, _), Some(kernel), Some(units)) => {
                let part = kernel.of_units(units.len());
                let cycles = cost::call_cycles(&part, kernels);
                // Element-wise kernels do not know rows.
                let share = if part == *kernel && units.len() < form.units() {
                    cycles * units.len() as u64 / form.units() as u64
                } else {
                    cycles
                };
                STEP_CYCLES + share
            }
            _ => problem.steps[step].calls.iter().map(|k| cost::call_cycles(k, kernels)).sum(),
        }
    };
    events.iter().map(of).sum()
}

/// Those that no other beats in both bytes and cycles, by ascending bytes.
fn front(mut found: Vec<Candidate>) -> Vec<Candidate> {
    found.sort_by_key(|c| (c.placed.total_bytes, c.cycles));
    let mut best = u64::MAX;
    found.retain(|c| {
        let keeps = c.cycles < best;
        best = best.min(c.cycles);
        keeps
    });
    found
}
