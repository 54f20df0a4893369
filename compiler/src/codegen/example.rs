//! The crate's examples/run.rs: the model on the machine that builds it.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::parts;
use super::ports::Ports;
use super::several::Emitted;
use super::tokens::{format, ident, inner_docs};
use super::{CodegenError, EmitOptions};
use crate::plan::Plan;

/// The text of examples/run.rs.
///
/// # Errors
/// [`CodegenError::Bug`] where the tokens do not parse.
pub fn emit(plan: &Plan, options: &EmitOptions, ports: &Ports) -> Result<String, CodegenError> {
    let lines = if slides(ports) {
        [
            "Runs the model on a stream on this machine: `cargo run --release --example run [FILE]`.",
            "",
            "FILE holds the int8 codes of the stream, row after row; a stream that is shorter",
            "than the window goes on with zeros. Prints the codes of the outputs of each step.",
        ]
    } else {
        [
            "Runs the model once on this machine: `cargo run --release --example run [FILE..]`.",
            "",
            "Each FILE holds the int8 codes of an input, in the model's order; inputs",
            "without one are zeros. Prints the codes of each output.",
        ]
    };
    let lines = inner_docs(&lines);
    let package = ident(&options.package.replace('-', "_"));
    let body = body(&quote!(#package), "", ports);
    let (statics, take) = memory(plan, &package);
    format(quote! {
        #lines
        #statics

        fn main() -> std::io::Result<()> {
            #take
            let mut files = std::env::args().skip(1);
            #body
            Ok(())
        }
    })
}

/// The statics that hold the model, and what makes `model` of them.
fn memory(plan: &Plan, package: &Ident) -> (TokenStream, TokenStream) {
    if plan.parts.is_empty() {
        let statics = quote! {
            use #package::{Model, ModelCell};

            /// The model lies in static memory, as it does in firmware: no stack, no heap, no `unsafe`.
            static MODEL: ModelCell = ModelCell::new();
        };
        let take = quote! {
            let model: &'static mut Model = MODEL.take().ok_or(std::io::ErrorKind::ResourceBusy)?;
        };
        return (statics, take);
    }
    let names = parts::names(plan);
    let statics: Vec<Ident> = names.iter().map(|name| ident(&name.constant)).collect();
    let kinds: Vec<Ident> = names.iter().map(|name| ident(&name.kind)).collect();
    let items = quote! {
        use #package::{#(#kinds,)* Model, PartCell};

        #(
            /// A part of the model's memory, static as in firmware: no stack, no heap, no `unsafe`.
            static #statics: PartCell<#kinds> = PartCell::new(#kinds::new());
        )*
    };
    let take = quote! {
        let busy = std::io::ErrorKind::ResourceBusy;
        let mut model = Model::new(#(#statics.take().ok_or(busy)?),*);
    };
    (items, take)
}

/// The text of examples/run.rs of a crate with several models.
///
/// # Errors
/// [`CodegenError::Bug`] where the tokens do not parse.
pub fn several(parts: &[Emitted<'_>], package: &str) -> Result<String, CodegenError> {
    let lines = inner_docs(&[
        "Runs each model once on this machine, one after the other on one arena:",
        "`cargo run --release --example run [FILE..]`.",
        "",
        "Each FILE holds the int8 codes of an input, in the order of the models and of",
        "their inputs; inputs without one are zeros. Prints the codes of each output.",
    ]);
    let package = ident(&package.replace('-', "_"));
    let bodies = parts.iter().map(|part| {
        let name = ident(&part.name);
        let body = body(&quote!(#package::#name), &format!("{} ", part.name), &part.ports);
        quote! {
            {
                let mut model = #package::#name::Model::new(arena);
                #body
            }
        }
    });
    format(quote! {
        #lines
        use #package::{Arena, ArenaCell};

        /// The arena lies in static memory, as it does in firmware: no stack, no heap, no `unsafe`.
        static ARENA: ArenaCell = ArenaCell::new();

        fn main() -> std::io::Result<()> {
            let arena: &'static mut Arena = ARENA.take().ok_or(std::io::ErrorKind::ResourceBusy)?;
            let mut files = std::env::args().skip(1);
            #(#bodies)*
            Ok(())
        }
    })
}

/// Fills the inputs of `model`, runs it, prints its outputs; `path` is where its items
/// are, `label` stands in front of each output's name.
fn body(path: &TokenStream, label: &str, ports: &Ports) -> TokenStream {
    let fills = ports.inputs.iter().map(|port| {
        let access = format_ident!("{}_mut", port.module);
        quote! {
            if let Some(path) = files.next() {
                for (code, byte) in model.#access().iter_mut().zip(std::fs::read(path)?) {
                    *code = byte as i8;
                }
            }
        }
    });
    let shows = ports.outputs.iter().map(|port| {
        let (access, label) = (ident(&port.module), format!("{label}{} = {{:?}}", port.module));
        match ports.outputs.len() {
            1 => quote!(println!(#label, model.run());),
            _ => quote!(println!(#label, model.#access());),
        }
    });
    let run = (ports.outputs.len() != 1).then(|| quote!(model.run();));
    match ports.inputs.iter().any(|port| port.rows.is_some()) {
        true if slides(ports) => frames(path, label, ports),
        true => rows(path, label, ports),
        false => quote!(#(#fills)* #run #(#shows)*),
    }
}

/// Whether a window slides over the input.
fn slides(ports: &Ports) -> bool {
    ports.inputs.iter().any(|port| port.hop.is_some())
}

/// Takes a piece of the input, and prints the outputs where there are any then.
fn taken(piece: &TokenStream, label: &str, ports: &Ports) -> TokenStream {
    match ports.outputs.as_slice() {
        [_] => {
            let only = format!("{label}output = {{output:?}}");
            quote! {
                if let Some(output) = model.#piece {
                    println!(#only);
                }
            }
        }
        outputs => {
            let shows = outputs.iter().map(|port| {
                let (access, label) = (ident(&port.module), format!("{label}{} = {{:?}}", port.module));
                quote!(println!(#label, model.#access());)
            });
            quote! {
                if model.#piece {
                    #(#shows)*
                }
            }
        }
    }
}

/// Lets the window slide over a file.
fn frames(path: &TokenStream, label: &str, ports: &Ports) -> TokenStream {
    let taken = taken(&quote!(step(&frame)), label, ports);
    quote! {
        let mut stream = files.next().map(std::fs::read).transpose()?.unwrap_or_default();
        let least = #path::input::STEPS * #path::input::FRAME_BYTES;
        stream.resize(stream.len().max(least), 0);
        for bytes in stream.as_chunks::<{ #path::input::FRAME_BYTES }>().0 {
            let frame = bytes.map(|byte| byte as i8);
            #taken
        }
    }
}

/// Pushes the rows of a file.
fn rows(path: &TokenStream, label: &str, ports: &Ports) -> TokenStream {
    let taken = taken(&quote!(push_row(&row)), label, ports);
    quote! {
        let frame = files.next().map(std::fs::read).transpose()?.unwrap_or_default();
        let mut frame = frame.into_iter();
        for _ in 0..#path::input::ROWS {
            let mut row = [0; #path::input::ROW_BYTES];
            for (code, byte) in row.iter_mut().zip(&mut frame) {
                *code = byte as i8;
            }
            #taken
        }
    }
}
