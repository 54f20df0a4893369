//! Faster ways for the parts of a schedule that are not the fullest.
//!
//! In: a [`Candidate`] and the [`Way`]s that there are to do the layers' work. Out: the
//! same cuts with, for each segment, the fastest way that needs no more than the
//! candidate's fullest moment. Invariant: what passes between segments is whole, so that
//! the peak of one does not depend on how another is run.

use super::choose::{Candidate, Way, cycles, evaluate};
use super::cuts::peak;
use super::order::{Event, needed_units, segment, segments};
use super::problem::{Kind, Problem};
use crate::lower::KernelSet;

/// Whether rows that a step makes in one run can lie anywhere in the candidate's arena:
/// their places count in powers of two that divide their size.
fn lies_anywhere(problem: &Problem, way: &Way, step: usize, candidate: &Candidate) -> bool {
    let Some(form) = problem.form(step).filter(|form| form.adjacent && way.units[step] > 1) else {
        return true;
    };
    candidate.placed.total_bytes >> form.walk.out_row_bytes.trailing_zeros().min(8) <= usize::from(u16::MAX)
}

/// The faster candidate; `None` where every segment has its fastest way already.
pub fn relaxed(
    problem: &Problem,
    ways: &[Way],
    candidate: &Candidate,
    kernels: KernelSet,
) -> Option<Candidate> {
    let needed = needed_units(problem);
    let mut mixed = candidate.way.clone();
    let mut changed = false;
    for range in segments(problem, &candidate.shape()) {
        if !matches!(problem.steps[range.start].kind, Kind::Rows(..)) {
            continue;
        }
        let (first, last) = (range.start, range.end - 1);
        let own = |way: &Way, events: &[Event]| {
            (peak(problem, events, &way.scratch, first, last), cycles(problem, &way.driven, events, kernels))
        };
        let events_of = |way: &Way| segment(problem, &way.shape(Vec::new()), &needed, first, last);
        let (_, mut fewest) = own(&mixed, &events_of(&mixed));
        for way in
            ways.iter().filter(|way| range.clone().all(|step| lies_anywhere(problem, way, step, candidate)))
        {
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
