//! Measures what RAM the plans of each strategy need, and what less of it costs.
//!
//! In: a folder of models and a folder of data (see `tinyc_tests::models`), on the
//! command line. Out: the README's table on stdout, how long planning took on
//! stderr; with `--write` `docs/ram.md` and that table in the README. Invariant:
//! nothing is written unless everything was measured.

use std::path::Path;
use std::process::ExitCode;

use tinyc::verify::emulator::FirmwareOptions;
use tinyc_tests::ram::{MODELS, document, large, measure};

const USAGE: &str = "usage: ram_table MODELS DATA [--write]
  MODELS   folder with float/
  DATA     folder with SET_calib.npz
  --write  write docs/ram.md and the README's table";

fn main() -> ExitCode {
    let (options, folders): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let ([models, data], true) = (&folders[..], options.iter().all(|option| option == "--write")) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match run(Path::new(models), Path::new(data), !options.is_empty()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(models: &Path, data: &Path, write: bool) -> Result<(), String> {
    let measured = || {
        MODELS.map(|model| {
            let planned = measure(model, models, data, &FirmwareOptions::default())
                .map_err(|error| format!("{model}: {error}"))?;
            eprintln!("{model}: planned in {:.2} s", planned.planning.as_secs_f64());
            Ok(planned)
        })
    };
    let (large, all) = rayon::join(large, measured);
    let (large, all) = (large?, all.into_iter().collect::<Result<Vec<_>, String>>()?);
    for model in &large {
        eprintln!("{}: planned in {:.2} s", model.model, model.planning.as_secs_f64());
    }
    print!("{}", document::summary(&all));
    if write {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let readme = root.join("README.md");
        let text = std::fs::read_to_string(&readme).map_err(|e| format!("README.md: {e}"))?;
        let text = document::in_readme(&text, &all).ok_or("README.md has no markers ram:begin and :end")?;
        for (path, text) in [(readme, text), (root.join("docs/ram.md"), document::page(&all, &large))] {
            std::fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
    }
    Ok(())
}
