//! Firmware that compares the assembly with the portable bodies, primitive by
//! primitive and kernel by kernel.
//!
//! In: random numbers. Out: exit code 0, or text that names the first
//! difference. Invariant: both sides work in copies of one arena of random
//! bytes, which must be equal afterwards to the last byte: a byte written beside
//! a buffer is a difference like any other.

#![no_std]
#![no_main]

#[path = "../../../compiler/src/verify/firmware/arch_arm.rs"]
mod arch;
mod elementwise;
mod harness;
mod lines;
#[allow(dead_code)]
#[path = "../../../compiler/src/verify/firmware/semihosting.rs"]
mod semihosting;
mod tiles;
mod unrolled;

/// The kernels once more, over the portable bodies.
#[allow(dead_code, unused_imports)]
#[path = "../../src"]
mod plain {
    pub mod arch {
        pub use tinyc_runtime::arch::portable::*;
        pub const HALVES: bool = true;
        pub use tinyc_runtime::arch::portable_lines::*;
    }
    pub mod kernels {
        pub mod blocks;
        pub mod borders;
        pub mod conv_tile;
        pub mod conv_tile_borders;
        pub mod conv_winograd;
        pub mod dense_tile;
        pub mod depthwise_lines;
        pub mod depthwise_quad;
    }
    pub use tinyc_runtime::{requant, rows, view};
}

use harness::{Rng, fault, stack_bounds};
use semihosting::{exit, print, print_fact};
use tinyc_runtime::arch::{self as fast, portable};
use tinyc_runtime::kernels::{self, blocks};
use tinyc_runtime::requant::Out;
use tinyc_runtime::rows::Rows;
use tinyc_runtime::view::{Bytes, Consts};

const ARENA: usize = 16384;
const STREAM: usize = 32768;

#[repr(C, align(16))]
struct Memory {
    fast: [i8; ARENA],
    portable: [i8; ARENA],
    stream: [u8; STREAM],
}

static mut MEMORY: Memory = Memory { fast: [0; ARENA], portable: [0; ARENA], stream: [0; STREAM] };

impl Memory {
    /// The same random bytes in both arenas; now and then all inputs at an end.
    fn refill(&mut self, rng: &mut Rng, len: usize) {
        let extreme = match rng.size(0, 7) {
            0 => Some(-128),
            1 => Some(127),
            _ => None,
        };
        for byte in &mut self.fast[..len] {
            *byte = rng.bits() as i8;
            if let Some(value) = extreme
                && rng.chance(2)
            {
                *byte = value;
            }
        }
        self.portable[..len].copy_from_slice(&self.fast[..len]);
    }

    /// Random blocks, whose multipliers are legal and of all sizes.
    fn blocks(&mut self, rng: &mut Rng, words: usize, blocks: usize) {
        let bytes = portable::block_bytes(words);
        let same = rng.chance(8).then_some([0x80u8, 0x7F, 0x81][rng.size(0, 2)]);
        for (index, block) in self.stream[..blocks * bytes].chunks_exact_mut(bytes).enumerate() {
            for byte in &mut block[16..bytes - 16] {
                *byte = same.unwrap_or(rng.bits() as u8);
            }
            for (i, start) in block[..16].chunks_exact_mut(4).enumerate() {
                let small = rng.bits() as i32 >> (rng.size(0, 24) + i % 2);
                start.copy_from_slice(&small.to_le_bytes());
            }
            for m in block[bytes - 16..].chunks_exact_mut(4) {
                let small = (rng.bits() & 0x7FFF_FFFF) >> rng.size(0, 20 + index % 3);
                m.copy_from_slice(&small.to_le_bytes());
            }
        }
    }

    /// Blocks for `channels`, of which half of the last one may be left out, as kernels take
    /// them. Returns their bytes.
    fn blocks_of(&mut self, rng: &mut Rng, words: usize, channels: usize) -> usize {
        self.blocks(rng, words, channels.div_ceil(4));
        let (all, bytes) =
            (channels.div_ceil(4) * portable::block_bytes(words), blocks::stream_bytes(channels, words));
        if bytes < all {
            self.stream.copy_within(all - 16..all - 8, bytes - 8);
        }
        bytes
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

/// Rows of a tensor at places of their own: in order or backwards, with bytes
/// of nobody's between them.
struct Places {
    offsets: [u16; 40],
    rows: usize,
    row_bytes: usize,
}

impl Places {
    fn new(rng: &mut Rng, (start, end): (usize, usize), rows: usize, row_bytes: usize) -> Places {
        let room = ((end - start) / rows).saturating_sub(row_bytes);
        let pitch = row_bytes + rng.size(0, room.min(9));
        let back = rng.chance(2);
        let mut offsets = [0; 40];
        for (row, offset) in offsets[..rows].iter_mut().enumerate() {
            *offset = (start + pitch * if back { rows - 1 - row } else { row }) as u16;
        }
        Places { offsets, rows, row_bytes }
    }

    /// Whether a row lies behind the one before it.
    fn forward(&self) -> bool {
        self.offsets[..self.rows].is_sorted()
    }

    fn of<'a>(&'a self, arena: Bytes<'a>) -> Rows<'a> {
        Rows::new(arena, &self.offsets[..self.rows], 0, self.row_bytes)
    }
}

/// Bytes `start..` of an arena.
fn run(arena: &mut [i8], start: usize) -> Bytes<'_> {
    let len = arena.len() - start;
    Bytes::from_mut(arena).sub(start, len)
}

/// Codes to tiles: pairs of pixels, columns of windows, rows of four codes.
fn widening(memory: &mut Memory, rng: &mut Rng, case: usize) {
    let (quads, pairs, step) = (rng.size(1, 20), rng.size(1, 5), rng.size(0, 50));
    let codes = [8000 + rng.size(0, 99), 8000 + rng.size(0, 99)];
    memory.refill(rng, ARENA);
    macro_rules! pairs {
        ($arch:ident, $arena:expr) => {{
            let arena = run($arena, 0);
            let codes = codes.map(|at| arena.sub(at, (pairs - 1) * step + 4 * quads));
            $arch::widen_pairs(codes, step, quads, arena.sub(0, 16 * quads * pairs), pairs);
        }};
    }
    pairs!(fast, &mut memory.fast);
    pairs!(portable, &mut memory.portable);
    memory.compare(c"widen_pairs", case, &[quads, pairs, step]);
    let channels = match rng.size(0, 3) {
        0 => 4 * rng.size(1, 9),
        1 => 3,
        _ => rng.size(1, 21),
    };
    let height = if rng.chance(2) { 3 } else { rng.size(1, 5) };
    let (count, first, inside) = (rng.size(1, 6), rng.size(0, 5), !rng.chance(5));
    let (odd, missing) = (rng.size(0, 3), [0; 5].map(|_| rng.chance(6)));
    let columns = count * 8 * portable::column_words(channels, height);
    // Pixel 1 lies some columns before pixel 0, or is the same.
    let back = columns / count * rng.size(0, 2);
    let places = if rng.chance(3) { [back + 4; 2] } else { [back, 4] };
    // A few codes of padding, or so many that nothing of the row is left.
    let skip = if rng.chance(2) { rng.size(0, 10) as isize - 5 } else { rng.size(0, 80) as isize - 40 };
    let pixel = rng.size(0, 1);
    memory.refill(rng, ARENA);
    macro_rules! widen {
        ($arch:ident, $arena:expr) => {{
            let arena = run($arena, 0);
            let row = |i: usize| {
                (!missing[i]).then(|| arena.sub(8200 + 200 * i + odd, (first + count * channels).max(9)))
            };
            let rows = [row(0), row(1), row(2), row(3), row(4)];
            let rows = &rows[..height];
            let columns = $arch::Columns { rows, inside, first, channels, count, pad_code: -7 };
            $arch::widen_columns(columns, arena, places);
            let four = $arch::Four { first, skip, pad_code: 5 };
            $arch::widen_fours(rows, four, arena.sub(9600, 16 * height), pixel);
        }};
    }
    widen!(fast, &mut memory.fast);
    widen!(portable, &mut memory.portable);
    let facts = [channels, height, count, first, usize::from(inside), places[0], places[1]];
    memory.compare(c"widen_columns or widen_fours", case, &facts);
}

fn requantization(rng: &mut Rng, case: usize) {
    let shift = rng.size(0, 24);
    let (acc, m) = (rng.bits() as i32 >> shift, (rng.bits() & 0x7FFF_FFFF) as i32 >> rng.size(0, 20));
    let k = if rng.chance(4) { rng.size(0, 5) as u32 } else { 0 };
    let lo = rng.size(0, 255) as i32 - 128;
    let hi = rng.size((lo + 128) as usize, 255) as i32 - 128;
    let out = Out { zero_point: rng.size(0, 255) as i32 - 128, lo, hi };
    if fast::requantize(acc, m, k, out) != portable::requantize(acc, m, k, out) {
        print_fact(c"requantize differs in case", case);
        exit(false)
    }
}

/// Full range two times of three.
fn out(rng: &mut Rng) -> Out {
    let lo = rng.size(0, 200) as i32 - 128;
    let (lo, hi) =
        if rng.chance(3) { (lo, lo + rng.size(0, 127 - lo as usize % 128) as i32) } else { (-128, 127) };
    Out { zero_point: rng.size(0, 255) as i32 - 128, lo, hi: hi.min(127) }
}

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
    let (in_c, out_c) = (rng.size(1, 13), rng.size(1, 11));
    macro_rules! params {
        ($module:path) => {{
            use $module as kernel;
            kernel::Params {
                in_h: h[0],
                in_w: w[0],
                in_c,
                out_h: h[5],
                out_w: w[5],
                out_c,
                kernel_h: h[1],
                kernel_w: w[1],
                stride_h: h[2],
                stride_w: w[2],
                pad_top: h[4],
                pad_left: w[4],
                dilation_h: h[3],
                dilation_w: w[3],
                pad_code: -7,
                strip: 1 + case % 4,
                dual: case % 3 > 0,
                shifts: case % 4 == 0,
                out: Out { zero_point: 0, lo: -128, hi: 127 },
            }
        }};
    }
    let mut p = params!(kernels::conv_tile);
    let mut q = params!(plain::kernels::conv_tile);
    p.out = out(rng);
    q.out = p.out;
    let words = p.words();
    memory.refill(rng, ARENA);
    let bytes = memory.blocks_of(rng, words, out_c);
    for k in &mut memory.stream[bytes..][..12] {
        *k &= 3;
    }
    let at = bytes + if p.shifts { out_c } else { 0 };
    harness::border_classes(rng, &mut memory.stream[at.next_multiple_of(4)..], [h[5], w[5], out_c]);
    let bordered = rng.chance(3);
    let stream = Consts::new(&memory.stream);
    let input = 4096 + rng.size(0, 3);
    let output = 8192 + rng.size(0, 3);
    let from_rows = Places::new(rng, (input, 8192), h[0], w[0] * in_c);
    let to_rows = Places::new(rng, (output, ARENA), h[5], w[5] * out_c);
    let by_rows = !bordered && rng.chance(2);
    macro_rules! call {
        ($module:path, $borders:path, $p:expr, $arena:expr) => {{
            use $borders as borders;
            use $module as kernel;
            let arena = run($arena, 0);
            let from = arena.sub(input, h[0] * w[0] * in_c);
            let to = arena.sub(output, h[5] * w[5] * out_c);
            let scratch = arena.sub(0, kernel::scratch_bytes(&$p));
            if by_rows {
                for y in (0..h[5]).step_by(2) {
                    let part = (y, 2.min(h[5] - y));
                    let (from, to) = (from_rows.of(arena), to_rows.of(arena));
                    kernel::run_rows::<8, 2>(&$p.layer(), stream, from, to, part, scratch);
                }
            } else if bordered && h[1] <= 3 {
                borders::run::<3>(&$p.layer(), stream, from, to, scratch);
            } else {
                match h[1] {
                    1 => kernel::run::<1>(&$p.layer(), stream, from, to, scratch),
                    2 => kernel::run::<2>(&$p.layer(), stream, from, to, scratch),
                    3 => kernel::run::<3>(&$p.layer(), stream, from, to, scratch),
                    _ => kernel::run::<4>(&$p.layer(), stream, from, to, scratch),
                }
            }
        }};
    }
    call!(kernels::conv_tile, kernels::conv_tile_borders, p, &mut memory.fast);
    call!(plain::kernels::conv_tile, plain::kernels::conv_tile_borders, q, &mut memory.portable);
    memory.compare(c"conv_tile", case, &[h[0], w[0], in_c, out_c, h[1], w[1]]);
}

fn dense(memory: &mut Memory, rng: &mut Rng, case: usize) {
    let (rows, in_features, out_features) = (rng.size(1, 3), rng.size(1, 90), rng.size(1, 13));
    let (dual, shifts, out) = (case % 3 > 0, case % 4 == 0, out(rng));
    memory.refill(rng, 2048);
    let bytes = memory.blocks_of(rng, 2 * in_features.div_ceil(4), out_features);
    for k in &mut memory.stream[bytes..][..16] {
        *k &= 3;
    }
    let stream = Consts::new(&memory.stream);
    let (input, output) = (rng.size(0, 7), 512 + rng.size(0, 7));
    {
        let p = kernels::dense_tile::Params { rows, in_features, out_features, dual, shifts, out };
        let arena = run(&mut memory.fast, 0);
        let from = arena.sub(input, rows * in_features);
        let to = arena.sub(output, rows * out_features);
        let scratch = arena.sub(1024, kernels::dense_tile::scratch_bytes(&p));
        kernels::dense_tile::run(&p, stream, from, to, scratch);
    }
    {
        let p = plain::kernels::dense_tile::Params { rows, in_features, out_features, dual, shifts, out };
        let arena = run(&mut memory.portable, 0);
        let from = arena.sub(input, rows * in_features);
        let to = arena.sub(output, rows * out_features);
        let scratch = arena.sub(1024, plain::kernels::dense_tile::scratch_bytes(&p));
        plain::kernels::dense_tile::run(&p, stream, from, to, scratch);
    }
    memory.compare(c"dense_tile", case, &[rows, in_features, out_features]);
}

fn depthwise(memory: &mut Memory, rng: &mut Rng, case: usize) {
    let stride = rng.size(1, 2);
    let axis = |rng: &mut Rng, most: usize| loop {
        let (size, pad, after) = (rng.size(1, most), rng.size(0, 2), rng.size(0, 2));
        if size + pad + after >= 3 {
            return [size, pad, (size + pad + after - 3) / stride + 1];
        }
    };
    let (h, w, channels) = if rng.chance(2) {
        (axis(rng, 11), axis(rng, 36), rng.size(4, 13))
    } else {
        (axis(rng, 36), axis(rng, 11), rng.size(4, 13))
    };
    let (rows, columns) = (rng.size(1, 16 / stride), 2 * rng.size(1, 8 / stride));
    let zero_point = rng.size(0, 255) as i32 - 128;
    let lo = if rng.chance(3) { rng.size(0, 99) as i32 - 128 } else { -128 };
    let hi = if rng.chance(3) { rng.size(0, 99) as i32 } else { 127 };
    memory.refill(rng, ARENA);
    memory.blocks(rng, 1, 1);
    for quad in memory.stream[..68 * channels.div_ceil(4)].chunks_exact_mut(68) {
        for (i, byte) in quad.iter_mut().enumerate() {
            // Multipliers keep their sign, biases are small.
            let multiplier = i < 32 && i % 8 > 3;
            *byte = if multiplier && i % 4 == 3 {
                (rng.size(0, 127) >> rng.size(0, 7)) as u8
            } else {
                rng.bits() as u8
            };
            if i < 32 && i % 8 > 1 && !multiplier {
                *byte = 0;
            }
        }
    }
    let stream = Consts::new(&memory.stream);
    let (input, output) = (3072 + rng.size(0, 3), 8448 + rng.size(0, 3));
    let from_rows = Places::new(rng, (input, 8448), h[0], w[0] * channels);
    let to_rows = Places::new(rng, (output, ARENA), h[2], w[2] * channels);
    let by_rows = rng.chance(2);
    macro_rules! call {
        ($module:path, $out:path, $arena:expr) => {{
            use $module as kernel;
            use $out as Range;
            let p = kernel::Params {
                in_h: h[0],
                in_w: w[0],
                channels,
                out_h: h[2],
                out_w: w[2],
                stride,
                pad_top: h[1],
                pad_left: w[1],
                pad_code: -7,
                rows,
                columns,
                out: Range { zero_point, lo, hi },
            };
            let arena = run($arena, 0);
            let from = arena.sub(input, h[0] * w[0] * channels);
            let to = arena.sub(output, h[2] * w[2] * channels);
            let scratch = arena.sub(0, kernel::scratch_bytes(&p));
            if by_rows {
                for y in 0..h[2] {
                    let (from, to) = (from_rows.of(arena), to_rows.of(arena));
                    kernel::run_rows(&p.layer(), stream, from, to, (y, 1), scratch);
                }
            } else {
                kernel::run::<3>(&p.layer(), stream, from, to, scratch);
            }
        }};
    }
    call!(kernels::depthwise_quad, tinyc_runtime::requant::Out, &mut memory.fast);
    call!(plain::kernels::depthwise_quad, plain::requant::Out, &mut memory.portable);
    memory.compare(c"depthwise_quad", case, &[h[0], w[0], h[2], w[2], channels, stride]);
}

fn winograd(memory: &mut Memory, rng: &mut Rng, case: usize) {
    let axis = |rng: &mut Rng| loop {
        let (size, pad, after) = (rng.size(1, 11), rng.size(0, 2), rng.size(0, 2));
        if size + pad + after >= 3 {
            return [size, pad, size + pad + after - 2];
        }
    };
    let (h, w) = (axis(rng), axis(rng));
    let (tile_h, tile_w) = [(2, 2), (2, 4), (4, 4)][case % 3];
    let (in_c, out_c) = (rng.size(1, 12) * if rng.chance(2) { 4 } else { 1 }, rng.size(1, 9));
    let (in_c, zero_point) = (in_c.min(32), rng.size(0, 255) as i32 - 128);
    let lo = if rng.chance(3) { rng.size(0, 99) as i32 - 128 } else { -128 };
    memory.refill(rng, ARENA);
    // Any weights and biases; multipliers keep their sign.
    let positions = (tile_h + 2) * (tile_w + 2);
    let block = portable::winograd_block_bytes::<1, 1>(positions * in_c.div_ceil(4) * 2);
    for block in memory.stream[..block * out_c.div_ceil(4)].chunks_exact_mut(block) {
        for byte in block.iter_mut() {
            *byte = rng.bits() as u8;
        }
        for m in block[16..32].chunks_exact_mut(4) {
            m.copy_from_slice(&((rng.bits() & 0x7FFF_FFFF) >> rng.size(0, 20)).to_le_bytes());
        }
    }
    let stream = Consts::new(&memory.stream);
    // 5,824 bytes of scratch at most.
    let (input, output) = (7000 + rng.size(0, 3), 12000 + rng.size(0, 3));
    let from_rows = Places::new(rng, (input, 12000), h[0], w[0] * in_c);
    let to_rows = Places::new(rng, (output, ARENA), h[2], w[2] * out_c);
    let by_rows = rng.chance(2);
    macro_rules! call {
        ($module:path, $out:path, $arena:expr) => {{
            use $module as kernel;
            use $out as Range;
            let p = kernel::Params {
                in_h: h[0],
                in_w: w[0],
                in_c,
                out_h: h[2],
                out_w: w[2],
                out_c,
                pad_top: h[1],
                pad_left: w[1],
                pad_code: -7,
                tile_h,
                tile_w,
                out: Range { zero_point, lo, hi: 127 },
            };
            let arena = run($arena, 0);
            let from = arena.sub(input, h[0] * w[0] * in_c);
            let to = arena.sub(output, h[2] * w[2] * out_c);
            let scratch = kernel::scratch_bytes(&p);
            if by_rows {
                for y in (0..h[2]).step_by(tile_h) {
                    let part = (y, tile_h.min(h[2] - y));
                    let (from, to) = (from_rows.of(arena), to_rows.of(arena));
                    kernel::run_rows(&p, stream, from, to, part, arena.sub(0, scratch));
                }
            } else {
                kernel::run(&p, stream, from, to, arena.sub(0, scratch));
            }
            // Products are transformed in place or not: what is left of them differs.
            arena.fill(0, scratch);
        }};
    }
    call!(kernels::conv_winograd, tinyc_runtime::requant::Out, &mut memory.fast);
    call!(plain::kernels::conv_winograd, plain::requant::Out, &mut memory.portable);
    memory.compare(c"conv_winograd", case, &[h[0], w[0], in_c, out_c, tile_h, tile_w]);
}

#[unsafe(no_mangle)]
extern "C" fn firmware_main() -> ! {
    let memory = &raw mut MEMORY;
    // SAFETY: this function is entered once, and nothing else names MEMORY.
    let memory = unsafe { &mut *memory };
    let mut rng = Rng(0x1234_5678);
    for case in 0..12_000 {
        tiles::tiles::<true>(memory, &mut rng, case);
        tiles::tiles::<false>(memory, &mut rng, case);
        tiles::rows::<true>(memory, &mut rng, case);
        tiles::rows::<false>(memory, &mut rng, case);
    }
    for case in 0..2_000 {
        unrolled::shapes(memory, &mut rng, case);
    }
    for case in 0..3_000 {
        widening(memory, &mut rng, case);
    }
    for case in 0..100_000 {
        requantization(&mut rng, case);
    }
    for case in 0..4_000 {
        elementwise::elements(memory, &mut rng, case);
        lines::clamp(memory, &mut rng, case);
    }
    for case in 0..600 {
        elementwise::pixels::<1>(memory, &mut rng, case);
        elementwise::pixels::<2>(memory, &mut rng, case);
        elementwise::pixels::<4>(memory, &mut rng, case);
        elementwise::pixels::<5>(memory, &mut rng, case);
        convolutions(memory, &mut rng, case);
        dense(memory, &mut rng, case);
        depthwise(memory, &mut rng, case);
        winograd(memory, &mut rng, case);
        lines::shapes(memory, &mut rng, case);
    }
    print_fact(c"equal", 1);
    exit(true)
}
