//! The figures of a benchmark.
//!
//! In: counts and a plan. Out: [`BenchReport`], which serializes to the
//! documented JSON. Invariant: totals are sums of the layers and of what
//! belongs to none; what no table or data sheet gives is null.

use serde::Serialize;

use super::compare::Comparison;
use super::timing::{Timed, time};
use super::{BenchError, flash};
use crate::compile::Compiled;
use crate::plan::family::family;
use crate::plan::{Plan, Step};
use crate::report::StackFrame;
use crate::report::build::parameters_bytes;
use crate::report::choices::ChoiceRow;
use crate::report::unrolled::UnrollRow;
use crate::target::{Target, Timing};
use crate::verify::counting::{Counted, LayerCounts};
use crate::verify::elf::Elf;
use crate::verify::emulator::Core;
use crate::verify::worst_case::WorstCase;

/// What `tinyc bench` found; docs/json.md names every field for users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// The model's name.
    pub model: String,
    /// Name of the target.
    pub target: String,
    /// The emulated core: `m0` to `rv32`.
    pub core: &'static str,
    /// What the layers' forms were chosen for.
    pub opt: String,
    /// `"sample"` or `"zeros"`.
    pub input: &'static str,
    /// What was measured: `"inference"`, or the last `"step"` of a window that slides.
    pub measured: &'static str,
    /// Highest clock of the target.
    pub clock_hz: Option<u64>,
    /// The published table or the model that cycles follow; null where there is none.
    pub timing: Option<&'static str>,
    /// Instructions of one inference.
    pub instructions: u64,
    /// Estimated cycles with memory that never waits; null without a table.
    pub cycles: Option<u64>,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// `cycles / macs`.
    pub cycles_per_mac: Option<f64>,
    /// Milliseconds at the highest clock, with memory that never waits.
    pub ms: Option<f64>,
    /// Cycles in which the core waits for flash; see [`flash`].
    pub flash_wait_cycles: Option<u64>,
    /// Milliseconds with them.
    pub ms_with_flash: Option<f64>,
    /// Microjoule of `cycles` and `flash_wait_cycles`.
    pub energy_uj: Option<f64>,
    /// Bytes of the arena.
    pub arena_bytes: u64,
    /// Deepest stack of the run, painted and measured.
    pub stack_bytes: u64,
    /// Deepest stack of any run, computed from the firmware's instructions.
    pub stack_bound_bytes: u64,
    /// The functions on the way to that depth.
    pub stack_path: Vec<StackFrame>,
    /// What the crate keeps in static memory beside the arena.
    pub static_bytes: u64,
    /// `arena_bytes + stack_bound_bytes + static_bytes`.
    pub ram_bytes: u64,
    /// Flash of the firmware.
    pub flash_bytes: FlashBytes,
    /// Bytes of `flash_bytes.other` that are the layers' multipliers, shifts and tables.
    pub tables_bytes: u64,
    /// The trained parameters: weights in one byte, biases in four.
    pub parameters_bytes: u64,
    /// `flash_bytes.weights / parameters_bytes`; null where nothing was trained.
    pub weights_ratio: Option<f64>,
    /// The layers that had a choice of kernels, with the bytes that their faster forms cost.
    pub choices: Vec<ChoiceRow>,
    /// The layers that can be unrolled, where that was asked for.
    pub unrolled: Vec<UnrollRow>,
    /// Every planned step that runs, in order.
    pub layers: Vec<LayerRow>,
    /// What belongs to no layer.
    pub rest: Rest,
    /// Against an earlier report, if one was given.
    pub comparison: Option<Comparison>,
}

/// Flash by section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FlashBytes {
    /// Instructions and the literals among them.
    pub code: u64,
    /// Weights and biases as the kernels read them, with what fills them up.
    pub weights: u64,
    /// Everything else that is read only: multipliers, shifts and tables of the layers,
    /// parameters of kernels. What the harness has of its own lies in another section
    /// and counts nowhere.
    pub other: u64,
}

/// One planned step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerRow {
    /// Position in the plan.
    pub step: usize,
    /// The ONNX node's name.
    pub name: String,
    /// The ONNX operator.
    pub onnx_op: String,
    /// The runtime's kernel family, of several the first.
    pub kernel: &'static str,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Instructions, of its kernels as well.
    pub instructions: u64,
    /// Estimated cycles.
    pub cycles: Option<u64>,
    /// `cycles / macs`; null where nothing is multiplied.
    pub cycles_per_mac: Option<f64>,
    /// Milliseconds of `cycles`.
    pub ms: Option<f64>,
    /// Cycles in which the core waits for flash.
    pub flash_wait_cycles: Option<u64>,
    /// Bytes of the weights and biases that it reads.
    pub weights_bytes: u64,
    /// Bytes of the multipliers, shifts and tables that it reads.
    pub tables_bytes: u64,
}

/// What belongs to no layer: the calls of the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rest {
    /// Instructions.
    pub instructions: u64,
    /// Estimated cycles.
    pub cycles: Option<u64>,
}

impl BenchReport {
    pub(super) fn new(
        compiled: &Compiled,
        target: &Target,
        core: Core,
        real: bool,
        steps: &[usize],
        counted: &Counted,
        worst: &WorstCase,
    ) -> Result<Self, BenchError> {
        let (plan, elf, counts) = (&compiled.plan, &counted.elf, &counted.counts);
        let timing = target.core.timing();
        let time = |counts: &LayerCounts| {
            time(counts, elf, core.isa(), timing)
                .ok_or_else(|| BenchError::Bug("instructions ran that the firmware does not hold".to_owned()))
        };
        let mut layers = Vec::new();
        let mut total = time(&counts.outside)?;
        let rest = Rest { instructions: total.instructions, cycles: timing.map(|_| total.cycles) };
        let mut waits = flash::wait_cycles(target, &total, &counts.outside);
        for (&step, counts) in steps.iter().zip(&counts.layers) {
            let planned = &plan.steps[step];
            let timed = time(counts)?;
            if timed.instructions == 0 {
                let name = &planned.name;
                return Err(BenchError::Bug(format!("layer {step} ('{name}') executed nothing")));
            }
            let row = layer(step, planned, target, timing, &timed, counts);
            total.instructions += timed.instructions;
            total.cycles += timed.cycles;
            waits = waits.zip(flash::wait_cycles(target, &timed, counts)).map(|(a, b)| a + b);
            layers.push(row);
        }
        let cycles = timing.map(|_| total.cycles);
        let flash_wait_cycles = waits.filter(|_| waits_known(timing));
        let with_flash = cycles.zip(flash_wait_cycles).map(|(cycles, waits)| cycles + waits);
        let flash_bytes = FlashBytes::of(elf, plan)?;
        let parameters_bytes = parameters_bytes(&compiled.module);
        let macs = plan.steps.iter().map(|step| step.macs).sum();
        Ok(Self {
            model: plan.name.clone(),
            target: target.name.clone(),
            core: core.name(),
            opt: compiled.opt.to_string(),
            input: if real { "sample" } else { "zeros" },
            measured: if plan.slide.is_some() { "step" } else { "inference" },
            clock_hz: target.clock_hz,
            timing: timing.map(Timing::source),
            instructions: total.instructions,
            cycles,
            macs,
            cycles_per_mac: per_mac(cycles, macs),
            ms: cycles.and_then(|cycles| target.latency_ms(cycles)),
            flash_wait_cycles,
            ms_with_flash: with_flash.and_then(|cycles| target.latency_ms(cycles)),
            energy_uj: with_flash.or(cycles).and_then(|cycles| target.energy_uj(cycles)),
            arena_bytes: plan.arena_bytes as u64,
            stack_bytes: counted.run.stack_bytes as u64,
            stack_bound_bytes: u64::from(worst.stack.bytes),
            stack_path: StackFrame::path(&worst.stack),
            static_bytes: worst.static_bytes.saturating_sub(plan.arena_bytes as u64),
            ram_bytes: worst.ram_bytes(),
            flash_bytes,
            tables_bytes: plan.table_bytes as u64,
            parameters_bytes,
            weights_ratio: (parameters_bytes > 0)
                .then(|| flash_bytes.weights as f64 / parameters_bytes as f64),
            choices: ChoiceRow::all(compiled),
            unrolled: UnrollRow::all(compiled),
            layers,
            rest,
            comparison: None,
        })
    }
}

/// Whether [`flash`]'s formula holds: not behind the caches of a core that has a model
/// alone, and whose wait states are cycles of a bus.
fn waits_known(timing: Option<Timing>) -> bool {
    matches!(timing, Some(Timing::Table(_)))
}

fn layer(
    step: usize,
    planned: &Step,
    target: &Target,
    timing: Option<Timing>,
    timed: &Timed,
    counts: &LayerCounts,
) -> LayerRow {
    let calls = planned.work.calls();
    let cycles = timing.map(|_| timed.cycles);
    LayerRow {
        step,
        name: planned.name.clone(),
        onnx_op: planned.onnx_op.clone(),
        kernel: calls.first().map_or("", |call| family(&call.kernel).name),
        macs: planned.macs,
        instructions: timed.instructions,
        cycles,
        cycles_per_mac: per_mac(cycles, planned.macs),
        ms: cycles.and_then(|cycles| target.latency_ms(cycles)),
        flash_wait_cycles: flash::wait_cycles(target, timed, counts).filter(|_| waits_known(timing)),
        weights_bytes: calls.iter().map(|call| (call.consts.bytes - call.consts.table_bytes) as u64).sum(),
        tables_bytes: calls.iter().map(|call| call.consts.table_bytes as u64).sum(),
    }
}

fn per_mac(cycles: Option<u64>, macs: u64) -> Option<f64> {
    cycles.filter(|_| macs > 0).map(|cycles| cycles as f64 / macs as f64)
}

impl FlashBytes {
    /// The parts of a firmware's sections, which add up to them.
    fn of(elf: &Elf, plan: &Plan) -> Result<Self, BenchError> {
        let section = |name| u64::from(elf.section_bytes(name));
        let (constants, weights) = (plan.weights.len() as u64, plan.weights.len() - plan.table_bytes);
        let Some(rest) = section(".rodata").checked_sub(constants) else {
            let text = format!("{constants} B of constants are not in the firmware's .rodata");
            return Err(BenchError::Bug(text));
        };
        let other = rest + plan.table_bytes as u64 + section(".data");
        Ok(Self { code: section(".text"), weights: weights as u64, other })
    }
}
