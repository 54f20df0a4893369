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
use super::dsp_widen::{Spans, spans};
use super::portable::{Windows, block_bytes};

/// See [`super::portable::tiles_2x4`].
#[inline(always)]
pub fn tiles_2x4<const DUAL: bool>(
    tile: Bytes<'_>,
    quads: usize,
    stream: Consts<'_>,
    channels: usize,
    out: [Bytes<'_>; 2],
    zero_point: i32,
) {
    if quads == 0 || channels == 0 {
        return;
    }
    let stream = stream.pointer(0, channels.div_ceil(4) * block_bytes(quads));
    let [first, second] = out.map(|out| out.pointer(0, channels));
    let kernel = if DUAL { codes_2x4_dual } else { codes_2x4_plain };
    let tile = tile.pointer(0, 16 * quads);
    // SAFETY: the tile's 16 bytes a group, the stream's blocks and the channels of
    // each output are accessed: resolved above. Without codes nothing is widened.
    unsafe { call(kernel, (tile, stream, [first, second]), quads, channels, zero_point, Source::READY) }
}

/// See [`super::portable::pixels_2x4`].
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "they are the registers and the stack of one call")]
pub fn pixels_2x4<const DUAL: bool>(
    codes: Bytes<'_>,
    step: usize,
    tile: Bytes<'_>,
    quads: usize,
    stream: Consts<'_>,
    channels: usize,
    out: Bytes<'_>,
    pairs: usize,
    zero_point: i32,
) {
    if quads == 0 || channels == 0 || pairs == 0 {
        return;
    }
    let stream = stream.pointer(0, channels.div_ceil(4) * block_bytes(quads));
    let codes = codes.pointer(0, (2 * pairs - 1) * step + 4 * quads);
    let out = out.pointer(0, 2 * pairs * channels);
    let kernel = if DUAL { codes_2x4_dual } else { codes_2x4_plain };
    let (tile, second) = (tile.pointer(0, 16 * quads), out.wrapping_add(channels));
    // SAFETY: as for `tiles_2x4`, and the groups of four codes of every pixel are
    // read: resolved above.
    let source = Source { codes, step, pairs, ..Source::READY };
    unsafe { call(kernel, (tile, stream, [out, second]), quads, channels, zero_point, source) }
}

/// See [`super::portable::windows_2x4`].
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "they are the registers and the stack of one call")]
pub fn windows_2x4<const DUAL: bool>(
    windows: Windows<'_>,
    tile: Bytes<'_>,
    quads: usize,
    stream: Consts<'_>,
    channels: usize,
    out: Bytes<'_>,
    pairs: usize,
    zero_point: i32,
) {
    let Windows { rows, span, step, aside, last } = windows;
    if quads == 0 || channels == 0 || pairs == 0 {
        return;
    }
    let what = Spans::new(rows, span.len, span.pad_code, aside, last);
    let stream = stream.pointer(0, channels.div_ceil(4) * block_bytes(quads));
    let out = out.pointer(0, 2 * pairs * channels);
    let kernel = if DUAL { codes_2x4_dual } else { codes_2x4_plain };
    let (tile, second) = (tile.pointer(0, 16 * quads), out.wrapping_add(channels));
    let source = Source { what: &what, first: span.first, step, pairs, ..Source::READY };
    // SAFETY: as for `tiles_2x4`, and the windows are read as in `widen_rows`.
    unsafe { call(kernel, (tile, stream, [out, second]), quads, channels, zero_point, source) }
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
    let outs = [sums.as_mut_ptr().cast(), core::ptr::null_mut()];
    // SAFETY: as for `tiles_2x4` with one block, and 32 bytes of results.
    unsafe { call(kernel, (tile, stream, outs), quads, 4, 0, Source::READY) };
    sums
}

/// Where the tiles of a call come from.
struct Source {
    /// Pixels `step` bytes apart, or null.
    codes: *const i8,
    step: usize,
    pairs: usize,
    /// Windows over rows, the first one's inputs from byte `first` on, or null.
    what: *const Spans,
    first: usize,
}

impl Source {
    /// One tile, which is ready.
    const READY: Source =
        Source { codes: core::ptr::null(), step: 0, pairs: 1, what: core::ptr::null(), first: 0 };
}

type Kernel = unsafe extern "C" fn(
    tile: *mut i8,
    stream: *const u8,
    out0: *mut i8,
    out1: *mut i8,
    words: usize,
    channels: usize,
    zero_point: i32,
    codes: *const i8,
    step: usize,
    pairs: usize,
    what: *const Spans,
    first: usize,
);

// SAFETY: of the caller, as the kernel's text says.
#[inline(always)]
unsafe fn call(
    kernel: Kernel,
    (tile, stream, [out0, out1]): (*mut i8, *const u8, [*mut i8; 2]),
    quads: usize,
    channels: usize,
    zero_point: i32,
    source: Source,
) {
    let Source { codes, step, pairs, what, first } = source;
    // SAFETY: the caller's.
    unsafe {
        kernel(tile, stream, out0, out1, 2 * quads, channels, zero_point, codes, step, pairs, what, first)
    }
}

// What a block needs besides its registers: on targets that pass floats in registers
// of the FPU (those that a callee may change), a move of one cycle; on others, a slot
// of the stack.
#[cfg(target_abi = "eabihf")]
macro_rules! keep {
    ($register:literal, $float:literal, $slot:literal) => {
        concat!("vmov ", $float, ", ", $register, "\n")
    };
}
#[cfg(not(target_abi = "eabihf"))]
macro_rules! keep {
    ($register:literal, $float:literal, $slot:literal) => {
        concat!("str ", $register, ", [sp, #", $slot, "]\n")
    };
}
#[cfg(target_abi = "eabihf")]
macro_rules! kept {
    ($register:literal, $float:literal, $slot:literal) => {
        concat!("vmov ", $register, ", ", $float, "\n")
    };
}
#[cfg(not(target_abi = "eabihf"))]
macro_rules! kept {
    ($register:literal, $float:literal, $slot:literal) => {
        concat!("ldr ", $register, ", [sp, #", $slot, "]\n")
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

// In: r0 = tile, r1 = stream, r2 and r3 = outputs of the first pair (or results),
// then what the stack holds from #80 on. To the epilogue: r7 r6 r9 r8 and r11 r10 lr
// r12 = accumulators of channels 0 to 3 of the two pixels, r1 = the block's
// multipliers; label 1 does the next pair, label 2 the next block, label 8 returns.
//
// Stack, of which the values in brackets are in s registers where those exist: [#0
// entry into the body, #4 bytes skipped by it (less the first two inputs'), #8 end of
// the tile, #16 and #20 outputs, #24 end of the first output], #28 stream, #32 tile,
// [#36 tile, #40 zero point], nine saved registers, #80 words a pixel, #84 channels,
// #88 zero point, #92 codes (null where the tile is ready, or made from windows), #96
// bytes from pixel to pixel, #100 pairs, #104 windows (or null), #108 first byte.
macro_rules! kernel_2x4 {
    ($name:ident, $first:ident $pair:ident $split:ident $bytes:literal, $epilogue:ident) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            tile: *mut i8,
            stream: *const u8,
            out0: *mut i8,
            out1: *mut i8,
            words: usize,
            channels: usize,
            zero_point: i32,
            codes: *const i8,
            step: usize,
            pairs: usize,
            what: *const Spans,
            first: usize,
        ) {
            naked_asm!(".cpu cortex-m33", concat!(
                r"
                push {{r4-r11, lr}}
                sub sp, sp, #44
                ldr r4, [sp, #80]
                ldr r5, [sp, #84]
                add r5, r2, r5
                strd r1, r0, [sp, #28]
                ",
                keep!("r2", "s3", "16"),
                keep!("r3", "s4", "20"),
                keep!("r5", "s5", "24"),
                keep!("r0", "s6", "36"),
                r"
                add r0, r0, r4, lsl #3
                ldr r5, [sp, #88]
                ",
                keep!("r0", "s2", "8"),
                keep!("r5", "s7", "40"),
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
                keep!("r6", "s0", "0"),
                keep!("r4", "s1", "4"),
                r"
            1:
                ldr r0, [sp, #92]
                ldr r1, [sp, #96]
                cbz r0, 9f
                add r4, r0, r1, lsl #1
                str r4, [sp, #92]
                ldr r2, [sp, #32]
                ldr r3, [sp, #80]
                adds r1, r1, r0
                lsrs r3, r3, #2
                bcc 4f
                ldr r4, [r0], #4
                ldr r5, [r1], #4
                sxtb16 r6, r4, ror #8
                sxtb16 r7, r5, ror #8
                sxtb16 r4, r4
                sxtb16 r5, r5
                stm r2!, {{r4, r5, r6, r7}}
                cbz r3, 5f
            4:
                ldr.w r4, [r0]
                ldr.w r8, [r0, #4]
                ldr.w r5, [r1]
                ldr.w r9, [r1, #4]
                adds r0, #8
                adds r1, #8
                sxtb16 r6, r4, ror #8
                sxtb16 r10, r8, ror #8
                sxtb16 r7, r5, ror #8
                sxtb16 r11, r9, ror #8
                sxtb16 r4, r4
                sxtb16 r8, r8
                sxtb16 r5, r5
                sxtb16 r9, r9
                stm r2!, {{r4-r11}}
                subs r3, #1
                bne 4b
                b 5f
            9:
                ldr r0, [sp, #104]
                ldr r2, [sp, #108]
                ldr r3, [sp, #32]
                cbz r0, 5f
                adds r4, r2, r1
                adds r5, r4, r1
                str r5, [sp, #108]
                bl {spans}
                ldr r0, [sp, #104]
                ldr r3, [sp, #32]
                mov r2, r4
                adds r3, #4
                bl {spans}
            5:
                ldr r1, [sp, #28]
            2:
                ldm r1!, {{r6, r7, r8, r9}}
                ",
                kept!("r0", "s6", "36"),
                $first!(),
                kept!("r3", "s0", "0"),
                kept!("r2", "s1", "4"),
                r"
                subs r0, r0, r2
                subs r1, r1, r2
                bx r3
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
                kept!("r2", "s2", "8"),
                r"
                adds r0, #128
                adds r1, #128
                cmp r0, r2
                bne.w 3b
                ",
                $split!(),
                $epilogue!(),
                r"
                add sp, sp, #44
                pop {{r4-r11, pc}}
                "
            ), spans = sym spans)
        }
    };
}

macro_rules! requantize_2x4 {
    () => {
        concat!(
            r"
        ldm r1!, {{r2, r3, r4, r5}}
        ",
            kept!("r0", "s7", "40"),
            r"
        smmlar r11, r11, r2, r0
        smmlar r10, r10, r3, r0
        smmlar lr, lr, r4, r0
        smmlar r12, r12, r5, r0
        smmlar r7, r7, r2, r0
        smmlar r6, r6, r3, r0
        smmlar r9, r9, r4, r0
        smmlar r8, r8, r5, r0
        ",
            kept!("r2", "s3", "16"),
            kept!("r3", "s4", "20"),
            kept!("r4", "s5", "24"),
            r"
        ssat r11, #8, r11
        ssat r10, #8, r10
        ssat lr, #8, lr
        ssat r12, #8, r12
        ssat r7, #8, r7
        ssat r6, #8, r6
        ssat r9, #8, r9
        ssat r8, #8, r8
        subs r5, r4, r2
        cmp r5, #4
        blo 6f
        strb r11, [r3], #4
        strb r10, [r3, #-3]
        strb lr, [r3, #-2]
        strb r12, [r3, #-1]
        strb r7, [r2], #4
        strb r6, [r2, #-3]
        strb r9, [r2, #-2]
        strb r8, [r2, #-1]
        ",
            keep!("r2", "s3", "16"),
            keep!("r3", "s4", "20"),
            r"
        bne.w 2b
        b 7f
    6:
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
    7:
        ldr r0, [sp, #100]
        ldr r1, [sp, #84]
        subs r0, #1
        beq 8f
        str r0, [sp, #100]
        add r4, r4, r1
        adds r5, r4, r1
        ",
            keep!("r4", "s3", "16"),
            keep!("r5", "s4", "20"),
            keep!("r5", "s5", "24"),
            r"
        b.w 1b
    8:
        "
        )
    };
}

macro_rules! return_2x4 {
    () => {
        concat!(
            kept!("r2", "s3", "16"),
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

kernel_2x4!(codes_2x4_dual, first_2x4_dual pair_2x4_dual split_2x4_dual "48", requantize_2x4);
kernel_2x4!(codes_2x4_plain, first_2x4_plain pair_2x4_plain split_2x4_plain "56", requantize_2x4);
kernel_2x4!(raw_2x4_dual, first_2x4_dual pair_2x4_dual split_2x4_dual "48", return_2x4);
kernel_2x4!(raw_2x4_plain, first_2x4_plain pair_2x4_plain split_2x4_plain "56", return_2x4);
