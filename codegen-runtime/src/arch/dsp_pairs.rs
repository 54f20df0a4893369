//! Pairs of rows, widened to words of a depthwise strip in the DSP instructions of
//! Armv7E-M; and what the kernels over the strip read.
//!
//! In: rows of codes. Out: a strip, as `portable.rs` says. Invariant: assembly reads
//! and writes the runs that its caller resolved through the view, and its own stack.

use core::arch::naked_asm;
use core::marker::PhantomData;

use super::super::view::Bytes;
use super::dsp_keep;
use super::portable::STRIP_COLUMNS;

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

/// What the kernels read, at the offsets that they know.
#[repr(C)]
pub(super) struct Work {
    /// #0, #4: from the first pair to the last.
    pub(super) pairs: *const (),
    pub(super) pairs_end: *const (),
    /// #8: where in the strip the first pair's columns go.
    pub(super) paired: *mut i8,
    /// #12: how many they are.
    pub(super) inside: usize,
    /// #16: the first of the four channels, which the kernels move on.
    pub(super) channel: usize,
    /// #20.
    pub(super) strip: *mut i8,
    /// #24: those of the four channels, which the kernels move on.
    pub(super) consts: *const u8,
    /// #28.
    pub(super) out: *mut i8,
    /// #32: bytes from column to column of the output, and channels.
    pub(super) channels: usize,
    /// #36: bytes from row to row of the output.
    pub(super) out_row: usize,
    /// #40, #44: outputs.
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// #48.
    pub(super) zero_point: i32,
    /// #52: how many of the four channels are done already, which the kernels know.
    pub(super) skip: usize,
}

// Places begin at byte 56 of the stack.
macro_rules! keep {
    ($register:literal, $number:literal) => {
        dsp_keep::keep_at!($register, $number, "56")
    };
}
macro_rules! kept {
    ($register:literal, $number:literal) => {
        dsp_keep::kept_at!($register, $number, "56")
    };
}
pub(super) use {keep, kept};

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

// Pairs up four channels. In: r0 = work. No register stays as it was; the numbers that
// are kept are free where the kernels begin with four channels. Fours of columns, of
// which the first two may be left out, then an odd one.
macro_rules! pair_loop {
    ($two:ident) => {
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn pair_rows(work: *const Work) {
            naked_asm!(
                ".cpu cortex-m33",
                concat!(
                    r"
                ldm r0, {{r1, r2, r3, r4, r5}}
                mov r6, r1
                ",
                    keep!("lr", "0"),
                    keep!("r2", "1"),
                    keep!("r4", "2"),
                    keep!("r5", "3"),
                    r"
                mov r2, r3
            1:
                ldm r6!, {{r0, r1, r4, r5}}
                ",
                    kept!("r12", "3"),
                    kept!("r3", "2"),
                    r"
                cmp r4, #0
                it ne
                addne r0, r0, r12
                cmp r5, #0
                it ne
                addne r1, r1, r12
                lsls r12, r3, #31
                bcs 5f
                subs r3, r3, #4
                blo 4f
            2:
                ",
                    $two!("0"),
                    r"
            3:
                ",
                    $two!("32"),
                    r"
                adds r2, #64
                subs r3, r3, #4
                bhs 2b
            4:
                ",
                    kept!("r3", "2"),
                    r"
                lsls r12, r3, #31
                beq 6f
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
                b 6f
            5:
                subs r2, #32
                subs r3, #2
                b 3b
            6:
                ",
                    kept!("r12", "1"),
                    r"
                add.w r2, r2, #288
                sub.w r2, r2, r3, lsl #4
                cmp r6, r12
                bne 1b
                ",
                    kept!("lr", "0"),
                    r"
                bx lr
                "
                )
            )
        }
    };
}
#[allow(unused_imports, reason = "an order for another core has them from here")]
pub(super) use pair_loop;

pair_loop!(pair_two);
