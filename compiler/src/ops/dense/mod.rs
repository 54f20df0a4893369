//! Fully connected layers: a matrix product with constant weights.
//!
//! In: `[.., in]` (leading dimensions are rows), weights `[out, in]`, an optional
//! bias `[out]`. Out: `[.., out]`. ONNX operators Gemm and MatMul. Invariant: every
//! row meets the same weights; `LayerQuant` has one channel an output feature.

pub mod import;
pub mod lower;
pub mod lower_lanes;
pub mod lower_sparse;
pub mod lower_tile;

use crate::ir::{QuantParams, Shape};
use crate::quant::multiplier::requantize;
use crate::quant::{LayerQuant, QTensor};

/// The shape of the output.
///
/// # Errors
/// Where the operands do not fit each other.
pub fn output_shape(inputs: &[&Shape]) -> Result<Shape, String> {
    let [x, weights] = inputs.get(..2).and_then(|i| i.try_into().ok()).ok_or("it has no weights")?;
    let [out, features] = weights.0[..] else {
        return Err(format!("the weights {weights} do not have 2 dimensions"));
    };
    let Some((&last, rows)) = x.0.split_last() else {
        return Err("its input has no dimensions".into());
    };
    if last != features {
        return Err(format!("an input {x} does not fit weights for {features} features"));
    }
    if let Some(bias) = inputs.get(2)
        && bias.0 != [out]
    {
        return Err(format!("the bias {bias} is not [{out}]"));
    }
    Ok(Shape(rows.iter().copied().chain([out]).collect()))
}

/// The naive integer reference: exact sums of `(q - zero_point) * w` in 64 bits.
pub fn reference(layer: &LayerQuant, x: &QTensor, shape: &Shape, out: QuantParams) -> Vec<i8> {
    let features = x.shape.channels();
    let zero = i64::from(x.params.zero_point);
    let mut codes = Vec::with_capacity(shape.elements());
    for row in x.codes.chunks(features) {
        for channel in 0..shape.channels() {
            let mut acc = i64::from(layer.bias[channel]);
            for (i, &q) in row.iter().enumerate() {
                acc += (i64::from(q) - zero) * i64::from(layer.weights[channel * features + i]);
            }
            codes.push(requantize(acc, layer.multipliers[channel], &out));
        }
    }
    codes
}
