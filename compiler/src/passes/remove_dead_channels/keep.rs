//! Which channels stay.
//!
//! In: a quantized graph and the ranges of its channels. Out: [`Kept`], a flag for
//! each channel of every activation. Invariant: it is the smallest set that holds
//! the channels of the graph's inputs and outputs, every channel that a kept channel
//! of a layer needs, and with a channel those that are tied to it; no activation is
//! left without channels.
//!
//! A layer needs an input channel if a weight for it is not zero, unless the
//! channel is always one code that the layer's bias can take over: a code that also
//! holds in the padding, or a layer without padding. A channel whose constant
//! differs from the padding adds something else at borders than inside, and stays.

use std::collections::BTreeMap;

use super::ranges::{Ranges, borders};
use crate::ir::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::quant::{LayerQuant, QuantTable};

/// For each activation, whether each channel stays.
pub type Kept = BTreeMap<ValueId, Vec<bool>>;

/// What a node says about its operands' channels.
enum Rule<'a> {
    /// Everything that it reads and writes stays.
    Whole,
    /// A channel of an operand stays if and only if one of the output does:
    /// (operand, its channel, channel of the output).
    Ties(Vec<(ValueId, usize, usize)>),
    /// A row of weights an output channel, whose columns repeat the input's channels;
    /// channels that the bias can take over are not needed.
    Layer { layer: &'a LayerQuant, foldable: Vec<bool> },
}

/// Decides for a whole graph.
pub fn of(graph: &Graph, quant: &QuantTable, ranges: &Ranges) -> Kept {
    let mut kept: Kept = ranges.iter().map(|(&v, channels)| (v, vec![false; channels.len()])).collect();
    for port in graph.inputs.iter().chain(&graph.outputs) {
        kept.entry(*port).or_default().fill(true);
    }
    let rules: Vec<(NodeId, Rule<'_>)> =
        graph.order().iter().map(|&id| (id, rule(graph, quant, ranges, id))).collect();
    loop {
        // Readers come after what they read, so that one round backwards settles most.
        while rules
            .iter()
            .rev()
            .fold(false, |changed, (id, rule)| apply(graph, *id, rule, &mut kept) || changed)
        {}
        match kept.values_mut().find(|flags| !flags.is_empty() && !flags.contains(&true)) {
            Some(empty) => empty[0] = true,
            None => return kept,
        }
    }
}

/// Marks what a rule asks for; whether that was news.
fn apply(graph: &Graph, id: NodeId, rule: &Rule<'_>, kept: &mut Kept) -> bool {
    let node = graph.node(id);
    let mut changed = false;
    let mut mark = |kept: &mut Kept, value: ValueId, channel: usize| {
        if let Some(flag) = kept.get_mut(&value).and_then(|flags| flags.get_mut(channel)) {
            changed |= !*flag;
            *flag = true;
        }
    };
    match rule {
        Rule::Whole => {
            for value in graph.activations(id).into_iter().chain([node.output]) {
                for channel in 0..kept[&value].len() {
                    mark(kept, value, channel);
                }
            }
        }
        Rule::Ties(ties) => {
            for &(operand, from, to) in ties {
                if kept[&operand][from] || kept[&node.output][to] {
                    mark(kept, operand, from);
                    mark(kept, node.output, to);
                }
            }
        }
        Rule::Layer { layer, foldable } => {
            let wanted = kept[&node.output].clone();
            let rows = layer.weights.chunks(layer.weights.len() / wanted.len());
            for (row, _) in rows.zip(&wanted).filter(|(_, wanted)| **wanted) {
                for (i, _) in row.iter().enumerate().filter(|(_, w)| **w != 0) {
                    let channel = i % foldable.len();
                    if !foldable[channel] {
                        mark(kept, node.inputs[0], channel);
                    }
                }
            }
        }
    }
    changed
}

fn rule<'a>(graph: &Graph, quant: &'a QuantTable, ranges: &Ranges, id: NodeId) -> Rule<'a> {
    let node = graph.node(id);
    let input = node.inputs[0];
    let channels = |value: ValueId| graph.shape(value).channels();
    let (from, to) = (channels(input), channels(node.output));
    let straight = |value: ValueId| (0..to).map(move |c| (value, c, c));
    match &node.op {
        Op::Conv(conv) if conv.groups == 1 => {
            let given = quant.activation(input);
            let hw = |value: ValueId| graph.shape(value).hwc().map_or([1, 1], |[h, w, _]| [h, w]);
            let (size, out) = (hw(input), hw(node.output));
            let reads_padding = (0..2).any(|axis| {
                borders(&conv.window, axis, size[axis], out[axis]).iter().flatten().any(|inside| !inside)
            });
            let pad = reads_padding.then(|| given.code(f64::from(conv.pad_value)));
            layer_rule(quant.layer(id), ranges, input, pad)
        }
        Op::Dense => layer_rule(quant.layer(id), ranges, input, None),
        Op::Conv(conv) if conv.groups == from => {
            Rule::Ties((0..to).map(|c| (input, c / (to / from), c)).collect())
        }
        Op::Pool(_) | Op::Unary(_) | Op::Affine => Rule::Ties(straight(input).collect()),
        Op::Binary(_) => {
            // An operand of one channel under many is read whatever stays.
            let operands = node.inputs.iter().filter(|&&v| channels(v) == to);
            Rule::Ties(operands.flat_map(|&v| straight(v)).collect())
        }
        Op::Concat(axis) if axis + 1 == graph.shape(node.output).rank() => {
            let parts = node.inputs.iter().flat_map(|&v| (0..channels(v)).map(move |c| (v, c)));
            Rule::Ties(parts.enumerate().map(|(to, (v, from))| (v, from, to)).collect())
        }
        Op::Concat(_) => Rule::Ties(node.inputs.iter().flat_map(|&v| straight(v)).collect()),
        Op::Pad(pad) if pad.before.last() == Some(&0) && pad.after.last() == Some(&0) => {
            Rule::Ties(straight(input).collect())
        }
        Op::Transpose(perm) if perm.last() == Some(&(perm.len() - 1)) => {
            Rule::Ties(straight(input).collect())
        }
        // Element `i` of the data has channel `i % channels` on both sides.
        Op::Reshape if from.is_multiple_of(to) || to.is_multiple_of(from) => {
            Rule::Ties((0..from.max(to)).map(|c| (input, c % from, c % to)).collect())
        }
        Op::Conv(_) | Op::Pad(_) | Op::Transpose(_) | Op::Reshape | Op::Softmax => Rule::Whole,
    }
}

/// The rule of a layer in which every output channel may read every input channel;
/// `pad` is the code that it reads outside its input, if it does.
fn layer_rule<'a>(layer: &'a LayerQuant, ranges: &Ranges, input: ValueId, pad: Option<i8>) -> Rule<'a> {
    let rows = layer.weights.chunks(layer.weights.len() / layer.bias.len());
    // Whatever is folded, the bias stays an int32.
    let room = rows.zip(&layer.bias).all(|(row, &bias)| {
        let sum: i64 = row.iter().map(|&w| i64::from(w).abs()).sum();
        i64::from(bias).abs() + 255 * sum <= i64::from(i32::MAX)
    });
    let foldable = |code: Option<i8>| room && code.is_some() && pad.is_none_or(|pad| code == Some(pad));
    Rule::Layer { layer, foldable: ranges[&input].iter().map(|r| foldable(r.constant())).collect() }
}
