//! Sums of two tensors and tables of codes, four codes a word, in the
//! instructions of Armv7E-M.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view,
//! and its own stack; words need no alignment.

use core::arch::naked_asm;

use super::super::requant::Out;
use super::super::view::{Bytes, Consts};
use super::portable::WeightedSum;

/// See [`super::portable::weighted_sum`].
#[inline(always)]
pub fn weighted_sum([a, b]: [Bytes<'_>; 2], out: Bytes<'_>, len: usize, sum: &WeightedSum) {
    let (a, b, out) = (a.pointer(0, len), b.pointer(0, len), out.pointer(0, len));
    if sum.shift == 22 {
        // SAFETY: `len` codes of each run are accessed: resolved above.
        unsafe { sum_by_22(a, b, out, len, sum) }
    } else {
        // SAFETY: as above.
        unsafe { sum_by_any(a, b, out, len, sum) }
    }
}

// A code of each operand to a code of the result: $a and $b are how a code gets into
// r10 and r11, $at where the result goes.
macro_rules! element {
    ($shift:literal, $a:expr, $b:expr, $at:literal) => {
        concat!(
            $a,
            "\n",
            $b,
            "\n",
            "mla r10, r10, r4, r6\n",
            "mla r10, r11, r5, r10\n",
            $shift,
            "\n",
            "strb r10, [r2, #",
            $at,
            "]\n"
        )
    };
}

// Four codes from byte $first on, of which registers $a and $b hold the operands.
macro_rules! four_elements {
    ($shift:literal, $a:literal $b:literal, $first:literal $second:literal $third:literal $fourth:literal) => {
        concat!(
            element!($shift, concat!("sxtb r10, ", $a), concat!("sxtb r11, ", $b), $first),
            element!(
                $shift,
                concat!("sxtb r10, ", $a, ", ror #8"),
                concat!("sxtb r11, ", $b, ", ror #8"),
                $second
            ),
            element!(
                $shift,
                concat!("sxtb r10, ", $a, ", ror #16"),
                concat!("sxtb r11, ", $b, ", ror #16"),
                $third
            ),
            element!($shift, concat!("asr r10, ", $a, ", #24"), concat!("asr r11, ", $b, ", #24"), $fourth),
        )
    };
}

// In: r0 = a, r1 = b, r2 = output, r3 = codes, on the stack the sum. Eight codes a
// pass: in place of an operand, none is written before it is read.
macro_rules! sum {
    ($name:ident, $shift:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            a: *const i8,
            b: *const i8,
            out: *mut i8,
            len: usize,
            sum: *const WeightedSum,
        ) {
            naked_asm!(".cpu cortex-m33", concat!(
                r"
                push {{r4-r11, lr}}
                ldr r4, [sp, #36]
                ldm r4, {{r4, r5, r6, r7}}
                subs r3, r3, #8
                blo 2f
            1:
                ldr.w r8, [r0]
                ldr.w r9, [r1]
                ldr.w r12, [r0, #4]
                ldr.w lr, [r1, #4]
                ",
                four_elements!($shift, "r8" "r9", "0" "1" "2" "3"),
                four_elements!($shift, "r12" "lr", "4" "5" "6" "7"),
                r"
                adds r0, #8
                adds r1, #8
                adds r2, #8
                subs r3, r3, #8
                bhs 1b
            2:
                adds r3, r3, #8
                beq 4f
            3:
                ",
                element!($shift, "ldrsb r10, [r0]", "ldrsb r11, [r1]", "0"),
                r"
                adds r0, #1
                adds r1, #1
                adds r2, #1
                subs r3, r3, #1
                bne 3b
            4:
                pop {{r4-r11, pc}}
                "
            ))
        }
    };
}

sum!(sum_by_22, "ssat r10, #8, r10, asr #22");
sum!(sum_by_any, "asr r10, r10, r7\nssat r10, #8, r10");

/// See [`super::portable::look_up`].
#[inline(always)]
pub fn look_up(table: Consts<'_>, codes: Bytes<'_>, out: Bytes<'_>, len: usize) {
    let (table, codes, out) = (table.pointer(0, 256), codes.pointer(0, len), out.pointer(0, len));
    // SAFETY: the table's 256 codes and `len` codes of both runs are accessed:
    // resolved above.
    unsafe { look_up_codes(table, codes, out, len) }
}

// Four codes a pass.
#[unsafe(naked)]
unsafe extern "C" fn look_up_codes(table: *const u8, codes: *const i8, out: *mut i8, len: usize) {
    naked_asm!(
        ".cpu cortex-m33",
        r"
        push {{r4, r5, r6, r7, r8, lr}}
        subs r3, r3, #4
        blo 2f
    1:
        ldr r4, [r1]
        uxtb r5, r4
        ubfx r6, r4, #8, #8
        ubfx r7, r4, #16, #8
        lsrs r4, r4, #24
        ldrb.w r5, [r0, r5]
        ldrb.w r6, [r0, r6]
        ldrb.w r7, [r0, r7]
        ldrb.w r4, [r0, r4]
        strb r5, [r2]
        strb r6, [r2, #1]
        strb r7, [r2, #2]
        strb r4, [r2, #3]
        adds r1, #4
        adds r2, #4
        subs r3, r3, #4
        bhs 1b
    2:
        adds r3, r3, #4
        beq 4f
    3:
        ldrb r4, [r1]
        ldrb r4, [r0, r4]
        strb r4, [r2]
        adds r1, #1
        adds r2, #1
        subs r3, r3, #1
        bne 3b
    4:
        pop {{r4, r5, r6, r7, r8, pc}}
        "
    )
}

/// See [`super::portable::clamp_codes`].
#[inline(always)]
pub fn clamp_codes(codes: Bytes<'_>, len: usize, out: Out) {
    if out.lo == -128 && out.hi == 127 {
        return;
    }
    let four = |code: i32| u32::from(code as u8).wrapping_mul(0x0101_0101);
    let codes = codes.pointer(0, len);
    // SAFETY: `len` codes are accessed: resolved above.
    unsafe { clamp_words(codes, len, four(out.lo), four(out.hi)) }
}

// The codes of word $x: where a difference is not negative, its bit for SEL is set.
macro_rules! clamp {
    ($($x:literal),*) => {
        concat!($(
            "ssub8 r12, ", $x, ", r2\nsel ", $x, ", ", $x, ", r2\n",
            "ssub8 r12, ", $x, ", r3\nsel ", $x, ", r3, ", $x, "\n",
        )*)
    };
}

// Sixteen codes a pass; `lo` and `hi` four times in a word.
#[unsafe(naked)]
unsafe extern "C" fn clamp_words(codes: *mut i8, len: usize, lo: u32, hi: u32) {
    naked_asm!(
        ".cpu cortex-m33",
        concat!(
            r"
        push {{r4, r5, r6, r7, r8, lr}}
        subs r1, r1, #16
        blo 2f
    1:
        ldr r4, [r0]
        ldr r5, [r0, #4]
        ldr r6, [r0, #8]
        ldr r7, [r0, #12]
        ",
            clamp!("r4", "r5", "r6", "r7"),
            r"
        str r4, [r0]
        str r5, [r0, #4]
        str r6, [r0, #8]
        str r7, [r0, #12]
        adds r0, #16
        subs r1, r1, #16
        bhs 1b
    2:
        adds r1, r1, #16
        beq 4f
    3:
        ldrb r4, [r0]
        ",
            clamp!("r4"),
            r"
        strb r4, [r0]
        adds r0, #1
        subs r1, r1, #1
        bne 3b
    4:
        pop {{r4, r5, r6, r7, r8, pc}}
        "
        )
    )
}
