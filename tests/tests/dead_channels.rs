//! Dead channels: the network without them computes what it computed with them.
//!
//! Expected values come from the naive reference on the network that still has all
//! its channels; which channels must go, and which must stay, is planted by hand.

mod hand_made;

use std::path::Path;

use hand_made::Net;
use hand_made::dead::*;
use ndarray::ArrayD;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use tinyc::codegen::{self, EmitOptions, TargetFacts};
use tinyc::compile::{CompileOptions, Compiled, Silent, compile};
use tinyc::ir::{QuantParams, ValueId};
use tinyc::ops::Op;
use tinyc::ops::binary::Binary;
use tinyc::ops::conv::{Pads, Window};
use tinyc::ops::pad::Pad;
use tinyc::ops::pool::{Kind, Pool};
use tinyc::ops::unary::Function;
use tinyc::passes::remove_dead_channels::BorderBiases;
use tinyc::quant::{LayerQuant, Multiplier};
use tinyc::samples::Preprocess;
use tinyc::verify::harness::CrateRef;
use tinyc::verify::host::{HostOptions, HostRunner};
use tinyc::verify::quality::{self, input_codes};
use tinyc::verify::simulate::Simulator;
use tinyc_tests::models::{CASES, Form};
use tinyc_tests::needs::{self, RealModels};
use tinyc_tests::onnx::{ModelBuilder, random, tensor_f32};

#[test]
fn unread_and_constant_channels_go() {
    let mut net = Net::new("kinds", 1);
    let x = net.input("x", &[1, 7, 6, 3], q());
    let a = net.conv("a", x, 3, 2, 1, 8);
    saturated(&mut net, a, 0);
    without_weights(&mut net, a, 1, 0);
    without_weights(&mut net, a, 4, 3000);
    let b = net.conv("b", a, 1, 1, 1, 6);
    unread(&mut net, b, 2, 8);
    let c = net.conv("c", b, 3, 1, 1, 5);
    unread(&mut net, c, 5, 6);
    // Always the zero point, which is also what the padding holds.
    without_weights(&mut net, b, 3, 0);
    net.output(c);
    let small = shrunk(&mut net);
    assert_eq!([x, a, b, c].map(|v| channels(&small, v)), [3, 4, 4, 5]);
    let dead: Vec<(&str, usize, usize)> =
        small.dead.layers.iter().map(|l| (l.name.as_str(), l.removed, l.channels)).collect();
    assert_eq!(dead, [("a", 4, 8), ("b", 2, 6)]);
    // a: 12 outputs of 27 taps, 8 to 4 channels; b: 12 of 8 x 6 to 4 x 4; c: 12 of 9 x 6 x 5 to 9 x 4 x 5.
    assert_eq!(small.dead.macs_saved, 12 * (27 * 4 + (48 - 16) + 9 * 2 * 5));
    assert_eq!(small.dead.weight_bytes_saved, 27 * 4 + (48 - 16) + 9 * 2 * 5);
    assert!(small.notes.iter().any(|n| n.contains("6 channels of 'a' and 1 further")), "{:?}", small.notes);
}

#[test]
fn a_constant_that_differs_from_the_padding_stays() {
    let mut net = Net::new("borders", 2);
    let x = net.input("x", &[1, 6, 6, 2], q());
    let a = net.conv("a", x, 1, 1, 1, 6);
    saturated(&mut net, a, 0);
    without_weights(&mut net, a, 1, 0);
    let b = net.conv("b", a, 3, 1, 1, 4);
    net.output(b);
    let small = shrunk(&mut net);
    // -128 everywhere is not the padding's -3; a channel of -3 is.
    assert_eq!(channels(&small, a), 5);
}

#[test]
fn depthwise_channels_go_where_even_their_borders_are_constant() {
    let mut net = Net::new("depthwise", 3);
    let x = net.input("x", &[1, 6, 6, 2], q());
    let a = net.conv("a", x, 1, 1, 1, 6);
    let b = net.conv("b", a, 3, 1, 6, 6);
    let c = net.conv("c", b, 1, 1, 1, 3);
    // -128 in, saturated again: constant. -128 in, other codes at the borders: not.
    saturated(&mut net, a, 0);
    saturated(&mut net, b, 0);
    saturated(&mut net, a, 1);
    layer(&mut net, b).weights[9..18].fill(40);
    layer(&mut net, b).bias[1] = 40_000;
    without_weights(&mut net, b, 2, 100);
    unread(&mut net, c, 3, 6);
    net.output(c);
    let small = shrunk(&mut net);
    assert_eq!([a, b].map(|v| channels(&small, v)), [3, 3]);
    let node = small.graph.producer(b).unwrap();
    assert!(matches!(small.graph.node(node).op, Op::Conv(conv) if conv.groups == 3));
}

#[test]
fn sums_tie_the_channels_of_their_operands() {
    let mut net = Net::new("residual", 4);
    let x = net.input("x", &[1, 5, 5, 2], q());
    let a = net.conv("a", x, 1, 1, 1, 6);
    let b = net.conv("b", a, 1, 1, 1, 6);
    let sum = net.op("sum", Op::Binary(Binary::Add), &[a, b], QuantParams::new(0.1, 4));
    let c = net.conv("c", sum, 1, 1, 1, 3);
    // Constant in both operands; constant in one; unread behind the sum, but a's is read by b.
    for value in [a, b] {
        without_weights(&mut net, value, 0, 2000);
    }
    saturated(&mut net, a, 1);
    unread(&mut net, c, 2, 6);
    // Unread by both.
    unread(&mut net, b, 3, 6);
    unread(&mut net, c, 3, 6);
    net.output(c);
    let small = shrunk(&mut net);
    assert_eq!([a, b, sum].map(|v| channels(&small, v)), [4, 4, 4]);
}

#[test]
fn concat_pools_tables_and_flattening_carry_channels() {
    let mut net = Net::new("carriers", 5);
    let x = net.input("x", &[1, 8, 8, 2], q());
    let a = net.conv("a", x, 1, 1, 1, 4);
    let b = net.conv("b", x, 1, 1, 1, 4);
    let joined = net.op("joined", Op::Concat(3), &[a, b], q());
    let window = Window { kernel: [2; 2], stride: [2; 2], dilation: [1; 2], pads: Pads::default() };
    let max = net.op("max", Op::Pool(Pool { kind: Kind::Max, window, ceil: false }), &[joined], q());
    let pads = Pads { top: 1, left: 1, bottom: 1, right: 1 };
    let window = Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pads };
    let kind = Kind::Average { count_include_pad: false };
    let mean = net.op("mean", Op::Pool(Pool { kind, window, ceil: false }), &[max], q());
    let leaky = net.op("leaky", Op::Unary(vec![Function::LeakyRelu { slope: 0.1 }]), &[mean], q());
    let flat = net.reshape("flat", leaky, &[1, 4 * 4 * 8]);
    let y = net.dense("y", flat, 3);
    net.output(y);
    saturated(&mut net, a, 1);
    without_weights(&mut net, b, 2, -900);
    // Of channel 7 one feature is read, of channel 0 none.
    for feature in 0..128 {
        if feature % 8 == 0 || (feature % 8 == 7 && feature != 39) {
            unread(&mut net, y, feature, 128);
        }
    }
    let small = shrunk(&mut net);
    let sizes = [a, b, joined, max, mean, leaky, flat].map(|v| channels(&small, v));
    assert_eq!(sizes, [2, 3, 5, 5, 5, 5, 16 * 5]);
}

#[test]
fn padding_that_counts_and_padding_nodes_are_borders_too() {
    let mut net = Net::new("pads", 6);
    let x = net.input("x", &[1, 4, 4, 2], q());
    let a = net.conv("a", x, 1, 1, 1, 5);
    saturated(&mut net, a, 0);
    without_weights(&mut net, a, 1, 0);
    let pads = Pads { top: 1, left: 1, bottom: 1, right: 1 };
    let window = Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pads };
    let kind = Kind::Average { count_include_pad: true };
    let mean = net.op("mean", Op::Pool(Pool { kind, window, ceil: false }), &[a], q());
    let pad = Pad { before: vec![0, 1, 0, 0], after: vec![0, 0, 1, 0], value: 0.0 };
    let padded = net.op("pad", Op::Pad(pad), &[a], q());
    let b = net.conv("b", mean, 1, 1, 1, 2);
    let c = net.conv("c", padded, 1, 1, 1, 2);
    net.output(b);
    net.output(c);
    let small = shrunk(&mut net);
    // Channel 1 is the padding's code, channel 0 is not.
    assert_eq!([a, mean, padded].map(|v| channels(&small, v)), [4, 4, 4]);
}

#[test]
fn a_layer_that_matters_to_nobody_keeps_one_channel() {
    let mut net = Net::new("dead", 7);
    let x = net.input("x", &[1, 4, 4, 2], q());
    let a = net.conv("a", x, 3, 1, 1, 6);
    let b = net.conv("b", a, 1, 1, 1, 3);
    net.output(b);
    layer(&mut net, b).weights.fill(0);
    let small = shrunk(&mut net);
    assert_eq!([a, b].map(|v| channels(&small, v)), [1, 3]);
}

#[test]
fn inputs_and_outputs_keep_their_channels() {
    let mut net = Net::new("ports", 8);
    let x = net.input("x", &[1, 4, 4, 5], q());
    let a = net.conv("a", x, 1, 1, 1, 6);
    unread(&mut net, a, 2, 5);
    saturated(&mut net, a, 3);
    net.output(a);
    let small = shrunk(&mut net);
    assert_eq!([x, a].map(|v| channels(&small, v)), [5, 6]);
    assert_eq!(small.dead, Default::default());
}

/// An affine node with one factor and summand a channel.
fn affine(net: &mut Net, name: &str, x: ValueId, real: f64) -> ValueId {
    let c = channels(&net.module, x);
    let constant = |net: &mut Net, end: &str| {
        net.module.graph.add_const(&format!("{name}_{end}"), ArrayD::zeros(vec![1, 1, 1, c]))
    };
    let (scale, shift) = (constant(net, "scale"), constant(net, "shift"));
    let y = net.op(name, Op::Affine, &[x, scale, shift], q());
    let layer = LayerQuant {
        borders: None,
        weights: net.codes(c).iter().map(|&w| w.max(-127)).collect(),
        weight_scales: vec![0.01; c],
        bias: net.codes(c).iter().map(|&b| i32::from(b) * 64).collect(),
        multipliers: vec![Multiplier::from_real(real).unwrap(); c],
    };
    let node = net.module.graph.producer(y).unwrap();
    net.module.quant.layers.insert(node, layer);
    y
}

/// A network drawn at random, with dead channels of all kinds planted.
fn drawn(seed: u64) -> Net {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let mut net = Net::new("drawn", seed);
    let size = 3 + pick(4);
    let mut x = net.input("x", &[1, size, size + pick(2), 1 + pick(4)], q());
    let mut earlier: Vec<ValueId> = Vec::new();
    for step in 0..5 + pick(6) {
        let name = format!("n{step}");
        let c = channels(&net.module, x);
        let params = QuantParams { lo: [-128, -3][pick(2)], ..q() };
        let like = |net: &Net, v: &ValueId| net.module.graph.shape(*v) == net.module.graph.shape(x);
        let y = match pick(9) {
            0 | 1 => net.conv(&name, x, 1, 1, 1, 1 + pick(9)),
            2 => net.conv(&name, x, 3, 1 + pick(2), 1, 1 + pick(9)),
            3 => net.conv(&name, x, 3, 1, c, c * (1 + pick(2))),
            4 => {
                let kind = [Kind::Max, Kind::Average { count_include_pad: pick(2) == 0 }][pick(2)];
                let pads = Pads { top: 1, left: 1, bottom: 1, right: 1 };
                let window = Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pads };
                net.op(&name, Op::Pool(Pool { kind, window, ceil: false }), &[x], q())
            }
            5 => {
                let functions = [Function::Abs, Function::LeakyRelu { slope: 0.25 }, Function::Tanh];
                net.op(&name, Op::Unary(vec![functions[pick(3)]]), &[x], q())
            }
            6 => affine(&mut net, &name, x, 0.01),
            7 => match earlier.iter().copied().find(|v| like(&net, v)) {
                Some(other) => {
                    let op = [Binary::Add, Binary::Sub, Binary::Mul][pick(3)];
                    net.op(&name, Op::Binary(op), &[x, other], params)
                }
                None => continue,
            },
            _ => match earlier.iter().copied().find(|v| like(&net, v)) {
                Some(other) => net.op(&name, Op::Concat(3), &[other, x], q()),
                None => net.conv(&name, x, 1, 1, 1, c + 1),
            },
        };
        let node = net.module.graph.producer(y).unwrap();
        let op = net.module.graph.node(node).op.clone();
        if let Op::Conv(conv) = op {
            net.module.quant.activations.insert(y, params);
            for channel in 0..channels(&net.module, y) {
                match pick(6) {
                    0 => saturated(&mut net, y, channel),
                    1 => without_weights(&mut net, y, channel, [0, 900, -2000][pick(3)]),
                    _ => {}
                }
            }
            for channel in 0..if conv.groups == 1 { c } else { 0 } {
                if pick(4) == 0 {
                    unread(&mut net, y, channel, c);
                }
            }
        }
        earlier.push(x);
        x = y;
    }
    let shape = net.module.graph.shape(x).clone();
    let flat = net.reshape("flat", x, &[1, shape.elements()]);
    let y = net.dense("y", flat, 4);
    let c = shape.channels();
    if pick(2) == 0 {
        for feature in (0..shape.elements()).filter(|f| f % c == 0) {
            unread(&mut net, y, feature, shape.elements());
        }
    }
    net.output(y);
    if pick(3) == 0 {
        net.output(earlier[earlier.len() - 1]);
    }
    net
}

#[test]
fn random_networks_compute_the_same_without_their_dead_channels() {
    let lost: usize = (0..200)
        .into_par_iter()
        .map(|seed| {
            let mut net = drawn(seed);
            shrunk_with(&mut net, BorderBiases::Always);
            let small = shrunk(&mut net);
            usize::from(!small.dead.layers.is_empty())
        })
        .sum();
    assert!(lost > 100, "dead channels were found in {lost} of 200 networks only");
}

/// A float network with dead channels: rows without weights, rows far below their
/// ReLU, columns that nobody reads.
fn planted() -> tinyc_tests::onnx::Case {
    let mut w1 = random("planted/w1", 8 * 3 * 9, -0.3, 0.3);
    let mut b1 = random("planted/b1", 8, -0.2, 0.2);
    w1[..27].fill(0.0);
    b1[0] = -1.0;
    b1[1] = -300.0;
    w1[54..81].fill(0.0);
    b1[2] = 0.75;
    let mut w2 = random("planted/w2", 6 * 8, -0.5, 0.5);
    (0..6).for_each(|row| w2[row * 8 + 5] = 0.0);
    let dense = random("planted/w3", 4 * 6 * 16, -0.2, 0.2);
    let dense: Vec<f32> =
        dense.iter().enumerate().map(|(i, &w)| if i / 16 % 6 == 4 { 0.0 } else { w }).collect();
    ModelBuilder::new("planted")
        .input("x", &[1, 3, 4, 4])
        .constant("w1", tensor_f32(&[8, 3, 3, 3], &w1))
        .constant("b1", tensor_f32(&[8], &b1))
        .op("Conv")
        .attr_ints("pads", &[1, 1, 1, 1])
        .op("Relu")
        .constant("w2", tensor_f32(&[6, 8, 1, 1], &w2))
        .op("Conv")
        .op("Relu")
        .op("Flatten")
        .constant("w3", tensor_f32(&[4, 96], &dense))
        .weight("b3", &[4])
        .op("Gemm")
        .attr_int("transB", 1)
        .output(&[1, 4])
        .case("Conv")
}

/// The planted network in a folder, with calibration samples beside it.
fn planted_in(folder: &Path) -> std::path::PathBuf {
    let case = planted();
    let model = folder.join("planted.onnx");
    std::fs::write(&model, case.to_bytes()).unwrap();
    let data = ArrayD::from_shape_vec(vec![16, 3, 4, 4], case.samples(3, 16)[0].clone()).unwrap();
    let mut npz =
        ndarray_npy::NpzWriter::new(std::fs::File::create(folder.join("planted.calib.npz")).unwrap());
    npz.add_array("x", &data).unwrap();
    npz.finish().unwrap();
    model
}

#[test]
fn an_emitted_crate_gives_the_bytes_of_the_whole_network() {
    let folder = tempfile::tempdir().unwrap();
    let model = planted_in(folder.path());
    let [whole, small] = both(&model, &CompileOptions::default());
    assert_eq!(whole.module.dead, Default::default());
    // 3 of the first layer's channels are constant, 1 is unread; 1 of the second's is unread.
    let removed: Vec<usize> = small.module.dead.layers.iter().map(|l| l.removed).collect();
    assert_eq!(removed, [4, 1]);

    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let samples: Vec<Vec<i8>> = (0..50).map(|_| (0..48).map(|_| rng.next_u32() as i8).collect()).collect();
    let dir = folder.path().join("crate");
    let options = EmitOptions {
        package: "planted".into(),
        target: TargetFacts { name: "host".into(), arch: "portable".into() },
        preprocessing: vec![Preprocess::None],
        self_test: None,
        accuracy: None,
        ram: None,
        placement: None,
        regions: Vec::new(),
    };
    let files = codegen::generate(&small.plan, &small.module, &options).unwrap();
    codegen::write::write(&dir, &files).unwrap();
    let work_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners");
    let options = HostOptions { work_dir, quick_build: true, checked: true, ..HostOptions::default() };
    let host = HostRunner::build(&[CrateRef { package: "planted".into(), dir }], options).unwrap();
    let expected: Vec<i8> = samples
        .iter()
        .flat_map(|codes| outputs(&whole.module, std::slice::from_ref(codes)))
        .flatten()
        .collect();
    assert_eq!(host.run(0, &samples.concat()).unwrap(), expected);
}

#[test]
fn layers_are_compared_with_float_on_the_channels_that_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let model = planted_in(folder.path());
    let [_, small] = both(&model, &CompileOptions::default());
    let samples = tinyc::samples::Samples::bind(
        tinyc::samples::SampleFile::open(folder.path().join("planted.calib.npz")).unwrap(),
        &tinyc::compile::input_specs(&small.module),
        &Preprocess::None,
    )
    .unwrap();
    let sqnr = quality::layers(&small.source, &small.module, &small.plan, &samples, 8, &|| ()).unwrap();
    let shrunk = small
        .module
        .graph
        .values()
        .filter(|(_, v)| v.origin.as_ref().is_some_and(|o| o.channels.is_some() && o.order.is_some()));
    let compared: Vec<f64> = shrunk.map(|(id, _)| sqnr[&id].db().unwrap().0).collect();
    // Other channels than the own ones would be near 0 dB.
    assert!(compared.len() >= 2 && compared.iter().all(|&db| db > 25.0), "{compared:?}");
}

#[test]
fn a_recorded_quantization_rebuilds_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let model = planted_in(folder.path());
    let [_, small] = both(&model, &CompileOptions::default());
    let recorded = folder.path().join("model.quant.toml");
    std::fs::write(&recorded, small.quant_file.to_text()).unwrap();
    let options = CompileOptions { quant: Some(recorded), ..CompileOptions::default() };
    let again = compile(&model, &options, &Silent, &mut |_, _| {}).unwrap();
    assert_eq!(again.plan.weights, small.plan.weights);
    assert_eq!(again.quant_file, small.quant_file);
}

#[test]
fn real_models_compute_the_same_without_their_dead_channels() {
    let Some(RealModels { models, data }) = needs::models() else { return };
    for case in CASES.iter().filter(|c| ["vww_mobilenet025", "mnist_cnn"].contains(&c.name)) {
        let scratch = tempfile::tempdir().unwrap();
        let options = case.options(&data, scratch.path());
        let [whole, small] = both(&case.path(&models), &options.compile);
        let macs = |c: &Compiled| c.plan.steps.iter().map(|step| step.macs).sum::<u64>();
        let weights = |c: &Compiled| {
            let convs = c.module.graph.order().iter();
            let convs = convs.filter(|&&id| matches!(c.module.graph.node(id).op, Op::Conv(_)));
            convs.map(|&id| c.module.quant.layer(id).weights.len()).sum::<usize>()
        };
        if case.name.starts_with("vww") {
            assert_eq!(macs(&whole), 7_489_664);
            assert!(macs(&small) <= 3_750_000, "{} MACs", macs(&small));
            assert!(weights(&small) <= 30_000, "{} weights", weights(&small));
        }
        let specs = tinyc::compile::input_specs(&whole.module);
        let file = tinyc::samples::SampleFile::open(options.compile.calib.as_ref().unwrap()).unwrap();
        let samples = tinyc::samples::Samples::bind(file, &specs, &options.compile.preprocess).unwrap();
        let mut inputs: Vec<Vec<Vec<i8>>> = (0..2).map(|i| input_codes(&whole.module, &samples, i)).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(10);
        inputs.push(vec![inputs[0][0].iter().map(|_| rng.next_u32() as i8).collect()]);
        inputs.push(vec![vec![i8::MIN; inputs[0][0].len()]]);
        inputs.push(vec![vec![i8::MAX; inputs[0][0].len()]]);
        inputs.par_iter().for_each(|codes| {
            let expected = outputs(&whole.module, codes);
            assert_eq!(outputs(&small.module, codes), expected, "{} {}", case.name, case.form.label());
            let slices: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
            assert_eq!(Simulator::new(&small.plan).run(&slices), expected);
        });
    }
    let forms: Vec<Form> = CASES.iter().filter(|c| c.name.starts_with("vww")).map(|c| c.form).collect();
    assert_eq!(forms, [Form::Float, Form::QdqOrt, Form::QdqTflite]);
}
