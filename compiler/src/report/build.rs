//! The facts of a build.
//!
//! In: a [`Compiled`] model, its target and budgets, where the crate went. Out:
//! [`BuildReport`]. Invariant: every field says what is known; what is not known
//! is null, never a guess in disguise.

use std::path::Path;

use serde::Serialize;

use super::StackFrame;
use super::choices::ChoiceRow;
use super::dead_channels::DeadChannelsRow;
use super::memory::{self, Budgets, Footprint, MemoryUse, PartRow, RegionRow};
use super::unrolled::UnrollRow;
use crate::Module;
use crate::codegen::RamFacts;
use crate::compile::{Compiled, ScaleSource};
use crate::ir::Graph;
use crate::plan::Plan;
use crate::stack::StackBound;
use crate::target::Target;
use crate::verify::metrics::Decibel;
use crate::verify::quality::OutputQuality;

/// What `tinyc build` made; docs/json.md names every field for users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildReport {
    /// The model file as given.
    pub model: String,
    /// Name of the target.
    pub target: String,
    /// Full part name of the target.
    pub part: String,
    /// Name of the emitted package.
    pub package: String,
    /// Steps that call a kernel.
    pub layers: usize,
    /// Multiply-accumulates of one inference, or of a step of a window that slides; see
    /// [`crate::ops::macs`].
    pub macs: u64,
    /// Trained numbers in the final graph; see [`parameters`].
    pub parameters: u64,
    /// The trained parameters in int8: see [`parameters_bytes`].
    pub parameters_bytes: u64,
    /// Bytes of weights and biases in flash, with what fills them up.
    pub weights_bytes: u64,
    /// Bytes of multipliers, shifts and tables of the layers.
    pub tables_bytes: u64,
    /// Estimated code; see [`super::code_size`].
    pub code_bytes_estimate: u64,
    /// Bytes of the arena.
    pub arena_bytes: u64,
    /// The most bytes that are needed at one moment under this schedule.
    pub live_bound_bytes: u64,
    /// The layer at which that sum is reached; null where no layer runs then.
    pub peak_step: Option<String>,
    /// Deepest stack of any run, computed; null without `--stack`.
    pub stack_bytes: Option<u64>,
    /// The functions on the way to that depth; null without `--stack`.
    pub stack_path: Option<Vec<StackFrame>>,
    /// What the crate keeps in static memory beside the arena; null without `--stack`.
    pub static_bytes: Option<u64>,
    /// `arena_bytes + stack_bytes + static_bytes`; null without `--stack`.
    pub ram_bytes: Option<u64>,
    /// Weights and code against the target's flash.
    pub flash: MemoryUse,
    /// The arena against the RAM region in which it lies.
    pub ram: MemoryUse,
    /// The RAM region for the arena: the fastest in which it is within the budget; null where
    /// the arena is divided over several.
    pub arena_region: Option<RegionRow>,
    /// The parts of an arena that is divided, the fastest region first.
    pub arena_parts: Vec<PartRow>,
    /// Whether flash and RAM are within their budgets.
    pub fits: bool,
    /// SQNR against the float oracle, of the output where it is lowest; null
    /// without real samples.
    pub sqnr_db: Option<Decibel>,
    /// Samples on which that output has the same largest element as the float
    /// oracle's, in percent; null without real samples.
    pub top1_agreement: Option<f64>,
    /// Every output against the float oracle; empty without real samples.
    pub outputs: Vec<OutputRow>,
    /// What the layers' kernels were chosen for: `speed`, `balanced` or `size`.
    pub opt: String,
    /// The layers that had a choice of kernels.
    pub choices: Vec<ChoiceRow>,
    /// The layers that can be unrolled, where that was asked for.
    pub unrolled: Vec<UnrollRow>,
    /// The channels that do not matter for any output and were left out.
    pub dead_channels: DeadChannelsRow,
    /// Where the scales came from.
    pub scales: ScalesRow,
    /// Folder of the crate.
    pub out_dir: String,
    /// Files of the crate.
    pub files: Vec<FileRow>,
    /// Dimensions of each input, in the model's order.
    pub input_shapes: Vec<Vec<usize>>,
    /// How each input lies: `onnx` or `channels-last`.
    pub input_layouts: Vec<String>,
    /// Dimensions of each output, in the model's order.
    pub output_shapes: Vec<Vec<usize>>,
    /// The rows of an input that is pushed; null where inputs are whole.
    pub input_rows: Option<InputRows>,
    /// The window that slides over a stream; null where a run knows nothing of the one
    /// before.
    pub input_frames: Option<InputFrames>,
    /// What was assumed or changed.
    pub notes: Vec<String>,
}

/// An output against the float oracle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputRow {
    /// Its name.
    pub name: String,
    /// Samples compared.
    pub samples: u64,
    /// Largest absolute difference, in the output's unit; null if it is not a number.
    pub max_abs_diff: Option<f64>,
    /// SQNR.
    pub sqnr_db: Option<Decibel>,
    /// Samples with the same largest element, in percent.
    pub top1_agreement: Option<f64>,
}

impl OutputRow {
    /// The row of a comparison.
    #[must_use]
    pub fn of(quality: &OutputQuality) -> Self {
        let diff = &quality.diff;
        Self {
            name: quality.name.clone(),
            samples: diff.top1.total,
            max_abs_diff: Some(diff.max_abs).filter(|d| d.is_finite()),
            sqnr_db: diff.sqnr.db(),
            top1_agreement: diff.top1.percent(),
        }
    }
}

/// Where the scales came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScalesRow {
    /// `model`, `recorded`, `samples` or `synthetic`.
    pub source: &'static str,
    /// The quantization file or the samples.
    pub path: Option<String>,
    /// Samples used for calibration; 0 where the model carries its scales.
    pub samples: usize,
    /// How ranges were chosen.
    pub method: String,
}

impl ScalesRow {
    /// The scales of a compiled model.
    #[must_use]
    pub fn of(compiled: &Compiled) -> Self {
        let (source, path) = match &compiled.scales {
            ScaleSource::Model => ("model", None),
            ScaleSource::Recorded(path) => ("recorded", Some(path)),
            ScaleSource::Samples(path) => ("samples", Some(path)),
            ScaleSource::Synthetic => ("synthetic", None),
        };
        Self {
            source,
            path: path.map(|p| p.display().to_string()),
            samples: compiled.quant_file.samples,
            method: compiled.quant_file.method.clone(),
        }
    }
}

/// The rows of an input that is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InputRows {
    /// Rows of a frame.
    pub rows: usize,
    /// Bytes of a row.
    pub row_bytes: usize,
}

impl InputRows {
    /// Those of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Option<Self> {
        let pushed = plan.pushed.as_ref()?;
        Some(Self { rows: pushed.rows, row_bytes: plan.row_tables[pushed.table].row_bytes })
    }
}

/// A window that slides over a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InputFrames {
    /// Rows of the window.
    pub rows: usize,
    /// Rows of a frame: by so many the window moves in a step.
    pub hop: usize,
    /// Bytes of a row.
    pub row_bytes: usize,
    /// Frames that fill the window.
    pub steps: usize,
    /// Bytes of the arena that are kept between two steps.
    pub kept_bytes: usize,
    /// Multiply-accumulates of a window of which nothing is kept.
    pub window_macs: u64,
}

impl InputFrames {
    /// That of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Option<Self> {
        let slide = plan.slide.as_ref()?;
        Some(Self {
            rows: slide.rows,
            hop: slide.hop,
            row_bytes: plan.row_tables[slide.kept[slide.input].table].row_bytes,
            steps: slide.steps(),
            kept_bytes: plan.kept_bytes(),
            window_macs: slide.window_macs,
        })
    }
}

/// A file of the crate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileRow {
    /// Path within the crate, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// What a report needs besides the compiled model.
#[derive(Debug, Clone, Copy)]
pub struct Emitted<'a> {
    /// The model file.
    pub model: &'a Path,
    /// The chip.
    pub target: &'a Target,
    /// Shares of its memories.
    pub budgets: &'a Budgets,
    /// The package's name.
    pub package: &'a str,
    /// Folder of the crate.
    pub out_dir: &'a Path,
    /// Its files.
    pub files: &'a [FileRow],
    /// RAM beside the arena, if it was computed.
    pub ram: Option<RamFacts>,
    /// Its deepest stack, if it was computed.
    pub stack: Option<&'a StackBound>,
}

impl BuildReport {
    /// The report of a build.
    #[must_use]
    pub fn new(compiled: &Compiled, emitted: &Emitted<'_>) -> Self {
        let plan = &compiled.plan;
        let need = Footprint::of(plan);
        let flash = memory::flash(&need, emitted.target, emitted.budgets);
        let ram = memory::ram(&need, emitted.target, emitted.budgets);
        let outputs: Vec<OutputRow> = compiled.quality.iter().map(OutputRow::of).collect();
        let worst = worst(&outputs);
        Self {
            model: emitted.model.display().to_string(),
            target: emitted.target.name.clone(),
            part: emitted.target.part.clone(),
            package: emitted.package.to_owned(),
            layers: layers(plan),
            macs: plan.steps.iter().map(|step| step.macs).sum(),
            parameters: parameters(&compiled.module.graph),
            parameters_bytes: parameters_bytes(&compiled.module),
            weights_bytes: need.weights_bytes,
            tables_bytes: need.tables_bytes,
            code_bytes_estimate: need.code_bytes,
            arena_bytes: need.arena_bytes,
            live_bound_bytes: plan.live_bound_bytes as u64,
            peak_step: need.peak_step,
            stack_bytes: emitted.ram.map(|ram| ram.stack_bytes),
            stack_path: emitted.stack.map(StackFrame::path),
            static_bytes: emitted.ram.map(|ram| ram.static_bytes),
            ram_bytes: emitted.ram.map(|ram| need.arena_bytes + ram.stack_bytes + ram.static_bytes),
            flash,
            ram,
            arena_region: plan
                .parts
                .is_empty()
                .then(|| RegionRow::of(need.arena_bytes, emitted.target, emitted.budgets)),
            arena_parts: PartRow::all(plan, emitted.target),
            fits: flash.fits() && ram.fits(),
            sqnr_db: worst.and_then(|w| w.sqnr_db),
            top1_agreement: worst.and_then(|w| w.top1_agreement),
            outputs,
            opt: compiled.opt.to_string(),
            choices: ChoiceRow::all(compiled),
            unrolled: UnrollRow::all(compiled),
            dead_channels: DeadChannelsRow::of(&compiled.module.dead),
            scales: ScalesRow::of(compiled),
            out_dir: emitted.out_dir.display().to_string(),
            files: emitted.files.to_vec(),
            input_shapes: plan.inputs.iter().map(|io| io.shape.0.clone()).collect(),
            input_layouts: plan.inputs.iter().map(|io| io.layout.to_string()).collect(),
            output_shapes: plan.outputs.iter().map(|io| io.shape.0.clone()).collect(),
            input_rows: InputRows::of(plan),
            input_frames: InputFrames::of(plan),
            notes: compiled.module.notes.clone(),
        }
    }
}

/// The output with the lowest SQNR.
pub(super) fn worst(outputs: &[OutputRow]) -> Option<&OutputRow> {
    let db = |row: &OutputRow| row.sqnr_db.map_or(f64::INFINITY, |d| d.0);
    outputs.iter().min_by(|a, b| db(a).total_cmp(&db(b)))
}

/// Steps that call a kernel: views cost nothing and do not count.
#[must_use]
pub fn layers(plan: &Plan) -> usize {
    plan.steps.iter().filter(|step| !step.work.calls().is_empty()).count()
}

/// Bytes of the trained parameters of the final graph: one a weight, four a bias, for each
/// layer that has them.
#[must_use]
pub fn parameters_bytes(module: &Module) -> u64 {
    let layers = module.graph.order().iter().filter_map(|id| module.quant.layers.get(id));
    layers.map(|layer| (layer.weights.len() + 4 * layer.bias.len()) as u64).sum()
}

/// Trained numbers in the final graph: the elements of the constants that its
/// nodes read (weights and biases, after batch normalization was folded into
/// them). A constant that several nodes read counts once.
#[must_use]
pub fn parameters(graph: &Graph) -> u64 {
    let mut constants: Vec<_> = graph
        .order()
        .iter()
        .flat_map(|&id| graph.node(id).inputs.iter().copied())
        .filter(|&value| graph.constant(value).is_some())
        .collect();
    constants.sort_unstable();
    constants.dedup();
    constants.into_iter().map(|value| graph.shape(value).elements() as u64).sum()
}
