//! The computed stack: functions in assembly whose depth is known by hand, what
//! has no bound and must be refused, and painted stacks below their bounds.

use std::path::{Path, PathBuf};

use tinyc::codegen::RamFacts;
use tinyc::compile::{CompileOptions, Silent, compile};
use tinyc::emit::{Facts, emit, emit_with};
use tinyc::stack::{StackError, bound};
use tinyc::target::Target;
use tinyc::target::units::thousands;
use tinyc::verify::elf::Elf;
use tinyc::verify::emulator::{Core, Firmware, FirmwareOptions};
use tinyc::verify::error::VerifyError;
use tinyc::verify::harness::CrateRef;
use tinyc::verify::validate::{ValidateOptions, validate};
use tinyc::verify::worst_case::worst_case;
use tinyc_tests::needs;

/// The emitted API around `RUN`; the input can be changed by nothing else.
const MODEL: &str = "
    #![no_std]
    pub struct Model { buffer: [i8; 4] }
    impl Model {
        pub const INPUT_BYTES: [usize; 1] = [4];
        pub const OUTPUT_BYTES: [usize; 1] = [4];
        pub const fn new() -> Self { Self { buffer: [0; 4] } }
        pub fn input_slice(&mut self, index: usize) -> &mut [i8] {
            match index { 0 => &mut self.buffer, _ => &mut [] }
        }
        pub fn output_slice(&self, index: usize) -> &[i8] {
            match index { 0 => &self.buffer, _ => &[] }
        }
        pub fn run(&mut self) {
            RUN
        }
    }
";

/// Functions of Armv6-M: name, body, and the depth counted by hand.
const THUMB: &[(&str, &str, u32)] = &[
    ("leaf", "bx lr", 0),
    ("frame", "push {r4, r5, lr}; sub sp, #24; add sp, #24; pop {r4, r5, pc}", 12 + 24),
    ("caller", "push {r4, lr}; sub sp, #8; bl frame; add sp, #8; pop {r4, pc}", 16 + 36),
    ("deeper_after_the_call", "push {lr}; bl leaf; sub sp, #40; add sp, #40; pop {pc}", 44),
    ("tail", "push {r4, lr}; pop {r4}; pop {r3}; mov lr, r3; b frame", 36),
    ("conditional_tail", "cmp r0, #0; beq frame; bx lr", 36),
    ("branches", "push {lr}; cmp r0, #0; beq 1f; sub sp, #64; add sp, #64; 1: pop {pc}", 4 + 64),
    ("loops", "push {r4, lr}; 1: sub sp, #8; bl frame; add sp, #8; subs r4, #1; bne 1b; pop {r4, pc}", 52),
    ("zero_test", "push {lr}; movs r1, #0; 1: subs r0, #1; bne 1b; pop {pc}", 4),
    (
        "by_a_literal",
        "push {r4, lr}; ldr r4, 1f; add sp, r4; ldr r4, 2f; add sp, r4; pop {r4, pc}; .balign 4; 1: .word -1024; 2: .word 1024",
        8 + 1024,
    ),
    (
        "by_the_frame_pointer",
        "push {r4-r7, lr}; add r7, sp, #12; sub sp, #200; subs r6, r7, #7; subs r6, #5; mov sp, r6; pop {r4-r7, pc}",
        20 + 200,
    ),
    ("far_jump", "push {r4, lr}; bl 2f; nop; 2: sub sp, #16; add sp, #16; pop {r4, pc}", 24),
    ("own_part", "push {r4, lr}; bl 2f; pop {r4, pc}; 2: push {r4}; pop {r4}; bx lr", 8 + 4),
    ("trap", "push {r4, lr}; cmp r0, #0; beq 1f; udf #0; 1: pop {r4, pc}", 8),
    (
        "table_and_filled_up_data",
        "push {r4, lr}; lsls r0, r0, #1; add pc, r0; .byte 1, 1; sub sp, #40; add sp, #40; pop {r4, pc}; mov r8, r8; .word 7",
        48,
    ),
];

/// Those that need Thumb-2.
const THUMB_2: &[(&str, &str, u32)] = &[
    (
        "wide",
        "push.w {r4-r11, lr}; sub.w sp, sp, #1000; strd r0, r1, [sp, #-16]!; ldrd r0, r1, [sp], #16; add.w sp, sp, #1000; pop.w {r4-r11, pc}",
        36 + 1000 + 16,
    ),
    ("one_register", "str r8, [sp, #-4]!; ldr r8, [sp], #4; bx lr", 4),
    ("one_back_to_pc", "str lr, [sp, #-8]!; bl frame; ldr pc, [sp], #8", 8 + 36),
    ("plain_immediate", "subw sp, sp, #2220; addw sp, sp, #2220; bx lr", 2220),
    (
        "by_a_register",
        "movw r12, #0x1000; movt r12, #1; sub.w sp, sp, r12; movw r12, #0x1000; movt r12, #1; add.w sp, sp, r12; bx lr",
        0x11000,
    ),
    (
        "returns_on_a_condition",
        "push {r4, lr}; sub sp, #32; cmp r0, #0; itt eq; addeq sp, #32; popeq {r4, pc}; sub sp, #16; add sp, #48; pop {r4, pc}",
        8 + 32 + 16,
    ),
    (
        "either_way",
        "push {r4, lr}; cmp r0, #0; ite eq; subeq sp, #32; subne sp, #32; add sp, #32; pop {r4, pc}",
        40,
    ),
    ("far_branch", "push {lr}; cmp r0, #0; beq.w 1f; b.w 2f; 1: sub sp, #12; add sp, #12; 2: pop {pc}", 16),
    (
        "table_of_bytes",
        "push {r4, lr}; tbb [pc, r0]; 1: .byte (2f-1b)/2, (3f-1b)/2, (2f-1b)/2; .balign 2; 2: sub sp, #40; add sp, #40; pop {r4, pc}; 3: sub sp, #80; add sp, #80; pop {r4, pc}",
        88,
    ),
    (
        "table_of_halfwords",
        "push {r4, lr}; tbh [pc, r0, lsl #1]; 1: .hword (2f-1b)/2, (3f-1b)/2; 2: pop {r4, pc}; 3: sub sp, #80; add sp, #80; pop {r4, pc}",
        88,
    ),
    (
        "into_an_unrolled_body",
        "push {r4, lr}; adr.w r1, 3f; add r1, r1, r0, lsl #1; orr r1, r1, #1; bx r1; 3: nop; nop; sub sp, #20; add sp, #20; pop {r4, pc}",
        28,
    ),
    ("many", "stmdb sp!, {r4-r6, lr}; ldmia sp!, {r4-r6, pc}", 16),
];

/// Those of a floating-point unit.
const FLOAT: &[(&str, &str, u32)] = &[("floats", "vpush {d8-d10}; vpop {d8-d10}; bx lr", 24)];

/// Those of Armv8.1-M: loops with a counter in LR, vectors, predicates.
const LOOPS: &[(&str, &str, u32)] = &[
    (
        "counted",
        "push {r4, lr}; dls lr, r2; 1: sub sp, #8; add sp, #8; le lr, 1b; sub sp, #40; add sp, #40; pop {r4, pc}",
        48,
    ),
    (
        "skipped",
        "push {r4, lr}; wls lr, r2, 2f; 1: nop; le lr, 1b; 2: sub sp, #24; add sp, #24; pop {r4, pc}",
        32,
    ),
    (
        "vectors",
        "push {r4, lr}; vpush {d8-d15}; dlstp.8 lr, r2; 1: vldrb.8 q0, [r0], #16; vmladava.s8 r4, q0, q4; letp lr, 1b; vctp.32 r2; vpst; vstrbt.32 q0, [r1], #4; vpop {d8-d15}; pop {r4, pc}",
        8 + 64,
    ),
    (
        "skipped_tail",
        "push {r4, lr}; wlstp.8 lr, r2, 2f; 1: vldrb.8 q0, [r0], #16; letp lr, 1b; 2: sub sp, #4; add sp, #4; pop {r4, pc}",
        12,
    ),
];

const RISCV: &[(&str, &str, u32)] = &[
    ("leaf", "ret", 0),
    ("frame", "addi sp, sp, -48; addi sp, sp, 48; ret", 48),
    ("small_frame", "addi sp, sp, -16; addi sp, sp, 16; ret", 16),
    ("caller", "addi sp, sp, -16; sw ra, 12(sp); call frame; lw ra, 12(sp); addi sp, sp, 16; ret", 64),
    ("near_caller", "addi sp, sp, -16; sw ra, 12(sp); jal frame; lw ra, 12(sp); addi sp, sp, 16; ret", 64),
    ("tail", "tail frame", 48),
    ("near_tail", "j frame", 48),
    ("conditional_tail", "beqz a0, 1f; ret; 1: j frame", 48),
    ("branches", "bltu a0, a1, 1f; addi sp, sp, -512; addi sp, sp, 512; 1: ret", 512),
    (
        "by_a_register",
        "addi sp, sp, -2032; lui a0, 2; addi a0, a0, -1024; sub sp, sp, a0; lui a0, 2; addi a0, a0, -1024; add sp, sp, a0; addi sp, sp, 2032; ret",
        2032 + 8192 - 1024,
    ),
    (
        "by_the_frame_pointer",
        "addi sp, sp, -64; addi s0, sp, 64; addi sp, sp, -32; nop; addi sp, s0, -64; addi sp, sp, 64; ret",
        96,
    ),
    (
        "table_of_addresses",
        "la a1, 1f; slli a0, a0, 2; add a0, a0, a1; lw a0, 0(a0); jr a0; 2: addi sp, sp, -64; addi sp, sp, 64; ret; 3: ret; .pushsection .rodata; .balign 4; 1: .word 2b, 3b; .popsection",
        64,
    ),
    ("trap", "beqz a0, 1f; unimp; 1: ret", 0),
];

/// Why a function has no bound.
#[derive(Debug, PartialEq, Eq)]
enum Why {
    Recursion,
    IndirectCall,
    IndirectJump,
    NotConstant,
    Unbalanced,
    NoCode,
}

impl Why {
    fn of(error: &StackError) -> Option<Self> {
        match error {
            StackError::Recursion(_) => Some(Self::Recursion),
            StackError::IndirectCall(_) => Some(Self::IndirectCall),
            StackError::IndirectJump(_) => Some(Self::IndirectJump),
            StackError::NotConstant(_) => Some(Self::NotConstant),
            StackError::Unbalanced { .. } => Some(Self::Unbalanced),
            StackError::NoCode(_) => Some(Self::NoCode),
            StackError::NoFunction(_) => None,
        }
    }
}

const THUMB_REFUSED: &[(&str, &str, Why)] = &[
    ("itself", "push {r4, lr}; bl itself; pop {r4, pc}", Why::Recursion),
    ("ping", "push {r4, lr}; bl pong; pop {r4, pc}", Why::Recursion),
    ("pong", "push {r4, lr}; cmp r0, #0; beq 1f; bl ping; 1: pop {r4, pc}", Why::Recursion),
    ("calls_a_cycle", "push {r4, lr}; bl leaf; bl ping; pop {r4, pc}", Why::Recursion),
    ("calls_a_register", "push {r4, lr}; blx r0; pop {r4, pc}", Why::IndirectCall),
    ("calls_one_that_does", "push {r4, lr}; bl calls_a_register; pop {r4, pc}", Why::IndirectCall),
    ("jumps_to_a_register", "bx r0", Why::IndirectJump),
    ("moves_to_pc", "mov pc, r0", Why::IndirectJump),
    ("adr_of_data", "adr r1, 1f; ldr r1, [r1]; bx r1; .balign 4; 1: .word leaf", Why::IndirectJump),
    ("dynamic", "mov r1, sp; subs r1, r1, r0; mov sp, r1; bx lr", Why::NotConstant),
    ("adds_a_register", "add sp, r0; bx lr", Why::NotConstant),
    ("above_the_caller", "add sp, #8; sub sp, #8; bx lr", Why::NotConstant),
    ("two_depths", "cmp r0, #0; beq 1f; push {r5}; 1: nop; pop {r5}; bx lr", Why::Unbalanced),
    ("grows_in_a_loop", "1: push {r5}; subs r0, #1; bne 1b; bx lr", Why::Unbalanced),
    ("leaves_bytes", "push {r4}; bx lr", Why::Unbalanced),
    ("leaves_bytes_in_a_tail", "push {r4}; b leaf", Why::Unbalanced),
    ("runs_off", "push {r4}; pop {r4}", Why::NoCode),
];

const RISCV_REFUSED: &[(&str, &str, Why)] = &[
    ("itself", "addi sp, sp, -16; call itself; addi sp, sp, 16; ret", Why::Recursion),
    ("ping", "addi sp, sp, -16; call pong; addi sp, sp, 16; ret", Why::Recursion),
    ("pong", "beqz a0, 1f; tail ping; 1: ret", Why::Recursion),
    ("calls_a_register", "addi sp, sp, -16; jalr a0; addi sp, sp, 16; ret", Why::IndirectCall),
    ("jumps_to_a_register", "jr a0", Why::IndirectJump),
    ("jumps_by_a_pointer", "lw a0, 0(a0); jr a0", Why::IndirectJump),
    ("dynamic", "sub sp, sp, a0; ret", Why::NotConstant),
    ("aligns", "andi sp, sp, -64; ret", Why::NotConstant),
    ("another_link", "jal t0, leaf; ret", Why::NotConstant),
    ("two_depths", "beqz a0, 1f; addi sp, sp, -16; 1: ret", Why::Unbalanced),
    ("leaves_bytes", "addi sp, sp, -16; ret", Why::Unbalanced),
    ("runs_off", "nop", Why::NoCode),
];

fn options() -> FirmwareOptions {
    let work_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners");
    FirmwareOptions { work_dir, ..FirmwareOptions::default() }
}

/// Builds a crate with this `run` and these items.
fn build(name: &str, core: Core, run: &str, items: &str) -> Firmware {
    let dir: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emitted").join(name);
    std::fs::create_dir_all(dir.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[features]\ntrace = []\n"
    );
    let source = MODEL.replace("RUN", run) + items;
    for (path, text) in [("Cargo.toml", &manifest), ("src/lib.rs", &source)] {
        if std::fs::read_to_string(dir.join(path)).is_ok_and(|old| old == *text) {
            continue;
        }
        std::fs::write(dir.join(path), text).unwrap();
    }
    Firmware::build(&CrateRef { package: name.to_owned(), dir }, core, options()).unwrap()
}

/// A firmware that holds these functions in assembly; the last one runs on
/// into `leaf`.
fn assembled(name: &str, core: Core, functions: &[(&str, &str)]) -> Elf {
    let prefix = match core {
        Core::Rv32 => ".option norelax",
        Core::M3 => ".syntax unified",
        Core::M0 => ".syntax unified",
        Core::M55 => ".syntax unified\n.cpu cortex-m55",
        _ => ".syntax unified\n.fpu fpv4-sp-d16",
    };
    let thumb = if core == Core::Rv32 { "" } else { ".thumb_func" };
    let kind = if core == Core::Rv32 { "@function" } else { "%function" };
    let mut text = format!("{prefix}\n");
    for (name, body) in functions {
        let body = body.replace("; ", "\n");
        text += &format!(
            ".balign 4\n.global {name}\n.type {name}, {kind}\n{thumb}\n{name}:\n{body}\n.size {name}, . - {name}\n"
        );
    }
    let items = format!(
        "unsafe extern \"C\" {{ safe fn leaf(); }}\n\
         core::arch::global_asm!({:?}, options(raw));",
        format!(".pushsection .text\n{text}.popsection\n")
    );
    let firmware = build(name, core, "leaf(); core::hint::black_box(&mut self.buffer);", &items);
    Elf::parse(&std::fs::read(firmware.elf()).unwrap()).unwrap()
}

#[test]
fn a_function_takes_the_stack_that_was_counted_by_hand() {
    for core in needs::emulators(&Core::ALL) {
        let mut functions: Vec<(&str, &str, u32)> = match core {
            Core::Rv32 => RISCV.to_vec(),
            _ => THUMB.to_vec(),
        };
        if !matches!(core, Core::Rv32 | Core::M0) {
            functions.extend(THUMB_2);
        }
        if !matches!(core, Core::Rv32 | Core::M0 | Core::M3) {
            functions.extend(FLOAT);
        }
        if core == Core::M55 {
            functions.extend(LOOPS);
        }
        let bodies: Vec<_> = functions.iter().map(|&(name, body, _)| (name, body)).collect();
        let elf = assembled(&format!("stack-{}", core.name()), core, &bodies);
        for (name, _, bytes) in functions {
            let bound = bound(&elf, core.isa(), name).unwrap_or_else(|e| panic!("{core:?}, {name}: {e}"));
            assert_eq!(bound.bytes, bytes, "{core:?}, {name}: {:?}", bound.path);
            assert_eq!(bound.path.iter().map(|part| part.1).sum::<u32>(), bytes, "{core:?}, {name}");
            assert_eq!(bound.path[0].0, name);
        }
        let caller = bound(&elf, core.isa(), "caller").unwrap();
        assert_eq!(caller.path[1].0, "frame");
    }
}

#[test]
fn what_has_no_bound_is_refused() {
    for core in needs::emulators(&Core::ALL) {
        let refused = if core == Core::Rv32 { RISCV_REFUSED } else { THUMB_REFUSED };
        let leaf = if core == Core::Rv32 { "ret" } else { "bx lr" };
        let mut functions = vec![("leaf", leaf)];
        functions.extend(refused.iter().map(|&(name, body, _)| (name, body)));
        let elf = assembled(&format!("refused-{}", core.name()), core, &functions);
        for (name, _, why) in refused {
            let error = bound(&elf, core.isa(), name).unwrap_err();
            assert_eq!(Why::of(&error).as_ref(), Some(why), "{core:?}, {name}: {error}");
        }
        let error = bound(&elf, core.isa(), "ping").unwrap_err();
        assert_eq!(error.to_string(), "recursion: ping calls pong calls ping");
        assert!(matches!(bound(&elf, core.isa(), "nothing"), Err(StackError::NoFunction(_))));
    }
}

/// A choice of eight that compilers make a table of, with calls in it.
const CHOICE: &str = "
    match core::hint::black_box(self.buffer[0]) & 7 {
        0 => deep::<1>(&mut self.buffer),
        1 => deep::<2>(&mut self.buffer),
        2 => deep::<3>(&mut self.buffer),
        3 => deep::<40>(&mut self.buffer),
        4 => deep::<5>(&mut self.buffer),
        5 => deep::<6>(&mut self.buffer),
        6 => deep::<7>(&mut self.buffer),
        _ => deep::<8>(&mut self.buffer),
    }
    core::hint::black_box(&mut self.buffer);
";

const DEEP: &str = "
    #[inline(never)]
    fn deep<const N: usize>(buffer: &mut [i8; 4]) {
        let words = core::hint::black_box([buffer[1] as u32; N]);
        for word in words { buffer[0] = buffer[0].wrapping_add(word as i8 & 1); }
    }
";

#[test]
fn the_bound_counts_the_deepest_branch_and_not_only_the_one_that_ran() {
    for core in needs::emulators(&Core::ALL) {
        let firmware = build("choice", core, CHOICE, DEEP);
        let bound = firmware.worst_case().unwrap().stack.bytes as usize;
        let painted = |first| firmware.run(&[first, 0, 0, 0]).unwrap().stack_bytes;
        let (shallow, deep) = (painted(0), painted(3));
        assert!(
            shallow + 128 < deep && deep <= bound && bound < deep + 64,
            "{core:?}: {shallow}, {deep}, {bound}"
        );
    }
}

#[test]
fn a_model_that_calls_a_pointer_is_refused_by_name() {
    let items = "
        fn plain(buffer: &mut [i8; 4]) { buffer[0] = buffer[1]; }
        static POINTER: core::sync::atomic::AtomicPtr<()> =
            core::sync::atomic::AtomicPtr::new(plain as fn(&mut [i8; 4]) as *mut ());
    ";
    let run = "
        let pointer = POINTER.load(core::sync::atomic::Ordering::Relaxed);
        let pointer: fn(&mut [i8; 4]) = unsafe { core::mem::transmute(core::hint::black_box(pointer)) };
        pointer(&mut self.buffer);
        core::hint::black_box(&mut self.buffer);
    ";
    for core in needs::emulators(&[Core::M4, Core::Rv32]) {
        let error = build("pointer", core, run, items).worst_case().unwrap_err();
        assert!(matches!(error, VerifyError::Stack { source: StackError::IndirectCall(_), .. }), "{error}");
        assert!(error.to_string().contains("in 'bench_run'"), "{error}");
    }
}

#[test]
fn a_model_that_does_nothing_takes_no_stack() {
    if needs::emulator(Core::M4) {
        let worst = build("nothing", Core::M4, "", "").worst_case().unwrap();
        assert_eq!((worst.stack.bytes, worst.static_bytes), (0, 4));
    }
}

#[test]
fn static_memory_is_counted_beside_the_model() {
    let items = "static KEPT: [core::sync::atomic::AtomicU32; 25] =
        [const { core::sync::atomic::AtomicU32::new(0) }; 25];";
    let run =
        "for kept in core::hint::black_box(&KEPT) { kept.store(1, core::sync::atomic::Ordering::Relaxed); }";
    for core in needs::emulators(&[Core::M4, Core::Rv32]) {
        let worst = build("kept", core, run, items).worst_case().unwrap();
        // The model's four bytes, and 25 words.
        assert_eq!(worst.static_bytes, 4 + 100, "{core:?}");
        assert_eq!(worst.ram_bytes(), 104 + u64::from(worst.stack.bytes));
    }
}

#[test]
fn the_painted_stack_of_every_fixture_is_within_its_bound() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut models = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let dir = entry.unwrap().path();
        let (model, data) = (dir.join("model.onnx"), dir.join("model.calib.npz"));
        if !model.is_file() || !data.is_file() {
            continue;
        }
        let mut options = ValidateOptions::new(Target::lookup("stm32f411").unwrap(), &data);
        options.samples = Some(2);
        options.reference_samples = 1;
        options.emulate_samples = 2;
        options.cores = needs::emulators(&Core::ALL);
        options.host.work_dir = self::options().work_dir;
        options.firmware.work_dir = self::options().work_dir;
        let report = validate(&model, &options, &Silent).unwrap();
        assert_eq!(report.emulated.len(), options.cores.len());
        for one in &report.emulated {
            let (painted, bound) = (one.stack_bytes as u64, one.stack_bound_bytes);
            assert!(painted > 0 && painted <= bound, "{}: {report}", dir.display());
            // Branches that these samples do not take: memmove's ways, at most.
            assert!(bound <= painted + 256, "{}: {report}", dir.display());
        }
        models += 1;
    }
    assert!(models >= 8, "{models} fixtures");
}

#[test]
fn what_a_build_for_a_chip_says_of_its_ram_adds_up() {
    if !needs::emulator(Core::M4) {
        return;
    }
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/digits/model.onnx");
    let target = Target::lookup("stm32f411").unwrap();
    let compile_options = CompileOptions { kernels: target.arch.kernels(), ..CompileOptions::default() };
    let compiled = compile(&model, &compile_options, &Silent, &mut |_, _| {}).unwrap();
    let worst = worst_case(&compiled, &target, &options()).unwrap();
    let arena = compiled.plan.arena_bytes as u64;
    let (stack, statics) = (u64::from(worst.stack.bytes), worst.static_bytes - arena);
    assert!((100..1024).contains(&stack) && statics <= 16, "{worst:?}");
    let ram = RamFacts { stack_bytes: stack, static_bytes: statics };
    let with = emit_with(&compiled, &target, "digits", Facts { ram: Some(ram), ..Facts::default() }).unwrap();
    let total = thousands(arena + stack + statics);
    let line =
        format!("| RAM in all | {total} B: the arena, {stack} B of stack at most, {statics} B of statics");
    assert!(with.text("README.md").unwrap().contains(&line), "{line}");
    // What is measured is what is emitted: nothing but the README tells the stack.
    let mut without = emit(&compiled, &target, "digits").unwrap();
    without.0.insert("README.md".to_owned(), with.0["README.md"].clone());
    assert_eq!(with, without);

    let host = Target::lookup("host").unwrap();
    let error = worst_case(&compiled, &host, &options()).unwrap_err();
    assert!(error.to_string().starts_with("target 'host' is no microcontroller"), "{error}");
}
