//! Readers that close the pipe, as `head` does.

use std::process::{Command, Stdio};

use super::{fixture, text};

/// Runs the program with standard output and standard error closed by their reader:
/// the exit code. The pipe is closed before the program starts, so that no run
/// depends on who is faster.
fn closed(args: &[&str], errors_too: bool) -> (Option<i32>, String) {
    let closed_pipe = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyc"));
    command.args(args).stdout(closed_pipe());
    if errors_too {
        command.stderr(closed_pipe());
    } else {
        command.stderr(Stdio::piped());
    }
    let output = command.spawn().expect("the program starts").wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn a_closed_pipe_ends_every_verb_quietly() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("digits");
    let model = fixture("digits/model.onnx");
    let verbs: [&[&str]; 8] = [
        &["targets"],
        &["targets", "--json"],
        &["supported-ops"],
        &["doctor"],
        &["completions", "bash"],
        &["analyze", &model, "--memory-map"],
        &["build", &model, "--target", "stm32f411", "-o", text(&out)],
        &["build", &model, "--target", "stm32f411", "-o", text(&out), "--json"],
    ];
    for verb in verbs {
        // 128 + SIGPIPE, what a shell reports for `cat` in the same place.
        assert_eq!(closed(verb, false), (Some(141), String::new()), "{verb:?}");
    }
    assert!(out.join("src/lib.rs").is_file(), "the crate is written all the same");
    // Help comes from clap, which takes a closed pipe for done.
    let (code, errors) = closed(&["--help"], false);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
}

#[test]
fn a_closed_standard_error_is_no_panic() {
    let model = fixture("digits/model.onnx");
    // 101 would be the exit code of a panic.
    assert_eq!(closed(&["build", "missing.onnx", "--target", "stm32f411"], true).0, Some(1));
    assert_eq!(closed(&["analyze", &model], true).0, Some(141));
}
