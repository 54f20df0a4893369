//! Crates with several models: their text, the bytes that the models give in turn on one
//! arena, and that no two of them can hold it.

mod emitted;

use std::path::{Path, PathBuf};

use emitted::{cargo, cargo_output, clippy_finds_nothing, work_dir};
use tinyc::Feed;
use tinyc::codegen::{CodegenError, CrateFiles, module_name, write};
use tinyc::compile::{CompileOptions, Compiled, Silent, compile};
use tinyc::emit::{EmitError, Named, emit, emit_several};
use tinyc::target::Target;
use tinyc::verify::emulator::{Core, Firmware, FirmwareOptions};
use tinyc::verify::harness::CrateRef;
use tinyc::verify::host::{HostOptions, HostRunner};
use tinyc::verify::reference;
use tinyc_tests::needs;

fn target() -> Target {
    Target::lookup("stm32f411").unwrap()
}

fn compiled(name: &str, feed: Feed) -> Compiled {
    let model = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name).join("model.onnx");
    let options = CompileOptions { kernels: target().arch.kernels(), feed, ..CompileOptions::default() };
    compile(&model, &options, &Silent, &mut |_, _| {}).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Two that take their input whole, and one whose rows are pushed.
fn three() -> Vec<Compiled> {
    vec![compiled("digits", Feed::Whole), compiled("residual", Feed::Whole), compiled("conv1d", Feed::Rows)]
}

fn named(models: &[Compiled]) -> Vec<Named<'_>> {
    models.iter().map(|compiled| Named { name: &compiled.plan.name, compiled, ram: None }).collect()
}

fn files(models: &[Compiled], package: &str) -> CrateFiles {
    emit_several(&named(models), &target(), package, None).unwrap()
}

#[test]
fn the_emitted_text_reads_well() {
    let models = [compiled("digits", Feed::Whole), compiled("residual", Feed::Whole)];
    let files = files(&models, "pair");
    let own: Vec<&String> = files.0.keys().filter(|path| !path.starts_with("src/runtime/")).collect();
    let mut text = String::new();
    for path in own.iter().filter(|path| !path.ends_with(".bin") && !path.ends_with(".quant.toml")) {
        // The layers are the same code as in a crate of one model, which has its own snapshots.
        let all = files.text(path).expect("the rest is text");
        let shown = all.split("\n/// Layer ").next().unwrap_or(all);
        text += &format!("=== {path}\n{shown}\n");
    }
    insta::assert_snapshot!("pair_source", text);
    insta::assert_snapshot!("pair_files", own.into_iter().cloned().collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_arena_is_the_greatest_and_the_sources_are_the_union() {
    let models = three();
    let together = files(&models, "trio");
    let arenas: Vec<usize> = models.iter().map(|model| model.plan.arena_bytes).collect();
    let greatest = arenas.iter().max().unwrap();
    let root = together.text("src/lib.rs").unwrap();
    assert!(root.contains(&format!("pub const ARENA_BYTES: usize = {greatest};")), "{arenas:?}");
    let mut needed = std::collections::BTreeSet::new();
    for model in &models {
        let name = &model.plan.name;
        let alone = emit(model, &target(), "alone").unwrap();
        let source = together.text(&format!("src/{name}/mod.rs")).unwrap();
        assert!(source.contains(&format!("pub const USED_BYTES: usize = {};", model.plan.arena_bytes)));
        let binary = |path: &str| &alone.0[&format!("src/{path}")];
        for file in ["weights.bin", "self_test_input_0.bin", "self_test_output_0.bin"] {
            assert_eq!(&together.0[&format!("src/{name}/{file}")], binary(file), "{name}: {file}");
        }
        assert_eq!(
            together.text(&format!("src/{name}/model.quant.toml")),
            alone.text("model.quant.toml"),
            "{name}"
        );
        needed.extend(alone.0.into_keys().filter(|path| path.starts_with("src/runtime/")));
    }
    let copied: std::collections::BTreeSet<String> =
        together.0.into_keys().filter(|path| path.starts_with("src/runtime/")).collect();
    assert_eq!(copied, needed);
}

/// The models in this order, twice each in a row somewhere, on one arena.
const ORDER: [usize; 7] = [0, 1, 2, 2, 1, 0, 2];

/// A crate with the API that the runners know: its inputs are those of the models, its
/// outputs what they give in `ORDER`, all on the one arena of the crate `trio`.
fn wrapper(dir: &Path, models: &[Compiled]) -> CrateRef {
    let bytes = |name: &str, kind: &str| format!("trio::{name}::{kind}::BYTES");
    let mut fields = String::new();
    let (mut inputs, mut outputs, mut runs) = (String::new(), String::new(), String::new());
    let (mut input_bytes, mut output_bytes, mut start) = (vec![], vec![], String::new());
    for (index, model) in models.iter().enumerate() {
        let size = bytes(&model.plan.name, "input");
        fields += &format!("input_{index}: [i8; {size}],\n");
        start += &format!("input_{index}: [0; {size}],\n");
        inputs += &format!("{index} => &mut self.input_{index},\n");
        input_bytes.push(size);
    }
    for (turn, &index) in ORDER.iter().enumerate() {
        let (name, size) = (&models[index].plan.name, bytes(&models[index].plan.name, "output"));
        fields += &format!("output_{turn}: [i8; {size}],\n");
        start += &format!("output_{turn}: [0; {size}],\n");
        outputs += &format!("{turn} => &self.output_{turn},\n");
        let run = match models[index].plan.pushed {
            Some(_) => format!("self.output_{turn} = *model.run_frame(&self.input_{index});"),
            None => format!("*model.input_mut() = self.input_{index}; self.output_{turn} = *model.run();"),
        };
        runs += &format!("{{ let mut model = trio::{name}::Model::new(&mut self.arena); {run} }}\n");
        output_bytes.push(size);
    }
    let source = format!(
        "#![no_std]
        pub struct Model {{ arena: trio::Arena, {fields} }}
        impl Model {{
            pub const INPUT_BYTES: [usize; {}] = [{}];
            pub const OUTPUT_BYTES: [usize; {}] = [{}];
            pub const fn new() -> Self {{ Self {{ arena: trio::Arena::new(), {start} }} }}
            pub fn input_slice(&mut self, index: usize) -> &mut [i8] {{ match index {{ {inputs} _ => &mut [] }} }}
            pub fn output_slice(&self, index: usize) -> &[i8] {{ match index {{ {outputs} _ => &[] }} }}
            pub fn run(&mut self) {{ {runs} }}
        }}",
        input_bytes.len(),
        input_bytes.join(", "),
        output_bytes.len(),
        output_bytes.join(", ")
    );
    let manifest = "[package]\nname = \"wrapper\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n\
        [features]\ntrace = []\n[dependencies]\ntrio = { path = \"../trio\" }\n";
    let folder = dir.join("wrapper");
    std::fs::create_dir_all(folder.join("src")).unwrap();
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/lib.rs"), source).unwrap();
    CrateRef { package: "wrapper".to_owned(), dir: folder }
}

/// Codes of every input, and what the naive references make of them, in `ORDER`.
fn sample(models: &[Compiled], seed: usize) -> (Vec<i8>, Vec<i8>) {
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for (index, model) in models.iter().enumerate() {
        let count = model.plan.inputs[0].shape.elements();
        let codes: Vec<i8> =
            (0..count).map(|i| ((i + 1) * (seed * 37 + index * 11 + 53) / 3) as i8).collect();
        let tensors = reference::run(&model.module, &reference::inputs(&model.module, &[&codes]));
        outputs.push(tensors[&model.module.graph.outputs[0]].codes.clone());
        inputs.extend(codes);
    }
    (inputs, ORDER.iter().flat_map(|&index| outputs[index].clone()).collect())
}

#[test]
fn models_in_turn_on_one_arena_give_the_references_bytes() {
    let models = three();
    let dir = work_dir("several");
    write::write(&dir.join("trio"), &files(&models, "trio")).unwrap();
    let wrapper = wrapper(&dir, &models);
    let (inputs, expected): (Vec<_>, Vec<_>) = (0..5).map(|seed| sample(&models, seed)).unzip();
    let (inputs, expected) = (inputs.concat(), expected.concat());

    let work = dir.join("runners");
    let options = HostOptions { work_dir: work.clone(), checked: true, ..HostOptions::default() };
    let host = HostRunner::build(std::slice::from_ref(&wrapper), options).unwrap();
    assert!(host.run(0, &inputs).unwrap() == expected, "the host");

    if !needs::emulator(Core::M4) {
        return;
    }
    // It links only where nothing can panic.
    let options = FirmwareOptions { work_dir: work, ..FirmwareOptions::default() };
    let firmware = Firmware::build(&wrapper, Core::M4, options).unwrap();
    assert!(firmware.run(&inputs).unwrap().outputs == expected, "a Cortex-M4");
    assert!(firmware.worst_case().unwrap().stack.bytes > 0, "no recursion, no pointers to functions");
}

/// A program over what is new in the API.
const CHECK: &str = r#"
use trio::{Arena, ArenaCell, argmax, conv1d, digits, residual};

static ARENA: ArenaCell = ArenaCell::new();

fn main() {
    let arena: &'static mut Arena = ARENA.take().expect("the first caller gets the arena");
    assert!(ARENA.take().is_none());
    for _ in 0..2 {
        assert!(digits::Model::new(arena).self_test());
        assert!(conv1d::Model::new(arena).self_test());
        assert!(residual::Model::new(arena).self_test());
    }
    assert_eq!(trio::ARENA_BYTES, digits::USED_BYTES.max(residual::USED_BYTES).max(conv1d::USED_BYTES));
    assert_eq!(trio::WEIGHT_BYTES, digits::WEIGHT_BYTES + residual::WEIGHT_BYTES + conv1d::WEIGHT_BYTES);
    assert!(size_of::<Arena>() < trio::ARENA_BYTES + 16);
    let result = digits::Model::new(arena).infer_f32(&[0.5; digits::input::BYTES]);
    let mut model = digits::Model::new(arena);
    digits::quantize(&[0.5; digits::input::BYTES], model.input_mut());
    let mut again = [0.0; digits::output::BYTES];
    let codes = model.run();
    assert!(argmax(codes) < 10);
    digits::dequantize(codes, &mut again);
    assert_eq!(result, again);
    let mut layers = 0;
    model.run_traced(|_, _, _| layers += 1);
    assert!(layers > 3);

    // A frame that its model's end leaves unfinished is forgotten.
    let row = [7; conv1d::input::ROW_BYTES];
    let mut frames = conv1d::Model::new(arena);
    assert!(frames.push_row(&row).is_none());
    assert_eq!(frames.rows_pushed(), 1);
    assert_eq!(conv1d::Model::new(arena).rows_pushed(), 0);
    println!("ok");
}
"#;

#[test]
fn the_whole_api_works_and_two_models_at_once_do_not_compile() {
    let dir = work_dir("several_api");
    let folder = dir.join("trio");
    write::write(&folder, &files(&three(), "trio")).unwrap();
    clippy_finds_nothing(&folder);
    std::fs::write(folder.join("examples/check.rs"), CHECK).unwrap();
    let features = ["--features", "self_test,trace,checked"];
    let run = |example: &str, more: &[&str]| {
        cargo(&folder, &[&["run", "--quiet"], &features[..], &["--example", example], more].concat())
    };
    assert_eq!(run("check", &[]), "ok\n");
    let shown = run("run", &[]);
    let names: Vec<&str> = shown.lines().filter_map(|line| line.split_once(" = ")).map(|(n, _)| n).collect();
    assert_eq!(names, ["digits output", "residual output", "conv1d output"], "{shown}");
    // Its documentation holds the proof: one model after the other runs, two at once are
    // E0499, "cannot borrow as mutable more than once".
    let tests = cargo(&folder, &["test", "--doc"]);
    assert!(tests.contains("compile fail ... ok") && tests.matches("... ok").count() == 2, "{tests}");
    // And without the tests' own machinery, for a pushed frame as well.
    let twice = "fn main() {
        let mut arena = trio::Arena::new();
        let mut frame = trio::conv1d::Model::new(&mut arena);
        let _ = frame.push_row(&[0; trio::conv1d::input::ROW_BYTES]);
        let _ = trio::digits::Model::new(&mut arena).run();
        let _ = frame.push_row(&[0; trio::conv1d::input::ROW_BYTES]);
    }";
    std::fs::write(folder.join("examples/twice.rs"), twice).unwrap();
    let output = cargo_output(&folder, &["check", "--quiet", "--example", "twice"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("E0499"), "{errors}");
}

#[test]
fn names_must_be_valid_and_differ() {
    let model = compiled("digits", Feed::Whole);
    let emit = |names: &[&str]| {
        let models: Vec<Named<'_>> =
            names.iter().map(|name| Named { name, compiled: &model, ram: None }).collect();
        emit_several(&models, &target(), "pair", None).map_err(|error| error.to_string())
    };
    assert!(emit(&["first", "second"]).is_ok());
    let error = emit(&["digits", "digits"]).unwrap_err();
    assert_eq!(error, "two models are called 'digits': give one of them another name");
    let error = emit(&["first", "2nd Net"]).unwrap_err();
    assert_eq!(error, "'2nd Net' cannot be the module of a model: call it model_2nd_net, for instance");
    for (text, name) in [("runtime", "runtime_model"), ("match", "match_model"), ("a-b.C", "a_b_c")] {
        assert_eq!(module_name(text), name);
        assert_eq!(module_name(name), name, "what it makes is valid");
    }
    let twice = [Named { name: "a", compiled: &model, ram: None }; 2];
    assert!(matches!(
        emit_several(&twice, &target(), "pair", None),
        Err(EmitError::Codegen(CodegenError::SameName { .. }))
    ));
}
