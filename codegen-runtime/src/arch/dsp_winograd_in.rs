//! Winograd's convolution in the DSP instructions of Armv7E-M: the
//! transform of the inputs.
//!
//! In and out: as `portable_winograd.rs` says, which defines every result.
//! Invariant: assembly reads and writes the runs that its caller resolved through
//! the view, and its own stack.
//!
//! It works in place: its first half (rows) writes where the second half (columns)
//! reads.

use core::arch::naked_asm;

use super::super::view::Bytes;

/// See [`super::portable::winograd_input`].
#[inline(always)]
pub fn winograd_input<const SY: usize, const SX: usize>(
    rows: [Bytes<'_>; SY],
    pixel: usize,
    quads: usize,
    inputs: Bytes<'_>,
    tile: usize,
) {
    if quads == 0 {
        return;
    }
    let rows = rows.map(|row| row.pointer(0, (SX - 1) * pixel + 4 * quads).cast_const());
    let inputs = inputs.pointer(0, 16 * SY * SX * quads).wrapping_add(4 * tile);
    let kernel = match (SY, SX) {
        (4, 4) => input_4,
        (4, _) => input_4x6,
        _ => input_6,
    };
    // SAFETY: of each row, 4 bytes a group of channels of each of its pixels are
    // read; of the inputs, of every 8 bytes the 4 of this tile are accessed: all
    // resolved above.
    unsafe { kernel(rows.as_ptr(), pixel, quads, inputs) }
}

// One row or column of six, two channels at once: what makes r10 r11 r12 = d1 d3
// d5, then what makes r11 r12 r0 = d4 d2 d0, then where the results go. Uses r1,
// r3 and lr as well.
macro_rules! transform_6 {
    ($odd:literal, $even:literal, $to0:literal $to1:literal $to2:literal $to3:literal $to4:literal $to5:literal) => {
        concat!(
            $odd,
            r"
            ssub16 r3, r11, r10
            sadd16 r1, r3, r3
            ssub16 r12, r12, r11
            ssub16 r12, r12, r1
            ssub16 r12, r12, r1
            sadd16 r10, r10, r10
            sadd16 r10, r10, r10
            ssub16 r10, r11, r10
            str r12, [r2, #",
            $to5,
            "]",
            $even,
            r"
            ssub16 lr, r11, r12
            ssub16 r0, r0, r12
            sadd16 r0, r0, r0
            sadd16 r0, r0, r0
            sadd16 r0, r0, lr
            sadd16 r12, r12, r12
            sadd16 r12, r12, r12
            ssub16 r11, r11, r12
            sadd16 r3, lr, r1
            ssub16 lr, lr, r1
            sadd16 r12, r11, r10
            ssub16 r11, r11, r10
            str r0, [r2, #",
            $to0,
            r"]
            str r12, [r2, #",
            $to1,
            r"]
            str r11, [r2, #",
            $to2,
            r"]
            str r3, [r2, #",
            $to3,
            r"]
            str lr, [r2, #",
            $to4,
            r"]
            "
        )
    };
}

// The same for four: what makes r8 r9 r10 r11 = d0 d1 d2 d3. Uses r3 and r12.
macro_rules! transform_4 {
    ($load:literal, $to0:literal $to1:literal $to2:literal $to3:literal) => {
        concat!(
            $load,
            r"
            ssub16 r12, r8, r10
            sadd16 r3, r9, r10
            ssub16 r10, r10, r9
            ssub16 r11, r9, r11
            str r12, [r2, #",
            $to0,
            r"]
            str r3, [r2, #",
            $to1,
            r"]
            str r10, [r2, #",
            $to2,
            r"]
            str r11, [r2, #",
            $to3,
            r"]
            "
        )
    };
}

// In: r0 = pointers to the rows, r1 = bytes of a pixel, r2 = groups of four
// channels, r3 = transformed inputs. `$row` reads a row at r0 with pixels r1 apart,
// transforms it and writes it to r2; `$columns` transforms a pair of channels at r2.
//
// Stack: #0 bytes of a pixel, #4 the group's first channel, #8 next row's pointer,
// #12 end of the pointers, #16 their start, #20 end of channels.
macro_rules! input {
    ($name:ident, $rows:literal, $row_bytes:literal, $pair_bytes:literal, $row:expr, $columns:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(rows: *const *const i8, pixel: usize, quads: usize, inputs: *mut i8) {
            naked_asm!(
                ".cpu cortex-m33",
                concat!(
                    r"
                push {{r4-r11, lr}}
                sub sp, sp, #28
                movs r4, #0
                lsl r5, r2, #2
                add.w r6, r0, #4*",
                    $rows,
                    r"
                str r1, [sp]
                str r4, [sp, #4]
                str r6, [sp, #12]
                str r0, [sp, #16]
                str r5, [sp, #20]
                mov r2, r3
            2:
                ldr r0, [sp, #16]
                str r0, [sp, #8]
            3:
                ldm sp, {{r1, r3, r12}}
                ldr r0, [r12], #4
                str r12, [sp, #8]
                add r0, r0, r3
                ",
                    $row,
                    r"
                ldrd r0, r1, [sp, #8]
                adds r2, #",
                    $row_bytes,
                    r"
                cmp r0, r1
                bne 3b
                sub.w r2, r2, #",
                    $pair_bytes,
                    r"
                ",
                    $columns,
                    r"
                add.w r2, r2, #",
                    $pair_bytes,
                    r"
                ",
                    $columns,
                    r"
                add.w r2, r2, #",
                    $pair_bytes,
                    r"
                ldr r0, [sp, #4]
                ldr r1, [sp, #20]
                adds r0, #4
                str r0, [sp, #4]
                cmp r0, r1
                bne 2b
                add sp, sp, #28
                pop {{r4-r11, pc}}
                "
                )
            )
        }
    };
}

// The rows of a tile of six columns; where the results of the second pair of
// channels go.
macro_rules! row_6 {
    ($to0:literal $to1:literal $to2:literal $to3:literal $to4:literal $to5:literal) => {
    concat!(
        r"
        ldr.w r4, [r0]
        ldr.w r5, [r0, r1]
        ldr.w r6, [r0, r1, lsl #1]
        add r0, r0, r1
        add r0, r0, r1, lsl #1
        ldr.w r7, [r0]
        ldr.w r8, [r0, r1]
        ldr.w r9, [r0, r1, lsl #1]
        ",
        transform_6!(
            r"
            sxtb16 r10, r5
            sxtb16 r11, r7
            sxtb16 r12, r9
            ",
            r"
            sxtb16 r11, r8
            sxtb16 r12, r6
            sxtb16 r0, r4
            ",
            "0" "8" "16" "24" "32" "40"
        ),
        transform_6!(
            r"
            sxtb16 r10, r5, ror #8
            sxtb16 r11, r7, ror #8
            sxtb16 r12, r9, ror #8
            ",
            r"
            sxtb16 r11, r8, ror #8
            sxtb16 r12, r6, ror #8
            sxtb16 r0, r4, ror #8
            ",
            $to0 $to1 $to2 $to3 $to4 $to5
        )
    )
    };
}

input!(
    input_6,
    "6",
    "48",
    "288",
    row_6!("288" "296" "304" "312" "320" "328"),
    concat!(
        r"
        .irp i, 0, 1, 2, 3, 4, 5
        ",
        transform_6!(
            r"
            ldr r10, [r2, #8*\i+48]
            ldr r11, [r2, #8*\i+144]
            ldr r12, [r2, #8*\i+240]
            ",
            r"
            ldr r11, [r2, #8*\i+192]
            ldr r12, [r2, #8*\i+96]
            ldr r0, [r2, #8*\i]
            ",
            "8*\\i" "8*\\i+48" "8*\\i+96" "8*\\i+144" "8*\\i+192" "8*\\i+240"
        ),
        ".endr"
    )
);

input!(
    input_4x6,
    "4",
    "48",
    "192",
    row_6!("192" "200" "208" "216" "224" "232"),
    concat!(
        r"
        .irp i, 0, 1, 2, 3, 4, 5
        ",
        transform_4!(
            r"
            ldr r8, [r2, #8*\i]
            ldr r9, [r2, #8*\i+48]
            ldr r10, [r2, #8*\i+96]
            ldr r11, [r2, #8*\i+144]
            ",
            "8*\\i" "8*\\i+48" "8*\\i+96" "8*\\i+144"
        ),
        ".endr"
    )
);

input!(
    input_4,
    "4",
    "32",
    "128",
    concat!(
        r"
        ldr.w r4, [r0]
        ldr.w r5, [r0, r1]
        ldr.w r6, [r0, r1, lsl #1]
        add r0, r0, r1
        ldr.w r7, [r0, r1, lsl #1]
        ",
        transform_4!(
            r"
            sxtb16 r8, r4
            sxtb16 r9, r5
            sxtb16 r10, r6
            sxtb16 r11, r7
            ",
            "0" "8" "16" "24"
        ),
        transform_4!(
            r"
            sxtb16 r8, r4, ror #8
            sxtb16 r9, r5, ror #8
            sxtb16 r10, r6, ror #8
            sxtb16 r11, r7, ror #8
            ",
            "128" "136" "144" "152"
        )
    ),
    concat!(
        r"
        .irp i, 0, 1, 2, 3
        ",
        transform_4!(
            r"
            ldr r8, [r2, #8*\i]
            ldr r9, [r2, #8*\i+32]
            ldr r10, [r2, #8*\i+64]
            ldr r11, [r2, #8*\i+96]
            ",
            "8*\\i" "8*\\i+32" "8*\\i+64" "8*\\i+96"
        ),
        ".endr"
    )
);
