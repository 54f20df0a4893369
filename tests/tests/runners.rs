//! The runners of emitted crates, on hand-written crates with the emitted
//! API: what a model computes, panics, faults and prints must come back.

use std::path::{Path, PathBuf};
use std::time::Duration;
use tinyc::verify::emulator::{Core, Firmware, FirmwareOptions};
use tinyc::verify::error::{Missing, VerifyError};
use tinyc::verify::harness::{CrateRef, LayerOutput, Tools};
use tinyc::verify::host::{HostOptions, HostRunner};
use tinyc_tests::needs;

/// One input of 5, one output of 5, in place; each byte plus one. The one is
/// an initialised variable in RAM.
const PLUS_ONE: &str = "
    static ONE: core::sync::atomic::AtomicI8 = core::sync::atomic::AtomicI8::new(1);
    pub struct Model { buffer: [i8; 5] }
    impl Model {
        pub const INPUT_BYTES: [usize; 1] = [5];
        pub const OUTPUT_BYTES: [usize; 1] = [5];
        pub const fn new() -> Self { Self { buffer: [0; 5] } }
        pub fn input_slice(&mut self, index: usize) -> &mut [i8] {
            match index { 0 => &mut self.buffer, _ => &mut [] }
        }
        pub fn output_slice(&self, index: usize) -> &[i8] {
            match index { 0 => &self.buffer, _ => &[] }
        }
        pub fn run(&mut self) -> &[i8; 5] {
            let one = core::hint::black_box(&ONE).load(core::sync::atomic::Ordering::Relaxed);
            for value in &mut self.buffer { *value = value.wrapping_add(one); }
            BODY
            &self.buffer
        }
        #[cfg(feature = \"trace\")]
        pub fn run_traced(&mut self, sink: &mut dyn FnMut(usize, &str, &[i8])) {
            sink(0, \"input\", &self.buffer);
            self.run();
            sink(1, \"plus_one/\u{fc}\", &self.buffer);
        }
    }
";

/// Inputs a: 3 and b: 2; outputs b reversed, and 1.5 * a in floating point.
const TWO_BY_TWO: &str = "
    pub struct Model { a: [i8; 3], b: [i8; 2], x: [i8; 2], y: [i8; 3] }
    impl Model {
        pub const INPUT_BYTES: [usize; 2] = [3, 2];
        pub const OUTPUT_BYTES: [usize; 2] = [2, 3];
        pub const fn new() -> Self { Self { a: [0; 3], b: [0; 2], x: [0; 2], y: [0; 3] } }
        pub fn input_slice(&mut self, index: usize) -> &mut [i8] {
            match index { 0 => &mut self.a, 1 => &mut self.b, _ => &mut [] }
        }
        pub fn output_slice(&self, index: usize) -> &[i8] {
            match index { 0 => &self.x, 1 => &self.y, _ => &[] }
        }
        pub fn run(&mut self) {
            self.x = [self.b[1], self.b[0]];
            for (y, a) in self.y.iter_mut().zip(self.a) { *y = (f32::from(a) * 1.5) as i8; }
        }
    }
";

const FAULT: &str = "
    #[cfg(target_arch = \"arm\")]
    unsafe { core::arch::asm!(\"udf #0\") };
    #[cfg(target_arch = \"riscv32\")]
    unsafe { core::arch::asm!(\"unimp\") };
";
const PANIC: &str = "
    let index = usize::from(self.buffer[0].unsigned_abs());
    self.buffer[1] = self.buffer[index];
";
const DEEP_STACK: &str = "
    let mut deep = [self.buffer[0]; 8192];
    core::hint::black_box(&mut deep);
    self.buffer[1] = self.buffer[1].wrapping_add(deep[8191]).wrapping_sub(self.buffer[0]);
";
const ENDLESS: &str = "while core::hint::black_box(true) {}";

/// Kept between the tests, so that build results are shared.
fn work_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners")
}

fn host_options() -> HostOptions {
    HostOptions { work_dir: work_dir(), ..HostOptions::default() }
}

fn firmware_options() -> FirmwareOptions {
    FirmwareOptions { work_dir: work_dir(), ..FirmwareOptions::default() }
}

/// A folder for one test's crates: the same in every run, so that nothing is
/// built twice and build results do not pile up.
fn crates_dir(test: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("emitted").join(test)
}

/// Writes a crate in the form of an emitted one.
fn emit(dir: &Path, package: &str, source: &str) -> CrateRef {
    let dir = dir.join(package);
    std::fs::create_dir_all(dir.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [features]\ntrace = []\n"
    );
    let source = format!("#![no_std]\n{source}");
    for (path, text) in [("Cargo.toml", manifest), ("src/lib.rs", source)] {
        let path = dir.join(path);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        std::fs::write(path, text).unwrap();
    }
    CrateRef { package: package.to_owned(), dir }
}

fn plus_one_then(dir: &Path, package: &str, body: &str) -> CrateRef {
    emit(dir, package, &PLUS_ONE.replace("BODY", body))
}

fn build(emitted: &CrateRef, core: Core) -> Firmware {
    Firmware::build(emitted, core, firmware_options()).unwrap()
}

#[test]
fn the_host_runs_each_crate_on_all_its_samples() {
    let dir = crates_dir("the_host_runs_each_crate_on_all_its_samples");
    let crates = [plus_one_then(&dir, "plus-one", ""), emit(&dir, "two-by-two", TWO_BY_TWO)];
    for (native_cpu, quick_build, checked) in [(true, false, false), (false, true, true)] {
        let options = HostOptions { native_cpu, quick_build, checked, ..host_options() };
        let runner = HostRunner::build(&crates, options).unwrap();
        // More samples than threads, none of them a multiple of their number.
        let inputs: Vec<i8> = (0..5 * 1001).map(|i| i as i8).collect();
        let expected: Vec<i8> = (0..5 * 1001).map(|i| (i + 1) as i8).collect();
        assert_eq!(runner.run(0, &inputs).unwrap(), expected);
        let two = runner.run(1, &[1, 2, 3, 4, 5, -3, 84, -100, 7, 8]).unwrap();
        assert_eq!(two, [5, 4, 1, 3, 4, 8, 7, -4, 126, -128]);
        assert_eq!(runner.run(1, &[]).unwrap(), [0; 0]);
        assert_eq!(runner.input_bytes(1).unwrap(), 5);
        assert_eq!(runner.output_bytes(1).unwrap(), 5);
        assert!(matches!(
            runner.run(0, &[1, 2, 3, 4, 5, 6]),
            Err(VerifyError::InputLength { sample_bytes: 5, given_bytes: 6, .. })
        ));
        assert!(matches!(runner.run(2, &[]), Err(VerifyError::NoSuchCrate { index: 2, crates: 2 })));
    }
}

#[test]
fn a_trace_holds_every_layer_on_host_and_cores() {
    let dir = crates_dir("a_trace_holds_every_layer_on_host_and_cores");
    let emitted = plus_one_then(&dir, "traced", "");
    let layer =
        |step, name: &str, data: [i8; 5]| LayerOutput { step, name: name.to_owned(), data: data.to_vec() };
    let expected =
        [layer(0, "input", [1, -128, 127, 0, -1]), layer(1, "plus_one/\u{fc}", [2, -127, -128, 1, 0])];
    let sample = [1, -128, 127, 0, -1];
    let runner = HostRunner::build(std::slice::from_ref(&emitted), host_options()).unwrap();
    assert_eq!(runner.trace(0, &sample).unwrap(), expected);
    assert!(runner.trace(0, &[0; 10]).is_err());
    for core in needs::emulators(&[Core::M0, Core::M4, Core::Rv32]) {
        let firmware = build(&emitted, core);
        assert_eq!(firmware.trace(&sample).unwrap(), expected, "{core:?}");
        assert!(firmware.trace(&[0; 10]).is_err());
    }
}

#[test]
fn every_core_gives_the_same_bytes() {
    let dir = crates_dir("every_core_gives_the_same_bytes");
    let plus_one = plus_one_then(&dir, "plus-one", "");
    let two_by_two = emit(&dir, "two-by-two", TWO_BY_TWO);
    for core in needs::emulators(&Core::ALL) {
        let firmware = build(&plus_one, core);
        let run = firmware.run(&[0, 1, 2, 3, 4, 127, -128, -1, 0, 9]).unwrap();
        assert_eq!(run.outputs, [1, 2, 3, 4, 5, -128, -127, 0, 1, 10], "{core:?}");
        assert_eq!(run.printed["samples"], 2);
        assert_eq!(run.printed["model_ram_bytes"], 5);
        assert!(matches!(
            firmware.run(&[0; 7]),
            Err(VerifyError::InputLength { sample_bytes: 5, given_bytes: 7, .. })
        ));
        let firmware = build(&two_by_two, core);
        let run = firmware.run(&[1, 2, 3, 4, 5, -3, 84, -100, 7, 8]).unwrap();
        assert_eq!(run.outputs, [5, 4, 1, 3, 4, 8, 7, -4, 126, -128], "{core:?}");
    }
    if !needs::emulator(Core::M4) || !needs::rust_target("thumbv7em-none-eabi") {
        return;
    }
    let soft = FirmwareOptions { soft_float: true, ..firmware_options() };
    let run = Firmware::build(&two_by_two, Core::M4, soft).unwrap();
    assert_eq!(run.run(&[1, 2, 3, 4, 5]).unwrap().outputs, [5, 4, 1, 3, 4]);
}

#[test]
fn a_panic_path_does_not_link_on_any_core() {
    let dir = crates_dir("a_panic_path_does_not_link_on_any_core");
    let emitted = plus_one_then(&dir, "panicking", PANIC);
    let file = emitted.dir.join("src/lib.rs").canonicalize().unwrap();
    let source = std::fs::read_to_string(&file).unwrap();
    let indexed = "self.buffer[index]";
    let line = source.lines().position(|line| line.contains(indexed)).unwrap();
    let column = source.lines().nth(line).unwrap().find(indexed).unwrap();
    let expected = format!("{}:{}:{}", file.display(), line + 1, column + 1);
    for core in needs::emulators(&Core::ALL) {
        let error = Firmware::build(&emitted, core, firmware_options()).unwrap_err();
        assert!(error.to_string().contains("panicking can panic"), "{error}");
        match error {
            VerifyError::PanicPath { locations, .. } => {
                assert_eq!(locations, std::slice::from_ref(&expected), "{core:?}");
            }
            other => panic!("{core:?}: {other}"),
        }
    }
}

#[test]
fn a_panic_on_the_host_is_an_error_that_shows_its_message() {
    let dir = crates_dir("a_panic_on_the_host_is_an_error_that_shows_its_message");
    let emitted = plus_one_then(&dir, "panicking", PANIC);
    let runner = HostRunner::build(&[emitted], host_options()).unwrap();
    let error = runner.run(0, &[40, 0, 0, 0, 0]).unwrap_err();
    assert!(matches!(error, VerifyError::Run { .. }), "{error}");
    assert!(error.to_string().contains("index is 41"), "{error}");
}

#[test]
fn a_fault_ends_the_emulator_with_its_cause() {
    let dir = crates_dir("a_fault_ends_the_emulator_with_its_cause");
    let emitted = plus_one_then(&dir, "faulting", FAULT);
    for core in needs::emulators(&Core::ALL) {
        let error = build(&emitted, core).run(&[0; 5]).unwrap_err();
        assert!(matches!(error, VerifyError::Fault { .. }), "{error}");
        // Armv6-M to Armv8-M: HardFault is exception 3; RISC-V: cause 2 is an
        // illegal instruction.
        let cause = if core == Core::Rv32 { 2 } else { 3 };
        let line = format!("fault cause {cause} pc 0x");
        assert!(error.to_string().contains(&line), "{core:?}: {error}");
    }
}

#[test]
fn the_stack_of_a_run_is_measured_and_its_overflow_is_seen() {
    let dir = crates_dir("the_stack_of_a_run_is_measured_and_its_overflow_is_seen");
    let shallow = plus_one_then(&dir, "plus-one", "");
    let deep = plus_one_then(&dir, "deep", DEEP_STACK);
    for core in needs::emulators(&Core::ALL) {
        let shallow = build(&shallow, core).run(&[0; 5]).unwrap().stack_bytes;
        assert!(shallow < 128, "{core:?}: {shallow}");
        let deep_bytes = build(&deep, core).run(&[0; 5]).unwrap().stack_bytes;
        assert!((8192..8192 + 256).contains(&deep_bytes), "{core:?}: {deep_bytes}");
        let small = FirmwareOptions { stack_bytes: 4096, ..firmware_options() };
        let error = Firmware::build(&deep, core, small).unwrap().run(&[0; 5]).unwrap_err();
        assert!(matches!(error, VerifyError::Fault { .. }), "{core:?}: {error}");
    }
}

#[test]
fn a_model_that_does_not_end_is_stopped() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let dir = crates_dir("a_model_that_does_not_end_is_stopped");
    let emitted = plus_one_then(&dir, "endless", ENDLESS);
    let options = FirmwareOptions { per_sample: Duration::from_millis(100), ..firmware_options() };
    let error = Firmware::build(&emitted, Core::M4, options).unwrap().run(&[0; 5]).unwrap_err();
    assert!(matches!(error, VerifyError::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("input_bytes 5"), "{error}");
}

#[test]
fn a_model_larger_than_the_machine_is_told_apart() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let dir = crates_dir("a_model_larger_than_the_machine_is_told_apart");
    let body = "
        static WEIGHTS: [i8; 5 << 20] = [3; 5 << 20];
        self.buffer[0] = core::hint::black_box(&WEIGHTS).iter().fold(0, |a, b| a ^ b);
    ";
    let emitted = plus_one_then(&dir, "large", body);
    let error = Firmware::build(&emitted, Core::M4, firmware_options()).unwrap_err();
    assert!(matches!(error, VerifyError::DoesNotFit { .. }), "{error}");
}

#[test]
fn the_markers_of_the_measured_region_survive_linking() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let dir = crates_dir("the_markers_of_the_measured_region_survive_linking");
    let emitted = plus_one_then(&dir, "plus-one", "");
    let elf = std::fs::read(build(&emitted, Core::M4).elf()).unwrap();
    for symbol in ["\0bench_start\0", "\0bench_stop\0"] {
        let found = elf.windows(symbol.len()).any(|part| part == symbol.as_bytes());
        assert!(found, "no symbol {symbol:?}");
    }
}

#[test]
fn a_missing_tool_is_named_with_the_way_to_get_it() {
    let dir = crates_dir("a_missing_tool_is_named_with_the_way_to_get_it");
    let emitted = plus_one_then(&dir, "plus-one", "");
    let tools = Tools {
        cargo: "no-such-cargo".into(),
        qemu_arm: "no-such-qemu".into(),
        qemu_riscv32: "no-such-qemu-riscv32".into(),
        ..Tools::default()
    };
    let host = HostOptions { tools: tools.clone(), ..host_options() };
    let error = HostRunner::build(std::slice::from_ref(&emitted), host).unwrap_err();
    assert!(matches!(error, VerifyError::Missing(Missing::Rust(_))), "{error}");
    assert!(error.to_string().contains("https://rustup.rs"), "{error}");

    let options = FirmwareOptions {
        tools: Tools { cargo: Tools::default().cargo, ..tools.clone() },
        ..firmware_options()
    };
    let here = needs::emulators(&[Core::M3, Core::Rv32]);
    for (core, package) in [(Core::M3, "qemu-system-arm"), (Core::Rv32, "qemu-system-misc")] {
        if !here.contains(&core) {
            continue;
        }
        let firmware = Firmware::build(&emitted, core, options.clone()).unwrap();
        let error = firmware.run(&[0; 5]).unwrap_err();
        assert!(matches!(error, VerifyError::Missing(Missing::Qemu(_))), "{error}");
        assert!(error.to_string().contains(package), "{error}");
        assert!(matches!(core.missing(&tools)[..], [Missing::Qemu(_)]));
        assert_eq!(core.missing(&Tools::default()), []);
    }
    assert_eq!(tools.missing(), [Missing::Rust("no-such-cargo".to_owned())]);
}

#[cfg(unix)]
#[test]
fn a_missing_rust_target_is_named_before_anything_is_built() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    // Answers as rustc does where no target is installed.
    let rustc = dir.path().join("rustc");
    std::fs::write(&rustc, "#!/bin/sh\necho /no/such/folder\n").unwrap();
    std::fs::set_permissions(&rustc, PermissionsExt::from_mode(0o755)).unwrap();
    let options = FirmwareOptions { tools: Tools { rustc, ..Tools::default() }, ..firmware_options() };
    let missing = Missing::RustTarget("thumbv6m-none-eabi");
    assert!(Core::M0.missing(&options.tools).contains(&missing));
    let emitted =
        plus_one_then(&crates_dir("a_missing_rust_target_is_named_before_anything_is_built"), "plus-one", "");
    let error = Firmware::build(&emitted, Core::M0, options).unwrap_err();
    let advice = "rustup target add thumbv6m-none-eabi";
    assert!(error.to_string().contains(advice), "{error}");
}

#[test]
fn a_traced_panic_tells_its_place() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let dir = crates_dir("a_traced_panic_tells_its_place");
    let traced_only = "if cfg!(feature = \"trace\") { panic!() }";
    let emitted = plus_one_then(&dir, "traced-panic", traced_only);
    let error = build(&emitted, Core::M4).trace(&[0; 5]).unwrap_err();
    assert!(matches!(error, VerifyError::Fault { .. }), "{error}");
    assert!(error.to_string().contains("src/lib.rs:"), "{error}");
}

#[test]
fn a_wrong_set_of_crates_is_refused() {
    let dir = crates_dir("a_wrong_set_of_crates_is_refused");
    let emitted = plus_one_then(&dir, "plus-one", "");
    let twice = [emitted.clone(), emitted.clone()];
    let error = HostRunner::build(&twice, host_options()).unwrap_err();
    assert!(matches!(error, VerifyError::DuplicatePackage { .. }), "{error}");
    let nowhere = CrateRef { dir: dir.join("nowhere"), ..emitted };
    let error = HostRunner::build(&[nowhere], host_options()).unwrap_err();
    assert!(matches!(error, VerifyError::NotACrate { .. }), "{error}");
    let broken = emit(&dir, "broken", "pub struct Mo del;");
    let error = HostRunner::build(std::slice::from_ref(&broken), host_options()).unwrap_err();
    assert!(matches!(error, VerifyError::Build { .. }), "{error}");
    assert!(error.to_string().contains("Mo del"), "{error}");
    if !needs::emulator(Core::M4) {
        return;
    }
    let error = Firmware::build(&broken, Core::M4, firmware_options()).unwrap_err();
    assert!(matches!(error, VerifyError::Build { .. }), "{error}");
}
