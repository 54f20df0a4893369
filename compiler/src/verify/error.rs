//! What can go wrong while an emitted crate is built and run.
//!
//! In: nothing. Out: the errors and the missing tools of the runners.
//! Invariant: every message says what was given, what failed and, where the
//! user can do something about it, what.

use crate::stack::StackError;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A tool outside this program that a runner needs and did not find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// `cargo` or `rustc` could not be started; carries the name tried.
    Rust(String),
    /// The standard library of a Rust target is not installed.
    RustTarget(&'static str),
    /// An emulator could not be started; carries the name tried.
    Qemu(String),
}

impl Missing {
    /// The command or the page by which the user gets it.
    #[must_use]
    pub fn how_to_get(&self) -> String {
        match self {
            Self::Rust(_) => "install Rust from https://rustup.rs".to_owned(),
            Self::RustTarget(target) => format!("run `rustup target add {target}`"),
            Self::Qemu(program) if program.contains("riscv") => {
                "install QEMU (Debian, Ubuntu: `apt install qemu-system-misc`)".to_owned()
            }
            Self::Qemu(_) => "install QEMU (Debian, Ubuntu: `apt install qemu-system-arm`)".to_owned(),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rust(program) => write!(out, "`{program}` was not found")?,
            Self::RustTarget(target) => write!(out, "the Rust target {target} is not installed")?,
            Self::Qemu(program) => write!(out, "the emulator `{program}` was not found")?,
        }
        write!(out, ": {}; `tinyc doctor` lists all that is missing", self.how_to_get())
    }
}

/// Why an emitted crate could not be built or run. `package` is the emitted
/// crate's name, `place` where it ran: `host` or the name of a core.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A tool is missing.
    #[error("{0}")]
    Missing(Missing),
    /// A file or folder of the work folder failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The emulator was built without plugins.
    #[error(
        "the emulator `{program}` takes no plugins, without which nothing is counted: install one that was built with TCG plugins, as those of Debian, Ubuntu, Fedora and Homebrew are"
    )]
    NoPlugins {
        /// The emulator.
        program: String,
    },
    /// The counting plugin does not build.
    #[error(
        "tinyc bug: the plugin that counts instructions does not build; the compiler's last words:\n{tail}"
    )]
    Plugin {
        /// The end of cargo's message.
        tail: String,
    },
    /// The folder given for an emitted crate holds no crate.
    #[error("{} holds no Cargo.toml: build the model `{package}` first", dir.display())]
    NotACrate {
        /// The emitted crate.
        package: String,
        /// The folder given for it.
        dir: PathBuf,
    },
    /// Two emitted crates of one runner share a name, which cargo refuses.
    #[error("two emitted crates are named `{package}`: rebuild one with another `--name`")]
    DuplicatePackage {
        /// The name that occurs twice.
        package: String,
    },
    /// No emitted crate has this place in the runner.
    #[error("crate {index} was asked for, the runner holds {crates}")]
    NoSuchCrate {
        /// The index given.
        index: usize,
        /// How many crates the runner holds.
        crates: usize,
    },
    /// cargo failed for a reason that no other variant names.
    #[error("{package} does not build for {place}; the compiler's last words:\n{tail}")]
    Build {
        /// The emitted crate, or all of them.
        package: String,
        /// For which core, or the host.
        place: &'static str,
        /// The end of cargo's message.
        tail: String,
    },
    /// The firmware holds code that can panic, which an emitted crate must not.
    #[error(
        "tinyc bug: {package} can panic on {place}: its firmware does not link without a panic handler. Panics that remain:\n{}",
        if locations.is_empty() { tail.clone() } else { locations.join("\n") }
    )]
    PanicPath {
        /// The emitted crate.
        package: String,
        /// For which core.
        place: &'static str,
        /// Where in the source, as `file:line:column`; empty if not found.
        locations: Vec<String>,
        /// The end of the linker's message.
        tail: String,
    },
    /// The firmware is larger than the emulated machine's flash or RAM.
    #[error(
        "{package} does not fit the machine that emulates {place} ({flash_bytes} B flash, {ram_bytes} B RAM); the linker's last words:\n{tail}"
    )]
    DoesNotFit {
        /// The emitted crate.
        package: String,
        /// For which core.
        place: &'static str,
        /// Flash of the emulated machine.
        flash_bytes: u32,
        /// RAM of the emulated machine.
        ram_bytes: u32,
        /// The end of the linker's message.
        tail: String,
    },
    /// The bytes given are not a whole number of samples.
    #[error(
        "{package} takes {sample_bytes} B a sample, and {given_bytes} B are not a whole number of samples"
    )]
    InputLength {
        /// The emitted crate.
        package: String,
        /// Bytes of all its inputs.
        sample_bytes: usize,
        /// Bytes given.
        given_bytes: usize,
    },
    /// The runner or the emulator ended with an error of its own.
    #[error("{package} failed on {place} ({status}):\n{output}")]
    Run {
        /// The emitted crate.
        package: String,
        /// Where it ran.
        place: &'static str,
        /// How the process ended.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// The emulated core faulted: a bad access, an instruction that it does
    /// not have, a stack that is too small.
    #[error("tinyc bug: {package} faulted on {place}:\n{output}")]
    Fault {
        /// The emitted crate.
        package: String,
        /// On which core.
        place: &'static str,
        /// The end of what firmware and emulator printed.
        output: String,
    },
    /// The stack of a run has no bound that can be told.
    #[error("tinyc bug: the stack of {package} on {place} has no bound: {source}")]
    Stack {
        /// The emitted crate.
        package: String,
        /// For which core.
        place: &'static str,
        /// Why not.
        source: StackError,
    },
    /// A run took longer than its samples may.
    #[error("{package} did not end on {place} within {} s; it printed:\n{output}", limit.as_secs_f32())]
    Timeout {
        /// The emitted crate.
        package: String,
        /// Where it ran.
        place: &'static str,
        /// The limit for all samples of the run.
        limit: Duration,
        /// The end of what it printed.
        output: String,
    },
    /// A runner ended well, but what it left is not what it should leave.
    #[error("tinyc bug: the runner of {package} on {place} left {what}")]
    Protocol {
        /// The emitted crate.
        package: String,
        /// Where it ran.
        place: &'static str,
        /// What was found and what was due.
        what: String,
    },
}
