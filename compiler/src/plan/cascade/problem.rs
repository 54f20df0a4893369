//! What the planner of cascades works on.
//!
//! In: a graph with every node lowered. Out: [`Problem`]: what each step reads and
//! writes, in rows where it can. Invariant: a *home* stands for bytes that several
//! values may show (a view shows those of its source); steps speak of homes alone.

use std::collections::BTreeMap;

use super::kept::Kept;
use super::order::needed_units;
use crate::Feed;
use crate::ir::{Graph, NodeId, ValueId};
use crate::lower::rows::RowForm;
use crate::lower::{Kernel, Lowered};
use crate::plan::joined;

/// Bytes that one or more values show.
#[derive(Debug, Clone)]
pub struct Home {
    /// The value that is made, and those that are views of it.
    pub values: Vec<ValueId>,
    /// Size of the tensor.
    pub bytes: usize,
    /// The step that makes it; `None` for graph inputs.
    pub maker: Option<usize>,
    /// Steps that read it.
    pub readers: Vec<usize>,
    /// Whether the caller reads it after the run.
    pub is_output: bool,
    /// Whether its rows must follow each other: somebody needs all of it at once.
    pub whole: bool,
    /// Bytes of a row, where everyone who works on rows agrees.
    pub row_bytes: Option<usize>,
    /// Whether the caller hands its rows over one by one; a graph input.
    pub pushed: bool,
    /// Homes that lie in it, with their first byte there: what it is joined of in place.
    pub parts: Vec<(usize, usize)>,
    /// The home in which it lies.
    pub within: Option<usize>,
}

impl Home {
    /// Whether the caller has written it before anything runs.
    pub fn is_there(&self) -> bool {
        self.maker.is_none() && !self.pushed
    }

    /// Rows, or the one piece that it is.
    pub fn rows(&self) -> usize {
        self.row_bytes.map_or(1, |bytes| self.bytes / bytes)
    }
}

/// What a step does.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one a layer")]
pub enum Kind {
    /// Nothing: a view, or what is joined in place.
    View,
    /// One or more calls on whole tensors.
    Whole,
    /// A call that can run row by row.
    Rows(RowForm, Kernel),
}

/// A step.
#[derive(Debug, Clone)]
pub struct StepInfo {
    /// What it does.
    pub kind: Kind,
    /// The homes that it reads; for rows, by operand.
    pub reads: Vec<usize>,
    /// The home that it writes.
    pub writes: usize,
    /// The kernel of each call.
    pub calls: Vec<Kernel>,
    /// Private bytes of each call.
    pub scratch_bytes: Vec<usize>,
}

/// Everything; see the module's text.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The homes.
    pub homes: Vec<Home>,
    /// The home of every value.
    pub home_of: BTreeMap<ValueId, usize>,
    /// The steps in order.
    pub steps: Vec<StepInfo>,
    /// The last step of the cascade that reads pushed rows; no cut lies before it.
    pub uncut: usize,
    /// The units that each step runs, ascending.
    pub todo: Vec<Vec<usize>>,
    /// Of a window that slides, the rows of each home that are kept from step to step.
    pub kept: Vec<Option<Kept>>,
    /// Which of the problems of a model this is, where there are several.
    pub variant: usize,
    /// How the caller hands the input over.
    pub feed: Feed,
}

impl Problem {
    /// The problem of a schedule.
    pub fn new(graph: &Graph, steps: &[(NodeId, Lowered)], feed: Feed) -> Problem {
        let mut problem = Problem {
            homes: Vec::new(),
            home_of: BTreeMap::new(),
            steps: Vec::new(),
            uncut: 0,
            todo: Vec::new(),
            kept: Vec::new(),
            variant: 0,
            feed,
        };
        for &input in &graph.inputs {
            let home = problem.add_home(graph, input, None, !feed.by_rows());
            problem.homes[home].pushed = feed == Feed::Rows;
        }
        for (index, (id, lowered)) in joined::fed(graph, steps, feed).iter().enumerate() {
            let info = problem.step(graph, index, *id, lowered);
            problem.steps.push(info);
        }
        for &output in &graph.outputs {
            let home = problem.home_of[&output];
            problem.homes[home].is_output = true;
            problem.homes[home].whole = true;
        }
        problem.settle_rows();
        let readers = problem.homes.iter().filter(|home| home.pushed).flat_map(|home| &home.readers);
        problem.uncut = readers.copied().max().unwrap_or(0);
        problem.kept = vec![None; problem.homes.len()];
        problem.todo = needed_units(&problem);
        problem
    }

    /// Whether a window slides over the input.
    pub fn slides(&self) -> bool {
        self.kept.iter().any(Option::is_some)
    }

    /// Whether a row ever lies anywhere.
    pub fn exists(&self, home: usize, row: usize) -> bool {
        let is_kept = || self.kept[home].as_ref().is_some_and(|kept| kept.rows().contains(&row));
        let made = || {
            let maker = self.homes[home].maker?;
            let (form, home) = (self.form(maker)?, &self.homes[home]);
            Some(home.row_bytes.is_none() || self.todo[maker].binary_search(&form.unit_of(row)).is_ok())
        };
        !self.slides() || is_kept() || made().unwrap_or(self.homes[home].maker.is_some())
    }

    /// Whether a row is there before anything runs.
    pub fn is_there(&self, home: usize, row: usize) -> bool {
        let info = &self.homes[home];
        match &self.kept[home] {
            // The caller has written the newest rows of the input.
            Some(kept) if info.maker.is_none() => kept.rows().contains(&row),
            Some(kept) => kept.before().contains(&row),
            None => info.is_there(),
        }
    }

    /// The home whose rows are pushed.
    pub fn pushed(&self) -> Option<usize> {
        self.homes.iter().position(|home| home.pushed)
    }

    fn add_home(&mut self, graph: &Graph, value: ValueId, maker: Option<usize>, whole: bool) -> usize {
        self.homes.push(Home {
            values: vec![value],
            bytes: graph.shape(value).elements(),
            maker,
            readers: Vec::new(),
            is_output: false,
            whole,
            row_bytes: None,
            pushed: false,
            parts: Vec::new(),
            within: None,
        });
        self.home_of.insert(value, self.homes.len() - 1);
        self.homes.len() - 1
    }

    fn step(&mut self, graph: &Graph, index: usize, id: NodeId, lowered: &Lowered) -> StepInfo {
        let node = graph.node(id);
        if lowered.is_view() {
            let home = self.home_of[&node.inputs[0]];
            self.homes[home].values.push(node.output);
            self.homes[home].whole = true;
            self.home_of.insert(node.output, home);
            return StepInfo {
                kind: Kind::View,
                reads: vec![home],
                writes: home,
                calls: Vec::new(),
                scratch_bytes: Vec::new(),
            };
        }
        let form = match (lowered.calls.as_slice(), graph.shape(node.output).hwc()) {
            ([call], Some(shape)) => call.kernel.row_form(shape).map(|form| (form, call.kernel)),
            _ => None,
        };
        let read = lowered.calls.iter().flat_map(|c| &c.inputs);
        let read = read.chain(lowered.shown.iter().map(|(value, _)| value));
        let reads: Vec<usize> = read.map(|v| self.home_of[v]).collect();
        let writes = self.add_home(graph, node.output, Some(index), form.is_none());
        for (value, at) in &lowered.shown {
            let part = self.home_of[value];
            self.homes[writes].parts.push((part, *at));
            self.homes[part].within = Some(writes);
        }
        for &home in &reads {
            self.homes[home].readers.push(index);
            self.homes[home].whole |= form.is_none();
        }
        let scratch_bytes = lowered.calls.iter().map(|c| c.scratch_bytes).collect();
        let kind = match form {
            Some((form, kernel)) => Kind::Rows(form, kernel),
            None if lowered.calls.is_empty() => Kind::View,
            None => Kind::Whole,
        };
        StepInfo {
            kind,
            reads,
            writes,
            calls: lowered.calls.iter().map(|c| c.kernel).collect(),
            scratch_bytes,
        }
    }

    /// Row sizes of homes, where all agree; a home without one cannot be made or
    /// read in rows by several steps at different times, only as one piece.
    fn settle_rows(&mut self) {
        let mut sizes: Vec<Vec<usize>> = vec![Vec::new(); self.homes.len()];
        for step in &self.steps {
            if let Kind::Rows(form, _) = &step.kind {
                for (operand, &home) in step.reads.iter().enumerate() {
                    sizes[home].push(form.in_row_bytes(operand));
                }
                sizes[step.writes].push(form.walk.out_row_bytes);
            }
        }
        for (home, sizes) in self.homes.iter_mut().zip(&sizes) {
            home.row_bytes = match sizes.as_slice() {
                [first, rest @ ..] if rest.iter().all(|s| s == first) && *first > 0 => Some(*first),
                _ => None,
            };
            home.whole |= home.row_bytes.is_none();
        }
    }

    /// The form of a step that can run row by row.
    pub fn form(&self, step: usize) -> Option<&RowForm> {
        match &self.steps[step].kind {
            Kind::Rows(form, _) => Some(form),
            _ => None,
        }
    }

    /// Whether steps `first..=last` can be one cascade: all have rows, and those
    /// that pass tensors on agree on what a row is.
    pub fn joins(&self, first: usize, last: usize) -> bool {
        (first..=last).all(|step| {
            let agrees = |&home: &usize| {
                let home = &self.homes[home];
                home.row_bytes.is_some() || home.maker.is_none_or(|maker| maker < first)
            };
            self.form(step).is_some() && self.steps[step].reads.iter().all(agrees)
        })
    }
}
