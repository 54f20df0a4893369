//! Private bytes that lie elsewhere from call to call.
//!
//! In: a placed [`Candidate`] whose private bytes may move. Out: for each step where they do,
//! a table of places. Invariant: a call's place is that of the item that lives while it runs;
//! steps whose items all ended up at one place have no table.

use std::collections::BTreeMap;

use super::assemble::filled;
use super::evaluate::Candidate;
use super::layout::Holds;
use super::order::Event;
use super::problem::{Kind, Problem};
use crate::plan::{ArenaRange, RowTable};

/// What both ranges lie in.
pub fn hull(a: ArenaRange, b: ArenaRange) -> ArenaRange {
    let offset = a.offset.min(b.offset);
    ArenaRange { offset, bytes: a.end().max(b.end()) - offset }
}

/// The places of private bytes that move; `hulls` are those of each call of each step.
pub fn moving(
    problem: &Problem,
    chosen: &Candidate,
    hulls: &BTreeMap<(usize, usize), ArenaRange>,
) -> BTreeMap<usize, RowTable> {
    let moves = |step: usize, bytes: usize| hulls.get(&(step, 0)).is_some_and(|hull| hull.bytes > bytes);
    let steps = (0..problem.steps.len()).filter_map(|step| {
        let (info, bytes) = (&problem.steps[step], *chosen.way.scratch[step].first()?);
        if !matches!(info.kind, Kind::Rows(..)) || !moves(step, bytes) {
            return None;
        }
        let at = |moment: usize| {
            let held = chosen.layout.holds.iter().zip(&chosen.layout.items).zip(&chosen.placed.offsets);
            let mut own = held.filter(|((holds, _), _)| **holds == Holds::Scratch { step, call: 0 });
            own.find(|((_, item), _)| item.pieces.iter().any(|p| p.first <= moment && moment <= p.last))
                .map(|(_, offset)| *offset)
        };
        let mut places = vec![None; problem.todo[step].last().map_or(0, |last| last + 1)];
        for (index, event) in chosen.events.iter().enumerate() {
            if let Event::Rows(of, units) = event
                && *of == step
            {
                places[units.clone()].fill(at(index + 1));
            }
        }
        let value = problem.homes[info.writes].values[0];
        Some((step, RowTable { value, row_bytes: bytes, offsets: filled(&places) }))
    });
    steps.collect()
}
