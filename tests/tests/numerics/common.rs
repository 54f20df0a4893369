//! What the tests of numerics share: random numbers, small modules.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use tinyc::Feed;
use tinyc::Module;
use tinyc::ir::{Clamp, Def, Graph, NewNode, NodeId, Origin, QuantParams, Shape, ValueId};
use tinyc::ops::{self, Op};
use tinyc::passes::{Context, Half, PassError, Scales, run_half};
use tinyc::quant::file::{Entry, QuantFile};
use tinyc::quant::{Given, QTensor, QuantTable};
use tinyc::samples::Preprocess;

/// SplitMix64 (Steele et al. 2014).
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer in `lo..=hi`.
    pub fn int(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (i128::from(self.bits()) % (i128::from(hi) - i128::from(lo) + 1)) as i64
    }

    /// A code.
    pub fn code(&mut self) -> i8 {
        self.bits() as i8
    }

    /// A real in `0..1`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A real between two positive ends, evenly in the logarithm.
    pub fn log(&mut self, lo: f64, hi: f64) -> f64 {
        (lo.ln() + self.unit() * (hi / lo).ln()).exp()
    }

    /// Parameters with any zero point and a scale between two ends.
    pub fn params(&mut self, lo: f64, hi: f64) -> QuantParams {
        QuantParams::new(self.log(lo, hi) as f32, self.code())
    }
}

/// A graph input: its name, dimensions and parameters.
pub type Input<'a> = (&'a str, &'a [usize], QuantParams);

/// A module of one node, its inputs, and constants for the node's further operands.
pub fn module(op: Op, inputs: &[Input<'_>], constants: &[ArrayD<f32>], out: &[usize]) -> (Module, NodeId) {
    let mut graph = Graph::new("one node");
    let mut operands: Vec<ValueId> = Vec::new();
    for (name, dims, _) in inputs {
        let id = graph.add_value(name, Shape::from(*dims), Def::Input, Some(origin(name)));
        graph.inputs.push(id);
        operands.push(id);
    }
    for data in constants {
        operands.push(graph.add_const("constant", data.clone()));
    }
    let new = NewNode {
        name: "node",
        onnx_op: "Node",
        op,
        inputs: operands,
        output_name: "out",
        shape: Shape::from(out),
        origin: Some(origin("out")),
    };
    let node = graph.add_node(new, None);
    graph.outputs.push(graph.node(node).output);
    let ports = tinyc::Ports { inputs: Vec::new(), outputs: Vec::new() };
    let module = Module {
        graph,
        given: Given::default(),
        quant: QuantTable::default(),
        ports,
        notes: Vec::new(),
        dead: Default::default(),
    };
    (module, node)
}

fn origin(tensor: &str) -> Origin {
    Origin { tensor: tensor.into(), order: None, extent: None, channels: None, clamp: Clamp::NONE }
}

/// An array of the given dimensions.
pub fn array(dims: &[usize], values: &[f32]) -> ArrayD<f32> {
    ArrayD::from_shape_vec(IxDyn(dims), values.to_vec()).expect("as many values as the dimensions say")
}

/// Runs the integer half of the pipeline with these parameters.
pub fn quantize(module: &mut Module, tensors: &[(&str, QuantParams)]) -> Result<(), PassError> {
    let entry = |&(name, p): &(&str, QuantParams)| Entry {
        name: name.into(),
        scale: p.scale,
        zero_point: p.zero_point,
        lo: p.lo,
        hi: p.hi,
    };
    let file = QuantFile {
        format: 1,
        model_sha256: String::new(),
        data_sha256: None,
        samples: 0,
        method: String::new(),
        no_softmax: false,
        layouts: Default::default(),
        preprocess: Preprocess::default(),
        tensors: tensors.iter().map(entry).collect(),
    };
    let context = Context {
        no_softmax: false,
        keep_dead_channels: true,
        feed: Feed::Whole,
        scales: Scales::Recorded(&file),
    };
    run_half(module, Half::Integer, &context, |_, _| ())
}

/// The codes that a single node without constants computes.
pub fn compute(op: Op, inputs: &[Input<'_>], codes: &[&[i8]], out: (&[usize], QuantParams)) -> Vec<i8> {
    let (mut module, node) = module(op, inputs, &[], out.0);
    let values: Vec<ValueId> = module.graph.inputs.clone();
    let params: BTreeMap<ValueId, QuantParams> = values
        .iter()
        .zip(inputs)
        .map(|(&id, input)| (id, input.2))
        .chain([(module.graph.node(node).output, out.1)])
        .collect();
    module.quant.activations = params;
    let tensors: Vec<QTensor> = inputs
        .iter()
        .zip(codes)
        .map(|((_, dims, params), codes)| QTensor {
            shape: Shape::from(*dims),
            codes: codes.to_vec(),
            params: *params,
        })
        .collect();
    let operands: Vec<&QTensor> = tensors.iter().collect();
    ops::reference(&module.graph, &module.quant, node, &operands).codes
}

/// `x` within the codes, as a real number of codes: what saturation leaves.
pub fn saturated(x: f64) -> f64 {
    x.clamp(-128.0, 127.0)
}
