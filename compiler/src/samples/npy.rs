//! Bytes of one `.npy` stream in, one [`Array`] out.
//!
//! Invariant: an [`Array`] is in C order and holds exactly the product of its
//! shape in elements. The payload is read as far as the header asks and no
//! further, so a header that promises more than the file holds is an error and
//! never an allocation of the promised size.

use std::fmt;
use std::io::Read;
use std::path::Path;

use half::f16;
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use ndarray_npy::npy::header::{Header, ParseHeaderError, ReadHeaderError};

use super::error::SampleError;

/// Element type of an array as the file declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DType {
    /// `bool`, one byte an element.
    Bool,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 16-bit integer.
    U16,
    /// Signed 16-bit integer.
    I16,
    /// Unsigned 32-bit integer.
    U32,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned 64-bit integer.
    U64,
    /// Signed 64-bit integer.
    I64,
    /// IEEE 754 half precision.
    F16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
}

impl DType {
    /// Reads a numpy type descriptor such as `<f4`; the flag says big-endian.
    fn parse(descr: &str) -> Option<(DType, bool)> {
        let (big_endian, kind) = match descr.strip_prefix(['<', '|', '=']) {
            Some(kind) => (false, kind),
            None => match descr.strip_prefix('>') {
                Some(kind) => (true, kind),
                None => (false, descr),
            },
        };
        let dtype = match kind {
            "b1" => DType::Bool,
            "u1" => DType::U8,
            "i1" => DType::I8,
            "u2" => DType::U16,
            "i2" => DType::I16,
            "u4" => DType::U32,
            "i4" => DType::I32,
            "u8" => DType::U64,
            "i8" => DType::I64,
            "f2" => DType::F16,
            "f4" => DType::F32,
            "f8" => DType::F64,
            _ => return None,
        };
        Some((dtype, big_endian))
    }

    /// Bytes of one element in the file.
    pub fn size_bytes(self) -> usize {
        match self {
            DType::Bool | DType::U8 | DType::I8 => 1,
            DType::U16 | DType::I16 | DType::F16 => 2,
            DType::U32 | DType::I32 | DType::F32 => 4,
            DType::U64 | DType::I64 | DType::F64 => 8,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::Bool => "bool",
            DType::U8 => "uint8",
            DType::I8 => "int8",
            DType::U16 => "uint16",
            DType::I16 => "int16",
            DType::U32 => "uint32",
            DType::I32 => "int32",
            DType::U64 => "uint64",
            DType::I64 => "int64",
            DType::F16 => "float16",
            DType::F32 => "float32",
            DType::F64 => "float64",
        })
    }
}

/// Elements in C order. Types that may hold samples keep the width of the file,
/// because a test set is large; the wider integers only ever hold labels and
/// share one representation.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayData {
    /// `uint8` and `bool`.
    U8(Vec<u8>),
    /// `int8`.
    I8(Vec<i8>),
    /// `float16`.
    F16(Vec<f16>),
    /// `float32`.
    F32(Vec<f32>),
    /// `float64`.
    F64(Vec<f64>),
    /// Every integer wider than 8 bits; `uint64` values above `i64::MAX` saturate.
    I64(Vec<i64>),
}

impl ArrayData {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            ArrayData::U8(v) => v.len(),
            ArrayData::I8(v) => v.len(),
            ArrayData::F16(v) => v.len(),
            ArrayData::F32(v) => v.len(),
            ArrayData::F64(v) => v.len(),
            ArrayData::I64(v) => v.len(),
        }
    }

    /// True if there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends `other`; false, and nothing appended, if the types differ.
    pub(super) fn append(&mut self, other: ArrayData) -> bool {
        match (self, other) {
            (ArrayData::U8(a), ArrayData::U8(b)) => a.extend(b),
            (ArrayData::I8(a), ArrayData::I8(b)) => a.extend(b),
            (ArrayData::F16(a), ArrayData::F16(b)) => a.extend(b),
            (ArrayData::F32(a), ArrayData::F32(b)) => a.extend(b),
            (ArrayData::F64(a), ArrayData::F64(b)) => a.extend(b),
            (ArrayData::I64(a), ArrayData::I64(b)) => a.extend(b),
            _ => return false,
        }
        true
    }

    /// Element `index` as f64, exact for all but integers beyond 2^53.
    pub(super) fn get_f64(&self, index: usize) -> f64 {
        match self {
            ArrayData::U8(v) => f64::from(v[index]),
            ArrayData::I8(v) => f64::from(v[index]),
            ArrayData::F16(v) => v[index].to_f64(),
            ArrayData::F32(v) => f64::from(v[index]),
            ArrayData::F64(v) => v[index],
            ArrayData::I64(v) => v[index] as f64,
        }
    }
}

/// One array of a sample file.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Name inside the `.npz`; `None` for a bare `.npy`.
    pub name: Option<String>,
    /// Element type in the file.
    pub dtype: DType,
    /// All axes, the sample axis first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements in C order.
    pub data: ArrayData,
}

impl Array {
    /// The name for messages: `x`, or `(unnamed)` for a bare `.npy`.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or("(unnamed)")
    }

    /// Reads one `.npy` stream to its end. `path` is for messages only.
    ///
    /// # Errors
    /// [`SampleError::BadArray`] if the header is malformed or the payload is
    /// longer or shorter than it says, [`SampleError::UnsupportedDtype`] if the
    /// elements are not plain numbers.
    pub fn read_npy(mut reader: impl Read, name: Option<String>, path: &Path) -> Result<Array, SampleError> {
        let label = name.clone().unwrap_or_else(|| "(unnamed)".to_owned());
        let bad =
            |detail: String| SampleError::BadArray { path: path.to_owned(), array: label.clone(), detail };
        let header = Header::from_reader(&mut reader).map_err(|e| bad(header_detail(e)))?;
        let descr = header.type_descriptor.as_string();
        let Some((dtype, big_endian)) = descr.and_then(|d| DType::parse(d)) else {
            return Err(SampleError::UnsupportedDtype {
                path: path.to_owned(),
                array: label.clone(),
                descr: header.type_descriptor.to_string(),
            });
        };
        let expected_bytes = header
            .shape
            .iter()
            .try_fold(dtype.size_bytes(), |n, &axis| n.checked_mul(axis))
            .ok_or_else(|| bad(format!("shape {:?} overflows", header.shape)))?;
        let mut bytes = Vec::new();
        reader
            .take((expected_bytes as u64).saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| bad(e.to_string()))?;
        if bytes.len() != expected_bytes {
            let found = match bytes.len() > expected_bytes {
                true => "more".to_owned(),
                false => format!("{} B", bytes.len()),
            };
            return Err(bad(format!(
                "shape {:?} of {dtype} needs {expected_bytes} B, the file holds {found}",
                header.shape
            )));
        }
        let mut data = decode(dtype, big_endian, bytes);
        if header.layout.is_fortran() && header.shape.len() > 1 {
            data = to_c_order(data, &header.shape);
        }
        Ok(Array { name, dtype, shape: header.shape, data })
    }
}

/// One line for a malformed header; the parser's own report draws a picture.
fn header_detail(error: ReadHeaderError) -> String {
    match error {
        ReadHeaderError::Io(e) => format!("its header cannot be read ({e})"),
        ReadHeaderError::Parse(ParseHeaderError::DictParse(_)) => {
            "its header is not a dictionary of descr, fortran_order and shape".to_owned()
        }
        ReadHeaderError::Parse(e) => format!("its header cannot be read ({e})"),
    }
}

fn decode(dtype: DType, big_endian: bool, bytes: Vec<u8>) -> ArrayData {
    macro_rules! words {
        ($t:ty) => {
            words(&bytes, big_endian, <$t>::from_le_bytes, <$t>::from_be_bytes)
        };
    }
    match dtype {
        DType::Bool | DType::U8 => ArrayData::U8(bytes),
        DType::I8 => ArrayData::I8(bytes.into_iter().map(u8::cast_signed).collect()),
        DType::F16 => ArrayData::F16(words!(f16).collect()),
        DType::F32 => ArrayData::F32(words!(f32).collect()),
        DType::F64 => ArrayData::F64(words!(f64).collect()),
        DType::U16 => ArrayData::I64(words!(u16).map(i64::from).collect()),
        DType::I16 => ArrayData::I64(words!(i16).map(i64::from).collect()),
        DType::U32 => ArrayData::I64(words!(u32).map(i64::from).collect()),
        DType::I32 => ArrayData::I64(words!(i32).map(i64::from).collect()),
        DType::I64 => ArrayData::I64(words!(i64).collect()),
        DType::U64 => ArrayData::I64(words!(u64).map(|v| i64::try_from(v).unwrap_or(i64::MAX)).collect()),
    }
}

/// The elements of `N` bytes each.
fn words<const N: usize, T>(
    bytes: &[u8],
    big_endian: bool,
    little: fn([u8; N]) -> T,
    big: fn([u8; N]) -> T,
) -> impl Iterator<Item = T> {
    let convert = if big_endian { big } else { little };
    bytes.as_chunks::<N>().0.iter().map(move |&b| convert(b))
}

fn to_c_order(data: ArrayData, shape: &[usize]) -> ArrayData {
    fn reorder<T: Clone>(data: Vec<T>, shape: &[usize]) -> Vec<T> {
        ArrayD::from_shape_vec(IxDyn(shape).f(), data)
            .expect("tinyc bug: the payload was checked against the shape")
            .iter()
            .cloned()
            .collect()
    }
    match data {
        ArrayData::U8(v) => ArrayData::U8(reorder(v, shape)),
        ArrayData::I8(v) => ArrayData::I8(reorder(v, shape)),
        ArrayData::F16(v) => ArrayData::F16(reorder(v, shape)),
        ArrayData::F32(v) => ArrayData::F32(reorder(v, shape)),
        ArrayData::F64(v) => ArrayData::F64(reorder(v, shape)),
        ArrayData::I64(v) => ArrayData::I64(reorder(v, shape)),
    }
}
