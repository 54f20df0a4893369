//! `tinyc analyze`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{fixture, tinyc, tinyc_in};

fn layers(report: &Value) -> &Vec<Value> {
    report["layers"].as_array().expect("a list")
}

/// The field of the layer that runs kernels and has this name.
#[track_caller]
fn field<'a>(report: &'a Value, name: &str, field: &str) -> &'a Value {
    let layer = layers(report).iter().find(|layer| layer["name"] == name && !layer["kernel"].is_null());
    &layer.unwrap_or_else(|| panic!("no layer {name}"))[field]
}

#[test]
fn digits_layer_by_layer() {
    let report = tinyc(&["analyze", &fixture("digits/model.onnx"), "--json"]).json();
    let cases = [
        // Name, op, MACs, parameters, weights, output, live: input + output, less what
        // the output may overlap. Row by row the output leads what is still read by
        // (y + 1) output rows less (y - 1), or 2 y for the pooling, input rows at most:
        // conv1 8 * 64 - 6 * 8, pooling 1 * 32, conv2 4 * 64 - 2 * 32.
        ("/conv1/Conv", "conv", 4_608, 80, 72 + 8 * 8, 512, 64 + 464),
        ("/pool/MaxPool", "max_pool", 0, 0, 0, 128, 512 + 32),
        ("/conv2/Conv", "conv", 18_432, 1_168, 1_152 + 16 * 8, 256, 128 + 192),
        ("/fc1/Gemm", "dense", 8_192, 8_224, 8_192 + 32 * 8, 32, 256 + 32),
        ("/fc2/Gemm", "dense", 320, 330, 320 + 10 * 8, 10, 32 + 10),
        ("/softmax/Softmax", "softmax", 0, 0, 2 * 16 * 4, 10, 20),
    ];
    for (name, op, macs, parameters, weights, output, live) in cases {
        assert_eq!(field(&report, name, "op"), &json!(op), "{name}");
        assert_eq!(field(&report, name, "macs"), &json!(macs), "{name}");
        assert_eq!(field(&report, name, "parameters"), &json!(parameters), "{name}");
        assert_eq!(field(&report, name, "weights_bytes"), &json!(weights), "{name}");
        assert_eq!(field(&report, name, "activation_bytes"), &json!(output), "{name}");
        // The softmax may take its operand's very bytes.
        if op != "softmax" {
            assert_eq!(field(&report, name, "live_bytes"), &json!(live), "{name}");
        }
        let sqnr = field(&report, name, "sqnr_db").as_f64();
        assert!(sqnr.is_some_and(|db| db > 25.0), "{name}: {sqnr:?}");
    }
    assert_eq!(field(&report, "/conv2/Conv", "input_shapes"), &json!([[1, 4, 4, 8]]));
    assert_eq!(field(&report, "/conv2/Conv", "output_shape"), &json!([1, 4, 4, 16]));
    assert_eq!(field(&report, "/conv2/Conv", "fused"), &json!(["/relu2/Relu"]));
    let imbalance = field(&report, "/fc1/Gemm", "channel_imbalance").as_f64();
    assert!(imbalance.is_some_and(|ratio| ratio >= 1.0), "{imbalance:?}");
}

#[test]
fn digits_totals_by_hand() {
    let report = tinyc(&["analyze", &fixture("digits/model.onnx"), "--json"]).json();
    let totals = &report["totals"];
    assert_eq!(totals["macs"], json!(31_552));
    assert_eq!(totals["parameters"], json!(9_802));
    assert_eq!(totals["float32_bytes"], json!(39_208));
    assert_eq!(totals["weights_bytes"], json!(10_400));
    assert_eq!(totals["peak_activation_bytes"], json!(512 + 32));
    assert_eq!(totals["peak_working_memory_bytes"], json!(10_400 + 512 + 32));
    // Reads and writes of every ONNX node: Conv, Relu, MaxPool, Conv, Relu, Gemm,
    // Relu, Gemm, Softmax; the Flatten moves nothing.
    let before = [64 + 512, 512 + 512, 512 + 128, 128 + 256, 256 + 256, 256 + 32, 32 + 32, 32 + 10, 10 + 10];
    let constants = [136, 256, 0, 1_280, 256, 8_448, 256, 400, 128];
    let (activations, weights): (i32, i32) = (before.iter().sum(), constants.iter().sum());
    assert_eq!(totals["traffic_before_fusion"]["activation_bytes"], json!(activations));
    assert_eq!(totals["traffic_before_fusion"]["weights_bytes"], json!(weights));
    // Without the three Relus, which are fused.
    let relus = 512 + 512 + 256 + 256 + 32 + 32 + 3 * 256;
    let after = activations + weights - relus;
    assert_eq!(totals["traffic_after_fusion"]["total_bytes"], json!(after));
    let close = |field: &str, expected: f64| {
        let value = totals[field].as_f64().expect("a number");
        assert!((value - expected).abs() < 1e-12, "{field}: {value}");
    };
    close("macs_per_byte", 31_552.0 / f64::from(after));
    close("traffic_saved", f64::from(relus) / f64::from(activations + weights));
    close("compression_ratio", 39_208.0 / 10_400.0);
    // Six calls: two convolutions, pooling, two dense layers, softmax.
    let kernels: BTreeSet<&str> =
        layers(&report).iter().filter_map(|layer| layer["kernel"].as_str()).collect();
    close("operator_reuse_ratio", 6.0 / kernels.len() as f64);
}

#[test]
fn a_target_adds_the_verdict_and_a_model_that_does_not_fit_is_no_error() {
    let model = fixture("digits/model.onnx");
    let without = tinyc(&["analyze", &model, "--json"]).json();
    assert_eq!(without["fits"], json!(null));
    let args = ["analyze", &model, "--target", "stm32f411", "--budget-ram", "576", "--json"];
    let over = tinyc(&args).json();
    assert_eq!(over["target"], json!("stm32f411"));
    assert_eq!(over["fits"], json!(false));
    let text = tinyc(&["analyze", &model, "--target", "stm32f411", "--budget-ram", "576"]).ok();
    assert!(text.contains("32 B over 576 B"), "{text}");
}

#[test]
fn the_table_shows_the_layers_and_the_totals() {
    let text = tinyc(&["analyze", &fixture("residual/model.onnx")]).ok();
    for part in ["add", "average_pool", "MACs", "peak working memory", "memory traffic", "channel imbalance"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn synthetic_inputs_give_no_error_figures() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(fixture("digits/model.onnx"), folder.path().join("lonely.onnx")).expect("copied");
    let report = tinyc_in(folder.path(), &["analyze", "lonely.onnx", "--json"]).json();
    assert!(layers(&report).iter().all(|layer| layer["sqnr_db"].is_null()));
    assert_eq!(report["totals"]["macs"], json!(31_552));
}
