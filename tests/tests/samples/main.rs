//! Sample files in, model inputs out: what a user's .npz becomes, and what a
//! wrong one says. Files are written here byte by byte, by numpy's format
//! description, so that the reader is not tested by a writer of its own.

mod arrays;
mod files;
mod labels;
mod preprocess;
mod synthetic;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray_npy::{NpzWriter, WriteNpyError, WriteNpyExt};
use tinyc::samples::{InputSpec, Preprocess, SampleError, SampleFile, Samples};

/// A complete .npy stream, for `NpzWriter` and for files.
#[derive(Clone)]
struct Npy(Vec<u8>);

impl WriteNpyExt for Npy {
    fn write_npy<W: Write>(&self, mut writer: W) -> Result<(), WriteNpyError> {
        Ok(writer.write_all(&self.0)?)
    }
}

fn npy_raw(descr: &str, fortran: bool, shape: &[usize], payload: &[u8]) -> Npy {
    let axes: String = shape.iter().map(|s| format!("{s},")).collect();
    let order = if fortran { "True" } else { "False" };
    let mut dict =
        format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': ({axes}), }}").into_bytes();
    dict.resize((dict.len() + 11).next_multiple_of(64) - 11, b' ');
    dict.push(b'\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((dict.len() as u16).to_le_bytes());
    bytes.extend(dict);
    bytes.extend(payload);
    Npy(bytes)
}

fn u8s(shape: &[usize], values: impl IntoIterator<Item = u8>) -> Npy {
    npy_raw("'|u1'", false, shape, &Vec::from_iter(values))
}

fn i8s(shape: &[usize], values: &[i8]) -> Npy {
    let bytes: Vec<u8> = values.iter().map(|v| v.cast_unsigned()).collect();
    npy_raw("'|i1'", false, shape, &bytes)
}

fn f32s(shape: &[usize], values: &[f32]) -> Npy {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    npy_raw("'<f4'", false, shape, &bytes)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn npz(&self, name: &str, arrays: &[(&str, Npy)]) -> PathBuf {
        let path = self.file(name, b"");
        let mut writer = NpzWriter::new_compressed(File::create(&path).unwrap());
        for (name, array) in arrays {
            writer.add_array(*name, array).unwrap();
        }
        writer.finish().unwrap();
        path
    }
}

fn spec(name: &str, shape: &[usize]) -> InputSpec {
    InputSpec { name: name.to_owned(), shape: shape.to_vec(), quant: None }
}

fn bind(path: &Path, specs: &[InputSpec], pre: &Preprocess) -> Result<Samples, SampleError> {
    Samples::bind(SampleFile::open(path)?, specs, pre)
}

/// Binds an .npz of these arrays to one input without preprocessing.
fn bind_npz(arrays: &[(&str, Npy)], input: &[usize]) -> Result<Samples, SampleError> {
    let folder = Folder::new();
    bind(&folder.npz("a.npz", arrays), &[spec("image", input)], &Preprocess::None)
}

fn values(samples: &Samples, index: usize) -> Vec<f32> {
    samples.sample(index, 0).iter().copied().collect()
}

#[track_caller]
fn assert_says(error: &SampleError, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    let one_line = !message.contains("  ") && !message.contains('\n');
    assert!(one_line, "ragged message: {message}");
}
