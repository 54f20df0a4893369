//! Unrolled layers: what they are said to save and to cost, against linked firmware
//! and the emulator; what budgets take.

use std::path::{Path, PathBuf};

use tinyc::bench::bench;
use tinyc::compile::{CompileOptions, Compiled, Silent, compile};
use tinyc::plan::choose::{Limits, Opt};
use tinyc::plan::unroll::Refused;
use tinyc::target::Target;
use tinyc::verify::emulator::{Core, FirmwareOptions};
use tinyc::verify::validate::{ValidateOptions, validate_compiled};
use tinyc_tests::needs;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/depthwise")
}

fn options(unroll_budget: Option<u64>) -> CompileOptions {
    let target = Target::lookup("stm32f411").unwrap();
    CompileOptions { kernels: target.arch.kernels(), unroll_budget, ..CompileOptions::default() }
}

fn compiled(options: &CompileOptions) -> Compiled {
    compile(&folder().join("model.onnx"), options, &Silent, &mut |_, _| {}).unwrap()
}

#[test]
fn cycles_and_bytes_are_as_promised() {
    if needs::emulators(&[Core::M4]).is_empty() {
        return;
    }
    let target = Target::lookup("stm32f411").unwrap();
    let firmware =
        FirmwareOptions { work_dir: std::env::temp_dir().join("tinyc-tests"), ..Default::default() };
    let measure = |compiled: &Compiled| bench(compiled, &target, None, &firmware, &Silent).unwrap();
    let (rolled, unrolled) = (compiled(&options(Some(0))), compiled(&options(Some(1 << 20))));
    let (before, after) = (measure(&rolled), measure(&unrolled));
    assert!(!unrolled.plan.unrolled.is_empty(), "{:?}", unrolled.unrolls);
    for layer in &unrolled.unrolls {
        let [old, new] = [&before, &after].map(|report| {
            report.layers.iter().find(|row| row.step == layer.step.index()).unwrap().cycles.unwrap()
        });
        let saved = if layer.refused.is_none() { layer.saved_cycles as i64 } else { 0 };
        // The branch costs a call; what is kept between calls saves some.
        let off = (old as i64 - new as i64 - saved).unsigned_abs();
        assert!(off <= old / 100, "{layer:?}: {old} -> {new}");
    }
    let promised: u64 = unrolled.plan.unrolled.iter().map(|shape| shape.code_bytes()).sum();
    let added = after.flash_bytes.code - before.flash_bytes.code;
    assert!(added.abs_diff(promised) <= 100 + promised / 10, "{added} B, promised {promised} B");
}

#[test]
fn unrolled_layers_give_the_references_bytes() {
    // The same plan for a core without those instructions has its own bodies.
    for (name, cores) in [("stm32f411", &[Core::M4, Core::M0][..]), ("stm32h743", &[Core::M7])] {
        let target = Target::lookup(name).unwrap();
        let mut options = ValidateOptions::new(target, &folder().join("model.calib.npz"));
        options.compile.unroll_budget = Some(1 << 20);
        options.samples = Some(8);
        options.cores = needs::emulators(cores);
        options.emulate_samples = 4;
        options.host.work_dir = std::env::temp_dir().join("tinyc-tests");
        options.firmware.work_dir = options.host.work_dir.clone();
        let compiled = compiled(&options.compile);
        assert!(!compiled.plan.unrolled.is_empty());
        let report = validate_compiled(&compiled, &options, &Silent).unwrap();
        assert!(report.identical, "{report}");
        for one in &report.emulated {
            assert!(one.stack_bytes as u64 <= one.stack_bound_bytes, "{report}");
        }
    }
}

#[test]
fn budgets_are_kept_and_told() {
    let bytes =
        |compiled: &Compiled| -> u64 { compiled.plan.unrolled.iter().map(|shape| shape.code_bytes()).sum() };
    let saved = |compiled: &Compiled| -> u64 {
        compiled.unrolls.iter().filter(|u| u.refused.is_none()).map(|u| u.saved_cycles).sum()
    };
    let all = compiled(&options(Some(1 << 20)));
    let mut before = 0;
    for budget in (0..bytes(&all) + 200).step_by(200) {
        let now = compiled(&options(Some(budget)));
        assert!(bytes(&now) <= budget);
        assert!(saved(&now) >= before, "{budget} B save less than fewer");
        before = saved(&now);
        let over = now.unrolls.iter().filter(|u| u.refused == Some(Refused::Budget)).count();
        assert_eq!(over > 0, budget > 0 && bytes(&now) < bytes(&all), "{budget} B: {:?}", now.unrolls);
    }
    assert_eq!(before, saved(&all));
    // Without a budget, the goal has one; other kernels have nothing to unroll.
    assert!(compiled(&options(None)).unrolls.is_empty());
    let fast = CompileOptions { opt: Opt::Speed, ..options(None) };
    assert!(!compiled(&fast).unrolls.is_empty());
    assert!(compiled(&CompileOptions { opt: Opt::Speed, ..CompileOptions::default() }).unrolls.is_empty());
    // A flash that the model fills has no room.
    let flash_bytes = Some(tinyc::report::Footprint::of(&all.plan).flash_bytes() - bytes(&all));
    let full = CompileOptions { limits: Limits { flash_bytes, ram_bytes: None }, ..options(Some(1 << 20)) };
    let full = compiled(&full);
    assert!(full.plan.unrolled.is_empty());
    assert!(full.unrolls.iter().any(|u| u.refused == Some(Refused::Flash)));
}
