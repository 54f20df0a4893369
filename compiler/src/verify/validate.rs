//! Validation: four implementations of one model on one set of samples.
//!
//! In: a model, a target, samples with labels. Out: a [`Report`]: how far the
//! integers are from the float oracle, how both score, and whether the naive
//! reference, the emitted crate on the host and the emitted firmware on emulated
//! cores give identical bytes. Invariant: what is judged is the emitted crate,
//! built from the files that a user would get; scores and differences are summed
//! in the order of the samples, so that they print the same digits on every run.

mod bytes;
mod emit;
mod report;
mod scores;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::emulator::{Core, Firmware, FirmwareOptions};
use super::error::VerifyError;
use super::host::{HostOptions, HostRunner};
use super::metrics::{Metric, MetricError};
use super::quality::{input_codes, input_reals};
use super::reference;
use crate::codegen::write::WriteError;
use crate::compile::{CompileError, CompileOptions, Compiled, Progress, compile, input_specs};
use crate::emit::EmitError;
use crate::onnx::OnnxError;
use crate::onnx::oracle::Oracle;
use crate::samples::{SampleError, SampleFile, Samples};
use crate::target::{ArchFile, Isa, Target};

pub use emit::emit;
pub use report::{Emulated, FirstDifference, OutputReport, Report};

use bytes::{Side, Sides};
use scores::Scores;

/// Samples between two ticks of the host's runs: enough to keep all processors
/// busy, few enough that their inputs fit in memory.
const CHUNK: usize = 256;

/// What to compare with what, on which samples.
#[derive(Debug, Clone)]
pub struct ValidateOptions {
    /// How the model is compiled; the samples get the preprocessing that results.
    pub compile: CompileOptions,
    /// The chip that the crate is emitted for.
    pub target: Target,
    /// Samples, with labels where scores are wanted.
    pub data: PathBuf,
    /// What the outputs are scored by; `None`: accuracy, where the labels allow it.
    pub metric: Option<Metric>,
    /// Take only so many samples, evenly spaced over the set.
    pub samples: Option<usize>,
    /// Samples that the naive reference runs: the first so many of those taken.
    pub reference_samples: usize,
    /// Cores on which the firmware is emulated; none: no emulation.
    pub cores: Vec<Core>,
    /// Samples that each emulated core runs: the first so many of those taken.
    pub emulate_samples: usize,
    /// How the crate is built for and run on the host.
    pub host: HostOptions,
    /// How firmware is built and run.
    pub firmware: FirmwareOptions,
}

impl ValidateOptions {
    /// All samples of `data` on the host, 32 by the reference, none emulated.
    pub fn new(target: Target, data: &Path) -> ValidateOptions {
        ValidateOptions {
            compile: CompileOptions { kernels: target.arch.kernels(), ..CompileOptions::default() },
            target,
            data: data.to_path_buf(),
            metric: None,
            samples: None,
            reference_samples: 32,
            cores: Vec::new(),
            emulate_samples: 8,
            host: HostOptions::default(),
            firmware: FirmwareOptions::default(),
        }
    }
}

/// Why a model cannot be validated. Bytes that differ are no error but a
/// [`Report`] that says so.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// Compiling the model.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Reading the samples or their labels.
    #[error(transparent)]
    Samples(#[from] SampleError),
    /// Scoring.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// The float oracle.
    #[error(transparent)]
    Oracle(#[from] OnnxError),
    /// Emitting the crate.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// Writing the crate to the work folder.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Building or running the emitted crate.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// The emulated core that stands for a target's; `None` for the host.
pub fn emulated_core(target: &Target) -> Option<Core> {
    use crate::target::Core as Chip;
    match target.core.isa() {
        Isa::Armv6M => Some(Core::M0),
        Isa::Armv7M => Some(Core::M3),
        Isa::Armv7EM => match target.core {
            Chip::CortexM7 | Chip::CortexM7FSp | Chip::CortexM7FDp => Some(Core::M7),
            _ => Some(Core::M4),
        },
        Isa::Armv8MMain => Some(Core::M33),
        Isa::Armv81MMain => Some(Core::M55),
        Isa::Rv32imc => Some(Core::Rv32),
        Isa::Host => None,
    }
}

/// Compiles and validates a model file.
///
/// # Errors
/// [`ValidateError`], of the first stage that fails.
pub fn validate(
    model: &Path,
    options: &ValidateOptions,
    progress: &dyn Progress,
) -> Result<Report, ValidateError> {
    let compiled = compile(model, &options.compile, progress, &mut |_, _| {})?;
    validate_compiled(&compiled, options, progress)
}

/// Validates a compiled model.
///
/// # Errors
/// As [`validate`].
pub fn validate_compiled(
    compiled: &Compiled,
    options: &ValidateOptions,
    progress: &dyn Progress,
) -> Result<Report, ValidateError> {
    let module = &compiled.module;
    let specs = input_specs(module);
    let file = SampleFile::open(&options.data)?;
    let samples = Samples::bind(file, &specs, &compiled.quant_file.preprocess)?;
    let picked = pick(samples.len(), options.samples);
    // Read before anything slow runs: a metric without labels is told at once.
    let mut scores = Scores::new(compiled, &samples, options.metric)?;

    let emitted = emit(compiled, &options.target, &options.host.work_dir)?;
    progress.start("building for the host", 1);
    let host = HostRunner::build(std::slice::from_ref(&emitted), options.host.clone())?;
    progress.finish();

    let oracle = Oracle::new(&compiled.source, &scores.tensors(compiled))?;
    let kept = options.reference_samples.max(options.emulate_samples).min(picked.len());
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    progress.start("float and emitted crate", picked.len() as u64);
    for chunk in picked.chunks(CHUNK) {
        let codes: Vec<Vec<i8>> =
            chunk.par_iter().map(|&i| input_codes(module, &samples, i).concat()).collect();
        let integers = host.run(0, &codes.concat())?;
        let floats = chunk
            .par_iter()
            .map(|&i| {
                let reals = input_reals(&samples, i);
                let outputs = oracle.run(&reals)?;
                progress.tick();
                Ok((reals, outputs))
            })
            .collect::<Result<Vec<_>, OnnxError>>()?;
        let bytes = integers.len() / chunk.len();
        for ((&index, (reals, floats)), codes_out) in chunk.iter().zip(&floats).zip(integers.chunks(bytes)) {
            scores.push(compiled, index, reals, floats, codes_out)?;
        }
        let wanted = kept.saturating_sub(inputs.len()).min(chunk.len());
        inputs.extend(codes.into_iter().take(wanted));
        outputs.extend(integers.chunks(bytes).take(wanted).map(<[i8]>::to_vec));
    }
    progress.finish();

    let sides = Sides { compiled, samples: &picked, inputs: &inputs, host: &outputs };
    let reference_samples = options.reference_samples.min(picked.len());
    progress.start("naive reference", reference_samples as u64);
    let expected: Vec<Vec<i8>> = inputs[..reference_samples]
        .par_iter()
        .map(|codes| {
            let tensors = reference::run(module, &reference::inputs(module, &sides.split(codes)));
            progress.tick();
            module.graph.outputs.iter().flat_map(|id| tensors[id].codes.clone()).collect()
        })
        .collect();
    progress.finish();
    let mut first_difference =
        sides.differing(&expected).map(|at| sides.explain(at, Side::Host(&host))).transpose()?;

    let mut emulated = Vec::new();
    let emulate_samples = options.emulate_samples.min(picked.len());
    for &core in &options.cores {
        progress.start(&format!("emulated {}", core.name()), emulate_samples as u64);
        // On a core of another instruction set, the portable bodies of the same kernels.
        let firmware = if options.target.arch.suits(core.isa()) {
            Firmware::build(&emitted, core, options.firmware.clone())?
        } else {
            let target = Target { arch: ArchFile::Portable, ..options.target.clone() };
            let emitted = emit(compiled, &target, &options.host.work_dir)?;
            Firmware::build(&emitted, core, options.firmware.clone())?
        };
        let run = firmware.run(&inputs[..emulate_samples].concat())?;
        progress.finish();
        let bytes = run.outputs.len() / emulate_samples.max(1);
        let got: Vec<Vec<i8>> = run.outputs.chunks(bytes.max(1)).map(<[i8]>::to_vec).collect();
        if let (Some(at), None) = (sides.differing(&got), &first_difference) {
            first_difference = Some(sides.explain(at, Side::Firmware(&firmware, core, &got[at]))?);
        }
        let worst = firmware.worst_case()?;
        emulated.push(Emulated {
            core: core.name(),
            samples: emulate_samples,
            stack_bytes: run.stack_bytes,
            stack_bound_bytes: u64::from(worst.stack.bytes),
            ram_bytes: worst.ram_bytes(),
        });
    }
    let counts =
        report::Counts { host: picked.len(), reference: reference_samples, emulated: emulate_samples };
    Report::new(compiled, &options.target, counts, &scores, first_difference, emulated)
}

/// The samples taken of a set: all, or `limit` of them evenly spaced, because sets
/// are often sorted by class.
fn pick(len: usize, limit: Option<usize>) -> Vec<usize> {
    let count = limit.map_or(len, |l| l.clamp(1, len.max(1))).min(len);
    (0..count).map(|i| i * len / count).collect()
}
