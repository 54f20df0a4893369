//! One function for each layer, documented for whoever has to debug it.
//!
//! In: the steps of a plan. Out: tokens of private functions. Invariant: a
//! function makes exactly the calls of its step; all offsets are constants that
//! are checked when the crate is built.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::CodegenError;
use super::Place;
use super::cascades;
use super::names::{affine, grouped, plain, snake};
use super::parts::{self, Spot};
use super::tokens::{docs, ident, number};
use crate::Module;
use crate::ir::ValueId;
use crate::lower::Kernel;
use crate::lower::sweep::RowOrder;
use crate::plan::{ArenaRange, Plan, PlannedCall, RowWork, Step, Work, family};

/// A step that runs, with the name of its function.
pub struct Layer<'a> {
    /// Position in the plan's steps.
    pub index: usize,
    /// The step.
    pub step: &'a Step,
    /// The function.
    pub function: String,
}

/// The steps that do something, in order.
pub fn layers(plan: &Plan) -> Vec<Layer<'_>> {
    let steps = plan.steps.iter().enumerate().filter(|(_, step)| !step.work.calls().is_empty());
    steps
        .map(|(index, step)| Layer { index, step, function: format!("layer_{index}_{}", snake(&step.name)) })
        .collect()
}

impl Layer<'_> {
    /// The step's work, where it runs row by row.
    pub fn rows(&self) -> Option<&RowWork> {
        match &self.step.work {
            Work::Rows(work) => Some(work),
            _ => None,
        }
    }

    /// The function.
    ///
    /// # Errors
    /// [`CodegenError::Bug`] where parameters do not print as Rust.
    pub fn function(&self, plan: &Plan, module: &Module) -> Result<TokenStream, CodegenError> {
        let lines = docs(&self.docs(plan, module));
        let view = parts::view_type(plan);
        let name = ident(&self.function);
        if let Work::Rows(work) = &self.step.work {
            let body = cascades::body(plan, work)?;
            return Ok(quote! {
                #lines
                #[inline(never)]
                fn #name(arena: #view, rows: (usize, usize)) { #body }
            });
        }
        let calls = self.step.work.calls();
        let mut calls: Vec<TokenStream> = calls.iter().map(|of| call(plan, of)).collect::<Result<_, _>>()?;
        if calls.len() > 1 {
            calls = calls.into_iter().map(|call| quote!({ #call })).collect();
        }
        Ok(quote! {
            #lines
            #[inline(never)]
            fn #name(arena: #view) {
                #(#calls)*
            }
        })
    }

    fn docs(&self, plan: &Plan, module: &Module) -> Vec<String> {
        let step = self.step;
        let mut head = format!("Layer {}: ONNX node `{}` ({})", self.index, plain(&step.name), step.onnx_op);
        for fused in &step.fused {
            head += &format!(" + `{}`", plain(fused));
        }
        let mut lines = vec![head + ".", String::new()];
        let graph = &module.graph;
        let kernels: Vec<&str> = step.work.calls().iter().map(|c| family::family(&c.kernel).name).collect();
        let operation = graph.node(step.node).op.name();
        lines.push(format!(
            "Operation {operation}, kernel {}, {} MACs, {} B of the arena needed.",
            kernels.join(" + "),
            grouped(step.macs),
            grouped(step.live_bytes as u64)
        ));
        lines.push(String::new());
        let rows = matches!(step.work, Work::Rows(_));
        let at = if rows { "rows within" } else { "at" };
        if let Work::Rows(work) = &step.work {
            lines.push(format!("By rows: up to {} of {} at a time.", work.units_per_step, work.units));
            lines.push(String::new());
        }
        let spot = |range: ArenaRange| Spot::of(plan, range).text();
        for (position, call) in step.work.calls().iter().enumerate() {
            for operand in &call.inputs {
                lines.push(format!(
                    "- in: {} {at} {}",
                    activation(module, operand.value),
                    spot(operand.range)
                ));
            }
            if call.consts.bytes > 0 {
                lines.push(format!("- constants of call {position}: weights {}", call.consts));
            }
            if call.scratch.bytes > 0 {
                lines.push(format!("- scratch of call {position}: {}", spot(call.scratch)));
            }
        }
        lines.push(format!("- out: {} {at} {}", activation(module, step.output), spot(step.output_range)));
        if !rows && step.work.calls().iter().any(PlannedCall::overlaps_operand) {
            lines.push(
                "  Rows of the input are overwritten once no later row of the output needs them.".into(),
            );
        }
        lines
    }
}

/// Name, shape and quantization of an activation.
fn activation(module: &Module, value: ValueId) -> String {
    let params = module.quant.activation(value);
    let clamp = match (params.lo, params.hi) {
        (i8::MIN, i8::MAX) => String::new(),
        (lo, hi) => format!(", codes {lo}..={hi}"),
    };
    format!(
        "`{}` `{}`, {}{clamp},",
        plain(&module.graph.value(value).name),
        module.graph.shape(value),
        affine(&params)
    )
}

/// A kernel call.
fn call(plan: &Plan, call: &PlannedCall) -> Result<TokenStream, CodegenError> {
    let family = family::family(&call.kernel);
    let kernel = ident(family.name);
    let text = format!("{}::{}", family.name, family::params_text(&call.kernel));
    let params = syn::parse_str::<syn::Expr>(&text).map_err(|e| CodegenError::Bug(format!("{text}: {e}")))?;
    let kind = ident(family::params_type(&call.kernel));
    let constants =
        unrolled_for(&call.kernel).or_else(|| family.kernel_h.map(number).map(|rows| quote!(::<#rows>)));
    let run = ident(match call.order {
        RowOrder::Forward => "run",
        RowOrder::Backward => "run_back",
    });
    let at = |range: ArenaRange| Spot::of(plan, range).view();
    let mut arguments: Vec<TokenStream> = Vec::new();
    let mut bindings: Vec<TokenStream> = Vec::new();
    let mut bind = |name: &str, value: TokenStream| {
        let name = ident(name);
        bindings.push(quote!(let #name = #value;));
        name
    };
    if family.consts {
        let (offset, bytes) = (number(call.consts.offset), number(call.consts.bytes));
        let name = bind("consts", quote!(WEIGHTS.consts::<#offset, #bytes>()));
        arguments.push(quote!(#name));
    }
    let operands = operand_names(call.inputs.len());
    for (name, operand) in operands.iter().zip(&call.inputs) {
        bind(&name.to_string(), at(operand.range));
    }
    arguments.extend(operand_arguments(&call.kernel, &operands));
    for (name, range) in [("output", call.output), ("scratch", call.scratch)] {
        let name = bind(name, at(range));
        arguments.push(quote!(#name));
    }
    Ok(quote! {
        const PARAMS: #kernel::#kind = #params;
        #(#bindings)*
        #kernel::#run #constants (&PARAMS, #(#arguments),*);
    })
}

/// What the operands of a call are bound to.
pub fn operand_names(count: usize) -> Vec<Ident> {
    match count {
        1 => vec![ident("input")],
        _ => ('a'..='z').take(count).map(|letter| ident(&letter.to_string())).collect(),
    }
}

/// The operands as a kernel takes them.
pub fn operand_arguments(kernel: &Kernel, names: &[Ident]) -> Vec<TokenStream> {
    match kernel {
        Kernel::Join(_) => vec![quote!([#(#names),*])],
        _ => names.iter().map(|name| quote!(#name)).collect(),
    }
}

/// The constant arguments of `run` and `run_rows` that name what a kernel is unrolled for.
pub fn unrolled_for(kernel: &Kernel) -> Option<TokenStream> {
    let Kernel::DepthwiseLines(p) = kernel else { return None };
    let ([lines, taps], stride) = p.form();
    let ([lines, taps, stride], down) = ([lines, taps, stride].map(number), p.down());
    Some(quote!(::<#lines, #taps, #stride, #down>))
}

/// The steps that run row by row.
pub fn row_works(plan: &Plan) -> impl Iterator<Item = &RowWork> {
    plan.steps.iter().filter_map(|step| match &step.work {
        Work::Rows(work) => Some(&**work),
        _ => None,
    })
}

/// The `use` lines that the functions need.
pub fn imports(plan: &Plan, place: Place) -> TokenStream {
    let (from, take_once) = match place {
        Place::Crate => (quote!(runtime), Some(quote!(TakeOnce))),
        Place::Module => (quote!(crate::runtime), None),
    };
    let calls = || plan.steps.iter().flat_map(|s| s.work.calls());
    let mut kernels: Vec<&str> = calls().map(|c| family::family(&c.kernel).name).collect();
    kernels.extend(row_works(plan).map(cascades::kernel_name));
    kernels.sort_unstable();
    kernels.dedup();
    if kernels.is_empty() {
        let views = (!plan.parts.is_empty()).then(|| quote!(ArenaView,));
        return quote!(
            use #from::view::{Arena, #views #take_once};
        );
    }
    let rounds = calls().any(|c| family::params_text(&c.kernel).contains("Out {"));
    let out = rounds.then(|| {
        quote!(
            use #from::requant::Out;
        )
    });
    let aligned = calls().any(|c| c.consts.bytes > 0).then(|| quote!(Aligned,));
    let kernels = kernels.into_iter().map(ident);
    let tables = (!plan.row_tables.is_empty()).then(|| {
        quote!(
            use #from::rows::RowTable;
        )
    });
    quote! {
        use #from::kernels::{#(#kernels),*};
        #out
        #tables
        use #from::view::{#aligned Arena, ArenaView, #take_once};
    }
}

/// The largest step: `(index, name)`, for the README.
pub fn peak(plan: &Plan) -> Option<(usize, &str)> {
    let step = plan.peak_step?;
    Some((step.index(), plan.steps[step.index()].name.as_str()))
}

/// What a step that runs nothing is; `None` for one that does.
pub fn nothing(step: &Step) -> Option<&'static str> {
    match (&step.work, step.shown.len()) {
        (Work::View, 0 | 1) => Some("none (a view)"),
        (Work::View, _) => Some("none (written in place)"),
        _ => None,
    }
}
