//! One array and one model input in, the samples of that input out.
//!
//! Invariant: the data holds `len` samples of the input's size, and each value
//! is finite after preprocessing.

use ndarray::{ArrayD, IxDyn};

use super::error::SampleError;
use super::npy::{Array, ArrayData, DType};
use super::{InputSpec, Preprocess, shape};

/// The samples of one input.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) spec: InputSpec,
    /// With its channel axis settled.
    pub(super) preprocess: Preprocess,
    pub(super) len: usize,
    data: ArrayData,
    /// Elements a sample.
    size: usize,
}

impl Bound {
    /// Checks `array` against the input and keeps its data.
    pub(super) fn new(array: Array, spec: &InputSpec, preprocess: &Preprocess) -> Result<Bound, SampleError> {
        let preprocess = preprocess.resolve(&spec.name, &spec.shape)?;
        check_dtype(&array, spec, &preprocess)?;
        shape::check(&array.shape, &spec.shape).map_err(|hint| SampleError::Shape {
            array: array.label().to_owned(),
            input: spec.name.clone(),
            given: array.shape.clone(),
            expected: spec.shape.clone(),
            hint: Box::new(hint),
        })?;
        let size = spec.shape.iter().product();
        if array.data.is_empty() {
            return Err(SampleError::NoSamples { array: array.label().to_owned(), shape: array.shape });
        }
        check_finite(&array, size, &preprocess)?;
        Ok(Bound { spec: spec.clone(), preprocess, len: array.shape[0], data: array.data, size })
    }

    pub(super) fn sample(&self, index: usize) -> ArrayD<f32> {
        let mut values = self.stored(index);
        match &self.preprocess {
            Preprocess::None => {}
            Preprocess::MeanStd { mean, std, channel_axis } => {
                let inner: usize = match channel_axis {
                    Some(axis) => self.spec.shape[axis + 1..].iter().product(),
                    None => self.size,
                };
                let channels = mean.iter().zip(std).cycle();
                for (run, (mean, std)) in values.chunks_mut(inner).zip(channels) {
                    for x in run {
                        *x = (*x - mean) / std;
                    }
                }
            }
            Preprocess::Codes => {
                let quant = self.spec.quant.expect("tinyc bug: checked on binding");
                let codes = self.codes(index).expect("tinyc bug: these are codes");
                for (x, code) in values.iter_mut().zip(codes) {
                    let steps = i16::from(code) - i16::from(quant.zero_point);
                    *x = f32::from(steps) * quant.scale;
                }
            }
        }
        ArrayD::from_shape_vec(IxDyn(&self.spec.shape), values)
            .expect("tinyc bug: the size was checked on binding")
    }

    pub(super) fn codes(&self, index: usize) -> Option<Vec<i8>> {
        if self.preprocess != Preprocess::Codes {
            return None;
        }
        let range = index * self.size..(index + 1) * self.size;
        match &self.data {
            ArrayData::I8(v) => Some(v[range].to_vec()),
            // Flipping the top bit subtracts 128.
            ArrayData::U8(v) => Some(v[range].iter().map(|b| (b ^ 0x80).cast_signed()).collect()),
            _ => None,
        }
    }

    pub(super) fn pixels(&self, index: usize) -> Option<&[u8]> {
        match &self.data {
            ArrayData::U8(v) => Some(&v[index * self.size..][..self.size]),
            _ => None,
        }
    }

    /// Sample `index` as f32, without preprocessing; exact for every type that
    /// passed the check.
    fn stored(&self, index: usize) -> Vec<f32> {
        let range = index * self.size..(index + 1) * self.size;
        match &self.data {
            ArrayData::U8(v) => v[range].iter().map(|&x| f32::from(x)).collect(),
            ArrayData::I8(v) => v[range].iter().map(|&x| f32::from(x)).collect(),
            ArrayData::F16(v) => v[range].iter().map(|x| x.to_f32()).collect(),
            ArrayData::F32(v) => v[range].to_vec(),
            ArrayData::F64(v) => v[range].iter().map(|&x| x as f32).collect(),
            ArrayData::I64(v) => v[range].iter().map(|&x| x as f32).collect(),
        }
    }
}

fn check_dtype(array: &Array, spec: &InputSpec, preprocess: &Preprocess) -> Result<(), SampleError> {
    let (ok, expected) = match preprocess {
        Preprocess::Codes => (
            matches!(array.dtype, DType::U8 | DType::I8),
            "the model's input codes as int8 or uint8, because of --codes",
        ),
        Preprocess::None | Preprocess::MeanStd { .. } => (
            matches!(array.dtype, DType::U8 | DType::I8 | DType::F16 | DType::F32),
            "uint8, int8, float16 or float32; save for example x.astype('float32')",
        ),
    };
    if !ok {
        return Err(SampleError::Dtype {
            array: array.label().to_owned(),
            input: spec.name.clone(),
            given: array.dtype,
            expected,
        });
    }
    if *preprocess == Preprocess::Codes && spec.quant.is_none() {
        return Err(SampleError::CodesWithoutQuantization { input: spec.name.clone() });
    }
    Ok(())
}

/// Checks the stored values, and that their largest magnitude survives
/// preprocessing: a bound of every value, so one pass over the data is enough.
fn check_finite(array: &Array, size: usize, preprocess: &Preprocess) -> Result<(), SampleError> {
    let mut max_abs = 0f64;
    for index in 0..array.data.len() {
        let value = array.data.get_f64(index);
        if !value.is_finite() {
            return Err(SampleError::NonFinite {
                array: array.label().to_owned(),
                sample: index / size,
                value,
            });
        }
        max_abs = max_abs.max(value.abs());
    }
    let Preprocess::MeanStd { mean, std, .. } = preprocess else {
        return Ok(());
    };
    for (&mean, &std) in mean.iter().zip(std) {
        let worst = (max_abs as f32 + mean.abs()) / std;
        if !worst.is_finite() {
            return Err(SampleError::Overflow { array: array.label().to_owned(), max_abs, mean, std });
        }
    }
    Ok(())
}
