//! What a kernel call costs, before anything is built.
//!
//! In: a kernel with its parameters, and for which machine. Out: estimated
//! cycles. Invariant: the estimate depends on nothing else, in integers alone,
//! so that choices which follow from it are the same on every machine.
//!
//! An estimate is a sum: what a kernel does, by `features`, times the cycles
//! of one of each. Those are fitted to counted runs, and generated: see
//! `coefficients.rs`. They hold for memory that never waits.

mod coefficients;
pub mod features;

use features::{Features, features};

use crate::lower::{Kernel, KernelSet};
use crate::target::TimingTable;

/// A row of the generated table: kind of work, machine, thousandths of a cycle.
type Row = (&'static str, TimingTable, &'static [u64]);

/// Thousandths of a cycle for one of each feature, where nothing was fitted:
/// more than most kernels take, and enough to tell large from small.
const UNFITTED: u64 = 4_000;

/// Estimated cycles of one call of a kernel, on a machine that runs this set
/// best: a Cortex-M4 with its DSP instructions, or a core without them.
#[must_use]
pub fn call_cycles(kernel: &Kernel, kernels: KernelSet) -> u64 {
    let table = match kernels {
        KernelSet::General | KernelSet::Windows => TimingTable::M3,
        // Nobody publishes a table for vectors: what is not fitted counts by its parts.
        KernelSet::Tiles | KernelSet::Lanes => TimingTable::M4,
    };
    cycles_on(kernel, table)
}

/// Estimated cycles of one call on a core.
#[must_use]
pub fn cycles_on(kernel: &Kernel, table: TimingTable) -> u64 {
    let Features { key, values } = features(kernel);
    // What was not fitted for one core is a little like another.
    let row =
        |wanted: TimingTable| coefficients::ROWS.iter().find(|(of, table, _)| *of == key && *table == wanted);
    let row = row(table).or_else(|| row(TimingTable::M3)).or_else(|| row(TimingTable::M4));
    let thousandths: u64 = match row {
        Some((_, _, cycles)) => values.iter().zip(*cycles).map(|(value, cycles)| value * cycles).sum(),
        None => values.iter().sum::<u64>() * UNFITTED,
    };
    thousandths / 1000
}
