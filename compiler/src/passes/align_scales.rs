//! Nodes that only move bytes get one scale for operand and result.
//!
//! Where the model (or calibration) gives them different ones, an empty unary
//! chain in front requantizes the operand. Invariant afterwards: reshape,
//! transpose, concat, pad and max-pooling read and write one scale and zero point.

use super::{Context, PassError};
use crate::Module;
use crate::ir::{NewNode, QuantParams};
use crate::ops::Op;
use crate::ops::pool::Kind;

/// Whether a node's output has its operands' scale by nature.
pub fn moves_bytes(op: &Op) -> bool {
    match op {
        Op::Reshape | Op::Transpose(_) | Op::Concat(_) | Op::Pad(_) => true,
        Op::Pool(pool) => pool.kind == Kind::Max,
        Op::Conv(_) | Op::Dense | Op::Binary(_) | Op::Unary(_) | Op::Affine | Op::Softmax => false,
    }
}

/// Runs the pass.
pub fn run(module: &mut Module, _: &Context<'_>) -> Result<(), PassError> {
    for id in module.graph.order().to_vec() {
        let node = module.graph.node(id).clone();
        if !moves_bytes(&node.op) {
            continue;
        }
        let wanted = module.quant.activation(node.output);
        for (i, &input) in node.inputs.iter().enumerate() {
            if module.quant.activation(input).same_scale(&wanted) {
                continue;
            }
            let value = module.graph.value(input).clone();
            let name = format!("{}.requantized", value.name);
            let new = NewNode {
                name: &node.name,
                onnx_op: &node.onnx_op,
                op: Op::Unary(Vec::new()),
                inputs: vec![input],
                output_name: &name,
                shape: value.shape,
                origin: value.origin,
            };
            let requantize = module.graph.add_node(new, Some(id));
            let output = module.graph.node(requantize).output;
            module.graph.node_mut(id).inputs[i] = output;
            module.quant.activations.insert(output, QuantParams::new(wanted.scale, wanted.zero_point));
        }
    }
    Ok(())
}
