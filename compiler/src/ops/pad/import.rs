//! ONNX Pad.

use super::Pad;
use crate::ir::ValueId;
use crate::onnx::OnnxNode;
use crate::onnx::import::Importer;
use crate::ops::Op;
use crate::ops::reshape::import::{axis, identity};

/// Imports a Pad node of mode `constant`.
pub fn import(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let x = imp.activation(node, 0)?;
    let rank = imp.shape(x).rank();
    match node.string("mode", "constant") {
        "constant" => {}
        other => return Err(format!("its mode '{other}' is not supported: only 'constant' is")),
    }
    let pads = match node.ints("pads").or(node.ints("paddings")) {
        Some(pads) => pads.to_vec(),
        None => imp.integers(node, 1)?.ok_or("it has no pads")?,
    };
    if let Some(cut) = pads.iter().find(|p| **p < 0) {
        return Err(format!(
            "its pads {pads:?} hold {cut}: negative pads, which cut elements off, are not supported"
        ));
    }
    let axes = match imp.integers(node, 3)? {
        Some(list) => list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => identity(rank),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("its pads {pads:?} do not fit {} dimensions", axes.len()));
    }
    let value = match imp.floats(node, 2)? {
        Some(value) => *value.first().ok_or("its constant_value is empty")?,
        None => node.float("value", 0.0),
    };
    if value.is_nan() {
        return Err("its constant_value is not a number".into());
    }
    if pads.iter().all(|&p| p == 0) {
        return imp.emit(Op::Unary(Vec::new()), vec![x], Some(identity(rank)));
    }
    let mut pad = Pad { before: vec![0; rank], after: vec![0; rank], value };
    for (i, &axis) in axes.iter().enumerate() {
        pad.before[axis] = pads[i] as usize;
        pad.after[axis] = pads[axes.len() + i] as usize;
    }
    imp.emit(Op::Pad(pad), vec![x], Some(identity(rank)))
}
