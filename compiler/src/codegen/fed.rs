//! What models have in common whose input comes in pieces: what their functions return,
//! and the functions for pieces that are not codes yet.
//!
//! In: ports, and how a piece is called and taken. Out: tokens. Invariant: a piece of
//! reals, pixels or samples gives what its codes give.

use proc_macro2::TokenStream;
use quote::quote;

use super::ports::{Port, Ports};
use super::tokens::{docs, ident};
use crate::samples::Preprocess;

/// A function that takes a piece of the input.
pub struct Taker {
    /// Its name.
    pub name: &'static str,
    /// What it takes, in a word.
    pub piece: &'static str,
    /// The constant that says how long that is.
    pub bytes: &'static str,
    /// The function that does it, of the model; its argument fills the piece.
    pub takes: &'static str,
    /// What that returns: whether there are outputs.
    pub ready: &'static str,
}

/// What functions return.
pub struct Results {
    /// The type of a piece's result.
    pub kind: TokenStream,
    /// The result.
    pub done: TokenStream,
    /// The same of the whole input.
    pub whole_kind: TokenStream,
    /// See `whole_kind`.
    pub whole_done: TokenStream,
}

impl Results {
    /// The only output's codes, or whether there are any.
    pub fn of(ports: &Ports, taker: &Taker) -> Results {
        let ready = ident(taker.ready);
        match ports.outputs.as_slice() {
            [output] => {
                let slice = output.spot.slice();
                Results {
                    kind: quote!(Option<&[i8; output::BYTES]>),
                    done: quote!(if #ready { Some(#slice) } else { None }),
                    whole_kind: quote!(-> &[i8; output::BYTES]),
                    whole_done: quote!(#slice),
                }
            }
            _ => Results {
                kind: quote!(bool),
                done: quote!(#ready),
                whole_kind: quote!(),
                whole_done: quote!(),
            },
        }
    }
}

/// The function for reals and, where samples were prepared, for what a sensor delivers.
pub fn variants(input: &Port, taker: &Taker, results: &Results) -> TokenStream {
    let (kind, done) = (&results.kind, &results.done);
    let [piece, bytes, takes, ready] = [taker.piece, taker.bytes, taker.takes, taker.ready].map(ident);
    let variant = |suffix: &str, element: &str, how: &str| {
        let name = ident(&format!("{}_{suffix}", taker.name));
        let (element, how_fn) = (ident(element), ident(how));
        let lines = docs(&[format!(
            "[`{0}`](Model::{0}) of what [`input::{how}`] makes of a {1}.",
            taker.name, taker.piece
        )]);
        quote! {
            #lines
            pub fn #name(&mut self, #piece: &[#element; input::#bytes]) -> #kind {
                let #ready = self.#takes(|codes| input::#how_fn(#piece, codes));
                #done
            }
        }
    };
    let reals = variant("f32", "f32", "quantize");
    let prepared = match &input.preprocessing {
        Preprocess::None => TokenStream::new(),
        Preprocess::Codes => variant("pixels", "u8", "quantize_pixels"),
        Preprocess::MeanStd { .. } => {
            let pixels = variant("pixels", "u8", "quantize_pixels");
            let samples = variant("samples", "f32", "quantize_samples");
            quote!(#pixels #samples)
        }
    };
    quote!(#reals #prepared)
}
