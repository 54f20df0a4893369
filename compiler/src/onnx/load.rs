//! The bytes of a file to an [`OnnxModel`].
//!
//! In: a path. Out: the decoded model and notes for the user. Invariant: every
//! constant is finite and every input dimension is concrete; a dynamic batch is
//! fixed to 1 with a note.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prost::Message;
use tract_onnx::pb;
use tract_onnx::prelude::tract_ndarray as tnd;

use super::error::{NodeProblem, OnnxError};
use super::model::{Attr, Element, OnnxModel, OnnxNode, Port, Tensor};

/// Reads a model file, with its external data beside it.
///
/// # Errors
/// [`OnnxError`] where the file cannot be read, decoded, or has tensors or ports
/// that no later stage could handle.
pub fn load(path: &Path) -> Result<(OnnxModel, Vec<String>), OnnxError> {
    let bytes = std::fs::read(path).map_err(|source| OnnxError::Read { path: path.into(), source })?;
    if bytes.is_empty() {
        return Err(OnnxError::Empty { path: path.into() });
    }
    let not_onnx = |reason: String| OnnxError::NotOnnx { path: path.into(), reason };
    let proto = pb::ModelProto::decode(&bytes[..]).map_err(|e| not_onnx(e.to_string()))?;
    if proto.graph.as_ref().is_none_or(|g| g.node.is_empty() && g.output.is_empty()) {
        return Err(not_onnx("it holds no graph".into()));
    }
    let folder = path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    decode(&proto, folder)
}

/// Decodes a protobuf model; `folder` is where external data lies.
///
/// # Errors
/// As for [`load`].
pub fn decode(proto: &pb::ModelProto, folder: Option<&Path>) -> Result<(OnnxModel, Vec<String>), OnnxError> {
    let Some(graph) = &proto.graph else {
        return Err(OnnxError::NotOnnx { path: "the model".into(), reason: "it holds no graph".into() });
    };
    let mut notes = Vec::new();
    let mut constants = BTreeMap::new();
    for init in &graph.initializer {
        constants.insert(init.name.clone(), tensor(init, folder)?);
    }
    let mut inputs = Vec::new();
    for info in graph.input.iter().filter(|i| !constants.contains_key(&i.name)) {
        inputs.push(input_port(info, &mut notes)?);
    }
    let outputs = graph
        .output
        .iter()
        .map(|info| {
            let (elem, _) = tensor_type(info).unwrap_or((1, None));
            Ok(Port { name: info.name.clone(), element: element(elem, "output", &info.name)?, shape: None })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut nodes = Vec::new();
    for node in &graph.node {
        nodes.push(decode_node(node, folder)?);
    }
    let own_domain = |d: &str| d.is_empty() || d == "ai.onnx";
    let opset = proto.opset_import.iter().find(|o| own_domain(&o.domain)).map_or(1, |o| o.version);
    let model = OnnxModel {
        name: graph.name.clone(),
        opset,
        inputs,
        outputs,
        nodes: sorted(nodes, &constants, graph)?,
        constants,
    };
    Ok((model, notes))
}

/// Nodes in topological order (ONNX demands it of files; not all exporters comply).
fn sorted(
    nodes: Vec<OnnxNode>,
    constants: &BTreeMap<String, Tensor>,
    graph: &pb::GraphProto,
) -> Result<Vec<OnnxNode>, OnnxError> {
    let mut known: BTreeSet<String> = constants.keys().cloned().collect();
    known.extend(graph.input.iter().map(|i| i.name.clone()));
    let mut done = Vec::with_capacity(nodes.len());
    let mut left = nodes;
    while !left.is_empty() {
        let before = left.len();
        let mut waiting = Vec::new();
        for node in left {
            if node.inputs.iter().all(|i| i.is_empty() || known.contains(i)) {
                known.extend(node.outputs.iter().cloned());
                done.push(node);
            } else {
                waiting.push(node);
            }
        }
        left = waiting;
        if left.len() == before {
            let problems = left
                .iter()
                .map(|n| NodeProblem {
                    node: n.name.clone(),
                    op: n.op.clone(),
                    reason: format!(
                        "it reads '{}', which nothing defines (or the graph has a cycle): export the model again",
                        n.inputs.iter().find(|i| !i.is_empty() && !known.contains(*i)).map_or("", String::as_str)
                    ),
                })
                .collect();
            return Err(OnnxError::Nodes(problems));
        }
    }
    if let Some(output) = graph.output.iter().find(|o| !known.contains(&o.name)) {
        return Err(OnnxError::Port {
            kind: "output",
            name: output.name.clone(),
            reason: "nothing defines it: export the model again".into(),
        });
    }
    Ok(done)
}

fn decode_node(node: &pb::NodeProto, folder: Option<&Path>) -> Result<OnnxNode, OnnxError> {
    let mut attrs = BTreeMap::new();
    for attr in &node.attribute {
        use pb::attribute_proto::AttributeType as T;
        let value = match T::try_from(attr.r#type) {
            Ok(T::Int) => Attr::Int(attr.i),
            Ok(T::Float) => Attr::Float(attr.f),
            Ok(T::String) => Attr::Str(String::from_utf8_lossy(&attr.s).into_owned()),
            Ok(T::Ints) => Attr::Ints(attr.ints.clone()),
            Ok(T::Floats) => Attr::Floats(attr.floats.clone()),
            Ok(T::Tensor) => match &attr.t {
                Some(t) => Attr::Tensor(tensor(t, folder)?),
                None => Attr::Other,
            },
            _ => Attr::Other,
        };
        attrs.insert(attr.name.clone(), value);
    }
    let first_output = node.output.first().cloned().unwrap_or_default();
    let op = match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    };
    let name = if node.name.is_empty() { first_output } else { node.name.clone() };
    Ok(OnnxNode { name, op, inputs: node.input.clone(), outputs: node.output.clone(), attrs })
}

fn tensor_type(info: &pb::ValueInfoProto) -> Option<(i32, Option<&pb::TensorShapeProto>)> {
    match info.r#type.as_ref()?.value.as_ref()? {
        pb::type_proto::Value::TensorType(t) => Some((t.elem_type, t.shape.as_ref())),
    }
}

fn element(elem_type: i32, kind: &'static str, name: &str) -> Result<Element, OnnxError> {
    use pb::tensor_proto::DataType as D;
    match D::try_from(elem_type) {
        Ok(D::Float | D::Undefined) => Ok(Element::F32),
        Ok(D::Int8) => Ok(Element::I8),
        Ok(D::Uint8) => Ok(Element::U8),
        other => Err(OnnxError::Port {
            kind,
            name: name.into(),
            reason: format!(
                "its element type is {other:?}; float32, int8 and uint8 are supported: cast it when exporting"
            ),
        }),
    }
}

fn input_port(info: &pb::ValueInfoProto, notes: &mut Vec<String>) -> Result<Port, OnnxError> {
    use pb::tensor_shape_proto::dimension::Value as Dim;
    let bad = |reason: String| OnnxError::Port { kind: "input", name: info.name.clone(), reason };
    let Some((elem, Some(dims))) = tensor_type(info) else {
        return Err(bad("it has no shape: export the model with a fixed input shape".into()));
    };
    let mut shape = Vec::new();
    for (axis, dim) in dims.dim.iter().enumerate() {
        match &dim.value {
            Some(Dim::DimValue(v)) if *v > 0 && (axis > 0 || *v == 1 || dims.dim.len() == 1) => {
                shape.push(*v as usize)
            }
            other if axis == 0 => {
                let was = match other {
                    Some(Dim::DimValue(v)) => v.to_string(),
                    Some(Dim::DimParam(p)) => format!("'{p}'"),
                    None => "unknown".into(),
                };
                notes.push(format!("input '{}': the batch dimension ({was}) is fixed to 1", info.name));
                shape.push(1);
            }
            other => {
                let was = match other {
                    Some(Dim::DimParam(p)) => format!("'{p}'"),
                    Some(Dim::DimValue(v)) => v.to_string(),
                    None => "unknown".into(),
                };
                return Err(bad(format!(
                    "dimension {axis} is dynamic ({was}); only the batch may be: export the model with a fixed shape"
                )));
            }
        }
    }
    Ok(Port { name: info.name.clone(), element: element(elem, "input", &info.name)?, shape: Some(shape) })
}

/// Decodes a constant.
fn tensor(proto: &pb::TensorProto, folder: Option<&Path>) -> Result<Tensor, OnnxError> {
    use pb::tensor_proto::DataType as D;
    let bad = |reason: String| OnnxError::Tensor { tensor: proto.name.clone(), reason };
    let elements =
        proto.dims.iter().try_fold(1usize, |n, &d| usize::try_from(d).ok().and_then(|d| n.checked_mul(d)));
    let Some(elements) = elements else {
        return Err(bad(format!("impossible dimensions {:?}", proto.dims)));
    };
    let data_type = D::try_from(proto.data_type).unwrap_or(D::Undefined);
    let size = match data_type {
        D::Float | D::Int32 => 4,
        D::Int64 | D::Double => 8,
        D::Float16 => 2,
        D::Int8 | D::Uint8 | D::Bool => 1,
        other => return Err(bad(format!("element type {other:?} is not supported"))),
    };
    if proto.data_location == Some(pb::tensor_proto::DataLocation::External as i32) {
        let entry = |key: &str| proto.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let location = entry("location").unwrap_or("");
        let file = folder.unwrap_or(Path::new(".")).join(location);
        if !file.is_file() {
            return Err(bad(format!(
                "its external data file {} is missing: put it beside the model",
                file.display()
            )));
        }
    } else if !proto.raw_data.is_empty() && elements.checked_mul(size) != Some(proto.raw_data.len()) {
        return Err(bad(format!(
            "{} bytes of data for {elements} elements of {size} bytes: the file is damaged",
            proto.raw_data.len()
        )));
    }
    let resolver = tract_onnx::data_resolver::FopenDataResolver;
    let folder_text = folder.map(|f| f.to_string_lossy().into_owned());
    let decoded = tract_onnx::tensor::load_tensor(&resolver, proto, folder_text.as_deref())
        .map_err(|e| bad(format!("{e:#}")))?;
    from_tract(&decoded).map_err(bad)
}

/// A tract tensor as ours.
pub(super) fn from_tract(t: &tract_onnx::prelude::Tensor) -> Result<Tensor, String> {
    use tract_onnx::prelude::DatumType as T;
    fn array<A: tract_onnx::prelude::Datum + Copy, B>(
        t: &tract_onnx::prelude::Tensor,
        f: impl Fn(A) -> B,
    ) -> Result<ndarray::ArrayD<B>, String> {
        let view: tnd::ArrayViewD<A> = t.to_plain_array_view::<A>().map_err(|e| e.to_string())?;
        ndarray::ArrayD::from_shape_vec(view.shape(), view.iter().map(|&v| f(v)).collect())
            .map_err(|e| e.to_string())
    }
    match t.datum_type() {
        T::F32 => finite(array(t, |v: f32| v)?),
        T::F64 => finite(array(t, |v: f64| v as f32)?),
        T::F16 => {
            let wide = t.cast_to::<f32>().map_err(|e| e.to_string())?;
            finite(array(&wide, |v: f32| v)?)
        }
        T::I64 | T::TDim => {
            let wide = t.cast_to::<i64>().map_err(|e| e.to_string())?;
            Ok(Tensor::I64(array(&wide, |v: i64| v)?))
        }
        T::I32 => Ok(Tensor::I32(array(t, |v: i32| v)?)),
        T::I8 => Ok(Tensor::I8(array(t, |v: i8| v)?)),
        T::U8 => Ok(Tensor::U8(array(t, |v: u8| v)?)),
        T::Bool => Ok(Tensor::Bool(array(t, |v: bool| v)?)),
        other => Err(format!("element type {other:?} is not supported")),
    }
}

/// Floats with NaN or infinity refused. Infinite bounds of a Clip are dropped by
/// exporters in practice; a weight that is not finite means broken training.
fn finite(data: ndarray::ArrayD<f32>) -> Result<Tensor, String> {
    let scalar = data.len() == 1;
    match data.iter().position(|v| v.is_nan() || (v.is_infinite() && !scalar)) {
        Some(i) => Err(format!(
            "element {i} is {}: the trained weights are broken, train or export again",
            data.iter().nth(i).unwrap_or(&f32::NAN)
        )),
        None => Ok(Tensor::F32(data)),
    }
}
