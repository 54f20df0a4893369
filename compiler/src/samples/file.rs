//! A path in, named [`Array`]s out.
//!
//! The path is a `.npz`, a `.npy`, or a folder of either kind, whose files are
//! concatenated along the first axis in the order of their names. The kind is
//! told by the first bytes, not by the extension. Invariant: a [`SampleFile`]
//! holds at least one array, and no two arrays of the same name.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::error::SampleError;
use super::npy::Array;

/// The arrays of a sample file, all in memory as stored.
#[derive(Debug, Clone)]
pub struct SampleFile {
    path: PathBuf,
    arrays: Vec<Array>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Npy,
    Npz,
}

impl SampleFile {
    /// Reads a `.npz`, a `.npy` or a folder of them.
    ///
    /// Files of a folder that do not end in `.npy` or `.npz` are ignored. An
    /// array without axes (a scalar) is taken from the folder's first file.
    ///
    /// # Errors
    /// [`SampleError`] if the path cannot be read, is empty, damaged or of
    /// another format, or if the files of a folder do not fit together.
    pub fn open(path: impl AsRef<Path>) -> Result<SampleFile, SampleError> {
        let path = path.as_ref();
        let is_dir = fs::metadata(path).map_err(|e| io(path, e))?.is_dir();
        let arrays = if is_dir { read_dir(path)? } else { read_file(path)? };
        Ok(SampleFile { path: path.to_owned(), arrays })
    }

    /// Where the samples came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every array, in the order of the file.
    pub fn arrays(&self) -> &[Array] {
        &self.arrays
    }

    /// The array called `name`, if there is one.
    pub fn array(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|a| a.name.as_deref() == Some(name))
    }

    /// Names for messages; a bare `.npy` shows as `(unnamed)`.
    pub fn names(&self) -> Vec<String> {
        self.arrays.iter().map(|a| a.label().to_owned()).collect()
    }

    /// The arrays, in the order of the file.
    pub fn into_arrays(self) -> Vec<Array> {
        self.arrays
    }
}

/// The calibration file that lies beside a model: `m.calib.npz` beside
/// `m.onnx`. `None` if there is no such file.
pub fn find_beside(model_path: impl AsRef<Path>) -> Option<PathBuf> {
    let path = model_path.as_ref().with_extension("calib.npz");
    path.is_file().then_some(path)
}

/// SHA-256 of a file's bytes in lower-case hexadecimal, as `sha256sum` prints
/// it. For a folder: of each sample file's name, a zero byte, its length in
/// bytes as a little-endian u64, and its bytes, in the order of the names.
///
/// # Errors
/// [`SampleError::Io`] if something cannot be read, and the errors of listing a
/// folder of samples.
pub fn sha256_hex(path: impl AsRef<Path>) -> Result<String, SampleError> {
    let path = path.as_ref();
    let mut hasher = Sha256::new();
    if path.is_dir() {
        for file in list_dir(path)?.1 {
            let name = file.file_name().unwrap_or_default().as_encoded_bytes();
            let len_bytes = fs::metadata(&file).map_err(|e| io(&file, e))?.len();
            hasher.update(name);
            hasher.update([0]);
            hasher.update(len_bytes.to_le_bytes());
            hash_file(&file, &mut hasher)?;
        }
    } else {
        hash_file(path, &mut hasher)?;
    }
    Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

fn hash_file(path: &Path, hasher: &mut Sha256) -> Result<(), SampleError> {
    let mut file = File::open(path).map_err(|e| io(path, e))?;
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk).map_err(|e| io(path, e))? {
            0 => return Ok(()),
            n => hasher.update(&chunk[..n]),
        }
    }
}

fn io(path: &Path, source: std::io::Error) -> SampleError {
    SampleError::Io { path: path.to_owned(), source }
}

fn read_file(path: &Path) -> Result<Vec<Array>, SampleError> {
    let mut file = File::open(path).map_err(|e| io(path, e))?;
    let mut magic = Vec::new();
    (&mut file).take(6).read_to_end(&mut magic).map_err(|e| io(path, e))?;
    file.rewind().map_err(|e| io(path, e))?;
    if magic.is_empty() {
        Err(SampleError::EmptyFile { path: path.to_owned() })
    } else if magic == b"\x93NUMPY" {
        Ok(vec![Array::read_npy(file, None, path)?])
    } else if magic.starts_with(b"PK") {
        read_npz(file, path)
    } else {
        Err(SampleError::NotNumpy { path: path.to_owned() })
    }
}

fn read_npz(file: File, path: &Path) -> Result<Vec<Array>, SampleError> {
    let bad = |detail: String| SampleError::BadArchive { path: path.to_owned(), detail };
    let mut archive = ZipArchive::new(file).map_err(|e| bad(e.to_string()))?;
    let mut arrays = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|e| bad(e.to_string()))?;
        // numpy ignores members that are not arrays, and so do we.
        let Some(name) = member.name().strip_suffix(".npy").map(str::to_owned) else {
            continue;
        };
        arrays.push(Array::read_npy(member, Some(name), path)?);
    }
    if arrays.is_empty() {
        return Err(bad("it holds no .npy array".to_owned()));
    }
    Ok(arrays)
}

/// The sample files of a folder, sorted by name.
fn list_dir(path: &Path) -> Result<(Kind, Vec<PathBuf>), SampleError> {
    let mut npy = Vec::new();
    let mut npz = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| io(path, e))? {
        let file = entry.map_err(|e| io(path, e))?.path();
        match file.extension().and_then(|e| e.to_str()) {
            Some("npy") => npy.push(file),
            Some("npz") => npz.push(file),
            _ => {}
        }
    }
    let path = || path.to_owned();
    let (kind, mut files) = match (npy.is_empty(), npz.is_empty()) {
        (true, true) => return Err(SampleError::NoFiles { path: path() }),
        (false, false) => return Err(SampleError::MixedDirectory { path: path() }),
        (false, true) => (Kind::Npy, npy),
        (true, false) => (Kind::Npz, npz),
    };
    files.sort();
    Ok((kind, files))
}

fn read_dir(path: &Path) -> Result<Vec<Array>, SampleError> {
    let (kind, files) = list_dir(path)?;
    let several = files.len() > 1;
    let mut joined: Vec<Array> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let arrays = read_file(file)?;
        if several && kind == Kind::Npz && arrays.iter().any(|a| a.label() == "source") {
            return Err(SampleError::GroupsInDirectory { path: path.to_owned() });
        }
        if index == 0 {
            joined = arrays;
        } else {
            join(&mut joined, arrays, file)?;
        }
    }
    Ok(joined)
}

/// Appends the arrays of one more file, matched by name.
fn join(joined: &mut [Array], arrays: Vec<Array>, file: &Path) -> Result<(), SampleError> {
    let mismatch = |detail: String| SampleError::DirectoryMismatch { path: file.to_owned(), detail };
    if let Some(missing) = joined.iter().find(|a| arrays.iter().all(|b| b.name != a.name)) {
        return Err(mismatch(format!("it has no array `{}`", missing.label())));
    }
    for array in arrays {
        let Some(all) = joined.iter_mut().find(|a| a.name == array.name) else {
            return Err(mismatch(format!("its array `{}` is new there", array.label())));
        };
        let differs = || {
            mismatch(format!(
                "array `{}` is {} {:?} there and {} {:?} before",
                array.label(),
                array.dtype,
                array.shape,
                all.dtype,
                all.shape
            ))
        };
        match (all.shape.is_empty(), array.shape.is_empty()) {
            (true, true) => continue,
            (false, false) if all.shape[1..] == array.shape[1..] && all.dtype == array.dtype => {}
            _ => return Err(differs()),
        }
        let rows = array.shape[0];
        if all.data.append(array.data) {
            all.shape[0] += rows;
        }
    }
    Ok(())
}
