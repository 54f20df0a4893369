//! Paths in, arrays out: damaged files, folders, the file beside a model, hashes.

use std::fs::{self, File};

use ndarray_npy::NpzWriter;
use tinyc::samples::{Preprocess, SampleFile, find_beside, sha256_hex};

use super::{Folder, assert_says, bind, f32s, i8s, npy_raw, spec, u8s, values};

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
