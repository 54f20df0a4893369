//! How much flash the emitted code takes, before anything is linked.
//!
//! In: a plan. Out: an estimate in bytes. Invariant: a kernel family, and each of its
//! parts, counts once, however many steps need it; nothing is linked or run.

use std::collections::{BTreeMap, BTreeSet};

use crate::lower::Kernel;
use crate::plan::family::family;
use crate::plan::unroll::Shape;
use crate::plan::{Plan, RowTable, Step, Work};

/// What a kernel family takes in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CodeSize {
    /// The module, `kernels/<family>.rs`, and where calls differ much, which of them.
    family: &'static str,
    /// Bytes of the kernel and its call where there is one call only, to which
    /// the optimiser then specialises the kernel.
    alone_bytes: i64,
    /// Bytes of the kernel, once, where there are several calls; below 0 where each call
    /// has a kernel of its own and the first one is small.
    kernel_bytes: i64,
    /// Bytes of one of several calls: a layer's function and its parameters.
    call_bytes: i64,
}

/// What a family takes more where some call needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    family: &'static str,
    part: &'static str,
    bytes: i64,
}

/// Measured by `scripts/measure-code.py`, which prints these rows: .text and
/// .rodata in release (opt-level 3, link-time optimisation), rustc 1.95.0, by linking
/// firmware with no, one, two and four calls, for thumbv7em-none-eabihf with its kernels,
/// `*_window` for thumbv7m-none-eabi with its own.
///
/// It is an estimate: the firmware of MLPerf Tiny's models on a Cortex-M4 takes a tenth
/// more or less. At opt-level "s" it takes about half, and what the rest of the
/// firmware shares with it is not deducted.
const TABLE: &[CodeSize] = &[
    CodeSize { family: "conv2d", alone_bytes: 3396, kernel_bytes: -3602, call_bytes: 4862 },
    CodeSize { family: "depthwise", alone_bytes: 1134, kernel_bytes: 7920, call_bytes: 482 },
    CodeSize { family: "conv_tile", alone_bytes: 4620, kernel_bytes: 4520, call_bytes: 100 },
    CodeSize { family: "depthwise_quad", alone_bytes: 1184, kernel_bytes: 1112, call_bytes: 72 },
    CodeSize { family: "conv_winograd", alone_bytes: 1449, kernel_bytes: 944, call_bytes: 505 },
    CodeSize { family: "dense_tile", alone_bytes: 1844, kernel_bytes: 1774, call_bytes: 70 },
    CodeSize { family: "conv_window", alone_bytes: 6214, kernel_bytes: 5512, call_bytes: 692 },
    CodeSize { family: "depthwise_window", alone_bytes: 3864, kernel_bytes: 6568, call_bytes: 554 },
    CodeSize { family: "sparse", alone_bytes: 3368, kernel_bytes: 5678, call_bytes: 566 },
    CodeSize { family: "max_pool", alone_bytes: 818, kernel_bytes: 1334, call_bytes: 427 },
    CodeSize { family: "avg_pool", alone_bytes: 950, kernel_bytes: 2456, call_bytes: 541 },
    CodeSize { family: "avg_pool of all", alone_bytes: 536, kernel_bytes: 2530, call_bytes: 132 },
    CodeSize { family: "dense", alone_bytes: 1944, kernel_bytes: 2080, call_bytes: 70 },
    CodeSize { family: "add", alone_bytes: 622, kernel_bytes: 324, call_bytes: 298 },
    CodeSize { family: "add of equal", alone_bytes: 323, kernel_bytes: 272, call_bytes: 51 },
    CodeSize { family: "mul", alone_bytes: 430, kernel_bytes: 822, call_bytes: 428 },
    CodeSize { family: "lut", alone_bytes: 122, kernel_bytes: 86, call_bytes: 38 },
    CodeSize { family: "join", alone_bytes: 2314, kernel_bytes: 1968, call_bytes: 42 },
    CodeSize { family: "softmax", alone_bytes: 204, kernel_bytes: -138, call_bytes: 171 },
    CodeSize { family: "copy", alone_bytes: 80, kernel_bytes: 3528, call_bytes: 124 },
];

/// See [`TABLE`].
const PARTS: &[Part] = &[
    Part { family: "conv_tile", part: "rows", bytes: 964 },
    Part { family: "conv_tile", part: "single", bytes: 2730 },
    Part { family: "conv_tile", part: "shifts", bytes: 6890 },
    Part { family: "conv_tile", part: "single shifts", bytes: 7052 },
    Part { family: "conv_tile", part: "more rows", bytes: 614 },
    Part { family: "depthwise_quad", part: "1", bytes: 1444 },
    Part { family: "depthwise_quad", part: "2", bytes: 598 },
    Part { family: "conv_winograd", part: "2x2", bytes: 2177 },
    Part { family: "conv_winograd", part: "2x4", bytes: 4151 },
    Part { family: "conv_winograd", part: "4x4", bytes: 6463 },
    Part { family: "dense_tile", part: "single", bytes: 1642 },
    Part { family: "dense_tile", part: "shifts", bytes: 1784 },
    Part { family: "dense_tile", part: "single shifts", bytes: 2040 },
    Part { family: "add", part: "wide", bytes: 604 },
    Part { family: "add of equal", part: "more shifts", bytes: 307 },
];

/// At least as large as every row.
const LARGEST: CodeSize = CodeSize { family: "", alone_bytes: 6214, kernel_bytes: 7920, call_bytes: 4862 };

/// Estimated bytes of code and kernel parameters in flash: each kernel family
/// that the plan calls, each call, where rows lie, and what is unrolled. Weights and
/// tables are not counted.
#[must_use]
pub fn estimate_bytes(plan: &Plan) -> u64 {
    estimate_together(&[plan])
}

/// The same for several plans in one firmware, which share the kernels.
#[must_use]
pub fn estimate_together(plans: &[&Plan]) -> u64 {
    let unrolled: BTreeSet<Shape> = plans.iter().flat_map(|plan| plan.unrolled.iter().copied()).collect();
    let unrolled: u64 = unrolled.into_iter().map(Shape::code_bytes).sum();
    // Two bytes a row, eight for what they share.
    let moving = |step: &Step| match &step.work {
        Work::Rows(work) => work.moving.clone(),
        _ => None,
    };
    let moving: Vec<RowTable> = plans.iter().flat_map(|plan| &plan.steps).filter_map(moving).collect();
    let tables = plans.iter().flat_map(|plan| &plan.row_tables).chain(&moving);
    let rows = tables.map(|table| 8 + 2 * table.offsets.len() as u64);
    let steps = plans.iter().flat_map(|plan| &plan.steps);
    let calls = steps.flat_map(|step| step.work.calls()).map(|call| need(&call.kernel));
    unrolled + rows.sum::<u64>() + estimate(calls)
}

/// What a call needs: its family, and the parts of it, each for a size where it comes
/// once for each.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Need {
    family: &'static str,
    parts: Vec<(&'static str, usize)>,
}

fn need(kernel: &Kernel) -> Need {
    let products = |dual: bool, shifts: bool| match (dual, shifts) {
        (true, false) => None,
        (true, true) => Some(("shifts", 0)),
        (false, false) => Some(("single", 0)),
        (false, true) => Some(("single shifts", 0)),
    };
    let name = family(kernel).name;
    let (family, parts) = match kernel {
        Kernel::ConvTile(p) => {
            let rows = (!p.pointwise()).then_some(("rows", p.kernel_h));
            (name, products(p.dual, p.shifts).into_iter().chain(rows).collect())
        }
        Kernel::DenseTile(p) => (name, products(p.dual, p.shifts).into_iter().collect()),
        Kernel::DepthwiseQuad(p) => (name, vec![(if p.stride == 1 { "1" } else { "2" }, 0)]),
        Kernel::ConvWinograd(p) => {
            let part = match (p.tile_h, p.tile_w) {
                (2, 2) => "2x2",
                (2, _) => "2x4",
                _ => "4x4",
            };
            (name, vec![(part, 0)])
        }
        Kernel::AvgPool(p) if p.kernel_h == 1 && p.out_h * p.out_w == 1 => ("avg_pool of all", vec![]),
        Kernel::Add(p) if p.wide => (name, vec![("wide", 0)]),
        Kernel::Add(p) if [p.a_strides, p.b_strides] == [[0, 0, 0, 1]; 2] => {
            ("add of equal", vec![("shifts", p.shift as usize)])
        }
        _ => (name, vec![]),
    };
    Need { family, parts }
}

/// The estimate for calls that need this.
fn estimate(calls: impl Iterator<Item = Need>) -> u64 {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    let mut parts = BTreeSet::new();
    for need in calls {
        *counts.entry(need.family).or_default() += 1;
        parts.extend(need.parts.into_iter().map(|part| (need.family, part)));
    }
    let families = counts.iter().map(|(name, &calls)| {
        // A family that nobody measured counts as the largest: too much rather than too little.
        let size = TABLE.iter().find(|size| size.family == *name).unwrap_or(&LARGEST);
        if calls == 1 { size.alone_bytes } else { size.kernel_bytes + calls * size.call_bytes }
    });
    let mut seen = BTreeSet::new();
    let parts = parts.into_iter().map(|(family, (name, _))| {
        let of = |name: &str| PARTS.iter().find(|part| part.family == family && part.part == name);
        let more = if seen.insert((family, name)) { None } else { of(&format!("more {name}")) };
        more.or_else(|| of(name)).map_or(0, |part| part.bytes)
    });
    let bytes = families.sum::<i64>() + parts.sum::<i64>();
    bytes.max(0) as u64
}

#[cfg(test)]
mod tests {
    use super::{LARGEST, Need, PARTS, TABLE, estimate};

    fn bytes(needs: &[(&'static str, &[(&'static str, usize)])]) -> i64 {
        let need = |&(family, parts): &(&'static str, &[(&'static str, usize)])| Need {
            family,
            parts: parts.to_vec(),
        };
        estimate(needs.iter().map(need)) as i64
    }

    fn size(family: &str) -> &'static super::CodeSize {
        TABLE.iter().find(|row| row.family == family).unwrap()
    }

    #[test]
    fn a_family_is_linked_once_and_every_call_counts() {
        let (dense, pool) = (size("dense"), size("max_pool"));
        assert_eq!(bytes(&[("dense", &[])]), dense.alone_bytes);
        let calls = [("dense", &[][..]), ("max_pool", &[]), ("dense", &[])];
        assert_eq!(bytes(&calls), dense.kernel_bytes + 2 * dense.call_bytes + pool.alone_bytes);
        assert_eq!(bytes(&[]), 0);
    }

    #[test]
    fn a_part_is_linked_once_for_each_size() {
        let part =
            |name: &str| PARTS.iter().find(|part| part.family == "conv_tile" && part.part == name).unwrap();
        let tile = size("conv_tile");
        let with = |rows: &[usize]| {
            let parts: Vec<_> = rows.iter().map(|&rows| ("rows", rows)).collect();
            let calls: Vec<_> = parts.iter().map(|part| ("conv_tile", std::slice::from_ref(part))).collect();
            bytes(&calls) - tile.kernel_bytes - calls.len() as i64 * tile.call_bytes
        };
        assert_eq!(with(&[3, 3]), part("rows").bytes);
        assert_eq!(with(&[3, 3, 1]), part("rows").bytes + part("more rows").bytes);
    }

    #[test]
    fn an_unmeasured_family_is_not_underestimated() {
        for row in TABLE {
            let largest = [LARGEST.alone_bytes, LARGEST.kernel_bytes, LARGEST.call_bytes];
            let measured = [row.alone_bytes, row.kernel_bytes, row.call_bytes];
            assert!(largest.iter().zip(measured).all(|(&most, bytes)| most >= bytes), "{}", row.family);
        }
        assert!(bytes(&[("new", &[])]) == LARGEST.alone_bytes);
    }
}
