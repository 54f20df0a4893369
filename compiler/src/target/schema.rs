//! In: nothing. Out: the shape of a target file as types; `targets/README.md`
//! explains every field to people who add a chip.
//!
//! Invariant: names carry units, and an unknown field is an error, so that a
//! misspelt one cannot be ignored in silence.

use serde::{Deserialize, Serialize};

use super::cores::{Core, Emulator, Isa};
use super::units::energy_uj;
use crate::lower::KernelSet;

/// A microcontroller (or the host) that a model is compiled for.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name given to `--target`; lower-case letters, digits, `-` and `.`.
    pub name: String,
    /// Full part name, with the flash and RAM variant.
    pub part: String,
    /// Who makes it.
    pub vendor: String,
    /// Further names that `--target` accepts: parts, boards.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Processor core; instruction set, DSP, FPU and emulator follow from it.
    pub core: Core,
    /// Highest core clock in Hz; `None` for the host.
    pub clock_hz: Option<u64>,
    /// Rust target triple; `None` for the host.
    pub rust_target: Option<String>,
    /// File of the runtime's `arch` folder that emitted crates use.
    pub arch: ArchFile,
    /// Name of the RAM region in which the arena lies where no faster one has room.
    pub arena_region: String,
    /// What a user should know before trusting a figure.
    pub notes: Option<String>,
    /// Memory that keeps code and weights.
    pub flash: Vec<FlashRegion>,
    /// Memory that holds the arena, the stack and everything else that changes.
    pub ram: Vec<RamRegion>,
    /// Caches between core and flash; `None` where there is none.
    pub cache: Option<Cache>,
    /// Run current, for energy estimates; `None` where no figure is known.
    pub power: Option<Power>,
    /// Where the other figures come from.
    pub provenance: Provenance,
}

/// A file of the runtime's `arch` folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArchFile {
    /// `portable.rs`: plain Rust, for every instruction set.
    Portable,
    /// `cortex_m_dsp.rs`: assembly for Armv7E-M, and for Armv8-M Main with DSP and later ones.
    #[serde(rename = "cortex_m_dsp")]
    CortexMDsp,
    /// `cortex_m7_dsp.rs`: the same, where it pays in the order that Cortex-M7 likes.
    #[serde(rename = "cortex_m7_dsp")]
    CortexM7Dsp,
    /// `mve.rs`: assembly for Armv8.1-M Main with vectors.
    #[serde(rename = "mve")]
    Mve,
    /// `armv6m.rs`: assembly for Armv6-M.
    #[serde(rename = "armv6m")]
    Armv6M,
    /// `armv7m.rs`: assembly for Armv7-M.
    #[serde(rename = "armv7m")]
    Armv7M,
    /// `rv32imc.rs`: plain Rust for RV32IMC.
    #[serde(rename = "rv32imc")]
    Rv32imc,
}

impl ArchFile {
    /// File name within the runtime's `arch` folder.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Portable => "portable.rs",
            Self::CortexMDsp => "cortex_m_dsp.rs",
            Self::CortexM7Dsp => "cortex_m7_dsp.rs",
            Self::Mve => "mve.rs",
            Self::Armv6M => "armv6m.rs",
            Self::Armv7M => "armv7m.rs",
            Self::Rv32imc => "rv32imc.rs",
        }
    }

    /// The kernels that its primitives are for.
    #[must_use]
    pub fn kernels(self) -> KernelSet {
        match self {
            Self::Portable => KernelSet::General,
            Self::CortexMDsp => KernelSet::Tiles,
            Self::CortexM7Dsp => KernelSet::DualTiles,
            Self::Mve => KernelSet::Lanes,
            Self::Armv6M | Self::Armv7M | Self::Rv32imc => KernelSet::Windows,
        }
    }

    /// Whether it assembles for an instruction set, whose cores may need
    /// [`Core::has_dsp`] to run it.
    #[must_use]
    pub fn suits(self, isa: Isa) -> bool {
        match self {
            Self::Portable => true,
            Self::CortexMDsp | Self::CortexM7Dsp => {
                matches!(isa, Isa::Armv7EM | Isa::Armv8MMain | Isa::Armv81MMain)
            }
            Self::Mve => isa == Isa::Armv81MMain,
            Self::Armv6M => isa == Isa::Armv6M,
            Self::Armv7M => isa == Isa::Armv7M,
            Self::Rv32imc => isa == Isa::Rv32imc,
        }
    }
}

/// A range of non-volatile memory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FlashRegion {
    /// Name within the target.
    pub name: String,
    /// First address.
    pub origin: u64,
    /// Length in bytes.
    pub length_bytes: u64,
    /// Wait states of a read at the highest clock, in cycles; `None` where the
    /// figure makes no sense (serial flash) or is not known.
    pub wait_states: Option<u32>,
    /// Whether it lies outside of the chip, so that its size is the board's.
    #[serde(default)]
    pub external: bool,
    /// What is special about it.
    pub description: Option<String>,
}

/// A range of RAM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RamRegion {
    /// Name within the target.
    pub name: String,
    /// First address.
    pub origin: u64,
    /// Length in bytes.
    pub length_bytes: u64,
    /// How fast the core reads and writes data there, 1 the fastest; `None`: nothing
    /// but `arena_region` makes it a place for the arena.
    pub speed_rank: Option<u32>,
    /// Who reaches it besides the core; `None` where that is not known.
    pub dma: Option<Dma>,
    /// What is special about it.
    pub description: Option<String>,
}

/// Which DMA controllers of a chip reach a RAM region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dma {
    /// All that serve peripherals in general.
    All,
    /// Some; the region's description says which.
    Some,
    /// None: what one delivers must be copied by the core.
    None,
}

/// Caches between core and flash.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Bytes that cache instructions (and constants, where it is unified).
    pub instruction_bytes: u64,
    /// Bytes that cache data; equal to `instruction_bytes` where it is unified.
    pub data_bytes: u64,
    /// How it is organised, and whether software must switch it on.
    pub description: String,
}

/// Typical consumption while the core computes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Run current in microampere per megahertz.
    pub run_current_ua_per_mhz: f64,
    /// Supply voltage at which that current was stated, in volt.
    pub supply_volts: f64,
    /// Who states the figure, and under which conditions.
    pub source: String,
    /// Whether somebody compared the figure with its source.
    pub checked: bool,
}

/// Where the figures of a target come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Source of the memory regions.
    pub memory: String,
    /// Source of clock, wait states and caches.
    pub timing: String,
}

impl Target {
    /// Bytes of all flash regions together.
    #[must_use]
    pub fn flash_bytes(&self) -> u64 {
        self.flash.iter().map(|region| region.length_bytes).sum()
    }

    /// Bytes of all RAM regions together. The arena must lie in one region:
    /// compare it with [`Target::arena_bytes`] instead.
    #[must_use]
    pub fn ram_bytes(&self) -> u64 {
        self.ram.iter().map(|region| region.length_bytes).sum()
    }

    /// The RAM region with the given name.
    #[must_use]
    pub fn ram_region(&self, name: &str) -> Option<&RamRegion> {
        self.ram.iter().find(|region| region.name == name)
    }

    /// The regions in which the arena may lie, the fastest first.
    #[must_use]
    pub fn arena_regions(&self) -> Vec<&RamRegion> {
        let of_arena = |region: &RamRegion| region.name == self.arena_region;
        let mut regions: Vec<&RamRegion> =
            self.ram.iter().filter(|region| region.speed_rank.is_some() || of_arena(region)).collect();
        // Of equally fast ones, the one that needs no words to the linker.
        regions.sort_by_key(|region| (region.speed_rank.unwrap_or(u32::MAX), !of_arena(region)));
        regions
    }

    /// Bytes of the region in which the arena lies where no faster one has room: the
    /// largest that it may lie in.
    #[must_use]
    pub fn arena_bytes(&self) -> u64 {
        self.ram_region(&self.arena_region).map_or(0, |region| region.length_bytes)
    }

    /// The machine that emulates the target's core; `None` for the host.
    #[must_use]
    pub fn emulator(&self) -> Option<Emulator> {
        self.core.emulator()
    }

    /// Time of so many core cycles at the highest clock, in milliseconds;
    /// `None` where the target has no clock.
    #[must_use]
    pub fn latency_ms(&self, cycles: u64) -> Option<f64> {
        self.clock_hz.map(|clock_hz| cycles as f64 * 1e3 / clock_hz as f64)
    }

    /// Energy of so many core cycles in microjoule, by [`energy_uj`]; `None`
    /// where the target has no power figures.
    #[must_use]
    pub fn energy_uj(&self, cycles: u64) -> Option<f64> {
        self.power.as_ref().map(|power| energy_uj(cycles, power.run_current_ua_per_mhz, power.supply_volts))
    }
}
