//! What the host's and the emulator's runner share: the emitted crate they
//! are given, the work folder, cargo, child processes, trace records.
//!
//! In: emitted crates by name and folder. Out: executables, and what their
//! processes printed. Invariant: what is built depends only on the emitted
//! crates and the options, not on the caller's environment: variables and
//! configuration that would change flags, profiles or folders are overridden.

use super::error::{Missing, VerifyError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// An emitted crate on disk.
///
/// The runners use this part of what is emitted; nothing in it may panic:
/// ```text
/// impl Model {
///     pub const INPUT_BYTES: [usize; I];          // bytes of each input
///     pub const OUTPUT_BYTES: [usize; O];         // bytes of each output
///     pub const fn new() -> Model;                // all zero
///     pub fn input_slice(&mut self, index: usize) -> &mut [i8]; // empty if index >= I
///     pub fn output_slice(&self, index: usize) -> &[i8];        // empty if index >= O
///     pub fn run(&mut self) -> _;                 // the result is not used
///     #[cfg(feature = "trace")]
///     pub fn run_traced(&mut self, sink: &mut dyn FnMut(usize, &str, &[i8])) -> _;
/// }
/// ```
/// Of a crate whose Cargo.toml says `input = "rows"` under `package.metadata.tinyc`,
/// this part instead of `input_slice` and `run`:
/// ```text
///     pub const ROW_BYTES: usize;                 // bytes of a row of the input
///     pub fn push_row(&mut self, row: &[i8; Self::ROW_BYTES]) -> _;
///     pub fn restart(&mut self);
///     pub fn rows_pushed(&self) -> usize;
///     #[cfg(feature = "trace")]
///     pub fn run_traced(&mut self, frame: &[i8; _], sink: &mut dyn FnMut(usize, &str, &[i8])) -> _;
/// ```
/// Of one that says `input = "frames"`, this part:
/// ```text
///     pub const FRAME_BYTES: usize;               // bytes of the new rows of a step
///     pub const STEPS: usize;                     // frames that fill the window
///     pub fn step(&mut self, frame: &[i8; Self::FRAME_BYTES]) -> _;
///     pub fn restart(&mut self);
///     pub fn run_window(&mut self, window: &[i8; _]) -> _;
///     #[cfg(feature = "trace")]
///     pub fn run_traced(&mut self, window: &[i8; _], sink: &mut dyn FnMut(usize, &str, &[i8])) -> _;
/// ```
/// Of one that says `divided = true`, whose model borrows its memory, this part instead of `new`:
/// ```text
/// impl Memory {
///     pub const fn new() -> Memory;               // all zero
/// }
/// impl<'a> Model<'a> {
///     pub const fn of(memory: &'a mut Memory) -> Model<'a>;
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrateRef {
    /// Its package name.
    pub package: String,
    /// The folder of its Cargo.toml.
    pub dir: PathBuf,
}

impl CrateRef {
    /// How its input comes: `whole`, `rows` or `frames`.
    ///
    /// # Errors
    /// As [`CrateRef::absolute_dir`].
    pub(super) fn takes(&self) -> Result<&'static str, VerifyError> {
        Ok(match self.fact("input")?.as_ref().and_then(toml::Value::as_str) {
            Some("rows") => "rows",
            Some("frames") => "frames",
            _ => "whole",
        })
    }

    /// Whether its memory is divided, so that the model borrows it.
    ///
    /// # Errors
    /// As [`CrateRef::absolute_dir`].
    pub(super) fn divided(&self) -> Result<bool, VerifyError> {
        Ok(self.fact("divided")?.and_then(|value| value.as_bool()).unwrap_or(false))
    }

    /// What its Cargo.toml says for the runners.
    fn fact(&self, name: &str) -> Result<Option<toml::Value>, VerifyError> {
        let path = self.absolute_dir()?.join("Cargo.toml");
        let text = std::fs::read_to_string(&path).map_err(io_error("read", &path))?;
        let manifest: Option<toml::Table> = text.parse().ok();
        let fact = || manifest.as_ref()?.get("package")?.get("metadata")?.get("tinyc")?.get(name).cloned();
        Ok(fact())
    }

    /// The folder as an absolute path.
    ///
    /// # Errors
    /// [`VerifyError::NotACrate`] if there is no Cargo.toml in it.
    pub(super) fn absolute_dir(&self) -> Result<PathBuf, VerifyError> {
        self.dir
            .join("Cargo.toml")
            .canonicalize()
            .ok()
            .and_then(|manifest| manifest.parent().map(Path::to_path_buf))
            .ok_or_else(|| VerifyError::NotACrate { package: self.package.clone(), dir: self.dir.clone() })
    }
}

/// One layer's output in a traced run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerOutput {
    /// The step of the plan.
    pub step: usize,
    /// The layer's name.
    pub name: String,
    /// Its output codes.
    pub data: Vec<i8>,
}

/// The programs that the runners start; the default finds them by PATH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    /// Builds the runners.
    pub cargo: PathBuf,
    /// Asked which targets are installed.
    pub rustc: PathBuf,
    /// Runs the Cortex-M firmware.
    pub qemu_arm: PathBuf,
    /// Runs the RISC-V firmware.
    pub qemu_riscv32: PathBuf,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            cargo: "cargo".into(),
            rustc: "rustc".into(),
            qemu_arm: "qemu-system-arm".into(),
            qemu_riscv32: "qemu-system-riscv32".into(),
        }
    }
}

impl Tools {
    /// What of the Rust toolchain itself cannot be started.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        [&self.cargo, &self.rustc]
            .into_iter()
            .filter(|program| !starts(program))
            .map(|program| Missing::Rust(program.display().to_string()))
            .collect()
    }

    /// Whether the standard library of a Rust target is installed. False
    /// also if rustc cannot be started.
    pub(super) fn has_target(&self, target: &str) -> bool {
        Command::new(&self.rustc)
            .args(["--print", "target-libdir", "--target", target])
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
    }
}

/// Whether a program answers to `--version`.
pub(super) fn starts(program: &Path) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The folder for runners and their build results if the caller names none:
/// `tinyc` in the user's cache folder, else in the folder for temporary files.
#[must_use]
pub fn default_work_dir() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from);
    from("XDG_CACHE_HOME")
        .or_else(|| from("LOCALAPPDATA"))
        .or_else(|| from("HOME").map(|home| home.join(".cache")))
        .filter(|folder| folder.is_absolute())
        .unwrap_or_else(std::env::temp_dir)
        .join("tinyc")
}

/// A generated runner crate: its files, and how it is built.
pub(super) struct RunnerCrate<'a> {
    pub work_dir: &'a Path,
    pub tools: &'a Tools,
    /// Starts the runner's package name; the hash of its files follows.
    pub name: &'a str,
    /// Everything between `[package]` and its name, and the end.
    pub manifest: String,
    /// Path within the crate -> text.
    pub files: Vec<(&'static str, String)>,
    pub target: Option<&'static str>,
    pub rust_flags: Vec<String>,
}

impl RunnerCrate<'_> {
    /// Writes and builds the crate; returns the executable, or cargo's
    /// message if the build failed.
    pub fn build(&self) -> Result<Result<PathBuf, String>, VerifyError> {
        let suffix = if self.target.is_none() { std::env::consts::EXE_SUFFIX } else { "" };
        Ok(self.release()?.map(|(folder, package)| folder.join(package + suffix)))
    }

    /// As [`RunnerCrate::build`], for a crate that is a library of the host
    /// which other programs load.
    pub fn build_library(&self) -> Result<Result<PathBuf, String>, VerifyError> {
        use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
        let file = |package: String| format!("{DLL_PREFIX}{}{DLL_SUFFIX}", package.replace('-', "_"));
        Ok(self.release()?.map(|(folder, package)| folder.join(file(package))))
    }

    /// Builds; returns the folder of the results and the package's name.
    fn release(&self) -> Result<Result<(PathBuf, String), String>, VerifyError> {
        if let Some(target) = self.target
            && starts(&self.tools.rustc)
            && !self.tools.has_target(target)
        {
            return Err(VerifyError::Missing(Missing::RustTarget(target)));
        }
        // The name carries all that the build depends on beside the emitted
        // crates: cargo cannot see, for one, that a linker script changed.
        let mut hash = Fnv::default();
        hash.add(&self.manifest);
        for (path, text) in &self.files {
            hash.add(path);
            hash.add(text);
        }
        for flag in self.rust_flags.iter().map(String::as_str).chain(self.target) {
            hash.add(flag);
        }
        let package = format!("{}-{:016x}", self.name, hash.0);
        let dir = self.work_dir.join("runners").join(&package);
        let manifest = format!("[package]\nname = {}\n{}", toml_string(&package), self.manifest);
        write_if_changed(&dir.join("Cargo.toml"), &manifest)?;
        for (path, text) in &self.files {
            write_if_changed(&dir.join(path), text)?;
        }
        // Absolute, because cargo runs in the runner's folder.
        // A folder a target, because cargo locks the whole folder while it builds.
        let target_dir = absolute(self.work_dir)?.join("target").join(self.target.unwrap_or("host"));
        let mut cargo = Command::new(&self.tools.cargo);
        cargo
            .args(["build", "--release", "--offline", "--quiet", "--color=never", "--target-dir"])
            .arg(&target_dir)
            .current_dir(&dir)
            .env("CARGO_ENCODED_RUSTFLAGS", self.rust_flags.join("\u{1f}"));
        if let Some(target) = self.target {
            cargo.args(["--target", target]);
        }
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(changes_builds) {
                cargo.env_remove(&name);
            }
        }
        cargo.stdin(Stdio::null());
        let output = cargo.output().map_err(|source| match source.kind() {
            ErrorKind::NotFound => {
                VerifyError::Missing(Missing::Rust(self.tools.cargo.display().to_string()))
            }
            _ => io_error("start", &self.tools.cargo)(source),
        })?;
        if !output.status.success() {
            return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let folder = match self.target {
            Some(target) => target_dir.join(target),
            None => target_dir,
        };
        Ok(Ok((folder.join("release"), package)))
    }
}

/// Variables of the caller (who may be a test under cargo or clippy) that
/// would change what a runner's build does.
fn changes_builds(name: &str) -> bool {
    matches!(name, "RUSTFLAGS" | "RUSTC_WORKSPACE_WRAPPER" | "CARGO_MAKEFLAGS" | "MAKEFLAGS" | "MFLAGS")
        || ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_"].iter().any(|prefix| name.starts_with(prefix))
}

/// The manifest's dependency on an emitted crate, under another name.
pub(super) fn dependency(alias: &str, emitted: &CrateRef, trace: bool) -> Result<String, VerifyError> {
    let dir = emitted.absolute_dir()?;
    let features = if trace { ", features = [\"trace\"]" } else { "" };
    Ok(format!(
        "{alias} = {{ package = {}, path = {}{features} }}\n",
        toml_string(&emitted.package),
        toml_string(&dir.display().to_string()),
    ))
}

/// A TOML basic string.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Fowler-Noll-Vo 1a, 64 bits: names, not security, and the same everywhere.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// How a child process ended.
pub(super) struct Finished {
    /// None: it was killed because its time was up.
    pub status: Option<ExitStatus>,
    /// What it printed, standard output first.
    pub printed: String,
}

/// Runs a process to its end, or kills it at the limit.
pub(super) fn run_limited(mut command: Command, limit: Duration) -> std::io::Result<Finished> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // Read beside the waiting: a full pipe would stop the child for ever.
    let readers = [std::thread::spawn(move || read_all(out)), std::thread::spawn(move || read_all(err))];
    let start = Instant::now();
    let mut pause = Duration::from_micros(500);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    let printed = readers.into_iter().map(|reader| reader.join().unwrap_or_default()).collect();
    Ok(Finished { status, printed })
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    // What arrived before a broken pipe is still worth showing.
    let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last lines of a message, as many as a reader will look at.
pub(super) fn tail(text: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Reads a trace file: a record a layer, each step, name length and data
/// length as u32 in little endian, then the name, then the data.
pub(super) fn parse_trace(bytes: &[u8]) -> Option<Vec<LayerOutput>> {
    let mut layers = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(12)?;
        let number = |at: usize| {
            let bytes = header.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let (name, after) = after.split_at_checked(number(4)?)?;
        let (data, after) = after.split_at_checked(number(8)?)?;
        layers.push(LayerOutput {
            step: number(0)?,
            name: String::from_utf8_lossy(name).into_owned(),
            data: to_codes(data),
        });
        rest = after;
    }
    Some(layers)
}

/// The bytes of int8 codes.
pub(super) fn to_bytes(codes: &[i8]) -> Vec<u8> {
    codes.iter().map(|code| code.cast_unsigned()).collect()
}

/// The int8 codes in bytes.
pub(super) fn to_codes(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|byte| byte.cast_signed()).collect()
}

/// An empty folder for one run, removed when dropped.
pub(super) fn run_dir(work_dir: &Path) -> Result<tempfile::TempDir, VerifyError> {
    let runs = work_dir.join("runs");
    std::fs::create_dir_all(&runs).map_err(io_error("create", &runs))?;
    tempfile::tempdir_in(&runs).map_err(io_error("create a folder in", &runs))
}

/// Makes an operating system's error one that names the file.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> VerifyError {
    let path = path.to_path_buf();
    move |source| VerifyError::Io { action, path, source }
}

/// Writes a file and its folders, unless it has this text already: cargo
/// builds again what looks new.
fn write_if_changed(path: &Path, text: &str) -> Result<(), VerifyError> {
    if std::fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(io_error("create", folder))?;
    // Renamed into place: another process may be building the same runner.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io_error("write in", folder))?;
    file.write_all(text.as_bytes()).map_err(io_error("write", file.path()))?;
    file.persist(path).map_err(|failed| io_error("write", path)(failed.error))?;
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, VerifyError> {
    path.canonicalize().map_err(io_error("find", path))
}
