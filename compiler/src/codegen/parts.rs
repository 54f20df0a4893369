//! The model's memory in the crate: one arena, or one part for each RAM region.
//!
//! In: a plan. Out: how code names bytes of it, and the items of a divided arena. Invariant:
//! which part a range is of is known when the crate is built, so that a part is named in the
//! code and nothing is chosen at run time; a part is an arena of its own, whose ranges are
//! checked against its size.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::names::{grouped, plain, unique};
use super::tokens::{docs, ident, number};
use crate::plan::{ArenaRange, Plan, RegionId, RowTable};

/// What a part is called in the crate.
pub struct Name {
    /// Of values and fields: `dtcm_part`.
    pub field: String,
    /// Of its type: `DtcmPart`.
    pub kind: String,
    /// Of the constant with its size, and of a static with it in examples: `DTCM_PART`.
    pub constant: String,
}

/// The names of a plan's parts in order.
pub fn names(plan: &Plan) -> Vec<Name> {
    let mut taken = Vec::new();
    let name = |region: &str, taken: &mut Vec<String>| {
        let field = format!("{}_part", unique(region, taken));
        // A region may begin with a digit.
        let field =
            if field.starts_with(|c: char| c.is_ascii_digit()) { format!("ram_{field}") } else { field };
        let word = |word: &str| word[..1].to_uppercase() + &word[1..];
        let kind = field.split('_').filter(|part| !part.is_empty()).map(word).collect();
        Name { kind, constant: field.to_uppercase(), field }
    };
    plan.parts.iter().map(|part| name(&part.region, &mut taken)).collect()
}

impl Name {
    /// The constant with its size.
    pub fn bytes(&self) -> Ident {
        format_ident!("{}_BYTES", self.constant)
    }
}

/// Bytes of the model's memory, as code names them.
#[derive(Clone)]
pub struct Spot {
    /// The field that holds them.
    field: String,
    /// Whether that is a part.
    divided: bool,
    /// Where, from the field's first byte.
    range: ArenaRange,
}

impl Spot {
    /// Those of a range.
    pub fn of(plan: &Plan, range: ArenaRange) -> Spot {
        match plan.region_of(range) {
            Some(region) => Spot {
                field: field(plan, region),
                divided: true,
                range: ArenaRange { offset: range.offset - plan.part(region).start, ..range },
            },
            None => Spot { field: "arena".to_owned(), divided: false, range },
        }
    }

    /// A view of them, where `arena` is the view of all memory.
    pub fn view(&self) -> TokenStream {
        let arena = self.arena();
        let (offset, bytes) = self.numbers();
        quote!(#arena.at::<#offset, #bytes>())
    }

    /// They, to read, of the model `self`.
    pub fn slice(&self) -> TokenStream {
        let field = ident(&self.field);
        let (offset, bytes) = self.numbers();
        quote!(self.#field.slice::<#offset, #bytes>())
    }

    /// They, to write, of the model `self`.
    pub fn slice_mut(&self) -> TokenStream {
        let field = ident(&self.field);
        let (offset, bytes) = self.numbers();
        quote!(self.#field.slice_mut::<#offset, #bytes>())
    }

    /// Where they are, in words.
    pub fn text(&self) -> String {
        match self.divided {
            true => format!("{} of `{}`", self.range, self.field),
            false => self.range.to_string(),
        }
    }

    /// The view of all that the field holds, where `arena` is that of all memory.
    fn arena(&self) -> TokenStream {
        let field = ident(&self.field);
        if self.divided { quote!(arena.#field) } else { quote!(arena) }
    }

    fn numbers(&self) -> (proc_macro2::Literal, proc_macro2::Literal) {
        (number(self.range.offset), number(self.range.bytes))
    }
}

fn field(plan: &Plan, region: RegionId) -> String {
    names(plan).swap_remove(region.index()).field
}

/// Where the rows of a table are.
fn of_table(plan: &Plan, table: &RowTable) -> Spot {
    Spot::of(plan, table.hull())
}

/// The constant with the size of what the rows of a table are in.
pub fn table_bytes(plan: &Plan, table: &RowTable) -> Ident {
    match plan.region_of(table.hull()) {
        Some(region) => names(plan)[region.index()].bytes(),
        None => ident("ARENA_BYTES"),
    }
}

/// The view of what the rows of a table are in, where `arena` is that of all memory.
pub fn table_view(plan: &Plan, table: &RowTable) -> TokenStream {
    of_table(plan, table).arena()
}

/// The field of `self` that the rows of a table are in.
pub fn table_field(plan: &Plan, table: &RowTable) -> Ident {
    ident(&of_table(plan, table).field)
}

/// The type of a view of all memory.
pub fn view_type(plan: &Plan) -> TokenStream {
    if plan.parts.is_empty() { quote!(ArenaView<'_, ARENA_BYTES>) } else { quote!(Views<'_>) }
}

/// A view of all memory of the model `self`; it borrows no more of it than that.
pub fn view(plan: &Plan) -> TokenStream {
    if plan.parts.is_empty() {
        return quote!(self.arena.view());
    }
    let fields = names(plan).into_iter().map(|name| ident(&name.field));
    let views = fields.map(|field| quote!(#field: self.#field.view()));
    quote!(Views { #(#views),* })
}

/// The parts in words: "`dtcm` (4,096 B) and `sram` (8,192 B)".
pub fn text(plan: &Plan) -> String {
    let parts: Vec<String> = plan
        .parts
        .iter()
        .map(|part| format!("`{}` ({} B)", plain(&part.region), grouped(part.bytes as u64)))
        .collect();
    match parts.as_slice() {
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => parts.concat(),
    }
}

/// The parts, the cell for each, all of them together, and the view of all.
pub fn items(plan: &Plan) -> TokenStream {
    if plan.parts.is_empty() {
        return TokenStream::new();
    }
    let names = names(plan);
    let fields: Vec<Ident> = names.iter().map(|name| ident(&name.field)).collect();
    let kinds: Vec<Ident> = names.iter().map(|name| ident(&name.kind)).collect();
    let bytes: Vec<Ident> = names.iter().map(Name::bytes).collect();
    let parts = plan.parts.iter().zip(&kinds).zip(&bytes).map(|((part, kind), bytes)| {
        let size = number(part.bytes);
        let region = plain(&part.region);
        let constant = docs(&[format!("Bytes of the memory that is for `{region}`.")]);
        let lines = docs(&[
            format!("The model's memory that is for the RAM region `{region}`."),
            String::new(),
            "Anywhere else it serves as well, if slower.".to_owned(),
        ]);
        quote! {
            #constant
            pub const #bytes: usize = #size;

            #lines
            pub struct #kind(Arena<#bytes>);

            impl #kind {
                /// Zeros, which lie in `.bss` if they are static.
                pub const fn new() -> #kind { #kind(Arena::new()) }
            }

            impl Default for #kind {
                fn default() -> Self { #kind::new() }
            }
        }
    });
    quote! {
        #(#parts)*

        /// All of the model's memory in one place: for hosts, tests, and chips with one
        /// region of RAM.
        pub struct Memory {
            #(
                /// What is for one region.
                pub #fields: #kinds,
            )*
        }

        impl Memory {
            /// Zeros, which lie in `.bss` if they are static.
            pub const fn new() -> Memory { Memory { #(#fields: #kinds::new()),* } }
        }

        impl Default for Memory {
            fn default() -> Self { Memory::new() }
        }

        /// A part of the model's memory in a `static`, handed out once.
        pub struct PartCell<P>(TakeOnce<P>);

        impl<P> PartCell<P> {
            /// A cell with a part.
            pub const fn new(part: P) -> PartCell<P> { PartCell(TakeOnce::new(part)) }

            /// The part, for the first caller; `None` for everyone after, and
            /// possibly for all of several callers at the same time (an
            /// interrupt in the middle of a call, another core).
            pub fn take(&'static self) -> Option<&'static mut P> { self.0.take() }
        }

        /// Views of all parts.
        #[derive(Clone, Copy)]
        struct Views<'a> {
            #(#fields: ArenaView<'a, #bytes>,)*
        }
    }
}

/// The functions that make a model from its parts; `start` is what it holds beside them.
pub fn functions(plan: &Plan, start: &TokenStream) -> TokenStream {
    let names = names(plan);
    let fields: Vec<Ident> = names.iter().map(|name| ident(&name.field)).collect();
    let kinds: Vec<Ident> = names.iter().map(|name| ident(&name.kind)).collect();
    quote! {
        /// The model at work in its memory, whatever the state of that.
        pub const fn new(#(#fields: &'a mut #kinds),*) -> Model<'a> {
            Model { #(#fields: &mut #fields.0),* #start }
        }

        /// The same in memory that lies in one place.
        pub const fn of(memory: &'a mut Memory) -> Model<'a> {
            Model::new(#(&mut memory.#fields),*)
        }
    }
}

/// The fields of a model that hold its parts.
pub fn fields(plan: &Plan) -> TokenStream {
    let fields = names(plan).into_iter().map(|name| {
        let (field, bytes) = (ident(&name.field), name.bytes());
        quote!(#field: &'a mut Arena<#bytes>,)
    });
    quote!(#(#fields)*)
}
