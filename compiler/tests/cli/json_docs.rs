//! docs/json.md against what `--json` prints.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{fixture, text, tinyc};

/// The text of a verb's section in docs/json.md.
fn section(verb: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/json.md");
    let document = std::fs::read_to_string(path).expect("docs/json.md");
    let start = document.split(&format!("\n## {verb}\n")).nth(1).expect("a section of the verb");
    start.split("\n## ").next().unwrap_or_default().to_owned()
}

fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.keys().cloned());
            fields.values().for_each(|field| keys(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

/// Every field that the verb prints stands in its section, or in "Shared objects".
#[track_caller]
fn documented(verb: &str, printed: &str) {
    let mut found = BTreeSet::new();
    keys(&serde_json::from_str(printed).expect("JSON"), &mut found);
    assert!(!found.is_empty());
    let text = section(verb) + &section("Shared objects");
    let missing: Vec<&String> = found.iter().filter(|key| !text.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/json.md, {verb}: {missing:?}");
}

#[test]
fn every_printed_field_is_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let model = fixture("digits/model.onnx");
    let build = ["build", &model, "--target", "stm32f411", "-o", text(&out), "--json"];
    documented("build", &tinyc(&build).ok());
    let other = fixture("residual/model.onnx");
    let several = ["build", &model, &other, "--target", "stm32f411", "-o", text(&out), "--json"];
    documented("build", &tinyc(&several).ok());
    documented("analyze", &tinyc(&["analyze", &model, "--target", "stm32f411", "--json"]).ok());
    documented("targets", &tinyc(&["targets", "--json"]).ok());
    documented("supported-ops", &tinyc(&["supported-ops", "--json"]).ok());
    // Its exit code depends on the machine.
    documented("doctor", &tinyc(&["doctor", "--json"]).stdout);
}
