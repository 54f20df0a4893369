//! Winograd's products in the order of a core that issues two instructions at once,
//! Cortex-M7.
//!
//! In and out: as `portable_winograd.rs` says, which defines every result. Invariant: the
//! kernels of `dsp_winograd.rs` (their frame, stack and sums) with the instructions of a
//! pair in another order.
//!
//! A pair takes eight cycles, as many as it has products: beside six of them are its
//! loads. The last three products of a pair are added in the next one, beside its first
//! loads; where nothing is on its way, the words are zero.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};
use super::dsp_winograd::{bodies, function_products, products, products_unrolled};
use super::portable::winograd_block_bytes;

function_products!();

// The first pair begins the sums, and leaves nothing on its way.
macro_rules! first_pair {
    () => {
        r"
        ldr.n r2, [r0]
        ldr.n r3, [r0, #4]
        ldr.n r4, [r1]
        ldr.n r5, [r1, #4]
        smuad r6, r2, r4
        smuad r10, r3, r4
        ldr.n r4, [r1, #8]
        smuad r7, r2, r5
        smuad r11, r3, r5
        ldr.n r5, [r1, #12]
        smuad r8, r2, r4
        smuad r12, r3, r4
        smuad r9, r2, r5
        smuad lr, r3, r5
        "
    };
}

// The same, and leaves what `next_pair` begins with.
macro_rules! begin_pair {
    () => {
        r"
        ldr.n r4, [r1]
        ldr.n r5, [r1, #4]
        ldr.n r2, [r0]
        ldr.n r3, [r0, #4]
        movs r6, #0
        mov r9, r6
        mov r12, r6
        mov lr, r6
        smuad r6, r2, r4
        smuad r10, r3, r4
        ldr.n r4, [r1, #8]
        smuad r7, r2, r5
        smuad r11, r3, r5
        ldr.n r5, [r1, #12]
        smuad r8, r2, r4
        "
    };
}

// Pair i from there on is added: 8 cycles, 48 bytes for i below 8. On their way: r2 and
// r3 = inputs, r4 and r5 = the last two words.
macro_rules! next_pair {
    ($pair:literal) => {
        concat!(
            r"
        smlad r12, r3, r4, r12
        ldr r4, [r1, #16*\i]
        smlad r9, r2, r5, r9
        ldr.w r2, [r0, #",
            $pair,
            r"*\i]
        smlad lr, r3, r5, lr
        ldr.w r3, [r0, #",
            $pair,
            r"*\i+4]
        smlad r6, r2, r4, r6
        ldr r5, [r1, #16*\i+4]
        smlad r10, r3, r4, r10
        ldr r4, [r1, #16*\i+8]
        smlad r7, r2, r5, r7
        smlad r11, r3, r5, r11
        ldr r5, [r1, #16*\i+12]
        smlad r8, r2, r4, r8
        "
        )
    };
}

macro_rules! ready {
    () => {
        r"
        movs r4, #0
        movs r5, #0
        "
    };
}
macro_rules! again {
    () => {
        concat!("10:\n", ready!())
    };
}

// The products that are on their way, and the end of a pass.
macro_rules! end_pass {
    ($pair:literal) => {
        concat!(
            r"
        smlad r9, r2, r5, r9
        ldr r2, [sp, #16]
        smlad r12, r3, r4, r12
        adds r1, #128
        smlad lr, r3, r5, lr
        add.w r0, r0, #",
            $pair,
            r"*8
        cmp r1, r2
        bne 10b
        "
        )
    };
}
macro_rules! end_body {
    () => {
        r"
        smlad r12, r3, r4, r12
        smlad r9, r2, r5, r9
        smlad lr, r3, r5, lr
        "
    };
}

products!(products_16, "128", "512", first_pair ready again next_pair end_pass);
products!(products_24, "192", "768", first_pair ready again next_pair end_pass);
products!(products_36, "288", "1152", first_pair ready again next_pair end_pass);
bodies!(begin_pair next_pair end_body);
