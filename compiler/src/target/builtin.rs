//! In: the files of the `targets` folder, embedded when the compiler is built.
//! Out: the targets that need no file at run time, parsed once.
//!
//! Invariant: the embedded list equals the folder (a test compares them). The
//! list lies in that folder, so that this code spells no chip name and a new
//! chip touches one place.

use std::sync::LazyLock;

use super::error::TargetError;
use super::schema::Target;
use super::validate;

/// File name and text of every embedded target.
const FILES: &[(&str, &str)] = include!("../../../targets/table.rs");

static TARGETS: LazyLock<Vec<Target>> = LazyLock::new(|| match load() {
    Ok(targets) => targets,
    // The files are fixed when the compiler is built, and a test loads them.
    Err(error) => panic!("tinyc bug: an embedded target is broken: {error}"),
});

fn load() -> Result<Vec<Target>, TargetError> {
    let targets =
        FILES.iter().map(|(file, text)| Target::parse(file, text)).collect::<Result<Vec<_>, _>>()?;
    let files = FILES.iter().map(|(file, _)| *file);
    validate::check_set(files.zip(&targets))
        .map_err(|(file, problem)| TargetError::Invalid { file, problem })?;
    Ok(targets)
}

/// See [`Target::builtin`].
pub(super) fn targets() -> &'static [Target] {
    &TARGETS
}

/// See [`Target::builtin_files`].
pub(super) fn files() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(file, _)| *file)
}
