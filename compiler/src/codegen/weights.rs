//! The crate's binary files: the weights, and the sample of the self-test.

use super::{CodegenError, CrateFiles, EmitOptions};
use crate::plan::{IoPlan, Plan};

/// File name of the weights.
pub const WEIGHTS: &str = "weights.bin";

/// File name of the sample's codes of an input.
pub fn self_test_input(index: usize) -> String {
    format!("self_test_input_{index}.bin")
}

/// File name of the expected codes of an output.
pub fn self_test_output(index: usize) -> String {
    format!("self_test_output_{index}.bin")
}

/// Adds the binary files to a folder of the crate.
///
/// # Errors
/// [`CodegenError::SelfTest`] where the sample does not fit the model.
pub fn emit(
    plan: &Plan,
    options: &EmitOptions,
    folder: &str,
    files: &mut CrateFiles,
) -> Result<(), CodegenError> {
    if !plan.weights.is_empty() {
        files.add(format!("{folder}/{WEIGHTS}"), plan.weights.clone());
    }
    if let Some(sample) = &options.self_test {
        check(&sample.inputs, &plan.inputs)?;
        check(&sample.outputs, &plan.outputs)?;
        let bytes = |codes: &[i8]| codes.iter().map(|&c| c as u8).collect::<Vec<u8>>();
        for (index, codes) in sample.inputs.iter().enumerate() {
            files.add(format!("{folder}/{}", self_test_input(index)), bytes(codes));
        }
        for (index, codes) in sample.outputs.iter().enumerate() {
            files.add(format!("{folder}/{}", self_test_output(index)), bytes(codes));
        }
    }
    Ok(())
}

fn check(codes: &[Vec<i8>], ports: &[IoPlan]) -> Result<(), CodegenError> {
    let error = |what, given, expected| Err(CodegenError::SelfTest { what, given, expected });
    if codes.len() != ports.len() {
        return error("ports", codes.len(), ports.len());
    }
    match codes.iter().zip(ports).find(|(codes, port)| codes.len() != port.shape.elements()) {
        Some((codes, port)) => error("codes", codes.len(), port.shape.elements()),
        None => Ok(()),
    }
}
