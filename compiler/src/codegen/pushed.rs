//! An input that is pushed row by row: the functions of the model, and how far it is.
//!
//! In: a plan with [`Pushed`]. Out: tokens. Invariant: a row is written to its place and
//! everything that it makes possible is computed before the next; a frame that is
//! given up leaves nothing behind that a later one reads, since every byte that is
//! read was written in the same frame (the plan's verifier has shown it).

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::cascades;
use super::fed::{self, Results, Taker};
use super::layers::Layer;
use super::names::plain;
use super::parts;
use super::ports::Ports;
use super::tokens::{docs, ident, number};
use super::weights::self_test_input;
use crate::plan::{Cascade, Plan, Pushed};

/// The type that holds every number up to `most`.
fn counter(most: usize) -> Ident {
    ident(if most <= usize::from(u16::MAX) { "u16" } else { "u32" })
}

/// The first cascade of a plan whose input is pushed.
pub fn first(plan: &Plan) -> Option<(&Pushed, &Cascade)> {
    plan.pushed.as_ref().zip(plan.cascade_at(0))
}

/// How far a frame is: a type, the table of what runs after each row, and the function
/// that runs it.
pub fn items(plan: &Plan, pushed: &Pushed, cascade: &Cascade, layers: &[&Layer<'_>]) -> TokenStream {
    let name = ident(&cascades::name(cascade));
    let units = layers.iter().flat_map(|layer| layer.rows()).map(|work| work.units);
    let most = units.chain([cascade.order.len(), pushed.rows]).max().unwrap_or(0);
    let count = counter(most);
    let rows: Vec<_> = (0..layers.len()).map(|stage| format_ident!("y{stage}")).collect();
    let order = cascades::order_table(cascade);
    let arms = layers.iter().zip(&rows).enumerate().map(|(stage, (layer, y))| {
        let (stage, function) = (number(stage), ident(&layer.function));
        quote! {
            #stage => {
                #function(arena, (progress.#y as usize, count as usize));
                progress.#y += count as #count;
            }
        }
    });
    let after = pushed.after.iter().map(|&count| number(usize::from(count)));
    let (length, most_after) = (number(pushed.after.len()), pushed.after.iter().max().copied().unwrap_or(0));
    let view = parts::view_type(plan);
    let after_type = ident(if most_after <= u16::from(u8::MAX) { "u8" } else { "u16" });
    let input = plain(&plan.inputs[0].name);
    let lines =
        docs(&[format!("Steps of the first layers that a row of `{input}` makes possible, row by row.")]);
    let function_lines = docs(&[format!(
        "Layers {} to {}, row by row: the next `steps` steps.",
        cascade.first.index(),
        cascade.first.index() + cascade.stages - 1
    )]);
    quote! {
        /// How far the frame is.
        struct Progress {
            /// Rows that were pushed.
            row: #count,
            /// Steps of the first layers that were run.
            step: #count,
            #(#rows: #count,)*
        }

        impl Progress {
            /// Nothing was pushed yet.
            const START: Progress = Progress { row: 0, step: 0, #(#rows: 0),* };
        }

        #lines
        static STEPS_AFTER: [#after_type; #length] = [#(#after),*];

        #function_lines
        #[inline(never)]
        fn #name(arena: #view, progress: &mut Progress, steps: usize) {
            #order
            for &[stage, count] in ORDER.iter().skip(progress.step as usize).take(steps) {
                match stage {
                    #(#arms)*
                    _ => {}
                }
            }
            progress.step += steps as #count;
        }
    }
}

/// The model's functions; `rest` are those of the layers after the last row. Rows that
/// nobody reads have no place in the table and are dropped.
pub fn functions(
    plan: &Plan,
    pushed: &Pushed,
    cascade: &Cascade,
    ports: &Ports,
    rest: &[Ident],
) -> TokenStream {
    let view = parts::view(plan);
    let field = parts::table_field(plan, &plan.row_tables[pushed.table]);
    let input = &ports.inputs[0];
    let table = cascades::table_name(pushed.table);
    let layers = ident(&cascades::name(cascade));
    let push = match rest {
        [] => quote!(self.advance(fill)),
        _ => quote! {
            let last = self.advance(fill);
            if last {
                let arena = #view;
                #(#rest(arena);)*
            }
            last
        },
    };
    let results = Results::of(ports, &PUSH_ROW);
    let Results { kind, done, whole_kind, whole_done } = &results;
    let variants = fed::variants(input, &PUSH_ROW, &results);
    let when = match ports.outputs.len() {
        1 => "`None` until the frame's last row, which gives the output: it is there until the next row.",
        _ => "`true` with the frame's last row: the outputs have functions of their own.",
    };
    let order = input.row_order();
    let push_lines = docs(&[
        format!(
            "Takes the next row of the input `{}`, and computes what it makes possible.",
            plain(&input.io.name)
        ),
        String::new(),
        when.to_string(),
        "The next row after that begins the next frame; so does the first one after".to_string(),
        "[`restart`](Model::restart). There is no wrong moment to call it.".to_string(),
        String::new(),
        order,
    ]);
    let frame_lines = docs(&[
        "Runs the model on a frame that lies elsewhere, in flash for instance, row by row.",
        "A frame that was begun is given up.",
    ]);
    quote! {
        #push_lines
        pub fn push_row(&mut self, row: &[i8; input::ROW_BYTES]) -> #kind {
            let last = self.push(|codes| *codes = *row);
            #done
        }

        #variants

        /// Gives a frame up that was begun: the next row is the first of a new one.
        pub fn restart(&mut self) { self.progress = Progress::START; }

        /// Rows of the frame that were pushed so far: the index of the next.
        pub fn rows_pushed(&self) -> usize { self.progress.row as usize }

        #frame_lines
        pub fn run_frame(&mut self, codes: &[i8; input::BYTES]) #whole_kind {
            self.restart();
            for row in codes.as_chunks::<{ input::ROW_BYTES }>().0 {
                self.push(|codes| *codes = *row);
            }
            #whole_done
        }

        /// A row, everything that it makes possible, and behind the last one all the
        /// rest; whether it was the last.
        fn push(&mut self, fill: impl FnOnce(&mut [i8; input::ROW_BYTES])) -> bool {
            #push
        }

        /// A row and what the first layers make of it; whether it was the last.
        fn advance(&mut self, fill: impl FnOnce(&mut [i8; input::ROW_BYTES])) -> bool {
            let row = self.progress.row as usize;
            if let Some(codes) = #table.offset(row).and_then(|offset| self.#field.get_mut(offset)) {
                fill(codes);
            }
            if let Some(&steps) = STEPS_AFTER.get(row) {
                #layers(#view, &mut self.progress, steps as usize);
            }
            self.progress.row += 1;
            let last = self.progress.row as usize >= input::ROWS;
            if last {
                self.progress = Progress::START;
            }
            last
        }
    }
}

/// What takes a row.
const PUSH_ROW: Taker =
    Taker { name: "push_row", piece: "row", bytes: "ROW_BYTES", takes: "push", ready: "last" };

/// What a test runner uses, whatever the model.
pub fn generic_surface(ports: &Ports) -> TokenStream {
    let (constant, slices) = super::lib_rs::output_surface(ports);
    quote! {
        /// Bytes of the input, all rows together.
        pub const INPUT_BYTES: [usize; 1] = [input::BYTES];
        /// Bytes of a row of the input.
        pub const ROW_BYTES: usize = input::ROW_BYTES;
        #constant
        #slices
    }
}

/// The model's run with every layer's output shown: `cascade` shows those of the first
/// layers, `rest` runs and shows the others; `left_out` says which are not.
pub fn traced(left_out: &TokenStream, cascade: &[TokenStream], rest: &[TokenStream]) -> TokenStream {
    let pattern = if cascade.is_empty() && rest.is_empty() { quote!(_) } else { quote!(mut sink) };
    quote! {
        /// Runs the model on a frame and hands out each layer's position in the
        /// schedule, ONNX name and output, right after the layer.
        #left_out
        #[cfg(feature = "trace")]
        pub fn run_traced(
            &mut self,
            codes: &[i8; input::BYTES],
            #pattern: impl FnMut(usize, &'static str, &[i8]),
        ) {
            self.restart();
            for row in codes.as_chunks::<{ input::ROW_BYTES }>().0 {
                self.advance(|codes| *codes = *row);
            }
            #(#cascade)*
            #(#rest)*
        }
    }
}

/// Pushes the sample of the self-test.
pub fn self_test_rows() -> TokenStream {
    let file = self_test_input(0);
    quote! {
        self.restart();
        for row in include_bytes!(#file).as_chunks::<{ input::ROW_BYTES }>().0 {
            self.push(|codes| {
                for (code, &byte) in codes.iter_mut().zip(row) {
                    *code = byte as i8;
                }
            });
        }
    }
}

/// Real numbers in, real numbers out: for models with one output.
pub fn infer(ports: &Ports) -> TokenStream {
    let [output] = ports.outputs.as_slice() else { return TokenStream::new() };
    let slice = output.spot.slice();
    quote! {
        /// Quantizes, runs, dequantizes, row by row; a frame that was begun is given up.
        pub fn infer_f32(&mut self, values: &[f32; input::BYTES]) -> [f32; output::BYTES] {
            let mut result = [0.0; output::BYTES];
            self.restart();
            for row in values.as_chunks::<{ input::ROW_BYTES }>().0 {
                self.push(|codes| input::quantize(row, codes));
            }
            output::dequantize(#slice, &mut result);
            result
        }
    }
}
