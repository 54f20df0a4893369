//! `tinyc bench`: what one inference costs on the target's core.
//!
//! Invariant: everything is counted in the firmware of the emitted crate; a
//! model that does not fit the chip is measured all the same.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tinyc::bench::bench;
use tinyc::bench::compare::{Comparison, Older};
use tinyc::compile::compile;
use tinyc::target::Target;
use tinyc::verify::emulator::FirmwareOptions;
use tinyc::verify::quality::input_codes;

use super::build::{BudgetArgs, real_samples};
use super::output::{print, print_json};
use super::progress::Bar;
use super::shared::{QuantArgs, only, print_notes};

/// Arguments of `tinyc bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The model: an .onnx file
    #[arg(required = true, value_name = "MODEL")]
    model: Vec<PathBuf>,
    /// The chip: a name that `tinyc targets` lists, or a .toml file
    #[arg(long, value_name = "NAME|FILE")]
    target: String,
    /// Compare with what `tinyc bench --json` printed before
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    #[command(flatten)]
    budgets: BudgetArgs,
    #[command(flatten)]
    quant: QuantArgs,
    /// Print JSON for machines (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let model = only("bench", &args.model)?;
    let target = Target::lookup(&args.target)?;
    // Read before anything slow runs.
    let older = args.compare.as_deref().map(older).transpose()?;
    let options = args.quant.options(Some(&target))?.within(&args.budgets.budgets(), &target);
    let bar = Bar::default();
    let compiled = compile(model, &options, &bar, &mut |_, _| {})?;
    print_notes(&compiled);
    let input = real_samples(model, &options, &compiled)?
        .map(|samples| input_codes(&compiled.module, &samples, 0).concat());
    let mut report = bench(&compiled, &target, input, &FirmwareOptions::default(), &bar)
        .with_context(|| format!("cannot measure {}", model.display()))?;
    report.comparison = older.map(|older| Comparison::new(&older, &report));
    if args.json {
        print_json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn older(path: &std::path::Path) -> anyhow::Result<Older> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    Older::parse(&text).with_context(|| format!("{name} is not what `tinyc bench --json` prints"))
}
