//! How much RAM the plans need, and what less of it costs.
//!
//! In: the folders of [`crate::models`]. Out: [`Planned`] for each model of
//! [`MODELS`] (plans, counted cycles, stack) and [`Large`] for seeded models
//! that are only planned. Invariant: a model is quantized once, so that its
//! plans differ in nothing but what the strategy decides.

pub mod document;

use std::path::Path;
use std::time::{Duration, Instant};

use ndarray::Array4;
use tinyc::bench::{BenchReport, bench};
use tinyc::compile::{CompileOptions, Compiled, Silent, compile};
use tinyc::ir::{InputLayouts, Layout};
use tinyc::lower::KernelSet;
use tinyc::plan::strategy::{self, Asked, Chosen, Curve, Strategy};
use tinyc::report::{Budgets, Footprint};
use tinyc::target::Target;
use tinyc::verify::emulator::FirmwareOptions;

use crate::benchmarks::sample;
use crate::models::{CASES, Form};
use crate::onnx::{mobilenet_v2, random};

/// The chip that everything is measured on.
pub const TARGET: &str = "stm32f411";

/// Float models, smallest input to output.
pub const MODELS: [&str; 5] = ["kws_dscnn", "ic_resnet8", "vww_mobilenet025", "ad_autoencoder", "mnist_cnn"];

/// What is compared, the fastest first.
pub const STRATEGIES: [Strategy; 3] = [Strategy::Fast, Strategy::Balanced, Strategy::Min];

/// A plan of a model, run.
#[derive(Debug, Clone)]
pub struct Run {
    /// What was asked for.
    pub strategy: Strategy,
    /// The most bytes that live at one moment.
    pub bound_bytes: usize,
    /// What was counted.
    pub report: BenchReport,
}

/// A model and its plans.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name.
    pub model: &'static str,
    /// One for each of [`STRATEGIES`].
    pub runs: Vec<Run>,
    /// Every plan that there was to choose from.
    pub curve: Curve,
    /// What looking for all of them took.
    pub planning: Duration,
}

/// A seeded model: planned, not run.
#[derive(Debug, Clone)]
pub struct Large {
    /// What it is.
    pub model: &'static str,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of weights.
    pub weights_bytes: usize,
    /// Strategy, arena and lower bound of the fastest and the smallest plan.
    pub plans: Vec<(Strategy, usize, usize)>,
    /// What looking for all plans took.
    pub planning: Duration,
}

/// Plans and runs a model.
///
/// # Errors
/// The message of what failed.
pub fn measure(
    model: &'static str,
    models: &Path,
    data: &Path,
    firmware: &FirmwareOptions,
) -> Result<Planned, String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let case = CASES
        .iter()
        .find(|case| case.name == model && case.form == Form::Float)
        .ok_or("no float model of the list")?;
    let target = Target::lookup(TARGET).map_err(|error| error.to_string())?;
    let options = CompileOptions {
        kernels: target.arch.kernels(),
        limits: Budgets::default().limits(&target),
        ..case.options(data, scratch.path()).compile
    };
    let compiled =
        compile(&case.path(models), &options, &Silent, &mut |_, _| {}).map_err(|error| error.to_string())?;
    let input = sample(&compiled, &options).map_err(|error| error.to_string())?;
    let (smallest, planning) = timed_smallest(&compiled, options.asked())?;
    let curve = smallest.curve.clone();
    let [fast, balanced] = [Strategy::Fast, Strategy::Balanced]
        .map(|strategy| choose(&compiled, Asked { strategy, ..options.asked() }));
    let mut runs = Vec::new();
    for (strategy, chosen) in STRATEGIES.into_iter().zip([fast?, balanced?, smallest]) {
        let planned = Compiled { plan: chosen.plan, choices: chosen.choices, ..compiled.clone() };
        let report = bench(&planned, &target, Some(input.clone()), firmware, &Silent)
            .map_err(|error| format!("{strategy}: {error}"))?;
        runs.push(Run { strategy, bound_bytes: planned.plan.live_bound_bytes, report });
    }
    Ok(Planned { model, runs, curve, planning })
}

/// MobileNetV2 of two sizes, its input channels last, planned with the kernels of [`TARGET`] as if flash
/// were no limit.
///
/// # Errors
/// The message of what failed.
pub fn large() -> Result<Vec<Large>, String> {
    [("MobileNetV2 0.35, 144 x 144", 35, 144), ("MobileNetV2 1.0, 224 x 224", 100, 224)]
        .into_iter()
        .map(|(model, width_percent, side)| plan_seeded(model, width_percent, side))
        .collect()
}

/// One of [`large`].
fn plan_seeded(model: &'static str, width_percent: usize, side: usize) -> Result<Large, String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let [path, calib] = ["model.onnx", "calib.npy"].map(|file| scratch.path().join(file));
    let bytes = mobilenet_v2(model, width_percent, side, 1000).to_bytes();
    std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
    // One sample: the plan does not depend on the ranges.
    let shape = [1, 3, side, side];
    let x = Array4::from_shape_vec(shape, random(model, shape.iter().product(), -2.0, 2.0))
        .map_err(|error| error.to_string())?;
    ndarray_npy::write_npy(&calib, &x).map_err(|error| error.to_string())?;
    let target = Target::lookup(TARGET).map_err(|error| error.to_string())?;
    let kernels: KernelSet = target.arch.kernels();
    let layouts = InputLayouts { all: Layout::ChannelsLast, ..InputLayouts::default() };
    let options = CompileOptions { calib: Some(calib), kernels, layouts, ..CompileOptions::default() };
    let compiled =
        compile(&path, &options, &Silent, &mut |_, _| {}).map_err(|error| format!("{model}: {error}"))?;
    let (smallest, planning) = timed_smallest(&compiled, options.asked())?;
    let fast = choose(&compiled, Asked { strategy: Strategy::Fast, ..options.asked() })?;
    let plans = [(Strategy::Fast, &fast.plan), (Strategy::Min, &smallest.plan)]
        .map(|(strategy, plan)| (strategy, plan.arena_bytes, plan.live_bound_bytes))
        .to_vec();
    Ok(Large {
        model,
        macs: compiled.plan.steps.iter().map(|step| step.macs).sum(),
        weights_bytes: compiled.plan.weights.len(),
        plans,
        planning,
    })
}

fn choose(compiled: &Compiled, asked: Asked) -> Result<Chosen, String> {
    strategy::choose(&compiled.module, asked, &|plan| Footprint::of(plan).flash_bytes())
        .map_err(|error| error.to_string())
}

/// The smallest plan with the curve of all, and how long it took to find.
fn timed_smallest(compiled: &Compiled, asked: Asked) -> Result<(Chosen, Duration), String> {
    let begin = Instant::now();
    let chosen = choose(compiled, Asked { strategy: Strategy::Min, ..asked })?;
    Ok((chosen, begin.elapsed()))
}
