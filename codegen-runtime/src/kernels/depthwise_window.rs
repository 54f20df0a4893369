//! Depthwise convolution over gathered windows, for cores that multiply one pair
//! of numbers at a time: one output channel an input channel.
//!
//! In: `[in_h][in_w][in_c]`. Out: `[out_h][out_w][in_c]`. Invariant: a position
//! outside the input reads as `pad_code`.
//!
//! Constants: those of `depthwise`.

use super::super::arch;
use super::super::requant::Out;
use super::super::rows::{self, Rows};
use super::super::view::{Bytes, Consts};
use super::channels::Channels;
use super::window::Window;

/// A depthwise convolution. Sizes, strides, pads and dilations are in rows,
/// columns and channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Rows of the input.
    pub in_h: usize,
    /// Columns of the input.
    pub in_w: usize,
    /// Channels of input and output.
    pub in_c: usize,
    /// Rows of the output.
    pub out_h: usize,
    /// Columns of the output.
    pub out_w: usize,
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
    /// Whether the constants hold shifts `k`; otherwise all are 0.
    pub shifts: bool,
    /// How accumulators become output codes.
    pub out: Out,
}

/// Private bytes of the arena that the kernel needs: the window of a pixel.
pub const fn scratch_bytes(p: &Params) -> usize {
    p.kernel_h * p.kernel_w * p.in_c
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
    for oy in 0..p.out_h {
        row::<KH>(p, consts, input, output, scratch, oy);
    }
}

/// The same from the last row to the first, for an output above its input.
#[inline(always)]
pub fn run_back<const KH: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    for oy in (0..p.out_h).rev() {
        row::<KH>(p, consts, input, output, scratch, oy);
    }
}

#[inline(always)]
fn row<const KH: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
    oy: usize,
) {
    let (in_row, out_row) = (p.in_w * p.in_c, p.out_w * p.in_c);
    let first = rows::first(oy, p.stride_h, p.pad_top);
    let window = rows::window::<KH>(input, in_row, first, p.dilation_h, p.in_h);
    step(p, consts, &window, output.sub(oy * out_row, out_row), scratch);
}

/// Output rows `y..y + count`, one after the other, wherever rows lie; `WINDOW` is
/// at least `p.kernel_h`.
#[inline(always)]
pub fn run_rows<const WINDOW: usize>(
    p: &Params,
    consts: Consts<'_>,
    input: Rows<'_>,
    output: Rows<'_>,
    (y, count): (usize, usize),
    scratch: Bytes<'_>,
) {
    let mut window = [None; WINDOW];
    for oy in y..y + count {
        input.window(rows::first(oy, p.stride_h, p.pad_top), p.dilation_h, &mut window);
        step(p, consts, window.get(..p.kernel_h).unwrap_or(&window), output.run(oy, 1), scratch);
    }
}

/// One output row from the `kernel_h` input rows of its window.
#[inline(never)]
pub fn step(p: &Params, consts: Consts<'_>, rows: &[Option<Bytes<'_>>], out: Bytes<'_>, scratch: Bytes<'_>) {
    let taps = p.kernel_h * p.kernel_w;
    let channels = Channels::new(consts, p.in_c, p.shifts, p.out);
    let weights = channels.weights(taps * p.in_c);
    let window = Window {
        in_w: p.in_w,
        channels: p.in_c,
        kernel_w: p.kernel_w,
        dilation_w: p.dilation_w,
        pad_code: p.pad_code,
    };
    let reach = (taps - 1) * p.in_c;
    for ox in 0..p.out_w {
        window.gather(rows.iter(), rows::first(ox, p.stride_w, p.pad_left), scratch);
        let pixel = out.sub(ox * p.in_c, p.in_c);
        let mut c = 0;
        while c + 4 <= p.in_c {
            let (codes, filters) = (scratch.sub(c, reach + 4), weights.sub(c, reach + 4));
            channels.finish_four(c, &arch::column_sums(codes, filters, p.in_c, taps), pixel);
            c += 4;
        }
        while c < p.in_c {
            let mut sum = 0i32;
            for tap in 0..taps {
                let at = tap * p.in_c + c;
                sum = sum.wrapping_add(i32::from(scratch.get(at)) * i32::from(weights.i8_at(at)));
            }
            channels.finish(c, [sum], pixel);
            c += 1;
        }
    }
}
