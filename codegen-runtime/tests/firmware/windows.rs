//! Firmware that compares the primitives over windows, and the kernels that use
//! them, with the portable bodies.
//!
//! In: random numbers. Out: exit code 0, or text that names the first difference.
//! Invariant: both sides work in copies of one arena of random bytes, which must be
//! equal afterwards to the last byte, scratch aside: a byte written beside a buffer
//! is a difference like any other.

#![no_std]
#![no_main]

#[cfg_attr(target_arch = "arm", path = "../../../compiler/src/verify/firmware/arch_arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "../../../compiler/src/verify/firmware/arch_riscv.rs")]
mod arch;
mod harness;
#[allow(dead_code)]
#[path = "../../../compiler/src/verify/firmware/semihosting.rs"]
mod semihosting;

/// The kernels once more, over the portable bodies.
#[allow(dead_code)]
#[path = "../../src"]
mod plain {
    pub mod arch {
        pub use tinyc_runtime::arch::portable::*;
    }
    pub mod kernels {
        pub mod channels;
        pub mod conv_window;
        pub mod depthwise_window;
        pub mod window;
    }
    pub use tinyc_runtime::{requant, rows, view};
}

#[cfg(target_arch = "arm")]
use harness::stack_bounds;
use harness::{Rng, fault};
use semihosting::{exit, print, print_fact};
use tinyc_runtime::arch::{self as fast, portable};
use tinyc_runtime::kernels;
use tinyc_runtime::requant::Out;
use tinyc_runtime::view::{Bytes, Consts};

const ARENA: usize = 16384;
const CONSTS: usize = 8192;

#[repr(C, align(16))]
struct Memory {
    fast: [i8; ARENA],
    portable: [i8; ARENA],
    consts: [u8; CONSTS],
}

static mut MEMORY: Memory = Memory { fast: [0; ARENA], portable: [0; ARENA], consts: [0; CONSTS] };

impl Rng {
    fn out(&mut self) -> Out {
        let lo = self.size(0, 255);
        let hi = self.size(lo, 255) as i32 - 128;
        Out { zero_point: self.size(0, 255) as i32 - 128, lo: lo as i32 - 128, hi }
    }
}

impl Memory {
    /// The same random bytes in both arenas; now and then many inputs at an end.
    fn refill(&mut self, rng: &mut Rng, len: usize) {
        let extreme = [Some(-128), Some(127), None, None, None, None][rng.size(0, 5)];
        for byte in &mut self.fast[..len] {
            *byte = rng.bits() as i8;
            if let Some(value) = extreme
                && !rng.chance(4)
            {
                *byte = value;
            }
        }
        self.portable[..len].copy_from_slice(&self.fast[..len]);
    }

    /// Constants of a layer: biases, multipliers, shifts, weights from -127 to 127.
    fn layer(&mut self, rng: &mut Rng, channels: usize, shifts: bool, weights: usize) {
        for bias in self.consts[..4 * channels].chunks_exact_mut(4) {
            bias.copy_from_slice(&(rng.bits() as i32 >> rng.size(0, 24)).to_le_bytes());
        }
        for m in self.consts[4 * channels..8 * channels].chunks_exact_mut(4) {
            m.copy_from_slice(&((rng.bits() & 0x7FFF_FFFF) >> rng.size(0, 20)).to_le_bytes());
        }
        let mut at = 8 * channels;
        if shifts {
            for k in &mut self.consts[at..at + channels] {
                *k = rng.size(0, 3) as u8;
            }
            at += (channels + 3) & !3;
        }
        let same = [Some(127i8), Some(-127), None, None, None, None][rng.size(0, 5)];
        for weight in &mut self.consts[at..at + weights] {
            *weight = same.unwrap_or((rng.bits() as i8).max(-127)) as u8;
        }
    }

    fn compare(&self, what: &core::ffi::CStr, case: usize, facts: &[usize]) {
        if let Some(at) = (0..ARENA).find(|&at| self.fast[at] != self.portable[at]) {
            differs(what, case, at, facts);
        }
    }
}

fn differs(what: &core::ffi::CStr, case: usize, at: usize, facts: &[usize]) -> ! {
    print(what);
    print_fact(c" differs in case", case);
    print_fact(c"at byte", at);
    for &fact in facts {
        print_fact(c" ", fact);
    }
    exit(false)
}

fn requantization(rng: &mut Rng, case: usize) {
    let (acc, m) = (rng.bits() as i32 >> rng.size(0, 24), (rng.bits() & 0x7FFF_FFFF) as i32 >> rng.size(0, 20));
    // Ends of halves and of words, too.
    let acc = [acc, acc | 0xFFFF, acc & !0xFFFF, i32::MIN, i32::MAX][rng.size(0, 4)];
    let m = [m, m | 0xFFFF, m & !0xFFFF, i32::MAX][rng.size(0, 3)];
    let k = if rng.chance(4) { rng.size(0, 5) as u32 } else { 0 };
    let out = rng.out();
    if fast::requantize(acc, m, k, out) != portable::requantize(acc, m, k, out) {
        differs(c"requantize", case, 0, &[acc as usize, m as usize, k as usize]);
    }
}

/// Primitive by primitive.
fn primitives(memory: &mut Memory, rng: &mut Rng, case: usize) {
    let len = rng.size(1, 300);
    memory.refill(rng, 3000);
    memory.layer(rng, 4, false, 4 * len);
    let (first, second) = (2048 + rng.size(0, 9), 2400 + rng.size(0, 9));
    let (biases, multipliers, weights, codes) = (0, 16, 32, 1300 + rng.size(0, 9));
    let out = rng.out();
    // Taps of columns, at any distance and alignment.
    let (count, step) = (rng.size(1, 25), rng.size(4, 11));
    let (column, filter) = (rng.size(0, 9), rng.size(0, 9));
    let consts = Consts::new(&memory.consts);
    macro_rules! side {
        ($arch:ident, $arena:expr) => {{
            let arena = Bytes::from_mut($arena);
            let pair = arena.sub(0, 4 * len);
            $arch::pair_windows(arena.sub(first, len), arena.sub(second, len), len, pair);
            let sums = $arch::window_sums(pair, len, consts.sub(weights, 4 * len));
            let codes = arena.sub(codes, 4);
            $arch::requantize_four(&sums[0], consts.sub(biases, 16), consts.sub(multipliers, 16), codes, &out);
            pair.fill(0, 4 * len);
            let reach = (count - 1) * step + 4;
            let window = arena.sub(first + column, reach);
            (sums, $arch::column_sums(window, consts.sub(weights + filter, reach), step, count))
        }};
    }
    let sums = side!(fast, &mut memory.fast);
    if sums != side!(portable, &mut memory.portable) {
        differs(c"sums", case, 0, &[len, count, step]);
    }
    memory.compare(c"primitives", case, &[len, count, step]);
}

/// Kernel by kernel.
fn convolutions(memory: &mut Memory, rng: &mut Rng, case: usize) {
    let axis = |rng: &mut Rng| loop {
        let (size, kernel, stride) = (rng.size(1, 8), rng.size(1, 4), rng.size(1, 2));
        let (dilation, pad, after) = (if rng.chance(4) { 2 } else { 1 }, rng.size(0, 2), rng.size(0, 2));
        let reach = (kernel - 1) * dilation + 1;
        if size + pad + after >= reach {
            return [size, kernel, stride, dilation, pad, (size + pad + after - reach) / stride + 1];
        }
    };
    let (mut h, mut w) = (axis(rng), axis(rng));
    if rng.chance(3) {
        (h, w) = ([h[0], 1, 1, 1, 0, h[0]], [w[0], 1, 1, 1, 0, w[0]]);
    }
    let (in_c, out_c, shifts, out) = (rng.size(1, 13), rng.size(1, 11), rng.chance(4), rng.out());
    let (input, output) = (4096 + rng.size(0, 3), 9000 + rng.size(0, 3));
    macro_rules! call {
        ($module:path, $arena:expr, $out_c:expr, { $($field:ident),* }) => {{
            use $module as kernel;
            let p = kernel::Params {
                in_h: h[0],
                in_w: w[0],
                in_c,
                out_h: h[5],
                out_w: w[5],
                kernel_h: h[1],
                kernel_w: w[1],
                stride_h: h[2],
                stride_w: w[2],
                pad_top: h[4],
                pad_left: w[4],
                dilation_h: h[3],
                dilation_w: w[3],
                pad_code: -7,
                shifts,
                out,
                $($field),*
            };
            let arena = Bytes::from_mut($arena);
            let from = arena.sub(input, h[0] * w[0] * in_c);
            let to = arena.sub(output, h[5] * w[5] * $out_c);
            let scratch = arena.sub(0, kernel::scratch_bytes(&p));
            let consts = Consts::new(&memory.consts);
            match h[1] {
                1 => kernel::run::<1>(&p, consts, from, to, scratch),
                2 => kernel::run::<2>(&p, consts, from, to, scratch),
                3 => kernel::run::<3>(&p, consts, from, to, scratch),
                _ => kernel::run::<4>(&p, consts, from, to, scratch),
            }
            arena.fill(0, kernel::scratch_bytes(&p));
        }};
    }
    memory.refill(rng, ARENA);
    memory.layer(rng, out_c, shifts, out_c.div_ceil(4) * 4 * h[1] * w[1] * in_c);
    call!(kernels::conv_window, &mut memory.fast, out_c, { out_c });
    call!(plain::kernels::conv_window, &mut memory.portable, out_c, { out_c });
    memory.compare(c"conv_window", case, &[h[0], w[0], in_c, out_c, h[1], w[1]]);
    memory.refill(rng, ARENA);
    memory.layer(rng, in_c, shifts, h[1] * w[1] * in_c);
    call!(kernels::depthwise_window, &mut memory.fast, in_c, {});
    call!(plain::kernels::depthwise_window, &mut memory.portable, in_c, {});
    memory.compare(c"depthwise_window", case, &[h[0], w[0], in_c, h[1], w[1]]);
}

#[unsafe(no_mangle)]
extern "C" fn firmware_main() -> ! {
    let memory = &raw mut MEMORY;
    // SAFETY: this function is entered once, and nothing else names MEMORY.
    let memory = unsafe { &mut *memory };
    let mut rng = Rng(0x1234_5678);
    for case in 0..100_000 {
        requantization(&mut rng, case);
    }
    for case in 0..6_000 {
        primitives(memory, &mut rng, case);
    }
    for case in 0..600 {
        convolutions(memory, &mut rng, case);
    }
    print_fact(c"equal", 1);
    exit(true)
}
