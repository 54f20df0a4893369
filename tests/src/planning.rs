//! How long planning takes, and how near the plans come to their bounds.
//!
//! In: the folders of [`crate::models`]. Out: [`Timed`] for each of MLPerf Tiny's
//! models, MNIST's and seeded large ones. Invariant: what is timed is the choice of the
//! smallest plan alone, from the quantized module to the verified plan.

use std::path::Path;
use std::time::{Duration, Instant};

use ndarray::Array4;
use tinyc::Feed;
use tinyc::compile::{CompileError, CompileOptions, Compiled, Silent, compile};
use tinyc::ir::{InputLayouts, Layout};
use tinyc::plan::PlanError;
use tinyc::plan::strategy::{self, Asked, Chosen, Strategy};
use tinyc::report::{Budgets, Footprint};
use tinyc::target::Target;

use crate::models::{CASES, Form};
use crate::onnx::{ModelBuilder, mobilenet_v2, random, squeezenet};
use crate::ram::{MODELS, TARGET};

/// What a model of [`MODELS`] may take to plan, in an optimised build on two cores.
pub const LIMIT: Duration = Duration::from_secs(1);
/// The same for a model of [`LARGE`].
pub const LARGE_LIMIT: Duration = Duration::from_secs(10);

/// A seeded model, too large for the folders.
#[derive(Debug, Clone, Copy)]
pub struct Seeded {
    /// What it is.
    pub name: &'static str,
    /// Rows, and pixels of a row, of its input.
    pub side: usize,
    build: fn(&'static str) -> ModelBuilder,
}

/// The smaller of two sizes of MobileNetV2.
pub const MOBILENET_144: Seeded = Seeded {
    name: "MobileNetV2 0.35, 144 x 144",
    side: 144,
    build: |name| mobilenet_v2(name, 35, 144, 1000),
};
/// The larger.
pub const MOBILENET_224: Seeded = Seeded {
    name: "MobileNetV2 1.0, 224 x 224",
    side: 224,
    build: |name| mobilenet_v2(name, 100, 224, 1000),
};
/// Modules whose outputs are joined.
pub const SQUEEZENET_224: Seeded =
    Seeded { name: "SqueezeNet 1.1, 224 x 224", side: 224, build: |name| squeezenet(name, 224, 1000) };

/// The seeded models.
pub const LARGE: [Seeded; 3] = [MOBILENET_144, MOBILENET_224, SQUEEZENET_224];

/// The smallest plan of a model.
#[derive(Debug, Clone)]
pub struct Timed {
    /// The model.
    pub model: &'static str,
    /// The plan, and those that there were.
    pub chosen: Chosen,
    /// What finding it took.
    pub planning: Duration,
    /// What it may take.
    pub limit: Duration,
}

/// A model of [`MODELS`] as it is compiled for [`TARGET`].
///
/// # Errors
/// The message of what failed.
pub fn real(model: &str, models: &Path, data: &Path) -> Result<(Compiled, CompileOptions), String> {
    let compiled = real_fed(model, models, data, Feed::Whole)?;
    compiled.ok_or_else(|| "a whole input is always taken".to_owned())
}

/// The same, its input handed over in a way; `None` where the model does not take rows.
///
/// # Errors
/// The message of what failed.
pub fn real_fed(
    model: &str,
    models: &Path,
    data: &Path,
    feed: Feed,
) -> Result<Option<(Compiled, CompileOptions)>, String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let case = CASES
        .iter()
        .find(|case| case.name == model && case.form == Form::Float)
        .ok_or("no float model of the list")?;
    let target = Target::lookup(TARGET).map_err(|error| error.to_string())?;
    let options = CompileOptions {
        kernels: target.arch.kernels(),
        limits: Budgets::default().limits(&target),
        feed,
        ..case.options(data, scratch.path()).compile
    };
    match compile(&case.path(models), &options, &Silent, &mut |_, _| {}) {
        Ok(compiled) => Ok(Some((compiled, options))),
        Err(CompileError::Plan(PlanError::Rows { .. })) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// A seeded model with the kernels of [`TARGET`], its input channels last, as if flash
/// and RAM were no limit.
///
/// # Errors
/// The message of what failed.
pub fn seeded(model: Seeded) -> Result<(Compiled, CompileOptions), String> {
    seeded_fed(model, Feed::Whole)
}

/// The same, its input handed over in a way.
///
/// # Errors
/// The message of what failed.
pub fn seeded_fed(model: Seeded, feed: Feed) -> Result<(Compiled, CompileOptions), String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let [path, calib] = ["model.onnx", "calib.npy"].map(|file| scratch.path().join(file));
    std::fs::write(&path, (model.build)(model.name).to_bytes()).map_err(|error| error.to_string())?;
    // One sample: the plan does not depend on the ranges.
    let shape = [1, 3, model.side, model.side];
    let x = Array4::from_shape_vec(shape, random(model.name, shape.iter().product(), -2.0, 2.0))
        .map_err(|error| error.to_string())?;
    ndarray_npy::write_npy(&calib, &x).map_err(|error| error.to_string())?;
    let target = Target::lookup(TARGET).map_err(|error| error.to_string())?;
    let options = CompileOptions {
        calib: Some(calib),
        kernels: target.arch.kernels(),
        layouts: InputLayouts { all: Layout::ChannelsLast, ..InputLayouts::default() },
        feed,
        ..CompileOptions::default()
    };
    let compiled = compile(&path, &options, &Silent, &mut |_, _| {})
        .map_err(|error| format!("{}: {error}", model.name))?;
    Ok((compiled, options))
}

/// Plans a compiled model again.
///
/// # Errors
/// The planner's message.
pub fn choose(compiled: &Compiled, asked: Asked) -> Result<Chosen, String> {
    strategy::choose(&compiled.module, asked, &|plan| Footprint::of(plan).flash_bytes())
        .map_err(|error| error.to_string())
}

/// The smallest plan of a compiled model, timed.
///
/// # Errors
/// The planner's message.
pub fn smallest(compiled: &Compiled, asked: Asked) -> Result<(Chosen, Duration), String> {
    let begin = Instant::now();
    let chosen = choose(compiled, Asked { strategy: Strategy::Min, ..asked })?;
    Ok((chosen, begin.elapsed()))
}

/// Plans every model, one after the other; `report` sees each as soon as it is done.
///
/// # Errors
/// The message of what failed.
pub fn all(models: &Path, data: &Path, report: &mut dyn FnMut(&Timed)) -> Result<(), String> {
    let mut timed = |model, (compiled, options): (Compiled, CompileOptions), limit| {
        let (chosen, planning) = smallest(&compiled, options.asked())?;
        report(&Timed { model, chosen, planning, limit });
        Ok::<(), String>(())
    };
    for model in MODELS {
        timed(model, real(model, models, data)?, LIMIT)?;
    }
    for model in LARGE {
        timed(model.name, seeded(model)?, LARGE_LIMIT)?;
    }
    Ok(())
}
