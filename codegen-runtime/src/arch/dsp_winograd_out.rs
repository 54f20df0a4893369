//! Winograd's convolution in the DSP instructions of Armv7E-M: the
//! transform of the products.
//!
//! In and out: as `portable_winograd.rs` says, which defines every result.
//! Invariant: assembly reads and writes the runs that its caller resolved through
//! the view, and its own stack.
//!
//! Its first half (columns) works in place.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};

/// See [`super::portable::winograd_output`].
#[inline(always)]
pub fn winograd_output<const SY: usize, const SX: usize, const OY: usize, const OX: usize>(
    products: Bytes<'_>,
    block: Consts<'_>,
    outs: [Bytes<'_>; OY],
    pixel: usize,
    channels: usize,
    zero_point: i32,
) {
    if channels == 0 {
        return;
    }
    let outs = outs.map(|out| out.pointer(0, (OX - 1) * pixel + channels));
    let products = products.pointer(0, 32 * (SY * SX - 1) + 4 * channels);
    let kernel = match (SY, SX) {
        (4, 4) => output_4,
        (4, _) => output_4x6,
        _ => output_6,
    };
    // SAFETY: of each position's 32 bytes of products, 4 bytes a channel are
    // accessed, of the block the biases and multipliers, of each output `channels`
    // bytes of each of its pixels: resolved above and here.
    unsafe { kernel(products, block.pointer(0, 32), outs.as_ptr(), pixel, channels, zero_point) }
}

// Six products at r0 back to four numbers: r4 r8 r6 r5. Uses r7, r9 and lr.
macro_rules! back_6 {
    ($at0:literal $at1:literal $at2:literal $at3:literal $at4:literal $at5:literal) => {
        concat!(
            "
            ldr r4, [r0, #",
            $at0,
            "]
            ldr r5, [r0, #",
            $at1,
            "]
            ldr r6, [r0, #",
            $at2,
            "]
            ldr r7, [r0, #",
            $at3,
            "]
            ldr r8, [r0, #",
            $at4,
            "]
            ldr r9, [r0, #",
            $at5,
            "]
            add lr, r5, r6
            sub r5, r5, r6
            add r6, r7, r8
            sub r7, r7, r8
            add r4, r4, r6
            add r4, r4, lr, lsl #2
            add r8, r7, r5, lsl #1
            add r6, r6, lr
            add r5, r5, r9
            add r5, r5, r7, lsl #1
            "
        )
    };
}

// Four products at r0 back to two numbers: r4 and r5. Uses r6 and r7.
macro_rules! back_4 {
    ($at0:literal $at1:literal $at2:literal $at3:literal) => {
        concat!(
            "
            ldr r4, [r0, #",
            $at0,
            "]
            ldr r5, [r0, #",
            $at1,
            "]
            ldr r6, [r0, #",
            $at2,
            "]
            ldr r7, [r0, #",
            $at3,
            "]
            add r4, r4, r5
            add r4, r4, r6
            sub r5, r5, r6
            sub r5, r5, r7
            "
        )
    };
}

// A row of four outputs, at #$out of the stack: r1 = inverse of 9 or 3, r2 = bias,
// r3 = m, r10 = zero point, r11 = bytes of a pixel.
macro_rules! codes_6 {
    ($back:expr, $out:literal, $shift0:literal $shift1:literal $shift2:literal) => {
        concat!(
            $back,
            "
            ldr r12, [sp, #",
            $out,
            "]
            mul r4, r4, r1
            mul r8, r8, r1
            mul r6, r6, r1
            mul r5, r5, r1
            add r4, r2, r4, asr #",
            $shift0,
            "
            add r8, r2, r8, asr #",
            $shift1,
            "
            add r6, r2, r6, asr #",
            $shift2,
            "
            add r5, r2, r5, asr #",
            $shift2,
            "
            smmlar r4, r4, r3, r10
            smmlar r8, r8, r3, r10
            smmlar r6, r6, r3, r10
            smmlar r5, r5, r3, r10
            add r7, r11, r11, lsl #1
            ssat r4, #8, r4
            ssat r8, #8, r8
            ssat r6, #8, r6
            ssat r5, #8, r5
            strb r8, [r12, r11]
            strb r6, [r12, r11, lsl #1]
            strb r5, [r12, r7]
            strb r4, [r12], #1
            str r12, [sp, #",
            $out,
            "]
            "
        )
    };
}

// A row of two outputs, likewise.
macro_rules! codes_4 {
    ($back:expr, $out:literal) => {
        concat!(
            $back,
            "
            ldr r12, [sp, #",
            $out,
            "]
            add r4, r2, r4, asr #2
            add r5, r2, r5, asr #2
            smmlar r4, r4, r3, r10
            smmlar r5, r5, r3, r10
            ssat r4, #8, r4
            ssat r5, #8, r5
            strb r5, [r12, r11]
            strb r4, [r12], #1
            str r12, [sp, #",
            $out,
            "]
            "
        )
    };
}

// In: r0 = products, r1 = block, r2 = pointers to the outputs, r3 = bytes of a
// pixel, then on the stack channels, zero point.
//
// Stack: #0 to #12 outputs, #16 block, #20 pixel, nine saved registers, #64
// channels, #68 zero point.
macro_rules! output {
    ($name:ident, $pointers:literal, $body:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            products: *mut i8,
            block: *const u8,
            outs: *const *mut i8,
            pixel: usize,
            channels: usize,
            zero_point: i32,
        ) {
            naked_asm!(
                ".cpu cortex-m33",
                concat!(
                    r"
                push {{r4-r11, lr}}
                sub sp, sp, #28
                ldm r2, ",
                    $pointers,
                    r"
                stm sp, ",
                    $pointers,
                    r"
                strd r1, r3, [sp, #16]
            2:
                ",
                    $body,
                    r"
                ldr r1, [sp, #16]
                ldr r2, [sp, #64]
                adds r0, #4
                adds r1, #4
                str r1, [sp, #16]
                subs r2, #1
                str r2, [sp, #64]
                bne 2b
                add sp, sp, #28
                pop {{r4-r11, pc}}
                "
                )
            )
        }
    };
}

// What the rows of outputs need.
macro_rules! constants {
    () => {
        r"
        ldr r1, [sp, #16]
        ldr r11, [sp, #20]
        ldr r10, [sp, #68]
        ldr r2, [r1]
        ldr r3, [r1, #16]
        "
    };
}

output!(
    output_6,
    "{{r4, r5, r6, r7}}",
    concat!(
        r"
        .irp i, 0, 1, 2, 3, 4, 5
        ",
        back_6!("32*\\i" "32*\\i+192" "32*\\i+384" "32*\\i+576" "32*\\i+768" "32*\\i+960"),
        r"
        str r4, [r0, #32*\i]
        str r8, [r0, #32*\i+192]
        str r6, [r0, #32*\i+384]
        str r5, [r0, #32*\i+576]
        .endr
        ",
        constants!(),
        r"
        movw r1, #0x8E39
        movt r1, #0x38E3
        ",
        codes_6!(back_6!("0" "32" "64" "96" "128" "160"), "0", "6" "5" "4"),
        codes_6!(back_6!("192" "224" "256" "288" "320" "352"), "4", "5" "4" "3"),
        codes_6!(back_6!("384" "416" "448" "480" "512" "544"), "8", "4" "3" "2"),
        codes_6!(back_6!("576" "608" "640" "672" "704" "736"), "12", "4" "3" "2")
    )
);

output!(
    output_4,
    "{{r4, r5}}",
    concat!(
        r"
        .irp i, 0, 1, 2, 3
        ",
        back_4!("32*\\i" "32*\\i+128" "32*\\i+256" "32*\\i+384"),
        r"
        str r4, [r0, #32*\i]
        str r5, [r0, #32*\i+128]
        .endr
        ",
        constants!(),
        codes_4!(back_4!("0" "32" "64" "96"), "0"),
        codes_4!(back_4!("128" "160" "192" "224"), "4")
    )
);

output!(
    output_4x6,
    "{{r4, r5}}",
    concat!(
        r"
        .irp i, 0, 1, 2, 3, 4, 5
        ",
        back_4!("32*\\i" "32*\\i+192" "32*\\i+384" "32*\\i+576"),
        r"
        str r4, [r0, #32*\i]
        str r5, [r0, #32*\i+192]
        .endr
        ",
        constants!(),
        r"
        mov r1, #0xAAAAAAAA
        adds r1, #1
        ",
        codes_6!(back_6!("0" "32" "64" "96" "128" "160"), "0", "4" "3" "2"),
        codes_6!(back_6!("192" "224" "256" "288" "320" "352"), "4", "4" "3" "2")
    )
);
