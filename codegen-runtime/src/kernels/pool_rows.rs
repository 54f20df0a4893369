//! Mean over all rows, gathered row by row.
//!
//! In: the rows of `[in_h][in_w][in_c]`, one after the other. Out: `[1][out_w][in_c]`
//! after the last one. Invariant: the same bytes as `avg_pool` gives, whose window
//! is as high as the input and not padded in height; between rows the sums lie
//! in private bytes that nobody else touches.
//!
//! Constants: those of `avg_pool`.

use super::super::arch;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};
use super::avg_pool::{self, Params};

/// Whether rows can be gathered: one output row, of all input rows.
pub const fn serves(p: &Params) -> bool {
    p.out_h == 1 && p.kernel_h == p.in_h && p.dilation_h == 1 && p.pad_top == 0 && p.pad_bottom == 0
}

/// Whether sums of codes fit 16 bits: up to 256 codes do.
const fn narrow(p: &Params) -> bool {
    p.kernel_h * p.kernel_w <= 256
}

/// Private bytes of the arena that hold the sums, 4-byte aligned, from the first row to the last.
pub const fn scratch_bytes(p: &Params) -> usize {
    p.out_w * p.in_c * if narrow(p) { 2 } else { 4 }
}

/// Adds rows `y..y + count` to the sums; the last row of the input finishes the output.
#[inline(always)]
pub fn run_rows(
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    sums: Bytes<'_>,
) {
    for row in y..y + count {
        step(p, input.run(row, 1), row == 0, sums);
    }
    if y + count == p.in_h {
        finish(p, consts, output.run(0, 1), sums);
    }
}

/// Adds a row to the sums, which begin with the first one.
#[inline(never)]
pub fn step(p: &Params, row: Bytes<'_>, first: bool, sums: Bytes<'_>) {
    for ox in 0..p.out_w {
        let taps = rows::taps(rows::first(ox, p.stride_w, p.pad_left), p.dilation_w, p.kernel_w, p.in_w);
        for c in 0..p.in_c {
            let at = ox * p.in_c + c;
            let mut sum = match (first, narrow(p)) {
                (true, _) => 0,
                (false, true) => i32::from(sums.get_i16(at)),
                (false, false) => sums.get_i32(at),
            };
            let mut from = taps.position * p.in_c + c;
            for _ in taps.begin..taps.end {
                sum = sum.wrapping_add(i32::from(row.get(from)));
                from += p.dilation_w * p.in_c;
            }
            if narrow(p) {
                sums.set_i16(at, sum as i16);
            } else {
                sums.set_i32(at, sum);
            }
        }
    }
}

/// Means of the sums.
#[inline(never)]
fn finish(p: &Params, consts: Consts<'_>, out: Bytes<'_>, sums: Bytes<'_>) {
    for ox in 0..p.out_w {
        let mean = avg_pool::mean(p, consts, ox, p.in_h, p.in_h);
        for c in 0..p.in_c {
            let at = ox * p.in_c + c;
            let sum = if narrow(p) { i32::from(sums.get_i16(at)) } else { sums.get_i32(at) };
            out.set(at, arch::requantize(sum.wrapping_add(mean.start), mean.m, mean.k, p.out));
        }
    }
}
