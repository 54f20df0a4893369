//! The cost model against counted runs.

use std::path::Path;

use tinyc::compile::{CompileOptions, Silent, compile};
use tinyc::cost::{Costs, Unit, call_cycles};
use tinyc::lower::KernelSet;
use tinyc::plan::choose::Opt;
use tinyc::target::{Core, Target};
use tinyc::verify::emulator::{Core as Emulated, FirmwareOptions};
use tinyc_tests::benchmarks::{Estimated, WATCHED, Watched, measure};
use tinyc_tests::cost::MACHINES;
use tinyc_tests::needs::{self, RealModels};

const fn on(model: &'static str, target: &'static str, core: Emulated, opt: Opt) -> Watched {
    Watched { model, target, core, opt }
}

/// Cases beside those whose figures are watched.
const BESIDE: [Watched; 9] = [
    on("kws_dscnn", "stm32h743", Emulated::M7, Opt::Balanced),
    on("ic_resnet8", "stm32h743", Emulated::M7, Opt::Balanced),
    on("vww_mobilenet025", "stm32h743", Emulated::M7, Opt::Balanced),
    on("ad_autoencoder", "stm32h743", Emulated::M7, Opt::Balanced),
    on("kws_dscnn", "ensemble-e3-he", Emulated::M55, Opt::Balanced),
    on("ic_resnet8", "ensemble-e3-he", Emulated::M55, Opt::Balanced),
    on("vww_mobilenet025", "ensemble-e3-he", Emulated::M55, Opt::Balanced),
    on("ad_autoencoder", "ensemble-e3-he", Emulated::M55, Opt::Balanced),
    on("kws_dscnn", "nrf5340", Emulated::M33, Opt::Balanced),
];

/// How far the estimate of a whole model may be off.
const TOLERANCE: f64 = 0.1;

#[test]
fn models_are_estimated_within_a_tenth_of_what_was_counted() {
    let Some(RealModels { models, data }) = needs::models() else { return };
    let work_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners");
    let firmware = FirmwareOptions { work_dir, ..FirmwareOptions::default() };
    for watched in WATCHED.into_iter().chain(BESIDE) {
        if !needs::emulator(watched.core) {
            continue;
        }
        let measured = measure(watched, &models, &data, &firmware).unwrap();
        let Estimated { unit, estimated, counted } = measured.estimated.unwrap();
        // What a benchmark of the core has.
        assert_eq!(unit == Unit::Cycles, measured.report.cycles.is_some());
        let off = estimated as f64 / counted as f64 - 1.0;
        let (model, target, opt) = (watched.model, watched.target, watched.opt);
        println!(
            "{model} on {target}, {opt}: {estimated} of {counted} {}: {:+.1} %",
            unit.name(),
            100.0 * off
        );
        assert!(
            off.abs() <= TOLERANCE,
            "{model} on {target}, {opt}: estimated {estimated} {}, counted {counted}: {:+.1} %; fit the cost model again",
            unit.name(),
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
fn every_chip_is_fitted_on_its_core() {
    let fitted: Vec<Costs> =
        MACHINES.iter().flat_map(|machine| machine.cores).filter_map(|core| Costs::of(*core)).collect();
    for target in Target::builtin() {
        let costs = Costs::of(target.core);
        assert_eq!(costs.is_none(), target.core == Core::Host, "{}", target.name);
        assert!(
            costs.is_none_or(|costs| fitted.contains(&costs)),
            "{}: {costs:?} of {fitted:?}",
            target.name
        );
    }
}
