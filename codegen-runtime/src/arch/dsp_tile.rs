//! Two pixels by four channels in the DSP instructions of Armv7E-M.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view,
//! and its own stack.
//!
//! The inner loop is one unrolled body, entered in its middle so that the last
//! pass ends where the body ends. Eight accumulators, four operands and two pointers
//! are all fourteen registers: what else the loop needs is on the stack.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};
use super::portable::block_bytes;

/// See [`super::portable::tiles_2x4`].
#[inline(always)]
pub fn tiles_2x4<const DUAL: bool>(
    tile: Bytes<'_>,
    quads: usize,
    stream: Consts<'_>,
    blocks: usize,
    out: [Bytes<'_>; 2],
    zero_point: i32,
) {
    if quads == 0 || blocks == 0 {
        return;
    }
    let stream = stream.pointer(0, blocks * block_bytes(quads));
    let [first, second] = out.map(|out| out.pointer(0, 4 * blocks));
    let kernel = if DUAL { codes_2x4_dual } else { codes_2x4_plain };
    // SAFETY: the tile's 16 bytes a group, the stream's blocks and 4 bytes a
    // block of each output are accessed: resolved above.
    unsafe { kernel(tile.pointer(0, 16 * quads), stream, first, second, 2 * quads, blocks, zero_point) }
}

/// See [`super::portable::sums_2x4`].
#[inline(always)]
pub fn sums_2x4<const DUAL: bool>(tile: Bytes<'_>, quads: usize, stream: Consts<'_>) -> [[i32; 4]; 2] {
    if quads == 0 {
        return super::portable::sums_2x4::<DUAL>(tile, quads, stream);
    }
    let mut sums = [[0; 4]; 2];
    let (tile, stream) = (tile.pointer(0, 16 * quads), stream.pointer(0, block_bytes(quads)));
    let kernel = if DUAL { raw_2x4_dual } else { raw_2x4_plain };
    // SAFETY: as for `tiles_2x4` with one block, and 32 bytes of results.
    unsafe { kernel(tile, stream, sums.as_mut_ptr().cast(), 0, 2 * quads, 1) };
    sums
}

// Two words of weights times a word of each pixel: 48 bytes, 15 cycles.
macro_rules! pair_2x4_dual {
    () => {
        r"
        ldr.n r2, [r0, #8*\i]
        ldr.n r3, [r0, #8*\i+4]
        ldr.n r4, [r1, #8*\i]
        ldr.n r5, [r1, #8*\i+4]
        smlad r6, r4, r2, r6
        smlad r10, r4, r3, r10
        smlad r8, r5, r2, r8
        smlad r12, r5, r3, r12
        sxtb16 r4, r4
        sxtb16 r5, r5
        smlad r7, r4, r2, r7
        smlad r11, r4, r3, r11
        smlad r9, r5, r2, r9
        smlad lr, r5, r3, lr
        "
    };
}

// The same for plain words: 56 bytes, 18 cycles.
macro_rules! pair_2x4_plain {
    () => {
        r"
        ldr.n r2, [r0, #8*\i]
        ldr.n r3, [r0, #8*\i+4]
        ldr.n r4, [r1, #8*\i]
        sxtb16 r5, r4, ror #8
        sxtb16 r4, r4
        smlad r6, r5, r2, r6
        smlad r10, r5, r3, r10
        smlad r7, r4, r2, r7
        smlad r11, r4, r3, r11
        ldr.n r4, [r1, #8*\i+4]
        sxtb16 r5, r4, ror #8
        sxtb16 r4, r4
        smlad r8, r5, r2, r8
        smlad r12, r5, r3, r12
        smlad r9, r4, r2, r9
        smlad lr, r4, r3, lr
        "
    };
}

// Channels 1 and 3 out of what 16-bit halves accumulated.
macro_rules! split_2x4_dual {
    () => {
        r"
        sub r6, r6, r7
        sub r8, r8, r9
        sub r10, r10, r11
        sub r12, r12, lr
        asr r6, r6, #8
        asr r8, r8, #8
        asr r10, r10, #8
        asr r12, r12, #8
        "
    };
}

macro_rules! split_2x4_plain {
    () => {
        ""
    };
}

// In: r0 = tile, r1 = stream, r2 and r3 = outputs (or results), then on the
// stack words a pixel, blocks, zero point. To the epilogue: r7 r6 r9 r8 and r11
// r10 lr r12 = accumulators of channels 0 to 3 of the two pixels, r1 = the
// block's multipliers; label 2 does the next block.
//
// Stack: #0 entry into the body, #4 bytes skipped by it, #8 tile less these,
// #12 end of the tile, #16 and #20 outputs, #24 end of the first output, nine
// saved registers, #64 words a pixel, #68 blocks, #72 zero point.
macro_rules! kernel_2x4 {
    ($(#[$meta:meta])* $name:ident($($argument:ident: $type:ty),*), $pair:ident $split:ident $bytes:literal, $epilogue:ident) => {
        $(#[$meta])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name($($argument: $type),*) {
            naked_asm!(concat!(
                r"
                push {{r4-r11, lr}}
                sub sp, sp, #28
                ldr r4, [sp, #64]
                ldr r5, [sp, #68]
                strd r2, r3, [sp, #16]
                add r5, r2, r5, lsl #2
                str r5, [sp, #24]
                rsb r5, r4, #0
                and r5, r5, #15
                adr.w r6, 3f
                movs r7, #", $bytes, r"
                mla r6, r5, r7, r6
                orr r6, r6, #1
                add r4, r0, r4, lsl #3
                str r4, [sp, #12]
                lsl r5, r5, #3
                sub r0, r0, r5
                str r6, [sp]
                strd r5, r0, [sp, #4]
            2:
                ldr r3, [sp]
                ldr r4, [sp, #4]
                ldr r0, [sp, #8]
                ldm r1!, {{r6, r7, r8, r9}}
                mov r10, r6
                mov r11, r7
                mov r12, r8
                mov lr, r9
                sub r1, r1, r4
                bx r3
            3:
                .irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
                ", $pair!(), r"
                .endr
                ldr r2, [sp, #12]
                adds r0, #128
                adds r1, #128
                cmp r0, r2
                bne 3b
                ",
                $split!(),
                $epilogue!(),
                r"
                add sp, sp, #28
                pop {{r4-r11, pc}}
                "
            ))
        }
    };
}

macro_rules! requantize_2x4 {
    () => {
        r"
        ldm r1!, {{r2, r3, r4, r5}}
        ldr r0, [sp, #72]
        smmlar r11, r11, r2, r0
        smmlar r10, r10, r3, r0
        smmlar lr, lr, r4, r0
        smmlar r12, r12, r5, r0
        smmlar r7, r7, r2, r0
        smmlar r6, r6, r3, r0
        smmlar r9, r9, r4, r0
        smmlar r8, r8, r5, r0
        ldr r2, [sp, #16]
        ldr r3, [sp, #20]
        ldr r4, [sp, #24]
        ssat r11, #8, r11
        ssat r10, #8, r10
        ssat lr, #8, lr
        ssat r12, #8, r12
        ssat r7, #8, r7
        ssat r6, #8, r6
        ssat r9, #8, r9
        ssat r8, #8, r8
        strb r11, [r3]
        strb r10, [r3, #1]
        strb lr, [r3, #2]
        strb r12, [r3, #3]
        strb r7, [r2]
        strb r6, [r2, #1]
        strb r9, [r2, #2]
        strb r8, [r2, #3]
        adds r2, #4
        adds r3, #4
        str r2, [sp, #16]
        str r3, [sp, #20]
        cmp r2, r4
        bne 2b
        "
    };
}

macro_rules! return_2x4 {
    () => {
        r"
        ldr r2, [sp, #16]
        str r7, [r2]
        str r6, [r2, #4]
        str r9, [r2, #8]
        str r8, [r2, #12]
        str r11, [r2, #16]
        str r10, [r2, #20]
        str lr, [r2, #24]
        str r12, [r2, #28]
        "
    };
}

kernel_2x4!(
    codes_2x4_dual(tile: *mut i8, stream: *const u8, out0: *mut i8, out1: *mut i8, words: usize, blocks: usize, zero_point: i32),
    pair_2x4_dual split_2x4_dual "48", requantize_2x4
);
kernel_2x4!(
    codes_2x4_plain(tile: *mut i8, stream: *const u8, out0: *mut i8, out1: *mut i8, words: usize, blocks: usize, zero_point: i32),
    pair_2x4_plain split_2x4_plain "56", requantize_2x4
);
kernel_2x4!(
    raw_2x4_dual(tile: *mut i8, stream: *const u8, sums: *mut i32, unused: usize, words: usize, blocks: usize),
    pair_2x4_dual split_2x4_dual "48", return_2x4
);
kernel_2x4!(
    raw_2x4_plain(tile: *mut i8, stream: *const u8, sums: *mut i32, unused: usize, words: usize, blocks: usize),
    pair_2x4_plain split_2x4_plain "56", return_2x4
);
