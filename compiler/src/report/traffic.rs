//! Memory traffic: the bytes that one inference reads and writes.
//!
//! In: the module as imported, or a plan. Out: [`Traffic`]. Invariant: both sides
//! count by the same rule, so that their difference is what fusion saves.
//!
//! The rule: a step reads each of its activations once and its constants once,
//! and writes its output once; int8, so an element is a byte. That a kernel reads
//! a row again for the next window is not counted: it depends on the kernel.
//!
//! - After fusion: the kernel calls of the plan, with the bytes they really get.
//!   Of a window that slides, those of a step: the rows that it reads and makes, and what
//!   is kept, which moves.
//! - Before fusion: every ONNX node as if it were a step of its own, with the
//!   constants that the emitted form would have: a byte a weight, a bias and a
//!   multiplier of 4 bytes each an output channel, 256 bytes for an element-wise
//!   function (its table), 128 for a softmax. The transposes that importing adds around
//!   channel-last operators belong to no ONNX node and are not counted; reshapes
//!   move nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::Module;
use crate::ir::{Graph, NodeId};
use crate::ops::Op;
use crate::plan::{ArenaRange, Event, Plan, PlannedCall, Step, Work};

/// Bytes of the table of an element-wise function: one a code.
const TABLE_BYTES: u64 = 256;
/// Bytes of a softmax's table: 32 factors of 32 bits.
const SOFTMAX_BYTES: u64 = 128;
/// Bytes of a bias or a multiplier.
const WORD_BYTES: u64 = 4;

/// Bytes that one inference moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Traffic {
    /// Activations read and written.
    pub activation_bytes: u64,
    /// Constants read.
    pub weights_bytes: u64,
    /// Both.
    pub total_bytes: u64,
}

impl Traffic {
    fn add(&mut self, activation_bytes: u64, weights_bytes: u64) {
        self.activation_bytes += activation_bytes;
        self.weights_bytes += weights_bytes;
        self.total_bytes += activation_bytes + weights_bytes;
    }
}

/// The traffic of a plan: every kernel call.
#[must_use]
pub fn after_fusion(plan: &Plan) -> Traffic {
    let mut traffic = Traffic::default();
    for step in &plan.steps {
        for call in step.work.calls() {
            let (reads, written) = moved(plan, step, call);
            let activations = reads.iter().sum::<usize>() + written;
            traffic.add(activations as u64, call.consts.bytes as u64);
        }
    }
    // What is kept moves.
    traffic.add(2 * plan.kept_bytes() as u64, 0);
    traffic
}

/// Activation bytes that one inference reads and writes in each part of an arena that is
/// divided, by the rule of [`after_fusion`].
#[must_use]
pub fn by_part(plan: &Plan) -> Vec<u64> {
    let mut bytes = vec![0; plan.parts.len()];
    let mut add = |range: ArenaRange, moved: usize| {
        if let Some(region) = plan.region_of(range) {
            bytes[region.index()] += moved as u64;
        }
    };
    for step in &plan.steps {
        for call in step.work.calls() {
            let (reads, written) = moved(plan, step, call);
            for (operand, read) in call.inputs.iter().zip(reads) {
                add(operand.range, read);
            }
            add(call.output, written);
        }
    }
    for kept in plan.slide.iter().flat_map(|slide| &slide.kept) {
        let row_bytes = plan.row_tables[kept.table].row_bytes;
        add(kept.range(&plan.row_tables), 2 * kept.moved() * row_bytes);
    }
    bytes
}

/// Activation bytes that a call reads of each operand, and those that it writes.
fn moved(plan: &Plan, step: &Step, call: &PlannedCall) -> (Vec<usize>, usize) {
    if let (Work::Rows(work), Some(_)) = (&step.work, &plan.slide) {
        let units = units(plan, step);
        let read: BTreeSet<usize> = units.iter().flat_map(|&unit| work.form.reads(unit)).collect();
        let written = units.iter().filter(|&&unit| work.form.writes(unit).is_some()).count();
        let walk = &work.form.walk;
        let reads = vec![read.len() * walk.in_row_bytes; work.inputs.len()];
        return (reads, written * walk.out_row_bytes);
    }
    if let Work::Rows(work) = &step.work {
        let walk = &work.form.walk;
        let reads = (0..work.inputs.len()).map(|at| walk.in_rows * work.form.in_row_bytes(at)).collect();
        return (reads, walk.out_rows * walk.out_row_bytes);
    }
    // The parts of a concatenation share the output: each writes what it reads.
    let written = match &call.kernel {
        crate::lower::Kernel::Copy(p) if !p.fill => p.dims.iter().product(),
        _ => call.output.bytes,
    };
    (call.inputs.iter().map(|operand| operand.range.bytes).collect(), written)
}

/// The units of a step that are run.
fn units(plan: &Plan, step: &Step) -> Vec<usize> {
    let own = |event: Event| match event {
        Event::Rows(id, units) if plan.steps[id.index()].node == step.node => Some(units),
        _ => None,
    };
    plan.events().into_iter().filter_map(own).flatten().collect()
}

/// The traffic of a module as imported, before any pass: every ONNX node by itself.
#[must_use]
pub fn before_fusion(imported: &Module) -> Traffic {
    let graph = &imported.graph;
    let mut by_onnx_node: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
    for &id in graph.order() {
        by_onnx_node.entry(&graph.node(id).name).or_default().push(id);
    }
    let mut traffic = Traffic::default();
    for nodes in by_onnx_node.values() {
        let works = nodes.iter().any(|&id| !rearranges(&graph.node(id).op));
        for &id in nodes.iter().filter(|&&id| !works || !rearranges(&graph.node(id).op)) {
            let (activations, constants) = alone(graph, id);
            traffic.add(activations, constants);
        }
    }
    traffic
}

fn rearranges(op: &Op) -> bool {
    matches!(op, Op::Transpose(_) | Op::Reshape)
}

/// Activation and constant bytes of a node that is a step of its own.
fn alone(graph: &Graph, id: NodeId) -> (u64, u64) {
    let node = graph.node(id);
    if node.op == Op::Reshape {
        return (0, 0);
    }
    let read: usize = graph.activations(id).iter().map(|&v| graph.shape(v).elements()).sum();
    let activations = (read + graph.shape(node.output).elements()) as u64;
    let constants = match &node.op {
        Op::Conv(_) | Op::Dense => {
            let weights = graph.shape(node.inputs[1]);
            weights.elements() as u64 + 2 * WORD_BYTES * weights.0[0] as u64
        }
        Op::Affine => graph.shape(node.inputs[1]).elements() as u64 * (1 + 2 * WORD_BYTES),
        Op::Unary(_) => TABLE_BYTES,
        Op::Softmax => SOFTMAX_BYTES,
        _ => 0,
    };
    (activations, constants)
}
