//! Measures what may not get worse, and writes the baseline and the documents.
//!
//! In: a folder of models and a folder of data (see `tinyc_tests::models`), on the
//! command line. Out: the figures, and exit code 1 where one is more than 1 %
//! worse than `tests/baseline.json`; with `--write` that file,
//! `docs/benchmarks.md` and the README's table instead. Invariant: nothing is
//! written unless everything was measured.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use tinyc::verify::emulator::FirmwareOptions;
use tinyc_tests::benchmarks::{
    Measured, WATCHED, baseline_path, document, figures, measure_both, misjudged, too_large, worse,
};

const USAGE: &str = "usage: bench_baseline MODELS DATA [--write]
  MODELS   folder with float/
  DATA     folder with SET_calib.npz
  --write  write tests/baseline.json, docs/benchmarks.md and the README's table";

fn main() -> ExitCode {
    let (options, folders): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let ([models, data], true) = (&folders[..], options.iter().all(|option| option == "--write")) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match run(Path::new(models), Path::new(data), !options.is_empty()) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(models: &Path, data: &Path, write: bool) -> Result<ExitCode, String> {
    let mut all: Vec<Measured> = Vec::new();
    for watched in WATCHED {
        let name = format!("{} on {} for {}", watched.model, watched.target, watched.opt);
        let measured = measure_both(watched, models, data, &FirmwareOptions::default())
            .map_err(|error| format!("{name}: {error}"))?;
        println!("{name}: {}", figures(&measured));
        too_large(&measured).into_iter().chain(misjudged(&measured)).for_each(|line| eprintln!("{line}"));
        all.push(measured);
    }
    let rows: Vec<Value> = all.iter().map(figures).collect();
    if write {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let readme = root.join("README.md");
        let text = std::fs::read_to_string(&readme).map_err(|e| format!("README.md: {e}"))?;
        let text =
            document::in_readme(&text, &all).ok_or("README.md has no markers benchmarks:begin and :end")?;
        let baseline = serde_json::to_string_pretty(&rows).map_err(|e| e.to_string())? + "\n";
        let files: [(PathBuf, String); 3] = [
            (readme, text),
            (root.join("docs/benchmarks.md"), document::page(&all)),
            (baseline_path(), baseline),
        ];
        for (path, text) in files {
            std::fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let text = std::fs::read_to_string(baseline_path()).map_err(|e| format!("tests/baseline.json: {e}"))?;
    let baseline: Value = serde_json::from_str(&text).map_err(|e| format!("tests/baseline.json: {e}"))?;
    let worse: Vec<String> = rows.iter().flat_map(|row| worse(&baseline, row)).collect();
    for line in &worse {
        eprintln!("worse: {line}");
    }
    Ok(if worse.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
