//! RAM against speed: which of the possible plans to take.
//!
//! In: a module, a [`Strategy`], the bytes that there are. Out: a plan, and the
//! [`Curve`] of what there was to choose from. Invariant: all plans give the same
//! bytes; a plan that is chosen for its cycles is never larger than asked for.

use std::fmt;
use std::str::FromStr;

use super::cascade::{self, Candidates, Effort, choose::Candidate};
use super::choose::{Choice, Formed, Limits, Opt, formed};
use super::{Plan, PlanError, Work};
use crate::cost;
use crate::lower::KernelSet;
use crate::{Feed, Module};

/// What matters more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// The fastest plan that fits the budget; the smallest where none does.
    #[default]
    Auto,
    /// The fastest plan, whatever it needs.
    Fast,
    /// The fastest plan in at most one and a half times the bytes of [`Strategy::Min`].
    Balanced,
    /// The smallest plan of at most one and a quarter times the cycles of the fastest, or
    /// a faster one of a thousandth more bytes; the smallest of all where none is.
    Min,
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Strategy::Auto),
            "fast" => Ok(Strategy::Fast),
            "balanced" => Ok(Strategy::Balanced),
            "min" => Ok(Strategy::Min),
            other => Err(format!("'{other}' is no strategy: use fast, balanced, min or auto")),
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Strategy::Auto => "auto",
            Strategy::Fast => "fast",
            Strategy::Balanced => "balanced",
            Strategy::Min => "min",
        })
    }
}

/// A plan that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Bytes of its arena.
    pub arena_bytes: usize,
    /// The most bytes that live at one moment of it.
    pub bound_bytes: usize,
    /// Estimated cycles of a run.
    pub cycles: u64,
    /// Whether it works row by row.
    pub cascades: bool,
}

/// The plans that there are: by ascending bytes, and descending cycles.
pub type Curve = Vec<Point>;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// The kernels that the chip runs best.
    pub kernels: KernelSet,
    /// What the layers' forms are chosen for.
    pub opt: Opt,
    /// What there is of flash and RAM.
    pub limits: Limits,
    /// RAM against speed.
    pub strategy: Strategy,
    /// How the caller hands the input over.
    pub feed: Feed,
    /// What looking for less RAM may take.
    pub effort: Effort,
}

/// A plan and what it was chosen from.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The plan.
    pub plan: Plan,
    /// The layers that had a choice of kernels.
    pub choices: Vec<Choice>,
    /// The plans that there were; empty where nobody had to look for less RAM.
    pub curve: Curve,
    /// What the user should know of how the plan was found.
    pub notes: Vec<String>,
}

/// Plans a module; `flash_bytes` says what a finished plan needs of flash.
///
/// # Errors
/// As [`super::plan`].
pub fn choose(
    module: &Module,
    asked: Asked,
    flash_bytes: &dyn Fn(&Plan) -> u64,
) -> Result<Chosen, PlanError> {
    let formed = formed(module, asked.kernels, asked.opt, asked.limits, flash_bytes)?;
    let limit =
        asked.limits.ram_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let enough = formed.plan.arena_bytes <= limit;
    let whole = asked.feed == Feed::Whole;
    // Where the fastest plan is too large, the user should know what there is beside it.
    if whole && enough && matches!(asked.strategy, Strategy::Fast | Strategy::Auto) {
        return Ok(Chosen {
            plan: formed.plan,
            choices: formed.choices,
            curve: Curve::new(),
            notes: Vec::new(),
        });
    }
    let mut survey = Survey::new(module, formed, asked)?;
    let notes = std::mem::take(&mut survey.notes);
    let point = match asked.strategy {
        Strategy::Min => smallest(&survey.curve),
        Strategy::Balanced => {
            fastest_within(&survey.curve, survey.curve[smallest(&survey.curve)].arena_bytes * 3 / 2)
        }
        Strategy::Fast if whole => {
            let Survey { formed: Formed { plan, choices, .. }, curve, .. } = survey;
            return Ok(Chosen { plan, choices, curve, notes: Vec::new() });
        }
        Strategy::Fast => fastest_within(&survey.curve, usize::MAX),
        Strategy::Auto => fastest_within(&survey.curve, limit),
    };
    let mut chosen = survey.take(module, point)?;
    chosen.notes.extend(notes);
    Ok(chosen)
}

/// Every plan that there is.
///
/// # Errors
/// As [`super::plan`].
pub fn all(module: &Module, asked: Asked, flash_bytes: &dyn Fn(&Plan) -> u64) -> Result<Curve, PlanError> {
    let formed = formed(module, asked.kernels, asked.opt, asked.limits, flash_bytes)?;
    Ok(Survey::new(module, formed, asked)?.curve)
}

/// Where the plan of a point comes from.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// Whole tensors.
    Whole,
    /// A candidate with all layers in their plain forms, or in those of the whole plan.
    Rows { plain: bool, candidate: usize },
}

/// All plans of a module.
struct Survey {
    formed: Formed,
    plain: Candidates,
    /// With the forms of the plan of whole tensors, where these are not all plain.
    formed_rows: Option<Candidates>,
    curve: Curve,
    sources: Vec<Source>,
    /// What the user should know of all of them.
    notes: Vec<String>,
}

impl Survey {
    fn new(module: &Module, formed: Formed, asked: Asked) -> Result<Survey, PlanError> {
        let kernels = asked.kernels;
        let mut notes = Vec::new();
        let mut of = |steps| match asked.feed {
            Feed::Whole => Ok(cascade::candidates(module, steps, kernels, asked.effort)),
            Feed::Rows => cascade::pushed_candidates(module, steps, kernels, asked.effort),
            Feed::Frames { hop } => {
                let (found, of_all) = cascade::sliding_candidates(module, steps, kernels, asked.effort, hop)?;
                notes = of_all;
                Ok(found)
            }
        };
        let plain = of(&formed.plain_steps)?;
        let differs = formed.steps != formed.plain_steps;
        let formed_rows = differs.then(|| of(&formed.steps)).transpose()?;
        let mut points = Vec::new();
        if asked.feed == Feed::Whole {
            points.push((whole_point(&formed.plan, kernels), Source::Whole));
        }
        for (candidates, is_plain) in [(Some(&plain), true), (formed_rows.as_ref(), false)] {
            for (candidate, c) in candidates.iter().flat_map(|c| &c.list).enumerate() {
                points.push((point(c), Source::Rows { plain: is_plain, candidate }));
            }
        }
        // The plan of whole tensors first among equals: its code is the smallest.
        points.sort_by_key(|(p, _)| (p.arena_bytes, p.cycles, p.cascades));
        let mut best = u64::MAX;
        points.retain(|(p, _)| {
            let keeps = p.cycles < best;
            best = best.min(p.cycles);
            keeps
        });
        let (curve, sources) = points.into_iter().unzip();
        Ok(Survey { formed, plain, formed_rows, curve, sources, notes })
    }

    fn take(self, module: &Module, index: usize) -> Result<Chosen, PlanError> {
        let Survey { formed, plain, formed_rows, curve, sources, .. } = self;
        let rows = match (sources[index], &formed_rows) {
            (Source::Whole, _) => None,
            (Source::Rows { plain: false, candidate }, Some(rows)) => {
                Some((rows, candidate, formed.steps, formed.choices.clone()))
            }
            (Source::Rows { candidate, .. }, _) => {
                Some((&plain, candidate, formed.plain_steps, formed.plain_choices))
            }
        };
        let Some((rows, candidate, steps, choices)) = rows else {
            return Ok(Chosen { plan: formed.plan, choices: formed.choices, curve, notes: Vec::new() });
        };
        let candidate = &rows.list[candidate];
        let plan = rows.plan(module, steps, candidate)?;
        let note = candidate.stopped.note(plan.arena_bytes, plan.live_bound_bytes);
        Ok(Chosen { plan, choices, curve, notes: note.into_iter().collect() })
    }
}

fn whole_point(plan: &Plan, kernels: KernelSet) -> Point {
    let calls = plan.steps.iter().filter_map(|step| match &step.work {
        Work::Whole(calls) => Some(calls),
        _ => None,
    });
    Point {
        arena_bytes: plan.arena_bytes,
        bound_bytes: plan.live_bound_bytes,
        cycles: calls.flatten().map(|call| cost::call_cycles(&call.kernel, kernels)).sum(),
        cascades: false,
    }
}

fn point(candidate: &Candidate) -> Point {
    Point {
        arena_bytes: candidate.placed.total_bytes,
        bound_bytes: candidate.bound_bytes,
        cycles: candidate.cycles,
        cascades: true,
    }
}

/// The first point of at most 5 / 4 of the fastest's cycles, or the last of those that
/// hardly need more.
fn smallest(curve: &Curve) -> usize {
    let fastest = curve.last().map_or(0, |p| p.cycles);
    let first = curve.iter().position(|p| p.cycles * 4 <= fastest * 5).unwrap_or(0);
    curve.get(first).map_or(0, |point| fastest_within(curve, point.arena_bytes + point.arena_bytes / 1000))
}

/// The last point of at most so many bytes, the first where there is none.
fn fastest_within(curve: &Curve, limit: usize) -> usize {
    curve.iter().rposition(|p| p.arena_bytes <= limit).unwrap_or(0)
}
