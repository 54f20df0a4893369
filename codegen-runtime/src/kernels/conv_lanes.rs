//! Convolution without groups in vectors of 16 codes: any kernel, stride, padding and
//! dilation.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][out_c]`. Invariant: a position
//! outside the input reads as `pad_code`; what a pixel reads is read until it and the
//! next one are written.
//!
//! A window that is a run of an input row is read where it lies. Others are copied, those
//! of a strip of pixels at a time, column by column: a window is a run of columns, and where
//! windows of pixels side by side overlap, so do these runs.
//!
//! Constants: the stream of `arch::lanes`, over windows `[kernel_w][kernel_h][in_c]`. The
//! biases hold the layer's bias minus the input's zero point times the sum of the channel's
//! weights.

use super::super::arch::{self, Columns, Windows};
use super::super::requant::Out;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};

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
    /// The most pixels whose windows are copied at once, at least 1. More are less work,
    /// fewer less scratch.
    pub strip: usize,
    /// Whether the constants hold shifts `k`; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

impl Params {
    /// Inputs of a window.
    pub const fn taps(&self) -> usize {
        self.kernel_h * self.kernel_w * self.in_c
    }

    /// Whether every window is a run of one input row.
    pub const fn runs(&self) -> bool {
        let columns = self.out_w.saturating_sub(1) * self.stride_w + self.kernel_w;
        let rows = self.out_h.saturating_sub(1) * self.stride_h;
        let inside = self.pad_top == 0 && self.pad_left == 0 && columns <= self.in_w && rows < self.in_h;
        self.kernel_h == 1 && (self.kernel_w == 1 || self.dilation_w == 1) && inside
    }

    /// Bytes from a copied window to the next one's.
    const fn window_step(&self) -> usize {
        let shared = self.dilation_w == 1 && self.stride_w < self.kernel_w;
        let columns = if shared { self.stride_w } else { self.kernel_w };
        columns * self.kernel_h * self.in_c
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
}

/// Private bytes of the arena that the kernel needs: the windows of a strip.
pub const fn scratch_bytes(p: &Params) -> usize {
    if p.runs() { 0 } else { (p.strip - 1) * p.window_step() + p.taps() }
}

/// The whole tensor; `KH` is `p.kernel_h`.
#[inline(always)]
pub fn run<const KH: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    // Variants, of which only those that the parameters ask for are linked.
    match (p.pointwise(), p.shifts) {
        (true, true) => pixels::<true>(arch::opaque(p), consts, input, output, scratch),
        (true, false) => pixels::<false>(arch::opaque(p), consts, input, output, scratch),
        (false, true) => windows::<KH, true>(arch::opaque(p), consts, input, output, scratch),
        (false, false) => windows::<KH, false>(arch::opaque(p), consts, input, output, scratch),
    }
}

#[inline(always)]
fn pixels<const SHIFTS: bool>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let input = input.sub(0, p.in_h * p.in_w * p.in_c);
    variant::<SHIFTS>(p, consts, p.out_h * p.out_w, &[Some(input)], output, scratch);
}

#[inline(always)]
fn windows<const KH: usize, const SHIFTS: bool>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let (in_row, out_row) = (p.in_w * p.in_c, p.out_w * p.out_c);
    let mut window = [None; KH];
    for oy in 0..p.out_h {
        let first = rows::first(oy, p.stride_h, p.pad_top);
        rows::fill(&mut window, input, in_row, first, p.dilation_h, p.in_h);
        variant::<SHIFTS>(p, consts, p.out_w, &window, output.sub(oy * out_row, out_row), scratch);
    }
}

/// Output rows `y..y + count`, one after the other, wherever rows lie; `WINDOW` is at
/// least `p.kernel_h`.
#[inline(always)]
pub fn run_rows<const WINDOW: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let shifts = p.shifts;
    let p = arch::opaque(p);
    let mut window = [None; WINDOW];
    for oy in y..y + count {
        input.window(rows::first(oy, p.stride_h, p.pad_top), p.dilation_h, &mut window);
        let rows = window.get(..p.kernel_h).unwrap_or(&window);
        if shifts {
            variant::<true>(p, consts, p.out_w, rows, output.run(oy, 1), scratch);
        } else {
            variant::<false>(p, consts, p.out_w, rows, output.run(oy, 1), scratch);
        }
    }
}

/// An output row of `width` pixels (`p.out_w`, unless the convolution is pointwise) from
/// the `kernel_h` input rows of its window.
#[inline(always)]
pub fn step(
    p: &Params,
    consts: Consts<'_>,
    width: usize,
    rows: &[Option<Bytes<'_>>],
    out: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    // Variants, of which only those that the parameters ask for are linked.
    if p.shifts {
        variant::<true>(p, consts, width, rows, out, scratch);
    } else {
        variant::<false>(p, consts, width, rows, out, scratch);
    }
}

#[inline(never)]
fn variant<const SHIFTS: bool>(
    p: &Params,
    consts: Consts<'_>,
    width: usize,
    rows: &[Option<Bytes<'_>>],
    out: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let len = p.taps();
    if p.runs() {
        let step = p.stride_w * p.in_c;
        for row in rows.iter().take(1).flatten() {
            let windows = Windows { codes: row.sub(0, (width - 1) * step + len), step, len, pixels: width };
            arch::lanes::<SHIFTS>(windows, consts, p.out_c, out, &p.out);
        }
        return;
    }
    let step = p.window_step();
    let shared = step < len;
    let mut first = -(p.pad_left as isize);
    let mut ox = 0;
    while ox < width {
        let pixels = p.strip.min(width - ox);
        let bytes = (pixels - 1) * step + len;
        let codes = scratch.sub(0, bytes);
        if shared {
            columns(p, rows, first, (pixels - 1) * p.stride_w + p.kernel_w, codes);
            first += (pixels * p.stride_w) as isize;
        } else {
            for pixel in 0..pixels {
                window(p, rows, first, codes.sub(pixel * len, len));
                first += p.stride_w as isize;
            }
        }
        let windows = Windows { codes, step, len, pixels };
        let out = out.sub(ox * p.out_c, pixels * p.out_c);
        arch::lanes::<SHIFTS>(windows, consts, p.out_c, out, &p.out);
        ox += pixels;
    }
}

/// Copies the window whose first column is `first`.
#[inline(always)]
fn window(p: &Params, rows: &[Option<Bytes<'_>>], first: isize, to: Bytes<'_>) {
    if p.dilation_w == 1 {
        columns(p, rows, first, p.kernel_w, to);
        return;
    }
    let bytes = p.kernel_h * p.in_c;
    for kx in 0..p.kernel_w {
        columns(p, rows, first + (kx * p.dilation_w) as isize, 1, to.sub(kx * bytes, bytes));
    }
}

/// Copies `count` columns from `first` on, some of which may be padding.
#[inline(never)]
fn columns(p: &Params, rows: &[Option<Bytes<'_>>], first: isize, count: usize, to: Bytes<'_>) {
    let bytes = p.kernel_h * p.in_c;
    let taps = rows::inside(first, count, p.in_w);
    for (begin, end, inside) in
        [(0, taps.begin, false), (taps.begin, taps.end, true), (taps.end, count, false)]
    {
        if begin < end {
            let columns = Columns {
                rows,
                inside,
                first: taps.position * p.in_c,
                channels: p.in_c,
                count: end - begin,
                pad_code: p.pad_code,
            };
            arch::copy_columns(columns, to.sub(begin * bytes, (end - begin) * bytes));
        }
    }
}
