//! Which kernels tract computes with.
//!
//! In: nothing. Out: tract, set to its portable kernels. Invariant: nothing in
//! this crate reaches tract but through `tract()`, so that a float value, and
//! with it a calibrated range, is the same on every machine. Left alone, tract
//! picks matrix kernels by the processor's vendor and instruction sets; they
//! add in different orders and differ in the last bit.

use std::sync::OnceLock;

use tract_onnx::Onnx;
use tract_onnx::tract_core::tract_linalg::{isa, knobs};

/// tract's ONNX front end, on portable kernels alone.
///
/// # Errors
/// Text for the user, where something else in this process ran tract before and
/// thereby chose other kernels.
pub(super) fn tract() -> Result<Onnx, String> {
    static PORTABLE: OnceLock<bool> = OnceLock::new();
    let portable = *PORTABLE.get_or_init(|| {
        // An override from within the program comes before tract's environment variables.
        let absent: Vec<String> = features().map(|feature| format!("-{feature}")).collect();
        knobs::TRACT_CPU_ISA.set(Some(absent.join(",")));
        // This settles the choice for the life of the process.
        let native = isa::native();
        features().all(|feature| !native.has(feature))
    });
    if !portable {
        return Err("this process used tract before and chose the processor's own kernels, \
             whose results differ between machines: compile before, or in a process of its own"
            .into());
    }
    Ok(tract_onnx::onnx())
}

/// What this machine's instruction set may have beyond its base.
fn features() -> impl Iterator<Item = isa::Isa> {
    isa::Isa::ALL.into_iter().filter(|feature| feature.arch().is_native() && !feature.is_arch())
}
