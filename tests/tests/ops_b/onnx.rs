//! Single ONNX nodes against tract.

use std::collections::BTreeMap;

use ndarray::ArrayD;
use tinyc::ir::QuantParams;
use tinyc::onnx::model::Element;
use tinyc::onnx::{Attr, OnnxModel, OnnxNode, Port, Source, Tensor, oracle::Oracle};
use tinyc::ops::Op;

use super::{codes, run, uniform};

struct Case {
    opset: i64,
    op: &'static str,
    attrs: Vec<(&'static str, Attr)>,
    constants: Vec<Option<Tensor>>,
}

fn case(opset: i64, op: &'static str, attrs: &[(&'static str, Attr)]) -> Case {
    Case { opset, op, attrs: attrs.to_vec(), constants: Vec::new() }
}

fn int(v: i64) -> Attr {
    Attr::Int(v)
}

fn ints(v: &[i64]) -> Attr {
    Attr::Ints(v.to_vec())
}

impl Case {
    /// The next operand: constant integers.
    fn with(mut self, values: &[i64]) -> Case {
        let array = ArrayD::from_shape_vec(vec![values.len()], values.to_vec()).unwrap();
        self.constants.push(Some(Tensor::I64(array)));
        self
    }

    /// The next operand: a constant float.
    fn with_float(mut self, value: f32) -> Case {
        self.constants.push(Some(Tensor::F32(ArrayD::from_elem(vec![], value))));
        self
    }

    /// The next operand is omitted.
    fn without(mut self) -> Case {
        self.constants.push(None);
        self
    }

    fn source(&self, shapes: &[&[usize]]) -> Source {
        let port = |name: String, shape| Port { name, element: Element::F32, shape };
        let inputs: Vec<Port> =
            shapes.iter().enumerate().map(|(i, s)| port(format!("x{i}"), Some(s.to_vec()))).collect();
        let mut operands: Vec<String> = inputs.iter().map(|p| p.name.clone()).collect();
        let mut constants = BTreeMap::new();
        for (i, constant) in self.constants.iter().enumerate() {
            let name = constant.as_ref().map_or(String::new(), |_| format!("c{i}"));
            if let Some(t) = constant {
                constants.insert(name.clone(), t.clone());
            }
            operands.push(name);
        }
        let node = OnnxNode {
            name: "node".into(),
            op: self.op.into(),
            inputs: operands,
            outputs: vec!["y".into()],
            attrs: self.attrs.iter().map(|(k, v)| (k.to_string(), v.clone())).collect(),
        };
        let outputs = vec![port("y".into(), None)];
        let name = "case".to_string();
        let model = OnnxModel { name, opset: self.opset, inputs, outputs, nodes: vec![node], constants };
        tinyc::onnx::prepare(model, Vec::new()).unwrap()
    }

    /// Import, reference and kernels against tract, within `steps` of the output's scale.
    fn agrees(&self, shapes: &[&[usize]], steps: f64) {
        let what = format!("{} {:?} in opset {} on {shapes:?}", self.op, self.attrs, self.opset);
        let source = self.source(shapes);
        let module = tinyc::onnx::import::import(&source).unwrap_or_else(|e| panic!("{what}: {e}"));
        let params = QuantParams::new(0.03125, -5);
        let quant = uniform(&module.graph, params);
        let inputs: Vec<Vec<i8>> =
            shapes.iter().enumerate().map(|(i, s)| codes(i as u64 + 40, s.iter().product())).collect();
        let floats: Vec<Vec<f32>> =
            inputs.iter().map(|c| c.iter().map(|&q| params.real(q) as f32).collect()).collect();
        let oracle = Oracle::new(&source, &["y".into()]).unwrap_or_else(|e| panic!("{what}: {e}"));
        let expected = oracle.run(&floats).unwrap().remove(0);
        let actual = run(&module.graph, &quant, &inputs);
        assert_eq!(actual.shape.0, expected.shape(), "{what}");
        for (&code, &real) in actual.codes.iter().zip(&expected) {
            let exact =
                f64::from(real) / f64::from(actual.params.scale) + f64::from(actual.params.zero_point);
            let error = f64::from(code) - exact.clamp(-128.0, 127.0);
            assert!(error.abs() <= steps, "{what}: {code} for {exact}");
        }
    }

    /// The reason why the node is refused.
    fn refused(&self, shapes: &[&[usize]]) -> String {
        tinyc::onnx::import::import(&self.source(shapes)).unwrap_err().to_string()
    }
}

#[test]
fn onnx_poolings() {
    for (op, steps) in [("MaxPool", 0.0), ("AveragePool", 0.51)] {
        let kernel = ("kernel_shape", ints(&[3, 2]));
        case(12, op, std::slice::from_ref(&kernel)).agrees(&[&[1, 3, 6, 5]], steps);
        let strided = [kernel.clone(), ("strides", ints(&[2, 1])), ("pads", ints(&[1, 0, 2, 1]))];
        case(12, op, &strided).agrees(&[&[1, 9, 6, 5]], steps);
        let ceil = [kernel.clone(), ("strides", ints(&[2, 2])), ("ceil_mode", int(1))];
        case(12, op, &ceil).agrees(&[&[1, 2, 6, 5]], steps);
        for auto in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
            let same = [kernel.clone(), ("strides", ints(&[2, 1])), ("auto_pad", Attr::Str(auto.into()))];
            case(12, op, &same).agrees(&[&[1, 4, 6, 5]], steps);
        }
        let one = [("kernel_shape", ints(&[3])), ("strides", ints(&[2])), ("pads", ints(&[1, 1]))];
        case(12, op, &one).agrees(&[&[1, 4, 9]], steps);
    }
    let with_pad =
        [("kernel_shape", ints(&[3, 3])), ("pads", ints(&[1, 1, 1, 1])), ("count_include_pad", int(1))];
    case(12, "AveragePool", &with_pad).agrees(&[&[1, 3, 6, 5]], 0.51);
    let dilated = [("kernel_shape", ints(&[2, 2])), ("dilations", ints(&[2, 3]))];
    case(12, "MaxPool", &dilated).agrees(&[&[1, 3, 6, 5]], 0.0);
    let three = case(12, "MaxPool", &[("kernel_shape", ints(&[2, 2, 2]))]).refused(&[&[1, 2, 4, 4, 4]]);
    assert!(three.contains("its input has 5 dimensions"), "{three}");
}

#[test]
fn onnx_global_poolings() {
    for shape in [&[1, 5, 4, 3][..], &[1, 5, 12]] {
        case(12, "GlobalAveragePool", &[]).agrees(&[shape], 0.51);
        case(12, "GlobalMaxPool", &[]).agrees(&[shape], 0.0);
    }
}

#[test]
fn onnx_reductions_over_every_set_of_axes() {
    for (op, steps) in [("ReduceMean", 0.51), ("ReduceMax", 0.0)] {
        for shape in [&[1, 2, 4, 3][..], &[1, 3, 4], &[2, 3, 2], &[1, 6], &[2, 3, 2, 1, 2]] {
            let rank = shape.len() as i64;
            for set in 1..1 << rank {
                let axes: Vec<i64> = (0..rank).filter(|a| set >> a & 1 == 1).collect();
                for keep in [0, 1] {
                    let attrs = [("axes", ints(&axes)), ("keepdims", int(keep))];
                    case(12, op, &attrs).agrees(&[shape], steps);
                }
            }
        }
        case(12, op, &[]).agrees(&[&[1, 2, 4, 3]], steps);
        let negative = [("axes", ints(&[-1, -2])), ("keepdims", int(0))];
        case(12, op, &negative).agrees(&[&[1, 2, 4, 3]], steps);
        case(18, op, &[("keepdims", int(0))]).with(&[2, 3]).agrees(&[&[1, 2, 4, 3]], steps);
    }
    let twice = case(12, "ReduceMean", &[("axes", ints(&[1, -1]))]).refused(&[&[1, 3]]);
    assert!(twice.contains("name a dimension twice"), "{twice}");
}

#[test]
fn onnx_softmax_in_both_meanings() {
    for opset in [11, 13] {
        case(opset, "Softmax", &[]).agrees(&[&[1, 10]], 1.0);
        case(opset, "Softmax", &[]).agrees(&[&[1, 3, 4]], 1.0);
        for axis in [0, 1, 2, -1, -3] {
            case(opset, "Softmax", &[("axis", int(axis))]).agrees(&[&[2, 3, 4]], 1.0);
        }
        case(opset, "Softmax", &[("axis", int(1))]).agrees(&[&[1, 6, 1, 1]], 1.0);
    }
    let beyond = case(13, "Softmax", &[("axis", int(2))]).refused(&[&[1, 3]]);
    assert!(beyond.contains("its axis 2 is outside a tensor of 2 dimensions"), "{beyond}");
}

#[test]
fn onnx_shapes() {
    let x: &[usize] = &[1, 2, 3, 4];
    for target in [&[1, -1][..], &[0, 0, 12], &[2, 3, 4], &[-1], &[0, 2, -1, 2]] {
        case(13, "Reshape", &[]).with(target).agrees(&[x], 0.0);
    }
    let elements = case(13, "Reshape", &[]).with(&[5, -1]).refused(&[x]);
    assert!(
        elements.contains("[5, -1] does not fit an input of shape [1, 2, 3, 4] (24 elements)"),
        "{elements}"
    );
    for target in [&[-1, -1][..], &[7, 4], &[1, 2, 3, 4, 0], &[-2, 12]] {
        let reason = case(13, "Reshape", &[]).with(target).refused(&[x]);
        assert!(reason.contains("does not fit"), "{reason}");
    }
    let zero = case(14, "Reshape", &[("allowzero", int(1))]).with(&[0, 24]).refused(&[x]);
    assert!(zero.contains("does not fit"), "{zero}");
    for axis in [0, 1, 2, 4, -1] {
        case(13, "Flatten", &[("axis", int(axis))]).agrees(&[x], 0.0);
    }
    case(13, "Flatten", &[]).agrees(&[x], 0.0);
    let units: &[usize] = &[1, 3, 1, 4];
    // tract wants axes; without them every dimension of 1 goes.
    let all = tinyc::onnx::import::import(&case(11, "Squeeze", &[]).source(&[units])).unwrap();
    assert_eq!(all.graph.shape(all.graph.outputs[0]).0, [3, 4]);
    case(11, "Squeeze", &[("axes", ints(&[-2]))]).agrees(&[units], 0.0);
    case(13, "Squeeze", &[]).with(&[0]).agrees(&[units], 0.0);
    let wide = case(13, "Squeeze", &[]).with(&[1]).refused(&[units]);
    assert!(wide.contains("dimension 1 of [1, 3, 1, 4], which is not 1"), "{wide}");
    case(11, "Unsqueeze", &[("axes", ints(&[0, 3]))]).agrees(&[&[3, 4]], 0.0);
    case(13, "Unsqueeze", &[]).with(&[-1, 1]).agrees(&[&[3, 4]], 0.0);
}

#[test]
fn onnx_operators_that_change_nothing_keep_their_own_quantization() {
    for (opset, op, attrs) in
        [(13, "Identity", vec![]), (10, "Dropout", vec![]), (13, "Cast", vec![("to", int(1))])]
    {
        let module = tinyc::onnx::import::import(&case(opset, op, &attrs).source(&[&[1, 4]])).unwrap();
        let node = module.graph.node(module.graph.order()[0]);
        assert_eq!(node.op, Op::Unary(Vec::new()));
        assert_eq!(module.graph.value(node.output).origin.as_ref().unwrap().tensor, "y");
    }
    let integer = case(13, "Cast", &[("to", int(7))]).refused(&[&[1, 4]]);
    assert!(integer.contains("element type 7"), "{integer}");
    let training = case(13, "Dropout", &[]).with_float(0.5).with(&[1]).refused(&[&[1, 4]]);
    assert!(training.contains("training_mode"), "{training}");
}

#[test]
fn onnx_transposes_concatenations_and_pads() {
    case(13, "Transpose", &[]).agrees(&[&[2, 3, 4]], 0.0);
    case(13, "Transpose", &[("perm", ints(&[0, 2, 3, 1]))]).agrees(&[&[1, 3, 4, 5]], 0.0);
    let twice = case(13, "Transpose", &[("perm", ints(&[0, 0]))]).refused(&[&[2, 3]]);
    assert!(twice.contains("not a permutation"), "{twice}");
    for axis in [1, -1] {
        let concat = case(13, "Concat", &[("axis", int(axis))]);
        concat.agrees(&[&[1, 3, 4, 5], &[1, 3, 4, 5], &[1, 3, 4, 5]], 0.0);
    }
    case(13, "Concat", &[("axis", int(1))]).agrees(&[&[2, 3, 4], &[2, 1, 4]], 0.0);
    let misfit = case(13, "Concat", &[("axis", int(0))]).refused(&[&[1, 3], &[1, 4]]);
    assert!(misfit.contains("[1, 3] and [1, 4] cannot be joined along dimension 0"), "{misfit}");
    let x: &[usize] = &[1, 2, 3, 4];
    let old = [("pads", ints(&[0, 1, 2, 0, 0, 0, 1, 3])), ("value", Attr::Float(1.5))];
    case(2, "Pad", &old).agrees(&[x], 0.0);
    case(13, "Pad", &[]).with(&[0, 0, 1, 1, 0, 0, 1, 1]).with_float(-1.0).agrees(&[x], 0.0);
    case(13, "Pad", &[]).with(&[0; 8]).agrees(&[x], 0.0);
    case(18, "Pad", &[]).with(&[1, 2, 0, 1]).without().with(&[-1, 2]).agrees(&[x], 0.0);
    let negative = case(13, "Pad", &[]).with(&[0, 0, -1, 0, 0, 0, 0, 0]).refused(&[x]);
    assert!(negative.contains("negative pads"), "{negative}");
    let mirrored = case(13, "Pad", &[("mode", Attr::Str("reflect".into()))]).with(&[1; 8]).refused(&[x]);
    assert!(mirrored.contains("its mode 'reflect' is not supported"), "{mirrored}");
}
