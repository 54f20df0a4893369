//! ONNX Add, Sub, Mul and Div, of two activations or with a constant.

use ndarray::{ArrayD, IxDyn};

use super::{Binary, broadcast};
use crate::ir::{Shape, ValueId};
use crate::onnx::OnnxNode;
use crate::onnx::import::{Importer, Operand};
use crate::onnx::model::Tensor;
use crate::ops::unary::Function;
use crate::ops::{Op, affine, unary};

/// Imports an arithmetic operator. A scalar constant becomes a unary function,
/// another constant an affine operation; two activations a binary operation whose
/// operands have equal rank (a reshape puts ones in front of the shorter one).
///
/// # Errors
/// Where it divides by an activation, or its operands do not fit.
pub fn import(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let a = imp.operand(node, 0)?.ok_or("its first operand is missing")?;
    let b = imp.operand(node, 1)?.ok_or("its second operand is missing")?;
    match (a, b) {
        (Operand::Activation(a), Operand::Activation(b)) => {
            let op = match node.op.as_str() {
                "Add" => Binary::Add,
                "Sub" => Binary::Sub,
                "Mul" => Binary::Mul,
                _ => {
                    return Err(
                        "its divisor is computed at run time; only division by a constant is supported".into()
                    );
                }
            };
            emit(imp, op, a, b)
        }
        (Operand::Activation(x), Operand::Constant(c)) => {
            let pair = |c: f64| match node.op.as_str() {
                "Add" => (1.0, c),
                "Sub" => (1.0, -c),
                "Mul" => (c, 0.0),
                _ => (1.0 / c, 0.0),
            };
            constant(imp, node, x, &floats(c)?, pair)
        }
        (Operand::Constant(_), Operand::Activation(_)) if node.op == "Div" => Err(
            "it divides a constant by an activation; only division by a constant is supported: multiply by the reciprocal where that is computed"
                .into(),
        ),
        (Operand::Constant(c), Operand::Activation(x)) => {
            let pair = |c: f64| match node.op.as_str() {
                "Add" => (1.0, c),
                "Sub" => (-1.0, c),
                _ => (c, 0.0),
            };
            constant(imp, node, x, &floats(c)?, pair)
        }
        (Operand::Constant(_), Operand::Constant(_)) => {
            Err("both operands are constants, and folding them failed: fold the model with onnxsim".into())
        }
    }
}

/// Adds a binary operation as the node's result, in the layout of the ONNX tensor.
///
/// # Errors
/// Where the shapes do not broadcast.
pub fn emit(imp: &mut Importer<'_>, op: Binary, a: ValueId, b: ValueId) -> Result<ValueId, String> {
    let rank = imp.shape(a).rank().max(imp.shape(b).rank());
    let (a, b) = (with_rank(imp, a, rank), with_rank(imp, b, rank));
    imp.emit(Op::Binary(op), vec![a, b], Some((0..rank).collect()))
}

/// Adds `x * scale + shift` as the node's result, `(scale, shift)` being `pair` of
/// each element of the constant.
///
/// # Errors
/// Where a constant is not finite or `x` would have to be broadcast.
pub fn constant(
    imp: &mut Importer<'_>,
    node: &OnnxNode,
    x: ValueId,
    constant: &ArrayD<f32>,
    pair: impl Fn(f64) -> (f64, f64),
) -> Result<ValueId, String> {
    let rank = imp.shape(x).rank().max(constant.ndim());
    let x = with_rank(imp, x, rank);
    let pairs: Vec<(f64, f64)> = constant.iter().map(|&c| pair(f64::from(c))).collect();
    if let [(scale, shift)] = pairs[..] {
        let (scale, shift) = (scale as f32, shift as f32);
        if !scale.is_finite() || !shift.is_finite() {
            return Err(format!("with its constant {constant} it is no finite function: check the operand"));
        }
        return unary::import::emit(imp, x, Function::Affine { scale, shift });
    }
    let shape = imp.shape(x);
    let own = Shape::from(constant.shape());
    if broadcast(&own, &shape).as_ref() != Some(&shape) {
        return Err(format!(
            "its constant {own} does not broadcast to the activation {shape}; an activation that broadcasts to a constant is not supported: expand it first"
        ));
    }
    let mut dims = vec![1; rank - own.rank()];
    dims.extend(&own.0);
    let array = |values: Vec<f32>| {
        ArrayD::from_shape_vec(IxDyn(&dims), values).map_err(|e| format!("tinyc bug: {e}"))
    };
    let scale = array(pairs.iter().map(|p| p.0 as f32).collect())?;
    let shift = array(pairs.iter().map(|p| p.1 as f32).collect())?;
    affine::import::emit(imp, node, x, scale, shift)
}

/// A value with ones in front of its dimensions, to `rank` of them.
fn with_rank(imp: &mut Importer<'_>, x: ValueId, rank: usize) -> ValueId {
    let shape = imp.shape(x);
    if shape.rank() == rank {
        return x;
    }
    let mut dims = vec![1; rank - shape.rank()];
    dims.extend(&shape.0);
    imp.rearrange(Op::Reshape, x, Shape(dims), None)
}

fn floats(tensor: Tensor) -> Result<ArrayD<f32>, String> {
    match tensor {
        Tensor::F32(a) => Ok(a),
        _ => Err("its constant holds integers where floats are expected".into()),
    }
}
