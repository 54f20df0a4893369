//! What validation found, for people and for machines.
//!
//! In: figures. Out: [`Report`], which serializes to the documented JSON and
//! prints as text. Invariant: text and JSON are views of the same fields.

use std::fmt;

use serde::Serialize;

use super::ValidateError;
use super::scores::Scores;
use crate::codegen;
use crate::compile::Compiled;
use crate::plan::Plan;
use crate::target::Target;
use crate::target::units::format_bytes;
use crate::verify::metrics::{Decibel, Metric};

/// Float model, integer reference, emitted crate and emulated chip compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The model's name.
    pub model: String,
    /// The chip that the crate was emitted for.
    pub target: String,
    /// Samples taken of the set.
    pub samples: usize,
    /// Whether reference, host and emulator gave the same bytes.
    pub identical: bool,
    /// Where they did not.
    pub first_difference: Option<FirstDifference>,
    /// Largest difference of any output from float, in the output's unit.
    pub max_abs_diff: f64,
    /// The worst output's signal to quantization noise ratio against float.
    pub sqnr_db: Option<Decibel>,
    /// Samples with the same largest element of the first output as float, in
    /// percent; `null` for an output of one element.
    pub top1_agreement: Option<f64>,
    /// What the scores are; `null` without labels.
    pub metric: Option<Metric>,
    /// Score of the float model: percent for accuracy, 0 to 1 for the others.
    pub score_float: Option<f64>,
    /// Score of the emitted crate.
    pub score_int8: Option<f64>,
    /// Samples run by the naive reference.
    pub reference_samples: usize,
    /// Samples run by the emitted crate on the host.
    pub host_samples: usize,
    /// Samples run by each emulated core; 0 without emulation.
    pub emulated_samples: usize,
    /// Deepest stack of a run on an emulated core; `null` without emulation.
    pub stack_bytes: Option<usize>,
    /// Deepest stack of any run, computed from the firmware's instructions, on
    /// the core where it is deepest; `null` without emulation.
    pub stack_bound_bytes: Option<u64>,
    /// Arena, `stack_bound_bytes` and what else the crate keeps in static memory,
    /// on the core that needs most; `null` without emulation.
    pub ram_bytes: Option<u64>,
    /// Each emulated core.
    pub emulated: Vec<Emulated>,
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Bytes of weights and other constants.
    pub weights_bytes: usize,
    /// Each output against float.
    pub outputs: Vec<OutputReport>,
    /// What the user should know, for instance why there is no score.
    pub notes: Vec<String>,
}

/// One emulated core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Emulated {
    /// Its name: `m0` to `rv32`.
    pub core: &'static str,
    /// Samples that it ran.
    pub samples: usize,
    /// Deepest stack of a run, painted and measured.
    pub stack_bytes: usize,
    /// Deepest stack of any run, computed.
    pub stack_bound_bytes: u64,
    /// Arena, `stack_bound_bytes` and other static memory.
    pub ram_bytes: u64,
}

/// One output against float.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputReport {
    /// Its ONNX name.
    pub name: String,
    /// Elements of one sample.
    pub elements: usize,
    /// Largest difference, in the output's unit.
    pub max_abs_diff: f64,
    /// Largest difference from the code nearest to the float value, in codes.
    pub max_code_diff: i16,
    /// Signal to quantization noise ratio.
    pub sqnr_db: Option<Decibel>,
    /// Samples with the same largest element, in percent; `null` for one element.
    pub top1_agreement: Option<f64>,
}

/// The first byte that differs, on the first sample where one does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstDifference {
    /// Position of the sample in the file.
    pub sample: usize,
    /// Where the code ran: `host`, or the name of an emulated core.
    pub place: String,
    /// The ONNX node; `null` where every layer agrees when it is traced and only
    /// the outputs differ.
    pub layer: Option<String>,
    /// Its ONNX operator.
    pub op: Option<String>,
    /// The tensor that it makes.
    pub tensor: String,
    /// The element in that tensor.
    pub element: usize,
    /// Its code by the naive reference.
    pub reference: i8,
    /// Its code where it ran.
    pub got: i8,
}

/// How many samples each side ran.
pub(super) struct Counts {
    pub host: usize,
    pub reference: usize,
    pub emulated: usize,
}

impl Report {
    pub(super) fn new(
        compiled: &Compiled,
        target: &Target,
        counts: Counts,
        scores: &Scores,
        first_difference: Option<FirstDifference>,
        emulated: Vec<Emulated>,
    ) -> Result<Report, ValidateError> {
        let plan = &compiled.plan;
        let ports = &compiled.module.ports.outputs;
        let outputs: Vec<OutputReport> = ports
            .iter()
            .zip(&plan.outputs)
            .zip(scores.diffs.iter().zip(&scores.max_code_diffs))
            .map(|((port, io), (diff, &max_code_diff))| {
                let elements = io.shape.elements();
                OutputReport {
                    name: port.name.clone(),
                    elements,
                    max_abs_diff: diff.max_abs,
                    max_code_diff,
                    sqnr_db: diff.sqnr.db(),
                    top1_agreement: diff.top1.percent().filter(|_| elements > 1),
                }
            })
            .collect();
        let scored = scores.scores()?;
        Ok(Report {
            model: plan.name.clone(),
            target: target.name.clone(),
            samples: counts.host,
            identical: first_difference.is_none(),
            first_difference,
            max_abs_diff: outputs.iter().map(|o| o.max_abs_diff).fold(0.0, f64::max),
            sqnr_db: outputs.iter().filter_map(|o| o.sqnr_db).reduce(|a, b| if b < a { b } else { a }),
            top1_agreement: outputs.first().and_then(|o| o.top1_agreement),
            metric: scores.metric(),
            score_float: scored.map(|s| s.0),
            score_int8: scored.map(|s| s.1),
            reference_samples: counts.reference,
            host_samples: counts.host,
            emulated_samples: if emulated.is_empty() { 0 } else { counts.emulated },
            stack_bytes: emulated.iter().map(|e| e.stack_bytes).max(),
            stack_bound_bytes: emulated.iter().map(|e| e.stack_bound_bytes).max(),
            ram_bytes: emulated.iter().map(|e| e.ram_bytes).max(),
            emulated,
            macs: plan.steps.iter().map(|s| s.macs).sum(),
            arena_bytes: plan.arena_bytes,
            weights_bytes: plan.weights.len(),
            outputs,
            notes: scores.note.iter().cloned().chain(never_whole(plan)).collect(),
        })
    }
}

/// Which layers the emitted crate never holds whole, so that a difference cannot be
/// told at them.
fn never_whole(plan: &Plan) -> Option<String> {
    let names: Vec<String> =
        codegen::never_whole(plan).iter().map(|step| format!("'{}'", step.name)).collect();
    (!names.is_empty()).then(|| {
        format!(
            "the outputs are compared byte by byte; were they to differ, the first layer at fault would be looked for \
             among all {} but {}, which run row by row and are never whole",
            plan.steps.len(),
            names.join(", ")
        )
    })
}

impl fmt::Display for FirstDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FirstDifference { sample, place, tensor, element, reference, got, .. } = self;
        match (&self.layer, &self.op) {
            (Some(layer), Some(op)) => write!(f, "layer '{layer}' ({op})")?,
            _ => write!(f, "no single layer")?,
        }
        write!(
            f,
            ", sample {sample}, on {place}: element {element} of {tensor} is {got}, by the naive reference {reference}"
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} for {}, {} samples", self.model, self.target, self.samples)?;
        for output in &self.outputs {
            write!(
                f,
                "  output {:20} largest difference {:.4} ({} codes)",
                output.name, output.max_abs_diff, output.max_code_diff
            )?;
            if let Some(sqnr) = output.sqnr_db {
                write!(f, ", SQNR {sqnr}")?;
            }
            if let Some(agreement) = output.top1_agreement {
                write!(f, ", top-1 as float {agreement:.2} %")?;
            }
            writeln!(f)?;
        }
        if let (Some(metric), Some(float), Some(int8)) = (self.metric, self.score_float, self.score_int8) {
            match metric {
                Metric::Accuracy => writeln!(f, "  accuracy: float {float:.2} %, int8 {int8:.2} %")?,
                Metric::Auc => writeln!(f, "  AUC: float {float:.4}, int8 {int8:.4}")?,
                Metric::Mse => {
                    writeln!(f, "  AUC of reconstruction errors: float {float:.4}, int8 {int8:.4}")?
                }
            }
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        let word = if self.identical { "identical bytes" } else { "DIFFERENT bytes" };
        write!(f, "  {word}: reference ({} samples), host ({})", self.reference_samples, self.host_samples)?;
        for Emulated { core, samples, .. } in &self.emulated {
            write!(f, ", {core} ({samples})")?;
        }
        writeln!(f)?;
        for one in &self.emulated {
            writeln!(
                f,
                "  RAM on {}: {} = arena {} + stack {} + statics {}; stack: painted {}, bound {}",
                one.core,
                format_bytes(one.ram_bytes),
                format_bytes(self.arena_bytes as u64),
                format_bytes(one.stack_bound_bytes),
                format_bytes(one.ram_bytes.saturating_sub(self.arena_bytes as u64 + one.stack_bound_bytes)),
                format_bytes(one.stack_bytes as u64),
                format_bytes(one.stack_bound_bytes)
            )?;
        }
        if let Some(difference) = &self.first_difference {
            writeln!(f, "  first difference: {difference}")?;
        }
        Ok(())
    }
}
