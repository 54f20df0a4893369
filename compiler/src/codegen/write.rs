//! The only disk writer.
//!
//! In: [`CrateFiles`] and a folder. Out: the folder with exactly those files; or one
//! file beside a report.
//! Invariant: whatever fails, an earlier folder stays as it was: everything is
//! written to a temporary sibling folder first, which then takes the place of
//! the old one by renaming.
//!
//! Files that did not change keep their time of modification, so that cargo
//! rebuilds nothing; what builds leave in the folder (`target`, `Cargo.lock`, or
//! the user's own `.git`) moves over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{CrateFiles, MARKER};

/// A folder that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something other than an emitted crate is in the way.
    #[error(
        "{path} is not empty and was not written by tinyc: choose another folder with -o, or move its contents away"
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot write {path}: {source}; check that the folder above exists and may be written")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Top-level entries that any emitted crate owns, whether this one has them or
/// not; others, but for those that are written now, belong to the user.
const OWNED: [&str; 5] = ["Cargo.toml", "README.md", "examples", "model.quant.toml", "src"];

/// Writes one file, in place of an earlier one.
///
/// # Errors
/// [`WriteError::Io`]; the file is then as it was.
pub fn write_file(path: &Path, contents: &[u8]) -> Result<(), WriteError> {
    let failed = |source| WriteError::Io { path: path.to_path_buf(), source };
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let staging = tempfile::Builder::new().prefix(".tinyc-").tempdir_in(parent).map_err(failed)?;
    let new = staging.path().join("new");
    fs::write(&new, contents).map_err(failed)?;
    fs::rename(&new, &path).map_err(failed)
}

/// Writes a crate to `folder`, in place of an earlier one.
///
/// # Errors
/// [`WriteError`]; the folder is then as it was.
pub fn write(folder: &Path, files: &CrateFiles) -> Result<(), WriteError> {
    // A link stays a link: its target is replaced.
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| WriteError::Io { path, source }
    };
    let exists = folder.symlink_metadata().is_ok();
    if exists && !replaceable(&folder) {
        return Err(WriteError::Foreign { path: folder });
    }
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(failed(parent))?;
    let staging = tempfile::Builder::new().prefix(".tinyc-").tempdir_in(parent).map_err(failed(parent))?;
    let new = staging.path().join("new");
    for (path, contents) in &files.0 {
        let target = new.join(path);
        let above = target.parent().unwrap_or(&new);
        fs::create_dir_all(above).map_err(failed(above))?;
        fs::write(&target, contents).map_err(failed(&target))?;
        keep_time(&folder.join(path), &target, contents).map_err(failed(&target))?;
    }
    if !exists {
        return fs::rename(&new, &folder).map_err(failed(&folder));
    }
    let old = staging.path().join("old");
    fs::rename(&folder, &old).map_err(failed(&folder))?;
    if let Err(source) = adopt(&old, &new).and_then(|()| fs::rename(&new, &folder)) {
        // Put everything back; if even that fails, keep the staging folder: the user's files are in it.
        if adopt(&new, &old).and_then(|()| fs::rename(&old, &folder)).is_err() {
            let _ = staging.keep();
        }
        return Err(WriteError::Io { path: folder, source });
    }
    Ok(())
}

/// Whether a folder may be replaced: it is empty, or holds an emitted crate.
fn replaceable(folder: &Path) -> bool {
    let empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    empty || fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.starts_with(MARKER))
}

/// Gives an unchanged file the time of the old one.
fn keep_time(old: &Path, new: &Path, contents: &[u8]) -> io::Result<()> {
    let Ok(before) = fs::metadata(old) else { return Ok(()) };
    if before.is_file() && fs::read(old).is_ok_and(|bytes| bytes == contents) {
        let time = before.modified()?;
        fs::File::options().write(true).open(new)?.set_modified(time)?;
    }
    Ok(())
}

/// Moves what does not belong to an emitted crate from one folder to the other.
fn adopt(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if !OWNED.iter().any(|owned| entry.file_name() == *owned) {
            fs::rename(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
