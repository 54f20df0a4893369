//! Every fixture end to end: compiled, emitted, run on the host and on emulated
//! cores, byte for byte as the naive reference; floats against ONNX Runtime's.

use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use tinyc::compile::{CompileOptions, Silent, compile};
use tinyc::lower::{Kernel, KernelSet};
use tinyc::onnx::oracle::Oracle;
use tinyc::plan::Work;
use tinyc::plan::choose::{Choice, Opt};
use tinyc::plan::strategy::Strategy;
use tinyc::target::Target;
use tinyc::verify::emulator::Core;
use tinyc::verify::metrics::{Metric, Sqnr};
use tinyc::verify::simulate::Simulator;
use tinyc::verify::validate::{Report, ValidateOptions, validate, validate_compiled};
use tinyc_tests::needs;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn work_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners")
}

/// Validates a fixture on one of its files with emulation.
fn run(name: &str, data: &str, metric: Option<Metric>, cores: &[Core]) -> Report {
    let target = Target::lookup("stm32f411").unwrap();
    let mut options = ValidateOptions::new(target, &fixture(name).join(data));
    options.metric = metric;
    options.cores = needs::emulators(cores);
    options.emulate_samples = 4;
    options.host.work_dir = work_dir();
    options.firmware.work_dir = work_dir();
    let report = validate(&fixture(name).join("model.onnx"), &options, &Silent).unwrap();
    assert!(report.identical, "{report}");
    assert_eq!(report.emulated.len(), options.cores.len());
    for one in &report.emulated {
        assert!(one.stack_bytes as u64 <= one.stack_bound_bytes, "{report}");
    }
    report
}

/// Winograd's convolution, in assembly and in its portable body.
#[test]
fn residual_with_its_fastest_kernels() {
    let target = Target::lookup("stm32f411").unwrap();
    let mut options = ValidateOptions::new(target, &fixture("residual").join("model.calib.npz"));
    options.compile.opt = Opt::Speed;
    options.samples = Some(8);
    options.cores = needs::emulators(&[Core::M4, Core::M0]);
    options.emulate_samples = 4;
    options.host.work_dir = work_dir();
    options.firmware.work_dir = work_dir();
    let model = fixture("residual/model.onnx");
    let compiled = compile(&model, &options.compile, &Silent, &mut |_, _| {}).unwrap();
    let transformed = |choice: &&Choice| choice.taken.starts_with("conv_winograd");
    assert_eq!(compiled.choices.iter().filter(transformed).count(), 2);
    let report = validate_compiled(&compiled, &options, &Silent).unwrap();
    assert!(report.identical, "{report}");
}

/// The order of instructions that Cortex-M7 has for itself, whole and row by row.
#[test]
fn two_instructions_at_once_compute_the_same_bytes() {
    for (fixture_name, strategy) in
        [("residual", Strategy::Fast), ("depthwise", Strategy::Fast), ("depthwise", Strategy::Min)]
    {
        let target = Target::lookup("stm32h743").unwrap();
        let mut options = ValidateOptions::new(target, &fixture(fixture_name).join("model.calib.npz"));
        options.compile.strategy = strategy;
        options.samples = Some(8);
        options.cores = needs::emulators(&[Core::M7]);
        options.emulate_samples = 4;
        options.host.work_dir = work_dir();
        options.firmware.work_dir = work_dir();
        let model = fixture(fixture_name).join("model.onnx");
        let compiled = compile(&model, &options.compile, &Silent, &mut |_, _| {}).unwrap();
        let report = validate_compiled(&compiled, &options, &Silent).unwrap();
        assert!(report.identical, "{fixture_name}: {report}");
        for one in &report.emulated {
            assert!(one.stack_bytes as u64 <= one.stack_bound_bytes, "{report}");
        }
    }
}

/// Layers that run row by row, with assembly and without.
#[test]
fn cascades_compute_the_same_bytes_on_emulated_cores() {
    for (name, core) in [("stm32f411", Core::M4), ("stm32g0b1", Core::M0)] {
        for fixture_name in ["residual", "depthwise", "depthwise_qdq", "depthwise_1d", "borders"] {
            let target = Target::lookup(name).unwrap();
            let mut options = ValidateOptions::new(target, &fixture(fixture_name).join("model.calib.npz"));
            // The smallest plan of all, whatever its cycles.
            options.compile.strategy = Strategy::Auto;
            options.compile.limits.ram_bytes = Some(1);
            options.samples = Some(8);
            options.cores = needs::emulators(&[core]);
            options.emulate_samples = 4;
            options.host.work_dir = work_dir();
            options.firmware.work_dir = work_dir();
            let model = fixture(fixture_name).join("model.onnx");
            let compiled = compile(&model, &options.compile, &Silent, &mut |_, _| {}).unwrap();
            assert!(compiled.plan.steps.iter().any(|step| matches!(step.work, Work::Rows(_))));
            let report = validate_compiled(&compiled, &options, &Silent).unwrap();
            assert!(report.identical, "{name}: {report}");
            for one in &report.emulated {
                assert!(one.stack_bytes as u64 <= one.stack_bound_bytes, "{report}");
            }
        }
    }
}

/// The kernels that cores without DSP instructions, and with vectors, have for themselves.
#[test]
fn cores_with_their_own_kernels() {
    for (name, core) in [
        ("stm32g0b1", Core::M0),
        ("stm32f103", Core::M3),
        ("esp32c3", Core::Rv32),
        ("ensemble-e3-he", Core::M55),
    ] {
        for fixture_name in ["residual", "depthwise", "depthwise_qdq", "depthwise_1d", "borders"] {
            let target = Target::lookup(name).unwrap();
            let mut options = ValidateOptions::new(target, &fixture(fixture_name).join("model.calib.npz"));
            options.samples = Some(8);
            options.cores = needs::emulators(&[core]);
            options.emulate_samples = 4;
            options.host.work_dir = work_dir();
            options.firmware.work_dir = work_dir();
            let model = fixture(fixture_name).join("model.onnx");
            let compiled = compile(&model, &options.compile, &Silent, &mut |_, _| {}).unwrap();
            let mut calls = compiled.plan.steps.iter().flat_map(|step| step.work.calls());
            let of_their_own = |kernel| match core {
                Core::M55 => matches!(kernel, Kernel::ConvLanes(_) | Kernel::DepthwiseLanes(_)),
                _ => matches!(kernel, Kernel::ConvWindow(_) | Kernel::DepthwiseWindow(_)),
            };
            assert!(calls.any(|call| of_their_own(call.kernel)));
            let report = validate_compiled(&compiled, &options, &Silent).unwrap();
            assert!(report.identical, "{name}: {report}");
        }
    }
}

/// The float oracle against what ONNX Runtime gave, to `tolerance`.
fn check_oracle(name: &str, tolerance: f32) {
    let (source, module) = tinyc::compile::import(&fixture(name).join("model.onnx")).unwrap();
    let expected = Expected::read(name);
    let outputs: Vec<String> = module.ports.outputs.iter().map(|p| p.name.clone()).collect();
    let oracle = Oracle::new(&source, &outputs).unwrap();
    for sample in 0..expected.samples {
        let inputs: Vec<Vec<f32>> =
            module.ports.inputs.iter().map(|p| expected.sample(&p.name, sample)).collect();
        for (name_of, tensor) in outputs.iter().zip(oracle.run(&inputs).unwrap()) {
            for (got, want) in tensor.iter().zip(expected.sample(name_of, sample)) {
                assert!(
                    (got - want).abs() <= tolerance,
                    "{name}, sample {sample}, {name_of}: oracle {got}, ONNX Runtime {want}"
                );
            }
        }
    }
}

/// SQNR in dB of our integers against ONNX Runtime's outputs, over all outputs.
fn sqnr_against_onnx_runtime(name: &str) -> f64 {
    let path = fixture(name).join("model.onnx");
    let compiled = compile(&path, &CompileOptions::default(), &Silent, &mut |_, _| {}).unwrap();
    let module = &compiled.module;
    let expected = Expected::read(name);
    let mut sqnr = Sqnr::default();
    for sample in 0..expected.samples {
        let codes: Vec<Vec<i8>> = module
            .ports
            .inputs
            .iter()
            .zip(&module.graph.inputs)
            .map(|(port, &id)| {
                let params = module.quant.activation(id);
                expected.sample(&port.name, sample).iter().map(|&x| params.quantize(x)).collect()
            })
            .collect();
        let slices: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
        let outputs = Simulator::new(&compiled.plan).run(&slices);
        for ((port, &id), codes) in module.ports.outputs.iter().zip(&module.graph.outputs).zip(outputs) {
            let params = module.quant.activation(id);
            let reals: Vec<f32> = codes.iter().map(|&q| params.real(q) as f32).collect();
            sqnr.push(&expected.sample(&port.name, sample), &reals);
        }
    }
    sqnr.db().unwrap().0
}

/// `expected.npz` of a fixture: arrays by ONNX name, first axis the sample.
struct Expected {
    arrays: Vec<(String, ArrayD<f32>)>,
    samples: usize,
}

impl Expected {
    fn read(name: &str) -> Expected {
        let file = std::fs::File::open(fixture(name).join("expected.npz")).unwrap();
        let mut npz = NpzReader::new(file).unwrap();
        let names = npz.names().unwrap();
        let arrays: Vec<(String, ArrayD<f32>)> = names
            .iter()
            .map(|array| (array.trim_end_matches(".npy").to_owned(), npz.by_name(array).unwrap()))
            .collect();
        let samples = arrays[0].1.len_of(Axis(0));
        Expected { arrays, samples }
    }

    fn sample(&self, name: &str, index: usize) -> Vec<f32> {
        let (_, array) = self.arrays.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}"));
        array.index_axis(Axis(0), index).iter().copied().collect()
    }
}

#[test]
fn digits_on_every_core() {
    let report = run("digits", "test.npz", None, &Core::ALL);
    assert_eq!((report.samples, report.reference_samples, report.emulated_samples), (450, 32, 4));
    assert_eq!(report.metric, Some(Metric::Accuracy));
    // 98.89 % in float, as the script that trained it found.
    assert!((report.score_float.unwrap() - 98.89).abs() < 0.01, "{report}");
    assert!(report.score_int8.unwrap() >= 98.4, "{report}");
    assert!(report.top1_agreement.unwrap() >= 99.0, "{report}");
    check_oracle("digits", 1e-5);
    assert!(sqnr_against_onnx_runtime("digits") >= 30.0);
}

#[test]
fn digits_from_pixels_score_as_from_floats() {
    let target = Target::lookup("stm32f411").unwrap();
    let mut options = ValidateOptions::new(target, &fixture("digits").join("test_u8.npz"));
    options.compile.calib = Some(fixture("digits").join("test_u8.npz"));
    options.compile.preprocess = tinyc::samples::Preprocess::from_options(None, Some("16"), false).unwrap();
    options.host.work_dir = work_dir();
    let report = validate(&fixture("digits").join("model.onnx"), &options, &Silent).unwrap();
    assert!(report.identical, "{report}");
    assert!((report.score_float.unwrap() - 98.89).abs() < 0.01, "{report}");
}

#[test]
fn digits_qdq_on_every_core() {
    let report = run("digits_qdq", "test.npz", None, &Core::ALL);
    // ONNX Runtime scores 99.56 % on the same file.
    assert!((report.score_int8.unwrap() - 99.56).abs() <= 0.3, "{report}");
    assert!(sqnr_against_onnx_runtime("digits_qdq") >= 40.0);
}

#[test]
fn digits_qdq_with_unsigned_activations() {
    let report = run("digits_qdq_u8", "test.npz", None, &[Core::M4]);
    // ONNX Runtime scores 99.11 % on the same file.
    assert!((report.score_int8.unwrap() - 99.11).abs() <= 0.3, "{report}");
    assert!(sqnr_against_onnx_runtime("digits_qdq_u8") >= 40.0);
}

#[test]
fn a_requantization_that_shifts_to_the_left() {
    run("shift", "model.calib.npz", None, &[Core::M4]);
    // The same scales on both sides: at most one code apart, and rarely.
    assert!(sqnr_against_onnx_runtime("shift") >= 45.0);
}

#[test]
fn a_residual_block() {
    run("residual", "model.calib.npz", None, &[Core::M4]);
    check_oracle("residual", 1e-4);
    assert!(sqnr_against_onnx_runtime("residual") >= 30.0);
}

#[test]
fn a_depthwise_block_as_tf2onnx_writes_it() {
    run("depthwise", "model.calib.npz", None, &[Core::M4]);
    check_oracle("depthwise", 1e-5);
    assert!(sqnr_against_onnx_runtime("depthwise") >= 30.0);
}

/// Depthwise kernels of any size, and layers whose codes are clamped: all of them have the
/// kernels of cores with DSP instructions.
#[test]
fn depthwise_kernels_of_any_size_and_clamped_codes() {
    run("depthwise_qdq", "model.calib.npz", None, &[Core::M4, Core::M7]);
    run("depthwise_1d", "model.calib.npz", None, &[Core::M4, Core::M7]);
    check_oracle("depthwise_1d", 1e-5);
    assert!(sqnr_against_onnx_runtime("depthwise_qdq") >= 25.0);
    assert!(sqnr_against_onnx_runtime("depthwise_1d") >= 30.0);
    let options = CompileOptions { kernels: KernelSet::Tiles, ..CompileOptions::default() };
    for (name, layers) in [("depthwise_qdq", 4), ("depthwise_1d", 3)] {
        let model = fixture(name).join("model.onnx");
        let compiled = compile(&model, &options, &Silent, &mut |_, _| {}).unwrap();
        let calls: Vec<_> = compiled.plan.steps.iter().flat_map(|step| step.work.calls()).collect();
        let lines = calls.iter().filter(|call| matches!(call.kernel, Kernel::DepthwiseLines(_)));
        assert_eq!(lines.count(), layers, "{name}");
        let general = |kernel| matches!(kernel, Kernel::Depthwise(_) | Kernel::Conv2d(_) | Kernel::Dense(_));
        assert!(!calls.iter().any(|call| general(call.kernel)), "{name}");
    }
}

#[test]
fn biases_that_differ_at_borders() {
    run("borders", "model.calib.npz", None, &Core::ALL);
    check_oracle("borders", 1e-4);
    assert!(sqnr_against_onnx_runtime("borders") >= 22.0);
}

#[test]
fn convolutions_over_time() {
    run("conv1d", "model.calib.npz", None, &[Core::M4]);
    check_oracle("conv1d", 1e-4);
    assert!(sqnr_against_onnx_runtime("conv1d") >= 30.0);
}

#[test]
fn two_inputs_and_two_outputs() {
    let report = run("multi_io", "model.calib.npz", None, &[Core::M4]);
    let names: Vec<&str> = report.outputs.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["class", "value"]);
    assert_eq!(report.outputs[1].top1_agreement, None, "one element has no top class");
    assert_eq!(report.metric, None, "the set has no labels");
    check_oracle("multi_io", 1e-5);
    assert!(sqnr_against_onnx_runtime("multi_io") >= 30.0);
}
