//! Depthwise convolution over lines, and what brings codes into a range: assembly against
//! portable bodies, as `kernels.rs` says.
//!
//! In: memory and random numbers. Out: nothing, or the end of the program with the case
//! that differs. Invariant: kernels have odd and even sizes, of one line and several, of
//! as many pairs as are unrolled.

use super::{ARENA, Memory, Places, Rng, fast, kernels, plain, portable, run};
use tinyc_runtime::requant::Out;
use tinyc_runtime::view::Consts;

/// A case of each kernel.
pub fn shapes(memory: &mut Memory, rng: &mut Rng, case: usize) {
    shape::<5, 5, 1, false>(memory, rng, case);
    shape::<5, 5, 2, false>(memory, rng, case);
    shape::<3, 3, 1, false>(memory, rng, case);
    shape::<3, 3, 2, false>(memory, rng, case);
    shape::<7, 7, 2, false>(memory, rng, case);
    shape::<4, 2, 1, false>(memory, rng, case);
    shape::<2, 4, 2, false>(memory, rng, case);
    shape::<13, 4, 1, false>(memory, rng, case);
    shape::<3, 1, 1, false>(memory, rng, case);
    shape::<1, 5, 1, false>(memory, rng, case);
    shape::<1, 1, 2, false>(memory, rng, case);
    shape::<1, 8, 1, true>(memory, rng, case);
    shape::<1, 3, 1, true>(memory, rng, case);
    shape::<1, 9, 2, true>(memory, rng, case);
    shape::<1, 63, 1, true>(memory, rng, case);
}

/// `KH` lines and `KW` pixels along them; down, lines are columns.
fn shape<const KH: usize, const KW: usize, const STRIDE: usize, const DOWN: bool>(
    memory: &mut Memory,
    rng: &mut Rng,
    case: usize,
) {
    let down = DOWN;
    let [kernel_h, kernel_w] = if down { [KW, 1] } else { [KH, KW] };
    let [stride_h, stride_w] = if down { [STRIDE, rng.size(1, 2)] } else { [rng.size(1, 2), STRIDE] };
    let axis = |rng: &mut Rng, most: usize, kernel: usize, stride: usize| loop {
        let most_pad = if kernel == 1 { 0 } else { kernel.min(33) };
        let (size, pad, after) = (rng.size(1, most), rng.size(0, most_pad), rng.size(0, most_pad));
        let out = (size + pad + after).checked_sub(kernel).map(|rest| rest / stride + 1);
        if let Some(out) = out
            && out <= 40
        {
            return [size, pad, out];
        }
    };
    let tall = rng.chance(2);
    let h = axis(rng, if down || tall { 34 } else { 9 }, kernel_h, stride_h);
    // Lines are columns where there is one of them, or a window is too high for rows.
    let most = if kernel_w > 1 { 34 } else if down && kernel_h < 14 { 1 } else { 4 };
    let w = axis(rng, if tall { most.min(9) } else { most }, kernel_w, stride_w);
    if kernel_w == 1 && !down && kernel_h > 1 && w[2] == 1 {
        return;
    }
    let channels = rng.size(4, 11);
    if h[0] * w[0] * channels > 4000 || h[2] * w[2] * channels > 7600 {
        return;
    }
    let zero_point = rng.size(0, 255) as i32 - 128;
    let (lo, hi) = if rng.chance(2) { (-128, 127) } else { (rng.size(0, 99) as i32 - 128, rng.size(0, 99) as i32) };
    memory.refill(rng, ARENA);
    let group = 32 + 4 * KH * KW;
    for four in memory.stream[..group * channels.div_ceil(4)].chunks_exact_mut(group) {
        for (i, byte) in four.iter_mut().enumerate() {
            // Multipliers keep their sign.
            let multiplier = i > 16 && i < 32;
            *byte = if multiplier && i % 4 == 3 {
                (rng.size(0, 127) >> rng.size(0, 7)) as u8
            } else {
                rng.bits() as u8
            };
            if i < 16 && i % 4 > 1 {
                *byte = 0;
            }
        }
    }
    let stream = Consts::new(&memory.stream);
    let (input, output) = (4160 + rng.size(0, 3), 8448 + rng.size(0, 3));
    let from_rows = Places::new(rng, (input, 8448), h[0], w[0] * channels);
    let to_rows = Places::new(rng, (output, output + h[2] * w[2] * channels), h[2], w[2] * channels);
    let (by_rows, seed, step) = (rng.chance(2), rng.bits() as usize, rng.bits() as usize);
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
                kernel_h,
                kernel_w,
                stride_h,
                stride_w,
                pad_top: h[1],
                pad_left: w[1],
                pad_code: -7,
                rows: 0,
                columns: 0,
                out: Range { zero_point, lo, hi },
            };
            let rows = 1 + seed % p.most_rows();
            let p = kernel::Params { rows, columns: 1 + seed / 64 % p.most_columns(), ..p };
            let arena = run($arena, 0);
            let from = arena.sub(input, h[0] * w[0] * channels);
            let to = arena.sub(output, h[2] * w[2] * channels);
            let scratch = arena.sub(0, kernel::scratch_bytes(&p));
            if by_rows {
                let mut y = 0;
                while y < h[2] {
                    // Rows lie backwards now and then.
                    let most = if to_rows.forward() { p.step_rows() } else { 1 };
                    let count = (1 + step % most).min(h[2] - y);
                    let (from, to) = (from_rows.of(arena), to_rows.of(arena));
                    kernel::run_rows::<KH, KW, STRIDE, DOWN>(&p, stream, from, to, (y, count), scratch);
                    y += count;
                }
            } else if step % 2 == 0 {
                kernel::run::<KH, KW, STRIDE, DOWN>(&p, stream, from, to, scratch);
            } else {
                kernel::run_back::<KH, KW, STRIDE, DOWN>(&p, stream, from, to, scratch);
            }
        }};
    }
    call!(kernels::depthwise_lines, tinyc_runtime::requant::Out, &mut memory.fast);
    call!(plain::kernels::depthwise_lines, plain::requant::Out, &mut memory.portable);
    let facts = [KH, KW, stride_h, stride_w, h[0], w[0], h[2], w[2], channels];
    memory.compare(c"depthwise_lines", case, &facts);
}

/// Codes of any alignment and length.
pub fn clamp(memory: &mut Memory, rng: &mut Rng, case: usize) {
    memory.refill(rng, 256);
    let (from, len) = (rng.size(0, 40), rng.size(0, 100));
    let lo = rng.size(0, 255) as i32 - 128;
    let hi = rng.size((lo + 128) as usize, 255) as i32 - 128;
    let out = Out { zero_point: 0, lo, hi };
    fast::clamp_codes(run(&mut memory.fast, from), len, out);
    portable::clamp_codes(run(&mut memory.portable, from), len, out);
    memory.compare(c"clamp_codes", case, &[from, len]);
}
