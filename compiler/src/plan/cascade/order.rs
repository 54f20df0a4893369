//! The order in which rows are made.
//!
//! In: a [`Problem`], where it is cut into segments, how many units each step does
//! at a time. Out: [`Event`]s. Invariant: a row is made before it is read, and rows
//! of a tensor are made from the first to the last.
//!
//! Of a window that slides, only some units are run: each step's list is in the problem.
//!
//! Within a segment, rows are pulled: a row of the last step is made as soon as the
//! rows of its window are, and these are made in the same way. Rows that nobody
//! reads (strides and pooling may leave some over at the end) are not made. A row
//! that the caller pushes is born right before the first step that cannot do without it.

use std::ops::Range;

use super::problem::{Kind, Problem};

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The caller hands a row of the input over.
    Push(usize),
    /// A step on whole tensors, or a view.
    Whole(usize),
    /// A step does some units of its work.
    Rows(usize, Range<usize>),
}

impl Event {
    /// Units of work.
    pub fn units(&self) -> usize {
        if let Event::Rows(_, units) = self { units.len() } else { 1 }
    }

    /// The step; `None` for what the caller does.
    pub fn step(&self) -> Option<usize> {
        match self {
            Event::Push(_) => None,
            Event::Whole(step) | Event::Rows(step, _) => Some(*step),
        }
    }
}

/// How the work is cut and how much is done at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// First steps of segments, ascending; each step that cannot join the one
    /// before begins one anyway.
    pub cuts: Vec<usize>,
    /// The most units that each step does at a time, at least 1.
    pub units: Vec<usize>,
    /// Whether each step makes no more rows than were asked for: with as many units
    /// everywhere, no row waits longer than it must. Otherwise steps do as many units as
    /// they may, and rows wait.
    pub exact: Vec<bool>,
    /// Whether each step that reads the same tensor as the one that was just run is run
    /// along with it (a shortcut beside its sibling), instead of when it is needed.
    pub eager: Vec<bool>,
}

/// The units of each step that anybody needs, from the first on.
pub fn needed_units(problem: &Problem) -> Vec<Vec<usize>> {
    let mut rows: Vec<usize> =
        problem.homes.iter().map(|h| if h.whole && h.maker.is_some() { h.rows() } else { 0 }).collect();
    let mut units = vec![0; problem.steps.len()];
    for (index, step) in problem.steps.iter().enumerate().rev() {
        let Kind::Rows(form, _) = &step.kind else { continue };
        // A home of one piece is made whole, whatever its rows are.
        let rows_made = if problem.homes[step.writes].row_bytes.is_none() {
            form.walk.out_rows
        } else {
            rows[step.writes]
        };
        units[index] = rows_made.checked_sub(1).map_or(0, |row| form.unit_of(row) + 1);
        let read = (0..units[index]).flat_map(|unit| form.reads(unit)).max().map_or(0, |row| row + 1);
        for &home in &step.reads {
            rows[home] = rows[home].max(read);
        }
    }
    units.into_iter().map(|count| (0..count).collect()).collect()
}

/// The events of a segment `first..=last`, all of whose steps have rows.
pub fn segment(problem: &Problem, shape: &Shape, first: usize, last: usize) -> Vec<Event> {
    let siblings = (first..=last).map(|step| siblings(problem, shape, first..last + 1, step)).collect();
    let next = vec![0; last + 1 - first];
    let mut pull = Pull { problem, shape, first, last, siblings, next, pushed: 0, events: Vec::new() };
    if first == 0 && problem.pushed().is_some() {
        // Nothing happens before the caller begins.
        pull.push(0);
    }
    for step in (first..=last).rev() {
        while let Some(unit) = pull.next_unit(step) {
            pull.step(step, unit + shape.units[step]);
        }
    }
    pull.events
}

/// The steps that run along with an eager one: whole shortcuts only, which read rows that
/// no later window needs.
fn siblings(problem: &Problem, shape: &Shape, segment: Range<usize>, step: usize) -> Vec<usize> {
    let shares = |other: &usize| {
        let is_shortcut = problem.form(*other).is_some_and(|form| form.walk.kernel == 1);
        is_shortcut && *other != step && problem.steps[*other].reads == problem.steps[step].reads
    };
    if shape.eager[step] { segment.filter(shares).collect() } else { Vec::new() }
}

/// All events of a shape.
pub fn events(problem: &Problem, shape: &Shape) -> Vec<Event> {
    segments(problem, shape)
        .into_iter()
        .flat_map(|range| match problem.steps[range.start].kind {
            Kind::View | Kind::Whole => vec![Event::Whole(range.start)],
            Kind::Rows(..) => segment(problem, shape, range.start, range.end - 1),
        })
        .collect()
}

/// The segments of a shape: runs of steps that work row by row together, and
/// every other step by itself.
pub fn segments(problem: &Problem, shape: &Shape) -> Vec<Range<usize>> {
    let mut segments: Vec<Range<usize>> = Vec::new();
    for step in 0..problem.steps.len() {
        match segments.last_mut() {
            Some(run) if !shape.cuts.contains(&step) && problem.joins(run.start, step) => run.end = step + 1,
            _ => segments.push(step..step + 1),
        }
    }
    segments
}

struct Pull<'a> {
    problem: &'a Problem,
    shape: &'a Shape,
    first: usize,
    last: usize,
    /// Those of each step of the segment.
    siblings: Vec<Vec<usize>>,
    /// How many units of each step of the segment were run.
    next: Vec<usize>,
    /// The next row that the caller pushes.
    pushed: usize,
    events: Vec<Event>,
}

impl Pull<'_> {
    /// Runs the next units of a step, up to `wanted` if it is exact, after what they need.
    fn step(&mut self, step: usize, wanted: usize) {
        let problem = self.problem;
        let Kind::Rows(form, _) = &problem.steps[step].kind else { return };
        let Some(start) = self.next_unit(step) else { return };
        let most = self.shape.units[step];
        let count = match wanted.saturating_sub(start) {
            left if self.shape.exact[step] && left > 0 && !left.is_multiple_of(most) => left % most,
            _ => most,
        };
        let units = self.run(step, count);
        if let Some(row) = units.clone().flat_map(|unit| form.reads(unit)).max() {
            let is_pushed = |home: &&usize| problem.homes[**home].pushed;
            let reads = &problem.steps[step].reads;
            reads.iter().filter(|home| !is_pushed(home)).for_each(|&home| self.row(home, row));
            if reads.iter().any(|home| is_pushed(&home)) {
                self.push(row);
            }
        }
        self.next[step - self.first] += units.len();
        self.events.push(Event::Rows(step, units));
        if !self.siblings[step - self.first].is_empty() {
            self.along(step);
        }
    }

    /// The next unit of a step.
    fn next_unit(&self, step: usize) -> Option<usize> {
        self.problem.todo[step].get(self.next[step - self.first]).copied()
    }

    /// The next units of a step that follow each other, up to `count`.
    fn run(&self, step: usize, count: usize) -> Range<usize> {
        let left = &self.problem.todo[step][self.next[step - self.first]..];
        let start = left.first().copied().unwrap_or(0);
        let length = left.iter().zip(start..start + count).take_while(|(unit, next)| *unit == next).count();
        start..start + length
    }

    /// Lets the caller push the rows up to `row`.
    fn push(&mut self, row: usize) {
        while self.pushed <= row {
            self.events.push(Event::Push(self.pushed));
            self.pushed += 1;
        }
    }

    /// Makes the rows of a home up to `row`, if they are made in this segment.
    fn row(&mut self, home: usize, row: usize) {
        let Some(maker) = self.problem.homes[home].maker.filter(|m| (self.first..=self.last).contains(m))
        else {
            return;
        };
        let Kind::Rows(form, _) = &self.problem.steps[maker].kind else { return };
        let unit = form.unit_of(row);
        while self.next_unit(maker).is_some_and(|next| next <= unit) {
            self.step(maker, unit + 1);
        }
    }

    /// Lets the siblings of a step catch up with the input rows that it has read.
    fn along(&mut self, step: usize) {
        let problem = self.problem;
        let reach = |s: &Self, step: usize| {
            let form = problem.form(step)?;
            let last = s.next[step - s.first].checked_sub(1)?;
            form.reads(s.problem.todo[step][last]).max()
        };
        let Some(read) = reach(self, step) else { return };
        for index in 0..self.siblings[step - self.first].len() {
            let sibling = self.siblings[step - self.first][index];
            let Some(form) = problem.form(sibling) else { continue };
            loop {
                let units = self.run(sibling, self.shape.units[sibling]);
                let rows = units.clone().flat_map(|u| form.reads(u)).max();
                if units.is_empty() || rows.is_some_and(|r| r > read) {
                    break;
                }
                self.next[sibling - self.first] += units.len();
                self.events.push(Event::Rows(sibling, units));
            }
        }
    }
}
