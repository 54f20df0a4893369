//! Several models for one firmware, planned together.
//!
//! In: compiled models, each planned as if it had the chip to itself. Out: the same with
//! plans that fit the flash together, or [`SeveralError`], which names the model that
//! does not. Invariants: models never run at once, so that RAM is the greatest arena and
//! flash the sum; the rule depends on the order of the models and on nothing else.
//!
//! The rule: where the plans fit together, each model keeps its own, which is the best
//! that it could have alone. Else the models are planned again in order, each with the
//! flash that the ones before it left, less the least that the ones behind it need. At
//! last, a model that was planned for little RAM (`min`, `balanced`) takes the fastest
//! plan within the greatest arena, which is there anyway.

use std::fmt::Write;

use crate::compile::{CompileOptions, Compiled};
use crate::plan::choose::{Limits, Opt};
use crate::plan::strategy::{self, Chosen, Strategy};
use crate::plan::{Plan, PlanError};
use crate::report::memory::{self, OverBudget};
use crate::report::{Budgets, Footprint};
use crate::target::Target;
use crate::target::units::format_bytes;

/// A model of a firmware with several.
#[derive(Debug, Clone)]
pub struct Member {
    /// What it is called: the name of its module.
    pub name: String,
    /// What was asked for.
    pub options: CompileOptions,
    /// The model.
    pub compiled: Compiled,
}

/// Why models do not go together.
#[derive(Debug, thiserror::Error)]
pub enum SeveralError {
    /// A model that does not even fit alone.
    #[error("'{name}': {source}")]
    Alone {
        /// The model.
        name: String,
        /// What is too large.
        source: OverBudget,
    },
    /// Models that fit alone, but not together.
    #[error("{message}")]
    Together {
        /// Of the models in order, the first with which they are too large.
        name: String,
        /// All of it, with that name.
        message: String,
    },
    /// Planning a model again.
    #[error("'{name}': {source}")]
    Plan {
        /// The model.
        name: String,
        /// Why it cannot be planned.
        source: PlanError,
    },
}

/// Chooses plans that fit a target together.
///
/// # Errors
/// [`SeveralError`]; the plans may then be any.
pub fn fit(members: &mut [Member], target: &Target, budgets: &Budgets) -> Result<(), SeveralError> {
    for Member { name, compiled, .. } in &*members {
        let need = Footprint::of_chosen(compiled);
        memory::check(&need, target, budgets, Target::builtin())
            .map_err(|source| SeveralError::Alone { name: name.clone(), source })?;
    }
    let limits = budgets.limits(target);
    let within = |bytes: u64| limits.flash_bytes.is_none_or(|most| bytes <= most);
    if !within(flash_bytes(&plans(members))) {
        share_flash(members, limits)?;
    }
    if !within(flash_bytes(&plans(members))) {
        return Err(too_large(members, target, budgets));
    }
    fill_arena(members, limits)?;
    unroll_again(members, limits);
    Ok(())
}

/// Unrolls layers of the plans that were taken since, in what is left of the flash.
fn unroll_again(members: &mut [Member], limits: Limits) {
    for index in 0..members.len() {
        if members[index].compiled.unrolls.is_empty() {
            let used = flash_bytes(&plans(members));
            let left = limits.flash_bytes.map(|most| most.saturating_sub(used));
            let Member { compiled, options, .. } = &mut members[index];
            compiled.unroll(options, left);
        }
    }
}

/// The plans of the models, in order.
#[must_use]
pub fn plans(members: &[Member]) -> Vec<&Plan> {
    members.iter().map(|member| &member.compiled.plan).collect()
}

fn flash_bytes(plans: &[&Plan]) -> u64 {
    Footprint::together(plans).flash_bytes()
}

/// What a plan and others need of flash.
fn flash_beside(others: &[&Plan], plan: &Plan) -> u64 {
    flash_bytes(&[others, &[plan]].concat())
}

/// A plan of a model, measured together with those of the others.
fn planned(member: &Member, asked: strategy::Asked, others: &[&Plan]) -> Result<Chosen, SeveralError> {
    strategy::choose(&member.compiled.module, asked, &|plan| flash_beside(others, plan))
        .map_err(|source| SeveralError::Plan { name: member.name.clone(), source })
}

/// Plans the models in order, each with the flash that the others leave.
fn share_flash(members: &mut [Member], limits: Limits) -> Result<(), SeveralError> {
    // The least beside the others: code that they have anyway costs nothing more.
    let mut least: Vec<Chosen> = Vec::new();
    for (index, member) in members.iter().enumerate() {
        let behind = members[index + 1..].iter().map(|member| &member.compiled.plan);
        let others: Vec<&Plan> = least.iter().map(|chosen| &chosen.plan).chain(behind).collect();
        let asked = strategy::Asked { opt: Opt::Size, ..member.options.asked() };
        let chosen = planned(member, asked, &others)?;
        least.push(chosen);
    }
    for (index, smallest) in least.iter().enumerate() {
        let before = members[..index].iter().map(|member| &member.compiled.plan);
        let others: Vec<&Plan> = before.chain(least[index + 1..].iter().map(|c| &c.plan)).collect();
        let fastest = planned(&members[index], members[index].options.asked(), &others)?;
        // Where nothing fits, the least of all is what the error should speak of.
        let fits = limits.flash_bytes.is_none_or(|most| flash_beside(&others, &fastest.plan) <= most);
        let chosen = if fits { fastest } else { smallest.clone() };
        members[index].compiled.take(chosen);
    }
    Ok(())
}

/// Gives models that were planned for little RAM what the greatest arena has for them.
fn fill_arena(members: &mut [Member], limits: Limits) -> Result<(), SeveralError> {
    let greatest = plans(members).iter().map(|plan| plan.arena_bytes).max().unwrap_or(0);
    for index in 0..members.len() {
        let member = &members[index];
        let frugal = matches!(member.options.strategy, Strategy::Min | Strategy::Balanced);
        if !frugal || member.compiled.plan.arena_bytes == greatest {
            continue;
        }
        let asked = member.options.asked();
        let ram_bytes = Some(greatest as u64);
        let asked = strategy::Asked {
            strategy: Strategy::Auto,
            limits: Limits { ram_bytes, ..asked.limits },
            ..asked
        };
        let others = members.iter().enumerate().filter(|(other, _)| *other != index);
        let others: Vec<&Plan> = others.map(|(_, member)| &member.compiled.plan).collect();
        let chosen = planned(member, asked, &others)?;
        let fits = limits.flash_bytes.is_none_or(|most| flash_beside(&others, &chosen.plan) <= most);
        if fits && chosen.plan.arena_bytes <= greatest {
            members[index].compiled.take(chosen);
        }
    }
    Ok(())
}

/// Says with which model the flash is full, and what would do.
fn too_large(members: &[Member], target: &Target, budgets: &Budgets) -> SeveralError {
    let all = plans(members);
    let need = Footprint::together(&all);
    let limit = memory::flash(&need, target, budgets);
    let overflows = |count: &usize| flash_bytes(&all[..*count]) > limit.limit_bytes;
    let count = (1..=all.len()).find(overflows).unwrap_or(all.len());
    let name = members.get(count - 1).map(|member| member.name.clone()).unwrap_or_default();
    let each: Vec<String> = members
        .iter()
        .map(|m| format!("{} {}", m.name, format_bytes(m.compiled.plan.weights.len() as u64)))
        .collect();
    let mut message = format!(
        "the models do not fit {} together: '{name}' does not fit behind those before it\n  flash: {} (weights and tables {}: {}; code about {}), {} offers {}",
        target.name,
        format_bytes(need.flash_bytes()),
        format_bytes(need.weights_bytes + need.tables_bytes),
        each.join(", "),
        format_bytes(need.code_bytes),
        target.name,
        budgets.flash.describe(limit.total_bytes)
    );
    let advice = match memory::smallest_that_fits(&need, budgets, Target::builtin()) {
        Some(other) => format!("they would fit --target {}", other.name),
        None => "no target that tinyc knows would fit them within these budgets".to_owned(),
    };
    let raise = match limit.needed_bytes <= limit.total_bytes {
        true => "raise --budget-flash, or ",
        false => "",
    };
    let _ = write!(message, "\n{advice}; else {raise}make a model smaller. Nothing was written.");
    SeveralError::Together { name, message }
}
