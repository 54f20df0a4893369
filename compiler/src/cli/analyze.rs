//! `tinyc analyze`: what a model costs, layer by layer, without building it.
//!
//! Invariant: nothing is written but the picture that was asked for; a model that does not fit the target is
//! analyzed all the same, and the report says so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tinyc::Module;
use tinyc::codegen;
use tinyc::compile::{Progress, ScaleSource, compile};
use tinyc::plan::strategy;
use tinyc::report::analyze::Analyzed;
use tinyc::report::{AnalyzeReport, Footprint, memory_map_svg};
use tinyc::target::Target;
use tinyc::verify::quality;

use super::build::{BudgetArgs, real_samples};
use super::output::{print, print_json};
use super::progress::Bar;
use super::shared::{QuantArgs, only, print_notes, ram_facts};

/// Samples on which each layer is compared with the float oracle.
const SAMPLES: usize = 32;

/// Arguments of `tinyc analyze`.
#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// The model: an .onnx file
    #[arg(required = true, value_name = "MODEL")]
    model: Vec<PathBuf>,
    /// Also say whether it fits a chip: a name that `tinyc targets` lists, or a .toml file
    #[arg(long, value_name = "NAME|FILE")]
    target: Option<String>,
    /// Also build firmware for the target and compute its deepest stack (needs
    /// cargo and the Rust target)
    #[arg(long, requires = "target")]
    stack: bool,
    #[command(flatten)]
    budgets: BudgetArgs,
    #[command(flatten)]
    quant: QuantArgs,
    /// Also draw the arena over the schedule: which buffer lies where, when
    #[arg(long)]
    memory_map: bool,
    /// Draw the same as a picture into a file
    #[arg(long, value_name = "FILE.svg")]
    memory_map_svg: Option<PathBuf>,
    /// Print JSON for machines (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &AnalyzeArgs) -> anyhow::Result<ExitCode> {
    let model = only("analyze", &args.model)?;
    let target = args.target.as_deref().map(Target::lookup).transpose()?;
    let options = args.quant.options(target.as_ref())?;
    let options = match &target {
        Some(target) => options.within(&args.budgets.budgets(), target),
        None => options,
    };
    let bar = Bar::default();
    let mut imported: Option<Module> = None;
    let compiled = compile(model, &options, &bar, &mut |_, module| {
        // The first call shows the module as imported.
        imported.get_or_insert_with(|| module.clone());
    })?;
    print_notes(&compiled);
    let samples = match compiled.scales {
        // What synthetic inputs show is no error that anyone will meet.
        ScaleSource::Synthetic => None,
        _ => real_samples(model, &options, &compiled)?,
    };
    let layers = match &samples {
        Some(samples) => {
            let count = samples.len().min(SAMPLES);
            bar.start("comparing layers with float", count as u64);
            let tick = || bar.tick();
            let (source, module, plan) = (&compiled.source, &compiled.module, &compiled.plan);
            let layers = quality::layers(source, module, plan, samples, count, &tick)?;
            bar.finish();
            layers
        }
        None => BTreeMap::new(),
    };
    let curve = if compiled.curve.is_empty() {
        strategy::all(&compiled.module, options.asked(), &|plan| Footprint::of(plan).flash_bytes())?
    } else {
        compiled.curve.clone()
    };
    let ram = match &target {
        Some(target) if args.stack => Some(ram_facts(&compiled, target)?),
        _ => None,
    };
    let report = AnalyzeReport::new(
        &compiled,
        &Analyzed {
            model,
            imported: imported.as_ref().unwrap_or(&compiled.module),
            layers: &layers,
            curve: &curve,
            kernels: options.kernels,
            target: target.as_ref(),
            budgets: &args.budgets.budgets(),
            stack: ram.as_ref().map(|(_, stack)| stack),
        },
    );
    if let Some(path) = &args.memory_map_svg {
        codegen::write::write_file(path, memory_map_svg::svg(&report.memory_map).as_bytes())?;
    }
    if args.json {
        print_json(&report)?;
    } else {
        print(&report)?;
        if args.memory_map {
            print(format_args!("\n{}", report.memory_map))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
