//! What the type `Model` is, as its crate's own or as one of several.
//!
//! In: what it holds beside its arena. Out: tokens. Invariant: a model that is its crate owns
//! its arena, one of several borrows it.

use proc_macro2::TokenStream;
use quote::quote;

use super::parts;
use super::tokens::docs;
use crate::plan::Plan;

/// What a model holds beside its arena.
#[derive(Clone, Copy)]
pub enum Holds {
    /// Nothing.
    Nothing,
    /// How far a frame is.
    Frame,
    /// How full a window is.
    Window,
}

/// Of a model that is its crate: what it is, its name, its memory, how it is made.
pub fn owned(holds: Holds, start: &TokenStream) -> [TokenStream; 4] {
    let state = docs(&[match holds {
        Holds::Nothing => "The model's state: its arena.",
        Holds::Frame => "The model's state: its arena, and how far the frame is.",
        Holds::Window => "The model's state: its arena, and how full the window is.",
    }]);
    let new = quote! {
        /// A model of zeros, which lies in `.bss` if it is static.
        pub const fn new() -> Model { Model { arena: Arena::new() #start } }
    };
    [state, quote!(Model), quote!(arena: Arena<ARENA_BYTES>,), new]
}

/// The same of a model that shares its arena with others.
pub fn borrowed(holds: Holds, start: &TokenStream) -> [TokenStream; 4] {
    let state = docs(match holds {
        Holds::Nothing => &[
            "The model at work: it holds the arena that all models share. No other model can",
            "run until it is dropped.",
        ],
        Holds::Frame => &[
            "The model at work: it holds the arena that all models share, and how far the",
            "frame is. No other model can run until it is dropped.",
        ],
        Holds::Window => &[
            "The model at work: it holds the arena that all models share, and how full the",
            "window is. No other model can run until it is dropped, and a new one begins a",
            "new stream.",
        ],
    });
    let new = quote! {
        /// The model, in whatever state the arena is: it costs nothing to make one for
        /// every run. Results are to be used, or copied, before another model takes the
        /// arena.
        pub const fn new(arena: &'a mut crate::Arena) -> Model<'a> { Model { arena: &mut arena.0 #start } }
    };
    [state, quote!(Model<'a>), quote!(arena: &'a mut Arena<ARENA_BYTES>,), new]
}

/// The same of a model whose arena is divided over RAM regions.
pub fn divided(holds: Holds, start: &TokenStream, plan: &Plan) -> [TokenStream; 4] {
    let state = docs(&[match holds {
        Holds::Nothing => "The model at work: it holds its memory in every region.",
        Holds::Frame => "The model at work: it holds its memory in every region, and how far the frame is.",
        Holds::Window => {
            "The model at work: it holds its memory in every region, and how full the window is."
        }
    }]);
    [state, quote!(Model<'a>), parts::fields(plan), parts::functions(plan, start)]
}
