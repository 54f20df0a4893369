//! Codes widened to 16 bits for tiles, in the DSP instructions of Armv7E-M.
//!
//! In and out: as `portable_columns.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view,
//! and its own stack.

use core::arch::naked_asm;

use super::super::view::Bytes;
use super::portable::{Columns, Four, column_words};

/// What a walk through columns needs; it moves on in `rows` and counts down `left`.
#[repr(C)]
struct Walk {
    rows: *const *const i8,
    left: usize,
    first: usize,
    /// Codes of a column in a row, for [`fours`]; bytes from column to column, for [`singles`].
    channels: usize,
    count: usize,
    /// Bytes of the tile from column to column; of [`fours`], less those of its row.
    pitch: usize,
    /// Two codes of padding.
    pad: u32,
    /// All bits where rows are read, none where all is padding.
    inside: usize,
    /// Codes that follow each other in a column's row, for [`singles`].
    inner: usize,
    /// Bytes of the tile from one code to the next, by turns.
    steps: [usize; 2],
}

/// See [`super::portable::widen_columns`].
#[inline(never)]
pub fn widen_columns(columns: Columns<'_>, tile: Bytes<'_>, places: [usize; 2]) {
    // A view is its address, and none is 0.
    const { assert!(size_of::<Option<Bytes<'_>>>() == size_of::<usize>()) }
    let Columns { rows, inside, first, channels, count, pad_code } = columns;
    if rows.is_empty() || channels == 0 || count == 0 {
        return;
    }
    let pitch = 8 * column_words(channels, rows.len());
    let to = places.map(|place| tile.pointer(place, pitch * count - 4));
    let mut walk = Walk {
        rows: rows.as_ptr().cast(),
        left: rows.len(),
        first,
        channels,
        count,
        pitch,
        pad: u32::from(pad_code as u16) * 0x1_0001,
        inside: if inside { usize::MAX } else { 0 },
        inner: channels,
        steps: [2, 6],
    };
    if channels.is_multiple_of(4) {
        walk.pitch -= 4 * channels;
        // SAFETY: of each row `channels` codes a column are read, of the tile the words
        // of the columns are written at both places: resolved above, the rows by the
        // caller. An `Option` of a view, which is transparent, is a pointer.
        return unsafe { fours(&mut walk, to[0], to[1]) };
    }
    if channels != 3 {
        // SAFETY: as above.
        return unsafe { singles(&mut walk, to[0], to[1]) };
    }
    if let ([Some(_), Some(_), Some(_)], true, true) = (rows, inside, count > 1) {
        // SAFETY: as above. Of the last column the code before it is read too, which
        // is another column's.
        return unsafe { threes(&mut walk, to[0], to[1]) };
    }
    walk.inner = 1;
    for (channel, (place, steps)) in
        [(0, [8, 8]), (8 * rows.len(), [2, 6]), (2, [8, 8])].into_iter().enumerate()
    {
        (walk.rows, walk.left, walk.steps) = (rows.as_ptr().cast(), rows.len(), steps);
        walk.first = first + channel;
        let [a, b] = to.map(|to| to.wrapping_add(place));
        // SAFETY: as above.
        unsafe { singles(&mut walk, a, b) };
    }
}

/// See [`super::portable::widen_fours`].
#[inline(always)]
pub fn widen_fours(rows: &[Option<Bytes<'_>>], four: Four, tile: Bytes<'_>, pixel: usize) {
    if rows.is_empty() {
        return;
    }
    let Four { first, skip, pad_code } = four;
    let to = tile.pointer(4 * pixel, 16 * rows.len() - 4);
    let code = u32::from(pad_code as u8) * 0x0101_0101;
    // The shifts take their number from eight bits of a register.
    let bits = 8 * skip.unsigned_abs().min(4) as u32;
    let keep = u32::MAX.checked_shl(bits).unwrap_or(0);
    let (left, right, keep) =
        if skip < 0 { (0, bits, u32::MAX.checked_shr(bits).unwrap_or(0)) } else { (bits, 0, keep) };
    // SAFETY: four codes of each row are read, two words a row of the tile are written:
    // resolved above, the rows by the caller.
    unsafe { rows_of_four(rows.as_ptr().cast(), first, to, rows.len(), left, right, code & !keep, code) }
}

/// See [`super::portable::widen_pairs`].
#[inline(always)]
pub fn widen_pairs(codes: [Bytes<'_>; 2], step: usize, quads: usize, tiles: Bytes<'_>, pairs: usize) {
    if quads == 0 || pairs == 0 {
        return;
    }
    let [first, second] = codes.map(|codes| codes.pointer(0, (pairs - 1) * step + 4 * quads));
    let tiles = tiles.pointer(0, 16 * quads * pairs);
    // SAFETY: the groups of four codes of every pixel are read, the tiles written:
    // resolved above.
    unsafe { pairs_of_pixels(first, second, tiles, quads, step.wrapping_sub(4 * quads), pairs) }
}

// Four codes in $code, as two words at byte $at of both places.
macro_rules! four {
    ($code:literal, $at:literal) => {
        concat!(
            "sxtb16 r9, ",
            $code,
            "\n",
            "sxtb16 ",
            $code,
            ", ",
            $code,
            ", ror #8\n",
            "str r9, [r1, #",
            $at,
            "]\n",
            "str ",
            $code,
            ", [r1, #",
            $at,
            "+8]\n",
            "str r9, [r2, #",
            $at,
            "]\n",
            "str ",
            $code,
            ", [r2, #",
            $at,
            "+8]\n",
        )
    };
}

// In: r0 = walk, r1 and r2 = places.
#[unsafe(naked)]
unsafe extern "C" fn fours(walk: *mut Walk, first: *mut i8, second: *mut i8) {
    naked_asm!(
        ".cpu cortex-m33",
        concat!(
            r"
        push {{r4-r9, lr}}
    1:
        ldr r3, [r0]
        ldr r5, [r0, #28]
        ldr r6, [r0, #8]
        ldr r4, [r3], #4
        ldr.w lr, [r0, #16]
        str r3, [r0]
        ands r4, r4, r5
        beq 7f
        add r4, r4, r6
    2:
        ldr r3, [r0, #12]
        subs r3, #16
        blo 4f
    3:
        ldr.w r5, [r4]
        ldr.w r6, [r4, #4]
        ldr.w r7, [r4, #8]
        ldr.w r8, [r4, #12]
        ",
            four!("r5", "0"),
            four!("r6", "16"),
            four!("r7", "32"),
            four!("r8", "48"),
            r"
        adds r4, #16
        adds r1, #64
        adds r2, #64
        subs r3, #16
        bhs 3b
    4:
        adds r3, #16
        beq 6f
    5:
        ldr r5, [r4], #4
        ",
            four!("r5", "0"),
            r"
        adds r1, #16
        adds r2, #16
        subs r3, #4
        bne 5b
    6:
        ldr r3, [r0, #20]
        subs.w lr, lr, #1
        add r1, r1, r3
        add r2, r2, r3
        bne 2b
    9:
        ldr r3, [r0, #20]
        ldr r5, [r0, #12]
        ldr r6, [r0, #16]
        ldr r7, [r0, #4]
        add r3, r3, r5, lsl #2
        mul r3, r3, r6
        sub.w r3, r3, r5, lsl #2
        subs r1, r1, r3
        subs r2, r2, r3
        subs r7, #1
        str r7, [r0, #4]
        bne 1b
        pop {{r4-r9, pc}}
    7:
        ldr r3, [r0, #12]
        ldr r5, [r0, #24]
    8:
        str r5, [r1]
        str r5, [r1, #8]
        str r5, [r2]
        str r5, [r2, #8]
        adds r1, #16
        adds r2, #16
        subs r3, #4
        bne 8b
        ldr r3, [r0, #20]
        subs.w lr, lr, #1
        add r1, r1, r3
        add r2, r2, r3
        bne 7b
        b 9b
        "
        )
    )
}

// In: r0 = walk, r1 and r2 = places.
#[unsafe(naked)]
unsafe extern "C" fn singles(walk: *mut Walk, first: *mut i8, second: *mut i8) {
    naked_asm!(
        ".cpu cortex-m33",
        r"
        push {{r4-r11, lr}}
        subs r2, r2, r1
        ldr.w r10, [r0, #36]
        ldr.w r11, [r0, #40]
    1:
        ldr r3, [r0]
        ldr r5, [r0, #28]
        ldr r6, [r0, #8]
        ldr r4, [r3], #4
        ldr.w r12, [r0, #32]
        str r3, [r0]
        ldr r3, [r0, #12]
        ands r4, r4, r5
        add r4, r4, r6
        bne 2f
        add r4, r0, #24
        movs r3, #0
    2:
        ldr.w lr, [r0, #16]
        ldr r5, [r0, #20]
        mov r6, r4
        mov r7, r1
        subs.w lr, lr, #1
        beq 4f
    3:
        ldrsb.w r8, [r6]
        ldrsb.w r9, [r6, r3]
        add r6, r6, r3, lsl #1
        strh.w r8, [r7]
        strh.w r8, [r7, r2]
        add r7, r7, r5
        subs.w lr, lr, #2
        strh.w r9, [r7]
        strh.w r9, [r7, r2]
        add r7, r7, r5
        bhi 3b
        bmi 5f
    4:
        ldrsb.w r8, [r6]
        strh.w r8, [r7]
        strh.w r8, [r7, r2]
    5:
        cmp r3, #0
        it ne
        addne r4, #1
        add r1, r1, r10
        mov r8, r10
        mov r10, r11
        mov r11, r8
        subs.w r12, r12, #1
        bne 2b
        ldr r3, [r0, #4]
        subs r3, #1
        str r3, [r0, #4]
        bne 1b
        pop {{r4-r11, pc}}
        "
    )
}

// Three rows of three channels. In: r0 = walk, r1 and r2 = places. A column is read
// in words: its three codes and the next one, or, the last one, with the code before.
#[unsafe(naked)]
unsafe extern "C" fn threes(walk: *mut Walk, first: *mut i8, second: *mut i8) {
    naked_asm!(
        ".cpu cortex-m33",
        r"
        push {{r4-r9, lr}}
        ldr r6, [r0]
        ldr r3, [r0, #8]
        ldr.w r12, [r0, #16]
        ldm r6, {{r4, r5, r6}}
        add r4, r4, r3
        add r5, r5, r3
        add r6, r6, r3
    1:
        subs.w r12, r12, #1
        beq 3f
        ldr r7, [r4], #3
        ldr r8, [r5], #3
        ldr r9, [r6], #3
    2:
        sxtb16 r3, r7
        sxtb16 lr, r8
        sxtb16 r7, r7, ror #8
        sxtb16 r8, r8, ror #8
        str.w r3, [r1]
        str.w r3, [r2]
        sxtb16 r3, r9
        str.w lr, [r1, #8]
        str.w lr, [r2, #8]
        sxtb16 r9, r9, ror #8
        pkhbt r7, r7, r8, lsl #16
        str.w r3, [r1, #16]
        str.w r3, [r2, #16]
        str.w r7, [r1, #24]
        str.w r7, [r2, #24]
        strh.w r9, [r1, #32]
        strh.w r9, [r2, #32]
        adds r1, #40
        adds r2, #40
        cmp.w r12, #0
        bne 1b
        pop {{r4-r9, pc}}
    3:
        ldr r7, [r4, #-1]
        ldr r8, [r5, #-1]
        ldr r9, [r6, #-1]
        lsrs r7, r7, #8
        lsr.w r8, r8, #8
        lsr.w r9, r9, #8
        b 2b
        "
    )
}

// In: r0 = rows, r1 = first, r2 = place, r3 = how many rows; #24 bits to the left and
// #28 to the right, #32 the codes of padding that come in, #36 those of a whole row.
#[unsafe(naked)]
#[allow(clippy::too_many_arguments, reason = "they are the registers and the stack of one call")]
unsafe extern "C" fn rows_of_four(
    rows: *const *const i8,
    first: usize,
    tile: *mut i8,
    count: usize,
    left: u32,
    right: u32,
    filled: u32,
    pad: u32,
) {
    naked_asm!(
        ".cpu cortex-m33",
        r"
        push {{r4-r8, lr}}
        ldr r4, [sp, #24]
        ldr r5, [sp, #28]
        ldr r6, [sp, #32]
    1:
        ldr r7, [r0], #4
        cbz r7, 3f
        ldr r7, [r7, r1]
        lsls r7, r4
        lsrs r7, r5
        orrs r7, r6
    2:
        sxtb16 r8, r7
        sxtb16 r7, r7, ror #8
        str.w r8, [r2]
        str r7, [r2, #8]
        adds r2, #16
        subs r3, #1
        bne 1b
        pop {{r4-r8, pc}}
    3:
        ldr r7, [sp, #36]
        b 2b
        "
    )
}

// In: r0 and r1 = codes of the two pixels, r2 = tiles, r3 = groups of four; #40 bytes
// from a pixel's end to the next one of its kind, #44 pairs.
#[unsafe(naked)]
unsafe extern "C" fn pairs_of_pixels(
    first: *const i8,
    second: *const i8,
    tiles: *mut i8,
    quads: usize,
    step: usize,
    pairs: usize,
) {
    naked_asm!(
        ".cpu cortex-m33",
        r"
        push {{r3-r11, lr}}
    1:
        ldr r3, [sp]
        lsrs r3, r3, #1
        bcc 2f
        ldr r4, [r0], #4
        ldr r5, [r1], #4
        sxtb16 r6, r4, ror #8
        sxtb16 r7, r5, ror #8
        sxtb16 r4, r4
        sxtb16 r5, r5
        stm r2!, {{r4, r5, r6, r7}}
        cbz r3, 3f
    2:
        ldr.w r4, [r0]
        ldr.w r8, [r0, #4]
        ldr.w r5, [r1]
        ldr.w r9, [r1, #4]
        adds r0, #8
        adds r1, #8
        sxtb16 r6, r4, ror #8
        sxtb16 r10, r8, ror #8
        sxtb16 r7, r5, ror #8
        sxtb16 r11, r9, ror #8
        sxtb16 r4, r4
        sxtb16 r8, r8
        sxtb16 r5, r5
        sxtb16 r9, r9
        stm r2!, {{r4-r11}}
        subs r3, #1
        bne 2b
    3:
        ldr r4, [sp, #40]
        ldr r3, [sp, #44]
        adds r0, r0, r4
        adds r1, r1, r4
        subs r3, #1
        str r3, [sp, #44]
        bne 1b
        pop {{r3-r11, pc}}
        "
    )
}
