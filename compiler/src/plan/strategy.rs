//! RAM against speed: which of the possible plans to take.
//!
//! In: a module, a [`Strategy`], the bytes that there are. Out: a plan, and the
//! [`Curve`] of what there was to choose from. Invariant: all plans give the same
//! bytes; a plan that is chosen for its cycles is never larger than asked for.

use std::fmt;
use std::str::FromStr;

use super::cascade::{self, Candidate, Candidates, Effort};
use super::choose::{Choice, Formed, Limits, Opt, formed};
use super::divide::Full;
use super::regions::Regions;
use super::{Plan, PlanError, Work, assemble_over};
use crate::cost;
use crate::ir::NodeId;
use crate::lower::{KernelSet, Lowered};
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
    /// The smallest plan of at most one and a quarter times the cycles of the fastest, the
    /// plan of whole tensors included where the input is pushed (unless no plan for pushed
    /// rows is that fast), or a faster one of a thousandth more bytes.
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// The RAM regions over which an arena may be divided; `limits` speak of the one that
    /// holds most.
    pub regions: Regions,
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
    /// Of a plan that fits no region: why it cannot be divided over several; `None` where
    /// that was not tried.
    pub undivided: Option<Full>,
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
    let arena_bytes = formed.plan.arena_bytes;
    let whole = asked.feed == Feed::Whole;
    let regions = asked.regions.clone();
    // An arena is one buffer where it fits, and where the user wants it divided only in the
    // fastest region.
    let stays = |bytes: usize| bytes <= limit && (!regions.prefers_fast() || regions.fits_fastest(bytes));
    // Where the fastest plan is too large, the user should know what there is beside it.
    if whole && stays(arena_bytes) && matches!(asked.strategy, Strategy::Fast | Strategy::Auto) {
        return Ok(Chosen::alone(formed));
    }
    // Divided it is as fast as whole, and in faster memory.
    if whole && regions.prefers_fast() && matches!(asked.strategy, Strategy::Fast | Strategy::Auto) {
        let divided = assemble_over(module, formed.steps.clone(), &regions)?;
        if let Ok(plan) = divided {
            return Ok(Chosen { plan, ..Chosen::alone(formed) });
        }
    }
    let strategy = asked.strategy;
    let mut survey = Survey::new(module, formed, asked)?;
    let notes = std::mem::take(&mut survey.notes);
    let curve = &survey.curve;
    let points: Vec<usize> = match strategy {
        Strategy::Min => vec![survey.smallest()],
        Strategy::Balanced => vec![fastest_within(curve, curve[survey.smallest()].arena_bytes * 3 / 2)],
        Strategy::Fast if whole => {
            let divided = match regions.may_divide() {
                true => assemble_over(module, survey.formed.steps.clone(), &regions)?.map(Some),
                false => Ok(None),
            };
            let Survey { formed, curve, .. } = survey;
            let chosen = Chosen { curve, ..Chosen::alone(formed) };
            return Ok(match divided {
                Ok(Some(plan)) => Chosen { plan, ..chosen },
                Ok(None) => chosen,
                Err(_) if arena_bytes <= limit => chosen,
                Err(full) => Chosen { undivided: Some(full), ..chosen },
            });
        }
        Strategy::Fast => vec![fastest_within(curve, usize::MAX)],
        // What fits as one buffer goes before what is faster and divided, unless that is asked for.
        Strategy::Auto if !regions.prefers_fast() && curve.iter().any(|point| stays(point.arena_bytes)) => {
            vec![fastest_within(curve, limit)]
        }
        Strategy::Auto if regions.may_divide() => (0..curve.len()).rev().collect(),
        Strategy::Auto => vec![fastest_within(curve, limit)],
    };
    let mut undivided = None;
    let mut found = None;
    for &point in &points {
        let bytes = survey.curve[point].arena_bytes;
        if regions.may_divide() && !stays(bytes) {
            match survey.divided(module, point, &regions)? {
                Ok(plan) => found = Some((point, Some(plan))),
                Err(full) => undivided = Some(full),
            }
        }
        if found.is_none() && bytes <= limit {
            found = Some((point, None));
        }
        if found.is_some() {
            undivided = None;
            break;
        }
    }
    // Where nothing fits, the last is the smallest.
    let (point, divided) = found.unwrap_or_else(|| (points.last().copied().unwrap_or(0), None));
    let mut chosen = survey.take(module, point, divided)?;
    chosen.notes.extend(notes);
    chosen.undivided = undivided;
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

impl Chosen {
    /// The plan of whole tensors, with nothing else looked at.
    fn alone(formed: Formed) -> Chosen {
        Chosen {
            plan: formed.plan,
            choices: formed.choices,
            curve: Curve::new(),
            notes: Vec::new(),
            undivided: None,
        }
    }
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
    /// Estimated cycles of the plan of whole tensors.
    whole_cycles: u64,
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
        let whole = whole_point(&formed.plan, kernels);
        if asked.feed == Feed::Whole {
            points.push((whole, Source::Whole));
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
        Ok(Survey { formed, plain, formed_rows, curve, sources, whole_cycles: whole.cycles, notes })
    }

    /// The first point of at most 5 / 4 of the cycles of the fastest plan, or the last of those
    /// that hardly need more. The plan of whole tensors counts even where rows are pushed, as
    /// long as there are plans that are fast enough beside it.
    fn smallest(&self) -> usize {
        let curve = &self.curve;
        let near = |fastest: u64| curve.iter().position(|p| p.cycles * 4 <= fastest * 5);
        let fastest = curve.last().map_or(0, |p| p.cycles);
        let first = near(fastest.min(self.whole_cycles)).or_else(|| near(fastest)).unwrap_or(0);
        curve
            .get(first)
            .map_or(0, |point| fastest_within(curve, point.arena_bytes + point.arena_bytes / 1000))
    }

    /// The candidate of a point with its steps and choices; `None` where it is the plan of
    /// whole tensors.
    fn rows(&self, point: usize) -> Option<Rows<'_>> {
        let formed = &self.formed;
        match (self.sources[point], &self.formed_rows) {
            (Source::Whole, _) => None,
            (Source::Rows { plain: false, candidate }, Some(all)) => {
                Some(Rows { all, candidate, steps: &formed.steps, choices: &formed.choices })
            }
            (Source::Rows { candidate, .. }, _) => {
                let (steps, choices) = (&formed.plain_steps, &formed.plain_choices);
                Some(Rows { all: &self.plain, candidate, steps, choices })
            }
        }
    }

    /// The plan of a point over several regions; what has no place otherwise.
    fn divided(
        &self,
        module: &Module,
        point: usize,
        regions: &Regions,
    ) -> Result<Result<Plan, Full>, PlanError> {
        match self.rows(point) {
            None => assemble_over(module, self.formed.steps.clone(), regions),
            Some(Rows { all, candidate, steps, .. }) => {
                all.divided_plan(module, steps, &all.list[candidate], regions)
            }
        }
    }

    /// The plan of a point, or of its division.
    fn take(self, module: &Module, point: usize, divided: Option<Plan>) -> Result<Chosen, PlanError> {
        let Some(Rows { all, candidate, steps, choices }) = self.rows(point) else {
            let plan = divided.unwrap_or_else(|| self.formed.plan.clone());
            return Ok(Chosen { plan, curve: self.curve, ..Chosen::alone(self.formed) });
        };
        let candidate = &all.list[candidate];
        let note = candidate.stopped.note(candidate.placed.total_bytes, candidate.bound_bytes);
        let plan = match divided {
            Some(plan) => plan,
            None => all.plan(module, steps.to_vec(), candidate)?,
        };
        let (choices, notes) = (choices.to_vec(), note.into_iter().collect());
        Ok(Chosen { plan, choices, curve: self.curve, notes, undivided: None })
    }
}

/// A candidate, with what it is a candidate for.
struct Rows<'a> {
    all: &'a Candidates,
    candidate: usize,
    steps: &'a [(NodeId, Lowered)],
    choices: &'a [Choice],
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

/// The last point of at most so many bytes, the first where there is none.
fn fastest_within(curve: &Curve, limit: usize) -> usize {
    curve.iter().rposition(|p| p.arena_bytes <= limit).unwrap_or(0)
}
