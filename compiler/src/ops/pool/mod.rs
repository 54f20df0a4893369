//! Maximum and mean over windows.
//!
//! In: `[1, H, W, C]` codes. Out: `[1, OH, OW, C]` codes. Invariants: padding
//! never wins a maximum; a mean divides by the number of cells that its window
//! counts, which differs at borders, and rounds once; every window holds at
//! least one cell of the input.
//! Semantics: ONNX operator specification, MaxPool-12 and AveragePool-19; a
//! window that sticks out beyond the declared padding (`ceil_mode`) counts
//! nothing out there.

pub mod import;
pub mod lower;

use super::conv::Window;
use crate::ir::{QuantParams, Shape};
use crate::quant::multiplier::requantize;
use crate::quant::{Multiplier, QTensor};

/// Which statistic of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The maximum; padding never wins.
    Max,
    /// The mean over the cells inside the input, or over all cells with `count_include_pad`.
    Average {
        /// Whether cells of the declared padding count as zeros.
        count_include_pad: bool,
    },
}

impl Kind {
    /// The operator's name in the IR's text form and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Max => "max_pool",
            Kind::Average { .. } => "average_pool",
        }
    }
}

/// Attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Statistic.
    pub kind: Kind,
    /// Geometry.
    pub window: Window,
    /// ONNX `ceil_mode`.
    pub ceil: bool,
}

impl Pool {
    /// The shape of the output.
    ///
    /// # Errors
    /// Where the input is not `[1, H, W, C]`, the kernel does not fit, or a
    /// window lies wholly in the padding and so has no value.
    pub fn output_shape(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        let [height, width, channels] =
            inputs[0].hwc().ok_or_else(|| format!("the input {} is not [1, H, W, C]", inputs[0]))?;
        let size = [height, width];
        let out = self.window.output(size, self.ceil)?;
        for axis in 0..2 {
            if let Some(o) = (0..out[axis]).find(|&o| self.inside(axis, o, size[axis]).next().is_none()) {
                return Err(format!(
                    "window {o} along {} lies wholly in the padding and has no value: make the pads smaller than the kernel",
                    ["rows", "columns"][axis]
                ));
            }
        }
        Ok(Shape(vec![1, out[0], out[1], channels]))
    }

    /// Positions of window `o` along an axis (0: rows, 1: columns), padding and
    /// what lies beyond it included.
    fn taps(&self, axis: usize, o: usize) -> impl Iterator<Item = i64> + use<> {
        let w = self.window;
        let lead = [w.pads.top, w.pads.left][axis] as i64;
        let start = (o * w.stride[axis]) as i64 - lead;
        (0..w.kernel[axis]).map(move |k| start + (k * w.dilation[axis]) as i64)
    }

    /// Those positions of window `o` that lie inside an input of `size` along the axis.
    pub(crate) fn inside(&self, axis: usize, o: usize, size: usize) -> impl Iterator<Item = usize> + use<> {
        self.taps(axis, o).filter(move |t| (0..size as i64).contains(t)).map(|t| t as usize)
    }

    /// How many cells window `o` counts along an axis: a window's count is the
    /// product over both axes.
    pub(crate) fn counted(&self, axis: usize, o: usize, size: usize) -> usize {
        let pads = self.window.pads;
        let (lead, trail) = ([pads.top, pads.left][axis] as i64, [pads.bottom, pads.right][axis] as i64);
        match self.kind {
            Kind::Average { count_include_pad: true } => {
                self.taps(axis, o).filter(|t| (-lead..size as i64 + trail).contains(t)).count()
            }
            _ => self.inside(axis, o, size).count(),
        }
    }
}

/// The requantization of a sum over `count` cells: `s_in / (s_out * count)`.
/// `None` where the scales are too far apart for it.
pub fn multiplier(input: &QuantParams, output: &QuantParams, count: usize) -> Option<Multiplier> {
    Multiplier::from_real(f64::from(input.scale) / (f64::from(output.scale) * count as f64))
}

/// The naive integer reference: exact sums of `(q - zero_point)` over the cells
/// inside the input, requantized by the window's own count; or the largest code,
/// clamped (input and output share scale and zero point then).
///
/// A multiplier beyond what exists saturates here; [`lower`] reports it.
pub fn reference(pool: &Pool, x: &QTensor, shape: &Shape, out: QuantParams) -> Vec<i8> {
    let [in_h, in_w, channels] = x.shape.hwc().expect("verified: pooling input is [1, H, W, C]");
    let [out_h, out_w, _] = shape.hwc().expect("verified: pooling output is [1, H, W, C]");
    let zero = i64::from(x.params.zero_point);
    let mut codes = Vec::with_capacity(shape.elements());
    for oy in 0..out_h {
        for ox in 0..out_w {
            let count = pool.counted(0, oy, in_h) * pool.counted(1, ox, in_w);
            for c in 0..channels {
                let mut sum = 0i64;
                let mut largest = i8::MIN;
                for y in pool.inside(0, oy, in_h) {
                    for xx in pool.inside(1, ox, in_w) {
                        let q = x.codes[(y * in_w + xx) * channels + c];
                        sum += i64::from(q) - zero;
                        largest = largest.max(q);
                    }
                }
                codes.push(match pool.kind {
                    Kind::Max => largest.clamp(out.lo, out.hi),
                    Kind::Average { .. } => {
                        let m = multiplier(&x.params, &out, count);
                        requantize(sum, m.unwrap_or(Multiplier { m: i32::MAX, k: 31 }), &out)
                    }
                });
            }
        }
    }
    codes
}
