//! Imports of dense, affine, unary and binary operators: the float meaning of the
//! imported graph against the float oracle, and what is refused.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tinyc::ir::{Clamp, Graph, ValueId};
use tinyc::onnx::model::{Element, OnnxModel};
use tinyc::onnx::{Attr, OnnxNode, Port, Tensor};
use tinyc::ops::Op;
use tinyc::ops::binary::Binary;
use tinyc::ops::unary::Function;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A model of one node: `x` (and `y`) are inputs, other operands constants.
struct Onnx(OnnxModel);

impl Onnx {
    fn new(op: &str, opset: i64, inputs: &[(&str, &[usize])], operands: &[&str]) -> Onnx {
        let node = OnnxNode {
            name: "node".into(),
            op: op.into(),
            inputs: operands.iter().map(|s| s.to_string()).collect(),
            outputs: vec!["out".into()],
            attrs: BTreeMap::new(),
        };
        let port = |name: &str, shape: Option<&[usize]>| Port {
            name: name.into(),
            element: Element::F32,
            shape: shape.map(<[usize]>::to_vec),
        };
        Onnx(OnnxModel {
            name: "one".into(),
            opset,
            inputs: inputs.iter().map(|(n, s)| port(n, Some(s))).collect(),
            outputs: vec![port("out", None)],
            nodes: vec![node],
            constants: BTreeMap::new(),
        })
    }

    fn attr(mut self, name: &str, value: Attr) -> Onnx {
        self.0.nodes[0].attrs.insert(name.into(), value);
        self
    }

    /// A constant of values between 0.5 and 2, so that every operator accepts them.
    fn constant(self, name: &str, shape: &[usize]) -> Onnx {
        let mut rng = rng(name.bytes().map(u64::from).sum());
        let values = (0..shape.iter().product()).map(|_| rng.random_range(0.5f32..2.0)).collect();
        self.values(name, shape, values)
    }

    fn values(mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Onnx {
        let data = ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many values");
        self.0.constants.insert(name.into(), Tensor::F32(data));
        self
    }

    fn import(&self) -> Result<tinyc::Module, String> {
        let source = tinyc::onnx::prepare(self.0.clone(), Vec::new()).expect("folds");
        tinyc::onnx::import::import(&source).map_err(|e| e.to_string())
    }

    fn refused(&self, words: &str) {
        let error = self.import().expect_err("must be refused");
        assert!(error.contains("'node'") && error.contains(words), "{error}");
    }

    /// Imports, checks the graph, and compares its float meaning with the oracle's.
    fn check(&self) -> tinyc::Module {
        let module = self.import().expect("imports");
        tinyc::ir::verify::verify(&module.graph).expect("verifies");
        let mut rng = rng(11);
        let inputs: Vec<Vec<f32>> = (self.0.inputs.iter())
            .map(|p| p.shape.as_deref().expect("given").iter().product())
            .map(|n: usize| (0..n).map(|_| rng.random_range(-3.0f32..3.0)).collect())
            .collect();
        let oracle = tinyc::onnx::oracle::Oracle::new(&self.0, &["out".to_string()]).expect("tract loads");
        let expected = oracle.run(&inputs).expect("tract runs").remove(0);
        let actual = float(&module.graph, &inputs);
        assert_eq!(actual.shape(), expected.shape());
        for (a, e) in actual.iter().zip(&expected) {
            assert!((a - f64::from(*e)).abs() <= 1e-4 * (1.0 + a.abs()), "{a} instead of {e}");
        }
        module
    }
}

/// The float meaning of a graph of these operators, in plain loops.
fn float(graph: &Graph, inputs: &[Vec<f32>]) -> ArrayD<f64> {
    let mut values: BTreeMap<ValueId, ArrayD<f64>> = BTreeMap::new();
    for (&id, data) in graph.inputs.iter().zip(inputs) {
        let data = data.iter().map(|&v| v.into()).collect();
        values.insert(id, ArrayD::from_shape_vec(graph.shape(id).0.clone(), data).expect("fits"));
    }
    for &id in graph.order() {
        let node = graph.node(id);
        let operand = |i: usize| match graph.constant(node.inputs[i]) {
            Some(data) => data.mapv(f64::from),
            None => values[&node.inputs[i]].clone(),
        };
        let result = match &node.op {
            Op::Dense => {
                let (x, w) = (operand(0), operand(1));
                let rows: Vec<f64> = x.iter().copied().collect();
                let (out, features) = (w.shape()[0], w.shape()[1]);
                let mut y = Vec::new();
                for row in rows.chunks(features) {
                    for o in 0..out {
                        let product: f64 = (0..features).map(|i| row[i] * w[[o, i]]).sum();
                        let bias = if node.inputs.len() > 2 { operand(2)[[o]] } else { 0.0 };
                        y.push(product + bias);
                    }
                }
                ArrayD::from_shape_vec(graph.shape(node.output).0.clone(), y).expect("fits")
            }
            Op::Affine => operand(0) * operand(1) + operand(2),
            Op::Binary(Binary::Add) => operand(0) + operand(1),
            Op::Binary(Binary::Sub) => operand(0) - operand(1),
            Op::Binary(Binary::Mul) => operand(0) * operand(1),
            Op::Unary(chain) => operand(0).mapv(|x| chain.iter().fold(x, |x, f| f.eval(x))),
            Op::Transpose(perm) => operand(0).permuted_axes(perm.clone()),
            Op::Reshape => {
                let data = operand(0).iter().copied().collect();
                ArrayD::from_shape_vec(graph.shape(node.output).0.clone(), data).expect("fits")
            }
            other => panic!("{other:?} is not of these operators"),
        };
        values.insert(node.output, result);
    }
    values[&graph.outputs[0]].clone()
}

/// The operators of a graph, in order.
fn names(module: &tinyc::Module) -> Vec<&'static str> {
    module.graph.order().iter().map(|&id| module.graph.node(id).op.name()).collect()
}

#[test]
fn gemm_in_all_forms() {
    for (ta, tb) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let gemm = |operands: &[&str], x: &[usize]| {
            Onnx::new("Gemm", 13, &[("x", x)], operands)
                .attr("transA", Attr::Int(ta))
                .attr("transB", Attr::Int(tb))
        };
        // Constant on the right: [2, 3] x [3, 4]; on the left: [4, 3] x [3, 2].
        let (a, b): ([usize; 2], [usize; 2]) =
            (if ta == 1 { [3, 2] } else { [2, 3] }, if tb == 1 { [4, 3] } else { [3, 4] });
        gemm(&["x", "w"], &a).constant("w", &b).check();
        for c in [&[][..], &[1], &[4], &[1, 4], &[2, 1], &[2, 4]] {
            let scaled =
                gemm(&["x", "w", "c"], &a).attr("alpha", Attr::Float(0.5)).attr("beta", Attr::Float(-3.0));
            scaled.constant("w", &b).constant("c", c).check();
        }
        let (a, b): ([usize; 2], [usize; 2]) =
            (if ta == 1 { [3, 4] } else { [4, 3] }, if tb == 1 { [2, 3] } else { [3, 2] });
        gemm(&["w", "x"], &b).constant("w", &a).check();
        for c in [&[][..], &[2], &[4, 1], &[4, 2]] {
            gemm(&["w", "x", "c"], &b).constant("w", &a).constant("c", c).check();
        }
    }
    let plain = Onnx::new("Gemm", 13, &[("x", &[1, 3])], &["x", "w", "c"]).constant("w", &[3, 4]);
    assert_eq!(names(&plain.constant("c", &[4]).check()), ["dense"]);
}

#[test]
fn gemm_adds_a_computed_c() {
    let gemm = |c: &[usize]| {
        Onnx::new("Gemm", 13, &[("x", &[2, 3]), ("c", c)], &["x", "w", "c"])
            .constant("w", &[3, 4])
            .attr("beta", Attr::Float(2.0))
    };
    gemm(&[2, 4]).check();
    gemm(&[4]).check();
    gemm(&[3, 2, 4]).refused("does not broadcast");
}

#[test]
fn matmul_with_a_constant_on_either_side() {
    let matmul = |x: &[usize], w: &[usize]| {
        Onnx::new("MatMul", 13, &[("x", x)], &["x", "w"]).constant("w", w).check();
    };
    matmul(&[1, 3], &[3, 4]);
    matmul(&[1, 5, 3], &[3, 4]);
    matmul(&[5, 3], &[1, 3, 4]);
    matmul(&[1, 2, 5, 3], &[1, 3, 4]);
    matmul(&[5, 3], &[3]);
    matmul(&[3], &[3, 4]);
    let left = |x: &[usize]| {
        Onnx::new("MatMul", 13, &[("x", x)], &["w", "x"]).constant("w", &[4, 3]).check();
    };
    left(&[3, 2]);
    left(&[1, 3, 2]);
    left(&[3]);
    Onnx::new("MatMul", 13, &[("x", &[2, 3]), ("y", &[3, 2])], &["x", "y"]).refused("at run time");
    Onnx::new("MatMul", 13, &[("x", &[2, 5, 3])], &["x", "w"]).constant("w", &[2, 3, 4]).refused("batch");
    Onnx::new("MatMul", 13, &[("x", &[2, 5])], &["x", "w"]).constant("w", &[3, 4]).refused("features");
}

#[test]
fn arithmetic_with_constants() {
    for op in ["Add", "Sub", "Mul", "Div"] {
        for c in [&[][..], &[1], &[5], &[3, 1, 1], &[1, 3, 4, 5], &[1, 1, 4, 1]] {
            let right = Onnx::new(op, 13, &[("x", &[1, 3, 4, 5])], &["x", "c"]).constant("c", c).check();
            let scalar = c.iter().product::<usize>() == 1;
            assert_eq!(names(&right), [if scalar { "unary" } else { "affine" }]);
            if op != "Div" {
                Onnx::new(op, 13, &[("x", &[1, 3, 4, 5])], &["c", "x"]).constant("c", c).check();
            }
        }
        Onnx::new(op, 13, &[("x", &[3])], &["x", "c"]).constant("c", &[1, 1, 3]).check();
        Onnx::new(op, 13, &[("x", &[3, 1])], &["x", "c"])
            .constant("c", &[3, 4])
            .refused("does not broadcast");
    }
    Onnx::new("Div", 13, &[("x", &[3])], &["c", "x"]).constant("c", &[3]).refused("divides a constant");
    Onnx::new("Div", 13, &[("x", &[3])], &["x", "c"]).values("c", &[], vec![0.0]).refused("finite");
    Onnx::new("Div", 13, &[("x", &[3])], &["x", "c"]).values("c", &[3], vec![1.0, 0.0, 2.0]).refused("inf");
}

#[test]
fn arithmetic_of_two_activations() {
    for op in ["Add", "Sub", "Mul"] {
        for b in [&[1, 3, 4, 5][..], &[5], &[3, 1, 1]] {
            let module = Onnx::new(op, 13, &[("x", &[1, 3, 4, 5]), ("y", b)], &["x", "y"]).check();
            let node = module.graph.node(*module.graph.order().last().expect("not empty"));
            assert!(node.inputs.iter().all(|&v| module.graph.shape(v).rank() == 4), "equal ranks");
        }
        Onnx::new(op, 13, &[("x", &[2, 3])], &["x", "x"]).check();
        Onnx::new(op, 13, &[("x", &[2, 3]), ("y", &[2])], &["x", "y"]).refused("do not broadcast");
    }
    Onnx::new("Div", 13, &[("x", &[3]), ("y", &[3])], &["x", "y"]).refused("at run time");
}

#[test]
fn batch_normalization_is_affine_along_the_channels() {
    for shape in [&[1, 3, 4, 5][..], &[1, 3, 7], &[1, 3]] {
        let norm = Onnx::new("BatchNormalization", 15, &[("x", shape)], &["x", "g", "b", "m", "v"])
            .attr("epsilon", Attr::Float(0.01));
        let norm = norm.constant("g", &[3]).constant("b", &[3]).constant("m", &[3]).constant("v", &[3]);
        assert_eq!(names(&norm.check()), ["affine"]);
        norm.values("v", &[3], vec![1.0, -1.0, 1.0]).refused("not positive");
    }
}

/// An operator, its opset and attributes.
type Form<'a> = (&'a str, i64, &'a [(&'a str, Attr)]);

#[test]
fn element_wise_functions() {
    let f = |v: f32| Attr::Float(v);
    let with: [Form<'_>; 32] = [
        ("Relu", 13, &[]),
        ("LeakyRelu", 13, &[]),
        ("LeakyRelu", 13, &[("alpha", f(0.2))]),
        ("ThresholdedRelu", 13, &[("alpha", f(0.7))]),
        ("Sigmoid", 13, &[]),
        ("Tanh", 13, &[]),
        ("HardSigmoid", 13, &[]),
        ("HardSigmoid", 13, &[("alpha", f(0.3)), ("beta", f(0.4))]),
        ("HardSwish", 14, &[]),
        ("Elu", 13, &[]),
        ("Elu", 13, &[("alpha", f(0.5))]),
        ("Selu", 13, &[]),
        ("Selu", 13, &[("alpha", f(1.5)), ("gamma", f(2.0))]),
        ("Celu", 13, &[]),
        ("Softplus", 13, &[]),
        ("Softsign", 13, &[]),
        ("Mish", 18, &[]),
        ("Swish", 24, &[]),
        ("Gelu", 20, &[]),
        ("Gelu", 20, &[("approximate", Attr::Str("tanh".into()))]),
        ("Abs", 13, &[]),
        ("Neg", 13, &[]),
        ("Sign", 13, &[]),
        ("Exp", 13, &[]),
        ("Erf", 13, &[]),
        ("Sin", 13, &[]),
        ("Cos", 13, &[]),
        ("Floor", 13, &[]),
        ("Ceil", 13, &[]),
        ("Round", 13, &[]),
        ("Clip", 6, &[("min", f(-1.0)), ("max", f(2.0))]),
        ("Clip", 6, &[("max", f(2.0))]),
    ];
    for (op, opset, attrs) in with {
        let node = Onnx::new(op, opset, &[("x", &[2, 40])], &["x"]);
        let node = attrs.iter().fold(node, |n, (name, value)| n.attr(name, value.clone()));
        assert_eq!(names(&node.check()), ["unary"], "{op}");
    }
    Onnx::new("Celu", 13, &[("x", &[3])], &["x"]).attr("alpha", f(2.0)).refused("alpha is 2");
    Onnx::new("Elu", 13, &[("x", &[3])], &["x"]).attr("alpha", f(f32::NAN)).refused("not a finite number");
}

#[test]
fn clip_prelu_and_pow_take_constants() {
    let clip = |operands: &[&str]| Onnx::new("Clip", 13, &[("x", &[40])], operands);
    let bounds = |c: Onnx| c.values("lo", &[], vec![-1.0]).values("hi", &[], vec![1.5]);
    bounds(clip(&["x", "lo", "hi"])).check();
    bounds(clip(&["x", "", "hi"])).check();
    bounds(clip(&["x", "lo"])).check();
    bounds(Onnx::new("Clip", 13, &[("x", &[3]), ("y", &[])], &["x", "y"])).refused("computed at run time");
    // Crossed bounds: every element becomes the upper one.
    let crossed = clip(&["x", "hi", "lo"]);
    let module = bounds(crossed).import().expect("imports");
    assert_eq!(float(&module.graph, &[vec![0.0; 40]]).iter().copied().fold(0.0, f64::min), -1.0);
    // The largest floats are no bounds at all.
    let open = clip(&["x", "lo", "hi"]).values("lo", &[], vec![0.0]).values("hi", &[], vec![f32::MAX]);
    let module = open.import().expect("imports");
    assert_eq!(module.graph.node(module.graph.order()[0]).op, Op::Unary(vec![Function::Clamp(Clamp::RELU)]));

    let prelu = Onnx::new("PRelu", 13, &[("x", &[1, 2, 5])], &["x", "s"]);
    prelu.values("s", &[2, 1], vec![0.25, 0.25]).check();
    let prelu = Onnx::new("PRelu", 13, &[("x", &[1, 2, 5])], &["x", "s"]);
    prelu.values("s", &[2, 1], vec![0.25, 0.5]).refused("one slope");
    Onnx::new("Pow", 13, &[("x", &[9])], &["x", "e"]).values("e", &[], vec![2.0]).check();
    Onnx::new("Pow", 13, &[("x", &[9])], &["x", "e"]).values("e", &[1], vec![3.0]).check();
    Onnx::new("Pow", 13, &[("x", &[2])], &["x", "e"]).constant("e", &[2]).refused("2 elements");
}

#[test]
fn weight_scales_of_the_file_follow_the_output_features() {
    for (trans_b, shape, axis) in [(0, [3, 4], 1), (1, [4, 3], 0)] {
        let model = Onnx::new("Gemm", 13, &[("x", &[1, 3])], &["x", "w"])
            .attr("transB", Attr::Int(trans_b))
            .constant("w", &shape);
        let given = |axis: usize, scales: usize| {
            let mut source = tinyc::onnx::prepare(model.0.clone(), Vec::new()).expect("folds");
            source.given.weights.insert("w".into(), (vec![0.5; scales], Some(axis)));
            tinyc::onnx::import::import(&source).expect("imports").given.weight_scales
        };
        assert_eq!(given(axis, 4).into_values().collect::<Vec<_>>(), [vec![0.5f32; 4]]);
        // Scales along the input features have no place in a layer per output channel.
        assert!(given(1 - axis, 3).is_empty());
    }
}
