//! `tinyc build`.

use serde_json::json;

use super::{files, fixture, text, tinyc, tinyc_in, tinyc_with};

#[test]
fn digits_for_a_cortex_m4() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("digits");
    let model = fixture("digits/model.onnx");
    let report = tinyc(&["build", &model, "--target", "stm32f411", "-o", text(&out), "--json"]).json();

    assert_eq!(report["model"], json!(model));
    assert_eq!(report["target"], json!("stm32f411"));
    // Conv 8x8x8 of 3x3x1, Conv 4x4x16 of 3x3x8, Gemm 256 to 32, Gemm 32 to 10.
    assert_eq!(report["macs"], json!(4_608 + 18_432 + 8_192 + 320));
    assert_eq!(report["parameters"], json!((72 + 8) + (1_152 + 16) + (8_192 + 32) + (320 + 10)));
    assert_eq!(
        report["parameters_bytes"],
        json!((72 + 8 * 4) + (1_152 + 16 * 4) + (8_192 + 32 * 4) + (320 + 10 * 4))
    );
    // Channels in fours, the last two of ten by themselves, inputs of a kernel row in fours: a
    // byte a weight, four a bias.
    let (conv1, conv2) = (8 * (3 * 4 + 4), 16 * (3 * 24 + 4));
    let (fc1, fc2) = (32 * (256 + 4), 10 * (32 + 4));
    assert_eq!(report["weights_bytes"], json!(conv1 + conv2 + fc1 + fc2));
    // A multiplier for each of those channels, 32 factors for softmax.
    assert_eq!(report["tables_bytes"], json!((8 + 16 + 32 + 10) * 4 + 32 * 4));
    // The second convolution: its input [4,4,8], the 192 bytes by which its output leads
    // it (4 rows of 64 less 2 of 32), and scratch: the five columns that the windows of two
    // pairs of pixels begin in, each of 3 x 8 inputs in 16 bits for both pixels.
    assert_eq!(report["arena_bytes"], json!(128 + 192 + 5 * 3 * 8 * 2 * 2));
    assert_eq!(report["peak_step"], json!("/conv2/Conv"));
    assert_eq!(report["stack_bytes"], json!(null));
    assert_eq!(report["fits"], json!(true));
    // 80 % of the datasheet's 128 KiB and 512 KiB.
    assert_eq!(report["ram"]["limit_bytes"], json!(104_857));
    assert_eq!(report["flash"]["limit_bytes"], json!(419_430));
    assert!(report["sqnr_db"].as_f64().is_some_and(|db| db > 30.0), "{}", report["sqnr_db"]);
    assert_eq!(report["top1_agreement"], json!(100.0));
    assert_eq!(report["out_dir"], json!(text(&out)));

    let written = files(&out);
    let listed = report["files"].as_array().expect("a list");
    assert_eq!(listed.len(), written.len());
    for file in listed {
        let path = std::path::Path::new(file["path"].as_str().expect("a path"));
        assert_eq!(file["bytes"], json!(written[path].len()), "{}", path.display());
    }
    for path in ["Cargo.toml", "README.md", "src/lib.rs", "examples/run.rs", "model.quant.toml"] {
        assert!(out.join(path).is_file(), "{path}");
    }
}

/// The float reference would pick kernels by the processor's vendor and instruction
/// sets, which differ in the last bit of a calibrated range. These variables are
/// how it is told of another processor.
#[test]
fn another_processor_gives_the_same_bytes() {
    let processors: [&[(&str, &str)]; 5] = [
        &[],
        &[("TRACT_X86_KIND", "intel"), ("TRACT_CPU_ISA", "-avx512f")],
        &[("TRACT_X86_KIND", "amd"), ("TRACT_CPU_ISA", "-avx512f")],
        &[("TRACT_X86_KIND", "other")],
        &[("TRACT_CPU_ISA", "-avx512f,-avx2,-fma")],
    ];
    for name in ["digits", "residual", "conv1d"] {
        let folder = tempfile::tempdir().expect("a folder");
        let model = fixture(&format!("{name}/model.onnx"));
        let crates = processors.map(|variables| {
            let out = folder.path().join("crate");
            tinyc_with(variables, &["build", &model, "--target", "stm32f411", "-o", text(&out)]).ok();
            files(&out)
        });
        for (built, variables) in crates[1..].iter().zip(&processors[1..]) {
            assert!(*built == crates[0], "{name} with {variables:?}");
        }
    }
}

#[test]
fn the_summary_says_what_was_made_and_how_to_use_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = fixture("digits/model.onnx");
    let summary =
        tinyc_in(folder.path(), &["build", &model, "--target", "nucleo-f411re", "--name", "digits"]).ok();
    for fact in [
        "31,552 MACs",
        "9,802 parameters",
        "800 B arena",
        "104,857 B (80 % of 131,072)",
        "100 samples",
        "fits",
        "src/lib.rs",
        "digits::Model::new()",
    ] {
        assert!(summary.contains(fact), "{fact}: {summary}");
    }
    // The model's name and the target's, whatever alias was given; a model.onnx is called as its folder.
    assert!(folder.path().join("digits-stm32f411/Cargo.toml").is_file());
}

#[test]
fn a_recorded_quantization_rebuilds_the_same_bytes_without_the_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, again) = (folder.path().join("first"), folder.path().join("again"));
    let model = fixture("digits/model.onnx");
    tinyc(&["build", &model, "--target", "stm32f411", "-o", text(&first)]).ok();

    // Elsewhere there is no model.calib.npz.
    let alone = folder.path().join("digits.onnx");
    std::fs::copy(&model, &alone).expect("copied");
    let quant = first.join("model.quant.toml");
    let args = ["build", text(&alone), "--target", "stm32f411", "-o", text(&again), "--quant", text(&quant)];
    tinyc(&args).ok();
    assert!(files(&first) == files(&again), "the crates differ");
}

#[test]
fn without_samples_a_loud_warning_and_no_claim_of_accuracy() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("lonely.onnx");
    std::fs::copy(fixture("digits/model.onnx"), &model).expect("copied");
    let run = tinyc_in(folder.path(), &["build", "lonely.onnx", "--target", "stm32f411", "--json"]);
    assert!(run.stderr.contains("SYNTHETIC"), "{}", run.stderr);
    let report = run.json();
    assert_eq!(report["sqnr_db"], json!(null));
    assert_eq!(report["scales"]["source"], json!("synthetic"));
}

#[test]
fn a_fixed_batch_is_noted() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let model = fixture("bad/dynamic_batch.onnx");
    let run = tinyc(&["build", &model, "--target", "stm32f411", "-o", text(&out), "--json"]);
    assert!(run.stderr.contains("batch") && run.stderr.contains("fixed to 1"), "{}", run.stderr);
    let notes = run.json()["notes"].to_string();
    assert!(notes.contains("fixed to 1"), "{notes}");
}

#[test]
fn the_ir_after_a_pass_goes_to_standard_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = fixture("digits/model.onnx");
    let args = [
        "build",
        &model,
        "--target",
        "stm32f411",
        "--dump-ir-after",
        "import",
        "--dump-ir-after",
        "quantize_layers",
        "--json",
    ];
    let run = tinyc_in(folder.path(), &args);
    let (import, quantized) = run.stderr.split_once("after quantize_layers:").expect("both dumps");
    // Import leaves ReLU as a node of its own; quantization gives scales.
    assert!(import.contains("unary[relu]") && !import.contains("scale"), "{import}");
    assert!(!quantized.contains("unary[relu]") && quantized.contains("q(scale "), "{quantized}");
    run.json();
}

#[test]
fn an_unknown_pass_lists_those_that_exist() {
    let model = fixture("digits/model.onnx");
    let error = tinyc(&["build", &model, "--target", "stm32f411", "--dump-ir-after", "fold"]).error();
    assert!(
        error.contains("'fold'") && error.contains("import, ") && error.contains("fold_affine"),
        "{error}"
    );
}

#[test]
fn speed_takes_faster_kernels_within_the_flash_and_says_which() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("residual");
    let model = fixture("residual/model.onnx");
    let build = |more: &[&str]| {
        let common = ["build", &model, "--target", "stm32f411", "-o", text(&out)];
        tinyc(&[&common, more].concat())
    };
    let balanced = build(&["--json"]).json();
    assert_eq!(balanced["opt"], json!("balanced"));
    let speed = build(&["--opt", "speed", "--json"]).json();
    // Two blocks of four channels: 32 bytes, and 36 positions x 8 inputs of 2 bytes a channel
    // instead of 3 kernel rows of 24 inputs.
    let added = 2 * (32 + 36 * 8 * 2 * 4) - 2 * (32 + 3 * 24 * 4);
    for (index, layer) in ["conv1", "conv2"].into_iter().enumerate() {
        let choice = &speed["choices"][index];
        assert_eq!(choice["layer"], json!(layer));
        assert_eq!(choice["kernel"], json!("conv_winograd F(4x4)"));
        assert_eq!(choice["added_bytes"], json!(added));
        assert!(choice["saved_cycles"].as_u64().is_some_and(|cycles| cycles > 0), "{choice}");
        assert_eq!(balanced["choices"][index]["kernel"], json!("conv_tile"));
        assert_eq!(balanced["choices"][index]["passed_over"][0]["reason"], json!("goal"));
    }
    let bytes = |report: &serde_json::Value| report["weights_bytes"].as_u64().expect("a number");
    assert_eq!(bytes(&speed) - bytes(&balanced), 2 * added);

    // Less than that needs: both kernels beside each other need more still, so that both
    // layers take something smaller.
    let needed = speed["flash"]["needed_bytes"].as_u64().expect("a number");
    let tight = (needed - 1_000).to_string();
    let summary = build(&["--opt", "speed", "--budget-flash", &tight]).ok();
    assert!(!summary.contains("conv_winograd F(4x4), about "), "{summary}");
    assert!(summary.contains("; conv_winograd F(4x4) does not fit: "), "{summary}");
    assert!(build(&[]).ok().contains("2 layers have faster forms, for more flash: --opt speed"));
    let wrong = build(&["--opt", "fast"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("'fast' is no goal; use speed, balanced or size"), "{}", wrong.stderr);
}

#[test]
fn the_stack_needs_a_chip() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let model = fixture("digits/model.onnx");
    let error = tinyc(&["build", &model, "--target", "host", "--stack", "-o", text(&out)]).error();
    assert!(error.contains("target 'host' is no microcontroller"), "{error}");
    assert!(!out.exists());
}

#[test]
fn rows_of_a_signal_are_pushed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, again) = (folder.path().join("first"), folder.path().join("again"));
    // [1, 3, 32]: 32 moments of 3 channels.
    let model = fixture("conv1d/model.onnx");
    let build = ["build", &model, "--target", "stm32f411", "--input", "rows", "-o", text(&first)];
    let summary = tinyc(&build).ok();
    assert!(summary.contains("model.push_row(&row); // 32 times 3 of i8"), "{summary}");
    let library = std::fs::read_to_string(first.join("src/lib.rs")).expect("lib.rs");
    assert!(library.contains("A row is `[1][3]`, channels last, which the model's file has in front."));

    // The same crate without the data.
    let quant = first.join("model.quant.toml");
    let mut rebuild = build.to_vec();
    rebuild[7] = text(&again);
    rebuild.extend(["--quant", text(&quant), "--json"]);
    let report = tinyc(&rebuild).json();
    assert_eq!(report["input_rows"], json!({ "rows": 32, "row_bytes": 3 }));
    assert!(files(&first) == files(&again), "the crates differ");
}

#[test]
fn the_fastest_ram_in_which_the_arena_fits_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let model = fixture("digits/model.onnx");
    let build = |more: &[&str]| tinyc(&[&["build", &model, "-o", text(&out)], more].concat());
    let readme = || std::fs::read_to_string(out.join("README.md")).expect("README.md");

    let summary = build(&["--target", "stm32f407"]).ok();
    assert!(
        summary.contains("800 B arena") && summary.contains("within 52,428 B (80 % of 65,536)"),
        "{summary}"
    );
    let line = "ccm at 0x10000000 is the fastest in which the arena fits, which no DMA reaches: README.md";
    assert!(summary.contains(line), "{summary}");
    for part in [
        "The arena fits `ccm`, 65,536 B at 0x10000000",
        "No DMA reaches it",
        "#[unsafe(link_section = \".ccm\")]\nstatic MODEL: digits::ModelCell",
        "CCM (rw) : ORIGIN = 0x10000000, LENGTH = 65536",
        "Startup code zeroes `.bss` alone",
    ] {
        assert!(readme().contains(part), "no {part:?} in {}", readme());
    }

    let report = build(&["--target", "stm32f746", "--json"]).json();
    let region = json!({
        "name": "dtcm", "origin": 0x2000_0000, "length_bytes": 65_536, "dma": "all", "to_be_placed": true
    });
    assert_eq!(report["arena_region"], region);
    assert_eq!(report["ram"]["total_bytes"], json!(65_536));

    // One region: nothing to be said.
    let summary = build(&["--target", "stm32f411"]).ok();
    assert!(!summary.contains("fastest") && !readme().contains("link_section"), "{summary}");

    // Several models have one arena.
    let other = fixture("residual/model.onnx");
    let summary = build(&[&other, "--target", "stm32f746"]).ok();
    assert!(summary.contains("  region    dtcm at 0x20000000 is the fastest"), "{summary}");
    assert_eq!(summary.matches("fastest").count(), 1, "{summary}");
    assert!(readme().contains("static ARENA: digits_residual::ArenaCell"), "{}", readme());
}

#[test]
fn a_window_slides_over_a_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, again) = (folder.path().join("first"), folder.path().join("again"));
    let model = fixture("conv1d/model.onnx");
    let build =
        ["build", &model, "--target", "stm32f411", "--input", "frames", "-o", text(&first), "--hop", "2"];
    let summary = tinyc(&build).ok();
    assert!(
        summary.contains("model.step(&frame); // 6 of i8 a frame; from frame 16 on each gives an output"),
        "{summary}"
    );
    assert!(
        summary.contains("2 new of 32 rows, 1,936 of the 9,280 MACs of a whole window (21 %)"),
        "{summary}"
    );

    // The same crate without the data.
    let quant = first.join("model.quant.toml");
    let mut rebuild = build.to_vec();
    rebuild[7] = text(&again);
    rebuild.extend(["--quant", text(&quant), "--json"]);
    let report = tinyc(&rebuild).json();
    assert_eq!(
        report["input_frames"],
        json!({ "rows": 32, "hop": 2, "row_bytes": 3, "steps": 16, "kept_bytes": 370, "window_macs": 9280 })
    );
    assert_eq!((&report["macs"], &report["input_rows"]), (&json!(1936), &json!(null)));
    assert!(files(&first) == files(&again), "the crates differ");

    // A hop that loses the rhythm at the pooling layer says so.
    let odd = tinyc(&["build", &model, "--target", "stm32f411", "--input", "frames", "-o", text(&again)]);
    assert!(
        odd.stderr.contains("node 'pool' (MaxPool)") && odd.stderr.contains("with --hop 2"),
        "{}",
        odd.stderr
    );
}
