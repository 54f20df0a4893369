//! What can be wrong with sample data. Every message names the array or option,
//! what was found, what was expected and what to do about it.

use std::fmt;
use std::path::PathBuf;

use super::npy::DType;

/// Why samples could not be read or fed to the model.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The file system refused.
    #[error("cannot read samples from {}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file has no bytes.
    #[error("{} is empty (0 bytes): write the samples with numpy.savez", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// Neither `.npz` nor `.npy`, going by the first bytes.
    #[error(
        "{} is neither .npz nor .npy (by its first bytes): write it with numpy.savez or numpy.save",
        path.display()
    )]
    NotNumpy {
        /// The file.
        path: PathBuf,
    },
    /// The `.npz` archive is damaged or holds no array.
    #[error("{} is not a readable .npz: {detail}; write it again", path.display())]
    BadArchive {
        /// The file.
        path: PathBuf,
        /// What the archive reader said.
        detail: String,
    },
    /// One array of the file is damaged.
    #[error("array `{array}` of {} is damaged: {detail}; write the file again", path.display())]
    BadArray {
        /// The file.
        path: PathBuf,
        /// The array.
        array: String,
        /// What is wrong.
        detail: String,
    },
    /// The elements are not plain numbers.
    #[error(
        "array `{array}` of {} has the element type {descr}, which is not a plain number: \
         save samples as uint8, int8, float16 or float32",
        path.display()
    )]
    UnsupportedDtype {
        /// The file.
        path: PathBuf,
        /// The array.
        array: String,
        /// numpy's type descriptor.
        descr: String,
    },
    /// A folder without sample files.
    #[error("{} holds no .npy and no .npz file", path.display())]
    NoFiles {
        /// The folder.
        path: PathBuf,
    },
    /// A folder with both kinds of file.
    #[error(
        "{} holds both .npy and .npz files: keep one kind, since their samples are concatenated",
        path.display()
    )]
    MixedDirectory {
        /// The folder.
        path: PathBuf,
    },
    /// A file of a folder does not continue the files before it.
    #[error(
        "{} does not continue the files before it: {detail}; all files of a folder need the same \
         arrays, element types and sizes after the first axis",
        path.display()
    )]
    DirectoryMismatch {
        /// The file that differs.
        path: PathBuf,
        /// How it differs.
        detail: String,
    },
    /// `source` in a folder of several files.
    #[error(
        "{} holds several files with a `source` array: group numbers of different files cannot be \
         joined; save one .npz",
        path.display()
    )]
    GroupsInDirectory {
        /// The folder.
        path: PathBuf,
    },
    /// No array for an input of the model.
    #[error(
        "{} holds no array for the model input `{input}`: it has {}; expected {}{}",
        path.display(), Names(present), Names(expected), Suggestion(suggestion)
    )]
    MissingArray {
        /// The file.
        path: PathBuf,
        /// The input without data.
        input: String,
        /// Arrays of the file.
        present: Vec<String>,
        /// Names that would be accepted.
        expected: Vec<String>,
        /// The array that was probably meant.
        suggestion: Option<Box<str>>,
    },
    /// Element type that cannot be fed to the model.
    #[error("array `{array}` for input `{input}` is {given}: expected {expected}")]
    Dtype {
        /// The array.
        array: String,
        /// The model input.
        input: String,
        /// Its element type.
        given: DType,
        /// Accepted element types and how to convert.
        expected: &'static str,
    },
    /// Sizes after the first axis differ from the model's input.
    #[error(
        "array `{array}` has shape {given:?}, first axis = sample, but input `{input}` takes \
         {expected:?} a sample{hint}"
    )]
    Shape {
        /// The array.
        array: String,
        /// The model input.
        input: String,
        /// Shape of the array, sample axis first.
        given: Vec<usize>,
        /// Shape of the model input.
        expected: Vec<usize>,
        /// What probably happened.
        hint: Box<ShapeHint>,
    },
    /// The arrays of two inputs hold different numbers of samples.
    #[error(
        "input `{input}` has {given} samples and `{first_input}` has {expected}: every input needs \
         the same number of samples"
    )]
    SampleCount {
        /// The input that differs.
        input: String,
        /// Its number of samples.
        given: usize,
        /// The first input.
        first_input: String,
        /// The first input's number of samples.
        expected: usize,
    },
    /// The first axis has length 0.
    #[error("array `{array}` holds no sample (shape {shape:?}): give at least one")]
    NoSamples {
        /// The array.
        array: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// NaN or infinity among the samples.
    #[error("sample {sample} of array `{array}` holds {value}: remove or repair it")]
    NonFinite {
        /// The array.
        array: String,
        /// Index of the first such sample.
        sample: usize,
        /// `NaN`, `inf` or `-inf`.
        value: f64,
    },
    /// `(x - mean) / std` leaves the range of f32.
    #[error(
        "values up to {max_abs} of array `{array}` overflow float32 after (x - {mean}) / {std}: \
         check --mean and --std"
    )]
    Overflow {
        /// The array.
        array: String,
        /// Largest magnitude in the array.
        max_abs: f64,
        /// The channel's mean.
        mean: f32,
        /// The channel's standard deviation.
        std: f32,
    },
    /// A list of numbers on the command line does not parse.
    #[error("{option} `{given}`: `{part}` is not a finite number; write for example 125.3,123,113.9")]
    ParseList {
        /// `--mean` or `--std`.
        option: &'static str,
        /// The whole argument.
        given: String,
        /// The part that failed.
        part: String,
    },
    /// `--codes` together with `--mean` or `--std`.
    #[error("--codes excludes --mean and --std: codes are fed to the model as they are")]
    CodesWithMeanStd,
    /// `--codes` for an input without quantization.
    #[error(
        "--codes needs a quantized input, and `{input}` is float32: give --mean ZERO_POINT --std \
         1/SCALE instead, with the scale and zero point that made the codes"
    )]
    CodesWithoutQuantization {
        /// The model input.
        input: String,
    },
    /// A mean that is NaN or infinite.
    #[error("mean {value} of channel {channel} is not a finite number")]
    Mean {
        /// Position in the list.
        channel: usize,
        /// The value.
        value: f32,
    },
    /// A standard deviation that cannot divide.
    #[error("std {value} of channel {channel} must be positive and finite, since samples are divided by it")]
    Std {
        /// Position in the list.
        channel: usize,
        /// The value.
        value: f32,
    },
    /// `mean` and `std` lists of different lengths.
    #[error("{mean} means but {std} standard deviations: give one of each, or one per channel")]
    MeanStdLength {
        /// Number of means.
        mean: usize,
        /// Number of standard deviations.
        std: usize,
    },
    /// No axis, or not the chosen one, has as many channels as values were given.
    #[error(
        "{given} means or standard deviations, but input `{input}` of shape {shape:?} has no \
         channel axis of that size{}: give one value, or one per channel", Axis(*channel_axis)
    )]
    ChannelCount {
        /// The model input.
        input: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Length of the lists.
        given: usize,
        /// The axis that was asked for, if one was.
        channel_axis: Option<usize>,
    },
    /// Several axes could be the channels.
    #[error(
        "input `{input}` of shape {shape:?} has several axes of size {given} ({axes:?}): say which \
         one holds the channels"
    )]
    ChannelAxisAmbiguous {
        /// The model input.
        input: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Length of the lists.
        given: usize,
        /// The candidates, counted in `shape`.
        axes: Vec<usize>,
    },
    /// Labels are needed and the file has none.
    #[error("{} has no array `y`: the metric needs labels", path.display())]
    NoLabels {
        /// The file.
        path: PathBuf,
    },
    /// Labels or group numbers with more than one axis.
    #[error("array `{array}` has shape {shape:?}: expected one number each{}", OneHot(shape))]
    LabelShape {
        /// `y` or `source`.
        array: &'static str,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A label or group number that is not an integer from 0.
    #[error("element {index} of array `{array}` is {value}: expected an integer from 0")]
    LabelValue {
        /// `y` or `source`.
        array: &'static str,
        /// Position.
        index: usize,
        /// The value.
        value: f64,
    },
    /// Number of labels (or of group numbers) that does not fit the samples.
    #[error("array `{array}` has {given} elements, expected {expected}, one per {per}")]
    LabelCount {
        /// `y` or `source`.
        array: &'static str,
        /// Its length.
        given: usize,
        /// The length needed.
        expected: usize,
        /// What each element belongs to, for the message.
        per: &'static str,
    },
}

/// The probable reason of a wrong shape, printed after the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeHint {
    /// Nothing better to say than the shapes.
    None,
    /// Same sizes with the channels at the other end.
    Layout {
        /// Argument of `numpy.transpose` that repairs the array.
        transpose: Vec<usize>,
    },
    /// Same sizes in another order.
    Order,
    /// The array is a single sample.
    NoSampleAxis,
    /// Same number of elements a sample.
    Reshape,
}

impl fmt::Display for ShapeHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShapeHint::None => Ok(()),
            ShapeHint::Layout { transpose } => {
                let axes: Vec<_> = transpose.iter().map(usize::to_string).collect();
                write!(
                    f,
                    ": the channels are at the other end (N,H,W,C and N,C,H,W); \
                     save x.transpose({})",
                    axes.join(", ")
                )
            }
            ShapeHint::Order => f.write_str(": the sizes agree, their order does not; transpose"),
            ShapeHint::NoSampleAxis => f.write_str(": the array looks like a single sample; save x[None]"),
            ShapeHint::Reshape => {
                f.write_str(": the number of elements agrees; reshape if the order is the same")
            }
        }
    }
}

struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}`{name}`", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

struct Suggestion<'a>(&'a Option<Box<str>>);

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "; did you mean to rename `{name}`?"),
            None => Ok(()),
        }
    }
}

struct Axis(Option<usize>);

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(axis) => write!(f, " at axis {axis}"),
            None => Ok(()),
        }
    }
}

struct OneHot<'a>(&'a [usize]);

impl fmt::Display for OneHot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [_, classes] if *classes > 1 => f.write_str("; for one-hot labels save y.argmax(1)"),
            _ => Ok(()),
        }
    }
}
