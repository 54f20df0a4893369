//! Does it fit? Flash and RAM of a plan against a target's budget.
//!
//! In: what a plan needs, a [`Target`], [`Budgets`]. Out: [`MemoryUse`] of flash
//! and RAM, or [`OverBudget`], which names the step at the peak, the limit and a
//! target that would do. Invariant: sizes are compared as whole bytes; the arena
//! is compared with the one RAM region in which it must lie.

use std::fmt::Write;

use serde::Serialize;

use super::code_size;
use crate::plan::Plan;
use crate::target::units::format_bytes;
use crate::target::{Budget, Target};

/// What a plan needs of a chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// The constants of all calls.
    pub weights_bytes: u64,
    /// Estimated code, see [`code_size::estimate_bytes`].
    pub code_bytes: u64,
    /// The arena.
    pub arena_bytes: u64,
    /// The layer at which the arena is fullest; `None` where that is before the
    /// first or after the last layer.
    pub peak_step: Option<String>,
}

impl Footprint {
    /// The footprint of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            weights_bytes: plan.weights.len() as u64,
            code_bytes: code_size::estimate_bytes(plan),
            arena_bytes: plan.arena_bytes as u64,
            peak_step: plan.peak_step.map(|id| plan.steps[id.index()].name.clone()),
        }
    }

    /// Weights and code.
    #[must_use]
    pub fn flash_bytes(&self) -> u64 {
        self.weights_bytes + self.code_bytes
    }
}

/// The shares of flash and RAM that the model may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budgets {
    /// Of the target's flash.
    pub flash: Budget,
    /// Of the RAM region in which the arena lies.
    pub ram: Budget,
}

/// One memory: what is needed, what may be used, what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    /// Bytes that the model needs.
    pub needed_bytes: u64,
    /// Bytes that it may use: the budget's share of the total.
    pub limit_bytes: u64,
    /// Bytes that the chip has.
    pub total_bytes: u64,
    /// The budget as given: a share, or bytes.
    pub budget: Budget,
}

impl MemoryUse {
    fn new(needed_bytes: u64, budget: Budget, total_bytes: u64) -> Self {
        Self { needed_bytes, limit_bytes: budget.limit_bytes(total_bytes), total_bytes, budget }
    }

    /// Whether the need is within the limit.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.needed_bytes <= self.limit_bytes
    }
}

/// Flash of a target: weights and code against the budget.
#[must_use]
pub fn flash(need: &Footprint, target: &Target, budgets: &Budgets) -> MemoryUse {
    MemoryUse::new(need.flash_bytes(), budgets.flash, target.flash_bytes())
}

/// RAM of a target: the arena against the budget. The stack is not in it: its
/// depth is not known before linking, and the part of the RAM that the budget
/// leaves is there for it.
#[must_use]
pub fn ram(need: &Footprint, target: &Target, budgets: &Budgets) -> MemoryUse {
    MemoryUse::new(need.arena_bytes, budgets.ram, target.arena_bytes())
}

/// A model that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OverBudget {
    message: String,
}

/// Compares a plan's need with a target.
///
/// # Errors
/// [`OverBudget`] where flash or RAM is over its limit: one message for both,
/// with the smallest of `others` that would do.
pub fn check(
    need: &Footprint,
    target: &Target,
    budgets: &Budgets,
    others: &[Target],
) -> Result<(), OverBudget> {
    let (flash_use, ram_use) = (flash(need, target, budgets), ram(need, target, budgets));
    if flash_use.fits() && ram_use.fits() {
        return Ok(());
    }
    let mut message = format!("the model does not fit {}:", target.name);
    if !ram_use.fits() {
        let peak = need.peak_step.as_deref().map_or_else(String::new, |step| format!(": peak at {step}"));
        let _ = write!(
            message,
            "\n  RAM: arena {}, {} offers {}{peak}",
            format_bytes(need.arena_bytes),
            target.name,
            budgets.ram.describe(ram_use.total_bytes)
        );
    }
    if !flash_use.fits() {
        let _ = write!(
            message,
            "\n  flash: {} (weights {}, code about {}), {} offers {}",
            format_bytes(flash_use.needed_bytes),
            format_bytes(need.weights_bytes),
            format_bytes(need.code_bytes),
            target.name,
            budgets.flash.describe(flash_use.total_bytes)
        );
    }
    let options = match (flash_use.fits(), ram_use.fits()) {
        (true, _) => "--budget-ram",
        (_, true) => "--budget-flash",
        _ => "--budget-flash and --budget-ram",
    };
    let advice = match smallest_that_fits(need, budgets, others) {
        Some(other) => format!("it would fit --target {}", other.name),
        None => "no target that tinyc knows would fit it within these budgets".to_owned(),
    };
    let physical =
        flash_use.needed_bytes <= flash_use.total_bytes && ram_use.needed_bytes <= ram_use.total_bytes;
    let raise = if physical { format!("raise {options}, or ") } else { String::new() };
    let _ = write!(message, "\n{advice}; else {raise}make the model smaller. Nothing was written.");
    Err(OverBudget { message })
}

/// The target with the least RAM, then the least flash, that fits. Targets
/// without a clock are no chips and do not count.
fn smallest_that_fits<'a>(need: &Footprint, budgets: &Budgets, targets: &'a [Target]) -> Option<&'a Target> {
    targets
        .iter()
        .filter(|t| t.clock_hz.is_some())
        .filter(|t| flash(need, t, budgets).fits() && ram(need, t, budgets).fits())
        .min_by_key(|t| (t.arena_bytes(), t.flash_bytes(), t.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::{Budgets, Footprint, check, flash, ram};
    use crate::target::{Budget, Target};

    fn need(weights_bytes: u64, arena_bytes: u64) -> Footprint {
        Footprint { weights_bytes, code_bytes: 10_000, arena_bytes, peak_step: Some("conv_3".to_owned()) }
    }

    fn chip(name: &str) -> Target {
        Target::lookup(name).expect("a built-in target")
    }

    #[test]
    fn eighty_percent_is_the_limit_to_the_byte() {
        // 80 % of 131,072 is 104,857.6.
        let f411 = chip("stm32f411");
        let budgets = Budgets::default();
        assert!(check(&need(0, 104_857), &f411, &budgets, &[]).is_ok());
        assert!(check(&need(0, 104_858), &f411, &budgets, &[]).is_err());
        assert_eq!(ram(&need(0, 1), &f411, &budgets).limit_bytes, 104_857);
        assert_eq!(flash(&need(5, 1), &f411, &budgets).needed_bytes, 10_005);
    }

    #[test]
    fn the_error_names_step_limit_and_what_to_do() {
        let error = check(&need(0, 143_360), &chip("stm32f411"), &Budgets::default(), Target::builtin());
        let text = error.expect_err("over").to_string();
        assert!(
            text.contains("arena 143,360 B, stm32f411 offers 104,857 B (80 % of 131,072): peak at conv_3"),
            "{text}"
        );
        assert!(text.contains("it would fit --target "), "{text}");
        // More than the chip has: no budget can help.
        assert!(!text.contains("raise"), "{text}");
    }

    #[test]
    fn a_budget_that_can_be_raised_is_named() {
        let budgets = Budgets { flash: Budget::from_bytes(5_000).expect("bytes"), ram: Budget::default() };
        let error = check(&need(2_000, 10), &chip("stm32f411"), &budgets, Target::builtin());
        let text = error.expect_err("over").to_string();
        assert!(text.contains("flash: 12,000 B (weights 2,000 B, code about 10,000 B)"), "{text}");
        assert!(text.contains("raise --budget-flash,"), "{text}");
        // A budget in bytes is the same on every chip.
        assert!(text.contains("no target that tinyc knows"), "{text}");
    }

    #[test]
    fn the_suggested_target_fits_and_is_the_smallest() {
        let budgets = Budgets::default();
        let need = need(100_000, 143_360);
        let text =
            check(&need, &chip("stm32f411"), &budgets, Target::builtin()).expect_err("over").to_string();
        let name = text.split("--target ").nth(1).and_then(|t| t.split(';').next()).expect("a name");
        let suggested = chip(name);
        assert!(check(&need, &suggested, &budgets, &[]).is_ok());
        for other in Target::builtin().iter().filter(|t| t.clock_hz.is_some()) {
            let fits = check(&need, other, &budgets, &[]).is_ok();
            assert!(!fits || other.arena_bytes() >= suggested.arena_bytes(), "{} is smaller", other.name);
        }
    }
}
