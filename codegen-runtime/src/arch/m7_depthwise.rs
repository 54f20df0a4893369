//! Depthwise windows over pairs of pixels in the order of a core that issues two
//! instructions at once, Cortex-M7.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant: the kernels
//! of `dsp_depthwise.rs` (their frame, stack, places and sums) with the instructions of a
//! block in another order. Where codes may go to one place, they go there in that file's
//! order.

use core::arch::naked_asm;

use super::dsp_depthwise::{count_fours, fours, function_3x3, load, open, twos};
use super::dsp_keep;
use super::dsp_pairs::{RowPair, Work, keep, kept, pair_loop};
use super::portable::{Part, STRIP_COLUMNS};

function_3x3!();

// Four channels of two columns, to byte $at of the strip on.
macro_rules! pair_two {
    ($at:literal) => {
        concat!(
            r"
        ldr r7, [r0]
        ldr r9, [r1]
        ldr r8, [r0, r4]
        add r0, r0, r4, lsl #1
        pkhbt r11, r7, r9, lsl #16
        ldr r10, [r1, r5]
        add r1, r1, r5, lsl #1
        pkhtb r9, r9, r7, asr #16
        sxtb16 r12, r11
        str r12, [r2, #",
            $at,
            "+0]
        sxtb16 r11, r11, ror #8
        str r11, [r2, #",
            $at,
            "+4]
        pkhbt r11, r8, r10, lsl #16
        pkhtb r10, r10, r8, asr #16
        sxtb16 lr, r9
        str lr, [r2, #",
            $at,
            "+8]
        sxtb16 r12, r11
        str r12, [r2, #",
            $at,
            "+16]
        sxtb16 lr, r10
        str lr, [r2, #",
            $at,
            "+24]
        sxtb16 r9, r9, ror #8
        str r9, [r2, #",
            $at,
            "+12]
        sxtb16 r11, r11, ror #8
        str r11, [r2, #",
            $at,
            "+20]
        sxtb16 r10, r10, ror #8
        str r10, [r2, #",
            $at,
            "+28]
        ",
        )
    };
}

// Pairs up four channels: `pair_rows` of `dsp_pairs.rs`.
pair_loop!(pair_two);

// A block of four rows by two columns: to r0 behind it, r6 = where the row ends.
macro_rules! four_by_two {
    () => {
        concat!(
            "ldr r10, [r0, #0]\n",
            kept!("r4", "0"),
            kept!("lr", "6"),
            r"
        ldr r11, [r0, #288]
        smlatb r7, r10, r4, lr
        ldr r12, [r0, #576]
        smlad r8, r11, r4, lr
        ",
            kept!("r5", "1"),
            r"
        smlatb r9, r11, r4, lr
        smlad r6, r10, r4, lr
        smlad r7, r11, r5, r7
        smlabt r6, r11, r5, r6
        smlad r9, r12, r5, r9
        smlatb r11, r1, r4, lr
        smlabt r8, r12, r5, r8
        smlad r12, r2, r4, lr
        smlad r10, r1, r4, lr
        smlatb lr, r2, r4, lr
        ",
            kept!("r4", "2"),
            r"
        smlabt r10, r2, r5, r10
        smlad r11, r2, r5, r11
        smlad lr, r3, r5, lr
        smlabt r12, r3, r5, r12
        ",
            kept!("r5", "3"),
            r"
        smlatb r7, r1, r4, r7
        smlad r6, r1, r4, r6
        ldr r1, [r0, #32]
        smlad r7, r2, r5, r7
        smlabt r6, r2, r5, r6
        smlatb r9, r2, r4, r9
        smlad r8, r2, r4, r8
        ldr r2, [r0, #320]
        smlabt r8, r3, r5, r8
        smlad r9, r3, r5, r9
        ldr r3, [r0, #608]
        smlatb r11, r1, r4, r11
        smlad r10, r1, r4, r10
        smlatb lr, r2, r4, lr
        smlad r12, r2, r4, r12
        ",
            kept!("r4", "4"),
            r"
        smlabt r12, r3, r5, r12
        smlabt r10, r2, r5, r10
        smlad r11, r2, r5, r11
        smlad lr, r3, r5, lr
        ",
            kept!("r5", "5"),
            r"
        smlad r6, r1, r4, r6
        smlatb r7, r1, r4, r7
        ldr r1, [r0, #48]
        smlabt r6, r2, r5, r6
        smlatb r9, r2, r4, r9
        smlad r9, r3, r5, r9
        smlad r7, r2, r5, r7
        smlad r8, r2, r4, r8
        ldr r2, [r0, #336]
        smlabt r8, r3, r5, r8
        ldr r3, [r0, #624]
        smlad r10, r1, r4, r10
        smlatb r11, r1, r4, r11
        smlad r12, r2, r4, r12
        smlatb lr, r2, r4, lr
        ",
            kept!("r4", "7"),
            r"
        smlad lr, r3, r5, lr
        smlabt r10, r2, r5, r10
        smlabt r12, r3, r5, r12
        smlad r11, r2, r5, r11
        ",
            kept!("r5", "8"),
            r"
        smmlar r6, r6, r4, r5
        smmlar lr, lr, r4, r5
        smmlar r7, r7, r4, r5
        ssat r6, #8, r6
        smmlar r11, r11, r4, r5
        ssat lr, #8, lr
        smmlar r9, r9, r4, r5
        ssat r7, #8, r7
        smmlar r10, r10, r4, r5
        ssat r11, #8, r11
        smmlar r12, r12, r4, r5
        ssat r9, #8, r9
        smmlar r8, r8, r4, r5
        ssat r10, #8, r10
        ",
            kept!("r4", "11"),
            "ssat r12, #8, r12\n",
            kept!("r5", "9"),
            r"
        ssat r8, #8, r8
        strb r6, [r4]
        ",
            kept!("r6", "10"),
            r"
        strb r7, [r4, r5]
        adds r7, r4, r6
        add r4, r4, r5, lsl #1
        adds r0, #32
        strb r10, [r7]
        add r10, r7, r6
        ",
            kept!("r6", "12"),
            r"
        strb r11, [r7, r5]
        add r7, r7, r5, lsl #1
        strb r8, [r4]
        ",
            keep!("r10", "11"),
            r"
        strb r9, [r4, r5]
        strb lr, [r7, r5]
        strb r12, [r7]
        ",
        )
    };
}

// The same with one column: r12 = where the column ends.
macro_rules! four_by_one {
    () => {
        concat!(
            "ldr r1, [r0, #0]\n",
            kept!("r5", "6"),
            r"
        ldr r12, [r0, #288]
        smlad r2, r1, r6, r5
        ldr lr, [r0, #576]
        smlatb r3, r1, r6, r5
        ldr r1, [r0, #16]
        smlad r4, r12, r6, r5
        smlabt r2, r12, r9, r2
        smlad r3, r12, r9, r3
        smlatb r5, r12, r6, r5
        ldr r12, [r0, #304]
        smlabt r4, lr, r9, r4
        smlad r5, lr, r9, r5
        ldr lr, [r0, #592]
        smlad r2, r1, r7, r2
        smlatb r3, r1, r7, r3
        ldr r1, [r0, #32]
        smlabt r2, r12, r10, r2
        smlad r3, r12, r10, r3
        smlad r4, r12, r7, r4
        smlatb r5, r12, r7, r5
        ldr r12, [r0, #320]
        smlabt r4, lr, r10, r4
        smlad r5, lr, r10, r5
        ldr lr, [r0, #608]
        smlad r2, r1, r8, r2
        add r0, r0, #576
        smlatb r3, r1, r8, r3
        ",
            kept!("r1", "7"),
            r"
        smlad r4, r12, r8, r4
        smlatb r5, r12, r8, r5
        smlabt r2, r12, r11, r2
        smlad r3, r12, r11, r3
        ",
            kept!("r12", "8"),
            r"
        smlabt r4, lr, r11, r4
        smlad r5, lr, r11, r5
        ",
            kept!("lr", "11"),
            r"
        smmlar r2, r2, r1, r12
        smmlar r3, r3, r1, r12
        smmlar r4, r4, r1, r12
        smmlar r5, r5, r1, r12
        ",
            kept!("r1", "9"),
            "ssat r2, #8, r2\n",
            kept!("r12", "12"),
            r"
        ssat r3, #8, r3
        strb r2, [lr]
        strb r3, [lr, r1]
        add lr, lr, r1, lsl #1
        ssat r4, #8, r4
        ssat r5, #8, r5
        strb r4, [lr]
        strb r5, [lr, r1]
        add lr, lr, r1, lsl #1
        ",
            keep!("lr", "11"),
        )
    };
}

// A block of two rows by two columns: to r0 behind it, r1 = where the loop ends.
macro_rules! two_by_two {
    () => {
        concat!(
            "ldr r1, [r0, #0]\n",
            kept!("r5", "6"),
            r"
        ldr lr, [r0, #16]
        ldr r12, [r0, #288]
        smlatb r3, r1, r6, r5
        smlad r2, r1, r6, r5
        ldr r1, [r0, #304]
        smlad r4, lr, r6, r5
        smlabt r2, r12, r9, r2
        smlad r3, r12, r9, r3
        ldr r12, [r0, #32]
        smlatb r5, lr, r6, r5
        smlatb r3, lr, r7, r3
        smlabt r4, r1, r9, r4
        smlad r2, lr, r7, r2
        ldr lr, [r0, #320]
        smlad r5, r1, r9, r5
        smlad r4, r12, r7, r4
        smlabt r2, r1, r10, r2
        smlad r3, r1, r10, r3
        ldr r1, [r0, #48]
        smlatb r5, r12, r7, r5
        smlad r2, r12, r8, r2
        smlad r5, lr, r10, r5
        smlabt r4, lr, r10, r4
        smlatb r3, r12, r8, r3
        ldr r12, [r0, #336]
        smlad r4, r1, r8, r4
        adds r0, #32
        smlatb r5, r1, r8, r5
        ",
            kept!("r1", "7"),
            r"
        smlad r5, r12, r11, r5
        smlabt r4, r12, r11, r4
        ",
            kept!("r12", "8"),
            r"
        smlad r3, lr, r11, r3
        smlabt r2, lr, r11, r2
        ",
            kept!("lr", "11"),
            r"
        smmlar r3, r3, r1, r12
        smmlar r4, r4, r1, r12
        smmlar r2, r2, r1, r12
        smmlar r5, r5, r1, r12
        ",
            kept!("r1", "13"),
            "ssat r3, #8, r3\n",
            kept!("r12", "10"),
            r"
        ssat r4, #8, r4
        add r1, lr, r1
        ssat r5, #8, r5
        ssat r2, #8, r2
        strb r5, [r1, r12]
        strb r3, [r1]
        ",
            kept!("r1", "12"),
            r"
        strb r4, [lr, r12]
        strb r2, [lr]
        add lr, lr, r12, lsl #1
        ",
            keep!("lr", "11"),
        )
    };
}

// The same with stride 2.
macro_rules! two_by_two_apart {
    () => {
        concat!(
            "ldr r1, [r0, #0]\n",
            kept!("r5", "6"),
            r"
        ldr r12, [r0, #288]
        smlad r2, r1, r6, r5
        ldr lr, [r0, #576]
        ldr r1, [r0, #16]
        smlabt r2, r12, r9, r2
        smlad r3, r12, r6, r5
        ldr r12, [r0, #304]
        smlad r2, r1, r7, r2
        ldr r1, [r0, #32]
        smlabt r3, lr, r9, r3
        ldr lr, [r0, #592]
        smlabt r2, r12, r10, r2
        smlad r3, r12, r7, r3
        ldr r12, [r0, #320]
        smlabt r3, lr, r10, r3
        ldr lr, [r0, #608]
        smlad r4, r1, r6, r5
        smlad r2, r1, r8, r2
        ldr r1, [r0, #48]
        smlad r5, r12, r6, r5
        smlabt r4, r12, r9, r4
        smlad r3, r12, r8, r3
        smlabt r2, r12, r11, r2
        ldr r12, [r0, #336]
        smlabt r5, lr, r9, r5
        smlad r4, r1, r7, r4
        ldr r1, [r0, #64]
        smlabt r3, lr, r11, r3
        ldr lr, [r0, #624]
        smlad r5, r12, r7, r5
        smlabt r4, r12, r10, r4
        ldr r12, [r0, #352]
        smlabt r5, lr, r10, r5
        ldr lr, [r0, #640]
        smlad r5, r12, r8, r5
        adds r0, #64
        smlad r4, r1, r8, r4
        ",
            kept!("r1", "7"),
            "smlabt r5, lr, r11, r5\n",
            kept!("lr", "11"),
            "smlabt r4, r12, r11, r4\n",
            kept!("r12", "8"),
            r"
        smmlar r5, r5, r1, r12
        smmlar r3, r3, r1, r12
        smmlar r4, r4, r1, r12
        smmlar r2, r2, r1, r12
        ",
            kept!("r1", "13"),
            "ssat r5, #8, r5\n",
            kept!("r12", "10"),
            r"
        ssat r3, #8, r3
        add r1, lr, r1
        ssat r4, #8, r4
        ssat r2, #8, r2
        strb r5, [r1, r12]
        strb r3, [r1]
        ",
            kept!("r1", "12"),
            r"
        strb r4, [lr, r12]
        strb r2, [lr]
        add lr, lr, r12, lsl #1
        ",
            keep!("lr", "11"),
        )
    };
}

#[unsafe(naked)]
unsafe extern "C" fn stride_1(work: *mut Work) {
    naked_asm!(
        ".cpu cortex-m33",
        concat!(open!("5", count_fours!()), fours!(four_by_two four_by_one), twos!("32" "288", two_by_two!())),
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
            twos!("64" "576", two_by_two_apart!())
        ),
        pair = sym pair_rows
    )
}
