//! A window that slides over a stream: the functions of the model, and what moves.
//!
//! In: a plan with [`Slide`]. Out: tokens. Invariant: every step moves the same rows,
//! takes the new ones and runs the same layers; the first steps of a stream differ only in
//! that nobody gets their outputs, which is all that has to be forgotten of an earlier
//! stream (the plan's verifier has shown it).

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::fed::{self, Results, Taker};
use super::names::{grouped, plain};
use super::parts::{self, Spot};
use super::ports::Ports;
use super::tokens::{docs, ident, number};
use super::weights::self_test_input;
use crate::Module;
use crate::plan::{ArenaRange, Plan, Slide};

/// The type that holds every number up to `most`.
fn counter(most: usize) -> Ident {
    ident(if most < usize::from(u8::MAX) { "u8" } else { "u32" })
}

/// The field that says how full the window is, and its first value.
pub fn state(slide: &Slide) -> (TokenStream, TokenStream) {
    let count = counter(slide.steps());
    (quote!(frames: #count,), quote!(, frames: 0))
}

/// The function that moves rows, and the one that cuts a window into frames.
pub fn items(plan: &Plan, module: &Module, slide: &Slide) -> TokenStream {
    let moves = slide.kept.iter().filter(|kept| kept.moved() > 0).map(|kept| {
        let (range, by) = (kept.range(&plan.row_tables), kept.shift_bytes(&plan.row_tables));
        let run = |offset: usize| Spot::of(plan, ArenaRange { offset, bytes: range.bytes - by }).view();
        let (to, from, bytes) = (run(range.offset), run(range.offset + by), number(range.bytes - by));
        quote!(#to.copy_from(#from, #bytes);)
    });
    let lines = slide.kept.iter().filter(|kept| kept.moved() > 0).map(|kept| {
        let value = plain(&module.graph.value(plan.row_tables[kept.table].value).name);
        format!("- `{value}`: rows {} to {}, by {}", kept.first + kept.shift, kept.end - 1, kept.shift)
    });
    let view = parts::view_type(plan);
    let head = "Moves the rows that the step before has left to where this one reads them:";
    let lines = docs(&[head.to_owned(), String::new()].into_iter().chain(lines).collect::<Vec<_>>());
    quote! {
        #lines
        #[inline(never)]
        fn slide(arena: #view) {
            #(#moves)*
        }

        /// The new rows of each step that leads to a full window: `nothing` stands for what
        /// came before it.
        fn frame_of<T: Copy>(window: &[T; input::BYTES], step: usize, nothing: T) -> [T; input::FRAME_BYTES] {
            const BEFORE: usize = input::STEPS * input::FRAME_BYTES - input::BYTES;
            core::array::from_fn(|index| {
                let place = (step * input::FRAME_BYTES + index).checked_sub(BEFORE);
                place.and_then(|place| window.get(place)).copied().unwrap_or(nothing)
            })
        }
    }
}

/// Where the new rows of a step are written.
fn newest(plan: &Plan, slide: &Slide) -> ArenaRange {
    let input = &slide.kept[slide.input];
    let (end, bytes) = (input.range(&plan.row_tables).end(), input.shift_bytes(&plan.row_tables));
    ArenaRange { offset: end - bytes, bytes }
}

/// The model's functions; `runs` are those of all layers.
pub fn functions(plan: &Plan, slide: &Slide, ports: &Ports, runs: &[Ident]) -> TokenStream {
    let input = &ports.inputs[0];
    let results = Results::of(ports, &STEP);
    let Results { kind, done, whole_kind, whole_done } = &results;
    let variants = fed::variants(input, &STEP, &results);
    let when = match ports.outputs.len() {
        1 => [
            "`None` until the window is full, with the frame `input::STEPS`; from then on each frame",
            "gives an output, which is there until the next.",
        ],
        _ => [
            "`false` until the window is full, with the frame `input::STEPS`; from then on each frame",
            "gives outputs, which have functions of their own.",
        ],
    };
    let place = Spot::of(plan, newest(plan, slide)).slice_mut();
    let view = parts::view(plan);
    let step_lines = docs(&[
        format!(
            "Takes the next frame of the input `{}`, its newest row last, and computes what is new.",
            plain(&input.io.name)
        ),
        String::new(),
        when[0].to_owned(),
        when[1].to_owned(),
        String::new(),
        format!(
            "The bytes are those of a run on the last {} rows, of which a step computes only",
            grouped(slide.rows as u64)
        ),
        "what the frame changes.".to_owned(),
        String::new(),
        input.row_order(),
    ]);
    quote! {
        #step_lines
        pub fn step(&mut self, frame: &[i8; input::FRAME_BYTES]) -> #kind {
            let full = self.advance(|codes| *codes = *frame);
            #done
        }

        #variants

        /// Begins a new stream: the next frame is its first. Nothing of the one before
        /// shows in an output.
        pub fn restart(&mut self) { self.frames = 0; }

        /// Frames that the window holds so far; it is full with `input::STEPS`.
        pub fn frames_taken(&self) -> usize { self.frames as usize }

        /// Runs the model on a whole window that lies elsewhere, as a stream of its own:
        /// the frames after it go on from there.
        pub fn run_window(&mut self, codes: &[i8; input::BYTES]) #whole_kind {
            self.restart();
            for step in 0..input::STEPS {
                self.advance(|frame| *frame = frame_of(codes, step, 0));
            }
            #whole_done
        }

        /// A frame and all layers; whether the window is full.
        fn advance(&mut self, fill: impl FnOnce(&mut [i8; input::FRAME_BYTES])) -> bool {
            let full = self.take(fill);
            let arena = #view;
            #(#runs(arena);)*
            full
        }

        /// A frame, in front of which the others have moved; whether the window is full.
        fn take(&mut self, fill: impl FnOnce(&mut [i8; input::FRAME_BYTES])) -> bool {
            slide(#view);
            fill(#place);
            if (self.frames as usize) < input::STEPS {
                self.frames += 1;
            }
            self.frames as usize >= input::STEPS
        }
    }
}

/// What takes a frame.
const STEP: Taker =
    Taker { name: "step", piece: "frame", bytes: "FRAME_BYTES", takes: "advance", ready: "full" };

/// What a test runner uses, whatever the model.
pub fn generic_surface(ports: &Ports) -> TokenStream {
    let (constant, slices) = super::lib_rs::output_surface(ports);
    quote! {
        /// Bytes of the input, all rows of the window together.
        pub const INPUT_BYTES: [usize; 1] = [input::BYTES];
        /// Bytes of a frame: the new rows of a step.
        pub const FRAME_BYTES: usize = input::FRAME_BYTES;
        /// Frames that fill the window.
        pub const STEPS: usize = input::STEPS;
        #constant
        #slices
    }
}

/// A window's last step with every layer's output shown that is ever whole.
pub fn traced(left_out: &TokenStream, steps: &[TokenStream]) -> TokenStream {
    let pattern = if steps.is_empty() { quote!(_) } else { quote!(mut sink) };
    quote! {
        /// Runs the model on a window and hands out each layer's position in the schedule,
        /// ONNX name and output, right after the layer, in the last step.
        #left_out
        #[cfg(feature = "trace")]
        pub fn run_traced(
            &mut self,
            codes: &[i8; input::BYTES],
            #pattern: impl FnMut(usize, &'static str, &[i8]),
        ) {
            self.restart();
            for step in 0..input::STEPS - 1 {
                self.advance(|frame| *frame = frame_of(codes, step, 0));
            }
            self.take(|frame| *frame = frame_of(codes, input::STEPS - 1, 0));
            #(#steps)*
        }
    }
}

/// Feeds the sample of the self-test.
pub fn self_test() -> TokenStream {
    let file = self_test_input(0);
    quote! {
        self.restart();
        for step in 0..input::STEPS {
            self.advance(|frame| *frame = frame_of(include_bytes!(#file), step, 0).map(|byte| byte as i8));
        }
    }
}

/// Real numbers in, real numbers out: for models with one output.
pub fn infer(ports: &Ports) -> TokenStream {
    let [output] = ports.outputs.as_slice() else { return TokenStream::new() };
    let slice = output.spot.slice();
    quote! {
        /// Quantizes, runs, dequantizes a whole window, as [`run_window`](Model::run_window).
        pub fn infer_f32(&mut self, values: &[f32; input::BYTES]) -> [f32; output::BYTES] {
            let mut result = [0.0; output::BYTES];
            self.restart();
            for step in 0..input::STEPS {
                self.advance(|codes| input::quantize(&frame_of(values, step, 0.0), codes));
            }
            output::dequantize(#slice, &mut result);
            result
        }
    }
}
