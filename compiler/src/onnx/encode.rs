//! An [`OnnxModel`] back to protobuf, for tract to run.
//!
//! In: a model. Out: a `ModelProto` of float inputs. Invariant: what is encoded
//! decodes to the same model.

use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType as T;
use tract_onnx::pb::tensor_proto::DataType as D;

use super::model::{Attr, OnnxModel, OnnxNode, Tensor};

/// Encodes a model, with `outputs` as its outputs.
pub fn model(model: &OnnxModel, outputs: &[String]) -> pb::ModelProto {
    let port = |name: &str, shape: Option<&[usize]>| pb::ValueInfoProto {
        name: name.to_string(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
                elem_type: D::Float as i32,
                shape: shape.map(|dims| pb::TensorShapeProto {
                    dim: dims
                        .iter()
                        .map(|&d| pb::tensor_shape_proto::Dimension {
                            value: Some(pb::tensor_shape_proto::dimension::Value::DimValue(d as i64)),
                            ..Default::default()
                        })
                        .collect(),
                }),
            })),
            ..Default::default()
        }),
        ..Default::default()
    };
    pb::ModelProto {
        ir_version: 8,
        opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: model.opset }],
        graph: Some(pb::GraphProto {
            name: model.name.clone(),
            node: model.nodes.iter().enumerate().map(|(i, n)| node(i, n)).collect(),
            initializer: model.constants.iter().map(|(name, t)| tensor(name, t)).collect(),
            input: model.inputs.iter().map(|p| port(&p.name, p.shape.as_deref())).collect(),
            output: outputs.iter().map(|name| port(name, None)).collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A node under a name that no other has: tract insists, exporters do not.
fn node(index: usize, node: &OnnxNode) -> pb::NodeProto {
    let (domain, op_type) = node.op.rsplit_once('.').unwrap_or(("", &node.op));
    pb::NodeProto {
        name: format!("{}#{index}", node.name),
        op_type: op_type.to_string(),
        domain: domain.to_string(),
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        attribute: node.attrs.iter().map(|(name, a)| attr(name, a)).collect(),
        ..Default::default()
    }
}

fn attr(name: &str, value: &Attr) -> pb::AttributeProto {
    let mut proto = pb::AttributeProto { name: name.to_string(), ..Default::default() };
    proto.r#type = match value {
        Attr::Int(v) => {
            proto.i = *v;
            T::Int
        }
        Attr::Float(v) => {
            proto.f = *v;
            T::Float
        }
        Attr::Str(v) => {
            proto.s = v.clone().into_bytes();
            T::String
        }
        Attr::Ints(v) => {
            proto.ints = v.clone();
            T::Ints
        }
        Attr::Floats(v) => {
            proto.floats = v.clone();
            T::Floats
        }
        Attr::Tensor(v) => {
            proto.t = Some(tensor("", v));
            T::Tensor
        }
        Attr::Other => T::Undefined,
    } as i32;
    proto
}

fn tensor(name: &str, t: &Tensor) -> pb::TensorProto {
    let (data_type, raw_data): (D, Vec<u8>) = match t {
        Tensor::F32(a) => (D::Float, a.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Tensor::I64(a) => (D::Int64, a.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Tensor::I32(a) => (D::Int32, a.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Tensor::I8(a) => (D::Int8, a.iter().map(|&v| v as u8).collect()),
        Tensor::U8(a) => (D::Uint8, a.iter().copied().collect()),
        Tensor::Bool(a) => (D::Bool, a.iter().map(|&v| v.into()).collect()),
    };
    pb::TensorProto {
        name: name.to_string(),
        dims: t.shape().iter().map(|&d| d as i64).collect(),
        data_type: data_type as i32,
        raw_data,
        ..Default::default()
    }
}
