//! Emitted crates whose input is pushed row by row: what their functions do on this
//! machine, and the bytes of fixtures on emulated cores.

mod emitted;
mod hand_made;

use emitted::{cargo, clippy_finds_nothing, fixture, nothing_panics, options, runners, work_dir};
use hand_made::{Net, chain, expected, residual};
use tinyc::codegen::{CodegenError, CrateFiles, EmitOptions, generate, write};
use tinyc::compile::{Silent, compile};
use tinyc::ir::Origin;
use tinyc::onnx::model::{Element, Port};
use tinyc::plan::strategy::{Asked, Strategy, choose};
use tinyc::samples::Preprocess;
use tinyc::target::Target;
use tinyc::verify::emulator::Core;
use tinyc::verify::validate::{ValidateOptions, validate_compiled};
use tinyc::{Feed, Module};
use tinyc_tests::needs;

fn emit(net: &Net, options: &EmitOptions) -> Result<CrateFiles, CodegenError> {
    let asked = Asked { feed: Feed::Rows, strategy: Strategy::Min, ..Asked::default() };
    let chosen = choose(&net.module, asked, &|plan| plan.weights.len() as u64).unwrap();
    generate(&chosen.plan, &net.module, options)
}

/// The chain `[1, 6, 5, 2]`, of a file that has it channel-first.
fn channel_first() -> Net {
    let mut net = chain();
    let Module { graph, ports, .. } = &mut net.module;
    let input = graph.inputs[0];
    graph.value_mut(input).origin = Some(Origin {
        tensor: "x".to_string(),
        order: Some(vec![0, 2, 3, 1]),
        extent: None,
        channels: None,
        clamp: tinyc::ir::Clamp::NONE,
    });
    ports.inputs.push(Port { name: "x".to_string(), element: Element::F32, shape: Some(vec![1, 2, 6, 5]) });
    net
}

/// Options with a self-test and a mean for each channel.
fn with_pixels(net: &mut Net) -> EmitOptions {
    let sample = net.sample();
    let outputs = expected(net, &sample);
    emitted::with_pixels(sample, outputs)
}

#[test]
fn the_emitted_text_reads_well() {
    let files = emit(&channel_first(), &options("chain_net")).unwrap();
    let text = files.text("src/lib.rs").unwrap();
    // The part that other crates do not have.
    let (start, end) = (text.find("/// The model's state").unwrap(), text.find("/// A model in a").unwrap());
    insta::assert_snapshot!("pushed_model", &text[start..end]);
    let start = text.find("/// How far the frame is.\nstruct").unwrap();
    let end = start + text[start..].find("/// Layer ").unwrap();
    insta::assert_snapshot!("pushed_cascade", &text[start..end]);
    insta::assert_snapshot!("pushed_example", files.text("examples/run.rs").unwrap());
    insta::assert_snapshot!("pushed_readme", files.text("README.md").unwrap());
    assert!(files.text("Cargo.toml").unwrap().contains("[package.metadata.tinyc]\ninput = \"rows\"\n"));
}

/// A program over the whole API; prints the output of a frame.
const CHECK: &str = r#"
use chain_net::{ModelCell, input, output};

static MODEL: ModelCell = ModelCell::new();

fn main() {
    let model = MODEL.take().expect("the first caller gets the model");
    assert!(model.self_test());
    assert_eq!((input::ROWS, input::ROW_BYTES, input::SHAPE), (6, 10, [1, 6, 5, 2]));
    let frame: [i8; input::BYTES] = core::array::from_fn(|i| (i * 91) as i8);
    let rows = frame.as_chunks::<{ input::ROW_BYTES }>().0;
    let other = [[77; input::ROW_BYTES]; input::ROWS];

    // Nothing before the last row; then the next frame begins by itself.
    let mut results = Vec::new();
    for _ in 0..3 {
        for (index, row) in rows.iter().enumerate() {
            assert_eq!(model.rows_pushed(), index);
            let result = model.push_row(row).copied();
            assert_eq!(result.is_some(), index == input::ROWS - 1);
            results.extend(result);
        }
        assert_eq!(model.rows_pushed(), 0);
    }
    assert!(results.iter().all(|result| *result == results[0]));
    assert_eq!(model.output_slice(0), results[0]);
    println!("result {:?}", results[0]);

    // A frame that is given up after any number of rows leaves nothing behind.
    for given_up in 0..input::ROWS {
        for row in &other[..given_up] {
            assert!(model.push_row(row).is_none());
        }
        model.restart();
        assert_eq!(model.rows_pushed(), 0);
        let outputs = rows.map_last(|row| model.push_row(row).copied());
        assert_eq!(outputs, Some(results[0]));
    }

    // A frame elsewhere, while another was begun.
    model.push_row(&other[0]);
    assert_eq!(*model.run_frame(&frame), results[0]);
    assert_eq!(model.rows_pushed(), 0);
    let mut layers = 0;
    model.run_traced(&frame, |_, _, codes| {
        layers += 1;
        println!("trace {} codes", codes.len());
    });
    assert!(layers > 0 && model.output_slice(0) == results[0]);

    // Reals and pixels by rows give what their codes give.
    let pixels: [u8; input::BYTES] = core::array::from_fn(|i| (i * 37) as u8);
    let values: [f32; input::BYTES] = core::array::from_fn(|i| (i as f32 - 30.0) / 64.0);
    let codes_of = |quantize: &dyn Fn(usize, &mut [i8; input::ROW_BYTES])| {
        let mut codes = [[0; input::ROW_BYTES]; input::ROWS];
        codes.iter_mut().enumerate().for_each(|(y, row)| quantize(y, row));
        codes
    };
    let pixel_rows = pixels.as_chunks::<{ input::ROW_BYTES }>().0;
    let value_rows = values.as_chunks::<{ input::ROW_BYTES }>().0;
    let sample_rows: Vec<_> = pixel_rows.iter().map(|row| row.map(f32::from)).collect();
    let pixel_codes = codes_of(&|y, row| input::quantize_pixels(&pixel_rows[y], row));
    let value_codes = codes_of(&|y, row| input::quantize(&value_rows[y], row));
    println!("pixels {:?}", pixel_codes.as_flattened());
    let expected = pixel_codes.map_last(|row| model.push_row(row).copied());
    assert_eq!(pixel_rows.map_last(|row| model.push_row_pixels(row).copied()), expected);
    assert_eq!(sample_rows.map_last(|row| model.push_row_samples(row).copied()), expected);
    let expected = value_codes.map_last(|row| model.push_row(row).copied());
    assert_eq!(value_rows.map_last(|row| model.push_row_f32(row).copied()), expected);
    let mut reals = [0.0; output::BYTES];
    output::dequantize(&expected.unwrap(), &mut reals);
    assert_eq!(model.infer_f32(&values), reals);
}

trait MapLast<T> {
    fn map_last<R>(&self, map: impl FnMut(&T) -> Option<R>) -> Option<R>;
}

impl<T> MapLast<T> for [T] {
    fn map_last<R>(&self, map: impl FnMut(&T) -> Option<R>) -> Option<R> {
        self.iter().map(map).last().flatten()
    }
}
"#;

#[test]
fn the_whole_api_works() {
    let mut net = channel_first();
    let options = with_pixels(&mut net);
    let folder = work_dir("pushed_api").join("chain_net");
    write::write(&folder, &emit(&net, &options).unwrap()).unwrap();
    std::fs::write(folder.join("examples/check.rs"), CHECK).unwrap();
    let run = ["run", "--quiet", "--features", "self_test,trace,checked", "--example", "check"];
    let text = cargo(&folder, &run);
    let line = |head: &str| text.lines().find_map(|l| l.strip_prefix(head)).unwrap().to_string();
    let frame: Vec<i8> = (0..60).map(|i| (i * 91) as i8).collect();
    assert_eq!(line("result "), format!("{:?}", expected(&net, &[frame])[0]));
    // (pixel - mean) / std * 32 + 4 of 0, 37, 74, 111, channels in turn:
    // -10 / 8 * 32 + 4, -91 / 40 * 32 + 4, saturated, -17 / 40 * 32 + 4.
    assert!(line("pixels ").starts_with("[-36, -69, 127, -10, "), "{text}");
}

#[test]
fn several_outputs_have_functions_of_their_own() {
    // A seed with two outputs.
    let net = |seed| residual(seed);
    let seed = (0..50).find(|&seed| net(seed).module.graph.outputs.len() == 2).unwrap();
    let mut net = net(seed);
    let dir = work_dir("pushed_outputs");
    let folder = dir.join("two");
    write::write(&folder, &emit(&net, &options("two")).unwrap()).unwrap();
    let sample = net.sample();
    let file = dir.join("sample.bin");
    std::fs::write(&file, sample[0].iter().map(|&c| c as u8).collect::<Vec<u8>>()).unwrap();
    let text =
        cargo(&folder, &["run", "--quiet", "--release", "--example", "run", "--", file.to_str().unwrap()]);
    let codes = |line: &str| line.split_once(" = ").unwrap().1.to_string();
    let found: Vec<String> = text.lines().map(codes).collect();
    let expected: Vec<String> = expected(&net, &sample).iter().map(|codes| format!("{codes:?}")).collect();
    assert_eq!(found, expected);
}

#[test]
fn clippy_finds_nothing_and_every_public_item_has_docs() {
    let mut net = channel_first();
    let options = with_pixels(&mut net);
    let folder = work_dir("pushed_lints").join("chain_net");
    write::write(&folder, &emit(&net, &options).unwrap()).unwrap();
    clippy_finds_nothing(&folder);
}

/// Calls everything.
const START: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn _start(
    codes: &[i8; input::BYTES],
    row: &[i8; input::ROW_BYTES],
    pixels: &[u8; input::ROW_BYTES],
    values: &[f32; input::BYTES],
    samples: &[f32; input::ROW_BYTES],
    reals: &mut [f32; output::BYTES],
) -> usize {
    let Some(model) = MODEL.take() else { return 1 };
    if !model.self_test() { return 2 }
    model.run_traced(codes, |_, _, codes| { core::hint::black_box(codes); });
    let mut last = model.push_row(row).is_some();
    last |= model.push_row_pixels(pixels).is_some();
    last |= model.push_row_f32(samples).is_some();
    last |= model.push_row_samples(samples).is_some();
    if last { model.restart() }
    output::dequantize(model.run_frame(codes), reals);
    *reals = model.infer_f32(values);
    model.rows_pushed()
}
"#;

#[test]
fn nothing_in_the_api_can_panic() {
    let triple = "thumbv7em-none-eabihf";
    if !needs::rust_target(triple) {
        return;
    }
    let mut net = channel_first();
    let options = with_pixels(&mut net);
    nothing_panics("pushed_panic", &emit(&net, &options).unwrap(), triple, START);
}

#[test]
fn means_must_repeat_in_every_row() {
    let mut net = channel_first();
    let mut options = with_pixels(&mut net);
    // One for each row: what a row gets would depend on which one it is.
    options.preprocessing =
        vec![Preprocess::MeanStd { mean: vec![0.0; 6], std: vec![1.0; 6], channel_axis: Some(1) }];
    assert!(matches!(emit(&net, &options), Err(CodegenError::Channels { given: 6, .. })));
}

/// Host and emulated cores against the naive reference, channel-first files and
/// signals among them; the host's runner gives a frame up before each sample.
#[test]
fn fixtures_give_the_references_bytes_on_emulated_cores() {
    let (m4, m0, rv32) = (("stm32f411", Core::M4), ("stm32g0b1", Core::M0), ("esp32c3", Core::Rv32));
    for ((name, core), fixture_name, strategy) in [
        (m4, "residual", Strategy::Min),
        (m4, "residual", Strategy::Fast),
        (m4, "depthwise", Strategy::Min),
        (m4, "digits_qdq_u8", Strategy::Min),
        (m4, "conv1d", Strategy::Min),
        (m0, "residual", Strategy::Min),
        (m0, "conv1d", Strategy::Min),
        (rv32, "depthwise", Strategy::Min),
    ] {
        let target = Target::lookup(name).unwrap();
        let mut options = ValidateOptions::new(target, &fixture(fixture_name).join("model.calib.npz"));
        options.compile.strategy = strategy;
        options.compile.feed = Feed::Rows;
        options.samples = Some(6);
        options.cores = needs::emulators(&[core]);
        options.emulate_samples = 3;
        options.host.work_dir = runners();
        options.firmware.work_dir = runners();
        let model = fixture(fixture_name).join("model.onnx");
        let compiled = compile(&model, &options.compile, &Silent, &mut |_, _| {}).unwrap();
        assert!(compiled.plan.pushed.is_some());
        let report = validate_compiled(&compiled, &options, &Silent).unwrap();
        assert!(report.identical, "{name}: {report}");
        for one in &report.emulated {
            assert!(one.stack_bytes as u64 <= one.stack_bound_bytes, "{report}");
        }
    }
}
