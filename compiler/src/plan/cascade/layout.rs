//! Which bytes live from when to when under an order of events.
//!
//! In: a [`Problem`], its events, the private bytes of each step. Out: [`Layout`]:
//! items to be placed, and which rows and scratch they hold. Invariant: event `i` is
//! moment `i + 1`; 0 is when the caller has written the inputs, the moment after
//! the last event is when it reads the outputs. Of a window that slides, the rows of
//! the step before are moved at moment 0, from places that count as well.

use std::collections::BTreeMap;
use std::ops::Range;

use super::kept::Kept;
use super::order::Event;
use super::pack::{Item, Piece};
use super::problem::{Kind, Problem};
use super::way::Way;

/// What an item holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// Rows of a home, `first..first + count`, one after the other; rows that are
    /// never made have no piece.
    Rows {
        /// The home.
        home: usize,
        /// Its first row here.
        first: usize,
        /// How many.
        count: usize,
    },
    /// Private bytes of a call, or of some of the times that it is made, if they move.
    Scratch {
        /// The step.
        step: usize,
        /// The call.
        call: usize,
    },
}

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Layout {
    /// What is to be placed.
    pub items: Vec<Item>,
    /// What each item holds.
    pub holds: Vec<Holds>,
    /// The number of moments.
    pub moments: usize,
}

/// Alignment of activations.
const ROW_ALIGN: usize = 4;
/// Alignment of private bytes: kernels load them in words and groups of words.
const SCRATCH_ALIGN: usize = 8;

/// First and last moment of each row of each home; `None` for rows never made.
pub type Lives = Vec<Vec<Option<(usize, usize)>>>;

/// The layout of an order; `align` is that of rows and scratch, at least 4.
pub fn layout(problem: &Problem, events: &[Event], way: &Way, align: usize) -> Layout {
    let end = events.len() + 1;
    let lives = lives(problem, events, end);
    let mut layout = Layout { items: Vec::new(), holds: Vec::new(), moments: end + 1 };
    let groups = groups(problem, events);
    for (home, rows) in lives.iter().enumerate() {
        let info = &problem.homes[home];
        if info.within.is_some() {
            continue;
        }
        if !info.parts.is_empty() {
            layout.items.push(Item { align: align.max(ROW_ALIGN), pieces: joined(problem, &lives, home) });
            layout.holds.push(Holds::Rows { home, first: 0, count: rows.len() });
            continue;
        }
        let row_bytes = info.row_bytes.unwrap_or(info.bytes);
        let mut first = 0;
        while first < rows.len() {
            let count = match &problem.kept[home] {
                _ if info.whole => rows.len(),
                // The rows behind may be made in one step with the last ones that are kept.
                Some(kept) if kept.first == first => rows.len() - first,
                _ => groups.get(&(home, first)).copied().unwrap_or(1),
            };
            let piece = |row: usize, (born, dies): (usize, usize)| Piece {
                start: (row - first) * row_bytes,
                bytes: row_bytes,
                first: born,
                last: dies,
            };
            let from = |row: usize| {
                let kept = problem.kept[home].as_ref()?;
                let moves = kept.after().contains(&row) && !problem.is_there(home, row);
                moves.then(|| piece(row, (0, 0)))
            };
            let own = |row: usize| Some(piece(row, rows[row]?));
            let pieces: Vec<Piece> =
                (first..first + count).flat_map(|row| [from(row), own(row)]).flatten().collect();
            if !pieces.is_empty() {
                layout.items.push(Item { align: align.max(ROW_ALIGN), pieces });
                layout.holds.push(Holds::Rows { home, first, count });
            }
            first += count;
        }
    }
    for (step, calls) in way.scratch.iter().enumerate() {
        for (call, &bytes) in calls.iter().enumerate().filter(|(_, bytes)| **bytes > 0) {
            let pieces = scratch_pieces(problem, events, step, bytes);
            let items = match way.moving {
                true => pieces.into_iter().map(|piece| vec![piece]).collect(),
                false if pieces.is_empty() => Vec::new(),
                false => vec![pieces],
            };
            for pieces in items {
                layout.items.push(Item { align: align.max(SCRATCH_ALIGN), pieces });
                layout.holds.push(Holds::Scratch { step, call });
            }
        }
    }
    layout
}

fn lives(problem: &Problem, events: &[Event], end: usize) -> Lives {
    let there = |home: usize| {
        (0..problem.homes[home].rows()).map(move |row| problem.is_there(home, row).then_some((0, 0)))
    };
    let mut lives: Lives = (0..problem.homes.len()).map(|home| there(home).collect()).collect();
    for (index, event) in events.iter().enumerate() {
        touch(problem, event, index + 1, &mut lives);
    }
    for (home, rows) in lives.iter_mut().enumerate().filter(|(home, _)| problem.homes[*home].is_output) {
        for row in rows.iter_mut() {
            // A row that nobody makes can only be one of a tensor without elements.
            *row = row.map(|(first, _)| (first, end));
        }
        debug_assert!(problem.homes[home].whole);
    }
    for (kept, rows) in problem.kept.iter().zip(&mut lives) {
        for row in kept.iter().flat_map(Kept::after) {
            rows[row] = rows[row].map(|(first, _)| (first, end));
        }
    }
    lives
}

/// Notes that an event reads and writes at a moment; homes without rows are left out.
pub fn touch(problem: &Problem, event: &Event, now: usize, lives: &mut Lives) {
    let mut note = |home: usize, rows: Range<usize>| {
        for life in lives[home].get_mut(rows).into_iter().flatten() {
            *life = Some((life.map_or(now, |(first, _)| first), now));
        }
    };
    let id = match event {
        Event::Push(row) => return problem.pushed().into_iter().for_each(|home| note(home, *row..row + 1)),
        Event::Whole(step) | Event::Rows(step, _) => *step,
    };
    let step = &problem.steps[id];
    if let (Kind::Rows(form, _), Event::Rows(_, units)) = (&step.kind, event) {
        let in_rows = |home: usize, row: usize| {
            if problem.homes[home].row_bytes.is_some() { row..row + 1 } else { 0..1 }
        };
        for unit in units.clone() {
            for &home in &step.reads {
                form.reads(unit).for_each(|row| note(home, in_rows(home, row)));
            }
            if let Some(row) = form.writes(unit) {
                note(step.writes, in_rows(step.writes, row));
            }
        }
    } else {
        for &home in step.reads.iter().chain([&step.writes]) {
            note(home, 0..problem.homes[home].rows());
        }
    }
}

/// The pieces of a home in which others lie, by their first bytes: theirs, which live on as
/// long as the rows that show them, and between them its own.
fn joined(problem: &Problem, lives: &Lives, home: usize) -> Vec<Piece> {
    let info = &problem.homes[home];
    let row_bytes = info.row_bytes.unwrap_or(info.bytes);
    let rows = |start: usize, bytes: usize| {
        lives[home][start / row_bytes..(start + bytes).div_ceil(row_bytes)].iter().flatten()
    };
    if info.parts.is_empty() {
        let own = |(row, life): (usize, &Option<(usize, usize)>)| {
            let (first, last) = (*life)?;
            Some(Piece { start: row * row_bytes, bytes: row_bytes, first, last })
        };
        return lives[home].iter().enumerate().filter_map(own).collect();
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for &(part, at) in &info.parts {
        for piece in joined(problem, lives, part) {
            let start = at + piece.start;
            let shown = rows(start, piece.bytes).map(|&(_, last)| last).max();
            pieces.push(Piece { start, last: piece.last.max(shown.unwrap_or(0)), ..piece });
        }
    }
    pieces.sort_by_key(|piece| piece.start);
    let ends = pieces.iter().map(|piece| piece.start + piece.bytes);
    let starts = pieces.iter().map(|piece| piece.start);
    let gaps: Vec<(usize, usize)> = std::iter::once(0)
        .chain(ends)
        .zip(starts.chain([info.bytes]))
        .filter(|(from, to)| from < to)
        .collect();
    for (start, end) in gaps {
        let bytes = end - start;
        let first = rows(start, bytes).map(|&(first, _)| first).min();
        let last = rows(start, bytes).map(|&(_, last)| last).max();
        if let (Some(first), Some(last)) = (first, last) {
            pieces.push(Piece { start, bytes, first, last });
        }
    }
    pieces.sort_by_key(|piece| piece.start);
    pieces
}

/// Rows that must follow each other, by home and first row.
fn groups(problem: &Problem, events: &[Event]) -> BTreeMap<(usize, usize), usize> {
    let mut groups = BTreeMap::new();
    for event in events {
        if let Event::Rows(step, units) = event
            && problem.form(*step).is_some_and(|form| form.adjacent)
        {
            groups.insert((problem.steps[*step].writes, units.start), units.len());
        }
    }
    groups
}

/// The private bytes of a step: a piece for each run of its events. Sums live from the
/// first row to the last.
fn scratch_pieces(problem: &Problem, events: &[Event], step: usize, bytes: usize) -> Vec<Piece> {
    let mut moments =
        events.iter().enumerate().filter(|(_, e)| e.step() == Some(step)).map(|(index, _)| index + 1);
    let gathers = problem.form(step).is_some_and(|form| form.gathers);
    let mut pieces: Vec<Piece> = Vec::new();
    if gathers {
        let all: Vec<usize> = moments.collect();
        if let (Some(&first), Some(&last)) = (all.first(), all.last()) {
            pieces.push(Piece { start: 0, bytes, first, last });
        }
        return pieces;
    }
    let Some(first) = moments.next() else { return pieces };
    pieces.push(Piece { start: 0, bytes, first, last: first });
    for moment in moments {
        match pieces.last_mut() {
            Some(piece) if piece.last + 1 == moment => piece.last = moment,
            _ => pieces.push(Piece { start: 0, bytes, first: moment, last: moment }),
        }
    }
    pieces
}
