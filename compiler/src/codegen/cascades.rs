//! Layers that run row by row: tables of rows, the layer's functions, the orders.
//!
//! In: the cascades of a plan. Out: tokens of constant tables and private
//! functions. Invariant: an order is a constant that runs every row of every layer
//! once; a table of rows is checked against the arena when the crate is built.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::CodegenError;
use super::layers::{self, Layer};
use super::names::plain;
use super::parts::{self, Spot};
use super::tokens::{docs, ident, number};
use crate::Module;
use crate::lower::Kernel;
use crate::plan::{Buffer, BufferKind, Cascade, Plan, RowTable, RowWork, Step, StepId, Time, family};

/// The tables of rows.
pub fn tables(plan: &Plan, module: &Module) -> TokenStream {
    let tables = plan.row_tables.iter().enumerate().map(|(index, table)| {
        let name = table_name(index);
        let shift = table.shift(plan.start_of(table));
        let (value, kind) = (table_value(plan, table), table_type(plan, table));
        let tensor = plain(&module.graph.value(table.value).name);
        let lines = docs(&[format!("Where the rows of `{tensor}` lie, in units of `1 << {shift}` bytes.")]);
        quote! {
            #lines
            static #name: #kind = #value;
        }
    });
    quote!(#(#tables)*)
}

/// The type of a table.
fn table_type(plan: &Plan, table: &RowTable) -> TokenStream {
    let (rows, arena) = (number(table.offsets.len()), parts::table_bytes(plan, table));
    quote!(RowTable<#rows, #arena>)
}

/// A table as a constant.
fn table_value(plan: &Plan, table: &RowTable) -> TokenStream {
    let start = plan.start_of(table);
    let shift = table.shift(start);
    let bytes = number(table.row_bytes);
    let offsets = table.offsets.iter().map(|offset| number((offset - start) >> shift));
    let shift = Literal::u32_unsuffixed(shift);
    quote!(RowTable::new(#bytes, #shift, [#(#offsets),*]))
}

/// The name of a table of rows.
pub fn table_name(index: usize) -> proc_macro2::Ident {
    format_ident!("ROWS_{index}")
}

/// The body of a layer's function, which makes `rows`: the first one, and how many.
///
/// # Errors
/// [`CodegenError::Bug`] where parameters do not print as Rust.
pub fn body(plan: &Plan, work: &RowWork) -> Result<TokenStream, CodegenError> {
    let family = family::family(&work.call.kernel);
    let text = format!("{}::{}", family.name, family::params_text(&work.call.kernel));
    let params = syn::parse_str::<syn::Expr>(&text).map_err(|e| CodegenError::Bug(format!("{text}: {e}")))?;
    let (types, kernel) = (ident(family.name), ident(kernel_name(work)));
    let consts = family.consts.then(|| {
        let (offset, bytes) = (number(work.call.consts.offset), number(work.call.consts.bytes));
        quote!(let consts = WEIGHTS.consts::<#offset, #bytes>();)
    });
    let operands = layers::operand_names(work.inputs.len());
    let arguments = layers::operand_arguments(&work.call.kernel, &operands);
    let rows = |table: usize| {
        let (name, arena) = (table_name(table), parts::table_view(plan, &plan.row_tables[table]));
        quote!(#name.rows(#arena))
    };
    let tables = work.inputs.iter().map(|&table| rows(table));
    let output = rows(work.output);
    let (table, scratch) = match &work.moving {
        Some(table) => {
            let (value, kind) = (table_value(plan, table), table_type(plan, table));
            let arena = parts::table_view(plan, table);
            let lines = docs(&[
                "Where the private bytes lie of a call that begins with a row: others".to_string(),
                "need their place in between.".to_string(),
            ]);
            let table = quote!(#lines static PRIVATE: #kind = #value;);
            (Some(table), quote!(PRIVATE.rows(#arena).run(rows.0, 1)))
        }
        None => (None, Spot::of(plan, work.call.scratch).view()),
    };
    let with_scratch = !matches!(work.call.kernel, Kernel::Add(_) | Kernel::Mul(_) | Kernel::Lut(_));
    let scratch = with_scratch.then(|| quote!(let scratch = #scratch;));
    let last = if with_scratch {
        quote!(scratch)
    } else {
        let bytes = number(work.form.walk.out_row_bytes);
        quote!(#bytes)
    };
    // A table look-up needs no parameters.
    let with_params = !matches!(work.call.kernel, Kernel::Lut(_));
    let kind = ident(family::params_type(&work.call.kernel));
    let constant = with_params.then(|| quote!(const PARAMS: #types::#kind = #params;));
    let params = with_params.then(|| quote!(&PARAMS,));
    let consts_argument = family.consts.then(|| quote!(consts,));
    let generics = generics(work);
    Ok(quote! {
        #constant
        #table
        #consts
        #(let #operands = #tables;)*
        let output = #output;
        #scratch
        #kernel::run_rows #generics (#params #consts_argument #(#arguments,)* output, rows, #last);
    })
}

/// The module whose `run_rows` a layer calls.
pub fn kernel_name(work: &RowWork) -> &'static str {
    if work.form.gathers { "pool_rows" } else { family::family(&work.call.kernel).name }
}

/// Rows that a step resolves, as constant arguments.
fn generics(work: &RowWork) -> TokenStream {
    let window = number(work.form.window_rows(1));
    match work.call.kernel.even() {
        Kernel::ConvTile(_) | Kernel::ConvWindow(_) => {
            let (window, count) =
                (number(work.form.window_rows(work.units_per_step)), number(work.units_per_step));
            quote!(::<#window, #count>)
        }
        kernel @ Kernel::DepthwiseLines(_) => layers::unrolled_for(&kernel).unwrap_or_default(),
        Kernel::Add(_)
        | Kernel::Mul(_)
        | Kernel::Join(_)
        | Kernel::Lut(_)
        | Kernel::ConvWinograd(_)
        | Kernel::DepthwiseQuad(_)
        | Kernel::DepthwiseLanes(_) => TokenStream::new(),
        Kernel::AvgPool(_) if work.form.gathers => TokenStream::new(),
        _ => quote!(::<#window>),
    }
}

/// The name of a cascade's function.
pub fn name(cascade: &Cascade) -> String {
    let first = cascade.first.index();
    format!("layers_{first}_to_{}", first + cascade.stages - 1)
}

/// The function that runs a cascade.
pub fn function(plan: &Plan, cascade: &Cascade, layers: &[&Layer<'_>]) -> TokenStream {
    let view = parts::view_type(plan);
    let name = ident(&name(cascade));
    let counts: Vec<usize> = cascade.order.iter().map(|(_, count)| usize::from(*count)).collect();
    if let ([layer], [before @ .., last]) = (layers, counts.as_slice())
        && before.windows(2).all(|pair| pair[0] == pair[1])
        && cascade.starts.is_empty()
    {
        let function = ident(&layer.function);
        let lines = docs(&[format!("Layer {} alone, row by row.", layer.index)]);
        let (most, full, last) =
            (number(before.first().copied().unwrap_or(1)), number(before.len()), number(*last));
        return quote! {
            #lines
            #[inline(never)]
            fn #name(arena: #view) {
                let mut y = 0;
                for _ in 0..#full {
                    #function(arena, (y, #most));
                    y += #most;
                }
                #function(arena, (y, #last));
            }
        };
    }
    if !cascade.starts.is_empty() {
        return some_rows(&view, cascade, layers);
    }
    let order = order_table(cascade);
    let rows: Vec<_> = (0..layers.len()).map(|stage| format_ident!("y{stage}")).collect();
    let arms = layers.iter().zip(&rows).enumerate().map(|(stage, (layer, y))| {
        let (stage, function) = (number(stage), ident(&layer.function));
        quote! {
            #stage => {
                #function(arena, (#y, count));
                #y += count;
            }
        }
    });
    let lines = docs(&[
        format!(
            "Layers {} to {}, row by row: a row is made as soon as the rows",
            cascade.first.index(),
            cascade.first.index() + cascade.stages - 1
        ),
        "that it is made of are there.".to_string(),
    ]);
    quote! {
        #lines
        #[inline(never)]
        fn #name(arena: #view) {
            #order
            #(let mut #rows = 0;)*
            for &[stage, count] in &ORDER {
                let count = count as usize;
                match stage {
                    #(#arms)*
                    _ => {}
                }
            }
        }
    }
}

/// The function of a cascade that runs some rows of each layer only.
fn some_rows(view: &TokenStream, cascade: &Cascade, layers: &[&Layer<'_>]) -> TokenStream {
    let name = ident(&name(cascade));
    let most = cascade.starts.iter().copied().max().unwrap_or(0).max(cascade.stages as u16);
    let kind = ident(if most <= u16::from(u8::MAX) { "u8" } else { "u16" });
    let count = number(cascade.order.len());
    let order = cascade.order.iter().zip(&cascade.starts).map(|(&(stage, count), &start)| {
        let [stage, start, count] = [stage, start, count].map(|n| number(usize::from(n)));
        quote!([#stage, #start, #count])
    });
    let arms = layers.iter().enumerate().map(|(stage, layer)| {
        let (stage, function) = (number(stage), ident(&layer.function));
        quote!(#stage => #function(arena, rows),)
    });
    if let [layer] = layers {
        let function = ident(&layer.function);
        let lines = docs(&[format!(
            "Layer {} alone: the rows that are new, and those at the window's ends.",
            layer.index
        )]);
        let order = cascade.order.iter().zip(&cascade.starts).map(|(&(_, count), &start)| {
            let [start, count] = [start, count].map(|n| number(usize::from(n)));
            quote!([#start, #count])
        });
        return quote! {
            #lines
            #[inline(never)]
            fn #name(arena: #view) {
                /// The first of some rows, and how many.
                static ORDER: [[#kind; 2]; #count] = [#(#order),*];
                for &[first, count] in &ORDER {
                    #function(arena, (first as usize, count as usize));
                }
            }
        };
    }
    let lines = docs(&[format!(
        "Layers {} to {}: the rows that are new, and those at the window's ends.",
        cascade.first.index(),
        cascade.first.index() + cascade.stages - 1
    )]);
    quote! {
        #lines
        #[inline(never)]
        fn #name(arena: #view) {
            /// Which layer makes rows, the first of them, and how many.
            static ORDER: [[#kind; 3]; #count] = [#(#order),*];
            for &[stage, first, count] in &ORDER {
                let rows = (first as usize, count as usize);
                match stage {
                    #(#arms)*
                    _ => {}
                }
            }
        }
    }
}

/// The constant `ORDER` of a cascade.
pub fn order_table(cascade: &Cascade) -> TokenStream {
    let count = number(cascade.order.len());
    let order = cascade.order.iter().map(|&(stage, count)| {
        let (stage, count) = (number(usize::from(stage)), number(usize::from(count)));
        quote!([#stage, #count])
    });
    let kind = if cascade.stages <= 256 { quote!(u8) } else { quote!(u16) };
    quote! {
        /// Which layer makes its next rows, and how many.
        static ORDER: [[#kind; 2]; #count] = [#(#order),*];
    }
}

/// The steps that run row by row and whose outputs are never whole: a trace cannot
/// show them.
#[must_use]
pub fn never_whole(plan: &Plan) -> Vec<&Step> {
    let stages = plan.cascades.iter().flat_map(|cascade| {
        let steps = plan.steps.iter().skip(cascade.first.index()).take(cascade.stages);
        steps.filter(move |step| !remains(plan, cascade, step))
    });
    stages.collect()
}

/// Whether all of a step's output is there when its cascade has ended.
pub fn remains(plan: &Plan, cascade: &Cascade, step: &Step) -> bool {
    let steps = cascade.first.index()..cascade.first.index() + cascade.stages;
    let events = plan.events();
    let inside = |step: StepId| steps.contains(&step.index());
    let end = events.iter().rposition(|e| e.step().is_some_and(inside)).map_or(0, |last| last + 1);
    let mut bytes = 0;
    // Rows that move before a step have another life in it.
    let moves = |buffer: &Buffer| plan.slide.is_some() && buffer.last == Time::START;
    let lives = plan.buffers.iter().filter(|buffer| !moves(buffer)).all(|buffer| match &buffer.kind {
        BufferKind::Values(values) | BufferKind::Row { values, .. } if values.contains(&step.output) => {
            bytes += buffer.bytes;
            buffer.last > Time::of(end)
        }
        _ => true,
    });
    lives && bytes == step.output_range.bytes
}
