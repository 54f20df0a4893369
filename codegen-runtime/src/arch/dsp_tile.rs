//! Two pixels by four channels in the DSP instructions of Armv7E-M.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view,
//! and its own stack.
//!
//! The inner loop is one unrolled body of two halves, entered in its middle so
//! that the last pass ends where the body ends; the first two inputs are apart,
//! since with them the accumulators of pixel 1 begin. Eight accumulators, four
//! operands and two pointers are all fourteen registers: what else the loops need
//! is on the stack. Pairs of pixels and blocks of channels go by without leaving.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};
use super::dsp_keep;
use super::portable::{Tiles, block_bytes};

// The two functions of this kind of kernel, over the four kernels of the file that asks.
macro_rules! functions_2x4 {
    () => {
        /// See [`super::portable::tiles_2x4`].
        #[inline(always)]
        pub fn tiles_2x4<const DUAL: bool>(
            tiles: Tiles<'_>,
            stream: Consts<'_>,
            last: Consts<'_>,
            channels: usize,
            out: [Bytes<'_>; 2],
            zero_point: i32,
        ) {
            let Tiles { tiles, step, words, pairs } = tiles;
            if words < 2 || channels == 0 || pairs == 0 {
                return;
            }
            let stream = stream.pointer(0, channels / 4 * block_bytes(words));
            let last = last.pointer(0, if channels % 4 > 0 { block_bytes(words) } else { 0 });
            let [first, second] = out.map(|out| out.pointer(0, (2 * pairs - 1) * channels));
            let tiles = tiles.pointer(0, (pairs - 1) * step + 8 * words);
            let kernel = if DUAL { codes_2x4_dual } else { codes_2x4_plain };
            // SAFETY: 8 bytes a word of each tile, the stream's blocks, the last block and the
            // channels of each output are accessed: resolved above.
            unsafe { kernel(tiles, stream, first, second, words, channels, zero_point, step, pairs, last) }
        }

        /// See [`super::portable::sums_2x4`].
        #[inline(always)]
        pub fn sums_2x4<const DUAL: bool>(
            tile: Bytes<'_>,
            words: usize,
            stream: Consts<'_>,
        ) -> [[i32; 4]; 2] {
            if words < 2 {
                return super::portable::sums_2x4::<DUAL>(tile, words, stream);
            }
            let mut sums = [[0; 4]; 2];
            let (tile, stream) = (tile.pointer(0, 8 * words), stream.pointer(0, block_bytes(words)));
            let kernel = if DUAL { raw_2x4_dual } else { raw_2x4_plain };
            let (first, second) = (sums.as_mut_ptr().cast(), core::ptr::null_mut());
            // SAFETY: as for `tiles_2x4` with one block, and 32 bytes of results.
            unsafe { kernel(tile, stream, first, second, words, 4, 0, 0, 1, stream) };
            sums
        }
    };
}
#[allow(unused_imports, reason = "an order for another core has them from here")]
pub(super) use functions_2x4;
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

// The first two inputs: r6 to r9 hold where the block starts, in both pixels.
macro_rules! first_2x4_dual {
    () => {
        r"
        ldr r4, [r1]
        ldr r5, [r1, #4]
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
        "
    };
}

macro_rules! first_2x4_plain {
    () => {
        r"
        ldr r4, [r1]
        ldr r2, [r0]
        ldr r3, [r0, #4]
        sxtb16 r5, r4, ror #8
        sxtb16 r4, r4
        smlad r10, r5, r3, r6
        smlad r6, r5, r2, r6
        smlad r11, r4, r3, r7
        smlad r7, r4, r2, r7
        ldr r4, [r1, #4]
        sxtb16 r5, r4, ror #8
        sxtb16 r4, r4
        smlad r12, r5, r3, r8
        smlad r8, r5, r2, r8
        smlad lr, r4, r3, r9
        smlad r9, r4, r2, r9
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

// A block up to the jump into the body: accumulators, tile, first two inputs.
macro_rules! begin_2x4 {
    ($first:ident) => {
        concat!(
            "ldm r1!, {{r6, r7, r8, r9}}\n",
            kept!("r0", "6"),
            $first!(),
            kept!("r3", "0"),
            kept!("r2", "1"),
            r"
        subs r0, r0, r2
        subs r1, r1, r2
        bx r3
        "
        )
    };
}
macro_rules! begin_2x4_dual {
    () => {
        begin_2x4!(first_2x4_dual)
    };
}
macro_rules! begin_2x4_plain {
    () => {
        begin_2x4!(first_2x4_plain)
    };
}

// What the end of the body is followed by, and what it begins again with.
macro_rules! end_2x4 {
    () => {
        concat!(
            kept!("r2", "2"),
            r"
        adds r1, #128
        cmp r0, r2
        bne.w 10b
        "
        )
    };
}
macro_rules! again_2x4 {
    () => {
        "adds r0, #128\n"
    };
}

// The parts of a kernel, in the order of its block: $begin to the jump, $again from a
// second pass on, $pair two inputs of both pixels in $bytes, $end, $split, $epilogue.
//
// In: r0 = first tile, r1 = stream, r2 and r3 = outputs of the first pair (or results),
// then what the stack holds from #72 on. To the epilogue: r7 r6 r9 r8 and r11 r10 lr
// r12 = accumulators of channels 0 to 3 of the two pixels, r1 = the block's
// multipliers; label 2 does the next block, label 8 returns.
//
// Stack: places 0 entry into the body, 1 bytes skipped by it (less the first two
// inputs'), 2 where the last half pass of the tile begins, 3 and 4 outputs, 5 the last
// whole four of the first output, 6 tile, 7 zero point; #32 stream, nine saved registers,
// #72 words a pixel, #76 channels, #80 zero point, #84 bytes from tile to tile, #88 pairs,
// #92 the block of the channels beyond whole fours.
macro_rules! kernel_2x4 {
    ($name:ident, $begin:ident $again:ident $pair:ident $bytes:literal $end:ident $split:ident, $epilogue:ident) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            tiles: *const i8,
            stream: *const u8,
            out0: *mut i8,
            out1: *mut i8,
            words: usize,
            channels: usize,
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
                ldr r4, [sp, #72]
                ldr r5, [sp, #76]
                bics r5, r5, #3
                it eq
                ldreq r1, [sp, #92]
                add r5, r2, r5
                subs r5, #4
                str r1, [sp, #32]
                ",
                    keep!("r2", "3"),
                    keep!("r3", "4"),
                    keep!("r5", "5"),
                    keep!("r0", "6"),
                    r"
                add r0, r0, r4, lsl #3
                sub r0, r0, #128
                ldr r5, [sp, #80]
                ",
                    keep!("r0", "2"),
                    keep!("r5", "7"),
                    r"
                rsb r4, r4, #1
                and r5, r4, #31
                and r4, r4, #15
                adr.w r6, 3f
                movs r7, #",
                    $bytes,
                    r"
                mla r6, r5, r7, r6
                cmp r5, #16
                it hs
                addhs r6, #4
                orr r6, r6, #1
                lsls r4, r4, #3
                subs r4, #8
                ",
                    keep!("r6", "0"),
                    keep!("r4", "1"),
                    r"
            2:
                ",
                    $begin!(),
                    r"
            10:
                ",
                    $again!(),
                    r"
            3:
                .irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
                ",
                    $pair!(),
                    r"
                .endr
                adds r0, #128
                adds r1, #128
                .irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
                ",
                    $pair!(),
                    r"
                .endr
                ",
                    $end!(),
                    $split!(),
                    $epilogue!(),
                    r"
                add sp, sp, #36
                pop {{r4-r11, pc}}
                "
                )
            )
        }
    };
}

// Accumulators to codes with the block's multipliers and the zero point of place 7.
macro_rules! scale_2x4 {
    () => {
        concat!(
            r"
        ldm r1!, {{r2, r3, r4, r5}}
        ",
            kept!("r0", "7"),
            r"
        smmlar r11, r11, r2, r0
        smmlar r10, r10, r3, r0
        smmlar lr, lr, r4, r0
        smmlar r12, r12, r5, r0
        smmlar r7, r7, r2, r0
        smmlar r6, r6, r3, r0
        smmlar r9, r9, r4, r0
        smmlar r8, r8, r5, r0
        "
        )
    };
}

macro_rules! saturate_2x4 {
    () => {
        r"
        ssat r11, #8, r11
        ssat r10, #8, r10
        ssat lr, #8, lr
        ssat r12, #8, r12
        ssat r7, #8, r7
        ssat r6, #8, r6
        ssat r9, #8, r9
        ssat r8, #8, r8
        "
    };
}
macro_rules! requantize_2x4 {
    () => {
        concat!(
            scale_2x4!(),
            kept!("r2", "3"),
            kept!("r3", "4"),
            kept!("r4", "5"),
            saturate_2x4!(),
            r"
        cmp r2, r4
        bhi 6f
        strb r11, [r3], #4
        strb r10, [r3, #-3]
        strb lr, [r3, #-2]
        strb r12, [r3, #-1]
        strb r7, [r2], #4
        strb r6, [r2, #-3]
        strb r9, [r2, #-2]
        strb r8, [r2, #-1]
        ",
            keep!("r2", "3"),
            keep!("r3", "4"),
            fours_2x4!(),
            rest_2x4!()
        )
    };
}

// What a whole four of channels is followed by: the next one, the block of those that are
// left, or the next pair; flags say whether it was the last. To label 6, with label 7, where
// r0 = pairs, r1 = channels, r2 = bytes from tile to tile, and r4 = the last whole four of
// the first output.
macro_rules! fours_2x4 {
    () => {
        concat!(
            r"
        bne.w 2b
        ldr r0, [sp, #88]
        ldr r2, [sp, #84]
        ldr r1, [sp, #76]
        lsls r5, r1, #30
        bne 9f
    7:
        subs r0, #1
        beq 8f
        str r0, [sp, #88]
        bic r5, r1, #3
        add r4, r4, r1, lsl #1
        subs r5, r4, r5
        adds r5, #4
        ",
            keep!("r4", "5"),
            keep!("r5", "3"),
            r"
        adds r5, r5, r1
        ",
            keep!("r5", "4"),
            kept!("r0", "6"),
            kept!("r1", "2"),
            r"
        add r0, r0, r2
        add r1, r1, r2
        ",
            keep!("r0", "6"),
            keep!("r1", "2"),
            r"
        ldr r1, [sp, #32]
        b.w 2b
    9:
        ldr r1, [sp, #92]
        b.w 2b
    6:
        "
        )
    };
}

// The codes of a last block that is not full, from label 6 to label 8.
macro_rules! rest_2x4 {
    () => {
        r"
        ldr r1, [sp, #76]
        and r5, r1, #3
        cmp r5, #2
        strb r11, [r3]
        it hs
        strbhs r10, [r3, #1]
        it hi
        strbhi lr, [r3, #2]
        strb r7, [r2]
        it hs
        strbhs r6, [r2, #1]
        it hi
        strbhi r9, [r2, #2]
        ldr r0, [sp, #88]
        ldr r2, [sp, #84]
        b 7b
    8:
        "
    };
}

macro_rules! return_2x4 {
    () => {
        concat!(
            kept!("r2", "3"),
            r"
        str r7, [r2]
        str r6, [r2, #4]
        str r9, [r2, #8]
        str r8, [r2, #12]
        str r11, [r2, #16]
        str r10, [r2, #20]
        str lr, [r2, #24]
        str r12, [r2, #28]
        "
        )
    };
}

#[allow(unused_imports, reason = "an order for another core has them from here")]
pub(super) use {
    first_2x4_plain, fours_2x4, kernel_2x4, requantize_2x4, rest_2x4, return_2x4, saturate_2x4, scale_2x4,
    split_2x4_dual, split_2x4_plain,
};

kernel_2x4!(codes_2x4_dual, begin_2x4_dual again_2x4 pair_2x4_dual "48" end_2x4 split_2x4_dual, requantize_2x4);
kernel_2x4!(codes_2x4_plain, begin_2x4_plain again_2x4 pair_2x4_plain "56" end_2x4 split_2x4_plain, requantize_2x4);
kernel_2x4!(raw_2x4_dual, begin_2x4_dual again_2x4 pair_2x4_dual "48" end_2x4 split_2x4_dual, return_2x4);
kernel_2x4!(raw_2x4_plain, begin_2x4_plain again_2x4 pair_2x4_plain "56" end_2x4 split_2x4_plain, return_2x4);
