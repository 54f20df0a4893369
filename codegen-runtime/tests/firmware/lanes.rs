//! Firmware that compares the primitives over vectors, and the kernels that use them, with
//! the portable bodies.
//!
//! In: random numbers. Out: exit code 0, or text that names the first difference.
//! Invariant: both sides work in copies of one arena of random bytes, which must be
//! equal afterwards to the last byte: a byte written beside a buffer is a difference
//! like any other.

#![no_std]
#![no_main]

#[path = "../../../compiler/src/verify/firmware/arch_arm.rs"]
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
        pub mod conv_lanes;
        pub mod depthwise_lanes;
    }
    pub use tinyc_runtime::{requant, rows, view};
}

use harness::{Rng, fault, stack_bounds};
use semihosting::{exit, print, print_fact};
use tinyc_runtime::arch::{self as fast, Columns, Taps, WeightedSum, Windows, portable};
use tinyc_runtime::kernels;
use tinyc_runtime::requant::Out;
use tinyc_runtime::view::{Bytes, Consts};

const ARENA: usize = 16384;
const CONSTS: usize = 24576;

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
        let (lo, hi) = if self.chance(2) { (-128, 127) } else { (lo as i32 - 128, hi) };
        Out { zero_point: self.size(0, 255) as i32 - 128, lo, hi }
    }

    /// Words of biases, multipliers or shifts.
    fn words(&mut self, words: &mut [u8], what: Words) {
        for word in words.chunks_exact_mut(4) {
            let value = match what {
                Words::Bias => self.bits() as i32 >> self.size(0, 24),
                Words::Multiplier => ((self.bits() & 0x7FFF_FFFF) >> self.size(0, 20)) as i32,
                Words::Shift => self.size(0, 5) as i32,
            };
            word.copy_from_slice(&value.to_le_bytes());
        }
    }

    fn weights(&mut self, weights: &mut [u8], least: i8) {
        let same = [Some(127i8), Some(least), None, None, None, None][self.size(0, 5)];
        for weight in weights {
            *weight = same.unwrap_or((self.bits() as i8).max(least)) as u8;
        }
    }
}

#[derive(Clone, Copy)]
enum Words {
    Bias,
    Multiplier,
    Shift,
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

    /// The stream of a layer over windows of `len` codes.
    fn blocks(&mut self, rng: &mut Rng, channels: usize, len: usize, shifts: bool) {
        let bytes = portable::lanes_block_bytes(len, shifts);
        let ends = if shifts { 32 } else { 16 };
        for block in self.consts[..channels.div_ceil(4) * bytes].chunks_exact_mut(bytes) {
            rng.words(&mut block[..16], Words::Bias);
            rng.weights(&mut block[16..bytes - ends], -128);
            rng.words(&mut block[bytes - ends..][..16], Words::Multiplier);
            if shifts {
                rng.words(&mut block[bytes - 16..], Words::Shift);
            }
        }
    }

    /// The stream of a depthwise layer.
    fn groups(&mut self, rng: &mut Rng, channels: usize, shifts: bool) {
        let bytes = portable::depthwise_group_bytes(shifts);
        for group in self.consts[..channels.div_ceil(16) * bytes].chunks_exact_mut(bytes) {
            rng.words(&mut group[..64], Words::Bias);
            rng.weights(&mut group[64..208], -127);
            rng.words(&mut group[208..272], Words::Multiplier);
            if shifts {
                rng.words(&mut group[272..], Words::Shift);
            }
        }
    }

    fn compare(&self, what: &core::ffi::CStr, case: usize, facts: &[usize]) {
        if let Some(at) = (0..ARENA).find(|&at| self.fast[at] != self.portable[at]) {
            print(what);
            print_fact(c" differs in case", case);
            print_fact(c"at byte", at);
            for &fact in facts {
                print_fact(c" ", fact);
            }
            exit(false)
        }
    }
}

/// Primitive by primitive.
fn primitives(memory: &mut Memory, rng: &mut Rng, case: usize) {
    // Windows that overlap, lie apart, or are one.
    let (len, pixels, channels) = (rng.size(1, 150), rng.size(1, 6), rng.size(1, 14));
    let (step, shifts, to) = (rng.size(0, 160), rng.chance(3), rng.out());
    let (from, out) = (rng.size(0, 9), 4000 + rng.size(0, 9));
    memory.refill(rng, 6000);
    memory.blocks(rng, channels, len, shifts);
    let consts = Consts::new(&memory.consts);
    macro_rules! products {
        ($arch:ident, $arena:expr) => {{
            let arena = Bytes::from_mut($arena);
            let codes = arena.sub(from, (pixels - 1) * step + len);
            let windows = Windows { codes, step, len, pixels };
            let out = arena.sub(out, pixels * channels);
            match shifts {
                true => $arch::lanes::<true>(windows, consts, channels, out, &to),
                false => $arch::lanes::<false>(windows, consts, channels, out, &to),
            }
        }};
    }
    products!(fast, &mut memory.fast);
    products!(portable, &mut memory.portable);
    memory.compare(c"lanes", case, &[len, pixels, channels, step, shifts as usize]);

    // Columns to copy, some rows of which are padding.
    let (rows, first, code) = (rng.size(1, 5), rng.size(0, 20), rng.bits() as i8);
    let (columns, width, inside, gaps) = (rng.size(1, 5), rng.size(1, 40), !rng.chance(5), rng.size(0, 31));
    macro_rules! copies {
        ($arch:ident, $arena:expr) => {{
            let arena = Bytes::from_mut($arena);
            let mut table = [None; 5];
            for (y, row) in table.iter_mut().enumerate() {
                *row = (gaps >> y & 1 == 0).then(|| arena.sub(300 * y + from, 220));
            }
            let (rows, to) = (&table[..rows], arena.sub(out, columns * rows * width));
            let columns =
                Columns { rows, inside, first, channels: width, count: columns, pad_code: code };
            $arch::copy_columns(columns, to);
        }};
    }
    copies!(fast, &mut memory.fast);
    copies!(portable, &mut memory.portable);
    memory.compare(c"copy_columns", case, &[rows, columns, width, first, inside as usize, gaps]);

    // Taps anywhere.
    let (channels, pixels, step) = (rng.size(1, 50), rng.size(1, 4), rng.size(0, 120));
    let places = [0; 9].map(|_| rng.size(0, 3000));
    memory.groups(rng, channels, shifts);
    let consts = Consts::new(&memory.consts);
    macro_rules! depthwise {
        ($arch:ident, $arena:expr) => {{
            let arena = Bytes::from_mut($arena);
            let reach = (pixels - 1) * step + channels;
            let taps = Taps { taps: places.map(|place| arena.sub(place, reach)), step, pixels };
            let out = arena.sub(out, pixels * channels);
            match shifts {
                true => $arch::depthwise_lanes::<true>(&taps, consts, channels, out, &to),
                false => $arch::depthwise_lanes::<false>(&taps, consts, channels, out, &to),
            }
        }};
    }
    depthwise!(fast, &mut memory.fast);
    depthwise!(portable, &mut memory.portable);
    memory.compare(c"depthwise_lanes", case, &[channels, pixels, step, shifts as usize]);

    // Sums, also in place.
    let (len, shift) = (rng.size(0, 90), rng.size(0, 22) as u32);
    let mut weight = || (rng.bits() as i32) >> (32 - shift.max(1));
    let sum = WeightedSum { ma: weight(), mb: weight(), c: weight().wrapping_mul(100), shift };
    let (a, b) = (rng.size(0, 200), rng.size(300, 500));
    let to = if rng.chance(3) { a } else { out };
    macro_rules! sums {
        ($arch:ident, $arena:expr) => {{
            let arena = Bytes::from_mut($arena);
            $arch::weighted_sum([arena.sub(a, len), arena.sub(b, len)], arena.sub(to, len), len, &sum);
        }};
    }
    sums!(fast, &mut memory.fast);
    sums!(portable, &mut memory.portable);
    memory.compare(c"weighted_sum", case, &[len, shift as usize]);
}

/// Kernel by kernel.
fn convolutions(memory: &mut Memory, rng: &mut Rng, case: usize) {
    let axis = |rng: &mut Rng, kernel: usize| loop {
        let (size, stride) = (rng.size(1, 8), rng.size(1, 2));
        let (dilation, pad, after) = (if rng.chance(4) { 2 } else { 1 }, rng.size(0, 2), rng.size(0, 2));
        let reach = (kernel - 1) * dilation + 1;
        if size + pad + after >= reach {
            return [size, kernel, stride, dilation, pad, (size + pad + after - reach) / stride + 1];
        }
    };
    let (kernel_h, kernel_w) = (rng.size(1, 3), rng.size(1, 4));
    let (mut h, mut w) = (axis(rng, kernel_h), axis(rng, kernel_w));
    if rng.chance(3) {
        (h, w) = ([h[0], 1, 1, 1, 0, h[0]], [w[0], 1, 1, 1, 0, w[0]]);
    }
    let (in_c, out_c, shifts, out) = (rng.size(1, 20), rng.size(1, 11), rng.chance(4), rng.out());
    let strip = rng.size(1, 4);
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
                _ => kernel::run::<3>(&p, consts, from, to, scratch),
            }
            arena.fill(0, kernel::scratch_bytes(&p));
        }};
    }
    memory.refill(rng, ARENA);
    let (kernel_h, kernel_w) = (h[1], w[1]);
    memory.blocks(rng, out_c, kernel_h * kernel_w * in_c, shifts);
    call!(kernels::conv_lanes, &mut memory.fast, out_c, { out_c, kernel_h, kernel_w, strip });
    call!(plain::kernels::conv_lanes, &mut memory.portable, out_c, { out_c, kernel_h, kernel_w, strip });
    memory.compare(c"conv_lanes", case, &[h[0], w[0], in_c, out_c, kernel_h, kernel_w]);
    (h, w) = (axis(rng, 3), axis(rng, 3));
    memory.refill(rng, ARENA);
    memory.groups(rng, in_c, shifts);
    // Whatever the weights are, a part of them serves several pixels.
    let repeat = if w[2] == 1 && 16 % in_c == 0 { 16 / in_c } else { 1 };
    call!(kernels::depthwise_lanes, &mut memory.fast, in_c, { repeat });
    call!(plain::kernels::depthwise_lanes, &mut memory.portable, in_c, { repeat });
    memory.compare(c"depthwise_lanes", case, &[h[0], w[0], in_c, h[2], w[2]]);
}

#[unsafe(no_mangle)]
extern "C" fn firmware_main() -> ! {
    let memory = &raw mut MEMORY;
    // SAFETY: this function is entered once, and nothing else names MEMORY.
    let memory = unsafe { &mut *memory };
    let mut rng = Rng(0x2468_ACE1);
    for case in 0..3_000 {
        primitives(memory, &mut rng, case);
    }
    for case in 0..600 {
        convolutions(memory, &mut rng, case);
    }
    print_fact(c"equal", 1);
    exit(true)
}
