//! ONNX Softmax.

use crate::ir::{Shape, ValueId};
use crate::onnx::OnnxNode;
use crate::onnx::import::Importer;
use crate::ops::Op;
use crate::ops::reshape::import::{axis, identity, view};

/// Imports a Softmax node. From operator set 13 on it runs along one axis (the
/// last by default); before, over all dimensions from an axis on (by default 1).
pub fn import(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let x = imp.activation(node, 0)?;
    let shape = imp.shape(x);
    let rank = shape.rank();
    let along_one = imp.opset >= 13;
    let axis = axis(node.int("axis", if along_one { -1 } else { 1 }), rank)?;
    let behind: usize = shape.0[axis + 1..].iter().product();
    if along_one && behind != 1 {
        return transposed(imp, x, axis);
    }
    if behind == 1 && axis == rank - 1 {
        return imp.emit(Op::Softmax, vec![x], Some(identity(rank)));
    }
    let rows: usize = shape.0[..axis].iter().product();
    let flat = view(imp, x, Shape(vec![rows, shape.0[axis] * behind]));
    let y = imp.emit(Op::Softmax, vec![flat], Some(identity(rank)))?;
    Ok(view(imp, y, shape))
}

/// Softmax along an axis that is not the last: brought to the end and back.
fn transposed(imp: &mut Importer<'_>, x: ValueId, axis: usize) -> Result<ValueId, String> {
    let shape = imp.shape(x);
    let rank = shape.rank();
    let perm: Vec<usize> = (0..rank).filter(|&i| i != axis).chain([axis]).collect();
    let mut back = vec![0; rank];
    for (i, &p) in perm.iter().enumerate() {
        back[p] = i;
    }
    let turned = imp.rearrange(Op::Transpose(perm.clone()), x, shape.permuted(&perm), Some(&perm));
    let y = imp.emit(Op::Softmax, vec![turned], Some(perm))?;
    Ok(imp.rearrange(Op::Transpose(back.clone()), y, shape, Some(&back)))
}
