//! ONNX Transpose.

use crate::ir::ValueId;
use crate::onnx::OnnxNode;
use crate::onnx::import::Importer;
use crate::ops::Op;
use crate::ops::reshape::import::{axis, identity};

/// Imports a Transpose node; without `perm` it reverses the dimensions.
pub fn import(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let x = imp.activation(node, 0)?;
    let rank = imp.shape(x).rank();
    let perm = match node.ints("perm") {
        Some(perm) => perm.iter().map(|&p| axis(p, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).rev().collect(),
    };
    imp.emit(Op::Transpose(perm), vec![x], Some(identity(rank)))
}
