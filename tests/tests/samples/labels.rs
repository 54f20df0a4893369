//! `y` and `source`: classes and groups, checked when they are asked for.

use super::{Npy, assert_says, bind_npz, f32s, i8s, npy_raw, u8s};

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
