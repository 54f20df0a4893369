//! What validation says when something is wrong.

use std::path::{Path, PathBuf};

use tinyc::compile::{CompileOptions, Compiled, Silent, compile};
use tinyc::plan::strategy::Strategy;
use tinyc::samples::SampleError;
use tinyc::target::Target;
use tinyc::verify::emulator::Core;
use tinyc::verify::metrics::{Metric, MetricError};
use tinyc::verify::validate::{ValidateError, ValidateOptions, emulated_core, validate_compiled};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(path)
}

fn digits() -> Compiled {
    let model = fixture("digits/model.onnx");
    compile(&model, &CompileOptions::default(), &Silent, &mut |_, _| {}).unwrap()
}

fn options(data: &str) -> ValidateOptions {
    let mut options = ValidateOptions::new(Target::lookup("stm32f411").unwrap(), &fixture(data));
    options.host.work_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners");
    options.firmware.work_dir = options.host.work_dir.clone();
    options
}

/// The reference reads the module's integers, the crate the plan's: changing the
/// former by one bias makes them two different models from that layer on.
#[test]
fn a_layer_that_differs_is_named() {
    let mut compiled = digits();
    let second = compiled.plan.steps.iter().filter(|s| s.onnx_op == "Conv").nth(1).unwrap().clone();
    let layer = compiled.module.quant.layers.get_mut(&second.node).unwrap();
    // Far enough that each sample shows it, whatever the multiplier.
    layer.bias[3] += 1 << 20;
    let mut options = options("digits/test.npz");
    options.samples = Some(20);
    let report = validate_compiled(&compiled, &options, &Silent).unwrap();
    assert!(!report.identical);
    let difference = report.first_difference.clone().unwrap();
    assert_eq!(difference.layer.as_deref(), Some(second.name.as_str()), "{difference}");
    assert_eq!((difference.op.as_deref(), difference.place.as_str()), (Some("Conv"), "host"));
    // 20 of 450 samples, evenly spaced: the first is the file's first.
    assert_eq!((report.samples, report.reference_samples, difference.sample), (20, 20, 0));
    // The fourth channel of a channel-last tensor with 16 channels.
    assert_eq!(difference.element % 16, 3);
    assert!(report.to_string().contains(&second.name), "{report}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["identical"], false);
    assert_eq!(json["first_difference"]["layer"], second.name.as_str());
}

/// A layer that runs row by row is never whole in the crate: its error is told at
/// the first whole layer behind it, and the report says which layers are meant.
#[test]
fn a_layer_that_is_never_whole_is_said_not_to_be_looked_at() {
    let model = fixture("residual/model.onnx");
    let smallest = CompileOptions { strategy: Strategy::Min, ..CompileOptions::default() };
    let mut compiled = compile(&model, &smallest, &Silent, &mut |_, _| {}).unwrap();
    let second = compiled.plan.steps.iter().rfind(|s| s.onnx_op == "Conv").unwrap().clone();
    compiled.module.quant.layers.get_mut(&second.node).unwrap().bias[3] += 1 << 20;
    let mut options = options("residual/model.calib.npz");
    options.samples = Some(4);
    let report = validate_compiled(&compiled, &options, &Silent).unwrap();
    let difference = report.first_difference.clone().unwrap();
    // conv2 and the sum behind it are never whole; the mean is the next that is.
    assert_eq!(difference.layer.as_deref(), Some("gap"), "{difference}");
    let text = report.to_string();
    assert!(text.contains("'conv2'") && text.contains("are never whole"), "{text}");
    let whole = CompileOptions { strategy: Strategy::Fast, ..CompileOptions::default() };
    let compiled = compile(&model, &whole, &Silent, &mut |_, _| {}).unwrap();
    let report = validate_compiled(&compiled, &options, &Silent).unwrap();
    assert!(report.identical && !report.to_string().contains("never whole"), "{report}");
}

#[test]
fn a_metric_that_the_labels_do_not_suit_is_an_error() {
    let compiled = digits();
    // Calibration samples have no labels: an error if scores are wanted, else none.
    let mut unlabelled = options("digits/model.calib.npz");
    unlabelled.samples = Some(3);
    let report = validate_compiled(&compiled, &unlabelled, &Silent).unwrap();
    assert_eq!((report.metric, report.score_float, report.score_int8), (None, None, None));
    assert_eq!(report.notes.len(), 1);
    unlabelled.metric = Some(Metric::Accuracy);
    let error = validate_compiled(&compiled, &unlabelled, &Silent).unwrap_err();
    assert!(matches!(error, ValidateError::Samples(SampleError::NoLabels { .. })), "{error}");
    // Ten classes have no area under a curve.
    let mut auc = options("digits/test.npz");
    auc.metric = Some(Metric::Auc);
    let error = validate_compiled(&compiled, &auc, &Silent).unwrap_err();
    assert!(matches!(error, ValidateError::Metric(MetricError::NotAScore { outputs: 10 })), "{error}");
}

#[test]
fn chips_are_emulated_by_their_own_core() {
    let core = |target| emulated_core(&Target::lookup(target).unwrap());
    let expected = [
        ("stm32g071", Some(Core::M0)),
        ("stm32f103", Some(Core::M3)),
        ("stm32f411", Some(Core::M4)),
        ("stm32h743", Some(Core::M7)),
        ("stm32u585", Some(Core::M33)),
        ("ensemble-e3-he", Some(Core::M55)),
        ("esp32c3", Some(Core::Rv32)),
        ("host", None),
    ];
    for (target, emulated) in expected {
        assert_eq!(core(target), emulated, "{target}");
    }
}

/// ONNX does not ask for unique node names, tract does.
#[test]
fn nodes_may_share_a_name() {
    let mut source = tinyc::onnx::read(&fixture("digits/model.onnx")).unwrap();
    let input = vec![vec![0.5; 64]];
    let run = |source: &tinyc::onnx::Source| {
        tinyc::onnx::oracle::Oracle::new(source, &["output".to_owned()]).unwrap().run(&input).unwrap()
    };
    let expected = run(&source);
    for node in &mut source.model.nodes {
        node.name = "layer".to_owned();
    }
    assert_eq!(run(&source), expected);
}
