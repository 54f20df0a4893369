//! Which form each layer takes, where it has several.
//!
//! In: a quantized module, what is asked for, what the chip offers. Out: a plan, and
//! a line for each layer that had a choice. Invariant: a form that costs more than
//! the plain one is taken only where the finished plan fits flash and RAM with it;
//! where nothing more fits, all layers are plain.
//!
//! Speed is a multiple-choice knapsack: cycles to save, bytes of constants to pay.
//! Sums that nothing beats in both are kept layer by layer, which is exact while
//! they are few; then they are planned one after the other, the fastest first, until
//! one fits.

use std::fmt;
use std::str::FromStr;

use super::family::family;
use super::{Plan, PlanError, assemble, schedule, share};
use crate::Module;
use crate::cost::call_cycles;
use crate::ir::NodeId;
use crate::lower::{Kernel, KernelSet, Lowered};
use crate::ops;

/// What forms are chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Opt {
    /// The fewest cycles that the budgets allow.
    Speed,
    /// The fastest forms that cost no more constants than the plain weights; slower
    /// ones only where the flash is too small.
    #[default]
    Balanced,
    /// The fewest bytes of flash, code included.
    Size,
}

impl fmt::Display for Opt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Opt::Speed => "speed",
            Opt::Balanced => "balanced",
            Opt::Size => "size",
        })
    }
}

impl FromStr for Opt {
    type Err = String;

    fn from_str(given: &str) -> Result<Opt, String> {
        [Opt::Speed, Opt::Balanced, Opt::Size]
            .into_iter()
            .find(|opt| opt.to_string() == given)
            .ok_or_else(|| format!("'{given}' is no goal; use speed, balanced or size"))
    }
}

/// What a chip offers; `None` where nothing is known, which counts as enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of flash for constants and code.
    pub flash_bytes: Option<u64>,
    /// Bytes of RAM for the arena.
    pub ram_bytes: Option<u64>,
}

/// What a layer with a choice became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The node.
    pub node: NodeId,
    /// The kernel taken, see [`form_name`].
    pub taken: String,
    /// Estimated cycles less than the plain form; negative: more.
    pub saved_cycles: i64,
    /// Bytes of constants more than the plain form; negative: fewer.
    pub added_bytes: i64,
    /// Bytes of scratch more than the plain form.
    pub added_scratch_bytes: u64,
    /// Faster forms that were not taken, and why.
    pub passed_over: Vec<(String, Reason)>,
}

/// Why a faster form was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its constants do not fit the flash with what saves more for its bytes.
    Flash {
        /// Bytes of constants more than the form taken.
        bytes: u64,
    },
    /// The arena would not fit the RAM.
    Ram {
        /// The arena with this form alone, all other layers plain.
        arena_bytes: u64,
    },
    /// It was not asked for: it costs more than the plain weights, or than the smallest form.
    Goal,
}

/// The name of a kernel in a form, with what distinguishes its forms.
pub fn form_name(kernel: &Kernel) -> String {
    match kernel {
        Kernel::ConvWinograd(p) => format!("conv_winograd F({}x{})", p.tile_h, p.tile_w),
        _ => family(kernel).name.to_owned(),
    }
}

/// A form of a layer, by what it costs.
struct Form {
    lowered: Lowered,
    cycles: u64,
    bytes: u64,
    scratch_bytes: u64,
    /// Set where the form cannot be taken.
    refused: Option<Reason>,
}

impl Form {
    fn of(lowered: Lowered, kernels: KernelSet) -> Form {
        let calls = &lowered.calls;
        Form {
            cycles: calls.iter().map(|c| call_cycles(&c.kernel, kernels)).sum(),
            // As the blob of all constants counts them.
            bytes: calls.iter().map(|c| c.consts.len().next_multiple_of(16) as u64).sum(),
            scratch_bytes: calls.iter().map(|c| c.scratch_bytes as u64).max().unwrap_or(0),
            refused: None,
            lowered,
        }
    }

    fn name(&self) -> String {
        self.lowered.calls.first().map_or_else(|| "view".to_owned(), |call| form_name(&call.kernel))
    }
}

/// Cycles and bytes of the layers so far, with the form of each.
#[derive(Clone)]
struct Sum {
    cycles: u64,
    bytes: u64,
    forms: Vec<usize>,
}

/// A form must save this part of the plain form's cycles, or the next of its bytes:
/// less is within the error of the estimate, or not worth the code.
const LEAST_CYCLES: u64 = 20;
const LEAST_BYTES: u64 = 8;

/// With all goals but speed, a kernel that few layers take goes where others can do
/// their work for at most this part of all cycles more.
const SHARED_CYCLES: u64 = 1000;

/// Sums kept at most after a layer; beyond, the choice is near the best.
const MOST_SUMS: usize = 2048;

/// Plans that are tried at most before all layers are plain.
const MOST_PLANS: usize = 48;

/// A plan of whole tensors, and what it was made of.
#[derive(Debug, Clone)]
pub struct Formed {
    /// The plan.
    pub plan: Plan,
    /// The layers in the forms of the plan.
    pub steps: Vec<(NodeId, Lowered)>,
    /// The layers that had a choice.
    pub choices: Vec<Choice>,
    /// All layers in their plain forms.
    pub plain_steps: Vec<(NodeId, Lowered)>,
    /// The choices as they are where all layers are plain.
    pub plain_choices: Vec<Choice>,
}

/// Plans a module with the forms that suit the goal; `flash_bytes` says what a
/// finished plan needs of flash, code included.
///
/// # Errors
/// As [`super::plan`].
pub fn plan_chosen(
    module: &Module,
    kernels: KernelSet,
    opt: Opt,
    limits: Limits,
    flash_bytes: &dyn Fn(&Plan) -> u64,
) -> Result<(Plan, Vec<Choice>), PlanError> {
    formed(module, kernels, opt, limits, flash_bytes).map(|formed| (formed.plan, formed.choices))
}

/// The same, with what the plan was made of.
///
/// # Errors
/// As [`super::plan`].
pub fn formed(
    module: &Module,
    kernels: KernelSet,
    opt: Opt,
    limits: Limits,
    flash_bytes: &dyn Fn(&Plan) -> u64,
) -> Result<Formed, PlanError> {
    let graph = &module.graph;
    let mut layers: Vec<(NodeId, Vec<Form>)> = Vec::new();
    for id in schedule::schedule(graph) {
        let forms = ops::candidates(graph, &module.quant, id, kernels).map_err(|source| {
            PlanError::Lower { node: graph.node(id).name.clone(), op: graph.node(id).onnx_op.clone(), source }
        })?;
        let mut forms: Vec<Form> = forms.into_iter().map(|lowered| Form::of(lowered, kernels)).collect();
        let (cycles, bytes) = (forms[0].cycles, forms[0].bytes);
        let mut is_plain = true;
        forms.retain(|form| {
            std::mem::take(&mut is_plain)
                || form.cycles + cycles / LEAST_CYCLES <= cycles
                || form.bytes + bytes / LEAST_BYTES <= bytes
        });
        layers.push((id, forms));
    }
    let plain = vec![0; layers.len()];
    let plan_of = |layers: &[(NodeId, Vec<Form>)], forms: &[usize]| assemble(module, steps_of(layers, forms));
    let plain_plan = plan_of(&layers, &plain)?;
    let fits_ram = |plan: &Plan| limits.ram_bytes.is_none_or(|most| plan.arena_bytes as u64 <= most);
    let fits_flash = |plan: &Plan| limits.flash_bytes.is_none_or(|most| flash_bytes(plan) <= most);
    match opt {
        Opt::Balanced | Opt::Size => refuse(&mut layers, |form, plain| form.bytes > plain.bytes),
        Opt::Speed => {}
    }
    for layer in 0..layers.len() {
        for form in 1..layers[layer].1.len() {
            if layers[layer].1[form].refused.is_some() {
                continue;
            }
            let mut forms = plain.clone();
            forms[layer] = form;
            let plan = plan_of(&layers, &forms)?;
            // A model that is too large anyway may still become faster.
            if !fits_ram(&plan) && plan.arena_bytes > plain_plan.arena_bytes {
                let reason = Reason::Ram { arena_bytes: plan.arena_bytes as u64 };
                layers[layer].1[form].refused = Some(reason);
            }
        }
    }
    let mut sums = best_sums(&layers);
    if opt == Opt::Size {
        sums.reverse();
    }
    let mut best = (plain_plan, plain.clone());
    let plain_flash = flash_bytes(&best.0);
    // What has the fewest bytes of all is tried at last, so that a model fits if it can.
    let last = sums.iter().min_by_key(|sum| sum.bytes).cloned();
    let worth_planning = |sum: &Sum| limits.flash_bytes.is_none_or(|most| sum.bytes <= most);
    for sum in sums.into_iter().filter(worth_planning).take(MOST_PLANS).chain(last) {
        if sum.forms == best.1 && fits_flash(&best.0) {
            break;
        }
        let plan = plan_of(&layers, &sum.forms)?;
        // The code of another kernel must not cost more than its constants save.
        let small = opt != Opt::Size || flash_bytes(&plan) < plain_flash;
        if small && fits_flash(&plan) && (fits_ram(&plan) || plan.arena_bytes <= best.0.arena_bytes) {
            best = (plan, sum.forms);
            break;
        }
    }
    let mut plain = plain;
    if opt != Opt::Speed {
        let others = share::dense_as_convolutions(module, &steps_of(&layers, &best.1))?;
        let (mut forms, mut plain_forms) = (best.1.clone(), plain.clone());
        for (layer, lowered) in others {
            let all = &mut layers[layer].1;
            all.push(Form::of(lowered, kernels));
            (forms[layer], plain_forms[layer]) = (all.len() - 1, all.len() - 1);
        }
        let cycles = |forms: &[usize]| -> u64 {
            layers.iter().zip(forms).map(|((_, all), &form)| all[form].cycles).sum()
        };
        let plan = plan_of(&layers, &forms)?;
        let fast = cycles(&forms) <= cycles(&best.1) + cycles(&best.1) / SHARED_CYCLES;
        if fast && flash_bytes(&plan) < flash_bytes(&best.0) && plan.arena_bytes <= best.0.arena_bytes {
            (best, plain) = ((plan, forms), plain_forms);
        } else {
            for ((_, all), (old, new)) in layers.iter_mut().zip(best.1.iter().zip(forms)) {
                if *old != new {
                    all.pop();
                }
            }
        }
    }
    let choices = |taken: &[usize]| {
        layers.iter().zip(taken).filter_map(|((id, forms), &taken)| choice(*id, forms, taken, opt)).collect()
    };
    Ok(Formed {
        plan: best.0,
        steps: steps_of(&layers, &best.1),
        choices: choices(&best.1),
        plain_steps: steps_of(&layers, &plain),
        plain_choices: choices(&plain),
    })
}

/// The layers in some of their forms.
fn steps_of(layers: &[(NodeId, Vec<Form>)], forms: &[usize]) -> Vec<(NodeId, Lowered)> {
    layers.iter().zip(forms).map(|((id, all), &form)| (*id, all[form].lowered.clone())).collect()
}

/// Marks the forms that the goal rules out.
fn refuse(layers: &mut [(NodeId, Vec<Form>)], unwanted: impl Fn(&Form, &Form) -> bool) {
    for (_, forms) in layers {
        if let [plain, others @ ..] = forms.as_mut_slice() {
            for form in others.iter_mut().filter(|form| unwanted(form, plain)) {
                form.refused = Some(Reason::Goal);
            }
        }
    }
}

/// The sums over all layers that no other beats in both cycles and bytes, the
/// fastest first.
fn best_sums(layers: &[(NodeId, Vec<Form>)]) -> Vec<Sum> {
    let mut sums = vec![Sum { cycles: 0, bytes: 0, forms: Vec::new() }];
    for (_, forms) in layers {
        let mut longer: Vec<Sum> = Vec::new();
        for sum in &sums {
            for (index, form) in forms.iter().enumerate().filter(|(_, form)| form.refused.is_none()) {
                let mut with = sum.clone();
                with.cycles += form.cycles;
                with.bytes += form.bytes;
                with.forms.push(index);
                longer.push(with);
            }
        }
        longer.sort_by_key(|sum| (sum.cycles, sum.bytes));
        let mut fewest = u64::MAX;
        longer.retain(|sum| {
            let before = fewest;
            fewest = fewest.min(sum.bytes);
            sum.bytes < before
        });
        while longer.len() > MOST_SUMS {
            // Every other one, the ends kept.
            let last = longer.len() - 1;
            let mut index = 0;
            longer.retain(|_| {
                index += 1;
                (index - 1) % 2 == 0 || index - 1 == last
            });
        }
        sums = longer;
    }
    sums
}

/// The line of a layer that had a choice.
fn choice(node: NodeId, forms: &[Form], taken: usize, opt: Opt) -> Option<Choice> {
    let [plain, _, ..] = forms else { return None };
    let chosen = &forms[taken];
    let passed_over = forms
        .iter()
        .filter(|form| form.cycles < chosen.cycles)
        .map(|form| {
            let reason = match opt {
                Opt::Size => Reason::Goal,
                _ => Reason::Flash { bytes: form.bytes.saturating_sub(chosen.bytes) },
            };
            (form.name(), form.refused.unwrap_or(reason))
        })
        .collect();
    Some(Choice {
        node,
        taken: chosen.name(),
        saved_cycles: plain.cycles as i64 - chosen.cycles as i64,
        added_bytes: chosen.bytes as i64 - plain.bytes as i64,
        added_scratch_bytes: chosen.scratch_bytes.saturating_sub(plain.scratch_bytes),
        passed_over,
    })
}
