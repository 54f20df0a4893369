//! The repository's own rules, checked mechanically.
//!
//! In: the files of the repository as text. Each test is a rule; its message says
//! what to do. ARCHITECTURE.md gives the reasons.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tinyc::passes::PIPELINE;
use tinyc::target::Target;

/// Past this a file has more than one subject.
const MAX_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository").to_path_buf()
}

/// A source file: its path below the root, with `/`, and its text.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is_under(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// Lines from 1 with comments and literals of text blanked out.
    fn code(&self) -> Vec<(usize, String)> {
        blank(&self.text).lines().map(str::to_string).enumerate().map(|(i, l)| (i + 1, l)).collect()
    }
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, extension, found);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

/// All files with an extension under the folders that we write by hand.
fn files(extension: &str) -> Vec<File> {
    let root = root();
    let mut paths = Vec::new();
    collect(&root, extension, &mut paths);
    paths.sort();
    let files: Vec<File> = paths
        .into_iter()
        .map(|path| File {
            text: std::fs::read_to_string(&path).expect("a readable text file"),
            path: path
                .strip_prefix(&root)
                .expect("found under the root")
                .to_string_lossy()
                .replace('\\', "/"),
        })
        .collect();
    assert!(!files.is_empty(), "no .{extension} file found under {}", root.display());
    files
}

fn rust_files() -> Vec<File> {
    files("rs")
}

/// Comments, strings and characters replaced by spaces; line ends are kept.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let space = |c: char| if c == '\n' { '\n' } else { ' ' };
    let mut i = 0;
    while i < chars.len() {
        let rest = &chars[i..];
        let end = match rest {
            ['/', '/', ..] => i + rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => i + find(rest, "*/", 2).map_or(rest.len(), |n| n + 2),
            ['r', '"' | '#', ..] if !previous_is_word(&chars, i) && raw_string(rest).is_some() => {
                i + raw_string(rest).unwrap_or(1)
            }
            ['"', ..] => i + string(rest),
            ['\'', '\\', ..] => i + 4 + find(&rest[3..], "'", 0).unwrap_or(0),
            ['\'', _, '\'', ..] => i + 3,
            [c, ..] => {
                out.push(*c);
                i += 1;
                continue;
            }
            [] => break,
        };
        out.extend(chars[i..end].iter().copied().map(space));
        i = end;
    }
    out
}

fn previous_is_word(chars: &[char], i: usize) -> bool {
    i > 0 && (chars[i - 1].is_alphanumeric() || chars[i - 1] == '_')
}

fn find(chars: &[char], what: &str, from: usize) -> Option<usize> {
    let what: Vec<char> = what.chars().collect();
    (from..chars.len()).find(|&i| chars[i..].starts_with(&what))
}

/// Length of a raw string that starts here.
fn raw_string(chars: &[char]) -> Option<usize> {
    let hashes = chars[1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    find(chars, &close, 2 + hashes).map(|n| n + 1 + hashes)
}

/// Length of a string that starts here.
fn string(chars: &[char]) -> usize {
    let mut i = 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// Whether `word` stands in `line` with no letter, digit or underscore beside it.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part_of_word)
            && !line[at + word.len()..].chars().next().is_some_and(part_of_word)
    })
}

/// Places where `found` holds, as `path:line`.
fn places(files: &[File], found: impl Fn(&File, &str) -> bool) -> Vec<String> {
    let mut places = Vec::new();
    for file in files {
        for (number, line) in file.code() {
            if found(file, &line) {
                places.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    places
}

#[track_caller]
fn none(places: Vec<String>, rule: &str) {
    assert!(places.is_empty(), "{rule}\n  {}\n", places.join("\n  "));
}

#[test]
fn text_in_comments_and_strings_is_no_code() {
    let source = "a // b\n\"c\\\"d\" e r#\"f\"g\"# h '\\'' 'i' j<'k> /* l\nm */ n";
    assert_eq!(blank(source).split_whitespace().collect::<Vec<_>>(), ["a", "e", "h", "j<'k>", "n"]);
    assert_eq!(blank(source).lines().count(), source.lines().count());
    let emits = "a(quote! { b { c } d }, quote!(e)) f";
    assert_eq!(without_emitted(emits).split_whitespace().collect::<String>(), "a(quote!{},quote!())f");
}

#[test]
fn only_onnx_names_its_libraries() {
    let outside: Vec<File> = rust_files()
        .into_iter()
        .filter(|f| f.is_under("compiler/") && !f.is_under("compiler/src/onnx/"))
        .collect();
    none(
        places(&outside, |_, line| ["tract_onnx", "prost"].iter().any(|w| has_word(line, w))),
        "only compiler/src/onnx/ may name tract_onnx and prost; use onnx::model's types here:",
    );
}

#[test]
fn references_never_call_the_runtime() {
    let references: Vec<File> = rust_files()
        .into_iter()
        .filter(|f| {
            f.is_under("compiler/src/ops/")
                && ![
                    "/lower.rs",
                    "/lower_lanes.rs",
                    "/lower_sparse.rs",
                    "/lower_tile.rs",
                    "/lower_window.rs",
                    "/lower_winograd.rs",
                ]
                .iter()
                .any(|lowering| f.path.ends_with(lowering))
                || f.path == "compiler/src/verify/reference.rs"
                || f.path == "compiler/src/quant/multiplier.rs"
        })
        .collect();
    assert!(references.len() > 10, "the operators' references have moved: adapt this test");
    none(
        places(&references, |_, line| has_word(line, "tinyc_runtime")),
        "the naive reference is the second, independent implementation; only lower.rs may name tinyc_runtime:",
    );
}

/// Code with the bodies of `quote!` blanked out: they are text of the emitted crate.
fn without_emitted(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut depth = 0;
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        if depth == 0 {
            if let Some(body) = rest.strip_prefix("quote!") {
                out.push_str("quote!");
                let open = body.find(['{', '(', '[']).map_or(body.len(), |at| at + 1);
                out.push_str(&body[..open]);
                rest = &body[open..];
                depth = 1;
                continue;
            }
            out.push(c);
        } else {
            depth += i32::from("{([".contains(c)) - i32::from("})]".contains(c));
            out.push(if depth == 0 || c == '\n' { c } else { ' ' });
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[test]
fn emission_is_pure() {
    let mut pure: Vec<File> = rust_files()
        .into_iter()
        .filter(|f| f.is_under("compiler/src/codegen/") && !f.path.ends_with("/write.rs"))
        .collect();
    for file in &mut pure {
        file.text = without_emitted(&blank(&file.text));
    }
    none(
        places(&pure, |_, line| {
            has_word(line, "fs")
                || line.contains("fs::File")
                || line.contains(" File::")
                || has_word(line, "OpenOptions")
        }),
        "code generation returns paths and bytes; only codegen/write.rs touches the disk:",
    );
}

#[test]
fn earlier_stages_do_not_know_later_ones() {
    // A stage, and what it must not name.
    let later: [(&str, &[&str]); 5] = [
        ("compiler/src/ir/", &["passes", "plan", "codegen", "report", "verify", "compile"]),
        ("compiler/src/ops/", &["passes", "plan", "codegen", "report", "verify", "compile"]),
        ("compiler/src/passes/", &["plan", "codegen", "report", "compile"]),
        ("compiler/src/plan/", &["codegen", "report", "verify", "compile"]),
        ("compiler/src/codegen/", &["report", "verify", "compile", "passes"]),
    ];
    let files = rust_files();
    for (folder, modules) in later {
        let stage: Vec<File> = files
            .iter()
            .filter(|f| f.is_under(folder))
            .map(|f| File { path: f.path.clone(), text: f.text.clone() })
            .collect();
        none(
            places(&stage, |_, line| {
                modules.iter().any(|m| {
                    // The IR's and the plan's own verifiers are modules of that name.
                    line.contains(&format!("crate::{m}::")) || line.contains(&format!("use crate::{m};"))
                })
            }),
            &format!("data flows one way: {folder} must not name {modules:?}:"),
        );
    }
}

#[test]
fn chip_names_stay_in_their_files() {
    let names: BTreeSet<String> = Target::builtin()
        .iter()
        .filter(|t| t.name != "host")
        .flat_map(|t| std::iter::once(&t.name).chain(&t.aliases))
        .map(|n| n.to_lowercase())
        .collect();
    assert!(names.len() > 20, "targets/*.toml give only {names:?}");
    let mut found = Vec::new();
    for file in rust_files().iter().filter(|f| f.is_under("compiler/src/")) {
        // Tests within a file name chips as a user does.
        for (i, line) in file.text.lines().take_while(|l| l.trim() != "#[cfg(test)]").enumerate() {
            let line = line.to_lowercase();
            // Unlike elsewhere, comments and strings count: help texts must not go stale either.
            found.extend(
                names.iter().filter(|n| has_word(&line, n)).map(|n| format!("{}:{}: {n}", file.path, i + 1)),
            );
        }
    }
    none(found, "chips are data: facts about one belong into its file under targets/, not into Rust:");
}

/// The only places that may hold `unsafe`.
const UNSAFE: [&str; 4] = [
    "codegen-runtime/src/view.rs",
    "codegen-runtime/src/arch/",
    "codegen-runtime/tests/firmware/",
    "compiler/src/verify/firmware/",
];

#[test]
fn unsafe_stays_where_it_is_justified() {
    let files = rust_files();
    let allowed = |f: &File| UNSAFE.iter().any(|place| f.is_under(place));
    none(
        places(&files, |f, line| !allowed(f) && has_word(line, "unsafe")),
        &format!("unsafe is allowed in {UNSAFE:?} alone; use the view module's accessors:"),
    );
    let mut unexplained = Vec::new();
    for file in files.iter().filter(|f| allowed(f)) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, line) in file.code() {
            let block = line.contains("unsafe {") || has_word(&line, "unsafe") && line.contains("impl ");
            let above = lines[..number - 1].iter().rev().take(12);
            // The comment stands directly above, perhaps over other lines of the same statement.
            let reason = above.take_while(|l| !l.trim().is_empty()).any(|l| l.contains("// SAFETY:"));
            if block && !reason && !lines[number - 1].contains("// SAFETY:") {
                unexplained.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    none(unexplained, "write `// SAFETY:` and why it holds above each of these:");
}

#[test]
fn files_are_small_and_say_what_they_are() {
    let mut found = Vec::new();
    for file in rust_files() {
        let lines = file.text.lines().count();
        if lines > MAX_LINES {
            found.push(format!("{}: {lines} lines; split it by subject, {MAX_LINES} are allowed", file.path));
        }
        // This one is included as an expression, where `//!` cannot stand.
        if file.path == "targets/table.rs" {
            continue;
        }
        // Inner attributes such as no_std may stand in front.
        let first = file.text.lines().find(|l| !l.trim().is_empty() && !l.starts_with("#!"));
        if !first.is_some_and(|l| l.starts_with("//!")) {
            found.push(format!(
                "{}: open it with `//!`: what comes in, what goes out, what always holds",
                file.path
            ));
        }
    }
    none(found, "files have one subject and say which:");
}

#[test]
fn nothing_is_unfinished() {
    let files = rust_files();
    let words = ["todo!", "unimplemented!", "#[ignore"];
    none(
        places(&files, |_, line| words.iter().any(|w| line.contains(w))),
        "finish it, or assert the known behaviour with its reason:",
    );
}

/// The folders that the code map of ARCHITECTURE.md names: lines `path/` within
/// its first fenced block, indented by four spaces a level.
fn code_map() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is readable");
    let block = text.split("```").nth(1).expect("ARCHITECTURE.md has a fenced code map");
    let mut stack: Vec<String> = Vec::new();
    let mut folders = BTreeSet::new();
    for line in block.lines() {
        let Some(name) = line.split_whitespace().next() else { continue };
        let depth = (line.len() - line.trim_start().len()) / 4;
        stack.truncate(depth);
        if let Some(folder) = name.strip_suffix('/') {
            stack.push(folder.to_string());
            folders.insert(stack.join("/"));
        }
    }
    folders
}

#[test]
fn the_code_map_is_complete() {
    let map = code_map();
    let gone: Vec<String> = map.iter().filter(|f| !root().join(f).is_dir()).cloned().collect();
    none(gone, "ARCHITECTURE.md's code map names folders that do not exist:");
    let mut missing = Vec::new();
    for parent in ["compiler/src", "compiler/src/ops", "codegen-runtime/src"] {
        for entry in std::fs::read_dir(root().join(parent)).expect("a folder of sources").flatten() {
            let folder = format!("{parent}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() && !map.contains(&folder) {
                missing.push(folder);
            }
        }
    }
    none(missing, "add these folders to ARCHITECTURE.md's code map:");
}

#[test]
fn every_pass_has_a_file_of_its_name() {
    let missing: Vec<String> = PIPELINE
        .iter()
        .map(|pass| format!("compiler/src/passes/{}.rs", pass.name))
        .filter(|path| !root().join(path).is_file())
        .collect();
    none(missing, "a pass lives in the file of its name:");
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for file in files("md") {
        let folder = root().join(&file.path).parent().expect("a file has a folder").to_path_buf();
        for link in file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            let elsewhere = path.is_empty() || path.contains("://") || path.contains(' ');
            if !elsewhere && !folder.join(path).exists() {
                broken.push(format!("{}: {link}", file.path));
            }
        }
    }
    none(broken, "these links lead nowhere:");
}
