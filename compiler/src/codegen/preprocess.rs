//! From what a sensor delivers to input codes, on the host and on the chip.
//!
//! In: real values or 8-bit pixels. Out: int8 codes. Invariant: the host's
//! functions here and the functions in the emitted crate give the same codes:
//! both divide once in f32 and round half to even.

use crate::ir::{QuantParams, Shape};

/// What was done to samples before the model saw them.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Preprocessing {
    /// Nothing: the model takes real values as they are.
    #[default]
    None,
    /// The model takes `(x - mean) / std`, in f32.
    MeanStd {
        /// One mean, or one a channel, in units of `x`.
        mean: Vec<f32>,
        /// As many standard deviations.
        std: Vec<f32>,
        /// The dimension of the input that counts channels; needed with several means.
        channel_axis: Option<usize>,
    },
    /// Samples are the model's input codes; 8-bit unsigned ones are 128 higher.
    Codes,
}

/// The code of a real value, as the emitted `quantize` computes it: one division
/// in f32, round half to even, saturate; the zero point for NaN.
pub fn code(value: f32, params: &QuantParams) -> i8 {
    let steps = (value / params.scale).clamp(-512.0, 512.0).round_ties_even() as i32;
    (steps + i32::from(params.zero_point)).clamp(-128, 127) as i8
}

/// The codes of real values; see [`code`].
pub fn quantize(values: &[f32], params: &QuantParams) -> Vec<i8> {
    values.iter().map(|&v| code(v, params)).collect()
}

/// The codes of the 256 pixel values after `(x - mean) / std`: the table that the
/// emitted `quantize_pixels` looks up.
pub fn pixel_table(mean: f32, std: f32, params: &QuantParams) -> [i8; 256] {
    std::array::from_fn(|pixel| code((pixel as f32 - mean) / std, params))
}

/// How the channel of element `i` follows from `i`: `i / inner % channels`.
/// `None` where `means` is not the size of the axis.
pub fn channel_stride(shape: &Shape, axis: Option<usize>, means: usize) -> Option<usize> {
    if means == 1 {
        return Some(shape.elements().max(1));
    }
    let axis = axis?;
    (shape.0.get(axis) == Some(&means)).then(|| shape.0[axis + 1..].iter().product())
}
