//! Taking channels out of the graph and its side tables.
//!
//! In: a quantized module, the ranges of its channels, the flags of those that stay.
//! Out: the module with smaller values and layers. Invariant: a constant channel
//! that a layer loses is in its bias, `bias + sum over taps of (code - zero_point) * w`,
//! in that of each class of pixels where these sums differ, so that each accumulator is
//! what it was; float constants follow their codes.

use ndarray::{ArrayD, Axis, IxDyn};

use super::classes::{Known, size_of};
use super::keep::Kept;
use crate::Module;
use crate::ir::{NodeId, QuantParams, Selection, ValueId};
use crate::ops::Op;
use crate::ops::conv::Conv;
use crate::quant::{BorderBias, LayerQuant};

/// Takes out every channel that does not stay.
pub fn run(module: &mut Module, known: &Known, kept: &Kept) {
    for id in module.graph.order().to_vec() {
        let node = module.graph.node(id);
        match &node.op {
            Op::Conv(conv) if conv.groups == 1 => weighted(module, id, known, kept),
            Op::Dense => weighted(module, id, known, kept),
            Op::Conv(_) => grouped(module, id, kept),
            Op::Affine => affine(module, id, kept),
            _ => {}
        }
    }
    for (&value, flags) in kept {
        if flags.contains(&false) {
            shrink(module, value, flags);
        }
    }
}

/// Indices of the flags that are set.
fn indices(flags: &[bool]) -> Vec<usize> {
    flags.iter().enumerate().filter(|(_, kept)| **kept).map(|(i, _)| i).collect()
}

fn shrink(module: &mut Module, value: ValueId, flags: &[bool]) {
    let kept = indices(flags);
    let value = module.graph.value_mut(value);
    if let Some(channels) = value.shape.0.last_mut() {
        *channels = kept.len();
    }
    if let Some(origin) = &mut value.origin {
        origin.channels = Some(Selection { of: flags.len(), kept });
    }
}

/// A layer in which every output channel reads every input channel.
fn weighted(module: &mut Module, id: NodeId, known: &Known, kept: &Kept) {
    let node = module.graph.node(id);
    let (input, output) = (node.inputs[0], node.output);
    let (columns, rows) = (&kept[&input], &kept[&output]);
    if !columns.contains(&false) && !rows.contains(&false) {
        return;
    }
    let params = module.quant.activation(input);
    let layer = module.quant.layer(id);
    let row_len = layer.weights.len() / rows.len();
    let mut small = rows_of(layer, &indices(rows));
    let before = small.bias.clone();
    let lost = Lost { module, id, known, columns, params };
    let biases: Vec<Vec<i32>>;
    (small.bias, small.borders) = match &module.graph.node(id).op {
        Op::Conv(conv) => {
            let [size, out] = [input, output].map(|value| size_of(module.graph.shape(value)));
            let grid = known.grid(&module.graph, input).behind(&conv.window, size, out);
            let add = |at| lost.biases(&small, row_len, |tap| lost.of_tap(conv, size, at, tap));
            biases = grid.pixels().into_iter().map(add).collect();
            let [row_classes, column_classes] = grid.axes;
            BorderBias::split(row_classes, column_classes, &biases)
        }
        _ => (lost.biases(&small, row_len, |_| Place::Inside([0, 0])), None),
    };
    let kept_weights = small.weights.iter().enumerate().filter(|(i, _)| columns[i % columns.len()]);
    small.weights = kept_weights.map(|(_, &w)| w).collect();
    let folded_reals =
        small.bias.iter().zip(&before).map(|(&bias, &before)| i64::from(bias) - i64::from(before));
    let folded_reals: Vec<i64> = folded_reals.collect();
    let reals: Vec<f64> = folded_reals
        .iter()
        .zip(&small.weight_scales)
        .map(|(&folded, scale)| folded as f64 * f64::from(params.scale) * scale)
        .collect();
    let columns = indices(columns);
    let rows = indices(rows);
    module.quant.layers.insert(id, small);
    replace(module, id, 1, |w| w.select(Axis(0), &rows).select(Axis(w.ndim() - 1), &columns));
    if module.graph.node(id).inputs.len() > 2 {
        replace(module, id, 2, |b| {
            let mut b = b.select(Axis(0), &rows);
            b.iter_mut().zip(&reals).for_each(|(b, real)| *b = (f64::from(*b) + real) as f32);
            b
        });
    } else if reals.iter().any(|&real| real != 0.0) {
        let name = format!("{}.bias", module.graph.node(id).name);
        let data: Vec<f32> = reals.iter().map(|&real| real as f32).collect();
        let data = ArrayD::from_shape_vec(IxDyn(&[data.len()]), data).expect("one bias a channel");
        let bias = module.graph.add_const(&name, data);
        module.graph.node_mut(id).inputs.push(bias);
    }
}

/// Where a tap reads.
#[derive(Clone, Copy)]
enum Place {
    /// A pixel of the input.
    Inside([usize; 2]),
    /// The padding, of this code.
    Outside(i8),
}

/// The channels that a layer loses.
struct Lost<'a> {
    module: &'a Module,
    id: NodeId,
    known: &'a Known,
    columns: &'a [bool],
    params: QuantParams,
}

impl Lost<'_> {
    fn of_tap(&self, conv: &Conv, size: [usize; 2], at: [usize; 2], tap: usize) -> Place {
        let taps = [tap / conv.window.kernel[1], tap % conv.window.kernel[1]];
        let place = |axis: usize| conv.window.position(axis, at[axis], taps[axis], size[axis]);
        match place(0).zip(place(1)) {
            Some((y, x)) => Place::Inside([y, x]),
            None => Place::Outside(self.params.code(f64::from(conv.pad_value))),
        }
    }

    /// The biases of a layer with what they add, at the places where its taps read.
    fn biases(&self, layer: &LayerQuant, row_len: usize, place: impl Fn(usize) -> Place) -> Vec<i32> {
        let input = self.module.graph.node(self.id).inputs[0];
        let of_tap = |tap: usize, weights: &[i8]| -> i64 {
            let place = place(tap);
            let lost = weights.iter().enumerate().filter(|&(channel, &w)| !self.columns[channel] && w != 0);
            let add = |(channel, &w): (usize, &i8)| {
                let code = match place {
                    Place::Inside(at) => self.known.code(input, channel, at),
                    Place::Outside(pad) => Some(pad),
                };
                let code = code.expect("a channel that is not known stays where a weight reads it");
                (i64::from(code) - i64::from(self.params.zero_point)) * i64::from(w)
            };
            lost.map(add).sum()
        };
        let rows = layer.weights.chunks(row_len).zip(&layer.bias);
        rows.map(|(row, &bias)| {
            let taps = row.chunks(self.columns.len()).enumerate();
            let folded: i64 = taps.map(|(tap, weights)| of_tap(tap, weights)).sum();
            i32::try_from(i64::from(bias) + folded).expect("channels stay where a bias has no room")
        })
        .collect()
    }
}

/// A depthwise layer: its output channels are tied to groups of one input channel.
fn grouped(module: &mut Module, id: NodeId, kept: &Kept) {
    let node = module.graph.node(id);
    let flags = &kept[&node.output];
    if !flags.contains(&false) {
        return;
    }
    let groups = indices(&kept[&node.inputs[0]]).len();
    let rows = indices(flags);
    let small = rows_of(module.quant.layer(id), &rows);
    module.quant.layers.insert(id, small);
    if let Op::Conv(conv) = &mut module.graph.node_mut(id).op {
        conv.groups = groups;
    }
    for operand in 1..module.graph.node(id).inputs.len() {
        replace(module, id, operand, |w| w.select(Axis(0), &rows));
    }
}

fn affine(module: &mut Module, id: NodeId, kept: &Kept) {
    let node = module.graph.node(id);
    let flags = &kept[&node.output];
    let along = module.graph.shape(node.inputs[1]).channels();
    if !flags.contains(&false) || along == 1 {
        return;
    }
    let columns = indices(flags);
    let layer = module.quant.layer(id);
    let elements: Vec<usize> = (0..layer.bias.len()).filter(|e| flags[e % along]).collect();
    let small = rows_of(layer, &elements);
    module.quant.layers.insert(id, small);
    for operand in 1..module.graph.node(id).inputs.len() {
        replace(module, id, operand, |c| c.select(Axis(c.ndim() - 1), &columns));
    }
}

/// Some output channels of a layer.
fn rows_of(layer: &LayerQuant, rows: &[usize]) -> LayerQuant {
    let row_len = layer.weights.len() / layer.bias.len();
    LayerQuant {
        weights: rows.iter().flat_map(|r| &layer.weights[r * row_len..][..row_len]).copied().collect(),
        weight_scales: rows.iter().map(|&r| layer.weight_scales[r]).collect(),
        bias: rows.iter().map(|&r| layer.bias[r]).collect(),
        multipliers: rows.iter().map(|&r| layer.multipliers[r]).collect(),
        borders: layer.borders.as_ref().map(|borders| borders.select(rows)),
    }
}

/// Gives a node a constant of its own in place of one that others may read.
fn replace(module: &mut Module, id: NodeId, operand: usize, edit: impl Fn(&ArrayD<f32>) -> ArrayD<f32>) {
    let old = module.graph.node(id).inputs[operand];
    let Some(data) = module.graph.constant(old) else { return };
    let data = edit(data);
    let name = module.graph.value(old).name.clone();
    let new = module.graph.add_const(&name, data);
    module.graph.node_mut(id).inputs[operand] = new;
    if module.graph.readers(old).is_empty() {
        module.graph.swap_names(old, new);
    }
}
