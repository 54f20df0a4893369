//! Inputs that lie channels last: the same network without the copy that turns them.

use std::path::{Path, PathBuf};

use ndarray::Array4;
use tinyc::codegen::CrateFiles;
use tinyc::compile::{CompileOptions, Compiled, Silent, compile};
use tinyc::emit::emit;
use tinyc::ir::{InputLayouts, Layout};
use tinyc::ops::Op;
use tinyc::samples::Preprocess;
use tinyc::target::Target;
use tinyc::verify::reference;
use tinyc::verify::simulate::Simulator;
use tinyc::verify::validate::{ValidateOptions, validate_compiled};
use tinyc_tests::onnx::{ModelBuilder, random};

const SAMPLES: usize = 6;

/// Pixels of three channels into ten classes.
fn model(folder: &Path) -> PathBuf {
    let builder = ModelBuilder::new("camera")
        .input("scene", &[1, 3, 8, 6])
        .weight("w", &[4, 3, 3, 3])
        .weight("b", &[4])
        .op("Conv")
        .attr_ints("pads", &[1, 1, 1, 1])
        .op("Relu")
        .op("Flatten")
        .weight("classes", &[10, 4 * 8 * 6])
        .weight("classes_bias", &[10])
        .op("Gemm")
        .attr_int("transB", 1)
        .output(&[1, 10]);
    let path = folder.join("camera.onnx");
    std::fs::write(&path, builder.to_bytes()).unwrap();
    path
}

/// Pixels as the model file wants them, `[N, C, H, W]`.
fn pixels(folder: &Path) -> PathBuf {
    let data = random("pixels", SAMPLES * 3 * 8 * 6, 0.0, 256.0);
    let data = data.into_iter().map(|x| x as u8).collect();
    let path = folder.join("pixels.npy");
    ndarray_npy::write_npy(&path, &Array4::from_shape_vec([SAMPLES, 3, 8, 6], data).unwrap()).unwrap();
    path
}

fn options(folder: &Path, layout: &[&str]) -> CompileOptions {
    let given: Vec<String> = layout.iter().map(|&text| text.to_owned()).collect();
    CompileOptions {
        calib: Some(pixels(folder)),
        preprocess: Preprocess::from_options(Some("100,120,140"), Some("50,60,70"), false).unwrap(),
        layouts: InputLayouts::from_options(&given).unwrap(),
        ..CompileOptions::default()
    }
}

fn compiled(folder: &Path, layout: &[&str]) -> Compiled {
    compile(&model(folder), &options(folder, layout), &Silent, &mut |_, _| {}).unwrap()
}

fn files(compiled: &Compiled) -> CrateFiles {
    emit(compiled, &Target::lookup("stm32f411").unwrap(), "camera").unwrap()
}

fn transposes(compiled: &Compiled) -> usize {
    let graph = &compiled.module.graph;
    graph.order().iter().filter(|&&node| matches!(graph.node(node).op, Op::Transpose(_))).count()
}

#[test]
fn the_copy_goes_and_the_bytes_stay() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = compiled(folder.path(), &[]);
    let last = compiled(folder.path(), &["channels-last"]);
    assert_eq!((transposes(&onnx), transposes(&last)), (1, 0));
    assert_eq!(last.plan.inputs[0].shape.0, [1, 8, 6, 3]);
    assert_eq!(
        (onnx.plan.inputs[0].layout, last.plan.inputs[0].layout),
        (Layout::Onnx, Layout::ChannelsLast)
    );
    assert!(last.module.notes.is_empty(), "{:?}", last.module.notes);
    // The input of 144 bytes is there once.
    assert!(last.plan.arena_bytes < onnx.plan.arena_bytes);
    let planes: Vec<i8> = (0..3 * 8 * 6).map(|i| (i * 37 % 256) as u8 as i8).collect();
    let mixed: Vec<i8> = (0..8 * 6 * 3).map(|i| planes[i % 3 * 48 + i / 3]).collect();
    let expected = reference::run(&onnx.module, &reference::inputs(&onnx.module, &[&planes]));
    let expected = &expected[&onnx.module.graph.outputs[0]].codes;
    assert_eq!(&Simulator::new(&last.plan).run(&[&mixed])[0], expected);
    let found = reference::run(&last.module, &reference::inputs(&last.module, &[&mixed]));
    assert_eq!(&found[&last.module.graph.outputs[0]].codes, expected);
    // Samples stay in the order of the model file: the same scales, and the crate on the
    // host agrees with the reference and the float model on them.
    assert_eq!(last.quant_file.params("scene"), onnx.quant_file.params("scene"));
    let mut validate = ValidateOptions::new(Target::lookup("stm32f411").unwrap(), &pixels(folder.path()));
    validate.host.work_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners");
    validate.firmware.work_dir = validate.host.work_dir.clone();
    let report = validate_compiled(&last, &validate, &Silent).unwrap();
    assert!(report.identical, "{report}");
    let quality = last.quality[0].diff.sqnr.db().unwrap().0;
    assert!(quality > 25.0, "{quality} dB");
}

#[test]
fn the_crate_says_how_its_input_lies() {
    let folder = tempfile::tempdir().unwrap();
    let emitted = files(&compiled(folder.path(), &["channels-last"]));
    let text = |files: &CrateFiles, path: &str| String::from_utf8(files.0[path].clone()).unwrap();
    let code = text(&emitted, "src/lib.rs");
    assert!(code.contains("pub const SHAPE: [usize; 4] = [1, 8, 6, 3];"), "{code}");
    assert!(code.contains("channels last"), "{code}");
    // Pixel by pixel, three channels each: their means take turns byte by byte.
    assert!(code.contains("const RUN: usize = 1;"), "{code}");
    assert!(text(&emitted, "README.md").contains("`[1, 8, 6, 3]` (channels last)"));
    let planes = text(&files(&compiled(folder.path(), &[])), "src/lib.rs");
    assert!(planes.contains("const RUN: usize = 48;") && !planes.contains("channels last"), "{planes}");
}

#[test]
fn a_recorded_quantization_carries_the_layout() {
    let folder = tempfile::tempdir().unwrap();
    let emitted = files(&compiled(folder.path(), &["scene=channels-last"]));
    let recorded = folder.path().join("model.quant.toml");
    std::fs::write(&recorded, &emitted.0["model.quant.toml"]).unwrap();
    let options = CompileOptions { quant: Some(recorded), ..CompileOptions::default() };
    let again = compile(&model(folder.path()), &options, &Silent, &mut |_, _| {}).unwrap();
    assert_eq!(again.plan.inputs[0].layout, Layout::ChannelsLast);
    assert_eq!(files(&again).0, emitted.0);
}

#[test]
fn a_layout_that_the_model_cannot_have_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = |layout: &str| {
        let options = options(folder.path(), &[layout]);
        compile(&model(folder.path()), &options, &Silent, &mut |_, _| {}).unwrap_err().to_string()
    };
    let unknown = error("scenes=channels-last");
    assert!(unknown.contains("'scenes'") && unknown.contains("it has: scene"), "{unknown}");
    let given = InputLayouts::from_options(&["nhwc".to_owned()]).unwrap_err();
    assert!(given.contains("'nhwc'") && given.contains("channels-last"), "{given}");
    let flat = ModelBuilder::new("flat").input("x", &[1, 12]).op("Relu").output(&[1, 12]);
    let path = folder.path().join("flat.onnx");
    std::fs::write(&path, flat.to_bytes()).unwrap();
    let options = CompileOptions {
        layouts: InputLayouts::from_options(&["channels-last".to_owned()]).unwrap(),
        ..CompileOptions::default()
    };
    let error = compile(&path, &options, &Silent, &mut |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("'x'") && error.contains("[1, 12]") && error.contains("[N, C, H, W]"), "{error}");
}

#[test]
fn a_layout_that_does_not_help_is_noted() {
    // The model turns its input itself: it works on what the file says.
    let folder = tempfile::tempdir().unwrap();
    let builder = ModelBuilder::new("turned")
        .input("x", &[1, 4, 6, 3])
        .op("Transpose")
        .attr_ints("perm", &[0, 3, 1, 2])
        .weight("w", &[4, 3, 3, 3])
        .op("Conv")
        .op("GlobalAveragePool")
        .output(&[1, 4, 1, 1]);
    let path = folder.path().join("turned.onnx");
    std::fs::write(&path, builder.to_bytes()).unwrap();
    let options = CompileOptions {
        layouts: InputLayouts::from_options(&["channels-last".to_owned()]).unwrap(),
        ..CompileOptions::default()
    };
    let compiled = compile(&path, &options, &Silent, &mut |_, _| {}).unwrap();
    let [note] = &compiled.module.notes[..] else { panic!("{:?}", compiled.module.notes) };
    assert!(note.contains("'x'") && note.contains("72 bytes"), "{note}");
}
