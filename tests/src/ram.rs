//! How much RAM the plans need, and what less of it costs.
//!
//! In: the folders of [`crate::models`]. Out: [`Planned`] for each model of
//! [`MODELS`] (plans, counted cycles, stack) and [`Large`] for seeded models
//! that are only planned. Invariant: a model is quantized once, so that its
//! plans differ in nothing but what the strategy decides.

pub mod document;

use std::path::Path;
use std::time::Duration;

use tinyc::Feed;
use tinyc::bench::{BenchReport, bench};
use tinyc::compile::{Compiled, Silent};
use tinyc::plan::strategy::{Asked, Curve, Strategy};
use tinyc::target::Target;
use tinyc::verify::emulator::FirmwareOptions;

use crate::benchmarks::sample;
use crate::planning::{
    MOBILENET_144, MOBILENET_224, Seeded, choose, real, real_fed, seeded, seeded_fed, smallest,
};

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
    /// The smallest plan whose input is pushed row by row; `None` where that is not
    /// possible.
    pub pushed: Option<Run>,
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
    /// Arena and lower bound of the smallest plan whose input is pushed row by row.
    pub pushed: (usize, usize),
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
    let target = Target::lookup(TARGET).map_err(|error| error.to_string())?;
    let (compiled, options) = real(model, models, data)?;
    let input = sample(&compiled, &options).map_err(|error| error.to_string())?;
    let (smallest, planning) = smallest(&compiled, options.asked())?;
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
    let pushed = match real_fed(model, models, data, Feed::Rows)? {
        Some((compiled, options)) => {
            let (chosen, _) = self::smallest(&compiled, options.asked())?;
            let planned = Compiled { plan: chosen.plan, choices: chosen.choices, ..compiled };
            // Rows may come in another order than the whole input.
            let input = sample(&planned, &options).map_err(|error| error.to_string())?;
            let report = bench(&planned, &target, Some(input), firmware, &Silent)
                .map_err(|error| format!("rows: {error}"))?;
            Some(Run { strategy: Strategy::Min, bound_bytes: planned.plan.live_bound_bytes, report })
        }
        None => None,
    };
    Ok(Planned { model, runs, pushed, curve, planning })
}

/// MobileNetV2 of two sizes, planned as [`seeded`] says.
///
/// # Errors
/// The message of what failed.
pub fn large() -> Result<Vec<Large>, String> {
    [MOBILENET_144, MOBILENET_224].into_iter().map(plan_seeded).collect()
}

/// One of [`large`].
fn plan_seeded(model: Seeded) -> Result<Large, String> {
    let (compiled, options) = seeded(model)?;
    let (smallest, planning) = smallest(&compiled, options.asked())?;
    let fast = choose(&compiled, Asked { strategy: Strategy::Fast, ..options.asked() })?;
    let plans = [(Strategy::Fast, &fast.plan), (Strategy::Min, &smallest.plan)]
        .map(|(strategy, plan)| (strategy, plan.arena_bytes, plan.live_bound_bytes))
        .to_vec();
    let (compiled_rows, asked_rows) = seeded_fed(model, Feed::Rows)?;
    let rows = self::smallest(&compiled_rows, asked_rows.asked())?.0.plan;
    Ok(Large {
        model: model.name,
        macs: compiled.plan.steps.iter().map(|step| step.macs).sum(),
        weights_bytes: compiled.plan.weights.len(),
        plans,
        pushed: (rows.arena_bytes, rows.live_bound_bytes),
        planning,
    })
}
