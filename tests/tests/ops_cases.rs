//! Every operator on generated models of one or a few nodes: the float oracle,
//! the naive reference, the simulator, the emitted crate on the host and, for one
//! case an operator, on an emulated Cortex-M4.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn};
use ndarray_npy::NpzWriter;
use rayon::prelude::*;
use tempfile::TempDir;
use tinyc::codegen::{self, EmitOptions, TargetFacts};
use tinyc::compile::{CompileOptions, Compiled, Silent, compile};
use tinyc::lower::KernelSet;
use tinyc::onnx::oracle::Oracle as FloatOracle;
use tinyc::plan::plan_with;
use tinyc::samples::Preprocess;
use tinyc::verify::emulator::{Core, Firmware, FirmwareOptions};
use tinyc::verify::harness::CrateRef;
use tinyc::verify::host::{HostOptions, HostRunner};
use tinyc::verify::metrics::Sqnr;
use tinyc::verify::reference;
use tinyc::verify::simulate::Simulator;
use tinyc_tests::needs;
use tinyc_tests::onnx::{Agreement, Case, Oracle, cases};

const SAMPLES: usize = 8;

/// A case compiled on its own samples, with the bytes of each sample's inputs and
/// of the outputs that the naive reference gives for them.
struct Done {
    case: Case,
    compiled: Compiled,
    codes: Vec<Vec<Vec<i8>>>,
    expected: Vec<Vec<Vec<i8>>>,
}

fn compile_case(case: Case, folder: &Path) -> Result<Done, String> {
    let home = folder.join(case.name);
    std::fs::create_dir_all(&home).unwrap();
    let model = home.join("case.onnx");
    std::fs::write(&model, case.to_bytes()).unwrap();
    let data = case.samples(1, SAMPLES);
    let mut npz = NpzWriter::new(std::fs::File::create(home.join("case.calib.npz")).unwrap());
    for (input, data) in case.inputs.iter().zip(&data) {
        let shape: Vec<usize> = [SAMPLES].into_iter().chain(input.shape[1..].iter().copied()).collect();
        npz.add_array(input.name.as_str(), &ArrayD::from_shape_vec(IxDyn(&shape), data.clone()).unwrap())
            .unwrap();
    }
    npz.finish().unwrap();
    // Odd cases on the general kernels, even ones on tiles; the simulator below runs both.
    let kernels = if case.name.len().is_multiple_of(2) { KernelSet::Tiles } else { KernelSet::General };
    let options = CompileOptions { kernels, ..CompileOptions::default() };
    let compiled =
        compile(&model, &options, &Silent, &mut |_, _| {}).map_err(|e| format!("{}: {e}", case.name))?;
    let module = &compiled.module;
    let codes: Vec<Vec<Vec<i8>>> = (0..SAMPLES)
        .map(|s| {
            let per_input = data.iter().zip(&module.graph.inputs);
            per_input
                .map(|(data, &id)| {
                    let len = module.graph.shape(id).elements();
                    let params = module.quant.activation(id);
                    data[s * len..(s + 1) * len].iter().map(|&x| params.quantize(x)).collect()
                })
                .collect()
        })
        .collect();
    let expected = codes
        .iter()
        .map(|codes| {
            let slices: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
            let tensors = reference::run(module, &reference::inputs(module, &slices));
            module.graph.outputs.iter().map(|id| tensors[id].codes.clone()).collect()
        })
        .collect();
    Ok(Done { case, compiled, codes, expected })
}

/// Cases, compiled in parallel.
fn compile_all(cases: Vec<Case>, folder: &Path) -> Vec<Done> {
    let all: Vec<Result<Done, String>> =
        cases.into_par_iter().map(|case| compile_case(case, folder)).collect();
    let (done, failed): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    report("compilation", failed.into_iter().filter_map(Result::err).collect());
    done.into_iter().filter_map(Result::ok).collect()
}

fn emit(done: &Done, folder: &Path, arch: &str) -> CrateRef {
    let package = codegen::package_name(done.case.name);
    let dir = folder.join("crates").join(&package);
    let options = EmitOptions {
        package: package.clone(),
        target: TargetFacts { name: "host".into(), arch: arch.into() },
        preprocessing: vec![Preprocess::None; done.codes[0].len()],
        self_test: None,
        accuracy: None,
        ram: None,
        placement: None,
        regions: Vec::new(),
    };
    let files = codegen::generate(&done.compiled.plan, &done.compiled.module, &options)
        .unwrap_or_else(|e| panic!("{}: {e}", done.case.name));
    std::fs::create_dir_all(dir.parent().unwrap()).unwrap();
    codegen::write::write(&dir, &files).unwrap_or_else(|e| panic!("{}: {e}", done.case.name));
    CrateRef { package, dir }
}

fn joined(per_port: &[Vec<i8>]) -> Vec<i8> {
    per_port.concat()
}

/// How far the integers are from the oracle on the same (dequantized) inputs.
fn against_oracle(done: &Done) -> Result<(), String> {
    let module = &done.compiled.module;
    let names: Vec<String> = module.ports.outputs.iter().map(|p| p.name.clone()).collect();
    let oracle = FloatOracle::new(&done.compiled.source, &names).map_err(|e| e.to_string())?;
    let mut sqnr = Sqnr::default();
    let mut worst: f64 = 0.0;
    for (codes, expected) in done.codes.iter().zip(&done.expected) {
        let reals: Vec<Vec<f32>> = codes
            .iter()
            .zip(&module.graph.inputs)
            .map(|(codes, &id)| codes.iter().map(|&q| module.quant.activation(id).real(q) as f32).collect())
            .collect();
        let floats = oracle.run(&reals).map_err(|e| e.to_string())?;
        for (((float, codes), &id), shape) in
            floats.iter().zip(expected).zip(&module.graph.outputs).zip(&done.case.output_shapes)
        {
            if float.shape() != &shape[..] || float.len() != codes.len() {
                return Err(format!(
                    "the oracle gives {:?}, {} codes, {shape:?} expected",
                    float.shape(),
                    codes.len()
                ));
            }
            let params = module.quant.activation(id);
            for (&x, &q) in float.iter().zip(codes) {
                // What lies beyond the codes saturates: that is no rounding.
                let x = f64::from(x).clamp(params.real(params.lo), params.real(params.hi));
                worst = worst.max((x - params.real(q)).abs() / f64::from(params.scale));
                sqnr.push(&[x as f32], &[params.real(q) as f32]);
            }
        }
    }
    let limit = match done.case.agreement {
        Agreement::Moves => 0.51,
        Agreement::Rounds | Agreement::Softmax => 1.0,
        Agreement::RoundsTwice => 2.0,
        Agreement::Weights => {
            let db = sqnr.db().map_or(f64::INFINITY, |d| d.0);
            return if db >= 25.0 { Ok(()) } else { Err(format!("SQNR {db:.1} dB, 25 wanted")) };
        }
    };
    if worst <= limit { Ok(()) } else { Err(format!("off by {worst:.3} steps, {limit} allowed")) }
}

fn report(what: &str, failures: Vec<String>) {
    assert!(failures.is_empty(), "{what}: {} cases fail:\n{}", failures.len(), failures.join("\n"));
}

fn work_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners")
}

#[test]
fn every_case_follows_the_oracle_and_the_kernels_follow_the_reference() {
    let folder = TempDir::new().unwrap();
    let done = compile_all(cases(), folder.path());
    let far = done
        .par_iter()
        .filter(|d| d.case.oracle == Oracle::Tract)
        .filter_map(|d| Some(format!("{}: {}", d.case.name, against_oracle(d).err()?)))
        .collect();
    report("oracle", far);
    let differ = done
        .par_iter()
        .filter_map(|d| {
            let wrong = d.codes.iter().zip(&d.expected).position(|(codes, expected)| {
                let slices: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
                let sets = [KernelSet::General, KernelSet::Tiles, KernelSet::Windows, KernelSet::Lanes];
                sets.iter().any(|&kernels| {
                    let plan = plan_with(&d.compiled.module, kernels).unwrap();
                    Simulator::new(&plan).run(&slices) != *expected
                })
            })?;
            Some(format!("{}: sample {wrong}", d.case.name))
        })
        .collect();
    report("kernels", differ);
}

#[test]
fn every_case_gives_the_same_bytes_when_emitted() {
    let folder = TempDir::new().unwrap();
    let done = compile_all(cases(), folder.path());
    let crates: Vec<CrateRef> = done.iter().map(|d| emit(d, folder.path(), "portable")).collect();
    let options =
        HostOptions { work_dir: work_dir(), quick_build: true, checked: true, ..HostOptions::default() };
    let host = HostRunner::build(&crates, options).unwrap();
    let differ = done
        .iter()
        .enumerate()
        .filter_map(|(i, d)| {
            let inputs: Vec<i8> = d.codes.iter().flat_map(|c| joined(c)).collect();
            let expected: Vec<i8> = d.expected.iter().flat_map(|c| joined(c)).collect();
            let got = host.run(i, &inputs).unwrap_or_else(|e| panic!("{}: {e}", d.case.name));
            (got != expected).then(|| d.case.name.to_string())
        })
        .collect();
    report("host", differ);
}

#[test]
fn one_case_an_operator_gives_the_same_bytes_on_the_emulated_core() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let mut seen = BTreeSet::new();
    // The last case of an operator is its most involved one.
    let mut chosen: Vec<Case> = cases().into_iter().rev().filter(|c| seen.insert(c.op)).collect();
    chosen.reverse();
    let differ = compile_all(chosen, folder.path())
        .into_par_iter()
        .filter_map(|d| {
            let emitted = emit(&d, folder.path(), "cortex_m_dsp");
            let options = FirmwareOptions { work_dir: work_dir(), ..FirmwareOptions::default() };
            let firmware = Firmware::build(&emitted, Core::M4, options)
                .unwrap_or_else(|e| panic!("{}: {e}", d.case.name));
            let inputs: Vec<i8> = d.codes[..2].iter().flat_map(|c| joined(c)).collect();
            let expected: Vec<i8> = d.expected[..2].iter().flat_map(|c| joined(c)).collect();
            let got = firmware.run(&inputs).unwrap_or_else(|e| panic!("{}: {e}", d.case.name));
            (got.outputs != expected).then(|| d.case.name.to_string())
        })
        .collect();
    report("emulator", differ);
}
