//! How much flash the emitted code takes, before anything is linked.
//!
//! In: a plan. Out: an estimate in bytes. Invariant: a kernel family counts once,
//! however many steps call it; nothing is linked or run.

use std::collections::BTreeSet;

use crate::plan::Plan;
use crate::plan::family::family;

/// What a kernel family takes in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CodeSize {
    /// The module: `kernels/<family>.rs`.
    family: &'static str,
    /// Bytes of the kernel, once.
    kernel_bytes: u64,
    /// Bytes of one call: the loop over rows and the parameters.
    call_bytes: u64,
}

/// Measured by `scripts/measure-code.py`, which prints these rows: .text and
/// .rodata for thumbv7em-none-eabihf in release (opt-level 3, link-time
/// optimisation), rustc 1.95.0, by linking firmware with no, two and four calls.
///
/// Other instruction sets, other optimisation levels and what the firmware
/// around the model shares with it make the real size differ: it is an estimate.
const TABLE: &[CodeSize] = &[
    CodeSize { family: "conv2d", kernel_bytes: 5918, call_bytes: 453 },
    CodeSize { family: "depthwise", kernel_bytes: 7772, call_bytes: 453 },
    CodeSize { family: "max_pool", kernel_bytes: 1228, call_bytes: 405 },
    CodeSize { family: "avg_pool", kernel_bytes: 2384, call_bytes: 503 },
    CodeSize { family: "dense", kernel_bytes: 1562, call_bytes: 46 },
    CodeSize { family: "add", kernel_bytes: 4206, call_bytes: 709 },
    CodeSize { family: "mul", kernel_bytes: 4416, call_bytes: 705 },
    CodeSize { family: "lut", kernel_bytes: 66, call_bytes: 28 },
    CodeSize { family: "softmax", kernel_bytes: 210, call_bytes: 206 },
    CodeSize { family: "copy", kernel_bytes: 3566, call_bytes: 104 },
];

/// Estimated bytes of code and kernel parameters in flash: each kernel family
/// that the plan calls once, and each call. Weights are not counted.
#[must_use]
pub fn estimate_bytes(plan: &Plan) -> u64 {
    estimate(plan.steps.iter().flat_map(|step| step.work.calls()).map(|call| family(&call.kernel).name))
}

/// The estimate for calls of these families, one name a call.
fn estimate<'a>(calls: impl Iterator<Item = &'a str>) -> u64 {
    let mut linked = BTreeSet::new();
    let mut bytes = 0;
    for name in calls {
        let size = TABLE.iter().find(|size| size.family == name);
        let size = size.unwrap_or_else(|| largest());
        bytes += size.call_bytes;
        if linked.insert(name) {
            bytes += size.kernel_bytes;
        }
    }
    bytes
}

/// The row that stands in for a family that nobody measured: too much rather
/// than too little.
fn largest() -> &'static CodeSize {
    TABLE.iter().max_by_key(|size| size.kernel_bytes).unwrap_or(&TABLE[0])
}

#[cfg(test)]
mod tests {
    use super::estimate;

    #[test]
    fn a_family_is_linked_once_and_every_call_counts() {
        assert_eq!(estimate(["conv2d"].into_iter()), 5918 + 453);
        assert_eq!(estimate(["conv2d", "dense", "conv2d"].into_iter()), 5918 + 2 * 453 + 1562 + 46);
        assert_eq!(estimate([].into_iter()), 0);
    }
}
