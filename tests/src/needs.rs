//! What some tests need beside cargo: emulators, Rust targets, real models.
//!
//! In: what is needed. Out: whether it is here. Invariant: a test that did not
//! run is never silent: where the environment variable CI is set the want is a
//! failure, elsewhere a line on standard error that names it and how to get it.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tinyc::verify::emulator::Core;
use tinyc::verify::harness::Tools;

/// Whether firmware for `core` can be built and run here.
///
/// # Panics
/// If not, and CI is set.
#[track_caller]
pub fn emulator(core: Core) -> bool {
    let missing = core.missing(&Tools::default());
    let wants: Vec<String> = missing.iter().map(ToString::to_string).collect();
    settle(&format!("core {}", core.name()), &wants, in_ci())
}

/// Those of `cores` for which firmware can be built and run here.
///
/// # Panics
/// If one cannot, and CI is set.
#[track_caller]
pub fn emulators(cores: &[Core]) -> Vec<Core> {
    cores.iter().copied().filter(|&core| emulator(core)).collect()
}

/// Whether code can be compiled for a Rust target here.
///
/// # Panics
/// If not, and CI is set.
#[track_caller]
pub fn rust_target(triple: &str) -> bool {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", triple])
        .stdin(Stdio::null())
        .output();
    let here = output.is_ok_and(|o| Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_dir());
    let want = format!("the Rust target {triple} is not installed: run `rustup target add {triple}`");
    settle(triple, if here { &[] } else { std::slice::from_ref(&want) }, in_ci())
}

/// Where the real models and their data lie; layout in [`crate::models`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealModels {
    /// Folder that holds `float/`, `qdq_ort/`, `qdq_from_tflite/`.
    pub models: PathBuf,
    /// Folder of the sample files.
    pub data: PathBuf,
}

/// The folders `models/` and `data/` of the folder that the environment variable
/// TINYC_MODELS names.
///
/// # Panics
/// If they are not there, and CI is set or TINYC_MODELS names another place.
#[track_caller]
pub fn models() -> Option<RealModels> {
    let root = std::env::var_os("TINYC_MODELS");
    let found = models_in(root.clone());
    // Whoever names a folder means it: a slip in its name is no reason to pass.
    let strict = in_ci() || root.is_some();
    let wants: Vec<String> = found.as_ref().err().into_iter().cloned().collect();
    settle("real models", &wants, strict);
    found.ok()
}

fn models_in(root: Option<OsString>) -> Result<RealModels, String> {
    let root =
        PathBuf::from(root.ok_or("TINYC_MODELS is not set: let it name a folder with models/ and data/")?);
    let found = RealModels { models: root.join("models"), data: root.join("data") };
    if found.models.join("float").is_dir() && found.data.is_dir() {
        return Ok(found);
    }
    Err(format!("TINYC_MODELS is {}, which does not hold models/float/ and data/", root.display()))
}

fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// True if nothing is wanting; otherwise fails if `strict`, else says so.
#[track_caller]
fn settle(what: &str, wants: &[String], strict: bool) -> bool {
    if wants.is_empty() {
        return true;
    }
    let wants = wants.join("; ");
    assert!(!strict, "tests on {what} must run here (CI or TINYC_MODELS is set), but {wants}");
    // Not eprintln, which the test harness captures: this must be seen.
    let _ = writeln!(std::io::stderr(), "\n*** NOT RUN: a test on {what}, because {wants} ***\n");
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wanting_runs_everywhere() {
        assert!(settle("core m4", &[], true) && settle("core m4", &[], false));
    }

    #[test]
    fn a_want_ends_the_test_outside_of_ci() {
        assert!(!settle("core m4", &["the emulator was not found".to_owned()], false));
    }

    #[test]
    #[should_panic(
        expected = "tests on core m4 must run here (CI or TINYC_MODELS is set), but no emulator; no target"
    )]
    fn a_want_fails_the_test_in_ci() {
        settle("core m4", &["no emulator".to_owned(), "no target".to_owned()], true);
    }

    #[test]
    fn folders_of_models_are_told_from_other_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = || Some(folder.path().as_os_str().to_owned());
        assert!(models_in(None).unwrap_err().contains("is not set"));
        assert!(models_in(root()).unwrap_err().contains("does not hold models/float/ and data/"));
        std::fs::create_dir_all(folder.path().join("models/float")).unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        assert_eq!(models_in(root()).unwrap().data, folder.path().join("data"));
    }
}
