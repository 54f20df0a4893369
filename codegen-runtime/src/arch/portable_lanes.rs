//! The primitives over vectors of 16 codes in plain Rust.
//!
//! In: windows of codes, each one contiguous run, and weights. Out: int8 codes.
//! Invariant: this file defines the result, as `portable.rs` does.

use super::super::requant::{self, Out};
use super::super::view::{Bytes, Consts};
use super::portable_columns::Columns;

/// Codes of a vector.
pub const LANES: usize = 16;

/// Bytes of a block of four channels of [`lanes`], over windows of `len` codes.
#[inline(always)]
pub const fn lanes_block_bytes(len: usize, shifts: bool) -> usize {
    16 + 4 * (len / LANES * LANES + (len % LANES).next_multiple_of(4)) + if shifts { 32 } else { 16 }
}

/// Windows of `len` codes, at least one, `step` bytes apart.
#[derive(Clone, Copy)]
pub struct Windows<'a> {
    /// The first pixel's.
    pub codes: Bytes<'a>,
    /// Bytes from one pixel's window to the next one's.
    pub step: usize,
    /// Codes of a window.
    pub len: usize,
    /// How many windows.
    pub pixels: usize,
}

/// `channels` channels of each window: sums, requantized. The outputs of the windows
/// follow each other in `out`. A window is read until all of its outputs, and those of
/// the window that it shares weights with, are written: of every two, from the first on.
///
/// The stream holds a block for every four channels (what there are fewer in the last one
/// is not written): `[bias i32 x 4][weights][m i32 x 4][with SHIFTS: k i32 x 4]`. Of every
/// 16 codes of the window there are the four channels' weights, 16 bytes each; of the codes
/// that are left there are as many, filled up with zeros to a multiple of 4.
#[inline(always)]
pub fn lanes<const SHIFTS: bool>(
    windows: Windows<'_>,
    stream: Consts<'_>,
    channels: usize,
    out: Bytes<'_>,
    to: &Out,
) {
    let Windows { codes, step, len, pixels } = windows;
    let (whole, rest) = (len / LANES, len % LANES);
    let bytes = lanes_block_bytes(len, SHIFTS);
    for pixel in 0..pixels {
        let codes = codes.sub(pixel * step, len);
        for channel in 0..channels {
            let (block, lane) = (stream.sub(channel / 4 * bytes, bytes), channel % 4);
            let mut acc = block.i32_at(4 * lane);
            for i in 0..len {
                let (vector, at) = (i / LANES, i % LANES);
                let width = if vector < whole { LANES } else { rest.next_multiple_of(4) };
                let weight = block.i8_at(16 + vector * 4 * LANES + lane * width + at);
                acc = acc.wrapping_add(i32::from(codes.get(i)) * i32::from(weight));
            }
            let ends = bytes - if SHIFTS { 32 } else { 16 };
            let k = if SHIFTS { block.i32_at(ends + 16 + 4 * lane) as u32 } else { 0 };
            let code = requant::requantize(acc, block.i32_at(ends + 4 * lane), k, *to);
            out.set(pixel * channels + channel, code);
        }
    }
}

/// Copies columns, each `[rows][channels]`, one behind the other.
#[inline(always)]
pub fn copy_columns(columns: Columns<'_>, to: Bytes<'_>) {
    let Columns { rows, inside, first, channels, count, pad_code } = columns;
    for (y, row) in rows.iter().enumerate() {
        for column in 0..count {
            let to = to.sub((column * rows.len() + y) * channels, channels);
            match row {
                Some(row) if inside => to.copy_from(row.sub(first + column * channels, channels), channels),
                _ => to.fill(pad_code, channels),
            }
        }
    }
}

/// Bytes of a group of 16 channels of [`depthwise_lanes`].
#[inline(always)]
pub const fn depthwise_group_bytes(shifts: bool) -> usize {
    (9 + 4 + 4 + if shifts { 4 } else { 0 }) * LANES
}

/// Where the four 32-bit vectors of a group have a channel of it: its place among 16.
/// Bytes are taken apart into even and odd ones twice.
#[inline(always)]
pub const fn depthwise_place(channel: usize) -> usize {
    channel % 2 * 8 + channel / 2 % 2 * 4 + channel / 4
}

/// The nine taps of some pixels' windows, each tap's codes of the first pixel, `step`
/// bytes apart from pixel to pixel.
#[derive(Clone, Copy)]
pub struct Taps<'a> {
    /// In rows.
    pub taps: [Bytes<'a>; 9],
    /// Bytes from a pixel's codes to the next one's.
    pub step: usize,
    /// How many pixels, at least one.
    pub pixels: usize,
}

/// `channels` channels of each pixel, each with its own nine weights, none of which is
/// -128: sums, requantized. The pixels follow each other in `out`.
///
/// The stream holds for every 16 channels, those that fill up the last ones included,
/// `[bias i32 x 16][weights i8: 9 taps][16 channels][m i32 x 16][with SHIFTS: k i32 x 16]`;
/// a channel's 32-bit words are at [`depthwise_place`].
#[inline(always)]
pub fn depthwise_lanes<const SHIFTS: bool>(
    taps: &Taps<'_>,
    stream: Consts<'_>,
    channels: usize,
    out: Bytes<'_>,
    to: &Out,
) {
    let bytes = depthwise_group_bytes(SHIFTS);
    for pixel in 0..taps.pixels {
        for channel in 0..channels {
            let (group, lane) = (stream.sub(channel / LANES * bytes, bytes), channel % LANES);
            let word = 4 * depthwise_place(lane);
            let mut acc = group.i32_at(word);
            for (tap, codes) in taps.taps.iter().enumerate() {
                let code = i32::from(codes.get(pixel * taps.step + channel));
                acc = acc.wrapping_add(code * i32::from(group.i8_at((4 + tap) * LANES + lane)));
            }
            let m = group.i32_at(13 * LANES + word);
            let k = if SHIFTS { group.i32_at(17 * LANES + word) as u32 } else { 0 };
            out.set(pixel * channels + channel, requant::requantize(acc, m, k, *to));
        }
    }
}
