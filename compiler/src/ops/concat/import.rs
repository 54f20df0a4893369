//! ONNX Concat.
//!
//! A constant operand becomes zeros that its neighbour is padded with, and one
//! addition of the constant over all: no kernel has to read two kinds of memory.

use ndarray::{ArrayD, Axis, Slice};

use crate::ir::{Shape, ValueId};
use crate::onnx::OnnxNode;
use crate::onnx::Tensor;
use crate::onnx::import::{Importer, Operand};
use crate::ops::reshape::import::{axis, identity};
use crate::ops::{Op, pad};

/// Imports a Concat node.
///
/// # Errors
/// Where no operand is computed at run time, or a constant does not fit the others.
pub fn import(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let operands = (0..node.inputs.len())
        .map(|i| imp.operand(node, i)?.ok_or_else(|| format!("operand {i} is missing")))
        .collect::<Result<Vec<Operand>, String>>()?;
    let activations: Vec<ValueId> = operands
        .iter()
        .filter_map(|o| match o {
            Operand::Activation(id) => Some(*id),
            Operand::Constant(_) => None,
        })
        .collect();
    let first = *activations.first().ok_or("none of its operands is computed at run time")?;
    let rank = imp.shape(first).rank();
    // Operator sets before 4 default to the channels.
    let axis = axis(node.int("axis", 1), rank)?;
    if activations.len() == operands.len() {
        return imp.emit(Op::Concat(axis), activations, Some(identity(rank)));
    }
    let (parts, constant) = with_room(imp, &operands, first, axis)?;
    let joined = match parts[..] {
        [only] => only,
        _ => imp.emit(Op::Concat(axis), parts, None)?,
    };
    let scale = imp.add_const("one", ArrayD::ones(constant.shape()));
    let shift = imp.add_const(node.input(0).unwrap_or("constant"), constant);
    imp.emit(Op::Affine, vec![joined, scale, shift], Some(identity(rank)))
}

/// The activations, padded with zeros where constants go, and the constants in
/// their places, zero elsewhere, as a tensor of the result's shape.
fn with_room(
    imp: &mut Importer<'_>,
    operands: &[Operand],
    first: ValueId,
    axis: usize,
) -> Result<(Vec<ValueId>, ArrayD<f32>), String> {
    let mut shape = imp.shape(first);
    let lengths = operands
        .iter()
        .map(|o| match o {
            Operand::Activation(id) => Ok(imp.graph.shape(*id).0[axis]),
            Operand::Constant(Tensor::F32(c)) if c.ndim() == shape.rank() => Ok(c.shape()[axis]),
            Operand::Constant(_) => Err("a constant operand has other dimensions than the rest".to_string()),
        })
        .collect::<Result<Vec<usize>, String>>()?;
    shape.0[axis] = lengths.iter().sum();
    let mut constant = ArrayD::zeros(shape.0.clone());
    let (mut parts, mut at, mut before) = (Vec::new(), 0, 0);
    for (i, operand) in operands.iter().enumerate() {
        match operand {
            Operand::Constant(Tensor::F32(c)) => {
                let mut place = constant.slice_axis_mut(Axis(axis), Slice::from(at..at + lengths[i]));
                if place.shape() != c.shape() {
                    return Err(format!("a constant operand of shape {:?} does not fit the rest", c.shape()));
                }
                place.assign(c);
                before += lengths[i];
            }
            Operand::Constant(_) => {}
            Operand::Activation(id) => {
                // Constants behind the last activation are padding after it.
                let rest = &operands[i + 1..];
                let last = !rest.iter().any(|o| matches!(o, Operand::Activation(_)));
                let after = if last { lengths[i + 1..].iter().sum() } else { 0 };
                parts.push(padded(imp, *id, axis, before, after)?);
                before = 0;
            }
        }
        at += lengths[i];
    }
    Ok((parts, constant))
}

/// An activation with zeros before and after it along an axis.
fn padded(
    imp: &mut Importer<'_>,
    x: ValueId,
    axis: usize,
    before: usize,
    after: usize,
) -> Result<ValueId, String> {
    if (before, after) == (0, 0) {
        return Ok(x);
    }
    let rank = imp.shape(x).rank();
    let along = |n: usize| (0..rank).map(|i| if i == axis { n } else { 0 }).collect();
    let op = Op::Pad(pad::Pad { before: along(before), after: along(after), value: 0.0 });
    let shapes: [&Shape; 1] = [imp.graph.shape(x)];
    let shape = op.output_shape(&shapes)?.ok_or("tinyc bug: a Pad has no shape")?;
    Ok(imp.rearrange(op, x, shape, None))
}
