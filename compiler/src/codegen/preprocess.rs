//! From what a sensor delivers to input codes, on the host and on the chip.
//!
//! In: 8-bit pixels. Out: int8 codes. Invariant: the host ([`QuantParams::quantize`])
//! and the functions in the emitted crate give the same codes: both divide once in
//! f32 and round half to even.

use crate::ir::{QuantParams, Shape};

/// The codes of the 256 pixel values after `(x - mean) / std`: the table that the
/// emitted `quantize_pixels` looks up.
pub fn pixel_table(mean: f32, std: f32, params: &QuantParams) -> [i8; 256] {
    std::array::from_fn(|pixel| params.quantize((pixel as f32 - mean) / std))
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
