//! Forms of a layer: that all give the reference's bytes, and that the best ones
//! are taken which fit.

mod hand_made;

use hand_made::Net;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tinyc::codegen::{self, EmitOptions, TargetFacts};
use tinyc::cost::call_cycles;
use tinyc::ir::{NodeId, QuantParams};
use tinyc::lower::{Kernel, KernelSet, Lowered};
use tinyc::ops::candidates;
use tinyc::plan::choose::{Limits, Opt, Reason, plan_chosen};
use tinyc::plan::verify::verify;
use tinyc::plan::{Plan, assemble, plan_with};
use tinyc::samples::Preprocess;
use tinyc::verify::harness::CrateRef;
use tinyc::verify::host::{HostOptions, HostRunner};
use tinyc::verify::{reference, simulate::Simulator};

const TILES: KernelSet = KernelSet::Tiles;

/// The forms of every node, in order.
fn forms(net: &Net) -> Vec<(NodeId, Vec<Lowered>)> {
    let (graph, quant) = (&net.module.graph, &net.module.quant);
    graph.order().iter().map(|&id| (id, candidates(graph, quant, id, TILES).unwrap())).collect()
}

fn equals_the_reference(net: &mut Net, plan: &Plan, what: &str) {
    verify(plan).unwrap();
    let sample = net.sample();
    let slices: Vec<&[i8]> = sample.iter().map(Vec::as_slice).collect();
    let expected = reference::run(&net.module, &reference::inputs(&net.module, &slices));
    Simulator::new(plan).run_traced(&slices, |_, step, codes| {
        assert_eq!(codes, expected[&step.output].codes, "{what}, step {}", step.name);
    });
}

fn winograd_calls(plan: &Plan) -> usize {
    let calls = plan.steps.iter().flat_map(|step| step.work.calls());
    calls.filter(|call| matches!(call.kernel, Kernel::ConvWinograd(_))).count()
}

/// Chains of convolutions of all sizes in random forms: outputs overlap the inputs
/// that die there.
#[test]
fn every_form_gives_the_references_bytes() {
    let (mut transformed, mut overlapping) = (0, 0);
    for seed in 0..80 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pick = |n: usize| rng.next_u32() as usize % n;
        let mut net = Net::new("forms", seed);
        let shape = [1, 1 + pick(13), 1 + pick(13), 1 + pick(9)];
        let mut value = net.input("x", &shape, QuantParams::new(0.05, pick(256) as i8));
        for layer in 0..1 + pick(4) {
            value = net.conv(&format!("conv_{layer}"), value, 3, 1, 1, 1 + pick(11));
        }
        net.output(value);
        let steps: Vec<(NodeId, Lowered)> = forms(&net)
            .into_iter()
            .map(|(id, mut all)| {
                assert!(all.len() >= 4, "plain, three kinds of tiles, perhaps sparse");
                (id, all.swap_remove(pick(all.len())))
            })
            .collect();
        let plan = assemble(&net.module, steps).unwrap();
        transformed += winograd_calls(&plan);
        let calls = plan.steps.iter().flat_map(|step| step.work.calls());
        overlapping += calls
            .filter(|call| matches!(call.kernel, Kernel::ConvWinograd(_)) && call.overlaps_operand())
            .count();
        equals_the_reference(&mut net, &plan, &format!("net {seed}"));
    }
    assert!(transformed > 60 && overlapping > 20, "{transformed} transformed, {overlapping} overlapping");
}

#[test]
fn extreme_weights_are_exact_or_plain() {
    for (weight, channels, expected) in [(127, 8, 4), (-127, 8, 4), (127, 240, 3)] {
        let mut net = Net::new("extreme", 5);
        let x = net.input("x", &[1, 6, 6, channels], QuantParams::new(0.05, -128));
        let y = net.conv("conv", x, 3, 1, 1, 8);
        net.output(y);
        let node = net.module.graph.producer(y).unwrap();
        let layer = net.module.quant.layers.get_mut(&node).unwrap();
        layer.weights.fill(weight);
        // 240 * 9 * 127 * 128 is above 2^25 and below 2^27.
        let mut all = forms(&net);
        assert_eq!(all[0].1.len(), expected, "{channels} channels of {weight}");
        let (id, last) = (all[0].0, all[0].1.pop().unwrap());
        let plan = assemble(&net.module, vec![(id, last)]).unwrap();
        equals_the_reference(&mut net, &plan, &format!("{channels} channels of {weight}"));
    }
}

#[test]
fn other_convolutions_have_one_form() {
    let mut net = Net::new("others", 6);
    let x = net.input("x", &[1, 9, 9, 4], QuantParams::new(0.05, 3));
    let a = net.conv("strided", x, 3, 2, 1, 8);
    let b = net.conv("grouped", a, 3, 1, 2, 8);
    let c = net.conv("depthwise", b, 3, 1, 8, 8);
    let d = net.conv("pointwise", c, 1, 1, 1, 8);
    let e = net.conv("five", d, 5, 1, 1, 8);
    net.output(e);
    for (id, all) in forms(&net) {
        assert_eq!(all.len(), 1, "{}", net.module.graph.node(id).name);
    }
}

#[test]
fn clamped_codes_have_all_forms() {
    let mut net = Net::new("narrow", 7);
    let x = net.input("x", &[1, 9, 9, 4], QuantParams::new(0.05, 3));
    let narrow = net.conv("narrow", x, 3, 1, 1, 8);
    let params = net.module.quant.activations.get_mut(&narrow).unwrap();
    (params.lo, params.hi) = (-60, 50);
    net.output(narrow);
    let (id, all) = forms(&net).remove(0);
    assert_eq!(all.len(), 4);
    for form in all {
        let plan = assemble(&net.module, vec![(id, form)]).unwrap();
        equals_the_reference(&mut net, &plan, "clamped");
    }
}

/// Three layers with forms, of different channels over maps of different size.
fn tower() -> Net {
    let mut net = Net::new("tower", 9);
    let mut value = net.input("x", &[1, 16, 16, 8], QuantParams::new(0.05, -20));
    for (name, stride, channels) in [("a", 1, 16), ("shrink", 2, 16), ("c", 1, 16), ("d", 1, 20)] {
        value = net.conv(name, value, 3, stride, 1, channels);
    }
    net.output(value);
    net
}

fn cycles(plan: &Plan) -> u64 {
    let calls = plan.steps.iter().flat_map(|step| step.work.calls());
    calls.map(|call| call_cycles(&call.kernel, TILES)).sum()
}

fn flash(plan: &Plan) -> u64 {
    plan.weights.len() as u64
}

#[test]
fn speed_is_the_best_of_all_combinations_that_fit() {
    let mut net = tower();
    let all = forms(&net);
    let count: usize = all.iter().map(|(_, forms)| forms.len()).product();
    assert_eq!(count, 64);
    let plans: Vec<Plan> = (0..count)
        .map(|mut index| {
            let steps = all.iter().map(|(id, forms)| {
                let form = index % forms.len();
                index /= forms.len();
                (*id, forms[form].clone())
            });
            assemble(&net.module, steps.collect()).unwrap()
        })
        .collect();
    let mut taken = std::collections::BTreeSet::new();
    for budget in (8_000..60_000).step_by(2_000) {
        let limits = Limits { flash_bytes: Some(budget), ram_bytes: None };
        let (plan, _) = plan_chosen(&net.module, TILES, Opt::Speed, limits, &flash).unwrap();
        let best = plans.iter().filter(|p| flash(p) <= budget).map(cycles).min();
        // Nothing fits the smallest budgets: then the plain forms.
        assert_eq!(cycles(&plan), best.unwrap_or(cycles(&plans[0])), "budget {budget}");
        if taken.insert(winograd_calls(&plan)) {
            equals_the_reference(&mut net, &plan, &format!("budget {budget}"));
        }
    }
    assert!(taken.len() >= 4, "budgets lead to different plans: {taken:?}");
}

#[test]
fn scratch_that_does_not_fit_is_not_taken() {
    // Many channels on few pixels: strips of windows take less than Winograd's tiles.
    let mut net = Net::new("deep", 9);
    let mut value = net.input("x", &[1, 4, 4, 32], QuantParams::new(0.05, -20));
    for name in ["a", "b", "c"] {
        value = net.conv(name, value, 3, 1, 1, 32);
    }
    net.output(value);
    let choose = |ram_bytes| {
        let limits = Limits { flash_bytes: None, ram_bytes };
        plan_chosen(&net.module, TILES, Opt::Speed, limits, &flash).unwrap()
    };
    let (fastest, _) = choose(None);
    let plain_bytes = {
        let steps = forms(&net).into_iter().map(|(id, mut all)| (id, all.swap_remove(0))).collect();
        assemble(&net.module, steps).unwrap().arena_bytes as u64
    };
    assert!(fastest.arena_bytes as u64 > plain_bytes);
    let mut most = 0;
    for ram in (plain_bytes..fastest.arena_bytes as u64 + 64).step_by(64) {
        let (plan, choices) = choose(Some(ram));
        assert!(plan.arena_bytes as u64 <= ram, "{} B of {ram}", plan.arena_bytes);
        most = most.max(winograd_calls(&plan));
        let refused =
            choices.iter().flat_map(|c| &c.passed_over).any(|(_, r)| matches!(r, Reason::Ram { .. }));
        assert!(refused || plan == fastest);
    }
    assert_eq!(most, winograd_calls(&fastest));
    // A budget that nothing fits is the user's to hear of: the plan grows no larger.
    assert_eq!(choose(Some(16)).0.arena_bytes as u64, plain_bytes);
}

/// Zeroes all but one in `keep` weights of every layer.
fn prune(net: &mut Net, keep: usize) {
    for layer in net.module.quant.layers.values_mut() {
        for (i, weight) in layer.weights.iter_mut().enumerate() {
            *weight = if (i * 7 + i / 5) % keep == 0 { *weight } else { 0 };
        }
    }
}

/// Convolutions of several kinds and dense layers, over one row and several.
fn pruned() -> Net {
    let mut net = Net::new("pruned", 12);
    let x = net.input("x", &[1, 9, 8, 6], QuantParams::new(0.05, -20));
    let a = net.conv("three", x, 3, 1, 1, 12);
    let b = net.conv("strided", a, 3, 2, 1, 9);
    let c = net.conv("pointwise", b, 1, 1, 1, 16);
    let rows = net.dense("rows", c, 7);
    let elements = net.module.graph.shape(rows).elements();
    let flat = net.reshape("flat", rows, &[1, elements]);
    let last = net.dense("last", flat, 10);
    net.output(last);
    prune(&mut net, 3);
    net
}

fn kernels(plan: &Plan) -> Vec<&'static str> {
    let calls = plan.steps.iter().flat_map(|step| step.work.calls());
    calls.map(|call| tinyc::plan::family::family(&call.kernel).name).collect()
}

#[test]
fn size_takes_sparse_forms_and_the_same_bytes() {
    for set in [KernelSet::Tiles, KernelSet::General] {
        let mut net = pruned();
        let choose = |opt, limits| plan_chosen(&net.module, set, opt, limits, &flash).unwrap();
        let plain = plan_with(&net.module, set).unwrap();
        let (small, choices) = choose(Opt::Size, Limits::default());
        assert!(!kernels(&plain).contains(&"sparse"));
        assert_eq!(kernels(&small), ["sparse"; 5], "{set:?}");
        // A third of the weights and a bit for each, besides biases and multipliers.
        assert!(flash(&small) * 100 < flash(&plain) * 70, "{} of {}", flash(&small), flash(&plain));
        let fewer: i64 = choices.iter().map(|choice| choice.added_bytes).sum();
        // The last constants are not filled up to 16 bytes.
        assert!((flash(&small) as i64 - flash(&plain) as i64 - fewer).abs() < 16, "{fewer}");
        // Without room for the plain weights, some layers are sparse.
        let tight = Limits { flash_bytes: Some((flash(&small) + flash(&plain)) / 2), ram_bytes: None };
        let (mixed, _) = choose(Opt::Balanced, tight);
        assert!(Some(flash(&mixed)) <= tight.flash_bytes && kernels(&mixed).contains(&"sparse"));
        equals_the_reference(&mut net, &small, &format!("size, {set:?}"));
        equals_the_reference(&mut net, &mixed, &format!("tight, {set:?}"));
    }
}

/// Forms that no fixture has, through emission and a compiler.
#[test]
fn emitted_sparse_forms_give_the_references_bytes() {
    let mut net = pruned();
    let (plan, _) = plan_chosen(&net.module, TILES, Opt::Size, Limits::default(), &flash).unwrap();
    let sample = net.sample();
    let slices: Vec<&[i8]> = sample.iter().map(Vec::as_slice).collect();
    let tensors = reference::run(&net.module, &reference::inputs(&net.module, &slices));
    let options = EmitOptions {
        package: "pruned".into(),
        target: TargetFacts { name: "host".into(), arch: "portable".into() },
        preprocessing: vec![Preprocess::None],
        self_test: None,
        accuracy: None,
        ram: None,
        placement: None,
        regions: Vec::new(),
    };
    let files = codegen::generate(&plan, &net.module, &options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let emitted = CrateRef { package: "pruned".into(), dir: folder.path().join("pruned") };
    codegen::write::write(&emitted.dir, &files).unwrap();
    let work_dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners");
    let host = HostOptions { work_dir, quick_build: true, checked: true, ..HostOptions::default() };
    let got = HostRunner::build(&[emitted], host).unwrap().run(0, &sample[0]).unwrap();
    assert_eq!(got, tensors[&net.module.graph.outputs[0]].codes);
}

#[test]
fn balanced_and_size_pay_no_more_than_the_weights() {
    let net = tower();
    let plain = plan_chosen(&net.module, TILES, Opt::Balanced, Limits::default(), &flash).unwrap();
    let small = plan_chosen(&net.module, TILES, Opt::Size, Limits::default(), &flash).unwrap();
    assert_eq!(winograd_calls(&plain.0), 0);
    assert_eq!(plain.0, small.0);
    let goal = |(_, reason): &(String, Reason)| *reason == Reason::Goal;
    assert_eq!(plain.1.len(), 3, "layers with a choice");
    assert!(plain.1.iter().all(|choice| choice.saved_cycles == 0 && choice.passed_over.iter().all(goal)));
}

/// Flash as linking counts it: the code of a kernel once.
fn with_code(plan: &Plan) -> u64 {
    let families: std::collections::BTreeSet<&str> = kernels(plan).into_iter().collect();
    flash(plan) + 1_500 * families.len() as u64
}

/// A small dense layer behind convolutions needs no kernel of its own; a large one,
/// and one without convolutions, is worth it.
#[test]
fn a_small_dense_layer_takes_the_convolutions_kernel() {
    let choose =
        |net: &Net, opt| plan_chosen(&net.module, TILES, opt, Limits::default(), &with_code).unwrap();
    for (stride, expected) in [(8, "conv_tile"), (2, "dense_tile")] {
        let mut net = Net::new("behind", 3);
        let x = net.input("x", &[1, 40, 40, 8], QuantParams::new(0.05, -20));
        let a = net.conv("a", x, 3, 1, 1, 16);
        let b = net.conv("b", a, 3, stride, 1, 2);
        let elements = net.module.graph.shape(b).elements();
        let flat = net.reshape("flat", b, &[1, elements]);
        let last = net.dense("last", flat, 5);
        net.output(last);
        let (plan, _) = choose(&net, Opt::Balanced);
        assert_eq!(kernels(&plan).last(), Some(&expected), "stride {stride}");
        equals_the_reference(&mut net, &plan, &format!("stride {stride}"));
        assert_eq!(kernels(&choose(&net, Opt::Speed).0).last(), Some(&"dense_tile"));
    }
    let mut net = Net::new("alone", 4);
    let x = net.input("x", &[1, 50], QuantParams::new(0.05, 7));
    let a = net.dense("a", x, 8);
    let b = net.dense("b", a, 3);
    net.output(b);
    assert_eq!(kernels(&choose(&net, Opt::Balanced).0), ["dense_tile"; 2]);
}
