//! Verification: the same model, computed in independent ways, compared.
//!
//! In: a quantized module, its plan, samples. Out: outputs, byte for byte.
//! Invariant: nothing here changes what is emitted; it only reads.

pub mod reference;
pub mod simulate;
