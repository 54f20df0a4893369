//! Emitted crates in folders of their own, built and run by cargo.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tinyc::codegen::{EmitOptions, TargetFacts};
use tinyc::verify::reference;

use super::hand_made::Net;

/// A crate for the host.
pub fn options(package: &str) -> EmitOptions {
    EmitOptions {
        package: package.to_string(),
        target: TargetFacts { name: "host".to_string(), arch: "portable".to_string() },
        preprocessing: vec![],
        self_test: None,
        accuracy: None,
        ram: None,
    }
}

/// Codes of every output by the naive references.
pub fn expected(net: &Net, sample: &[Vec<i8>]) -> Vec<Vec<i8>> {
    let slices: Vec<&[i8]> = sample.iter().map(Vec::as_slice).collect();
    let tensors = reference::run(&net.module, &reference::inputs(&net.module, &slices));
    net.module.graph.outputs.iter().map(|v| tensors[v].codes.clone()).collect()
}

/// An empty folder.
pub fn work_dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emitted").join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Runs cargo in a folder.
pub fn cargo_output(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(dir)
        .env("CARGO_TARGET_DIR", dir.parent().unwrap().join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap()
}

/// Runs cargo in an emitted crate; returns what it printed.
pub fn cargo(dir: &Path, arguments: &[&str]) -> String {
    let output = cargo_output(dir, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?} in {}:\n{errors}", dir.display());
    String::from_utf8(output.stdout).unwrap()
}
