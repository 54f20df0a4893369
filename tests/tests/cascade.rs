//! Plans that run row by row: the same bytes in less memory, and a verifier that
//! sees every row that is lost.

mod hand_made;

use std::collections::BTreeSet;

use hand_made::{Mutants, Net, expected, geometries, residual};
use tinyc::Module;
use tinyc::ir::QuantParams;
use tinyc::lower::{Kernel, KernelSet};
use tinyc::ops::Op;
use tinyc::ops::conv::{Pads, Window};
use tinyc::ops::pool::{Kind, Pool};
use tinyc::plan::cascade::Effort;
use tinyc::plan::choose::Limits;
use tinyc::plan::strategy::{Asked, Strategy, choose};
use tinyc::plan::verify::verify;
use tinyc::plan::{BufferKind, Plan, Work, cascade, lowered, plan_with};
use tinyc::verify::{reference, simulate::Simulator};

fn q() -> QuantParams {
    QuantParams::new(0.05, -3)
}

/// The plan of every candidate.
fn plans(module: &Module, kernels: KernelSet) -> Vec<Plan> {
    let steps = lowered(module, kernels).unwrap();
    let found = cascade::candidates(module, &steps, kernels, Effort::default());
    found.list.iter().map(|c| found.plan(module, steps.clone(), c).unwrap()).collect()
}

/// Moves one row of a tensor that is in rows, in every table that names it.
fn moved_row(plan: &Plan, buffer: usize, offset: usize) -> Option<Plan> {
    let BufferKind::Row { values, row } = &plan.buffers[buffer].kind else { return None };
    let mut plan = plan.clone();
    for table in plan.row_tables.iter_mut().filter(|t| values.contains(&t.value)) {
        *table.offsets.get_mut(*row)? = offset;
    }
    plan.buffers[buffer].offset = offset;
    Some(plan)
}

/// Runs a plan and compares every step that it makes whole, and all outputs.
fn check(net: &mut Net, plan: &Plan, seed: u64) {
    let sample = net.sample();
    let slices: Vec<&[i8]> = sample.iter().map(Vec::as_slice).collect();
    let expected = reference::run(&net.module, &reference::inputs(&net.module, &slices));
    let outputs = Simulator::new(plan).run_traced(&slices, |_, step, codes| {
        let reference = &expected[&step.output].codes;
        // Rows at the end that nobody reads are not made.
        assert_eq!(codes, &reference[..codes.len()], "seed {seed}, step {}\n{plan}", step.name);
    });
    for (output, id) in outputs.iter().zip(&net.module.graph.outputs) {
        assert_eq!(output, &expected[id].codes, "seed {seed}\n{plan}");
    }
}

#[test]
fn random_graphs_give_the_references_bytes_row_by_row() {
    let (mut ran, mut whole, mut least) = (0, 0, 0);
    for seed in 0..6 {
        for (kernels, mut net) in [
            (KernelSet::General, geometries(seed)),
            (KernelSet::Tiles, geometries(seed)),
            (KernelSet::General, residual(seed)),
            (KernelSet::Tiles, residual(seed)),
            (KernelSet::Lanes, geometries(seed)),
            (KernelSet::Lanes, residual(seed)),
        ] {
            let plans = plans(&net.module, kernels);
            for plan in &plans {
                check(&mut net, plan, seed);
                ran += plan.cascades.iter().filter(|c| c.stages > 1).count();
            }
            whole += plan_with(&net.module, kernels).unwrap().arena_bytes;
            least += plans.iter().map(|p| p.arena_bytes).min().unwrap();
        }
    }
    assert!(ran > 50, "{ran} cascades");
    assert!(least * 10 < whole * 9, "{least} B instead of {whole} B");
}

#[test]
fn strategies_choose_by_bytes_and_cycles() {
    let net = residual(7);
    let plan = |strategy, limit: Option<usize>| {
        let limits = Limits { ram_bytes: limit.map(|bytes| bytes as u64), flash_bytes: None };
        let asked = Asked { kernels: KernelSet::Tiles, strategy, limits, ..Asked::default() };
        choose(&net.module, asked, &|plan| plan.weights.len() as u64).unwrap()
    };
    let (fast, min) = (plan(Strategy::Fast, None), plan(Strategy::Min, None));
    assert!(fast.plan.cascades.is_empty() && !min.plan.cascades.is_empty());
    assert!(min.plan.arena_bytes < fast.plan.arena_bytes);
    // Without a limit, or with room for the fastest, nothing changes.
    assert_eq!(plan(Strategy::Auto, None).plan, fast.plan);
    assert_eq!(plan(Strategy::Auto, Some(fast.plan.arena_bytes)).plan, fast.plan);
    // With less, the fastest that fits, and where nothing does, the smallest of all.
    let curve = &min.curve;
    assert!(curve.windows(2).all(|p| p[0].arena_bytes < p[1].arena_bytes && p[0].cycles > p[1].cycles));
    for point in curve {
        assert_eq!(plan(Strategy::Auto, Some(point.arena_bytes)).plan.arena_bytes, point.arena_bytes);
    }
    assert_eq!(plan(Strategy::Auto, Some(1)).plan.arena_bytes, curve[0].arena_bytes);
    let balanced = plan(Strategy::Balanced, None).plan.arena_bytes;
    assert!(min.plan.arena_bytes <= balanced && balanced * 2 <= min.plan.arena_bytes * 3);
}

#[test]
fn rows_whose_places_cannot_be_written_down_are_left_whole() {
    // Rows of 999 bytes, 101 of them in one run: their offsets need more than 16 bits.
    let mut net = Net::new("odd", 1);
    let x = net.input("x", &[1, 101, 333, 3], q());
    let a = net.conv("a", x, 3, 2, 1, 2);
    let b = net.conv("b", a, 3, 2, 1, 4);
    net.output(b);
    let asked = Asked { strategy: Strategy::Min, ..Asked::default() };
    let chosen = choose(&net.module, asked, &|plan| plan.weights.len() as u64).unwrap();
    assert!(chosen.plan.arena_bytes >= 101 * 999);
    // Half as many are no problem.
    let mut net = Net::new("odd", 1);
    let x = net.input("x", &[1, 51, 333, 3], q());
    let a = net.conv("a", x, 3, 2, 1, 2);
    let b = net.conv("b", a, 3, 2, 1, 4);
    net.output(b);
    assert!(plans(&net.module, KernelSet::General).iter().any(|plan| !plan.cascades.is_empty()));
}

#[test]
fn parts_that_are_not_the_fullest_run_faster() {
    // A large input and a small output of the first layer: those behind it may work on more
    // rows at a time, in the memory that the input takes anyway. Alone, no way of working
    // has both; widths are even and rows many, and these kernels' scratch does not depend on
    // the way, so that nothing else makes them differ.
    let mut net = Net::new("funnel", 1);
    let mut x = net.input("x", &[1, 64, 64, 4], q());
    x = net.conv("first", x, 3, 2, 1, 2);
    for layer in ["b", "c", "d"] {
        x = net.conv(layer, x, 3, 1, 1, 4);
    }
    net.output(x);
    let plans = plans(&net.module, KernelSet::Windows);
    let units = |plan: &Plan, step: usize| match &plan.steps[step].work {
        Work::Rows(work) => work.units_per_step,
        _ => 0,
    };
    let mixed = plans.iter().find(|plan| units(plan, 0) < units(plan, 2)).unwrap();
    assert_eq!(mixed.arena_bytes, plans.iter().map(|plan| plan.arena_bytes).min().unwrap());
    check(&mut net, mixed, 0);
}

#[test]
fn strips_are_as_long_as_rows_and_the_fullest_moment_allow() {
    // Five pixels are two pairs and one over, so a strip of more pairs is memory for nothing:
    // a pair of 64 channels takes 256 B widened to 16 bits. The layer of 3 x 3 has the fullest
    // moment with one pair already (five columns of 3 x 64 inputs), and the layer before it
    // has room for both of its pairs.
    let mut net = Net::new("narrow", 1);
    let x = net.input("x", &[1, 24, 5, 64], q());
    let first = net.conv("first", x, 1, 1, 1, 64);
    let second = net.conv("second", first, 3, 1, 1, 64);
    net.output(second);
    let plans = plans(&net.module, KernelSet::Tiles);
    let strips = |plan: &Plan| {
        plan.steps.iter().find_map(|step| match &step.work {
            Work::Rows(work) if step.name == "first" => match work.call.kernel {
                Kernel::ConvTile(params) => Some((params.strip, work.call.scratch.bytes)),
                _ => None,
            },
            _ => None,
        })
    };
    let found: Vec<(usize, usize)> = plans.iter().filter_map(strips).collect();
    assert_eq!(found.first(), Some(&(2, 512)), "{found:?}");
    assert!(found.iter().all(|(strip, _)| *strip <= 2), "{found:?}");
    check(&mut net, &plans[0], 0);
}

#[test]
fn less_effort_gives_the_same_bytes_in_more_memory_and_says_so() {
    let mut hasty_bytes = 0;
    let mut patient_bytes = 0;
    for seed in 0..4 {
        let mut net = residual(seed);
        let plan = |effort| {
            let strategy = Strategy::Min;
            let asked = Asked { kernels: KernelSet::Windows, strategy, effort, ..Asked::default() };
            choose(&net.module, asked, &|plan| plan.weights.len() as u64).unwrap()
        };
        let patient = plan(Effort::default());
        let hasty = plan(Effort { units: 40, looks: 0 });
        assert_eq!(plan(Effort { units: 40, looks: 0 }), hasty, "seed {seed}");
        if hasty.plan.cascades.iter().any(|c| c.stages > 1) {
            let [note] = &hasty.notes[..] else { panic!("seed {seed}: {:?}", hasty.notes) };
            assert!(note.contains("limit of steps"), "{note}");
        }
        check(&mut net, &hasty.plan, seed);
        hasty_bytes += hasty.plan.arena_bytes;
        patient_bytes += patient.plan.arena_bytes;
    }
    assert!(patient_bytes < hasty_bytes, "{patient_bytes} B, {hasty_bytes} B with less effort");
}

#[test]
fn a_chain_keeps_the_rows_of_its_windows() {
    // Two layers 3 x 3 of 64-byte rows and a mean: 32 rows each are never there. At most: the input
    // (256 bytes), three rows of the first layer, one of the second, 16 sums of 4 bytes.
    let mut net = Net::new("chain", 1);
    let x = net.input("x", &[1, 32, 8, 1], q());
    let a = net.conv("a", x, 3, 1, 1, 8);
    let b = net.conv("b", a, 3, 1, 1, 8);
    let window = Window { kernel: [32, 8], stride: [1; 2], dilation: [1; 2], pads: Pads::default() };
    let kind = Kind::Average { count_include_pad: false };
    let mean = net.op("mean", Op::Pool(Pool { kind, window, ceil: false }), &[b], q());
    net.output(mean);
    let plans = plans(&net.module, KernelSet::General);
    let least = plans.iter().min_by_key(|p| p.arena_bytes).unwrap();
    assert!(least.arena_bytes <= 256 + 3 * 64 + 64 + 64, "{least}");
    let whole = plan_with(&net.module, KernelSet::General).unwrap().arena_bytes;
    assert!(whole >= 32 * 64 + 64);
}

#[test]
fn a_concatenation_of_two_runs_row_by_row() {
    // Two branches of 3 x 3 and of 1 x 1 over one squeezed tensor, twice, as in SqueezeNet:
    // of 24 rows only those that windows need are ever there, 32 channels wide.
    for (kernels, axis) in [(KernelSet::Tiles, 3), (KernelSet::General, 3), (KernelSet::General, 2)] {
        let mut net = Net::new("fire", 5);
        let mut x = net.input("x", &[1, 24, 8, 4], q());
        for fire in 0..2 {
            let name = |layer: &str| format!("{layer}_{fire}");
            let squeezed = net.conv(&name("squeeze"), x, 1, 1, 1, 4);
            let a = net.conv(&name("one"), squeezed, 1, 1, 1, 16);
            let b = net.conv(&name("three"), squeezed, 3, 1, 1, 16);
            x = net.op(&name("cat"), Op::Concat(axis), &[a, b], q());
        }
        let y = net.conv("last", x, 3, 4, 1, 1);
        net.output(y);
        let plans = plans(&net.module, kernels);
        let smallest = plans.iter().min_by_key(|plan| plan.arena_bytes).unwrap();
        let by_rows = |name: &str| {
            smallest.steps.iter().any(|step| step.name == name && matches!(step.work, Work::Rows(_)))
        };
        assert!(by_rows("cat_0") && by_rows("cat_1"), "{smallest}");
        // Whole, one concatenation alone takes 6,144 B.
        assert!(smallest.arena_bytes < 4_096, "{} B", smallest.arena_bytes);
        check(&mut net, smallest, 0);
    }
}

#[test]
fn modules_of_three_and_four_branches_run_row_by_row() {
    // As in Inception: 1 x 1; 1 x 1 and 3 x 3; 1 x 1 and 5 x 5; the greatest of 3 x 3 and
    // 1 x 1. Each gives 8 channels. Whole, what is joined takes 24 * 8 * 8 B a branch, and as
    // much before as after.
    for (kernels, branches) in [(KernelSet::Tiles, 4), (KernelSet::General, 4), (KernelSet::Windows, 3)] {
        let mut net = Net::new("inception", 5);
        let mut x = net.input("x", &[1, 24, 8, 4], q());
        for module in 0..2 {
            let name = |layer: &str| format!("{layer}_{module}");
            let pads = Pads { top: 1, left: 1, bottom: 1, right: 1 };
            let window = Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pads };
            let one = net.conv(&name("one"), x, 1, 1, 1, 8);
            let reduced = net.conv(&name("reduce_three"), x, 1, 1, 1, 4);
            let three = net.conv(&name("three"), reduced, 3, 1, 1, 8);
            let reduced = net.conv(&name("reduce_five"), x, 1, 1, 1, 4);
            let five = net.conv(&name("five"), reduced, 5, 1, 1, 8);
            let mut all = vec![one, three, five];
            if branches == 4 {
                let pooled = Op::Pool(Pool { kind: Kind::Max, window, ceil: false });
                let pooled = net.op(&name("pool"), pooled, &[x], q());
                all.push(net.conv(&name("pooled"), pooled, 1, 1, 1, 8));
            }
            x = net.op(&name("cat"), Op::Concat(3), &all, q());
        }
        let y = net.conv("last", x, 3, 4, 1, 1);
        net.output(y);
        let plans = plans(&net.module, kernels);
        let smallest = plans.iter().min_by_key(|plan| plan.arena_bytes).unwrap();
        let by_rows = |name: &str| {
            smallest.steps.iter().any(|step| step.name == name && matches!(step.work, Work::Rows(_)))
        };
        assert!(by_rows("cat_0") && by_rows("cat_1"), "{smallest}");
        let joined = 24 * 8 * 8 * branches;
        assert!(plan_with(&net.module, kernels).unwrap().arena_bytes >= 2 * joined);
        assert!(smallest.arena_bytes < joined, "{} B", smallest.arena_bytes);
        check(&mut net, smallest, 0);
    }
}

#[test]
fn a_mean_over_all_rows_ends_a_cascade_in_its_sums() {
    // 64 rows of 16 bytes are never whole: the input, some rows, 4 sums of 4 bytes, the output.
    let mut net = Net::new("mean", 1);
    let x = net.input("x", &[1, 64, 4, 1], q());
    let a = net.conv("a", x, 3, 1, 1, 4);
    let window = Window { kernel: [64, 4], stride: [1; 2], dilation: [1; 2], pads: Pads::default() };
    let kind = Kind::Average { count_include_pad: false };
    let mean = net.op("mean", Op::Pool(Pool { kind, window, ceil: false }), &[a], q());
    net.output(mean);
    for kernels in [KernelSet::General, KernelSet::Tiles] {
        let plans = plans(&net.module, kernels);
        let least = plans.iter().min_by_key(|p| p.arena_bytes).unwrap();
        assert!(least.arena_bytes <= 64 * 4 + 128, "{least}");
        check(&mut net, least, 0);
    }
}

#[test]
fn rows_that_nobody_reads_are_not_made() {
    // 9 rows, pooled in twos without padding: the ninth is left over.
    let mut net = Net::new("floor", 1);
    let x = net.input("x", &[1, 9, 6, 2], q());
    let a = net.conv("a", x, 1, 1, 1, 8);
    let window = Window { kernel: [2; 2], stride: [2; 2], dilation: [1; 2], pads: Pads::default() };
    let pooled = net.op("pool", Op::Pool(Pool { kind: Kind::Max, window, ceil: false }), &[a], q());
    net.output(pooled);
    for plan in plans(&net.module, KernelSet::General) {
        let Work::Rows(work) = &plan.steps[0].work else { panic!("{plan}") };
        assert_eq!(work.units, 8);
        check(&mut net, &plan, 0);
    }
}

#[test]
fn lost_rows_are_caught() {
    // Every row at every other place: where the verifier has nothing to say, the bytes are right.
    let mut mutants = Mutants::default();
    for seed in 0..4 {
        let mut net = residual(seed);
        let sample = net.sample();
        let expected = expected(&net, &sample);
        for plan in plans(&net.module, KernelSet::Tiles).iter().take(2) {
            for buffer in (0..plan.buffers.len()).step_by(3) {
                let bytes = plan.buffers[buffer].bytes;
                for offset in (0..plan.arena_bytes - bytes.min(plan.arena_bytes)).step_by(36) {
                    let Some(mutant) = moved_row(plan, buffer, offset) else { continue };
                    let what = format!("seed {seed}, buffer {buffer} at {offset}");
                    mutants.judge(&mutant, &sample, &expected, &what);
                }
            }
        }
    }
    assert!(mutants.caught > 1000 && mutants.harmless > 50, "{mutants:?}");
}

/// 28 x 28 pixels in one run, of which rows die one by one while two layers with windows and
/// their pooling work on them.
fn digits() -> Net {
    let mut net = Net::new("digits", 1);
    let mut x = net.input("x", &[1, 28, 28, 1], q());
    let over = |size, stride| Window {
        kernel: [size; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pads: Pads::default(),
    };
    for (layer, channels) in [("a", 6), ("b", 16)] {
        x = net.conv_over(layer, x, over(3, 1), 1, channels);
        let pool = Pool { kind: Kind::Max, window: over(2, 2), ceil: false };
        x = net.op(&format!("{layer}_pooled"), Op::Pool(pool), &[x], q());
    }
    let x = net.reshape("flat", x, &[1, 400]);
    let x = net.dense("dense", x, 10);
    net.output(x);
    net
}

#[test]
fn private_bytes_move_where_one_place_would_take_more() {
    let mut net = digits();
    let plans = plans(&net.module, KernelSet::Tiles);
    let mut moved = 0;
    for plan in &plans {
        let works = plan.steps.iter().filter_map(|step| match &step.work {
            Work::Rows(work) => work.moving.as_ref(),
            _ => None,
        });
        // Somewhere else at least once, or a table is flash for nothing.
        let places = works.map(|table| table.offsets.iter().collect::<BTreeSet<_>>().len());
        let places: Vec<usize> = places.collect();
        assert!(places.iter().all(|&count| count > 1), "{plan}");
        if !places.is_empty() {
            moved += 1;
            check(&mut net, plan, 0);
        }
    }
    assert!(moved > 0);
}

#[test]
fn private_bytes_at_other_places_are_caught() {
    let mut net = digits();
    let sample = net.sample();
    let expected = expected(&net, &sample);
    let mut mutants = Mutants::default();
    for plan in plans(&net.module, KernelSet::Tiles) {
        for (step, units) in plan.steps.iter().enumerate().filter_map(|(step, info)| match &info.work {
            Work::Rows(work) if work.moving.is_some() => Some((step, work.units)),
            _ => None,
        }) {
            for (unit, offset) in (0..units).flat_map(|u| (0..1200).step_by(56).map(move |o| (u, o))) {
                let mut mutant = plan.clone();
                let Work::Rows(work) = &mut mutant.steps[step].work else { continue };
                let Some(table) = work.moving.as_mut() else { continue };
                table.offsets[unit] = offset;
                mutants.judge(&mutant, &sample, &expected, &format!("step {step}, unit {unit} at {offset}"));
            }
        }
    }
    assert!(mutants.caught > 100, "{mutants:?}");
}

#[test]
fn an_order_that_leaves_something_out_is_caught() {
    let net = residual(1);
    let plan = plans(&net.module, KernelSet::Tiles).swap_remove(0);
    let cascade = plan.cascades.iter().position(|c| c.stages > 1).unwrap();
    let mut missing = plan.clone();
    missing.cascades[cascade].order.pop();
    assert!(verify(&missing).unwrap_err().starts_with("(10)"));
    // The last layer first: it reads what nobody has made.
    let mut swapped = plan.clone();
    let order = &mut swapped.cascades[cascade].order;
    let last = order.len() - 1;
    order.swap(0, last);
    assert!(verify(&swapped).unwrap_err().starts_with("(6)"));
}
