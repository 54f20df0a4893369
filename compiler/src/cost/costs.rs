//! Whose counts coefficients were fitted to, and what was counted.
//!
//! In: a core, or a set of kernels. Out: [`Costs`]. Invariant: estimates of one
//! [`Costs`] have one [`Unit`], which is what `tinyc bench` has for that core.

use crate::lower::KernelSet;
use crate::target::Core;

/// The cores that have coefficients of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Costs {
    /// Cortex-M0.
    M0,
    /// Cortex-M0+.
    M0Plus,
    /// Cortex-M3.
    M3,
    /// Cortex-M4.
    M4,
    /// Cortex-M7, by the model of dual issue.
    M7,
    /// Cortex-M33 with DSP instructions.
    M33,
    /// Cortex-M55 with vectors.
    M55,
    /// RV32IMC.
    Rv32,
}

/// What an estimate is a number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Cycles, memory never waiting.
    Cycles,
    /// Instructions: nobody publishes what they take on the core.
    Instructions,
}

impl Unit {
    /// As reports name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cycles => "cycles",
            Self::Instructions => "instructions",
        }
    }
}

impl Costs {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::M0, Self::M0Plus, Self::M3, Self::M4, Self::M7, Self::M33, Self::M55, Self::Rv32];

    /// Those of a core; `None` where nothing was counted on its like.
    #[must_use]
    pub const fn of(core: Core) -> Option<Self> {
        match core {
            Core::CortexM0 => Some(Self::M0),
            Core::CortexM0Plus => Some(Self::M0Plus),
            Core::CortexM3 => Some(Self::M3),
            Core::CortexM4 | Core::CortexM4F => Some(Self::M4),
            Core::CortexM7 | Core::CortexM7FSp | Core::CortexM7FDp => Some(Self::M7),
            Core::CortexM33F => Some(Self::M33),
            Core::CortexM55 => Some(Self::M55),
            Core::Rv32imc => Some(Self::Rv32),
            Core::CortexM33 | Core::Host => None,
        }
    }

    /// Those that choices follow on machines that run this set best: cores of one set
    /// differ less from each other than forms of a layer do.
    #[must_use]
    pub const fn behind(kernels: KernelSet) -> Self {
        match kernels {
            KernelSet::General | KernelSet::Windows => Self::M3,
            KernelSet::Tiles => Self::M4,
            KernelSet::DualTiles => Self::M7,
            KernelSet::Lanes => Self::M55,
        }
    }

    /// What they count.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::M0 | Self::M0Plus | Self::M3 | Self::M4 | Self::M7 => Unit::Cycles,
            Self::M33 | Self::M55 | Self::Rv32 => Unit::Instructions,
        }
    }

    /// The core, for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::M0 => "Cortex-M0",
            Self::M0Plus => "Cortex-M0+",
            Self::M3 => "Cortex-M3",
            Self::M4 => "Cortex-M4",
            Self::M7 => "Cortex-M7",
            Self::M33 => "Cortex-M33",
            Self::M55 => "Cortex-M55",
            Self::Rv32 => "RV32IMC",
        }
    }
}
