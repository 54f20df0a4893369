//! The primitives for Armv6-M (Cortex-M0, Cortex-M0+): eight registers that all
//! instructions reach, products of 32 bits, no accumulation.
//!
//! In and out: as `portable.rs` says, which defines every result; what is not
//! written here is taken from there. Invariant: assembly reads and writes the runs
//! that its caller resolved through the view, and its own stack.

use core::arch::naked_asm;

use super::super::requant::{Out, multiply_by_halves};
use super::super::view::{Bytes, Consts};
pub use super::portable::*;

/// See [`super::portable::requantize`].
#[inline(always)]
pub fn requantize(acc: i32, m: i32, k: u32, out: Out) -> i8 {
    if k > 0 {
        return super::portable::requantize(acc, m, k, out);
    }
    out.code(multiply_by_halves(acc, m))
}

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

// Two inputs of a channel: r1 = weights of the first input, r3 of the second, r2 = the
// channel's position, r4 and r5 = the inputs' words. The sums of two products fit 16
// bits, as no weight is -128: with half of 2^16 added (lr), the upper half of
// `65536 * sum1 + sum0` is sum1. It goes to $high, the whole to $all, from which sum0
// follows at the end.
macro_rules! two_inputs {
    ($all:literal $high:literal) => {
        concat!(
            "ldrsb r6, [r1, r2]\n",
            "muls r6, r4, r6\n",
            "ldrsb r7, [r3, r2]\n",
            "muls r7, r5, r7\n",
            "adds r6, r6, r7\n",
            "add r6, lr\n",
            "add ",
            $all,
            ", r6\n",
            "asrs r6, r6, #16\n",
            "add ",
            $high,
            ", r6\n",
        )
    };
}

// Two inputs of two channels.
macro_rules! inputs_of_two {
    () => {
        concat!(
            "ldm r0!, {{r4, r5}}\n",
            two_inputs!("r8" "r9"),
            "adds r2, #1\n",
            two_inputs!("r10" "r11"),
            "adds r2, #7\n",
        )
    };
}

// In: r0 = pair, r1 = weights, r2 = inputs, r3 = sums. Two channels a pass.
//
// Stack: #0 sums of the pass, #4 pair, #8 weights of the pass, #12 inputs.
#[unsafe(naked)]
unsafe extern "C" fn window_sums_of(
    pair: *const i8,
    weights: *const u8,
    len: usize,
    sums: &mut [[i32; 4]; 2],
) {
    naked_asm!(
        r"
        push {{r4, r5, r6, r7, lr}}
        mov r4, r8
        mov r5, r9
        mov r6, r10
        mov r7, r11
        push {{r4, r5, r6, r7}}
        sub sp, #16
        str r3, [sp]
        str r0, [sp, #4]
        str r1, [sp, #8]
        str r2, [sp, #12]
        movs r4, #1
        lsls r4, r4, #15
        mov lr, r4
    1:
        ldr r0, [sp, #4]
        ldr r1, [sp, #8]
        ldr r2, [sp, #12]
        adds r4, r2, #1
        lsrs r4, r4, #1
        lsls r4, r4, #15
        rsbs r4, r4, #0
        mov r8, r4
        mov r10, r4
        movs r4, #0
        mov r9, r4
        mov r11, r4
        adds r3, r1, #4
        lsrs r4, r2, #2
        lsls r4, r4, #4
        adds r4, r0, r4
        mov r12, r4
        movs r2, #0
        cmp r0, r12
        beq 3f
    2:
        ",
        inputs_of_two!(),
        inputs_of_two!(),
        r"
        cmp r0, r12
        bne 2b
    3:
        ldr r4, [sp, #12]
        lsls r4, r4, #31
        bcc 4f
        ",
        inputs_of_two!(),
        r"
    4:
        ldr r4, [sp, #12]
        lsrs r4, r4, #1
        bcc 5f
        ldr r4, [r0]
        ldrsb r6, [r1, r2]
        muls r6, r4, r6
        add r6, lr
        add r8, r6
        asrs r6, r6, #16
        add r9, r6
        adds r2, #1
        ldrsb r6, [r1, r2]
        muls r6, r4, r6
        add r6, lr
        add r10, r6
        asrs r6, r6, #16
        add r11, r6
    5:
        ldr r3, [sp]
        mov r4, r8
        mov r5, r9
        lsls r6, r5, #16
        subs r4, r4, r6
        str r4, [r3]
        str r5, [r3, #16]
        mov r4, r10
        mov r5, r11
        lsls r6, r5, #16
        subs r4, r4, r6
        str r4, [r3, #4]
        str r5, [r3, #20]
        adds r3, #8
        str r3, [sp]
        ldr r1, [sp, #8]
        adds r1, #2
        str r1, [sp, #8]
        // Weights are 4-byte aligned: not so before the second pass.
        lsls r1, r1, #31
        bcc 6f
        b 1b
    6:
        add sp, #16
        pop {{r4, r5, r6, r7}}
        mov r8, r4
        mov r9, r5
        mov r10, r6
        mov r11, r7
        pop {{r4, r5, r6, r7, pc}}
        "
    )
}

/// See [`super::portable::column_sums`].
#[inline(always)]
pub fn column_sums(window: Bytes<'_>, weights: Consts<'_>, step: usize, count: usize) -> [i32; 4] {
    if count == 0 {
        return [0; 4];
    }
    let mut sums = [0; 4];
    let reach = (count - 1) * step + 4;
    let (window, weights) = (window.pointer(0, reach), weights.pointer(0, reach));
    // SAFETY: of both runs four bytes each tap are read: resolved above. Four sums
    // are written.
    unsafe { column_sums_of(window, weights, step, count, &mut sums) }
    sums
}

// A channel's tap: r0 = window, r1 = weights, r2 = position.
macro_rules! tap {
    ($sum:literal) => {
        concat!("ldrsb r4, [r0, r2]\n", "ldrsb r5, [r1, r2]\n", "muls r4, r5, r4\n", "add ", $sum, ", r4\n")
    };
}

// In: r0 = window, r1 = weights, r2 = bytes from tap to tap, r3 = taps, on the stack
// the sums.
#[unsafe(naked)]
unsafe extern "C" fn column_sums_of(
    window: *const i8,
    weights: *const u8,
    step: usize,
    count: usize,
    sums: &mut [i32; 4],
) {
    naked_asm!(
        r"
        push {{r4, r5, r6, r7, lr}}
        mov r4, r8
        mov r5, r9
        mov r6, r10
        mov r7, r11
        push {{r4, r5, r6, r7}}
        subs r7, r2, #3
        movs r2, #0
        mov r8, r2
        mov r9, r2
        mov r10, r2
        mov r11, r2
    1:
        ",
        tap!("r8"),
        "adds r2, #1",
        tap!("r9"),
        "adds r2, #1",
        tap!("r10"),
        "adds r2, #1",
        tap!("r11"),
        r"
        adds r2, r2, r7
        subs r3, r3, #1
        bne 1b
        ldr r0, [sp, #36]
        mov r4, r8
        mov r5, r9
        mov r6, r10
        mov r7, r11
        stm r0!, {{r4, r5, r6, r7}}
        pop {{r4, r5, r6, r7}}
        mov r8, r4
        mov r9, r5
        mov r10, r6
        mov r11, r7
        pop {{r4, r5, r6, r7, pc}}
        "
    )
}

/// See [`super::portable::requantize_four`].
#[inline(always)]
pub fn requantize_four(
    sums: &[i32; 4],
    biases: Consts<'_>,
    multipliers: Consts<'_>,
    codes: Bytes<'_>,
    out: &Out,
) {
    let (biases, multipliers) = (biases.pointer(0, 16), multipliers.pointer(0, 16));
    // SAFETY: four sums, biases and multipliers are read, four codes are written:
    // resolved here and above.
    unsafe {
        requantize_four_to(sums, biases, multipliers, codes.pointer(0, 4), out.zero_point, out.lo, out.hi)
    }
}

// `multiply_by_halves` four times. In: r0 = sums, r1 = biases, r2 = multipliers, r3 = codes,
// on the stack the zero point and the range.
#[unsafe(naked)]
unsafe extern "C" fn requantize_four_to(
    sums: &[i32; 4],
    biases: *const u8,
    multipliers: *const u8,
    codes: *mut i8,
    zero_point: i32,
    lo: i32,
    hi: i32,
) {
    naked_asm!(
        r"
        push {{r4, r5, r6, r7, lr}}
        mov r4, r8
        mov r5, r9
        mov r6, r10
        mov r7, r11
        push {{r4, r5, r6, r7}}
        mov r11, r3
        ldr r4, [sp, #36]
        mov r8, r4
        ldr r4, [sp, #40]
        mov r9, r4
        ldr r4, [sp, #44]
        mov r10, r4
        movs r4, #1
        lsls r4, r4, #15
        mov lr, r4
        movs r4, #16
        adds r4, r0, r4
        mov r12, r4
    1:
        ldm r0!, {{r4}}
        ldm r1!, {{r5}}
        adds r4, r4, r5
        ldm r2!, {{r5}}
        uxth r6, r4
        asrs r4, r4, #16
        uxth r7, r5
        lsrs r5, r5, #16
        mov r3, r6
        muls r3, r7, r3
        lsrs r3, r3, #16
        muls r6, r5, r6
        adds r3, r3, r6
        add r3, lr
        muls r5, r4, r5
        muls r4, r7, r4
        uxth r6, r4
        adds r3, r3, r6
        lsrs r3, r3, #16
        asrs r4, r4, #16
        adds r4, r4, r5
        adds r4, r4, r3
        add r4, r8
        cmp r4, r9
        bge 2f
        mov r4, r9
    2:
        cmp r4, r10
        ble 3f
        mov r4, r10
    3:
        mov r3, r11
        strb r4, [r3]
        adds r3, #1
        mov r11, r3
        cmp r0, r12
        bne 1b
        pop {{r4, r5, r6, r7}}
        mov r8, r4
        mov r9, r5
        mov r10, r6
        mov r11, r7
        pop {{r4, r5, r6, r7, pc}}
        "
    )
}
