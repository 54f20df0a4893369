//! Scales and shifts of channels (batch normalization, an added bias) fold into
//! the convolution or dense layer in front of them.
//!
//! Exact over the reals: `s * (w x + b) + t = (s w) x + (s b + t)`. Not done where
//! the model quantizes the tensor between the two, since that rounds.

use ndarray::{ArrayD, Axis, IxDyn};

use super::{Context, PassError, edit};
use crate::Module;
use crate::ir::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::ops::unary::Function;

/// Runs the pass.
pub fn run(module: &mut Module, _: &Context<'_>) -> Result<(), PassError> {
    for id in module.graph.order().to_vec() {
        let Some((scale, shift)) = channel_affine(&module.graph, id) else { continue };
        let node = module.graph.node(id);
        let input = node.inputs[0];
        let Some(layer) = module.graph.producer(input) else { continue };
        let producer = module.graph.node(layer);
        let foldable = matches!(producer.op, Op::Conv(_) | Op::Dense)
            && producer.clamp.is_none()
            && module.graph.sole_reader(input) == Some(id)
            && module.given.activation(&module.graph, input).is_none();
        if foldable {
            fold(module, layer, &scale, &shift);
            let clamp = module.graph.node(id).clamp;
            module.graph.node_mut(layer).clamp = clamp;
            edit::absorb(&mut module.graph, layer, id);
        }
    }
    Ok(())
}

/// Scale and shift of each channel, where node `id` computes nothing else.
fn channel_affine(graph: &Graph, id: NodeId) -> Option<(Vec<f64>, Vec<f64>)> {
    let node = graph.node(id);
    let channels = graph.shape(node.inputs[0]).channels();
    match &node.op {
        Op::Affine => {
            let per_channel = |v: ValueId| -> Option<Vec<f64>> {
                let data = graph.constant(v)?;
                let along = data.shape().last().copied().unwrap_or(1);
                (data.len() == along && along == channels).then(|| data.iter().map(|&x| x.into()).collect())
            };
            Some((per_channel(node.inputs[1])?, per_channel(node.inputs[2])?))
        }
        Op::Unary(chain) => match chain[..] {
            [Function::Affine { scale, shift }] => {
                Some((vec![scale.into(); channels], vec![shift.into(); channels]))
            }
            _ => None,
        },
        _ => None,
    }
}

fn fold(module: &mut Module, layer: NodeId, scale: &[f64], shift: &[f64]) {
    let graph = &mut module.graph;
    let (old_weights, old_bias) = {
        let inputs = &graph.node(layer).inputs;
        (inputs[1], inputs.get(2).copied())
    };
    let Some(mut weights) = graph.constant(old_weights).cloned() else { return };
    for (row, &s) in weights.axis_iter_mut(Axis(0)).zip(scale) {
        let mut row = row;
        row.mapv_inplace(|w| (f64::from(w) * s) as f32);
    }
    let bias: Vec<f32> = match old_bias.and_then(|b| graph.constant(b)) {
        Some(b) => b.iter().zip(scale).zip(shift).map(|((&b, s), t)| (f64::from(b) * s + t) as f32).collect(),
        None => shift.iter().map(|&t| t as f32).collect(),
    };
    let only_shifts = scale.iter().all(|&s| s == 1.0);
    let name = graph.value(old_weights).name.clone();
    let bias_name = old_bias.map_or_else(|| format!("{name}.bias"), |b| graph.value(b).name.clone());
    let new_weights = if only_shifts { old_weights } else { graph.add_const(&name, weights) };
    let channels = bias.len();
    let data = ArrayD::from_shape_vec(IxDyn(&[channels]), bias).expect("one bias a channel");
    let new_bias = graph.add_const(&bias_name, data);
    let node = graph.node_mut(layer);
    node.inputs.truncate(1);
    node.inputs.extend([new_weights, new_bias]);
    if !only_shifts && let Some(given) = module.given.weight_scales.get(&old_weights) {
        // The codes stay what they were: the scale carries the factor.
        let scales = scale
            .iter()
            .enumerate()
            .map(|(c, s)| (f64::from(given[c.min(given.len() - 1)]) * s.abs()) as f32)
            .collect();
        module.given.weight_scales.insert(new_weights, scales);
    }
}
