//! Names of the ONNX file as Rust identifiers.
//!
//! In: any text. Out: snake_case identifiers and package names. Invariant: what
//! comes out always parses as what it is for.

use crate::ir::QuantParams;

/// A snake_case identifier part: letters, digits and single underscores, neither
/// first nor last an underscore; `unnamed` where nothing is left.
pub fn snake(text: &str) -> String {
    let mut out = String::new();
    let mut previous_lower = false;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && previous_lower {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        previous_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    let out = out.trim_matches('_');
    if out.is_empty() { "unnamed".to_string() } else { out.to_string() }
}

/// [`snake`], made unique among `taken` by a number, and added to it.
pub fn unique(text: &str, taken: &mut Vec<String>) -> String {
    let base = snake(text);
    let mut name = base.clone();
    let mut number = 1;
    while taken.contains(&name) {
        number += 1;
        name = format!("{base}_{number}");
    }
    taken.push(name.clone());
    name
}

/// A valid package name near to `text`: unchanged if it is one already.
pub fn package_name(text: &str) -> String {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut name: String = text.chars().map(|c| if valid(c) { c } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name = format!("model_{}", name.trim_start_matches(['-', '_']));
    }
    // The names that cargo reserves besides keywords of the language.
    let reserved = [
        "test",
        "core",
        "std",
        "alloc",
        "proc_macro",
        "proc-macro",
        "build",
        "deps",
        "examples",
        "incremental",
    ];
    let is_keyword = syn::parse_str::<syn::Ident>(&name.replace('-', "_")).is_err();
    if is_keyword || reserved.contains(&name.as_str()) { format!("{name}_model") } else { name }
}

/// A module name near to `text` for a model that is one of several: unchanged if it is
/// one already.
pub fn module_name(text: &str) -> String {
    let name = snake(text);
    let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("model_{name}") } else { name };
    // What the crate has at its root, and what paths may begin with.
    let reserved = ["runtime", "core", "std", "alloc", "test", "proc_macro"];
    let is_keyword = syn::parse_str::<syn::Ident>(&name).is_err();
    if is_keyword || reserved.contains(&name.as_str()) { format!("{name}_model") } else { name }
}

/// Text for a doc comment in backticks: no line breaks, no backticks.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '`' {
                '\''
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect()
}

/// What codes mean, as a formula.
pub fn affine(params: &QuantParams) -> String {
    let sign = if params.zero_point < 0 { '+' } else { '-' };
    format!("real = {:?} * (code {sign} {})", params.scale, params.zero_point.unsigned_abs())
}

/// An integer with a comma every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
