//! Verification: float oracle, integer reference, emitted crate, emulated chip.
//!
//! In: a compiled model and samples. Out: scores and byte comparisons. Invariant:
//! this stage only reads; it never changes what is emitted.

pub mod counting;
pub mod elf;
pub mod emulator;
pub mod error;
pub mod harness;
pub mod host;
pub mod metrics;
mod panics;
pub mod quality;
pub mod reference;
pub mod simulate;
pub mod validate;
pub mod worst_case;
