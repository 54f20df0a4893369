//! Exact counts of what an emulated core executes, layer by layer.
//!
//! In: a firmware and one sample. Out: for each layer of the plan how often
//! each of its instructions ran, how often it went on behind itself, and what
//! it read from flash. Invariant: two runs give the same counts to the digit;
//! every instruction between `bench_start` and `bench_stop` is counted once,
//! for one layer or for none ([`Counts::outside`]).

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::elf::Elf;
use super::emulator::{EmulatedRun, Firmware, FirmwareOptions, read};
use super::error::VerifyError;
use super::harness::{RunnerCrate, run_dir, tail};

const PLUGIN: &str = include_str!("firmware/counting_plugin.rs");

/// Bytes of the lines in which flash is read: 128 bits.
pub const LINE_BYTES: u32 = 16;

/// What one inference executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// In the order of the steps asked for.
    pub layers: Vec<LayerCounts>,
    /// What belongs to no layer: the calls of the layers.
    pub outside: LayerCounts,
}

/// What a layer executed, the kernels that it calls included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LayerCounts {
    /// Its instructions, by address.
    pub instructions: Vec<InstructionCount>,
    /// Loads from flash that left the line of the load before; lines have
    /// [`LINE_BYTES`].
    pub flash_line_changes: u64,
    /// Lines of flash that it read as data.
    pub flash_lines: u64,
}

/// An instruction that was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstructionCount {
    /// Where it lies.
    pub address: u32,
    /// Times that it was executed. On Arm one that its IT block skips counts.
    pub executed: u64,
    /// Times that the instruction behind it followed, if its own length is 2 bytes.
    pub after_2: u64,
    /// The same for 4 bytes.
    pub after_4: u64,
}

impl LayerCounts {
    /// All instructions.
    #[must_use]
    pub fn executed(&self) -> u64 {
        self.instructions.iter().map(|one| one.executed).sum()
    }
}

/// A counted run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Outputs and stack, as of any run.
    pub run: EmulatedRun,
    /// What it executed.
    pub counts: Counts,
    /// The firmware.
    pub elf: Elf,
}

impl Firmware {
    /// Runs one sample and counts; `steps` are those of the plan's steps that
    /// run something, each a function `layer_STEP_NAME` of the crate.
    ///
    /// # Errors
    /// As [`Firmware::run`]; [`VerifyError::NoPlugins`] if the emulator cannot
    /// count.
    pub fn count(&self, sample: &[i8], steps: &[usize]) -> Result<Counted, VerifyError> {
        let sample_bytes = self.sample_bytes()?;
        if sample.len() != sample_bytes {
            return Err(self.input_length(sample_bytes, sample));
        }
        let options = self.options();
        let program = self.core().emulator(&options.tools);
        let plugin = plugin(options, program)?;
        let elf = Elf::parse(&read(self.elf())?)
            .ok_or_else(|| self.protocol("a firmware that is no ELF file".to_owned()))?;
        let arguments = arguments(&elf, steps).ok_or_else(|| {
            self.protocol("a firmware without the markers of the measured region".to_owned())
        })?;
        let dir = run_dir(&options.work_dir)?;
        // A comma ends a plugin's name unless doubled.
        let name = plugin.display().to_string().replace(',', ",,");
        let arguments = [OsString::from("-plugin"), format!("{name},{arguments}").into()];
        let printed = self.emulate(self.elf(), dir.path(), sample, 1, &arguments)?;
        let run = self.ran(dir.path(), printed, 1)?;
        let text = String::from_utf8_lossy(&read(&dir.path().join(OUT))?).into_owned();
        let counts = parse(&text, steps.len())
            .ok_or_else(|| self.protocol("counts that cannot be read".to_owned()))?;
        Ok(Counted { run, counts, elf })
    }
}

/// Name of the file that the plugin writes.
const OUT: &str = "counts.txt";

/// Builds the plugin for the interface of this emulator.
fn plugin(options: &FirmwareOptions, program: &Path) -> Result<std::path::PathBuf, VerifyError> {
    let text = |argument: &str| {
        let output = Command::new(program).arg(argument).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    };
    // One that cannot be started at all is told by the run.
    let help = text("--help");
    if !help.is_empty() && !help.contains("-plugin") {
        return Err(VerifyError::NoPlugins { program: program.display().to_string() });
    }
    // The calls are the same; the number is what each release accepts.
    let interface = if release(&text("--version")) < 9 { 1 } else { 2 };
    let source = format!(
        "{PLUGIN}\n/// The version of the emulator's interface.\n#[unsafe(no_mangle)]\n\
         #[allow(non_upper_case_globals)]\npub static qemu_plugin_version: c_int = {interface};\n"
    );
    let runner = RunnerCrate {
        work_dir: &options.work_dir,
        tools: &options.tools,
        name: "counting",
        manifest:
            "version = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
                   [profile.release]\nopt-level = 3\n"
                .to_owned(),
        files: vec![("src/lib.rs", source)],
        target: None,
        // The emulator's own functions are found when it loads the library.
        rust_flags: match std::env::consts::OS {
            "macos" => vec!["-Clink-arg=-undefined".to_owned(), "-Clink-arg=dynamic_lookup".to_owned()],
            _ => Vec::new(),
        },
    };
    runner.build_library()?.map_err(|message| VerifyError::Plugin { tail: tail(&message) })
}

/// The major number in "QEMU emulator version 7.2.22 (...)"; that of the
/// oldest known one if it cannot be read.
fn release(version: &str) -> u32 {
    let number = |word: &str| word.split_once('.')?.0.parse().ok();
    version.split_whitespace().find_map(number).unwrap_or(7)
}

/// The plugin's arguments for a firmware.
fn arguments(elf: &Elf, steps: &[usize]) -> Option<String> {
    let (start, stop) = (elf.function("bench_start")?, elf.function("bench_stop")?);
    let in_flash =
        |name: &&super::elf::Section| [".vectors", ".text", ".rodata"].contains(&name.name.as_str());
    let flash = elf.sections.iter().filter(in_flash).map(|section| section.address).min()?;
    let flash_end =
        elf.sections.iter().filter(in_flash).map(|section| section.address + section.bytes).max()?;
    let entry = |step: &usize| {
        let of_step = elf.functions.iter().find(|function| layer(&function.name) == Some(*step));
        of_step.map_or(0, |function| function.address)
    };
    let list = |addresses: &mut dyn Iterator<Item = u32>| {
        addresses.map(|address| format!("{address:x}")).collect::<Vec<_>>().join(":")
    };
    Some(format!(
        "start={start:x},stop={stop:x},flash={flash:x},flash_end={flash_end:x},layers={},functions={},out={OUT}",
        list(&mut steps.iter().map(entry)),
        list(&mut elf.functions.iter().map(|function| function.address)),
    ))
}

/// The step whose function a mangled name is: `layer_STEP_NAME` in the crate's
/// root. Names stand with their length in front, and a hash behind or nothing.
fn layer(mangled: &str) -> Option<usize> {
    let (at, _) = mangled.rmatch_indices("layer_").find(|&(at, _)| {
        let digits = mangled[..at].len() - mangled[..at].trim_end_matches(|c: char| c.is_ascii_digit()).len();
        // Digits of the name in front could be taken for some of the length.
        (1..=digits).any(|n| {
            let rest = mangled[at - n..at].parse().ok().and_then(|length: usize| mangled.get(at + length..));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("17h"))
        })
    })?;
    mangled[at + "layer_".len()..].split('_').next()?.parse().ok()
}

fn parse(text: &str, layers: usize) -> Option<Counts> {
    let mut all = vec![LayerCounts::default(); layers + 1];
    for line in text.lines() {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let layer = all.get_mut(words.next()?.parse::<usize>().ok()?)?;
        let address = match kind {
            "code" => Some(u32::from_str_radix(words.next()?, 16).ok()?),
            _ => None,
        };
        let numbers = words.map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
        match (address, &numbers[..]) {
            (Some(address), &[executed, after_2, after_4]) => {
                layer.instructions.push(InstructionCount { address, executed, after_2, after_4 });
            }
            (None, &[changes, lines]) => (layer.flash_line_changes, layer.flash_lines) = (changes, lines),
            _ => return None,
        }
    }
    for layer in &mut all {
        layer.instructions.sort_by_key(|one| one.address);
    }
    let outside = all.pop()?;
    Some(Counts { layers: all, outside })
}

#[cfg(test)]
mod tests {
    use super::{layer, release};

    #[test]
    fn a_layer_is_known_by_its_mangled_name() {
        assert_eq!(layer("_ZN9kws_dscnn15layer_1_conv_5817he2d1889a65078a17E"), Some(1));
        assert_eq!(layer("_RNvCs7NhdfSRABLd_9kws_dscnn15layer_1_conv_58"), Some(1));
        assert_eq!(layer("_ZN7layer_111layer_3_foo17he2d1889a65078a17E"), Some(3));
        // A crate that is named like a layer is none.
        assert_eq!(layer("_ZN11layer_3_foo7runtime7kernels3add3run17he2d1889a65078a17E"), None);
        assert_eq!(layer("bench_start"), None);
    }

    #[test]
    fn the_interface_follows_the_release() {
        assert_eq!(release("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"), 7);
        assert_eq!(release("QEMU emulator version 10.1.0\nCopyright"), 10);
        assert_eq!(release(""), 7);
    }
}
