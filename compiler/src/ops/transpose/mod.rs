//! Permutation of dimensions.
//!
//! In: codes of any shape. Out: the same codes in the order of the permuted
//! shape. Invariant: input and output share scale and zero point (a pass sees to it).

pub mod import;
pub mod lower;

use crate::ir::Shape;
use crate::quant::QTensor;

/// The shape of the output: dimension `i` is dimension `perm[i]` of the input.
///
/// # Errors
/// Where `perm` is not a permutation of the input's dimensions.
pub fn output_shape(perm: &[usize], inputs: &[&Shape]) -> Result<Shape, String> {
    let rank = inputs[0].rank();
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return Err(format!("its perm {perm:?} is not a permutation of the dimensions of {}", inputs[0]));
    }
    Ok(inputs[0].permuted(perm))
}

/// The naive reference: every output element fetched by its index.
pub fn reference(perm: &[usize], x: &QTensor, shape: &Shape) -> Vec<i8> {
    let out_strides = shape.strides();
    let in_strides = x.shape.strides();
    (0..shape.elements())
        .map(|flat| {
            let source: usize =
                (0..perm.len()).map(|i| flat / out_strides[i] % shape.0[i] * in_strides[perm[i]]).sum();
            x.codes[source]
        })
        .collect()
}
