//! Depthwise windows of any size over lines of pairs of codes, in the DSP instructions
//! of Armv7E-M.
//!
//! In and out: as `portable_lines.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view, and its
//! own stack.
//!
//! A body is unrolled for one kernel and stride; layers with the same ones share it. It
//! pairs up four channels, then takes one after the other: its weights go to the stack as
//! words of two, then come blocks of four pairs, and what is left in blocks of two. With
//! stride 1 a pair is two outputs, whose windows begin at its first and at its second
//! pixel: each has its own words of the same weights. The words of a block move through
//! registers, so that each line of the kernel loads a pair once.

use core::arch::naked_asm;
use core::marker::PhantomData;

use super::super::view::Bytes;
use super::dsp_keep;
use super::dsp_lines_open::{keep, kept, open, pair};
use super::portable_lines::{LINE_PAIRS, Lines, PAIR_BYTES, line_pairs, window_pairs};

/// See [`super::portable_lines::Segment`].
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Segment<'a> {
    first: *const i8,
    second: *const i8,
    first_step: usize,
    second_step: usize,
    at: usize,
    count: usize,
    lifetime: PhantomData<&'a i8>,
}

impl<'a> Segment<'a> {
    /// See [`super::portable_lines::Segment::new`].
    #[inline(always)]
    pub fn new(pixels: [Bytes<'a>; 2], steps: [usize; 2], reach: usize, at: usize, count: usize) -> Self {
        let run = |pixels: Bytes<'_>, step: usize| pixels.pointer(0, if step == 0 { 4 } else { reach });
        let ([first, second], [first_step, second_step]) = (pixels, steps);
        let (first, second) = (run(first, first_step), run(second, second_step));
        Segment { first, second, first_step, second_step, at: at * PAIR_BYTES, count, lifetime: PhantomData }
    }
}

/// What the bodies read, at the offsets that they know.
#[repr(C)]
struct Work {
    /// #0, #4: from the first segment to the last.
    segments: *const (),
    segments_end: *const (),
    /// #8.
    strip: *mut i8,
    /// #12: the first of the four channels, which the bodies move on.
    channel: usize,
    /// #16: those of the four channels, which the bodies move on.
    consts: *const u8,
    /// #20.
    out: *mut i8,
    /// #24: the first of the last four channels.
    last_channel: usize,
    /// #28: bytes from row to row of the output.
    out_row: usize,
    /// #32: bytes of the strip from the lines of a row of outputs to those of the next.
    line_step: usize,
    /// #36: bytes from output to output along a line.
    pixel: usize,
    /// #40.
    rows: usize,
    /// #44: outputs along a line.
    columns: usize,
    /// #48.
    zero_point: i32,
}

/// See [`super::portable_lines::depthwise_lines`]; at most 64 pairs of a window.
#[inline(always)]
pub fn depthwise_lines<const KH: usize, const KW: usize, const STRIDE: usize>(part: Lines<'_, Segment<'_>>) {
    const { assert!(KH * window_pairs(KW, STRIDE) <= 64 && (STRIDE == 1 || STRIDE == 2)) };
    let Lines { segments, strip, consts, out, channels, pixel, out_row, .. } = part;
    let Lines { columns, rows, line_step, zero_point, .. } = part;
    if rows == 0 || columns == 0 {
        return;
    }
    let reach = ((rows - 1) * line_step + KH - 1) * LINE_PAIRS + line_pairs(columns, KW, STRIDE);
    let range = segments.as_ptr_range();
    let mut work = Work {
        segments: range.start.cast(),
        segments_end: range.end.cast(),
        strip: strip.pointer(0, PAIR_BYTES * reach),
        channel: 0,
        consts: consts.pointer(0, (32 + 4 * KH * KW) * channels.div_ceil(4)),
        out: out.pointer(0, (rows - 1) * out_row + (columns - 1) * pixel + channels),
        last_channel: channels - 4,
        out_row,
        line_step: line_step * LINE_PAIRS * PAIR_BYTES,
        pixel,
        rows,
        columns,
        zero_point,
    };
    // SAFETY: of each segment four codes a pixel, of the strip 16 bytes a pair, of the
    // output four bytes a pixel, and all constants are accessed: resolved above and in
    // `Segment::new`.
    unsafe { if STRIDE == 1 { stride_1::<KH, KW>(&mut work) } else { stride_2::<KH, KW>(&mut work) } }
}

/// Bytes of weights on the stack.
const fn weight_bytes(lines: usize, taps: usize, stride: usize) -> usize {
    lines * window_pairs(taps, stride) * 8 / stride
}

// Stack: weights, in lines, for each pair of the window the word of its outputs that
// begin with its first pixel and, with stride 1, that of the others; then at {locals} #0
// work; for the next channel #4 strip, #8 bias, #12 output, #16 weights; #20 rows left,
// #24 strip and #28 output of the row at hand; #32 bytes of whole blocks of four pairs in
// the strip, #36 outputs of a row beyond them. Then slots of what is kept, nine saved
// registers.
//
// Kept: 0 multiplier and 1 bias of the channel, 2 zero point, 3 bytes from output to
// output, 4 outputs of the block at hand, or 0 if it is whole, 5 output, 6 where in the
// strip whole blocks end. While channels are paired up 4 is the end of the segments, 5
// strip, 6 channel.
// The rows of a channel: whole blocks of four pairs, label 11, then what is left, as one
// more of them or a block of two, of which only outputs that exist are written. r0 is
// where in the strip a block begins. Both make codes, with r1 = output; $four_left and
// $two_left write them, r3 of them, and the others in $four move the output on.
macro_rules! rows {
    ($four:expr, $whole:expr, $four_left:expr, $two:expr, $two_left:expr) => {
        concat!(
            r"
    10:
        ldr r0, [sp, #{locals}+24]
        ldr r1, [sp, #{locals}+28]
        ldr r2, [sp, #{locals}+32]
        movs r3, #0
        add r2, r2, r0
        ",
            keep!("r1", "5"),
            keep!("r2", "6"),
            keep!("r3", "4"),
            r"
        cmp r2, r0
        beq.w 12f
    11:
        ",
            $four,
            kept!("r3", "4"),
            kept!("r2", "3"),
            r"
        cmp r3, #0
        bne.w 14f
        ",
            $whole,
            keep!("r1", "5"),
            kept!("r2", "6"),
            r"
        adds r0, #64
        cmp r0, r2
        bne.w 11b
    12:
        ldr r3, [sp, #{locals}+36]
        cmp r3, #0
        beq.w 17f
        ",
            keep!("r3", "4"),
            r"
        cmp r3, #4/{stride}
        bhi.w 11b
        ",
            $two,
            kept!("r3", "4"),
            kept!("r2", "3"),
            $two_left,
            r"
        b 17f
    14:
        ",
            $four_left,
            r"
    17:
        ldr r1, [sp, #{locals}+20]
        ldr r0, [sp, #{locals}]
        ldr r4, [sp, #{locals}+24]
        ldr r5, [sp, #{locals}+28]
        ldr r2, [r0, #32]
        ldr r3, [r0, #28]
        add r4, r4, r2
        add r5, r5, r3
        subs r1, #1
        str r4, [sp, #{locals}+24]
        str r5, [sp, #{locals}+28]
        str r1, [sp, #{locals}+20]
        bne.w 10b
        ldr r5, [sp, #{locals}+16]
        lsls r5, r5, #30
        bne.w 2b
        ldr r1, [r0, #12]
        ldr r2, [r0, #24]
        ldr r3, [r0, #16]
        cmp r1, r2
        bhs 18f
        adds r1, #4
        cmp r1, r2
        it hi
        movhi r1, r2
        addw r3, r3, #32+4*{lines}*{taps}
        str r1, [r0, #12]
        str r3, [r0, #16]
        b.w 1b
    18:
        addw sp, sp, #{locals}+68
        pop {{r4-r11, pc}}
        "
        )
    };
}

// $body for each pair of each line of the kernel, $begin in front of a line's first.
macro_rules! each {
    ($begin:expr, $body:expr) => {
        concat!(
            r"
        .set tinyc_line, 0
        .rept {lines}
        .set tinyc_pair, 0
        .rept {pairs}
        .if tinyc_pair == 0
        ",
            $begin,
            r"
        .endif
        ",
            $body,
            r"
        .set tinyc_pair, tinyc_pair + 1
        .endr
        .set tinyc_line, tinyc_line + 1
        .endr
        "
        )
    };
}

// Word $offset of the pairs from the one at hand on.
macro_rules! load {
    ($($to:literal $offset:literal),*) => {
        concat!($("ldr ", $to, ", [r0, #tinyc_line*{line_bytes}+16*tinyc_pair+16*", $offset, "]\n"),*)
    };
}
macro_rules! weight {
    ($to:literal, $bytes:literal, $at:literal) => {
        concat!("ldr ", $to, ", [sp, #", $bytes, "*(tinyc_line*{pairs}+tinyc_pair)+", $at, "]\n")
    };
}
// Sums $to += word * $weight; the very first ones begin with $bias.
macro_rules! multiply {
    ($weight:literal, $bias:literal, $($to:literal $word:literal),*) => {
        concat!(
            ".if tinyc_line + tinyc_pair == 0\n",
            $("smlad ", $to, ", ", $word, ", ", $weight, ", ", $bias, "\n",)*
            ".else\n",
            $("smlad ", $to, ", ", $word, ", ", $weight, ", ", $to, "\n",)*
            ".endif\n"
        )
    };
}
// The form of a text for each turn of registers.
macro_rules! turn_2 {
    ($text:ident) => {
        concat!(
            ".if tinyc_pair & 1 == 0\n", $text!("r1" "r2"), ".else\n", $text!("r2" "r1"), ".endif\n"
        )
    };
}
macro_rules! turn_4 {
    ($text:ident) => {
        concat!(
            ".if tinyc_pair & 3 == 0\n", $text!("r1" "r2" "r3" "r4"),
            ".elseif tinyc_pair & 3 == 1\n", $text!("r2" "r3" "r4" "r1"),
            ".elseif tinyc_pair & 3 == 2\n", $text!("r3" "r4" "r1" "r2"),
            ".else\n", $text!("r4" "r1" "r2" "r3"), ".endif\n"
        )
    };
}
macro_rules! requantize {
    ($($code:literal),*) => {
        concat!(
            kept!("r1", "0"),
            kept!("r2", "2"),
            $("smmlar ", $code, ", ", $code, ", r1, r2\n",)*
            $("ssat ", $code, ", #8, ", $code, "\n",)*
            kept!("r1", "5"),
        )
    };
}

// Eight outputs of four pairs: r5 to r8 the first, r9 to r12 the second ones.
macro_rules! both_of_four {
    ($a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            load!($d "3"),
            weight!("lr", "8", "0"),
            multiply!("lr", "r12", "r5" $a, "r6" $b, "r7" $c, "r8" $d),
            weight!("lr", "8", "4"),
            multiply!("lr", "r12", "r9" $a, "r10" $b, "r11" $c, "r12" $d),
        )
    };
}
macro_rules! both_of_two {
    ($a:literal $b:literal) => {
        concat!(
            load!($b "1"),
            weight!("lr", "8", "0"),
            weight!("r12", "8", "4"),
            multiply!("lr", "r10", "r5" $a, "r6" $b),
            multiply!("r12", "r10", "r9" $a, "r10" $b),
        )
    };
}
// Four outputs, r5 to r8.
macro_rules! first_of_four {
    ($a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            load!($d "3"),
            weight!("lr", "4", "0"),
            multiply!("lr", "r8", "r5" $a, "r6" $b, "r7" $c, "r8" $d),
        )
    };
}
macro_rules! first_of_two {
    ($a:literal $b:literal) => {
        concat!(load!($b "1"), weight!("lr", "4", "0"), multiply!("lr", "r6", "r5" $a, "r6" $b))
    };
}

#[unsafe(naked)]
unsafe extern "C" fn stride_1<const KH: usize, const KW: usize>(work: *mut Work) {
    naked_asm!(
        ".cpu cortex-m33",
        concat!(
            open!("pkhbt r10, r6, r7, lsl #16\nstrd r9, r10, [r2], #8\n"),
            rows!(
                concat!(
                    kept!("r12", "1"),
                    each!(load!("r1" "0", "r2" "1", "r3" "2"), turn_4!(both_of_four)),
                    requantize!("r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12"),
                ),
                r"
        strb r5, [r1]
        strb r9, [r1, r2]
        add r1, r1, r2, lsl #1
        strb r6, [r1]
        strb r10, [r1, r2]
        add r1, r1, r2, lsl #1
        strb r7, [r1]
        strb r11, [r1, r2]
        add r1, r1, r2, lsl #1
        strb r8, [r1]
        strb r12, [r1, r2]
        add r1, r1, r2, lsl #1
        ",
                r"
        strb r5, [r1]
        strb r9, [r1, r2]
        add r1, r1, r2, lsl #1
        strb r6, [r1]
        strb r10, [r1, r2]
        add r1, r1, r2, lsl #1
        strb r7, [r1]
        cmp r3, #6
        blo 17f
        strb r11, [r1, r2]
        beq 17f
        strb r8, [r1, r2, lsl #1]
        ",
                concat!(
                    kept!("r10", "1"),
                    each!(load!("r1" "0"), turn_2!(both_of_two)),
                    requantize!("r5", "r6", "r9", "r10"),
                ),
                r"
        strb r5, [r1]
        cmp r3, #2
        blo 17f
        strb r9, [r1, r2]
        beq 17f
        add r1, r1, r2, lsl #1
        strb r6, [r1]
        cmp r3, #4
        blo 17f
        strb r10, [r1, r2]
        "
            )
        ),
        stride = const 1,
        lines = const KH,
        taps = const KW,
        pairs = const window_pairs(KW, 1),
        locals = const weight_bytes(KH, KW, 1),
        line_bytes = const LINE_PAIRS * PAIR_BYTES,
    )
}

#[unsafe(naked)]
unsafe extern "C" fn stride_2<const KH: usize, const KW: usize>(work: *mut Work) {
    naked_asm!(
        ".cpu cortex-m33",
        concat!(
            open!("str r9, [r2], #4\n"),
            rows!(
                concat!(
                    kept!("r8", "1"),
                    each!(load!("r1" "0", "r2" "1", "r3" "2"), turn_4!(first_of_four)),
                    requantize!("r5", "r6", "r7", "r8"),
                ),
                r"
        strb r5, [r1]
        strb r6, [r1, r2]
        add r1, r1, r2, lsl #1
        strb r7, [r1]
        strb r8, [r1, r2]
        add r1, r1, r2, lsl #1
        ",
                r"
        strb r5, [r1]
        strb r6, [r1, r2]
        strb r7, [r1, r2, lsl #1]
        ",
                concat!(
                    kept!("r6", "1"),
                    each!(load!("r1" "0"), turn_2!(first_of_two)),
                    requantize!("r5", "r6"),
                ),
                r"
        strb r5, [r1]
        cmp r3, #2
        blo 17f
        strb r6, [r1, r2]
        "
            )
        ),
        stride = const 2,
        lines = const KH,
        taps = const KW,
        pairs = const window_pairs(KW, 2),
        locals = const weight_bytes(KH, KW, 2),
        line_bytes = const LINE_PAIRS * PAIR_BYTES,
    )
}
