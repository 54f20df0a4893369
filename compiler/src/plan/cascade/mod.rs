//! Plans that run layers row by row, in a fraction of the RAM.
//!
//! In: a quantized module with every node lowered. Out: candidates between fast and
//! small, and the plan of one of them. Invariants: every candidate computes the same
//! bytes with the same multiply-accumulates; nothing is computed twice.
//!
//! Consecutive layers form a *cascade*: a row of the last one is made as soon as the
//! rows of its window are, so that no tensor between them is ever whole. Every row
//! has a place and a life of its own (`layout`), and the packer (`pack`) places rows
//! one by one. Where a cascade begins and ends follows from the live bytes (`cuts`),
//! how many rows a layer makes at a time is tried (`way`, `choose`).

mod assemble;
mod choose;
mod cuts;
mod divided;
mod effort;
mod evaluate;
mod feed;
mod kept;
mod layout;
mod mix;
mod moving;
mod order;
pub mod pack;
mod problem;
mod relax;
mod way;

use crate::ir::NodeId;
use crate::lower::{KernelSet, Lowered};
use crate::{Feed, Module};

use super::divide::Full;
use super::regions::Regions;
use super::{Plan, PlanError};
pub use effort::{Effort, Stopped};
pub use evaluate::Candidate;
use problem::Problem;

/// The candidates of a module, by ascending bytes.
pub struct Candidates {
    /// What each candidate solves one of; all but one where a window slides have one.
    problems: Vec<Problem>,
    /// What there is to choose from.
    pub list: Vec<Candidate>,
}

/// Finds the candidates; none where nothing can run row by row.
pub fn candidates(
    module: &Module,
    steps: &[(NodeId, Lowered)],
    kernels: KernelSet,
    effort: Effort,
) -> Candidates {
    let problem = Problem::new(&module.graph, steps, Feed::Whole);
    of_problems(vec![problem], kernels, effort)
}

/// The same, where the caller pushes the input row by row.
///
/// # Errors
/// [`PlanError::Rows`] where the first layers do not take rows.
pub fn pushed_candidates(
    module: &Module,
    steps: &[(NodeId, Lowered)],
    kernels: KernelSet,
    effort: Effort,
) -> Result<Candidates, PlanError> {
    let problem = Problem::new(&module.graph, steps, Feed::Rows);
    feed::check(&module.graph, steps, &problem)?;
    Ok(of_problems(vec![problem], kernels, effort))
}

/// The same for a window that slides by `hop` rows of the input a step. Also what the user
/// should know of layers of which nothing is kept.
///
/// # Errors
/// [`PlanError::Frames`] where nothing can be kept.
pub fn sliding_candidates(
    module: &Module,
    steps: &[(NodeId, Lowered)],
    kernels: KernelSet,
    effort: Effort,
    hop: usize,
) -> Result<(Candidates, Vec<String>), PlanError> {
    let graph = &module.graph;
    let problem = Problem::new(graph, steps, Feed::Frames { hop });
    let problems = kept::problems(graph, steps, &problem, hop, kernels)?;
    // They share what looking for less RAM may take.
    let effort = Effort { looks: effort.looks / problems.len().max(1), ..effort };
    let notes = kept::notes(graph, steps, &problem, hop);
    Ok((of_problems(problems, kernels, effort), notes))
}

fn of_problems(problems: Vec<Problem>, kernels: KernelSet, effort: Effort) -> Candidates {
    let of = |problem: &Problem| {
        let any = (0..problem.steps.len()).any(|step| problem.form(step).is_some());
        if any { choose::candidates(problem, kernels, effort) } else { Vec::new() }
    };
    let mut list: Vec<Candidate> = problems.iter().flat_map(of).collect();
    list.sort_by_key(|c| c.placed.total_bytes);
    Candidates { problems, list }
}

impl Candidates {
    /// The plan of a candidate.
    ///
    /// # Errors
    /// [`PlanError::Bug`] where it does not pass the verifier.
    pub fn plan(
        &self,
        module: &Module,
        steps: Vec<(NodeId, Lowered)>,
        chosen: &Candidate,
    ) -> Result<Plan, PlanError> {
        assemble::assemble(module, steps, &self.problems[chosen.variant], chosen, Vec::new())
    }

    /// The plan of a candidate whose rows and private bytes are divided over several RAM
    /// regions; what had no place otherwise.
    ///
    /// # Errors
    /// As [`Candidates::plan`].
    pub fn divided_plan(
        &self,
        module: &Module,
        steps: &[(NodeId, Lowered)],
        chosen: &Candidate,
        regions: &Regions,
    ) -> Result<Result<Plan, Full>, PlanError> {
        let problem = &self.problems[chosen.variant];
        match divided::divided(&module.graph, steps, problem, chosen, regions) {
            Ok((candidate, parts)) => {
                assemble::assemble(module, steps.to_vec(), problem, &candidate, parts).map(Ok)
            }
            Err(full) => Ok(Err(full)),
        }
    }
}
