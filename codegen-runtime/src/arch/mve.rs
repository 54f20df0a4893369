//! The primitives in the vector instructions of Armv8.1-M (MVE, integers): Cortex-M55.
//!
//! In and out: as `portable.rs` says, which defines every result; what is not
//! written here is taken from the DSP instructions, which the core has as well.
//! Invariant: assembly reads and writes the runs that its caller resolved through
//! the view, and its own stack.
//!
//! Every piece of assembly begins with `.cpu cortex-m55`: no Rust target that is
//! stable has these instructions. They need the FPU switched on.

pub use super::cortex_m_dsp::{
    Columns, Four, POOL_WORDS, Part, PixelMaxima, PixelSums, RowPair, STRIP_COLUMNS, Tiles, WeightedSum,
    block_bytes, clamp_codes, column_place, column_sums, column_words, depthwise_3x3, dots, look_up, opaque,
    opaque_count, pair_windows, requantize, requantize_four, sums, sums_1x4, sums_2x4, tiles_1x4, tiles_2x4,
    widen_columns, widen_fours, widen_pairs, window_sums, winograd_block_bytes, winograd_input,
    winograd_output, winograd_products,
};
pub use super::mve_columns::copy_columns;
pub use super::mve_depthwise::depthwise_lanes;
pub use super::mve_elementwise::weighted_sum;
pub use super::mve_lanes::lanes;
pub use super::portable_lanes::{
    LANES, Taps, Windows, depthwise_group_bytes, depthwise_place, lanes_block_bytes,
};
