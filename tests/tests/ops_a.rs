//! Dense, affine, unary and binary operators: integer references against exact
//! real arithmetic, and runtime kernels against the references.

use ndarray::{ArrayD, IxDyn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tinyc::ir::{Clamp, Def, Graph, NewNode, NodeId, QuantParams, Shape};
use tinyc::lower::{Call, Kernel, LowerError};
use tinyc::ops::binary::{Binary, Coefficients};
use tinyc::ops::unary::Function;
use tinyc::ops::{self, Op};
use tinyc::quant::{LayerQuant, Multiplier, QTensor, QuantTable};
use tinyc_runtime::kernels::{add, dense, depthwise, lut, mul};
use tinyc_runtime::view::{Aligned, Bytes, Consts};

/// One node with its quantization.
struct Case {
    graph: Graph,
    quant: QuantTable,
    id: NodeId,
}

impl Case {
    /// A node of `op` over activations of the given shapes and parameters, and
    /// constants of the given shapes (their values do not matter after quantization).
    fn new(
        op: Op,
        activations: &[(&[usize], QuantParams)],
        constants: &[&[usize]],
        out: QuantParams,
    ) -> Case {
        let mut graph = Graph::new("case");
        let mut quant = QuantTable::default();
        let mut inputs = Vec::new();
        for (shape, params) in activations {
            let id = graph.add_value("x", Shape::from(*shape), Def::Input, None);
            graph.inputs.push(id);
            quant.activations.insert(id, *params);
            inputs.push(id);
        }
        inputs.extend(constants.iter().map(|s| graph.add_const("c", ArrayD::zeros(IxDyn(s)))));
        let shapes: Vec<&Shape> = inputs.iter().map(|&v| graph.shape(v)).collect();
        let shape = op.output_shape(&shapes).expect("operands fit").expect("has a shape rule");
        let node = NewNode { name: "n", onnx_op: "N", op, inputs, output_name: "y", shape, origin: None };
        let id = graph.add_node(node, None);
        quant.activations.insert(graph.node(id).output, out);
        Case { graph, quant, id }
    }

    fn inputs(&self, codes: &[&[i8]]) -> Vec<QTensor> {
        let ids = self.graph.activations(self.id);
        ids.iter()
            .zip(codes)
            .map(|(&id, codes)| QTensor {
                shape: self.graph.shape(id).clone(),
                codes: codes.to_vec(),
                params: self.quant.activation(id),
            })
            .collect()
    }

    fn reference(&self, codes: &[&[i8]]) -> Vec<i8> {
        let inputs = self.inputs(codes);
        let inputs: Vec<&QTensor> = inputs.iter().collect();
        ops::reference(&self.graph, &self.quant, self.id, &inputs).codes
    }

    /// Checks the runtime's kernel against the reference: into a buffer of its own,
    /// and over the bytes of every operand that lowering allows.
    fn check_kernel(&self, rng: &mut ChaCha8Rng) {
        let lowered = ops::lower(&self.graph, &self.quant, self.id).expect("lowers");
        let ids = self.graph.activations(self.id);
        let codes: Vec<Vec<i8>> =
            ids.iter().map(|&id| random_codes(rng, self.graph.shape(id).elements())).collect();
        let codes: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
        let expected = self.reference(&codes);
        let [call] = &lowered.calls[..] else { panic!("one call expected") };
        assert_eq!(call.inputs, ids);
        let mut output = vec![0; expected.len()];
        run(call, &codes, &mut output, None);
        assert_eq!(output, expected, "{:?}", call.kernel);
        for &place in &lowered.in_place {
            let mut output = codes[place].to_vec();
            run(call, &codes, &mut output, Some(place));
            assert_eq!(output, expected, "over operand {place}: {:?}", call.kernel);
        }
    }
}

/// Runs a kernel; operand `place` lies in the output's own bytes.
fn run(call: &Call, inputs: &[&[i8]], output: &mut [i8], place: Option<usize>) {
    let mut aligned = Box::new(Aligned([0; 1 << 14]));
    aligned.0[..call.consts.len()].copy_from_slice(&call.consts);
    let consts = Consts::new(&aligned.0[..call.consts.len()]);
    let mut copies: Vec<Vec<i8>> = inputs.iter().map(|i| i.to_vec()).collect();
    let output = Bytes::from_mut(output);
    let views: Vec<Bytes<'_>> = copies
        .iter_mut()
        .enumerate()
        .map(|(i, copy)| if place == Some(i) { output } else { Bytes::from_mut(copy) })
        .collect();
    let mut none = vec![0; call.scratch_bytes];
    let scratch = Bytes::from_mut(&mut none);
    match &call.kernel {
        Kernel::Dense(p) => dense::run(p, consts, views[0], output, scratch),
        Kernel::Depthwise(p) => depthwise::run::<1>(p, consts, views[0], output, scratch),
        Kernel::Lut(p) => lut::run(p, consts, views[0], output, scratch),
        Kernel::Add(p) => add::run(p, views[0], views[1], output, scratch),
        Kernel::Mul(p) => mul::run(p, views[0], views[1], output, scratch),
        other => panic!("{other:?} is not of these operators"),
    }
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn random_codes(rng: &mut ChaCha8Rng, len: usize) -> Vec<i8> {
    (0..len).map(|_| rng.random_range(-128..=127i32) as i8).collect()
}

/// Parameters with a scale between 10^lo and 10^hi, and now and then a clamp.
fn random_params(rng: &mut ChaCha8Rng, lo: f64, hi: f64) -> QuantParams {
    let scale = 10f64.powf(rng.random_range(lo..hi)) as f32;
    let mut params = QuantParams::new(scale, rng.random_range(-128..=127i32) as i8);
    if rng.random_bool(0.25) {
        (params.lo, params.hi) = (rng.random_range(-128..=0i32) as i8, rng.random_range(1..=127i32) as i8);
    }
    params
}

fn random_layer(rng: &mut ChaCha8Rng, channels: usize, per_channel: usize) -> LayerQuant {
    LayerQuant {
        borders: None,
        weights: (0..channels * per_channel).map(|_| rng.random_range(-127..=127i32) as i8).collect(),
        weight_scales: vec![1.0; channels],
        bias: (0..channels).map(|_| rng.random_range(-20_000..=20_000)).collect(),
        multipliers: (0..channels)
            .map(|_| Multiplier::from_real(10f64.powf(rng.random_range(-4.0..0.8))).expect("in range"))
            .collect(),
    }
}

/// The exact real result in units of output codes, clamped as the producer clamps.
fn exact_code(real: f64, out: &QuantParams) -> f64 {
    (real / f64::from(out.scale) + f64::from(out.zero_point)).clamp(out.lo.into(), out.hi.into())
}

// ---- binary ----

#[test]
fn sums_of_equal_scales_are_integer_sums_and_ties_go_up() {
    let unit = QuantParams::new(1.0, 0);
    let case = Case::new(Op::Binary(Binary::Add), &[(&[4], unit), (&[4], unit)], &[], unit);
    assert_eq!(case.reference(&[&[3, -7, 127, -128], &[4, 2, 1, -1]]), [7, -5, 127, -128]);
    let case = Case::new(Op::Binary(Binary::Sub), &[(&[4], unit), (&[4], unit)], &[], unit);
    assert_eq!(case.reference(&[&[3, -7, 127, -128], &[4, 2, 1, -1]]), [-1, -9, 126, -127]);
    // Halves: 0.5 -> 1, -0.5 -> 0, 1.5 -> 2, -1.5 -> -1.
    let coarse = QuantParams::new(2.0, 0);
    let case = Case::new(Op::Binary(Binary::Add), &[(&[4], unit), (&[4], unit)], &[], coarse);
    assert_eq!(case.reference(&[&[1, -1, 1, -1], &[0, 0, 2, -2]]), [1, 0, 2, -1]);
}

#[test]
fn operands_broadcast_as_in_numpy() {
    let unit = QuantParams::new(1.0, 0);
    let case = Case::new(Op::Binary(Binary::Add), &[(&[2, 1, 2], unit), (&[3, 1], unit)], &[], unit);
    // a[i, 0, k] + b[j, 0] over [2, 3, 2].
    assert_eq!(
        case.reference(&[&[10, 20, 30, 40], &[1, 2, 3]]),
        [11, 21, 12, 22, 13, 23, 31, 41, 32, 42, 33, 43]
    );
    assert!(ops::binary::output_shape(&[&Shape(vec![2, 3]), &Shape(vec![2])]).is_err());
    let alternating = [&Shape(vec![2, 1, 2, 1, 2]), &Shape(vec![1, 2, 1, 2, 1])];
    let error = ops::binary::output_shape(&alternating).expect_err("five loops");
    assert!(error.contains("5 nested loops"), "{error}");
}

#[test]
fn sums_and_products_round_once_within_the_promise() {
    let mut rng = rng(1);
    for _ in 0..3000 {
        let a = random_params(&mut rng, -3.0, 1.0);
        let b = random_params(&mut rng, -3.0, 1.0);
        let out = random_params(&mut rng, -3.0, 1.0);
        let (qa, qb) = (random_codes(&mut rng, 64), random_codes(&mut rng, 64));
        for op in [Binary::Add, Binary::Sub, Binary::Mul] {
            let case = Case::new(Op::Binary(op), &[(&[64], a), (&[64], b)], &[], out);
            let codes = case.reference(&[&qa, &qb]);
            for i in 0..64 {
                let (ra, rb) = (a.real(qa[i]), b.real(qb[i]));
                let exact = match op {
                    Binary::Add => ra + rb,
                    Binary::Sub => ra - rb,
                    Binary::Mul => ra * rb,
                };
                let error = f64::from(codes[i]) - exact_code(exact, &out);
                assert!(error.abs() <= 0.51, "{op:?} of {a} {b} -> {out}: off by {error}");
            }
        }
    }
}

#[test]
fn narrow_sums_cannot_overflow() {
    let mut rng = rng(2);
    let mut wide = 0;
    for _ in 0..5000 {
        let [a, b, out] = [(); 3].map(|()| random_params(&mut rng, -2.5, 1.0));
        let c = Coefficients::new(&a, &b, &out, rng.random_bool(0.5));
        wide += usize::from(c.wide);
        for qa in [-128i128, 0, 127] {
            for qb in [-128i128, 0, 127] {
                let (x, y) = (qa * i128::from(c.ma), qb * i128::from(c.mb));
                // In every order of addition.
                let sums = [x, y, c.c, x + y, x + c.c, y + c.c, x + y + c.c];
                assert!(c.wide || sums.iter().all(|s| i32::try_from(*s).is_ok()), "{c:?}");
            }
        }
    }
    assert!((1..2500).contains(&wide), "both widths must occur, {wide} of 5000 were wide");
}

#[test]
fn binary_kernels_equal_the_reference() {
    let mut rng = rng(3);
    let shapes: [[&[usize]; 2]; 7] = [
        [&[1, 4, 5, 6], &[1, 4, 5, 6]],
        [&[1, 4, 5, 6], &[6]],
        [&[1, 4, 5, 1], &[1, 1, 1, 6]],
        [&[1, 1, 1, 1], &[1, 4, 5, 6]],
        [&[2, 1, 3, 1], &[1, 4, 1, 5]],
        [&[2, 3, 1, 1, 4], &[1, 1, 5, 2, 4]],
        [&[1, 7, 1, 3], &[1, 7, 2, 3]],
    ];
    for [a, b] in shapes {
        for op in [Binary::Add, Binary::Sub, Binary::Mul] {
            for _ in 0..40 {
                let [pa, pb, out] = [(); 3].map(|()| random_params(&mut rng, -3.0, 1.0));
                Case::new(Op::Binary(op), &[(a, pa), (b, pb)], &[], out).check_kernel(&mut rng);
            }
        }
    }
}

#[test]
fn only_operands_that_are_not_broadcast_can_be_overwritten() {
    let unit = QuantParams::new(1.0, 0);
    let in_place = |a: &[usize], b: &[usize]| {
        let case = Case::new(Op::Binary(Binary::Add), &[(a, unit), (b, unit)], &[], unit);
        ops::lower(&case.graph, &case.quant, case.id).expect("lowers").in_place
    };
    assert_eq!(in_place(&[1, 4, 4, 2], &[1, 4, 4, 2]), [0, 1]);
    assert_eq!(in_place(&[1, 4, 4, 2], &[2]), [0]);
    assert_eq!(in_place(&[2], &[1, 4, 4, 2]), [1]);
    assert!(in_place(&[1, 4, 1], &[1, 1, 4]).is_empty());
}

#[test]
fn absurd_scales_are_an_error_not_a_panic() {
    let (huge, tiny) = (QuantParams::new(1e30, 3), QuantParams::new(1e-30, -5));
    for op in [Binary::Add, Binary::Sub, Binary::Mul] {
        let case = Case::new(Op::Binary(op), &[(&[2], huge), (&[2], huge)], &[], tiny);
        assert_eq!(case.reference(&[&[4, 4], &[4, 4]]).len(), 2);
        let error = ops::lower(&case.graph, &case.quant, case.id).expect_err("out of range");
        assert!(matches!(error, LowerError::Limit(_) | LowerError::Multiplier { .. }), "{error}");
    }
}

// ---- dense and affine ----

#[test]
fn dense_is_a_matrix_product_with_zero_point() {
    // (q - 1) = [2, -3]; weights rows [1, 2], [3, -1], [0, 0]; multiplier 1/2.
    let case_in = QuantParams::new(1.0, 1);
    let out = QuantParams { scale: 1.0, zero_point: 10, lo: -128, hi: 14 };
    let mut case = Case::new(Op::Dense, &[(&[1, 2], case_in)], &[&[3, 2], &[3]], out);
    let half = Multiplier::from_real(0.5).expect("in range");
    case.quant.layers.insert(
        case.id,
        LayerQuant {
            borders: None,
            weights: vec![1, 2, 3, -1, 0, 0],
            weight_scales: vec![1.0; 3],
            bias: vec![0, 3, 100],
            multipliers: vec![half; 3],
        },
    );
    // Sums -4, 12, 100; halves -2, 6, 50; plus 10, clamped to 14.
    assert_eq!(case.reference(&[&[3, -2]]), [8, 14, 14]);
    case.check_kernel(&mut rng(4));
}

#[test]
fn dense_kernels_equal_the_reference() {
    let mut rng = rng(5);
    for (shape, features) in [(&[7][..], 3), (&[1, 64], 10), (&[5, 13], 9), (&[1, 3, 2, 8], 4)] {
        for _ in 0..10 {
            let inputs = shape[shape.len() - 1];
            let [x, out] = [(); 2].map(|()| random_params(&mut rng, -2.0, 0.0));
            let mut case = Case::new(Op::Dense, &[(shape, x)], &[&[features, inputs]], out);
            case.quant.layers.insert(case.id, random_layer(&mut rng, features, inputs));
            case.check_kernel(&mut rng);
        }
    }
}

#[test]
fn an_accumulator_that_could_overflow_is_refused() {
    let unit = QuantParams::new(1.0, 0);
    let mut case = Case::new(Op::Dense, &[(&[1, 2], unit)], &[&[1, 2]], unit);
    let mut layer = random_layer(&mut rng(6), 1, 2);
    (layer.weights, layer.bias) = (vec![127, -127], vec![i32::MAX - 100]);
    case.quant.layers.insert(case.id, layer);
    let error = ops::lower(&case.graph, &case.quant, case.id).expect_err("overflows");
    // 2^31 - 1 - 100 + 128 * 254
    assert_eq!(error, LowerError::Accumulator { channel: 0, bound: 2_147_516_059 });
}

#[test]
fn affine_constants_broadcast_along_any_dimension() {
    let x = QuantParams::new(1.0, 0);
    let mut case = Case::new(Op::Affine, &[(&[1, 2, 3], x)], &[&[1, 2, 1], &[1, 2, 1]], x);
    case.quant.layers.insert(
        case.id,
        LayerQuant {
            borders: None,
            weights: vec![100, -50],
            weight_scales: vec![1.0; 2],
            bias: vec![0, 100],
            multipliers: vec![Multiplier::from_real(0.01).expect("in range"); 2],
        },
    );
    // First row times 1, second times -1/2 plus 1, ties toward plus infinity.
    assert_eq!(case.reference(&[&[1, 2, 3, 2, 4, -6]]), [1, 2, 3, 0, -1, 4]);
    case.check_kernel(&mut rng(7));
}

#[test]
fn affine_kernels_equal_the_reference() {
    let mut rng = rng(8);
    let shapes: [(&[usize], &[usize]); 8] = [
        (&[1, 4, 5, 6], &[1, 1, 1, 6]),
        (&[1, 4, 5, 6], &[1, 4, 1, 1]),
        (&[1, 4, 5, 6], &[1, 1, 5, 1]),
        (&[1, 4, 5, 6], &[1, 4, 5, 6]),
        (&[1, 4, 5, 6], &[1, 1, 1, 1]),
        (&[1, 37], &[1, 37]),
        (&[1, 3, 9], &[1, 3, 1]),
        (&[5], &[5]),
    ];
    for (shape, constant) in shapes {
        for _ in 0..20 {
            let [x, out] = [(); 2].map(|()| random_params(&mut rng, -2.0, 0.0));
            let mut case = Case::new(Op::Affine, &[(shape, x)], &[constant, constant], out);
            let layer = random_layer(&mut rng, constant.iter().product(), 1);
            case.quant.layers.insert(case.id, layer);
            case.check_kernel(&mut rng);
        }
    }
}

// ---- unary ----

type Definition = fn(f64) -> f64;

/// The functions with their definitions in the standard library's floats.
fn functions() -> Vec<(Function, Definition)> {
    let relu6 = Clamp { lo: 0.0, hi: 6.0 };
    vec![
        (Function::Clamp(Clamp::RELU), |x| x.max(0.0)),
        (Function::Clamp(relu6), |x| x.clamp(0.0, 6.0)),
        (Function::Affine { scale: -1.5, shift: 0.25 }, |x| -1.5 * x + 0.25),
        (Function::LeakyRelu { slope: 0.25 }, |x| if x < 0.0 { x / 4.0 } else { x }),
        (Function::ThresholdedRelu { threshold: 1.0 }, |x| if x > 1.0 { x } else { 0.0 }),
        (Function::Sigmoid, |x| 0.5 * (x / 2.0).tanh() + 0.5),
        (Function::Tanh, f64::tanh),
        (Function::HardSigmoid { scale: 0.25, shift: 0.5 }, |x| (x / 4.0 + 0.5).clamp(0.0, 1.0)),
        (Function::HardSwish, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
        (Function::Elu { alpha: 1.5, scale: 2.0 }, |x| if x < 0.0 { 3.0 * (x.exp() - 1.0) } else { 2.0 * x }),
        (Function::Softplus, |x| (1.0 + x.exp()).ln()),
        (Function::Softsign, |x| x / (1.0 + x.abs())),
        (Function::Mish, |x| x * (1.0 + x.exp()).ln().tanh()),
        (Function::Swish, |x| x / (1.0 + (-x).exp())),
        (Function::Abs, f64::abs),
        (Function::Sign, |x| if x == 0.0 { 0.0 } else { x.signum() }),
        (Function::Exp, f64::exp),
        (Function::Log, |x| if x <= 0.0 { f64::NEG_INFINITY } else { x.ln() }),
        (Function::Sqrt, |x| x.max(0.0).sqrt()),
        (Function::Pow { exponent: 2.0 }, |x| x * x),
        (Function::Pow { exponent: 0.5 }, |x| if x < 0.0 { 0.0 } else { x.sqrt() }),
        (Function::Sin, f64::sin),
        (Function::Cos, f64::cos),
        (Function::Floor, f64::floor),
        (Function::Ceil, f64::ceil),
        (Function::Round, f64::round_ties_even),
    ]
}

#[test]
fn every_function_is_rounded_once() {
    let all: Vec<i8> = (-128..=127i32).map(|q| q as i8).collect();
    let mut rng = rng(9);
    for (function, definition) in functions() {
        for zero_point in [-128, 0, 50] {
            let x = QuantParams::new(0.0625, zero_point);
            let out = QuantParams { lo: -120, hi: 100, ..QuantParams::new(0.03, -20) };
            let case = Case::new(Op::Unary(vec![function]), &[(&[256], x)], &[], out);
            let codes = case.reference(&[&all]);
            for (&q, &code) in all.iter().zip(&codes) {
                let error = f64::from(code) - exact_code(definition(x.real(q)), &out);
                assert!(error.abs() <= 0.5 + 1e-9, "{function} at {}: off by {error}", x.real(q));
            }
            case.check_kernel(&mut rng);
        }
    }
}

#[test]
fn erf_and_gelu_have_their_tabulated_values() {
    // Abramowitz and Stegun, table 7.1; GELU(x) = x / 2 * (1 + erf(x / sqrt 2)).
    assert!((Function::Erf.eval(1.0) - 0.842_700_792_9).abs() < 1e-9);
    assert!((Function::Gelu.eval(1.0) - 0.841_344_746_1).abs() < 1e-9);
    assert!((Function::GeluTanh.eval(1.0) - 0.841_191_990_6).abs() < 1e-8);
}

#[test]
fn a_chain_is_one_table_and_the_empty_chain_requantizes() {
    let x = QuantParams::new(0.5, 0);
    let out = QuantParams::new(1.0, 3);
    let case = Case::new(Op::Unary(vec![]), &[(&[6], x)], &[], out);
    // Halves to even: 0.5 -> 0, 1.5 -> 2, -0.5 -> 0, -2.5 -> -2.
    assert_eq!(case.reference(&[&[1, 3, -1, -5, 100, -128]]), [3, 5, 3, 1, 53, -61]);
    let chain = vec![Function::Affine { scale: 2.0, shift: -1.0 }, Function::Clamp(Clamp::RELU)];
    let mut case = Case::new(Op::Unary(chain), &[(&[4], x)], &[], out);
    assert_eq!(case.reference(&[&[0, 1, 4, 10]]), [3, 3, 6, 12]);
    // The node's own clamp follows the chain.
    case.graph.node_mut(case.id).clamp = Clamp { lo: 1.0, hi: 5.0 };
    assert_eq!(case.reference(&[&[0, 1, 4, 10]]), [4, 4, 6, 8]);
    case.check_kernel(&mut rng(10));
}

#[test]
fn functions_print_stable_text() {
    let text: Vec<String> = functions().iter().map(|(f, _)| f.to_string()).collect();
    let mut distinct = text.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), text.len(), "two functions print alike: {text:?}");
    assert_eq!(
        text[..5],
        ["relu", "clamp(0, 6)", "affine(-1.5, 0.25)", "leaky_relu(0.25)", "thresholded_relu(1)"]
    );
}
