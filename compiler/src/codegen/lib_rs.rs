//! The source of a model: the crate's src/lib.rs, or a module of a crate with several.
//!
//! In: a plan, its module, its ports. Out: text. Invariant: where several models share a
//! crate, each is the same code as alone, but that it borrows the arena which they share.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::cascades;
use super::holds::{Holds, borrowed, divided, owned};
use super::layers::{self, Layer};
use super::names::{grouped, plain};
use super::parts::{self, Spot};
use super::ports::{self, Port, Ports};
use super::pushed;
use super::slide;
use super::tokens::{docs, format, ident, inner_docs, number};
use super::weights::{self, self_test_input, self_test_output};
use super::{CodegenError, EmitOptions, Place};
use crate::Module;
use crate::plan::{Cascade, Plan};
use crate::samples::Preprocess;

/// The text of src/lib.rs, or of the model's module.
///
/// # Errors
/// [`CodegenError::Bug`] where the tokens do not parse.
pub fn emit(
    plan: &Plan,
    module: &Module,
    options: &EmitOptions,
    ports: &Ports,
    place: Place,
) -> Result<String, CodegenError> {
    let layers = layers::layers(plan);
    let head = match place {
        Place::Crate => head(plan, options),
        Place::Module => module_head(plan, ports),
    };
    let imports = layers::imports(plan, place);
    let facts = facts(plan, options, place);
    let inputs = ports.inputs.iter().map(Port::input_module);
    let outputs = ports.outputs.iter().map(Port::output_module);
    let shortcuts = shortcuts(ports);
    let runs = runs(plan, &layers);
    let model = model(plan, options, ports, &runs, place);
    let rest = (place == Place::Crate).then(|| {
        let (argmax, code_of) = (argmax(), ports::code_of(ports));
        let memory = if plan.parts.is_empty() { model_cell() } else { parts::items(plan) };
        quote!(#memory #argmax #code_of)
    });
    let weights = weights_static(plan);
    let functions: Vec<TokenStream> =
        layers.iter().map(|l| l.function(plan, module)).collect::<Result<_, _>>()?;
    let tables = cascades::tables(plan, module);
    let slides = plan.slide.as_ref().map(|window| slide::items(plan, module, window));
    let orders = runs.iter().filter_map(|run| match (run, &plan.pushed) {
        (Run::Cascade(cascade, layers), Some(input)) if cascade.first.index() == 0 => {
            Some(pushed::items(plan, input, cascade, layers))
        }
        (Run::Cascade(cascade, layers), _) => Some(cascades::function(plan, cascade, layers)),
        (Run::Layer(_), _) => None,
    });
    format(quote! {
        #head
        #imports
        #facts
        #shortcuts
        #(#inputs)*
        #(#outputs)*
        #model
        #rest
        #weights
        #tables
        #slides
        #(#orders)*
        #(#functions)*
    })
}

/// What a run of the model does, one after the other.
enum Run<'a> {
    /// A layer on whole tensors.
    Layer(&'a Layer<'a>),
    /// Layers that work row by row together.
    Cascade(&'a Cascade, Vec<&'a Layer<'a>>),
}

impl Run<'_> {
    /// The function that does it.
    fn function(&self) -> Ident {
        match self {
            Run::Layer(layer) => ident(&layer.function),
            Run::Cascade(cascade, _) => ident(&cascades::name(cascade)),
        }
    }
}

fn runs<'a>(plan: &'a Plan, layers: &'a [Layer<'a>]) -> Vec<Run<'a>> {
    let mut runs = Vec::new();
    let mut rest = layers;
    while let [layer, others @ ..] = rest {
        let Some(cascade) = plan.cascade_at(layer.index) else {
            runs.push(Run::Layer(layer));
            rest = others;
            continue;
        };
        let (stages, others) = rest.split_at(cascade.stages.clamp(1, rest.len()));
        runs.push(Run::Cascade(cascade, stages.iter().collect()));
        rest = others;
    }
    runs
}

fn head(plan: &Plan, options: &EmitOptions) -> TokenStream {
    let (arena, weights) = (grouped(plan.arena_bytes as u64), grouped(plan.weights.len() as u64));
    let memory = match plan.parts.is_empty() {
        true => [
            format!("One arena of {arena} B in RAM, {weights} B of constants in flash, no heap, no"),
            "panic path in a release build. Keep the model in a `static` [`ModelCell`]:".to_owned(),
            "it is all zeros, so it costs no flash, and it never lies on the stack.".to_owned(),
        ],
        false => [
            format!("{arena} B of RAM, for {}, {weights} B of", parts::text(plan)),
            "constants in flash, no heap, no panic path in a release build. Keep each part in a".to_owned(),
            "`static` [`PartCell`]: it is all zeros, so it costs no flash, nor any stack.".to_owned(),
        ],
    };
    let lines = inner_docs(&[
        format!(
            "The neural network `{}` in int8, compiled for `{}` by tinyc.",
            plain(&plan.name),
            options.target.name
        ),
        String::new(),
        memory[0].clone(),
        memory[1].clone(),
        memory[2].clone(),
        "`unsafe` is in `runtime/view.rs` and, for chips with assembly, `runtime/arch` alone.".to_string(),
    ]);
    quote! {
        #lines
        #![no_std]
        #![deny(unsafe_code, missing_docs)]
        #![allow(clippy::approx_constant, reason = "scales are measured numbers")]
        #[allow(dead_code, unused_imports, reason = "sources are copied whole, whatever the model uses of them")]
        mod runtime;
    }
}

/// The head of a model that is one of several.
fn module_head(plan: &Plan, ports: &Ports) -> TokenStream {
    let lines = inner_docs(&[
        format!("The neural network `{}` in int8.", plain(&plan.name)),
        String::new(),
        format!(
            "It uses {} B of the arena that the models of this crate share, and {} B of",
            grouped(plan.arena_bytes as u64),
            grouped(plan.weights.len() as u64)
        ),
        "constants in flash.".to_string(),
    ]);
    let code_of = (!ports.inputs.is_empty()).then(|| quote!(code_of,));
    quote! {
        #lines
        use crate::{ARENA_BYTES, #code_of};
    }
}

fn facts(plan: &Plan, options: &EmitOptions, place: Place) -> TokenStream {
    let (name, target) = (&plan.name, &options.target.name);
    let (arena, weights) = (number(plan.arena_bytes), number(plan.weights.len()));
    let macs = Literal::u64_unsuffixed(plan.steps.iter().map(|s| s.macs).sum());
    let ram = docs(&[match plan.parts.is_empty() {
        true => "Bytes of RAM: the arena with inputs, outputs and everything between.",
        false => "Bytes of RAM: all parts with inputs, outputs and everything between.",
    }]);
    let own = match place {
        Place::Crate => quote! {
            /// The chip that it was compiled for.
            pub const TARGET: &str = #target;
            #ram
            pub const ARENA_BYTES: usize = #arena;
        },
        Place::Module => quote! {
            /// Bytes of the shared arena that it uses: inputs, outputs and everything between.
            pub const USED_BYTES: usize = #arena;
        },
    };
    let window = plan.slide.as_ref().map(|slide| {
        let macs = Literal::u64_unsuffixed(slide.window_macs);
        let lines = docs(&["Multiply-accumulates of a run that keeps nothing: of a whole window."]);
        quote! {
            #lines
            pub const WINDOW_MACS: u64 = #macs;
        }
    });
    let one = docs(&[if plan.slide.is_some() {
        "Multiply-accumulates of a step."
    } else {
        "Multiply-accumulates of one run."
    }]);
    quote! {
        /// The model's name.
        pub const NAME: &str = #name;
        #own
        /// Bytes of flash that weights and other constants take.
        pub const WEIGHT_BYTES: usize = #weights;
        #one
        pub const MACS: u64 = #macs;
        #window
    }
}

/// Where there is one input (output), its conversions are also at the top.
fn shortcuts(ports: &Ports) -> TokenStream {
    let mut tokens = TokenStream::new();
    if let [input] = &ports.inputs[..] {
        tokens.extend(quote!(
            pub use input::quantize;
        ));
        tokens.extend(match input.preprocessing {
            Preprocess::None => quote!(),
            Preprocess::Codes => quote!(
                pub use input::quantize_pixels;
            ),
            Preprocess::MeanStd { .. } => quote!(
                pub use input::{quantize_pixels, quantize_samples};
            ),
        });
    }
    if ports.outputs.len() == 1 {
        tokens.extend(quote!(
            pub use output::dequantize;
        ));
    }
    tokens
}

fn weights_static(plan: &Plan) -> TokenStream {
    if plan.weights.is_empty() {
        return TokenStream::new();
    }
    let file = weights::WEIGHTS;
    quote! {
        /// The constants of all layers, each layer's in the order in which its kernel reads.
        static WEIGHTS: Aligned<WEIGHT_BYTES> = Aligned(*include_bytes!(#file));
    }
}

fn model(plan: &Plan, options: &EmitOptions, ports: &Ports, runs: &[Run<'_>], place: Place) -> TokenStream {
    let pushed = pushed::first(plan);
    let window = plan.slide.as_ref();
    let by_rows = pushed.is_some() || window.is_some();
    let generic = match (pushed, window) {
        (Some(_), _) => pushed::generic_surface(ports),
        (None, Some(_)) => slide::generic_surface(ports),
        (None, None) => generic_surface(ports),
    };
    let inputs = ports.inputs.iter().filter(|_| !by_rows).map(input_access);
    let run = match (pushed, window) {
        (Some((input, cascade)), _) => {
            let rest: Vec<Ident> = runs.iter().skip(1).map(Run::function).collect();
            pushed::functions(plan, input, cascade, ports, &rest)
        }
        (None, Some(window)) => {
            let all: Vec<Ident> = runs.iter().map(Run::function).collect();
            slide::functions(plan, window, ports, &all)
        }
        (None, None) => run(plan, ports, runs),
    };
    let (progress, start) = match (pushed, window) {
        (Some(_), _) => (quote!(progress: Progress,), quote!(, progress: Progress::START)),
        (None, Some(window)) => slide::state(window),
        (None, None) => (quote!(), quote!()),
    };
    let holds = match (pushed, window) {
        (Some(_), _) => Holds::Frame,
        (None, Some(_)) => Holds::Window,
        (None, None) => Holds::Nothing,
    };
    let [state, name, memory, new] = match place {
        Place::Crate if !plan.parts.is_empty() => divided(holds, &start, plan),
        Place::Crate => owned(holds, &start),
        Place::Module => borrowed(holds, &start),
    };
    let borrows = place == Place::Module || !plan.parts.is_empty();
    let lifetime = borrows.then(|| quote!(<'a>));
    let outputs = ports.outputs.iter().filter(|_| ports.outputs.len() > 1).map(|port| {
        let (name, module) = (ident(&port.module), ident(&port.module));
        let lines =
            docs(&[format!("The output `{}` of the last run: {}.", plain(&port.io.name), port.meaning())]);
        let slice = port.spot.slice();
        quote! {
            #lines
            pub fn #name(&self) -> &[i8; #module::BYTES] { #slice }
        }
    });
    let traced = traced(plan, runs);
    let self_test = options.self_test.as_ref().map(|_| self_test(plan, ports));
    let infer = match (pushed, window) {
        (Some(_), _) => pushed::infer(ports),
        (None, Some(_)) => slide::infer(ports),
        (None, None) => infer(ports),
    };
    quote! {
        #state
        pub struct #name {
            #memory
            #progress
        }

        impl #lifetime #name {
            #generic
            #new
            #(#inputs)*
            #run
            #(#outputs)*
            #infer
            #traced
            #self_test
        }
    }
}

/// The cell of a model that is its crate.
fn model_cell() -> TokenStream {
    quote! {
        impl Default for Model {
            fn default() -> Self { Model::new() }
        }

        /// A model in a `static`, handed out once: `static MODEL: ModelCell =
        /// ModelCell::new();`, then `MODEL.take()`.
        pub struct ModelCell(TakeOnce<Model>);

        impl ModelCell {
            /// A cell with a model of zeros.
            pub const fn new() -> ModelCell { ModelCell(TakeOnce::new(Model::new())) }

            /// The model, for the first caller; `None` for everyone after, and
            /// possibly for all of several callers at the same time (an
            /// interrupt in the middle of a call, another core).
            pub fn take(&'static self) -> Option<&'static mut Model> { self.0.take() }
        }

        impl Default for ModelCell {
            fn default() -> Self { ModelCell::new() }
        }
    }
}

/// The function over all outputs.
pub fn argmax() -> TokenStream {
    quote! {
        /// The position of the largest code, the first of equals; 0 where there is none.
        pub fn argmax(codes: &[i8]) -> usize {
            let mut best = (0, i8::MIN);
            for (position, &code) in codes.iter().enumerate() {
                if code > best.1 {
                    best = (position, code);
                }
            }
            best.0
        }
    }
}

/// What a test runner uses, whatever the model.
fn generic_surface(ports: &Ports) -> TokenStream {
    let (inputs, input_bytes) = sizes(&ports.inputs);
    let (constant, slices) = output_surface(ports);
    let input_arms = ports.inputs.iter().enumerate().map(|(index, port)| {
        let (index, slice) = (number(index), port.spot.slice_mut());
        quote!(#index => #slice,)
    });
    quote! {
        /// Bytes of each input, in the model's order.
        pub const INPUT_BYTES: [usize; #inputs] = #input_bytes;
        #constant

        /// The input at a position of `INPUT_BYTES`; empty where there is none.
        pub fn input_slice(&mut self, index: usize) -> &mut [i8] {
            match index { #(#input_arms)* _ => &mut [] }
        }

        #slices
    }
}

/// How many ports there are, and the bytes of each.
fn sizes(ports: &[Port]) -> (Literal, TokenStream) {
    let modules = ports.iter().map(|p| ident(&p.module));
    (number(ports.len()), quote!([#(#modules::BYTES),*]))
}

/// The outputs as a test runner sees them: their bytes, and the function that gives them.
pub fn output_surface(ports: &Ports) -> (TokenStream, TokenStream) {
    let (outputs, output_bytes) = sizes(&ports.outputs);
    let output_arms = ports.outputs.iter().enumerate().map(|(index, port)| {
        let (index, slice) = (number(index), port.spot.slice());
        quote!(#index => #slice,)
    });
    let constant = quote! {
        /// Bytes of each output, in the model's order.
        pub const OUTPUT_BYTES: [usize; #outputs] = #output_bytes;
    };
    let slices = quote! {
        /// The output at a position of `OUTPUT_BYTES`; empty where there is none.
        pub fn output_slice(&self, index: usize) -> &[i8] {
            match index { #(#output_arms)* _ => &[] }
        }
    };
    (constant, slices)
}

fn input_access(port: &Port) -> TokenStream {
    let (module, name) = (ident(&port.module), format_ident!("{}_mut", port.module));
    let overwritten = if port.io.overwritten {
        "A run overwrites it: fill it again before every run."
    } else {
        "A run leaves it as it is."
    };
    let lines = docs(&[
        format!("The codes of the input `{}`: {}.", plain(&port.io.name), port.meaning()),
        String::new(),
        overwritten.to_string(),
    ]);
    let slice = port.spot.slice_mut();
    quote! {
        #lines
        pub fn #name(&mut self) -> &mut [i8; #module::BYTES] { #slice }
    }
}

fn run(plan: &Plan, ports: &Ports, runs: &[Run<'_>]) -> TokenStream {
    let names: Vec<_> = runs.iter().map(Run::function).collect();
    let view = parts::view(plan);
    let arena = (!names.is_empty()).then(|| quote!(let arena = #view;));
    let warning = if ports.inputs.iter().any(|p| p.io.overwritten) {
        "Inputs share their bytes with later layers: fill them before every run."
    } else {
        "Inputs stay as they are."
    };
    match &ports.outputs[..] {
        [output] => {
            let lines = docs(&[
                format!(
                    "Runs the model once; the output `{}` is {}.",
                    plain(&output.io.name),
                    output.meaning()
                ),
                String::new(),
                warning.to_string(),
            ]);
            let slice = output.spot.slice();
            quote! {
                #lines
                pub fn run(&mut self) -> &[i8; output::BYTES] {
                    #arena
                    #(#names(arena);)*
                    #slice
                }
            }
        }
        _ => {
            let lines = docs(&["Runs the model once; the outputs have functions of their own.", "", warning]);
            quote! {
                #lines
                pub fn run(&mut self) {
                    #arena
                    #(#names(arena);)*
                }
            }
        }
    }
}

/// Which layers a trace does not show.
fn left_out(plan: &Plan) -> TokenStream {
    let names: Vec<String> =
        cascades::never_whole(plan).iter().map(|step| format!("`{}`", plain(&step.name))).collect();
    if names.is_empty() {
        return TokenStream::new();
    }
    docs(&[
        String::new(),
        "Left out are the layers that run row by row and whose outputs are never whole:".to_owned(),
        format!("{}. What they compute shows in the layers behind them.", names.join(", ")),
    ])
}

fn traced(plan: &Plan, runs: &[Run<'_>]) -> TokenStream {
    let show = |layer: &Layer<'_>| {
        let (index, name) = (number(layer.index), &layer.step.name);
        let slice = Spot::of(plan, layer.step.output_range).slice();
        quote!(sink(#index, #name, #slice);)
    };
    let shown = |run: &Run<'_>| -> Vec<TokenStream> {
        match run {
            Run::Layer(layer) => vec![show(layer)],
            Run::Cascade(cascade, layers) => {
                let whole = layers.iter().filter(|layer| cascades::remains(plan, cascade, layer.step));
                whole.map(|layer| show(layer)).collect()
            }
        }
    };
    let view = parts::view(plan);
    let mut steps = runs.iter().map(|run| {
        let (function, shown) = (run.function(), shown(run));
        quote! {
            #function(#view);
            #(#shown)*
        }
    });
    if let (Some(_), [first, ..]) = (&plan.pushed, runs) {
        return pushed::traced(&left_out(plan), &shown(first), &steps.skip(1).collect::<Vec<_>>());
    }
    if plan.slide.is_some() {
        return slide::traced(&left_out(plan), &steps.collect::<Vec<_>>());
    }
    let steps = &mut steps;
    let pattern = if runs.is_empty() { quote!(_) } else { quote!(mut sink) };
    let note = left_out(plan);
    quote! {
        /// Runs the model once and hands out each layer's position in the
        /// schedule, ONNX name and output, right after the layer.
        #note
        #[cfg(feature = "trace")]
        pub fn run_traced(&mut self, #pattern: impl FnMut(usize, &'static str, &[i8])) {
            #(#steps)*
        }
    }
}

fn self_test(plan: &Plan, ports: &Ports) -> TokenStream {
    let fills = ports.inputs.iter().enumerate().map(|(index, port)| {
        let (access, file) = (format_ident!("{}_mut", port.module), self_test_input(index));
        quote! {
            for (code, &byte) in self.#access().iter_mut().zip(include_bytes!(#file)) {
                *code = byte as i8;
            }
        }
    });
    let checks = ports.outputs.iter().enumerate().map(|(index, port)| {
        let (slice, file) = (port.spot.slice(), self_test_output(index));
        quote! {
            for (&code, &byte) in #slice.iter().zip(include_bytes!(#file)) {
                same &= code == byte as i8;
            }
        }
    });
    let run = if ports.outputs.len() == 1 { quote!(let _ = self.run();) } else { quote!(self.run();) };
    let run = match (&plan.pushed, &plan.slide) {
        (Some(_), _) => pushed::self_test_rows(),
        (None, Some(_)) => slide::self_test(),
        (None, None) => quote!(#(#fills)* #run),
    };
    quote! {
        /// Runs the embedded sample; whether all outputs are the expected bytes.
        #[cfg(feature = "self_test")]
        pub fn self_test(&mut self) -> bool {
            #run
            let mut same = true;
            #(#checks)*
            same
        }
    }
}

/// Real numbers in, real numbers out: for models with one input and one output.
fn infer(ports: &Ports) -> TokenStream {
    if ports.inputs.len() != 1 || ports.outputs.len() != 1 {
        return TokenStream::new();
    }
    quote! {
        /// Quantizes, runs, dequantizes.
        pub fn infer_f32(&mut self, values: &[f32; input::BYTES]) -> [f32; output::BYTES] {
            let mut result = [0.0; output::BYTES];
            input::quantize(values, self.input_mut());
            output::dequantize(self.run(), &mut result);
            result
        }
    }
}
