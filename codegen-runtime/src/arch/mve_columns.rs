//! Columns copied for windows (MVE).
//!
//! In and out: as `portable_lanes.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view, and
//! its own stack. Codes beyond a column's channels are neither read nor written.

use core::arch::naked_asm;

use super::super::view::Bytes;
use super::portable_columns::Columns;
use super::portable_lanes::LANES;

/// See [`super::portable_lanes::copy_columns`].
#[inline(never)]
pub fn copy_columns(columns: Columns<'_>, to: Bytes<'_>) {
    // A view is its address, and none is 0.
    const { assert!(size_of::<Option<Bytes<'_>>>() == size_of::<usize>()) }
    let Columns { rows, inside, first, channels, count, pad_code } = columns;
    if rows.is_empty() || channels == 0 || count == 0 {
        return;
    }
    let keep = if inside { usize::MAX } else { 0 };
    let pitch = rows.len() * channels;
    let to = to.pointer(0, count * pitch);
    let (rows, len) = (rows.as_ptr().cast(), rows.len());
    // SAFETY: of each row that exists `channels` codes a column are read, as the caller
    // resolved it; as many are written for each row: resolved above. An `Option` of a
    // view, which is transparent, is a pointer.
    unsafe {
        if channels <= LANES {
            narrow_columns(rows, len, first, channels, count, to, pitch, pad_code, keep);
        } else {
            wide_columns(rows, len, first, channels, count, to, pitch, pad_code, keep);
        }
    }
}

// In: r0 = rows, r1 = how many, r2 = first code, r3 = channels, at most 16, #0 columns, #4
// outputs, #8 bytes of a column, #12 padding, #16 all bits where rows are read.
#[unsafe(naked)]
unsafe extern "C" fn narrow_columns(
    rows: *const *const i8,
    len: usize,
    first: usize,
    channels: usize,
    count: usize,
    to: *mut i8,
    pitch: usize,
    code: i8,
    keep: usize,
) {
    naked_asm!(
        ".cpu cortex-m55",
        r"
        push {{r4-r9, lr}}
        ldrd r4, r5, [sp, #28]
        ldrd r6, r8, [sp, #36]
        ldr r9, [sp, #44]
        vdup.8 q1, r8
        vctp.8 r3
    1:
        ldr r7, [r0], #4
        mov r12, r5
        dls lr, r4
        ands.w r7, r7, r9
        beq 3f
        add r7, r2
    2:
        vpstt
        vldrbt.u8 q0, [r7]
        vstrbt.8 q0, [r12]
        add r7, r3
        add r12, r6
        le lr, 2b
        b 4f
    3:
        vpst
        vstrbt.8 q1, [r12]
        add r12, r6
        le lr, 3b
    4:
        add r5, r3
        subs r1, #1
        bne 1b
        pop {{r4-r9, pc}}
        "
    )
}

// In: as for narrow_columns, of more channels.
#[unsafe(naked)]
unsafe extern "C" fn wide_columns(
    rows: *const *const i8,
    len: usize,
    first: usize,
    channels: usize,
    count: usize,
    to: *mut i8,
    pitch: usize,
    code: i8,
    keep: usize,
) {
    naked_asm!(
        ".cpu cortex-m55",
        r"
        push {{r4-r11, lr}}
        ldrd r4, r5, [sp, #36]
        ldrd r6, r8, [sp, #44]
        ldr r9, [sp, #52]
        vdup.8 q1, r8
        add r11, r3, #15
        bic r11, r11, #15
        sub r11, r3, r11
    1:
        ldr r7, [r0], #4
        mov r12, r5
        mov r10, r4
        ands.w r7, r7, r9
        beq 4f
        add r7, r2
    2:
        mov r8, r12
        dlstp.8 lr, r3
    3:
        vldrb.u8 q0, [r7], #16
        vstrb.8 q0, [r8], #16
        letp lr, 3b
        add r7, r11
        add r12, r6
        subs.w r10, r10, #1
        bne 2b
        b 6f
    4:
        mov r8, r12
        dlstp.8 lr, r3
    5:
        vstrb.8 q1, [r8], #16
        letp lr, 5b
        add r12, r6
        subs.w r10, r10, #1
        bne 4b
    6:
        add r5, r3
        subs r1, #1
        bne 1b
        pop {{r4-r11, pc}}
        "
    )
}
