//! Emitted crates in folders of their own, built and run by cargo.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tinyc::codegen::{CrateFiles, EmitOptions, SelfTest, TargetFacts, write};
use tinyc::samples::Preprocess;

/// A crate for the host.
pub fn options(package: &str) -> EmitOptions {
    EmitOptions {
        package: package.to_string(),
        target: TargetFacts { name: "host".to_string(), arch: "portable".to_string() },
        preprocessing: vec![],
        self_test: None,
        accuracy: None,
        ram: None,
        placement: None,
        regions: Vec::new(),
    }
}

/// The crate `chain_net` with a self-test, its input's two channels prepared as pixels.
pub fn with_pixels(inputs: Vec<Vec<i8>>, outputs: Vec<Vec<i8>>) -> EmitOptions {
    let mut options = options("chain_net");
    options.self_test = Some(SelfTest { inputs, outputs });
    options.preprocessing =
        vec![Preprocess::MeanStd { mean: vec![10.0, 128.0], std: vec![8.0, 40.0], channel_axis: Some(3) }];
    options
}

/// A fixture's folder.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// Where runners are built.
pub fn runners() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners")
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

/// Lints an emitted crate without features and with all; missing documentation is an
/// error of its own.
pub fn clippy_finds_nothing(folder: &Path) {
    for features in ["--no-default-features", "--all-features"] {
        cargo(folder, &["clippy", "--quiet", "--all-targets", features, "--", "-D", "warnings"]);
    }
}

/// What firmware around an emitted crate `chain_net` begins with; its panic handler does
/// not exist.
const FIRMWARE: &str = r#"
#![no_std]
#![no_main]
use chain_net::{ModelCell, input, output};
static MODEL: ModelCell = ModelCell::new();
unsafe extern "C" { safe fn tinyc_panic_path_exists() -> !; }
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { tinyc_panic_path_exists() }
"#;

/// Links firmware with the crate `dir/chain_net`, which works only where nothing that
/// `start` calls can panic.
pub fn link_firmware(dir: &Path, triple: &str, start: &str) -> Output {
    let manifest = "[package]\nname = \"firmware\"\nedition = \"2024\"\n[workspace]\n[profile.release]\n\
        panic = \"abort\"\n[dependencies]\n\
        chain_net = { path = \"../chain_net\", features = [\"self_test\", \"trace\"] }\n";
    let firmware = dir.join("firmware");
    std::fs::create_dir_all(firmware.join("src")).unwrap();
    std::fs::write(firmware.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(firmware.join("src/main.rs"), format!("{FIRMWARE}{start}")).unwrap();
    cargo_output(&firmware, &["build", "--quiet", "--release", "--target", triple])
}

/// Writes the crate `chain_net` and links firmware with it, in which nothing that `start`
/// calls can panic.
pub fn nothing_panics(name: &str, files: &CrateFiles, triple: &str, start: &str) {
    let dir = work_dir(name);
    write::write(&dir.join("chain_net"), files).unwrap();
    let output = link_firmware(&dir, triple, start);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
