//! QuantizeLinear and DequantizeLinear taken out of the graph.
//!
//! In: a folded model. Out: the float graph that it approximates (weights
//! dequantized, activations' Q/DQ gone) and [`GivenByName`], the scales that
//! stood there. Invariant: no Q or DQ node is left; where a tensor was quantized
//! twice with different parameters, an Identity node separates the two.
//! Semantics: ONNX operator specification, QuantizeLinear-13 and DequantizeLinear-13.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::ArrayD;

use super::error::{NodeProblem, OnnxError};
use super::model::{Element, GivenByName, OnnxModel, OnnxNode, Tensor};
use crate::ir::QuantParams;

/// Strips a model.
///
/// # Errors
/// [`OnnxError::Nodes`] with every Q or DQ node that has no integer meaning here.
pub fn strip(model: &mut OnnxModel, notes: &mut Vec<String>) -> Result<GivenByName, OnnxError> {
    let codes_in = model.inputs.iter().filter(|p| p.element != Element::F32).map(|p| p.name.clone());
    let mut strip = Strip {
        given: GivenByName::default(),
        alias: BTreeMap::new(),
        quantized: codes_in.collect(),
        moved: BTreeMap::new(),
        notes,
    };
    let mut problems = Vec::new();
    let mut kept = Vec::with_capacity(model.nodes.len());
    for mut node in std::mem::take(&mut model.nodes) {
        for input in &mut node.inputs {
            if let Some(target) = strip.alias.get(input) {
                *input = target.clone();
            }
        }
        let result = match node.op.as_str() {
            "QuantizeLinear" => strip.quantize(&node, model, &mut kept),
            "DequantizeLinear" => strip.dequantize(&node, model),
            _ => {
                strip.carry_weight_scales(&node);
                if moves_bytes(&node.op) && node.inputs.first().is_some_and(|i| strip.quantized.contains(i)) {
                    strip.quantized.insert(node.outputs[0].clone());
                    strip.moved.insert(node.outputs[0].clone(), node.inputs[0].clone());
                }
                kept.push(node);
                continue;
            }
        };
        if let Err(reason) = result {
            problems.push(NodeProblem { node: node.name.clone(), op: node.op.clone(), reason });
        }
    }
    if !problems.is_empty() {
        return Err(OnnxError::Nodes(problems));
    }
    let Strip { given, alias, .. } = strip;
    model.nodes = kept;
    for output in &mut model.outputs {
        if let Some(target) = alias.get(&output.name) {
            let identity = OnnxNode {
                name: output.name.clone(),
                op: "Identity".into(),
                inputs: vec![target.clone()],
                outputs: vec![output.name.clone()],
                attrs: BTreeMap::new(),
            };
            model.nodes.push(identity);
        }
    }
    let mut given = given;
    for output in &model.outputs {
        if let Some(params) = alias.get(&output.name).and_then(|t| given.activations.get(t)).copied() {
            given.activations.insert(output.name.clone(), params);
        }
    }
    spread(model, &mut given);
    Ok(given)
}

/// Whether an operator's output holds its first operand's codes.
fn moves_bytes(op: &str) -> bool {
    matches!(op, "Reshape" | "Transpose" | "Flatten" | "Squeeze" | "Unsqueeze" | "MaxPool")
}

/// Parameters cross nodes that only move codes, in both directions: exporters
/// quantize on one side of a Reshape and leave the other bare.
fn spread(model: &OnnxModel, given: &mut GivenByName) {
    let moves = || model.nodes.iter().filter(|n| moves_bytes(&n.op));
    for node in moves() {
        if let Some(&params) = given.activations.get(&node.inputs[0]) {
            given.activations.entry(node.outputs[0].clone()).or_insert(params);
        }
    }
    for node in moves().rev() {
        if let Some(&params) = given.activations.get(&node.outputs[0])
            && !model.constants.contains_key(&node.inputs[0])
        {
            given.activations.entry(node.inputs[0].clone()).or_insert(params);
        }
    }
}

struct Strip<'a> {
    given: GivenByName,
    /// Removed tensor to the one that stands for it.
    alias: BTreeMap<String, String>,
    /// Tensors that hold codes in the file, or stand for one that does.
    quantized: BTreeSet<String>,
    /// Codes that were only rearranged, to what they were before.
    moved: BTreeMap<String, String>,
    notes: &'a mut Vec<String>,
}

/// Scales and zero points (codes shifted to int8) of a Q or DQ node.
struct Linear {
    scales: Vec<f32>,
    zero_points: Vec<i64>,
    unsigned: bool,
    axis: i64,
}

impl Strip<'_> {
    fn quantize(
        &mut self,
        node: &OnnxNode,
        model: &mut OnnxModel,
        kept: &mut Vec<OnnxNode>,
    ) -> Result<(), String> {
        let linear = linear(node, model, None)?;
        let (source, result) = (node.inputs[0].clone(), node.outputs[0].clone());
        if let Some(Tensor::F32(data)) = model.constants.get(&source) {
            let codes = quantize_constant(data, &linear)?;
            model.constants.insert(result, codes);
            return Ok(());
        }
        let params = activation_params(&linear)?;
        match self.given.activations.get(&source) {
            None => {
                self.given.activations.insert(source.clone(), params);
            }
            Some(known) if *known == params => {}
            Some(_) => {
                kept.push(OnnxNode {
                    op: "Identity".into(),
                    inputs: vec![source],
                    attrs: BTreeMap::new(),
                    ..node.clone()
                });
                self.given.activations.insert(result.clone(), params);
                self.quantized.insert(result);
                return Ok(());
            }
        }
        self.alias.insert(result, source.clone());
        self.quantized.insert(source);
        Ok(())
    }

    fn dequantize(&mut self, node: &OnnxNode, model: &mut OnnxModel) -> Result<(), String> {
        let (source, result) = (node.inputs[0].clone(), node.outputs[0].clone());
        if let Some(codes) = model.constants.get(&source) {
            let unsigned = matches!(codes, Tensor::U8(_));
            let linear = linear(node, model, Some(unsigned))?;
            let (data, axis) = dequantize_constant(&model.constants[&source], &linear)?;
            if linear.zero_points.iter().any(|&z| z != 0) {
                self.notes.push(format!(
                    "weights '{source}' have zero points other than 0: they are folded into the codes where these fit int8, else requantized symmetrically"
                ));
            }
            model.constants.insert(result.clone(), Tensor::F32(data));
            self.given.weights.insert(result, (linear.scales, axis));
            return Ok(());
        }
        if self.quantized.contains(&source) {
            // Codes keep their parameters on the way from QuantizeLinear; codes that
            // the caller gives get theirs here.
            if !self.given.activations.contains_key(&source) {
                let mut origin = &source;
                while let Some(before) = self.moved.get(origin) {
                    origin = before;
                }
                let unsigned = model.inputs.iter().any(|p| p.name == *origin && p.element == Element::U8);
                let params = activation_params(&linear(node, model, Some(unsigned))?)?;
                self.given.activations.insert(source.clone(), params);
            }
            self.alias.insert(result, source);
            return Ok(());
        }
        Err("it reads neither a constant, nor a graph input, nor the output of QuantizeLinear: export the model in QDQ form".into())
    }

    /// A transpose of dequantized weights keeps their scales.
    fn carry_weight_scales(&mut self, node: &OnnxNode) {
        let Some((scales, axis)) = node.inputs.first().and_then(|n| self.given.weights.get(n)).cloned()
        else {
            return;
        };
        let carried = match (node.op.as_str(), axis) {
            ("Transpose" | "Reshape" | "Squeeze" | "Unsqueeze" | "Identity", None) => Some(None),
            ("Identity", axis) => Some(axis),
            ("Transpose", Some(axis)) => {
                node.ints("perm").and_then(|perm| perm.iter().position(|&p| p as usize == axis)).map(Some)
            }
            _ => None,
        };
        if let Some(axis) = carried {
            self.given.weights.insert(node.outputs[0].clone(), (scales, axis));
        }
    }
}

fn linear(node: &OnnxNode, model: &OnnxModel, unsigned: Option<bool>) -> Result<Linear, String> {
    if node.int("block_size", 0) != 0 {
        return Err(
            "blocked quantization (block_size) is not supported: use per-tensor or per-channel scales".into(),
        );
    }
    let operand = |i: usize| node.input(i).map(|n| model.constants.get(n).ok_or(n));
    let scales: Vec<f32> = match operand(1) {
        Some(Ok(Tensor::F32(a))) => a.iter().copied().collect(),
        _ => return Err(
            "its scale is not a constant float: dynamic quantization is not supported, quantize statically"
                .into(),
        ),
    };
    if let Some(bad) = scales.iter().find(|s| !s.is_finite() || **s <= 0.0) {
        return Err(format!("its scale {bad} is not a positive number: quantize the model again"));
    }
    let (zero_points, zero_unsigned) = match operand(2) {
        None => (vec![0; scales.len()], unsigned.unwrap_or(true)),
        Some(Ok(t)) => {
            let values = t.integers().ok_or("its zero point is not an integer")?;
            (values, unsigned.unwrap_or(matches!(t, Tensor::U8(_))))
        }
        Some(Err(name)) => {
            return Err(format!("its zero point '{name}' is not a constant: quantize statically"));
        }
    };
    if zero_points.len() != scales.len() {
        return Err(format!("{} zero points for {} scales", zero_points.len(), scales.len()));
    }
    Ok(Linear { scales, zero_points, unsigned: zero_unsigned, axis: node.int("axis", 1) })
}

fn activation_params(linear: &Linear) -> Result<QuantParams, String> {
    let ([scale], [zero_point]) = (&linear.scales[..], &linear.zero_points[..]) else {
        return Err("activations must be quantized per tensor, not per channel".into());
    };
    let shifted = zero_point - if linear.unsigned { 128 } else { 0 };
    let zero_point =
        i8::try_from(shifted).map_err(|_| format!("its zero point {zero_point} does not fit 8 bits"))?;
    Ok(QuantParams::new(*scale, zero_point))
}

/// The index along `axis` of element `i` of a row-major tensor.
fn channel(i: usize, shape: &[usize], axis: usize) -> usize {
    let inner: usize = shape[axis + 1..].iter().product();
    i / inner % shape[axis]
}

/// The axis along which the scales run; `None` for one scale.
fn scale_axis(linear: &Linear, shape: &[usize]) -> Result<Option<usize>, String> {
    if linear.scales.len() == 1 {
        return Ok(None);
    }
    let axis = if linear.axis < 0 { linear.axis + shape.len() as i64 } else { linear.axis };
    match usize::try_from(axis).ok().and_then(|a| shape.get(a)) {
        Some(&n) if n == linear.scales.len() => Ok(Some(axis as usize)),
        _ => Err(format!("{} scales along axis {axis} of a tensor of shape {shape:?}", linear.scales.len())),
    }
}

fn dequantize_constant(codes: &Tensor, linear: &Linear) -> Result<(ArrayD<f32>, Option<usize>), String> {
    let shape = codes.shape().to_vec();
    let axis = scale_axis(linear, &shape)?;
    let values = codes.integers().ok_or("it dequantizes floats")?;
    let data = values
        .iter()
        .enumerate()
        .map(|(i, &q)| {
            let c = axis.map_or(0, |a| channel(i, &shape, a));
            (f64::from(linear.scales[c]) * (q - linear.zero_points[c]) as f64) as f32
        })
        .collect();
    Ok((ArrayD::from_shape_vec(shape, data).map_err(|e| e.to_string())?, axis))
}

fn quantize_constant(data: &ArrayD<f32>, linear: &Linear) -> Result<Tensor, String> {
    let shape = data.shape().to_vec();
    let axis = scale_axis(linear, &shape)?;
    let (lo, hi) = if linear.unsigned { (0, 255) } else { (-128, 127) };
    let codes = data.iter().enumerate().map(|(i, &x)| {
        let c = axis.map_or(0, |a| channel(i, &shape, a));
        // ONNX divides in float32; the quotient decides ties.
        ((x / linear.scales[c]).round_ties_even() as i64 + linear.zero_points[c]).clamp(lo, hi)
    });
    if linear.unsigned {
        let codes = codes.map(|q| q as u8).collect();
        ArrayD::from_shape_vec(shape, codes).map(Tensor::U8).map_err(|e| e.to_string())
    } else {
        let codes = codes.map(|q| q as i8).collect();
        ArrayD::from_shape_vec(shape, codes).map(Tensor::I8).map_err(|e| e.to_string())
    }
}
