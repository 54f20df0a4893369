//! The float oracle: the stripped ONNX graph, run by tract.
//!
//! In: a [`Source`] and names of tensors. Out: their float values
//! for given inputs. Invariant: it runs the graph that was imported, before any
//! pass of ours touched it, so it is independent of them. Where the file
//! quantizes an activation, the oracle clips it to the range of the codes:
//! exporters drop a ReLU that the clipping of QuantizeLinear implies.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::ArrayD;
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTensor, TVec, TypedRunnableModel, tract_ndarray as tnd,
};
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use super::error::OnnxError;
use super::model::{OnnxModel, OnnxNode};
use super::{Source, encode};

/// A runnable float model that yields chosen tensors.
#[derive(Clone)]
pub struct Oracle {
    plan: Arc<TypedRunnableModel>,
    shapes: Vec<Vec<usize>>,
}

impl std::fmt::Debug for Oracle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oracle").field("inputs", &self.shapes).finish_non_exhaustive()
    }
}

impl Oracle {
    /// Prepares the model to yield `tensors` (inputs of the graph excluded).
    ///
    /// # Errors
    /// [`OnnxError::Oracle`] where tract cannot run the model.
    pub fn new(source: &Source, tensors: &[String]) -> Result<Oracle, OnnxError> {
        let failed = |e: tract_onnx::prelude::TractError| OnnxError::Oracle(format!("{e:#}"));
        let model = clipped(source);
        let proto = encode::model(&model, tensors);
        let plan = super::kernels::tract()
            .map_err(OnnxError::Oracle)?
            .with_ignore_output_shapes(true)
            .with_ignore_output_types(true)
            .model_for_proto_model(&proto)
            .and_then(|m| m.into_optimized())
            .and_then(|m| m.into_runnable())
            .map_err(failed)?;
        let shapes = model.inputs.iter().map(|p| p.shape.clone().unwrap_or_default()).collect();
        Ok(Oracle { plan, shapes })
    }

    /// Runs one sample: row-major inputs in the graph's order, in the ONNX shapes.
    ///
    /// # Errors
    /// [`OnnxError::Oracle`] where an input has the wrong size or tract fails.
    pub fn run(&self, inputs: &[Vec<f32>]) -> Result<Vec<ArrayD<f32>>, OnnxError> {
        let failed = |e: String| OnnxError::Oracle(e);
        let mut values = TVec::new();
        for (data, shape) in inputs.iter().zip(&self.shapes) {
            let array = tnd::ArrayD::from_shape_vec(shape.clone(), data.clone())
                .map_err(|e| failed(e.to_string()))?;
            values.push(array.into_tensor().into());
        }
        let outputs = self.plan.run(values).map_err(|e| failed(format!("{e:#}")))?;
        outputs
            .iter()
            .map(|t| {
                let view = t.to_plain_array_view::<f32>().map_err(|e| failed(format!("{e:#}")))?;
                ArrayD::from_shape_vec(view.shape(), view.iter().copied().collect())
                    .map_err(|e| failed(e.to_string()))
            })
            .collect()
    }
}

/// The model with every quantized activation clipped to what its codes can say.
fn clipped(source: &Source) -> OnnxModel {
    let mut model = source.model.clone();
    for node in std::mem::take(&mut model.nodes) {
        let Some(params) = node.outputs.first().and_then(|t| source.given.activations.get(t)) else {
            model.nodes.push(node);
            continue;
        };
        let tensor = node.outputs[0].clone();
        let raw = format!("{tensor}.unclipped");
        let bounds = [i8::MIN, i8::MAX].map(|code| params.real(code) as f32);
        let names = ["lo", "hi"].map(|end| format!("{tensor}.{end}"));
        for (name, bound) in names.iter().zip(bounds) {
            let scalar = ArrayD::from_elem(ndarray::IxDyn(&[]), bound);
            model.constants.insert(name.clone(), super::Tensor::F32(scalar));
        }
        // Operands of Clip date from opset 11; before, they were attributes.
        let operands = model.opset >= 11;
        let mut clip = OnnxNode {
            name: format!("{tensor}.clip"),
            op: "Clip".into(),
            inputs: vec![raw.clone()],
            outputs: vec![tensor],
            attrs: BTreeMap::new(),
        };
        if operands {
            clip.inputs.extend(names);
        } else {
            clip.attrs.insert("min".into(), super::Attr::Float(bounds[0]));
            clip.attrs.insert("max".into(), super::Attr::Float(bounds[1]));
        }
        let mut outputs = node.outputs.clone();
        outputs[0] = raw;
        model.nodes.push(OnnxNode { outputs, ..node });
        model.nodes.push(clip);
    }
    model
}

/// The concrete shapes that tract infers, by tensor name; empty where it cannot.
pub(super) fn shapes(model: &OnnxModel) -> BTreeMap<String, Vec<usize>> {
    let outputs: Vec<String> = model.outputs.iter().map(|o| o.name.clone()).collect();
    let proto = encode::model(model, &outputs);
    let Ok(onnx) = super::kernels::tract() else { return BTreeMap::new() };
    let onnx = onnx.with_ignore_output_types(true);
    let Ok(parsed) = onnx.parse(&proto, None) else { return BTreeMap::new() };
    let mut inferred = parsed.model;
    if inferred.analyse(true).is_err() {
        return BTreeMap::new();
    }
    parsed
        .outlets_by_name
        .iter()
        .filter_map(|(name, outlet)| {
            let fact = inferred.outlet_fact(*outlet).ok()?;
            let dims = fact.shape.concretize()?;
            let dims: Option<Vec<usize>> = dims.iter().map(|d| d.to_usize().ok()).collect();
            Some((name.clone(), dims?))
        })
        .collect()
}
