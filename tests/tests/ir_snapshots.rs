//! What each pass makes of four models: snapshots of the IR's text form.
//!
//! One snapshot a model holds the graph after every pass that changed it, so that
//! a change of a pass shows as a diff that a person can read.

use std::path::PathBuf;

use tinyc::compile::{CompileOptions, Silent, compile};
use tinyc::ir::print::print;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name).join("model.onnx")
}

fn dumps(name: &str, options: &CompileOptions) -> String {
    let mut text = String::new();
    let mut last = String::new();
    compile(&fixture(name), options, &Silent, &mut |pass, module| {
        let now = print(&module.graph, &module.quant);
        if now == last {
            text.push_str(&format!("== {pass}: unchanged\n"));
        } else {
            text.push_str(&format!("== {pass}\n{now}"));
        }
        last = now;
    })
    .unwrap_or_else(|e| panic!("{name}: {e}"));
    text
}

#[test]
fn digits() {
    insta::assert_snapshot!(dumps("digits", &CompileOptions::default()));
}

#[test]
fn residual_block_with_batch_normalization() {
    insta::assert_snapshot!(dumps("residual", &CompileOptions::default()));
}

#[test]
fn depthwise_block_channel_last_input() {
    insta::assert_snapshot!(dumps("depthwise", &CompileOptions::default()));
}

#[test]
fn quantized_model_keeps_its_scales() {
    insta::assert_snapshot!(dumps("digits_qdq", &CompileOptions::default()));
}

#[test]
fn softmax_can_be_taken_off() {
    let options = CompileOptions { no_softmax: true, ..CompileOptions::default() };
    let text = dumps("digits", &options);
    let last = text.rsplit("== ").next().unwrap_or_default();
    assert!(!last.contains("softmax("), "{last}");
}
