//! The crate's Cargo.toml.

use super::{EmitOptions, MARKER};
use crate::plan::Plan;

/// The text of Cargo.toml.
pub fn emit(plan: &Plan, options: &EmitOptions) -> String {
    let description = format!("{}, compiled to int8 for {} by tinyc", plan.name, options.target.name);
    let description = toml::Value::String(description.replace(|c: char| c.is_control(), " "));
    let self_test = match options.self_test {
        Some(_) => {
            "# `Model::self_test`: one embedded sample with the bytes that it must give.\nself_test = []\n"
        }
        None => "",
    };
    let rows = match plan.pushed {
        Some(_) => "\n[package.metadata.tinyc]\ninput = \"rows\"\n",
        None => "",
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
{rows}
[features]
# Bounds checks in `runtime/view.rs`, which panic: for debugging on the host.
checked = []
{self_test}# `Model::run_traced`: every layer's output.
trace = []

# A workspace of its own, so that it builds wherever it lies.
[workspace]
"#,
        package = options.package,
    )
}
