//! The primitives of element-wise and pooling kernels: assembly against portable
//! bodies, as `kernels.rs` says.

use super::{Memory, Rng, exit, fast, portable, print_fact, run};
use tinyc_runtime::view::Consts;

/// Weighted sums and tables, apart and in place.
pub fn elements(memory: &mut Memory, rng: &mut Rng, case: usize) {
    memory.refill(rng, 2048);
    let len = rng.size(0, 70);
    let shift = if rng.chance(2) { 22 } else { rng.size(0, 31) as u32 };
    let (ma, mb, c) = (rng.bits() as i32 >> rng.size(0, 16), rng.bits() as i32 >> 8, rng.bits() as i32 >> 1);
    let sum = portable::WeightedSum { ma, mb, c, shift };
    let (a, b) = (rng.size(0, 9), 128 + rng.size(0, 9));
    let out = [a, b, 256 + rng.size(0, 9)][rng.size(0, 2)];
    {
        let arena = run(&mut memory.fast, 0);
        let operands = [arena.sub(a, len), arena.sub(b, len)];
        fast::weighted_sum(operands, arena.sub(out, len), len, &sum);
    }
    {
        let arena = run(&mut memory.portable, 0);
        let operands = [arena.sub(a, len), arena.sub(b, len)];
        portable::weighted_sum(operands, arena.sub(out, len), len, &sum);
    }
    memory.compare(c"weighted_sum", case, &[len, shift as usize]);
    for byte in &mut memory.stream[..256] {
        *byte = rng.bits() as u8;
    }
    let table = Consts::new(&memory.stream);
    {
        let arena = run(&mut memory.fast, 0);
        fast::look_up(table, arena.sub(a, len), arena.sub(out, len), len);
    }
    {
        let arena = run(&mut memory.portable, 0);
        portable::look_up(table, arena.sub(a, len), arena.sub(out, len), len);
    }
    memory.compare(c"look_up", case, &[len]);
}

/// Sums and maxima of pixels, in several runs, of more pixels than 16 bits hold.
pub fn pixels<const WORDS: usize>(memory: &mut Memory, rng: &mut Rng, case: usize) {
    memory.refill(rng, 16384);
    let step = 4 * WORDS + rng.size(0, 5);
    let start = rng.bits() as i32 >> 8;
    let mut sums = (fast::PixelSums::<WORDS>::new(start), portable::PixelSums::<WORDS>::new(start));
    let mut maxima = (fast::PixelMaxima::<WORDS>::new(), portable::PixelMaxima::<WORDS>::new());
    for _ in 0..rng.size(1, 3) {
        let count = if rng.chance(8) { rng.size(200, 500) } else { rng.size(0, 40) };
        let from = rng.size(0, 99);
        let codes = run(&mut memory.fast, from);
        sums.0.add(codes, step, count);
        maxima.0.add(codes, step, count);
        let codes = run(&mut memory.portable, from);
        sums.1.add(codes, step, count);
        maxima.1.add(codes, step, count);
    }
    if sums.0.finish() != sums.1.finish() || maxima.0.finish() != maxima.1.finish() {
        print_fact(c"sums or maxima differ in case", case);
        print_fact(c"words", WORDS);
        exit(false)
    }
    memory.compare(c"sums or maxima", case, &[WORDS]);
}
