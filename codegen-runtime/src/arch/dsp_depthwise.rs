//! Pairs of pixels, and depthwise windows over them, in the DSP instructions of
//! Armv7E-M.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view,
//! and its own stack.

use core::arch::naked_asm;

use super::super::view::Bytes;
use super::portable::{STRIP_LINES, Steps, Taps3x3};

/// See [`super::portable::pair_up`].
#[inline(always)]
pub fn pair_up(a: Bytes<'_>, b: Bytes<'_>, strip: Bytes<'_>, steps: [usize; 3], count: usize) {
    if count == 0 {
        return;
    }
    let reach = |step: usize, len: usize| (count - 1) * step + len;
    let (a, b) = (a.pointer(0, reach(steps[0], 4)), b.pointer(0, reach(steps[1], 4)));
    let strip = strip.pointer(0, reach(steps[2], 16));
    // SAFETY: four codes a pixel and 16 bytes a pair are accessed: resolved above.
    unsafe { pair_up_codes(a, b, strip, count, steps[0], steps[1], steps[2]) }
}

// Two pixels a pass: a neighbour's loads come right behind.
#[unsafe(naked)]
unsafe extern "C" fn pair_up_codes(
    a: *const i8,
    b: *const i8,
    strip: *mut i8,
    count: usize,
    step_a: usize,
    step_b: usize,
    step: usize,
) {
    naked_asm!(
        r"
        push {{r4-r11, lr}}
        ldr r4, [sp, #36]
        ldr r5, [sp, #40]
        ldr r6, [sp, #44]
        subs r3, r3, #2
        blo 2f
    1:
        ldr r7, [r0]
        ldr r8, [r0, r4]
        ldr r9, [r1]
        ldr r10, [r1, r5]
        add r0, r0, r4, lsl #1
        add r1, r1, r5, lsl #1
        pkhbt r11, r7, r9, lsl #16
        pkhtb r9, r9, r7, asr #16
        sxtb16 r12, r11
        sxtb16 r11, r11, ror #8
        sxtb16 lr, r9
        sxtb16 r9, r9, ror #8
        str r12, [r2]
        str r11, [r2, #4]
        str lr, [r2, #8]
        str r9, [r2, #12]
        add r2, r2, r6
        pkhbt r11, r8, r10, lsl #16
        pkhtb r10, r10, r8, asr #16
        sxtb16 r12, r11
        sxtb16 r11, r11, ror #8
        sxtb16 lr, r10
        sxtb16 r10, r10, ror #8
        str r12, [r2]
        str r11, [r2, #4]
        str lr, [r2, #8]
        str r10, [r2, #12]
        add r2, r2, r6
        subs r3, r3, #2
        bhs 1b
    2:
        adds r3, r3, #2
        beq 3f
        ldr r7, [r0]
        ldr r9, [r1]
        pkhbt r11, r7, r9, lsl #16
        pkhtb r9, r9, r7, asr #16
        sxtb16 r12, r11
        sxtb16 r11, r11, ror #8
        sxtb16 lr, r9
        sxtb16 r9, r9, ror #8
        str r12, [r2]
        str r11, [r2, #4]
        str lr, [r2, #8]
        str r9, [r2, #12]
    3:
        pop {{r4-r11, pc}}
        "
    )
}

/// See [`super::portable::depthwise_3x3`].
#[inline(always)]
pub fn depthwise_3x3<const STRIDE: usize>(
    strip: Bytes<'_>,
    taps: &Taps3x3,
    out: Bytes<'_>,
    steps: Steps,
    (groups, lines): (usize, usize),
    zero_point: i32,
) {
    if groups == 0 || lines == 0 {
        return;
    }
    let pairs = 2 * STRIDE * groups + 1;
    let last_line = (lines - 1) * STRIDE + 2;
    let strip = strip.pointer(0, 16 * ((pairs - 1) * STRIP_LINES + last_line) + 4);
    let out = out.pointer(0, (4 * groups - 1) * steps.along + (lines - 1) * steps.line + 1);
    let kernel = if STRIDE == 1 { depthwise_3x3_by_1 } else { depthwise_3x3_by_2 };
    // SAFETY: of the strip the words that the outputs' windows hold, of the output
    // one byte an output, and all taps are accessed: resolved above.
    unsafe { kernel(strip, taps.as_ptr(), out, steps.along, steps.line, lines, groups, zero_point) }
}

// Pairs are 160 bytes apart, the lines of one 16.
const _: () = assert!(STRIP_LINES == 10);

// A line of the kernel at four outputs with stride 1: 3 loads, 8 products. The
// accumulators r2 to r5 start at $start, of which r5 is the last to be written.
macro_rules! line_by_1 {
    ($at0:literal $at1:literal $at2:literal, $first:literal $last:literal, $s0:literal $s1:literal $s2:literal) => {
        concat!(
            "ldr.w r1, [r0, #",
            $at0,
            "]\n",
            "ldr.w r12, [r0, #",
            $at1,
            "]\n",
            "ldr.w lr, [r0, #",
            $at2,
            "]\n",
            "smlad r2, r1, ",
            $first,
            ", ",
            $s0,
            "\n",
            "smlatb r3, r1, ",
            $first,
            ", ",
            $s1,
            "\n",
            "smlad r4, r12, ",
            $first,
            ", ",
            $s2,
            "\n",
            "smlatb r5, r12, ",
            $first,
            ", r5\n",
            "smlabt r2, r12, ",
            $last,
            ", r2\n",
            "smlad r3, r12, ",
            $last,
            ", r3\n",
            "smlabt r4, lr, ",
            $last,
            ", r4\n",
            "smlad r5, lr, ",
            $last,
            ", r5\n",
        )
    };
}

// The same with stride 2: 5 loads, 8 products.
macro_rules! line_by_2 {
    ($at0:literal $at1:literal $at2:literal $at3:literal $at4:literal, $first:literal $last:literal, $s0:literal $s1:literal $s2:literal) => {
        concat!(
            "ldr.w r1, [r0, #",
            $at0,
            "]\n",
            "ldr.w r12, [r0, #",
            $at1,
            "]\n",
            "ldr.w lr, [r0, #",
            $at2,
            "]\n",
            "smlad r2, r1, ",
            $first,
            ", ",
            $s0,
            "\n",
            "smlad r3, r12, ",
            $first,
            ", ",
            $s1,
            "\n",
            "smlad r4, lr, ",
            $first,
            ", ",
            $s2,
            "\n",
            "smlabt r2, r12, ",
            $last,
            ", r2\n",
            "smlabt r3, lr, ",
            $last,
            ", r3\n",
            "ldr.w r1, [r0, #",
            $at3,
            "]\n",
            "ldr.w r12, [r0, #",
            $at4,
            "]\n",
            "smlad r5, r1, ",
            $first,
            ", r5\n",
            "smlabt r4, r1, ",
            $last,
            ", r4\n",
            "smlabt r5, r12, ",
            $last,
            ", r5\n",
        )
    };
}

// In: r0 = strip, r1 = taps, r2 = output, r3 = bytes from output to output, then
// on the stack bytes from line to line, lines, groups, zero point. Weights stay
// in r6 to r11, accumulators are r2 to r5.
//
// Stack: #0 output, #4 bytes from output to output, #8 multiplier, #12 bias, #16
// end of the group's lines, #20 strip and #24 output of the group, nine saved
// registers, #68 bytes from line to line, #72 lines, #76 groups, #80 zero point.
macro_rules! kernel_3x3 {
    ($name:ident, $line_shift:literal $line_bytes:literal $group_bytes:literal, $lines:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            strip: *const i8,
            taps: *const i32,
            out: *mut i8,
            along: usize,
            line: usize,
            lines: usize,
            groups: usize,
            zero_point: i32,
        ) {
            naked_asm!(
                r"
                push {{r4-r11, lr}}
                sub sp, sp, #32
                strd r0, r2, [sp, #20]
                str r3, [sp, #4]
                ldm r1!, {{r4, r5}}
                str r4, [sp, #12]
                str r5, [sp, #8]
                ldm r1, {{r6-r11}}
            1:
                ldr r0, [sp, #20]
                ldr r2, [sp, #24]
                ldr r3, [sp, #72]
                str r2, [sp]
                ",
                concat!("add r3, r0, r3, lsl #", $line_shift),
                r"
                str r3, [sp, #16]
            2:
                ldr r5, [sp, #12]
                ",
                $lines,
                r"
                ldr r1, [sp, #8]
                ldr.w r12, [sp, #80]
                ldr.w lr, [sp]
                smmlar r2, r2, r1, r12
                smmlar r3, r3, r1, r12
                smmlar r4, r4, r1, r12
                smmlar r5, r5, r1, r12
                ldr r1, [sp, #4]
                ldr.w r12, [sp, #68]
                ssat r2, #8, r2
                ssat r3, #8, r3
                ssat r4, #8, r4
                ssat r5, #8, r5
                strb.w r2, [lr]
                add r2, lr, r1, lsl #1
                strb.w r3, [lr, r1]
                strb r4, [r2]
                strb r5, [r2, r1]
                ldr r3, [sp, #16]
                add lr, lr, r12
                str.w lr, [sp]
                ",
                concat!("adds r0, #", $line_bytes),
                r"
                cmp r0, r3
                bne 2b
                ldr r0, [sp, #20]
                ldr r2, [sp, #24]
                ldr r3, [sp, #4]
                ldr r1, [sp, #76]
                ",
                concat!("add.w r0, r0, #", $group_bytes),
                r"
                add r2, r2, r3, lsl #2
                strd r0, r2, [sp, #20]
                subs r1, r1, #1
                str r1, [sp, #76]
                bne 1b
                add sp, sp, #32
                pop {{r4-r11, pc}}
                "
            )
        }
    };
}

kernel_3x3!(
    depthwise_3x3_by_1,
    "4" "16" "320",
    concat!(
        line_by_1!("0" "160" "320", "r6" "r7", "r5" "r5" "r5"),
        line_by_1!("16" "176" "336", "r8" "r9", "r2" "r3" "r4"),
        line_by_1!("32" "192" "352", "r10" "r11", "r2" "r3" "r4")
    )
);
kernel_3x3!(
    depthwise_3x3_by_2,
    "5" "32" "640",
    concat!(
        line_by_2!("0" "160" "320" "480" "640", "r6" "r7", "r5" "r5" "r5"),
        line_by_2!("16" "176" "336" "496" "656", "r8" "r9", "r2" "r3" "r4"),
        line_by_2!("32" "192" "352" "512" "672", "r10" "r11", "r2" "r3" "r4")
    )
);
