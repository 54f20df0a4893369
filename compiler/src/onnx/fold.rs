//! Constant folding, before import.
//!
//! In: a model. Out: the same model without nodes whose operands are all
//! constants, and with `Shape` of a tensor of known shape replaced by its value.
//! Invariant: what is folded is computed by tract, the float oracle, node by node.

use std::collections::BTreeMap;

use ndarray::ArrayD;
use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, IntoTensor, tvec};

use super::error::OnnxError;
use super::model::{Attr, OnnxModel, OnnxNode, Tensor};
use super::{encode, load};

/// Operators that are not folded although their operands are constants:
/// dequantized weights keep their scales, and random ones have no constant value.
const KEPT: [&str; 6] =
    ["DequantizeLinear", "QuantizeLinear", "RandomNormal", "RandomUniform", "Bernoulli", "Multinomial"];

/// Folds until nothing changes.
///
/// # Errors
/// Where a constant's value cannot be represented. A node that tract cannot
/// evaluate stays, for the importer to report.
pub fn fold(model: &mut OnnxModel) -> Result<(), OnnxError> {
    let mut kept = Vec::with_capacity(model.nodes.len());
    let needs_shapes = model.nodes.iter().any(|n| n.op == "Shape");
    let shapes = if needs_shapes { super::oracle::shapes(model) } else { BTreeMap::new() };
    for node in std::mem::take(&mut model.nodes) {
        match evaluate(&node, model, &shapes) {
            Some(value) => {
                model.constants.insert(node.outputs[0].clone(), value);
            }
            None => kept.push(node),
        }
    }
    model.nodes = kept;
    drop_unused(model);
    Ok(())
}

/// Removes nodes whose results nobody reads.
fn drop_unused(model: &mut OnnxModel) {
    let mut used: std::collections::BTreeSet<String> = model.outputs.iter().map(|o| o.name.clone()).collect();
    let mut kept: Vec<OnnxNode> = Vec::with_capacity(model.nodes.len());
    for node in std::mem::take(&mut model.nodes).into_iter().rev() {
        if node.outputs.iter().any(|o| used.contains(o)) {
            used.extend(node.inputs.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    model.nodes = kept;
    model.constants.retain(|name, _| used.contains(name));
}

fn evaluate(node: &OnnxNode, model: &OnnxModel, shapes: &BTreeMap<String, Vec<usize>>) -> Option<Tensor> {
    if KEPT.contains(&node.op.as_str()) || node.outputs.iter().filter(|o| !o.is_empty()).count() != 1 {
        return None;
    }
    if node.op == "Constant" {
        return constant(node);
    }
    if node.op == "Shape" {
        return shape_of(node, model, shapes);
    }
    let operands: Vec<&str> = node.inputs.iter().map(String::as_str).filter(|n| !n.is_empty()).collect();
    if !operands.iter().all(|n| model.constants.contains_key(*n)) {
        return None;
    }
    let alone = OnnxModel {
        name: "fold".into(),
        opset: model.opset,
        inputs: Vec::new(),
        outputs: Vec::new(),
        nodes: vec![node.clone()],
        constants: operands.iter().map(|n| (n.to_string(), model.constants[*n].clone())).collect(),
    };
    let proto = encode::model(&alone, &node.outputs[..1]);
    let plan = super::kernels::tract()
        .ok()?
        .with_ignore_output_types(true)
        .model_for_proto_model(&proto)
        .ok()?
        .into_optimized()
        .ok()?
        .into_runnable()
        .ok()?;
    let result = plan.run(tvec![]).ok()?;
    load::from_tract(&result.first()?.clone().into_tensor()).ok()
}

fn constant(node: &OnnxNode) -> Option<Tensor> {
    let scalar_or_list =
        |values: Vec<i64>, dims: &[usize]| ArrayD::from_shape_vec(dims, values).ok().map(Tensor::I64);
    match node.attrs.iter().next()? {
        (_, Attr::Tensor(t)) => Some(t.clone()),
        (_, Attr::Int(v)) => scalar_or_list(vec![*v], &[]),
        (_, Attr::Ints(v)) => scalar_or_list(v.clone(), &[v.len()]),
        (_, Attr::Float(v)) => Some(Tensor::F32(ArrayD::from_elem(&[][..], *v))),
        (_, Attr::Floats(v)) => ArrayD::from_shape_vec(&[v.len()][..], v.clone()).ok().map(Tensor::F32),
        _ => None,
    }
}

fn shape_of(node: &OnnxNode, model: &OnnxModel, shapes: &BTreeMap<String, Vec<usize>>) -> Option<Tensor> {
    let name = node.input(0)?;
    let dims = match model.constants.get(name) {
        Some(t) => t.shape().to_vec(),
        None => shapes.get(name)?.clone(),
    };
    let rank = dims.len() as i64;
    let clip = |i: i64| (if i < 0 { i + rank } else { i }).clamp(0, rank) as usize;
    let (start, end) = (clip(node.int("start", 0)), clip(node.int("end", rank)));
    let part: Vec<i64> = dims.get(start..end)?.iter().map(|&d| d as i64).collect();
    ArrayD::from_shape_vec(&[part.len()][..], part).ok().map(Tensor::I64)
}
