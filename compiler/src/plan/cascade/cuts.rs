//! Where cascades begin and end.
//!
//! In: a [`Problem`] and how much each step does at a time. Out: cuts. Method: the
//! fullest moment of a segment does not depend on how the rest is cut, since whole
//! tensors are what passes from one to the next; so the cuts whose fullest moment is
//! the emptiest follow step by step from those of shorter schedules. What a real
//! placement needs is a few percent more, which is why the caller tries several.

use super::layout::{Lives, touch};
use super::order::{Event, Shape, segment};
use super::problem::{Home, Kind, Problem};

/// The cuts with the lowest peak of live bytes, and whether all were considered: after
/// running through so many `units`, segments of one step alone are. `scratch` as for a layout.
pub fn best_cuts(
    problem: &Problem,
    shape: &Shape,
    scratch: &[Vec<usize>],
    units: usize,
) -> (Vec<usize>, bool) {
    let mut left = Some(units);
    let count = problem.steps.len();
    let made: Vec<usize> = problem.homes.iter().map(|home| made_bytes(problem, home)).collect();
    // The best way to cut the first `n` steps: its peak, the sum of its peaks, where its last segment begins.
    let mut best: Vec<(usize, usize, usize)> = vec![(0, 0, 0)];
    for end in 1..=count {
        let mut choice: Option<(usize, usize, usize)> = None;
        let earliest =
            (0..end).rev().take_while(|&start| start + 1 == end || problem.joins(start, end - 1)).last();
        // The longest first: it is the best more often than not, and rules others out.
        for (start, &(before, sum, _)) in best.iter().enumerate().skip(earliest.unwrap_or(end - 1)) {
            if (1..=problem.uncut).contains(&start) {
                continue;
            }
            let with = |peak: usize| (before.max(peak), sum + peak, start);
            if choice.is_some_and(|c| c <= with(ends(problem, &made, start, end - 1))) {
                continue;
            }
            // What the pushed rows need must stay together, whatever it takes.
            if left.is_none() && start + 1 < end && end - 1 > problem.uncut {
                continue;
            }
            let events = events(problem, shape, start, end - 1);
            left = left.and_then(|left| left.checked_sub(events.iter().map(Event::units).sum()));
            let candidate = with(peak(problem, &events, scratch, start, end - 1));
            if choice.is_none_or(|c| candidate < c) {
                choice = Some(candidate);
            }
        }
        best.push(choice.unwrap_or((0, 0, end - 1)));
    }
    let mut cuts = Vec::new();
    let mut end = count;
    while end > 0 {
        end = best[end].2;
        cuts.push(end);
    }
    cuts.reverse();
    (cuts, left.is_some())
}

/// What happens in steps `first..=last` as one segment; nothing in a view.
fn events(problem: &Problem, shape: &Shape, first: usize, last: usize) -> Vec<Event> {
    match problem.steps[first].kind {
        Kind::View => Vec::new(),
        Kind::Whole => vec![Event::Whole(first)],
        Kind::Rows(..) => segment(problem, shape, first, last),
    }
}

/// The fullest moment of these events of steps `first..=last`.
pub fn peak(problem: &Problem, events: &[Event], scratch: &[Vec<usize>], first: usize, last: usize) -> usize {
    if events.is_empty() {
        return 0;
    }
    let inside = |step: &usize| (first..=last).contains(step);
    let mut live = Live { change: vec![0; events.len() + 1] };
    let mut rows: Lives = vec![Vec::new(); problem.homes.len()];
    for (home, info) in problem.homes.iter().enumerate() {
        let before = info.is_there() || info.maker.is_some_and(|maker| maker < first);
        let touched = info.maker.as_ref().is_some_and(inside) || info.readers.iter().any(inside);
        if counts_within(problem, info, first, last) {
            continue;
        }
        if touched {
            let there = |row| (before && problem.exists(home, row)).then_some((0, 0));
            rows[home] = (0..info.rows()).map(there).collect();
        } else if before && needed_after(info, last) {
            let row_bytes = info.row_bytes.unwrap_or(info.bytes);
            let count = (0..info.rows()).filter(|&row| problem.exists(home, row)).count();
            live.add(0, events.len() - 1, count * row_bytes);
        } else if let Some(kept) = &problem.kept[home] {
            live.add(0, events.len() - 1, kept.rows().len() * info.row_bytes.unwrap_or(0));
        }
    }
    for (now, event) in events.iter().enumerate() {
        touch(problem, event, now, &mut rows);
        if let Some(step) = event.step()
            && problem.form(step).is_none_or(|form| !form.gathers)
        {
            live.add(now, now, scratch[step].iter().sum());
        }
    }
    for (step, bytes) in scratch.iter().enumerate().take(last + 1).skip(first) {
        if problem.form(step).is_some_and(|form| form.gathers) {
            let of = |e: &Event| e.step() == Some(step);
            if let (Some(from), Some(to)) = (events.iter().position(of), events.iter().rposition(of)) {
                live.add(from, to, bytes.iter().sum());
            }
        }
    }
    for (home, (info, lives)) in problem.homes.iter().zip(&rows).enumerate() {
        for (row, life) in lives.iter().enumerate() {
            let Some((from, to)) = *life else { continue };
            if problem.kept[home].as_ref().is_some_and(|kept| kept.rows().contains(&row)) {
                live.add(0, events.len() - 1, info.row_bytes.unwrap_or(info.bytes));
                continue;
            }
            let to = if needed_after(info, last) { events.len() - 1 } else { to };
            live.add(from, to, info.row_bytes.unwrap_or(info.bytes));
        }
    }
    live.most()
}

/// Bytes of a home that anybody makes: rows that nobody needs are left out.
fn made_bytes(problem: &Problem, home: &Home) -> usize {
    match (home.maker.and_then(|maker| Some((maker, problem.form(maker)?))), home.row_bytes) {
        (Some((maker, form)), Some(bytes)) => {
            bytes * problem.todo[maker].iter().filter(|&&unit| form.writes(unit).is_some()).count()
        }
        _ => home.bytes,
    }
}

/// What lives before or after steps `first..=last`, whichever is more: no segment of them
/// needs less.
fn ends(problem: &Problem, made: &[usize], first: usize, last: usize) -> usize {
    let inside = |step: &usize| (first..=last).contains(step);
    // What a sliding window keeps is left to the peak.
    if matches!(problem.steps[first].kind, Kind::View) || problem.slides() {
        return 0;
    }
    let (mut start, mut end) = (0, 0);
    for (home, info) in problem.homes.iter().enumerate() {
        let before = info.is_there() || info.maker.is_some_and(|maker| maker < first);
        let after = needed_after(info, last);
        if counts_within(problem, info, first, last) {
            continue;
        }
        if before && (after || info.readers.iter().any(inside)) {
            start += info.bytes;
        }
        if after {
            let here = info.maker.as_ref().is_some_and(inside);
            end += if before {
                info.bytes
            } else if here {
                made[home]
            } else {
                0
            };
        }
    }
    start.max(end)
}

/// Whether a home lies in one that is there from steps `first..=last` on, and counts.
fn counts_within(problem: &Problem, home: &Home, first: usize, last: usize) -> bool {
    home.within.is_some_and(|whole| {
        let whole = &problem.homes[whole];
        let read = whole.readers.iter().any(|reader| (first..=last).contains(reader));
        whole.maker.is_some_and(|maker| maker <= last) && (read || needed_after(whole, last))
    })
}

/// Whether anybody reads a home after a step.
fn needed_after(home: &Home, last: usize) -> bool {
    home.is_output || home.readers.iter().any(|&reader| reader > last)
}

/// Bytes that appear (positive) and go (negative), by moment.
struct Live {
    change: Vec<isize>,
}

impl Live {
    fn add(&mut self, from: usize, to: usize, bytes: usize) {
        self.change[from] += bytes as isize;
        self.change[to + 1] -= bytes as isize;
    }

    fn most(&self) -> usize {
        let mut live = 0;
        let sums = self.change.iter().map(|change| {
            live += change;
            live
        });
        sums.max().unwrap_or(0) as usize
    }
}
