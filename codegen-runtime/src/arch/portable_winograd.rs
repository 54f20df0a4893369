//! The primitives of Winograd's convolution in plain Rust.
//!
//! In: codes, transformed weights. Out: transformed inputs, products, codes.
//! Invariant: this file defines the result, as `portable.rs` does. Sums wrap at
//! 32 bits on purpose: every step is exact modulo 2^32.
//!
//! A tile has `SY` rows and `SX` columns of inputs (4 or 6 each) and two less of
//! outputs, `OY` and `OX`; its positions are numbered row by row.

use super::super::requant::Out;
use super::super::view::{Bytes, Consts};
use super::portable::requantize;

/// Bytes of a block of four output channels: `[bias i32 x 4][m i32 x 4]`, then for
/// each position and each of `pairs` pairs of inputs the weights `[4 channels][2]`.
#[inline(always)]
pub const fn winograd_block_bytes<const SY: usize, const SX: usize>(pairs: usize) -> usize {
    32 + 16 * SY * SX * pairs
}

/// `B^T d` for one row or column.
#[inline(always)]
fn input<const S: usize>(d: [i32; S]) -> [i32; S] {
    let mut out = [0; S];
    let values: &[i32] = match d[..] {
        [d0, d1, d2, d3] => &[d0 - d2, d1 + d2, d2 - d1, d1 - d3],
        [d0, d1, d2, d3, d4, d5] => {
            let (even, odd) = (d4 - d2, 2 * (d3 - d1));
            let (far_even, far_odd) = (d4 - 4 * d2, d3 - 4 * d1);
            &[
                4 * (d0 - d2) + even,
                far_even + far_odd,
                far_even - far_odd,
                even + odd,
                even - odd,
                d5 - d3 - 2 * odd,
            ]
        }
        _ => &[],
    };
    for (out, value) in out.iter_mut().zip(values) {
        *out = *value;
    }
    out
}

/// Transforms the inputs of a tile: `B^T d B` for `quads` groups of four channels.
///
/// `rows` are the tile's rows, pixels `pixel` bytes apart. Of the tiles 0 and 1,
/// `inputs` holds for each pair of channels (0 and 2, 1 and 3 of a group) and each
/// position `[tile][2]` 16-bit numbers. They fit: at most 100 * 128. `inputs` is 4-byte aligned.
#[inline(always)]
pub fn winograd_input<const SY: usize, const SX: usize>(
    rows: [Bytes<'_>; SY],
    pixel: usize,
    quads: usize,
    inputs: Bytes<'_>,
    tile: usize,
) {
    for channel in 0..4 * quads {
        let mut values = [[0i32; SX]; SY];
        for (values, row) in values.iter_mut().zip(rows) {
            for (x, value) in values.iter_mut().enumerate() {
                *value = i32::from(row.get(x * pixel + channel));
            }
            *values = input(*values);
        }
        let pair = channel / 4 * 2 + channel % 2;
        for x in 0..SX {
            let column = input(values.map(|row| row[x]));
            for (y, value) in column.into_iter().enumerate() {
                let element = ((pair * SY * SX + y * SX + x) * 2 + tile) * 2 + channel % 4 / 2;
                inputs.set_i16(element, value as i16);
            }
        }
    }
}

/// Multiplies the inputs of two tiles, position by position, with the weights of a
/// block, and sums over the channels: `products` gets for each position `[tile][4
/// channels]` 32-bit numbers, and is 4-byte aligned.
#[inline(always)]
pub fn winograd_products<const SY: usize, const SX: usize>(
    inputs: Bytes<'_>,
    pairs: usize,
    block: Consts<'_>,
    products: Bytes<'_>,
) {
    for position in 0..SY * SX {
        let mut sums = [0i32; 8];
        for pair in 0..pairs {
            for (i, sum) in sums.iter_mut().enumerate() {
                let (tile, channel) = (i / 4, i % 4);
                let element = ((pair * SY * SX + position) * 2 + tile) * 2;
                let word = block.i32_at(32 + ((position * pairs + pair) * 4 + channel) * 4);
                let low = i32::from(inputs.get_i16(element)) * i32::from(word as i16);
                let high = i32::from(inputs.get_i16(element + 1)) * (word >> 16);
                *sum = sum.wrapping_add(low).wrapping_add(high);
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            products.set_i32(8 * position + i, sum);
        }
    }
}

/// `A^T m` for one row or column, without the powers of two that all terms of an
/// output share: [`shift`] says which are left.
#[inline(always)]
fn output<const S: usize, const O: usize>(m: [i32; S]) -> [i32; O] {
    let mut out = [0; O];
    let add = i32::wrapping_add;
    let sub = i32::wrapping_sub;
    let twice = |a: i32| a.wrapping_mul(2);
    let values: &[i32] = match m[..] {
        [m0, m1, m2, m3] => &[add(add(m0, m1), m2), sub(sub(m1, m2), m3)],
        [m0, m1, m2, m3, m4, m5] => {
            let (near, near_odd) = (add(m1, m2), sub(m1, m2));
            let (far, far_odd) = (add(m3, m4), sub(m3, m4));
            &[
                add(add(m0, far), near.wrapping_mul(4)),
                add(far_odd, twice(near_odd)),
                add(near, far),
                add(add(near_odd, m5), twice(far_odd)),
            ]
        }
        _ => &[],
    };
    for (out, value) in out.iter_mut().zip(values) {
        *out = *value;
    }
    out
}

/// The power of two that [`output`] leaves in an output.
#[inline(always)]
const fn shift<const S: usize>(index: usize) -> u32 {
    match (S, index) {
        (4, _) => 1,
        (_, 0) => 3,
        (_, 1) => 2,
        _ => 1,
    }
}

/// The inverse of what else [`output`] leaves, modulo 2^32: 1, 3 or 9.
#[inline(always)]
const fn inverse<const SY: usize, const SX: usize>() -> i32 {
    match (SY, SX) {
        (4, 4) => 1,
        (6, 6) => 0x38E3_8E39,
        _ => 0xAAAA_AAABu32 as i32,
    }
}

/// Transforms the products of one tile back, `A^T m A`, and makes codes of them:
/// the bias added, requantized with `k = 0`, saturated to int8.
///
/// `products` begins at the tile's first channel, and does not outlast the call; of the block's channels, the first
/// `channels` are made. Row `i` of the outputs goes to `outs[i]`, pixels `pixel` bytes
/// apart. The sums, without their biases, must lie within 2^29, 2^27 or 2^25 for none,
/// one or two sides of 6.
#[inline(always)]
pub fn winograd_output<const SY: usize, const SX: usize, const OY: usize, const OX: usize>(
    products: Bytes<'_>,
    block: Consts<'_>,
    outs: [Bytes<'_>; OY],
    pixel: usize,
    channels: usize,
    zero_point: i32,
) {
    for channel in 0..channels {
        let mut half = [[0i32; SX]; OY];
        for x in 0..SX {
            let mut column = [0; SY];
            for (y, value) in column.iter_mut().enumerate() {
                *value = products.get_i32((y * SX + x) * 8 + channel);
            }
            for (half, value) in half.iter_mut().zip(output::<SY, OY>(column)) {
                half[x] = value;
            }
        }
        for (y, (half, out)) in half.into_iter().zip(outs).enumerate() {
            for (x, value) in output::<SX, OX>(half).into_iter().enumerate() {
                let scaled = value.wrapping_mul(inverse::<SY, SX>());
                let sum = scaled >> (shift::<SX>(x) + shift::<SY>(y));
                let acc = sum.wrapping_add(block.i32_at(4 * channel));
                let range = Out { zero_point, lo: -128, hi: 127 };
                out.set(x * pixel + channel, requantize(acc, block.i32_at(16 + 4 * channel), 0, range));
            }
        }
    }
}
