//! Times the planner.
//!
//! In: a folder of models and a folder of data (see `tinyc_tests::models`), on the
//! command line. Out: a line for each model: seconds, the arena of its smallest plan,
//! the bound of that plan. Exit code 1 where one takes longer than its limit, which is
//! that of an optimised build:
//!
//!     cargo run --release -p tinyc-tests --bin plan_speed -- MODELS DATA

use std::path::Path;
use std::process::ExitCode;

use tinyc::target::units::thousands;
use tinyc_tests::planning::{Timed, all};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [models, data] = &arguments[..] else {
        eprintln!(
            "usage: plan_speed MODELS DATA\n  MODELS  folder with float/\n  DATA    folder with SET_calib.npz"
        );
        return ExitCode::FAILURE;
    };
    let mut slow = Vec::new();
    println!(
        "{:28} {:>8} {:>8} {:>10} {:>10} {:>7}",
        "model", "seconds", "limit", "arena B", "bound B", "above"
    );
    let result = all(Path::new(models), Path::new(data), &mut |timed: &Timed| {
        let plan = &timed.chosen.plan;
        println!(
            "{:28} {:>8.2} {:>8} {:>10} {:>10} {:>6.2}%",
            timed.model,
            timed.planning.as_secs_f64(),
            timed.limit.as_secs(),
            thousands(plan.arena_bytes as u64),
            thousands(plan.live_bound_bytes as u64),
            100.0 * (plan.arena_bytes as f64 / plan.live_bound_bytes as f64 - 1.0),
        );
        if timed.planning > timed.limit {
            slow.push(timed.model);
        }
    });
    match result {
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
        Ok(()) if slow.is_empty() => ExitCode::SUCCESS,
        Ok(()) => {
            eprintln!("error: slower than the limit: {}", slow.join("; "));
            ExitCode::FAILURE
        }
    }
}
