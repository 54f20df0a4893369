//! How much flash the emitted code takes, before anything is linked.
//!
//! In: a plan. Out: an estimate in bytes. Invariant: a kernel family counts once,
//! however many steps call it; nothing is linked or run.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Plan;
use crate::plan::family::family;
use crate::plan::unroll::Shape;

/// What a kernel family takes in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CodeSize {
    /// The module: `kernels/<family>.rs`.
    family: &'static str,
    /// Bytes of the kernel and its call where there is one call only, to which
    /// the optimiser then specialises the kernel.
    alone_bytes: u64,
    /// Bytes of the kernel, once, where there are several calls.
    kernel_bytes: u64,
    /// Bytes of one of several calls: the loop over rows and the parameters.
    call_bytes: u64,
}

/// Measured by `scripts/measure-code.py`, which prints these rows: .text and
/// .rodata for thumbv7em-none-eabihf in release (opt-level 3, link-time
/// optimisation), rustc 1.95.0, by linking firmware with no, one, two and four calls.
///
/// It is an estimate: linked firmware of seven networks took 0.45 to 1.5 times as
/// much. At opt-level "s" it takes about half, and what the rest of the
/// firmware shares with it is not deducted.
const TABLE: &[CodeSize] = &[
    CodeSize { family: "conv2d", alone_bytes: 4060, kernel_bytes: 5918, call_bytes: 453 },
    CodeSize { family: "depthwise", alone_bytes: 1310, kernel_bytes: 7678, call_bytes: 453 },
    CodeSize { family: "max_pool", alone_bytes: 2988, kernel_bytes: 2928, call_bytes: 405 },
    CodeSize { family: "avg_pool", alone_bytes: 2188, kernel_bytes: 4212, call_bytes: 507 },
    CodeSize { family: "dense", alone_bytes: 1930, kernel_bytes: 1562, call_bytes: 46 },
    CodeSize { family: "add", alone_bytes: 920, kernel_bytes: 504, call_bytes: 468 },
    CodeSize { family: "mul", alone_bytes: 312, kernel_bytes: 1224, call_bytes: 371 },
    CodeSize { family: "join", alone_bytes: 2328, kernel_bytes: 1982, call_bytes: 18 },
    CodeSize { family: "lut", alone_bytes: 326, kernel_bytes: 64, call_bytes: 29 },
    CodeSize { family: "softmax", alone_bytes: 744, kernel_bytes: 210, call_bytes: 206 },
    CodeSize { family: "copy", alone_bytes: 336, kernel_bytes: 3540, call_bytes: 104 },
];

/// Estimated bytes of code and kernel parameters in flash: each kernel family
/// that the plan calls, each call, and what is unrolled. Weights are not counted.
#[must_use]
pub fn estimate_bytes(plan: &Plan) -> u64 {
    estimate_together(&[plan])
}

/// The same for several plans in one firmware, which share the kernels.
#[must_use]
pub fn estimate_together(plans: &[&Plan]) -> u64 {
    let unrolled: BTreeSet<Shape> = plans.iter().flat_map(|plan| plan.unrolled.iter().copied()).collect();
    let unrolled: u64 = unrolled.into_iter().map(Shape::code_bytes).sum();
    let steps = plans.iter().flat_map(|plan| &plan.steps);
    unrolled + estimate(steps.flat_map(|step| step.work.calls()).map(|call| family(&call.kernel).name))
}

/// The estimate for calls of these families, one name a call.
fn estimate<'a>(calls: impl Iterator<Item = &'a str>) -> u64 {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for name in calls {
        *counts.entry(name).or_default() += 1;
    }
    let bytes = counts.iter().map(|(name, &calls)| {
        // A family that nobody measured counts as the largest: too much rather than too little.
        let size = TABLE.iter().find(|size| size.family == *name).unwrap_or(&LARGEST);
        if calls == 1 { size.alone_bytes } else { size.kernel_bytes + calls * size.call_bytes }
    });
    bytes.sum()
}

/// At least as large as every row.
const LARGEST: CodeSize = CodeSize { family: "", alone_bytes: 4060, kernel_bytes: 7678, call_bytes: 507 };

#[cfg(test)]
mod tests {
    use super::{LARGEST, TABLE, estimate};

    #[test]
    fn a_family_is_linked_once_and_every_call_counts() {
        assert_eq!(estimate(["conv2d"].into_iter()), 4060);
        assert_eq!(estimate(["conv2d", "dense", "conv2d"].into_iter()), 5918 + 2 * 453 + 1930);
        assert_eq!(estimate([].into_iter()), 0);
    }

    #[test]
    fn an_unmeasured_family_is_not_underestimated() {
        for row in TABLE {
            assert!(estimate(["new"].into_iter()) >= estimate([row.family].into_iter()), "{}", row.family);
            assert!(LARGEST.kernel_bytes >= row.kernel_bytes && LARGEST.call_bytes >= row.call_bytes);
        }
    }
}
