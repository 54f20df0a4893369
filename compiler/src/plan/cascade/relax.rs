//! Faster ways for the parts of a schedule that are not the fullest.
//!
//! In: a [`Candidate`] and the [`Way`]s that there are to do the layers' work. Out: the
//! same cuts with, for each segment, the fastest way that needs no more than the
//! candidate's fullest moment, and with strips of windows as long as such moments leave
//! room for. Invariant: what passes between segments is whole, so that the peak of one
//! does not depend on how another is run; private bytes do not change the order.

use super::choose::{Candidate, Way, evaluate, work_cycles};
use super::cuts::peak;
use super::order::{Event, segment, segments};
use super::pack::profile;
use super::problem::{Kind, Problem};
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
    let live = profile(&candidate.layout.items);
    let mut room = vec![usize::MAX; problem.steps.len()];
    // Event `i` is moment `i + 1`.
    for (event, live) in candidate.events.iter().zip(&live[1..]) {
        if let Event::Rows(step, _) = event {
            room[*step] = room[*step].min(bound_bytes.saturating_sub(*live));
        }
    }
    let mut way = candidate.way.clone();
    let mut changed = false;
    for (step, room) in room.into_iter().enumerate().filter(|(_, room)| *room < usize::MAX) {
        let Some(driven) = way.driven[step] else { continue };
        if !matches!(driven.even(), Kernel::ConvTile(_)) {
            continue;
        }
        let units = way.units[step];
        let own: usize = way.scratch[step].iter().sum();
        let longer = driven.for_steps(units, own + room);
        let bytes = longer.row_scratch_bytes(units);
        if bytes > own && bytes <= own + room {
            way.driven[step] = Some(longer);
            way.scratch[step] = vec![bytes];
            changed = true;
        }
    }
    changed.then(|| evaluate(problem, candidate.cuts.clone(), way, kernels, candidate.stopped))
}
