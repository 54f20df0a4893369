//! Emitted crates on the machine that built them.
//!
//! In: any number of emitted crates, then samples as int8 codes. Out: the
//! output codes of each, or every layer's output for one sample.
//! Invariant: one cargo call builds all crates beside each other; the split
//! of samples over threads and the processor's features change no byte.

use super::error::VerifyError;
use super::harness::{
    CrateRef, LayerOutput, RunnerCrate, Tools, default_work_dir, dependency, io_error, parse_trace, run_dir,
    run_limited, tail, to_bytes, to_codes,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const MAIN: &str = include_str!("firmware/host_main.rs");
const PLACE: &str = "host";
/// What a process may take beside its samples.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How crates are built for and run on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostOptions {
    /// Where runners and build results are kept; reused from run to run.
    pub work_dir: PathBuf,
    /// The programs to start.
    pub tools: Tools,
    /// Compile for the processor at hand rather than for its whole family.
    pub native_cpu: bool,
    /// Compile for a quick build rather than a quick run: for many small
    /// models and few samples.
    pub quick_build: bool,
    /// Let arithmetic overflow and failed debug assertions end the run with
    /// an error, as they do in a user's development profile.
    pub checked: bool,
    /// A run may take this long a sample, on top of one minute.
    pub per_sample: Duration,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            work_dir: default_work_dir(),
            tools: Tools::default(),
            native_cpu: true,
            quick_build: false,
            checked: false,
            per_sample: Duration::from_secs(5),
        }
    }
}

/// One program that runs any of the emitted crates it was built from.
#[derive(Debug)]
pub struct HostRunner {
    crates: Vec<Entry>,
    program: PathBuf,
    options: HostOptions,
}

#[derive(Debug)]
struct Entry {
    emitted: CrateRef,
    input_bytes: usize,
    output_bytes: usize,
}

impl HostRunner {
    /// Builds one program of all crates.
    ///
    /// # Errors
    /// [`VerifyError`] if cargo is missing, two crates share a name, a folder
    /// holds no crate, or a crate does not compile.
    pub fn build(crates: &[CrateRef], options: HostOptions) -> Result<Self, VerifyError> {
        let program = build_program(crates, &options, false)?;
        let mut command = Command::new(&program);
        command.arg("shapes");
        let shapes = run_program(&names(crates), command, 0, &options)?;
        let parsed: Vec<(usize, usize)> = shapes
            .lines()
            .filter_map(|line| {
                let (input, output) = line.split_once(' ')?;
                Some((input.parse().ok()?, output.parse().ok()?))
            })
            .collect();
        if parsed.len() != crates.len() || parsed.iter().any(|(input, _)| *input == 0) {
            return Err(VerifyError::Protocol {
                package: names(crates),
                place: PLACE,
                what: format!("these shapes of {} models:\n{shapes}", crates.len()),
            });
        }
        let crates = crates
            .iter()
            .zip(parsed)
            .map(|(emitted, (input_bytes, output_bytes))| Entry {
                emitted: emitted.clone(),
                input_bytes,
                output_bytes,
            })
            .collect();
        Ok(Self { crates, program, options })
    }

    /// Runs one crate on samples: each is the codes of every input, in order,
    /// and gives the codes of every output, in order. Uses all processors.
    ///
    /// # Errors
    /// [`VerifyError::InputLength`] if the codes are no whole number of
    /// samples; others if the crate fails or takes too long.
    pub fn run(&self, index: usize, inputs: &[i8]) -> Result<Vec<i8>, VerifyError> {
        let entry = self.entry(index)?;
        let samples = entry.samples(inputs)?;
        if samples == 0 {
            return Ok(Vec::new());
        }
        let bytes = run_verb(
            &self.program,
            ["run", &index.to_string()],
            &entry.emitted,
            inputs,
            samples,
            &self.options,
        )?;
        let due = samples * entry.output_bytes;
        if bytes.len() != due {
            return Err(entry.protocol(format!("{} B of output, {due} B were due", bytes.len())));
        }
        Ok(to_codes(&bytes))
    }

    /// Every layer's output for one sample, in the order of execution. Builds
    /// the crate with its feature `trace` first.
    ///
    /// # Errors
    /// As [`HostRunner::run`]; the input must be exactly one sample.
    pub fn trace(&self, index: usize, sample: &[i8]) -> Result<Vec<LayerOutput>, VerifyError> {
        let entry = self.entry(index)?;
        if sample.len() != entry.input_bytes {
            return Err(entry.input_length(sample));
        }
        let emitted = &entry.emitted;
        let program = build_program(std::slice::from_ref(emitted), &self.options, true)?;
        let bytes = run_verb(&program, ["trace", "0"], emitted, sample, 1, &self.options)?;
        parse_trace(&bytes)
            .ok_or_else(|| entry.protocol(format!("a trace of {} B that ends early", bytes.len())))
    }

    /// Bytes of all inputs of one crate, a sample.
    ///
    /// # Errors
    /// [`VerifyError::NoSuchCrate`].
    pub fn input_bytes(&self, index: usize) -> Result<usize, VerifyError> {
        self.entry(index).map(|entry| entry.input_bytes)
    }

    /// Bytes of all outputs of one crate, a sample.
    ///
    /// # Errors
    /// [`VerifyError::NoSuchCrate`].
    pub fn output_bytes(&self, index: usize) -> Result<usize, VerifyError> {
        self.entry(index).map(|entry| entry.output_bytes)
    }

    fn entry(&self, index: usize) -> Result<&Entry, VerifyError> {
        self.crates.get(index).ok_or(VerifyError::NoSuchCrate { index, crates: self.crates.len() })
    }
}

impl Entry {
    fn samples(&self, inputs: &[i8]) -> Result<usize, VerifyError> {
        if inputs.len().is_multiple_of(self.input_bytes) {
            Ok(inputs.len() / self.input_bytes)
        } else {
            Err(self.input_length(inputs))
        }
    }

    fn input_length(&self, inputs: &[i8]) -> VerifyError {
        VerifyError::InputLength {
            package: self.emitted.package.clone(),
            sample_bytes: self.input_bytes,
            given_bytes: inputs.len(),
        }
    }

    fn protocol(&self, what: String) -> VerifyError {
        VerifyError::Protocol { package: self.emitted.package.clone(), place: PLACE, what }
    }
}

fn names(crates: &[CrateRef]) -> String {
    match crates {
        [only] => only.package.clone(),
        _ => format!("a runner of {} crates", crates.len()),
    }
}

fn build_program(crates: &[CrateRef], options: &HostOptions, trace: bool) -> Result<PathBuf, VerifyError> {
    let mut seen = BTreeSet::new();
    let mut dependencies = String::new();
    let mut call = String::from("\nmodels! {");
    for (index, emitted) in crates.iter().enumerate() {
        if !seen.insert(&emitted.package) {
            return Err(VerifyError::DuplicatePackage { package: emitted.package.clone() });
        }
        let alias = format!("m{index}");
        dependencies += &dependency(&alias, emitted, trace)?;
        let feed = emitted.takes()?;
        let memory = if emitted.divided()? { "divided" } else { "one" };
        call = format!("{call} {memory} {feed} {alias}");
    }
    let default = if trace { "\"trace\"" } else { "" };
    let level = if options.quick_build { 1 } else { 3 };
    let checked = options.checked;
    let manifest = format!(
        "version = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[features]\n\
         default = [{default}]\ntrace = []\n\n[dependencies]\n{dependencies}\n\
         [profile.release]\nopt-level = {level}\nincremental = false\n\
         overflow-checks = {checked}\ndebug-assertions = {checked}\n"
    );
    let runner = RunnerCrate {
        work_dir: &options.work_dir,
        tools: &options.tools,
        name: "host",
        manifest,
        files: vec![("src/main.rs", format!("{MAIN}{call} }}\n"))],
        target: None,
        rust_flags: if options.native_cpu { vec!["-Ctarget-cpu=native".to_owned()] } else { Vec::new() },
    };
    runner.build()?.map_err(|message| VerifyError::Build {
        package: names(crates),
        place: PLACE,
        tail: tail(&message),
    })
}

/// Runs the program on a file of inputs; returns the file it leaves.
fn run_verb(
    program: &Path,
    arguments: [&str; 2],
    emitted: &CrateRef,
    inputs: &[i8],
    samples: usize,
    options: &HostOptions,
) -> Result<Vec<u8>, VerifyError> {
    let dir = run_dir(&options.work_dir)?;
    let input = dir.path().join("input.bin");
    let output = dir.path().join("output.bin");
    std::fs::write(&input, to_bytes(inputs)).map_err(io_error("write", &input))?;
    let mut command = Command::new(program);
    command.args(arguments).arg(&input).arg(&output);
    run_program(&emitted.package, command, samples, options)?;
    std::fs::read(&output).map_err(io_error("read", &output))
}

fn run_program(
    package: &str,
    command: Command,
    samples: usize,
    options: &HostOptions,
) -> Result<String, VerifyError> {
    let limit = START_LIMIT.saturating_add(options.per_sample.saturating_mul(count(samples)));
    let program = PathBuf::from(command.get_program());
    let finished = run_limited(command, limit).map_err(io_error("run", &program))?;
    match finished.status {
        Some(status) if status.success() => Ok(finished.printed),
        Some(status) => Err(VerifyError::Run {
            package: package.to_owned(),
            place: PLACE,
            status: status.to_string(),
            output: tail(&finished.printed),
        }),
        None => Err(VerifyError::Timeout {
            package: package.to_owned(),
            place: PLACE,
            limit,
            output: tail(&finished.printed),
        }),
    }
}

fn count(samples: usize) -> u32 {
    u32::try_from(samples).unwrap_or(u32::MAX)
}
