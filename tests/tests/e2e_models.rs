//! Larger trained models end to end, where they are at hand: the environment
//! variable TINYC_MODELS names a folder that holds `models/` and `data/` (layout in
//! `tinyc_tests::models`). Few samples, so that the run stays short: the accuracy
//! on full sets is the command `accuracy`'s.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use prost::Message;
use tinyc::Feed;
use tinyc::compile::{CompileOptions, Silent, compile, import};
use tinyc::onnx::OnnxError;
use tinyc::plan::strategy::Strategy;
use tinyc::target::Budget;
use tinyc::verify::emulator::Core;
use tinyc::verify::simulate::Simulator;
use tinyc::verify::validate::validate_compiled;
use tinyc_tests::models::{CASES, Case, Form, REFUSED, model_path};
use tinyc_tests::needs::{self, RealModels};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

fn work_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners")
}

/// Builds, fits, identical bytes, no panic path, and an accuracy that is sane.
fn check(case: &Case, cores: &[Core]) {
    let Some(RealModels { models, data }) = needs::models() else { return };
    let cores = needs::emulators(cores);
    let scratch = tempfile::tempdir().unwrap();
    let mut options = case.options(&data, scratch.path());
    options.samples = Some(match case.form {
        Form::Float => 500,
        _ => 100,
    });
    options.reference_samples = 2;
    options.emulate_samples = 1;
    options.cores = cores.clone();
    options.host.work_dir = work_dir();
    options.firmware.work_dir = work_dir();
    let compiled = compile(&case.path(&models), &options.compile, &Silent, &mut |_, _| {}).unwrap();
    let limit = |bytes| Budget::default().limit_bytes(bytes);
    assert!(compiled.plan.arena_bytes as u64 <= limit(options.target.arena_bytes()), "arena fits");
    assert!(compiled.plan.weights.len() as u64 <= limit(options.target.flash_bytes()), "weights fit");
    // Linking the firmware proves that it has no panic path.
    let report = validate_compiled(&compiled, &options, &Silent).unwrap();
    assert!(report.identical, "{report}");
    assert_eq!(report.emulated.len(), cores.len());
    for one in &report.emulated {
        assert!(one.stack_bytes as u64 <= one.stack_bound_bytes, "painted within the bound: {report}");
        let beside_arena = one.ram_bytes - report.arena_bytes as u64;
        assert!(one.core != "m4" || beside_arena <= 1024, "{beside_arena} B beside the arena: {report}");
    }
    let (float, int8) = (report.score_float.unwrap(), report.score_int8.unwrap());
    // On so few samples one more miss counts 0.2 to 1 points.
    let (tolerance, agreement) = if case.form == Form::Float { (1.5, 96.0) } else { (3.0, 93.0) };
    match case.metric {
        tinyc::verify::metrics::Metric::Accuracy => {
            assert!(float - int8 <= tolerance, "{report}");
            assert!(report.top1_agreement.unwrap() >= agreement, "{report}");
        }
        _ => assert!(float - int8 <= 0.02, "{report}"),
    }
}

/// The kernels that each core has for itself; the Cortex-M4 has its models above.
#[test]
fn kws_dscnn_with_the_kernels_of_each_core() {
    for (target, core) in [
        ("stm32g0b1", Core::M0),
        ("stm32f103", Core::M3),
        ("stm32h743", Core::M7),
        ("esp32c3", Core::Rv32),
        ("nrf5340", Core::M33),
        ("ensemble-e3-he", Core::M55),
    ] {
        for form in [Form::Float, Form::QdqTflite] {
            let mut case = *case("kws_dscnn", form);
            case.target = target;
            check(&case, &[core]);
        }
    }
}

fn case(name: &str, form: Form) -> &'static Case {
    CASES.iter().find(|c| c.name == name && c.form == form).unwrap()
}

macro_rules! models {
    ($($test:ident: $name:literal, $form:ident, $cores:expr;)*) => {
        $(#[test]
        fn $test() {
            check(case($name, Form::$form), $cores);
        })*

        #[test]
        fn every_case_has_its_test() {
            let tested = [$(($name, Form::$form.label())),*];
            let cases: Vec<_> = CASES.iter().map(|c| (c.name, c.form.label())).collect();
            assert_eq!(cases, tested);
        }
    };
}

const M4: &[Core] = &[Core::M4];

models! {
    mnist_cnn: "mnist_cnn", Float, M4;
    mnist_cnn_sparse: "mnist_cnn_ft60sparse", Float, M4;
    har_mlp: "har_mlp", Float, M4;
    har_mlp_sparse: "har_mlp_ft60sparse", Float, M4;
    har_cnn1d: "har_cnn1d", Float, M4;
    kws_dscnn: "kws_dscnn", Float, &Core::ALL;
    ic_resnet8: "ic_resnet8", Float, M4;
    vww_mobilenet: "vww_mobilenet025", Float, M4;
    ad_autoencoder: "ad_autoencoder", Float, M4;
    cifar_mobilenetv2: "cifar_mobilenetv2_035", Float, M4;
    mnist_cnn_ort: "mnist_cnn", QdqOrt, M4;
    har_mlp_ort: "har_mlp", QdqOrt, M4;
    har_cnn1d_ort: "har_cnn1d", QdqOrt, M4;
    kws_dscnn_ort: "kws_dscnn", QdqOrt, &Core::ALL;
    ic_resnet8_ort: "ic_resnet8", QdqOrt, M4;
    vww_mobilenet_ort: "vww_mobilenet025", QdqOrt, M4;
    ad_autoencoder_ort: "ad_autoencoder", QdqOrt, M4;
    cifar_mobilenetv2_ort: "cifar_mobilenetv2_035", QdqOrt, M4;
    kws_dscnn_tflite: "kws_dscnn", QdqTflite, &Core::ALL;
    ic_resnet8_tflite: "ic_resnet8", QdqTflite, M4;
    vww_mobilenet_tflite: "vww_mobilenet025", QdqTflite, M4;
    ad_autoencoder_tflite: "ad_autoencoder", QdqTflite, M4;
}

/// The smallest plans: no more bytes than this, and the outputs of the plan of whole tensors.
#[test]
fn the_smallest_plans_keep_the_bytes() {
    let Some(RealModels { models, data }) = needs::models() else { return };
    let most = [
        ("kws_dscnn", 5_500),
        ("ic_resnet8", 16_000),
        ("vww_mobilenet025", 28_500),
        ("mnist_cnn", 1_700),
        ("ad_autoencoder", 768),
    ];
    for (name, arena_bytes) in most {
        let case = case(name, Form::Float);
        let scratch = tempfile::tempdir().unwrap();
        let options = case.options(&data, scratch.path()).compile;
        let planned = |strategy| {
            let options = CompileOptions { strategy, ..options.clone() };
            compile(&case.path(&models), &options, &Silent, &mut |_, _| {}).unwrap().plan
        };
        let (fast, min) = (planned(Strategy::Fast), planned(Strategy::Min));
        assert!(
            min.arena_bytes <= arena_bytes && min.arena_bytes <= fast.arena_bytes,
            "{name}: {}",
            min.arena_bytes
        );
        // Little is lost to where rows lie: 3 %.
        let bound = min.live_bound_bytes;
        assert!(min.arena_bytes <= bound * 103 / 100, "{name}: {} B, {bound} B live", min.arena_bytes);
        let codes = |bytes: usize| (0..bytes).map(|i| (i * 37 % 256) as u8 as i8).collect::<Vec<i8>>();
        let inputs: Vec<Vec<i8>> = fast.inputs.iter().map(|io| codes(io.range.bytes)).collect();
        let inputs: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
        assert_eq!(Simulator::new(&min).run(&inputs), Simulator::new(&fast).run(&inputs), "{name}");
    }
}

/// Windows that slide over recorded samples: at each step the outputs of a run on the whole
/// window, for a good part of its work.
#[test]
fn windows_that_slide_keep_the_bytes() {
    let Some(RealModels { models, data }) = needs::models() else { return };
    for (name, hop, most_percent) in [("har_cnn1d", 4, 20), ("kws_dscnn", 2, 45)] {
        let case = case(name, Form::Float);
        let scratch = tempfile::tempdir().unwrap();
        let options = case.options(&data, scratch.path()).compile;
        let planned = |feed| {
            let options = CompileOptions { strategy: Strategy::Fast, feed, ..options.clone() };
            compile(&case.path(&models), &options, &Silent, &mut |_, _| {}).unwrap().plan
        };
        // Pushed rows lie as those of frames do.
        let (whole, slides) = (planned(Feed::Rows), planned(Feed::Frames { hop }));
        let slide = slides.slide.as_ref().unwrap();
        let macs: u64 = slides.steps.iter().map(|step| step.macs).sum();
        assert!(macs * 100 <= slide.window_macs * most_percent, "{name}: {macs} of {}", slide.window_macs);
        let row = whole.inputs[0].shape.elements() / slide.rows;
        let stream: Vec<i8> = (0..2 * slide.rows * row).map(|i| (i * i * 37 % 251) as u8 as i8).collect();
        let mut simulator = Simulator::new(&slides);
        for (index, frame) in stream.chunks_exact(hop * row).enumerate() {
            let outputs = simulator.step(frame, &mut |_, _, _| ());
            let end = (index + 1) * hop * row;
            if let Some(start) = end.checked_sub(slide.rows * row) {
                assert_eq!(
                    outputs,
                    Simulator::new(&whole).run(&[&stream[start..end]]),
                    "{name}, step {index}"
                );
            }
        }
    }
}

/// Operators of these models that compile; MatMul with constant weights alone.
const COMPILED: [&str; 17] = [
    "Add",
    "Concat",
    "Constant",
    "DequantizeLinear",
    "Div",
    "Erf",
    "Gemm",
    "MatMul",
    "Mul",
    "QuantizeLinear",
    "ReduceMean",
    "Reshape",
    "Shape",
    "Softmax",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Names of the nodes that cannot be compiled, found without the importer: nodes
/// on data (not on constants or shapes) of another operator, and MatMul of two
/// data tensors.
fn uncompilable(graph: &GraphProto) -> BTreeSet<String> {
    let mut constant: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    constant.insert("");
    let mut names = BTreeSet::new();
    for node in &graph.node {
        let NodeProto { op_type, input, output, .. } = node;
        let fixed = |name: &String| constant.contains(name.as_str());
        if op_type == "Shape" || input.iter().all(fixed) {
            constant.extend(output.iter().map(String::as_str));
        } else if !COMPILED.contains(&op_type.as_str()) || (op_type == "MatMul" && !input.iter().any(fixed)) {
            names.insert(node.name.clone());
        }
    }
    names
}

#[test]
fn models_beyond_the_operators_list_all_their_nodes_at_once() {
    let Some(RealModels { models, .. }) = needs::models() else { return };
    for (name, form) in REFUSED {
        let path = model_path(&models, name, form);
        let proto = ModelProto::decode(&std::fs::read(&path).unwrap()[..]).unwrap();
        let expected = uncompilable(&proto.graph.unwrap());
        assert!(!expected.is_empty());
        let error = match import(&path) {
            Err(tinyc::compile::CompileError::Onnx(error)) => error,
            other => panic!("{name}: {other:?}"),
        };
        let message = error.to_string();
        let OnnxError::Nodes(problems) = error else { panic!("{name}: {message}") };
        let named: BTreeSet<String> = problems.iter().map(|p| p.node.clone()).collect();
        assert_eq!(named, expected, "{name} ({}): {message}", form.label());
        for node in &expected {
            assert!(message.contains(node), "{node} is not in: {message}");
        }
    }
}
