//! Emitted crates in firmware for an emulated core.
//!
//! In: one emitted crate and a core, then samples as int8 codes. Out: the
//! output codes, the stack that a run takes, what the firmware printed, or
//! every layer's output for one sample.
//! Invariant: a firmware that was built holds no panic path, because its
//! panic handler calls a symbol that is defined nowhere; the samples are read
//! at run time, so the same firmware serves every sample and every measurement.

use super::error::{Missing, VerifyError};
use super::harness::{
    CrateRef, LayerOutput, RunnerCrate, Tools, default_work_dir, dependency, io_error, parse_trace, run_dir,
    run_limited, starts, tail, to_bytes, to_codes,
};
use super::panics::panic_locations;
use crate::stack::StackError;
use crate::target::Isa;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

const MAIN: &str = include_str!("firmware/firmware_main.rs");
const SEMIHOSTING: &str = include_str!("firmware/semihosting.rs");
const ARCH_ARM: &str = include_str!("firmware/arch_arm.rs");
const ARCH_RISCV: &str = include_str!("firmware/arch_riscv.rs");
const SECTIONS: &str = include_str!("firmware/sections.ld");
const PANIC_SYMBOL: &str = "tinyc_panic_path_exists";
/// What an emulator may take beside its samples.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A core that firmware can be run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Core {
    /// Arm Cortex-M0 (Armv6-M).
    M0,
    /// Arm Cortex-M3 (Armv7-M).
    M3,
    /// Arm Cortex-M4F (Armv7E-M).
    M4,
    /// Arm Cortex-M7F (Armv7E-M).
    M7,
    /// Arm Cortex-M33F (Armv8-M Main), in its secure state.
    M33,
    /// Arm Cortex-M55 (Armv8.1-M Main with MVE), in its secure state.
    M55,
    /// RISC-V RV32IMC.
    Rv32,
}

/// How a core is emulated and compiled for.
struct Machine {
    name: &'static str,
    rust_target: &'static str,
    /// The same core without a use of its FPU.
    soft_float_target: &'static str,
    arguments: &'static [&'static str],
    /// Where the vectors lie, if not at the start of the flash.
    vectors_origin: Option<u32>,
    flash_origin: u32,
    flash_bytes: u32,
    ram_origin: u32,
    ram_bytes: u32,
}

const MIB: u32 = 1 << 20;

impl Core {
    /// Every core.
    pub const ALL: [Self; 7] = [Self::M0, Self::M3, Self::M4, Self::M7, Self::M33, Self::M55, Self::Rv32];

    const fn machine(self) -> Machine {
        // Memory as the emulator's boards have it, not as a product has it:
        // whether a model fits a chip is the plan's question.
        let mps2 = Machine {
            name: "",
            rust_target: "",
            soft_float_target: "",
            arguments: &[],
            vectors_origin: None,
            flash_origin: 0,
            flash_bytes: 4 * MIB,
            ram_origin: 0x2000_0000,
            ram_bytes: 4 * MIB,
        };
        match self {
            Self::M0 => Machine {
                name: "m0",
                rust_target: "thumbv6m-none-eabi",
                soft_float_target: "thumbv6m-none-eabi",
                arguments: &[
                    "-M",
                    "microbit",
                    "-global",
                    "nrf51-soc.flash-size=4194304",
                    "-global",
                    "nrf51-soc.sram-size=4194304",
                ],
                ..mps2
            },
            Self::M3 => Machine {
                name: "m3",
                rust_target: "thumbv7m-none-eabi",
                soft_float_target: "thumbv7m-none-eabi",
                arguments: &["-M", "mps2-an385", "-cpu", "cortex-m3"],
                ..mps2
            },
            Self::M4 => Machine {
                name: "m4",
                rust_target: "thumbv7em-none-eabihf",
                soft_float_target: "thumbv7em-none-eabi",
                arguments: &["-M", "mps2-an386", "-cpu", "cortex-m4"],
                ..mps2
            },
            Self::M7 => Machine {
                name: "m7",
                rust_target: "thumbv7em-none-eabihf",
                soft_float_target: "thumbv7em-none-eabi",
                arguments: &["-M", "mps2-an500", "-cpu", "cortex-m7"],
                ..mps2
            },
            // The secure aliases of code memory and of SSRAM 2 and 3.
            Self::M33 => Machine {
                name: "m33",
                rust_target: "thumbv8m.main-none-eabihf",
                soft_float_target: "thumbv8m.main-none-eabi",
                arguments: &["-M", "mps2-an505", "-cpu", "cortex-m33"],
                flash_origin: 0x1000_0000,
                ram_origin: 0x3800_0000,
                ..mps2
            },
            // The core starts in a TCM, which is smaller than models may be: the flash
            // is DRAM, the RAM one of the SRAMs.
            Self::M55 => Machine {
                name: "m55",
                rust_target: "thumbv8m.main-none-eabihf",
                soft_float_target: "thumbv8m.main-none-eabihf",
                arguments: &["-M", "mps3-an547", "-cpu", "cortex-m55"],
                vectors_origin: Some(0),
                flash_origin: 0x6000_0000,
                ram_origin: 0x2100_0000,
                ..mps2
            },
            // One RAM; its first half plays the flash. The start address is
            // the board's. The CPU has no extension beside I, M and C.
            Self::Rv32 => Machine {
                name: "rv32",
                rust_target: "riscv32imc-unknown-none-elf",
                soft_float_target: "riscv32imc-unknown-none-elf",
                arguments: &["-M", "virt", "-cpu", "rv32,a=off,f=off,d=off", "-bios", "none"],
                vectors_origin: None,
                flash_origin: 0x8000_0000,
                flash_bytes: 16 * MIB,
                ram_origin: 0x8100_0000,
                ram_bytes: 16 * MIB,
            },
        }
    }

    /// Its name in messages and file names: `m0` ... `rv32`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.machine().name
    }

    /// Its instruction set.
    #[must_use]
    pub const fn isa(self) -> Isa {
        match self {
            Self::M0 => Isa::Armv6M,
            Self::M3 => Isa::Armv7M,
            Self::M4 | Self::M7 => Isa::Armv7EM,
            Self::M33 => Isa::Armv8MMain,
            Self::M55 => Isa::Armv81MMain,
            Self::Rv32 => Isa::Rv32imc,
        }
    }

    /// The Rust target that firmware is compiled for, hard-float where the
    /// core has an FPU.
    #[must_use]
    pub const fn rust_target(self) -> &'static str {
        self.machine().rust_target
    }

    /// Flash of the emulated machine, in bytes.
    #[must_use]
    pub const fn flash_bytes(self) -> u32 {
        self.machine().flash_bytes
    }

    /// RAM of the emulated machine, in bytes; the stack is part of it.
    #[must_use]
    pub const fn ram_bytes(self) -> u32 {
        self.machine().ram_bytes
    }

    pub(super) fn emulator(self, tools: &Tools) -> &Path {
        match self {
            Self::Rv32 => &tools.qemu_riscv32,
            _ => &tools.qemu_arm,
        }
    }

    /// What the emulation of this core needs and does not find, the Rust
    /// toolchain itself aside ([`Tools::missing`]).
    #[must_use]
    pub fn missing(self, tools: &Tools) -> Vec<Missing> {
        let target = self.rust_target();
        let emulator = self.emulator(tools);
        let mut missing = Vec::new();
        if !tools.has_target(target) {
            missing.push(Missing::RustTarget(target));
        }
        if !starts(emulator) {
            missing.push(Missing::Qemu(emulator.display().to_string()));
        }
        missing
    }
}

/// How firmware is built and run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareOptions {
    /// Where runners and build results are kept; reused from run to run.
    pub work_dir: PathBuf,
    /// The programs to start.
    pub tools: Tools,
    /// Compile without the FPU where the core has one.
    pub soft_float: bool,
    /// RAM kept for the stack; rounded up to 16.
    pub stack_bytes: u32,
    /// A run may take this long a sample, on top of ten seconds.
    pub per_sample: Duration,
}

impl Default for FirmwareOptions {
    fn default() -> Self {
        Self {
            work_dir: default_work_dir(),
            tools: Tools::default(),
            soft_float: false,
            stack_bytes: 64 << 10,
            per_sample: Duration::from_secs(30),
        }
    }
}

/// What one emulated run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmulatedRun {
    /// The codes of every output of every sample, in order.
    pub outputs: Vec<i8>,
    /// The deepest stack of the model's `run` over all samples.
    pub stack_bytes: usize,
    /// Every `name value` line of the firmware: `input_bytes` and
    /// `output_bytes` a sample, `model_ram_bytes`, `samples`, `stack_bytes`.
    pub printed: BTreeMap<String, usize>,
}

/// One emitted crate, linked into firmware for one core.
#[derive(Debug)]
pub struct Firmware {
    emitted: CrateRef,
    core: Core,
    elf: PathBuf,
    options: FirmwareOptions,
    /// Asked of the firmware when first needed.
    sample_bytes: OnceLock<usize>,
}

impl Firmware {
    /// Builds the firmware: opt-level 3, one codegen unit, link-time
    /// optimisation, panics that do not link, symbols kept.
    ///
    /// # Errors
    /// [`VerifyError::PanicPath`] if anything in it can panic;
    /// [`VerifyError::DoesNotFit`]; others if cargo or the Rust target is
    /// missing or the crate does not compile. The emulator is not needed yet.
    pub fn build(emitted: &CrateRef, core: Core, options: FirmwareOptions) -> Result<Self, VerifyError> {
        let elf = build_elf(emitted, core, &options, Purpose::Run)?;
        Ok(Self { emitted: emitted.clone(), core, elf, options, sample_bytes: OnceLock::new() })
    }

    /// The core that it is for.
    #[must_use]
    pub const fn core(&self) -> Core {
        self.core
    }

    /// How it was built and is run.
    pub(super) const fn options(&self) -> &FirmwareOptions {
        &self.options
    }

    /// The linked firmware. Started by an emulator in a folder without
    /// `input.bin` it runs one sample of zeros; `bench_start` and
    /// `bench_stop` enclose each run of the model.
    #[must_use]
    pub fn elf(&self) -> &Path {
        &self.elf
    }

    /// Runs samples: each is the codes of every input, in order.
    ///
    /// # Errors
    /// [`VerifyError::InputLength`] if the codes are no whole number of
    /// samples; [`VerifyError::Fault`] if the core faults; others if the
    /// emulator is missing, fails or takes too long.
    pub fn run(&self, inputs: &[i8]) -> Result<EmulatedRun, VerifyError> {
        let sample_bytes = self.sample_bytes()?;
        if !inputs.len().is_multiple_of(sample_bytes) {
            return Err(self.input_length(sample_bytes, inputs));
        }
        let samples = inputs.len() / sample_bytes;
        let dir = run_dir(&self.options.work_dir)?;
        let printed = self.emulate(&self.elf, dir.path(), inputs, samples, &[])?;
        self.ran(dir.path(), printed, samples)
    }

    /// What a run of so many samples printed and left in its folder.
    pub(super) fn ran(
        &self,
        dir: &Path,
        printed: BTreeMap<String, usize>,
        samples: usize,
    ) -> Result<EmulatedRun, VerifyError> {
        if self.fact(&printed, "samples")? != samples {
            return Err(self.protocol(format!("{printed:?} after {samples} samples")));
        }
        let outputs = read(&dir.join("output.bin"))?;
        let due = samples * self.fact(&printed, "output_bytes")?;
        if outputs.len() != due {
            return Err(self.protocol(format!("{} B of output, {due} B were due", outputs.len())));
        }
        Ok(EmulatedRun {
            outputs: to_codes(&outputs),
            stack_bytes: self.fact(&printed, "stack_bytes")?,
            printed,
        })
    }

    /// Every layer's output for one sample, in the order of execution. Builds
    /// another firmware with the crate's feature `trace` first; that one may
    /// hold panic paths.
    ///
    /// # Errors
    /// As [`Firmware::build`] and [`Firmware::run`].
    pub fn trace(&self, sample: &[i8]) -> Result<Vec<LayerOutput>, VerifyError> {
        let sample_bytes = self.sample_bytes()?;
        if sample.len() != sample_bytes {
            return Err(self.input_length(sample_bytes, sample));
        }
        let elf = build_elf(&self.emitted, self.core, &self.options, Purpose::Trace)?;
        let dir = run_dir(&self.options.work_dir)?;
        self.emulate(&elf, dir.path(), sample, 1, &[])?;
        let bytes = read(&dir.path().join("trace.bin"))?;
        parse_trace(&bytes)
            .ok_or_else(|| self.protocol(format!("a trace of {} B that ends early", bytes.len())))
    }

    /// Bytes of all inputs, a sample, as the firmware itself tells.
    pub(super) fn sample_bytes(&self) -> Result<usize, VerifyError> {
        if let Some(bytes) = self.sample_bytes.get() {
            return Ok(*bytes);
        }
        let dir = run_dir(&self.options.work_dir)?;
        let printed = self.emulate(&self.elf, dir.path(), &[], 0, &[])?;
        let bytes = self.fact(&printed, "input_bytes")?;
        if bytes == 0 {
            return Err(self.protocol("a model without inputs".to_owned()));
        }
        Ok(*self.sample_bytes.get_or_init(|| bytes))
    }

    fn fact(&self, printed: &BTreeMap<String, usize>, name: &str) -> Result<usize, VerifyError> {
        let value = printed.get(name).copied();
        value.ok_or_else(|| self.protocol(format!("no line `{name}` but {printed:?}")))
    }

    /// Runs an ELF in a folder, with further arguments for the emulator;
    /// returns the `name value` lines.
    pub(super) fn emulate(
        &self,
        elf: &Path,
        dir: &Path,
        inputs: &[i8],
        samples: usize,
        arguments: &[OsString],
    ) -> Result<BTreeMap<String, usize>, VerifyError> {
        let input = dir.join("input.bin");
        std::fs::write(&input, to_bytes(inputs)).map_err(io_error("write", &input))?;
        let program = self.core.emulator(&self.options.tools);
        let mut command = Command::new(program);
        command
            .args(self.core.machine().arguments)
            .args(arguments)
            .args(["-nographic", "-monitor", "none", "-serial", "none"])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(elf)
            .current_dir(dir);
        let samples = u32::try_from(samples).unwrap_or(u32::MAX);
        let limit = START_LIMIT.saturating_add(self.options.per_sample.saturating_mul(samples));
        let finished = run_limited(command, limit).map_err(|source| match source.kind() {
            ErrorKind::NotFound => VerifyError::Missing(Missing::Qemu(program.display().to_string())),
            _ => io_error("run", program)(source),
        })?;
        let package = self.emitted.package.clone();
        let place = self.core.name();
        let output = tail(&finished.printed);
        let Some(status) = finished.status else {
            return Err(VerifyError::Timeout { package, place, limit, output });
        };
        if status.success() {
            return Ok(facts(&finished.printed));
        }
        let faulted = finished.printed.lines().any(|line| line.starts_with("fault "))
            || finished.printed.contains("Lockup");
        Err(if faulted {
            VerifyError::Fault { package, place, output }
        } else {
            VerifyError::Run { package, place, status: status.to_string(), output }
        })
    }

    pub(super) fn input_length(&self, sample_bytes: usize, inputs: &[i8]) -> VerifyError {
        VerifyError::InputLength {
            package: self.emitted.package.clone(),
            sample_bytes,
            given_bytes: inputs.len(),
        }
    }

    pub(super) fn unbounded(&self, source: StackError) -> VerifyError {
        VerifyError::Stack { package: self.emitted.package.clone(), place: self.core.name(), source }
    }

    pub(super) fn protocol(&self, what: String) -> VerifyError {
        VerifyError::Protocol { package: self.emitted.package.clone(), place: self.core.name(), what }
    }
}

fn facts(printed: &str) -> BTreeMap<String, usize> {
    printed
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, VerifyError> {
    std::fs::read(path).map_err(io_error("read", path))
}

/// What a firmware is built for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Run,
    /// With every layer's output; panics are faults.
    Trace,
    /// Only to find the panics in it.
    Locate,
}

fn build_elf(
    emitted: &CrateRef,
    core: Core,
    options: &FirmwareOptions,
    purpose: Purpose,
) -> Result<PathBuf, VerifyError> {
    let machine = core.machine();
    let default = match purpose {
        Purpose::Run => "",
        Purpose::Trace => "\"trace\", \"locate\"",
        Purpose::Locate => "\"locate\"",
    };
    let rows = match emitted.takes()? {
        "rows" => "\"rows\"",
        "frames" => "\"frames\"",
        _ => "",
    };
    let divided = if emitted.divided()? { "\"divided\"" } else { "" };
    let default =
        [default, rows, divided].into_iter().filter(|list| !list.is_empty()).collect::<Vec<_>>().join(", ");
    // File names in debug information would look like those of panics.
    let (debug, strip) = match purpose {
        Purpose::Run | Purpose::Trace => (true, false),
        Purpose::Locate => (false, true),
    };
    let manifest = format!(
        "version = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[features]\n\
         default = [{default}]\ntrace = []\nlocate = []\nrows = []\nframes = []\ndivided = []\n\n[dependencies]\n{}\n\
         [profile.release]\nopt-level = 3\nlto = \"fat\"\ncodegen-units = 1\n\
         panic = \"abort\"\ndebug = {debug}\nstrip = {strip}\nincremental = false\n\
         overflow-checks = false\ndebug-assertions = false\n",
        dependency("model", emitted, purpose == Purpose::Trace)?,
    );
    let vectors = match machine.vectors_origin {
        Some(origin) => format!("MEMORY {{ VECTORS (rx) : ORIGIN = {origin:#x}, LENGTH = 64 }}\n"),
        None => "REGION_ALIAS(\"VECTORS\", FLASH)\n".to_owned(),
    };
    let script = format!(
        "MEMORY {{\n  FLASH (rx) : ORIGIN = {:#x}, LENGTH = {}\n  \
         RAM (rwx) : ORIGIN = {:#x}, LENGTH = {}\n}}\n{vectors}_stack_bytes = {};\n{SECTIONS}",
        machine.flash_origin,
        machine.flash_bytes,
        machine.ram_origin,
        machine.ram_bytes,
        options.stack_bytes.saturating_add(15) & !15,
    );
    let arch = match core {
        Core::Rv32 => ARCH_RISCV,
        _ => ARCH_ARM,
    };
    let runner = RunnerCrate {
        work_dir: &options.work_dir,
        tools: &options.tools,
        name: &format!("{}-{}", emitted.package, machine.name),
        manifest,
        files: vec![
            ("src/main.rs", MAIN.to_owned()),
            ("src/semihosting.rs", SEMIHOSTING.to_owned()),
            ("src/arch.rs", arch.to_owned()),
            ("link.ld", script),
        ],
        target: Some(if options.soft_float { machine.soft_float_target } else { machine.rust_target }),
        // The same for every model, so that build results can be shared;
        // the script is found in the folder that the linker starts in.
        rust_flags: vec!["-Clink-arg=-Tlink.ld".to_owned()],
    };
    runner.build()?.map_err(|message| {
        let package = emitted.package.clone();
        let place = machine.name;
        let tail = tail(&message);
        if message.contains(PANIC_SYMBOL) {
            // What cannot be located is still an error with the linker's words.
            let locations = build_elf(emitted, core, options, Purpose::Locate)
                .and_then(|elf| read(&elf))
                .map(|elf| panic_locations(&elf))
                .unwrap_or_default();
            VerifyError::PanicPath { package, place, locations, tail }
        } else if message.contains("will not fit in region") {
            VerifyError::DoesNotFit {
                package,
                place,
                flash_bytes: machine.flash_bytes,
                ram_bytes: machine.ram_bytes,
                tail,
            }
        } else {
            VerifyError::Build { package, place, tail }
        }
    })
}
