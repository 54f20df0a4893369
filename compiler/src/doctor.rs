//! In: the targets that the compiler knows, and a way to run programs. Out:
//! findings: what the machine has, what it lacks, and how to get that.
//!
//! Invariant: nothing is changed and nothing is downloaded; every finding that
//! is not ok says how to mend it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::target::Target;

/// The first release of QEMU that has all machines that cores are emulated on, and
/// executes the vector instructions of the last of them.
const OLDEST_QEMU: &str = "6.1";

/// Oldest Rust release, as major and minor number, that emitted crates are
/// tested with: the one that builds this compiler.
const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// How to get a Rust toolchain.
const GET_RUST: &str = "install rustup from https://rustup.rs, then `rustup toolchain install stable`";

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// `cargo` or `rustc`.
    Toolchain,
    /// The standard library for a Rust target.
    RustTarget,
    /// A QEMU program.
    Emulator,
    /// That a QEMU program takes plugins.
    EmulatorPlugins,
}

/// One thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing it is.
    pub part: Part,
    /// Its name: a program or a Rust target.
    pub what: String,
    /// What does not work without it.
    pub needed_for: String,
    /// Whether it is there and fit for use.
    pub ok: bool,
    /// What was found: a version or a folder; `None` if nothing.
    pub found: Option<String>,
    /// What to do if it is not ok.
    pub how_to_get_it: String,
}

/// How the doctor looks at a machine.
pub trait Machine {
    /// Standard output of a program that ran and succeeded; `None` if it could
    /// not be started or failed.
    fn output(&self, program: &str, args: &[&str]) -> Option<String>;

    /// Whether a folder exists.
    fn has_folder(&self, path: &Path) -> bool;
}

/// The machine that this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn output(&self, program: &str, args: &[&str]) -> Option<String> {
        let output = Command::new(program).args(args.iter().map(OsStr::new)).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn has_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }
}

/// Looks for everything that building and emulating emitted crates for these
/// targets needs: the toolchain first, then Rust targets, then emulators and
/// whether those that are there can count.
#[must_use]
pub fn examine(machine: &dyn Machine, targets: &[Target]) -> Vec<Finding> {
    let mut findings = vec![toolchain(machine, "cargo"), toolchain(machine, "rustc")];
    findings.extend(rust_targets(machine, targets));
    findings.extend(emulators(machine, targets));
    findings.extend(plugins(machine, targets));
    findings
}

/// The findings as lines of text, ending with one that sums up.
#[must_use]
pub fn render(findings: &[Finding]) -> String {
    let width = findings.iter().map(|f| f.what.len()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let mark = if finding.ok { "ok     " } else { "MISSING" };
        let found = finding.found.as_deref().unwrap_or("not found");
        text.push_str(&format!("{mark}  {:width$}  {found}\n", finding.what));
        if !finding.ok {
            text.push_str(&format!("         needed for: {}\n", finding.needed_for));
            text.push_str(&format!("         get it: {}\n", finding.how_to_get_it));
        }
    }
    let missing = findings.iter().filter(|finding| !finding.ok).count();
    text.push_str(&match missing {
        0 => "everything that was looked for is here\n".to_owned(),
        1 => "1 thing is missing\n".to_owned(),
        many => format!("{many} things are missing\n"),
    });
    text
}

fn toolchain(machine: &dyn Machine, program: &str) -> Finding {
    let found = machine.output(program, &["--version"]).map(|text| first_line(&text));
    let ok = found
        .as_deref()
        .and_then(release)
        .zip(release(OLDEST_RUST))
        .is_some_and(|(found, oldest)| found >= oldest);
    let how_to_get_it = match &found {
        Some(_) if !ok => format!("`rustup update`: release {OLDEST_RUST} or newer is needed"),
        _ => GET_RUST.to_owned(),
    };
    Finding {
        part: Part::Toolchain,
        what: program.to_owned(),
        needed_for: "building emitted crates".to_owned(),
        ok,
        found,
        how_to_get_it,
    }
}

fn rust_targets(machine: &dyn Machine, targets: &[Target]) -> Vec<Finding> {
    // The sysroot rather than rustup: distributions package targets too.
    let rustlib = machine
        .output("rustc", &["--print", "sysroot"])
        .map(|text| PathBuf::from(first_line(&text)).join("lib").join("rustlib"));
    users(targets, |target| target.rust_target.clone())
        .into_iter()
        .map(|(triple, chips)| {
            let folder = rustlib
                .as_ref()
                .map(|rustlib| rustlib.join(&triple).join("lib"))
                .filter(|folder| machine.has_folder(folder));
            Finding {
                part: Part::RustTarget,
                needed_for: format!("building for {}", chips.join(", ")),
                ok: folder.is_some(),
                found: folder.map(|folder| folder.display().to_string()),
                how_to_get_it: format!("`rustup target add {triple}`"),
                what: triple,
            }
        })
        .collect()
}

fn emulators(machine: &dyn Machine, targets: &[Target]) -> Vec<Finding> {
    let program = |target: &Target| target.emulator().map(|emulator| (emulator.program, emulator.package));
    users(targets, program)
        .into_iter()
        .map(|((program, package), chips)| {
            let found = machine
                .output(program, &["--version"])
                .map(|text| first_line(&text));
            let release_is_new =
                found.as_deref().and_then(release).zip(release(OLDEST_QEMU)).is_none_or(|(found, oldest)| found >= oldest);
            Finding {
                part: Part::Emulator,
                what: program.to_owned(),
                needed_for: format!("`tinyc validate --emulate` for {}", chips.join(", ")),
                ok: found.is_some() && release_is_new,
                found,
                how_to_get_it: format!(
                    "release {OLDEST_QEMU} or newer: Debian, Ubuntu: `sudo apt-get install {package}`; macOS: `brew install qemu`; else https://www.qemu.org/download"
                ),
            }
        })
        .collect()
}

/// Of the emulators that are there, whether they take the plugin that counts.
fn plugins(machine: &dyn Machine, targets: &[Target]) -> Vec<Finding> {
    users(targets, |target| target.emulator().map(|emulator| emulator.program))
        .into_iter()
        .filter_map(|(program, chips)| {
            let ok = machine.output(program, &["--help"])?.contains("-plugin");
            Some(Finding {
                part: Part::EmulatorPlugins,
                what: format!("{program} -plugin"),
                needed_for: format!("`tinyc bench` for {}", chips.join(", ")),
                ok,
                found: ok.then(|| "TCG plugins".to_owned()),
                how_to_get_it: "a QEMU that was built with TCG plugins, as those of Debian, Ubuntu, Fedora and Homebrew are".to_owned(),
            })
        })
        .collect()
}

/// What each needed thing is needed by: the names of the targets, in order.
fn users<K: Ord>(targets: &[Target], needs: impl Fn(&Target) -> Option<K>) -> BTreeMap<K, Vec<&str>> {
    let mut users: BTreeMap<K, Vec<&str>> = BTreeMap::new();
    for target in targets {
        if let Some(key) = needs(target) {
            users.entry(key).or_default().push(&target.name);
        }
    }
    users
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Major and minor number of the first version in a text such as
/// "rustc 1.95.0 (...)" or "1.95".
fn release(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        }
    })
}
