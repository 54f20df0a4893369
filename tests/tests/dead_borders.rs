//! Dead channels whose constant differs from the padding: a bias for each class of pixels.
//!
//! Expected values come from the naive reference on the network that still has all its
//! channels; classes, pixels and bytes are counted by hand.

mod hand_made;

use std::path::Path;

use hand_made::Net;
use hand_made::dead::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use tinyc::compile::{CompileOptions, Compiled};
use tinyc::ir::{QuantParams, ValueId};
use tinyc::lower::KernelSet;
use tinyc::ops::Op;
use tinyc::ops::binary::Binary;
use tinyc::ops::conv::{Pads, Window};
use tinyc::ops::pool::{Kind, Pool};
use tinyc::ops::unary::Function;
use tinyc::passes::remove_dead_channels::{BorderBiases, Reason};
use tinyc::plan::strategy::{Asked, Strategy, choose};
use tinyc::verify::simulate::Simulator;

#[test]
fn a_layer_with_padding_takes_over_any_constant_with_a_bias_for_each_class() {
    let mut net = Net::new("borders", 2);
    let x = net.input("x", &[1, 6, 6, 2], q());
    let a = net.conv("a", x, 1, 1, 1, 6);
    saturated(&mut net, a, 0);
    without_weights(&mut net, a, 1, 0);
    let b = net.conv("b", a, 3, 1, 1, 4);
    net.output(b);
    let small = shrunk_with(&mut net, BorderBiases::Always);
    assert_eq!(channels(&small, a), 4);
    // The frame of 6 x 6 pixels; 4 + 6 + 6 + 9 bytes of classes, 8 of them 4 numbers each.
    let [layer] = small.dead.borders.as_slice() else { panic!("{:?}", small.dead) };
    assert_eq!((layer.name.as_str(), layer.pixels, layer.bytes), ("b", 20, 28 + 8 * 4 * 4));
    // 38 weights and one channel's bias and multiplier are no price for that.
    let priced = shrunk(&mut net);
    assert_eq!(channels(&priced, a), 5);
    let staying = &priced.dead.staying;
    assert_eq!(
        staying.iter().map(|s| (s.layer.as_str(), s.channels, s.reason)).collect::<Vec<_>>(),
        [("b", 1, Reason::Price)]
    );
}

#[test]
fn depthwise_layers_make_classes_that_pointwise_layers_take_over() {
    for (stride, size, pixels) in [(1, 7, 24), (2, 7, 8), (2, 8, 7)] {
        let mut net = Net::new("classes", 3);
        let x = net.input("x", &[1, size, size, 2], q());
        let a = net.conv("a", x, 1, 1, 1, 6);
        let b = net.conv("b", a, 3, stride, 6, 6);
        let c = net.conv("c", b, 1, 1, 1, 3);
        net.output(c);
        saturated(&mut net, a, 1);
        layer(&mut net, b).weights[9..18].fill(40);
        layer(&mut net, b).bias[1] = 40_000;
        let small = shrunk_with(&mut net, BorderBiases::Always);
        assert_eq!([a, b].map(|v| channels(&small, v)), [5, 5]);
        // All edges are of one class, the inside of another: over 7 x 7 with stride 2 the
        // edges are more. With stride 2 over even sizes windows pad above and left alone.
        assert_eq!(
            small.dead.borders.iter().map(|l| (&*l.name, l.pixels)).collect::<Vec<_>>(),
            [("c", pixels)]
        );
        assert_eq!(channels(&shrunk_with(&mut net, BorderBiases::Never), b), 6);
    }
}

#[test]
fn classes_go_through_pointwise_layers_sums_tables_and_poolings() {
    let mut net = Net::new("through", 12);
    let x = net.input("x", &[1, 9, 8, 2], q());
    let a = net.conv("a", x, 1, 1, 1, 6);
    let b = net.conv("b", a, 3, 1, 6, 6);
    let c = net.conv("c", b, 1, 1, 1, 6);
    let sum = net.op("sum", Op::Binary(Binary::Add), &[b, c], QuantParams::new(0.1, 4));
    let leaky = net.op("leaky", Op::Unary(vec![Function::LeakyRelu { slope: 0.1 }]), &[sum], q());
    let window = Window { kernel: [2; 2], stride: [2; 2], dilation: [1; 2], pads: Pads::default() };
    let max = net.op("max", Op::Pool(Pool { kind: Kind::Max, window, ceil: false }), &[leaky], q());
    let d = net.conv("d", max, 1, 1, 1, 5);
    let flat = net.reshape("flat", max, &[1, 4 * 4 * 6]);
    let y = net.dense("y", flat, 3);
    net.output(d);
    net.output(y);
    saturated(&mut net, a, 2);
    layer(&mut net, b).weights[18..27].fill(30);
    layer(&mut net, b).bias[2] = 30_000;
    // Channel 2 of c reads that of b alone.
    let row = &mut layer(&mut net, c).weights[12..18];
    row.fill(0);
    row[2] = 90;
    let small = shrunk_with(&mut net, BorderBiases::Always);
    assert_eq!([a, b, c, sum, max].map(|v| channels(&small, v)), [5; 5]);
    assert_eq!(channels(&small, flat), 16 * 5);
    assert_eq!(small.dead.borders.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["c", "d"]);
}

#[test]
fn too_many_classes_stay() {
    let mut net = Net::new("many", 13);
    let x = net.input("x", &[1, 12, 12, 2], q());
    let a = net.conv("a", x, 1, 1, 1, 4);
    saturated(&mut net, a, 0);
    // 7 classes of rows by 7 of columns.
    let b = net.conv("b", a, 7, 1, 1, 4);
    net.output(b);
    let small = shrunk_with(&mut net, BorderBiases::Always);
    assert_eq!(channels(&small, a), 4);
    let [staying] = small.dead.staying.as_slice() else { panic!("{:?}", small.dead) };
    assert_eq!((staying.layer.as_str(), staying.channels, staying.reason), ("b", 1, Reason::Classes));
}

/// A convolution of any window over a map with constant channels.
fn bordered(seed: u64) -> Net {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let mut net = Net::new("bordered", seed);
    let size = [3 + pick(9), 3 + pick(9)];
    let x = net.input("x", &[1, size[0], size[1], 1 + pick(3)], q());
    let c = 3 + pick(6);
    let a = net.conv("a", x, 1, 1, 1, c);
    for channel in 0..1 + pick(c - 1) {
        match pick(2) {
            0 => saturated(&mut net, a, channel),
            _ => without_weights(&mut net, a, channel, pick(5000) as i32 - 2500),
        }
    }
    let mut any = |net: &mut Net, name: &str, x: ValueId, depthwise: bool| {
        let [h, w, c] = net.module.graph.shape(x).hwc().unwrap();
        let kernel = [1 + pick(h.min(3)), 1 + pick(w.min(3))];
        let pads = Pads {
            top: pick(kernel[0]),
            left: pick(kernel[1]),
            bottom: pick(kernel[0]),
            right: pick(kernel[1]),
        };
        let fits = |axis: usize, size: usize, pads: usize, dilation: usize| {
            (kernel[axis] - 1) * dilation < size + pads
        };
        let dilation = 1 + pick(2);
        let fits =
            fits(0, h, pads.top + pads.bottom, dilation) && fits(1, w, pads.left + pads.right, dilation);
        let window = Window {
            kernel,
            stride: [1 + pick(2), 1 + pick(2)],
            dilation: [if fits { dilation } else { 1 }; 2],
            pads,
        };
        let (groups, out) = if depthwise { (c, c) } else { (1, 1 + pick(9)) };
        net.conv_over(name, x, window, groups, out)
    };
    let b = any(&mut net, "b", a, !seed.is_multiple_of(3));
    let c = any(&mut net, "c", b, false);
    let lo = [-128, -3][(seed % 2) as usize];
    net.module.quant.activations.insert(c, QuantParams { lo, ..q() });
    net.output(c);
    net
}

#[test]
fn windows_of_any_shape_give_the_same_with_biases_by_class() {
    let with: usize = (0..90)
        .into_par_iter()
        .map(|seed| {
            let mut net = bordered(seed);
            let small = shrunk_with(&mut net, BorderBiases::Always);
            let sample = net.sample();
            let slices: Vec<&[i8]> = sample.iter().map(Vec::as_slice).collect();
            if seed % 3 == 0 {
                // Row by row.
                let kernels =
                    [KernelSet::General, KernelSet::Tiles, KernelSet::Windows][seed as usize % 9 / 3];
                let asked = Asked { kernels, strategy: Strategy::Min, ..Asked::default() };
                let plan = choose(&small, asked, &|plan| plan.weights.len() as u64).unwrap().plan;
                assert_eq!(Simulator::new(&plan).run(&slices), outputs(&net.module, &sample), "seed {seed}");
            }
            usize::from(!small.dead.borders.is_empty())
        })
        .sum();
    assert!(with > 40, "{with} of 90 networks have biases by class");
}

/// Dead channels in front of depthwise layers of strides 1 and 2 and a 5 x 5 convolution.
#[test]
fn a_network_with_biases_by_class_gives_the_bytes_of_the_whole_network() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/borders/model.onnx");
    let [whole, small] = both(&model, &CompileOptions::default());
    let macs = |c: &Compiled| c.plan.steps.iter().map(|step| step.macs).sum::<u64>();
    assert_eq!([macs(&whole), macs(&small)], [734_760, 262_952]);
    let layers: Vec<&str> = small.module.dead.borders.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(layers, ["pointwise1", "pointwise2", "wide"]);
    assert_eq!(small.module.dead.staying, []);
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for fill in [None, None, Some(i8::MIN), Some(i8::MAX)] {
        let codes = (0..3 * 16 * 16).map(|_| fill.unwrap_or(rng.next_u32() as i8)).collect();
        let inputs = [codes];
        let expected = outputs(&whole.module, &inputs);
        assert_eq!(outputs(&small.module, &inputs), expected);
        let slices: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
        assert_eq!(Simulator::new(&small.plan).run(&slices), expected);
    }
}
