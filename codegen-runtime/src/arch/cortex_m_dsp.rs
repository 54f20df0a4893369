//! The primitives in the DSP instructions of Armv7E-M (Cortex-M4, Cortex-M7).
//!
//! In and out: as `portable.rs` says, which defines every result; what is not
//! written here is taken from there. Invariant: assembly reads and writes the
//! runs that its caller resolved through the view, and its own stack.
//!
//! The inner loops are one unrolled body each, entered in its middle so that the
//! last pass ends where the body ends. Eight accumulators, four operands and two
//! pointers are all fourteen registers: what else a loop needs is on the stack.

use core::arch::{asm, naked_asm};

use super::super::requant::Out;
use super::super::view::{Bytes, Consts};
pub use super::portable::{STRIP_LINES, Steps, Taps3x3, block_bytes, dots, sums};

/// See [`super::portable::requantize`].
#[inline(always)]
pub fn requantize(acc: i32, m: i32, k: u32, out: Out) -> i8 {
    if k > 0 {
        return super::portable::requantize(acc, m, k, out);
    }
    let code: i32;
    // SAFETY: one instruction on registers: zero_point + ((acc * m + 2^31) >> 32).
    unsafe {
        asm!(
            "smmlar {code}, {acc}, {m}, {zero_point}",
            code = lateout(reg) code,
            acc = in(reg) acc,
            m = in(reg) m,
            zero_point = in(reg) out.zero_point,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    code.max(out.lo).min(out.hi) as i8
}

/// See [`super::portable::widen`].
#[inline(always)]
pub fn widen(codes: Bytes<'_>, len: usize, tile: Bytes<'_>, pixel: usize) {
    let (from, to) = (codes.pointer(0, len), tile.pointer(0, len.div_ceil(4) * 16));
    // SAFETY: `len` codes are read, and of each of the tile's groups of 16
    // bytes the words at 0 and 8, one word further for pixel 1, are written:
    // both runs were resolved above.
    unsafe { widen_codes(from, to.wrapping_add(4 * pixel), len) }
}

#[unsafe(naked)]
unsafe extern "C" fn widen_codes(codes: *const i8, tile: *mut i8, len: usize) {
    naked_asm!(
        r"
        push {{r4, r5, r6, lr}}
        subs r2, r2, #16
        blo 2f
    1:
        ldr.w r3, [r0]
        ldr.w r4, [r0, #4]
        ldr.w r5, [r0, #8]
        ldr.w r6, [r0, #12]
        sxtb16 r12, r3
        sxtb16 r3, r3, ror #8
        str.w r12, [r1]
        str.w r3, [r1, #8]
        sxtb16 r12, r4
        sxtb16 r4, r4, ror #8
        str.w r12, [r1, #16]
        str.w r4, [r1, #24]
        sxtb16 r12, r5
        sxtb16 r5, r5, ror #8
        str.w r12, [r1, #32]
        str.w r5, [r1, #40]
        sxtb16 r12, r6
        sxtb16 r6, r6, ror #8
        str.w r12, [r1, #48]
        str.w r6, [r1, #56]
        adds r0, #16
        adds r1, #64
        subs r2, r2, #16
        bhs 1b
    2:
        adds r2, r2, #12
        bmi 4f
    3:
        ldr r3, [r0], #4
        sxtb16 r12, r3
        sxtb16 r3, r3, ror #8
        str r12, [r1]
        str r3, [r1, #8]
        adds r1, #16
        subs r2, r2, #4
        bpl 3b
    4:
        adds r2, r2, #4
        beq 6f
        ldrb r3, [r0]
        cmp r2, #2
        blo 5f
        ldrb r4, [r0, #1]
        orr r3, r3, r4, lsl #8
        beq 5f
        ldrb r4, [r0, #2]
        orr r3, r3, r4, lsl #16
    5:
        sxtb16 r12, r3
        sxtb16 r3, r3, ror #8
        str r12, [r1]
        str r3, [r1, #8]
    6:
        pop {{r4, r5, r6, pc}}
        "
    )
}

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
    let stream = stream.pointer(0, blocks * block_bytes(whole + 1));
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
    let stream = stream.pointer(0, block_bytes(whole + 1));
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
// #12 end of the block's words, #16 and #20 outputs, #24 end of the first
// output, nine saved registers, #64 bytes of a block's words, #68 blocks, #72
// zero point.
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
                lsl r5, r5, #3
                sub r0, r0, r5
                str r6, [sp]
                strd r5, r0, [sp, #4]
                lsl r4, r4, #3
                str r4, [sp, #64]
            2:
                ldr r3, [sp]
                ldr r4, [sp, #4]
                ldr r0, [sp, #8]
                ldr r5, [sp, #64]
                ldm r1!, {{r6, r7, r8, r9}}
                mov r10, r6
                mov r11, r7
                mov r12, r8
                mov lr, r9
                add r5, r1, r5
                str r5, [sp, #12]
                sub r1, r1, r4
                bx r3
            3:
                .irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
                ", $pair!(), r"
                .endr
                ldr r2, [sp, #12]
                adds r0, #128
                adds r1, #128
                cmp r1, r2
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
    ($(#[$meta:meta])* $name:ident($($argument:ident: $type:ty),*), $quad:ident $split:ident $bytes:literal, $epilogue:ident) => {
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
                and r5, r5, #7
                adr.w r6, 3f
                movs r7, #", $bytes, r"
                mla r6, r5, r7, r6
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
                bx r3
            3:
                .irp i, 0, 1, 2, 3, 4, 5, 6, 7
                ldr.n r2, [r0, #4*\i]
                ldr.n r3, [r1, #16*\i]
                ldr.n r4, [r1, #16*\i+4]
                ldr.n r5, [r1, #16*\i+8]
                ldr.n r6, [r1, #16*\i+12]
                ", $quad!(), r"
                .endr
                adds r0, #32
                adds r1, #128
                cmp r1, r7
                bne 3b
            4:
                ldr r2, [sp, #20]
                ldr.n r3, [r1]
                ldr.n r4, [r1, #4]
                ldr.n r5, [r1, #8]
                ldr.n r6, [r1, #12]
                adds r1, #16
                ",
                $quad!(),
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
        strb r9, [r2]
        strb r8, [r2, #1]
        strb r11, [r2, #2]
        strb r10, [r2, #3]
        adds r2, #4
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

kernel_1x4!(
    codes_1x4_dual(codes: *mut i8, stream: *const u8, out: *mut i8, tail: u32, whole: usize, blocks: usize, zero_point: i32),
    quad_1x4_dual split_1x4_dual "66", requantize_1x4
);
kernel_1x4!(
    codes_1x4_plain(codes: *mut i8, stream: *const u8, out: *mut i8, tail: u32, whole: usize, blocks: usize, zero_point: i32),
    quad_1x4_plain split_1x4_plain "82", requantize_1x4
);
kernel_1x4!(
    raw_1x4_dual(codes: *mut i8, stream: *const u8, sums: *mut i32, tail: u32, whole: usize, blocks: usize),
    quad_1x4_dual split_1x4_dual "66", return_1x4
);
kernel_1x4!(
    raw_1x4_plain(codes: *mut i8, stream: *const u8, sums: *mut i32, tail: u32, whole: usize, blocks: usize),
    quad_1x4_plain split_1x4_plain "82", return_1x4
);

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
