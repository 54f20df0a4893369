//! Does it fit? Flash and RAM of a plan against a target's budget.
//!
//! In: what a plan needs, a [`Target`], [`Budgets`]. Out: [`MemoryUse`] of flash
//! and RAM, or [`OverBudget`], which names the step at the peak, the limit and a
//! target that would do. Invariant: sizes are compared as whole bytes; the arena
//! is compared with the one RAM region in which it must lie.

use std::fmt::Write;

use serde::Serialize;

use super::{code_size, traffic};
use crate::codegen::Placement;
use crate::compile::Compiled;
use crate::plan::choose::Limits;
use crate::plan::regions::{Regions, Room, Spread};
use crate::plan::{Part, Plan};
use crate::target::units::format_bytes;
use crate::target::{Budget, Dma, RamRegion, Target};

/// What a plan needs of a chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// Weights and biases of all calls, with what fills them up.
    pub weights_bytes: u64,
    /// Multipliers, shifts and tables of all calls.
    pub tables_bytes: u64,
    /// Estimated code, see [`code_size::estimate_bytes`].
    pub code_bytes: u64,
    /// The arena.
    pub arena_bytes: u64,
    /// The smallest arena that was found for the model, this one included.
    pub smallest_bytes: u64,
    /// The layer at which the arena is fullest; `None` where that is before the
    /// first or after the last layer.
    pub peak_step: Option<String>,
    /// Of an arena that is divided, the region of each part and its bytes.
    pub parts: Vec<(String, u64)>,
    /// Why the arena cannot be divided over the regions; `None` where that was not tried.
    pub undivided: Option<String>,
}

impl Footprint {
    /// The footprint of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            weights_bytes: (plan.weights.len() - plan.table_bytes) as u64,
            tables_bytes: plan.table_bytes as u64,
            code_bytes: code_size::estimate_bytes(plan),
            arena_bytes: plan.arena_bytes as u64,
            smallest_bytes: plan.arena_bytes as u64,
            peak_step: plan.peak_step.map(|id| plan.steps[id.index()].name.clone()),
            parts: plan.parts.iter().map(|part| (part.region.clone(), part.bytes as u64)).collect(),
            undivided: None,
        }
    }

    /// The footprint of a plan that was chosen from several.
    #[must_use]
    pub fn of_chosen(compiled: &Compiled) -> Self {
        let need = Self::of(&compiled.plan);
        let least = compiled.curve.iter().map(|point| point.arena_bytes as u64).min();
        Self {
            smallest_bytes: need.smallest_bytes.min(least.unwrap_or(u64::MAX)),
            undivided: compiled.undivided.as_ref().map(ToString::to_string),
            ..need
        }
    }

    /// The footprint of several plans in one firmware, never two of which run at once:
    /// the sum of their constants, the code that they share, the greatest arena.
    #[must_use]
    pub fn together(plans: &[&Plan]) -> Self {
        let greatest = plans.iter().rev().max_by_key(|plan| plan.arena_bytes);
        let alone = greatest.map(|plan| Self::of(plan));
        Self {
            weights_bytes: plans.iter().map(|plan| (plan.weights.len() - plan.table_bytes) as u64).sum(),
            tables_bytes: plans.iter().map(|plan| plan.table_bytes as u64).sum(),
            code_bytes: code_size::estimate_together(plans),
            arena_bytes: alone.as_ref().map_or(0, |need| need.arena_bytes),
            smallest_bytes: alone.as_ref().map_or(0, |need| need.smallest_bytes),
            peak_step: alone.and_then(|need| need.peak_step),
            parts: Vec::new(),
            undivided: None,
        }
    }

    /// Weights, tables and code.
    #[must_use]
    pub fn flash_bytes(&self) -> u64 {
        self.weights_bytes + self.tables_bytes + self.code_bytes
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

impl Budgets {
    /// What they leave of a target's memories, as planning takes it.
    #[must_use]
    pub fn limits(&self, target: &Target) -> Limits {
        Limits {
            flash_bytes: Some(self.flash.limit_bytes(target.flash_bytes())),
            ram_bytes: Some(self.ram.limit_bytes(target.arena_bytes())),
        }
    }
}

impl Budgets {
    /// The RAM regions of a target over which an arena may be divided: each may be used to the budget's
    /// share of it; of a budget in bytes, all together may use so many.
    #[must_use]
    pub fn regions(&self, target: &Target, spread: Spread) -> Regions {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let room = |region: &&RamRegion| Room {
            region: region.name.clone(),
            limit_bytes: bytes(self.ram.limit_bytes(region.length_bytes)),
        };
        let regions = target.arena_regions();
        let total = regions.iter().map(|region| region.length_bytes).sum();
        Regions {
            spread,
            rooms: regions.iter().map(room).collect(),
            total_bytes: bytes(self.ram.limit_bytes(total)),
        }
    }
}

/// The RAM region for an arena.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegionRow {
    /// Its name in the target's file.
    pub name: String,
    /// Its first address.
    pub origin: u64,
    /// Its bytes.
    pub length_bytes: u64,
    /// Which DMA controllers reach it; null where that is not known.
    pub dma: Option<Dma>,
    /// Whether statics lie elsewhere, so that the linker must be told.
    pub to_be_placed: bool,
}

impl RegionRow {
    /// The region for an arena.
    #[must_use]
    pub fn of(arena_bytes: u64, target: &Target, budgets: &Budgets) -> Self {
        Self::row(place(arena_bytes, target, budgets), target)
    }

    /// The row of a region.
    fn row(region: &RamRegion, target: &Target) -> Self {
        Self {
            name: region.name.clone(),
            origin: region.origin,
            length_bytes: region.length_bytes,
            dma: region.dma,
            to_be_placed: region.name != target.arena_region,
        }
    }

    /// Who does not reach it, as the end of a sentence.
    fn dma_text(&self) -> &'static str {
        match self.dma {
            Some(Dma::All) => "",
            Some(Dma::Some) => ", which not every DMA reaches",
            Some(Dma::None) => ", which no DMA reaches",
            None => ", of which it is not known whether DMA reaches it",
        }
    }

    /// What the user has to do; `None` where nothing.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let dma = self.dma_text();
        self.to_be_placed.then(|| {
            format!(
                "{} at {:#010x} is the fastest in which the arena fits{dma}: README.md says how to place it",
                self.name, self.origin
            )
        })
    }
}

/// A part of an arena that is divided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartRow {
    /// Its bytes.
    pub bytes: u64,
    /// What the budget leaves of its region.
    pub limit_bytes: u64,
    /// Of the activation bytes that one inference reads and writes, those in it.
    pub activation_bytes: u64,
    /// The region.
    #[serde(flatten)]
    pub region: RegionRow,
}

impl PartRow {
    /// The parts of a plan; none where its arena is one buffer.
    #[must_use]
    pub fn all(plan: &Plan, target: &Target) -> Vec<Self> {
        let row = |(part, activation_bytes): (&Part, u64)| {
            let region = RegionRow::row(target.ram_region(&part.region)?, target);
            let (bytes, limit_bytes) = (part.bytes as u64, part.limit_bytes as u64);
            Some(Self { bytes, limit_bytes, activation_bytes, region })
        };
        plan.parts.iter().zip(traffic::by_part(plan)).filter_map(row).collect()
    }

    /// All of them in words: "dtcm 52,416 B of 52,428 B, with 70 % of the traffic + sram 90,000 B
    /// of 209,715 B".
    #[must_use]
    pub fn text(rows: &[Self]) -> String {
        let all: u64 = rows.iter().map(|row| row.activation_bytes).sum();
        let of = |row: &Self| {
            let (bytes, limit) = (format_bytes(row.bytes), format_bytes(row.limit_bytes));
            let (dma, percent) = (row.region.dma_text(), (100 * row.activation_bytes + all / 2) / all.max(1));
            format!("{} {bytes} of {limit} with {percent} % of the traffic{dma}", row.region.name)
        };
        let parts: Vec<String> = rows.iter().map(of).collect();
        format!("{}: README.md says how to place each", parts.join(" + "))
    }
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

/// RAM of a target: the arena against the budget, of one that is divided all its regions together. The stack is not in it: its
/// depth is not known before linking, and the part of the RAM that the budget
/// leaves is there for it.
#[must_use]
pub fn ram(need: &Footprint, target: &Target, budgets: &Budgets) -> MemoryUse {
    let parts: Vec<&RamRegion> = need.parts.iter().filter_map(|(name, _)| target.ram_region(name)).collect();
    if need.parts.is_empty() || parts.len() < need.parts.len() {
        return MemoryUse::new(
            need.arena_bytes,
            budgets.ram,
            place(need.arena_bytes, target, budgets).length_bytes,
        );
    }
    let total = parts.iter().map(|region| region.length_bytes).sum();
    let needed = need.parts.iter().map(|(_, bytes)| bytes).sum();
    MemoryUse::new(needed, budgets.ram, total)
}

/// The RAM region for an arena: the fastest in which it is within the budget, else the
/// largest that it may lie in.
#[must_use]
pub fn place<'a>(arena_bytes: u64, target: &'a Target, budgets: &Budgets) -> &'a RamRegion {
    let has_room = |region: &&RamRegion| arena_bytes <= budgets.ram.limit_bytes(region.length_bytes);
    let regions = target.arena_regions();
    let largest = || regions.iter().copied().find(|region| region.name == target.arena_region);
    // A target was checked to have that region.
    regions.iter().copied().find(has_room).or_else(largest).unwrap_or(&target.ram[0])
}

/// The same for the emitted crate, where the region is not the usual one, so that the
/// user must tell the linker.
#[must_use]
pub fn placement(arena_bytes: u64, target: &Target, budgets: &Budgets) -> Option<Placement> {
    let region = place(arena_bytes, target, budgets);
    (region.name != target.arena_region).then(|| placed(region, target))
}

/// The regions of the parts of an arena that is divided, for the emitted crate; none where it
/// is one buffer.
#[must_use]
pub fn placements(plan: &Plan, target: &Target) -> Vec<Placement> {
    let regions = plan.parts.iter().filter_map(|part| target.ram_region(&part.region));
    regions.map(|region| placed(region, target)).collect()
}

fn placed(region: &RamRegion, target: &Target) -> Placement {
    Placement {
        region: region.name.clone(),
        instead_of: target.arena_region.clone(),
        origin: region.origin,
        length_bytes: region.length_bytes,
        dma: region.dma,
        description: region.description.clone(),
    }
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
        let peak = match &need.peak_step {
            Some(step) => format!(": peak at {step}"),
            None => ": peak at its inputs or outputs".to_owned(),
        };
        let _ = write!(
            message,
            "\n  RAM: arena {}, {} offers {}{peak}",
            format_bytes(need.arena_bytes),
            target.name,
            budgets.ram.describe(ram_use.total_bytes)
        );
        let _ = write!(message, "\n  {}\n  {}", smallest(need, &ram_use), regions(target));
        if let Some(reason) = &need.undivided {
            let _ = write!(message, "\n  {}: {reason}", divided(target, budgets));
        }
    }
    if !flash_use.fits() {
        let _ = write!(
            message,
            "\n  flash: {} (weights {}, tables {}, code about {}), {} offers {}",
            format_bytes(flash_use.needed_bytes),
            format_bytes(need.weights_bytes),
            format_bytes(need.tables_bytes),
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

/// What the least RAM is that any plan of the model needs.
fn smallest(need: &Footprint, ram: &MemoryUse) -> String {
    let least = format_bytes(need.smallest_bytes);
    if need.smallest_bytes <= ram.limit_bytes {
        format!("a plan with an arena of {least} fits: leave --ram-strategy out")
    } else {
        format!("the smallest arena found, row by row and with whole tensors, is {least}")
    }
}

/// The RAM regions of a target, that of the arena marked.
fn regions(target: &Target) -> String {
    let of = |region: &RamRegion| {
        let arena = if region.name == target.arena_region { " (for the arena)" } else { "" };
        format!("{} {}{arena}", region.name, format_bytes(region.length_bytes))
    };
    let list: Vec<String> = target.ram.iter().map(of).collect();
    format!("RAM regions of {}: {}", target.name, list.join(", "))
}

/// Over what the arena could have been divided.
fn divided(target: &Target, budgets: &Budgets) -> String {
    let of = |region: &&RamRegion| {
        format!("{} {}", region.name, format_bytes(budgets.ram.limit_bytes(region.length_bytes)))
    };
    let rooms: Vec<String> = target.arena_regions().iter().map(of).collect();
    format!("divided over {} it does not fit either", rooms.join(" + "))
}

/// The target with the least RAM, then the least flash, that fits. Targets
/// without a clock are no chips and do not count.
pub(crate) fn smallest_that_fits<'a>(
    need: &Footprint,
    budgets: &Budgets,
    targets: &'a [Target],
) -> Option<&'a Target> {
    targets
        .iter()
        .filter(|t| t.clock_hz.is_some())
        .filter(|t| flash(need, t, budgets).fits() && ram(need, t, budgets).fits())
        .min_by_key(|t| (t.arena_bytes(), t.flash_bytes(), t.name.clone()))
}
