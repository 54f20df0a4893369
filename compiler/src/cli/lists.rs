//! `targets`, `supported-ops`, `doctor`.

use std::process::ExitCode;

use clap::Args;
use tinyc::doctor;
use tinyc::ops::table;
use tinyc::target::{Target, rows, table as target_table};

use super::output::{print, print_json};

/// Arguments of a verb that lists.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print JSON for machines
    #[arg(long)]
    json: bool,
}

/// `tinyc targets`.
pub fn targets(args: &ListArgs) -> anyhow::Result<ExitCode> {
    if args.json {
        print_json(&rows(Target::builtin()))?;
    } else {
        print(format_args!("{}\n", target_table(Target::builtin())))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `tinyc supported-ops`.
pub fn supported_ops(args: &ListArgs) -> anyhow::Result<ExitCode> {
    if args.json {
        print_json(&table::rows())?;
    } else {
        print(format_args!("{}\n", table::text()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `tinyc doctor`: exit code 1 where something is missing.
pub fn doctor(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let findings = doctor::examine(&doctor::ThisMachine, Target::builtin());
    if args.json {
        print_json(&findings)?;
    } else {
        print(doctor::render(&findings))?;
    }
    Ok(if findings.iter().all(|f| f.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
