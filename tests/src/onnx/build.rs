//! A fluent builder for small ONNX models over tract's protobuf types.
//!
//! Inputs and constants are pushed in the order in which the next operator takes them;
//! [`ModelBuilder::op`] consumes them all and pushes its own output. A chain of calls
//! therefore reads like the graph:
//!
//! ```
//! # use tinyc_tests::onnx::ModelBuilder;
//! let case = ModelBuilder::new("relu_after_conv")
//!     .input("x", &[1, 3, 8, 8])
//!     .weight("w", &[4, 3, 3, 3])
//!     .op("Conv")
//!     .attr_ints("pads", &[1, 1, 1, 1])
//!     .op("Relu")
//!     .output(&[1, 4, 8, 8])
//!     .case("Conv");
//! assert_eq!(case.inputs.len(), 1);
//! ```

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;

use super::case::{Agreement, Case, InputSpec, Oracle};
use super::tensor::{tensor_f32, tensor_i64};

/// `len` values uniform over `low..high`, the same for the same `key` on every machine.
pub fn random(key: &str, len: usize, low: f32, high: f32) -> Vec<f32> {
    // FNV-1a: a hash that no library version changes.
    let seed = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // 24 bits fill a float32 exactly.
    (0..len).map(|_| low + (high - low) * ((rng.next_u32() >> 8) as f32 / 16_777_216.0)).collect()
}

/// Builds one small model; see the module's documentation.
#[derive(Clone, Debug)]
pub struct ModelBuilder {
    name: &'static str,
    opset: i64,
    graph: pb::GraphProto,
    inputs: Vec<InputSpec>,
    outputs: Vec<Vec<usize>>,
    pending: Vec<String>,
    agreement: Agreement,
    oracle: Oracle,
}

impl ModelBuilder {
    /// An empty model of opset 17 that promises [`Agreement::Rounds`].
    pub fn new(name: &'static str) -> ModelBuilder {
        let graph = pb::GraphProto { name: name.to_owned(), ..pb::GraphProto::default() };
        ModelBuilder {
            name,
            opset: 17,
            graph,
            inputs: Vec::new(),
            outputs: Vec::new(),
            pending: Vec::new(),
            agreement: Agreement::Rounds,
            oracle: Oracle::Tract,
        }
    }

    /// Chooses another opset of the default domain.
    pub fn opset(mut self, version: i64) -> Self {
        self.opset = version;
        self
    }

    /// Adds a float graph input, fed with -2..2 unless [`range`](Self::range) follows, and pushes it.
    pub fn input(mut self, name: &str, shape: &[usize]) -> Self {
        self.graph.input.push(value_info(name, shape));
        let shape = shape.to_vec();
        self.inputs.push(InputSpec { name: name.to_owned(), shape, low: -2.0, high: 2.0 });
        self.again(name)
    }

    /// The values of the last input lie in `low..high`.
    pub fn range(mut self, low: f32, high: f32) -> Self {
        let input = self.inputs.last_mut().expect("range() follows input()");
        (input.low, input.high) = (low, high);
        self
    }

    /// Pushes a value that exists already (a graph input, a constant or a node's output).
    pub fn again(mut self, name: &str) -> Self {
        self.pending.push(name.to_owned());
        self
    }

    /// Pushes the empty name: an optional operand that is left out.
    pub fn omit(self) -> Self {
        self.again("")
    }

    /// Pushes the last value once more: for two operators to take.
    pub fn double(self) -> Self {
        let last = self.pending.last().expect("double() follows a value").clone();
        self.again(&last)
    }

    /// Exchanges the last two values pushed.
    pub fn swap(mut self) -> Self {
        let len = self.pending.len();
        self.pending.swap(len - 1, len - 2);
        self
    }

    /// Adds an initializer and pushes it.
    pub fn constant(mut self, name: &str, mut value: pb::TensorProto) -> Self {
        value.name = name.to_owned();
        self.graph.initializer.push(value);
        self.again(name)
    }

    /// Adds seeded float weights of the size that keeps sums of `dims[1..]` products near
    /// one, and pushes them. A vector (a bias) is uniform over -0.5..0.5.
    pub fn weight(self, name: &str, dims: &[i64]) -> Self {
        let fan_in: i64 = dims.iter().skip(1).product();
        let bound = if dims.len() < 2 { 0.5 } else { (3.0 / fan_in as f32).sqrt() };
        self.floats(name, dims, -bound, bound)
    }

    /// Adds seeded floats uniform over `low..high` as an initializer and pushes them.
    pub fn floats(self, name: &str, dims: &[i64], low: f32, high: f32) -> Self {
        let len = dims.iter().product::<i64>() as usize;
        let data = random(&format!("{}/{name}", self.name), len, low, high);
        self.constant(name, tensor_f32(dims, &data))
    }

    /// Adds a one-dimensional int64 initializer (axes, a shape) and pushes it.
    pub fn ints(self, name: &str, data: &[i64]) -> Self {
        self.constant(name, tensor_i64(&[data.len() as i64], data))
    }

    /// Adds a scalar float initializer and pushes it.
    pub fn scalar(self, name: &str, value: f32) -> Self {
        self.constant(name, tensor_f32(&[], &[value]))
    }

    /// Adds a node `<op>_<index>` that consumes everything pushed; its output
    /// `<op>_<index>_out` is pushed.
    pub fn op(self, op_type: &str) -> Self {
        let count = self.pending.len();
        self.op_of(count, op_type)
    }

    /// Like [`op`](Self::op), but consumes the last `count` values pushed and leaves the others.
    pub fn op_of(mut self, count: usize, op_type: &str) -> Self {
        let name = format!("{}_{}", op_type.to_lowercase(), self.graph.node.len());
        let output = format!("{name}_out");
        self.graph.node.push(pb::NodeProto {
            input: self.pending.split_off(self.pending.len() - count),
            output: vec![output.clone()],
            name,
            op_type: op_type.to_owned(),
            ..pb::NodeProto::default()
        });
        self.again(&output)
    }

    /// An integer attribute of the last node.
    pub fn attr_int(self, name: &str, value: i64) -> Self {
        self.attr(name, AttributeType::Int, |a| a.i = value)
    }

    /// An attribute of the last node that lists integers.
    pub fn attr_ints(self, name: &str, values: &[i64]) -> Self {
        self.attr(name, AttributeType::Ints, |a| a.ints = values.to_vec())
    }

    /// A float attribute of the last node.
    pub fn attr_float(self, name: &str, value: f32) -> Self {
        self.attr(name, AttributeType::Float, |a| a.f = value)
    }

    /// An attribute of the last node that lists floats.
    pub fn attr_floats(self, name: &str, values: &[f32]) -> Self {
        self.attr(name, AttributeType::Floats, |a| a.floats = values.to_vec())
    }

    /// A string attribute of the last node.
    pub fn attr_string(self, name: &str, value: &str) -> Self {
        self.attr(name, AttributeType::String, |a| a.s = value.as_bytes().to_vec())
    }

    /// A tensor attribute of the last node.
    pub fn attr_tensor(self, name: &str, value: pb::TensorProto) -> Self {
        self.attr(name, AttributeType::Tensor, |a| a.t = Some(value))
    }

    fn attr(mut self, name: &str, kind: AttributeType, set: impl FnOnce(&mut pb::AttributeProto)) -> Self {
        let mut attribute = pb::AttributeProto {
            name: name.to_owned(),
            r#type: kind as i32,
            ..pb::AttributeProto::default()
        };
        set(&mut attribute);
        let node = self.graph.node.last_mut().expect("attributes follow op()");
        node.attribute.push(attribute);
        self
    }

    /// Pops the last value: it is a float graph output of the given shape.
    pub fn output(mut self, shape: &[usize]) -> Self {
        let name = self.pending.pop().expect("output() follows op()");
        self.graph.output.push(value_info(&name, shape));
        self.outputs.push(shape.to_vec());
        self
    }

    /// What the quantized model owes the oracle.
    pub fn agrees(mut self, agreement: Agreement) -> Self {
        self.agreement = agreement;
        self
    }

    /// Only a naive computation can judge this model.
    pub fn without_oracle(mut self, reason: &'static str) -> Self {
        self.oracle = Oracle::None(reason);
        self
    }

    /// The finished model.
    pub fn build(&self) -> pb::ModelProto {
        pb::ModelProto {
            ir_version: 8,
            producer_name: "tinyc-tests".to_owned(),
            opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: self.opset }],
            graph: Some(self.graph.clone()),
            ..pb::ModelProto::default()
        }
    }

    /// The finished model's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(&self.build())
    }

    /// The finished model as a case of operator `op`.
    pub fn case(self, op: &'static str) -> Case {
        Case {
            model: self.build(),
            name: self.name,
            op,
            inputs: self.inputs,
            output_shapes: self.outputs,
            agreement: self.agreement,
            oracle: self.oracle,
        }
    }
}

fn value_info(name: &str, shape: &[usize]) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension::Value};
    let dim = shape
        .iter()
        .map(|&size| Dimension { denotation: String::new(), value: Some(Value::DimValue(size as i64)) })
        .collect();
    let tensor = pb::type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(pb::TensorShapeProto { dim }),
    };
    pb::ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(pb::TypeProto {
            denotation: String::new(),
            value: Some(pb::type_proto::Value::TensorType(tensor)),
        }),
        doc_string: String::new(),
    }
}
