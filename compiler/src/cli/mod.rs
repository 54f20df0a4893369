//! Arguments and verbs.

mod analyze;
mod bench;
mod build;
mod build_several;
mod lists;
mod output;
mod per_model;
mod progress;
mod shared;
mod validate;

use std::process::ExitCode;

pub use output::{CLOSED_EXIT_CODE, Closed, note};

use clap::{CommandFactory, Parser, Subcommand};

/// Ahead-of-time compiler: a trained ONNX graph in, a standalone no_std INT8 crate out.
#[derive(Debug, Parser)]
#[command(name = "tinyc", version, about, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Compile a model to a crate
    Build(build::BuildArgs),
    /// Compare float, integer reference, emitted crate and emulated chip on a test set
    Validate(validate::ValidateArgs),
    /// Per-layer table of costs, memory and quantization error
    Analyze(analyze::AnalyzeArgs),
    /// Count instructions and cycles of one inference on the emulated core, layer by layer
    Bench(bench::BenchArgs),
    /// List the microcontrollers that tinyc knows
    Targets(lists::ListArgs),
    /// List the ONNX operators that tinyc compiles, with their limits
    SupportedOps(lists::ListArgs),
    /// Say what is missing on this machine for builds and tests, and how to get it
    Doctor(lists::ListArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Build(args) => build::run(&args),
        Verb::Validate(args) => validate::run(&args),
        Verb::Analyze(args) => analyze::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Targets(args) => lists::targets(&args),
        Verb::SupportedOps(args) => lists::supported_ops(&args),
        Verb::Doctor(args) => lists::doctor(&args),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "tinyc", &mut script);
            output::print(String::from_utf8_lossy(&script))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
