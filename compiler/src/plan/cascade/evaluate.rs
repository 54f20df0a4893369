//! What one way to run a schedule takes.
//!
//! In: a `Problem`, its cuts, a [`Way`]. Out: a [`Candidate`]: order, offsets, bytes,
//! estimated cycles. Invariant: its bytes are those of a real placement, never an estimate.

use super::assemble::addressable;
use super::effort::Stopped;
use super::layout::{Layout, layout};
use super::order::{Event, Shape, events};
use super::pack::{Placed, pack, profile};
use super::problem::{Kind, Problem};
use super::way::Way;
use crate::cost;
use crate::lower::{Kernel, KernelSet};

/// A way to run a schedule.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Which of the model's problems it solves.
    pub variant: usize,
    /// First steps of segments; see `Shape`.
    pub cuts: Vec<usize>,
    /// How the steps do their work.
    pub way: Way,
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

impl Candidate {
    /// Cuts and units.
    pub fn shape(&self) -> Shape {
        self.way.shape(self.cuts.clone())
    }
}

/// Looks at a conflict that a first placement may spend on searching.
const FIRST_BUDGET: usize = 200_000;
/// What searching for a placement may take, in placements of everything.
pub const ROUNDS: usize = 1000;

/// What offsets are multiples of, at most.
const MOST_ALIGN: usize = 256;

/// What offsets are multiples of, if nothing speaks against it.
pub const FIRST_ALIGN: usize = 4;

/// What happens when, and what lives then.
pub struct Timeline {
    /// What happens, in order.
    pub events: Vec<Event>,
    /// What lives when.
    pub layout: Layout,
    /// The most bytes that live at one moment.
    pub bound_bytes: usize,
    /// Estimated cycles.
    pub cycles: u64,
}

impl Timeline {
    /// Of offsets that are multiples of `align`.
    pub fn new(problem: &Problem, cuts: &[usize], way: &Way, kernels: KernelSet, align: usize) -> Timeline {
        let events = events(problem, &way.shape(cuts.to_vec()));
        let cycles = cycles(problem, &way.driven, &events, kernels);
        let layout = layout(problem, &events, way, align);
        let bound_bytes = profile(&layout.items).into_iter().max().unwrap_or(0);
        Timeline { events, layout, bound_bytes, cycles }
    }
}

/// Orders, places and counts.
pub fn evaluate(
    problem: &Problem,
    cuts: Vec<usize>,
    way: Way,
    kernels: KernelSet,
    stopped: Stopped,
) -> Candidate {
    let timeline = Timeline::new(problem, &cuts, &way, kernels, FIRST_ALIGN);
    place(problem, cuts, way, kernels, stopped, timeline)
}

/// Places what lives. Where tables of rows do not fit, offsets are multiples of more if that
/// helps, or else rows that would lie in one run are made one by one.
pub fn place(
    problem: &Problem,
    cuts: Vec<usize>,
    mut way: Way,
    kernels: KernelSet,
    stopped: Stopped,
    mut timeline: Timeline,
) -> Candidate {
    let mut align = FIRST_ALIGN;
    loop {
        let Timeline { events, layout, bound_bytes, cycles } = timeline;
        let placed = pack(&layout.items, FIRST_BUDGET, ROUNDS);
        let (cuts, mut tamed) = (cuts.clone(), way.clone());
        let variant = problem.variant;
        let candidate =
            Candidate { variant, cuts, way, events, layout, placed, bound_bytes, cycles, stopped };
        if addressable(problem, &candidate) {
            return candidate;
        }
        if align < MOST_ALIGN {
            align *= 4;
        } else if tamed.tame(problem, candidate.placed.total_bytes) {
            align = FIRST_ALIGN;
        } else {
            return candidate;
        }
        timeline = Timeline::new(problem, &candidate.cuts, &tamed, kernels, align);
        way = tamed;
    }
}

/// Cycles of taking a pushed row, beside those of its bytes.
const PUSH_CYCLES: u64 = 60;

/// Estimated cycles of events. What a step takes to resolve its rows is less than what the
/// estimate of a call on a few rows lies above the count (KWS, row by row: 4.6 %).
pub fn work_cycles(
    problem: &Problem,
    driven: &[Option<Kernel>],
    events: &[Event],
    kernels: KernelSet,
) -> u64 {
    // A pushed row is copied; a cycle a byte at most.
    let pushed_bytes = problem.pushed().and_then(|home| problem.homes[home].row_bytes).unwrap_or(0);
    let of = |event: &Event| {
        let (step, units) = match event {
            Event::Push(_) => return PUSH_CYCLES + pushed_bytes as u64,
            Event::Whole(step) => (*step, None),
            Event::Rows(step, units) => (*step, Some(units)),
        };
        match (&problem.steps[step].kind, &driven[step], units) {
            (Kind::Rows(form, _), Some(kernel), Some(units)) => {
                let part = kernel.of_units(units.len());
                let cycles = cost::call_cycles(&part, kernels);
                // Element-wise kernels do not know rows.
                if part == *kernel && units.len() < form.units() {
                    cycles * units.len() as u64 / form.units() as u64
                } else {
                    cycles
                }
            }
            _ => problem.steps[step].calls.iter().map(|k| cost::call_cycles(k, kernels)).sum(),
        }
    };
    events.iter().map(of).sum()
}

/// The same with what a window that slides moves.
fn cycles(problem: &Problem, driven: &[Option<Kernel>], events: &[Event], kernels: KernelSet) -> u64 {
    work_cycles(problem, driven, events, kernels) + moves(problem)
}

/// Estimated cycles of moving what a window that slides keeps, and of taking its new rows.
fn moves(problem: &Problem) -> u64 {
    let of = |(kept, home): (&Option<super::kept::Kept>, &super::problem::Home)| {
        Some(PUSH_CYCLES + (kept.as_ref()?.rows().len() * home.row_bytes?) as u64)
    };
    problem.kept.iter().zip(&problem.homes).filter_map(of).sum()
}
