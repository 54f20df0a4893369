//! In: what the user gave to `--target`. Out: the target, or an error that
//! suggests what was meant.
//!
//! Invariant: case never matters for names, and a name never touches the disk.

use std::path::Path;

use super::builtin;
use super::error::TargetError;
use super::schema::Target;
use super::validate;

/// How many suggestions an unknown name gets.
const SUGGESTIONS: usize = 3;
/// Jaro-Winkler similarity from which on a name counts as resembling.
const RESEMBLES: f64 = 0.75;

impl Target {
    /// Every target that is built into the compiler, in the order of the list
    /// in the `targets` folder.
    #[must_use]
    pub fn builtin() -> &'static [Self] {
        builtin::targets()
    }

    /// The file names of the targets built into the compiler, in the same order.
    pub fn builtin_files() -> impl Iterator<Item = &'static str> {
        builtin::files()
    }

    /// Finds a target by name or alias in any case, or reads it from a file if
    /// `given` ends in `.toml` or contains a path separator.
    ///
    /// # Errors
    /// [`TargetError::Unknown`] with the nearest names; for a file,
    /// [`TargetError::Read`], [`TargetError::Parse`] or [`TargetError::Invalid`].
    pub fn lookup(given: &str) -> Result<Self, TargetError> {
        let name = given.trim().to_lowercase();
        if name.ends_with(".toml") || name.contains(['/', '\\']) {
            return Self::read(Path::new(given));
        }
        Self::builtin()
            .iter()
            .find(|target| validate::names(target).any(|known| known == name))
            .cloned()
            .ok_or_else(|| TargetError::Unknown { given: given.to_owned(), suggestions: nearest(&name) })
    }

    /// Reads a target from a file.
    ///
    /// # Errors
    /// [`TargetError::Read`], [`TargetError::Parse`] or [`TargetError::Invalid`].
    pub fn read(path: &Path) -> Result<Self, TargetError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TargetError::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Parses and validates a target; `file` is named in errors.
    ///
    /// # Errors
    /// [`TargetError::Parse`] or [`TargetError::Invalid`].
    pub fn parse(file: &str, text: &str) -> Result<Self, TargetError> {
        let target: Self = toml::from_str(text)
            .map_err(|source| TargetError::Parse { file: file.to_owned(), source: Box::new(source) })?;
        validate::check(&target)
            .map_err(|problem| TargetError::Invalid { file: file.to_owned(), problem })?;
        Ok(target)
    }
}

/// The names that resemble `name` most, the nearest first, at most one a target.
fn nearest(name: &str) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = Target::builtin()
        .iter()
        .filter_map(|target| {
            validate::names(target)
                .map(|known| (strsim::jaro_winkler(name, known), known))
                .max_by(|a, b| a.0.total_cmp(&b.0))
        })
        .filter(|(score, _)| *score >= RESEMBLES)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(SUGGESTIONS).map(|(_, known)| known.to_owned()).collect()
}
