//! Pairs of pixels, and depthwise windows over them, in the DSP instructions of
//! Armv7E-M.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view,
//! and its own stack.

use core::arch::naked_asm;
use core::marker::PhantomData;

use super::super::view::{Bytes, Consts};
use super::portable::{STRIP_COLUMNS, Steps};

/// See [`super::portable::RowPair`].
#[derive(Clone, Copy)]
#[repr(C)]
pub struct RowPair<'a> {
    upper: *const i8,
    lower: *const i8,
    upper_step: usize,
    lower_step: usize,
    lifetime: PhantomData<&'a i8>,
}

impl<'a> RowPair<'a> {
    /// See [`super::portable::RowPair::new`].
    #[inline(always)]
    pub fn new([upper, lower]: [Bytes<'a>; 2], steps: [usize; 2], reach: usize) -> Self {
        let run = |row: Bytes<'_>, step: usize| row.pointer(0, if step == 0 { 4 } else { reach });
        let [upper_step, lower_step] = steps;
        let (upper, lower) = (run(upper, upper_step), run(lower, lower_step));
        RowPair { upper, lower, upper_step, lower_step, lifetime: PhantomData }
    }
}

/// See [`super::portable::pair_rows`].
#[inline(always)]
pub fn pair_rows(pairs: &[RowPair<'_>], channel: usize, columns: usize, strip: Bytes<'_>) {
    if pairs.is_empty() || columns == 0 {
        return;
    }
    let strip = strip.pointer(0, 16 * ((pairs.len() - 1) * STRIP_COLUMNS + columns));
    let range = pairs.as_ptr_range();
    // SAFETY: of each pair's rows four codes a column, of the strip 16 bytes a pair
    // and column are accessed: resolved here and in `RowPair::new`.
    unsafe { pair_rows_up(range.start, range.end, strip, columns, channel) }
}

// Pairs are 288 bytes apart in the strip, the columns of one 16.
const _: () = assert!(STRIP_COLUMNS == 18);

// Four channels of two columns, to byte $at of the strip on: a neighbour's loads
// come right behind.
macro_rules! pair_two {
    ($at:literal) => {
        concat!(
            r"
        ldr r7, [r0]
        ldr.w r8, [r0, r4]
        ldr.w r9, [r1]
        ldr.w r10, [r1, r5]
        add.w r0, r0, r4, lsl #1
        add.w r1, r1, r5, lsl #1
        pkhbt r11, r7, r9, lsl #16
        pkhtb r9, r9, r7, asr #16
        sxtb16 r12, r11
        sxtb16 r11, r11, ror #8
        sxtb16 lr, r9
        sxtb16 r9, r9, ror #8
        str.w r12, [r2, #",
            $at,
            "]
        str.w r11, [r2, #",
            $at,
            "+4]
        str.w lr, [r2, #",
            $at,
            "+8]
        str.w r9, [r2, #",
            $at,
            r"+12]
        pkhbt r11, r8, r10, lsl #16
        pkhtb r10, r10, r8, asr #16
        sxtb16 r12, r11
        sxtb16 r11, r11, ror #8
        sxtb16 lr, r10
        sxtb16 r10, r10, ror #8
        str.w r12, [r2, #",
            $at,
            "+16]
        str.w r11, [r2, #",
            $at,
            "+20]
        str.w lr, [r2, #",
            $at,
            "+24]
        str.w r10, [r2, #",
            $at,
            "+28]
        "
        )
    };
}

// Stack: #0 end of the pairs, #4 columns, nine saved registers, #44 channel.
#[unsafe(naked)]
unsafe extern "C" fn pair_rows_up(
    pairs: *const RowPair<'_>,
    end: *const RowPair<'_>,
    strip: *mut i8,
    columns: usize,
    channel: usize,
) {
    naked_asm!(
        ".cpu cortex-m33",
        concat!(
            r"
        push {{r1, r3, r4-r11, lr}}
        mov r6, r0
    1:
        ldm r6!, {{r0, r1, r4, r5}}
        ldr.w r12, [sp, #44]
        ldr r3, [sp, #4]
        cmp r4, #0
        it ne
        addne r0, r0, r12
        cmp r5, #0
        it ne
        addne r1, r1, r12
        subs r3, r3, #4
        blo 3f
    2:
        ",
            pair_two!("0"),
            pair_two!("32"),
            r"
        adds r2, #64
        subs r3, r3, #4
        bhs 2b
    3:
        lsls r3, r3, #31
        bcc 4f
        ",
            pair_two!("0"),
            r"
        adds r2, #32
    4:
        ldr r3, [sp, #4]
        lsls r12, r3, #31
        beq 5f
        ldr r7, [r0]
        ldr.w r9, [r1]
        pkhbt r11, r7, r9, lsl #16
        pkhtb r9, r9, r7, asr #16
        sxtb16 r12, r11
        sxtb16 r11, r11, ror #8
        sxtb16 lr, r9
        sxtb16 r9, r9, ror #8
        str.w r12, [r2]
        str.w r11, [r2, #4]
        str.w lr, [r2, #8]
        str.w r9, [r2, #12]
        adds r2, #16
    5:
        ldr.w r12, [sp]
        add.w r2, r2, #288
        sub.w r2, r2, r3, lsl #4
        cmp r6, r12
        bne 1b
        pop {{r1, r3, r4-r11, pc}}
        "
        )
    )
}

/// See [`super::portable::depthwise_3x3`].
#[inline(always)]
pub fn depthwise_3x3<const STRIDE: usize>(
    strip: Bytes<'_>,
    consts: Consts<'_>,
    out: Bytes<'_>,
    steps: Steps,
    (rows, columns): (usize, usize),
    zero_point: i32,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    let last_pair = rows.div_ceil(2) * STRIDE;
    let read = columns.next_multiple_of(2) * STRIDE + 3 - STRIDE;
    let strip = strip.pointer(0, 16 * (last_pair * STRIP_COLUMNS + read));
    let consts = consts.pointer(0, 68);
    let out = out.pointer(0, (rows - 1) * steps.row + (columns - 1) * steps.column + 4);
    let Steps { column, row } = steps;
    if STRIDE == 1 {
        // SAFETY: of the strip the words of the outputs' windows, of the output four
        // bytes a pixel, and all constants are accessed: resolved above.
        unsafe { stride_1(strip, consts, out, column, row, columns, rows, zero_point) }
    } else {
        // SAFETY: as above.
        unsafe { stride_2(strip, consts, out, column, row, columns, rows, zero_point) }
    }
}

// Weights of four channels to the stack, as the strip's words: for each channel
// (w0, w1) and (w1, w2) of the first column of the kernel, of the second, of the
// third, where w0, w1, w2 are its rows. In: r1 = constants. Out: r4 to r10 changed.
macro_rules! unpack {
    () => {
        r"
        .irp x, 0, 1, 2
        ldr.w r4, [r1, #32+4*\x]
        ldr.w r5, [r1, #44+4*\x]
        ldr.w r6, [r1, #56+4*\x]
        pkhbt r7, r4, r5, lsl #16
        pkhtb r8, r5, r4, asr #16
        sxtb16 r9, r7
        sxtb16 r7, r7, ror #8
        sxtb16 r10, r8
        sxtb16 r8, r8, ror #8
        str.w r9, [sp, #64+8*\x]
        str.w r7, [sp, #64+24+8*\x]
        str.w r10, [sp, #64+48+8*\x]
        str.w r8, [sp, #64+72+8*\x]
        pkhbt r7, r5, r6, lsl #16
        pkhtb r8, r6, r5, asr #16
        sxtb16 r9, r7
        sxtb16 r7, r7, ror #8
        sxtb16 r10, r8
        sxtb16 r8, r8, ror #8
        str.w r9, [sp, #64+4+8*\x]
        str.w r7, [sp, #64+28+8*\x]
        str.w r10, [sp, #64+52+8*\x]
        str.w r8, [sp, #64+76+8*\x]
        .endr
        "
    };
}

// In, of the kernels below: r0 = strip, r1 = constants, r2 = output, r3 = bytes from
// column to column, then on the stack bytes from row to row, columns, rows, zero
// point. Weights stay in r6 to r11, accumulators are r2 to r5. Rows begin with r0 =
// their strip, r2 = their output, r1 = rows left.
//
// Stack: #0 bias, #4 multiplier, #8 zero point, #12 output, #16 bytes from row to
// row, #20 from column to column, #24 end of the columns, #28 strip and #32 output
// of the channel, #36 and #40 those of the rows, #44 rows left, #48 constants, #52
// weights, 96 bytes of them from #64 on, #56 bytes from column to column, #60 bytes
// of the whole pairs of columns; nine saved registers, #196 bytes from row to row,
// #200 columns, #204 rows, #208 zero point.
macro_rules! open {
    ($columns_shift:literal) => {
        concat!(
            r"
        push {{r4-r11, lr}}
        sub sp, sp, #160
        str r0, [sp, #28]
        str r2, [sp, #32]
        str r1, [sp, #48]
        str r3, [sp, #20]
        str r3, [sp, #56]
        ldr r3, [sp, #200]
        ldr r4, [sp, #196]
        ldr r5, [sp, #208]
        add r6, sp, #64
        lsrs r3, r3, #1
        lsls r3, r3, #",
            $columns_shift,
            r"
        str r3, [sp, #60]
        str r4, [sp, #16]
        str r5, [sp, #8]
        str r6, [sp, #52]
        ",
            unpack!(),
            r"
    1:
        ldr r1, [sp, #48]
        ldr r12, [sp, #52]
        ldr r0, [sp, #28]
        ldr r2, [sp, #32]
        ldr r4, [r1]
        ldr r5, [r1, #16]
        ldm r12!, {{r6-r11}}
        adds r1, #4
        str r1, [sp, #48]
        str r12, [sp, #52]
        str r4, [sp]
        str r5, [sp, #4]
        str r0, [sp, #36]
        str r2, [sp, #40]
        adds r4, r0, #4
        adds r5, r2, #1
        str r4, [sp, #28]
        str r5, [sp, #32]
        ldr r1, [sp, #204]
        "
        )
    };
}

// Rows by fours: four outputs one below the other, column by column. Less than
// four rows are left for what follows.
macro_rules! fours {
    () => {
        r"
    2:
        subs r1, r1, #4
        blo 6f
        ldr r3, [sp, #200]
        str r1, [sp, #44]
        str r2, [sp, #12]
        add r3, r0, r3, lsl #4
        str r3, [sp, #24]
    3:
        ldr r5, [sp]
        ldr.w r1, [r0, #0]
        ldr.w r12, [r0, #288]
        ldr.w lr, [r0, #576]
        smlad r2, r1, r6, r5
        smlatb r3, r1, r6, r5
        smlad r4, r12, r6, r5
        smlatb r5, r12, r6, r5
        smlabt r2, r12, r7, r2
        smlad r3, r12, r7, r3
        smlabt r4, lr, r7, r4
        smlad r5, lr, r7, r5
        ldr.w r1, [r0, #16]
        ldr.w r12, [r0, #304]
        ldr.w lr, [r0, #592]
        smlad r2, r1, r8, r2
        smlatb r3, r1, r8, r3
        smlad r4, r12, r8, r4
        smlatb r5, r12, r8, r5
        smlabt r2, r12, r9, r2
        smlad r3, r12, r9, r3
        smlabt r4, lr, r9, r4
        smlad r5, lr, r9, r5
        ldr.w r1, [r0, #32]
        ldr.w r12, [r0, #320]
        ldr.w lr, [r0, #608]
        smlad r2, r1, r10, r2
        smlatb r3, r1, r10, r3
        smlad r4, r12, r10, r4
        smlatb r5, r12, r10, r5
        smlabt r2, r12, r11, r2
        smlad r3, r12, r11, r3
        smlabt r4, lr, r11, r4
        smlad r5, lr, r11, r5
        ldr r1, [sp, #4]
        ldr.w r12, [sp, #8]
        ldr.w lr, [sp, #12]
        smmlar r2, r2, r1, r12
        smmlar r3, r3, r1, r12
        smmlar r4, r4, r1, r12
        smmlar r5, r5, r1, r12
        ssat r2, #8, r2
        ssat r3, #8, r3
        ssat r4, #8, r4
        ssat r5, #8, r5
        strb.w r2, [lr]
        ldr r1, [sp, #196]
        ldr r2, [sp, #24]
        ldr.w r12, [sp, #20]
        strb.w r3, [lr, r1]
        add r3, lr, r1, lsl #1
        add lr, lr, r12
        strb r4, [r3]
        strb r5, [r3, r1]
        str.w lr, [sp, #12]
        adds r0, #16
        cmp r0, r2
        bne 3b
        ldr r0, [sp, #36]
        ldr r2, [sp, #40]
        ldr r4, [sp, #44]
        add.w r0, r0, #576
        add r2, r2, r1, lsl #2
        mov r1, r4
        str r0, [sp, #36]
        str r2, [sp, #40]
        b 2b
    6:
        adds r1, r1, #4
        beq 7f
        "
    };
}

// A step of a depthwise convolution: four channels, each two by two outputs, after
// `$fours`. Where there is no second row or column, its codes are written first, to
// the place of those in the first.
macro_rules! kernel_3x3 {
    ($name:ident, $fours:expr, $columns_shift:literal $column_bytes:literal $band_bytes:literal, $outputs:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            strip: *const i8,
            consts: *const u8,
            out: *mut i8,
            column: usize,
            row: usize,
            columns: usize,
            rows: usize,
            zero_point: i32,
        ) {
            naked_asm!(
                ".cpu cortex-m33",
                concat!(
                    open!($columns_shift),
                    $fours,
                    r"
            8:
                ldr r3, [sp, #60]
                ldr r4, [sp, #196]
                str r1, [sp, #44]
                str r2, [sp, #12]
                cmp r1, #1
                it eq
                moveq r4, #0
                str r4, [sp, #16]
                add r3, r3, r0
                str r3, [sp, #24]
                cmp r3, r0
                beq 4f
            3:
                ",
                    $outputs,
                    r"
                ldr r1, [sp, #4]
                ldr.w r12, [sp, #8]
                smmlar r5, r5, r1, r12
                smmlar r3, r3, r1, r12
                smmlar r4, r4, r1, r12
                smmlar r2, r2, r1, r12
                ldr r1, [sp, #16]
                ldr.w r12, [sp, #20]
                add r1, lr, r1
                ssat r5, #8, r5
                ssat r3, #8, r3
                ssat r4, #8, r4
                ssat r2, #8, r2
                strb.w r5, [r1, r12]
                strb.w r3, [r1]
                ldr r1, [sp, #24]
                strb.w r4, [lr, r12]
                strb.w r2, [lr]
                add lr, lr, r12, lsl #1
                str.w lr, [sp, #12]
                adds r0, #",
                    $column_bytes,
                    r"
                cmp r0, r1
                bne 3b
            4:
                ldr r1, [sp, #200]
                ldr r3, [sp, #20]
                lsls r1, r1, #31
                bne 9f
            5:
                ldr r0, [sp, #36]
                ldr r2, [sp, #40]
                ldr r3, [sp, #196]
                ldr r1, [sp, #44]
                add.w r0, r0, #",
                    $band_bytes,
                    r"
                add r2, r2, r3, lsl #1
                str r0, [sp, #36]
                str r2, [sp, #40]
                subs r1, r1, #2
                bgt 8b
            7:
                ldr r0, [sp, #52]
                add r1, sp, #160
                cmp r0, r1
                bne 1b
                add sp, sp, #160
                pop {{r4-r11, pc}}
            9:
                movs r1, #0
                cbz r3, 10f
                add.w r3, r0, #",
                    $column_bytes,
                    r"
                str r1, [sp, #20]
                str r3, [sp, #24]
                b 3b
            10:
                ldr r1, [sp, #56]
                str r1, [sp, #20]
                b 5b
                "
                )
            )
        }
    };
}

kernel_3x3!(
    stride_1,
    fours!(),
    "5" "32" "288",
    r"
        ldr r5, [sp]
        ldr.w r1, [r0, #0]
        ldr.w r12, [r0, #288]
        ldr.w lr, [r0, #16]
        smlad r2, r1, r6, r5
        smlatb r3, r1, r6, r5
        smlabt r2, r12, r7, r2
        smlad r3, r12, r7, r3
        smlad r2, lr, r8, r2
        smlatb r3, lr, r8, r3
        smlad r4, lr, r6, r5
        smlatb r5, lr, r6, r5
        ldr.w r1, [r0, #304]
        ldr.w r12, [r0, #32]
        ldr.w lr, [r0, #320]
        smlabt r2, r1, r9, r2
        smlad r3, r1, r9, r3
        smlabt r4, r1, r7, r4
        smlad r5, r1, r7, r5
        smlad r2, r12, r10, r2
        smlatb r3, r12, r10, r3
        smlad r4, r12, r8, r4
        smlatb r5, r12, r8, r5
        smlabt r2, lr, r11, r2
        smlad r3, lr, r11, r3
        smlabt r4, lr, r9, r4
        smlad r5, lr, r9, r5
        ldr.w r1, [r0, #48]
        ldr.w r12, [r0, #336]
        ldr.w lr, [sp, #12]
        smlad r4, r1, r10, r4
        smlatb r5, r1, r10, r5
        smlabt r4, r12, r11, r4
        smlad r5, r12, r11, r5
    "
);
kernel_3x3!(
    stride_2,
    "",
    "6" "64" "576",
    r"
        ldr r5, [sp]
        ldr.w r1, [r0, #0]
        ldr.w r12, [r0, #288]
        ldr.w lr, [r0, #576]
        smlad r2, r1, r6, r5
        smlabt r2, r12, r7, r2
        smlad r3, r12, r6, r5
        smlabt r3, lr, r7, r3
        ldr.w r1, [r0, #16]
        ldr.w r12, [r0, #304]
        ldr.w lr, [r0, #592]
        smlad r2, r1, r8, r2
        smlabt r2, r12, r9, r2
        smlad r3, r12, r8, r3
        smlabt r3, lr, r9, r3
        ldr.w r1, [r0, #32]
        ldr.w r12, [r0, #320]
        ldr.w lr, [r0, #608]
        smlad r2, r1, r10, r2
        smlad r4, r1, r6, r5
        smlabt r2, r12, r11, r2
        smlad r3, r12, r10, r3
        smlabt r4, r12, r7, r4
        smlabt r3, lr, r11, r3
        smlad r5, r12, r6, r5
        smlabt r5, lr, r7, r5
        ldr.w r1, [r0, #48]
        ldr.w r12, [r0, #336]
        ldr.w lr, [r0, #624]
        smlad r4, r1, r8, r4
        smlabt r4, r12, r9, r4
        smlad r5, r12, r8, r5
        smlabt r5, lr, r9, r5
        ldr.w r1, [r0, #64]
        ldr.w r12, [r0, #352]
        ldr.w lr, [r0, #640]
        smlad r4, r1, r10, r4
        smlabt r4, r12, r11, r4
        smlad r5, r12, r10, r5
        smlabt r5, lr, r11, r5
        ldr.w lr, [sp, #12]
    "
);
