//! Post-training quantization: from ranges of reals to integers.
//!
//! In: a fused float graph, calibrated ranges or the scales that the model
//! carries. Out: a [`QuantTable`] beside the graph. Invariant: the table is a
//! function of its inputs alone, in IEEE double precision with the pure-Rust
//! `libm`, so that every machine derives the same integers.

pub mod border;
pub mod calibrate;
pub mod file;
pub mod multiplier;
pub mod table;

pub use border::BorderBias;
pub use multiplier::Multiplier;
pub use table::{Given, LayerQuant, QTensor, QuantTable};
