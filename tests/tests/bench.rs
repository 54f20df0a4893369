//! Counting and timing: loops whose instructions and cycles are counted by
//! hand, layers that are told apart, figures that repeat to the digit.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tinyc::bench::compare::{Comparison, Older};
use tinyc::bench::timing::time;
use tinyc::bench::{BenchReport, LayerRow, bench};
use tinyc::compile::{CompileOptions, Silent, compile};
use tinyc::plan::strategy::Strategy;
use tinyc::target::{Core as Chip, Target, Timing, TimingTable};
use tinyc::verify::counting::Counted;
use tinyc::verify::elf::Elf;
use tinyc::verify::emulator::{Core, Firmware, FirmwareOptions};
use tinyc::verify::error::VerifyError;
use tinyc::verify::harness::{CrateRef, Tools};
use tinyc::verify::validate::emit;
use tinyc_tests::needs;

/// Three layers in assembly that every core of its kind runs, and one buffer.
/// The third layer is the first one's function, as if both had been merged.
const LOOPS: &str = r#"
    #![no_std]
    #[repr(C, align(8))]
    pub struct Model { buffer: [i8; 16] }
    unsafe extern "C" {
        #[link_name = "_ZN5loops12layer_0_loop17h0000000000000000E"]
        safe fn first(buffer: *mut i8);
        #[link_name = "_ZN5loops12layer_1_loop17h0000000000000000E"]
        safe fn second(buffer: *mut i8);
    }
    impl Model {
        pub const INPUT_BYTES: [usize; 1] = [16];
        pub const OUTPUT_BYTES: [usize; 1] = [16];
        pub const fn new() -> Self { Self { buffer: [0; 16] } }
        pub fn input_slice(&mut self, index: usize) -> &mut [i8] {
            match index { 0 => &mut self.buffer, _ => &mut [] }
        }
        pub fn output_slice(&self, index: usize) -> &[i8] {
            match index { 0 => &self.buffer, _ => &[] }
        }
        pub fn run(&mut self) {
            let buffer = self.buffer.as_mut_ptr();
            first(buffer);
            second(buffer);
            first(buffer);
            // So that the last call is no jump, whose layer would go on.
            core::hint::black_box(&mut self.buffer);
        }
    }
    core::arch::global_asm!(".pushsection .text", "ASSEMBLY", ".popsection", options(raw));
"#;

/// Two loads in a row, a store, a counted branch.
const THUMB_LOOP: &str = r"
    .thumb
    .balign 4
    .global _ZN5loops12layer_0_loop17h0000000000000000E
    .type _ZN5loops12layer_0_loop17h0000000000000000E, %function
    .thumb_func
    _ZN5loops12layer_0_loop17h0000000000000000E:
    movs r1, #0
    movs r2, #100
    1: ldr r3, [r0]
    ldr r3, [r0, #4]
    str r1, [r0]
    adds r1, #1
    subs r2, #1
    bne 1b
    bx lr
    .size _ZN5loops12layer_0_loop17h0000000000000000E, . - _ZN5loops12layer_0_loop17h0000000000000000E
    .global _ZN5loops12layer_1_loop17h0000000000000000E
    .type _ZN5loops12layer_1_loop17h0000000000000000E, %function
    .thumb_func
    _ZN5loops12layer_1_loop17h0000000000000000E:
    BODY
    .size _ZN5loops12layer_1_loop17h0000000000000000E, . - _ZN5loops12layer_1_loop17h0000000000000000E
";

/// 5 instructions, among them a call.
const SHORT: &str = r"
    push {r4, lr}
    bl 2f
    pop {r4, pc}
    nop
    2: movs r4, #1
    bx lr
";

/// One of each kind that the Cortex-M4's table tells apart, in a row.
const KINDS: &str = r"
    .fpu fpv4-sp-d16
    push {r4, r5, lr}
    movs r1, #0
    str r1, [r0, #8]
    mla r2, r2, r3, r1
    umull r4, r5, r2, r3
    smlad r2, r2, r3, r1
    udiv r4, r4, r2
    ldrd r4, r5, [r0]
    ldr r1, [r0, #8]
    ldr r5, [r0, r1]
    str r5, [r0, r1]
    cmp r1, #1
    it eq
    moveq r4, #1
    cbnz r1, 3f
    vmov s0, r1
    vmla.f32 s0, s0, s0
    vdiv.f32 s0, s0, s0
    vmov r4, r5, s0, s1
    vldr d0, [r0]
    3: mrs r4, primask
    pop {r4, r5, pc}
";

const RISCV_LOOP: &str = r"
    .balign 4
    .global _ZN5loops12layer_0_loop17h0000000000000000E
    .type _ZN5loops12layer_0_loop17h0000000000000000E, @function
    _ZN5loops12layer_0_loop17h0000000000000000E:
    li a1, 100
    1: lw a2, 0(a0)
    addi a1, a1, -1
    bnez a1, 1b
    ret
    .global _ZN5loops12layer_1_loop17h0000000000000000E
    .type _ZN5loops12layer_1_loop17h0000000000000000E, @function
    _ZN5loops12layer_1_loop17h0000000000000000E:
    ret
";

fn options() -> FirmwareOptions {
    let work_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners");
    FirmwareOptions { work_dir, ..FirmwareOptions::default() }
}

/// Counts the crate of three layers with this assembly.
fn count(name: &str, core: Core, assembly: &str) -> Counted {
    let dir: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emitted").join(name);
    std::fs::create_dir_all(dir.join("src")).unwrap();
    let manifest =
        "[package]\nname = \"loops\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[features]\ntrace = []\n";
    let lines = |text: &str| text.trim().replace('\n', "\\n");
    let source = LOOPS.replace("ASSEMBLY", &lines(assembly));
    for (path, text) in [("Cargo.toml", manifest), ("src/lib.rs", &source)] {
        if std::fs::read_to_string(dir.join(path)).is_ok_and(|old| old == text) {
            continue;
        }
        std::fs::write(dir.join(path), text).unwrap();
    }
    let emitted = CrateRef { package: "loops".to_owned(), dir };
    Firmware::build(&emitted, core, options()).unwrap().count(&[0; 16], &[0, 1, 2]).unwrap()
}

/// Instructions and cycles of a layer.
fn timed(counted: &Counted, layer: usize, core: Core, timing: Option<Timing>) -> (u64, u64) {
    let timed = time(&counted.counts.layers[layer], &counted.elf, core.isa(), timing).unwrap();
    (timed.instructions, timed.cycles)
}

#[test]
fn a_loop_takes_what_was_counted_by_hand() {
    for core in needs::emulators(&[Core::M0, Core::M3, Core::M4]) {
        let assembly = THUMB_LOOP.replace("BODY", SHORT.trim());
        let counted = count(&format!("loops-{}", core.name()), core, &assembly);
        // Cycles of: two moves, a hundred times two loads, a store, two sums
        // and a branch that is taken 99 times, the return; then, in the second
        // layer: push of two, call, move, return, pop of two that returns.
        let expected = match core {
            Core::M0 => [
                (Chip::CortexM0, 2 + 100 * (2 + 2 + 2 + 1 + 1) + 99 * 3 + 1 + 3, 3 + 4 + 1 + 3 + 3 + 3),
                (Chip::CortexM0Plus, 2 + 100 * (2 + 2 + 2 + 1 + 1) + 99 * 2 + 1 + 2, 3 + 3 + 1 + 2 + 3 + 2),
            ],
            _ => {
                let chip = if core == Core::M3 { Chip::CortexM3 } else { Chip::CortexM4F };
                [(chip, 2 + 100 * (2 + 1 + 1 + 1 + 1) + 99 * 3 + 1 + 3, 3 + 3 + 1 + 3 + 3 + 2); 2]
            }
        };
        for (chip, first, second) in expected {
            let table = Some(chip.timing().unwrap());
            assert_eq!(timed(&counted, 0, core, table), (2 + 600 + 1, first), "{chip:?}");
            assert_eq!(timed(&counted, 1, core, table), (5, second), "{chip:?}");
            // The same function again, for the layer that has none of its own.
            assert_eq!(timed(&counted, 2, core, table), (2 + 600 + 1, first), "{chip:?}");
        }
        // The calls of three layers and little else.
        let outside = counted.counts.outside.executed();
        assert!((4..30).contains(&outside), "{core:?}: {outside}");
    }
}

#[test]
fn every_kind_of_instruction_takes_what_the_table_says() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let counted = count("kinds-m4", Core::M4, &THUMB_LOOP.replace("BODY", KINDS.trim()));
    let cycles = [
        4,  // push of three
        1,  // movs
        1,  // store, immediate offset
        1,  // mla
        1,  // umull
        1,  // smlad
        7,  // udiv
        3,  // ldrd
        2,  // ldr: a pair of words in front hides nothing
        2,  // ldr: its address needs the load in front
        1,  // store with a register offset, behind a load
        1,  // cmp
        1,  // it
        1,  // moveq
        1,  // cbnz, not taken
        1,  // vmov
        3,  // vmla
        14, // vdiv
        2,  // vmov of two
        3,  // vldr of a double
        2,  // mrs
        6,  // pop of three, and the pipeline's refill
    ];
    let expected = (cycles.len() as u64, cycles.iter().sum());
    assert_eq!(timed(&counted, 1, Core::M4, Some(Timing::Table(TimingTable::M4))), expected);
}

/// Two passes of the tile kernel's inner loop: beside each product a load or the widening
/// of a word, none of which the next two products need.
const PAIRED: &str = r"
    mov r1, r0
    push {r4-r11, lr}
    .irp i, 0, 1
    smlad r9, r5, r2, r9
    ldr.n r2, [r0, #8*\\i]
    smlad r12, r4, r3, r12
    ldr.n r4, [r1, #8*\\i]
    smlad lr, r5, r3, lr
    ldr.n r3, [r0, #8*\\i+4]
    sxtb16 r5, r4
    smlad r6, r4, r2, r6
    smlad r7, r5, r2, r7
    smlad r10, r4, r3, r10
    ldr.n r4, [r1, #8*\\i+4]
    smlad r11, r5, r3, r11
    sxtb16 r5, r4
    smlad r8, r4, r2, r8
    .endr
    pop {r4-r11, pc}
";

#[test]
fn two_instructions_at_once_take_what_was_counted_by_hand() {
    if !needs::emulator(Core::M7) {
        return;
    }
    let timing = Chip::CortexM7FDp.timing();
    let counted = count("loops-m7", Core::M7, &THUMB_LOOP.replace("BODY", SHORT.trim()));
    // Two moves at once. A hundred times: a load; a second one to the same register and
    // the store; two sums; the branch, which goes the other way once. The return.
    assert_eq!(timed(&counted, 0, Core::M7, timing), (603, 1 + 100 * 4 + 8 + 1));
    // Push, call, pop; the move and its return at once.
    assert_eq!(timed(&counted, 1, Core::M7, timing), (5, 4));
    let counted = count("paired-m7", Core::M7, &THUMB_LOOP.replace("BODY", PAIRED.trim()));
    // A move, nine words in five cycles, twice eight products, nine words.
    assert_eq!(timed(&counted, 1, Core::M7, timing), (31, 1 + 5 + 2 * 8 + 5));
}

#[test]
fn a_core_without_a_table_has_instructions_alone() {
    for chip in [Chip::CortexM33F, Chip::CortexM55, Chip::Rv32imc, Chip::Host] {
        assert_eq!(chip.timing(), None);
    }
    if !needs::emulator(Core::Rv32) {
        return;
    }
    let counted = count("loops-rv32", Core::Rv32, RISCV_LOOP);
    assert_eq!(timed(&counted, 0, Core::Rv32, None), (1 + 300 + 1, 0));
    assert_eq!(timed(&counted, 1, Core::Rv32, None), (1, 0));
}

#[test]
fn loads_from_flash_are_counted_by_lines() {
    if !needs::emulator(Core::M4) {
        return;
    }
    // Eight words of four lines, from the last to the first, twice; then the
    // stack, which is no flash.
    let body = r"
        movs r2, #2
        4: adr r1, 5f
        adds r1, #64
        movs r3, #8
        6: subs r1, #8
        ldr r0, [r1]
        subs r3, #1
        bne 6b
        subs r2, #1
        bne 4b
        ldr r0, [sp]
        bx lr
        .balign 16
        5: .space 64
    ";
    let counted = count("flash-m4", Core::M4, &THUMB_LOOP.replace("BODY", body.trim()));
    let layer = &counted.counts.layers[1];
    assert_eq!((layer.flash_line_changes, layer.flash_lines), (8, 4));
    assert_eq!(counted.counts.layers[0].flash_lines, 0);
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/digits/model.onnx")
}

fn digits(target: &str) -> BenchReport {
    let target = Target::lookup(target).unwrap();
    let compile_options = CompileOptions { kernels: target.arch.kernels(), ..CompileOptions::default() };
    let compiled = compile(&fixture(), &compile_options, &Silent, &mut |_, _| {}).unwrap();
    bench(&compiled, &target, None, &options(), &Silent).unwrap()
}

#[test]
fn figures_repeat_to_the_digit_and_add_up() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let report = digits("stm32f411");
    assert_eq!(report, digits("stm32f411"));
    let layers = || report.layers.iter();
    let instructions: u64 = layers().map(|layer| layer.instructions).sum();
    assert_eq!(instructions + report.rest.instructions, report.instructions);
    let cycles: u64 = layers().map(|layer| layer.cycles.unwrap()).sum();
    assert_eq!(cycles + report.rest.cycles.unwrap(), report.cycles.unwrap());
    assert_eq!(layers().map(|layer| layer.macs).sum::<u64>(), report.macs);
    // A layer takes at least half a cycle a product, and most of the work is in layers.
    assert!(layers().all(|layer| 2 * layer.cycles.unwrap() >= layer.macs));
    assert!(report.rest.instructions < 100, "{report}");
    // 100 MHz: 100,000 cycles a millisecond.
    let ms = report.cycles.unwrap() as f64 / 1e5;
    assert!((report.ms.unwrap() - ms).abs() < 1e-9 && report.ms_with_flash.unwrap() > ms, "{report}");
    assert!(report.stack_bytes > 0 && report.flash_bytes.code > 500, "{report}");
}

/// A plan of cascades has no whole layer to measure: its steps are told apart by
/// the layers' functions all the same.
#[test]
fn layers_that_run_row_by_row_are_told_apart() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let target = Target::lookup("stm32f411").unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/residual/model.onnx");
    let report = |strategy| {
        let compile_options =
            CompileOptions { kernels: target.arch.kernels(), strategy, ..CompileOptions::default() };
        let compiled = compile(&model, &compile_options, &Silent, &mut |_, _| {}).unwrap();
        assert_eq!(compiled.plan.row_tables.is_empty(), strategy == Strategy::Fast);
        bench(&compiled, &target, None, &options(), &Silent).unwrap()
    };
    let (whole, rows) = (report(Strategy::Fast), report(Strategy::Min));
    assert!(rows.arena_bytes < whole.arena_bytes, "{rows}\n{whole}");
    // The same products, by the same layers, each of which was seen at work.
    assert_eq!(rows.macs, whole.macs);
    let names = |report: &BenchReport| -> Vec<(String, u64)> {
        report.layers.iter().map(|layer| (layer.name.clone(), layer.macs)).collect()
    };
    assert_eq!(names(&rows), names(&whole));
    assert!(rows.layers.iter().all(|layer| layer.macs == 0 || layer.instructions > layer.macs / 2), "{rows}");
    let instructions: u64 = rows.layers.iter().map(|layer| layer.instructions).sum();
    assert_eq!(instructions + rows.rest.instructions, rows.instructions);
    assert!(rows.stack_bytes <= rows.stack_bound_bytes, "{rows}");
    // Whom to blame for the stack: the way from the harness into a kernel, to the byte.
    let held: u64 = rows.stack_path.iter().map(|frame| u64::from(frame.bytes)).sum();
    assert_eq!(held, rows.stack_bound_bytes, "{:?}", rows.stack_path);
    assert_eq!(rows.stack_path[0].function, "bench_run");
    let last = rows.stack_path.last().unwrap();
    assert!(rows.to_string().contains(&format!(" > {} {} B", last.function, last.bytes)), "{rows}");
}

#[test]
fn chips_without_a_table_or_wait_states_say_so() {
    for (chip, core) in [("rp2040", Core::M0), ("stm32f746", Core::M7), ("esp32c3", Core::Rv32)] {
        if !needs::emulator(core) {
            continue;
        }
        let report = digits(chip);
        let text = report.to_string();
        assert!(report.instructions > 10_000);
        if core != Core::Rv32 {
            assert!(report.ms.is_some() && report.ms_with_flash.is_none());
            assert!(text.contains("what waiting for flash costs is not known"), "{text}");
            assert_eq!(text.contains("estimated by a model of dual issue"), core == Core::M7, "{text}");
        } else {
            assert_eq!((report.cycles, report.ms), (None, None));
            assert!(text.contains("no timing table is published for this core"), "{text}");
        }
    }
}

/// Code, weights and the rest are all of the firmware's sections, and the weights are
/// those of the plan.
#[test]
fn flash_adds_up_to_the_sections_of_the_firmware() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let target = Target::lookup("stm32f411").unwrap();
    let compile_options = CompileOptions { kernels: target.arch.kernels(), ..CompileOptions::default() };
    let compiled = compile(&fixture(), &compile_options, &Silent, &mut |_, _| {}).unwrap();
    let report = bench(&compiled, &target, None, &options(), &Silent).unwrap();
    let emitted = emit(&compiled, &target, &options().work_dir).unwrap();
    let firmware = Firmware::build(&emitted, Core::M4, options()).unwrap();
    let elf = Elf::parse(&std::fs::read(firmware.elf()).unwrap()).unwrap();
    let flash = report.flash_bytes;
    assert_eq!(flash.code, u64::from(elf.section_bytes(".text")));
    let constants = u64::from(elf.section_bytes(".rodata")) + u64::from(elf.section_bytes(".data"));
    assert_eq!(flash.weights + flash.other, constants);
    let linked = elf.symbols.iter().find(|symbol| symbol.name.contains("WEIGHTS")).unwrap();
    let stored = compiled.plan.weights.len() as u64;
    assert_eq!(u64::from(linked.bytes), stored.next_multiple_of(16));
    assert_eq!(flash.weights + report.tables_bytes, stored);
    // One byte a weight, four a bias, and what fills up blocks of four.
    assert!(report.parameters_bytes <= flash.weights && report.weights_ratio.unwrap() < 1.2, "{report}");
    let layers = |of: fn(&LayerRow) -> u64| report.layers.iter().map(of).sum::<u64>();
    assert_eq!(layers(|layer| layer.tables_bytes), report.tables_bytes);
    assert!(layers(|layer| layer.weights_bytes).abs_diff(flash.weights) < 16 * report.layers.len() as u64);
}

#[test]
fn a_report_compares_with_an_older_one() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let report = digits("stm32f411");
    let mut json = serde_json::to_value(&report).unwrap();
    // The older one took twice the cycles in its first layer, and had another.
    let first = report.layers[0].cycles.unwrap();
    json["layers"][0]["cycles"] = (2 * first).into();
    json["cycles"] = (report.cycles.unwrap() + first).into();
    let mut gone = json["layers"][0].clone();
    gone["name"] = "gone".into();
    json["layers"].as_array_mut().unwrap().push(gone);
    let older = Older::parse(&json.to_string()).unwrap();
    let comparison = Comparison::new(&older, &report);
    assert_eq!(comparison.unit, "cycles");
    assert_eq!(comparison.layers[0].change.ratio, Some(0.5));
    assert_eq!(comparison.layers[1].change.ratio, Some(1.0));
    let last = comparison.layers.last().unwrap();
    assert_eq!((last.name.as_str(), last.change.old, last.change.new), ("gone", Some(2 * first), None));
    assert_eq!(comparison.total.old, Some(report.cycles.unwrap() + first));
    assert!(!comparison.tables_as_weights);
    assert_eq!((comparison.code_bytes.ratio, comparison.weights_bytes.ratio), (Some(1.0), Some(1.0)));
    // One from before tables were told from weights counts them as such.
    json.as_object_mut().unwrap().remove("tables_bytes");
    json["flash_bytes"]["weights"] = (report.flash_bytes.weights + report.tables_bytes).into();
    json["flash_bytes"]["other"] = (report.flash_bytes.other - report.tables_bytes).into();
    let before = Comparison::new(&Older::parse(&json.to_string()).unwrap(), &report);
    assert!(before.tables_as_weights && report.tables_bytes > 0);
    assert_eq!((before.code_bytes.ratio, before.weights_bytes.ratio), (Some(1.0), Some(1.0)));
    let text = BenchReport { comparison: Some(before), ..report.clone() }.to_string();
    assert!(text.contains("older report counts multipliers and tables as weights"), "{text}");
    let text = BenchReport { comparison: Some(comparison), ..report }.to_string();
    assert!(text.contains("new / old") && text.contains("0.5000"), "{text}");
    assert!(Older::parse("{}").is_err());
}

/// Every field that is printed stands in docs/json.md under `## bench`.
#[test]
fn every_field_is_documented() {
    if !needs::emulator(Core::M4) {
        return;
    }
    fn keys(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.keys().cloned());
                fields.values().for_each(|field| keys(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let mut report = digits("stm32f411");
    let older = Older::parse(&serde_json::to_string(&report).unwrap()).unwrap();
    report.comparison = Some(Comparison::new(&older, &report));
    let mut found = BTreeSet::new();
    keys(&serde_json::to_value(&report).unwrap(), &mut found);
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md")).unwrap();
    let section = document.split("\n## bench\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let missing: Vec<&String> = found.iter().filter(|key| !section.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/json.md, bench: {missing:?}");
}

#[cfg(unix)]
#[test]
fn an_emulator_without_plugins_is_one_clear_error() {
    use std::os::unix::fs::PermissionsExt;
    if !needs::emulator(Core::M4) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Runs firmware as the real one does, but its help names no plugins.
    let program = dir.path().join("qemu-system-arm");
    let script =
        "#!/bin/sh\ncase $1 in --help) echo 'usage: -M machine';; *) exec qemu-system-arm \"$@\";; esac\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let target = Target::lookup("stm32f411").unwrap();
    let compiled = compile(&fixture(), &CompileOptions::default(), &Silent, &mut |_, _| {}).unwrap();
    let tools = Tools { qemu_arm: program, ..Tools::default() };
    let error =
        bench(&compiled, &target, None, &FirmwareOptions { tools, ..options() }, &Silent).unwrap_err();
    let tinyc::bench::BenchError::Verify(VerifyError::NoPlugins { .. }) = error else { panic!("{error}") };
    assert!(error.to_string().contains("TCG plugins"), "{error}");
}

#[test]
fn the_host_is_no_target_for_counting() {
    let compiled = compile(&fixture(), &CompileOptions::default(), &Silent, &mut |_, _| {}).unwrap();
    let error = bench(&compiled, &Target::lookup("host").unwrap(), None, &options(), &Silent).unwrap_err();
    assert!(error.to_string().contains("has no core to emulate"), "{error}");
}
