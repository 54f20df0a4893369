//! Codes widened to 16 bits in the DSP instructions of Armv7E-M.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view,
//! and its own stack.

use core::arch::naked_asm;

use super::super::view::Bytes;
use super::portable::Span;

/// What [`spans`] takes from each row, and where what is left of it goes.
#[repr(C)]
pub(super) struct Spans {
    rows: *const *const i8,
    count: usize,
    quads: usize,
    others: usize,
    aside: *mut i8,
    last: usize,
    pair: i32,
}

impl Spans {
    /// `len` inputs of each row, see [`super::portable::widen_rows`].
    #[inline(always)]
    pub(super) fn new(
        rows: &[Option<Bytes<'_>>],
        len: usize,
        pad_code: i8,
        aside: Bytes<'_>,
        last: usize,
    ) -> Self {
        // A view is its address, and none is 0.
        const { assert!(size_of::<Option<Bytes<'_>>>() == size_of::<usize>()) }
        let (quads, others, code) = (len / 4, len % 4, i32::from(pad_code));
        Spans {
            rows: rows.as_ptr().cast(),
            count: rows.len(),
            quads,
            others,
            aside: aside.pointer(0, (rows.len() * others).max(4 * last)),
            last,
            pair: (code << 16) | (code & 0xFFFF),
        }
    }
}

/// See [`super::portable::widen_rows`].
#[inline(always)]
pub fn widen_rows(
    rows: &[Option<Bytes<'_>>],
    span: Span,
    tile: Bytes<'_>,
    pixel: usize,
    aside: Bytes<'_>,
    last: usize,
) {
    if rows.is_empty() {
        return;
    }
    let tile = tile.pointer(0, 16 * (rows.len() * (span.len / 4) + last)).wrapping_add(4 * pixel);
    let what = Spans::new(rows, span.len, span.pad_code, aside, last);
    // SAFETY: the span of each row is read, and of each of the tile's groups of 16
    // bytes the words at 0 and 8 are written, one word further for pixel 1; what is
    // left of each row is written to `aside`, of which `last` groups are read: all
    // resolved above, the rows by the caller. An `Option` of a view, which is
    // transparent, is a pointer.
    unsafe { spans(&what, 0, span.first, tile) }
}

// In: r0 = what, r2 = first input's byte in a row, r3 = tile. Rows of 4 inputs (from
// 20 on) and of 9 (from 30 on) are those of first convolutions: one channel by four
// columns, three by three.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn spans(what: *const Spans, unused: usize, first: usize, tile: *mut i8) {
    naked_asm!(
        ".cpu cortex-m33",
        r"
        push {{r0, r4-r11, lr}}
        ldm r0, {{r0, r1, r4, r12, lr}}
        add r5, r12, r4, lsl #2
        cmp r5, #9
        beq 30f
        cmp r5, #4
        beq 20f
    1:
        ldr r5, [r0], #4
        subs r6, r4, #4
        cmp r5, #0
        beq 8f
        add r5, r5, r2
        cmp r6, #0
        blt 3f
    2:
        ldr.w r7, [r5]
        ldr.w r8, [r5, #4]
        ldr.w r9, [r5, #8]
        ldr.w r10, [r5, #12]
        adds r5, #16
        sxtb16 r11, r7
        sxtb16 r7, r7, ror #8
        str r11, [r3]
        str r7, [r3, #8]
        sxtb16 r11, r8
        sxtb16 r8, r8, ror #8
        str r11, [r3, #16]
        str r8, [r3, #24]
        sxtb16 r11, r9
        sxtb16 r9, r9, ror #8
        str r11, [r3, #32]
        str r9, [r3, #40]
        sxtb16 r11, r10
        sxtb16 r10, r10, ror #8
        str r11, [r3, #48]
        str r10, [r3, #56]
        adds r3, #64
        subs r6, #4
        bhs 2b
    3:
        lsls r6, r6, #31
        bpl 4f
        ldr r7, [r5], #4
        sxtb16 r11, r7
        sxtb16 r7, r7, ror #8
        str r11, [r3]
        str r7, [r3, #8]
        adds r3, #16
    4:
        lsls r6, r4, #30
        bpl 5f
        ldr r7, [r5]
        ldr.w r8, [r5, #4]
        adds r5, #8
        sxtb16 r11, r7
        sxtb16 r7, r7, ror #8
        str r11, [r3]
        str r7, [r3, #8]
        sxtb16 r11, r8
        sxtb16 r8, r8, ror #8
        str r11, [r3, #16]
        str r8, [r3, #24]
        adds r3, #32
    5:
        movs.w r6, r12
        beq 7f
    6:
        ldrb r7, [r5], #1
        strb r7, [lr], #1
        subs r6, #1
        bne 6b
    7:
        subs r1, #1
        bne 1b
    17:
        ldr r7, [sp]
        ldr r6, [r7, #20]
        ldr r5, [r7, #16]
        cbz r6, 15f
    9:
        ldr r7, [r5], #4
        sxtb16 r11, r7
        sxtb16 r7, r7, ror #8
        str r11, [r3]
        str r7, [r3, #8]
        adds r3, #16
        subs r6, #1
        bne 9b
    15:
        pop {{r0, r4-r11, pc}}
    8:
        ldr r7, [sp]
        ldr r7, [r7, #24]
        movs r6, r4
        beq 12f
    16:
        str r7, [r3]
        str r7, [r3, #8]
        adds r3, #16
        subs r6, #1
        bne 16b
    12:
        movs.w r6, r12
        beq 7b
    13:
        strb r7, [lr], #1
        subs r6, #1
        bne 13b
        b 7b
    20:
        ldr r5, [r0], #4
        cbz r5, 22f
        ldr r7, [r5, r2]
        sxtb16 r11, r7
        sxtb16 r7, r7, ror #8
    21:
        str r11, [r3]
        str r7, [r3, #8]
        adds r3, #16
        subs r1, #1
        bne 20b
        b 17b
    22:
        ldr r7, [sp]
        ldr r7, [r7, #24]
        mov r11, r7
        b 21b
    30:
        ldr r5, [r0], #4
        cbz r5, 32f
        adds r5, r5, r2
        ldr.w r7, [r5]
        ldr.w r8, [r5, #4]
        ldrb.w r9, [r5, #8]
        sxtb16 r11, r7
        sxtb16 r7, r7, ror #8
        sxtb16 r10, r8
        sxtb16 r8, r8, ror #8
    31:
        str.w r11, [r3]
        str.w r7, [r3, #8]
        str.w r10, [r3, #16]
        str.w r8, [r3, #24]
        strb r9, [lr], #1
        adds r3, #32
        subs r1, #1
        bne 30b
        b 17b
    32:
        ldr r7, [sp]
        ldr r7, [r7, #24]
        mov r11, r7
        mov r10, r7
        mov r8, r7
        mov r9, r7
        b 31b
        "
    )
}
