//! What the compiler makes of four fixtures: the IR after each pass, the plan, and
//! the emitted source on two targets, as snapshots that a person can read; and that
//! a second build, or one from `model.quant.toml`, gives the same bytes.
//!
//! The vendored runtime and the weights are left out: the former is tested text, the
//! latter is pinned by digests in the IR.

use std::path::PathBuf;

use tinyc::codegen::CrateFiles;
use tinyc::compile::{CompileOptions, Compiled, Silent, compile};
use tinyc::emit::emit;
use tinyc::ir::print::print;
use tinyc::target::Target;

const FIXTURES: [&str; 4] = ["digits", "residual", "depthwise", "digits_qdq"];
const TARGETS: [&str; 2] = ["stm32f411", "rp2040"];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name).join("model.onnx")
}

fn compiled(name: &str, options: &CompileOptions) -> (Compiled, String) {
    let (mut text, mut last) = (String::new(), String::new());
    let compiled = compile(&fixture(name), options, &Silent, &mut |pass, module| {
        let now = print(&module.graph, &module.quant);
        if now == last {
            text.push_str(&format!("== {pass}: unchanged\n"));
        } else {
            text.push_str(&format!("== {pass}\n{now}"));
        }
        last = now;
    });
    (compiled.unwrap_or_else(|e| panic!("{name}: {e}")), text)
}

fn files(name: &str, options: &CompileOptions, target: &str) -> CrateFiles {
    let target = Target::lookup(target).unwrap();
    let options = CompileOptions { kernels: target.arch.kernels(), ..options.clone() };
    emit(&compiled(name, &options).0, &target, "model").unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn ir_after_each_pass() {
    for name in FIXTURES {
        insta::assert_snapshot!(format!("ir_{name}"), compiled(name, &CompileOptions::default()).1);
    }
}

#[test]
fn plan() {
    for name in FIXTURES {
        let plan = compiled(name, &CompileOptions::default()).0.plan;
        insta::assert_snapshot!(format!("plan_{name}"), plan.to_string());
    }
}

#[test]
fn emitted_source() {
    for name in FIXTURES {
        for target in TARGETS {
            let files = files(name, &CompileOptions::default(), target);
            let own =
                files.0.keys().filter(|path| !path.starts_with("src/runtime/") && !path.ends_with(".bin"));
            let text: String = own
                .map(|path| format!("=== {path}\n{}\n", files.text(path).expect("the rest is text")))
                .collect();
            insta::assert_snapshot!(format!("source_{name}_{target}"), text);
        }
    }
}

#[test]
fn a_second_build_gives_the_same_bytes() {
    for name in FIXTURES {
        let build = || files(name, &CompileOptions::default(), "stm32f411");
        assert_eq!(build(), build(), "{name}");
    }
}

#[test]
fn a_build_from_the_quantization_file_gives_the_same_bytes() {
    let folder = tempfile::TempDir::new().unwrap();
    for name in FIXTURES {
        let first = files(name, &CompileOptions::default(), "stm32f411");
        // A copy of the model alone: no calibration data lies beside it.
        let model = folder.path().join(name).join("model.onnx");
        std::fs::create_dir_all(model.parent().unwrap()).unwrap();
        std::fs::copy(fixture(name), &model).unwrap();
        let quant = folder.path().join("model.quant.toml");
        std::fs::write(&quant, first.text("model.quant.toml").unwrap()).unwrap();
        let target = Target::lookup("stm32f411").unwrap();
        let options = CompileOptions {
            quant: Some(quant),
            kernels: target.arch.kernels(),
            ..CompileOptions::default()
        };
        let again = compile(&model, &options, &Silent, &mut |_, _| {}).unwrap();
        let again = emit(&again, &target, "model").unwrap();
        assert_eq!(first, again, "{name}");
    }
}

#[test]
fn softmax_can_be_taken_off() {
    let options = CompileOptions { no_softmax: true, ..CompileOptions::default() };
    let (with, without) = (compiled("digits", &CompileOptions::default()).0, compiled("digits", &options).0);
    assert_eq!(without.plan.steps.len(), with.plan.steps.len() - 1);
    let logits = &without.plan.outputs[0];
    assert_eq!(logits.params, with.module.quant.activation(with.plan.steps.last().unwrap().inputs[0]));
}
