//! Means, deviations and codes: what the model is fed, and what is refused.

use tinyc::samples::{InputQuant, InputSpec, Preprocess};

use super::{Folder, assert_says, bind, f32s, i8s, spec, u8s, values};

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
