//! The primitives for Armv7-M (Cortex-M3).
//!
//! In and out: as `portable.rs` says, which defines every result; what is not
//! written here is taken from there. Invariant: assembly reads and writes the runs
//! that its caller resolved through the view, and its own stack.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};
pub use super::portable::*;

/// See [`super::portable::window_sums`].
#[inline(always)]
pub fn window_sums(pair: Bytes<'_>, len: usize, weights: Consts<'_>) -> [[i32; 4]; 2] {
    let mut sums = [[0; 4]; 2];
    let (pair, weights) = (pair.pointer(0, 4 * len), weights.pointer(0, 4 * len));
    // SAFETY: `len` words of the pair and of the weights are read: resolved above.
    // Eight sums are written.
    unsafe { window_sums_of(pair, weights, len, &mut sums) }
    sums
}

// Two inputs of a channel: r1 = weights, r8 and r9 = the inputs' words. The sums of two
// products fit 16 bits, as no weight is -128: with half of 2^16 added (r12), the upper
// half of `65536 * sum1 + sum0` is sum1. It goes to $high, the whole to $all, from which
// sum0 follows at the end.
macro_rules! two_inputs {
    ($first:literal $second:literal, $all:literal $high:literal) => {
        concat!(
            "ldrsb.w r10, [r1, #",
            $first,
            "]\n",
            "ldrsb.w r11, [r1, #",
            $second,
            "]\n",
            "mla r10, r10, r8, r12\n",
            "mla r10, r11, r9, r10\n",
            "add ",
            $all,
            ", r10\n",
            "add.w ",
            $high,
            ", ",
            $high,
            ", r10, asr #16\n",
        )
    };
}

// In: r0 = pair, r1 = weights, r2 = inputs, r3 = sums. Two channels a pass.
//
// Stack: #0 pair, #4 weights of the pass, #8 inputs, #12 sums of the pass.
#[unsafe(naked)]
unsafe extern "C" fn window_sums_of(
    pair: *const i8,
    weights: *const u8,
    len: usize,
    sums: &mut [[i32; 4]; 2],
) {
    naked_asm!(
        r"
        push {{r0-r11, lr}}
        mov.w r12, #0x8000
    1:
        ldrd r0, r1, [sp]
        ldr r2, [sp, #8]
        adds r3, r2, #1
        lsrs r3, r3, #1
        lsls r3, r3, #15
        rsbs r4, r3, #0
        mov r6, r4
        movs r5, #0
        movs r7, #0
        lsrs r3, r2, #2
        add.w lr, r0, r3, lsl #4
        cmp r0, lr
        beq 3f
    2:
        ldrd r8, r9, [r0], #8
        ",
        two_inputs!("0" "4", "r4" "r5"),
        two_inputs!("1" "5", "r6" "r7"),
        "ldrd r8, r9, [r0], #8",
        two_inputs!("8" "12", "r4" "r5"),
        two_inputs!("9" "13", "r6" "r7"),
        r"
        adds r1, #16
        cmp r0, lr
        bne 2b
    3:
        lsls r3, r2, #31
        bcc 4f
        ldrd r8, r9, [r0], #8
        ",
        two_inputs!("0" "4", "r4" "r5"),
        two_inputs!("1" "5", "r6" "r7"),
        r"
        adds r1, #8
    4:
        lsls r3, r2, #31
        bpl 5f
        ldr.w r8, [r0]
        ldrsb.w r10, [r1]
        ldrsb.w r11, [r1, #1]
        mla r10, r10, r8, r12
        mla r11, r11, r8, r12
        add r4, r10
        add.w r5, r5, r10, asr #16
        add r6, r11
        add.w r7, r7, r11, asr #16
    5:
        ldr r3, [sp, #12]
        sub.w r4, r4, r5, lsl #16
        sub.w r6, r6, r7, lsl #16
        strd r4, r6, [r3]
        strd r5, r7, [r3, #16]
        adds r3, #8
        str r3, [sp, #12]
        ldr r1, [sp, #4]
        adds r1, #2
        str r1, [sp, #4]
        // Weights are 4-byte aligned: not so before the second pass.
        lsls r1, r1, #31
        bcs 1b
        add sp, #16
        pop {{r4-r11, pc}}
        "
    )
}
