//! Benchmarks: what one inference costs on a core, layer by layer.
//!
//! In: a compiled model, a target, the codes of one sample. Out: a
//! [`BenchReport`]: instructions that an emulated core executed, cycles by the
//! published timing tables, milliseconds, flash by section, RAM and stack.
//! Invariant: instructions are counted, not sampled, in the firmware of the
//! emitted crate itself; equal inputs give equal figures to the digit.
//! Everything else follows from the counts, by [`timing`] and [`flash`].

pub mod compare;
pub mod dual_issue;
pub mod flash;
pub mod operands;
mod report;
mod text;
pub mod thumb;
pub mod timing;

use crate::codegen::write::WriteError;
use crate::compile::{Compiled, Progress};
use crate::emit::EmitError;
use crate::samples::SampleError;
use crate::target::Target;
use crate::verify::emulator::{Firmware, FirmwareOptions};
use crate::verify::error::VerifyError;
use crate::verify::validate::{ValidateError, emit, emulated_core};

pub use report::{BenchReport, FlashBytes, LayerRow, Rest};

/// Why a model cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A target without an emulated core.
    #[error("target '{target}' has no core to emulate: choose a microcontroller (see `tinyc targets`)")]
    NoCore {
        /// The target's name.
        target: String,
    },
    /// Reading a sample.
    #[error(transparent)]
    Samples(#[from] SampleError),
    /// Emitting the crate.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// Writing the crate to the work folder.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Building or running the firmware.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The crate for the firmware.
    #[error(transparent)]
    Validate(#[from] Box<ValidateError>),
    /// Counts that do not fit the firmware.
    #[error("tinyc bug: {0}")]
    Bug(String),
}

/// Measures one inference of a compiled model on the target's core: that of
/// `input`, the codes of all inputs in order, or of zeros.
///
/// # Errors
/// [`BenchError`].
pub fn bench(
    compiled: &Compiled,
    target: &Target,
    input: Option<Vec<i8>>,
    firmware: &FirmwareOptions,
    progress: &dyn Progress,
) -> Result<BenchReport, BenchError> {
    let Some(core) = emulated_core(target) else {
        return Err(BenchError::NoCore { target: target.name.clone() });
    };
    let plan = &compiled.plan;
    let emitted = emit(compiled, target, &firmware.work_dir).map_err(Box::new)?;
    progress.start("building and counting", 1);
    let built = Firmware::build(&emitted, core, firmware.clone())?;
    let real = input.is_some();
    let zeros = || vec![0; plan.inputs.iter().map(|port| port.range.bytes).sum()];
    let steps: Vec<usize> =
        (0..plan.steps.len()).filter(|&step| !plan.steps[step].work.calls().is_empty()).collect();
    let counted = built.count(&input.unwrap_or_else(zeros), &steps)?;
    let worst = built.worst_case()?;
    progress.finish();
    BenchReport::new(compiled, target, core, real, &steps, &counted, &worst)
}
