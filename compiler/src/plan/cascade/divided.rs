//! A candidate's items over several RAM regions.
//!
//! In: a [`Candidate`] and the [`Regions`]. Out: the same with other places, and the parts
//! of the arena. Invariant: all rows of a tensor are in one region, since a table of rows
//! counts from one place.

use std::collections::BTreeMap;

use super::assemble::addressable_in;
use super::evaluate::Candidate;
use super::layout::Holds;
use super::pack::{Item, Placed, pack, profile};
use super::problem::Problem;
use crate::ir::{Graph, NodeId};
use crate::lower::Lowered;
use crate::plan::Part;
use crate::plan::divide::{Division, Full, SCRATCH_HEAT, Things, Unit, divide, heat};
use crate::plan::regions::Regions;

/// Looks at a conflict that packing a region may spend on searching, and the same in
/// placements of everything in it.
const LOOKS: usize = 1_000_000;
const ROUNDS: usize = 1000;

/// Items of which some are packed at a time.
struct Items<'a>(&'a [Item]);

impl Items<'_> {
    fn some(&self, members: &[usize]) -> Vec<Item> {
        members.iter().map(|&member| self.0[member].clone()).collect()
    }
}

impl Things for Items<'_> {
    fn bound(&self, members: &[usize]) -> usize {
        profile(members.iter().map(|&member| &self.0[member])).into_iter().max().unwrap_or(0)
    }

    fn pack(&self, members: &[usize]) -> (Vec<usize>, usize) {
        let placed = pack(&self.some(members), LOOKS, ROUNDS);
        (placed.offsets, placed.total_bytes)
    }
}

/// The candidate divided over regions, with the parts.
///
/// # Errors
/// [`Full`] where something has no place.
pub fn divided(
    graph: &Graph,
    steps: &[(NodeId, Lowered)],
    problem: &Problem,
    chosen: &Candidate,
    regions: &Regions,
) -> Result<(Candidate, Vec<Part>), Full> {
    let layout = &chosen.layout;
    let units = units(graph, steps, problem, chosen);
    let Division { offsets, total_bytes, parts } =
        divide(regions, &units, layout.items.len(), &Items(&layout.items))?;
    let placed = Placed { offsets, total_bytes, stopped: false };
    let candidate = Candidate { placed, ..chosen.clone() };
    match addressable_in(problem, &candidate, &parts) {
        true => Ok((candidate, parts)),
        false => {
            let name = "rows that count from one place in 16 bits".to_owned();
            Err(Full::Beside { name, bytes: total_bytes })
        }
    }
}

/// The rows of each home, and the private bytes of each call.
fn units(graph: &Graph, steps: &[(NodeId, Lowered)], problem: &Problem, chosen: &Candidate) -> Vec<Unit> {
    let mut of_home: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut units = Vec::new();
    for (index, holds) in chosen.layout.holds.iter().enumerate() {
        match *holds {
            Holds::Rows { home, .. } => of_home.entry(home).or_default().push(index),
            Holds::Scratch { step, .. } => units.push(Unit {
                name: format!("the scratch of '{}'", graph.node(steps[step].0).name),
                members: vec![index],
                heat: SCRATCH_HEAT,
            }),
        }
    }
    let rows = of_home.into_iter().map(|(home, members)| {
        let info = &problem.homes[home];
        // Every reader reads it once, and somebody writes it.
        let traffic = info.bytes * (info.readers.len() + 1);
        let pieces = members.iter().flat_map(|&member| &chosen.layout.items[member].pieces);
        let covered: usize = pieces.map(|piece| piece.bytes * (piece.last - piece.first + 1)).sum();
        let name = format!("'{}'", graph.value(info.values[0]).name);
        Unit { name, members, heat: heat(traffic, covered) }
    });
    units.extend(rows);
    units
}
