//! The crate's Cargo.toml.

use super::several::Emitted;
use super::{EmitOptions, MARKER, TargetFacts};
use crate::plan::Plan;

/// The text of Cargo.toml of a crate with one model.
pub fn emit(plan: &Plan, options: &EmitOptions) -> String {
    let input = match (&plan.pushed, &plan.slide) {
        (Some(_), _) => "input = \"rows\"\n",
        (None, Some(_)) => "input = \"frames\"\n",
        (None, None) => "",
    };
    let divided = if plan.parts.is_empty() { "" } else { "divided = true\n" };
    let table = match format!("{input}{divided}") {
        facts if facts.is_empty() => facts,
        facts => format!("\n[package.metadata.tinyc]\n{facts}"),
    };
    manifest(&plan.name, &options.package, &options.target, options.self_test.is_some(), &table)
}

/// The text of Cargo.toml of a crate with several models.
pub fn several(parts: &[Emitted<'_>], package: &str, target: &TargetFacts) -> String {
    let names: Vec<&str> = parts.iter().map(|part| part.plan.name.as_str()).collect();
    let self_test = parts.iter().any(|part| part.options.self_test.is_some());
    manifest(&names.join(" and "), package, target, self_test, "")
}

/// The text for models called `names`, with further tables of the package.
fn manifest(names: &str, package: &str, target: &TargetFacts, self_test: bool, tables: &str) -> String {
    let description = format!("{names}, compiled to int8 for {} by tinyc", target.name);
    let description = toml::Value::String(description.replace(|c: char| c.is_control(), " "));
    let self_test = match self_test {
        true => {
            "# `Model::self_test`: one embedded sample with the bytes that it must give.\nself_test = []\n"
        }
        false => "",
    };
    format!(
        r#"{MARKER}
[package]
name = "{package}"
version = "0.1.0"
edition = "2024"
rust-version = "1.95"
description = {description}
publish = false
{tables}
[features]
# Bounds checks in `runtime/view.rs`, which panic: for debugging on the host.
checked = []
{self_test}# `Model::run_traced`: every layer's output.
trace = []

# A workspace of its own, so that it builds wherever it lies.
[workspace]
"#
    )
}
