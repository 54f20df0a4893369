//! Depthwise windows of any size over lines of pairs of codes, in plain Rust.
//!
//! In: pixels of four or more channels, and weights. Out: codes. Invariant: this file
//! defines the result, as `portable.rs` does. It is not re-exported by it: only models
//! with such a layer carry it.
//!
//! Two pixels that follow each other along a line are a pair, whose codes of one channel
//! are one 32-bit word, so that one instruction multiplies both.

use super::super::requant::Out;
use super::super::view::{Bytes, Consts};
use super::portable::requantize;

/// Pairs from one line of a strip to the next.
pub const LINE_PAIRS: usize = 18;

/// Bytes of a pair in a strip: the words of four channels.
pub const PAIR_BYTES: usize = 16;

/// Pairs that the windows of an output (stride 2) or of two (stride 1) reach over, of
/// `taps` pixels along a line.
#[inline(always)]
pub const fn window_pairs(taps: usize, stride: usize) -> usize {
    (taps + 3 - stride) / 2
}

/// Pairs of a line that are read for `outputs`, which go by blocks of four pairs or two:
/// those of a window (stride 2) or of two (stride 1) are as many as the pairs that it
/// begins with, and then those that it reaches over.
#[inline(always)]
pub const fn line_pairs(outputs: usize, taps: usize, stride: usize) -> usize {
    let (whole, left) =
        if stride == 1 { (outputs / 8, (outputs % 8).div_ceil(2)) } else { (outputs / 4, outputs % 4) };
    4 * whole + 2 * left.div_ceil(2) + window_pairs(taps, stride) - 1
}

/// Pixels that are paired up: the first ones of some pairs, and the second ones.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    pixels: [Bytes<'a>; 2],
    steps: [usize; 2],
    at: usize,
    count: usize,
}

impl<'a> Segment<'a> {
    /// `count` pairs, the first of which goes to pair `at` of the strip. Pixels are `steps`
    /// bytes apart, and no more than `reach` bytes are read of them. Padding has step 0
    /// and four bytes, which stand for all channels.
    #[inline(always)]
    pub fn new(pixels: [Bytes<'a>; 2], steps: [usize; 2], reach: usize, at: usize, count: usize) -> Self {
        let runs = |i: usize| pixels[i].sub(0, if steps[i] == 0 { 4 } else { reach });
        Segment { pixels: [runs(0), runs(1)], steps, at, count }
    }
}

/// A part of a depthwise convolution: all channels, at least four, of some outputs.
#[derive(Clone, Copy)]
pub struct Lines<'a, S> {
    /// What is paired up, for every four channels anew.
    pub segments: &'a [S],
    /// Scratch, 4-byte aligned: of the four channels at hand the words of all lines, which
    /// are [`LINE_PAIRS`] pairs apart. It holds padding where no segment goes, and reaches
    /// as far as [`line_pairs`] says; what is beyond the windows does not matter.
    pub strip: Bytes<'a>,
    /// Lines and pixels along them of a window.
    pub kernel: [usize; 2],
    /// Pixels along a line from one output to the next: 1 or 2.
    pub stride: usize,
    /// For every four channels `[bias i32 x 4][m i32 x 4][weights i8: the lines' taps][4]`;
    /// the last four end with the last channel.
    pub consts: Consts<'a>,
    /// Outputs.
    pub out: Bytes<'a>,
    /// Channels.
    pub channels: usize,
    /// Bytes from one output along a line to the next.
    pub pixel: usize,
    /// Bytes from one row of outputs to the next.
    pub out_row: usize,
    /// Outputs along a line.
    pub columns: usize,
    /// Rows of outputs.
    pub rows: usize,
    /// Lines from one row of outputs to the next.
    pub line_step: usize,
    /// The code of real zero in the output.
    pub zero_point: i32,
}

/// A depthwise convolution along lines, requantized with `k = 0` and saturated to int8.
/// `KH`, `KW` and `STRIDE` are `kernel` and `stride` of the part. Of four channels
/// everything is read before their outputs are written.
#[inline(always)]
pub fn depthwise_lines<const KH: usize, const KW: usize, const STRIDE: usize>(part: Lines<'_, Segment<'_>>) {
    let group_bytes = 32 + 4 * part.kernel[0] * part.kernel[1];
    for group in 0..part.channels.div_ceil(4) {
        let channel = (4 * group).min(part.channels - 4);
        pair_up(&part, channel);
        for y in 0..part.rows {
            for x in 0..part.columns {
                let out = part.out.sub(y * part.out_row + x * part.pixel + channel, 4);
                window(&part, part.consts.sub(group * group_bytes, group_bytes), (y, x), out);
            }
        }
    }
}

/// Widens the four channels from `channel` on to 16 bits, in the strip.
#[inline(always)]
fn pair_up(part: &Lines<'_, Segment<'_>>, channel: usize) {
    for segment in part.segments {
        for pair in 0..segment.count {
            for half in 0..2 {
                let step = segment.steps[half];
                let from = if step == 0 { 0 } else { pair * step + channel };
                for i in 0..4 {
                    let code = i16::from(segment.pixels[half].get(from + i));
                    part.strip.set_i16((segment.at + pair) * 8 + 2 * i + half, code);
                }
            }
        }
    }
}

/// Four channels of an output.
#[inline(always)]
fn window(part: &Lines<'_, Segment<'_>>, consts: Consts<'_>, (y, x): (usize, usize), out: Bytes<'_>) {
    let [lines, taps] = part.kernel;
    for channel in 0..4 {
        let mut acc = consts.i32_at(4 * channel);
        for ky in 0..lines {
            for kx in 0..taps {
                let (line, pixel) = (y * part.line_step + ky, x * part.stride + kx);
                let element = (line * LINE_PAIRS + pixel / 2) * 8 + 2 * channel + pixel % 2;
                let weight = i32::from(consts.i8_at(32 + 4 * (taps * ky + kx) + channel));
                acc = acc.wrapping_add(i32::from(part.strip.get_i16(element)) * weight);
            }
        }
        let m = consts.i32_at(16 + 4 * channel);
        let to = Out { zero_point: part.zero_point, lo: -128, hi: 127 };
        out.set(channel, requantize(acc, m, 0, to));
    }
}
