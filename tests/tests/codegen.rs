//! Emission: the crate's text, its bytes on this machine, its folder.

mod emitted;
mod hand_made;

use std::path::Path;

use emitted::{cargo, clippy_finds_nothing, link_firmware, options, work_dir};
use hand_made::{Net, branches, chain, expected, zoo};
use tinyc::codegen::{
    CodegenError, CrateFiles, EmitOptions, SelfTest, generate, package_name, preprocess, write,
};
use tinyc::ir::QuantParams;
use tinyc::plan::plan;
use tinyc::samples::Preprocess;
use tinyc_tests::needs;

fn emit(net: &Net, options: &EmitOptions) -> CrateFiles {
    generate(&plan(&net.module).unwrap(), &net.module, options).unwrap()
}

/// A line for each output as the example prints them.
fn shown(names: &[&str], codes: &[Vec<i8>]) -> String {
    names.iter().zip(codes).map(|(name, codes)| format!("{name} = {codes:?}\n")).collect()
}

fn files_of(dir: &Path, sample: &[Vec<i8>]) -> Vec<String> {
    let write = |(index, codes): (usize, &Vec<i8>)| {
        let path = dir.join(format!("sample_{index}.bin"));
        std::fs::write(&path, codes.iter().map(|&c| c as u8).collect::<Vec<u8>>()).unwrap();
        path.to_str().unwrap().to_string()
    };
    sample.iter().enumerate().map(write).collect()
}

#[test]
fn the_emitted_text_reads_well() {
    let mut options = options("branches");
    options.preprocessing = vec![Preprocess::None, Preprocess::Codes];
    let files = emit(&branches(), &options);
    insta::assert_snapshot!("branches_lib", files.text("src/lib.rs").unwrap());
    insta::assert_snapshot!("branches_example", files.text("examples/run.rs").unwrap());
    insta::assert_snapshot!("branches_readme", files.text("README.md").unwrap());
    insta::assert_snapshot!("branches_cargo", files.text("Cargo.toml").unwrap());
    insta::assert_snapshot!("branches_files", files.0.keys().cloned().collect::<Vec<_>>().join("\n"));
    assert_eq!(emit(&branches(), &options), files, "the same bytes every time");
}

#[test]
fn runtime_sources_are_copied_as_they_were_tested() {
    let files = emit(&branches(), &options("branches"));
    for source in tinyc_runtime::sources::SOURCES {
        let emitted = files.text(&format!("src/runtime/{}", source.path));
        assert!(emitted.is_none_or(|text| text == source.text), "{}", source.path);
    }
    assert!(files.text("src/runtime/kernels/conv2d.rs").is_some());
    assert!(files.text("src/runtime/kernels/softmax.rs").is_none(), "only what the model needs");
}

/// Each core that has an order of its own gets it, with what it stands on, and no other one.
#[test]
fn the_arch_file_is_the_one_that_the_chip_asks_for() {
    let of = |arch: &str| {
        let mut options = options("branches");
        options.target.arch = arch.to_owned();
        let files = emit(&branches(), &options);
        let names = files.0.keys().filter(|path| path.starts_with("src/runtime/arch/"));
        (
            names.cloned().collect::<Vec<_>>().join("\n"),
            files.text("src/runtime/arch/mod.rs").unwrap().to_owned(),
        )
    };
    let (names, text) = of("cortex_m7_dsp");
    insta::assert_snapshot!("arch_m7", format!("{names}\n\n{text}"));
    assert!(!of("cortex_m_dsp").0.contains("m7"));
}

/// Builds the crate, runs its example on samples, compares with the references.
fn same_bytes_as_the_references(mut net: Net, package: &str, outputs: &[&str]) {
    let dir = work_dir(package);
    let folder = dir.join(package);
    write::write(&folder, &emit(&net, &options(package))).unwrap();
    for _ in 0..3 {
        let sample = net.sample();
        let files = files_of(&dir, &sample);
        let mut arguments = vec!["run", "--quiet", "--release", "--example", "run", "--"];
        arguments.extend(files.iter().map(String::as_str));
        assert_eq!(cargo(&folder, &arguments), shown(outputs, &expected(&net, &sample)));
    }
}

#[test]
fn several_ports_give_the_references_bytes_on_this_machine() {
    let outputs = ["output_head_out", "output_level_conv_out", "output_last_out"];
    same_bytes_as_the_references(branches(), "branches", &outputs);
}

#[test]
fn every_kernel_gives_the_references_bytes_on_this_machine() {
    same_bytes_as_the_references(zoo(), "zoo", &["output_softmax_out", "output_mean_out"]);
}

/// A program over the whole API of the chain model; prints what it finds.
const CHECK: &str = r#"
use chain_net::{ModelCell, argmax, input, output};

static MODEL: ModelCell = ModelCell::new();

fn main() {
    let model = MODEL.take().expect("the first caller gets the model");
    assert!(MODEL.take().is_none());
    assert!(model.self_test());
    let mut layers = 0;
    model.run_traced(|step, name, codes| {
        println!("trace {step} {name} {:?}", &codes[..4]);
        layers += 1;
    });
    assert_eq!(layers, 3);
    let pixels: [u8; input::BYTES] = core::array::from_fn(|i| (i * 37) as u8);
    let mut codes = [0; input::BYTES];
    input::quantize_pixels(&pixels, &mut codes);
    println!("pixels {codes:?}");
    let samples = pixels.map(f32::from);
    let mut same_codes = [0; input::BYTES];
    chain_net::quantize_samples(&samples, &mut same_codes);
    assert_eq!(same_codes, codes);
    let values: [f32; input::BYTES] = core::array::from_fn(|i| match i {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => f32::NEG_INFINITY,
        _ => (i as f32 - 30.0) / 64.0,
    });
    input::quantize(&values, &mut codes);
    println!("reals {codes:?}");
    model.input_mut().copy_from_slice(&codes);
    let result = *model.run();
    let mut reals = [0.0; output::BYTES];
    output::dequantize(&result, &mut reals);
    assert_eq!(model.infer_f32(&values), reals);
    let best = argmax(&result);
    assert!(result.iter().enumerate().all(|(i, &c)| c < result[best] || (c == result[best] && i >= best)));
    assert_eq!(model.output_slice(0), result);
    assert!(model.output_slice(1).is_empty() && model.input_slice(9).is_empty());
    println!("result {result:?}");
}
"#;

#[test]
fn the_whole_api_works() {
    let mut net = chain();
    let sample = net.sample();
    let mut options = options("chain_net");
    options.self_test = Some(SelfTest { inputs: sample.clone(), outputs: expected(&net, &sample) });
    let (mean, std) = (vec![10.0, 128.0], vec![2000.0 / 255.0, 40.0]);
    options.preprocessing =
        vec![Preprocess::MeanStd { mean: mean.clone(), std: std.clone(), channel_axis: Some(3) }];
    let dir = work_dir("chain");
    let folder = dir.join("chain_net");
    write::write(&folder, &emit(&net, &options)).unwrap();
    std::fs::write(folder.join("examples/check.rs"), CHECK).unwrap();
    let run = ["run", "--quiet", "--features", "self_test,trace,checked", "--example", "check"];
    let text = cargo(&folder, &run);
    let line = |head: &str| text.lines().find_map(|l| l.strip_prefix(head)).unwrap().to_string();
    // (pixel - mean) / std * 32 + 4, by hand for the first four pixels: 0 and 74 in the first
    // channel, 37 and 111 in the second: -40.8, -72.8, 261 and -13.6, each plus 4.
    assert!(line("pixels ").starts_with("[-37, -69, 127, -10, "), "{text}");
    // NaN is the zero point; every other value lies on a half, which goes to the even code:
    // element 3 is -27 / 64 * 32 = -13.5 -> -14, element 4 is -13, element 5 is -12.5 -> -12.
    assert!(line("reals ").starts_with("[4, 127, -128, -10, -9, -8, -8, "), "{text}");
    let params = net.module.quant.activation(net.module.graph.inputs[0]);
    let pixels: Vec<i8> = (0..60)
        .map(|i| preprocess::pixel_table(mean[i % 2], std[i % 2], &params)[(i * 37) as u8 as usize])
        .collect();
    assert_eq!(line("pixels "), format!("{pixels:?}"), "host and crate agree");
    let values: Vec<f32> = (0..60)
        .map(|i| match i {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            _ => (i as f32 - 30.0) / 64.0,
        })
        .collect();
    let codes: Vec<i8> = values.iter().map(|&x| params.quantize(x)).collect();
    assert_eq!(line("reals "), format!("{codes:?}"), "host and crate agree");
    assert_eq!(line("result "), format!("{:?}", expected(&net, &[codes])[0]));
    assert!(line("trace 1 ").starts_with("conv_b ["));
}

#[test]
fn clippy_finds_nothing_and_every_public_item_has_docs() {
    let mut options = options("lints");
    let net = branches();
    options.preprocessing =
        vec![Preprocess::MeanStd { mean: vec![1.0], std: vec![3.0], channel_axis: None }, Preprocess::Codes];
    let zeros = vec![vec![0; 189], vec![0; 24]];
    options.self_test = Some(SelfTest { outputs: expected(&net, &zeros), inputs: zeros });
    let dir = work_dir("lints");
    let folder = dir.join("lints");
    write::write(&folder, &emit(&net, &options)).unwrap();
    // A model that only gives its input another shape has neither kernels nor weights.
    let mut views = Net::new("views", 1);
    let x = views.input("x", &[2, 3], QuantParams::new(0.1, -128));
    let y = views.reshape("y", x, &[6]);
    views.output(y);
    let view_folder = dir.join("views");
    write::write(&view_folder, &emit(&views, &self::options("views"))).unwrap();
    clippy_finds_nothing(&folder);
    clippy_finds_nothing(&view_folder);
}

/// Calls everything.
const START: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn _start(
    pixels: &[u8; input::BYTES],
    values: &[f32; input::BYTES],
    reals: &mut [f32; output::BYTES],
    index: usize,
) -> usize {
    let Some(model) = MODEL.take() else { return 1 };
    if !model.self_test() { return 2 }
    model.run_traced(|_, _, codes| { core::hint::black_box(codes); });
    input::quantize_pixels(pixels, model.input_mut());
    input::quantize_samples(values, model.input_mut());
    output::dequantize(model.run(), reals);
    *reals = model.infer_f32(values);
    model.input_slice(index).fill(3);
    PANIC;
    chain_net::argmax(model.output_slice(index))
}
"#;

#[test]
fn nothing_in_the_api_can_panic() {
    let triple = "thumbv7em-none-eabihf";
    if !needs::rust_target(triple) {
        return;
    }
    let mut net = chain();
    let sample = net.sample();
    let mut options = options("chain_net");
    options.self_test = Some(SelfTest { inputs: sample.clone(), outputs: expected(&net, &sample) });
    options.preprocessing =
        vec![Preprocess::MeanStd { mean: vec![10.0, 128.0], std: vec![8.0, 40.0], channel_axis: Some(3) }];
    let dir = work_dir("panic");
    write::write(&dir.join("chain_net"), &emit(&net, &options)).unwrap();
    let build = |statement: &str| link_firmware(&dir, triple, &START.replace("PANIC", statement));
    let output = build("");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The check itself sees a panic path where there is one.
    let output = build("let _ = core::hint::black_box(&reals[..])[index]");
    assert!(String::from_utf8_lossy(&output.stderr).contains("tinyc_panic_path_exists"));
}

#[test]
fn unsafe_is_in_the_view_module_alone() {
    let files = emit(&branches(), &options("branches"));
    for (path, bytes) in &files.0 {
        if path.ends_with(".rs") && path != "src/runtime/view.rs" {
            let text = std::str::from_utf8(bytes).unwrap();
            assert!(!text.contains("unsafe {") && !text.contains("unsafe fn"), "{path}");
        }
    }
    assert!(files.text("src/lib.rs").unwrap().contains("#![deny(unsafe_code"));
}

#[test]
fn wrong_options_are_errors() {
    let net = chain();
    let plan = plan(&net.module).unwrap();
    let error = |o: EmitOptions| generate(&plan, &net.module, &o).unwrap_err();
    let named = |name: &str| error(options(name));
    assert!(
        matches!(named("2nd model"), CodegenError::PackageName { suggestion, .. } if suggestion == "model_2nd_model")
    );
    assert!(
        matches!(named("match"), CodegenError::PackageName { suggestion, .. } if suggestion == "match_model")
    );
    assert_eq!(package_name("ok-name_2"), "ok-name_2");
    let mut wrong = options("a");
    wrong.target.arch = "abacus".to_string();
    assert!(
        matches!(error(wrong), CodegenError::Arch { known, .. } if known.contains(&"portable".to_string()))
    );
    let mut wrong = options("a");
    wrong.self_test = Some(SelfTest { inputs: vec![vec![0; 60]], outputs: vec![vec![0; 119]] });
    assert!(matches!(error(wrong), CodegenError::SelfTest { given: 119, expected: 120, .. }));
    let mut wrong = options("a");
    wrong.preprocessing =
        vec![Preprocess::MeanStd { mean: vec![0.0; 3], std: vec![1.0; 3], channel_axis: Some(3) }];
    assert!(matches!(error(wrong), CodegenError::Channels { given: 3, .. }));
}

#[test]
fn an_earlier_folder_is_replaced_only_if_it_is_ours() {
    let dir = work_dir("write");
    let files = emit(&chain(), &options("chain"));
    let folder = dir.join("out/chain");
    write::write(&folder, &files).unwrap();
    let time = |path: &str| std::fs::metadata(folder.join(path)).unwrap().modified().unwrap();
    let before = time("src/weights.bin");
    std::fs::create_dir(folder.join("target")).unwrap();
    std::fs::write(folder.join("src/stale.rs"), "old").unwrap();
    let mut changed = files.clone();
    changed.0.insert("README.md".to_string(), b"changed".to_vec());
    write::write(&folder, &changed).unwrap();
    assert_eq!(std::fs::read(folder.join("README.md")).unwrap(), b"changed");
    assert!(!folder.join("src/stale.rs").exists(), "only what was emitted");
    assert!(folder.join("target").exists(), "the build cache moves over");
    assert_eq!(time("src/weights.bin"), before, "unchanged files keep their time");
    assert_eq!(std::fs::read_dir(dir.join("out")).unwrap().count(), 1, "no temporary folder stays");

    let foreign = dir.join("mine");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("notes.txt"), "keep").unwrap();
    let error = write::write(&foreign, &files).unwrap_err();
    assert!(matches!(error, write::WriteError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
    // A file where a folder is needed fails before anything is touched.
    let blocked = foreign.join("notes.txt/chain");
    assert!(matches!(write::write(&blocked, &files), Err(write::WriteError::Io { .. })));
    // A crate with a path that cannot be written leaves the old one alone.
    let mut broken = files.clone();
    broken.0.insert("src/lib.rs/below".to_string(), vec![]);
    assert!(write::write(&folder, &broken).is_err());
    assert_eq!(std::fs::read(folder.join("README.md")).unwrap(), b"changed");
}
