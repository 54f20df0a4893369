//! `x * scale + shift` with constants that broadcast to `x`.
//!
//! In: `x` of any shape and two constants of one shape: the rank of `x`, each
//! dimension 1 or that of `x`. Out: the shape of `x`. ONNX: BatchNormalization,
//! and Add, Sub, Mul, Div with a constant that is no scalar.
//!
//! Quantized it is a depthwise 1x1 convolution whose channels are the elements of
//! the constants. Invariant: `LayerQuant` has one weight, one bias and one
//! multiplier for each element of the scale constant (`inputs[1]`), row-major in
//! that constant's own shape, before any expansion to the shape of `x`.

pub mod import;
pub mod lower;

use crate::ir::{QuantParams, Shape};
use crate::quant::multiplier::requantize;
use crate::quant::{LayerQuant, QTensor};

/// The shape of the output.
///
/// # Errors
/// Where the constants' shapes differ or do not broadcast to that of `x`.
pub fn output_shape(inputs: &[&Shape]) -> Result<Shape, String> {
    let [x, scale, shift] = inputs[..] else {
        return Err(format!("it has {} operands instead of x, scale and shift", inputs.len()));
    };
    if scale != shift {
        return Err(format!("the scale {scale} and the shift {shift} differ in shape"));
    }
    let fits = scale.rank() == x.rank() && scale.0.iter().zip(&x.0).all(|(&c, &d)| c == 1 || c == d);
    if !fits {
        return Err(format!("constants of shape {scale} do not broadcast to {x}"));
    }
    Ok(x.clone())
}

/// The naive integer reference: `(q - zero_point) * w + bias` for each element,
/// with the constants' element found by its index.
pub fn reference(layer: &LayerQuant, scale_shape: &Shape, x: &QTensor, out: QuantParams) -> Vec<i8> {
    let zero = i64::from(x.params.zero_point);
    let mut index = vec![0; x.shape.rank()];
    let mut codes = Vec::with_capacity(x.codes.len());
    for &q in &x.codes {
        let mut c = 0;
        for (&i, &dim) in index.iter().zip(&scale_shape.0) {
            c = c * dim + if dim == 1 { 0 } else { i };
        }
        let acc = (i64::from(q) - zero) * i64::from(layer.weights[c]) + i64::from(layer.bias[c]);
        codes.push(requantize(acc, layer.multipliers[c], &out));
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < x.shape.0[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    codes
}
