//! Convolution without groups, two pixels and four channels at once: any
//! kernel, stride, padding and dilation.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][out_c]`. Invariant: a position
//! outside the input reads as `pad_code`; both pixels of a pair are read before
//! the first is written.
//!
//! The windows of some pairs of pixels are widened to 16 bits at a time, column by
//! column, so that what they share is widened once: a window is a run of columns, and
//! that of the next pair begins a few columns further. Pixels whose windows share no
//! column have tiles of their own.
//!
//! Constants: see `blocks`; the words of inputs are those of [`Params::place`]. Half a block
//! at the end becomes a whole one in scratch, once a call.

use super::super::arch::{self, Columns, Four};
use super::super::requant::Out;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};
use super::blocks::{self, Blocks};

/// A convolution. Sizes, strides, pads and dilations are in rows, columns and
/// channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows of the input.
    pub in_h: usize,
    /// Columns of the input.
    pub in_w: usize,
    /// Channels of the input.
    pub in_c: usize,
    /// Rows of the output.
    pub out_h: usize,
    /// Columns of the output.
    pub out_w: usize,
    /// Channels of the output.
    pub out_c: usize,
    /// Rows of the kernel.
    pub kernel_h: usize,
    /// Columns of the kernel.
    pub kernel_w: usize,
    /// Input rows from one output row to the next.
    pub stride_h: usize,
    /// Input columns from one output column to the next.
    pub stride_w: usize,
    /// Rows of padding above the input.
    pub pad_top: usize,
    /// Columns of padding left of the input.
    pub pad_left: usize,
    /// Input rows from one kernel row to the next.
    pub dilation_h: usize,
    /// Input columns from one kernel column to the next.
    pub dilation_w: usize,
    /// What positions outside the input read as.
    pub pad_code: i8,
    /// The most pairs of pixels whose windows are widened at once, at least 1. More are
    /// less work, fewer less scratch.
    pub strip: usize,
    /// Whether the weights of two channels share 16-bit halves.
    pub dual: bool,
    /// Whether the constants hold shifts `k`; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

/// How the inputs of a pixel get into its tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gather {
    /// Its codes as they lie, in groups of four: windows of one position that exists.
    Pixels,
    /// Four codes of each kernel row, which lie next to each other.
    Fours,
    /// Columns that the windows of pixels side by side share.
    Shared,
    /// Columns of its own.
    Apart,
}

impl Params {
    /// How the inputs of a pixel get into its tile.
    pub const fn gather(&self) -> Gather {
        let inside = self.pad_top == 0
            && self.pad_left == 0
            && self.out_h.saturating_sub(1) * self.stride_h < self.in_h
            && self.out_w.saturating_sub(1) * self.stride_w < self.in_w;
        if self.kernel_h == 1 && self.kernel_w == 1 && inside {
            Gather::Pixels
        } else if self.kernel_w * self.in_c == 4 && self.dilation_w == 1 && self.in_w >= self.kernel_w {
            Gather::Fours
        } else if self.dilation_w == 1 && self.kernel_w > self.stride_w {
            Gather::Shared
        } else {
            Gather::Apart
        }
    }

    /// The shape of a column for `arch::column_place`: channels and rows; and how many
    /// columns a window has.
    const fn columns(&self) -> ([usize; 2], usize) {
        match self.gather() {
            Gather::Pixels => ([4, self.in_c.div_ceil(4)], 1),
            Gather::Fours => ([4, self.kernel_h], 1),
            Gather::Shared | Gather::Apart => ([self.in_c, self.kernel_h], self.kernel_w),
        }
    }

    /// Words of two inputs of a window; at least two.
    pub const fn words(&self) -> usize {
        let ([channels, rows], columns) = self.columns();
        let words = columns * arch::column_words(channels, rows);
        if words < 2 { 2 } else { words }
    }

    /// Where an input of the window is among its words: word `place / 2`, half
    /// `place % 2`. Places that no input has take weights of 0.
    pub const fn place(&self, ky: usize, kx: usize, channel: usize) -> usize {
        let ([channels, rows], _) = self.columns();
        let (column, row, channel) = match self.gather() {
            Gather::Pixels => (0, channel / 4, channel % 4),
            Gather::Fours => (0, ky, kx * self.in_c + channel),
            Gather::Shared | Gather::Apart => (kx, ky, channel),
        };
        let byte = arch::column_place(channels, rows, row, channel);
        2 * (column * arch::column_words(channels, rows) + byte / 8) + byte % 4 / 2
    }

    /// Bytes of a column in both pixels.
    const fn column_bytes(&self) -> usize {
        let ([channels, rows], _) = self.columns();
        8 * arch::column_words(channels, rows)
    }

    /// Bytes from one tile to the next of a strip, and of a strip of `pairs`.
    const fn strip_bytes(&self, pairs: usize) -> (usize, usize) {
        let step = match self.gather() {
            Gather::Pixels => self.column_bytes(),
            Gather::Shared => 2 * self.stride_w * self.column_bytes(),
            Gather::Fours | Gather::Apart => 0,
        };
        (step, (pairs - 1) * step + 8 * self.words())
    }

    /// Bytes of a pixel that is copied before it is widened: there groups of four codes
    /// end beyond the pixel.
    const fn copied(&self) -> usize {
        match (self.gather(), self.in_c % 4) {
            (Gather::Pixels, 1..) => self.in_c.next_multiple_of(4),
            _ => 0,
        }
    }

    /// Whether the constants end in [half a block](blocks::halves).
    pub const fn halves(&self) -> bool {
        blocks::halves(self.out_c, self.words())
    }

    /// Whether output pixel `i` reads input pixel `i` and nothing else, so that
    /// rows which lie one after the other are one row.
    pub const fn pointwise(&self) -> bool {
        self.kernel_h == 1
            && self.kernel_w == 1
            && self.stride_h == 1
            && self.stride_w == 1
            && self.pad_top == 0
            && self.pad_left == 0
            && self.out_h == self.in_h
            && self.out_w == self.in_w
    }

    /// Whether [`Params::layer`] has room for all of it.
    pub const fn fits(&self) -> bool {
        let (step, strip) = self.strip_bytes(self.strip);
        let sizes = self.in_h | self.in_w | self.in_c | self.out_h | self.out_w | self.out_c;
        let window = self.kernel_h | self.kernel_w | self.stride_h | self.stride_w;
        let places = self.pad_top | self.pad_left | self.dilation_h | self.dilation_w;
        let tiles = step | strip | self.column_bytes() | self.strip;
        (sizes | window | places | tiles) <= u16::MAX as usize
    }

    /// As the kernel takes it, if it [fits](Params::fits).
    pub const fn layer(&self) -> Layer {
        let (tile_step, strip_bytes) = self.strip_bytes(self.strip);
        Layer {
            in_h: self.in_h as u16,
            in_w: self.in_w as u16,
            in_c: self.in_c as u16,
            out_h: self.out_h as u16,
            out_w: self.out_w as u16,
            out_c: self.out_c as u16,
            kernel_h: self.kernel_h as u16,
            kernel_w: self.kernel_w as u16,
            stride_h: self.stride_h as u16,
            stride_w: self.stride_w as u16,
            pad_top: self.pad_top as u16,
            pad_left: self.pad_left as u16,
            dilation_h: self.dilation_h as u16,
            dilation_w: self.dilation_w as u16,
            strip: self.strip as u16,
            words: self.words() as u16,
            column_bytes: self.column_bytes() as u16,
            tile_step: tile_step as u16,
            strip_bytes: strip_bytes as u16,
            copied: self.copied() as u16,
            gather: self.gather(),
            pointwise: self.pointwise(),
            pad_code: self.pad_code,
            dual: self.dual,
            shifts: self.shifts,
            zero_point: self.out.zero_point as i8,
            lo: self.out.lo as i8,
            hi: self.out.hi as i8,
        }
    }
}

/// A convolution as the kernel takes it: [`Params`] in few bytes, and what follows from
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    pub(super) in_h: u16,
    pub(super) in_w: u16,
    pub(super) in_c: u16,
    pub(super) out_h: u16,
    pub(super) out_w: u16,
    pub(super) out_c: u16,
    pub(super) kernel_h: u16,
    pub(super) kernel_w: u16,
    pub(super) stride_h: u16,
    pub(super) stride_w: u16,
    pub(super) pad_top: u16,
    pub(super) pad_left: u16,
    pub(super) dilation_h: u16,
    pub(super) dilation_w: u16,
    pub(super) strip: u16,
    pub(super) words: u16,
    pub(super) column_bytes: u16,
    pub(super) tile_step: u16,
    pub(super) strip_bytes: u16,
    pub(super) copied: u16,
    pub(super) gather: Gather,
    pub(super) pointwise: bool,
    pub(super) pad_code: i8,
    pub(super) dual: bool,
    pub(super) shifts: bool,
    pub(super) zero_point: i8,
    pub(super) lo: i8,
    pub(super) hi: i8,
}

impl Layer {
    /// Whether the pixels of a strip are widened together.
    #[inline(always)]
    pub(super) const fn shares(&self) -> bool {
        matches!(self.gather, Gather::Pixels | Gather::Shared)
    }

    /// The constants as blocks, the last one in its place of the scratch.
    #[inline(always)]
    pub(super) fn blocks<'a>(&self, consts: Consts<'a>, scratch: Bytes<'a>) -> Blocks<'a> {
        let (channels, words) = (size(self.out_c), size(self.words));
        let at = size(self.strip_bytes) + 2 * size(self.copied);
        let place = scratch.sub(at, blocks::last_bytes(channels, words));
        let last = blocks::last(consts, channels, words, place);
        let bytes = blocks::stream_bytes(channels, words);
        Blocks { consts, last, bytes, channels, words, shifts: self.shifts, out: self.out() }
    }

    pub(super) const fn out(&self) -> Out {
        Out { zero_point: self.zero_point as i32, lo: self.lo as i32, hi: self.hi as i32 }
    }
}

/// A field of [`Layer`] as a number of something.
#[inline(always)]
pub(super) const fn size(field: u16) -> usize {
    field as usize
}

/// Private bytes of the arena that the kernel needs, 4-byte aligned: a strip of
/// widened windows, two pixels that are copied, and the last block.
pub const fn scratch_bytes(p: &Params) -> usize {
    p.strip_bytes(p.strip).1 + 2 * p.copied() + blocks::last_bytes(p.out_c, p.words())
}

/// The whole tensor; `KH` is `p.kernel_h`.
#[inline(always)]
pub fn run<const KH: usize>(
    p: &Layer,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    // Variants, of which only those that the parameters ask for are linked.
    let whole = (consts, input, output, scratch);
    match (p.dual, !p.shifts) {
        (true, true) => form::<KH, true, true>(p, whole),
        (true, false) => form::<KH, true, false>(p, whole),
        (false, true) => form::<KH, false, true>(p, whole),
        (false, false) => form::<KH, false, false>(p, whole),
    }
    if !p.shifts {
        arch::clamp_codes(output, size(p.out_h) * size(p.out_w) * size(p.out_c), p.out());
    }
}

/// Constants, input, output, scratch.
type Whole<'a> = (Consts<'a>, Bytes<'a>, Bytes<'a>, Bytes<'a>);

#[inline(always)]
fn form<const KH: usize, const DUAL: bool, const SATURATES: bool>(p: &Layer, whole: Whole<'_>) {
    let (consts, input, output, scratch) = whole;
    if p.pointwise {
        pointwise::<DUAL, SATURATES>(arch::opaque(p), consts, input, output, scratch);
    } else {
        windows::<KH, DUAL, SATURATES>(arch::opaque(p), consts, input, output, scratch);
    }
}

#[inline(never)]
fn pointwise<const DUAL: bool, const SATURATES: bool>(
    p: &Layer,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let pixels = size(p.out_h) * size(p.out_w);
    let input = input.sub(0, pixels * size(p.in_c));
    variant::<DUAL, SATURATES>(p, consts, pixels, &[Some(input)], &[output], scratch);
}

#[inline(never)]
fn windows<const KH: usize, const DUAL: bool, const SATURATES: bool>(
    p: &Layer,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let (in_row, out_row) = (size(p.in_w) * size(p.in_c), size(p.out_w) * size(p.out_c));
    let mut windows = [[Some(input); KH]; 2];
    let mut oy = 0;
    while oy < size(p.out_h) {
        // Rows of odd length in twos, so that only the last has half a pair.
        let count = if size(p.out_w) % 2 == 1 && oy + 2 <= size(p.out_h) { 2 } else { 1 };
        let outs = [0, 1].map(|row| output.sub((oy + row) * out_row, if row < count { out_row } else { 0 }));
        for row in 0..count {
            if let Some(window) = windows.get_mut(row).and_then(|window| window.get_mut(..size(p.kernel_h))) {
                let first = rows::first(oy + row, size(p.stride_h), size(p.pad_top));
                rows::fill(window, input, in_row, first, size(p.dilation_h), size(p.in_h));
            }
        }
        let outs = outs.get(..count).unwrap_or(&outs);
        variant::<DUAL, SATURATES>(p, consts, size(p.out_w), windows.as_flattened(), outs, scratch);
        oy += count;
    }
}

/// Output rows `y..y + count`, in one step, wherever rows lie; `WINDOW` is at least
/// `p.kernel_h * count`, `COUNT` at least `count`.
#[inline(always)]
pub fn run_rows<const WINDOW: usize, const COUNT: usize>(
    p: &Layer,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let mut window = [None; WINDOW];
    let mut outs = [scratch; COUNT];
    let windows = window.chunks_exact_mut(size(p.kernel_h));
    for (oy, (rows, out)) in (y..y + count).zip(windows.zip(&mut outs)) {
        input.window(rows::first(oy, size(p.stride_h), size(p.pad_top)), size(p.dilation_h), rows);
        *out = output.run(oy, 1);
    }
    step(p, consts, size(p.out_w), &window, outs.get(..count).unwrap_or(&outs), scratch);
}

/// `outs.len()` output rows of `width` pixels (`p.out_w`, unless the convolution
/// is pointwise), from the `kernel_h` input rows of each one's window, window
/// after window.
#[inline(always)]
pub fn step(
    p: &Layer,
    consts: Consts<'_>,
    width: usize,
    rows: &[Option<Bytes<'_>>],
    outs: &[Bytes<'_>],
    scratch: Bytes<'_>,
) {
    // As in `run`.
    match (p.dual, !p.shifts) {
        (true, true) => variant::<true, true>(p, consts, width, rows, outs, scratch),
        (true, false) => variant::<true, false>(p, consts, width, rows, outs, scratch),
        (false, true) => variant::<false, true>(p, consts, width, rows, outs, scratch),
        (false, false) => variant::<false, false>(p, consts, width, rows, outs, scratch),
    }
    if !p.shifts && (p.lo, p.hi) != (i8::MIN, i8::MAX) {
        outs.iter().for_each(|out| arch::clamp_codes(*out, width * size(p.out_c), p.out()));
    }
}

#[inline(never)]
fn variant<const DUAL: bool, const SATURATES: bool>(
    p: &Layer,
    consts: Consts<'_>,
    width: usize,
    rows: &[Option<Bytes<'_>>],
    outs: &[Bytes<'_>],
    scratch: Bytes<'_>,
) {
    let blocks = p.blocks(consts, scratch);
    let tile_step = size(p.tile_step);
    let tiles = scratch.sub(0, size(p.strip_bytes));
    let shares = p.shares();
    // A last pixel without a neighbour waits, as pixel 0 of the first tile, for the
    // first one of the next row; so in a row pixels begin with the second one.
    let mut waiting: Option<Bytes<'_>> = None;
    let mut next_rows = rows;
    for out in outs {
        let (window, rest) = next_rows.split_at_checked(size(p.kernel_h)).unwrap_or((next_rows, &[]));
        next_rows = rest;
        let pixel = |ox: usize| out.sub(ox * size(p.out_c), size(p.out_c));
        let mut ox = 0;
        while ox < width {
            if let Some(before) = waiting.take() {
                one(p, window, ox, scratch, 1);
                blocks.two::<DUAL, SATURATES>(tiles, 0, [before, pixel(ox)], 1);
                ox += 1;
                continue;
            }
            let pairs = ((width - ox) / 2).min(size(p.strip));
            let pairs = if shares { many(p, window, width, ox, tiles, pairs) } else { 0 };
            if pairs > 0 {
                let len = (2 * pairs - 1) * size(p.out_c);
                let to = [out.sub(ox * size(p.out_c), len), out.sub((ox + 1) * size(p.out_c), len)];
                blocks.two::<DUAL, SATURATES>(tiles, tile_step, to, pairs);
                ox += 2 * pairs;
            } else {
                one(p, window, ox, scratch, 0);
                waiting = Some(pixel(ox));
                ox += 1;
            }
        }
    }
    if let Some(last) = waiting {
        // Whatever the tile holds as pixel 1, its codes do not stay.
        blocks.two::<DUAL, SATURATES>(tiles, 0, [last, last], 1);
    }
}

/// Widens the windows of pixels `ox` and `ox + 1`, and of the pairs after them, to the
/// strip. Returns how many pairs; none where they have to be widened one by one.
#[inline(never)]
pub(super) fn many(
    p: &Layer,
    window: &[Option<Bytes<'_>>],
    width: usize,
    ox: usize,
    tiles: Bytes<'_>,
    pairs: usize,
) -> usize {
    if pairs == 0 {
        return 0;
    }
    if p.gather == Gather::Pixels {
        let [Some(row)] = window else { return 0 };
        // Pixels whose last group of four codes ends within the row.
        let (step, len) = (size(p.stride_w) * size(p.in_c), size(p.in_c).next_multiple_of(4));
        let beyond = match (len - size(p.in_c), step) {
            (0, _) => 0,
            (3, 1) => 3,
            (3, 2) => 2,
            _ => 1,
        };
        let pairs = pairs.min(width.saturating_sub(ox + beyond) / 2);
        if pairs > 0 {
            let reach = (2 * pairs - 2) * step + len;
            let codes = [row.sub(ox * step, reach), row.sub((ox + 1) * step, reach)];
            arch::widen_pairs(codes, 2 * step, len / 4, tiles, pairs);
        }
        return pairs;
    }
    let (stride, bytes) = (size(p.stride_w), size(p.column_bytes));
    let first = rows::first(ox, stride, size(p.pad_left));
    let count = 2 * stride * (pairs - 1) + size(p.kernel_w);
    let at = |column: usize| first + column as isize;
    // Pixel 1 has its columns a stride before pixel 0.
    columns(p, window, at(0), stride, tiles, bytes, [0, 0]);
    columns(p, window, at(stride), count - stride, tiles, bytes, [stride * bytes, 4]);
    columns(p, window, at(count), stride, tiles, bytes, [(count - stride) * bytes + 4; 2]);
    pairs
}

/// Widens the window of output pixel `ox` to pixel `slot` of the first tile.
#[inline(never)]
pub(super) fn one(p: &Layer, window: &[Option<Bytes<'_>>], ox: usize, scratch: Bytes<'_>, slot: usize) {
    let tile = scratch.sub(0, 8 * size(p.words));
    let first = rows::first(ox, size(p.stride_w), size(p.pad_left));
    match (p.gather, window) {
        (Gather::Pixels, [Some(row)]) => {
            let len = size(p.in_c).next_multiple_of(4);
            let from = ox * size(p.stride_w) * size(p.in_c);
            let mut codes = row.sub(from, size(p.in_c));
            if size(p.copied) > 0 {
                let copies = scratch.sub(size(p.strip_bytes), 2 * len);
                let copy = copies.sub(slot * len, len);
                let mut channel = 0;
                while channel < size(p.in_c) {
                    copy.set(channel, codes.get(channel));
                    channel = arch::opaque_count(channel + 1);
                }
                codes = copy;
            }
            let columns = Columns {
                rows: &[Some(codes)],
                inside: true,
                first: 0,
                channels: len,
                count: 1,
                pad_code: p.pad_code,
            };
            arch::widen_columns(columns, tile, [4 * slot; 2]);
        }
        (Gather::Fours, _) => {
            let last = (size(p.in_w) - size(p.kernel_w)) as isize;
            let from = first.min(last).max(0);
            let four = Four {
                first: from as usize * size(p.in_c),
                skip: (from - first) * size(p.in_c) as isize,
                pad_code: p.pad_code,
            };
            arch::widen_fours(window, four, tile, slot);
        }
        _ if size(p.dilation_w) == 1 => {
            columns(p, window, first, size(p.kernel_w), tile, size(p.column_bytes), [4 * slot; 2]);
        }
        _ => {
            let bytes = size(p.column_bytes);
            for kx in 0..size(p.kernel_w) {
                let place = kx * bytes + 4 * slot;
                columns(p, window, first + (kx * size(p.dilation_w)) as isize, 1, tile, bytes, [place; 2]);
            }
        }
    }
}

/// Widens `count` columns of `bytes` from `first` on, which may be padding, to two
/// places each.
#[inline(never)]
fn columns(
    p: &Layer,
    window: &[Option<Bytes<'_>>],
    first: isize,
    count: usize,
    tile: Bytes<'_>,
    bytes: usize,
    places: [usize; 2],
) {
    let taps = rows::inside(first, count, size(p.in_w));
    for (begin, end, inside) in
        [(0, taps.begin, false), (taps.begin, taps.end, true), (taps.end, count, false)]
    {
        if begin < end {
            let columns = Columns {
                rows: window,
                inside,
                first: taps.position * size(p.in_c),
                channels: size(p.in_c),
                count: end - begin,
                pad_code: p.pad_code,
            };
            arch::widen_columns(columns, tile, places.map(|place| place + begin * bytes));
        }
    }
}
