//! Planning: from a quantized graph to a schedule with offsets.
//!
//! In: a quantized [`Module`]. Out: a [`Plan`]: steps in order, each with the
//! kernel calls it makes and the arena bytes and constants that they get.
//! Invariant: [`verify`] has proven every plan that [`plan()`] returns; code that
//! needs offsets cannot be reached without one.

pub mod arena;
pub mod cascade;
pub mod choose;
mod display;
pub mod divide;
pub mod family;
pub mod ids;
mod joined;
mod liveness;
mod parts;
pub mod regions;
mod replay;
mod rows;
mod schedule;
mod share;
mod slide;
pub mod strategy;
mod tags;
pub mod unroll;
pub mod verify;
mod weights;

use std::collections::{BTreeMap, BTreeSet};

pub use ids::{ArenaRange, BufferId, ConstRange, RegionId, StepId, Time};
pub use parts::Part;
pub use rows::{Cascade, Event, KeptRows, Pushed, RowTable, RowWork, Slide};

use divide::{Division, Full};
use regions::Regions;

use crate::Module;
use crate::ir::{Graph, Layout, Node, NodeId, QuantParams, Shape, ValueId};
use crate::lower::sweep::RowOrder;
use crate::lower::{Call, Kernel, KernelSet, LowerError, Lowered};
use crate::ops;

/// Word accesses of kernels want their activations aligned like this.
const ACTIVATION_ALIGN: usize = 4;

/// A model ready to be emitted; see the module's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The model's name.
    pub name: String,
    /// What runs, in order.
    pub steps: Vec<Step>,
    /// Runs of steps that work row by row together, in order. Every step of
    /// [`Work::Rows`] is in one.
    pub cascades: Vec<Cascade>,
    /// Where the rows lie that those steps read and write.
    pub row_tables: Vec<RowTable>,
    /// The input that the caller pushes row by row; `None` where it writes all inputs
    /// before a run.
    pub pushed: Option<Pushed>,
    /// What is kept from step to step of a window that slides over a stream; `None`
    /// where a run knows nothing of the one before.
    pub slide: Option<Slide>,
    /// The buffers of the arena.
    pub buffers: Vec<Buffer>,
    /// Size of the arena: inputs, outputs, everything between and scratch.
    pub arena_bytes: usize,
    /// The RAM regions over which the arena is divided, in the order of its offsets; empty
    /// where it is one buffer.
    pub parts: Vec<Part>,
    /// The largest number of bytes that are needed at one moment under this
    /// schedule, where a step's dying operand and its output overlap as far as
    /// its kernel allows: no arrangement of whole tensors needs less.
    pub live_bound_bytes: usize,
    /// The step at which that sum is reached; `None` where it is reached before
    /// the first or after the last step.
    pub peak_step: Option<StepId>,
    /// The constants of all calls; a 4-byte word is little-endian.
    pub weights: Vec<u8>,
    /// Bytes of `weights` that are multipliers, shifts and tables; the rest are weights
    /// and biases, with what fills them up.
    pub table_bytes: usize,
    /// The shapes of layers that have a body of their own, see [`unroll`](mod@unroll).
    pub unrolled: BTreeSet<unroll::Shape>,
    /// What the caller writes, in the model's order.
    pub inputs: Vec<IoPlan>,
    /// What the caller reads, in the model's order.
    pub outputs: Vec<IoPlan>,
}

/// A node of the graph at its place in the schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The node.
    pub node: NodeId,
    /// The ONNX node's name.
    pub name: String,
    /// The ONNX operator.
    pub onnx_op: String,
    /// Names of the ONNX nodes that were fused into it.
    pub fused: Vec<String>,
    /// The activations that it reads.
    pub inputs: Vec<ValueId>,
    /// The activation that it makes.
    pub output: ValueId,
    /// Where that lies.
    pub output_range: ArenaRange,
    /// What of it are bytes of activations where these lie: of a view all, and of what is
    /// joined the operands that were written in place. No call writes or reads these.
    pub shown: Vec<Operand>,
    /// How it is made.
    pub work: Work,
    /// Bytes of the arena that it needs while it runs, at least: counted as for
    /// [`Plan::live_bound_bytes`].
    pub live_bytes: usize,
    /// Multiply-accumulates of a run.
    pub macs: u64,
}

/// What a step does; everything that walks a plan matches on this enum.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Nothing: the output is what the step shows.
    View,
    /// Whole tensors, one call after the other; rows are contiguous.
    Whole(Vec<PlannedCall>),
    /// Some rows at a time, in the order of its cascade.
    Rows(Box<RowWork>),
}

impl Work {
    /// The calls that it makes.
    pub fn calls(&self) -> &[PlannedCall] {
        match self {
            Work::View => &[],
            Work::Whole(calls) => calls,
            Work::Rows(work) => std::slice::from_ref(&work.call),
        }
    }
}

/// A kernel call with everything that it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCall {
    /// Which kernel, with what parameters.
    pub kernel: Kernel,
    /// Its constants; empty where it has none.
    pub consts: ConstRange,
    /// The activations that it reads.
    pub inputs: Vec<Operand>,
    /// The bytes that it writes.
    pub output: ArenaRange,
    /// Its private bytes; empty where it needs none.
    pub scratch: ArenaRange,
    /// Positions of the operands whose very bytes the output may be.
    pub in_place: Vec<usize>,
    /// The order of its rows: backward where the output lies a little above the
    /// operand that it overwrites.
    pub order: RowOrder,
}

impl PlannedCall {
    /// Whether the output overlaps the only operand other than in place, so that
    /// rows must be read before they are overwritten.
    pub fn overlaps_operand(&self) -> bool {
        match self.inputs.as_slice() {
            [operand] => operand.range.overlaps(&self.output) && !self.in_place.contains(&0),
            _ => false,
        }
    }
}

/// An activation as a call reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operand {
    /// Which one.
    pub value: ValueId,
    /// Where it lies.
    pub range: ArenaRange,
}

/// Bytes of the arena for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// What it holds.
    pub kind: BufferKind,
    /// Size.
    pub bytes: usize,
    /// Its offset is a multiple of this power of two.
    pub align: usize,
    /// The moment at which it is first written.
    pub first: Time,
    /// The moment at which it is last read.
    pub last: Time,
    /// First byte, from the start of the arena.
    pub offset: usize,
}

impl Buffer {
    /// Where it lies.
    pub fn range(&self) -> ArenaRange {
        ArenaRange { offset: self.offset, bytes: self.bytes }
    }
}

/// What a buffer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BufferKind {
    /// Values that are views of each other, or follow each other in place.
    Values(Vec<ValueId>),
    /// A row of values that are views of each other.
    Row {
        /// The value that is made, and its views.
        values: Vec<ValueId>,
        /// Which row.
        row: usize,
    },
    /// Private bytes of a call.
    Scratch {
        /// The step.
        step: StepId,
        /// Position of the call in the step.
        call: usize,
    },
}

/// A graph input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct IoPlan {
    /// The value.
    pub value: ValueId,
    /// The ONNX tensor's name.
    pub name: String,
    /// Dimensions as the caller sees them.
    pub shape: Shape,
    /// How they follow from the ONNX tensor's; outputs lie as that does.
    pub layout: Layout,
    /// Where it lies; of a pushed input, from its lowest row to its highest.
    pub range: ArenaRange,
    /// What its codes mean.
    pub params: QuantParams,
    /// For an input: whether a run writes over it, so that the caller must fill
    /// it again. `false` for outputs.
    pub overwritten: bool,
}

/// A model that cannot be planned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A node whose integers do not fit the kernels.
    #[error("node '{node}' ({op}): {source}")]
    Lower {
        /// The ONNX node.
        node: String,
        /// The ONNX operator.
        op: String,
        /// Why.
        source: LowerError,
    },
    /// A model whose input cannot be pushed row by row.
    #[error("the input cannot be pushed row by row: {reason}; build without --input rows")]
    Rows {
        /// Which node is in the way, and why.
        reason: String,
    },
    /// A model of which nothing is kept when its window slides.
    #[error("the window cannot slide row by row: {reason}; or build without --input frames")]
    Frames {
        /// Which node is in the way, and why.
        reason: String,
    },
    /// A plan that its own verifier refuses.
    #[error("tinyc bug: the plan violates {0}; please report it with the model")]
    Bug(String),
}

/// Plans a quantized module with the general kernels.
///
/// # Errors
/// [`PlanError::Lower`] for the first node whose integers do not fit.
pub fn plan(module: &Module) -> Result<Plan, PlanError> {
    plan_with(module, KernelSet::General)
}

/// Plans a quantized module for a machine that runs this set of kernels best, whole
/// tensor after whole tensor.
///
/// # Errors
/// As [`plan`].
pub fn plan_with(module: &Module, kernels: KernelSet) -> Result<Plan, PlanError> {
    assemble(module, lowered(module, kernels)?)
}

/// Every node of a module as kernel calls, in the order of execution.
///
/// # Errors
/// [`PlanError::Lower`] for the first node whose integers do not fit.
pub fn lowered(module: &Module, kernels: KernelSet) -> Result<Vec<(NodeId, Lowered)>, PlanError> {
    let graph = &module.graph;
    let lower = |id| {
        let lowered = ops::lower_with(graph, &module.quant, id, kernels);
        lowered.map(|lowered| (id, lowered)).map_err(|source| PlanError::Lower {
            node: graph.node(id).name.clone(),
            op: graph.node(id).onnx_op.clone(),
            source,
        })
    };
    schedule::schedule(graph).into_iter().map(lower).collect()
}

/// Plans nodes that are lowered already, in the order given.
///
/// # Errors
/// [`PlanError::Bug`] where the result does not pass [`verify`].
pub fn assemble(module: &Module, steps: Vec<(NodeId, Lowered)>) -> Result<Plan, PlanError> {
    let lives = |steps: &[_]| liveness::lives(&module.graph, steps).map_err(PlanError::Bug);
    let mut found = lives(&steps)?;
    let (mut steps, mut packing) = (steps, found.packed());
    if let Some(joined) = joined::in_place(&module.graph, &steps, true) {
        let of_joined = lives(&joined)?;
        let packed = of_joined.packed();
        // Pieces that keep their distances may pack worse, and must not cost anything.
        if packed.total_bytes <= packing.total_bytes {
            (steps, found, packing) = (joined, of_joined, packed);
        }
    }
    let arena::Packing { offsets, total_bytes } = packing;
    placed(module, steps, found, Division { offsets, total_bytes, parts: Vec::new() })
}

/// The same, with the buffers divided over several RAM regions; what had no place
/// otherwise.
///
/// # Errors
/// As [`assemble`].
pub fn assemble_over(
    module: &Module,
    steps: Vec<(NodeId, Lowered)>,
    regions: &Regions,
) -> Result<Result<Plan, Full>, PlanError> {
    let steps = joined::in_place(&module.graph, &steps, true).unwrap_or(steps);
    let lives = liveness::lives(&module.graph, &steps).map_err(PlanError::Bug)?;
    match lives.divided(&module.graph, &steps, regions) {
        Ok(division) => placed(module, steps, lives, division).map(Ok),
        Err(full) => Ok(Err(full)),
    }
}

/// The plan of steps whose buffers have places.
fn placed(
    module: &Module,
    steps: Vec<(NodeId, Lowered)>,
    mut lives: liveness::Lives,
    division: Division,
) -> Result<Plan, PlanError> {
    let graph = &module.graph;
    let blocks = lives.blocks();
    for (buffer, &offset) in lives.buffers.iter_mut().zip(&division.offsets) {
        buffer.offset = offset;
    }
    let range_of: BTreeMap<ValueId, ArenaRange> =
        lives.buffers_of.keys().map(|&value| (value, lives.range(value))).collect();
    let mut blob = weights::Blob::default();
    let steps: Vec<Step> = steps
        .into_iter()
        .enumerate()
        .map(|(index, (id, lowered))| {
            let node = graph.node(id);
            let step = StepId(index as u32);
            let shown = shown(graph, node, &lowered, range_of[&node.output]);
            let work = if lowered.calls.is_empty() {
                Work::View
            } else {
                Work::Whole(planned(lowered, &lives, step, &range_of, range_of[&node.output], &mut blob))
            };
            Step {
                node: id,
                name: node.name.clone(),
                onnx_op: node.onnx_op.clone(),
                fused: node.fused.clone(),
                inputs: graph.activations(id),
                output: node.output,
                output_range: range_of[&node.output],
                shown,
                work,
                live_bytes: arena::live_bytes(&blocks, &lives.overlaps, step.time().index()),
                macs: ops::macs(graph, id),
            }
        })
        .collect();
    let live_bound_bytes = arena::lower_bound(&blocks, &lives.overlaps);
    let io = |&value: &ValueId, is_input: bool| IoPlan {
        value,
        name: graph.value(value).name.clone(),
        shape: graph.shape(value).clone(),
        layout: if is_input { Layout::of_input(graph, value) } else { Layout::Onnx },
        range: range_of[&value],
        params: module.quant.activation(value),
        overwritten: is_input && writes_over(&steps, range_of[&value]),
    };
    let (weights, table_bytes) = blob.finish();
    let plan = Plan {
        name: graph.name.clone(),
        inputs: graph.inputs.iter().map(|v| io(v, true)).collect(),
        outputs: graph.outputs.iter().map(|v| io(v, false)).collect(),
        peak_step: (0..steps.len())
            .find(|&s| steps[s].live_bytes == live_bound_bytes)
            .map(|s| StepId(s as u32)),
        steps,
        cascades: Vec::new(),
        row_tables: Vec::new(),
        pushed: None,
        slide: None,
        buffers: lives.buffers,
        arena_bytes: division.total_bytes,
        parts: division.parts,
        live_bound_bytes,
        weights,
        table_bytes,
        unrolled: BTreeSet::new(),
    };
    verify::verify(&plan).map_err(PlanError::Bug)?;
    Ok(plan)
}

/// What an output at a range shows, by what its operands' sizes say of where they lie.
fn shown(graph: &Graph, node: &Node, lowered: &Lowered, output: ArenaRange) -> Vec<Operand> {
    if lowered.is_view() {
        return node.inputs.first().map(|&value| Operand { value, range: output }).into_iter().collect();
    }
    let of = |&(value, at): &(ValueId, usize)| Operand {
        value,
        range: ArenaRange { offset: output.offset + at, bytes: graph.shape(value).elements() },
    };
    lowered.shown.iter().map(of).collect()
}

/// The calls of a step with their ranges.
fn planned(
    lowered: Lowered,
    lives: &liveness::Lives,
    step: StepId,
    range_of: &BTreeMap<ValueId, ArenaRange>,
    output: ArenaRange,
    blob: &mut weights::Blob,
) -> Vec<PlannedCall> {
    let scratch = &lives.scratch[step.index()];
    let in_place = lowered.in_place;
    lowered
        .calls
        .into_iter()
        .zip(scratch)
        .map(|(call, scratch)| PlannedCall {
            order: row_order(&call, range_of, output),
            kernel: call.kernel.whole(),
            consts: blob.add(call.consts),
            inputs: call.inputs.iter().map(|&value| Operand { value, range: range_of[&value] }).collect(),
            output,
            scratch: scratch.map(|b| lives.buffers[b.index()].range()).unwrap_or_default(),
            in_place: in_place.clone(),
        })
        .collect()
}

/// The order of rows that suits where a call's operand and output were put.
fn row_order(call: &Call, range_of: &BTreeMap<ValueId, ArenaRange>, output: ArenaRange) -> RowOrder {
    match (call.kernel.sweep(), call.inputs.as_slice()) {
        (Some(sweep), [operand]) => sweep.order(output.offset, range_of[operand].offset),
        _ => RowOrder::Forward,
    }
}

/// Whether any call writes into a range.
fn writes_over(steps: &[Step], range: ArenaRange) -> bool {
    steps.iter().flat_map(|s| s.work.calls()).any(|c| c.output.overlaps(&range) || c.scratch.overlaps(&range))
}
