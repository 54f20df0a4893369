//! In: the name of a microcontroller, or the path of a TOML file that describes
//! one. Out: a [`Target`]: its core, clock, memory regions, budget arithmetic
//! and emulator.
//!
//! Invariant: a [`Target`] that exists is valid. Its regions are not empty and
//! do not overlap, its arena region is one of its RAM regions, and its Rust
//! target suits its core. The only way to make one is through [`Target::parse`].
//!
//! What follows from the core (instruction set, DSP, FPU, emulator) is derived
//! in [`cores`], so that a chip's file cannot contradict it. Chip names live in
//! the files under `targets/`, never in this code.

pub mod budget;
mod builtin;
pub mod cores;
mod error;
mod lookup;
mod schema;
mod table;
pub mod units;
mod validate;

pub use self::budget::{Budget, BudgetError};
pub use self::cores::{Core, Emulator, Fpu, Isa, MemoryRange, Timing, TimingTable};
pub use self::error::{Problem, TargetError};
pub use self::schema::{ArchFile, Cache, Dma, FlashRegion, Power, Provenance, RamRegion, Target};
pub use self::table::{TargetRow, rows, table};
