//! The models whose cost is watched, and the figures that may not get worse.
//!
//! In: the folders of [`crate::models`]. Out: a [`Measured`] a case, the
//! committed baseline, and what got worse than it allows. Invariant: cases are
//! float models, calibrated on their set's calibration samples, and one
//! calibration sample is run; every figure repeats to the digit, so a change
//! in one is a change in the code.

pub mod document;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tinyc::bench::{BenchReport, bench};
use tinyc::compile::{CompileOptions, Compiled, Silent, compile, input_specs};
use tinyc::cost::{Costs, Unit};
use tinyc::ir::{Graph, NodeId};
use tinyc::ops::Op;
use tinyc::plan::choose::Opt;
use tinyc::report::analyze::step_cost;
use tinyc::report::{Budgets, code_size};
use tinyc::samples::{SampleFile, Samples};
use tinyc::target::{ArchFile, Target};
use tinyc::verify::emulator::{Core, FirmwareOptions};
use tinyc::verify::quality::input_codes;

use crate::models::{CASES, Form};

/// A model on a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// Name of the float model.
    pub model: &'static str,
    /// The chip that it is built for.
    pub target: &'static str,
    /// Its core, as emulated.
    pub core: Core,
    /// What the layers' forms are chosen for, within the chip's budgets.
    pub opt: Opt,
}

const fn on(model: &'static str, target: &'static str, core: Core, opt: Opt) -> Watched {
    Watched { model, target, core, opt }
}

/// The MLPerf Tiny models on a Cortex-M4, a Cortex-M7 and a Cortex-M55, and the smallest convolutional
/// one on cores without DSP instructions.
pub const WATCHED: [Watched; 19] = [
    on("kws_dscnn", "stm32f411", Core::M4, Opt::Speed),
    on("kws_dscnn", "stm32f411", Core::M4, Opt::Balanced),
    on("ic_resnet8", "stm32f411", Core::M4, Opt::Speed),
    on("ic_resnet8", "stm32f411", Core::M4, Opt::Balanced),
    on("vww_mobilenet025", "stm32f411", Core::M4, Opt::Speed),
    on("vww_mobilenet025", "stm32f411", Core::M4, Opt::Balanced),
    on("ad_autoencoder", "stm32f411", Core::M4, Opt::Speed),
    on("ad_autoencoder", "stm32f411", Core::M4, Opt::Balanced),
    on("kws_dscnn", "stm32h743", Core::M7, Opt::Speed),
    on("ic_resnet8", "stm32h743", Core::M7, Opt::Speed),
    on("vww_mobilenet025", "stm32h743", Core::M7, Opt::Speed),
    on("ad_autoencoder", "stm32h743", Core::M7, Opt::Speed),
    on("kws_dscnn", "stm32g0b1", Core::M0, Opt::Balanced),
    on("kws_dscnn", "stm32f103", Core::M3, Opt::Balanced),
    on("kws_dscnn", "esp32c3", Core::Rv32, Opt::Balanced),
    on("kws_dscnn", "ensemble-e3-he", Core::M55, Opt::Speed),
    on("ic_resnet8", "ensemble-e3-he", Core::M55, Opt::Speed),
    on("vww_mobilenet025", "ensemble-e3-he", Core::M55, Opt::Speed),
    on("ad_autoencoder", "ensemble-e3-he", Core::M55, Opt::Speed),
];

/// How much worse than the baseline a figure may be: a hundredth.
pub const TOLERANCE: f64 = 0.01;

/// Flash beside weights that may be taken on a Cortex-M4, unless speed is asked for.
pub const CODE_LIMIT_BYTES: u64 = 16 << 10;

/// Weights over one byte a weight and four a bias that may be taken on a Cortex-M4.
pub const WEIGHTS_LIMIT: f64 = 1.02;

/// A case with what was measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The case.
    pub watched: Watched,
    /// Its figures.
    pub report: BenchReport,
    /// What its layers are, beside `report.layers`.
    pub kinds: Vec<Kind>,
    /// Bytes of code and parameters of kernels, by the estimate.
    pub code_estimate: u64,
    /// Cycles, or instructions where the core's cycles are not known, by the cost model;
    /// `None` where nothing is fitted for the core.
    pub estimated: Option<Estimated>,
    /// Cycles with the instructions in the order that suits Cortex-M4, where the chip asks
    /// for another one and it was measured.
    pub m4_order: Option<u64>,
}

/// An estimate beside what was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimated {
    /// What both are numbers of.
    pub unit: Unit,
    /// By the cost model.
    pub estimated: u64,
    /// By the emulator.
    pub counted: u64,
}

/// What a layer is, as people compare engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A convolution of at most three input channels.
    First,
    /// A convolution of 1 x 1.
    Pointwise,
    /// A depthwise convolution.
    Depthwise,
    /// Any other convolution.
    Convolution,
    /// A dense layer.
    Dense,
    /// Pooling.
    Pool,
    /// A sum or product of two tensors.
    Sum,
    /// Everything else.
    Other,
}

impl Kind {
    /// As tables name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::First => "first convolution",
            Kind::Pointwise => "pointwise",
            Kind::Depthwise => "depthwise",
            Kind::Convolution => "convolution",
            Kind::Dense => "fully connected",
            Kind::Pool => "pooling",
            Kind::Sum => "add",
            Kind::Other => "other",
        }
    }

    fn of(graph: &Graph, node: NodeId) -> Self {
        let node = graph.node(node);
        match &node.op {
            Op::Conv(conv) => {
                let channels = graph.shape(node.inputs[0]).0.last().copied().unwrap_or(0);
                match conv.window.kernel {
                    _ if conv.groups > 1 => Kind::Depthwise,
                    _ if channels <= 3 => Kind::First,
                    [1, 1] => Kind::Pointwise,
                    _ => Kind::Convolution,
                }
            }
            Op::Dense => Kind::Dense,
            Op::Pool(_) => Kind::Pool,
            Op::Binary(_) => Kind::Sum,
            _ => Kind::Other,
        }
    }
}

/// Measures a case.
///
/// # Errors
/// The message of what failed.
pub fn measure(
    watched: Watched,
    models: &Path,
    data: &Path,
    firmware: &FirmwareOptions,
) -> Result<Measured, String> {
    let target = Target::lookup(watched.target).map_err(|error| error.to_string())?;
    measure_on(watched, target, models, data, firmware)
}

/// Measures a case, and where its chip asks for an order of instructions of its own, the
/// same plan without that.
///
/// # Errors
/// As [`measure`].
pub fn measure_both(
    watched: Watched,
    models: &Path,
    data: &Path,
    firmware: &FirmwareOptions,
) -> Result<Measured, String> {
    let target = Target::lookup(watched.target).map_err(|error| error.to_string())?;
    let m4_order = match target.arch {
        ArchFile::CortexM7Dsp => {
            let target = Target { arch: ArchFile::CortexMDsp, ..target.clone() };
            measure_on(watched, target, models, data, firmware)?.report.cycles
        }
        _ => None,
    };
    Ok(Measured { m4_order, ..measure_on(watched, target, models, data, firmware)? })
}

fn measure_on(
    watched: Watched,
    target: Target,
    models: &Path,
    data: &Path,
    firmware: &FirmwareOptions,
) -> Result<Measured, String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let case = CASES
        .iter()
        .find(|case| case.name == watched.model && case.form == Form::Float)
        .ok_or("the case is no float model of the list")?;
    let options = CompileOptions {
        kernels: target.arch.kernels(),
        opt: watched.opt,
        limits: Budgets::default().limits(&target),
        ..case.options(data, scratch.path()).compile
    };
    let compiled =
        compile(&case.path(models), &options, &Silent, &mut |_, _| {}).map_err(|error| error.to_string())?;
    let input = sample(&compiled, &options).map_err(|error| error.to_string())?;
    let report =
        bench(&compiled, &target, Some(input), firmware, &Silent).map_err(|error| error.to_string())?;
    let kinds = report
        .layers
        .iter()
        .map(|layer| Kind::of(&compiled.module.graph, compiled.plan.steps[layer.step].node))
        .collect();
    let plan = &compiled.plan;
    let estimated = Costs::of(target.core).map(|costs| Estimated {
        unit: costs.unit(),
        estimated: plan.steps.iter().map(|step| step_cost(plan, step, costs)).sum(),
        counted: match costs.unit() {
            Unit::Cycles => report.cycles.unwrap_or(0),
            Unit::Instructions => report.instructions,
        },
    });
    let code_estimate = code_size::estimate_bytes(plan);
    Ok(Measured { watched, report, kinds, code_estimate, estimated, m4_order: None })
}

/// The codes of the first calibration sample.
pub(crate) fn sample(
    compiled: &Compiled,
    options: &CompileOptions,
) -> Result<Vec<i8>, tinyc::samples::SampleError> {
    let path = options.calib.clone().unwrap_or_default();
    let specs = input_specs(&compiled.module);
    let samples = Samples::bind(SampleFile::open(&path)?, &specs, &compiled.quant_file.preprocess)?;
    Ok(input_codes(&compiled.module, &samples, 0).concat())
}

/// Where the baseline is committed.
#[must_use]
pub fn baseline_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.json")
}

/// The figures that are watched, of one case.
#[must_use]
pub fn figures(measured: &Measured) -> Value {
    let report = &measured.report;
    json!({
        "model": measured.watched.model,
        "target": measured.watched.target,
        "opt": measured.watched.opt.to_string(),
        "instructions": report.instructions,
        "cycles": report.cycles,
        "code_bytes": report.flash_bytes.code + report.flash_bytes.other,
        "weights_bytes": report.flash_bytes.weights,
        "arena_bytes": report.arena_bytes,
    })
}

/// What is more than [`TOLERANCE`] worse than the baseline, a sentence each; a
/// case or figure that the baseline lacks counts.
#[must_use]
pub fn worse(baseline: &Value, now: &Value) -> Vec<String> {
    let name = format!("{} on {} for {}", now["model"], now["target"], now["opt"]).replace('"', "");
    let same = |row: &&Value| ["model", "target", "opt"].iter().all(|key| row[key] == now[key]);
    let Some(before) = baseline.as_array().and_then(|rows| rows.iter().find(same)) else {
        return vec![format!("{name} is not in the baseline")];
    };
    ["instructions", "cycles", "code_bytes", "weights_bytes", "arena_bytes"]
        .into_iter()
        .filter_map(|figure| match (before[figure].as_f64(), now[figure].as_f64()) {
            (Some(old), Some(new)) if new > old * (1.0 + TOLERANCE) => {
                Some(format!("{name}: {figure} {old} -> {new}, {:+.2} %", 100.0 * (new / old - 1.0)))
            }
            (Some(_), None) | (None, Some(_)) => Some(format!("{name}: {figure} came or went")),
            _ => None,
        })
        .collect()
}

/// A sentence where weights take more than [`WEIGHTS_LIMIT`]; Winograd's, of image models with
/// `--opt speed`, are not meant.
#[must_use]
pub fn too_heavy(measured: &Measured) -> Option<String> {
    let Watched { model, core, opt, .. } = measured.watched;
    let ratio = measured.report.weights_ratio.unwrap_or(0.0);
    let limited = core == Core::M4 && (opt != Opt::Speed || model.starts_with("vww"));
    (limited && ratio > WEIGHTS_LIMIT).then(|| format!("{model} for {opt}: {ratio:.4} of its parameters"))
}

/// A sentence where code and tables take more than [`CODE_LIMIT_BYTES`].
#[must_use]
pub fn too_large(measured: &Measured) -> Option<String> {
    let Watched { model, core, opt, .. } = measured.watched;
    let bytes = measured.report.flash_bytes.code + measured.report.flash_bytes.other;
    let limited = core == Core::M4 && opt != Opt::Speed;
    (limited && bytes > CODE_LIMIT_BYTES).then(|| format!("{model} for {opt}: {bytes} B of code and tables"))
}

/// A sentence where the estimated code is more than a tenth off that of the firmware; it
/// is made for cores with DSP instructions.
#[must_use]
pub fn misjudged(measured: &Measured) -> Option<String> {
    let Measured { watched: Watched { model, core, opt, .. }, report, code_estimate, .. } = measured;
    let linked = report.flash_bytes.code + report.flash_bytes.other - report.tables_bytes;
    let off = *core == Core::M4 && code_estimate.abs_diff(linked) * 10 > linked;
    off.then(|| format!("{model} for {opt}: {linked} B of code, estimated {code_estimate} B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cycles: u64, code_bytes: u64) -> Value {
        json!({"model": "m", "target": "t", "opt": "size", "instructions": 1000, "cycles": cycles,
               "code_bytes": code_bytes, "weights_bytes": 0, "arena_bytes": 64})
    }

    #[test]
    fn a_hundredth_is_allowed_and_no_more() {
        let baseline = json!([row(10_000, 500)]);
        assert_eq!(worse(&baseline, &row(10_100, 505)), Vec::<String>::new());
        assert_eq!(worse(&baseline, &row(10_101, 400)), ["m on t for size: cycles 10000 -> 10101, +1.01 %"]);
        assert_eq!(worse(&baseline, &row(9_000, 506)).len(), 1);
        assert_eq!(worse(&json!([]), &row(1, 1)), ["m on t for size is not in the baseline"]);
        let mut without = row(10_000, 500);
        without["cycles"] = Value::Null;
        assert_eq!(worse(&baseline, &without), ["m on t for size: cycles came or went"]);
    }
}
