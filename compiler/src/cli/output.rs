//! Standard output and standard error.
//!
//! In: what a verb has to say. Out: bytes on the two streams. Invariant: a reader
//! that went away, as in `tinyc targets | head -1`, never makes the program
//! panic: on standard output it is [`Closed`], on standard error it is ignored,
//! since what was asked for can still be done.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use anyhow::Context;
use serde::Serialize;

/// Whoever read standard output closed it.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct Closed;

/// What a shell reports for a program that a closed pipe ended: 128 + SIGPIPE.
pub const CLOSED_EXIT_CODE: u8 = 128 + 13;

/// Prints on standard output.
///
/// # Errors
/// [`Closed`]; what the system says where output cannot be written.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    // Formatted first: an error of the stream is then told from one of formatting.
    let text = text.to_string();
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        result => result.context("cannot write to standard output"),
    }
}

/// Prints a value as JSON on standard output.
///
/// # Errors
/// As for [`print`].
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(format_args!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Prints a line on standard error.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
