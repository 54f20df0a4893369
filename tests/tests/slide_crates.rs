//! Emitted crates over whose input a window slides: what their functions do on this
//! machine, and the bytes of fixtures on emulated cores.

mod emitted;
mod hand_made;

use emitted::{cargo, clippy_finds_nothing, fixture, nothing_panics, options, runners, work_dir};
use hand_made::{Net, expected};
use tinyc::Feed;
use tinyc::codegen::{CrateFiles, EmitOptions, generate, write};
use tinyc::compile::{Silent, compile};
use tinyc::ir::QuantParams;
use tinyc::ops::Op;
use tinyc::ops::conv::{Pads, Window};
use tinyc::ops::pool::{Kind, Pool};
use tinyc::plan::strategy::{Asked, Strategy, choose};
use tinyc::target::Target;
use tinyc::verify::emulator::Core;
use tinyc::verify::validate::{ValidateOptions, validate_compiled};
use tinyc_tests::needs;

/// 13 rows of 5 pixels of 2 channels: a layer of stride 2 with padding, one without a
/// stride, a mean. A frame is two rows; seven frames are a row more than the window.
fn net() -> Net {
    let q = QuantParams::new(1.0 / 32.0, 4);
    let mut net = Net::new("chain \"one\"", 3);
    let x = net.input("x", &[1, 13, 5, 2], q);
    let a = net.conv("conv_a", x, 3, 2, 1, 8);
    let b = net.conv("conv_b", a, 3, 1, 8, 8);
    let [rows, columns, _] = net.module.graph.shape(b).hwc().unwrap();
    let window = Window { kernel: [rows, columns], stride: [1; 2], dilation: [1; 2], pads: Pads::default() };
    let kind = Kind::Average { count_include_pad: false };
    let mean = net.op("mean", Op::Pool(Pool { kind, window, ceil: false }), &[b], q);
    let y = net.conv("conv_c", mean, 1, 1, 1, 4);
    net.output(y);
    net
}

fn emit(net: &Net, options: &EmitOptions) -> CrateFiles {
    let asked = Asked { feed: Feed::Frames { hop: 2 }, strategy: Strategy::Fast, ..Asked::default() };
    let chosen = choose(&net.module, asked, &|plan| plan.weights.len() as u64).unwrap();
    generate(&chosen.plan, &net.module, options).unwrap()
}

/// Options with a self-test and a mean for each channel.
fn with_pixels(net: &mut Net) -> EmitOptions {
    let sample = net.sample();
    let outputs = expected(net, &sample);
    emitted::with_pixels(sample, outputs)
}

#[test]
fn the_emitted_text_reads_well() {
    let files = emit(&net(), &options("chain_net"));
    let text = files.text("src/lib.rs").unwrap();
    // The part that other crates do not have.
    let (start, end) = (text.find("/// The input `x`").unwrap(), text.find("/// Codes of real").unwrap());
    insta::assert_snapshot!("slide_input", &text[start..end]);
    let (start, end) = (text.find("/// The model's state").unwrap(), text.find("/// A model in a").unwrap());
    insta::assert_snapshot!("slide_model", &text[start..end]);
    let start = text.find("/// Moves the rows that the step before").unwrap();
    let end = start + text[start..].find("/// Layer ").unwrap();
    insta::assert_snapshot!("slide_moves", &text[start..end]);
    insta::assert_snapshot!("slide_example", files.text("examples/run.rs").unwrap());
    insta::assert_snapshot!("slide_readme", files.text("README.md").unwrap());
    assert!(files.text("Cargo.toml").unwrap().contains("[package.metadata.tinyc]\ninput = \"frames\"\n"));
}

/// A program over the whole API.
const CHECK: &str = r#"
use chain_net::{MACS, ModelCell, WINDOW_MACS, input, output};

static MODEL: ModelCell = ModelCell::new();

fn main() {
    let model = MODEL.take().expect("the first caller gets the model");
    assert!(model.self_test());
    assert!(MACS < WINDOW_MACS);
    assert_eq!((input::ROWS, input::ROW_BYTES, input::HOP, input::FRAME_BYTES, input::STEPS), (13, 10, 2, 20, 7));
    let stream: [[i8; input::FRAME_BYTES]; 20] =
        core::array::from_fn(|y| core::array::from_fn(|i| (y * 59 + i * 91) as i8));
    let window_at = |end: usize| -> [i8; input::BYTES] {
        let codes = stream[..end].as_flattened();
        *codes.last_chunk().unwrap()
    };

    // Nothing before the window is full; then an output with each frame, as of a whole window.
    model.restart();
    let mut outputs = Vec::new();
    for (index, frame) in stream.iter().enumerate() {
        assert_eq!(model.frames_taken(), index.min(input::STEPS));
        let output = model.step(frame).copied();
        assert_eq!(output.is_some(), index + 1 >= input::STEPS);
        outputs.extend(output);
        if let Some(output) = output {
            assert_eq!(model.output_slice(0), output);
        }
    }
    for (index, output) in outputs.iter().enumerate() {
        assert_eq!(model.run_window(&window_at(index + input::STEPS)), output);
    }
    assert!(outputs.windows(2).any(|pair| pair[0] != pair[1]));

    // A window that lies elsewhere begins a stream, which goes on from there.
    model.run_window(&window_at(9));
    assert_eq!(model.frames_taken(), input::STEPS);
    assert_eq!(model.step(&stream[9]).copied(), Some(outputs[10 - input::STEPS]));

    // A stream that is given up after any number of frames leaves nothing behind.
    for given_up in 0..2 * input::STEPS {
        for _ in 0..given_up {
            model.step(&[77; input::FRAME_BYTES]);
        }
        model.restart();
        assert_eq!(model.frames_taken(), 0);
        let found: Vec<_> = stream.iter().filter_map(|frame| model.step(frame).copied()).collect();
        assert_eq!(found, outputs);
    }
    let mut layers = 0;
    model.run_traced(&window_at(20), |_, _, _| layers += 1);
    assert!(layers > 0 && model.output_slice(0) == outputs[outputs.len() - 1]);

    // Reals and pixels give what their codes give.
    let pixels: Vec<[u8; input::FRAME_BYTES]> =
        (0..9).map(|y| core::array::from_fn(|i| (y * 91 + i * 37) as u8)).collect();
    let values = pixels.iter().map(|frame| frame.map(|p| (p as f32 - 100.0) / 64.0)).collect::<Vec<_>>();
    let mut last = [None; 5];
    model.restart();
    for frame in &pixels {
        let mut codes = [0; input::FRAME_BYTES];
        input::quantize_pixels(frame, &mut codes);
        last[0] = model.step(&codes).copied();
    }
    model.restart();
    pixels.iter().for_each(|frame| last[1] = model.step_pixels(frame).copied());
    model.restart();
    pixels.iter().for_each(|frame| last[2] = model.step_samples(&frame.map(f32::from)).copied());
    assert!(last[0].is_some() && last[0] == last[1] && last[0] == last[2]);
    model.restart();
    values.iter().for_each(|frame| last[3] = model.step_f32(frame).copied());
    let window = values.as_flattened().last_chunk().unwrap();
    let mut reals = [0.0; output::BYTES];
    output::dequantize(&last[3].unwrap(), &mut reals);
    assert_eq!(model.infer_f32(window), reals);
    last[4] = model.step_f32(&values[0]).copied();
    assert!(last[4].is_some());
}
"#;

#[test]
fn the_whole_api_works() {
    let mut net = net();
    let options = with_pixels(&mut net);
    let dir = work_dir("slide_api");
    let folder = dir.join("chain_net");
    write::write(&folder, &emit(&net, &options)).unwrap();
    std::fs::write(folder.join("examples/check.rs"), CHECK).unwrap();
    cargo(&folder, &["run", "--quiet", "--features", "self_test,trace,checked", "--example", "check"]);

    // The example over a stream of three windows: an output a frame, the reference's bytes.
    let stream = net.codes(19 * 20);
    let file = dir.join("stream.bin");
    std::fs::write(&file, stream.iter().map(|&c| c as u8).collect::<Vec<u8>>()).unwrap();
    let run = ["run", "--quiet", "--features", "checked", "--example", "run", "--", file.to_str().unwrap()];
    let text = cargo(&folder, &run);
    let outputs: Vec<String> = (7..=19)
        .map(|frames| {
            let window = stream[frames * 20 - 130..frames * 20].to_vec();
            format!("output = {:?}", expected(&net, &[window])[0])
        })
        .collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), outputs);
}

#[test]
fn clippy_finds_nothing_and_every_public_item_has_docs() {
    let mut net = net();
    let options = with_pixels(&mut net);
    let folder = work_dir("slide_lints").join("chain_net");
    write::write(&folder, &emit(&net, &options)).unwrap();
    clippy_finds_nothing(&folder);
}

/// Calls everything.
const START: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn _start(
    codes: &[i8; input::BYTES],
    frame: &[i8; input::FRAME_BYTES],
    pixels: &[u8; input::FRAME_BYTES],
    values: &[f32; input::BYTES],
    samples: &[f32; input::FRAME_BYTES],
    reals: &mut [f32; output::BYTES],
) -> usize {
    let Some(model) = MODEL.take() else { return 1 };
    if !model.self_test() { return 2 }
    model.run_traced(codes, |_, _, codes| { core::hint::black_box(codes); });
    let mut full = model.step(frame).is_some();
    full |= model.step_pixels(pixels).is_some();
    full |= model.step_f32(samples).is_some();
    full |= model.step_samples(samples).is_some();
    if full { model.restart() }
    output::dequantize(model.run_window(codes), reals);
    *reals = model.infer_f32(values);
    model.frames_taken()
}
"#;

#[test]
fn nothing_in_the_api_can_panic() {
    let triple = "thumbv7em-none-eabihf";
    if !needs::rust_target(triple) {
        return;
    }
    let mut net = net();
    let options = with_pixels(&mut net);
    nothing_panics("slide_panic", &emit(&net, &options), triple, START);
}

/// Host and emulated cores against the naive reference; the host's runner lets another
/// stream go before each sample.
#[test]
fn fixtures_give_the_references_bytes_on_emulated_cores() {
    let (m4, m0, rv32) = (("stm32f411", Core::M4), ("stm32g0b1", Core::M0), ("esp32c3", Core::Rv32));
    for ((name, core), fixture_name, hop) in
        [(m4, "conv1d", 2), (m4, "residual", 2), (m0, "conv1d", 4), (rv32, "depthwise", 2)]
    {
        let target = Target::lookup(name).unwrap();
        let mut options = ValidateOptions::new(target, &fixture(fixture_name).join("model.calib.npz"));
        options.compile.strategy = Strategy::Fast;
        options.compile.feed = Feed::Frames { hop };
        options.samples = Some(6);
        options.cores = needs::emulators(&[core]);
        options.emulate_samples = 3;
        options.host.work_dir = runners();
        options.firmware.work_dir = runners();
        let model = fixture(fixture_name).join("model.onnx");
        let compiled = compile(&model, &options.compile, &Silent, &mut |_, _| {}).unwrap();
        assert_eq!(compiled.plan.slide.as_ref().unwrap().hop, hop);
        let report = validate_compiled(&compiled, &options, &Silent).unwrap();
        assert!(report.identical, "{name}: {report}");
        for one in &report.emulated {
            assert!(one.stack_bytes as u64 <= one.stack_bound_bytes, "{report}");
        }
    }
}
