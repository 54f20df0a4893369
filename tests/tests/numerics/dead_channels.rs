//! Dead channels: N50 to N52.

use tinyc::Module;
use tinyc::ir::{NewNode, QuantParams, Shape, ValueId};
use tinyc::ops::Op;
use tinyc::ops::conv::{Conv, Pads, Window};
use tinyc::passes::remove_dead_channels::{BorderBiases, remove};
use tinyc::quant::{LayerQuant, Multiplier};

use super::common::{array, module};

/// Adds a layer behind `x`, or fills in the one that is there.
fn layer(module: &mut Module, output: ValueId, weights: &[i8], bias: &[i32]) {
    let node = module.graph.producer(output).expect("a layer");
    // Every accumulator counts half.
    let half = Multiplier { m: 1 << 30, k: 1 };
    let layer = LayerQuant {
        borders: None,
        weights: weights.to_vec(),
        weight_scales: vec![1.0; bias.len()],
        bias: bias.to_vec(),
        multipliers: vec![half; bias.len()],
    };
    module.quant.layers.insert(node, layer);
}

fn behind(module: &mut Module, op: Op, x: ValueId, weights: &[usize], shape: &[usize]) -> ValueId {
    let len = weights.iter().product();
    let constant = module.graph.add_const("second", array(weights, &vec![0.0; len]));
    let shape = Shape::from(shape);
    let new = NewNode {
        name: "second",
        onnx_op: "Node",
        op,
        inputs: vec![x, constant],
        output_name: "second_out",
        shape,
        origin: None,
    };
    let node = module.graph.add_node(new, None);
    let output = module.graph.node(node).output;
    module.graph.outputs = vec![output];
    output
}

#[test]
fn n50_constant_channels_become_bias() {
    let hidden_params = QuantParams::new(1.0, 4);
    let x = ("x", &[1, 2][..], QuantParams::new(1.0, 0));
    let (mut net, first) = module(Op::Dense, &[x], &[array(&[4, 2], &[0.0; 8])], &[1, 4]);
    let hidden = net.graph.node(first).output;
    let out = behind(&mut net, Op::Dense, hidden, &[1, 4], &[1, 1]);
    net.quant.activations.insert(net.graph.inputs[0], QuantParams::new(1.0, 0));
    net.quant.activations.insert(hidden, hidden_params);
    net.quant.activations.insert(out, QuantParams::new(1.0, 0));
    // Channel 0 has no weights: 20 / 2 + 4 = 14. Channel 1 computes. Channel 2 reaches
    // at most (127 + 127 - 1000) / 2, below -132: always -128. Nobody reads channel 3.
    layer(&mut net, hidden, &[0, 0, 1, 1, 1, 1, 2, 2], &[20, 0, -1000, 5]);
    layer(&mut net, out, &[3, 2, -1, 0], &[7]);
    remove(&mut net, BorderBiases::Priced);
    assert_eq!(net.graph.shape(hidden).0, [1, 1]);
    let node = |v| net.graph.producer(v).expect("a layer");
    assert_eq!(net.quant.layer(node(hidden)).weights, [1, 1]);
    assert_eq!(net.quant.layer(node(out)).weights, [2]);
    // 7 + (14 - 4) * 3 + (-128 - 4) * -1
    assert_eq!(net.quant.layer(node(out)).bias, [7 + 30 + 132]);
}

fn conv(kernel: usize, groups: usize) -> Op {
    let pad = kernel / 2;
    let pads = Pads { top: pad, left: pad, bottom: pad, right: pad };
    let window = Window { kernel: [kernel; 2], stride: [1; 2], dilation: [1; 2], pads };
    Op::Conv(Conv { window, groups, pad_value: 0.0 })
}

/// What the layer that makes `output` adds to its bias, pixel by pixel; one channel.
fn corrections(net: &Module, output: ValueId, size: usize) -> Vec<i32> {
    let layer = net.quant.layer(net.graph.producer(output).expect("a layer"));
    let Some(borders) = &layer.borders else { return vec![0; size * size] };
    let at = |i: usize| borders.at(i / size, i % size).map_or(0, |more| more[0]);
    (0..size * size).map(at).collect()
}

#[test]
fn n51_constants_unlike_the_padding_have_a_bias_for_each_border() {
    let params = QuantParams::new(1.0, 4);
    let x = ("x", &[1, 3, 3, 1][..], params);
    let (mut net, first) = module(conv(1, 1), &[x], &[array(&[3, 1, 1, 1], &[0.0; 3])], &[1, 3, 3, 3]);
    let hidden = net.graph.node(first).output;
    let out = behind(&mut net, conv(3, 1), hidden, &[1, 3, 3, 3], &[1, 3, 3, 1]);
    for value in [net.graph.inputs[0], hidden, out] {
        net.quant.activations.insert(value, params);
    }
    // Channel 0 is always 14, channel 1 always 4: the padding's code, that of zero.
    layer(&mut net, hidden, &[0, 0, 1], &[20, 0, 0]);
    layer(&mut net, out, &[1; 27], &[7]);
    let mut dear = net.clone();
    remove(&mut net, BorderBiases::Always);
    assert_eq!(net.graph.shape(hidden).0, [1, 3, 3, 1]);
    // 10 for each tap inside, of which corners have 4, edges 6, the middle 9. Edges and
    // corners are four each.
    let bias = net.quant.layer(net.graph.producer(out).expect("a layer")).bias[0];
    let all: Vec<i32> = corrections(&net, out, 3).iter().map(|more| bias + more).collect();
    assert_eq!(all, [47, 67, 47, 67, 97, 67, 47, 67, 47]);
    assert!(bias == 47 || bias == 67);
    // Nine weights less are not worth it: only the channel of the padding's code goes.
    remove(&mut dear, BorderBiases::Priced);
    assert_eq!(dear.graph.shape(hidden).0, [1, 3, 3, 2]);
    assert_eq!(dear.quant.layer(dear.graph.producer(hidden).expect("a layer")).bias, [20, 0]);
    assert_eq!(dear.quant.layer(dear.graph.producer(out).expect("a layer")).bias, [7]);
    assert_eq!(corrections(&dear, out, 3), [0; 9]);
}

#[test]
fn n52_what_is_known_by_class_stays_known_behind_depthwise_layers() {
    let params = QuantParams::new(1.0, 4);
    let x = ("x", &[1, 3, 3, 1][..], params);
    let (mut net, first) = module(conv(1, 1), &[x], &[array(&[2, 1, 1, 1], &[0.0; 2])], &[1, 3, 3, 2]);
    let hidden = net.graph.node(first).output;
    let depthwise = behind(&mut net, conv(3, 2), hidden, &[2, 3, 3, 1], &[1, 3, 3, 2]);
    let out = third(&mut net, depthwise);
    for value in [net.graph.inputs[0], hidden, depthwise, out] {
        net.quant.activations.insert(value, params);
    }
    // 14, then 4 + (10 a tap inside) / 2: 24 at corners, 34 at edges, 49 in the middle.
    layer(&mut net, hidden, &[0, 1], &[20, 0]);
    layer(&mut net, depthwise, &[1; 18], &[0, 0]);
    layer(&mut net, out, &[2, 1], &[7]);
    remove(&mut net, BorderBiases::Always);
    assert_eq!([hidden, depthwise].map(|v| net.graph.shape(v).channels()), [1, 1]);
    // 7 + 2 * (code - 4)
    let bias = net.quant.layer(net.graph.producer(out).expect("a layer")).bias[0];
    let all: Vec<i32> = corrections(&net, out, 3).iter().map(|more| bias + more).collect();
    assert_eq!(all, [47, 67, 47, 67, 97, 67, 47, 67, 47]);
}

/// A pointwise layer of one output behind two channels of 3 x 3.
fn third(module: &mut Module, x: ValueId) -> ValueId {
    let constant = module.graph.add_const("third", array(&[1, 1, 1, 2], &[0.0; 2]));
    let new = NewNode {
        name: "third",
        onnx_op: "Conv",
        op: conv(1, 1),
        inputs: vec![x, constant],
        output_name: "third_out",
        shape: Shape::from(&[1, 3, 3, 1][..]),
        origin: None,
    };
    let node = module.graph.add_node(new, None);
    let output = module.graph.node(node).output;
    module.graph.outputs = vec![output];
    output
}
