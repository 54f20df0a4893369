//! The primitives in the DSP instructions of Armv7E-M and Armv8-M Main (Cortex-M4,
//! Cortex-M7, Cortex-M33).
//!
//! In and out: as `portable.rs` says, which defines every result; what is not
//! written here is taken from there. Invariant: assembly reads and writes the
//! runs that its caller resolved through the view, and its own stack.
//!
//! Every piece of assembly begins with `.cpu cortex-m33`: the assembler has the DSP
//! instructions of Armv8-M as an option that a Rust target leaves out. All of them are
//! Armv7E-M's, and nothing else of Armv8-M is written here.

use core::arch::asm;

use super::super::requant::Out;
pub use super::dsp_columns::{widen_columns, widen_fours, widen_pairs};
pub use super::dsp_depthwise::depthwise_3x3;
pub use super::dsp_elementwise::{clamp_codes, look_up, weighted_sum};
pub use super::dsp_pairs::RowPair;
pub use super::dsp_pool::{POOL_WORDS, PixelMaxima, PixelSums};
pub use super::dsp_row::{sums_1x4, tiles_1x4};
pub use super::dsp_tile::{sums_2x4, tiles_2x4};
pub use super::dsp_winograd::winograd_products;
pub use super::dsp_winograd_in::winograd_input;
pub use super::dsp_winograd_out::winograd_output;
pub use super::portable::{
    Columns, Four, Part, STRIP_COLUMNS, Tiles, WeightedSum, block_bytes, column_place, column_words, dots,
    sums, winograd_block_bytes,
};
pub use super::portable::{column_sums, pair_windows, requantize_four, window_sums};

/// See [`super::portable::requantize`].
#[inline(always)]
pub fn requantize(acc: i32, m: i32, k: u32, out: Out) -> i8 {
    if k > 0 {
        return super::portable::requantize(acc, m, k, out);
    }
    let code: i32;
    // SAFETY: one instruction on registers: zero_point + ((acc * m + 2^31) >> 32).
    unsafe {
        asm!(
            ".cpu cortex-m33",
            "smmlar {code}, {acc}, {m}, {zero_point}",
            code = lateout(reg) code,
            acc = in(reg) acc,
            m = in(reg) m,
            zero_point = in(reg) out.zero_point,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    code.max(out.lo).min(out.hi) as i8
}

/// See [`super::portable::opaque`].
#[inline(always)]
pub fn opaque<T>(params: &T) -> &T {
    let mut pointer: *const T = params;
    // SAFETY: no instruction at all: the pointer is the one that it was.
    unsafe {
        asm!("/* {0} */", inout(reg) pointer, options(pure, nomem, nostack, preserves_flags));
        &*pointer
    }
}

/// See [`super::portable::opaque_count`].
#[inline(always)]
pub fn opaque_count(mut count: usize) -> usize {
    // SAFETY: no instruction at all: the count is the one that it was.
    unsafe { asm!("/* {0} */", inout(reg) count, options(pure, nomem, nostack, preserves_flags)) };
    count
}
