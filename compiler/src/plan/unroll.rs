//! Which shapes of the tile kernel are unrolled.
//!
//! In: a plan, the bytes of code that unrolling may take. Out: [`Plan::unrolled`], and a
//! line for each layer that could be. Invariant: the shapes that are taken need no more
//! than the budget and what is left of the flash; unrolled bodies give the same bytes and
//! need the same arena, so that nothing else of the plan changes.
//!
//! A layer's shape is its words of two inputs and its channels; layers of one shape
//! share its body, whose code is charged once. What it saves is known to the cycle from
//! the two bodies in `arch/dsp_tile.rs` and `arch/dsp_unrolled.rs`. Shapes are taken by
//! cycles saved a byte, which is the best sum but for the last byte or so.

use std::collections::BTreeMap;
use std::str::FromStr;

use tinyc_runtime::kernels::conv_tile;

use super::choose::Opt;
use super::{Plan, PlannedCall, StepId};
use crate::cost::Costs;
use crate::lower::{Kernel, KernelSet};

/// Bytes of code that unrolling may take with [`Opt::Speed`], unless told otherwise.
pub const SPEED_BUDGET_BYTES: u64 = 12 * 1024;

/// The budget where none is given.
#[must_use]
pub const fn default_budget(opt: Opt) -> u64 {
    match opt {
        Opt::Speed => SPEED_BUDGET_BYTES,
        Opt::Balanced | Opt::Size => 0,
    }
}

/// Bytes of code that unrolling may take, as the command line has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeBytes(pub u64);

impl FromStr for CodeBytes {
    type Err = String;

    fn from_str(given: &str) -> Result<CodeBytes, String> {
        given.parse().map(CodeBytes).map_err(|_| format!("'{given}' is no number of bytes; use 8192 or 0"))
    }
}

/// The most words and channels that `arch/dsp_unrolled.rs` unrolls.
const MOST_WORDS: usize = 128;
const MOST_CHANNELS: usize = 1024;

/// A shape of layers whose inner loop may have a body of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Words of two inputs.
    pub words: usize,
    /// Output channels.
    pub channels: usize,
}

impl Shape {
    /// The shape of a call that can be unrolled.
    fn of(kernel: &Kernel) -> Option<(Shape, &conv_tile::Params)> {
        let Kernel::ConvTile(p) = kernel else { return None };
        let shape = Shape { words: p.words(), channels: p.out_c };
        let can = p.dual && !p.shifts;
        (can && shape.words <= MOST_WORDS && shape.channels <= MOST_CHANNELS).then_some((shape, p))
    }

    /// Bytes of its body, and of the branch to it.
    #[must_use]
    pub fn code_bytes(self) -> u64 {
        // Loads of 16 bits reach 124 bytes: 16 words of inputs, 14 of weights.
        let short = 4 * (self.words.min(16) + self.words.min(14));
        (FIXED_BYTES + 48 * self.words + 8 * self.words - short) as u64
    }

    /// Cycles that a block saves, on a Cortex-M4.
    fn saved_cycles_a_block(self) -> usize {
        // The body that serves all shapes goes through halves of 16 words.
        let halves = (self.words - 1).div_ceil(16);
        let ends = 4 + 2 * (halves / 2) + 7 * (halves.div_ceil(2) - 1);
        11 + ends - usize::from(!self.channels.is_multiple_of(4))
    }

    /// Cycles that a layer of this shape saves.
    fn saved_cycles(self, p: &conv_tile::Params) -> u64 {
        let blocks = (p.out_h * p.out_w).div_ceil(2) * p.out_c.div_ceil(4);
        (blocks * self.saved_cycles_a_block()) as u64
    }
}

/// What the estimates of a step's calls leave out: what the bodies unrolled for them save.
#[must_use]
pub fn saved_cost(plan: &Plan, calls: &[PlannedCall], costs: Costs) -> u64 {
    let shapes = calls.iter().filter_map(|call| Shape::of(&call.kernel));
    let saved: u64 = shapes
        .filter(|(shape, _)| plan.unrolled.contains(shape))
        .map(|(shape, p)| shape.saved_cycles(p))
        .sum();
    match costs {
        Costs::M4 => saved,
        // As counted, in dual-issue cycles as well as in instructions.
        _ => saved * 3 / 5,
    }
}

/// Everything of a body that is not its words.
const FIXED_BYTES: usize = 316;

/// A layer that can be unrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unroll {
    /// The layer.
    pub step: StepId,
    /// Its shape.
    pub shape: Shape,
    /// Cycles that it saves, or would.
    pub saved_cycles: u64,
    /// Why it is not; `None` where it is.
    pub refused: Option<Refused>,
}

/// Why a layer is not unrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its body saves less than a cycle a byte.
    Worth,
    /// Its body does not fit the budget with those that save more for their bytes.
    Budget,
    /// It does not fit the flash.
    Flash,
}

/// Unrolls the layers of a plan, within `budget` bytes of code and `flash_left`; `None`:
/// unknown, which counts as enough. A budget of 0 asks for nothing, and gets no lines.
pub fn unroll(plan: &mut Plan, kernels: KernelSet, budget: u64, flash_left: Option<u64>) -> Vec<Unroll> {
    if !kernels.has_tiles() || budget == 0 {
        return Vec::new();
    }
    let mut layers: Vec<Unroll> = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        for (shape, p) in step.work.calls().iter().filter_map(|call| Shape::of(&call.kernel)) {
            let saved_cycles = shape.saved_cycles(p);
            layers.push(Unroll { step: StepId(index as u32), shape, saved_cycles, refused: None });
        }
    }
    let mut shapes: BTreeMap<Shape, u64> = BTreeMap::new();
    for layer in &layers {
        *shapes.entry(layer.shape).or_default() += layer.saved_cycles;
    }
    let mut by_worth: Vec<(Shape, u64)> = shapes.into_iter().collect();
    by_worth.sort_by(|(a, saves_a), (b, saves_b)| {
        (saves_b * a.code_bytes()).cmp(&(saves_a * b.code_bytes())).then(a.cmp(b))
    });
    let (mut left, mut flash_left) = (budget, flash_left.unwrap_or(u64::MAX));
    let mut refused: BTreeMap<Shape, Refused> = BTreeMap::new();
    for (shape, saved_cycles) in by_worth {
        let bytes = shape.code_bytes();
        if saved_cycles < bytes {
            refused.insert(shape, Refused::Worth);
        } else if bytes > left {
            refused.insert(shape, Refused::Budget);
        } else if bytes > flash_left {
            refused.insert(shape, Refused::Flash);
        } else {
            left -= bytes;
            flash_left -= bytes;
            plan.unrolled.insert(shape);
        }
    }
    for layer in &mut layers {
        layer.refused = refused.get(&layer.shape).copied();
    }
    layers
}
