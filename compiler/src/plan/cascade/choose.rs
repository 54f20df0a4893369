//! Ways to run a schedule in little RAM, and what each costs.
//!
//! In: a `Problem`. Out: [`Candidate`]s: order, offsets, bytes, estimated cycles.
//! Invariant: a candidate's bytes are those of a real placement, never an estimate.

use std::ops::Range;

use rayon::prelude::*;

use super::assemble::addressable;
use super::cuts::best_cuts;
use super::effort::{Effort, Stopped};
use super::layout::{Layout, layout};
use super::mix::mixed;
use super::order::{Event, Shape, events};
use super::pack::{Placed, pack, pack_long, profile};
use super::problem::{Kind, Problem};
use super::relax::{longer_strips, relaxed};
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

/// How each step does its work; see `Shape` for units, `exact` and `eager`.
#[derive(Debug, Clone)]
pub struct Way {
    /// The most units at a time.
    pub units: Vec<usize>,
    /// Whether no more is done than was asked for.
    pub exact: Vec<bool>,
    /// Whether siblings run along.
    pub eager: Vec<bool>,
    /// The kernel of each step that runs row by row.
    pub driven: Vec<Option<Kernel>>,
    /// Private bytes of each call of each step.
    pub scratch: Vec<Vec<usize>>,
}

impl Way {
    fn new(problem: &Problem, style: Style, eager: bool, strip_bytes: usize) -> Way {
        let (count, units) = (problem.steps.len(), units(problem, style));
        let driven = drive(problem, &units, strip_bytes);
        let scratch = scratch(problem, &driven, &units);
        let exact = matches!(style, Style::Exact { .. });
        Way { units, exact: vec![exact; count], eager: vec![eager; count], driven, scratch }
    }

    /// The way with these cuts.
    pub fn shape(&self, cuts: Vec<usize>) -> Shape {
        let Way { units, exact, eager, .. } = self.clone();
        Shape { cuts, units, exact, eager }
    }

    /// Does the work of some steps in another way.
    pub fn take(&mut self, steps: Range<usize>, other: &Way) {
        for step in steps {
            self.units[step] = other.units[step];
            self.exact[step] = other.exact[step];
            self.eager[step] = other.eager[step];
            self.driven[step] = other.driven[step];
            self.scratch[step].clone_from(&other.scratch[step]);
        }
    }
}

impl Way {
    /// Lets steps whose rows lie in one run make one row at a time where the places of such
    /// rows, which count in powers of two that divide their size, are past what a table
    /// holds; whether there were any.
    pub fn tame(&mut self, problem: &Problem, arena_bytes: usize) -> bool {
        let mut any = false;
        for (step, info) in problem.steps.iter().enumerate() {
            let Kind::Rows(form, kernel) = &info.kind else { continue };
            let shift = form.walk.out_row_bytes.trailing_zeros().min(8);
            if form.adjacent && self.units[step] > 1 && arena_bytes >> shift > usize::from(u16::MAX) {
                self.units[step] = 1;
                self.driven[step] = Some(kernel.for_steps(1, SHORT_STRIP));
                any = true;
            }
        }
        if any {
            self.scratch = scratch(problem, &self.driven, &self.units);
        }
        any
    }
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
    let styles = styles(problem).into_iter();
    let styles = styles.flat_map(|style| strips(style).iter().map(move |&strip_bytes| (style, strip_bytes)));
    let ways: Vec<Way> = styles
        .flat_map(|(style, strip_bytes)| {
            [false, true].map(|eager| Way::new(problem, style, eager, strip_bytes))
        })
        .collect();
    let of = |way: &Way| {
        let (cuts, all) = best_cuts(problem, &way.shape(Vec::new()), &way.scratch, effort.units);
        evaluate(problem, cuts, way.clone(), kernels, Stopped { units: !all, looks: false })
    };
    let fits = |c: &Candidate| addressable(problem, c);
    let mut found = front(ways.par_iter().map(of).filter(fits).collect());
    let faster = found.par_iter().filter_map(|c| relaxed(problem, &ways, c, kernels));
    let faster: Vec<Candidate> = faster.filter(fits).collect();
    found.extend(faster);
    found = front(found);
    let mixes = found.par_iter().filter_map(|c| mixed(problem, &ways, c, kernels));
    let mixes: Vec<Candidate> = mixes.filter(fits).collect();
    found.extend(mixes);
    // Longer strips are never slower, though the estimate may not tell: they take the place
    // of shorter ones where they need hardly more.
    let stretched = |c: Candidate| {
        let most = c.placed.total_bytes + c.placed.total_bytes / 1000;
        let longer = longer_strips(problem, &c, c.bound_bytes, kernels).filter(fits);
        longer.filter(|l| l.placed.total_bytes <= most && l.cycles <= c.cycles).unwrap_or(c)
    };
    let found: Vec<Candidate> = front(found).into_par_iter().map(stretched).collect();
    let repacked = |c: &Candidate| {
        let placed = pack_long(&c.layout.items, effort.looks, ROUNDS);
        let stopped = Stopped { looks: placed.stopped, ..c.stopped };
        Candidate { placed, stopped, ..c.clone() }
    };
    let packed = |c: Candidate| {
        let bytes = c.placed.total_bytes;
        let better = |b: &Candidate| b.placed.total_bytes < bytes && addressable(problem, b);
        let again = repacked(&c);
        let mut way = c.way.clone();
        if better(&again) {
            again
        } else if again.placed.total_bytes < bytes && way.tame(problem, again.placed.total_bytes) {
            let tamed = repacked(&evaluate(problem, c.cuts.clone(), way, kernels, c.stopped));
            if better(&tamed) { tamed } else { c }
        } else {
            Candidate { stopped: again.stopped, ..c }
        }
    };
    front(found.into_par_iter().map(packed).collect())
}

fn styles(problem: &Problem) -> Vec<Style> {
    let is_quad = |kernel: &Kernel| matches!(kernel, Kernel::DepthwiseQuad(_) | Kernel::DepthwiseLines(_));
    let quads = problem.steps.iter().any(|s| matches!(&s.kind, Kind::Rows(_, kernel) if is_quad(kernel)));
    let mut styles: Vec<Style> = [1, 2, 3, 4, 6, 8].map(|rows| Style::Exact { rows }).into();
    let depthwise: &[usize] = if quads { &[1, 2, 4, 8] } else { &[1] };
    for &depthwise in depthwise {
        styles.extend([1, 2].map(|odd| Style::Waiting { depthwise, odd }));
    }
    styles
}

/// Bytes of scratch that strips of windows may take, for little RAM, and for few cycles.
const SHORT_STRIP: usize = 320;
const LONG_STRIP: usize = 2304;

/// Which strips of windows to try.
fn strips(style: Style) -> &'static [usize] {
    match style {
        Style::Exact { .. } => &[SHORT_STRIP],
        Style::Waiting { odd: 1, .. } => &[SHORT_STRIP, LONG_STRIP],
        Style::Waiting { .. } => &[LONG_STRIP],
    }
}

fn units(problem: &Problem, style: Style) -> Vec<usize> {
    let of = |kind: &Kind| match kind {
        Kind::Rows(form, kernel) => {
            let wanted = match (style, &kernel.even()) {
                (Style::Exact { rows }, Kernel::ConvWinograd(p)) => rows.max(p.tile_h),
                (Style::Exact { rows }, _) => rows,
                (_, Kernel::ConvWinograd(p)) => p.tile_h,
                (Style::Waiting { depthwise, .. }, Kernel::DepthwiseQuad(_) | Kernel::DepthwiseLines(_)) => {
                    depthwise
                }
                (Style::Waiting { odd, .. }, Kernel::ConvTile(p)) if !p.out_w.is_multiple_of(2) => odd,
                _ => 1,
            };
            wanted.min(kernel.most_units(form))
        }
        _ => 1,
    };
    problem.steps.iter().map(|step| of(&step.kind)).collect()
}

fn drive(problem: &Problem, units: &[usize], strip_bytes: usize) -> Vec<Option<Kernel>> {
    let kernel = |(step, &units): (&super::problem::StepInfo, &usize)| match &step.kind {
        Kind::Rows(_, kernel) => Some(kernel.for_steps(units, strip_bytes)),
        _ => None,
    };
    problem.steps.iter().zip(units).map(kernel).collect()
}

fn scratch(problem: &Problem, driven: &[Option<Kernel>], units: &[usize]) -> Vec<Vec<usize>> {
    let of = |index: usize| match &driven[index] {
        Some(kernel) => vec![kernel.row_scratch_bytes(units[index])],
        None => problem.steps[index].scratch_bytes.clone(),
    };
    (0..problem.steps.len()).map(of).collect()
}

/// What offsets are multiples of, at most.
const MOST_ALIGN: usize = 256;

/// Orders, places and counts. Where tables of rows do not fit, offsets are multiples of more
/// if that helps, or else rows that would lie in one run are made one by one.
pub fn evaluate(
    problem: &Problem,
    cuts: Vec<usize>,
    mut way: Way,
    kernels: KernelSet,
    stopped: Stopped,
) -> Candidate {
    let mut align = 4;
    loop {
        let events = events(problem, &way.shape(cuts.clone()));
        let cycles = cycles(problem, &way.driven, &events, kernels);
        let layout = layout(problem, &events, &way.scratch, align);
        let placed = pack(&layout.items, FIRST_BUDGET, ROUNDS);
        let bound_bytes = profile(&layout.items).into_iter().max().unwrap_or(0);
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
            align = 4;
        } else {
            return candidate;
        }
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
