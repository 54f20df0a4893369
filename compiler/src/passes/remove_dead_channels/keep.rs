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
//! differs from the padding, or from one class of pixels to another, adds something else
//! at borders than inside: it is taken over by layers that may have a bias for each
//! class (`bordered`), and stays where a reader may not.

use std::collections::{BTreeMap, BTreeSet};

use super::classes::{Known, size_of};
use crate::ir::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::ops::conv::Conv;
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

/// Decides for a whole graph; the layers of `bordered` may have biases by class.
pub fn of(graph: &Graph, quant: &QuantTable, known: &Known, bordered: &BTreeSet<NodeId>) -> Kept {
    let mut kept: Kept =
        known.ranges().iter().map(|(&v, channels)| (v, vec![false; channels.len()])).collect();
    for port in graph.inputs.iter().chain(&graph.outputs) {
        kept.entry(*port).or_default().fill(true);
    }
    let rules: Vec<(NodeId, Rule<'_>)> =
        graph.order().iter().map(|&id| (id, rule(graph, quant, known, id, bordered.contains(&id)))).collect();
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

fn rule<'a>(graph: &Graph, quant: &'a QuantTable, known: &Known, id: NodeId, bordered: bool) -> Rule<'a> {
    let node = graph.node(id);
    let input = node.inputs[0];
    let channels = |value: ValueId| graph.shape(value).channels();
    let (from, to) = (channels(input), channels(node.output));
    let straight = |value: ValueId| (0..to).map(move |c| (value, c, c));
    match &node.op {
        Op::Conv(conv) if conv.groups == 1 => {
            let pad = quant.activation(input).code(f64::from(conv.pad_value));
            let pad = reads_padding(graph, id, conv).then_some(pad);
            let classes = known.grid(graph, input).behind(
                &conv.window,
                size_of(graph.shape(input)),
                size_of(graph.shape(node.output)),
            );
            let bordered = bordered && classes.counts().iter().product::<usize>() <= known.most;
            layer_rule(quant.layer(id), known, input, pad, bordered)
        }
        Op::Dense => layer_rule(quant.layer(id), known, input, None, false),
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

/// Whether a window reaches out of its input.
fn reads_padding(graph: &Graph, id: NodeId, conv: &Conv) -> bool {
    let node = graph.node(id);
    let [size, out] = [node.inputs[0], node.output].map(|value| size_of(graph.shape(value)));
    let outside = |axis: usize, at: usize| {
        (0..conv.window.kernel[axis]).any(|tap| conv.window.position(axis, at, tap, size[axis]).is_none())
    };
    (0..2).any(|axis| (0..out[axis]).any(|at| outside(axis, at)))
}

/// The rule of a layer in which every output channel may read every input channel;
/// `pad` is the code that it reads outside its input, if it does; `bordered` is whether
/// it may have a bias for each class of pixels.
fn layer_rule<'a>(
    layer: &'a LayerQuant,
    known: &Known,
    input: ValueId,
    pad: Option<i8>,
    bordered: bool,
) -> Rule<'a> {
    // Whatever is folded, the bias stays an int32, and so does the difference of two.
    let room = |reach: i64| {
        let rows = layer.weights.chunks(layer.weights.len() / layer.bias.len());
        rows.zip(&layer.bias).all(|(row, &bias)| {
            let sum: i64 = row.iter().map(|&w| i64::from(w).abs()).sum();
            i64::from(bias).abs() + reach * sum <= i64::from(i32::MAX)
        })
    };
    let (room, bordered) = (room(255), bordered && room(2 * 255));
    let foldable = |(channel, code): (usize, Option<i8>)| {
        let even = room && code.is_some() && pad.is_none_or(|pad| code == Some(pad));
        even || (bordered && known.is_known(input, channel))
    };
    let codes = known.ranges()[&input].iter().map(|range| range.constant());
    Rule::Layer { layer, foldable: codes.enumerate().map(foldable).collect() }
}
