//! The primitives in the DSP instructions of Armv7E-M (Cortex-M4, Cortex-M7).
//!
//! In and out: as `portable.rs` says, which defines every result; what is not
//! written here is taken from there. Invariant: assembly reads and writes the
//! runs that its caller resolved through the view, and its own stack.

use core::arch::{asm, naked_asm};

use super::super::requant::Out;
use super::super::view::Bytes;
pub use super::dsp_depthwise::{RowPair, depthwise_3x3, pair_rows};
pub use super::dsp_row::{sums_1x4, tiles_1x4};
pub use super::dsp_tile::{sums_2x4, tiles_2x4};
pub use super::dsp_winograd::winograd_products;
pub use super::dsp_winograd_in::winograd_input;
pub use super::dsp_winograd_out::winograd_output;
pub use super::portable::{STRIP_COLUMNS, Steps, block_bytes, dots, sums, winograd_block_bytes};

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

/// See [`super::portable::widen`].
#[inline(always)]
pub fn widen(codes: Bytes<'_>, len: usize, tile: Bytes<'_>, pixel: usize) {
    let (from, to) = (codes.pointer(0, len), tile.pointer(0, len.div_ceil(4) * 16));
    // SAFETY: `len` codes are read, and of each of the tile's groups of 16
    // bytes the words at 0 and 8, one word further for pixel 1, are written:
    // both runs were resolved above.
    unsafe { widen_codes(from, to.wrapping_add(4 * pixel), len) }
}

#[unsafe(naked)]
unsafe extern "C" fn widen_codes(codes: *const i8, tile: *mut i8, len: usize) {
    naked_asm!(
        r"
        push {{r4, r5, r6, lr}}
        subs r2, r2, #16
        blo 2f
    1:
        ldr.w r3, [r0]
        ldr.w r4, [r0, #4]
        ldr.w r5, [r0, #8]
        ldr.w r6, [r0, #12]
        sxtb16 r12, r3
        sxtb16 r3, r3, ror #8
        str.w r12, [r1]
        str.w r3, [r1, #8]
        sxtb16 r12, r4
        sxtb16 r4, r4, ror #8
        str.w r12, [r1, #16]
        str.w r4, [r1, #24]
        sxtb16 r12, r5
        sxtb16 r5, r5, ror #8
        str.w r12, [r1, #32]
        str.w r5, [r1, #40]
        sxtb16 r12, r6
        sxtb16 r6, r6, ror #8
        str.w r12, [r1, #48]
        str.w r6, [r1, #56]
        adds r0, #16
        adds r1, #64
        subs r2, r2, #16
        bhs 1b
    2:
        adds r2, r2, #12
        bmi 4f
    3:
        ldr r3, [r0], #4
        sxtb16 r12, r3
        sxtb16 r3, r3, ror #8
        str r12, [r1]
        str r3, [r1, #8]
        adds r1, #16
        subs r2, r2, #4
        bpl 3b
    4:
        adds r2, r2, #4
        beq 6f
        ldrb r3, [r0]
        cmp r2, #2
        blo 5f
        ldrb r4, [r0, #1]
        orr r3, r3, r4, lsl #8
        beq 5f
        ldrb r4, [r0, #2]
        orr r3, r3, r4, lsl #16
    5:
        sxtb16 r12, r3
        sxtb16 r3, r3, ror #8
        str r12, [r1]
        str r3, [r1, #8]
    6:
        pop {{r4, r5, r6, pc}}
        "
    )
}
