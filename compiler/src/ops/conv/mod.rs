//! Convolution, channel-last, grouped.
//!
//! In: `[1, H, W, C]`, weights `[out, kh, kw, in / groups]`, bias `[out]`. Out:
//! `[1, H', W', out]`. ONNX operator Conv (opset 1 to 22); 1-D has W = 1 and H
//! for time. Invariant: positions outside the input read the real `pad_value`.

pub mod import;
pub mod lower;
pub mod lower_lanes;
pub mod lower_sparse;
pub mod lower_tile;
pub mod lower_window;
pub mod lower_winograd;
pub mod pack_blocks;

use crate::ir::{QuantParams, Shape};
use crate::quant::multiplier::requantize;
use crate::quant::{LayerQuant, QTensor};

/// Rows and columns of padding around an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pads {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

/// How a window moves over rows and columns: shared by convolution and pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Stride down and right.
    pub stride: [usize; 2],
    /// Distance between kernel taps.
    pub dilation: [usize; 2],
    /// Padding.
    pub pads: Pads,
}

impl Window {
    /// Cells from the first tap to the last along an axis (0: rows, 1: columns).
    pub fn span(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// Rows or columns, from the first of the padding on, up to the last that the first
    /// `out` windows reach (at least one) along an axis.
    pub fn reach(&self, axis: usize, out: usize) -> usize {
        (out - 1) * self.stride[axis] + self.span(axis)
    }

    /// Where tap `tap` of window `at` lies along an axis; `None` outside an input of `size`.
    pub fn position(&self, axis: usize, at: usize, tap: usize, size: usize) -> Option<usize> {
        let lead = [self.pads.top, self.pads.left][axis];
        let position = (at * self.stride[axis] + tap * self.dilation[axis]).checked_sub(lead)?;
        (position < size).then_some(position)
    }

    /// Rows and columns of the output over an input of `height` x `width`;
    /// `ceil` counts a last window that sticks out (ONNX `ceil_mode`), unless it
    /// would start beyond input and leading padding.
    ///
    /// # Errors
    /// Where the kernel is larger than the padded input.
    pub fn output(&self, size: [usize; 2], ceil: bool) -> Result<[usize; 2], String> {
        let lead = [self.pads.top, self.pads.left];
        let trail = [self.pads.bottom, self.pads.right];
        let mut out = [0; 2];
        for i in 0..2 {
            let padded = size[i] + lead[i] + trail[i];
            let span = self.span(i);
            if span > padded {
                return Err(format!(
                    "a kernel that spans {span} is larger than the padded input of {padded}"
                ));
            }
            out[i] = (padded - span) / self.stride[i] + 1;
            if ceil
                && !(padded - span).is_multiple_of(self.stride[i])
                && out[i] * self.stride[i] < size[i] + lead[i]
            {
                out[i] += 1;
            }
        }
        Ok(out)
    }
}

/// Attributes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv {
    /// Geometry.
    pub window: Window,
    /// Groups; `in` of them with one input channel each is depthwise.
    pub groups: usize,
    /// The real value of positions outside the input: 0, or that of a fused Pad.
    pub pad_value: f32,
}

impl Conv {
    /// The shape of the output.
    ///
    /// # Errors
    /// Where operands and attributes do not fit each other.
    pub fn output_shape(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        let [height, width, channels] =
            inputs[0].hwc().ok_or_else(|| format!("the input {} is not [1, H, W, C]", inputs[0]))?;
        let [out, kh, kw, per_group] = inputs[1].0[..] else {
            return Err(format!("the weights {} do not have 4 dimensions", inputs[1]));
        };
        if [kh, kw] != self.window.kernel {
            return Err(format!(
                "the weights {} do not match kernel_shape {:?}",
                inputs[1], self.window.kernel
            ));
        }
        if self.groups == 0 || per_group * self.groups != channels || !out.is_multiple_of(self.groups) {
            return Err(format!(
                "{channels} input and {out} output channels do not divide into {} groups with weights {}",
                self.groups, inputs[1]
            ));
        }
        if let Some(bias) = inputs.get(2)
            && bias.0 != [out]
        {
            return Err(format!("the bias {bias} is not [{out}]"));
        }
        let [oh, ow] = self.window.output([height, width], false)?;
        Ok(Shape(vec![1, oh, ow, out]))
    }
}

/// The naive integer reference: exact sums of `(q - zero_point) * w` in 64 bits.
pub fn reference(
    conv: &Conv,
    layer: &LayerQuant,
    weights: &Shape,
    x: &QTensor,
    out_shape: &Shape,
    out: QuantParams,
) -> Vec<i8> {
    let [in_h, in_w, in_c] = x.shape.hwc().expect("verified: convolution input is [1, H, W, C]");
    let [out_h, out_w, out_c] = out_shape.hwc().expect("verified: convolution output is [1, H, W, C]");
    let per_group = weights.channels();
    let out_per_group = out_c / conv.groups;
    let window = conv.window;
    let zero = i64::from(x.params.zero_point);
    let pad = i64::from(x.params.code(f64::from(conv.pad_value)));
    let mut codes = Vec::with_capacity(out_shape.elements());
    for oy in 0..out_h {
        for ox in 0..out_w {
            let border = layer.borders.as_ref().and_then(|borders| borders.at(oy, ox));
            for oc in 0..out_c {
                let mut acc = i64::from(layer.bias[oc]) + border.map_or(0, |more| i64::from(more[oc]));
                for ky in 0..window.kernel[0] {
                    for kx in 0..window.kernel[1] {
                        let y =
                            (oy * window.stride[0] + ky * window.dilation[0]) as i64 - window.pads.top as i64;
                        let xx = (ox * window.stride[1] + kx * window.dilation[1]) as i64
                            - window.pads.left as i64;
                        let inside = (0..in_h as i64).contains(&y) && (0..in_w as i64).contains(&xx);
                        for ic in 0..per_group {
                            let channel = oc / out_per_group * per_group + ic;
                            let q = if inside {
                                i64::from(x.codes[(y as usize * in_w + xx as usize) * in_c + channel])
                            } else {
                                pad
                            };
                            let w = layer.weights
                                [((oc * window.kernel[0] + ky) * window.kernel[1] + kx) * per_group + ic];
                            acc += (q - zero) * i64::from(w);
                        }
                    }
                }
                codes.push(requantize(acc, layer.multipliers[oc], &out));
            }
        }
    }
    codes
}
