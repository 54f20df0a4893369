//! Two pixels by four channels, unrolled for one shape, in the DSP instructions of
//! Armv7E-M.
//!
//! In and out: as `tiles_2x4` of `portable.rs` says, for weights in pairs, one number of
//! words and one of channels, and outputs whose two pixels are neighbours. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view, and its
//! own stack.
//!
//! Against the body in `dsp_tile.rs`, which serves every shape, a block saves the jump
//! into the body, the end of its loop, and a second output pointer: 15 cycles, and more
//! where there are many words. Which shapes are worth their code is the compiler's choice:
//! it writes the branch between them.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};
use super::dsp_keep;
use super::dsp_tile::{saturate_2x4, scale_2x4, split_2x4_dual};
use super::portable::{Tiles, block_bytes};

/// The most words that are unrolled.
pub const MOST_WORDS: usize = 128;

// The function of a body, and the body, around a block: from label 2 on, r1 = the block,
// to the end of a pair's channels, with r2 = the output; label 6 is the block's own.
//
// In: r0 = first tile, r1 = stream, r2 = output, r3 = zero point. The accumulators as in
// `dsp_tile.rs`: r7 r6 r9 r8 are channels 0 to 3 of pixel 0, r11 r10 lr r12 of pixel 1.
//
// Stack: places 3 output, 5 the last whole four of its pixel 0, 6 tile, 7 zero point; #32
// stream, nine saved registers, #72 bytes from tile to tile, #76 pairs, #80 the block of the
// channels beyond whole fours.
macro_rules! unrolled_kernel {
    ($block:ident) => {
        /// See [`super::portable::tiles_2x4`], of which this is the form for `DUAL` weights,
        /// `WORDS` (2 to [`MOST_WORDS`]) and `CHANNELS` (1 to 1024). Returns false, and does
        /// nothing, where the outputs of the two pixels are not neighbours.
        #[inline(always)]
        pub fn unrolled_2x4<const WORDS: usize, const CHANNELS: usize>(
            tiles: Tiles<'_>,
            stream: Consts<'_>,
            last: Consts<'_>,
            out: [Bytes<'_>; 2],
            zero_point: i32,
        ) -> bool {
            const { assert!(WORDS >= 2 && WORDS <= MOST_WORDS && CHANNELS >= 1 && CHANNELS <= 1024) };
            let Tiles { tiles, step, pairs, .. } = tiles;
            if pairs == 0 {
                return true;
            }
            let first = if CHANNELS < 4 { last } else { stream };
            let stream = first.pointer(0, (CHANNELS / 4).max(1) * block_bytes(WORDS));
            let last = last.pointer(0, if CHANNELS % 4 > 0 { block_bytes(WORDS) } else { 0 });
            let [first, second] = out.map(|out| out.pointer(0, (2 * pairs - 1) * CHANNELS));
            if second != first.wrapping_add(CHANNELS) {
                return false;
            }
            let tiles = tiles.pointer(0, (pairs - 1) * step + 8 * WORDS);
            // SAFETY: 8 bytes a word of each tile, the stream's blocks, the last block and the
            // channels of each output are accessed: resolved above.
            unsafe { codes_2x4::<WORDS, CHANNELS>(tiles, stream, first, zero_point, step, pairs, last) };
            true
        }

        #[unsafe(naked)]
        unsafe extern "C" fn codes_2x4<const WORDS: usize, const CHANNELS: usize>(
            tiles: *const i8,
            stream: *const u8,
            out: *mut i8,
            zero_point: i32,
            step: usize,
            pairs: usize,
            last: *const u8,
        ) {
            naked_asm!(
                ".cpu cortex-m33",
                concat!(
                    r"
                push {{r4-r11, lr}}
                sub sp, sp, #36
                addw r4, r2, #{channels}
                subs r4, #4+({channels} & 3)
                str r1, [sp, #32]
                ",
                    keep!("r2", "3"),
                    keep!("r3", "7"),
                    keep!("r4", "5"),
                    keep!("r0", "6"),
                    r"
            2:
                ",
                    $block!(),
                    r"
                ldr r0, [sp, #76]
                ldr r3, [sp, #72]
                subs r0, #1
                beq 8f
                str r0, [sp, #76]
                addw r2, r2, #{channels}+({channels} & 3)
                addw r4, r2, #{channels}
                subs r4, #4+({channels} & 3)
                ",
                    keep!("r2", "3"),
                    keep!("r4", "5"),
                    kept!("r0", "6"),
                    r"
                add r0, r0, r3
                ",
                    keep!("r0", "6"),
                    r"
                ldr r1, [sp, #32]
                b.w 2b
            8:
                add sp, sp, #36
                pop {{r4-r11, pc}}
                "
                ),
                words = const WORDS,
                channels = const CHANNELS,
            )
        }
    };
}
#[allow(unused_imports, reason = "an order for another core has them from here")]
pub(super) use unrolled_kernel;

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

macro_rules! block_2x4 {
    () => {
        concat!(
            kept!("r0", "6"),
            r"
        ldr r6, [r1]
        ldr r7, [r1, #4]
        ldr r8, [r1, #8]
        ldr r9, [r1, #12]
        ldr r4, [r1, #16]
        ldr r5, [r1, #20]
        ldr r2, [r0]
        ldr r3, [r0, #4]
        smlad r10, r4, r3, r6
        smlad r6, r4, r2, r6
        smlad r12, r5, r3, r8
        smlad r8, r5, r2, r8
        sxtb16 r4, r4
        sxtb16 r5, r5
        smlad r11, r4, r3, r7
        smlad r7, r4, r2, r7
        smlad lr, r5, r3, r9
        smlad r9, r5, r2, r9
        .set tinyc_word, 1
        .rept {words} - 1
        ldr r2, [r0, #8*tinyc_word]
        ldr r3, [r0, #8*tinyc_word+4]
        ldr r4, [r1, #8*tinyc_word+16]
        ldr r5, [r1, #8*tinyc_word+20]
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
        .set tinyc_word, tinyc_word + 1
        .endr
        addw r1, r1, #8*{words}+16
        ",
            split_2x4_dual!(),
            scale_2x4!(),
            kept!("r2", "3"),
            kept!("r4", "5"),
            saturate_2x4!(),
            r"
        cmp r2, r4
        .if {channels} & 3
        bhi 6f
        .endif
        strb r11, [r2, #{channels}]
        strb r10, [r2, #{channels}+1]
        strb lr, [r2, #{channels}+2]
        strb r12, [r2, #{channels}+3]
        strb r7, [r2], #4
        strb r6, [r2, #-3]
        strb r9, [r2, #-2]
        strb r8, [r2, #-1]
        ",
            keep!("r2", "3"),
            r"
        bne.w 2b
        .if {channels} & 3
        ldr r1, [sp, #80]
        b.w 2b
    6:
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
