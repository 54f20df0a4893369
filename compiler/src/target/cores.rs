//! In: the name of a processor core as a target file spells it. Out: everything
//! that follows from the core alone: instruction set, DSP, FPU, admissible Rust
//! targets, and the machine that emulates it.
//!
//! Invariant: two chips with the same core get the same answers here. The
//! emulator is derived from the core rather than written in each target file,
//! because QEMU models a core, not our chips: repeating it twenty times could
//! only introduce differences.

use serde::{Deserialize, Serialize};

/// A processor core, spelt in target files as in the `serde` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Core {
    /// Arm Cortex-M0.
    #[serde(rename = "cortex-m0")]
    CortexM0,
    /// Arm Cortex-M0+.
    #[serde(rename = "cortex-m0plus")]
    CortexM0Plus,
    /// Arm Cortex-M3.
    #[serde(rename = "cortex-m3")]
    CortexM3,
    /// Arm Cortex-M4 without FPU.
    #[serde(rename = "cortex-m4")]
    CortexM4,
    /// Arm Cortex-M4 with single-precision FPU.
    #[serde(rename = "cortex-m4f")]
    CortexM4F,
    /// Arm Cortex-M7 without FPU.
    #[serde(rename = "cortex-m7")]
    CortexM7,
    /// Arm Cortex-M7 with single-precision FPU.
    #[serde(rename = "cortex-m7f-sp")]
    CortexM7FSp,
    /// Arm Cortex-M7 with double-precision FPU.
    #[serde(rename = "cortex-m7f-dp")]
    CortexM7FDp,
    /// Arm Cortex-M33 with neither DSP extension nor FPU.
    #[serde(rename = "cortex-m33")]
    CortexM33,
    /// Arm Cortex-M33 with DSP extension and single-precision FPU.
    #[serde(rename = "cortex-m33f")]
    CortexM33F,
    /// Arm Cortex-M55 with DSP extension, integer vector extension (MVE) and
    /// double-precision FPU.
    #[serde(rename = "cortex-m55")]
    CortexM55,
    /// A 32-bit RISC-V core with multiplication and compressed instructions.
    #[serde(rename = "rv32imc")]
    Rv32imc,
    /// The machine that runs the compiler.
    #[serde(rename = "host")]
    Host,
}

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Isa {
    /// Armv6-M: 16-bit Thumb, 32-bit products only.
    #[serde(rename = "armv6-m")]
    Armv6M,
    /// Armv7-M: Thumb-2 without DSP instructions.
    #[serde(rename = "armv7-m")]
    Armv7M,
    /// Armv7E-M: Thumb-2 with DSP instructions.
    #[serde(rename = "armv7e-m")]
    Armv7EM,
    /// Armv8-M Main; DSP instructions are optional, see [`Core::has_dsp`].
    #[serde(rename = "armv8-m-main")]
    Armv8MMain,
    /// Armv8.1-M Main with DSP instructions and the integer vector extension (MVE).
    #[serde(rename = "armv8.1-m-main")]
    Armv81MMain,
    /// RV32IMC.
    #[serde(rename = "rv32imc")]
    Rv32imc,
    /// Whatever the compiler itself runs on.
    #[serde(rename = "host")]
    Host,
}

/// A published table of instruction times, by core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimingTable {
    /// Cortex-M0.
    M0,
    /// Cortex-M0+.
    M0Plus,
    /// Cortex-M3.
    M3,
    /// Cortex-M4.
    M4,
}

impl TimingTable {
    /// Where it is published.
    #[must_use]
    pub fn source(self) -> &'static str {
        match self {
            Self::M0 => "Cortex-M0 TRM r0p0, 3.3",
            Self::M0Plus => "Cortex-M0+ TRM r0p1, 3.3",
            Self::M3 => "Cortex-M3 TRM r2p1, 3.3",
            Self::M4 => "Cortex-M4 TRM r0p1, 3.3",
        }
    }
}

/// What cycles of a core are estimated by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// A published table.
    Table(TimingTable),
    /// The model of two instructions at once in `bench::dual_issue`.
    DualIssue,
}

impl Timing {
    /// Where it comes from, as reports name it.
    #[must_use]
    pub fn source(self) -> &'static str {
        match self {
            Self::Table(table) => table.source(),
            Self::DualIssue => {
                "a model of dual issue (LLVM's Cortex-M7 model, published measurements), no table of Arm's"
            }
        }
    }
}

/// The floating-point unit of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fpu {
    /// No FPU: floating point is done in software.
    None,
    /// 32-bit floating point in hardware.
    Single,
    /// 32- and 64-bit floating point in hardware.
    Double,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryRange {
    /// First address.
    pub origin: u64,
    /// Length in bytes.
    pub length_bytes: u64,
}

/// How to start QEMU for a core, and where firmware for that machine lies.
///
/// The memory ranges are the emulated machine's, not the chip's: firmware for
/// the emulator is linked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Emulator {
    /// Program to run.
    pub program: &'static str,
    /// Debian and Ubuntu package that holds the program.
    pub package: &'static str,
    /// Value of `-machine`.
    pub machine: &'static str,
    /// Value of `-cpu`; `None` where the machine fixes it.
    pub cpu: Option<&'static str>,
    /// Further arguments that the machine needs.
    pub extra_args: &'static [&'static str],
    /// Where code and constants are linked.
    pub flash: MemoryRange,
    /// Where data and stack are linked.
    pub ram: MemoryRange,
}

impl Emulator {
    /// Arguments that select the machine: `-machine`, `-cpu` and the extra ones.
    #[must_use]
    pub fn machine_args(&self) -> Vec<&'static str> {
        let mut args = vec!["-machine", self.machine];
        if let Some(cpu) = self.cpu {
            args.extend(["-cpu", cpu]);
        }
        args.extend_from_slice(self.extra_args);
        args
    }
}

const FOUR_MIB: u64 = 4 << 20;

/// Two ranges of 4 MiB, where every Armv6-M and Armv7-M machine used here has
/// its code memory and its data memory.
const fn arm(machine: &'static str, extra_args: &'static [&'static str]) -> Emulator {
    Emulator {
        program: "qemu-system-arm",
        package: "qemu-system-arm",
        machine,
        cpu: None,
        extra_args,
        flash: MemoryRange { origin: 0, length_bytes: FOUR_MIB },
        ram: MemoryRange { origin: 0x2000_0000, length_bytes: FOUR_MIB },
    }
}

// The machine has 256 KiB of flash and 16 KiB of RAM unless told otherwise.
const M0: Emulator =
    arm("microbit", &["-global", "nrf51-soc.flash-size=4194304", "-global", "nrf51-soc.sram-size=4194304"]);
const M3: Emulator = arm("mps2-an385", &[]);
const M4: Emulator = arm("mps2-an386", &[]);
const M7: Emulator = arm("mps2-an500", &[]);
// Boots in the secure state: these are the secure aliases of its SSRAMs.
const M33: Emulator = Emulator {
    flash: MemoryRange { origin: 0x1000_0000, length_bytes: FOUR_MIB },
    ram: MemoryRange { origin: 0x3800_0000, length_bytes: FOUR_MIB },
    ..arm("mps2-an505", &[])
};
// The reset vector lies in a TCM of 512 KiB; firmware lies in the DRAM, data in an SRAM.
const M55: Emulator = Emulator {
    flash: MemoryRange { origin: 0x6000_0000, length_bytes: FOUR_MIB },
    ram: MemoryRange { origin: 0x2100_0000, length_bytes: FOUR_MIB },
    ..arm("mps3-an547", &[])
};
const RV32: Emulator = Emulator {
    program: "qemu-system-riscv32",
    package: "qemu-system-misc",
    machine: "virt",
    // Atomics and floating point off, so that an instruction which RV32IMC
    // lacks traps here as it would on the chip.
    cpu: Some("rv32,a=false,f=false,d=false"),
    extra_args: &["-bios", "none"],
    // One RAM of 128 MiB: its first part plays the flash.
    flash: MemoryRange { origin: 0x8000_0000, length_bytes: 16 << 20 },
    ram: MemoryRange { origin: 0x8100_0000, length_bytes: 16 << 20 },
};

impl Core {
    /// The instruction set of the core.
    #[must_use]
    pub fn isa(self) -> Isa {
        match self {
            Self::CortexM0 | Self::CortexM0Plus => Isa::Armv6M,
            Self::CortexM3 => Isa::Armv7M,
            Self::CortexM4 | Self::CortexM4F | Self::CortexM7 | Self::CortexM7FSp | Self::CortexM7FDp => {
                Isa::Armv7EM
            }
            Self::CortexM33 | Self::CortexM33F => Isa::Armv8MMain,
            Self::CortexM55 => Isa::Armv81MMain,
            Self::Rv32imc => Isa::Rv32imc,
            Self::Host => Isa::Host,
        }
    }

    /// Whether the core has the Arm DSP instructions (`SMLAD` and relatives).
    #[must_use]
    pub fn has_dsp(self) -> bool {
        self.isa() == Isa::Armv7EM || matches!(self, Self::CortexM33F | Self::CortexM55)
    }

    /// The table of instruction times that holds for the core; `None` where
    /// none is published, or where it issues two instructions a cycle.
    #[must_use]
    pub fn timing_table(self) -> Option<TimingTable> {
        match self {
            Self::CortexM0 => Some(TimingTable::M0),
            Self::CortexM0Plus => Some(TimingTable::M0Plus),
            Self::CortexM3 => Some(TimingTable::M3),
            Self::CortexM4 | Self::CortexM4F => Some(TimingTable::M4),
            Self::CortexM7 | Self::CortexM7FSp | Self::CortexM7FDp => None,
            Self::CortexM33 | Self::CortexM33F | Self::CortexM55 => None,
            Self::Rv32imc | Self::Host => None,
        }
    }

    /// What its cycles are estimated by; `None` where nothing is published that
    /// could be.
    #[must_use]
    pub fn timing(self) -> Option<Timing> {
        match self {
            Self::CortexM7 | Self::CortexM7FSp | Self::CortexM7FDp => Some(Timing::DualIssue),
            _ => self.timing_table().map(Timing::Table),
        }
    }

    /// The floating-point unit of the core; the host counts as double.
    #[must_use]
    pub fn fpu(self) -> Fpu {
        match self {
            Self::CortexM4F | Self::CortexM7FSp | Self::CortexM33F => Fpu::Single,
            Self::CortexM7FDp | Self::CortexM55 | Self::Host => Fpu::Double,
            Self::CortexM0
            | Self::CortexM0Plus
            | Self::CortexM3
            | Self::CortexM4
            | Self::CortexM7
            | Self::CortexM33
            | Self::Rv32imc => Fpu::None,
        }
    }

    /// The Rust targets that suit the core, the preferred one first; empty for
    /// the host, which needs none.
    #[must_use]
    pub fn rust_targets(self) -> &'static [&'static str] {
        let hard = self.fpu() != Fpu::None;
        match self.isa() {
            Isa::Armv6M => &["thumbv6m-none-eabi"],
            Isa::Armv7M => &["thumbv7m-none-eabi"],
            Isa::Armv7EM if hard => &["thumbv7em-none-eabihf", "thumbv7em-none-eabi"],
            Isa::Armv7EM => &["thumbv7em-none-eabi"],
            Isa::Armv8MMain if hard => &["thumbv8m.main-none-eabihf", "thumbv8m.main-none-eabi"],
            Isa::Armv8MMain => &["thumbv8m.main-none-eabi"],
            // Vectors need the FPU switched on, as the hard-float target does.
            Isa::Armv81MMain => &["thumbv8m.main-none-eabihf"],
            Isa::Rv32imc => &["riscv32imc-unknown-none-elf"],
            Isa::Host => &[],
        }
    }

    /// The machine that emulates the core; `None` for the host.
    #[must_use]
    pub fn emulator(self) -> Option<Emulator> {
        match self {
            Self::CortexM0 | Self::CortexM0Plus => Some(M0),
            Self::CortexM3 => Some(M3),
            Self::CortexM4 | Self::CortexM4F => Some(M4),
            Self::CortexM7 | Self::CortexM7FSp | Self::CortexM7FDp => Some(M7),
            Self::CortexM33 | Self::CortexM33F => Some(M33),
            Self::CortexM55 => Some(M55),
            Self::Rv32imc => Some(RV32),
            Self::Host => None,
        }
    }

    /// The name of the core for people, for example "Cortex-M4F".
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::CortexM0 => "Cortex-M0",
            Self::CortexM0Plus => "Cortex-M0+",
            Self::CortexM3 => "Cortex-M3",
            Self::CortexM4 => "Cortex-M4",
            Self::CortexM4F => "Cortex-M4F",
            Self::CortexM7 => "Cortex-M7",
            Self::CortexM7FSp => "Cortex-M7F (single)",
            Self::CortexM7FDp => "Cortex-M7F (double)",
            Self::CortexM33 => "Cortex-M33",
            Self::CortexM33F => "Cortex-M33F",
            Self::CortexM55 => "Cortex-M55",
            Self::Rv32imc => "RV32IMC",
            Self::Host => "host",
        }
    }
}
