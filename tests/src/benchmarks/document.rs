//! The benchmarks as Markdown.
//!
//! In: what was measured. Out: `docs/benchmarks.md`, and the table between the
//! markers of the README. Invariant: every figure is of this run but those of
//! other engines, which are constants below, with their conditions.

use std::fmt::Write;

use super::{Kind, Measured};
use tinyc::target::units::thousands;
use tinyc::verify::emulator::Core;

/// The command that makes all of it.
pub const COMMAND: &str = "cargo run -p tinyc-tests --bin bench_baseline -- MODELS DATA --write";

/// What another engine takes for a model on the same emulated core.
struct Other {
    model: &'static str,
    instructions: u64,
    cycles: u64,
    arena_bytes: u64,
    /// Code and read-only data besides the model, best build.
    code_bytes: u64,
    /// Where its cycles go, in percent, as far as that was taken down.
    shares: &'static [(Kind, u64)],
}

/// TensorFlow Lite Micro with CMSIS-NN, its default flags (kernels and CMSIS-NN
/// -O2), arm-none-eabi-gcc 12.2, the public int8 models of MLPerf Tiny; one
/// inference after a warm-up, counted on the same emulated machine by the same
/// rules.
const TFLM: [Other; 4] = [
    Other {
        model: "kws_dscnn",
        instructions: 7_696_403,
        cycles: 9_302_616,
        arena_bytes: 22_820,
        code_bytes: 52_956,
        shares: &[(Kind::Pointwise, 55), (Kind::Depthwise, 29), (Kind::First, 12)],
    },
    Other {
        model: "ic_resnet8",
        instructions: 29_865_001,
        cycles: 36_800_299,
        arena_bytes: 54_996,
        code_bytes: 50_760,
        shares: &[(Kind::Convolution, 77), (Kind::Sum, 8)],
    },
    Other {
        model: "vww_mobilenet025",
        instructions: 24_101_963,
        cycles: 29_488_441,
        arena_bytes: 100_708,
        code_bytes: 52_956,
        shares: &[(Kind::Pointwise, 60), (Kind::Depthwise, 26)],
    },
    Other {
        model: "ad_autoencoder",
        instructions: 582_957,
        cycles: 726_907,
        arena_bytes: 2_580,
        code_bytes: 27_700,
        shares: &[],
    },
];

fn other(measured: &Measured) -> Option<&'static Other> {
    let m4 = measured.watched.core == Core::M4;
    TFLM.iter().find(|other| m4 && other.model == measured.watched.model)
}

const CONDITIONS: &str = "Instructions are exact counts on emulated cores (QEMU), cycles are estimates by the timing tables that Arm publishes, memory never waiting: good for comparing, no measurement of a board.
TFLM + CMSIS-NN: TensorFlow Lite Micro, kernels and CMSIS-NN -O2, arm-none-eabi-gcc 12.2, the public int8 models, one inference after a warm-up, counted on the same machine by the same rules; those
figures are constants, everything else is of the run that made this page. Limit: two multiply-accumulates a cycle (SMLAD), nothing else counted. Code and tables: all flash but the weights
and biases, so multipliers and parameters of kernels too. Of int8: weights as stored, padding and transformed forms included, over one byte a weight and four a bias of the layers that run. Ours: the float models, calibrated on their calibration samples, one of which is run.";

/// The whole page.
#[must_use]
pub fn page(all: &[Measured]) -> String {
    let mut text = format!(
        "# Benchmarks\n\nMade by `{COMMAND}`, from models and data that are not part of this repository. Do not edit.\n\n{CONDITIONS}\n\n## Cortex-M4\n\n{}",
        summary(all)
    );
    two_at_once(&mut text, all);
    text.push_str("\n## Other cores\n\n");
    text.push_str("| model | core | chip | instructions | cycles | code and tables B | weights B | of int8 | arena B | stack B |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|\n");
    for Measured { watched, report, .. } in
        all.iter().filter(|m| ![Core::M4, Core::M7].contains(&m.watched.core))
    {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {:.3} | {} | {} |",
            watched.model,
            report.core,
            report.target,
            thousands(report.instructions),
            or_dash(report.cycles.map(thousands)),
            thousands(report.flash_bytes.code + report.flash_bytes.other),
            thousands(report.flash_bytes.weights),
            report.weights_ratio.unwrap_or(0.0),
            thousands(report.arena_bytes),
            thousands(report.stack_bytes),
        );
    }
    text.push_str("\nCycles stand where a timing table is published for the core.\n");
    for measured in all.iter().filter(|m| m.watched.core == Core::M4) {
        kinds(&mut text, measured);
    }
    text
}

const TWO_AT_ONCE: &str = "Arm publishes no instruction times for this core. Cycles are estimated by a model of dual issue after published rules (LLVM's scheduling model, measurements of others; `compiler/src/bench/dual_issue.rs`
names both and what is left out), memory never waiting, branches and loads going well: no measurement of a board, and good for comparing two orders of the same instructions rather than for milliseconds. Both columns of cycles
are of one plan, its inner loops in the order for Cortex-M4 and in the order for this core.";

/// What the order of instructions does on a core that issues two at once.
fn two_at_once(text: &mut String, all: &[Measured]) {
    let _ = write!(
        text,
        "\n## Cortex-M7\n\n{TWO_AT_ONCE}\n\n| model | --opt | chip | MACs | instructions | cycles, M4's order | cycles, M7's order | times faster | a MAC | code B | weights B | arena B |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for Measured { watched, report, m4_order, .. } in all.iter().filter(|m| m.watched.core == Core::M7) {
        let cycles = report.cycles.unwrap_or(0);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {:.3} | {} | {} | {} |",
            watched.model,
            report.opt,
            report.target,
            thousands(report.macs),
            thousands(report.instructions),
            or_dash(m4_order.map(thousands)),
            thousands(cycles),
            or_dash(m4_order.map(|before| format!("{:.2}", before as f64 / cycles as f64))),
            report.cycles_per_mac.unwrap_or(0.0),
            thousands(report.flash_bytes.code + report.flash_bytes.other),
            thousands(report.flash_bytes.weights),
            thousands(report.arena_bytes),
        );
    }
}

/// The table of the README.
#[must_use]
pub fn summary(all: &[Measured]) -> String {
    let mut text = String::from(
        "| model | --opt | MACs | cycles | a MAC | TFLM + CMSIS-NN | times faster | limit | code and tables B | TFLM's | weights B | of int8 | arena B | TFLM's |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for measured in all {
        let (report, Some(other)) = (&measured.report, other(measured)) else { continue };
        let cycles = report.cycles.unwrap_or(0);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.3} | {} | {:.2} | {} | {} | {} | {} | {:.3} | {} | {} |",
            measured.watched.model,
            report.opt,
            thousands(report.macs),
            thousands(cycles),
            report.cycles_per_mac.unwrap_or(0.0),
            thousands(other.cycles),
            other.cycles as f64 / cycles as f64,
            thousands(report.macs / 2),
            thousands(report.flash_bytes.code + report.flash_bytes.other),
            thousands(other.code_bytes),
            thousands(report.flash_bytes.weights),
            report.weights_ratio.unwrap_or(0.0),
            thousands(report.arena_bytes),
            thousands(other.arena_bytes),
        );
    }
    text
}

fn kinds(text: &mut String, measured: &Measured) {
    let Measured { watched, report, kinds, .. } = measured;
    let _ = writeln!(
        text,
        "\n## {}, --opt {}\n\n| layers | number | MACs | instructions | cycles | a MAC | TFLM + CMSIS-NN | times faster | limit |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        watched.model, report.opt
    );
    let mut found = kinds.clone();
    found.sort_unstable();
    found.dedup();
    let theirs = other(measured);
    let mut row =
        |name: &str, number: usize, macs: u64, instructions: u64, cycles: u64, theirs: Option<u64>| {
            let _ = writeln!(
                text,
                "| {name} | {number} | {} | {} | {} | {} | {} | {} | {} |",
                thousands(macs),
                thousands(instructions),
                thousands(cycles),
                if macs == 0 { "-".to_owned() } else { format!("{:.3}", cycles as f64 / macs as f64) },
                or_dash(theirs.map(thousands)),
                or_dash(theirs.map(|theirs| format!("{:.2}", theirs as f64 / cycles as f64))),
                if macs == 0 { "-".to_owned() } else { thousands(macs / 2) },
            );
        };
    for kind in found {
        let layers: Vec<_> =
            report.layers.iter().zip(kinds).filter(|(_, k)| **k == kind).map(|(l, _)| l).collect();
        let sum = |figure: fn(&tinyc::bench::LayerRow) -> u64| layers.iter().map(|l| figure(l)).sum::<u64>();
        let share = theirs.and_then(|other| {
            let (_, percent) = other.shares.iter().find(|(of, _)| *of == kind)?;
            Some(other.cycles * percent / 100)
        });
        row(
            kind.name(),
            layers.len(),
            sum(|l| l.macs),
            sum(|l| l.instructions),
            sum(|l| l.cycles.unwrap_or(0)),
            share,
        );
    }
    let cycles = report.cycles.unwrap_or(0);
    let total = theirs.map(|other| other.cycles);
    row("all", report.layers.len(), report.macs, report.instructions, cycles, total);
    if let Some(other) = theirs {
        let shares = match other.shares {
            [] => "",
            _ => " Its layers are shares of that total, rounded to percent.",
        };
        let _ = writeln!(
            text,
            "\nTFLM + CMSIS-NN executes {} instructions.{shares} On {} at {} MHz: {:.2} ms, {:.2} ms with waiting for flash, at most; stack {} B.",
            thousands(other.instructions),
            report.target,
            report.clock_hz.unwrap_or(0) / 1_000_000,
            report.ms.unwrap_or(0.0),
            report.ms_with_flash.unwrap_or(0.0),
            thousands(report.stack_bytes),
        );
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

const BEGIN: &str = "<!-- benchmarks:begin -->\n";
const END: &str = "<!-- benchmarks:end -->";

/// The README with the summary between its markers; `None` without markers.
#[must_use]
pub fn in_readme(readme: &str, all: &[Measured]) -> Option<String> {
    let (head, rest) = readme.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}{}{END}{tail}", summary(all)))
}
