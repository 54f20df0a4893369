//! Bad input: one clear error that says where, which limit and what to do; exit
//! code 1; an earlier build stays as it was.

use std::path::Path;

use super::{files, fixture, text, tinyc};

/// An earlier build that no failure may touch.
struct Earlier {
    folder: tempfile::TempDir,
}

impl Earlier {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out");
        tinyc(&["build", &fixture("digits/model.onnx"), "--target", "stm32f411", "-o", text(&out)]).ok();
        Self { folder }
    }

    fn out(&self) -> std::path::PathBuf {
        self.folder.path().join("out")
    }

    /// Builds over the earlier build with arguments that must fail, with a message
    /// that holds all of `expected`.
    #[track_caller]
    fn refuses(&self, args: &[&str], expected: &[&str]) {
        let before = files(self.folder.path());
        let out = self.out();
        let mut all = vec!["build", "--target", "stm32f411", "-o", text(&out)];
        all.extend(args);
        let error = tinyc(&all).error();
        for part in expected {
            assert!(error.contains(part), "{args:?}: no {part:?} in {error}");
        }
        assert!(files(self.folder.path()) == before, "{args:?} changed the folder");
    }
}

#[test]
fn models() {
    let earlier = Earlier::new();
    let cases: &[(&str, &[&str])] = &[
        ("truncated.onnx", &["truncated.onnx", "cut short", "export it again"]),
        ("empty.onnx", &["empty.onnx", "0 bytes", "export"]),
        ("not_onnx.bin", &["not_onnx.bin", "not an ONNX model"]),
        (
            "unknown_op.onnx",
            &[
                "pair_sum",
                "Einsum",
                "running_sum",
                "CumSum",
                "vendor_node",
                "TotallyUnknown",
                "supported-ops",
            ],
        ),
        ("unsupported_attr.onnx", &["conv_3d", "gemm_trans_a", "transA", "2 of the model's nodes"]),
        ("dynamic_dim.onnx", &["'input'", "height", "fixed shape"]),
        ("missing_external.onnx", &["'weight'", "missing_weights.bin", "beside the model"]),
        ("nan_weights.onnx", &["'weight'", "element 4", "NaN"]),
        ("inf_weights.onnx", &["'weight'", "element 4", "inf"]),
        ("no_such_file.onnx", &["no_such_file.onnx"]),
    ];
    for (file, expected) in cases {
        earlier.refuses(&[&fixture(&format!("bad/{file}"))], expected);
    }
}

#[test]
fn calibration_data() {
    let earlier = Earlier::new();
    let model = fixture("digits/model.onnx");
    let cases: &[(&str, &[&str])] = &[
        ("zero_range", &["'input'", "zero in every calibration sample"]),
        ("wrong_name", &["model input `input`", "it has `image`", "expected `input`, `x`"]),
        ("wrong_shape", &["input", "[1, 1, 8, 8]", "[8, 1, 7, 8]"]),
        ("wrong_dtype", &["input", "<c8", "uint8"]),
        ("text_dtype", &["input", "<U5", "uint8"]),
        ("no_samples", &["input", "no sample"]),
        ("nan_sample", &["sample 3", "input", "NaN"]),
        ("truncated", &["truncated.calib.npz", "not a readable .npz"]),
    ];
    for (file, expected) in cases {
        earlier.refuses(&[&model, "--calib", &fixture(&format!("bad/{file}.calib.npz"))], expected);
    }
    // Of several inputs, each needs an array of its name.
    let two_inputs = fixture("multi_io/model.onnx");
    earlier.refuses(
        &[&two_inputs, "--calib", &fixture("bad/wrong_name.calib.npz")],
        &["model input `features`", "expected"],
    );
    earlier.refuses(&[&model, "--calib", "no_such_file.npz"], &["no_such_file.npz"]);
    // A quantization of another model.
    let quant = earlier.out().join("model.quant.toml");
    let other = fixture("residual/model.onnx");
    earlier.refuses(
        &[&other, "--quant", text(&quant)],
        &["made for a model with SHA-256", "calibrate again with --calib"],
    );
}

#[test]
fn over_budget() {
    let earlier = Earlier::new();
    let model = fixture("digits/model.onnx");
    // With a pair of pixels at a time the arena takes 608 bytes at the second convolution;
    // the weights 10,024.
    let ram =
        ["arena 608 B, stm32f411 offers 607 B (of 131,072): peak at /conv2/Conv", "raise --budget-ram,"];
    earlier.refuses(&[&model, "--budget-ram", "607"], &ram);
    let what_there_is = [
        "the smallest arena found, row by row and with whole tensors, is 608 B",
        "RAM regions of stm32f411: sram 131,072 B (for the arena)",
    ];
    earlier.refuses(&[&model, "--budget-ram", "607"], &what_there_is);
    earlier.refuses(&[&model, "--budget-ram", "607", "--ram-strategy", "min"], &what_there_is);
    // Whole tensors take 2,016 bytes, row by row 1,024.
    let residual = fixture("residual/model.onnx");
    let fast = ["arena 2,016 B", "a plan with an arena of 1,024 B fits: leave --ram-strategy out"];
    earlier.refuses(&[&residual, "--budget-ram", "1_024", "--ram-strategy", "fast"], &fast);
    let flash = ["weights 10,024 B", "stm32f411 offers 11,000 B (of 524,288)", "raise --budget-flash,"];
    earlier.refuses(&[&model, "--budget-flash", "11_000"], &flash);
    // Half a percent of 131,072 is 655.36.
    let out = earlier.out();
    tinyc(&["build", "--target", "stm32f411", "-o", text(&out), &model, "--budget-ram", "0.5%"]).ok();
}

#[test]
fn a_model_too_large_for_a_chip_names_one_that_fits() {
    let folder = tempfile::tempdir().expect("a folder");
    // A chip with 512 bytes of RAM.
    let description = std::fs::read_to_string(fixture("../targets/stm32f411.toml")).expect("a target");
    let tiny = description
        .replace("length_bytes = 131_072", "length_bytes = 512")
        .replace("\"stm32f411\"", "\"tiny\"");
    let path = folder.path().join("tiny.toml");
    std::fs::write(&path, tiny).expect("written");
    let model = fixture("digits/model.onnx");
    let error =
        tinyc(&["build", &model, "--target", text(&path), "-o", text(&folder.path().join("out"))]).error();
    assert!(error.contains("arena 608 B, tiny offers 409 B (80 % of 512): peak at /conv2/Conv"), "{error}");
    let name = error.split("--target ").nth(1).and_then(|rest| rest.split(';').next()).expect("a suggestion");
    let out = folder.path().join("suggested");
    tinyc(&["build", &model, "--target", name, "-o", text(&out)]).ok();
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_model_that_fits_no_way_names_the_regions() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, out) = (fixture("residual/model.onnx"), folder.path().join("out"));
    let chip = |dtcm: usize, sram: usize| {
        let description = std::fs::read_to_string(fixture("../targets/stm32f746.toml")).expect("a target");
        let toml = description
            .replace("length_bytes = 65_536", &format!("length_bytes = {dtcm}"))
            .replace("length_bytes = 262_144", &format!("length_bytes = {sram}"))
            .replace("name = \"stm32f746\"", "name = \"halved\"");
        let path = folder.path().join("halved.toml");
        std::fs::write(&path, toml).expect("written");
        text(&path).to_owned()
    };
    let build = |target: &str, options: &[&str]| {
        tinyc(&[&["build", &model, "--target", target, "-o", text(&out)][..], options].concat())
    };
    // Row by row 1,024 bytes are needed; 80 % of two times 900 hold them, of one do not.
    let target = chip(900, 900);
    let printed = build(&target, &[]).ok();
    assert!(printed.contains("regions   dtcm ") && printed.contains(" B of 720 B with "), "{printed}");
    assert!(
        printed.contains("let mut model = residual::Model::new(..); // its parts: README.md"),
        "{printed}"
    );
    let readme = std::fs::read_to_string(out.join("README.md")).expect("a crate");
    assert!(readme.contains("#[unsafe(link_section = \".dtcm\")]"), "{readme}");
    let json = build(&target, &["--json"]).ok();
    assert!(json.contains("\"arena_region\": null") && json.contains("\"activation_bytes\""), "{json}");
    let error = build(&target, &["--ram-regions", "one"]).error();
    assert!(error.contains("arena 1,024 B, halved offers 720 B (80 % of 900)"), "{error}");
    assert!(!error.contains("divided"), "{error}");
    // Bytes are those of all regions together.
    let error = build(&target, &["--budget-ram", "1000"]).error();
    assert!(
        error.contains(
            "divided over dtcm 900 B + sram 900 B it does not fit either: 1,024 B live at one moment"
        ),
        "{error}"
    );
    let error = build(&chip(300, 400), &[]).error();
    let regions = "RAM regions of halved: sram 400 B (for the arena), dtcm 300 B, itcm 16,384 B";
    assert!(error.contains(regions), "{error}");
    assert!(error.contains("divided over dtcm 240 B + sram 320 B it does not fit either"), "{error}");
    let both = [&model[..], "--ram-regions", "split"];
    let several =
        tinyc(&[&["build", &fixture("digits/model.onnx"), "--target", &target][..], &both].concat()).error();
    assert!(several.contains("--ram-regions split is for one model"), "{several}");
}

#[test]
fn an_unknown_target_suggests_the_nearest() {
    let model = fixture("digits/model.onnx");
    let error = tinyc(&["build", &model, "--target", "stm32f412"]).error();
    assert!(error.contains("stm32f412") && error.contains("did you mean stm32f411"), "{error}");
}

#[test]
fn names_that_cargo_refuses_suggest_one_that_works() {
    let error =
        tinyc(&["build", &fixture("digits/model.onnx"), "--target", "stm32f411", "--name", "3d net"]).error();
    assert!(error.contains("'3d net'") && error.contains("--name model_3d_net"), "{error}");
}

#[test]
fn folders_that_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = fixture("digits/model.onnx");
    let refused = |out: &Path, expected: &str| {
        let before = files(folder.path());
        let error = tinyc(&["build", &model, "--target", "stm32f411", "-o", text(out)]).error();
        assert!(error.contains(expected), "{error}");
        assert!(files(folder.path()) == before, "the folder changed");
    };
    // Below a file there can be no folder.
    std::fs::write(folder.path().join("file"), "kept").expect("written");
    refused(&folder.path().join("file/out"), "cannot write");
    // Somebody's own work is not replaced.
    let own = folder.path().join("own");
    std::fs::create_dir(&own).expect("made");
    std::fs::write(own.join("thesis.tex"), "years").expect("written");
    refused(&own, "was not written by tinyc");
}

#[test]
fn inputs_that_cannot_be_pushed() {
    let earlier = Earlier::new();
    let two = fixture("multi_io/model.onnx");
    let parts = ["2 inputs, 'image', 'features'", "build without --input rows"];
    earlier.refuses(&[&two, "--input", "rows"], &parts);
}

#[test]
fn windows_that_cannot_slide() {
    let earlier = Earlier::new();
    let two = fixture("multi_io/model.onnx");
    let parts = ["2 inputs, 'image', 'features'", "build without --input frames"];
    earlier.refuses(&[&two, "--input", "frames"], &parts);
    let stride = fixture("depthwise/model.onnx");
    let parts = ["stem/Conv2D' (Conv)", "does not divide --hop 1", "use --hop 2"];
    earlier.refuses(&[&stride, "--input", "frames"], &parts);
    earlier.refuses(&[&stride, "--input", "frames", "--hop", "16"], &["--hop 16", "16 rows of input"]);
    earlier.refuses(&[&stride, "--hop", "2"], &["give --input frames"]);
}
