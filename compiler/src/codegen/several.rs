//! A crate with several models, which share one arena and the runtime's sources.
//!
//! In: the plans of models that never run at the same time. Out: [`CrateFiles`] with a
//! module for each, and the arena in the root. Invariants: the arena is as large as the
//! greatest that a model needs, and no larger; a model borrows it exclusively, so that
//! two at work do not compile.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::names::{grouped, module_name, plain};
use super::ports::{self, Ports};
use super::tokens::{docs, format, ident, inner_docs, number};
use super::{
    CodegenError, CrateFiles, EmitOptions, Place, Placement, RamFacts, SelfTest, TargetFacts, cargo_toml,
    check_package, example, lib_rs, readme, runtime, weights,
};
use crate::Module;
use crate::plan::Plan;
use crate::samples::Preprocess;

/// One of the models of a crate.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// The name of its module; [`module_name`] makes a valid one of any text.
    pub name: String,
    /// Its plan.
    pub plan: &'a Plan,
    /// What was planned.
    pub module: &'a Module,
    /// What was done to each input's samples, as for [`EmitOptions`].
    pub preprocessing: Vec<Preprocess>,
    /// A sample for the feature `self_test`; without one its model has no such function.
    pub self_test: Option<SelfTest>,
    /// What RAM it needs beside the arena, for the README.
    pub ram: Option<RamFacts>,
}

/// A part as the emitters of one model take it.
pub struct Emitted<'a> {
    /// The name of its module.
    pub name: String,
    /// Its plan.
    pub plan: &'a Plan,
    /// The crate's options, with what is the part's own.
    pub options: EmitOptions,
    /// Its inputs and outputs.
    pub ports: Ports,
}

/// Emits a crate with several models.
///
/// # Errors
/// [`CodegenError`], where options and plans do not fit each other, and where two models
/// have one name.
pub fn generate_several(
    package: &str,
    target: &TargetFacts,
    parts: &[Part<'_>],
    placement: Option<&Placement>,
) -> Result<CrateFiles, CodegenError> {
    check_package(package)?;
    let mut files = CrateFiles::default();
    let mut emitted: Vec<Emitted<'_>> = Vec::new();
    for part in parts {
        check_name(part, &emitted)?;
        let options = EmitOptions {
            package: package.to_owned(),
            target: target.clone(),
            preprocessing: part.preprocessing.clone(),
            self_test: part.self_test.clone(),
            accuracy: None,
            ram: part.ram,
            placement: None,
            regions: Vec::new(),
        };
        let ports = Ports::of(part.plan, &options)?;
        let folder = format!("src/{}", part.name);
        weights::emit(part.plan, &options, &folder, &mut files)?;
        let text = lib_rs::emit(part.plan, part.module, &options, &ports, Place::Module)?;
        files.add(format!("{folder}/mod.rs"), text);
        emitted.push(Emitted { name: part.name.clone(), plan: part.plan, options, ports });
    }
    let plans: Vec<&Plan> = parts.iter().map(|part| part.plan).collect();
    runtime::emit(&plans, target, &mut files)?;
    files.add("Cargo.toml", cargo_toml::several(&emitted, package, target));
    files.add("src/lib.rs", root(&emitted, package, target)?);
    files.add("examples/run.rs", example::several(&emitted, package)?);
    files.add("README.md", readme::several(&emitted, package, target, placement));
    Ok(files)
}

fn check_name(part: &Part<'_>, before: &[Emitted<'_>]) -> Result<(), CodegenError> {
    if !part.plan.parts.is_empty() {
        return Err(CodegenError::Divided { name: part.name.clone() });
    }
    let suggestion = module_name(&part.name);
    if suggestion != part.name {
        return Err(CodegenError::ModuleName { given: part.name.clone(), suggestion });
    }
    if before.iter().any(|other| other.name == part.name) {
        return Err(CodegenError::SameName { name: part.name.clone() });
    }
    Ok(())
}

/// Bytes of the arena that the models share: those of the one that needs most.
pub fn arena_bytes(parts: &[Emitted<'_>]) -> usize {
    parts.iter().map(|part| part.plan.arena_bytes).max().unwrap_or(0)
}

/// Bytes of the constants of all models.
pub fn weight_bytes(parts: &[Emitted<'_>]) -> usize {
    parts.iter().map(|part| part.plan.weights.len()).sum()
}

/// The text of src/lib.rs.
fn root(parts: &[Emitted<'_>], package: &str, target: &TargetFacts) -> Result<String, CodegenError> {
    let names: Vec<Ident> = parts.iter().map(|part| ident(&part.name)).collect();
    let modules = parts.iter().zip(&names).map(|(part, name)| {
        let lines = docs(&[format!("The neural network `{}`.", plain(&part.plan.name))]);
        quote!(#lines pub mod #name;)
    });
    let list: Vec<String> = parts.iter().map(|part| format!("[`{}`]", part.name)).collect();
    let lines = inner_docs(&[
        format!(
            "{} neural networks in int8, compiled for `{}` by tinyc: {}.",
            parts.len(),
            target.name,
            list.join(", ")
        ),
        String::new(),
        format!(
            "They share one [`Arena`] of {} B in RAM and the runtime's code; {} B of constants",
            grouped(arena_bytes(parts) as u64),
            grouped(weight_bytes(parts) as u64)
        ),
        "in flash, no heap, no panic path in a release build. A model borrows the arena for as".into(),
        "long as it works, so that two of them never work at once. Keep the arena in a".into(),
        "`static` [`ArenaCell`]: it is all zeros, so it costs no flash, and it never lies on".into(),
        "the stack.".into(),
        "`unsafe` is in `runtime/view.rs` and, for chips with assembly, `runtime/arch` alone.".into(),
    ]);
    let (arena, target) = (number(arena_bytes(parts)), &target.name);
    let items = arena_items(parts, &package.replace('-', "_"));
    let argmax = lib_rs::argmax();
    let code_of = parts.iter().find(|part| !part.ports.inputs.is_empty());
    let code_of = code_of.map(|part| ports::code_of(&part.ports));
    format(quote! {
        #lines
        #![no_std]
        #![deny(unsafe_code, missing_docs)]
        #![allow(clippy::approx_constant, reason = "scales are measured numbers")]
        #(#modules)*
        #[allow(dead_code, unused_imports, reason = "sources are copied whole, whatever the models use of them")]
        mod runtime;
        use runtime::view::TakeOnce;
        /// The chip that they were compiled for.
        pub const TARGET: &str = #target;
        /// Bytes of RAM: the arena, as large as the model that needs most.
        pub const ARENA_BYTES: usize = #arena;
        /// Bytes of flash that the weights and other constants of all models take.
        pub const WEIGHT_BYTES: usize = #(#names::WEIGHT_BYTES)+*;
        #items
        #argmax
        #code_of
    })
}

/// The arena and its cell. The examples are tests: `cargo test` in the crate runs them.
fn arena_items(parts: &[Emitted<'_>], library: &str) -> TokenStream {
    let mut lines: Vec<String> = [
        "The RAM that the models share, one at a time: activations and scratch.",
        "",
        "What a model leaves in it, another one writes over; weights are not in it.",
    ]
    .map(str::to_owned)
    .to_vec();
    if let [first, second, ..] = parts {
        let make = |part: &Emitted<'_>, variable: &str| {
            format!("let {variable} = {library}::{}::Model::new(&mut arena);", part.name)
        };
        let show = |variable: &str| format!("assert!(!{variable}.output_slice(0).is_empty());");
        lines.extend([String::new(), "One model after the other:".into(), String::new(), "```".into()]);
        lines.push(format!("let mut arena = {library}::Arena::new();"));
        lines.extend([
            make(first, "first"),
            show("first"),
            make(second, "second"),
            show("second"),
            "```".into(),
        ]);
        let twice = "Two at once are refused by the borrow checker:".to_owned();
        lines.extend([String::new(), twice, String::new(), "```compile_fail,E0499".into()]);
        lines.push(format!("let mut arena = {library}::Arena::new();"));
        lines.extend([
            make(first, "first"),
            make(second, "second"),
            show("first"),
            show("second"),
            "```".into(),
        ]);
    }
    let lines = docs(&lines);
    quote! {
        #lines
        pub struct Arena(runtime::view::Arena<ARENA_BYTES>);

        impl Arena {
            /// An arena of zeros, which lies in `.bss` if it is static.
            pub const fn new() -> Arena { Arena(runtime::view::Arena::new()) }
        }

        impl Default for Arena {
            fn default() -> Self { Arena::new() }
        }

        /// An arena in a `static`, handed out once: `static ARENA: ArenaCell =
        /// ArenaCell::new();`, then `ARENA.take()`.
        pub struct ArenaCell(TakeOnce<Arena>);

        impl ArenaCell {
            /// A cell with an arena of zeros.
            pub const fn new() -> ArenaCell { ArenaCell(TakeOnce::new(Arena::new())) }

            /// The arena, for the first caller; `None` for everyone after, and
            /// possibly for all of several callers at the same time (an
            /// interrupt in the middle of a call, another core).
            pub fn take(&'static self) -> Option<&'static mut Arena> { self.0.take() }
        }

        impl Default for ArenaCell {
            fn default() -> Self { ArenaCell::new() }
        }
    }
}
