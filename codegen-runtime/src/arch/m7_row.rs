//! One row by four channels in the order of a core that issues two instructions at once,
//! Cortex-M7.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant: the kernels
//! of `dsp_row.rs` (their frame, stack and sums) with the instructions of a block in
//! another order.
//!
//! Four codes are eight products and eleven other instructions, so that ten cycles are
//! what a pass can take: the last two products of a pass are added in the one behind,
//! beside its first loads. Where nothing is on its way, the weights are zero.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};
use super::dsp_row::{
    functions_1x4, kernel_1x4, last_1x4, pass_1x4, quad_1x4_plain, ready_1x4, requantize_1x4, return_1x4,
    split_1x4_dual, split_1x4_plain,
};
use super::portable::block_bytes;

functions_1x4!();

// Four codes times four words of weights: 66 bytes, 10 cycles. On their way: r5 and r6 =
// the last two words, widened, r2 = the codes that they belong to.
macro_rules! pass_1x4_dual {
    () => {
        r"
        smlad r9, r5, r2, r9
        ldr.n r3, [r1, #16*\i]
        smlad r11, r6, r2, r11
        ldr.n r2, [r0, #4*\i]
        ldr.n r4, [r1, #16*\i+4]
        ldr.n r5, [r1, #16*\i+8]
        sxtb16 r12, r2
        ldr.n r6, [r1, #16*\i+12]
        sxtb16 r2, r2, ror #8
        smlad r8, r3, r12, r8
        sxtb16 r3, r3
        smlad r10, r4, r12, r10
        sxtb16 r4, r4
        smlad r8, r5, r2, r8
        sxtb16 r5, r5
        smlad r10, r6, r2, r10
        sxtb16 r6, r6
        smlad r9, r3, r12, r9
        smlad r11, r4, r12, r11
        "
    };
}

macro_rules! pass_1x4_plain {
    () => {
        pass_1x4!(quad_1x4_plain)
    };
}

macro_rules! last_1x4_plain {
    () => {
        last_1x4!(quad_1x4_plain split_1x4_plain)
    };
}

macro_rules! ready_1x4_dual {
    () => {
        r"
        movs r5, #0
        movs r6, #0
        "
    };
}

// The last four codes, up to sums that lack what the split does.
macro_rules! last_1x4_products {
    () => {
        r"
        smlad r11, r6, r2, r11
        ldr.n r3, [r1]
        smlad r9, r5, r2, r9
        ldr r2, [sp, #20]
        ldr.n r4, [r1, #4]
        ldr.n r5, [r1, #8]
        sxtb16 r12, r2
        ldr.n r6, [r1, #12]
        sxtb16 r2, r2, ror #8
        smlad r10, r4, r12, r10
        smlad r8, r3, r12, r8
        adds r1, #16
        sxtb16 r3, r3
        smlad r10, r6, r2, r10
        sxtb16 r4, r4
        smlad r8, r5, r2, r8
        sxtb16 r5, r5
        smlad r9, r3, r12, r9
        smlad r9, r5, r2, r9
        sxtb16 r6, r6
        smlad r11, r4, r12, r11
        smlad r11, r6, r2, r11
        "
    };
}
macro_rules! last_1x4_dual {
    () => {
        concat!(last_1x4_products!(), split_1x4_dual!())
    };
}

// `last_1x4_dual` and `requantize_1x4` in one.
macro_rules! last_1x4_codes {
    () => {
        r"
        smlad r11, r6, r2, r11
        ldr.n r3, [r1]
        smlad r9, r5, r2, r9
        ldr r2, [sp, #20]
        ldr.n r4, [r1, #4]
        ldr.n r5, [r1, #8]
        sxtb16 r12, r2
        ldr.n r6, [r1, #12]
        sxtb16 r2, r2, ror #8
        smlad r10, r4, r12, r10
        smlad r8, r3, r12, r8
        ldr r0, [sp, #72]
        sxtb16 r3, r3
        smlad r10, r6, r2, r10
        sxtb16 r4, r4
        smlad r8, r5, r2, r8
        sxtb16 r5, r5
        smlad r9, r3, r12, r9
        smlad r9, r5, r2, r9
        ldr r5, [r1, #24]
        sxtb16 r6, r6
        smlad r11, r4, r12, r11
        smlad r11, r6, r2, r11
        ldr r6, [r1, #28]
        sub r8, r8, r9
        ldr r4, [r1, #20]
        sub r10, r10, r11
        asr r8, r8, #8
        ldr r3, [r1, #16]
        smmlar r8, r8, r4, r0
        asr r10, r10, #8
        smmlar r11, r11, r5, r0
        smmlar r10, r10, r6, r0
        ldr r2, [sp, #16]
        smmlar r9, r9, r3, r0
        ldr r7, [sp, #24]
        ssat r8, #8, r8
        adds r1, #32
        ssat r10, #8, r10
        strb r8, [r2, #1]
        ssat r11, #8, r11
        strb r10, [r2, #3]
        ssat r9, #8, r9
        strb r11, [r2, #2]
        strb r9, [r2], #4
        str r2, [sp, #16]
        cmp r2, r7
        bne 2b
        "
    };
}
macro_rules! nothing_1x4 {
    () => {
        ""
    };
}

kernel_1x4!(
    codes_1x4_dual(codes: *mut i8, stream: *const u8, out: *mut i8, tail: u32, whole: usize, blocks: usize, zero_point: i32),
    ready_1x4_dual pass_1x4_dual "66" last_1x4_codes, nothing_1x4
);
kernel_1x4!(
    codes_1x4_plain(codes: *mut i8, stream: *const u8, out: *mut i8, tail: u32, whole: usize, blocks: usize, zero_point: i32),
    ready_1x4 pass_1x4_plain "82" last_1x4_plain, requantize_1x4
);
kernel_1x4!(
    raw_1x4_dual(codes: *mut i8, stream: *const u8, sums: *mut i32, tail: u32, whole: usize, blocks: usize),
    ready_1x4_dual pass_1x4_dual "66" last_1x4_dual, return_1x4
);
kernel_1x4!(
    raw_1x4_plain(codes: *mut i8, stream: *const u8, sums: *mut i32, tail: u32, whole: usize, blocks: usize),
    ready_1x4 pass_1x4_plain "82" last_1x4_plain, return_1x4
);
