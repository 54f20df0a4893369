//! Nodes spelled in the one way that every reader of the model handles.
//!
//! In: a model. Out: an equal model. Invariant: afterwards constant axes ascend (tract
//! panics on others), a Squeeze names its axes, and a Gemm adds nothing but a
//! constant row: any other summand is an Add of its own, so that the product is a
//! tensor with a name, which calibration can look at.

use std::collections::BTreeMap;

use ndarray::ArrayD;

use super::model::{Attr, OnnxModel, OnnxNode, Tensor};

/// Writes axes out, in ascending order.
pub fn name_axes(model: &mut OnnxModel) {
    let bare_squeeze = |n: &OnnxNode| n.op == "Squeeze" && n.inputs.len() < 2 && n.ints("axes").is_none();
    sort_axes(model);
    let shapes =
        if model.nodes.iter().any(bare_squeeze) { super::oracle::shapes(model) } else { BTreeMap::new() };
    for node in std::mem::take(&mut model.nodes) {
        if bare_squeeze(&node) {
            model.nodes.push(with_axes(node, &shapes, model.opset, &mut model.constants));
        } else {
            model.nodes.push(node);
        }
    }
}

/// Splits every Gemm that adds something else than a constant row.
pub fn split_gemms(model: &mut OnnxModel) {
    for node in std::mem::take(&mut model.nodes) {
        if node.op == "Gemm" && !adds_a_row(&node, &model.constants) && !widens(&node, model) {
            split(node, model);
        } else {
            model.nodes.push(node);
        }
    }
}

fn sort_axes(model: &mut OnnxModel) {
    let mut sorted = BTreeMap::new();
    for node in model.nodes.iter_mut().filter(|n| n.op == "Squeeze" || n.op == "Unsqueeze") {
        if let Some(Attr::Ints(axes)) = node.attrs.get_mut("axes") {
            axes.sort_unstable();
        }
        let Some(name) = node.input(1).map(str::to_owned) else { continue };
        if let Some(Tensor::I64(axes)) = model.constants.get(&name) {
            let mut values: Vec<i64> = axes.iter().copied().collect();
            if !values.is_sorted() {
                values.sort_unstable();
                let ascending = format!("{name}.ascending");
                let len = values.len();
                if let Ok(array) = ArrayD::from_shape_vec(vec![len], values) {
                    sorted.insert(ascending.clone(), Tensor::I64(array));
                    node.inputs[1] = ascending;
                }
            }
        }
    }
    model.constants.extend(sorted);
}

/// A Squeeze of all unit dimensions with those written out, where the shape is known.
fn with_axes(
    mut node: OnnxNode,
    shapes: &BTreeMap<String, Vec<usize>>,
    opset: i64,
    constants: &mut BTreeMap<String, Tensor>,
) -> OnnxNode {
    let Some(dims) = node.input(0).and_then(|name| shapes.get(name)) else { return node };
    let axes: Vec<i64> = (0..dims.len()).filter(|&i| dims[i] == 1).map(|i| i as i64).collect();
    if opset < 13 {
        node.attrs.insert("axes".into(), Attr::Ints(axes));
    } else if let Ok(array) = ArrayD::from_shape_vec(vec![axes.len()], axes) {
        let name = format!("{}.axes", node.outputs[0]);
        constants.insert(name.clone(), Tensor::I64(array));
        node.inputs.push(name);
    }
    node
}

/// Whether a Gemm's summand is missing, or a constant of one value or one a column.
fn adds_a_row(node: &OnnxNode, constants: &BTreeMap<String, Tensor>) -> bool {
    let Some(summand) = node.input(2) else { return true };
    let columns = node.input(1).and_then(|b| constants.get(b)).map(|b| {
        let last = usize::from(node.int("transB", 0) == 0);
        b.shape().get(last).copied().unwrap_or(0)
    });
    match constants.get(summand).map(Tensor::shape) {
        Some([] | [1] | [1, 1]) => true,
        Some([n] | [1, n]) => columns.is_none_or(|c| c == *n),
        _ => false,
    }
}

/// Whether a Gemm's summand is seen to have more dimensions than a product. ONNX
/// forbids it; it stays for the import to refuse, because an Add would accept it.
fn widens(node: &OnnxNode, model: &OnnxModel) -> bool {
    let Some(summand) = node.input(2) else { return false };
    let constant = model.constants.get(summand).map(|c| c.shape().len());
    let input = || model.inputs.iter().find(|i| i.name == summand)?.shape.as_ref().map(Vec::len);
    constant.or_else(input).is_some_and(|rank| rank > 2)
}

/// `alpha A B + beta C` as a product, a scaling of C where `beta` asks for one, and an Add.
fn split(mut node: OnnxNode, model: &mut OnnxModel) {
    let output = node.outputs[0].clone();
    let product = format!("{output}.product");
    let mut summand = node.inputs[2].clone();
    let beta = node.float("beta", 1.0);
    let named = |op: &str, inputs: Vec<String>, output: String| OnnxNode {
        name: format!("{}.{}", node.name, op.to_lowercase()),
        op: op.into(),
        inputs,
        outputs: vec![output],
        attrs: BTreeMap::new(),
    };
    let mut after = Vec::new();
    if beta != 1.0 {
        let (factor, scaled) = (format!("{output}.beta"), format!("{output}.summand"));
        model.constants.insert(factor.clone(), Tensor::F32(ArrayD::from_elem(&[][..], beta)));
        after.push(named("Mul", vec![summand, factor], scaled.clone()));
        summand = scaled;
    }
    after.push(named("Add", vec![product.clone(), summand], output));
    node.inputs.truncate(2);
    node.attrs.remove("beta");
    node.outputs[0] = product;
    model.nodes.push(node);
    model.nodes.extend(after);
}
