//! Depthwise products in vectors of 16 channels (MVE).
//!
//! In and out: as `portable_lanes.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view, and
//! its own stack.
//!
//! VMULLB and VMULLT make the products of even and odd channels, 16 bits each. Two of
//! them add up to 16 bits, as no weight is -128; so every two taps are widened to 32 bits
//! together, again even and odd ones apart. Narrowing puts the channels back in order.

use core::arch::naked_asm;

use super::super::requant::Out;
use super::super::view::{Bytes, Consts};
use super::portable_lanes::{LANES, Taps, depthwise_group_bytes};

/// What the loops need besides their registers.
#[repr(C)]
struct Call {
    /// #0: the least and the greatest code, 16 times each.
    lo: [i8; LANES],
    hi: [i8; LANES],
    /// #32: the taps of the pixel at hand, #36: the stream.
    taps: *const [*const i8; 9],
    stream: *const u8,
    /// #40
    channels: usize,
    /// #44: pixels that are left, at least one.
    pixels: usize,
    /// #48: what pointers move from the end of a pixel to the next one.
    delta: isize,
    /// #52
    zero_point: i32,
    /// #56: the outputs.
    out: *mut i8,
}

/// See [`super::portable_lanes::depthwise_lanes`].
#[inline(never)]
pub fn depthwise_lanes<const SHIFTS: bool>(
    taps: &Taps<'_>,
    stream: Consts<'_>,
    channels: usize,
    out: Bytes<'_>,
    to: &Out,
) {
    if channels == 0 || taps.pixels == 0 {
        return;
    }
    let reach = (taps.pixels - 1) * taps.step + channels;
    let pointers = taps.taps.map(|tap| tap.pointer(0, reach).cast_const());
    let mut call = Call {
        lo: [to.lo as i8; LANES],
        hi: [to.hi as i8; LANES],
        taps: &raw const pointers,
        stream: stream.pointer(0, channels.div_ceil(LANES) * depthwise_group_bytes(SHIFTS)),
        channels,
        pixels: taps.pixels,
        delta: taps.step as isize - (channels / LANES * LANES) as isize,
        zero_point: to.zero_point,
        out: out.pointer(0, taps.pixels * channels),
    };
    let kernel = if SHIFTS { nine_taps_shifts } else { nine_taps };
    // SAFETY: the channels of each tap and output at each pixel and the groups of the
    // stream are accessed: resolved above.
    unsafe { kernel(&mut call) }
}

// Loads 16 codes of a tap; of the last channels those that exist.
macro_rules! load {
    (whole, $tap:literal, again) => {
        concat!("vldrb.u8 q0, [", $tap, "]\n")
    };
    (whole, $tap:literal, last) => {
        concat!("vldrb.u8 q0, [", $tap, "], #16\n")
    };
    (part, $tap:literal, $which:tt) => {
        concat!("vpst\nvldrbt.u8 q0, [", $tap, "]\n")
    };
}

// Adds q2 and q3, even and odd channels of 16 bits, to q4 q5 and q6 q7.
macro_rules! widen {
    () => {
        r"
        vmovlb.s16 q0, q2
        vmovlt.s16 q2, q2
        vadd.i32 q4, q4, q0
        vmovlb.s16 q0, q3
        vadd.i32 q5, q5, q2
        vmovlt.s16 q3, q3
        vadd.i32 q6, q6, q0
        vadd.i32 q7, q7, q3
        "
    };
}

macro_rules! two_taps {
    ($part:tt, $first:literal $second:literal) => {
        concat!(
            load!($part, $first, last),
            r"
        vldrw.u32 q1, [r1], #16
        vmullb.s8 q2, q0, q1
        vmullt.s8 q3, q0, q1
        ",
            load!($part, $second, again),
            r"
        vldrw.u32 q1, [r1], #16
        vmullb.s8 q0, q0, q1
        vadd.i16 q2, q2, q0
        ",
            load!($part, $second, last),
            r"
        vmullt.s8 q0, q0, q1
        vadd.i16 q3, q3, q0
        ",
            widen!()
        )
    };
}

macro_rules! scale {
    (plain) => {
        r"
        vldrw.u32 q0, [r1], #16
        vrmulh.s32 q4, q4, q0
        vldrw.u32 q1, [r1], #16
        vrmulh.s32 q5, q5, q1
        vldrw.u32 q0, [r1], #16
        vrmulh.s32 q6, q6, q0
        vldrw.u32 q1, [r1], #16
        vrmulh.s32 q7, q7, q1
        "
    };
    (shifts) => {
        concat!(
            r"
        vldrw.u32 q0, [r1, #64]
        vqshl.s32 q4, q4, q0
        vldrw.u32 q1, [r1, #80]
        vqshl.s32 q5, q5, q1
        vldrw.u32 q0, [r1, #96]
        vqshl.s32 q6, q6, q0
        vldrw.u32 q1, [r1, #112]
        vqshl.s32 q7, q7, q1
        ",
            scale!(plain),
            "adds r1, #64\n"
        )
    };
}

// 16 channels: q2 = their codes.
macro_rules! group {
    ($part:tt, $shifts:tt) => {
        concat!(
            r"
        vldrw.u32 q4, [r1], #64
        vldrw.u32 q5, [r1, #-48]
        vldrw.u32 q6, [r1, #-32]
        vldrw.u32 q7, [r1, #-16]
        ",
            two_taps!($part, "r4" "r5"),
            two_taps!($part, "r6" "r7"),
            two_taps!($part, "r8" "r9"),
            two_taps!($part, "r10" "r11"),
            load!($part, "r12", last),
            r"
        vldrw.u32 q1, [r1], #16
        vmullb.s8 q2, q0, q1
        vmullt.s8 q3, q0, q1
        ",
            widen!(),
            scale!($shifts),
            r"
        vqmovnb.s32 q0, q4
        vqmovnt.s32 q0, q5
        vqmovnb.s32 q1, q6
        vqmovnt.s32 q1, q7
        vqadd.s16 q0, q0, lr
        vqadd.s16 q1, q1, lr
        vldrw.u32 q3, [r0]
        vqmovnb.s16 q2, q0
        vqmovnt.s16 q2, q1
        vmax.s8 q2, q2, q3
        vldrw.u32 q3, [r0, #16]
        vmin.s8 q2, q2, q3
        "
        )
    };
}

// In: r0 = call.
//
// Loops: r4 to r12 = taps, r1 = stream, r2 = output, r3 = channels that are left,
// lr = zero point.
macro_rules! kernel {
    ($name:ident, $shifts:tt) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(call: *mut Call) {
            naked_asm!(
                ".cpu cortex-m55",
                concat!(
                    r"
                push {{r4-r11, lr}}
                vpush {{d8-d15}}
                ldr r1, [r0, #32]
                ldm r1, {{r4-r12}}
                ldrd lr, r2, [r0, #52]
            1:
                ldr r1, [r0, #36]
                ldr r3, [r0, #40]
                subs r3, #16
                blo.w 3f
            2:
                ",
                    group!(whole, $shifts),
                    r"
                vstrb.8 q2, [r2], #16
                subs r3, #16
                bhs.w 2b
            3:
                adds r3, #16
                beq.w 4f
                vctp.8 r3
                ",
                    group!(part, $shifts),
                    r"
                vpst
                vstrbt.8 q2, [r2]
                add r2, r3
            4:
                ldrd r1, r3, [r0, #44]
                subs r1, #1
                beq 5f
                str r1, [r0, #44]
                add r4, r3
                add r5, r3
                add r6, r3
                add r7, r3
                add r8, r3
                add r9, r3
                add r10, r3
                add r11, r3
                add r12, r3
                b.w 1b
            5:
                vpop {{d8-d15}}
                pop {{r4-r11, pc}}
                "
                )
            )
        }
    };
}

kernel!(nine_taps, plain);
kernel!(nine_taps_shifts, shifts);
