//! Faster ways for the parts of a schedule that are not the fullest.
//!
//! In: a [`Candidate`] and the [`Way`]s that there are to do the layers' work. Out: the
//! same cuts with, for each segment, the fastest way that needs no more than the
//! candidate's fullest moment, and with strips of windows as long as such moments leave
//! room for. Invariant: what passes between segments is whole, so that the peak of one
//! does not depend on how another is run; private bytes do not change the order.

use super::cuts::peak;
use super::evaluate::{Candidate, evaluate, work_cycles};
use super::order::{Event, segment, segments};
use super::pack::profile;
use super::problem::{Kind, Problem};
use super::way::Way;
use crate::lower::{Kernel, KernelSet};

/// The faster candidate; `None` where every segment has its fastest way already.
pub fn relaxed(
    problem: &Problem,
    ways: &[Way],
    candidate: &Candidate,
    kernels: KernelSet,
) -> Option<Candidate> {
    let tamed = |way: &Way| {
        let mut way = way.clone();
        way.tame(problem, candidate.placed.total_bytes);
        way
    };
    let ways: Vec<Way> = ways.iter().map(tamed).collect();
    let mut mixed = candidate.way.clone();
    let mut changed = false;
    for range in segments(problem, &candidate.shape()) {
        if !matches!(problem.steps[range.start].kind, Kind::Rows(..)) {
            continue;
        }
        let (first, last) = (range.start, range.end - 1);
        let own = |way: &Way, events: &[Event]| {
            (
                peak(problem, events, &way.scratch, first, last),
                work_cycles(problem, &way.driven, events, kernels),
            )
        };
        let events_of = |way: &Way| segment(problem, &way.shape(Vec::new()), first, last);
        let (_, mut fewest) = own(&mixed, &events_of(&mixed));
        for way in &ways {
            let (peak, cycles) = own(way, &events_of(way));
            if peak <= candidate.bound_bytes && cycles < fewest {
                fewest = cycles;
                mixed.take(range.clone(), way);
                changed = true;
            }
        }
    }
    changed.then(|| evaluate(problem, candidate.cuts.clone(), mixed, kernels, candidate.stopped))
}

/// With strips of windows of as many private bytes as `bound_bytes` leaves them; `None`
/// where that changes nothing.
pub fn longer_strips(
    problem: &Problem,
    candidate: &Candidate,
    bound_bytes: usize,
    kernels: KernelSet,
) -> Option<Candidate> {
    with_strips(problem, candidate, bound_bytes, kernels, |own, bytes| bytes > own)
}

/// With shorter strips of windows where these make a moment the fullest, as far as another
/// moment lets the bound fall; `None` where none does.
pub fn shorter_strips(problem: &Problem, candidate: &Candidate, kernels: KernelSet) -> Option<Candidate> {
    let least: Vec<usize> = (0..problem.steps.len())
        .map(|step| {
            let (own, units) = (candidate.way.scratch[step].iter().sum(), candidate.way.units[step]);
            let shortest = strip_of(candidate, step).map(|driven| driven.for_steps(units, 0));
            shortest.map_or(own, |kernel| kernel.row_scratch_bytes(units).min(own))
        })
        .collect();
    let live = profile(&candidate.layout.items);
    let fullest = |(event, live): (&Event, &usize)| match event {
        Event::Rows(step, _) => {
            let own: usize = candidate.way.scratch[*step].iter().sum();
            // Of a mean over all rows, the private bytes live between its calls, too.
            live - own.min(*live) + least[*step]
        }
        _ => *live,
    };
    let ends = [live.first(), live.last()].into_iter().flatten().max().copied();
    let bound = candidate.events.iter().zip(&live[1..]).map(fullest).max().max(ends)?;
    let falls = bound < candidate.bound_bytes;
    falls.then(|| with_strips(problem, candidate, bound, kernels, |own, bytes| bytes < own)).flatten()
}

/// The kernel of a step that takes its windows in strips.
fn strip_of(candidate: &Candidate, step: usize) -> Option<Kernel> {
    candidate.way.driven[step].filter(|driven| matches!(driven.even(), Kernel::ConvTile(_)))
}

/// With strips of as many private bytes as `bound_bytes` leaves them, wherever `changes`
/// says so of a step's private bytes before and after.
fn with_strips(
    problem: &Problem,
    candidate: &Candidate,
    bound_bytes: usize,
    kernels: KernelSet,
    changes: impl Fn(usize, usize) -> bool,
) -> Option<Candidate> {
    let live = profile(&candidate.layout.items);
    // What each step's strip may have.
    let mut most = vec![usize::MAX; problem.steps.len()];
    // Event `i` is moment `i + 1`.
    for (event, live) in candidate.events.iter().zip(&live[1..]) {
        if let Event::Rows(step, _) = event {
            let own: usize = candidate.way.scratch[*step].iter().sum();
            most[*step] = most[*step].min((bound_bytes + own).saturating_sub(*live));
        }
    }
    let mut way = candidate.way.clone();
    let mut changed = false;
    for (step, most) in most.into_iter().enumerate().filter(|(_, most)| *most < usize::MAX) {
        let Some(driven) = strip_of(candidate, step) else { continue };
        let units = way.units[step];
        let own: usize = way.scratch[step].iter().sum();
        let other = driven.for_steps(units, most);
        let bytes = other.row_scratch_bytes(units);
        if changes(own, bytes) && bytes <= most {
            way.driven[step] = Some(other);
            way.scratch[step] = vec![bytes];
            changed = true;
        }
    }
    changed.then(|| evaluate(problem, candidate.cuts.clone(), way, kernels, candidate.stopped))
}
