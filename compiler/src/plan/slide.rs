//! Which rows of a window are rows of the next one.
//!
//! In: a plan whose window slides. Out: [`Same`]. Invariant: it follows the rows of the
//! layers' windows one by one, and knows nothing of what the planner found or keeps.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Plan, RowWork, Work};
use crate::ir::ValueId;

/// For each tensor, which of its rows come again.
#[derive(Debug, Clone, Default)]
pub struct Same(BTreeMap<ValueId, Rows>);

#[derive(Debug, Clone)]
struct Rows {
    row_bytes: usize,
    /// Row `y` is row `y + shift` of the window before.
    shift: usize,
    /// Whether it is, row by row.
    same: Vec<bool>,
}

impl Same {
    /// That of a plan.
    pub fn of(plan: &Plan) -> Same {
        let mut found = Same::default();
        let Some(slide) = &plan.slide else { return found };
        let table = &plan.row_tables[slide.kept[slide.input].table];
        let same = (0..slide.rows).map(|row| row + slide.hop < slide.rows).collect();
        found.0.insert(table.value, Rows { row_bytes: table.row_bytes, shift: slide.hop, same });
        for step in &plan.steps {
            let rows = match &step.work {
                Work::View => step.inputs.first().and_then(|source| found.0.get(source)).cloned(),
                Work::Rows(work) => found.layer(work),
                Work::Whole(_) => None,
            };
            rows.into_iter().for_each(|rows| {
                found.0.insert(step.output, rows);
            });
        }
        found
    }

    /// The rows of a layer's output; `None` where none comes again.
    fn layer(&self, work: &RowWork) -> Option<Rows> {
        let walk = &work.form.walk;
        let operands: Option<Vec<&Rows>> =
            work.call.inputs.iter().map(|operand| self.0.get(&operand.value)).collect();
        let operands = operands?;
        let before = operands.first()?.shift;
        let own = |(at, o): (usize, &&Rows)| o.shift == before && o.row_bytes == work.form.in_row_bytes(at);
        let alike = operands.iter().enumerate().all(own);
        if !alike || work.form.gathers || !before.is_multiple_of(walk.stride) {
            return None;
        }
        let shift = before / walk.stride;
        let comes_again = |row: isize| {
            let row = usize::try_from(row).ok().filter(|row| *row < walk.in_rows);
            row.is_some_and(|row| operands.iter().all(|o| o.same[row]))
        };
        let of = |y: usize| {
            let tap = |tap: usize| (y * walk.stride + tap * walk.dilation) as isize - walk.pad as isize;
            y + shift < walk.out_rows && (0..walk.kernel).all(|t| comes_again(tap(t)))
        };
        Some(Rows { row_bytes: walk.out_row_bytes, shift, same: (0..walk.out_rows).map(of).collect() })
    }

    /// The bytes of a tensor that are bytes of it in the next window, in runs, and how much
    /// further down they are then.
    pub fn moved(&self, value: ValueId) -> Vec<(Range<usize>, isize)> {
        let Some(rows) = self.0.get(&value) else { return Vec::new() };
        let bytes = rows.shift * rows.row_bytes;
        let run = |row: usize| {
            let start = row * rows.row_bytes + bytes;
            (start..start + rows.row_bytes, -(bytes as isize))
        };
        (0..rows.same.len()).filter(|&row| rows.same[row]).map(run).collect()
    }
}
