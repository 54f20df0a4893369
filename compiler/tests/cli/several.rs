//! `tinyc build` with several models.

use serde_json::{Value, json};

use super::{files, fixture, text, tinyc, tinyc_in};

/// Builds digits and residual; `more` are further arguments.
fn pair(folder: &std::path::Path, more: &[&str]) -> super::Run {
    let (digits, residual) = (fixture("digits/model.onnx"), fixture("residual/model.onnx"));
    let common = ["build", &digits, &residual, "--target", "stm32f411", "-o", text(folder)];
    tinyc(&[&common, more].concat())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number"))
}

#[test]
fn two_models_share_an_arena_and_the_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("pair");
    let report = pair(&out, &["--json"]).json();
    let models = report["models"].as_array().expect("a list");
    assert_eq!(models.len(), 2);
    assert_eq!((&models[0]["name"], &models[1]["name"]), (&json!("digits"), &json!("residual")));
    assert_eq!(report["package"], json!("digits_residual"));
    // Each as alone.
    for (row, name) in models.iter().zip(["digits", "residual"]) {
        let (alone, model) = (folder.path().join(name), fixture(&format!("{name}/model.onnx")));
        let alone = tinyc(&["build", &model, "--target", "stm32f411", "-o", text(&alone), "--json"]).json();
        for field in ["model", "layers", "macs", "weights_bytes", "arena_bytes", "peak_step", "sqnr_db"] {
            assert_eq!(row[field], alone[field], "{name}: {field}");
        }
    }
    let each = |field: &str| models.iter().map(|row| number(&row[field])).collect::<Vec<_>>();
    assert_eq!(number(&report["arena_bytes"]), *each("arena_bytes").iter().max().expect("two"));
    assert_eq!(report["greatest"], json!("residual"));
    assert_eq!(number(&report["weights_bytes"]), each("weights_bytes").iter().sum::<u64>());
    // Both call conv_tile and dense_tile, whose code counts once.
    assert!(number(&report["code_bytes_estimate"]) < each("code_bytes_estimate").iter().sum::<u64>());
    assert_eq!(report["flash"]["limit_bytes"], json!(419_430));
    assert_eq!(report["ram"]["needed_bytes"], report["arena_bytes"]);
    assert_eq!(report["fits"], json!(true));

    let written = files(&out);
    let listed = report["files"].as_array().expect("a list");
    assert_eq!(listed.len(), written.len());
    assert_eq!(models[0]["files"].as_array().expect("a list").len(), 5, "its source, constants and samples");

    let summary = pair(&out, &[]).ok();
    for part in [
        "digits: ",
        "2 models together",
        "2,016 B arena, that of residual; within 104,857 B",
        "= weights 11,344 B + tables 496 B + code about ",
        "let mut residual = digits_residual::residual::Model::new(arena);",
    ] {
        assert!(summary.contains(part), "no {part:?} in {summary}");
    }
    assert!(files(&out) == written, "a second build gives the same bytes");
}

#[test]
fn options_are_for_all_models_or_for_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, again) = (folder.path().join("first"), folder.path().join("again"));
    let calib = format!("digits={}", fixture("digits/model.calib.npz"));
    let options = [
        "--no-softmax=digits",
        "--input",
        "residual=rows",
        "--method",
        "percentile",
        "--method",
        "residual=min-max",
        "--input-layout",
        "digits=channels-last",
        "--name",
        "pair",
        "--json",
    ];
    let report = pair(&first, &[&options[..], &["--calib", &calib]].concat()).json();
    let (digits, residual) = (&report["models"][0], &report["models"][1]);
    assert_eq!((&digits["layers"], &residual["input_rows"]["rows"]), (&json!(5), &json!(8)), "{report}");
    assert_eq!(digits["input_rows"], json!(null));
    assert_eq!(digits["input_layouts"], json!(["channels-last"]));
    assert_ne!(digits["scales"]["method"], residual["scales"]["method"]);
    assert_eq!(residual["scales"]["method"], json!("min-max"));

    // The same bytes from what was recorded, without the data.
    let quant =
        |name: &str| format!("{name}={}", text(&first.join("src").join(name).join("model.quant.toml")));
    let (a, b) = (quant("digits"), quant("residual"));
    pair(&again, &["--input", "residual=rows", "--name", "pair", "--quant", &a, "--quant", &b]).ok();
    assert!(files(&first) == files(&again), "the crates differ");
}

/// Of the two convolutions of a model.
fn kernels(report: &Value, model: usize) -> Vec<&str> {
    let choices = report["models"][model]["choices"].as_array().expect("a list");
    choices[..2].iter().map(|choice| choice["kernel"].as_str().expect("a name")).collect()
}

#[test]
fn flash_goes_to_the_models_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let model = fixture("residual/model.onnx");
    let (first, second) = (format!("first={model}"), format!("second={model}"));
    let build = |more: &[&str]| {
        let common = ["build", &first, &second, "--target", "stm32f411", "-o", text(&out), "--json"];
        tinyc(&[&common, more].concat()).json()
    };
    let fast = "conv_winograd F(4x4)";
    let free = build(&["--opt", "speed"]);
    assert_eq!((kernels(&free, 0), kernels(&free, 1)), (vec![fast; 2], vec![fast; 2]));
    // Less than that: the first has what the second does not find any more.
    let tight = (number(&free["flash"]["needed_bytes"]) - 6_000).to_string();
    let tight = build(&["--opt", "speed", "--budget-flash", &tight]);
    assert_eq!((kernels(&tight, 0), kernels(&tight, 1)), (vec![fast, "conv_tile"], vec!["conv_tile"; 2]));
    assert_eq!(tight["fits"], json!(true));
    // Only the second is asked for speed.
    let second = build(&["--opt", "second=speed"]);
    assert_eq!((kernels(&second, 0), kernels(&second, 1)), (vec!["conv_tile"; 2], vec![fast; 2]));
}

#[test]
fn little_ram_is_for_the_model_that_needs_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let build = |more: &[&str]| pair(&out, &[&["--json"], more].concat()).json();
    let (fast, min) = (build(&[]), build(&["--ram-strategy", "min"]));
    assert!(number(&min["arena_bytes"]) < number(&fast["arena_bytes"]));
    // Digits has its fastest plan within what residual needs anyway.
    assert_eq!(min["models"][0]["arena_bytes"], fast["models"][0]["arena_bytes"]);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    pair(&out, &[]).ok();
    let before = files(&out);
    let refused = |more: &[&str], expected: &[&str]| {
        let error = pair(&out, more).error();
        for part in expected {
            assert!(error.contains(part), "{more:?}: no {part:?} in {error}");
        }
        assert!(files(&out) == before, "{more:?} changed the folder");
    };
    // Alone 19,116 and 9,891 B, together 21,749 B: too large together, then one of them alone.
    refused(
        &["--budget-flash", "20500"],
        &[
            "do not fit stm32f411 together: 'residual' does not fit",
            "digits 10,416 B",
            "raise --budget-flash",
        ],
    );
    refused(&["--budget-flash", "19000"], &["'digits': the model does not fit", "19,000 B"]);
    refused(&["--budget-ram", "900"], &["'residual': the model does not fit", "RAM: arena"]);
    refused(&["--calib", "x.npz"], &["--calib x.npz: for which model?", "--calib digits=x.npz"]);
    refused(&["--calib", "digit=x.npz"], &["no model is called 'digit'; the models are digits, residual"]);
    refused(&["--calib", "digits=no.npz"], &["no.npz", "digits/model.onnx"]);
    refused(&["--opt", "size", "--opt", "speed"], &["--opt is given twice"]);
    refused(&["--mean", "digits=1", "--mean", "digits=2"], &["--mean is given twice for 'digits'"]);
    refused(&["--no-softmax=digit"], &["--no-softmax=digit: no model is called 'digit'"]);
    refused(
        &["--quant", "digits=a.toml", "--calib", "digits=b.npz"],
        &["--quant a.toml holds what --calib decides"],
    );
    refused(&[&fixture("bad/unknown_op.onnx")], &["unknown_op.onnx", "Einsum"]);
    // Two of one name.
    let model = fixture("digits/model.onnx");
    refused(&[&model], &["two models are called 'digits'", &format!("digits={model} digits_2={model}")]);
    let strange = format!("2nd net={model}");
    refused(&[&strange], &["'2nd net' cannot be the module of a model", "model_2nd_net"]);
}

#[test]
fn other_verbs_take_one_model() {
    let (a, b) = (fixture("digits/model.onnx"), fixture("residual/model.onnx"));
    let data = fixture("digits/test.npz");
    for verb in [&["validate", "--data", &data][..], &["bench"], &["analyze"]] {
        let error = tinyc(&[verb, &["--target", "stm32f411", &a, &b]].concat()).error();
        let expected = format!("tinyc {} takes one model, and there are 2", verb[0]);
        assert!(error.contains(&expected), "{error}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let build = ["build", &a, "--target", "stm32f411", "--no-softmax=digits"];
    let error = tinyc_in(folder.path(), &build).error();
    assert!(error.contains("--no-softmax=digits: there is one model; write --no-softmax"), "{error}");
    let name = format!("net={a}");
    let error = tinyc_in(folder.path(), &["build", &name, "--target", "stm32f411"]).error();
    assert!(error.contains(&format!("for one: {a} --name net")), "{error}");
    let build = ["build", &a, "--target", "stm32f411", "--calib", &data, "--calib", &data];
    let error = tinyc_in(folder.path(), &build).error();
    assert!(error.contains("--calib is given twice"), "{error}");
}
