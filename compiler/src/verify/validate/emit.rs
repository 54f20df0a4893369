//! The emitted crate of a compiled model in the work folder.
//!
//! In: a [`Compiled`] and a target. Out: a [`CrateRef`]. Invariant: the folder is
//! named after the contents of the crate's files, so that runs with other options
//! never share one, and the same crate is never built twice.

use std::path::Path;

use super::ValidateError;
use crate::codegen::{self, CrateFiles, EmitOptions, Preprocessing, TargetFacts, package_name};
use crate::compile::Compiled;
use crate::samples::Preprocess;
use crate::target::Target;
use crate::verify::harness::CrateRef;

/// Emits the crate that a build for `target` gives to `work_dir`.
///
/// # Errors
/// [`ValidateError::Codegen`] and [`ValidateError::Write`].
pub fn emit(compiled: &Compiled, target: &Target, work_dir: &Path) -> Result<CrateRef, ValidateError> {
    let package = package_name(&compiled.plan.name);
    let options = EmitOptions {
        package: package.clone(),
        target: TargetFacts {
            name: target.name.clone(),
            arch: target.arch.file_name().trim_end_matches(".rs").to_owned(),
        },
        preprocessing: compiled.preprocess.iter().map(preprocessing).collect(),
        self_test: None,
        accuracy: None,
    };
    let files = codegen::generate(&compiled.plan, &compiled.module, &options)?;
    let dir = work_dir.join("crates").join(format!("{package}-{}", digest(&files)));
    let up_to_date = files
        .0
        .iter()
        .all(|(path, contents)| std::fs::read(dir.join(path)).is_ok_and(|old| old == *contents));
    if !up_to_date {
        codegen::write::write(&dir, &files)?;
    }
    Ok(CrateRef { package, dir })
}

fn preprocessing(preprocess: &Preprocess) -> Preprocessing {
    match preprocess {
        Preprocess::None => Preprocessing::None,
        Preprocess::MeanStd { mean, std, channel_axis } => {
            Preprocessing::MeanStd { mean: mean.clone(), std: std.clone(), channel_axis: *channel_axis }
        }
        Preprocess::Codes => Preprocessing::Codes,
    }
}

/// 64 bits of the SHA-256 of all paths and contents.
fn digest(files: &CrateFiles) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for (path, contents) in &files.0 {
        for part in [path.as_bytes(), contents] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
