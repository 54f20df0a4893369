//! How far the integers are from the float oracle, tensor by tensor.
//!
//! In: a compiled model and samples. Out: SQNR, largest difference and top-1
//! agreement. Invariant: results are merged in the order of the samples, so that
//! they print the same digits on every run.

use std::collections::BTreeMap;

use ndarray::{ArrayD, Axis, Slice};
use rayon::prelude::*;

use super::metrics::{OutputDiff, Sqnr};
use super::simulate::Simulator;
use crate::Module;
use crate::compile::taps;
use crate::ir::{Origin, ValueId};
use crate::onnx::oracle::Oracle;
use crate::onnx::{OnnxError, Source};
use crate::plan::Plan;
use crate::samples::Samples;

/// An output against the oracle.
#[derive(Debug, Clone)]
pub struct OutputQuality {
    /// The output's name.
    pub name: String,
    /// Differences, SQNR, agreement.
    pub diff: OutputDiff,
}

/// The codes of a sample for each input, in the order in which the module reads them.
pub fn input_codes(module: &Module, samples: &Samples, index: usize) -> Vec<Vec<i8>> {
    module
        .graph
        .inputs
        .iter()
        .enumerate()
        .map(|(i, &id)| {
            let codes = match samples.codes(index, i) {
                Some(codes) => codes,
                None => {
                    let params = module.quant.activation(id);
                    samples.sample(index, i).iter().map(|&x| params.quantize(x)).collect()
                }
            };
            let order = module.graph.value(id).origin.as_ref().and_then(|origin| origin.order.as_ref());
            match order.filter(|order| !order.is_sorted()) {
                Some(order) => turned(codes, &samples.spec(i).shape, order),
                None => codes,
            }
        })
        .collect()
}

/// The codes of a tensor of a shape, transposed.
fn turned(codes: Vec<i8>, shape: &[usize], order: &[usize]) -> Vec<i8> {
    match ArrayD::from_shape_vec(shape, codes) {
        Ok(tensor) if shape.len() == order.len() => {
            tensor.view().permuted_axes(order).iter().copied().collect()
        }
        Ok(tensor) => tensor.into_iter().collect(),
        Err(_) => Vec::new(),
    }
}

/// The reals of a sample for each input, as the oracle takes them.
pub fn input_reals(samples: &Samples, index: usize) -> Vec<Vec<f32>> {
    (0..samples.input_count()).map(|i| samples.sample(index, i).iter().copied().collect()).collect()
}

/// The oracle's tensor as a value holds it; `None` where the relation is unknown.
pub fn as_value(tensor: &ArrayD<f32>, origin: &Origin) -> Option<Vec<f32>> {
    let order = origin.order.as_ref()?;
    if order.len() != tensor.ndim() {
        return None;
    }
    let mut turned = tensor.view().permuted_axes(&order[..]);
    if let Some(extent) = origin.extent {
        // A tensor over time has no columns.
        for (axis, &kept) in (1..turned.ndim().saturating_sub(1)).map(Axis).zip(&extent) {
            if turned.len_of(axis) < kept {
                return None;
            }
            turned.slice_axis_inplace(axis, Slice::from(..kept));
        }
    }
    let all: Vec<f32> = turned.iter().map(|&x| origin.clamp.apply(x.into()) as f32).collect();
    match &origin.channels {
        None => Some(all),
        Some(selection) if all.len().is_multiple_of(selection.of) => Some(selection.pick(&all)),
        Some(_) => None,
    }
}

/// Compares the outputs on the first `count` samples.
///
/// # Errors
/// [`OnnxError::Oracle`].
pub fn outputs(
    source: &Source,
    module: &Module,
    plan: &Plan,
    samples: &Samples,
    count: usize,
    tick: &(dyn Fn() + Sync),
) -> Result<Vec<OutputQuality>, OnnxError> {
    let wanted: Vec<String> = module
        .graph
        .outputs
        .iter()
        .map(|&id| module.graph.value(id).origin.as_ref().map_or(String::new(), |o| o.tensor.clone()))
        .collect();
    let oracle = Oracle::new(source, &wanted)?;
    let per_sample = (0..count)
        .into_par_iter()
        .map(|index| {
            let floats = oracle.run(&input_reals(samples, index))?;
            let codes = input_codes(module, samples, index);
            let slices: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
            let integers = Simulator::new(plan).run(&slices);
            tick();
            let diffs =
                module.graph.outputs.iter().zip(&floats).zip(&integers).map(|((&id, float), codes)| {
                    let params = module.quant.activation(id);
                    let reals: Vec<f32> = codes.iter().map(|&q| params.real(q) as f32).collect();
                    let origin = module.graph.value(id).origin.as_ref();
                    let expected = origin
                        .and_then(|o| as_value(float, o))
                        .unwrap_or_else(|| float.iter().copied().collect());
                    let mut diff = OutputDiff::default();
                    diff.push(&expected, &reals);
                    diff
                });
            Ok(diffs.collect::<Vec<_>>())
        })
        .collect::<Result<Vec<_>, OnnxError>>()?;
    let mut merged = vec![OutputDiff::default(); module.graph.outputs.len()];
    for sample in per_sample {
        for (all, one) in merged.iter_mut().zip(&sample) {
            all.merge(one);
        }
    }
    let names = module.ports.outputs.iter().map(|p| p.name.clone());
    Ok(names.zip(merged).map(|(name, diff)| OutputQuality { name, diff }).collect())
}

/// SQNR of every node's output on the first `count` samples; values whose relation
/// to an ONNX tensor is more than a transpose are left out.
///
/// # Errors
/// [`OnnxError::Oracle`].
pub fn layers(
    source: &Source,
    module: &Module,
    plan: &Plan,
    samples: &Samples,
    count: usize,
    tick: &(dyn Fn() + Sync),
) -> Result<BTreeMap<ValueId, Sqnr>, OnnxError> {
    let tensors = taps(module);
    let oracle = Oracle::new(source, &tensors)?;
    let per_sample = (0..count)
        .into_par_iter()
        .map(|index| {
            let floats = oracle.run(&input_reals(samples, index))?;
            let by_name: BTreeMap<&String, &ArrayD<f32>> = tensors.iter().zip(&floats).collect();
            let codes = input_codes(module, samples, index);
            let slices: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
            let mut found = BTreeMap::new();
            Simulator::new(plan).run_traced(&slices, |_, step, codes| {
                let value = step.output;
                let origin = module.graph.value(value).origin.as_ref();
                let expected = origin.and_then(|o| as_value(by_name.get(&o.tensor)?, o));
                if let Some(expected) = expected.filter(|e| e.len() == codes.len()) {
                    let params = module.quant.activation(value);
                    let mut sqnr = Sqnr::default();
                    let reals: Vec<f32> = codes.iter().map(|&q| params.real(q) as f32).collect();
                    sqnr.push(&expected, &reals);
                    found.insert(value, sqnr);
                }
            });
            tick();
            Ok(found)
        })
        .collect::<Result<Vec<_>, OnnxError>>()?;
    let mut merged: BTreeMap<ValueId, Sqnr> = BTreeMap::new();
    for (value, sqnr) in per_sample.into_iter().flatten() {
        merged.entry(value).or_default().merge(&sqnr);
    }
    Ok(merged)
}
