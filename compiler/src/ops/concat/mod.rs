//! Concatenation along a dimension.
//!
//! In: codes of tensors that differ in one dimension at most. Out: all of them,
//! one after the other along it. Invariant: every input has the scale and zero
//! point of the output (a pass sees to it).

pub mod import;
pub mod lower;

use crate::ir::Shape;
use crate::quant::QTensor;

/// The shape of the output.
///
/// # Errors
/// Where the inputs differ in another dimension than `axis`, or in rank.
pub fn output_shape(axis: usize, inputs: &[&Shape]) -> Result<Shape, String> {
    let mut out = inputs[0].clone();
    if axis >= out.rank() {
        return Err(format!("its axis {axis} is outside a tensor of {} dimensions", out.rank()));
    }
    for other in &inputs[1..] {
        let fits = other.rank() == out.rank() && (0..out.rank()).all(|i| i == axis || other.0[i] == out.0[i]);
        if !fits {
            return Err(format!("{} and {other} cannot be joined along dimension {axis}", inputs[0]));
        }
        out.0[axis] += other.0[axis];
    }
    Ok(out)
}

/// The naive reference: every output element fetched from the input that holds
/// its index along `axis`.
pub fn reference(axis: usize, inputs: &[&QTensor], shape: &Shape) -> Vec<i8> {
    let strides = shape.strides();
    (0..shape.elements())
        .map(|flat| {
            let mut index: Vec<usize> = (0..shape.rank()).map(|i| flat / strides[i] % shape.0[i]).collect();
            let mut source = 0;
            while index[axis] >= inputs[source].shape.0[axis] {
                index[axis] -= inputs[source].shape.0[axis];
                source += 1;
            }
            let x = inputs[source];
            let at: usize = index.iter().zip(x.shape.strides()).map(|(i, s)| i * s).sum();
            x.codes[at]
        })
        .collect()
}
