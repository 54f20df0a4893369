//! Pairs of pixels, and depthwise windows over them, in Armv7E-M's DSP instructions.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant: assembly
//! reads and writes the runs that its caller resolved through the view, and its own stack.
//!
//! A call does all channels, four by four: it pairs up their rows in the strip, then
//! takes one channel after the other. With stride 1, whole fours of rows go by blocks
//! of four rows by two columns (eight accumulators; the weights come and go), an odd
//! column of them by blocks of four by one. What is left, and all of stride 2, goes
//! two rows by two columns.

use core::arch::naked_asm;

use super::dsp_keep;
use super::dsp_pairs::{RowPair, Work, keep, kept, pair_rows};
use super::portable::{Part, STRIP_COLUMNS};

// The function of this kind of kernel, over the two kernels of the file that asks.
macro_rules! function_3x3 {
    () => {
        /// See [`super::portable::depthwise_3x3`].
        #[inline(always)]
        pub fn depthwise_3x3(stride: usize, part: Part<'_, RowPair<'_>>) {
            let Part { pairs, strip, inside: (first, inside), consts, out, channels, .. } = part;
            let Part { out_row, rows, columns, zero_point, .. } = part;
            if rows == 0 || columns == 0 {
                return;
            }
            let last_pair = rows.div_ceil(2) * stride;
            let read = columns.next_multiple_of(2) * stride + 3 - stride;
            let strip = strip.pointer(0, 16 * (last_pair * STRIP_COLUMNS + read));
            let range = pairs.as_ptr_range();
            let mut work = Work {
                pairs: range.start.cast(),
                pairs_end: range.end.cast(),
                paired: strip.wrapping_add(16 * first),
                inside,
                channel: 0,
                strip,
                consts: consts.pointer(0, 16 * channels + 4 * channels.div_ceil(4)),
                out: out.pointer(0, (rows - 1) * out_row + columns * channels),
                channels,
                out_row,
                columns,
                rows,
                zero_point,
                skip: 0,
            };
            // SAFETY: of each pair's rows four codes a column, of the strip 16 bytes a pair and
            // column, of the output four bytes a pixel, and all constants are accessed: resolved
            // above and in `RowPair::new`.
            unsafe { if stride == 1 { stride_1(&mut work) } else { stride_2(&mut work) } }
        }
    };
}
#[allow(unused_imports, reason = "an order for another core has them from here")]
pub(super) use function_3x3;
function_3x3!();

// Products of outputs $a, below it $b, with words of the strip; P = (w0, w1) and
// Q = (w1, w2) are a column of the kernel, $e and $f what the outputs hold before.
// With stride 1 the rows of $b begin with the lower half of $x.
macro_rules! upper {
    ($a:literal $b:literal, $x:literal, $p:literal, $e:literal $f:literal) => {
        concat!(
            "smlad ", $a, ", ", $x, ", ", $p, ", ", $e, "\n", "smlatb ", $b, ", ", $x, ", ", $p, ", ", $f,
            "\n"
        )
    };
}
macro_rules! lower {
    ($a:literal $b:literal, $y:literal, $q:literal) => {
        concat!(
            "smlabt ", $a, ", ", $y, ", ", $q, ", ", $a, "\n", "smlad ", $b, ", ", $y, ", ", $q, ", ", $b,
            "\n"
        )
    };
}
macro_rules! both {
    ($a:literal $b:literal, $x:literal $y:literal, $p:literal $q:literal, $e:literal $f:literal) => {
        concat!(upper!($a $b, $x, $p, $e $f), lower!($a $b, $y, $q))
    };
}
// With stride 2 they begin with $y.
macro_rules! apart {
    ($a:literal $b:literal, $x:literal $y:literal $z:literal, $p:literal $q:literal, $e:literal $f:literal) => {
        concat!(
            "smlad ", $a, ", ", $x, ", ", $p, ", ", $e, "\n", "smlabt ", $a, ", ", $y, ", ", $q, ", ", $a,
            "\n", "smlad ", $b, ", ", $y, ", ", $p, ", ", $f, "\n", "smlabt ", $b, ", ", $z, ", ", $q, ", ",
            $b, "\n"
        )
    };
}
// Words of the strip, neighbours.
macro_rules! load {
    ($($to:literal $at:literal),*) => {
        concat!($("ldr ", $to, ", [r0, #", $at, "]\n"),*)
    };
}
macro_rules! requantize {
    ($m:literal $zero_point:literal, $($code:literal),*) => {
        concat!(
            $("smmlar ", $code, ", ", $code, ", ", $m, ", ", $zero_point, "\n",)*
            $("ssat ", $code, ", #8, ", $code, "\n",)*
        )
    };
}

// Kernels keep (see `keep`): 0 to 5 P and Q of the three columns of the channel's
// weights, 6 its bias, 7 its multiplier, 8 zero point, 9 bytes from row to row of the
// output, 10 from column to column, 11 output, 12 where in the strip the columns or
// rows of a loop end; 13 to 15 as their part says.
//
// Stack: #0 work; for the next channel #4 strip, #8 bias, #12 output, #16 weights; #20
// bytes of whole pairs of columns in the strip; of whole fours of rows #24 bytes in the
// strip, #28 in the output; #32 whether a column is left, #36 rows left, #40 the same
// on the way; from whole pairs of columns to the next four rows #44 bytes in the strip,
// #48 in the output; #52 bytes of whole pairs of columns in the output; then slots of
// what is kept; nine saved registers.

// To the first channel: r2 = its strip, r4 = its output, r6, r9 = P and Q of the first
// column of the kernel, r7, r10 of the second, r8, r11 of the third. Label 1 begins
// four channels, label 2 a channel.
macro_rules! open {
    ($columns_shift:literal, $fours:expr) => {
        concat!(
            r"
        push {{r4-r11, lr}}
        sub sp, sp, #120
        str r0, [sp]
        adds r0, #32
        ldm r0, {{r1, r2, r3, r4, r5}}
        ",
            keep!("r1", "10"),
            keep!("r2", "9"),
            keep!("r5", "8"),
            r"
        and r5, r3, #1
        lsrs r6, r3, #1
        muls r1, r6, r1
        lsls r1, r1, #1
        lsls r6, r6, #",
            $columns_shift,
            r"
        str r6, [sp, #20]
        str r5, [sp, #32]
        ",
            $fours,
            r"
    1:
        ldr r0, [sp]
        bl {pair}
        ldr r0, [sp]
        ldr r1, [r0, #16]
        ldr r2, [r0, #20]
        ldr r3, [r0, #24]
        ldr r4, [r0, #28]
        ldr r6, [r0, #52]
        add r4, r4, r1
        add r4, r4, r6
        rsb r7, r6, r6, lsl #3
        subs r5, r3, r7
        adds r5, #32
        add r2, r2, r6, lsl #2
        add r6, sp, #4
        stm r6, {{r2, r3, r4, r5}}
    2:
        add r1, sp, #4
        ldm r1, {{r2, r3, r4, r5}}
        adds r6, r2, #4
        add r7, r3, #8
        add r8, r4, #1
        add r9, r5, #9
        stm r1, {{r6, r7, r8, r9}}
        ldrsb r6, [r5]
        ldrsb r7, [r5, #1]
        ldrsb r8, [r5, #2]
        ldrsb r9, [r5, #3]
        ldrsb r10, [r5, #4]
        ldrsb r11, [r5, #5]
        ldrsb r12, [r5, #6]
        ldrsb lr, [r5, #7]
        ldrsb r5, [r5, #8]
        ldr r0, [r3, #4]
        ldr r1, [r3]
        ",
            keep!("r0", "7"),
            keep!("r1", "6"),
            r"
        pkhbt r6, r6, r9, lsl #16
        pkhbt r9, r9, r12, lsl #16
        pkhbt r7, r7, r10, lsl #16
        pkhbt r10, r10, lr, lsl #16
        pkhbt r8, r8, r11, lsl #16
        pkhbt r11, r11, r5, lsl #16
        "
        )
    };
}

// A block of two rows by two columns: to r0 behind it, r1 = where the loop ends.
macro_rules! two_by_two {
    ($column_bytes:literal, $outputs:expr) => {
        concat!(
            kept!("r5", "6"),
            $outputs,
            kept!("r1", "7"),
            kept!("r12", "8"),
            requantize!("r1" "r12", "r5", "r3", "r4", "r2"),
            kept!("r1", "13"),
            kept!("r12", "10"),
            r"
        add r1, lr, r1
        strb.w r5, [r1, r12]
        strb.w r3, [r1]
        strb.w r4, [lr, r12]
        strb.w r2, [lr]
        add lr, lr, r12, lsl #1
        ",
            keep!("lr", "11"),
            kept!("r1", "12"),
            r"
        adds r0, #",
            $column_bytes,
            "\n"
        )
    };
}

// Two rows at a time, from r0 = their strip, r2 = their output, r1 = rows left on. Kept:
// 13 bytes from the first to the second row of the output, 14 output, 15 strip. Where
// there is no second row or column, its codes are written first, to the place of those
// in the first. Label 7 begins what follows the channel's last row.
macro_rules! twos {
    ($column_bytes:literal $band_bytes:literal, $block:expr) => {
        concat!(
            r"
    20:
        str r1, [sp, #40]
        ",
            keep!("r0", "15"),
            keep!("r2", "14"),
            keep!("r2", "11"),
            kept!("r3", "9"),
            r"
        cmp r1, #1
        it eq
        moveq r3, #0
        ",
            keep!("r3", "13"),
            r"
        ldr r3, [sp, #20]
        add r3, r3, r0
        ",
            keep!("r3", "12"),
            r"
        cmp r3, r0
        beq 22f
    21:
        ",
            $block,
            r"
        cmp r0, r1
        bne 21b
    22:
        ldr r1, [sp, #32]
        ",
            kept!("r3", "10"),
            r"
        cbz r1, 24f
        cbz r3, 23f
        movs r1, #0
        add r3, r0, #",
            $column_bytes,
            "\n",
            keep!("r1", "10"),
            keep!("r3", "12"),
            r"
        b 21b
    23:
        ldr r1, [sp]
        ldr r1, [r1, #32]
        ",
            keep!("r1", "10"),
            r"
    24:
        ",
            kept!("r0", "15"),
            kept!("r2", "14"),
            kept!("r3", "9"),
            r"
        ldr r1, [sp, #40]
        add.w r0, r0, #",
            $band_bytes,
            r"
        add r2, r2, r3, lsl #1
        subs r1, r1, #2
        bgt 20b
    7:
        ldr r5, [sp, #16]
        lsls r5, r5, #30
        bne.w 2b
        ldr r0, [sp]
        ldr r1, [r0, #16]
        ldr r2, [r0, #32]
        ldr r3, [r0, #24]
        adds r1, #4
        cmp r1, r2
        bhs 8f
        subs r2, #4
        adds r3, #68
        subs r4, r1, r2
        itt hi
        strhi r4, [r0, #52]
        movhi r1, r2
        str r1, [r0, #16]
        str r3, [r0, #24]
        b.w 1b
    8:
        add sp, sp, #120
        pop {{r4-r11, pc}}
        "
        )
    };
}

// What whole fours of rows need: r1 = bytes of whole pairs of columns in the output,
// r2 = of a row, r4 = rows, r6 = of whole pairs of columns in the strip.
macro_rules! count_fours {
    () => {
        r"
        and r5, r4, #3
        lsrs r4, r4, #2
        mov r7, #576
        muls r4, r7, r4
        subs r7, r7, r6
        rsb r8, r1, r2, lsl #2
        str r5, [sp, #36]
        str r7, [sp, #44]
        str r8, [sp, #48]
        str r1, [sp, #52]
        ldr r5, [sp]
        ldr r5, [r5, #44]
        bic r5, r5, #3
        muls r5, r2, r5
        str r4, [sp, #24]
        str r5, [sp, #28]
        "
    };
}

// A block of four rows by two columns: to r0 behind it, r6 = where the row ends.
macro_rules! four_by_two {
    () => {
        concat!(
            kept!("r4", "0"),
            kept!("r5", "1"),
            kept!("lr", "6"),
            load!("r10" "0", "r11" "288", "r12" "576"),
            both!("r6" "r7", "r10" "r11", "r4" "r5", "lr" "lr"),
            both!("r8" "r9", "r11" "r12", "r4" "r5", "lr" "lr"),
            both!("r10" "r11", "r1" "r2", "r4" "r5", "lr" "lr"),
            both!("r12" "lr", "r2" "r3", "r4" "r5", "lr" "lr"),
            kept!("r4", "2"),
            kept!("r5", "3"),
            both!("r6" "r7", "r1" "r2", "r4" "r5", "r6" "r7"),
            both!("r8" "r9", "r2" "r3", "r4" "r5", "r8" "r9"),
            load!("r1" "32", "r2" "320", "r3" "608"),
            both!("r10" "r11", "r1" "r2", "r4" "r5", "r10" "r11"),
            both!("r12" "lr", "r2" "r3", "r4" "r5", "r12" "lr"),
            kept!("r4", "4"),
            kept!("r5", "5"),
            both!("r6" "r7", "r1" "r2", "r4" "r5", "r6" "r7"),
            both!("r8" "r9", "r2" "r3", "r4" "r5", "r8" "r9"),
            load!("r1" "48", "r2" "336", "r3" "624"),
            both!("r10" "r11", "r1" "r2", "r4" "r5", "r10" "r11"),
            both!("r12" "lr", "r2" "r3", "r4" "r5", "r12" "lr"),
            kept!("r4", "7"),
            kept!("r5", "8"),
            requantize!("r4" "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr"),
            kept!("r4", "11"),
            kept!("r5", "9"),
            r"
        strb r6, [r4]
        ",
            kept!("r6", "10"),
            r"
        strb r7, [r4, r5]
        adds r7, r4, r6
        strb r10, [r7]
        strb r11, [r7, r5]
        add r10, r7, r6
        ",
            keep!("r10", "11"),
            kept!("r6", "12"),
            r"
        add r4, r4, r5, lsl #1
        add r7, r7, r5, lsl #1
        strb r8, [r4]
        strb r9, [r4, r5]
        strb r12, [r7]
        strb lr, [r7, r5]
        adds r0, #32
        "
        )
    };
}

// The same with one column: r12 = where the column ends.
macro_rules! four_by_one {
    () => {
        concat!(
            kept!("r5", "6"),
            load!("r1" "0", "r12" "288", "lr" "576"),
            both!("r2" "r3", "r1" "r12", "r6" "r9", "r5" "r5"),
            both!("r4" "r5", "r12" "lr", "r6" "r9", "r5" "r5"),
            load!("r1" "16", "r12" "304", "lr" "592"),
            both!("r2" "r3", "r1" "r12", "r7" "r10", "r2" "r3"),
            both!("r4" "r5", "r12" "lr", "r7" "r10", "r4" "r5"),
            load!("r1" "32", "r12" "320", "lr" "608"),
            both!("r2" "r3", "r1" "r12", "r8" "r11", "r2" "r3"),
            both!("r4" "r5", "r12" "lr", "r8" "r11", "r4" "r5"),
            kept!("r1", "7"),
            kept!("r12", "8"),
            requantize!("r1" "r12", "r2", "r3", "r4", "r5"),
            kept!("lr", "11"),
            kept!("r1", "9"),
            kept!("r12", "12"),
            r"
        strb r2, [lr]
        strb r3, [lr, r1]
        add lr, lr, r1, lsl #1
        strb r4, [lr]
        strb r5, [lr, r1]
        add lr, lr, r1, lsl #1
        ",
            keep!("lr", "11"),
            r"
        add r0, r0, #576
        "
        )
    };
}

// Whole fours of rows, two columns at a time; the last column that a block reads stays
// in registers for the next. Kept: 14 where in the strip the whole fours end. Then an
// odd column, and the rows that are left, to label 20.
macro_rules! fours {
    ($block:ident $odd:ident) => {
        concat!(
            r"
        ldr r3, [sp, #24]
        ldr r1, [sp, #20]
        add r3, r3, r2
        add r1, r1, r2
        cmp r3, r2
        beq.w 6f
        ",
            keep!("r6", "0"),
            keep!("r9", "1"),
            keep!("r7", "2"),
            keep!("r10", "3"),
            keep!("r8", "4"),
            keep!("r11", "5"),
            keep!("r3", "14"),
            keep!("r4", "11"),
            keep!("r1", "12"),
            r"
        mov r0, r2
        cmp r1, r2
        beq.w 5f
    3:
        ",
            load!("r1" "16", "r2" "304", "r3" "592"),
            r"
    4:
        ",
            $block!(),
            r"
        cmp r0, r6
        bne.w 4b
        ldr r1, [sp, #44]
        ldr r2, [sp, #48]
        add r0, r0, r1
        add r10, r10, r2
        add r6, r6, #576
        ",
            keep!("r10", "11"),
            keep!("r6", "12"),
            kept!("r3", "14"),
            r"
        cmp r0, r3
        bne.w 3b
    5:
        ldr r0, [sp, #4]
        ldr r1, [sp, #20]
        ldr r2, [sp, #12]
        ldr r3, [sp, #52]
        ldr r4, [sp, #32]
        ",
            kept!("r6", "0"),
            kept!("r9", "1"),
            kept!("r7", "2"),
            kept!("r10", "3"),
            kept!("r8", "4"),
            kept!("r11", "5"),
            kept!("r5", "14"),
            r"
        cmp r4, #0
        beq.w 6f
        subs r0, #4
        adds r0, r0, r1
        adds r5, r5, r1
        subs r2, #1
        adds r2, r2, r3
        ",
            keep!("r5", "12"),
            keep!("r2", "11"),
            r"
    10:
        ",
            $odd!(),
            r"
        cmp r0, r12
        bne 10b
    6:
        ldr r1, [sp, #36]
        ldr r0, [sp, #4]
        ldr r2, [sp, #12]
        ldr r3, [sp, #24]
        ldr r4, [sp, #28]
        cmp r1, #0
        beq.w 7f
        subs r0, #4
        adds r0, r0, r3
        subs r2, #1
        adds r2, r2, r4
        "
        )
    };
}

#[allow(unused_imports, reason = "an order for another core has them from here")]
pub(super) use {count_fours, fours, load, open, twos};

#[unsafe(naked)]
unsafe extern "C" fn stride_1(work: *mut Work) {
    naked_asm!(
        ".cpu cortex-m33",
        concat!(
            open!("5", count_fours!()),
            fours!(four_by_two four_by_one),
            twos!("32" "288", two_by_two!("32", concat!(
                load!("r1" "0", "r12" "288", "lr" "16"),
                both!("r2" "r3", "r1" "r12", "r6" "r9", "r5" "r5"),
                upper!("r2" "r3", "lr", "r7", "r2" "r3"),
                upper!("r4" "r5", "lr", "r6", "r5" "r5"),
                load!("r1" "304", "r12" "32", "lr" "320"),
                lower!("r2" "r3", "r1", "r10"),
                lower!("r4" "r5", "r1", "r9"),
                both!("r2" "r3", "r12" "lr", "r8" "r11", "r2" "r3"),
                both!("r4" "r5", "r12" "lr", "r7" "r10", "r4" "r5"),
                load!("r1" "48", "r12" "336"),
                kept!("lr", "11"),
                both!("r4" "r5", "r1" "r12", "r8" "r11", "r4" "r5"),
            )))
        ),
        pair = sym pair_rows
    )
}

#[unsafe(naked)]
unsafe extern "C" fn stride_2(work: *mut Work) {
    naked_asm!(
        ".cpu cortex-m33",
        concat!(
            open!("6", "str r4, [sp, #36]\n"),
            r"
        ldr r1, [sp, #36]
        mov r0, r2
        mov r2, r4
        ",
            twos!("64" "576", two_by_two!("64", concat!(
                load!("r1" "0", "r12" "288", "lr" "576"),
                apart!("r2" "r3", "r1" "r12" "lr", "r6" "r9", "r5" "r5"),
                load!("r1" "16", "r12" "304", "lr" "592"),
                apart!("r2" "r3", "r1" "r12" "lr", "r7" "r10", "r2" "r3"),
                load!("r1" "32", "r12" "320", "lr" "608"),
                apart!("r2" "r3", "r1" "r12" "lr", "r8" "r11", "r2" "r3"),
                apart!("r4" "r5", "r1" "r12" "lr", "r6" "r9", "r5" "r5"),
                load!("r1" "48", "r12" "336", "lr" "624"),
                apart!("r4" "r5", "r1" "r12" "lr", "r7" "r10", "r4" "r5"),
                load!("r1" "64", "r12" "352", "lr" "640"),
                apart!("r4" "r5", "r1" "r12" "lr", "r8" "r11", "r4" "r5"),
                kept!("lr", "11"),
            )))
        ),
        pair = sym pair_rows
    )
}
