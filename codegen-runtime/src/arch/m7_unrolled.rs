//! Two pixels by four channels, unrolled for one shape, in the order of a core that issues
//! two instructions at once, Cortex-M7.
//!
//! In and out: as `dsp_unrolled.rs` says. Invariant: its frame, stack and sums, with the
//! instructions of a block in the order of `m7_tile.rs`; the last products of a block are
//! beside the first that requantize it, and codes are stored while others are saturated.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};
use super::dsp_keep;
use super::dsp_tile::saturate_2x4;
use super::dsp_unrolled::{MOST_WORDS, unrolled_kernel};
use super::portable::{Tiles, block_bytes};

// Places begin at byte 0 of the stack.
macro_rules! keep {
    ($register:literal, $number:literal) => {
        dsp_keep::keep_at!($register, $number, "0")
    };
}
macro_rules! kept {
    ($register:literal, $number:literal) => {
        dsp_keep::kept_at!($register, $number, "0")
    };
}

// What is saturated before the branch to label 6 is what it was if it is saturated again.
macro_rules! block_2x4 {
    () => {
        concat!(
            kept!("r0", "6"),
            r"
        ldr r4, [r1, #16]
        ldr r6, [r1]
        ldr r7, [r1, #4]
        sxtb16 r5, r4
        ldr r8, [r1, #8]
        ldr r3, [r0, #4]
        ldr r2, [r0]
        ldr r9, [r1, #12]
        mov r12, r8
        smlad r10, r4, r3, r6
        mov lr, r9
        smlad r6, r4, r2, r6
        ldr r4, [r1, #20]
        smlad r11, r5, r3, r7
        smlad r7, r5, r2, r7
        sxtb16 r5, r4
        smlad r8, r4, r2, r8
        .set tinyc_word, 1
        .rept {words} - 2
        smlad r9, r5, r2, r9
        ldr r2, [r0, #8*tinyc_word]
        smlad r12, r4, r3, r12
        ldr r4, [r1, #8*tinyc_word+16]
        smlad lr, r5, r3, lr
        ldr r3, [r0, #8*tinyc_word+4]
        sxtb16 r5, r4
        smlad r6, r4, r2, r6
        smlad r7, r5, r2, r7
        smlad r10, r4, r3, r10
        ldr r4, [r1, #8*tinyc_word+20]
        smlad r11, r5, r3, r11
        sxtb16 r5, r4
        smlad r8, r4, r2, r8
        .set tinyc_word, tinyc_word + 1
        .endr
        smlad r12, r4, r3, r12
        ldr r4, [r1, #8*{words}+8]
        smlad lr, r5, r3, lr
        ldr r3, [r0, #8*{words}-4]
        smlad r9, r5, r2, r9
        ldr r2, [r0, #8*{words}-8]
        smlad r10, r4, r3, r10
        ",
            kept!("r0", "7"),
            r"
        sxtb16 r5, r4
        smlad r6, r4, r2, r6
        ldr r4, [r1, #8*{words}+12]
        smlad r11, r5, r3, r11
        smlad r7, r5, r2, r7
        sxtb16 r5, r4
        smlad r8, r4, r2, r8
        smlad r9, r5, r2, r9
        sub r6, r6, r7
        smlad r12, r4, r3, r12
        sub r10, r10, r11
        smlad lr, r5, r3, lr
        sub r8, r8, r9
        asr r6, r6, #8
        ldr r2, [r1, #8*{words}+16]
        sub r12, r12, lr
        ldr r4, [r1, #8*{words}+24]
        asr r12, r12, #8
        ldr r5, [r1, #8*{words}+28]
        smmlar lr, lr, r4, r0
        asr r10, r10, #8
        smmlar r12, r12, r5, r0
        ldr r3, [r1, #8*{words}+20]
        smmlar r9, r9, r4, r0
        asr r8, r8, #8
        smmlar r11, r11, r2, r0
        ",
            kept!("r4", "5"),
            "smmlar r7, r7, r2, r0\n",
            kept!("r2", "3"),
            r"
        smmlar r10, r10, r3, r0
        addw r1, r1, #8*{words}+32
        ssat lr, #8, lr
        smmlar r8, r8, r5, r0
        smmlar r6, r6, r3, r0
        cmp r2, r4
        ssat r9, #8, r9
        .if {channels} & 3
        bhi 6f
        .endif
        ssat r7, #8, r7
        strb lr, [r2, #{channels}+2]
        ssat r10, #8, r10
        strb r9, [r2, #2]
        ssat r12, #8, r12
        strb r10, [r2, #{channels}+1]
        ssat r8, #8, r8
        strb r12, [r2, #{channels}+3]
        ssat r11, #8, r11
        strb r8, [r2, #3]
        ssat r6, #8, r6
        strb r11, [r2, #{channels}]
        strb r6, [r2, #1]
        strb r7, [r2], #4
        ",
            keep!("r2", "3"),
            r"
        bne.w 2b
        .if {channels} & 3
        ldr r1, [sp, #80]
        b.w 2b
    6:
        ",
            saturate_2x4!(),
            r"
        strb r11, [r2, #{channels}]
        strb r7, [r2]
        .if ({channels} & 3) > 1
        strb r10, [r2, #{channels}+1]
        strb r6, [r2, #1]
        .endif
        .if ({channels} & 3) > 2
        strb lr, [r2, #{channels}+2]
        strb r9, [r2, #2]
        .endif
        .endif
        "
        )
    };
}

unrolled_kernel!(block_2x4);
