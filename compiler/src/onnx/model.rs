//! An ONNX graph as plain tables: what the rest of the compiler sees of the format.
//!
//! Invariant: no protobuf type; constants are decoded; dimensions are concrete.

use std::collections::BTreeMap;

use ndarray::ArrayD;

/// Element type of a graph input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// Signed 8-bit codes.
    I8,
    /// Unsigned 8-bit codes.
    U8,
}

/// A graph input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Name of the tensor.
    pub name: String,
    /// Element type.
    pub element: Element,
    /// Dimensions; for outputs they may be unknown.
    pub shape: Option<Vec<usize>>,
}

/// A constant of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Tensor {
    /// float32 (float16 and float64 are converted).
    F32(ArrayD<f32>),
    /// int64 (int32 operands of shape arithmetic stay [`Tensor::I32`]).
    I64(ArrayD<i64>),
    /// int32.
    I32(ArrayD<i32>),
    /// int8.
    I8(ArrayD<i8>),
    /// uint8.
    U8(ArrayD<u8>),
    /// bool.
    Bool(ArrayD<bool>),
}

impl Tensor {
    /// Dimensions.
    pub fn shape(&self) -> &[usize] {
        match self {
            Tensor::F32(a) => a.shape(),
            Tensor::I64(a) => a.shape(),
            Tensor::I32(a) => a.shape(),
            Tensor::I8(a) => a.shape(),
            Tensor::U8(a) => a.shape(),
            Tensor::Bool(a) => a.shape(),
        }
    }

    /// The elements as integers, row-major; `None` for floats.
    pub fn integers(&self) -> Option<Vec<i64>> {
        match self {
            Tensor::F32(_) => None,
            Tensor::I64(a) => Some(a.iter().copied().collect()),
            Tensor::I32(a) => Some(a.iter().map(|&v| v.into()).collect()),
            Tensor::I8(a) => Some(a.iter().map(|&v| v.into()).collect()),
            Tensor::U8(a) => Some(a.iter().map(|&v| v.into()).collect()),
            Tensor::Bool(a) => Some(a.iter().map(|&v| v.into()).collect()),
        }
    }

    /// The floats, where it holds floats.
    pub fn floats(&self) -> Option<&ArrayD<f32>> {
        match self {
            Tensor::F32(a) => Some(a),
            _ => None,
        }
    }
}

/// An attribute of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Attr {
    /// INT.
    Int(i64),
    /// FLOAT.
    Float(f32),
    /// STRING.
    Str(String),
    /// INTS.
    Ints(Vec<i64>),
    /// FLOATS.
    Floats(Vec<f32>),
    /// TENSOR.
    Tensor(Tensor),
    /// A kind that no supported operator has (graphs, sparse tensors, lists of strings).
    Other,
}

/// A node.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxNode {
    /// Its name; its first output's name where it has none.
    pub name: String,
    /// Operator, with the domain in front where it is not ONNX's own.
    pub op: String,
    /// Names of operands; empty for an omitted optional one.
    pub inputs: Vec<String>,
    /// Names of results; empty for an omitted one.
    pub outputs: Vec<String>,
    /// Attributes by name.
    pub attrs: BTreeMap<String, Attr>,
}

/// A model.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxModel {
    /// Name of the graph.
    pub name: String,
    /// Version of ONNX's own operator set.
    pub opset: i64,
    /// Inputs that are not initializers.
    pub inputs: Vec<Port>,
    /// Outputs.
    pub outputs: Vec<Port>,
    /// Nodes in topological order.
    pub nodes: Vec<OnnxNode>,
    /// Initializers and folded tensors by name.
    pub constants: BTreeMap<String, Tensor>,
}

/// The quantization that a model carries, by tensor name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GivenByName {
    /// Activations.
    pub activations: BTreeMap<String, crate::ir::QuantParams>,
    /// Weights: scales and the axis along which they run (`None`: one for all).
    pub weights: BTreeMap<String, (Vec<f32>, Option<usize>)>,
}

impl GivenByName {
    /// Whether the model carries no quantization at all.
    pub fn is_empty(&self) -> bool {
        self.activations.is_empty() && self.weights.is_empty()
    }
}

impl OnnxNode {
    /// An INT attribute, or its default.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.attrs.get(name) {
            Some(Attr::Int(v)) => *v,
            _ => default,
        }
    }

    /// A FLOAT attribute, or its default.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        match self.attrs.get(name) {
            Some(Attr::Float(v)) => *v,
            _ => default,
        }
    }

    /// A STRING attribute, or its default.
    pub fn string<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        match self.attrs.get(name) {
            Some(Attr::Str(v)) => v,
            _ => default,
        }
    }

    /// An INTS attribute.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attrs.get(name) {
            Some(Attr::Ints(v)) => Some(v),
            _ => None,
        }
    }

    /// The name of operand `i`, unless it is omitted.
    pub fn input(&self, i: usize) -> Option<&str> {
        self.inputs.get(i).map(String::as_str).filter(|s| !s.is_empty())
    }
}
