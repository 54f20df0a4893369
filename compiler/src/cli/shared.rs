//! Arguments that several verbs share.

use std::path::PathBuf;

use clap::Args;
use tinyc::Feed;
use tinyc::codegen::RamFacts;
use tinyc::compile::{CompileOptions, Compiled, Progress, ScaleSource};
use tinyc::ir::InputLayouts;
use tinyc::lower::KernelSet;
use tinyc::plan::choose::Opt;
use tinyc::plan::strategy::Strategy;
use tinyc::quant::calibrate::Method;
use tinyc::report::Budgets;
use tinyc::samples::Preprocess;
use tinyc::stack::StackBound;
use tinyc::target::Target;
use tinyc::verify::emulator::FirmwareOptions;
use tinyc::verify::worst_case::worst_case;

use super::output::note;
use super::progress::Bar;

/// What decides the integers.
#[derive(Debug, Args)]
pub struct QuantArgs {
    /// Calibration samples: .npz, .npy or a folder of them, first axis the sample
    /// [default: MODEL.calib.npz beside the model]
    #[arg(long, value_name = "FILE|DIR")]
    calib: Option<PathBuf>,
    /// Rebuild from a recorded quantization (model.quant.toml) instead of calibrating
    #[arg(long, value_name = "FILE", conflicts_with_all = ["calib", "method", "mean", "std", "codes", "input_layout"])]
    quant: Option<PathBuf>,
    /// How ranges are chosen: min-max, percentile or percentile:99.9
    #[arg(long, value_name = "METHOD")]
    method: Option<Method>,
    /// Samples are fed as (x - MEAN) / STD: one value, or one a channel, comma-separated
    #[arg(long, value_name = "X[,X..]", allow_hyphen_values = true)]
    mean: Option<String>,
    /// See --mean
    #[arg(long, value_name = "X[,X..]")]
    std: Option<String>,
    /// Samples already hold the model's input codes
    #[arg(long, conflicts_with_all = ["mean", "std"])]
    codes: bool,
    /// How the crate's inputs lie: onnx (as the model file says) or channels-last (as cameras
    /// deliver them), for all inputs or NAME=LAYOUT for one; samples stay as they are
    #[arg(long, value_name = "[NAME=]LAYOUT", value_delimiter = ',')]
    input_layout: Vec<String>,
    /// Take a final softmax off: the crate returns logits
    #[arg(long)]
    no_softmax: bool,
    /// Leave channels in that are never read or always one code (the outputs are the same)
    #[arg(long)]
    keep_dead_channels: bool,
    /// What the layers' kernels are chosen for: speed (the fastest that fit the budgets),
    /// balanced (no more constants than the weights), size
    #[arg(long, value_name = "GOAL", default_value_t)]
    opt: Opt,
    /// RAM against speed: fast, balanced, min, or auto, which is the fastest plan that fits
    /// the RAM budget
    #[arg(long, value_name = "STRATEGY", default_value_t)]
    ram_strategy: Strategy,
    /// How the input comes: whole, or in rows, which are pushed one by one, so that all of
    /// it never lies in RAM
    #[arg(long, value_name = "FORM", default_value_t)]
    input: Feed,
}

impl QuantArgs {
    /// As options of the library, with the kernels that suit the target and its
    /// default budgets.
    pub fn options(&self, target: Option<&Target>) -> anyhow::Result<CompileOptions> {
        Ok(CompileOptions {
            calib: self.calib.clone(),
            quant: self.quant.clone(),
            preprocess: Preprocess::from_options(self.mean.as_deref(), self.std.as_deref(), self.codes)?,
            method: self.method,
            layouts: InputLayouts::from_options(&self.input_layout).map_err(anyhow::Error::msg)?,
            no_softmax: self.no_softmax,
            keep_dead_channels: self.keep_dead_channels,
            kernels: target.map_or_else(KernelSet::default, |target| target.arch.kernels()),
            opt: self.opt,
            strategy: self.ram_strategy,
            feed: self.input,
            limits: target.map(|target| Budgets::default().limits(target)).unwrap_or_default(),
        })
    }
}

/// Notes and warnings of a compilation, on standard error.
pub fn print_notes(compiled: &Compiled) {
    if compiled.scales == ScaleSource::Synthetic {
        note(
            "warning: no calibration samples: the scales come from SYNTHETIC inputs and the accuracy is a guess.\n\
             warning: pass --calib FILE.npz, or put MODEL.calib.npz beside the model.",
        );
    }
    for text in &compiled.module.notes {
        note(format_args!("note: {text}"));
    }
}

/// What a compiled model needs beside its arena, and its deepest stack, from
/// firmware built for the target.
pub fn ram_facts(compiled: &Compiled, target: &Target) -> anyhow::Result<(RamFacts, StackBound)> {
    let bar = Bar::default();
    bar.start("building firmware for its stack", 1);
    let worst = worst_case(compiled, target, &FirmwareOptions::default())?;
    bar.finish();
    let arena_bytes = compiled.plan.arena_bytes as u64;
    let facts = RamFacts {
        stack_bytes: u64::from(worst.stack.bytes),
        static_bytes: worst.static_bytes.saturating_sub(arena_bytes),
    };
    Ok((facts, worst.stack))
}
