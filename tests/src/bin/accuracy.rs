//! The accuracy table of the README: every model on its full test set.
//!
//! In: a folder of models and a folder of data (see `tinyc_tests::models`), on the
//! command line. Out: a table on standard output; exit code 1 if a model misses a
//! limit or bytes differ. Invariant: a figure is printed only if this run measured
//! it, except the columns of ONNX Runtime, which are constants of the case table.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use tinyc::compile::Silent;
use tinyc::verify::emulator::Core;
use tinyc::verify::metrics::Metric;
use tinyc::verify::validate::{Report, validate};
use tinyc_tests::models::{CASES, Case, Form, QDQ_TOLERANCE_POINTS};

const USAGE: &str = "usage: accuracy MODELS DATA [--markdown] [--only TEXT]
  MODELS      folder with float/, qdq_ort/, qdq_from_tflite/
  DATA        folder with SET_calib.npz and SET_test.npz
  --markdown  print a Markdown table, as in the README
  --only TEXT only models whose name contains TEXT";

struct Args {
    models: PathBuf,
    data: PathBuf,
    markdown: bool,
    only: String,
}

fn args() -> Option<Args> {
    let mut folders = Vec::new();
    let (mut markdown, mut only) = (false, String::new());
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        match arg.as_str() {
            "--markdown" => markdown = true,
            "--only" => only = given.next()?,
            option if option.starts_with('-') => return None,
            folder => folders.push(PathBuf::from(folder)),
        }
    }
    let [models, data] = folders.try_into().ok()?;
    Some(Args { models, data, markdown, only })
}

fn main() -> ExitCode {
    let Some(args) = args() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let scratch = tempfile::tempdir().expect("a folder for temporary files");
    let mut table = Table { markdown: args.markdown };
    table.row(&HEADER.map(str::to_owned));
    table.rule();
    let mut failures = Vec::new();
    for case in CASES.iter().filter(|case| case.name.contains(&args.only)) {
        let start = Instant::now();
        match measure(case, &args, scratch.path()) {
            Ok(report) => {
                table.row(&cells(case, &report));
                failures.extend(misses(case, &report));
            }
            Err(message) => failures.push(format!("{} ({}): {message}", case.name, case.form.label())),
        }
        eprintln!("{} ({}): {:.1} s", case.name, case.form.label(), start.elapsed().as_secs_f64());
    }
    if args.markdown {
        println!();
        println!("{NOTE}");
    }
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(case: &Case, args: &Args, scratch: &Path) -> Result<Report, String> {
    let mut options = case.options(&args.data, scratch);
    options.cores = vec![Core::M4];
    validate(&case.path(&args.models), &options, &Silent).map_err(|error| error.to_string())
}

const HEADER: [&str; 14] = [
    "model",
    "form",
    "samples",
    "float",
    "INT8",
    "loss",
    "ORT INT8",
    "top-1 as float",
    "ORT top-1",
    "SQNR dB",
    "MACs",
    "weights B",
    "arena B",
    "identical bytes",
];

const NOTE: &str = "Scores are accuracy in %, for the autoencoder the AUC over recordings; loss in points, top-1 in % of samples.
ORT: ONNX Runtime 1.20.1 on the same samples; for float models its own INT8 quantization (min-max, per channel), for QDQ
models the same file. Those columns are constants; everything else was measured by the command. Identical bytes:
naive reference, emitted crate on the host, emitted firmware on an emulated Cortex-M4, with the number of samples.";

fn cells(case: &Case, report: &Report) -> [String; 14] {
    let score = |value: Option<f64>| match (value, case.metric) {
        (None, _) => "-".to_owned(),
        (Some(value), Metric::Accuracy) => format!("{value:.2}"),
        (Some(value), _) => format!("{value:.4}"),
    };
    let percent = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.2}"));
    // The largest element of a reconstruction says nothing.
    let top1 = report.top1_agreement.filter(|_| case.metric == Metric::Accuracy);
    let same = if report.identical { "yes" } else { "NO" };
    [
        case.name.to_owned(),
        case.form.label().to_owned(),
        report.samples.to_string(),
        score(report.score_float),
        score(report.score_int8),
        score(loss(report)),
        score(case.onnx_runtime),
        percent(top1),
        percent(case.onnx_runtime_agreement.filter(|_| case.form == Form::Float)),
        report.sqnr_db.map_or("-".to_owned(), |db| format!("{:.1}", db.0)),
        report.macs.to_string(),
        report.weights_bytes.to_string(),
        report.arena_bytes.to_string(),
        format!(
            "{same} ({}, {}, {})",
            report.reference_samples, report.host_samples, report.emulated_samples
        ),
    ]
}

/// Float minus INT8: points of accuracy, or AUC.
fn loss(report: &Report) -> Option<f64> {
    Some(report.score_float? - report.score_int8?)
}

/// The limits that a model misses.
fn misses(case: &Case, report: &Report) -> Vec<String> {
    let mut missed = Vec::new();
    let mut miss = |what: String| missed.push(format!("{} ({}): {what}", case.name, case.form.label()));
    if let Some(difference) = &report.first_difference {
        miss(difference.to_string());
    }
    // Figures with two decimals: what prints as the limit is within it.
    let slack = 0.005 / if case.metric == Metric::Accuracy { 1.0 } else { 100.0 };
    if let (Some(limit), Some(loss)) = (case.max_loss, loss(report))
        && loss > limit + slack
    {
        miss(format!("INT8 is {loss:.4} below float, the limit is {limit}"));
    }
    if let (Some(limit), Some(agreement)) = (case.min_agreement, report.top1_agreement)
        && agreement < limit - slack
    {
        miss(format!("{agreement:.2} % have float's top class, the limit is {limit} %"));
    }
    if let (true, Some(theirs), Some(ours)) = (case.form != Form::Float, case.onnx_runtime, report.score_int8)
    {
        let points = if case.metric == Metric::Accuracy { 1.0 } else { 100.0 };
        let apart = (ours - theirs).abs() * points;
        if apart > QDQ_TOLERANCE_POINTS + 0.005 {
            miss(format!("INT8 is {apart:.2} points from ONNX Runtime, the limit is {QDQ_TOLERANCE_POINTS}"));
        }
    }
    missed
}

struct Table {
    markdown: bool,
}

impl Table {
    fn row(&mut self, cells: &[String; 14]) {
        let line = if self.markdown {
            format!("| {} |", cells.join(" | "))
        } else {
            let widths = [22, 20, 7, 7, 7, 7, 8, 14, 9, 7, 9, 9, 8, 15];
            let padded: Vec<String> = cells.iter().zip(widths).map(|(c, w)| format!("{c:w$}")).collect();
            padded.join("  ").trim_end().to_owned()
        };
        println!("{line}");
        // A row takes a while: show it when it is there.
        let _ = std::io::stdout().flush();
    }

    fn rule(&mut self) {
        if self.markdown {
            println!("|---|---|{}---|", "--:|".repeat(11));
        }
    }
}
