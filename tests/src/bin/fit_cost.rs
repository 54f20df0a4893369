//! Fits the cost model to counted runs, and writes its coefficients.
//!
//! In: a folder of models and a folder of data (see `tinyc_tests::models`), on the
//! command line. Out: how well each kind of work and each model is estimated;
//! with `--write` also `compiler/src/cost/coefficients.rs`. Invariant: nothing
//! is written unless everything was measured.

use std::path::Path;
use std::process::ExitCode;

use tinyc::compile::CompileOptions;
use tinyc::cost::Costs;
use tinyc::cost::features::Features;
use tinyc::verify::emulator::FirmwareOptions;
use tinyc_tests::cost::fit::{Fitted, file, fit, kept};
use tinyc_tests::cost::{MACHINES, Observation, observe, shapes};
use tinyc_tests::models::{CASES, Form};

const COMMAND: &str = "cargo run -p tinyc-tests --bin fit_cost -- MODELS DATA --write";

const USAGE: &str = "usage: fit_cost MODELS DATA [--write] [--layers] [--CHIP]..
  MODELS   folder with float/
  DATA     folder with SET_calib.npz
  --write  write compiler/src/cost/coefficients.rs
  --layers print every layer: parts, counted, estimated
  --CHIP   measure this chip alone, keep what the file holds for others' cores";

/// The models whose layers count more, because their totals are what people see.
const MODELS: [&str; 4] = ["kws_dscnn", "ic_resnet8", "vww_mobilenet025", "ad_autoencoder"];
const MODEL_WEIGHT: u64 = 4;

fn main() -> ExitCode {
    let (options, folders): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let write = options.iter().any(|option| option == "--write");
    let chips: Vec<&str> = options
        .iter()
        .filter(|o| !["--write", "--layers"].contains(&o.as_str()))
        .map(|o| o.trim_start_matches('-'))
        .collect();
    let known = chips.iter().all(|chip| MACHINES.iter().any(|machine| machine.target == *chip));
    let ([models, data], true) = (&folders[..], known) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let layers = options.iter().any(|option| option == "--layers");
    match run(Path::new(models), Path::new(data), write, layers, &chips) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(models: &Path, data: &Path, write: bool, layers: bool, chips: &[&str]) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let firmware = FirmwareOptions::default();
    let mut all: Vec<Observation> = Vec::new();
    let machines = MACHINES.iter().filter(|machine| chips.is_empty() || chips.contains(&machine.target));
    for machine in machines.clone() {
        for (name, model) in shapes::models() {
            let path = scratch.path().join(format!("{name}.onnx"));
            std::fs::write(&path, model.to_bytes()).map_err(|error| error.to_string())?;
            all.extend(
                observe(name, &path, &CompileOptions::default(), machine, 1, &firmware)
                    .map_err(|error| format!("{name} on {}: {error}", machine.target))?,
            );
        }
        for case in CASES.iter().filter(|case| case.form == Form::Float && MODELS.contains(&case.name)) {
            let options = case.options(data, scratch.path()).compile;
            all.extend(
                observe(case.name, &case.path(models), &options, machine, MODEL_WEIGHT, &firmware)
                    .map_err(|error| format!("{} on {}: {error}", case.name, machine.target))?,
            );
        }
        eprintln!("{}: {} layers so far", machine.target, all.len());
    }
    let fitted = fit(&all);
    for Fitted { key, costs, layers, mean_error, worst: (name, error), .. } in &fitted {
        println!(
            "{key:18} {:7} {layers:3} layers, mean error {:5.1} %, worst {:+6.1} % ({name})",
            format!("{costs:?}"),
            100.0 * mean_error,
            100.0 * error
        );
    }
    if layers {
        for one in &all {
            let (Features { key, values }, counted, estimated) =
                (&one.features, one.counted, estimate(one, &fitted));
            println!("{key} {:?} {values:?}: {counted}, {estimated} ({})", one.costs, one.name);
        }
    }
    totals(&all, &fitted);
    if write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compiler/src/cost/coefficients.rs");
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        let measured: Vec<Costs> =
            machines.flat_map(|machine| machine.cores).filter_map(|core| Costs::of(*core)).collect();
        std::fs::write(&path, file(&fitted, COMMAND, &kept(&old, &measured)))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// By the fit.
fn estimate(one: &Observation, fitted: &[Fitted]) -> u64 {
    let row = fitted.iter().find(|row| row.key == one.features.key && row.costs == one.costs);
    let thousandths = row.map_or(&[][..], |row| &row.thousandths);
    one.features.values.iter().zip(thousandths).map(|(value, cycles)| value * cycles).sum::<u64>() / 1000
}

/// Whole models, all forms of their layers together: counted and estimated.
fn totals(all: &[Observation], fitted: &[Fitted]) {
    for name in MODELS {
        for costs in Costs::ALL {
            let layers = || all.iter().filter(|one| one.costs == costs && one.name.starts_with(name));
            let counted: u64 = layers().map(|one| one.counted).sum();
            if counted == 0 {
                continue;
            }
            let estimated: u64 = layers().map(|one| estimate(one, fitted)).sum();
            let off = 100.0 * (estimated as f64 / counted as f64 - 1.0);
            println!(
                "{name:18} {:7} counted {counted}, estimated {estimated}: {off:+.1} %",
                format!("{costs:?}")
            );
        }
    }
}
