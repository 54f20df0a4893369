//! The RAM that a firmware's model needs, whatever the data.
//!
//! In: a linked firmware, or a compiled model and its target. Out:
//! [`WorstCase`]. Invariant: the stack is computed from the instructions that
//! were linked; the firmware is not run, and no emulator is needed.

use super::elf::Elf;
use super::emulator::{Firmware, FirmwareOptions, read};
use super::error::VerifyError;
use super::validate::{ValidateError, emit, emulated_core};
use crate::compile::Compiled;
use crate::stack::{StackBound, bound};
use crate::target::{Fpu, Target};

/// Why the RAM of a compiled model cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum WorstCaseError {
    /// A target without a core that firmware is built for.
    #[error(
        "target '{target}' is no microcontroller, whose stack could be computed: choose one (see `tinyc targets`)"
    )]
    NoCore {
        /// The target's name.
        target: String,
    },
    /// Emitting the crate.
    #[error(transparent)]
    Validate(#[from] Box<ValidateError>),
    /// Building the firmware, or reading it.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// Builds firmware around a compiled model for the target's core, and computes
/// the RAM that it needs at most.
///
/// # Errors
/// [`WorstCaseError`].
pub fn worst_case(
    compiled: &Compiled,
    target: &Target,
    options: &FirmwareOptions,
) -> Result<WorstCase, WorstCaseError> {
    let core = emulated_core(target).ok_or_else(|| WorstCaseError::NoCore { target: target.name.clone() })?;
    let emitted = emit(compiled, target, &options.work_dir).map_err(Box::new)?;
    let options = FirmwareOptions { soft_float: target.core.fpu() == Fpu::None, ..options.clone() };
    Ok(Firmware::build(&emitted, core, options)?.worst_case()?)
}

/// RAM by what needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorstCase {
    /// The deepest stack that a run of the model can take.
    pub stack: StackBound,
    /// Everything in static memory: the model, whose arena is nearly all of
    /// it, and what the crate keeps beside it.
    pub static_bytes: u64,
}

impl WorstCase {
    /// All of it.
    #[must_use]
    pub fn ram_bytes(&self) -> u64 {
        self.static_bytes + u64::from(self.stack.bytes)
    }
}

impl Firmware {
    /// Computes the RAM that the model needs at most.
    ///
    /// # Errors
    /// [`VerifyError::Stack`] if a run can recurse or call what cannot be told.
    pub fn worst_case(&self) -> Result<WorstCase, VerifyError> {
        let elf = Elf::parse(&read(self.elf())?)
            .ok_or_else(|| self.protocol("a firmware that is no ELF file".to_owned()))?;
        let stack = match elf.function(RUN) {
            Some(_) => bound(&elf, self.core().isa(), RUN).map_err(|source| self.unbounded(source))?,
            // A run that does nothing is not linked.
            None => StackBound { bytes: 0, path: Vec::new() },
        };
        let section = |name| u64::from(elf.section_bytes(name));
        Ok(WorstCase { stack, static_bytes: section(".data") + section(".bss") })
    }
}

/// The harness's function that runs the model and does nothing else.
const RUN: &str = "bench_run";
