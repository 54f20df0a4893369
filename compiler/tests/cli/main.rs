//! The `tinyc` program as a user runs it: arguments in, exit code, text and
//! folders out.

mod analyze;
mod bad_input;
mod build;
mod closed;
mod json_docs;
mod several;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What a run of the program left.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    /// Standard output of a run that must have succeeded.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// JSON of a run that must have succeeded.
    #[track_caller]
    fn json(self) -> Value {
        serde_json::from_str(&self.ok()).expect("standard output is JSON and nothing else")
    }

    /// The message of a run that must have failed with one clear error: exit code
    /// 1, one error, nothing said twice, no panic, nothing on standard output.
    #[track_caller]
    fn error(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        let errors = self.stderr.lines().filter(|line| line.starts_with("error:")).count();
        assert_eq!(errors, 1, "{}", self.stderr);
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("tinyc bug"), "{}", self.stderr);
        for cause in self.stderr.lines().filter_map(|line| line.trim().strip_prefix("because: ")) {
            assert_eq!(self.stderr.matches(cause).count(), 1, "said twice: {}", self.stderr);
        }
        assert_eq!(self.stdout, "");
        self.stderr
    }
}

/// Runs the program.
fn tinyc(args: &[&str]) -> Run {
    tinyc_in(Path::new("."), args)
}

/// Runs the program in a folder.
fn tinyc_in(folder: &Path, args: &[&str]) -> Run {
    run(Command::new(env!("CARGO_BIN_EXE_tinyc")).args(args).current_dir(folder))
}

fn run(command: &mut Command) -> Run {
    let output = command.output().expect("the program starts");
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Runs the program with environment variables set.
fn tinyc_with(variables: &[(&str, &str)], args: &[&str]) -> Run {
    run(Command::new(env!("CARGO_BIN_EXE_tinyc")).envs(variables.iter().copied()).args(args))
}

/// A file of the fixtures folder.
fn fixture(path: &str) -> String {
    format!("{}/../fixtures/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with their bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("a file");
                found.insert(path.strip_prefix(folder).expect("below").to_path_buf(), bytes);
            }
        }
    }
    found
}

/// A path as an argument.
fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
