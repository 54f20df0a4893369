//! The `tinyc` command: arguments in, printed reports and folders out.
//!
//! Everything it does is in the library; this file only dispatches and prints
//! errors. Invariant: a failure is one message on standard error and exit code 1;
//! a closed standard output is no message, and the exit code of a closed pipe.

use std::process::ExitCode;

use clap::Parser;

mod cli;

fn main() -> ExitCode {
    let args = cli::Args::parse();
    match cli::run(args) {
        Ok(code) => code,
        Err(error) if error.is::<cli::Closed>() => ExitCode::from(cli::CLOSED_EXIT_CODE),
        Err(error) => {
            let mut printed = error.to_string();
            cli::note(format_args!("error: {printed}"));
            for cause in error.chain().skip(1).map(ToString::to_string) {
                // Most messages hold their cause already.
                if !printed.contains(&cause) {
                    cli::note(format_args!("  because: {cause}"));
                    printed.push_str(&cause);
                }
            }
            ExitCode::FAILURE
        }
    }
}
