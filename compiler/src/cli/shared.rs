//! Arguments that several verbs share.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use tinyc::Feed;
use tinyc::codegen::RamFacts;
use tinyc::compile::{CompileOptions, Compiled, Progress, ScaleSource};
use tinyc::ir::InputLayouts;
use tinyc::lower::KernelSet;
use tinyc::plan::choose::{Limits, Opt};
use tinyc::plan::regions::{Regions, Spread};
use tinyc::plan::strategy::Strategy;
use tinyc::plan::unroll::CodeBytes;
use tinyc::quant::calibrate::Method;
use tinyc::report::Budgets;
use tinyc::samples::Preprocess;
use tinyc::stack::StackBound;
use tinyc::target::Target;
use tinyc::verify::emulator::FirmwareOptions;
use tinyc::verify::worst_case::worst_case;

use super::output::note;
use super::per_model::{Bare, Of, checked};
use super::progress::Bar;

/// What decides the integers. Of several models, `NAME=VALUE` is for one of them.
#[derive(Debug, Args)]
pub struct QuantArgs {
    /// Calibration samples: .npz, .npy or a folder of them, first axis the sample
    /// [default: MODEL.calib.npz beside the model]. Of several models, this and the options
    /// below take NAME=VALUE for one of them
    #[arg(long, value_name = "FILE|DIR", value_hint = clap::ValueHint::AnyPath)]
    calib: Vec<String>,
    /// Rebuild from a recorded quantization (model.quant.toml) instead of calibrating
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    quant: Vec<String>,
    /// How ranges are chosen: min-max, percentile or percentile:99.9
    #[arg(long, value_name = "METHOD", value_parser = checked::<Method>)]
    method: Vec<String>,
    /// Samples are fed as (x - MEAN) / STD: one value, or one a channel, comma-separated
    #[arg(long, value_name = "X[,X..]", allow_hyphen_values = true)]
    mean: Vec<String>,
    /// See --mean
    #[arg(long, value_name = "X[,X..]")]
    std: Vec<String>,
    /// Samples already hold the model's input codes
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    codes: Vec<String>,
    /// How the crate's inputs lie: onnx (as the model file says) or channels-last (as cameras
    /// deliver them), for all inputs or NAME=LAYOUT for one; samples stay as they are
    #[arg(long, value_name = "[NAME=]LAYOUT", value_delimiter = ',')]
    input_layout: Vec<String>,
    /// Take a final softmax off: the crate returns logits
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    no_softmax: Vec<String>,
    /// Leave in channels that are never read or always one code, and rows and columns that
    /// are never read (the outputs are the same)
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    keep_dead_channels: Vec<String>,
    /// What the layers' kernels are chosen for: speed (the fastest that fit the budgets),
    /// balanced (no more constants than the weights), size
    #[arg(long, value_name = "GOAL", default_value = "balanced", value_parser = checked::<Opt>)]
    opt: Vec<String>,
    /// Code that inner loops unrolled for one shape may take, of each model [default: 12288
    /// with --opt speed, else 0]
    #[arg(long, value_name = "BYTES", value_parser = checked::<CodeBytes>)]
    unroll_budget: Vec<String>,
    /// RAM against speed: fast, balanced, min, or auto, which is the fastest plan that fits
    /// the RAM budget
    #[arg(long, value_name = "STRATEGY", default_value = "auto", value_parser = checked::<Strategy>)]
    ram_strategy: Vec<String>,
    /// On a chip with several RAM regions: one (the arena is one buffer), auto (it is divided
    /// over several where it fits none whole), or split (also where it does not fit the
    /// fastest, which then has the hottest buffers)
    #[arg(long, value_name = "auto|one|split", default_value = "auto", value_parser = checked::<Spread>)]
    ram_regions: Vec<String>,
    /// How the input comes: whole; in rows, which are pushed one by one, so that all of it
    /// never lies in RAM; or in frames of a stream over which the window slides, so that
    /// each step computes only what is new
    #[arg(long, value_name = "FORM", default_value = "whole", value_parser = checked::<Feed>)]
    input: Vec<String>,
    /// Rows of a frame: by so many the window moves in a step, with --input frames
    #[arg(long, value_name = "ROWS")]
    hop: Vec<String>,
}

impl QuantArgs {
    /// As options of the library, with the kernels that suit the target and its
    /// default budgets.
    pub fn options(&self, target: Option<&Target>) -> anyhow::Result<CompileOptions> {
        self.options_of(Of::Only, target)
    }

    /// The same for one of several models.
    pub fn options_of(&self, of: Of<'_>, target: Option<&Target>) -> anyhow::Result<CompileOptions> {
        let file = |option, given| of.value(option, given, Bare::Refused);
        let (calib, quant) = (file("--calib", &self.calib)?, file("--quant", &self.quant)?);
        let mean = of.value("--mean", &self.mean, Bare::ForAll)?;
        let std = of.value("--std", &self.std, Bare::ForAll)?;
        let codes = of.flag("--codes", &self.codes)?;
        let method = of.parsed("--method", &self.method)?;
        let layouts: Vec<String> = of
            .values("--input-layout", &self.input_layout, Bare::ForAllWithEquals)?
            .into_iter()
            .map(str::to_owned)
            .collect();
        let with_quant = [
            ("--calib", calib.is_some()),
            ("--method", method.is_some()),
            ("--mean", mean.is_some()),
            ("--std", std.is_some()),
            ("--codes", codes),
            ("--input-layout", !layouts.is_empty()),
        ];
        if let (Some(file), Some((option, _))) = (quant, with_quant.iter().find(|(_, given)| *given)) {
            bail!("--quant {file} holds what {option} decides: leave one of them out");
        }
        let hop = of.value("--hop", &self.hop, Bare::ForAll)?.map(rows).transpose()?;
        let feed = match (of.parsed("--input", &self.input)?.unwrap_or_default(), hop) {
            (Feed::Frames { .. }, Some(hop)) => Feed::Frames { hop },
            (_, Some(_)) => bail!("--hop says by how much a window slides: give --input frames with it"),
            (feed, None) => feed,
        };
        let spread = of.parsed("--ram-regions", &self.ram_regions)?.unwrap_or_default();
        let options = CompileOptions {
            calib: calib.map(PathBuf::from),
            quant: quant.map(PathBuf::from),
            preprocess: Preprocess::from_options(mean, std, codes)?,
            method,
            layouts: InputLayouts::from_options(&layouts).map_err(anyhow::Error::msg)?,
            no_softmax: of.flag("--no-softmax", &self.no_softmax)?,
            keep_dead_channels: of.flag("--keep-dead-channels", &self.keep_dead_channels)?,
            kernels: target.map_or_else(KernelSet::default, |target| target.arch.kernels()),
            opt: of.parsed("--opt", &self.opt)?.unwrap_or_default(),
            unroll_budget: of.parsed("--unroll-budget", &self.unroll_budget)?.map(|CodeBytes(bytes)| bytes),
            strategy: of.parsed("--ram-strategy", &self.ram_strategy)?.unwrap_or_default(),
            feed,
            limits: Limits::default(),
            regions: Regions { spread, ..Regions::default() },
        };
        Ok(match target {
            Some(target) => options.within(&Budgets::default(), target),
            None => options,
        })
    }
}

/// The one model of a verb that takes no more.
pub fn only<'a>(verb: &str, models: &'a [PathBuf]) -> anyhow::Result<&'a Path> {
    match models {
        [model] => Ok(model),
        _ => bail!(
            "tinyc {verb} takes one model, and there are {}: name them one by one; in the crate that \
             `tinyc build` makes of several, each computes the same bytes as alone",
            models.len()
        ),
    }
}

/// The rows of a frame: a number from 1 on.
fn rows(text: &str) -> anyhow::Result<usize> {
    match text.parse() {
        Ok(rows) if rows > 0 => Ok(rows),
        _ => bail!("--hop {text}: give a number of rows, 1 or more"),
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
