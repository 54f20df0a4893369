//! ONNX Gemm and MatMul with one constant operand.
//!
//! A constant on the right, `x W`, is a dense layer on the rows of `x`; one on the
//! left, `W x`, is that layer on the columns of `x`: a transpose before and after.

use ndarray::{ArrayD, Axis, IxDyn};

use crate::ir::{NewNode, Shape, ValueId};
use crate::onnx::OnnxNode;
use crate::onnx::import::{Importer, Operand};
use crate::ops::binary::{self, Binary};
use crate::ops::unary::Function;
use crate::ops::{Op, dense};

/// What to do where both operands are computed at run time.
const NO_CONSTANT: &str = "both operands are computed at run time; one of them must be a constant (products of two activations, as in attention, are not supported)";

/// A product with constant weights, before it is emitted.
struct Product {
    /// The activation: rows where the constant is on the right, else columns.
    x: ValueId,
    /// Constant `[out, in]`.
    weights: ValueId,
    /// Whether the constant is the left operand.
    left: bool,
}

/// Imports MatMul.
///
/// # Errors
/// Where neither operand is constant, or the constant is a batch of matrices.
pub fn matmul(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    match (imp.operand(node, 0)?, imp.operand(node, 1)?) {
        (Some(Operand::Activation(x)), Some(Operand::Constant(_))) => {
            let constant = imp.floats(node, 1)?.ok_or("it has no second operand")?;
            let vector = constant.ndim() == 1;
            let mut lead = constant.shape().to_vec();
            lead.truncate(constant.ndim().saturating_sub(2));
            let (weights, axis) = if vector {
                (constant.insert_axis(Axis(0)), 0)
            } else {
                let axis = constant.ndim().saturating_sub(1);
                (matrix(constant)?.reversed_axes(), axis)
            };
            let weights = imp.add_weights(node, 1, standard(weights), axis);
            let mut shape = dense::output_shape(&[&imp.shape(x), imp.graph.shape(weights)])?;
            let product_shape = shape.clone();
            // A constant of more dimensions gives the result its leading ones.
            let missing = (lead.len() + 2).saturating_sub(imp.shape(x).rank().max(2));
            if !vector {
                shape.0.splice(0..0, vec![1; missing]);
            } else {
                shape.0.pop();
            }
            let order = (shape == product_shape).then(|| (0..shape.rank()).collect());
            let y = imp.emit(Op::Dense, vec![x, weights], order)?;
            Ok(if shape == product_shape { y } else { flatten(imp, y, shape) })
        }
        (Some(Operand::Constant(_)), Some(Operand::Activation(x))) => {
            let constant = imp.floats(node, 0)?.ok_or("it has no first operand")?;
            if constant.ndim() != 2 {
                return Err(format!(
                    "its constant left operand has {} dimensions; 2 are supported",
                    constant.ndim()
                ));
            }
            let weights = imp.add_weights(node, 0, constant, 0);
            // A vector on the right is a row already.
            let left = imp.shape(x).rank() > 1;
            emit(imp, node, &Product { x, weights, left }, None, true)
        }
        _ => Err(NO_CONSTANT.into()),
    }
}

/// Imports Gemm: `alpha * A' * B' + beta * C`.
///
/// # Errors
/// Where neither A nor B is constant, or the operands do not fit.
pub fn gemm(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let turned = [node.int("transA", 0) != 0, node.int("transB", 0) != 0];
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    if !alpha.is_finite() || !beta.is_finite() {
        return Err(format!("its alpha {alpha} or beta {beta} is not finite: export the model again"));
    }
    let (x, constant) = match (imp.operand(node, 0)?, imp.operand(node, 1)?) {
        (Some(Operand::Activation(x)), Some(Operand::Constant(_))) => (x, 1),
        (Some(Operand::Constant(_)), Some(Operand::Activation(x))) => (x, 0),
        _ => return Err(NO_CONSTANT.into()),
    };
    let left = constant == 0;
    let x_shape = imp.shape(x);
    if x_shape.rank() != 2 {
        return Err(format!("its operand {x_shape} does not have 2 dimensions"));
    }
    let data = imp.floats(node, constant)?.ok_or("it has no weights")?;
    let data = matrix(data)?;
    // The file's own axis of output features: rows of B'^T, or of A'.
    let output_axis = usize::from(left == turned[constant]);
    let data = standard(if output_axis == 0 { data } else { data.reversed_axes() });
    let weights = if alpha == 1.0 {
        imp.add_weights(node, constant, data, output_axis)
    } else {
        // Scaled weights no longer have the scales that the file gives them.
        imp.add_const(node.input(constant).unwrap_or("weights"), scaled(data, alpha))
    };
    let x = if turned[1 - constant] { transposed(imp, x) } else { x };
    let product = Product { x, weights, left };

    let c = if beta == 0.0 { None } else { imp.operand(node, 2)? };
    match c {
        None => emit(imp, node, &product, None, true),
        Some(Operand::Activation(c)) => {
            let y = emit(imp, node, &product, None, false)?;
            let c = if beta == 1.0 {
                c
            } else {
                let function = Function::Affine { scale: beta, shift: 0.0 };
                unnamed(imp, node, Op::Unary(vec![function]), vec![c], "c")?
            };
            binary_sum(imp, y, c)
        }
        Some(Operand::Constant(_)) => {
            let c = scaled(imp.floats(node, 2)?.ok_or("it has no C")?, beta);
            let features = imp.graph.shape(weights).0[0];
            if let Some(bias) = bias(&c, features, left) {
                return emit(imp, node, &product, Some(bias), true);
            }
            let y = emit(imp, node, &product, None, false)?;
            binary::import::constant(imp, node, y, &c, |c| (1.0, c))
        }
    }
}

/// Gemm's sum with a C that is computed at run time: C may broadcast, not the product.
fn binary_sum(imp: &mut Importer<'_>, y: ValueId, c: ValueId) -> Result<ValueId, String> {
    let (shape, c_shape) = (imp.shape(y), imp.shape(c));
    if binary::broadcast(&shape, &c_shape).as_ref() != Some(&shape) {
        return Err(format!("its C {c_shape} does not broadcast to the product {shape}"));
    }
    binary::import::emit(imp, Binary::Add, y, c)
}

/// A constant C as a bias of the dense layer, where it varies along the layer's
/// output features alone: the columns of the result, or its rows where the
/// constant is on the left.
fn bias(c: &ArrayD<f32>, features: usize, left: bool) -> Option<ArrayD<f32>> {
    let [rows, columns] = match c.shape() {
        [] => [1, 1],
        [columns] => [1, *columns],
        [rows, columns] => [*rows, *columns],
        _ => return None,
    };
    let (along, across) = if left { (rows, columns) } else { (columns, rows) };
    if across != 1 || (along != 1 && along != features) {
        return None;
    }
    let values: Vec<f32> = c.iter().copied().cycle().take(features).collect();
    ArrayD::from_shape_vec(IxDyn(&[features]), values).ok()
}

/// Emits a product in the layout of the ONNX result. `named` says that it is that
/// result; otherwise it is a step on the way that no ONNX tensor shows.
fn emit(
    imp: &mut Importer<'_>,
    node: &OnnxNode,
    product: &Product,
    bias: Option<ArrayD<f32>>,
    named: bool,
) -> Result<ValueId, String> {
    let x = if product.left { transposed(imp, product.x) } else { product.x };
    let mut inputs = vec![x, product.weights];
    if let Some(bias) = bias {
        inputs.push(imp.add_const(node.input(2).unwrap_or("bias"), bias));
    }
    let y = if named {
        let rank = imp.shape(x).rank();
        let order = if product.left { swapped(rank) } else { (0..rank).collect() };
        imp.emit(Op::Dense, inputs, Some(order))?
    } else {
        unnamed(imp, node, Op::Dense, inputs, "product")?
    };
    Ok(if product.left { transposed(imp, y) } else { y })
}

/// Adds a node whose output is no ONNX tensor.
fn unnamed(
    imp: &mut Importer<'_>,
    node: &OnnxNode,
    op: Op,
    inputs: Vec<ValueId>,
    what: &str,
) -> Result<ValueId, String> {
    let shapes: Vec<&Shape> = inputs.iter().map(|&v| imp.graph.shape(v)).collect();
    let shape = op.output_shape(&shapes)?.ok_or("tinyc bug: a reshape must name its shape")?;
    let output_name = format!("{}.{what}", node.name);
    let id = imp.graph.add_node(
        NewNode {
            name: &node.name,
            onnx_op: &node.op,
            op,
            inputs,
            output_name: &output_name,
            shape,
            origin: None,
        },
        None,
    );
    Ok(imp.graph.node(id).output)
}

/// The result under the shape that ONNX gives it.
fn flatten(imp: &mut Importer<'_>, y: ValueId, shape: Shape) -> ValueId {
    let order = (0..shape.rank()).collect();
    imp.emit_shaped(Op::Reshape, vec![y], shape, Some(order))
}

/// The identity permutation with the last two dimensions swapped.
fn swapped(rank: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    order
}

/// A value with its last two dimensions swapped.
fn transposed(imp: &mut Importer<'_>, x: ValueId) -> ValueId {
    let shape = imp.shape(x);
    let perm = swapped(shape.rank());
    imp.rearrange(Op::Transpose(perm.clone()), x, shape.permuted(&perm), Some(&perm))
}

/// A constant as a matrix: leading dimensions of 1 are dropped.
fn matrix(mut constant: ArrayD<f32>) -> Result<ArrayD<f32>, String> {
    while constant.ndim() > 2 && constant.shape()[0] == 1 {
        constant = constant.index_axis_move(Axis(0), 0);
    }
    match constant.ndim() {
        2 => Ok(constant),
        _ => Err(format!(
            "its constant has shape {:?}; one matrix is supported, not a batch of them",
            constant.shape()
        )),
    }
}

fn standard(data: ArrayD<f32>) -> ArrayD<f32> {
    data.as_standard_layout().into_owned()
}

fn scaled(data: ArrayD<f32>, factor: f32) -> ArrayD<f32> {
    data.mapv(|v| (f64::from(v) * f64::from(factor)) as f32)
}
