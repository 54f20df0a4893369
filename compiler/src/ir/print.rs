//! The IR's stable text form, for `--dump-ir-after` and snapshots.
//!
//! In: a graph and, after quantization, its table. Out: text, one line a value
//! or node. Invariant: equal graphs print equal text on every machine; constants
//! print as shape and a short digest, never as data.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{Def, Graph, Node, ValueId};
use crate::ops::Op;
use crate::quant::QuantTable;

/// The text of a graph; see the module's text.
pub fn print(graph: &Graph, quant: &QuantTable) -> String {
    let mut text = format!("graph {:?}\n", graph.name);
    for &id in &graph.inputs {
        let _ = writeln!(text, "  input  {}", value(graph, quant, id));
    }
    for &id in graph.order() {
        let node = graph.node(id);
        let operands: Vec<String> = node.inputs.iter().map(|&v| operand(graph, v)).collect();
        let _ = write!(
            text,
            "  {} = {}({})",
            value(graph, quant, node.output),
            attributes(node),
            operands.join(", ")
        );
        if !node.clamp.is_none() {
            let _ = write!(text, " | {}", node.clamp);
        }
        let _ = write!(text, "  # {} {:?}", node.onnx_op, node.name);
        for fused in &node.fused {
            let _ = write!(text, " + {fused:?}");
        }
        text.push('\n');
        if let Some(layer) = quant.layers.get(&id) {
            let (m, k) = (layer.multipliers.iter().map(|m| m.m), layer.multipliers.iter().map(|m| m.k).max());
            let digest = digest(
                layer
                    .weights
                    .iter()
                    .map(|&w| w as u8)
                    .chain(layer.bias.iter().flat_map(|b| b.to_le_bytes()))
                    .chain(m.flat_map(i32::to_le_bytes)),
            );
            let _ = writeln!(
                text,
                "      int8 weights, {} channels, largest shift {}, digest {digest}",
                layer.bias.len(),
                k.unwrap_or(0)
            );
        }
    }
    for &id in &graph.outputs {
        let _ = writeln!(text, "  output {:?}", graph.value(id).name);
    }
    text
}

fn value(graph: &Graph, quant: &QuantTable, id: ValueId) -> String {
    let value = graph.value(id);
    match quant.activations.get(&id) {
        Some(params) => format!("{:?} {} {params}", value.name, value.shape),
        None => format!("{:?} {}", value.name, value.shape),
    }
}

fn operand(graph: &Graph, id: ValueId) -> String {
    let value = graph.value(id);
    match &value.def {
        Def::Const(data) => {
            format!("const {} {}", value.shape, digest(data.iter().flat_map(|v| v.to_le_bytes())))
        }
        _ => format!("{:?}", value.name),
    }
}

fn attributes(node: &Node) -> String {
    match &node.op {
        Op::Conv(c) => {
            let w = c.window;
            let mut text = format!("conv[{}x{}", w.kernel[0], w.kernel[1]);
            window(&mut text, &w);
            crop(&mut text, node);
            if c.groups != 1 {
                let _ = write!(text, " groups {}", c.groups);
            }
            if c.pad_value != 0.0 {
                let _ = write!(text, " pad value {}", c.pad_value);
            }
            text + "]"
        }
        Op::Pool(p) => {
            let mut text = format!("{}[{}x{}", p.kind.name(), p.window.kernel[0], p.window.kernel[1]);
            window(&mut text, &p.window);
            crop(&mut text, node);
            if p.ceil {
                text.push_str(" ceil");
            }
            if let crate::ops::pool::Kind::Average { count_include_pad: true } = p.kind {
                text.push_str(" counting pads");
            }
            text + "]"
        }
        Op::Unary(chain) => {
            let names: Vec<String> = chain.iter().map(ToString::to_string).collect();
            format!("unary[{}]", names.join(" -> "))
        }
        Op::Transpose(perm) => format!("transpose{perm:?}"),
        Op::Concat(axis) => format!("concat[axis {axis}]"),
        Op::Pad(p) => format!("pad[{:?} {:?} value {}]", p.before, p.after, p.value),
        Op::Binary(_) | Op::Dense | Op::Affine | Op::Softmax | Op::Reshape => node.op.name().to_string(),
    }
}

fn window(text: &mut String, w: &crate::ops::conv::Window) {
    if w.stride != [1, 1] {
        let _ = write!(text, " stride {}x{}", w.stride[0], w.stride[1]);
    }
    if w.dilation != [1, 1] {
        let _ = write!(text, " dilation {}x{}", w.dilation[0], w.dilation[1]);
    }
    let p = w.pads;
    if (p.top, p.left, p.bottom, p.right) != (0, 0, 0, 0) {
        let _ = write!(text, " pads {},{},{},{}", p.top, p.left, p.bottom, p.right);
    }
}

fn crop(text: &mut String, node: &Node) {
    if node.crop != [0, 0] {
        let _ = write!(text, " without the last {},{}", node.crop[0], node.crop[1]);
    }
}

/// The first 8 hexadecimal digits of the SHA-256 of some bytes.
fn digest(bytes: impl Iterator<Item = u8>) -> String {
    let bytes: Vec<u8> = bytes.collect();
    Sha256::digest(&bytes).iter().take(4).map(|b| format!("{b:02x}")).collect()
}
