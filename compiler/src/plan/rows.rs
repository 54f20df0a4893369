//! Steps that run row by row, and the cascades that they make.
//!
//! A cascade is a run of consecutive steps whose rows are made in one order: each
//! step makes its next rows when the order says so. Where a row lies is said by a
//! [`RowTable`]; rows of a tensor may lie anywhere. Invariant: an order is constant,
//! so that everything about it can be proven when the plan is made.

use std::iter::Peekable;
use std::ops::Range;

use super::{ArenaRange, Plan, PlannedCall, StepId};
use crate::ir::ValueId;
use crate::lower::rows::RowForm;

/// Where the rows of a tensor lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowTable {
    /// The tensor, or the one that it is a view of.
    pub value: ValueId,
    /// Bytes of a row.
    pub row_bytes: usize,
    /// The first byte of each row; rows at the end that nobody needs are absent.
    pub offsets: Vec<usize>,
}

impl RowTable {
    /// Where a row lies.
    pub fn row(&self, index: usize) -> ArenaRange {
        ArenaRange { offset: self.offsets[index], bytes: self.row_bytes }
    }

    /// The bytes from the lowest row to the end of the highest.
    pub fn hull(&self) -> ArenaRange {
        let start = self.offsets.iter().copied().min().unwrap_or(0);
        let end = self.offsets.iter().map(|o| o + self.row_bytes).max().unwrap_or(0);
        ArenaRange { offset: start, bytes: end - start }
    }

    /// The largest power of two that divides all offsets from `start`, where the part of
    /// the arena begins in which they are, as a shift; what is left of them must fit 16
    /// bits to be emitted.
    pub fn shift(&self, start: usize) -> u32 {
        self.offsets.iter().map(|o| o.wrapping_sub(start).trailing_zeros()).min().unwrap_or(0).min(8)
    }

    /// Whether the offsets from `start` can be emitted in 16 bits.
    pub fn fits(&self, start: usize) -> bool {
        let shift = self.shift(start);
        self.offsets.iter().all(|o| *o >= start && (o - start) >> shift <= usize::from(u16::MAX))
    }
}

/// A call that is made row by row. The ranges of its `call` are the hulls of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowWork {
    /// The kernel, constants and scratch.
    pub call: PlannedCall,
    /// What its units read and write.
    pub form: RowForm,
    /// The table of each operand, by position in [`Plan::row_tables`].
    pub inputs: Vec<usize>,
    /// The table of the output.
    pub output: usize,
    /// One past the last unit that is run: rows that nobody needs are not made.
    pub units: usize,
    /// How many units are run: fewer where a window slides and others are kept.
    pub runs: usize,
    /// The most units of a step.
    pub units_per_step: usize,
    /// Where the private bytes lie of the step that begins with a unit, if not at one place;
    /// then those of the call are their hull.
    pub moving: Option<RowTable>,
}

impl RowWork {
    /// The private bytes of the step that begins with a unit.
    pub fn scratch(&self, unit: usize) -> ArenaRange {
        self.moving.as_ref().map_or(self.call.scratch, |table| table.row(unit))
    }
}

/// A run of steps that work row by row together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cascade {
    /// The first step; the others follow it in the plan.
    pub first: StepId,
    /// How many steps.
    pub stages: usize,
    /// Which of them does its next units, by position in the cascade, and how many.
    pub order: Vec<(u16, u16)>,
    /// The first unit of each entry of the order, where units are left out between; empty
    /// where each step's units follow each other.
    pub starts: Vec<u16>,
}

/// A window that slides over a stream of rows: each run is a step of it, which moves what
/// the run before has left, takes the new rows and computes what is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slide {
    /// Rows of the window.
    pub rows: usize,
    /// Rows by which it moves in a step.
    pub hop: usize,
    /// Which of the kept tensors is the model's input.
    pub input: usize,
    /// The tensors of which rows are kept.
    pub kept: Vec<KeptRows>,
    /// Multiply-accumulates of a whole window, where [`Step::macs`](super::Step) counts those
    /// of a step.
    pub window_macs: u64,
}

impl Slide {
    /// Steps until the window is full: so many give the first output.
    pub fn steps(&self) -> usize {
        self.rows.div_ceil(self.hop)
    }
}

/// Rows of a tensor that are kept from one step to the next, one run of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptRows {
    /// Where they lie, by position in [`Plan::row_tables`].
    pub table: usize,
    /// The first.
    pub first: usize,
    /// One past the last.
    pub end: usize,
    /// Rows by which they move up before a step; the last so many are made anew.
    pub shift: usize,
}

impl KeptRows {
    /// Where they lie.
    pub fn range(&self, tables: &[RowTable]) -> ArenaRange {
        let table = &tables[self.table];
        ArenaRange { offset: table.row(self.first).offset, bytes: (self.end - self.first) * table.row_bytes }
    }

    /// Bytes by which they move.
    pub fn shift_bytes(&self, tables: &[RowTable]) -> usize {
        self.shift * tables[self.table].row_bytes
    }

    /// Rows that the step before has left.
    pub fn moved(&self) -> usize {
        (self.end - self.first).saturating_sub(self.shift)
    }
}

/// An input of which the caller pushes row after row into the plan's first cascade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Where its rows lie, by position in [`Plan::row_tables`]. Rows behind the
    /// table's end are read by nobody, and kept nowhere.
    pub table: usize,
    /// Rows of the input.
    pub rows: usize,
    /// How many entries of the cascade's order run after each row of the table.
    pub after: Vec<u16>,
}

/// What happens at a moment of a plan; the first is moment 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The caller pushes a row of the input.
    Push(usize),
    /// A step on whole tensors, or a view.
    Step(StepId),
    /// A step makes some of its rows.
    Rows(StepId, Range<usize>),
}

impl Event {
    /// The step; `None` for what the caller does.
    pub fn step(&self) -> Option<StepId> {
        match self {
            Event::Push(_) => None,
            Event::Step(step) | Event::Rows(step, _) => Some(*step),
        }
    }
}

impl Plan {
    /// Everything that happens, in order.
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut index = 0;
        while index < self.steps.len() {
            let Some(cascade) = self.cascade_at(index) else {
                events.push(Event::Step(StepId::of(index)));
                index += 1;
                continue;
            };
            let mut next = vec![0; cascade.stages];
            let mut pushes = self.pushes(cascade);
            for (position, &(stage, count)) in cascade.order.iter().enumerate() {
                while let Some((row, _)) = pushes.next_if(|(_, first)| *first == position) {
                    events.push(Event::Push(row));
                }
                let stage = usize::from(stage);
                let start = cascade.starts.get(position).map_or(next[stage], |&start| usize::from(start));
                let units = start..start + usize::from(count);
                next[stage] = units.end;
                events.push(Event::Rows(StepId::of(index + stage), units));
            }
            events.extend(pushes.map(|(row, _)| Event::Push(row)));
            index += cascade.stages.max(1);
        }
        events
    }

    /// The rows that are pushed into a cascade, each with the first entry of the order that runs after it.
    fn pushes(&self, cascade: &Cascade) -> Peekable<impl Iterator<Item = (usize, usize)>> {
        let pushed = self.pushed.iter().filter(|_| cascade.first.index() == 0);
        let mut first = 0;
        pushed
            .flat_map(|pushed| &pushed.after)
            .enumerate()
            .map(move |(row, &count)| {
                let position = first;
                first += usize::from(count);
                (row, position)
            })
            .peekable()
    }

    /// Bytes of the arena that are kept between two steps of a window that slides.
    pub fn kept_bytes(&self) -> usize {
        let of = |kept: &KeptRows| kept.moved() * self.row_tables[kept.table].row_bytes;
        self.slide.iter().flat_map(|slide| &slide.kept).map(of).sum()
    }

    /// The cascade that begins at a step.
    pub fn cascade_at(&self, index: usize) -> Option<&Cascade> {
        self.cascades.iter().find(|c| c.first.index() == index)
    }
}
