//! The facts of an analysis: layer by layer, and totals by the field's formulas.
//!
//! In: a [`Compiled`] model, its module as imported, the error of each layer.
//! Out: [`AnalyzeReport`]. Invariant: layers stand in the order in which they
//! run, and totals follow from the plan, not from the rows' rounded forms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::build::{self, OutputRow, ScalesRow};
use super::imbalance::channel_imbalance;
use super::memory::{self, Budgets, Footprint, MemoryUse};
use super::memory_map::MemoryMap;
use super::stack_path::StackFrame;
use super::traffic::{self, Traffic};
use crate::Module;
use crate::compile::Compiled;
use crate::cost::{Costs, Unit, cost_on};
use crate::ir::{Graph, NodeId, ValueId};
use crate::lower::KernelSet;
use crate::ops::Op;
use crate::plan::family::family;
use crate::plan::strategy::Point;
use crate::plan::unroll::saved_cost;
use crate::plan::{Plan, Step, Work};
use crate::stack::StackBound;
use crate::target::Target;
use crate::verify::metrics::{Decibel, Sqnr};

/// Bytes of a float32 parameter.
const FLOAT_BYTES: u64 = 4;

/// What `tinyc analyze` found; docs/json.md names every field for users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnalyzeReport {
    /// The model file as given.
    pub model: String,
    /// Name of the target; null without one.
    pub target: Option<String>,
    /// Every planned step, in order of execution.
    pub layers: Vec<LayerRow>,
    /// The whole model.
    pub totals: Totals,
    /// The plans that there are, by ascending RAM and descending cycles.
    pub curve: Vec<CurveRow>,
    /// The core whose costs the curve and all choices follow.
    pub curve_core: &'static str,
    /// Weights and code against the target's flash; null without a target.
    pub flash: Option<MemoryUse>,
    /// The arena against the target's RAM region; null without a target.
    pub ram: Option<MemoryUse>,
    /// Whether both are within their budgets; null without a target.
    pub fits: Option<bool>,
    /// Every output against the float oracle; empty without real samples.
    pub outputs: Vec<OutputRow>,
    /// Where the scales came from.
    pub scales: ScalesRow,
    /// What was assumed or changed.
    pub notes: Vec<String>,
    /// The arena over the schedule.
    pub memory_map: MemoryMap,
}

/// One planned step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerRow {
    /// The ONNX node's name.
    pub name: String,
    /// What it computes: the operator of the IR.
    pub op: &'static str,
    /// The ONNX operator.
    pub onnx_op: String,
    /// Names of the ONNX nodes that were fused into it.
    pub fused: Vec<String>,
    /// Dimensions of each activation that it reads.
    pub input_shapes: Vec<Vec<usize>>,
    /// Dimensions of its output.
    pub output_shape: Vec<usize>,
    /// Multiply-accumulates of one inference, or of a step of a window that slides.
    pub macs: u64,
    /// Elements of the constants that it reads.
    pub parameters: u64,
    /// Bytes of constants that its kernels read.
    pub weights_bytes: u64,
    /// Bytes of its output.
    pub activation_bytes: u64,
    /// Bytes of the arena in use while it runs.
    pub live_bytes: u64,
    /// The runtime's kernel family; null for a view, which runs nothing.
    pub kernel: Option<&'static str>,
    /// Estimated cycles on the target, memory never waiting; null without a
    /// target, and for a core of which nothing is published that times could follow from.
    pub cycles_estimate: Option<u64>,
    /// Estimated instructions on such a core; null on others.
    pub instructions_estimate: Option<u64>,
    /// Ratio of the largest to the median channel range of its weights, see
    /// [`channel_imbalance`]; null without weights.
    pub channel_imbalance: Option<f64>,
    /// SQNR of its output against the float oracle; null where it corresponds to
    /// no ONNX tensor, and without real samples.
    pub sqnr_db: Option<Decibel>,
}

/// The whole model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// Steps that call a kernel.
    pub layers: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Trained numbers in the final graph; see [`build::parameters`].
    pub parameters: u64,
    /// Bytes of all constants in flash, equal ones stored once, alignment included.
    pub weights_bytes: u64,
    /// The parameters as float32: 4 bytes each.
    pub float32_bytes: u64,
    /// `float32_bytes / weights_bytes`; null without constants.
    pub compression_ratio: Option<f64>,
    /// Bytes of the arena.
    pub arena_bytes: u64,
    /// The largest `live_bytes`, ports before and after the run included.
    pub peak_activation_bytes: u64,
    /// The layer at the peak; null where no layer runs then.
    pub peak_step: Option<String>,
    /// Deepest stack of any run, computed; null without `--stack`.
    pub stack_bytes: Option<u64>,
    /// The functions on the way to that depth; null without `--stack`.
    pub stack_path: Option<Vec<StackFrame>>,
    /// `weights_bytes + peak_activation_bytes`, and `stack_bytes` if it is known.
    pub peak_working_memory_bytes: u64,
    /// Bytes moved if every ONNX node ran by itself; see [`traffic`].
    pub traffic_before_fusion: Traffic,
    /// Bytes moved by the planned steps.
    pub traffic_after_fusion: Traffic,
    /// Share of the bytes that fusion saves: `1 - after / before`; null where
    /// nothing moves.
    pub traffic_saved: Option<f64>,
    /// Kernel calls per kernel family that is linked: 1 where each family serves
    /// one call only, so that no code is reused; null without calls.
    pub operator_reuse_ratio: Option<f64>,
    /// Multiply-accumulates per byte moved, after fusion; null where nothing moves.
    pub macs_per_byte: Option<f64>,
    /// Estimated cycles of one inference: the sum of the layers'.
    pub cycles_estimate: Option<u64>,
    /// Estimated instructions: the sum of the layers'.
    pub instructions_estimate: Option<u64>,
    /// Those at the target's highest clock, in milliseconds.
    pub ms_estimate: Option<f64>,
    /// The largest imbalance of a layer; null where no layer has one.
    pub channel_imbalance: Option<f64>,
    /// SQNR against the float oracle, of the output where it is lowest; null
    /// without real samples.
    pub sqnr_db: Option<Decibel>,
}

/// A plan that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CurveRow {
    /// Bytes of its arena.
    pub arena_bytes: u64,
    /// The most bytes that live at one moment of it: no placement is smaller.
    pub live_bound_bytes: u64,
    /// Estimated cycles of a run; null where the core's costs are instructions.
    pub cycles_estimate: Option<u64>,
    /// Estimated instructions of a run; null where its costs are cycles.
    pub instructions_estimate: Option<u64>,
    /// Whether layers run row by row.
    pub by_rows: bool,
    /// Whether it is the plan that was taken.
    pub taken: bool,
}

impl CurveRow {
    fn of(point: &Point, taken: &Plan, costs: Costs) -> Self {
        let [cycles_estimate, instructions_estimate] = in_unit(point.cycles, costs);
        Self {
            arena_bytes: point.arena_bytes as u64,
            live_bound_bytes: point.bound_bytes as u64,
            cycles_estimate,
            instructions_estimate,
            by_rows: point.cascades,
            taken: point.arena_bytes == taken.arena_bytes && point.cascades != taken.cascades.is_empty(),
        }
    }
}

/// What an analysis needs besides the compiled model.
#[derive(Debug, Clone, Copy)]
pub struct Analyzed<'a> {
    /// The model file.
    pub model: &'a Path,
    /// The module as imported, before any pass.
    pub imported: &'a Module,
    /// SQNR by value; empty without real samples.
    pub layers: &'a BTreeMap<ValueId, Sqnr>,
    /// The plans that there are.
    pub curve: &'a [Point],
    /// The kernels that it was compiled for.
    pub kernels: KernelSet,
    /// The chip, if one was asked for.
    pub target: Option<&'a Target>,
    /// Shares of its memories.
    pub budgets: &'a Budgets,
    /// Deepest stack of any run, if it was computed.
    pub stack: Option<&'a StackBound>,
}

impl AnalyzeReport {
    /// The report of a compiled model.
    #[must_use]
    pub fn new(compiled: &Compiled, analyzed: &Analyzed<'_>) -> Self {
        let (plan, graph) = (&compiled.plan, &compiled.module.graph);
        let costs = analyzed.target.and_then(|target| Costs::of(target.core));
        let behind = Costs::behind(analyzed.kernels);
        let layers: Vec<LayerRow> =
            plan.steps.iter().map(|step| row(graph, plan, step, analyzed.layers, costs)).collect();
        let outputs: Vec<OutputRow> = compiled.quality.iter().map(OutputRow::of).collect();
        let need = Footprint::of(plan);
        let flash = analyzed.target.map(|target| memory::flash(&need, target, analyzed.budgets));
        let ram = analyzed.target.map(|target| memory::ram(&need, target, analyzed.budgets));
        Self {
            model: analyzed.model.display().to_string(),
            target: analyzed.target.map(|target| target.name.clone()),
            totals: totals(plan, graph, analyzed, &layers, &outputs),
            layers,
            curve: analyzed.curve.iter().map(|point| CurveRow::of(point, plan, behind)).collect(),
            curve_core: behind.label(),
            fits: flash.zip(ram).map(|(flash, ram)| flash.fits() && ram.fits()),
            flash,
            ram,
            outputs,
            scales: ScalesRow::of(compiled),
            notes: compiled.module.notes.clone(),
            memory_map: MemoryMap::of(plan),
        }
    }
}

/// Estimated cost of a planned step on a core.
#[must_use]
pub fn step_cost(plan: &Plan, step: &Step, costs: Costs) -> u64 {
    let calls = step.work.calls();
    let all: u64 = calls.iter().map(|call| cost_on(&call.kernel, costs)).sum();
    let all = all.saturating_sub(saved_cost(plan, calls, costs));
    match &step.work {
        // Where a window slides, of the rows that are run.
        Work::Rows(work) if work.runs < work.units => {
            all * work.runs as u64 / work.form.units().max(1) as u64
        }
        _ => all,
    }
}

/// A cost as cycles or as instructions, whichever it is.
fn in_unit(cost: u64, costs: Costs) -> [Option<u64>; 2] {
    [Unit::Cycles, Unit::Instructions].map(|unit| (costs.unit() == unit).then_some(cost))
}

fn row(
    graph: &Graph,
    plan: &Plan,
    step: &Step,
    sqnr: &BTreeMap<ValueId, Sqnr>,
    costs: Option<Costs>,
) -> LayerRow {
    let node = graph.node(step.node);
    let calls = step.work.calls();
    let [cycles_estimate, instructions_estimate] =
        costs.map_or([None; 2], |costs| in_unit(step_cost(plan, step, costs), costs));
    LayerRow {
        name: step.name.clone(),
        op: node.op.name(),
        onnx_op: step.onnx_op.clone(),
        fused: step.fused.clone(),
        input_shapes: step.inputs.iter().map(|&value| graph.shape(value).0.clone()).collect(),
        output_shape: graph.shape(step.output).0.clone(),
        macs: step.macs,
        parameters: parameters(graph, step.node),
        weights_bytes: calls.iter().map(|call| call.consts.bytes as u64).sum(),
        activation_bytes: graph.shape(step.output).elements() as u64,
        live_bytes: step.live_bytes as u64,
        kernel: calls.first().map(|call| family(&call.kernel).name),
        cycles_estimate,
        instructions_estimate,
        channel_imbalance: imbalance(graph, step.node),
        sqnr_db: sqnr.get(&step.output).and_then(Sqnr::db),
    }
}

fn parameters(graph: &Graph, id: NodeId) -> u64 {
    let constants = graph.node(id).inputs.iter().filter(|&&value| graph.constant(value).is_some());
    constants.map(|&value| graph.shape(value).elements() as u64).sum()
}

/// The imbalance of a node whose weights run over output channels.
fn imbalance(graph: &Graph, id: NodeId) -> Option<f64> {
    let node = graph.node(id);
    match node.op {
        Op::Conv(_) | Op::Dense => channel_imbalance(graph.constant(node.inputs[1])?),
        _ => None,
    }
}

fn totals(
    plan: &Plan,
    graph: &Graph,
    analyzed: &Analyzed<'_>,
    layers: &[LayerRow],
    outputs: &[OutputRow],
) -> Totals {
    let macs: u64 = plan.steps.iter().map(|step| step.macs).sum();
    let parameters = build::parameters(graph);
    let weights_bytes = plan.weights.len() as u64;
    let stack_bytes = analyzed.stack.map(|stack| u64::from(stack.bytes));
    let peak_activation_bytes = plan.live_bound_bytes as u64;
    let (before, after) = (traffic::before_fusion(analyzed.imported), traffic::after_fusion(plan));
    let families: Vec<&str> =
        plan.steps.iter().flat_map(|s| s.work.calls()).map(|call| family(&call.kernel).name).collect();
    let cycles_estimate = layers.iter().map(|layer| layer.cycles_estimate).sum::<Option<u64>>();
    let instructions_estimate = layers.iter().map(|layer| layer.instructions_estimate).sum::<Option<u64>>();
    let linked: BTreeSet<&str> = families.iter().copied().collect();
    Totals {
        layers: build::layers(plan),
        macs,
        parameters,
        weights_bytes,
        float32_bytes: parameters * FLOAT_BYTES,
        compression_ratio: ratio(parameters * FLOAT_BYTES, weights_bytes),
        arena_bytes: plan.arena_bytes as u64,
        peak_activation_bytes,
        peak_step: plan.peak_step.map(|id| plan.steps[id.index()].name.clone()),
        stack_bytes,
        stack_path: analyzed.stack.map(StackFrame::path),
        peak_working_memory_bytes: weights_bytes + peak_activation_bytes + stack_bytes.unwrap_or(0),
        traffic_before_fusion: before,
        traffic_after_fusion: after,
        traffic_saved: ratio(after.total_bytes, before.total_bytes).map(|left| 1.0 - left),
        operator_reuse_ratio: ratio(families.len() as u64, linked.len() as u64),
        macs_per_byte: ratio(macs, after.total_bytes),
        cycles_estimate,
        instructions_estimate,
        ms_estimate: analyzed
            .target
            .zip(cycles_estimate)
            .and_then(|(target, cycles)| target.latency_ms(cycles)),
        channel_imbalance: layers.iter().filter_map(|layer| layer.channel_imbalance).max_by(f64::total_cmp),
        sqnr_db: build::worst(outputs).and_then(|worst| worst.sqnr_db),
    }
}

fn ratio(over: u64, under: u64) -> Option<f64> {
    (under > 0).then(|| over as f64 / under as f64)
}
