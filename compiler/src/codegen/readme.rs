//! The crate's README.md: the model's facts and how to call it.

use std::fmt::Write;

use super::layers::{nothing, peak};
use super::names::{grouped, plain};
use super::parts;
use super::place;
use super::ports::{Port, Ports};
use super::several::{self, Emitted};
use super::{EmitOptions, Placement, TargetFacts};
use crate::plan::{Plan, family};
use crate::samples::Preprocess;

/// The text of README.md.
pub fn emit(plan: &Plan, options: &EmitOptions, ports: &Ports) -> String {
    let mut text = format!(
        "# {}\n\nThe neural network `{}` in int8, compiled for `{}` by tinyc. `no_std`, no heap, no dependencies.\n\n",
        options.package,
        plain(&plan.name),
        options.target.name
    );
    facts(&mut text, plan, options, ports);
    let package = options.package.replace('-', "_");
    if plan.parts.is_empty() {
        let _ = writeln!(
            text,
            "## Use\n\n```rust\nstatic MODEL: {package}::ModelCell = {package}::ModelCell::new();\n"
        );
        let _ = writeln!(text, "let model = MODEL.take().unwrap();");
    } else {
        let _ = writeln!(text, "## Use\n\n```rust");
        let names = parts::names(plan);
        for name in &names {
            let _ = writeln!(text, "{}", declaration(&package, name));
        }
        let takes: Vec<String> =
            names.iter().map(|name| format!("{}.take().unwrap()", name.constant)).collect();
        let _ = writeln!(text, "\nlet mut model = {package}::Model::new({});", takes.join(", "));
    }
    usage(&mut text, &package, ports);
    if let Some(placement) = &options.placement {
        let cell = format!("{package}::ModelCell");
        place::text(&mut text, placement, "MODEL", &format!("static MODEL: {cell} = {cell}::new();"));
    }
    if !plan.parts.is_empty() {
        place::head(&mut text, plan);
    }
    for ((placement, part), name) in options.regions.iter().zip(&plan.parts).zip(parts::names(plan)) {
        place::part(&mut text, placement, part, &name, &declaration(&package, &name));
    }
    ends(&mut text, options.self_test.is_some());
    let _ = writeln!(text, "## Layers\n");
    layers(&mut text, plan);
    text
}

/// The text of README.md of a crate with several models.
pub fn several(
    parts: &[Emitted<'_>],
    package: &str,
    target: &TargetFacts,
    placement: Option<&Placement>,
) -> String {
    let names: Vec<String> = parts.iter().map(|part| format!("`{}`", plain(&part.plan.name))).collect();
    let mut text = format!(
        "# {package}\n\nThe neural networks {} in int8, compiled for `{}` by tinyc, for one firmware: they share one arena\nand the runtime's code. `no_std`, no heap, no dependencies.\n\n",
        names.join(", "),
        target.name
    );
    let (arena, weights) = (several::arena_bytes(parts), several::weight_bytes(parts));
    let each = |of: &dyn Fn(&Emitted<'_>) -> usize| {
        let each = parts.iter().map(|part| format!("`{}` {}", part.name, grouped(of(part) as u64)));
        each.collect::<Vec<_>>().join(", ")
    };
    let _ = writeln!(text, "| fact | value |\n|---|---|");
    let _ = writeln!(
        text,
        "| RAM | {} B arena, that of the greatest ({}) |",
        grouped(arena as u64),
        each(&|part| part.plan.arena_bytes)
    );
    let facts_of = || parts.iter().filter_map(|part| part.options.ram);
    if let Some(stack) = facts_of().map(|ram| ram.stack_bytes).max() {
        let statics = facts_of().map(|ram| ram.static_bytes).sum::<u64>();
        let _ = writeln!(
            text,
            "| RAM in all | {} B: the arena, {} B of stack at most, {} B of statics; computed from builds of each model alone with opt-level 3 and link-time optimisation |",
            grouped(arena as u64 + stack + statics),
            grouped(stack),
            grouped(statics)
        );
    }
    let _ = writeln!(
        text,
        "| flash | {} B of constants ({}), and the code, which they share |\n",
        grouped(weights as u64),
        each(&|part| part.plan.weights.len())
    );
    let library = package.replace('-', "_");
    let _ = writeln!(
        text,
        "## Use\n\n```rust\nstatic ARENA: {library}::ArenaCell = {library}::ArenaCell::new();\n"
    );
    let _ = writeln!(text, "let arena = ARENA.take().unwrap();");
    for part in parts {
        let _ =
            writeln!(text, "let mut {0} = {library}::{0}::Model::new(arena); // to its last use", part.name);
    }
    let _ = writeln!(
        text,
        "```\n\nA `Model` borrows the arena while it works, so that two never work at once: the borrow checker refuses it.\nMaking one costs nothing. What a model leaves in the arena is lost when another one begins: use or copy the\noutput before. A frame that is pushed row by row needs one `Model` from its first row to its last,\na window that slides one for the whole stream.\n"
    );
    if let Some(placement) = placement {
        let cell = format!("{library}::ArenaCell");
        place::text(&mut text, placement, "ARENA", &format!("static ARENA: {cell} = {cell}::new();"));
    }
    ends(&mut text, parts.iter().any(|part| part.options.self_test.is_some()));
    for part in parts {
        let _ = writeln!(text, "## {}\n", part.name);
        facts(&mut text, part.plan, &part.options, &part.ports);
        let path = format!("{library}::{}", part.name);
        let _ = writeln!(text, "```rust\nlet mut model = {path}::Model::new(arena);");
        usage(&mut text, &path, &part.ports);
        layers(&mut text, part.plan);
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// The static that holds a part.
fn declaration(package: &str, name: &parts::Name) -> String {
    let parts::Name { kind, constant, .. } = name;
    format!(
        "static {constant}: {package}::PartCell<{package}::{kind}> = {package}::PartCell::new({package}::{kind}::new());"
    )
}

fn facts(text: &mut String, plan: &Plan, options: &EmitOptions, ports: &Ports) {
    let macs: u64 = plan.steps.iter().map(|s| s.macs).sum();
    let _ = writeln!(text, "| fact | value |\n|---|---|");
    let peak = peak(plan).map(|(index, name)| format!(", peak at layer {index} `{}`", plain(name)));
    let _ = writeln!(
        text,
        "| RAM | {} B arena (inputs, outputs and scratch included){}{} |",
        grouped(plan.arena_bytes as u64),
        if plan.parts.is_empty() { String::new() } else { format!(", for {}", parts::text(plan)) },
        peak.unwrap_or_default()
    );
    if let Some(ram) = options.ram {
        let total = plan.arena_bytes as u64 + ram.stack_bytes + ram.static_bytes;
        let _ = writeln!(
            text,
            "| RAM in all | {} B: the arena, {} B of stack at most, {} B of statics; computed from a build with opt-level 3 and link-time optimisation |",
            grouped(total),
            grouped(ram.stack_bytes),
            grouped(ram.static_bytes)
        );
    }
    let _ = writeln!(text, "| flash | {} B of constants, and the code |", grouped(plan.weights.len() as u64));
    let _ = match &plan.slide {
        Some(slide) => {
            let _ = writeln!(
                text,
                "| RAM kept from step to step | {} B of the arena |",
                grouped(plan.kept_bytes() as u64)
            );
            writeln!(
                text,
                "| multiply-accumulates | {} a step; a whole window takes {} |",
                grouped(macs),
                grouped(slide.window_macs)
            )
        }
        None => writeln!(text, "| multiply-accumulates | {} |", grouped(macs)),
    };
    if let Some(accuracy) = options.accuracy {
        let _ = writeln!(
            text,
            "| against the float model | {:.1} dB SQNR over {} samples |",
            accuracy.sqnr_db, accuracy.samples
        );
    }
    for (kind, list) in [("input", &ports.inputs), ("output", &ports.outputs)] {
        for port in list {
            let _ = writeln!(text, "| {kind} `{}` | {} |", plain(&port.io.name), port.meaning());
        }
    }
    for port in &ports.inputs {
        let _ = writeln!(text, "| samples of `{}` | {} |", plain(&port.io.name), preprocessing(port));
    }
    text.push('\n');
}

fn preprocessing(port: &Port) -> String {
    match &port.preprocessing {
        Preprocess::None => "real values as they are".to_string(),
        Preprocess::Codes => "the model's own codes; unsigned ones less 128".to_string(),
        Preprocess::MeanStd { mean, std, .. } => {
            format!(
                "(x - mean) / std with mean {mean:?} and std {std:?}: `quantize_pixels` and `quantize_samples` do it"
            )
        }
    }
}

/// What is done with a `model`, whose items are at `package`, to the end of the code block.
fn usage(text: &mut String, package: &str, ports: &Ports) {
    if let Some(input) = ports.inputs.iter().find(|port| port.rows.is_some()) {
        return match input.hop {
            Some(hop) => frames(text, package, input, hop, ports),
            None => rows(text, package, input, ports),
        };
    }
    for port in &ports.inputs {
        let _ = writeln!(text, "{package}::{0}::quantize(&values, model.{0}_mut());", port.module);
    }
    if ports.outputs.len() == 1 {
        let _ = writeln!(text, "let codes = model.run();\n```\n");
    } else {
        let _ = writeln!(text, "model.run();");
        for port in &ports.outputs {
            let _ = writeln!(text, "let codes = model.{}();", port.module);
        }
        let _ = writeln!(text, "```\n");
    }
    let overwritten: Vec<String> =
        ports.inputs.iter().filter(|p| p.io.overwritten).map(|p| format!("`{}`", p.module)).collect();
    if !overwritten.is_empty() {
        let _ =
            writeln!(text, "A run overwrites {}: fill the input before every run.\n", overwritten.join(", "));
    }
}

/// How rows are pushed.
fn rows(text: &mut String, package: &str, input: &Port, ports: &Ports) {
    let get = match ports.outputs.len() {
        1 => "    if let Some(codes) = model.push_row(&row) {\n        // The frame is complete: these are its output codes.\n    }".to_string(),
        _ => {
            let gets = ports.outputs.iter().map(|port| format!("        let codes = model.{}();\n", port.module));
            format!("    if model.push_row(&row) {{\n{}    }}", gets.collect::<String>())
        }
    };
    let _ = writeln!(
        text,
        "loop {{\n    // {rows} times a frame, as the sensor delivers them.\n    let row: [i8; {package}::input::ROW_BYTES] = sensor.next_row();\n{get}\n}}\n```\n",
        rows = input.rows.unwrap_or(0),
    );
    let _ = writeln!(
        text,
        "The input is pushed row by row and never whole in RAM. {} A row that was pushed need not be kept.\nThe next row after a frame's last begins the next frame; `model.restart()` gives a frame up that was begun.\n`push_row_f32` takes real values; `run_frame` takes all rows of a frame that lies in flash.\n",
        input.row_order()
    );
}

/// How frames are handed over.
fn frames(text: &mut String, package: &str, input: &Port, hop: usize, ports: &Ports) {
    let get = match ports.outputs.len() {
        1 => "    if let Some(codes) = model.step(&frame) {\n        // The output codes of the newest rows.\n    }".to_string(),
        _ => {
            let gets = ports.outputs.iter().map(|port| format!("        let codes = model.{}();\n", port.module));
            format!("    if model.step(&frame) {{\n{}    }}", gets.collect::<String>())
        }
    };
    let rows = input.rows.unwrap_or(0);
    let new = if hop == 1 { "The newest row".to_string() } else { format!("The {hop} newest rows") };
    let _ = writeln!(
        text,
        "loop {{\n    // {new}, as the sensor delivers them.\n    let frame: [i8; {package}::input::FRAME_BYTES] = sensor.next_frame();\n{get}\n}}\n```\n"
    );
    let _ = writeln!(
        text,
        "The model looks at a window of {rows} rows, which moves by {hop} with each frame. {} What the frame does not\nchange is kept from step to step, and not computed again; the bytes are those of a run on the whole window. The first {} frames give\nnothing; `model.restart()` begins a new stream. `step_f32` takes real values; `run_window` takes a whole window.\n",
        input.row_order(),
        rows.div_ceil(hop) - 1
    );
}

/// What else there is.
fn ends(text: &mut String, self_test: bool) {
    let _ = writeln!(
        text,
        "On this machine: `cargo run --release --example run`. Features: `trace` hands out every"
    );
    let _ = writeln!(text, "layer's output, `checked` adds bounds checks for debugging on the host.");
    if self_test {
        let _ = writeln!(text, "`self_test` embeds one sample and its expected output: `model.self_test()`.");
    }
    text.push('\n');
    let _ = writeln!(
        text,
        "This folder is a cargo workspace of its own. Where it lies inside the folder of another workspace, name it\nin that workspace's `exclude`, or cargo reports multiple workspace roots.\n"
    );
}

fn layers(text: &mut String, plan: &Plan) {
    let _ = writeln!(
        text,
        "| layer | ONNX node | kernel | MACs | constants, B | live, B |\n|---|---|---|---|---|---|"
    );
    for (index, step) in plan.steps.iter().enumerate() {
        let calls = step.work.calls();
        let kernels: Vec<&str> = calls.iter().map(|c| family::family(&c.kernel).name).collect();
        let kernels = nothing(step).map_or_else(|| kernels.join(" + "), str::to_string);
        let consts: usize = calls.iter().map(|c| c.consts.bytes).sum();
        let _ = writeln!(
            text,
            "| {index} | `{}` ({}) | {kernels} | {} | {} | {} |",
            plain(&step.name).replace('|', "\\|"),
            step.onnx_op,
            grouped(step.macs),
            grouped(consts as u64),
            grouped(step.live_bytes as u64)
        );
    }
}
