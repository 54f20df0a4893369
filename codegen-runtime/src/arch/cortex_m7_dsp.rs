//! The primitives of `cortex_m_dsp.rs` for Cortex-M7, which issues two instructions at
//! once.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant: what is
//! written for this core computes the same as what it stands for, in another order.

pub use super::cortex_m_dsp::*;
pub use super::m7_depthwise::depthwise_3x3;
pub use super::m7_row::{sums_1x4, tiles_1x4};
pub use super::m7_tile::{sums_2x4, tiles_2x4};
pub use super::m7_winograd::winograd_products;
