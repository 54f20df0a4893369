//! Outputs of float model and integers, sample by sample, to figures.
//!
//! In: the oracle's tensors and the host's codes, in the order of the samples.
//! Out: differences an output, and both scores. Invariant: both sides are scored
//! by the same scorer on the same labels, on the model's first output.

use ndarray::ArrayD;

use super::ValidateError;
use crate::compile::Compiled;
use crate::ir::Shape;
use crate::samples::Samples;
use crate::verify::metrics::{Metric, MetricError, OutputDiff, Scorer};
use crate::verify::quality::as_value;

/// The labels of a set and what they are for.
struct Labels {
    metric: Metric,
    /// A sample's, or a group's for [`Metric::Mse`].
    labels: Vec<usize>,
    /// The group of each sample; empty for other metrics.
    source: Vec<usize>,
}

/// Figures that grow with each sample.
pub(super) struct Scores {
    labels: Option<Labels>,
    /// Why there is no score.
    pub note: Option<String>,
    /// By output.
    pub diffs: Vec<OutputDiff>,
    /// Largest difference from the nearest code of the float value, by output.
    pub max_code_diffs: Vec<i16>,
    /// First inputs and outputs in real units, for the scorers.
    scored: Vec<Scored>,
}

struct Scored {
    index: usize,
    /// Empty unless the metric reads it.
    input: Vec<f32>,
    float: Vec<f32>,
    int8: Vec<f32>,
}

impl Scores {
    /// Reads the labels that `metric` needs; without a metric, accuracy where
    /// the labels allow it.
    pub fn new(
        compiled: &Compiled,
        samples: &Samples,
        metric: Option<Metric>,
    ) -> Result<Scores, ValidateError> {
        let outputs = compiled.module.graph.outputs.len();
        let (labels, note) = match metric {
            Some(Metric::Mse) => {
                let groups = samples.group_labels()?;
                (Some(Labels { metric: Metric::Mse, labels: groups.labels, source: groups.source }), None)
            }
            Some(metric) => {
                (Some(Labels { metric, labels: samples.sample_labels()?, source: Vec::new() }), None)
            }
            None if !samples.has_labels() => (None, Some("no labels `y`: nothing to score".to_owned())),
            None => match samples.sample_labels() {
                Ok(labels) => (Some(Labels { metric: Metric::Accuracy, labels, source: Vec::new() }), None),
                Err(error) => (None, Some(format!("not scored by accuracy: {error}; see --metric"))),
            },
        };
        Ok(Scores {
            labels,
            note,
            diffs: vec![OutputDiff::default(); outputs],
            max_code_diffs: vec![0; outputs],
            scored: Vec::new(),
        })
    }

    /// The metric of the scores.
    pub fn metric(&self) -> Option<Metric> {
        self.labels.as_ref().map(|l| l.metric)
    }

    /// The ONNX tensors behind the module's outputs, for the oracle.
    pub fn tensors(&self, compiled: &Compiled) -> Vec<String> {
        let graph = &compiled.module.graph;
        let ports = &compiled.module.ports.outputs;
        let name = |(&id, port): (_, &crate::onnx::Port)| {
            graph.value(id).origin.as_ref().map_or(port.name.clone(), |o| o.tensor.clone())
        };
        graph.outputs.iter().zip(ports).map(name).collect()
    }

    /// Adds sample `index`: the reals of its inputs, the oracle's outputs, and the
    /// codes of all outputs one after the other.
    pub fn push(
        &mut self,
        compiled: &Compiled,
        index: usize,
        inputs: &[Vec<f32>],
        floats: &[ArrayD<f32>],
        mut codes: &[i8],
    ) -> Result<(), ValidateError> {
        let module = &compiled.module;
        for (output, (&id, float)) in module.graph.outputs.iter().zip(floats).enumerate() {
            let (own, rest) = codes.split_at(Shape::elements(module.graph.shape(id)));
            codes = rest;
            let params = module.quant.activation(id);
            let origin = module.graph.value(id).origin.as_ref();
            let float: Vec<f32> =
                origin.and_then(|o| as_value(float, o)).unwrap_or_else(|| float.iter().copied().collect());
            let int8: Vec<f32> = own.iter().map(|&q| params.real(q) as f32).collect();
            self.diffs[output].push(&float, &int8);
            let code_diff =
                float.iter().zip(own).map(|(&x, &q)| (i16::from(params.code(x.into())) - i16::from(q)).abs());
            self.max_code_diffs[output] = code_diff.fold(self.max_code_diffs[output], i16::max);
            if output == 0
                && let Some(labels) = &self.labels
            {
                let input = if labels.metric == Metric::Mse { inputs[0].clone() } else { Vec::new() };
                self.scored.push(Scored { index, input, float, int8 });
            }
        }
        Ok(())
    }

    /// The scores of float and integers; `None` without labels.
    pub fn scores(&self) -> Result<Option<(f64, f64)>, MetricError> {
        let Some(Labels { metric, labels, source }) = &self.labels else { return Ok(None) };
        let score = |output: fn(&Scored) -> &[f32]| {
            let mut scorer = Scorer::new(*metric, labels, source);
            for scored in &self.scored {
                scorer.push(scored.index, &scored.input, output(scored))?;
            }
            scorer.score()
        };
        Ok(Some((score(|s| &s.float)?, score(|s| &s.int8)?)))
    }
}
