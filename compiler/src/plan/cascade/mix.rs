//! Faster ways for single layers of a schedule.
//!
//! In: a [`Candidate`] and the [`Way`]s that there are to do the layers' work. Out: the same
//! cuts with, for each layer by itself, a faster way wherever no moment of its segment becomes
//! fuller than the candidate's fullest. Invariant: as in `relax`.
//!
//! Rows that are made several at a time wait for their readers. How many bytes wait differs
//! from layer to layer, and a way for all layers is as slow as the one that has room for least.
//! Method: greedy, what saves the most first.

use std::ops::Range;

use super::cuts::peak;
use super::evaluate::{Candidate, evaluate, work_cycles};
use super::order::{Event, segment, segments};
use super::problem::{Kind, Problem};
use super::way::Way;
use crate::lower::KernelSet;

/// A change that saves less than this part of a segment's cycles is not tried.
const LEAST: u64 = 500;

/// The faster candidate; `None` where no layer has a faster way below the candidate's fullest moment.
pub fn mixed(
    problem: &Problem,
    ways: &[Way],
    candidate: &Candidate,
    kernels: KernelSet,
) -> Option<Candidate> {
    let mut way = candidate.way.clone();
    let mut changed = false;
    for range in segments(problem, &candidate.shape()) {
        if matches!(problem.steps[range.start].kind, Kind::Rows(..)) {
            changed |=
                Segment { problem, range, kernels, limit: candidate.bound_bytes }.improve(&mut way, ways);
        }
    }
    changed.then(|| evaluate(problem, candidate.cuts.clone(), way, kernels, candidate.stopped))
}

/// Steps that run row by row together.
struct Segment<'a> {
    problem: &'a Problem,
    range: Range<usize>,
    kernels: KernelSet,
    limit: usize,
}

impl Segment<'_> {
    /// Takes what saves the most first; whether there was anything to take.
    fn improve(&self, way: &mut Way, ways: &[Way]) -> bool {
        let (_, mut fewest) = self.run(way);
        let least = fewest / LEAST;
        let mut changes: Vec<(u64, usize, &Way)> = Vec::new();
        for step in self.range.clone() {
            let now = self.alone(way, step);
            let mut seen: Vec<&Way> = Vec::new();
            for other in ways {
                let known = |w: &&Way| same(w, other, step);
                let saved = now.saturating_sub(self.alone(other, step));
                if saved > least && !same(way, other, step) && !seen.iter().any(known) {
                    seen.push(other);
                    changes.push((saved, step, other));
                }
            }
        }
        changes.sort_by_key(|&(saved, step, _)| (std::cmp::Reverse(saved), step));
        let mut changed = false;
        for (_, step, other) in changes {
            if self.alone(other, step) >= self.alone(way, step) {
                continue;
            }
            let mut tried = way.clone();
            tried.take(step..step + 1, other);
            let (peak, cycles) = self.run(&tried);
            if peak <= self.limit && cycles < fewest {
                (*way, fewest, changed) = (tried, cycles, true);
            }
        }
        changed
    }

    /// The fullest moment and the estimated cycles.
    fn run(&self, way: &Way) -> (usize, u64) {
        let (first, last) = (self.range.start, self.range.end - 1);
        let events = segment(self.problem, &way.shape(Vec::new()), first, last);
        let bytes = peak(self.problem, &events, &way.scratch, first, last);
        (bytes, work_cycles(self.problem, &way.driven, &events, self.kernels))
    }

    /// Estimated cycles of a step that always does as many units as it may.
    fn alone(&self, way: &Way, step: usize) -> u64 {
        let (count, most) = (self.problem.todo[step].len(), way.units[step]);
        let of = |units: usize| {
            let event = Event::Rows(step, 0..units);
            if units == 0 { 0 } else { work_cycles(self.problem, &way.driven, &[event], self.kernels) }
        };
        (count / most) as u64 * of(most) + of(count % most)
    }
}

/// Whether two ways do a step's work alike.
fn same(one: &Way, other: &Way, step: usize) -> bool {
    let of = |way: &Way| (way.units[step], way.exact[step], way.eager[step], way.driven[step]);
    of(one) == of(other)
}
