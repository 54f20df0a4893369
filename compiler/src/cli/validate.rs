//! `tinyc validate`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tinyc::compile::compile;
use tinyc::target::Target;
use tinyc::verify::emulator::Core;
use tinyc::verify::metrics::Metric;
use tinyc::verify::validate::{ValidateOptions, emulated_core, validate_compiled};

use super::output::{note, print, print_json};
use super::progress::Bar;
use super::shared::{QuantArgs, only, print_notes};

/// Arguments of `tinyc validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The ONNX model
    #[arg(required = true, value_name = "MODEL")]
    model: Vec<PathBuf>,
    /// The microcontroller (see `tinyc targets`), or a TOML file that describes one
    #[arg(long, value_name = "NAME")]
    target: String,
    /// Test samples: .npz, .npy or a folder of them; labels are the array `y`
    #[arg(long, value_name = "FILE|DIR")]
    data: PathBuf,
    /// Score by the labels; mse compares output and input by groups of the array `source`
    /// [default: accuracy, where there are labels for it]
    #[arg(long)]
    metric: Option<Metric>,
    /// Take only N samples, evenly spaced over the set
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// Run the emitted firmware on an emulated core as well
    #[arg(long)]
    emulate: bool,
    /// Samples that the emulated core runs
    #[arg(long, value_name = "N", default_value_t = 8, requires = "emulate",
          value_parser = clap::value_parser!(u32).range(1..))]
    emulate_samples: u32,
    /// Emulate these cores instead of the target's: m0, m3, m4, m7, m33, m55, rv32
    #[arg(long, value_name = "CORE[,CORE..]", value_delimiter = ',', requires = "emulate", value_parser = core)]
    core: Vec<Core>,
    #[command(flatten)]
    quant: QuantArgs,
    /// Print JSON for machines
    #[arg(long)]
    json: bool,
}

/// `tinyc validate`: exit code 1 where bytes differ.
pub fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let model = only("validate", &args.model)?;
    let target = Target::lookup(&args.target)?;
    let mut options = ValidateOptions::new(target, &args.data);
    options.compile = args.quant.options(Some(&options.target))?;
    options.metric = args.metric;
    options.samples = args.samples.map(|n| n as usize);
    options.emulate_samples = args.emulate_samples as usize;
    if args.emulate {
        options.cores = match (&args.core[..], emulated_core(&options.target)) {
            ([], Some(core)) => vec![core],
            ([], None) => {
                let name = &options.target.name;
                anyhow::bail!("target '{name}' has no core to emulate: pass --core, for instance --core m4");
            }
            (cores, _) => cores.to_vec(),
        };
    }
    let bar = Bar::default();
    let compiled = compile(model, &options.compile, &bar, &mut |_, _| {})?;
    print_notes(&compiled);
    let report = validate_compiled(&compiled, &options, &bar)
        .with_context(|| format!("cannot validate {}", model.display()))?;
    // Whoever closed standard output still learns of a difference.
    let printed = if args.json { print_json(&report) } else { print(&report) };
    if let Some(difference) = &report.first_difference {
        note(format_args!(
            "error: the emitted code does not compute what the naive reference does: {difference}"
        ));
        return Ok(ExitCode::FAILURE);
    }
    printed?;
    Ok(ExitCode::SUCCESS)
}

/// A core by its name.
fn core(given: &str) -> Result<Core, String> {
    Core::ALL.into_iter().find(|core| core.name() == given).ok_or_else(|| {
        let names = Core::ALL.map(Core::name).join(", ");
        format!("'{given}' is no core that can be emulated: use one of {names}")
    })
}
