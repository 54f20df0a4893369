//! Two pixels by four channels in the order of a core that issues two instructions at
//! once, Cortex-M7.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant: the kernels
//! of `dsp_tile.rs` (their frame, stack and sums) with the instructions of a block in
//! another order.
//!
//! The core multiplies once a cycle, so a block should take a cycle a product: beside each
//! one a load or the widening of a weight, none of which the next two products need. A
//! word of weights is loaded while the products of the one before are on their way; the
//! last three of them are added in the pass behind, beside its first loads. Where nothing
//! is on its way, the weights are zero.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};
use super::dsp_keep;
use super::dsp_tile::{
    first_2x4_plain, fours_2x4, functions_2x4, kernel_2x4, requantize_2x4, rest_2x4, return_2x4,
    saturate_2x4, scale_2x4, split_2x4_dual, split_2x4_plain,
};
use super::portable::{Tiles, block_bytes};

functions_2x4!();

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

// Two words of weights times a word of each pixel: 48 bytes, 8 cycles. On their way: r4 = a
// word of weights, r5 = the same widened, r2 and r3 = the pixels.
macro_rules! pair_2x4_dual {
    () => {
        r"
        smlad r9, r5, r2, r9
        ldr.n r2, [r0, #8*\i]
        smlad r12, r4, r3, r12
        ldr.n r4, [r1, #8*\i]
        smlad lr, r5, r3, lr
        ldr.n r3, [r0, #8*\i+4]
        sxtb16 r5, r4
        smlad r6, r4, r2, r6
        smlad r7, r5, r2, r7
        smlad r10, r4, r3, r10
        ldr.n r4, [r1, #8*\i+4]
        smlad r11, r5, r3, r11
        sxtb16 r5, r4
        smlad r8, r4, r2, r8
        "
    };
}

// The same for plain words: 56 bytes, 10 cycles. On their way: r4 and r5 = both halves.
macro_rules! pair_2x4_plain {
    () => {
        r"
        smlad r9, r4, r2, r9
        ldr.n r2, [r0, #8*\i]
        smlad lr, r4, r3, lr
        ldr.n r4, [r1, #8*\i]
        smlad r12, r5, r3, r12
        ldr.n r3, [r0, #8*\i+4]
        sxtb16 r5, r4, ror #8
        sxtb16 r4, r4
        smlad r6, r5, r2, r6
        smlad r7, r4, r2, r7
        smlad r11, r4, r3, r11
        ldr.n r4, [r1, #8*\i+4]
        smlad r10, r5, r3, r10
        sxtb16 r5, r4, ror #8
        sxtb16 r4, r4
        smlad r8, r5, r2, r8
        "
    };
}

// A block up to the jump into the body: accumulators, tile, first two inputs.
macro_rules! begin_2x4_dual {
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
        smlad r10, r4, r3, r6
        smlad r6, r4, r2, r6
        ldr r4, [r1, #20]
        smlad r11, r5, r3, r7
        adds r1, #16
        smlad r7, r5, r2, r7
        sxtb16 r5, r4
        smlad r12, r4, r3, r8
        smlad lr, r5, r3, r9
        ",
            kept!("r3", "0"),
            r"
        smlad r8, r4, r2, r8
        movs r4, #0
        smlad r9, r5, r2, r9
        ",
            kept!("r2", "1"),
            r"
        movs r5, #0
        subs r0, r0, r2
        subs r1, r1, r2
        bx r3
        "
        )
    };
}

macro_rules! begin_2x4_plain {
    () => {
        concat!(
            kept!("r0", "6"),
            "ldm r1!, {{r6, r7, r8, r9}}\n",
            first_2x4_plain!(),
            kept!("r3", "0"),
            kept!("r2", "1"),
            r"
        movs r4, #0
        movs r5, #0
        subs r0, r0, r2
        subs r1, r1, r2
        bx r3
        "
        )
    };
}

// The products that are on their way, and the end of the body.
macro_rules! end_2x4_dual {
    () => {
        concat!(
            "smlad r9, r5, r2, r9\n",
            kept!("r2", "2"),
            r"
        smlad r12, r4, r3, r12
        adds r1, #128
        smlad lr, r5, r3, lr
        cmp r0, r2
        bne.w 10b
        "
        )
    };
}
macro_rules! end_2x4_plain {
    () => {
        concat!(
            "smlad r9, r4, r2, r9\n",
            kept!("r2", "2"),
            r"
        smlad lr, r4, r3, lr
        adds r1, #128
        smlad r12, r5, r3, r12
        cmp r0, r2
        bne.w 10b
        "
        )
    };
}
macro_rules! again_2x4 {
    () => {
        r"
        adds r0, #128
        movs r4, #0
        movs r5, #0
        "
    };
}

// `split_2x4_dual` and `requantize_2x4` in one. What is saturated before the branch to
// label 6 is what it was if it is saturated again. Both outputs may be one: a code of
// pixel 0 is written behind that of pixel 1.
macro_rules! requantize_2x4_dual {
    () => {
        concat!(
            r"
        sub r10, r10, r11
        ldr r4, [r1, #8]
        sub r6, r6, r7
        sub r12, r12, lr
        ldr r2, [r1]
        ldr r5, [r1, #12]
        asr r10, r10, #8
        asr r12, r12, #8
        ldr r3, [r1, #4]
        ",
            kept!("r0", "7"),
            r"
        sub r8, r8, r9
        smmlar r11, r11, r2, r0
        asr r8, r8, #8
        smmlar lr, lr, r4, r0
        smmlar r8, r8, r5, r0
        asr r6, r6, #8
        smmlar r10, r10, r3, r0
        adds r1, #16
        smmlar r12, r12, r5, r0
        smmlar r7, r7, r2, r0
        ",
            kept!("r2", "3"),
            "smmlar r9, r9, r4, r0\n",
            kept!("r4", "5"),
            "smmlar r6, r6, r3, r0\n",
            kept!("r3", "4"),
            r"
        ssat r12, #8, r12
        cmp r2, r4
        ssat r9, #8, r9
        bhi 6f
        ssat r10, #8, r10
        strb r12, [r3, #3]
        ssat r8, #8, r8
        strb r10, [r3, #1]
        ssat lr, #8, lr
        strb r8, [r2, #3]
        ssat r6, #8, r6
        strb lr, [r3, #2]
        ssat r11, #8, r11
        strb r6, [r2, #1]
        ssat r7, #8, r7
        strb r9, [r2, #2]
        strb r11, [r3], #4
        strb r7, [r2], #4
        ",
            keep!("r3", "4"),
            keep!("r2", "3"),
            fours_2x4!(),
            saturate_2x4!(),
            rest_2x4!()
        )
    };
}

kernel_2x4!(codes_2x4_dual, begin_2x4_dual again_2x4 pair_2x4_dual "48" end_2x4_dual split_2x4_plain, requantize_2x4_dual);
kernel_2x4!(codes_2x4_plain, begin_2x4_plain again_2x4 pair_2x4_plain "56" end_2x4_plain split_2x4_plain, requantize_2x4);
kernel_2x4!(raw_2x4_dual, begin_2x4_dual again_2x4 pair_2x4_dual "48" end_2x4_dual split_2x4_dual, return_2x4);
kernel_2x4!(raw_2x4_plain, begin_2x4_plain again_2x4 pair_2x4_plain "56" end_2x4_plain split_2x4_plain, return_2x4);
