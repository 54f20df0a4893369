//! A sample file and the model's inputs in, samples ready for the model out.
//!
//! [`SampleFile`] reads `.npz`, `.npy` or a folder of them; [`Samples::bind`]
//! assigns its arrays to the model's inputs and checks them once; then
//! [`Samples::sample`] gives float32 tensors and [`Samples::codes`] int8 codes.
//! Invariant: in a [`Samples`] every input has the same number of samples, each
//! of exactly the input's size, and every value is finite after preprocessing.
//! Data stays as wide as the file stores it; nothing here quantizes.

mod bound;
mod error;
mod file;
mod labels;
mod npy;
mod preprocess;
mod shape;
mod synthetic;

use std::path::{Path, PathBuf};

use ndarray::ArrayD;

use bound::Bound;
pub use error::{SampleError, ShapeHint};
pub use file::{SampleFile, find_beside, sha256_hex};
pub use labels::GroupLabels;
pub use npy::{Array, ArrayData, DType};
pub use preprocess::Preprocess;
pub use synthetic::smooth_bytes;

/// Name of the array that feeds a model with one input.
const ONLY_INPUT: &str = "x";
/// What numpy calls the array of `numpy.savez(file, samples)`.
const UNNAMED: &str = "arr_0";
/// Name of the label array.
const LABELS: &str = "y";
/// Name of the array of group numbers.
const GROUPS: &str = "source";

/// One input of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// ONNX name.
    pub name: String,
    /// Shape of one sample, with or without a batch axis of 1.
    pub shape: Vec<usize>,
    /// How the model's int8 input codes stand for real values, if that is
    /// already known: needed for [`Preprocess::Codes`].
    pub quant: Option<InputQuant>,
}

/// real = scale * (code - zero_point), for int8 codes. Those of a uint8 input
/// are shifted: code and zero point minus 128.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputQuant {
    /// Real value of one step.
    pub scale: f32,
    /// Code of real 0.
    pub zero_point: i8,
}

/// The samples of every model input, checked and ready to be fed.
#[derive(Debug, Clone)]
pub struct Samples {
    inputs: Vec<Bound>,
    len: usize,
    path: PathBuf,
    labels: Option<Array>,
    groups: Option<Array>,
}

impl Samples {
    /// Assigns the arrays of `file` to the model's inputs.
    ///
    /// A model with one input takes the array of the input's name, else the one
    /// called `x`, else an only array that nobody named: a bare `.npy`, or `arr_0`
    /// alone in an `.npz`. Several inputs are matched by name. Every input gets
    /// the same `preprocess`.
    ///
    /// # Errors
    /// [`SampleError`] if an array is missing, has the wrong element type or
    /// shape, is empty or holds NaN or infinity, if inputs differ in their
    /// number of samples, or if `preprocess` does not fit an input.
    pub fn bind(
        file: SampleFile,
        specs: &[InputSpec],
        preprocess: &Preprocess,
    ) -> Result<Samples, SampleError> {
        // All are found before the first is taken, so that an error lists all.
        let indices =
            specs.iter().map(|spec| find_array(&file, spec, specs)).collect::<Result<Vec<_>, _>>()?;
        let path = file.path().to_owned();
        let mut arrays: Vec<Option<Array>> = file.into_arrays().into_iter().map(Some).collect();
        let mut inputs: Vec<Bound> = Vec::with_capacity(specs.len());
        for (spec, index) in specs.iter().zip(indices) {
            let array = arrays[index].take();
            let array = array.expect("tinyc bug: two model inputs of one name");
            let bound = Bound::new(array, spec, preprocess)?;
            if let Some(first) = inputs.first()
                && first.len != bound.len
            {
                return Err(SampleError::SampleCount {
                    input: spec.name.clone(),
                    given: bound.len,
                    first_input: first.spec.name.clone(),
                    expected: first.len,
                });
            }
            inputs.push(bound);
        }
        let mut rest = arrays.into_iter().flatten().collect::<Vec<_>>();
        let mut take = |name: &str| {
            let index = rest.iter().position(|a| a.name.as_deref() == Some(name))?;
            Some(rest.swap_remove(index))
        };
        Ok(Samples {
            len: inputs.first().map_or(0, |b| b.len),
            inputs,
            path,
            labels: take(LABELS),
            groups: take(GROUPS),
        })
    }

    /// `len` seeded synthetic samples, the same on every machine: smooth fields
    /// (see [`smooth_bytes`]) of real values in [0, 1), or, where there is a
    /// `preprocess`, of pixel bytes or input codes over their full range.
    ///
    /// # Errors
    /// [`SampleError`] if `preprocess` does not fit an input, or if `len` is 0.
    pub fn synthetic(
        specs: &[InputSpec],
        preprocess: &Preprocess,
        len: usize,
        seed: u64,
    ) -> Result<Samples, SampleError> {
        let inputs = specs
            .iter()
            .enumerate()
            .map(|(input, spec)| {
                let bytes: Vec<u8> = (0..len)
                    .flat_map(|i| {
                        // 2^32 streams an input keep inputs and samples apart.
                        let stream = ((input as u64) << 32) | i as u64;
                        smooth_bytes(&spec.shape, seed, stream)
                    })
                    .collect();
                let (dtype, data) = match preprocess {
                    Preprocess::None => {
                        let reals = bytes.iter().map(|&b| f32::from(b) / 256.0).collect();
                        (DType::F32, ArrayData::F32(reals))
                    }
                    Preprocess::MeanStd { .. } | Preprocess::Codes => (DType::U8, ArrayData::U8(bytes)),
                };
                let mut shape = vec![len];
                shape.extend(&spec.shape);
                let array = Array { name: Some("(synthetic)".to_owned()), dtype, shape, data };
                Bound::new(array, spec, preprocess)
            })
            .collect::<Result<_, _>>()?;
        Ok(Samples { inputs, len, path: PathBuf::from("(synthetic)"), labels: None, groups: None })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there is no sample, which only a model without inputs allows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of model inputs.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// The model input at `input`, in the order given to [`Samples::bind`].
    ///
    /// # Panics
    /// If `input` is out of range.
    pub fn spec(&self, input: usize) -> &InputSpec {
        &self.inputs[input].spec
    }

    /// The preprocessing of one input, with its channel axis settled: what is
    /// recorded and emitted.
    ///
    /// # Panics
    /// If `input` is out of range.
    pub fn preprocess(&self, input: usize) -> &Preprocess {
        &self.inputs[input].preprocess
    }

    /// The file or folder that the samples came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sample `index` of one input as the float model takes it, in the shape of
    /// its [`InputSpec`].
    ///
    /// # Panics
    /// If `index` or `input` is out of range.
    pub fn sample(&self, index: usize, input: usize) -> ArrayD<f32> {
        self.inputs[input].sample(index)
    }

    /// Sample `index` of one input as int8 input codes: `Some` exactly with
    /// [`Preprocess::Codes`], otherwise the caller quantizes [`Samples::sample`].
    ///
    /// # Panics
    /// If `index` or `input` is out of range.
    pub fn codes(&self, index: usize, input: usize) -> Option<Vec<i8>> {
        self.inputs[input].codes(index)
    }

    /// Sample `index` of one input as stored, if it is stored as `uint8`: what
    /// the emitted `quantize_pixels` takes.
    ///
    /// # Panics
    /// If `index` or `input` is out of range.
    pub fn pixels(&self, index: usize, input: usize) -> Option<&[u8]> {
        self.inputs[input].pixels(index)
    }

    /// True if the file has an array `y`.
    pub fn has_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// Class of each sample, from `y`.
    ///
    /// # Errors
    /// [`SampleError`] if there is no `y`, or if it does not hold one integer
    /// from 0 a sample.
    pub fn sample_labels(&self) -> Result<Vec<usize>, SampleError> {
        labels::per_sample(self.label_array()?, self.len)
    }

    /// Group of each sample from `source`, and label of each group from `y`.
    /// Without `source` every sample is a group of its own.
    ///
    /// # Errors
    /// [`SampleError`] if there is no `y`, if `source` has not one integer from
    /// 0 a sample, or `y` fewer than one a group.
    pub fn group_labels(&self) -> Result<GroupLabels, SampleError> {
        labels::per_group(self.label_array()?, self.groups.as_ref(), self.len)
    }

    fn label_array(&self) -> Result<&Array, SampleError> {
        self.labels.as_ref().ok_or_else(|| SampleError::NoLabels { path: self.path.clone() })
    }
}

/// Index in `file.arrays()` of the array that feeds `spec`.
fn find_array(file: &SampleFile, spec: &InputSpec, specs: &[InputSpec]) -> Result<usize, SampleError> {
    let arrays = file.arrays();
    let named = |name: &str| arrays.iter().position(|a| a.name.as_deref() == Some(name));
    if let Some(index) = named(&spec.name) {
        return Ok(index);
    }
    let only_input = specs.len() == 1;
    if only_input {
        if let Some(index) = named(ONLY_INPUT) {
            return Ok(index);
        }
        if let [only] = arrays
            && only.name.as_deref().is_none_or(|name| name == UNNAMED)
        {
            return Ok(0);
        }
    }
    let mut expected: Vec<String> = specs.iter().map(|s| s.name.clone()).collect();
    if only_input {
        expected.push(ONLY_INPUT.to_owned());
    }
    let candidates: Vec<&str> = arrays
        .iter()
        .filter_map(|a| a.name.as_deref())
        .filter(|name| ![LABELS, GROUPS].contains(name) && specs.iter().all(|s| s.name != *name))
        .collect();
    let suggestion = match candidates[..] {
        // Nothing else can have been meant, however it is spelt.
        [only] if only_input => Some(only.into()),
        _ => candidates
            .iter()
            .map(|name| (strsim::jaro_winkler(name, &spec.name), *name))
            .filter(|(similarity, _)| *similarity > 0.7)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name.into()),
    };
    Err(SampleError::MissingArray {
        path: file.path().to_owned(),
        input: spec.name.clone(),
        present: file.names(),
        expected,
        suggestion,
    })
}
