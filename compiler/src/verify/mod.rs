//! Verification: float oracle, integer reference, emitted crate, emulated chip.
//!
//! In: a compiled model and samples. Out: scores and byte comparisons. Invariant:
//! this stage only reads; it never changes what is emitted.

pub mod metrics;
