//! How a body over lines of pairs begins: its frame, and four channels paired up.
//!
//! In: what a body has of its own. Out: the text of instructions up to the rows of a
//! channel. Invariant: the stack is laid out as `dsp_lines.rs` says, whose bodies go on
//! from here.

macro_rules! keep {
    ($register:literal, $number:literal) => {
        dsp_keep::keep_at!($register, $number, "{locals}+40")
    };
}
macro_rules! kept {
    ($register:literal, $number:literal) => {
        dsp_keep::kept_at!($register, $number, "{locals}+40")
    };
}

// Pixels $a and $b, four channels, to byte $at of the strip on.
macro_rules! pair {
    ($a:literal $b:literal, $at:literal) => {
        concat!(
            "pkhbt r11, ",
            $a,
            ", ",
            $b,
            ", lsl #16\n",
            "pkhtb ",
            $b,
            ", ",
            $b,
            ", ",
            $a,
            ", asr #16\n",
            "sxtb16 r12, r11\n",
            "sxtb16 r11, r11, ror #8\n",
            "sxtb16 lr, ",
            $b,
            "\n",
            "sxtb16 ",
            $b,
            ", ",
            $b,
            ", ror #8\n",
            "str.w r12, [r2, #",
            $at,
            "]\n",
            "str.w r11, [r2, #",
            $at,
            "+4]\n",
            "str.w lr, [r2, #",
            $at,
            "+8]\n",
            "str.w ",
            $b,
            ", [r2, #",
            $at,
            "+12]\n"
        )
    };
}

// From the start to the rows of a channel, label 10. Label 1 begins four channels, label 2
// a channel; $weights writes the words of a pair.
macro_rules! open {
    ($weights:literal) => {
        concat!(
            r"
        push {{r4-r11, lr}}
        subw sp, sp, #{locals}+68
        str r0, [sp, #{locals}]
        ldr r1, [r0, #36]
        ldr r2, [r0, #48]
        ldr r3, [r0, #44]
        ",
            keep!("r1", "3"),
            keep!("r2", "2"),
            r"
        and r1, r3, #8/{stride}-1
        lsrs r3, r3, #4-{stride}
        lsls r3, r3, #6
        str r3, [sp, #{locals}+32]
        str r1, [sp, #{locals}+36]
    1:
        ldr r0, [sp, #{locals}]
        ldr r6, [r0]
        ldr r1, [r0, #4]
        ldr r2, [r0, #8]
        ldr r3, [r0, #12]
        ",
            keep!("r1", "4"),
            keep!("r2", "5"),
            keep!("r3", "6"),
            r"
        cmp r6, r1
        beq 9f
    5:
        ldm r6!, {{r0, r1, r4, r5}}
        ldm r6!, {{r2, r3}}
        ",
            kept!("r7", "5"),
            kept!("r8", "6"),
            r"
        adds r2, r2, r7
        cmp r4, #0
        it ne
        addne r0, r0, r8
        cmp r5, #0
        it ne
        addne r1, r1, r8
        lsrs r3, r3, #1
        bcc 6f
        ldr.w r7, [r0]
        ldr.w r9, [r1]
        adds r0, r0, r4
        adds r1, r1, r5
        ",
            pair!("r7" "r9", "0"),
            r"
        adds r2, #16
    6:
        cbz r3, 8f
    7:
        ldr.w r7, [r0]
        ldr.w r8, [r0, r4]
        ldr.w r9, [r1]
        ldr.w r10, [r1, r5]
        add.w r0, r0, r4, lsl #1
        add.w r1, r1, r5, lsl #1
        ",
            pair!("r7" "r9", "0"),
            pair!("r8" "r10", "16"),
            r"
        adds r2, #32
        subs r3, #1
        bne 7b
    8:
        ",
            kept!("r7", "4"),
            r"
        cmp r6, r7
        bne 5b
    9:
        ldr r0, [sp, #{locals}]
        ldr r1, [r0, #12]
        ldr r2, [r0, #8]
        ldr r3, [r0, #16]
        ldr r4, [r0, #20]
        adds r4, r4, r1
        add r5, r3, #32
        addw r6, sp, #{locals}+4
        stm r6, {{r2, r3, r4, r5}}
    2:
        addw r1, sp, #{locals}+4
        ldm r1, {{r2, r3, r4, r5}}
        adds r6, r2, #4
        adds r7, r3, #4
        add r8, r4, #1
        add r9, r5, #1
        stm r1, {{r6, r7, r8, r9}}
        ldr r0, [sp, #{locals}]
        ldr r0, [r0, #40]
        str r0, [sp, #{locals}+20]
        str r2, [sp, #{locals}+24]
        str r4, [sp, #{locals}+28]
        ldr r0, [r3, #16]
        ldr r1, [r3]
        ",
            keep!("r0", "0"),
            keep!("r1", "1"),
            r"
        mov r2, sp
        movs r3, #{lines}
    4:
        movs r6, #0
        .set tinyc_pair, 0
        .rept {pairs}
        .if 2*tinyc_pair < {taps}
        ldrsb.w r7, [r5, #8*tinyc_pair]
        .else
        movs r7, #0
        .endif
        .if 2*tinyc_pair + 1 < {taps}
        ldrsb.w r8, [r5, #8*tinyc_pair+4]
        .else
        mov.w r8, #0
        .endif
        pkhbt r9, r7, r8, lsl #16
        ", $weights, r"
        mov r6, r8
        .set tinyc_pair, tinyc_pair + 1
        .endr
        addw r5, r5, #4*{taps}
        subs r3, #1
        bne 4b
        "
        )
    };
}
pub(super) use {keep, kept, open, pair};
