//! What a window that slides keeps from one step to the next.
//!
//! In: a [`Problem`] whose input moves by `hop` rows a step. Out: for each tensor, the
//! rows that are kept and those that are computed anew; several such problems, from
//! the most kept to the least. Invariant: a row is kept only if it is, whatever the
//! stream, the very row that stood `shift` rows further down in the window before.
//!
//! A row of the window's input is the row `hop` further down of the window before. A row
//! of a layer is such a row too if its whole window lies on such rows, none of it in the
//! padding, and the stride divides their shift. So the rows at the top and at the bottom
//! whose windows reach into the padding, from layer to layer some more, are computed
//! anew in each window; between them only the last `shift` rows are. What must be kept
//! follows from the end backwards: rows that somebody reads and nobody computes anew, and
//! every row below them, since those move up through their places step by step.

use std::ops::Range;

use super::problem::{Kind, Problem};
use crate::cost;
use crate::ir::{Graph, NodeId};
use crate::lower::rows::RowForm;
use crate::lower::{KernelSet, Lowered};
use crate::plan::PlanError;

/// Rows of a tensor that are the same from window to window, but for their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Motion {
    /// Rows by which they move up in a step.
    pub shift: usize,
    /// The rows that the window before had `shift` further down.
    pub same: Range<usize>,
}

/// Rows of a tensor that are kept from step to step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The first of them.
    pub first: usize,
    /// One past the last: where rows are the same no longer.
    pub end: usize,
    /// Rows by which they move up in a step.
    pub shift: usize,
}

impl Kept {
    /// All rows that lie here at some time.
    pub fn rows(&self) -> Range<usize> {
        self.first..self.end
    }

    /// Those that the step before leaves, where this step reads them.
    pub fn before(&self) -> Range<usize> {
        self.first..self.end - self.shift
    }

    /// Those that the next step moves up.
    pub fn after(&self) -> Range<usize> {
        self.end.min(self.first + self.shift)..self.end
    }
}

/// Why nothing of a layer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// It needs all rows at once.
    Whole,
    /// Its stride does not divide the rows by which its input moves: the smallest hop
    /// that works.
    Stride {
        /// Rows of the model's input.
        hop: usize,
    },
    /// Its operands move by different numbers of rows.
    Apart,
    /// All its rows reach into the padding, or over the whole window.
    Edges,
}

/// The motion of every home, and the first obstacle of each step whose operands move.
pub fn motions(problem: &Problem, hop: usize) -> (Vec<Option<Motion>>, Vec<Option<Obstacle>>) {
    let input = |home: &super::problem::Home| {
        let rows = home.rows();
        let moves = home.maker.is_none() && home.row_bytes.is_some() && hop < rows;
        moves.then(|| Motion { shift: hop, same: 0..rows - hop })
    };
    let mut motions: Vec<Option<Motion>> = problem.homes.iter().map(input).collect();
    let mut obstacles = vec![None; problem.steps.len()];
    for (index, step) in problem.steps.iter().enumerate() {
        let operands: Option<Vec<Motion>> = step.reads.iter().map(|&home| motions[home].clone()).collect();
        let Some(operands) = operands.filter(|o| !o.is_empty()) else { continue };
        let found = match &step.kind {
            // A view shows its source's rows.
            Kind::View => continue,
            Kind::Rows(form, _) if !form.gathers && problem.homes[step.writes].row_bytes.is_some() => {
                layer(form, &operands, hop)
            }
            Kind::Rows(..) | Kind::Whole => Err(Obstacle::Whole),
        };
        match found {
            Ok(motion) => motions[step.writes] = Some(motion),
            Err(obstacle) => obstacles[index] = Some(obstacle),
        }
    }
    (motions, obstacles)
}

/// The motion of a layer's output.
fn layer(form: &RowForm, operands: &[Motion], hop: usize) -> Result<Motion, Obstacle> {
    let walk = &form.walk;
    let shift = operands[0].shift;
    if operands.iter().any(|operand| operand.shift != shift) {
        return Err(Obstacle::Apart);
    }
    if !shift.is_multiple_of(walk.stride) {
        let times = walk.stride / greatest_common_divisor(walk.stride, shift);
        return Err(Obstacle::Stride { hop: hop * times });
    }
    let shift = shift / walk.stride;
    let start = operands.iter().map(|o| o.same.start).max().unwrap_or(0);
    let end = operands.iter().map(|o| o.same.end).min().unwrap_or(0);
    // Row `y` reads the rows from `y * stride - pad` to `span` below that.
    let span = (walk.kernel - 1) * walk.dilation;
    let first = (start + walk.pad).div_ceil(walk.stride);
    let last = (end + walk.pad).checked_sub(span + 1).map(|top| top / walk.stride);
    match last.map(|last| (last + 1).min(walk.out_rows.saturating_sub(shift))) {
        Some(end) if first < end => Ok(Motion { shift, same: first..end }),
        _ => Err(Obstacle::Edges),
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Sets what is kept and what is computed: nothing but the input and the homes that are
/// `wanted`.
fn settle(problem: &mut Problem, motions: &[Option<Motion>], wanted: &[bool]) {
    // Homes of one piece are made and read whole.
    let all = |home: &super::problem::Home| vec![home.whole && home.maker.is_some(); home.rows()];
    let mut read: Vec<Vec<bool>> = problem.homes.iter().map(all).collect();
    problem.kept = vec![None; problem.homes.len()];
    for (index, step) in problem.steps.iter().enumerate().rev() {
        let Kind::Rows(form, _) = &step.kind else { continue };
        let home = step.writes;
        let kept = kept(&motions[home], &read[home]).filter(|_| wanted[home]);
        let is_made = |row: &usize| match &kept {
            Some(kept) if kept.rows().contains(row) => !kept.before().contains(row),
            _ => read[home].get(*row).copied().unwrap_or(false),
        };
        let units: Vec<usize> = if form.gathers || problem.homes[home].row_bytes.is_none() {
            let any = read[home].iter().any(|&read| read);
            (0..form.units()).filter(|_| any).collect()
        } else {
            (0..form.walk.out_rows).filter(is_made).collect()
        };
        for row in units.iter().flat_map(|&unit| form.reads(unit)) {
            for &operand in &step.reads {
                let row = if problem.homes[operand].row_bytes.is_some() { row } else { 0 };
                read[operand][row] = true;
            }
        }
        problem.todo[index] = units;
        problem.kept[home] = kept;
    }
    for home in 0..problem.homes.len() {
        if let (None, Some(motion)) = (problem.homes[home].maker, &motions[home]) {
            // A view or a layer on whole tensors reads all of it.
            let info = &problem.homes[home];
            let rows = if info.whole { vec![true; info.rows()] } else { read[home].clone() };
            let end = motion.same.end + motion.shift;
            let none = Kept { first: motion.same.end, end, shift: motion.shift };
            problem.kept[home] = Some(kept(&motions[home], &rows).unwrap_or(none));
        }
    }
}

/// The rows to be kept of a tensor of which these are read.
fn kept(motion: &Option<Motion>, read: &[bool]) -> Option<Kept> {
    let motion = motion.as_ref()?;
    let first = motion.same.clone().find(|&row| read[row])?;
    Some(Kept { first, end: motion.same.end + motion.shift, shift: motion.shift })
}

/// Bytes that are kept, and estimated cycles of a step.
fn price(problem: &Problem, per_unit: &[u64]) -> (usize, u64) {
    let kept = problem.kept.iter().zip(&problem.homes);
    let bytes = kept.flat_map(|(kept, home)| Some(kept.as_ref()?.rows().len() * home.row_bytes?)).sum();
    (bytes, problem.todo.iter().zip(per_unit).map(|(units, cycles)| units.len() as u64 * cycles).sum())
}

/// The most problems that are planned.
const MOST: usize = 6;

/// The problems that keep much to those that keep little.
///
/// # Errors
/// [`PlanError::Frames`], which names the layer behind which nothing can be kept.
pub fn problems(
    graph: &Graph,
    steps: &[(NodeId, Lowered)],
    problem: &Problem,
    hop: usize,
    kernels: KernelSet,
) -> Result<Vec<Problem>, PlanError> {
    let (motions, obstacles) = motions(problem, hop);
    let name = |step: usize| {
        let node = graph.node(steps[step].0);
        format!("node '{}' ({})", node.name, node.onnx_op)
    };
    check(graph, problem, hop)?;
    let per_unit: Vec<u64> = problem
        .steps
        .iter()
        .map(|step| match &step.kind {
            Kind::Rows(form, kernel) => cost::call_cycles(kernel, kernels) / form.units().max(1) as u64,
            _ => 0,
        })
        .collect();
    let of = |wanted: &[bool]| {
        let mut problem = problem.clone();
        settle(&mut problem, &motions, wanted);
        problem
    };
    let made = |problem: &Problem| -> Vec<bool> {
        let kept = problem.kept.iter().zip(&problem.homes);
        kept.map(|(kept, home)| kept.is_some() && home.maker.is_some()).collect()
    };
    let first = of(&vec![true; problem.homes.len()]);
    if !made(&first).contains(&true) {
        let step = obstacles.iter().position(Option::is_some).unwrap_or(0);
        return Err(PlanError::Frames { reason: reason(&name(step), obstacles[step], hop) });
    }
    let mut found = vec![first];
    while let Some(last) = found.last() {
        let wanted = made(last);
        let (bytes, cycles) = price(last, &per_unit);
        // Without which home most bytes go for a cycle more.
        let fewer = (0..wanted.len()).filter(|&home| wanted[home]).map(|home| {
            let mut fewer = wanted.clone();
            fewer[home] = false;
            of(&fewer)
        });
        let gains = fewer.filter_map(|fewer| {
            let (less, more) = price(&fewer, &per_unit);
            let saved = bytes.checked_sub(less).filter(|saved| *saved > 0)?;
            Some((more.saturating_sub(cycles) * 1024 / saved as u64, fewer))
        });
        match gains.min_by_key(|(cost, _)| *cost) {
            Some((_, fewer)) if made(&fewer).contains(&true) => found.push(fewer),
            _ => break,
        }
    }
    // Of many, those that lie evenly between the most and the least.
    let last = found.len() - 1;
    let steps = last.min(MOST - 1);
    let chosen = (0..=steps).map(|n| (n * last).checked_div(steps).unwrap_or(0));
    Ok(chosen.enumerate().map(|(variant, n)| Problem { variant, ..found[n].clone() }).collect())
}

/// What must hold of the input.
fn check(graph: &Graph, problem: &Problem, hop: usize) -> Result<(), PlanError> {
    let fails = |reason: String| Err(PlanError::Frames { reason });
    let names: Vec<String> = graph.inputs.iter().map(|&v| format!("'{}'", graph.value(v).name)).collect();
    let [input] = names.as_slice() else {
        return fails(format!("the model has {} inputs, {}", names.len(), names.join(", ")));
    };
    let Some(home) = problem.homes.iter().find(|home| home.maker.is_none()) else {
        return fails("the model has no input".to_owned());
    };
    if home.is_output {
        return fails(format!("input {input} is also an output of the model"));
    }
    if home.row_bytes.is_none() {
        return fails(format!(
            "no layer reads input {input} by rows, or not all by the same (convolutions, pooling and element-wise layers on [1, H, W, C] do)"
        ));
    }
    if hop >= home.rows() {
        return fails(format!(
            "with --hop {hop} nothing is left of the {} rows of input {input}: use a smaller one",
            home.rows()
        ));
    }
    Ok(())
}

fn reason(name: &str, obstacle: Option<Obstacle>, hop: usize) -> String {
    match obstacle {
        Some(Obstacle::Stride { hop: works }) => {
            format!(
                "{name} moves by a stride that does not divide --hop {hop}, so that none of its rows comes again: use --hop {works}"
            )
        }
        Some(Obstacle::Apart) => format!("the operands of {name} move by different numbers of rows"),
        Some(Obstacle::Edges) => format!(
            "every row of {name} reaches into the padding or over the whole window, so that none comes again"
        ),
        Some(Obstacle::Whole) | None => {
            format!("{name} needs all rows at once, so that nothing is left to keep")
        }
    }
}

/// What the user should know of layers of which nothing is kept although their inputs move.
pub fn notes(graph: &Graph, steps: &[(NodeId, Lowered)], problem: &Problem, hop: usize) -> Vec<String> {
    let (_, obstacles) = motions(problem, hop);
    let stride = obstacles.iter().enumerate().find_map(|(step, obstacle)| match obstacle {
        Some(Obstacle::Stride { hop }) => Some((step, *hop)),
        _ => None,
    });
    let note = |(step, works): (usize, usize)| {
        let node = graph.node(steps[step].0);
        format!(
            "node '{}' ({}) moves by a stride that does not divide --hop {hop}: it and the layers behind it are computed anew in each step; with --hop {works} their rows would be kept",
            node.name, node.onnx_op
        )
    };
    stride.map(note).into_iter().collect()
}
