//! docs/numerics.md, sentence by sentence.
//!
//! A test's name starts with the number of the sentence that it shows. Expected
//! values are worked out by hand, or in wide integers and doubles written here.

mod activations;
mod common;
mod dead_channels;
mod dead_rows;
mod elementwise;
mod layers;
mod requantization;
mod winograd;

use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn every_sentence_has_one_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/numerics.md")).expect("docs/numerics.md is readable");
    let sentences: Vec<usize> =
        text.lines().filter_map(|l| l.strip_prefix("- [N")?.split_once(']')?.0.parse().ok()).collect();
    let expected: Vec<usize> = (1..=sentences.len()).collect();
    assert_eq!(sentences, expected, "sentences are numbered without gaps, in order");

    let mut tests: BTreeMap<usize, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(root.join("tests/tests/numerics")).expect("this folder is readable") {
        let source = std::fs::read_to_string(entry.expect("an entry").path()).expect("a source file");
        for name in source.lines().filter_map(|l| l.strip_prefix("fn n")) {
            if let Some(number) = name.split('_').next().and_then(|n| n.parse().ok()) {
                *tests.entry(number).or_default() += 1;
            }
        }
    }
    let once: BTreeMap<usize, usize> = expected.iter().map(|&n| (n, 1)).collect();
    assert_eq!(tests, once, "number of tests a sentence: left is what is there, right is wanted");
}
