//! Products of windows and weights in vectors of 16 codes (MVE).
//!
//! In and out: as `portable_lanes.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view, and
//! its own stack.
//!
//! VMLADAVA adds 16 products to a core register with an even number: eight of them are
//! accumulators, four channels at two pixels, whose six loads are shared. The inner loop is
//! one body of four vectors, entered where as many are left as the window has. VRMULH is
//! the requantization's product, rounding included, of four channels at once.

use core::arch::naked_asm;

use super::super::requant::Out;
use super::super::view::{Bytes, Consts};
use super::portable_lanes::{LANES, Windows, lanes_block_bytes};

/// See [`super::portable_lanes::lanes`].
#[inline(never)]
pub fn lanes<const SHIFTS: bool>(
    windows: Windows<'_>,
    stream: Consts<'_>,
    channels: usize,
    out: Bytes<'_>,
    to: &Out,
) {
    let Windows { codes, step, len, pixels } = windows;
    if pixels == 0 || channels == 0 || len == 0 {
        return;
    }
    let first = codes.pointer(0, (pixels - 1) * step + len);
    let out = out.pointer(0, pixels * channels);
    let stream = stream.pointer(0, channels.div_ceil(4) * lanes_block_bytes(len, SHIFTS));
    let Out { zero_point, lo, hi } = *to;
    let (vectors, rest) = (len / LANES, len % LANES);
    let rest_bytes = rest.next_multiple_of(4);
    let twos = pixels / 2;
    if twos > 0 {
        let two = if SHIFTS { lanes_2x4_shifts } else { lanes_2x4 };
        // SAFETY: `len` codes of each window, the stream's blocks and the channels of each
        // output are accessed: resolved above.
        unsafe {
            two(first, step, out, stream, vectors, 0, rest, rest_bytes, channels, twos, zero_point, lo, hi);
        }
    }
    if pixels % 2 == 1 {
        let last = pixels - 1;
        let (codes, out) = (first.wrapping_add(last * step), out.wrapping_add(last * channels));
        let one = if SHIFTS { lanes_1x4_shifts } else { lanes_1x4 };
        // SAFETY: as above, for one pixel.
        unsafe { one(codes, channels, out, stream, vectors, rest, rest_bytes, zero_point, lo, hi) }
    }
}

// Accumulators to codes, before the zero point: q2 = the block's multipliers.
macro_rules! multiply {
    (plain, $($q:literal)*) => {
        concat!("vldrw.u32 q2, [r1], #16\n", $("vrmulh.s32 ", $q, ", ", $q, ", q2\n"),*)
    };
    (shifts, $($q:literal)*) => {
        concat!(
            "vldrw.u32 q2, [r1], #16\n",
            "vldrw.u32 q3, [r1], #16\n",
            $("vqshl.s32 ", $q, ", ", $q, ", q3\n", "vrmulh.s32 ", $q, ", ", $q, ", q2\n"),*
        )
    };
}

// Zero point (q6) and range (q4, q5).
macro_rules! clamp {
    ($($q:literal)*) => {
        concat!(
            $(
                "vadd.i32 ", $q, ", ", $q, ", q6\n",
                "vmax.s32 ", $q, ", ", $q, ", q4\n",
                "vmin.s32 ", $q, ", ", $q, ", q5\n",
            )*
        )
    };
}

// In: r0 = windows, r1 = bytes between them, r2 = outputs, r3 = stream.
//
// Loops: r0 r2 r4 r6 = accumulators of pixel 0, r8 r10 r12 lr those of pixel 1, r1 = stream,
// r3 and r5 = windows, r7 = codes behind whole vectors, r9 = how often the body is still run
// through, r11 = channels that are left; q4 and q5 = range, q6 = zero point.
//
// Stack: #0 windows of the pixels at hand, #8 their outputs, #16 bytes from a pair of
// windows to the next one, #20 outputs of the first pixel at hand, #24 stream, #28 where the
// body is entered, q4 to q6, nine saved registers, #116 vectors of a window, #120 how often
// the body is run through, #124 codes behind whole vectors, #128 those filled up, #132
// channels, #136 pairs of pixels, #140 zero point, #144 range.
macro_rules! kernel_2x4 {
    ($name:ident, $shifts:tt) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            codes: *const i8,
            step: usize,
            out: *mut i8,
            stream: *const u8,
            vectors: usize,
            passes: usize,
            rest: usize,
            rest_bytes: usize,
            channels: usize,
            pairs: usize,
            zero_point: i32,
            lo: i32,
            hi: i32,
        ) {
            naked_asm!(
                ".cpu cortex-m55",
                concat!(
                    r"
                push {{r4-r11, lr}}
                vpush {{d8-d13}}
                sub sp, #32
                ldr r11, [sp, #132]
                add r5, r0, r1
                strd r0, r5, [sp]
                add r5, r2, r11
                strd r2, r5, [sp, #8]
                lsls r1, r1, #1
                strd r1, r2, [sp, #16]
                str r3, [sp, #24]
                ldr r7, [sp, #140]
                ldrd r3, r5, [sp, #144]
                vdup.32 q4, r3
                vdup.32 q5, r5
                vdup.32 q6, r7
                ldr r7, [sp, #116]
                adr.w r3, 4f
                cbz r7, 1f
                adr.w r3, 3f
                rsbs r5, r7, #0
                and r5, r5, #3
                mov.w r9, #56
                mla r3, r5, r9, r3
                adds r7, #3
                lsrs r7, r7, #2
                str r7, [sp, #120]
            1:
                orr r3, r3, #1
                str r3, [sp, #28]
            2:
                ldr r1, [sp, #24]
            8:
                ldm.w r1, {{r0, r2, r4, r6}}
                ldm.w r1!, {{r8, r10, r12, lr}}
                ldrd r3, r5, [sp]
                ldrd r9, r7, [sp, #120]
                ldr.w pc, [sp, #28]
            3:
                .rept 4
                vldrb.u8 q0, [r3], #16
                vldrw.u32 q2, [r1], #64
                vmladava.s8 r0, q0, q2
                vldrb.u8 q1, [r5], #16
                vmladava.s8 r8, q1, q2
                vldrw.u32 q3, [r1, #-48]
                vmladava.s8 r2, q0, q3
                vmladava.s8 r10, q1, q3
                vldrw.u32 q2, [r1, #-32]
                vmladava.s8 r4, q0, q2
                vmladava.s8 r12, q1, q2
                vldrw.u32 q3, [r1, #-16]
                vmladava.s8 r6, q0, q3
                vmladava.s8 lr, q1, q3
                .endr
                subs r9, #1
                bne.w 3b
            4:
                cbz r7, 5f
                vctp.8 r7
                ldr.w r9, [sp, #128]
                vpstt
                vldrbt.u8 q0, [r3]
                vldrbt.u8 q1, [r5]
                vldrw.u32 q2, [r1]
                add r1, r9
                vmladava.s8 r0, q0, q2
                vmladava.s8 r8, q1, q2
                vldrw.u32 q3, [r1]
                add r1, r9
                vmladava.s8 r2, q0, q3
                vmladava.s8 r10, q1, q3
                vldrw.u32 q2, [r1]
                add r1, r9
                vmladava.s8 r4, q0, q2
                vmladava.s8 r12, q1, q2
                vldrw.u32 q3, [r1]
                add r1, r9
                vmladava.s8 r6, q0, q3
                vmladava.s8 lr, q1, q3
            5:
                vmov d0, r0, r2
                vmov d1, r4, r6
                vmov d2, r8, r10
                vmov d3, r12, lr
                ",
                    multiply!($shifts, "q0" "q1"),
                    clamp!("q0" "q1"),
                    r"
                ldrd r3, r5, [sp, #8]
                vctp.32 r11
                vpstt
                vstrbt.32 q0, [r3], #4
                vstrbt.32 q1, [r5], #4
                strd r3, r5, [sp, #8]
                subs.w r11, r11, #4
                bhi.w 8b
                ldr r7, [sp, #136]
                subs r7, #1
                beq 9f
                str r7, [sp, #136]
                ldr r7, [sp, #16]
                ldrd r3, r5, [sp]
                add r3, r7
                add r5, r7
                strd r3, r5, [sp]
                ldr.w r11, [sp, #132]
                ldr r3, [sp, #20]
                add r3, r3, r11, lsl #1
                add r5, r3, r11
                strd r3, r5, [sp, #8]
                str r3, [sp, #20]
                b.w 2b
            9:
                add sp, #32
                vpop {{d8-d13}}
                pop {{r4-r11, pc}}
                "
                )
            )
        }
    };
}

kernel_2x4!(lanes_2x4, plain);
kernel_2x4!(lanes_2x4_shifts, shifts);

// In: r0 = window, r1 = channels, r2 = outputs, r3 = stream.
//
// Loops: r0 r2 r4 r6 = accumulators, r1 = stream, r3 = window, r5 = outputs, r7 = channels
// that are left, r8 and r10 = codes behind whole vectors and those filled up, r9 = whole
// vectors, r11 = window from its begin.
//
// Stack: q4 to q6, nine saved registers, #84 vectors of a window, #88 codes behind whole
// vectors, #92 those filled up, #96 zero point, #100 range.
macro_rules! kernel_1x4 {
    ($name:ident, $shifts:tt) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            codes: *const i8,
            channels: usize,
            out: *mut i8,
            stream: *const u8,
            vectors: usize,
            rest: usize,
            rest_bytes: usize,
            zero_point: i32,
            lo: i32,
            hi: i32,
        ) {
            naked_asm!(
                ".cpu cortex-m55",
                concat!(
                    r"
                push {{r4-r11, lr}}
                vpush {{d8-d13}}
                mov r11, r0
                mov r7, r1
                mov r5, r2
                mov r1, r3
                ldrd r9, r8, [sp, #84]
                ldrd r10, r0, [sp, #92]
                ldrd r2, r3, [sp, #100]
                vdup.32 q4, r2
                vdup.32 q5, r3
                vdup.32 q6, r0
            2:
                ldm r1!, {{r0, r2, r4, r6}}
                mov r3, r11
                lsrs r12, r9, #1
                wls lr, r12, 4f
            3:
                vldrb.u8 q0, [r3], #32
                vldrw.u32 q2, [r1], #128
                vmladava.s8 r0, q0, q2
                vldrw.u32 q3, [r1, #-112]
                vmladava.s8 r2, q0, q3
                vldrw.u32 q2, [r1, #-96]
                vmladava.s8 r4, q0, q2
                vldrw.u32 q3, [r1, #-80]
                vmladava.s8 r6, q0, q3
                vldrb.u8 q0, [r3, #-16]
                vldrw.u32 q2, [r1, #-64]
                vmladava.s8 r0, q0, q2
                vldrw.u32 q3, [r1, #-48]
                vmladava.s8 r2, q0, q3
                vldrw.u32 q2, [r1, #-32]
                vmladava.s8 r4, q0, q2
                vldrw.u32 q3, [r1, #-16]
                vmladava.s8 r6, q0, q3
                le lr, 3b
            4:
                lsls r12, r9, #31
                beq 5f
                vldrb.u8 q0, [r3], #16
                vldrw.u32 q2, [r1], #64
                vmladava.s8 r0, q0, q2
                vldrw.u32 q3, [r1, #-48]
                vmladava.s8 r2, q0, q3
                vldrw.u32 q2, [r1, #-32]
                vmladava.s8 r4, q0, q2
                vldrw.u32 q3, [r1, #-16]
                vmladava.s8 r6, q0, q3
            5:
                cmp r8, #0
                beq 6f
                vctp.8 r8
                vpst
                vldrbt.u8 q0, [r3]
                vldrw.u32 q2, [r1]
                add r1, r10
                vmladava.s8 r0, q0, q2
                vldrw.u32 q3, [r1]
                add r1, r10
                vmladava.s8 r2, q0, q3
                vldrw.u32 q2, [r1]
                add r1, r10
                vmladava.s8 r4, q0, q2
                vldrw.u32 q3, [r1]
                add r1, r10
                vmladava.s8 r6, q0, q3
            6:
                vmov d0, r0, r2
                vmov d1, r4, r6
                ",
                    multiply!($shifts, "q0"),
                    clamp!("q0"),
                    r"
                vctp.32 r7
                vpst
                vstrbt.32 q0, [r5], #4
                subs r7, #4
                bhi.w 2b
                vpop {{d8-d13}}
                pop {{r4-r11, pc}}
                "
                )
            )
        }
    };
}

kernel_1x4!(lanes_1x4, plain);
kernel_1x4!(lanes_1x4_shifts, shifts);
