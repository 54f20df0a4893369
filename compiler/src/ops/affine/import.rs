//! BatchNormalization, and arithmetic with constants, as `x * scale + shift`.

use ndarray::{ArrayD, IxDyn};

use crate::ir::ValueId;
use crate::onnx::OnnxNode;
use crate::onnx::import::Importer;
use crate::ops::Op;

/// Adds `x * scale + shift` as the node's result, in the layout of the ONNX
/// tensor. The constants have one shape, of `x`'s rank.
///
/// # Errors
/// Where a constant is not finite or does not broadcast to `x`.
pub fn emit(
    imp: &mut Importer<'_>,
    node: &OnnxNode,
    x: ValueId,
    scale: ArrayD<f32>,
    shift: ArrayD<f32>,
) -> Result<ValueId, String> {
    if let Some(bad) = scale.iter().chain(&shift).find(|v| !v.is_finite()) {
        return Err(format!("one of its constants becomes {bad}: check the operand's values"));
    }
    let order = (0..imp.shape(x).rank()).collect();
    let scale = imp.add_const(&format!("{}.scale", node.name), scale);
    let shift = imp.add_const(&format!("{}.shift", node.name), shift);
    imp.emit(Op::Affine, vec![x, scale, shift], Some(order))
}

/// Imports BatchNormalization in its inference form: along axis 1,
/// `scale = gamma / sqrt(var + epsilon)` and `shift = beta - mean * scale`,
/// in f64, rounded to f32 at the end.
///
/// # Errors
/// Where it is in training mode or its operands do not fit.
pub fn batch_norm(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    if node.int("training_mode", 0) != 0 {
        return Err("it is in training mode: export the model in inference mode (model.eval())".into());
    }
    let x = imp.activation(node, 0)?;
    let shape = imp.shape(x);
    let channels = match shape.0.get(1) {
        Some(&channels) => channels,
        None => return Err(format!("its input {shape} has no channel dimension (axis 1)")),
    };
    let operand = |i: usize, what: &str| {
        let values = imp.floats(node, i)?.ok_or_else(|| format!("it has no {what}"))?;
        if values.len() != channels {
            return Err(format!("its {what} has {} values for {channels} channels", values.len()));
        }
        Ok(values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>())
    };
    let (gamma, beta) = (operand(1, "scale")?, operand(2, "bias")?);
    let (mean, var) = (operand(3, "mean")?, operand(4, "variance")?);
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    if let Some(bad) = var.iter().find(|&&v| v + epsilon <= 0.0) {
        return Err(format!("its variance {bad} plus epsilon {epsilon} is not positive: check the weights"));
    }
    let scale: Vec<f64> = gamma.iter().zip(&var).map(|(g, v)| g / libm::sqrt(v + epsilon)).collect();
    let shift = (0..channels).map(|c| (beta[c] - mean[c] * scale[c]) as f32).collect();
    let scale = scale.iter().map(|&s| s as f32).collect();
    let mut dims = vec![1; shape.rank()];
    dims[1] = channels;
    let constant = |values: Vec<f32>| {
        ArrayD::from_shape_vec(IxDyn(&dims), values).map_err(|e| format!("tinyc bug: {e}"))
    };
    emit(imp, node, x, constant(scale)?, constant(shift)?)
}
