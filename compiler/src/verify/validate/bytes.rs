//! Where two implementations first disagree.
//!
//! In: outputs of the naive reference, the host and an emulated core on the same
//! samples. Out: the first sample that differs, and on it the first layer.
//! Invariant: layers are judged by the naive reference, which gives every value,
//! whatever the two sides that disagree are.

use super::ValidateError;
use super::report::FirstDifference;
use crate::compile::Compiled;
use crate::verify::emulator::{Core, Firmware};
use crate::verify::host::HostRunner;
use crate::verify::reference;

/// What ran so far.
pub(super) struct Sides<'a> {
    pub compiled: &'a Compiled,
    /// Position of each sample in the file.
    pub samples: &'a [usize],
    /// Codes of all inputs, a sample.
    pub inputs: &'a [Vec<i8>],
    /// Codes of all outputs on the host, a sample.
    pub host: &'a [Vec<i8>],
}

/// The side whose layers are looked at.
pub(super) enum Side<'a> {
    /// The host disagrees with the reference.
    Host(&'a HostRunner),
    /// Firmware for a core disagrees with the host, by these outputs.
    Firmware(&'a Firmware, Core, &'a [i8]),
}

impl Sides<'_> {
    /// The codes of a sample, input by input.
    pub fn split<'c>(&self, mut codes: &'c [i8]) -> Vec<&'c [i8]> {
        let graph = &self.compiled.module.graph;
        let take = |&id| {
            let (head, rest) = codes.split_at(graph.shape(id).elements());
            codes = rest;
            head
        };
        graph.inputs.iter().map(take).collect()
    }

    /// The first sample whose outputs are not those of the host.
    pub fn differing(&self, outputs: &[Vec<i8>]) -> Option<usize> {
        outputs.iter().zip(self.host).position(|(a, b)| a != b)
    }

    /// Traces one sample and names the first layer that differs from the reference.
    pub fn explain(&self, at: usize, side: Side<'_>) -> Result<FirstDifference, ValidateError> {
        let Compiled { module, plan, .. } = self.compiled;
        let input = &self.inputs[at];
        let expected = reference::run(module, &reference::inputs(module, &self.split(input)));
        let (place, trace, outputs) = match side {
            Side::Host(host) => ("host".to_owned(), host.trace(0, input)?, &self.host[at][..]),
            Side::Firmware(firmware, core, outputs) => {
                (core.name().to_owned(), firmware.trace(input)?, outputs)
            }
        };
        let sample = self.samples[at];
        for layer in &trace {
            let Some(step) = plan.steps.get(layer.step) else { continue };
            let codes = &expected[&step.output].codes;
            if let Some((element, want, got)) = first(codes, &layer.data) {
                return Ok(FirstDifference {
                    sample,
                    place,
                    layer: Some(step.name.clone()),
                    op: Some(step.onnx_op.clone()),
                    tensor: module.graph.value(step.output).name.clone(),
                    element,
                    reference: want,
                    got,
                });
            }
        }
        // Every layer is right when it is written, so an output was overwritten
        // later, or tracing hides the difference.
        let want: Vec<i8> = module.graph.outputs.iter().flat_map(|id| expected[id].codes.clone()).collect();
        let (element, reference, got) = first(&want, outputs).unwrap_or((0, 0, 0));
        Ok(FirstDifference {
            sample,
            place,
            layer: None,
            op: None,
            tensor: "the outputs".to_owned(),
            element,
            reference,
            got,
        })
    }
}

/// The first element that differs, with both codes; a missing element counts as
/// one that differs from 0.
fn first(want: &[i8], got: &[i8]) -> Option<(usize, i8, i8)> {
    let at = |codes: &[i8], i: usize| codes.get(i).copied().unwrap_or(0);
    (0..want.len().max(got.len())).find(|&i| want.get(i) != got.get(i)).map(|i| (i, at(want, i), at(got, i)))
}
