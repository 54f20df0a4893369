//! The cost model against counted runs.

use std::path::Path;

use tinyc::compile::{CompileOptions, Silent, compile};
use tinyc::cost::call_cycles;
use tinyc::lower::KernelSet;
use tinyc::target::{Target, TimingTable};
use tinyc::verify::emulator::{Core, FirmwareOptions};
use tinyc_tests::benchmarks::{WATCHED, measure};
use tinyc_tests::needs::{self, RealModels};

/// How far the estimate of a whole model may be off.
const TOLERANCE: f64 = 0.1;

#[test]
fn models_are_estimated_within_a_tenth_of_what_was_counted() {
    let Some(RealModels { models, data }) = needs::models() else { return };
    let work_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners");
    let firmware = FirmwareOptions { work_dir, ..FirmwareOptions::default() };
    for watched in WATCHED {
        if watched.core != Core::M4 || !needs::emulator(watched.core) {
            continue;
        }
        let measured = measure(watched, &models, &data, &firmware).unwrap();
        let (counted, estimated) = (measured.report.cycles.unwrap(), measured.estimated.unwrap());
        let off = estimated as f64 / counted as f64 - 1.0;
        assert!(
            off.abs() <= TOLERANCE,
            "{}, {}: estimated {estimated}, counted {counted}: {:+.1} %; fit the cost model again",
            watched.model,
            watched.opt,
            100.0 * off
        );
    }
}

/// Kernels for DSP instructions cost a fraction of the portable ones, and all
/// of a network costs more than half a cycle a product.
#[test]
fn estimates_are_of_the_right_size() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/digits/model.onnx");
    let total = |kernels: KernelSet| -> u64 {
        let options = CompileOptions { kernels, ..CompileOptions::default() };
        let compiled = compile(&model, &options, &Silent, &mut |_, _| {}).unwrap();
        let macs: u64 = compiled.plan.steps.iter().map(|step| step.macs).sum();
        let calls = compiled.plan.steps.iter().flat_map(|step| step.work.calls());
        let cycles = calls.map(|call| call_cycles(&call.kernel, kernels)).sum();
        assert!(2 * cycles > macs && cycles < 60 * macs, "{kernels:?}: {cycles} cycles, {macs} MACs");
        cycles
    };
    let (general, tiles) = (total(KernelSet::General), total(KernelSet::Tiles));
    assert!(2 * tiles < general, "{tiles} and {general} cycles");
}

#[test]
fn every_chip_with_a_table_can_be_fitted() {
    let tables: Vec<TimingTable> =
        Target::builtin().iter().filter_map(|target| target.core.timing_table()).collect();
    let fitted = tinyc_tests::cost::MACHINES.iter().flat_map(|machine| machine.cores);
    let fitted: Vec<TimingTable> = fitted.filter_map(|core| core.timing_table()).collect();
    assert!(tables.iter().all(|table| fitted.contains(table)), "{tables:?} of {fitted:?}");
}
