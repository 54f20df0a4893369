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

/// The faster candidate; `None` where every segment has its fastest way already.
pub fn relaxed(
    problem: &Problem,
    ways: &[Way],
    candidate: &Candidate,
    kernels: KernelSet,
) -> Option<Candidate> {
    let needed = needed_units(problem);
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
            (peak(problem, events, &way.scratch, first, last), cycles(problem, &way.driven, events, kernels))
        };
        let events_of = |way: &Way| segment(problem, &way.shape(Vec::new()), &needed, first, last);
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
