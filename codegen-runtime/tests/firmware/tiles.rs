//! Tiles and rows by blocks of four channels against the portable bodies.
//!
//! In: memory and random numbers. Out: nothing, or the end of the program with the case
//! that differs. Invariant: the block of the channels beyond whole fours is not where the
//! others end.

use super::{Memory, Rng, exit, fast, portable, print_fact, run};
use tinyc_runtime::view::Consts;

/// Two pixels by four channels.
pub fn tiles<const DUAL: bool>(memory: &mut Memory, rng: &mut Rng, case: usize) {
    let (words, channels) = (rng.size(2, 150), rng.size(1, 16));
    let pairs = rng.size(1, 4);
    // From tile to tile: apart, or overlapping.
    let step = 4 * rng.size(0, 2 * words + 2);
    let zero_point = rng.size(0, 255) as i32 - 128;
    // Tiles, then outputs of two pixels, apart and at any alignment.
    let mut outs = [6000 + rng.size(0, 9), 6200 + rng.size(0, 9)];
    if pairs > 1 {
        outs[1] = outs[0] + channels;
    } else if rng.chance(4) {
        outs[1] = outs[0];
    }
    memory.refill(rng, 6400);
    // The block of the channels beyond whole fours is somewhere else.
    let (whole, bytes) = (channels.div_ceil(4), portable::block_bytes(words));
    memory.blocks(rng, words, whole + 1);
    let stream = Consts::new(&memory.stream);
    let last = stream.sub(whole * bytes, bytes);
    // Activations are codes.
    for at in 0..3000 {
        for arena in [&mut memory.fast, &mut memory.portable] {
            arena[2 * at + 1] = arena[2 * at] >> 7;
        }
    }
    macro_rules! all {
        ($arch:ident, $arena:expr) => {{
            let arena = run($arena, 0);
            let len = (2 * pairs - 1) * channels;
            let tiles = $arch::Tiles { tiles: arena, step, words, pairs };
            let out = outs.map(|out| arena.sub(out, len));
            $arch::tiles_2x4::<DUAL>(tiles, stream, last, channels, out, zero_point);
        }};
    }
    all!(fast, &mut memory.fast);
    all!(portable, &mut memory.portable);
    memory.compare(c"tiles_2x4", case, &[words, channels, pairs, step, usize::from(DUAL)]);
    let got = fast::sums_2x4::<DUAL>(run(&mut memory.fast, 0), words, stream);
    if got != portable::sums_2x4::<DUAL>(run(&mut memory.portable, 0), words, stream) {
        print_fact(c"sums_2x4 differs in case", case);
        exit(false)
    }
}

/// One run of codes.
pub fn rows<const DUAL: bool>(memory: &mut Memory, rng: &mut Rng, case: usize) {
    let (len, blocks, first) = (rng.size(1, 300), rng.size(1, 4), rng.size(0, 9));
    let (zero_point, out) = (rng.size(0, 255) as i32 - 128, 2800 + rng.size(0, 9));
    memory.refill(rng, 3000);
    memory.blocks(rng, 2 * len.div_ceil(4), blocks);
    let stream = Consts::new(&memory.stream);
    {
        let arena = run(&mut memory.fast, 0);
        fast::tiles_1x4::<DUAL>(
            arena.sub(first, len),
            len,
            stream,
            blocks,
            arena.sub(out, 16),
            zero_point,
        );
    }
    {
        let arena = run(&mut memory.portable, 0);
        portable::tiles_1x4::<DUAL>(
            arena.sub(first, len),
            len,
            stream,
            blocks,
            arena.sub(out, 16),
            zero_point,
        );
    }
    memory.compare(c"tiles_1x4", case, &[len, blocks, usize::from(DUAL)]);
    let got = fast::sums_1x4::<DUAL>(run(&mut memory.fast, first), len, stream);
    if got != portable::sums_1x4::<DUAL>(run(&mut memory.portable, first), len, stream) {
        print_fact(c"sums_1x4 differs in case", case);
        exit(false)
    }
}
