//! From tokens to text.
//!
//! In: the tokens of a file. Out: formatted source. Invariant: what does not
//! parse as a Rust file is an error here, not in the user's build.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;

use super::CodegenError;

/// An identifier.
pub fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// An integer literal without a suffix.
pub fn number(value: usize) -> Literal {
    Literal::usize_unsuffixed(value)
}

/// A float literal that reads back as the very same value.
pub fn float(value: f32) -> TokenStream {
    let literal = Literal::f32_unsuffixed(value.abs());
    if value.is_sign_negative() { quote!(-#literal) } else { quote!(#literal) }
}

/// Doc comments of an item, one a line.
pub fn docs<S: AsRef<str>>(lines: &[S]) -> TokenStream {
    let lines = lines.iter().map(|l| doc_line(l.as_ref()));
    quote!(#(#[doc = #lines])*)
}

/// Doc comments of the file.
pub fn inner_docs<S: AsRef<str>>(lines: &[S]) -> TokenStream {
    let lines = lines.iter().map(|l| doc_line(l.as_ref()));
    quote!(#(#![doc = #lines])*)
}

fn doc_line(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!(" {line}") }
}

/// Formats the tokens of a file.
///
/// # Errors
/// [`CodegenError::Bug`] where they are not a Rust file.
pub fn format(file: TokenStream) -> Result<String, CodegenError> {
    let file = syn::parse2::<syn::File>(file).map_err(|e| CodegenError::Bug(e.to_string()))?;
    Ok(spaced(&prettyplease::unparse(&file)))
}

/// Puts an empty line before each documented item and after the file's head:
/// the formatter sets none.
fn spaced(text: &str) -> String {
    let mut out = String::new();
    let mut previous = "";
    for line in text.lines() {
        let start = line.trim_start();
        let before = previous.trim_start();
        let opens_item = ["///", "#[", "impl", "fn ", "pub ", "struct ", "static ", "mod ", "use "]
            .iter()
            .any(|p| start.starts_with(p));
        let in_head = before.starts_with("///") || before.starts_with("#[") || before.ends_with('{');
        let same_list = |p: &str| start.starts_with(p) && before.starts_with(p);
        let listed = same_list("use ") || (same_list("pub mod ") && before.ends_with(';'));
        let after_docs = before.starts_with("//!") && !start.starts_with("//!");
        let top_of_items = before.starts_with("#![") && !start.starts_with("#![");
        let ends_item = before.ends_with(';') || before == "}";
        if after_docs || top_of_items || (opens_item && ends_item && !in_head && !listed) {
            out.push('\n');
        }
        out.push_str(line);
        out.push('\n');
        previous = line;
    }
    out
}
