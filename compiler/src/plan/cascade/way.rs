//! How the layers of a schedule do their work.
//!
//! In: a `Problem`. Out: [`Way`]s, from little RAM to few cycles: how many rows a layer
//! makes at a time, whether it waits to be asked, how long its strips of windows are.
//! Invariant: whatever the way, a layer's kernel computes the same bytes.

use std::ops::Range;

use super::order::Shape;
use super::problem::{Kind, Problem};
use crate::lower::Kernel;

/// How each step does its work; see `Shape` for units, `exact` and `eager`.
#[derive(Debug, Clone)]
pub struct Way {
    /// The most units at a time.
    pub units: Vec<usize>,
    /// Whether no more is done than was asked for.
    pub exact: Vec<bool>,
    /// Whether siblings run along.
    pub eager: Vec<bool>,
    /// The kernel of each step that runs row by row.
    pub driven: Vec<Option<Kernel>>,
    /// Private bytes of each call of each step.
    pub scratch: Vec<Vec<usize>>,
    /// Whether those of a step that runs row by row may lie elsewhere each time.
    pub moving: bool,
}

impl Way {
    fn new(problem: &Problem, style: Style, eager: bool, strip_bytes: usize) -> Way {
        let (count, units) = (problem.steps.len(), units(problem, style));
        let driven = drive(problem, &units, strip_bytes);
        let scratch = scratch(problem, &driven, &units);
        let exact = matches!(style, Style::Exact { .. });
        let (exact, eager) = (vec![exact; count], vec![eager; count]);
        Way { units, exact, eager, driven, scratch, moving: false }
    }

    /// The way with these cuts.
    pub fn shape(&self, cuts: Vec<usize>) -> Shape {
        let Way { units, exact, eager, .. } = self.clone();
        Shape { cuts, units, exact, eager }
    }

    /// Does the work of some steps in another way.
    pub fn take(&mut self, steps: Range<usize>, other: &Way) {
        for step in steps {
            self.units[step] = other.units[step];
            self.exact[step] = other.exact[step];
            self.eager[step] = other.eager[step];
            self.driven[step] = other.driven[step];
            self.scratch[step].clone_from(&other.scratch[step]);
        }
    }
}

impl Way {
    /// Lets steps whose rows lie in one run make one row at a time where the places of such
    /// rows, which count in powers of two that divide their size, are past what a table
    /// holds; whether there were any.
    pub fn tame(&mut self, problem: &Problem, arena_bytes: usize) -> bool {
        let mut any = false;
        for (step, info) in problem.steps.iter().enumerate() {
            let Kind::Rows(form, kernel) = &info.kind else { continue };
            let shift = form.walk.out_row_bytes.trailing_zeros().min(8);
            if form.adjacent && self.units[step] > 1 && arena_bytes >> shift > usize::from(u16::MAX) {
                self.units[step] = 1;
                self.driven[step] = Some(kernel.for_steps(1, SHORT_STRIP));
                any = true;
            }
        }
        if any {
            self.scratch = scratch(problem, &self.driven, &self.units);
        }
        any
    }
}

/// How much is done at a time.
#[derive(Debug, Clone, Copy)]
enum Style {
    /// As many rows everywhere, and none before it is asked for.
    Exact {
        /// How many.
        rows: usize,
    },
    /// Rows wait where a layer makes more than the next one takes.
    Waiting {
        /// Rows of a depthwise convolution.
        depthwise: usize,
        /// Rows of other convolutions of odd width, whose pixels go in pairs.
        odd: usize,
    },
}

/// Every way that is tried for all layers alike.
pub fn all(problem: &Problem) -> Vec<Way> {
    let styles = styles(problem).into_iter();
    let styles = styles.flat_map(|style| strips(style).iter().map(move |&strip_bytes| (style, strip_bytes)));
    styles
        .flat_map(|(style, strip_bytes)| {
            [false, true].map(|eager| Way::new(problem, style, eager, strip_bytes))
        })
        .collect()
}

fn styles(problem: &Problem) -> Vec<Style> {
    let is_quad = |kernel: &Kernel| matches!(kernel, Kernel::DepthwiseQuad(_) | Kernel::DepthwiseLines(_));
    let quads = problem.steps.iter().any(|s| matches!(&s.kind, Kind::Rows(_, kernel) if is_quad(kernel)));
    let mut styles: Vec<Style> = [1, 2, 3, 4, 6, 8].map(|rows| Style::Exact { rows }).into();
    let depthwise: &[usize] = if quads { &[1, 2, 4, 8] } else { &[1] };
    for &depthwise in depthwise {
        styles.extend([1, 2].map(|odd| Style::Waiting { depthwise, odd }));
    }
    styles
}

/// Bytes of scratch that strips of windows may take, for little RAM, and for few cycles.
const SHORT_STRIP: usize = 320;
const LONG_STRIP: usize = 2304;

/// Which strips of windows to try.
fn strips(style: Style) -> &'static [usize] {
    match style {
        Style::Exact { .. } => &[SHORT_STRIP],
        Style::Waiting { odd: 1, .. } => &[SHORT_STRIP, LONG_STRIP],
        Style::Waiting { .. } => &[LONG_STRIP],
    }
}

fn units(problem: &Problem, style: Style) -> Vec<usize> {
    let of = |kind: &Kind| match kind {
        Kind::Rows(form, kernel) => {
            let wanted = match (style, &kernel.even()) {
                (Style::Exact { rows }, Kernel::ConvWinograd(p)) => rows.max(p.tile_h),
                (Style::Exact { rows }, _) => rows,
                (_, Kernel::ConvWinograd(p)) => p.tile_h,
                (Style::Waiting { depthwise, .. }, Kernel::DepthwiseQuad(_) | Kernel::DepthwiseLines(_)) => {
                    depthwise
                }
                (Style::Waiting { odd, .. }, Kernel::ConvTile(p)) if !p.out_w.is_multiple_of(2) => odd,
                _ => 1,
            };
            wanted.min(kernel.most_units(form))
        }
        _ => 1,
    };
    problem.steps.iter().map(|step| of(&step.kind)).collect()
}

fn drive(problem: &Problem, units: &[usize], strip_bytes: usize) -> Vec<Option<Kernel>> {
    let kernel = |(step, &units): (&super::problem::StepInfo, &usize)| match &step.kind {
        Kind::Rows(_, kernel) => Some(kernel.for_steps(units, strip_bytes)),
        _ => None,
    };
    problem.steps.iter().zip(units).map(kernel).collect()
}

fn scratch(problem: &Problem, driven: &[Option<Kernel>], units: &[usize]) -> Vec<Vec<usize>> {
    let of = |index: usize| match &driven[index] {
        Some(kernel) => vec![kernel.row_scratch_bytes(units[index])],
        None => problem.steps[index].scratch_bytes.clone(),
    };
    (0..problem.steps.len()).map(of).collect()
}
