//! The float oracle: the stripped ONNX graph, run by tract.
//!
//! In: a [`Source`](super::Source) and names of tensors. Out: their float values
//! for given inputs. Invariant: it runs the graph that was imported, before any
//! pass of ours touched it, so it is independent of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::ArrayD;
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTensor, TVec, TypedRunnableModel, tract_ndarray as tnd,
};
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use super::encode;
use super::error::OnnxError;
use super::model::OnnxModel;

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
    pub fn new(model: &OnnxModel, tensors: &[String]) -> Result<Oracle, OnnxError> {
        let failed = |e: tract_onnx::prelude::TractError| OnnxError::Oracle(format!("{e:#}"));
        let proto = encode::model(model, tensors);
        let plan = tract_onnx::onnx()
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

/// The concrete shapes that tract infers, by tensor name; empty where it cannot.
pub(super) fn shapes(model: &OnnxModel) -> BTreeMap<String, Vec<usize>> {
    let outputs: Vec<String> = model.outputs.iter().map(|o| o.name.clone()).collect();
    let proto = encode::model(model, &outputs);
    let onnx = tract_onnx::onnx().with_ignore_output_types(true);
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
