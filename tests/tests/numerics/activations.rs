//! Sentences N1 to N7, N21, N22, N41, N42 and N45: codes, scales and where they come from.

use std::collections::BTreeMap;

use tinyc::Feed;
use tinyc::ir::{Clamp, QuantParams};
use tinyc::onnx::model::Element;
use tinyc::onnx::oracle::Oracle;
use tinyc::onnx::{OnnxModel, OnnxNode, Port, Tensor, prepare};
use tinyc::ops::Op;
use tinyc::ops::conv::{Conv, Pads, Window};
use tinyc::passes::{Context, Half, PassError, Scales, run_half};
use tinyc::quant::calibrate::{Range, Ranges};

use super::common::{Random, array, module, quantize};

#[test]
fn n01_real_is_scale_times_distance_from_zero_point() {
    let q = QuantParams::new(0.25, -3);
    assert_eq!([-128, -3, 0, 127].map(|code| q.real(code)), [-31.25, 0.0, 0.75, 32.5]);
}

#[test]
fn n02_codes_round_half_to_even_and_saturate() {
    let q = QuantParams::new(0.5, 10);
    // 0.25, 0.75, -0.25, -0.75 are halves of a step: to 0, 2, 0, -2 steps.
    assert_eq!([0.25, 0.75, -0.25, -0.75].map(|x| q.code(x)), [10, 12, 10, 8]);
    assert_eq!([1e9, -1e9, 58.5, 59.0].map(|x| q.code(x)), [127, -128, 127, 127]);
}

/// A dense node over `[1, 1]` with weight 1.
fn dense(input: QuantParams) -> (tinyc::Module, tinyc::ir::NodeId) {
    module(Op::Dense, &[("x", &[1, 1], input)], &[array(&[1, 1], &[1.0])], &[1, 1])
}

fn calibrate(module: &mut tinyc::Module, ranges: &[(&str, f32, f32)]) -> Result<(), PassError> {
    let ranges: Ranges =
        ranges.iter().map(|&(name, min, max)| (name.to_string(), Range { min, max })).collect();
    let context = Context {
        no_softmax: false,
        keep_dead_channels: true,
        feed: Feed::Whole,
        scales: Scales::Calibrated(&ranges),
    };
    run_half(module, Half::Integer, &context, |_, _| ())
}

#[test]
fn n03_a_clamp_is_a_range_of_codes() {
    let unused = QuantParams::new(1.0, 0);
    let (mut relu6, node) = dense(unused);
    relu6.graph.node_mut(node).clamp = Clamp { lo: 0.0, hi: 6.0 };
    // -2.6..22.9 is 255 steps of 0.1 with the zero point 26 above -128; 6 is 60 steps.
    let ranges = [("x", 0.0, 1.0), ("out", -2.6, 22.9)];
    calibrate(&mut relu6, &ranges).expect("quantizes");
    let out = relu6.quant.activation(relu6.graph.node(node).output);
    assert_eq!((out.zero_point, out.lo, out.hi), (-102, -102, -42));

    let (mut open, node) = dense(unused);
    calibrate(&mut open, &ranges).expect("quantizes");
    let out = open.quant.activation(open.graph.node(node).output);
    assert_eq!((out.lo, out.hi), (-128, 127));
    assert_eq!(open.graph.order().len(), relu6.graph.order().len(), "no node is spent on the clamp");
}

#[test]
fn n04_ranges_hold_zero_and_span_255_steps() {
    let params = |min, max| Range { min, max }.params().expect("a range with extent");
    assert_eq!(params(-1.0, 1.55), QuantParams::new(0.01, -28));
    // Widened to 0 on the side where it is missing.
    assert_eq!(params(2.0, 5.1), QuantParams::new((5.1f32 as f64 / 255.0) as f32, -128));
    assert_eq!(params(-5.1, -2.0), QuantParams::new((5.1f32 as f64 / 255.0) as f32, 127));
    let mut random = Random(4);
    for _ in 0..10_000 {
        let (a, b) = ((random.unit() * 20.0 - 10.0) as f32, (random.unit() * 20.0 - 10.0) as f32);
        let q = params(a.min(b), a.max(b));
        assert_eq!(q.real(q.code(0.0)), 0.0);
        // Both ends are at most half a step beyond the codes.
        let half = 0.5001 * f64::from(q.scale);
        assert!(f64::from(a.min(b)) >= q.real(-128) - half && f64::from(a.max(b)) <= q.real(127) + half);
    }
}

#[test]
fn n05_a_range_without_extent_is_reported() {
    assert_eq!(Range { min: 0.0, max: 0.0 }.params(), None);
    assert_eq!(Range::EMPTY.params(), None);
    let (mut silent, _) = dense(QuantParams::new(1.0, 0));
    let error =
        calibrate(&mut silent, &[("x", 0.0, 1.0), ("out", 0.0, 0.0)]).expect_err("nothing to quantize");
    assert_eq!(error, PassError::ZeroRange { tensor: "out".into(), node: "node".into() });
}

#[test]
fn n06_calibration_includes_the_padding() {
    let window = Window {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pads: Pads { top: 1, left: 0, bottom: 0, right: 0 },
    };
    let conv = Op::Conv(Conv { window, groups: 1, pad_value: -4.1 });
    let x = ("x", &[1, 1, 1, 1][..], QuantParams::new(1.0, 0));
    let (mut padded, _) = module(conv, &[x], &[array(&[1, 1, 1, 1], &[1.0])], &[1, 2, 1, 1]);
    calibrate(&mut padded, &[("x", 0.0, 1.0), ("out", -4.1, 1.0)]).expect("quantizes");
    // -4.1..1.0 is 255 steps of 0.02; 0 is 205 of them above -128.
    assert_eq!(padded.quant.activation(padded.graph.inputs[0]), QuantParams::new(0.02, 77));
}

#[test]
fn n07_byte_movers_get_equal_scales() {
    let (a, b) = (QuantParams::new(0.5, 1), QuantParams::new(0.25, 2));
    let inputs = [("a", &[1, 2][..], a), ("b", &[1, 2][..], b)];
    let (mut joined, node) = module(Op::Concat(1), &inputs, &[], &[1, 4]);
    quantize(&mut joined, &[("a", a), ("b", b), ("out", a)]).expect("quantizes");
    let params = |v| joined.quant.activation(v);
    let node = joined.graph.node(node);
    assert_eq!(node.inputs[0], joined.graph.inputs[0], "an operand with the result's scale stays");
    let table = joined.graph.producer(node.inputs[1]).expect("a node in front of the other operand");
    assert_eq!(joined.graph.node(table).op, Op::Unary(Vec::new()));
    assert!(node.inputs.iter().all(|&v| params(v).same_scale(&a)));
}

fn onnx_node(op: &str, inputs: &[&str], output: &str) -> OnnxNode {
    OnnxNode {
        name: output.into(),
        op: op.into(),
        inputs: inputs.iter().map(|i| i.to_string()).collect(),
        outputs: vec![output.into()],
        attrs: BTreeMap::new(),
    }
}

/// `x` to `y`, four floats each, with the constants `s` and `z`.
fn onnx(nodes: Vec<OnnxNode>, scale: f32, zero_point: Tensor) -> OnnxModel {
    let port = |name: &str| Port { name: name.into(), element: Element::F32, shape: Some(vec![1, 4]) };
    let constants = [("s".to_string(), Tensor::F32(array(&[], &[scale]))), ("z".to_string(), zero_point)];
    OnnxModel {
        name: "qdq".into(),
        opset: 13,
        inputs: vec![port("x")],
        outputs: vec![port("y")],
        nodes,
        constants: constants.into(),
    }
}

/// `x -> Q -> DQ -> Relu -> y`.
fn qdq(scale: f32, zero_point: Tensor) -> OnnxModel {
    let nodes = vec![
        onnx_node("QuantizeLinear", &["x", "s", "z"], "q"),
        onnx_node("DequantizeLinear", &["q", "s", "z"], "d"),
        onnx_node("Relu", &["d"], "y"),
    ];
    onnx(nodes, scale, zero_point)
}

fn given(model: OnnxModel) -> QuantParams {
    let source = prepare(model, Vec::new()).expect("a valid model");
    assert_eq!(source.model.nodes.len(), 1, "only Relu is left");
    source.given.activations["x"]
}

#[test]
fn n21_given_scales_are_kept() {
    let zero_point = Tensor::I8(ndarray::arr0(-7).into_dyn());
    assert_eq!(given(qdq(0.013, zero_point)), QuantParams::new(0.013, -7));
}

#[test]
fn n22_uint8_loses_128() {
    let zero_point = Tensor::U8(ndarray::arr0(121).into_dyn());
    let q = given(qdq(0.013, zero_point));
    assert_eq!(q, QuantParams::new(0.013, -7));
    // The code 200 of uint8 is 72 here; both are 79 steps above zero.
    assert_eq!(q.real(72), f64::from(0.013f32) * (200.0 - 121.0));
}

#[test]
fn n41_floats_become_codes_in_float32() {
    let q = QuantParams::new(0.5, -3);
    assert_eq!([0.25, 0.75, -0.25, -0.75].map(|x| q.quantize(x)), [-3, -1, -3, -5]);
    let ends = [f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, f32::NAN, 0.0, -0.0];
    assert_eq!(ends.map(|x| q.quantize(x)), [127, -128, 127, -128, -3, -3, -3]);
    // float32 division decides: 0.35 / 0.1 is 3.5 exactly there (a tie, to 4), but
    // below 3.5 for the doubles behind these float32 numbers (which would give 3).
    let tenth = QuantParams::new(0.1, 0);
    assert_eq!(0.35f32 / 0.1f32, 3.5);
    assert!(f64::from(0.35f32) / f64::from(0.1f32) < 3.5);
    assert_eq!((tenth.quantize(0.35), tenth.code(0.35f32.into())), (4, 3));
}

#[test]
fn n42_adding_and_subtracting_rounds_to_even() {
    const MAGIC: f32 = 12_582_912.0;
    let mut random = Random(42);
    let quarters = (-2048..=2048).map(|i| i as f32 / 4.0);
    for x in quarters.chain((0..200_000).map(|_| (random.unit() * 1024.0 - 512.0) as f32)) {
        assert_eq!((x + MAGIC) - MAGIC, x.round_ties_even(), "{x}");
    }
}

#[test]
fn n45_the_float_reference_clips_and_does_not_round() {
    let nodes = vec![
        onnx_node("Neg", &["x"], "n"),
        onnx_node("QuantizeLinear", &["n", "s", "z"], "q"),
        onnx_node("DequantizeLinear", &["q", "s", "z"], "d"),
        onnx_node("Neg", &["d"], "y"),
    ];
    // Codes -128..=127 of scale 1/2 and zero point -128: 0..=127.5.
    let model = onnx(nodes, 0.5, Tensor::I8(ndarray::arr0(-128).into_dyn()));
    let source = prepare(model, Vec::new()).expect("a valid model");
    let oracle = Oracle::new(&source, &["n".into(), "y".into()]).expect("a model that tract runs");
    let outputs = oracle.run(&[vec![3.0, -3.3, -127.5, -200.0]]).expect("runs");
    let values: Vec<Vec<f32>> = outputs.into_iter().map(|t| t.into_iter().collect()).collect();
    assert_eq!(values, [[0.0, 3.3, 127.5, 127.5], [0.0, -3.3, -127.5, -127.5]]);
}
