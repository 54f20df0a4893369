//! Ways to run a schedule, from fast to small.
//!
//! In: a `Problem`. Out: [`Candidate`]s. Invariant: none is worse than another in both
//! bytes and cycles.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::assemble::addressable;
use super::cuts::best_cuts;
use super::effort::{Effort, Stopped};
use super::evaluate::{Candidate, FIRST_ALIGN, ROUNDS, Timeline, evaluate, place};
use super::mix::mixed;
use super::pack::{FAR, MANY, pack_long};
use super::problem::Problem;
use super::relax::{longer_strips, relaxed, shorter_strips};
use super::way::{self, Way};
use crate::lower::KernelSet;

/// Candidates on the way from fast to small: none is worse than another in both.
pub fn candidates(problem: &Problem, kernels: KernelSet, effort: Effort) -> Vec<Candidate> {
    let ways = way::all(problem);
    let fits = |c: &Candidate| addressable(problem, c);
    let beaten = Beaten::default();
    let of = |way: &Way| {
        let (cuts, all) = best_cuts(problem, &way.shape(Vec::new()), &way.scratch, effort.units);
        let timeline = Timeline::new(problem, &cuts, way, kernels, FIRST_ALIGN);
        if beaten.surely(problem, way, &timeline) {
            return None;
        }
        let stopped = Stopped { units: !all, looks: false };
        let candidate = place(problem, cuts, way.clone(), kernels, stopped, timeline);
        fits(&candidate).then(|| beaten.note(candidate))
    };
    let mut found = front(ways.par_iter().filter_map(of).collect());
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
    let mut found: Vec<Candidate> = front(found).into_par_iter().map(stretched).collect();
    let shorter = found.par_iter().filter_map(|c| shorter_strips(problem, c, kernels));
    let shorter: Vec<Candidate> = shorter.filter(fits).collect();
    found.extend(shorter);
    let found = front(found);
    let repacked = |c: &Candidate| {
        let placed = pack_long(&c.layout.items, effort.looks, ROUNDS);
        let stopped = Stopped { looks: placed.stopped, ..c.stopped };
        Candidate { placed, stopped, ..c.clone() }
    };
    let unmoved = |c: Candidate| {
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
    let packed = |c: Candidate| {
        let c = unmoved(c);
        let moved = moving_scratch(problem, &c, effort.looks, kernels).filter(fits);
        moved.filter(|m| m.placed.total_bytes < c.placed.total_bytes).unwrap_or(c)
    };
    front(found.into_par_iter().map(packed).collect())
}

/// More things, and more freedom, take a longer search.
const MOVING_ROUNDS: usize = 3 * ROUNDS;

/// The candidate with private bytes that move: each run of a step's calls has its own place,
/// which takes a table. `None` where what is placed already needs hardly more than what
/// lives, or is of so many small things that they fill every hole.
fn moving_scratch(problem: &Problem, c: &Candidate, looks: usize, kernels: KernelSet) -> Option<Candidate> {
    let is_near = c.placed.total_bytes <= c.bound_bytes + c.bound_bytes / FAR;
    if is_near || c.layout.items.len() >= MANY {
        return None;
    }
    let way = Way { moving: true, ..c.way.clone() };
    let Timeline { events, layout, bound_bytes, cycles } =
        Timeline::new(problem, &c.cuts, &way, kernels, FIRST_ALIGN);
    let placed = pack_long(&layout.items, looks, MOVING_ROUNDS);
    let stopped = Stopped { looks: placed.stopped, ..c.stopped };
    let (variant, cuts) = (c.variant, c.cuts.clone());
    Some(Candidate { variant, cuts, way, events, layout, placed, bound_bytes, cycles, stopped })
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

/// Bytes and cycles of candidates, which spare others from being placed.
#[derive(Default)]
struct Beaten(Mutex<Vec<(usize, u64)>>);

impl Beaten {
    /// Notes what a candidate takes.
    fn note(&self, candidate: Candidate) -> Candidate {
        let cost = (candidate.placed.total_bytes, candidate.cycles);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(cost);
        candidate
    }

    /// Whether some candidate is better in one and no worse in the other than the best
    /// that placing this could lead to. Never of a way that rows past the reach of tables
    /// might turn into another one.
    fn surely(&self, problem: &Problem, way: &Way, timeline: &Timeline) -> bool {
        let own = (timeline.bound_bytes, timeline.cycles);
        let beats = |other: &(usize, u64)| other.0 <= own.0 && other.1 <= own.1 && *other != own;
        let beaten = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(beats);
        beaten && !way.clone().tame(problem, 2 * timeline.bound_bytes)
    }
}
