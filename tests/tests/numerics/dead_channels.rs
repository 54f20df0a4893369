//! Dead channels: N50 and N51.

use tinyc::Module;
use tinyc::ir::{NewNode, QuantParams, Shape, ValueId};
use tinyc::ops::Op;
use tinyc::ops::conv::{Conv, Pads, Window};
use tinyc::passes::remove_dead_channels::remove;
use tinyc::quant::{LayerQuant, Multiplier};

use super::common::{array, module};

/// Adds a layer behind `x`, or fills in the one that is there.
fn layer(module: &mut Module, output: ValueId, weights: &[i8], bias: &[i32]) {
    let node = module.graph.producer(output).expect("a layer");
    // Every accumulator counts half.
    let half = Multiplier { m: 1 << 30, k: 1 };
    let layer = LayerQuant {
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
    remove(&mut net);
    assert_eq!(net.graph.shape(hidden).0, [1, 1]);
    let node = |v| net.graph.producer(v).expect("a layer");
    assert_eq!(net.quant.layer(node(hidden)).weights, [1, 1]);
    assert_eq!(net.quant.layer(node(out)).weights, [2]);
    // 7 + (14 - 4) * 3 + (-128 - 4) * -1
    assert_eq!(net.quant.layer(node(out)).bias, [7 + 30 + 132]);
}

#[test]
fn n51_constants_unlike_the_padding_stay() {
    let conv = |kernel: usize| {
        let pad = kernel / 2;
        let pads = Pads { top: pad, left: pad, bottom: pad, right: pad };
        let window = Window { kernel: [kernel; 2], stride: [1; 2], dilation: [1; 2], pads };
        Op::Conv(Conv { window, groups: 1, pad_value: 0.0 })
    };
    let params = QuantParams::new(1.0, 4);
    let x = ("x", &[1, 3, 3, 1][..], params);
    let (mut net, first) = module(conv(1), &[x], &[array(&[3, 1, 1, 1], &[0.0; 3])], &[1, 3, 3, 3]);
    let hidden = net.graph.node(first).output;
    let out = behind(&mut net, conv(3), hidden, &[1, 3, 3, 3], &[1, 3, 3, 1]);
    for value in [net.graph.inputs[0], hidden, out] {
        net.quant.activations.insert(value, params);
    }
    // Channel 0 is always 14, channel 1 always 4: the padding's code, that of zero.
    layer(&mut net, hidden, &[0, 0, 1], &[20, 0, 0]);
    layer(&mut net, out, &[1; 27], &[7]);
    remove(&mut net);
    assert_eq!(net.graph.shape(hidden).0, [1, 3, 3, 2]);
    assert_eq!(net.quant.layer(net.graph.producer(hidden).expect("a layer")).bias, [20, 0]);
    assert_eq!(net.quant.layer(net.graph.producer(out).expect("a layer")).bias, [7]);
}
