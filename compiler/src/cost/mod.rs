//! What a kernel call costs, before anything is built.
//!
//! In: a kernel with its parameters, and for which machine. Out: estimated
//! cycles, or instructions where a core's cycles are not known. Invariant: the estimate depends on nothing else, in integers alone,
//! so that choices which follow from it are the same on every machine.
//!
//! An estimate is a sum: what a kernel does, by `features`, times the cycles
//! of one of each. Those are fitted to counted runs, and generated: see
//! `coefficients.rs`. They hold for memory that never waits.

mod coefficients;
mod costs;
pub mod features;
mod features_lanes;

pub use costs::{Costs, Unit};

use features::{Features, features};

use crate::lower::{Kernel, KernelSet};

/// A row of the generated table: kind of work, core, thousandths of a cycle or instruction.
type Row = (&'static str, Costs, &'static [u64]);

/// Thousandths of a cycle for one of each feature, where nothing was fitted:
/// more than most kernels take, and enough to tell large from small.
const UNFITTED: u64 = 4_000;

/// Estimated cost of one call of a kernel, as choices for machines that run this set
/// best compare it: see [`Costs::behind`].
#[must_use]
pub fn call_cycles(kernel: &Kernel, kernels: KernelSet) -> u64 {
    cost_on(kernel, Costs::behind(kernels))
}

/// Estimated cost of one call on a core, in its unit.
#[must_use]
pub fn cost_on(kernel: &Kernel, costs: Costs) -> u64 {
    let Features { key, values } = features(kernel);
    // What was not fitted for one core is a little like another.
    let row = |wanted: Costs| coefficients::ROWS.iter().find(|(of, costs, _)| *of == key && *costs == wanted);
    let row = row(costs).or_else(|| row(Costs::M3)).or_else(|| row(Costs::M4));
    let thousandths: u64 = match row {
        Some((_, _, cycles)) => values.iter().zip(*cycles).map(|(value, cycles)| value * cycles).sum(),
        None => values.iter().sum::<u64>() * UNFITTED,
    };
    thousandths / 1000
}
