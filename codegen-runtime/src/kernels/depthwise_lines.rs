//! Depthwise convolution of any kernel, stride 1 or 2 along a line, four channels at a
//! time.
//!
//! In: `[in_h][in_w][channels]`, at least 4 channels. Out: `[out_h][out_w][channels]`.
//! Invariant: a position outside the input reads as `pad_code`; requantization has no
//! shift. Of rows that are computed in one step all input rows are read before the step
//! ends: its output may not overlap them.
//!
//! A line is a row of the input. Where kernel and output have one column
//! ([`Params::down`], as in 1-D models) it is a column instead: its pixels are rows. Neighbours along a line are
//! paired up in a strip of scratch, once for all windows that read them. The last four
//! channels may begin among those before them, which are then computed twice, to the
//! same bytes.
//!
//! Constants, for every four channels, the last four channels last: `[bias i32 x
//! 4][m i32 x 4][weights i8: taps in rows][4]`. The bias holds the layer's bias minus the
//! input's zero point times the sum of the channel's weights.

use super::super::arch::{self, LINE_PAIRS, Lines, PAIR_BYTES, Segment, line_pairs, window_pairs};
use super::super::requant::Out;
use super::super::rows::{self, Rows, Taps};
use super::super::view::{Bytes, Consts};

/// A depthwise convolution. Sizes, strides and pads are in rows, columns and
/// channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows of the input.
    pub in_h: usize,
    /// Columns of the input.
    pub in_w: usize,
    /// Channels, at least 4.
    pub channels: usize,
    /// Rows of the output.
    pub out_h: usize,
    /// Columns of the output.
    pub out_w: usize,
    /// Rows of the kernel, at most [`MOST_LINES`] if lines are rows.
    pub kernel_h: usize,
    /// Columns of the kernel.
    pub kernel_w: usize,
    /// Input rows from one output row to the next.
    pub stride_h: usize,
    /// Input columns from one output column to the next.
    pub stride_w: usize,
    /// Rows of padding above the input.
    pub pad_top: usize,
    /// Columns of padding left of the input; none if lines are columns.
    pub pad_left: usize,
    /// What positions outside the input read as.
    pub pad_code: i8,
    /// The most rows that a step computes, at most [`Params::most_rows`]. More rows are
    /// less work, fewer rows less scratch, and let output and input overlap more.
    pub rows: usize,
    /// The most outputs along a row in one strip, at most [`Params::most_columns`].
    pub columns: usize,
    /// How accumulators become output codes.
    pub out: Out,
}

/// Lines of the longest step.
pub const MOST_LINES: usize = 13;

/// Segments of the longest step: a line has one within the input and one at either end.
const MOST_SEGMENTS: usize = 3 * MOST_LINES;

impl Params {
    /// Whether lines are columns.
    pub const fn down(&self) -> bool {
        self.kernel_w == 1 && self.kernel_h > 1 && (self.out_w == 1 || self.kernel_h > MOST_LINES)
    }

    /// Lines of a window and pixels along them, and the stride along a line: what a body
    /// is unrolled for.
    pub const fn form(&self) -> ([usize; 2], usize) {
        if self.down() {
            ([1, self.kernel_h], self.stride_h)
        } else {
            ([self.kernel_h, self.kernel_w], self.stride_w)
        }
    }

    /// The most rows that are computed in one step.
    pub const fn step_rows(&self) -> usize {
        if self.rows < self.out_h { self.rows } else { self.out_h }
    }

    /// What [`Params::rows`] may be at most, at least 1.
    pub const fn most_rows(&self) -> usize {
        if !self.down() {
            return (MOST_LINES - self.kernel_h) / self.stride_h + 1;
        }
        // Each of the pairs may need a segment of its own.
        let pairs = MOST_SEGMENTS - window_pairs(self.kernel_h, self.stride_h);
        if self.stride_h == 1 { 2 * pairs } else { pairs }
    }

    /// What [`Params::columns`] may be at most, even.
    pub const fn most_columns(&self) -> usize {
        // Blocks of four pairs, or of two.
        let pairs = LINE_PAIRS + 1 - window_pairs(self.kernel_w, self.stride_w);
        let pairs = if pairs < 4 { 2 } else { pairs & !3 };
        2 * pairs / self.stride_w
    }
}

/// Private bytes of the arena that the kernel needs, 4-byte aligned: the strip, and
/// a pixel of padding.
pub const fn scratch_bytes(p: &Params) -> usize {
    strip_bytes(p, p.step_rows()) + 4
}

/// Bytes of a strip for output rows: the last line ends with the pairs in use.
const fn strip_bytes(p: &Params, rows: usize) -> usize {
    let ([_, taps], stride) = p.form();
    let (lines, outputs) = if p.down() {
        (1, rows)
    } else {
        let columns = if p.columns < p.out_w { p.columns } else { p.out_w };
        ((rows - 1) * p.stride_h + p.kernel_h, columns)
    };
    ((lines - 1) * LINE_PAIRS + line_pairs(outputs, taps, stride)) * PAIR_BYTES
}

/// The whole tensor; `KH`, `KW` and `STRIDE` are [`Params::form`], `DOWN` is
/// [`Params::down`].
#[inline(always)]
pub fn run<const KH: usize, const KW: usize, const STRIDE: usize, const DOWN: bool>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    forward::<KH, KW, STRIDE, DOWN>(arch::opaque(p), consts, input, output, scratch);
    arch::clamp_codes(output, p.out_h * p.out_w * p.channels, p.out);
}

#[inline(never)]
fn forward<const KH: usize, const KW: usize, const STRIDE: usize, const DOWN: bool>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let mut oy = 0;
    while oy < p.out_h {
        let count = p.rows.min(p.out_h - oy);
        rows_of::<KH, KW, STRIDE, DOWN>(p, consts, input, output, (oy, count), scratch);
        oy += count;
    }
}

/// The same from the last rows to the first, for an output above its input.
#[inline(always)]
pub fn run_back<const KH: usize, const KW: usize, const STRIDE: usize, const DOWN: bool>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    backward::<KH, KW, STRIDE, DOWN>(arch::opaque(p), consts, input, output, scratch);
    arch::clamp_codes(output, p.out_h * p.out_w * p.channels, p.out);
}

#[inline(never)]
fn backward<const KH: usize, const KW: usize, const STRIDE: usize, const DOWN: bool>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let mut oy = p.out_h;
    while oy > 0 {
        // The last step is the short one.
        let over = oy.checked_rem(p.step_rows()).unwrap_or(0);
        let count = if over > 0 { over } else { p.step_rows() };
        oy -= count;
        rows_of::<KH, KW, STRIDE, DOWN>(p, consts, input, output, (oy, count), scratch);
    }
}

#[inline(never)]
fn rows_of<const KH: usize, const KW: usize, const STRIDE: usize, const DOWN: bool>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    (oy, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let (in_row, out_row) = (p.in_w * p.channels, p.out_w * p.channels);
    let out = output.sub(oy * out_row, count * out_row);
    let pixels = |row: usize, from: usize, reach: usize| input.sub(row * in_row + from, reach);
    if DOWN {
        down::<KW, STRIDE, 3>(p, consts, (pixels, true), out, (oy, count), scratch);
    } else {
        across::<KH, KW, STRIDE>(p, consts, pixels, out, (oy, count), scratch);
    }
}

/// Output rows `y..y + count`, in one step; the input's rows lie anywhere, those of
/// the output follow each other.
#[inline(always)]
pub fn run_rows<const KH: usize, const KW: usize, const STRIDE: usize, const DOWN: bool>(
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let out = output.run(y, count);
    rows_anywhere::<KH, KW, STRIDE, DOWN>(arch::opaque(p), consts, input, out, (y, count), scratch);
    arch::clamp_codes(out, count * p.out_w * p.channels, p.out);
}

#[inline(never)]
fn rows_anywhere<const KH: usize, const KW: usize, const STRIDE: usize, const DOWN: bool>(
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    out: Bytes<'_>,
    part: (usize, usize),
    scratch: Bytes<'_>,
) {
    let pixels = |row: usize, from: usize, reach: usize| input.run(row, 1).sub(from, reach);
    if DOWN {
        down::<KW, STRIDE, MOST_SEGMENTS>(p, consts, (pixels, false), out, part, scratch);
    } else {
        across::<KH, KW, STRIDE>(p, consts, pixels, out, part, scratch);
    }
}

/// Scratch as the strip of a step and a pixel of padding, and the part of all outputs.
#[inline(always)]
fn begin<'a, S>(
    p: &Params,
    consts: Consts<'a>,
    out: Bytes<'a>,
    count: usize,
    scratch: Bytes<'a>,
) -> (Bytes<'a>, Lines<'a, S>) {
    let strip_len = strip_bytes(p, count);
    let (strip, pad) = (scratch.sub(0, strip_len), scratch.sub(strip_len, 4));
    pad.fill(p.pad_code, 4);
    let (kernel, stride) = p.form();
    let part = Lines {
        segments: &[],
        strip,
        kernel,
        stride,
        consts,
        out,
        channels: p.channels,
        pixel: p.channels,
        out_row: p.out_w * p.channels,
        columns: count,
        rows: count,
        line_step: p.stride_h,
        zero_point: p.out.zero_point,
    };
    (pad, part)
}

/// `count` output rows from row `oy` on, one after the other in `out`, at most
/// [`Params::step_rows`], where lines are rows. `pixels` is a run of a row of the input,
/// which exists, of a first byte and a length.
#[inline(always)]
fn across<'a, const KH: usize, const KW: usize, const STRIDE: usize>(
    p: &Params,
    consts: Consts<'a>,
    pixels: impl Fn(usize, usize, usize) -> Bytes<'a>,
    out: Bytes<'a>,
    (oy, count): (usize, usize),
    scratch: Bytes<'a>,
) {
    let (pad, part) = begin(p, consts, out, count, scratch);
    let mut segments = [nothing(pad); MOST_SEGMENTS];
    let lines = (count - 1) * p.stride_h + p.kernel_h;
    let inside_rows = rows::inside(rows::first(oy, p.stride_h, p.pad_top), lines, p.in_h);
    let mut x = 0;
    while x < p.out_w {
        let columns = p.columns.min(p.out_w - x);
        let line =
            Line::new(pad, rows::first(x, p.stride_w, p.pad_left), reach(p, columns), p.in_w, p.channels);
        let mut list = List::new(&mut segments);
        let mut index = 0;
        while index < lines {
            let at = index * LINE_PAIRS;
            // Above the first row inside, this is a large number.
            let row = index.wrapping_sub(inside_rows.begin);
            if row < inside_rows.end - inside_rows.begin {
                line.fill(part.strip, p.pad_code, at);
                line.add(&mut list, at, p.channels, |column, reach| {
                    pixels(inside_rows.position + row, column * p.channels, reach)
                });
            } else {
                fill(part.strip, p.pad_code, at, line.pairs);
            }
            index = arch::opaque_count(index + 1);
        }
        let out = out.sub(x * p.channels, (count - 1) * part.out_row + columns * p.channels);
        arch::depthwise_lines::<KH, KW, STRIDE>(Lines { segments: list.all(), out, columns, ..part });
        x += columns;
    }
}

/// The same where lines are columns; whether rows follow each other.
#[inline(always)]
fn down<'a, const KW: usize, const STRIDE: usize, const SEGMENTS: usize>(
    p: &Params,
    consts: Consts<'a>,
    (pixels, adjacent): (impl Fn(usize, usize, usize) -> Bytes<'a>, bool),
    out: Bytes<'a>,
    (oy, count): (usize, usize),
    scratch: Bytes<'a>,
) {
    let (pad, part) = begin(p, consts, out, count, scratch);
    let mut segments = [nothing(pad); SEGMENTS];
    let first = rows::first(oy, p.stride_h, p.pad_top);
    // No rows beyond those of the windows: they may not be there yet.
    let read = (count - 1) * p.stride_h + p.kernel_h;
    let line = Line::new(pad, first, read, p.in_h, p.channels);
    line.fill(part.strip, p.pad_code, 0);
    let mut x = 0;
    while x < p.out_w {
        let from = x * p.stride_w * p.channels;
        let mut list = List::new(&mut segments);
        let of = |row: usize, reach: usize| pixels(row, from, reach);
        if adjacent {
            line.add(&mut list, 0, p.in_w * p.channels, of);
        } else {
            line.add_each(&mut list, of);
        }
        let pixel = part.out_row;
        let out = out.sub(x * p.channels, (count - 1) * pixel + p.channels);
        arch::depthwise_lines::<1, KW, STRIDE>(Lines { segments: list.all(), out, pixel, rows: 1, ..part });
        x = arch::opaque_count(x + 1);
    }
}

/// Columns that the windows of `outputs` along a row reach over, an even number.
#[inline(always)]
fn reach(p: &Params, outputs: usize) -> usize {
    ((outputs - 1) * p.stride_w + p.kernel_w).next_multiple_of(2)
}

/// What is paired up: the first `len` of these.
struct List<'l, 'a> {
    segments: &'l mut [Segment<'a>],
    len: usize,
}

impl<'l, 'a> List<'l, 'a> {
    #[inline(always)]
    fn new(segments: &'l mut [Segment<'a>]) -> Self {
        List { segments, len: 0 }
    }

    #[inline(always)]
    fn add(&mut self, segment: Segment<'a>) {
        if let Some(slot) = self.segments.get_mut(self.len) {
            *slot = segment;
            self.len += 1;
        }
    }

    #[inline(always)]
    fn all(self) -> &'l [Segment<'a>] {
        self.segments.get(..self.len).unwrap_or(&[])
    }
}

/// No pairs.
#[inline(always)]
fn nothing(pad: Bytes<'_>) -> Segment<'_> {
    Segment::new([pad, pad], [0, 0], 4, 0, 0)
}

/// Where the pixels of a line meet the input, and how many pairs they are.
#[derive(Clone, Copy)]
struct Line<'a> {
    pad: Bytes<'a>,
    inside: Taps,
    pairs: usize,
    channels: usize,
}

impl<'a> Line<'a> {
    /// `count` pixels from `first` on; the input has `size` of them.
    #[inline(always)]
    fn new(pad: Bytes<'a>, first: isize, count: usize, size: usize, channels: usize) -> Self {
        Line { pad, inside: rows::inside(first, count, size), pairs: count.div_ceil(2), channels }
    }

    /// Writes padding to all pairs from pair `at` of the strip on that are not whole.
    #[inline(always)]
    fn fill(&self, strip: Bytes<'_>, code: i8, at: usize) {
        let (begin, end) = (self.inside.begin.div_ceil(2), self.inside.end / 2);
        fill(strip, code, at, begin.min(self.pairs));
        if end < self.pairs {
            fill(strip, code, at + end, self.pairs - end);
        }
    }

    /// The segments of a line to pair `at` of the strip on; pixels of the input are `step`
    /// bytes apart, and a run of them has an index and a length in bytes.
    #[inline(always)]
    fn add(
        &self,
        list: &mut List<'_, 'a>,
        at: usize,
        step: usize,
        pixels: impl Fn(usize, usize) -> Bytes<'a>,
    ) {
        let Taps { begin, end, position } = self.inside;
        if begin >= end {
            return;
        }
        let (first, last) = (begin.div_ceil(2), end / 2);
        if begin % 2 == 1 {
            let pair = [self.pad, pixels(position, self.channels)];
            list.add(Segment::new(pair, [0, step], self.channels, at + begin / 2, 1));
        }
        if last > first {
            let position = position + begin % 2;
            let reach = 2 * (last - first - 1) * step + self.channels;
            let pair = [pixels(position, reach), pixels(position + 1, reach)];
            list.add(Segment::new(pair, [2 * step; 2], reach, at + first, last - first));
        }
        if end % 2 == 1 {
            let pair = [pixels(position + (end - begin) - 1, self.channels), self.pad];
            list.add(Segment::new(pair, [step, 0], self.channels, at + last, 1));
        }
    }

    /// The same for pixels that lie anywhere.
    #[inline(always)]
    fn add_each(&self, list: &mut List<'_, 'a>, pixels: impl Fn(usize, usize) -> Bytes<'a>) {
        let Taps { begin, end, position } = self.inside;
        let mut at = begin / 2;
        while at < end.div_ceil(2) && begin < end {
            let of = |index: usize| {
                if index >= begin && index < end {
                    (pixels(position + (index - begin), self.channels), 1)
                } else {
                    (self.pad, 0)
                }
            };
            let (first, second) = (of(2 * at), of(2 * at + 1));
            list.add(Segment::new([first.0, second.0], [first.1, second.1], self.channels, at, 1));
            at = arch::opaque_count(at + 1);
        }
    }
}

/// Writes padding to `count` pairs from pair `at` on; it stays there for all channels.
#[inline(always)]
fn fill(strip: Bytes<'_>, code: i8, at: usize, count: usize) {
    let code = i32::from(code);
    let code = (code & 0xFFFF) | (code << 16);
    let mut word = at * PAIR_BYTES / 4;
    let end = word + count * PAIR_BYTES / 4;
    while word < end {
        strip.set_i32(word, code);
        word = arch::opaque_count(word + 1);
    }
}
