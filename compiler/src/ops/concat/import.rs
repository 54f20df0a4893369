//! ONNX Concat.

use crate::ir::ValueId;
use crate::onnx::OnnxNode;
use crate::onnx::import::Importer;
use crate::ops::Op;
use crate::ops::reshape::import::{axis, identity};

/// Imports a Concat node of activations.
pub fn import(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let inputs =
        (0..node.inputs.len()).map(|i| imp.activation(node, i)).collect::<Result<Vec<ValueId>, String>>()?;
    let first = *inputs.first().ok_or("it has no operand")?;
    let rank = imp.shape(first).rank();
    // Operator sets before 4 default to the channels.
    let axis = axis(node.int("axis", 1), rank)?;
    imp.emit(Op::Concat(axis), inputs, Some(identity(rank)))
}
