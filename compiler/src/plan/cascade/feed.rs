//! Whether the rows of an input can be pushed.
//!
//! In: a [`Problem`] whose input is to be pushed. Out: nothing, or the node that is in
//! the way. Invariant: after this check one cascade, that of the first step, reads the
//! input, and reads nothing of it before the row is pushed.

use super::problem::{Kind, Problem};
use crate::ir::{Graph, NodeId};
use crate::lower::Lowered;
use crate::plan::PlanError;

/// Checks a problem with [`Feed::Rows`](crate::Feed::Rows).
///
/// # Errors
/// [`PlanError::Rows`], which names the node.
pub fn check(graph: &Graph, steps: &[(NodeId, Lowered)], problem: &Problem) -> Result<(), PlanError> {
    let fails = |reason: String| Err(PlanError::Rows { reason });
    let names: Vec<String> = graph.inputs.iter().map(|&v| format!("'{}'", graph.value(v).name)).collect();
    let ([input], Some(home)) = (names.as_slice(), problem.pushed()) else {
        return fails(format!(
            "the model has {} inputs, {}, and only one can be",
            names.len(),
            names.join(", ")
        ));
    };
    let of = |step: usize| {
        let node = graph.node(steps[step].0);
        format!("node '{}' ({})", node.name, node.onnx_op)
    };
    let info = &problem.homes[home];
    let views = || (0..problem.steps.len()).filter(|&s| matches!(problem.steps[s].kind, Kind::View));
    let views = views().filter(|&step| problem.steps[step].reads == [home]);
    for step in info.readers.iter().copied().chain(views) {
        if problem.form(step).is_none() {
            return fails(format!(
                "{} reads all of input {input} at once (convolutions, pooling and element-wise layers on [1, H, W, C] read it by rows)",
                of(step)
            ));
        }
    }
    if info.is_output {
        return fails(format!("input {input} is also an output of the model"));
    }
    let Some(&first) = info.readers.first() else {
        return fails(format!("nobody reads input {input}"));
    };
    if info.row_bytes.is_none() {
        let others: Vec<String> = info.readers.iter().map(|&step| of(step)).collect();
        return fails(format!(
            "the readers of input {input} take rows of different sizes: {}",
            others.join(", ")
        ));
    }
    if let Some(between) = (0..=problem.uncut).find(|&step| !problem.joins(0, step)) {
        return fails(format!(
            "{} reads input {input} after {}, which needs whole tensors",
            of(problem.uncut),
            of(between)
        ));
    }
    let Some(form) = problem.form(first) else { return Ok(()) };
    if problem.todo[first].iter().flat_map(|&unit| form.reads(unit)).next().is_none() {
        return fails(format!("{} reads no row of input {input}", of(first)));
    }
    Ok(())
}
