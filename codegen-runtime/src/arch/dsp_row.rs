//! One row by four channels in the DSP instructions of Armv7E-M.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view,
//! and its own stack.
//!
//! The inner loop is one unrolled body of two halves, entered in its middle so that
//! the last pass ends where the body ends. Four channels are enough to make
//! the row's unpacking cheap, and leave a register for the end of the loop.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};
use super::portable::block_bytes;

// The functions of this kind of kernel, over the four kernels of the file that asks.
macro_rules! functions_1x4 {
    () => {
        /// See [`super::portable::tiles_1x4`].
        #[inline(always)]
        pub fn tiles_1x4<const DUAL: bool>(
            codes: Bytes<'_>,
            len: usize,
            stream: Consts<'_>,
            blocks: usize,
            out: Bytes<'_>,
            zero_point: i32,
        ) {
            if len == 0 || blocks == 0 {
                return;
            }
            let (whole, tail) = tail(codes, len);
            let stream = stream.pointer(0, blocks * block_bytes(2 * (whole + 1)));
            let kernel = if DUAL { codes_1x4_dual } else { codes_1x4_plain };
            // SAFETY: four codes a whole group, the stream's blocks and 4 bytes a block
            // of the output are accessed: resolved here.
            unsafe {
                kernel(
                    codes.pointer(0, 4 * whole),
                    stream,
                    out.pointer(0, 4 * blocks),
                    tail,
                    whole,
                    blocks,
                    zero_point,
                )
            }
        }

        /// See [`super::portable::sums_1x4`].
        #[inline(always)]
        pub fn sums_1x4<const DUAL: bool>(codes: Bytes<'_>, len: usize, stream: Consts<'_>) -> [i32; 4] {
            if len == 0 {
                return super::portable::sums_1x4::<DUAL>(codes, len, stream);
            }
            let (whole, tail) = tail(codes, len);
            let mut sums = [0; 4];
            let stream = stream.pointer(0, block_bytes(2 * (whole + 1)));
            let kernel = if DUAL { raw_1x4_dual } else { raw_1x4_plain };
            // SAFETY: as for `tiles_1x4` with one block, and 16 bytes of results.
            unsafe { kernel(codes.pointer(0, 4 * whole), stream, sums.as_mut_ptr(), tail, whole, 1) };
            sums
        }

        /// The groups of four codes before the last one, and the last one (one to four
        /// codes) as a word, filled up with 0.
        #[inline(always)]
        fn tail(codes: Bytes<'_>, len: usize) -> (usize, u32) {
            let whole = len.div_ceil(4).wrapping_sub(1);
            let mut word = 0;
            for i in (4 * whole..len).rev() {
                word = word << 8 | u32::from(codes.get(i) as u8);
            }
            (whole, word)
        }
    };
}
#[allow(unused_imports, reason = "an order for another core has them from here")]
pub(super) use functions_1x4;
functions_1x4!();

// Four words of weights times four codes in r2: 64 of 66 bytes, 20 cycles with
// the load of r2 before it.
macro_rules! quad_1x4_dual {
    () => {
        r"
        sxtb16 r12, r2
        sxtb16 r2, r2, ror #8
        smlad r8, r3, r12, r8
        smlad r10, r4, r12, r10
        smlad r8, r5, r2, r8
        smlad r10, r6, r2, r10
        sxtb16 r3, r3
        sxtb16 r4, r4
        sxtb16 r5, r5
        sxtb16 r6, r6
        smlad r9, r3, r12, r9
        smlad r11, r4, r12, r11
        smlad r9, r5, r2, r9
        smlad r11, r6, r2, r11
        "
    };
}

// The same for plain words: 80 of 82 bytes, 24 cycles.
macro_rules! quad_1x4_plain {
    () => {
        r"
        sxtb16 r12, r2
        sxtb16 r2, r2, ror #8
        sxtb16 lr, r3, ror #8
        sxtb16 r3, r3
        smlad r8, lr, r12, r8
        smlad r9, r3, r12, r9
        sxtb16 lr, r4, ror #8
        sxtb16 r4, r4
        smlad r10, lr, r12, r10
        smlad r11, r4, r12, r11
        sxtb16 lr, r5, ror #8
        sxtb16 r5, r5
        smlad r8, lr, r2, r8
        smlad r9, r5, r2, r9
        sxtb16 lr, r6, ror #8
        sxtb16 r6, r6
        smlad r10, lr, r2, r10
        smlad r11, r6, r2, r11
        "
    };
}

macro_rules! split_1x4_dual {
    () => {
        r"
        sub r8, r8, r9
        sub r10, r10, r11
        asr r8, r8, #8
        asr r10, r10, #8
        "
    };
}

macro_rules! split_1x4_plain {
    () => {
        ""
    };
}

// Four codes and their weights, times each other.
macro_rules! pass_1x4 {
    ($quad:ident) => {
        concat!(
            r"
        ldr.n r2, [r0, #4*\i]
        ldr.n r3, [r1, #16*\i]
        ldr.n r4, [r1, #16*\i+4]
        ldr.n r5, [r1, #16*\i+8]
        ldr.n r6, [r1, #16*\i+12]
        ",
            $quad!()
        )
    };
}
macro_rules! pass_1x4_dual {
    () => {
        pass_1x4!(quad_1x4_dual)
    };
}
macro_rules! pass_1x4_plain {
    () => {
        pass_1x4!(quad_1x4_plain)
    };
}

// The same for the last four codes.
macro_rules! last_1x4 {
    ($quad:ident $split:ident) => {
        concat!(
            r"
        ldr r2, [sp, #20]
        ldr.n r3, [r1]
        ldr.n r4, [r1, #4]
        ldr.n r5, [r1, #8]
        ldr.n r6, [r1, #12]
        adds r1, #16
        ",
            $quad!(),
            $split!()
        )
    };
}
macro_rules! last_1x4_dual {
    () => {
        last_1x4!(quad_1x4_dual split_1x4_dual)
    };
}
macro_rules! last_1x4_plain {
    () => {
        last_1x4!(quad_1x4_plain split_1x4_plain)
    };
}
// What the first pass wants besides.
macro_rules! ready_1x4 {
    () => {
        ""
    };
}

// The parts of a kernel: $ready before the first pass, $pass four codes in $bytes, $last
// the last four, up to the accumulators.
//
// In: r0 = codes, r1 = stream, r2 = output (or results), r3 = the last four
// codes, then on the stack the groups before them, blocks, zero point. To the
// epilogue: r9 r8 r11 r10 = accumulators of channels 0 to 3, r1 = the block's
// multipliers; label 2 does the next block.
//
// Stack: #0 entry into the body, #4 bytes of the stream skipped by it, #8 codes
// less skipped ones, #12 bytes of a block's words but the last four, #16
// output, #20 last codes, #24 end of the output, nine saved registers, #64
// groups, #68 blocks, #72 zero point.
macro_rules! kernel_1x4 {
    ($(#[$meta:meta])* $name:ident($($argument:ident: $type:ty),*), $ready:ident $pass:ident $bytes:literal $last:ident, $epilogue:ident) => {
        $(#[$meta])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name($($argument: $type),*) {
            naked_asm!(".cpu cortex-m33", concat!(
                r"
                push {{r4-r11, lr}}
                sub sp, sp, #28
                ldr r4, [sp, #64]
                ldr r5, [sp, #68]
                strd r2, r3, [sp, #16]
                add r5, r2, r5, lsl #2
                str r5, [sp, #24]
                rsb r5, r4, #0
                and r12, r5, #15
                and r5, r5, #7
                adr.w r6, 3f
                movs r7, #", $bytes, r"
                mla r6, r12, r7, r6
                cmp r12, #8
                it hs
                addhs r6, #4
                cmp r4, #0
                bne 1f
                adr.w r6, 4f
            1:
                orr r6, r6, #1
                str r6, [sp]
                sub r0, r0, r5, lsl #2
                lsl r5, r5, #4
                strd r5, r0, [sp, #4]
                lsl r4, r4, #4
                str r4, [sp, #12]
            2:
                ldr r3, [sp]
                ldr r4, [sp, #4]
                ldr r0, [sp, #8]
                ldr r7, [sp, #12]
                ldm r1!, {{r8, r9, r10, r11}}
                add r7, r1, r7
                sub r1, r1, r4
                ", $ready!(), r"
                bx r3
            3:
                .irp i, 0, 1, 2, 3, 4, 5, 6, 7
                ", $pass!(), r"
                .endr
                adds r0, #32
                adds r1, #128
                .irp i, 0, 1, 2, 3, 4, 5, 6, 7
                ", $pass!(), r"
                .endr
                adds r0, #32
                adds r1, #128
                cmp r1, r7
                bne 3b
            4:
                ",
                $last!(),
                $epilogue!(),
                r"
                add sp, sp, #28
                pop {{r4-r11, pc}}
                "
            ))
        }
    };
}

macro_rules! requantize_1x4 {
    () => {
        r"
        ldm r1!, {{r3, r4, r5, r6}}
        ldr r0, [sp, #72]
        ldr r2, [sp, #16]
        ldr r7, [sp, #24]
        smmlar r9, r9, r3, r0
        smmlar r8, r8, r4, r0
        smmlar r11, r11, r5, r0
        smmlar r10, r10, r6, r0
        ssat r9, #8, r9
        ssat r8, #8, r8
        ssat r11, #8, r11
        ssat r10, #8, r10
        strb r9, [r2], #4
        strb r8, [r2, #-3]
        strb r11, [r2, #-2]
        strb r10, [r2, #-1]
        str r2, [sp, #16]
        cmp r2, r7
        bne 2b
        "
    };
}

macro_rules! return_1x4 {
    () => {
        r"
        ldr r2, [sp, #16]
        str r9, [r2]
        str r8, [r2, #4]
        str r11, [r2, #8]
        str r10, [r2, #12]
        "
    };
}

#[allow(unused_imports, reason = "an order for another core has them from here")]
pub(super) use {
    kernel_1x4, last_1x4, pass_1x4, quad_1x4_plain, ready_1x4, requantize_1x4, return_1x4, split_1x4_dual,
    split_1x4_plain,
};

kernel_1x4!(
    codes_1x4_dual(codes: *mut i8, stream: *const u8, out: *mut i8, tail: u32, whole: usize, blocks: usize, zero_point: i32),
    ready_1x4 pass_1x4_dual "66" last_1x4_dual, requantize_1x4
);
kernel_1x4!(
    codes_1x4_plain(codes: *mut i8, stream: *const u8, out: *mut i8, tail: u32, whole: usize, blocks: usize, zero_point: i32),
    ready_1x4 pass_1x4_plain "82" last_1x4_plain, requantize_1x4
);
kernel_1x4!(
    raw_1x4_dual(codes: *mut i8, stream: *const u8, sums: *mut i32, tail: u32, whole: usize, blocks: usize),
    ready_1x4 pass_1x4_dual "66" last_1x4_dual, return_1x4
);
kernel_1x4!(
    raw_1x4_plain(codes: *mut i8, stream: *const u8, sums: *mut i32, tail: u32, whole: usize, blocks: usize),
    ready_1x4 pass_1x4_plain "82" last_1x4_plain, return_1x4
);
