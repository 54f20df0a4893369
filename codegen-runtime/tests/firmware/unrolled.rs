//! The tile kernel's bodies for single shapes against the portable body for all.
//!
//! In: memory and random numbers. Out: nothing, or the end of the program with the case
//! that differs. Invariant: shapes end in every number of channels beyond fours, and in
//! words that loads of 16 bits reach and that they do not.

use super::{Memory, Rng, exit, fast, portable, print_fact, run};
use tinyc_runtime::arch;
use tinyc_runtime::view::Consts;

/// A case of each shape.
pub fn shapes(memory: &mut Memory, rng: &mut Rng, case: usize) {
    shape::<2, 1>(memory, rng, case);
    shape::<3, 4>(memory, rng, case);
    shape::<15, 8>(memory, rng, case);
    shape::<16, 6>(memory, rng, case);
    shape::<31, 15>(memory, rng, case);
    shape::<34, 3>(memory, rng, case);
    shape::<128, 13>(memory, rng, case);
}

/// An unrolled body; where the outputs of a pair are apart it must leave them alone.
fn shape<const WORDS: usize, const CHANNELS: usize>(memory: &mut Memory, rng: &mut Rng, case: usize) {
    let (pairs, step) = (rng.size(1, 4), 4 * rng.size(0, 2 * WORDS + 2));
    let (zero_point, start) = (rng.size(0, 255) as i32 - 128, 6000 + rng.size(0, 9));
    let apart = rng.chance(9);
    memory.refill(rng, 6400);
    let (whole, bytes) = (CHANNELS.div_ceil(4), portable::block_bytes(WORDS));
    memory.blocks(rng, WORDS, whole + 1);
    let stream = Consts::new(&memory.stream);
    let last = stream.sub(whole * bytes, bytes);
    for at in 0..3000 {
        for arena in [&mut memory.fast, &mut memory.portable] {
            arena[2 * at + 1] = arena[2 * at] >> 7;
        }
    }
    let len = (2 * pairs - 1) * CHANNELS;
    let outs = [start, start + CHANNELS + usize::from(apart)];
    {
        let arena = run(&mut memory.fast, 0);
        let tiles = fast::Tiles { tiles: arena, step, words: WORDS, pairs };
        let out = outs.map(|out| arena.sub(out, len));
        if arch::unrolled_2x4::<WORDS, CHANNELS>(tiles, stream, last, out, zero_point) == apart {
            print_fact(c"unrolled_2x4 takes the wrong outputs in case", case);
            exit(false)
        }
    }
    if !apart {
        let arena = run(&mut memory.portable, 0);
        let tiles = portable::Tiles { tiles: arena, step, words: WORDS, pairs };
        let out = outs.map(|out| arena.sub(out, len));
        portable::tiles_2x4::<true>(tiles, stream, last, CHANNELS, out, zero_point);
    }
    memory.compare(c"unrolled_2x4", case, &[WORDS, CHANNELS, pairs, step]);
}
