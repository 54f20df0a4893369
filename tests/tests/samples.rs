//! Sample files in, model inputs out: what a user's .npz becomes, and what a
//! wrong one says. Files are written here byte by byte, by numpy's format
//! description, so that the reader is not tested by a writer of its own.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray_npy::{NpzWriter, WriteNpyError, WriteNpyExt};
use tinyc::samples::{
    InputQuant, InputSpec, Preprocess, SampleError, SampleFile, Samples, ShapeHint, find_beside, sha256_hex,
    smooth_bytes,
};

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

#[test]
fn every_sample_type_becomes_the_same_float() {
    // 1, -2, 0.5 and 65504 in half precision: IEEE 754 bit patterns.
    let half = [0x3c00u16, 0xc000, 0x3800, 0x7bff];
    let little: Vec<u8> = half.iter().flat_map(|h| h.to_le_bytes()).collect();
    let big: Vec<u8> = half.iter().flat_map(|h| h.to_be_bytes()).collect();
    let f32_big: Vec<u8> = [1.5f32, -2.0, 0.0, 3.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    let cases = [
        (u8s(&[2, 2], [0, 1, 128, 255]), [0.0, 1.0, 128.0, 255.0]),
        (i8s(&[2, 2], &[-128, -1, 0, 127]), [-128.0, -1.0, 0.0, 127.0]),
        (npy_raw("'<f2'", false, &[2, 2], &little), [1.0, -2.0, 0.5, 65504.0]),
        (npy_raw("'>f2'", false, &[2, 2], &big), [1.0, -2.0, 0.5, 65504.0]),
        (f32s(&[2, 2], &[0.1, -2.0, 0.0, 3.0]), [0.1, -2.0, 0.0, 3.0]),
        (npy_raw("'>f4'", false, &[2, 2], &f32_big), [1.5, -2.0, 0.0, 3.0]),
    ];
    for (array, expected) in cases {
        let samples = bind_npz(&[("x", array)], &[1, 2]).unwrap();
        assert_eq!(samples.len(), 2);
        assert_eq!(samples.sample(0, 0).shape(), [1, 2]);
        assert_eq!(values(&samples, 0), expected[..2]);
        assert_eq!(values(&samples, 1), expected[2..]);
    }
}

#[test]
fn fortran_order_is_put_in_c_order() {
    // x[n][h][w] = 100 n + 10 h + w, written with the first axis running fastest.
    let mut payload = Vec::new();
    for w in 0..4 {
        for h in 0..3 {
            for n in 0..2 {
                payload.push(100 * n + 10 * h + w);
            }
        }
    }
    let array = npy_raw("'|u1'", true, &[2, 3, 4], &payload);
    let samples = bind_npz(&[("x", array)], &[1, 1, 3, 4]).unwrap();
    let expected: Vec<f32> = (0..3).flat_map(|h| (0..4).map(move |w| (100 + 10 * h + w) as f32)).collect();
    assert_eq!(values(&samples, 1), expected);
}

#[test]
fn one_input_takes_its_name_then_x_then_the_only_array() {
    let pick = |arrays: &[(&str, Npy)]| values(&bind_npz(arrays, &[1]).unwrap(), 0)[0];
    let one = |v| u8s(&[1, 1], [v]);
    assert_eq!(pick(&[("x", one(1)), ("image", one(2))]), 2.0);
    assert_eq!(pick(&[("other", one(3)), ("x", one(1)), ("y", one(0))]), 1.0);
    assert_eq!(pick(&[("arr_0", one(4))]), 4.0);
    assert_eq!(pick(&[("y", one(0)), ("source", one(0)), ("images", one(5))]), 5.0);
    let folder = Folder::new();
    let bare = folder.file("a.npy", &one(6).0);
    let samples = bind(&bare, &[spec("image", &[1])], &Preprocess::None).unwrap();
    assert_eq!(values(&samples, 0), [6.0]);
}

#[test]
fn several_inputs_are_matched_by_name() {
    let folder = Folder::new();
    let specs = [spec("left", &[1, 2]), spec("right", &[1, 1])];
    let left = u8s(&[2, 2], [1, 2, 3, 4]);
    let path = folder.npz("a.npz", &[("right", i8s(&[2, 1], &[-5, -6])), ("left", left.clone())]);
    let samples = bind(&path, &specs, &Preprocess::None).unwrap();
    assert_eq!(samples.sample(1, 0).as_slice().unwrap(), [3.0, 4.0]);
    assert_eq!(samples.sample(1, 1).as_slice().unwrap(), [-6.0]);

    let path = folder.npz("b.npz", &[("x", left.clone()), ("left", left.clone())]);
    let error = bind(&path, &specs, &Preprocess::None).unwrap_err();
    assert_says(&error, &["`right`", "`x`, `left`", "expected `left`, `right`"]);

    let path = folder.npz("c.npz", &[("right", u8s(&[3, 1], [1, 2, 3])), ("left", left)]);
    let error = bind(&path, &specs, &Preprocess::None).unwrap_err();
    assert_says(&error, &["`right` has 3 samples", "`left` has 2"]);
}

#[test]
fn a_wrong_array_name_lists_what_is_there_and_suggests() {
    let a = || u8s(&[1, 1], [0]);
    let error = bind_npz(&[("imaeg", a()), ("mask", a()), ("y", a())], &[1]).unwrap_err();
    assert_says(
        &error,
        &[
            "model input `image`",
            "it has `imaeg`, `mask`, `y`",
            "expected `image`, `x`",
            "did you mean to rename `imaeg`?",
        ],
    );
}

#[test]
fn unit_axes_may_come_and_go() {
    for (array, input) in [
        (vec![2, 4, 3], vec![1, 1, 4, 3]),
        (vec![2, 4, 3, 1], vec![1, 1, 4, 3]),
        (vec![2, 1, 4, 3], vec![4, 3]),
        (vec![2, 12], vec![1, 12]),
        (vec![2], vec![1, 1]),
    ] {
        let n = array.iter().product::<usize>() as u8;
        let samples = bind_npz(&[("x", u8s(&array, 0..n))], &input).unwrap();
        assert_eq!(samples.sample(1, 0).shape(), input);
        let expected: Vec<f32> = (n / 2..n).map(f32::from).collect();
        assert_eq!(values(&samples, 1), expected);
    }
}

#[test]
fn a_wrong_shape_says_what_probably_happened() {
    let layout = |transpose: &[usize]| ShapeHint::Layout { transpose: transpose.to_vec() };
    for (array, input, expected) in [
        (vec![2, 8, 6, 3], vec![1, 3, 8, 6], layout(&[0, 3, 1, 2])),
        (vec![2, 3, 8, 6], vec![1, 8, 6, 3], layout(&[0, 2, 3, 1])),
        (vec![2, 7, 5], vec![1, 5, 7], layout(&[0, 2, 1])),
        (vec![2, 1, 7, 5], vec![1, 5, 7], layout(&[0, 3, 2, 1])),
        (vec![2, 3, 6, 8], vec![1, 3, 8, 6], ShapeHint::Order),
        (vec![3, 8, 6], vec![1, 3, 8, 6], ShapeHint::NoSampleAxis),
        (vec![2, 144], vec![1, 3, 8, 6], ShapeHint::Reshape),
        (vec![2, 3, 8, 7], vec![1, 3, 8, 6], ShapeHint::None),
        (vec![], vec![1, 3], ShapeHint::None),
    ] {
        let n = array.iter().product();
        let error = bind_npz(&[("x", u8s(&array, vec![0; n]))], &input).unwrap_err();
        assert_says(&error, &["`x`", "`image`", &format!("{array:?}"), &format!("{input:?}")]);
        match error {
            SampleError::Shape { hint, .. } => assert_eq!(*hint, expected, "{array:?}"),
            other => panic!("{other}"),
        }
    }
    let error = bind_npz(&[("x", u8s(&[1, 8, 6, 3], vec![0; 144]))], &[1, 3, 8, 6]).unwrap_err();
    assert_says(&error, &["x.transpose(0, 3, 1, 2)"]);
}

#[test]
fn wrong_element_types_are_refused_by_name() {
    for (descr, bytes, name) in
        [("'<f8'", 8, "float64"), ("'<i8'", 8, "int64"), ("'<u2'", 2, "uint16"), ("'|b1'", 1, "bool")]
    {
        let array = npy_raw(descr, false, &[1, 1], &vec![0; bytes]);
        let error = bind_npz(&[("x", array)], &[1]).unwrap_err();
        assert_says(&error, &["`x`", "`image`", name, "float32"]);
    }
    for descr in ["'|O'", "'<U3'", "'<c8'", "[('a', '<f4')]"] {
        let error = bind_npz(&[("x", npy_raw(descr, false, &[1], &[]))], &[1]).unwrap_err();
        assert_says(&error, &["`x`", "a.npz", "plain number"]);
    }
}

#[test]
fn nan_and_infinity_name_the_sample() {
    for (bad, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let array = f32s(&[3, 2], &[0.0, 0.0, 0.0, 0.0, 0.0, bad]);
        let error = bind_npz(&[("x", array)], &[2]).unwrap_err();
        assert_says(&error, &["sample 2", "`x`", name]);
    }
    // 0x7e00 is a quiet NaN in half precision.
    let array = npy_raw("'<f2'", false, &[1, 1], &0x7e00u16.to_le_bytes());
    let error = bind_npz(&[("x", array)], &[1]).unwrap_err();
    assert_says(&error, &["sample 0", "NaN"]);
}

#[test]
fn no_samples_is_an_error() {
    let error = bind_npz(&[("x", u8s(&[0, 2], []))], &[2]).unwrap_err();
    assert_says(&error, &["`x`", "no sample"]);
}

#[test]
fn damaged_files_are_errors() {
    let folder = Folder::new();
    let good = folder.npz("good.npz", &[("x", u8s(&[400, 3], (0..1200).map(|i| i as u8)))]);
    let bytes = fs::read(good).unwrap();
    let open = |name: &str, bytes: &[u8]| SampleFile::open(folder.file(name, bytes)).unwrap_err();

    assert_says(&open("empty.npz", b""), &["empty.npz", "0 bytes"]);
    assert_says(&open("model.npz", b"\x08\x07onnx"), &["neither .npz nor .npy"]);
    assert_says(&open("cut.npz", &bytes[..bytes.len() / 2]), &["cut.npz", ".npz"]);
    // One flipped payload byte of an uncompressed archive: its checksum tells.
    let stored = folder.file("stored.npz", b"");
    let mut writer = NpzWriter::new(File::create(&stored).unwrap());
    writer.add_array("x", &u8s(&[3], [77, 88, 99])).unwrap();
    writer.finish().unwrap();
    assert_eq!(SampleFile::open(&stored).unwrap().names(), ["x"]);
    let mut flipped = fs::read(stored).unwrap();
    let at = flipped.windows(3).position(|w| w == [77, 88, 99]).unwrap();
    flipped[at] ^= 1;
    assert_says(&open("flipped.npz", &flipped), &["`x`", "flipped.npz", "damaged", "checksum"]);
    // Every truncation and each single damaged header byte ends in an error or
    // in an array, never in a panic.
    let npy = u8s(&[2, 2], [1, 2, 3, 4]).0;
    for len in 1..npy.len() {
        assert_says(&open("t.npy", &npy[..len]), &["t.npy"]);
    }
    for at in 0..npy.len() {
        let mut damaged = npy.clone();
        damaged[at] ^= 0x15;
        let _ = SampleFile::open(folder.file("d.npy", &damaged));
    }

    let short = u8s(&[3, 2], [1, 2, 3, 4]).0;
    assert_says(&open("s.npy", &short), &["[3, 2]", "needs 6 B", "4 B"]);
    let long = u8s(&[1, 2], [1, 2, 3, 4]).0;
    assert_says(&open("l.npy", &long), &["needs 2 B", "more"]);
    let huge = npy_raw("'<f4'", false, &[1 << 40, 1 << 10], &[0; 4]).0;
    assert_says(&open("h.npy", &huge), &["damaged"]);
    let overflow = npy_raw("'<f4'", false, &[usize::MAX, 2], &[0; 4]).0;
    assert_says(&open("o.npy", &overflow), &["overflows"]);

    let nothing = folder.npz("nothing.npz", &[]);
    assert_says(&SampleFile::open(nothing).unwrap_err(), &["no .npy array"]);
    let absent = folder.path("absent.npz");
    assert_says(&SampleFile::open(absent).unwrap_err(), &["absent.npz"]);
}

#[test]
fn a_folder_is_concatenated_in_the_order_of_names() {
    let folder = Folder::new();
    folder.file("npy/b.npy", &u8s(&[1, 2], [5, 6]).0);
    folder.file("npy/a.npy", &u8s(&[2, 2], [1, 2, 3, 4]).0);
    folder.file("npy/README.md", b"ignored");
    let input = [spec("image", &[1, 2])];
    let samples = bind(&folder.path("npy"), &input, &Preprocess::None).unwrap();
    assert_eq!(samples.len(), 3);
    assert_eq!(values(&samples, 0), [1.0, 2.0]);
    assert_eq!(values(&samples, 2), [5.0, 6.0]);

    for (name, x, y) in [("npz/1.npz", 7, 0), ("npz/2.npz", 8, 1)] {
        let scale = f32s(&[], &[0.5]);
        folder.npz(name, &[("scale", scale), ("y", u8s(&[1], [y])), ("x", u8s(&[1, 2], [x, x]))]);
    }
    let samples = bind(&folder.path("npz"), &input, &Preprocess::None).unwrap();
    assert_eq!(values(&samples, 1), [8.0, 8.0]);
    assert_eq!(samples.sample_labels().unwrap(), [0, 1]);
}

#[test]
fn folders_that_do_not_fit_together_are_errors() {
    let folder = Folder::new();
    let open = |name: &str| SampleFile::open(folder.path(name)).unwrap_err();
    let x = || u8s(&[1, 2], [1, 2]);

    fs::create_dir(folder.path("none")).unwrap();
    assert_says(&open("none"), &["holds no .npy and no .npz"]);

    folder.file("mixed/a.npy", &x().0);
    folder.npz("mixed/b.npz", &[("x", x())]);
    assert_says(&open("mixed"), &["both .npy and .npz"]);

    folder.file("shape/a.npy", &x().0);
    folder.file("shape/b.npy", &u8s(&[1, 3], [1, 2, 3]).0);
    assert_says(&open("shape"), &["b.npy", "[1, 3]", "[1, 2]"]);

    folder.file("dtype/a.npy", &x().0);
    folder.file("dtype/b.npy", &i8s(&[1, 2], &[1, 2]).0);
    assert_says(&open("dtype"), &["b.npy", "int8", "uint8"]);

    folder.npz("names/a.npz", &[("x", x()), ("y", x())]);
    folder.npz("names/b.npz", &[("x", x())]);
    assert_says(&open("names"), &["b.npz", "no array `y`"]);

    folder.npz("new/a.npz", &[("x", x())]);
    folder.npz("new/b.npz", &[("x", x()), ("y", x())]);
    assert_says(&open("new"), &["b.npz", "`y` is new"]);

    for name in ["groups/a.npz", "groups/b.npz"] {
        folder.npz(name, &[("x", x()), ("source", u8s(&[1], [0]))]);
    }
    assert_says(&open("groups"), &["`source`", "one .npz"]);
}

#[test]
fn mean_and_std_per_channel_follow_the_channel_axis() {
    let pre = Preprocess::from_options(Some("10, 20,30"), Some("2,4,8"), false).unwrap();
    let folder = Folder::new();
    let pixels: Vec<u8> = vec![12, 28, 22, 8, 16, 38];
    // Channel last: pixels (12, 28, 22) and (8, 16, 38).
    let last = folder.npz("last.npz", &[("x", u8s(&[1, 1, 2, 3], pixels.clone()))]);
    let samples = bind(&last, &[spec("i", &[1, 1, 2, 3])], &pre).unwrap();
    assert_eq!(values(&samples, 0), [1.0, 2.0, -1.0, -1.0, -1.0, 1.0]);
    assert_eq!(samples.pixels(0, 0).unwrap(), pixels);
    // Channel first: planes (12, 28), (22, 8), (16, 38).
    let first = folder.npz("first.npz", &[("x", u8s(&[1, 3, 1, 2], pixels))]);
    let samples = bind(&first, &[spec("i", &[1, 3, 1, 2])], &pre).unwrap();
    assert_eq!(values(&samples, 0), [1.0, 9.0, 0.5, -3.0, -1.75, 1.0]);
    assert_eq!(
        *samples.preprocess(0),
        Preprocess::MeanStd { mean: vec![10.0, 20.0, 30.0], std: vec![2.0, 4.0, 8.0], channel_axis: Some(1) }
    );
}

#[test]
fn a_channel_axis_that_is_unclear_must_be_named() {
    let with_axis =
        |channel_axis| Preprocess::MeanStd { mean: vec![0.0, 100.0], std: vec![1.0, 1.0], channel_axis };
    let folder = Folder::new();
    let path = folder.npz("a.npz", &[("x", u8s(&[1, 2, 2], [1, 2, 3, 4]))]);
    let input = [spec("i", &[1, 2, 2])];
    let error = bind(&path, &input, &with_axis(None)).unwrap_err();
    assert_says(&error, &["`i`", "[1, 2]", "which one holds the channels"]);
    let samples = bind(&path, &input, &with_axis(Some(1))).unwrap();
    assert_eq!(values(&samples, 0), [1.0, 2.0, -97.0, -96.0]);
    let samples = bind(&path, &input, &with_axis(Some(2))).unwrap();
    assert_eq!(values(&samples, 0), [1.0, -98.0, 3.0, -96.0]);
    for axis in [0, 3] {
        let error = bind(&path, &input, &with_axis(Some(axis))).unwrap_err();
        assert_says(&error, &[&format!("at axis {axis}")]);
    }
}

#[test]
fn scalar_mean_and_std_serve_every_element() {
    let folder = Folder::new();
    let path = folder.npz("a.npz", &[("x", i8s(&[1, 3], &[83, -128, 127]))]);
    let pre = Preprocess::from_options(Some("83"), Some("1.7102690"), false).unwrap();
    let samples = bind(&path, &[spec("i", &[1, 3])], &pre).unwrap();
    // -211 / 1.710269 and 44 / 1.710269, by hand.
    for (given, expected) in values(&samples, 0).iter().zip([0.0, -123.37241, 25.72695]) {
        assert!((given - expected).abs() < 2e-5, "{given} {expected}");
    }
    let only_std = Preprocess::from_options(None, Some("4"), false).unwrap();
    let samples = bind(&path, &[spec("i", &[1, 3])], &only_std).unwrap();
    assert_eq!(values(&samples, 0), [20.75, -32.0, 31.75]);
    let only_mean = Preprocess::from_options(Some("3"), None, false).unwrap();
    let samples = bind(&path, &[spec("i", &[1, 3])], &only_mean).unwrap();
    assert_eq!(values(&samples, 0), [80.0, -131.0, 124.0]);
}

#[test]
fn bad_means_and_deviations_are_errors() {
    let parse = |mean, std| Preprocess::from_options(mean, std, false).unwrap_err();
    assert_says(&parse(Some("1,two"), None), &["--mean", "`1,two`", "`two`"]);
    assert_says(&parse(Some("1,"), None), &["--mean", "``"]);
    assert_says(&parse(None, Some("nan")), &["--std", "`nan`"]);
    assert_says(&parse(None, Some("1e39")), &["--std", "`1e39`"]);
    assert_says(&parse(None, Some("1,0,1")), &["std 0 of channel 1"]);
    assert_says(&parse(None, Some("-1")), &["std -1 of channel 0"]);
    assert_says(&parse(Some("1,2,3"), Some("1,2")), &["3 means but 2"]);
    let both = Preprocess::from_options(Some("1"), None, true).unwrap_err();
    assert_says(&both, &["--codes excludes"]);

    let folder = Folder::new();
    let path = folder.npz("a.npz", &[("x", f32s(&[1, 2], &[1.0, 2e38]))]);
    let bind = |pre: &Preprocess| bind(&path, &[spec("i", &[1, 2])], pre).unwrap_err();
    let three = Preprocess::from_options(Some("1,2,3"), None, false).unwrap();
    assert_says(&bind(&three), &["3 means", "`i`", "[1, 2]"]);
    let tiny = Preprocess::from_options(None, Some("0.1"), false).unwrap();
    assert_says(&bind(&tiny), &["overflow", "--std"]);
    // A recorded preprocessing is checked as well.
    let recorded = Preprocess::MeanStd { mean: vec![0.0], std: vec![0.0], channel_axis: None };
    assert_says(&bind(&recorded), &["std 0"]);
}

#[test]
fn codes_pass_through_and_unsigned_codes_lose_128() {
    let codes = Preprocess::from_options(None, None, true).unwrap();
    let input = InputSpec { quant: Some(InputQuant { scale: 0.5, zero_point: -3 }), ..spec("i", &[1, 4]) };
    let folder = Folder::new();
    for array in [i8s(&[1, 4], &[-128, -3, 0, 127]), u8s(&[1, 4], [0, 125, 128, 255])] {
        let path = folder.npz("a.npz", &[("x", array)]);
        let samples = bind(&path, std::slice::from_ref(&input), &codes).unwrap();
        assert_eq!(samples.codes(0, 0).unwrap(), [-128, -3, 0, 127]);
        assert_eq!(values(&samples, 0), [-62.5, 0.0, 1.5, 65.0]);
        let plain = bind(&path, &[spec("i", &[1, 4])], &Preprocess::None).unwrap();
        assert_eq!(plain.codes(0, 0), None);
        let error = bind(&path, &[spec("i", &[1, 4])], &codes).unwrap_err();
        assert_says(&error, &["--codes", "`i`", "--mean"]);
    }
    let path = folder.npz("f.npz", &[("x", f32s(&[1, 4], &[0.0; 4]))]);
    let error = bind(&path, &[input], &codes).unwrap_err();
    assert_says(&error, &["float32", "int8 or uint8", "--codes"]);
}

#[test]
fn preprocessing_survives_its_record() {
    for (pre, text) in [
        (Preprocess::None, r#"{"kind":"none"}"#),
        (Preprocess::Codes, r#"{"kind":"codes"}"#),
        (
            Preprocess::from_options(Some("125.3"), Some("63"), false).unwrap(),
            r#"{"kind":"mean-std","mean":[125.3],"std":[63.0]}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&pre).unwrap(), text);
        assert_eq!(serde_json::from_str::<Preprocess>(text).unwrap(), pre);
    }
}

#[test]
fn labels_are_checked_when_asked_for() {
    let x = || u8s(&[3, 1], [1, 2, 3]);
    let with_y = |y: Npy| bind_npz(&[("x", x()), ("y", y)], &[1]).unwrap();
    let labels = with_y(u8s(&[3], [4, 0, 9])).sample_labels();
    assert_eq!(labels.unwrap(), [4, 0, 9]);
    let i64s: Vec<u8> = [7i64, 1, 2].iter().flat_map(|v| v.to_le_bytes()).collect();
    let column = npy_raw("'<i8'", false, &[3, 1], &i64s);
    assert_eq!(with_y(column).sample_labels().unwrap(), [7, 1, 2]);
    let f64s: Vec<u8> = [0f64, 1., 2.].iter().flat_map(|v| v.to_le_bytes()).collect();
    let reals = npy_raw("'<f8'", false, &[3], &f64s);
    assert_eq!(with_y(reals).sample_labels().unwrap(), [0, 1, 2]);

    let error = |y: Npy| with_y(y).sample_labels().unwrap_err();
    assert_says(&error(u8s(&[2], [0, 1])), &["`y` has 2", "expected 3", "sample"]);
    assert_says(&error(u8s(&[4], [0; 4])), &["`y` has 4", "expected 3"]);
    assert_says(&error(i8s(&[3], &[0, 1, -1])), &["element 2", "-1"]);
    assert_says(&error(f32s(&[3], &[0.0, 0.5, 1.0])), &["element 1", "0.5"]);
    assert_says(&error(u8s(&[3, 2], [0; 6])), &["[3, 2]", "argmax(1)"]);
    let unlabelled = bind_npz(&[("x", x())], &[1]).unwrap();
    assert!(!unlabelled.has_labels());
    assert_says(&unlabelled.sample_labels().unwrap_err(), &["no array `y`"]);
}

#[test]
fn group_labels_join_source_and_y() {
    let x = || u8s(&[3, 1], [1, 2, 3]);
    let u16s: Vec<u8> = [0u16, 1, 1].iter().flat_map(|v| v.to_le_bytes()).collect();
    let source = || npy_raw("'<u2'", false, &[3], &u16s);
    let with = |arrays: &[(&str, Npy)]| bind_npz(arrays, &[1]).unwrap().group_labels();

    let groups = with(&[("x", x()), ("source", source()), ("y", u8s(&[2], [0, 1]))]).unwrap();
    assert_eq!((groups.source, groups.labels), (vec![0, 1, 1], vec![0, 1]));
    let groups = with(&[("x", x()), ("y", u8s(&[3], [0, 1, 0]))]).unwrap();
    assert_eq!((groups.source, groups.labels), (vec![0, 1, 2], vec![0, 1, 0]));
    let error = with(&[("x", x()), ("source", source()), ("y", u8s(&[1], [0]))]).unwrap_err();
    assert_says(&error, &["`y` has 1", "expected 2", "group of `source`"]);
    let short = u8s(&[2], [0, 1]);
    let error = with(&[("x", x()), ("source", short.clone()), ("y", short)]).unwrap_err();
    assert_says(&error, &["`source` has 2", "expected 3"]);
}

#[test]
fn calibration_data_is_found_beside_the_model() {
    let folder = Folder::new();
    let model = folder.path("m.v2.onnx");
    assert_eq!(find_beside(&model), None);
    let calib = folder.file("m.v2.calib.npz", b"");
    assert_eq!(find_beside(&model), Some(calib));
}

#[test]
fn hashes_are_those_of_sha256sum() {
    let folder = Folder::new();
    // FIPS 180-4's example of one block.
    let file = folder.file("d/a.npy", b"abc");
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256_hex(file).unwrap(), abc);
    // A folder's hash changes with any content and with any name.
    let hash = || sha256_hex(folder.path("d")).unwrap();
    let before = hash();
    folder.file("d/notes.txt", b"no sample file");
    assert_eq!(hash(), before);
    folder.file("d/a.npy", b"abd");
    let changed = hash();
    fs::rename(folder.path("d/a.npy"), folder.path("d/b.npy")).unwrap();
    let renamed = hash();
    assert!(before != changed && changed != renamed && before != renamed);
}

/// The ChaCha8 keystream by the definition of RFC 8439's block function with
/// eight rounds, a 64-bit counter and a 64-bit stream number.
fn chacha8(seed: u64, stream: u64, len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for counter in 0u64.. {
        let mut s = [0u32; 16];
        s[..4].copy_from_slice(&[0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
        (s[4], s[5]) = (seed as u32, (seed >> 32) as u32);
        (s[12], s[13]) = (counter as u32, (counter >> 32) as u32);
        (s[14], s[15]) = (stream as u32, (stream >> 32) as u32);
        let start = s;
        for round in 0..8 {
            for i in 0..4 {
                let shift = round % 2;
                let [a, b, c, d] = [0, 1, 2, 3].map(|r| 4 * r + (i + r * shift) % 4);
                for (x, y, z, bits) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
                    s[x] = s[x].wrapping_add(s[y]);
                    s[z] = (s[z] ^ s[x]).rotate_left(bits);
                }
            }
        }
        for (word, start) in s.iter().zip(start) {
            out.extend(word.wrapping_add(start).to_le_bytes());
        }
        if out.len() >= len {
            out.truncate(len);
            break;
        }
    }
    out
}

#[test]
fn synthetic_fields_are_multilinear_between_keystream_bytes() {
    let (height, width) = (10, 7);
    let (rows, columns) = (4, 3);
    let (seed, stream) = (0x0123_4567_89ab_cdef, 5 << 32 | 2);
    let lattice = chacha8(seed, stream, rows * columns);
    let at = |r: usize, c: usize| f64::from(lattice[r * columns + c]);
    let mut expected = Vec::new();
    for h in 0..height {
        for w in 0..width {
            let (r, c) = (h / 4, w / 4);
            let (v, u) = ((h % 4) as f64 / 4.0, (w % 4) as f64 / 4.0);
            let top = at(r, c) * (1.0 - u) + at(r, c + 1) * u;
            let bottom = at(r + 1, c) * (1.0 - u) + at(r + 1, c + 1) * u;
            expected.push((top * (1.0 - v) + bottom * v + 0.5).floor() as u8);
        }
    }
    assert_eq!(smooth_bytes(&[1, height, width], seed, stream), expected);
}

#[test]
fn synthetic_samples_are_seeded_and_independent_of_their_number() {
    let specs = [spec("a", &[1, 3, 16, 16]), spec("b", &[1, 16])];
    let make = |len, seed| Samples::synthetic(&specs, &Preprocess::None, len, seed).unwrap();
    let (few, many, other) = (make(2, 1), make(8, 1), make(8, 2));
    assert_eq!((few.len(), many.len()), (2, 8));
    for input in 0..2 {
        for i in 0..2 {
            assert_eq!(few.sample(i, input), many.sample(i, input));
            assert_ne!(few.sample(i, input), other.sample(i, input));
        }
        assert_ne!(many.sample(0, input), many.sample(1, input));
    }
    let all: Vec<f32> = (0..8).flat_map(|i| values(&many, i)).collect();
    assert!(all.iter().all(|v| (0.0..1.0).contains(v)));
    assert!(all.iter().any(|v| *v < 0.05) && all.iter().any(|v| *v > 0.95));
    // Smooth: neighbours in a row differ by at most a quarter of the range, plus
    // the rounding of two bytes.
    for row in all.chunks(16) {
        assert!(row.windows(2).all(|p| (p[0] - p[1]).abs() <= 0.2501));
    }
    assert!(Samples::synthetic(&specs, &Preprocess::None, 0, 1).is_err());
}

#[test]
fn synthetic_samples_go_through_the_preprocessing() {
    let pre = Preprocess::from_options(Some("128"), Some("64"), false).unwrap();
    let specs = [spec("a", &[1, 64])];
    let samples = Samples::synthetic(&specs, &pre, 4, 0).unwrap();
    let pixels = samples.pixels(3, 0).unwrap().to_vec();
    let expected: Vec<f32> = pixels.iter().map(|&p| (f32::from(p) - 128.0) / 64.0).collect();
    assert_eq!(values(&samples, 3), expected);

    let quantized =
        [InputSpec { quant: Some(InputQuant { scale: 1.0, zero_point: 0 }), ..spec("a", &[1, 64]) }];
    let codes = Samples::synthetic(&quantized, &Preprocess::Codes, 4, 0).unwrap();
    let expected: Vec<i8> = pixels.iter().map(|&p| (i16::from(p) - 128) as i8).collect();
    assert_eq!(codes.codes(3, 0).unwrap(), expected);
}
