//! Element-wise primitives in vectors (MVE).
//!
//! In and out: as `portable_elementwise.rs` says, which defines every result. Invariant:
//! assembly reads and writes the runs that its caller resolved through the view.

use core::arch::naked_asm;

use super::super::view::Bytes;
use super::portable_elementwise::WeightedSum;

/// See [`super::portable::weighted_sum`].
#[inline(always)]
pub fn weighted_sum([a, b]: [Bytes<'_>; 2], out: Bytes<'_>, len: usize, sum: &WeightedSum) {
    if len == 0 {
        return;
    }
    let (a, b, out) = (a.pointer(0, len), b.pointer(0, len), out.pointer(0, len));
    // SAFETY: `len` codes of each operand are read, as many are written: resolved above.
    // Of an operand's codes the output may be the very bytes: four are read before they
    // are written.
    unsafe { sums_of(a, b, out, len, sum) }
}

// In: r0 and r1 = operands, r2 = output, r3 = codes, #0 what is computed.
#[unsafe(naked)]
unsafe extern "C" fn sums_of(a: *const i8, b: *const i8, out: *mut i8, len: usize, sum: *const WeightedSum) {
    naked_asm!(
        ".cpu cortex-m55",
        r"
        push {{r4-r7, lr}}
        ldr r7, [sp, #20]
        ldm r7, {{r4-r7}}
        vdup.32 q2, r6
        rsbs r7, r7, #0
        dlstp.32 lr, r3
    1:
        vmov q3, q2
        vldrb.s32 q0, [r0], #4
        vmla.s32 q3, q0, r4
        vldrb.s32 q1, [r1], #4
        vmla.s32 q3, q1, r5
        vshl.s32 q3, r7
        vqmovnb.s32 q3, q3
        vqmovnb.s16 q3, q3
        vstrb.32 q3, [r2], #4
        letp lr, 1b
        pop {{r4-r7, pc}}
        "
    )
}
