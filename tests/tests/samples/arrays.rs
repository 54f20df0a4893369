//! Arrays in, the samples of a model input out: element types, names, shapes,
//! values that cannot be fed.

use tinyc::samples::{Preprocess, SampleError, ShapeHint};

use super::{Folder, Npy, assert_says, bind, bind_npz, f32s, i8s, npy_raw, spec, u8s, values};

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
fn one_input_takes_its_name_then_x_then_an_array_that_nobody_named() {
    let pick = |arrays: &[(&str, Npy)]| values(&bind_npz(arrays, &[1]).unwrap(), 0)[0];
    let one = |v| u8s(&[1, 1], [v]);
    assert_eq!(pick(&[("x", one(1)), ("image", one(2))]), 2.0);
    assert_eq!(pick(&[("other", one(3)), ("x", one(1)), ("y", one(0))]), 1.0);
    assert_eq!(pick(&[("arr_0", one(4))]), 4.0);
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
    // An array of another name is not taken, though it is the only one: it may
    // belong to another model.
    for arrays in [&[("pixels", a())][..], &[("y", a()), ("source", a()), ("pixels", a())]] {
        let error = bind_npz(arrays, &[1]).unwrap_err();
        assert_says(&error, &["`pixels`", "expected `image`, `x`", "did you mean to rename `pixels`?"]);
    }
    let error = bind_npz(&[("arr_0", a()), ("arr_1", a())], &[1]).unwrap_err();
    assert_says(&error, &["it has `arr_0`, `arr_1`", "expected `image`, `x`"]);
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
