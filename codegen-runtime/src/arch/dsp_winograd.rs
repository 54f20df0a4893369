//! Winograd's convolution in the DSP instructions of Armv7E-M: products.
//!
//! In and out: as `portable_winograd.rs` says, which defines every result.
//! Invariant: assembly reads and writes the runs that its caller resolved through
//! the view, and its own stack.

use core::arch::naked_asm;

use super::super::view::{Bytes, Consts};
use super::portable::winograd_block_bytes;

// The function of this kind of kernel, over the kernels of the file that asks.
macro_rules! function_products {
    () => {
        /// See [`super::portable::winograd_products`].
        #[inline(always)]
        pub fn winograd_products<const SY: usize, const SX: usize>(
            inputs: Bytes<'_>,
            pairs: usize,
            block: Consts<'_>,
            products: Bytes<'_>,
        ) {
            // One pair is beside the loop, which has at least another one.
            if pairs < 2 {
                return super::portable::winograd_products::<SY, SX>(inputs, pairs, block, products);
            }
            let block = block.pointer(0, winograd_block_bytes::<SY, SX>(pairs)).wrapping_add(32);
            let (inputs, products) =
                (inputs.pointer(0, 8 * SY * SX * pairs), products.pointer(0, 32 * SY * SX));
            // A branch and no pointer to a function: what is called must be known.
            // SAFETY: the inputs, the block's words and the products are accessed:
            // resolved above.
            unsafe {
                match (SY * SX, pairs) {
                    (16, _) => products_16(inputs, block, products, pairs),
                    (24, _) => products_24(inputs, block, products, pairs),
                    (_, 8) => products_36_8(inputs, block, products, pairs),
                    (_, 16) => products_36_16(inputs, block, products, pairs),
                    _ => products_36(inputs, block, products, pairs),
                }
            }
        }
    };
}
#[allow(unused_imports, reason = "an order for another core has them from here")]
pub(super) use function_products;
function_products!();

// The pair of inputs at r0 and its words at r1 begin the sums: r6 to r9 are tile 0,
// r10 to r12 and lr tile 1.
macro_rules! first_pair {
    () => {
        r"
        ldr.n r2, [r0]
        ldr.n r3, [r0, #4]
        ldr.n r4, [r1]
        ldr.n r5, [r1, #4]
        smuad r6, r2, r4
        smuad r10, r3, r4
        smuad r7, r2, r5
        smuad r11, r3, r5
        ldr.n r4, [r1, #8]
        ldr.n r5, [r1, #12]
        smuad r8, r2, r4
        smuad r12, r3, r4
        smuad r9, r2, r5
        smuad lr, r3, r5
        "
    };
}

// Pair i from there on is added: 16 cycles, 48 bytes for i below 8.
macro_rules! next_pair {
    ($pair:literal) => {
        concat!(
            r"
            ldr.w r2, [r0, #",
            $pair,
            r"*\i]
            ldr.w r3, [r0, #",
            $pair,
            r"*\i+4]
            ldr r4, [r1, #16*\i]
            ldr r5, [r1, #16*\i+4]
            smlad r6, r2, r4, r6
            smlad r10, r3, r4, r10
            smlad r7, r2, r5, r7
            smlad r11, r3, r5, r11
            ldr r4, [r1, #16*\i+8]
            ldr r5, [r1, #16*\i+12]
            smlad r8, r2, r4, r8
            smlad r12, r3, r4, r12
            smlad r9, r2, r5, r9
            smlad lr, r3, r5, lr
            "
        )
    };
}

// Nothing besides.
macro_rules! nothing {
    () => {
        ""
    };
}
macro_rules! end_pass {
    ($pair:literal) => {
        concat!(
            r"
        ldr r2, [sp, #16]
        add.w r0, r0, #",
            $pair,
            r"*8
        adds r1, #128
        cmp r1, r2
        bne 3b
        "
        )
    };
}

// In: r0 = inputs, r1 = words, r2 = products, r3 = pairs, at least 2. `$pair` is the
// distance of a position's pairs of inputs, `$products` the bytes of all products.
//
// The parts, in the order of a position: $first the first pair, $ready and $again before
// the first pass and before others, $next a pair, $end the end of a pass.
//
// The inner loop is one unrolled body of eight pairs, entered in its middle so that
// the last pass ends where the body ends; the first pair, which begins the sums, is
// in front of it.
//
// Stack: #0 entry into the body, #4 and #8 from the first pair to where the body
// starts, in inputs and words, #12 bytes of a position's words, #16 their end, #20
// next products, #24 back from the end of the inputs to the next position, #28 end of
// the products.
macro_rules! products {
    ($name:ident, $pair:literal, $products:literal, $first:ident $ready:ident $again:ident $next:ident $end:ident) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(inputs: *mut i8, words: *const u8, products: *mut i8, pairs: usize) {
            naked_asm!(
                ".cpu cortex-m33",
                concat!(
                    r"
                push {{r4-r11, lr}}
                sub sp, sp, #36
                str r2, [sp, #20]
                add.w r2, r2, #",
                    $products,
                    r"
                str r2, [sp, #28]
                movw r4, #",
                    $pair,
                    r"
                mul r5, r3, r4
                subs r5, #8
                str r5, [sp, #24]
                lsl r5, r3, #4
                str r5, [sp, #12]
                rsb r5, r3, #1
                and r5, r5, #7
                adr.w r6, 3f
                movs r7, #48
                mla r6, r5, r7, r6
                orr r6, r6, #1
                rsb r5, r5, #1
                mul r4, r5, r4
                lsl r5, r5, #4
                str r6, [sp]
                strd r4, r5, [sp, #4]
            2:
                ",
                    $first!(),
                    r"
                ldm sp, {{r2, r3, r4, r5}}
                add r5, r1
                add r0, r3
                add r1, r4
                str r5, [sp, #16]
                ",
                    $ready!(),
                    r"
                bx r2
                .p2align 2
                ",
                    $again!(),
                    r"
            3:
                .irp i, 0, 1, 2, 3, 4, 5, 6, 7
                ",
                    $next!($pair),
                    r"
                .endr
                ",
                    $end!($pair),
                    r"
                ldr r2, [sp, #20]
                ldr r3, [sp, #24]
                ldr r4, [sp, #28]
                stm r2!, {{r6, r7, r8, r9, r10, r11, r12, lr}}
                subs r0, r0, r3
                str r2, [sp, #20]
                cmp r2, r4
                bne 2b
                add sp, sp, #36
                pop {{r4-r11, pc}}
                "
                )
            )
        }
    };
}

products!(products_16, "128", "512", first_pair nothing nothing next_pair end_pass);
products!(products_24, "192", "768", first_pair nothing nothing next_pair end_pass);
products!(products_36, "288", "1152", first_pair nothing nothing next_pair end_pass);

// The same for as many pairs as `$body` holds, which leaves r0 at the next position
// and r1 at its words: without the loop, 19 cycles a position beside the pairs.
//
// Stack: #0 next products, #4 end of the products.
macro_rules! products_unrolled {
    ($name:ident, $products:literal, $first:ident, $body:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(inputs: *mut i8, words: *const u8, products: *mut i8, pairs: usize) {
            naked_asm!(
                ".cpu cortex-m33",
                concat!(
                    r"
                push {{r4-r11, lr}}
                sub sp, sp, #12
                add.w r3, r2, #",
                    $products,
                    r"
                strd r2, r3, [sp]
            2:
                ",
                    $first!(),
                    $body,
                    r"
                ldrd r2, r3, [sp]
                stm r2!, {{r6, r7, r8, r9, r10, r11, r12, lr}}
                cmp r2, r3
                str r2, [sp]
                bne 2b
                add sp, sp, #12
                pop {{r4-r11, pc}}
                "
                )
            )
        }
    };
}

// The bodies of layers of 8 and 16 pairs, whose last pair $end ends.
macro_rules! bodies {
    ($first:ident $next:ident $end:ident) => {
        products_unrolled!(
            products_36_8,
            "1152",
            $first,
            concat!(
                ".irp i, 1, 2, 3, 4, 5, 6, 7\n",
                $next!("288"),
                ".endr\n",
                $end!(),
                r"
                adds r0, #8
                adds r1, #128
                "
            )
        );
        products_unrolled!(
            products_36_16,
            "1152",
            $first,
            concat!(
                ".irp i, 1, 2, 3, 4, 5, 6, 7\n",
                $next!("288"),
                r"
                .endr
                add.w r0, r0, #2304
                adds r1, #128
                .irp i, 0, 1, 2, 3, 4, 5, 6, 7
                ",
                $next!("288"),
                ".endr\n",
                $end!(),
                r"
                subw r0, r0, #2296
                adds r1, #128
                "
            )
        );
    };
}
#[allow(unused_imports, reason = "an order for another core has them from here")]
pub(super) use {bodies, nothing, products, products_unrolled};

bodies!(first_pair next_pair nothing);
