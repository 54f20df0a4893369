//! A Pad of rows and columns becomes the padding of the convolution behind it.
//!
//! Not done where the convolution pads with another value, or where the model
//! quantizes the padded tensor differently.

use super::{Context, PassError};
use crate::Module;
use crate::ops::Op;

/// Runs the pass.
pub fn run(module: &mut Module, _: &Context<'_>) -> Result<(), PassError> {
    for id in module.graph.order().to_vec() {
        let graph = &module.graph;
        let Op::Conv(mut conv) = graph.node(id).op else { continue };
        let padded = graph.node(id).inputs[0];
        let Some(pad_id) = graph.producer(padded) else { continue };
        let Op::Pad(pad) = graph.node(pad_id).op.clone() else { continue };
        let (&[0, top, left, 0], &[0, bottom, right, 0]) = (&pad.before[..], &pad.after[..]) else {
            continue;
        };
        let x = graph.node(pad_id).inputs[0];
        let rescaled = match (module.given.activation(graph, x), module.given.activation(graph, padded)) {
            (Some(a), Some(b)) => !a.same_scale(&b),
            _ => false,
        };
        let unpadded = conv.window.pads == Default::default();
        if rescaled || !(unpadded || pad.value == conv.pad_value) || graph.sole_reader(padded) != Some(id) {
            continue;
        }
        conv.window.pads.top += top;
        conv.window.pads.left += left;
        conv.window.pads.bottom += bottom;
        conv.window.pads.right += right;
        conv.pad_value = pad.value;
        let name = graph.node(pad_id).name.clone();
        let node = module.graph.node_mut(id);
        node.op = Op::Conv(conv);
        node.inputs[0] = x;
        node.fused.insert(0, name);
        module.graph.remove_node(pad_id);
    }
    Ok(())
}
