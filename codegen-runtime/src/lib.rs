//! The INT8 kernels that tinyc copies into the crates it emits.
//!
//! In: views of activation bytes in one arena and of constants in flash. Out:
//! activation bytes. Invariants: no heap, no floats, no dependency, no panic
//! path in a release build; all `unsafe` is in [`view`] and in assembly; every
//! output byte is the same on every machine, because [`requant`] is the only rounding.
//!
//! Every file but this one and the `mod.rs` files is copied verbatim, so paths
//! inside them are relative (`super::`). The unit of a kernel is a *step*: one
//! output row from the input rows of its window, resolved by [`rows`]. `run`
//! drives a whole tensor: `run(params, [constants,] inputs.., output, scratch)`,
//! with constants where the family has any, and the rows of the window as a const
//! generic where it has a window. Tensors are channel-last, `[H][W][C]`, so that a row
//! is `W * C` contiguous bytes.

#![no_std]

pub mod arch;
pub mod kernels;
pub mod requant;
pub mod rows;
#[cfg(feature = "sources")]
pub mod sources;
pub mod view;
