//! The RAM that a firmware's model needs, whatever the data.
//!
//! In: a linked firmware. Out: [`WorstCase`]. Invariant: the stack is computed
//! from the instructions that were linked; the firmware is not run.

use super::elf::Elf;
use super::emulator::{Firmware, read};
use super::error::VerifyError;
use crate::stack::{StackBound, bound};

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
