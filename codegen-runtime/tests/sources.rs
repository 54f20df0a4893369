//! What the compiler copies is complete.
// Miri reads no files, and takes minutes to search text.
#![cfg(all(feature = "sources", not(miri)))]

use std::collections::BTreeSet;
use std::path::Path;
use tinyc_runtime::sources::{ARCH, SOURCES};

/// The runtime's files on disk that are copied, below `folder`.
fn files(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the sources are beside the tests") {
        let entry = entry.expect("a readable folder");
        let name = entry.file_name().into_string().expect("plain file names");
        if entry.path().is_dir() {
            files(&entry.path(), &format!("{prefix}{name}/"), found);
        } else if !["lib.rs", "mod.rs", "sources.rs"].contains(&name.as_str()) {
            found.insert(format!("{prefix}{name}"));
        }
    }
}

#[test]
fn every_file_is_listed() {
    let mut on_disk = BTreeSet::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut on_disk);
    let listed: Vec<String> = SOURCES.iter().map(|source| source.path.to_owned()).collect();
    assert_eq!(listed, on_disk.into_iter().collect::<Vec<_>>());
}

/// The files that `text` (at `path`) names in its `use super::..` lines.
fn used(path: &str, text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let uses = text.lines().map(|line| line.strip_prefix("pub ").unwrap_or(line));
    for line in uses.filter_map(|line| line.strip_prefix("use super::")) {
        let (folder, module) = match (line.strip_prefix("super::"), path.rfind('/')) {
            (Some(rest), Some(_)) => ("", rest),
            (None, Some(slash)) => (&path[..=slash], line),
            (None, None) => ("", line),
            (Some(_), None) => panic!("{path} reaches outside the runtime"),
        };
        let module = module.split([':', ';', ',']).next().expect("a split has a first part");
        used.insert(if module == "arch" { ARCH.to_owned() } else { format!("{folder}{module}.rs") });
    }
    used
}

#[test]
fn needs_are_what_the_files_use() {
    for source in SOURCES {
        let needs: BTreeSet<String> = source.needs.iter().map(|&need| need.to_owned()).collect();
        assert_eq!(used(source.path, source.text), needs, "{}", source.path);
        for need in source.needs {
            assert!(*need == ARCH || SOURCES.iter().any(|other| other.path == *need), "{need}");
        }
    }
}

#[test]
fn copied_files_are_self_contained() {
    for source in SOURCES {
        for forbidden in ["crate::", "extern crate", "#[cfg(test)]", "std::", "alloc::", "f32", "f64"] {
            assert!(!source.text.contains(forbidden), "{} has {forbidden}", source.path);
        }
        // Portable bodies, the instruction sets that the compiler serves well, text of
        // instructions alone, what only names others, and what makes the functions of
        // others' macros from text of its own are plain Rust.
        let plain = [
            "portable",
            "rv32imc",
            "dsp_keep",
            "dsp_lines_open",
            "cortex_m7_dsp",
            "m7_row",
            "m7_tile",
            "m7_unrolled",
            "m7_winograd",
            "mve.",
        ]
        .iter()
        .any(|name| source.path.strip_prefix("arch/").is_some_and(|file| file.starts_with(name)));
        let may_be_unsafe = source.path == "view.rs" || (source.path.starts_with("arch/") && !plain);
        let is_unsafe = ["unsafe {", "#[unsafe(naked)]"].iter().any(|text| source.text.contains(text));
        assert_eq!(is_unsafe, may_be_unsafe, "{}: unsafe belongs in the view and in assembly", source.path);
    }
}
