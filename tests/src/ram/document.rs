//! RAM as Markdown.
//!
//! In: what was measured. Out: `docs/ram.md`, and the table between the markers
//! of the README. Invariant: every figure is of this run but those of other
//! engines, which are constants below, with their sources.

use std::fmt::Write;

use tinyc::target::units::thousands;

use super::{Large, Planned, TARGET};

/// The command that makes all of it.
pub const COMMAND: &str = "cargo run -p tinyc-tests --bin ram_table -- MODELS DATA --write";

/// Bytes of activations that other engines need: TFLM (TensorFlow Lite Micro with
/// CMSIS-NN) and TinyEngine as measured on the same emulated core; Bosch HALE,
/// microTVM with CMSIS-NN and Plumerai as published in MLPerf Tiny's closed division.
const PEERS: [(&str, &[(&str, u64)]); 5] = [
    ("kws_dscnn", &[("TFLM", 22_820), ("microTVM", 17_232), ("HALE", 16_000)]),
    ("ic_resnet8", &[("TFLM", 54_996), ("HALE", 52_416), ("HALE at 1.84 times its latency", 21_104)]),
    (
        "vww_mobilenet025",
        &[("TFLM", 100_708), ("TinyEngine", 60_732), ("HALE", 55_296), ("Plumerai", 40_960)],
    ),
    ("ad_autoencoder", &[("TFLM", 2_580), ("microTVM", 1_160), ("HALE", 768)]),
    ("mnist_cnn", &[]),
];

fn peers(model: &str) -> String {
    let of = PEERS.iter().find(|(name, _)| *name == model).map_or(&[][..], |(_, list)| list);
    let list: Vec<String> = of.iter().map(|(name, bytes)| format!("{name} {}", thousands(*bytes))).collect();
    if list.is_empty() { "-".to_owned() } else { list.join(", ") }
}

const CONDITIONS: &str = "Arena: every byte of activations, input, output and scratch included. Lower bound: the most bytes that live at one moment of that plan. Cycles are counted on an emulated Cortex-M4 (QEMU) by the timing tables that Arm publishes, memory never waiting; the default `--opt`. The whole input is in RAM, but where rows are pushed (`--input rows`): there the caller's own row is not counted.
Other engines: TFLM (TensorFlow Lite Micro with CMSIS-NN) and TinyEngine were measured on the same emulated machine; Bosch HALE (on Cortex-M7, with AD on both), microTVM with CMSIS-NN and Plumerai are what MLPerf Tiny's closed division published. Those figures are constants, everything else is of the run that made this page.";

/// The whole page.
#[must_use]
pub fn page(all: &[Planned], large: &[Large]) -> String {
    let mut text = format!(
        "# RAM\n\nMade by `{COMMAND}`, from models and data that are not part of this repository. Do not edit.\n\n{CONDITIONS}\n\n## Strategies, on {TARGET}\n\n| model | --ram-strategy | arena B | lower bound | cycles | against fast | stack painted B | stack bound B | statics B | total RAM B |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for planned in all {
        let fast = planned.runs[0].report.cycles.unwrap_or(0);
        let whole = planned.runs.iter().map(|run| (run, ""));
        for (run, how) in whole.chain(planned.pushed.iter().map(|run| (run, ", rows pushed"))) {
            let (report, cycles) = (&run.report, run.report.cycles.unwrap_or(0));
            let _ = writeln!(
                text,
                "| {} | {}{how} | {} | {} | {} | {:.3} | {} | {} | {} | {} |",
                planned.model,
                run.strategy,
                thousands(report.arena_bytes),
                thousands(run.bound_bytes as u64),
                thousands(cycles),
                cycles as f64 / fast as f64,
                thousands(report.stack_bytes),
                thousands(report.stack_bound_bytes),
                thousands(report.static_bytes),
                thousands(report.ram_bytes),
            );
        }
    }
    text.push_str("\nTotal RAM: arena, stack bound and statics.\n\n## Other engines\n\n| model | activations B |\n|---|---|\n");
    for planned in all {
        let _ = writeln!(text, "| {} | {} |", planned.model, peers(planned.model));
    }
    seeded(&mut text, large);
    text.push_str(
        "\n## RAM against cycles\n\nEvery plan that no other beats in both, estimated by the cost model.\n",
    );
    for planned in all {
        let fastest = planned.curve.last().map_or(1, |point| point.cycles);
        let _ = writeln!(
            text,
            "\n### {}\n\n| arena B | lower bound | estimated cycles | against the fastest | how |\n|--:|--:|--:|--:|---|",
            planned.model
        );
        for point in &planned.curve {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.3} | {} |",
                thousands(point.arena_bytes as u64),
                thousands(point.bound_bytes as u64),
                thousands(point.cycles),
                point.cycles as f64 / fastest as f64,
                if point.cascades { "row by row" } else { "whole tensors" },
            );
        }
    }
    text
}

fn seeded(text: &mut String, large: &[Large]) {
    text.push_str("\n## MobileNetV2\n\nSeeded random weights, 1000 classes, batch norms folded; planned with the same kernels as if flash were no limit, not run. `--input-layout channels-last`: the input lies as cameras deliver it, so that nothing copies it. The whole input is in RAM but where rows are pushed.\n\n| model | MACs | weights B | --ram-strategy | arena B | lower bound |\n|---|--:|--:|---|--:|--:|\n");
    for model in large {
        let (arena_bytes, bound_bytes) = model.pushed;
        let pushed = [("min, rows pushed".to_owned(), arena_bytes, bound_bytes)];
        let whole = model.plans.iter().map(|(strategy, arena, bound)| (strategy.to_string(), *arena, *bound));
        for (how, arena_bytes, bound_bytes) in whole.chain(pushed) {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {how} | {} | {} |",
                model.model,
                thousands(model.macs),
                thousands(model.weights_bytes as u64),
                thousands(arena_bytes as u64),
                thousands(bound_bytes as u64),
            );
        }
    }
    text.push_str("\nFor comparison: msf-CNN (published) runs the smaller in 15,300 B at 1.38 times its multiply-accumulates.\n");
}

/// The table of the README.
#[must_use]
pub fn summary(all: &[Planned]) -> String {
    let mut text = String::from(
        "| model | fast: arena B | cycles | balanced: arena B | times the cycles | min: arena B | times the cycles | total RAM B | min, rows pushed: arena B | times the cycles | other engines, arena B |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for planned in all {
        let [fast, balanced, min] = &planned.runs[..] else { continue };
        let cycles = |run: &super::Run| run.report.cycles.unwrap_or(0);
        let ratio = |run| cycles(run) as f64 / cycles(fast) as f64;
        let pushed = match &planned.pushed {
            Some(run) => format!("{} | {:.3}", thousands(run.report.arena_bytes), ratio(run)),
            None => "- | -".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.3} | {} | {:.3} | {} | {pushed} | {} |",
            planned.model,
            thousands(fast.report.arena_bytes),
            thousands(cycles(fast)),
            thousands(balanced.report.arena_bytes),
            ratio(balanced),
            thousands(min.report.arena_bytes),
            ratio(min),
            thousands(min.report.ram_bytes),
            peers(planned.model),
        );
    }
    text
}

const BEGIN: &str = "<!-- ram:begin -->\n";
const END: &str = "<!-- ram:end -->";

/// The README with the summary between its markers; `None` without markers.
#[must_use]
pub fn in_readme(readme: &str, all: &[Planned]) -> Option<String> {
    let (head, rest) = readme.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}{}{END}{tail}", summary(all)))
}
