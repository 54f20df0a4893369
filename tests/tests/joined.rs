//! Concatenations that are written in place: sizes by hand, the bytes of the references,
//! and a verifier that sees a part which lies elsewhere.

mod emitted;
mod hand_made;

use std::collections::BTreeSet;

use emitted::{options, runners, work_dir};
use hand_made::{Mutants, Net, expected, strands};
use tinyc::Module;
use tinyc::codegen::{generate, write};
use tinyc::ir::{QuantParams, ValueId};
use tinyc::lower::{KernelSet, Lowered};
use tinyc::ops::Op;
use tinyc::ops::unary::Function;
use tinyc::plan::cascade::Effort;
use tinyc::plan::strategy::{Asked, Strategy, choose};
use tinyc::plan::verify::{replay, verify};
use tinyc::plan::{BufferKind, Plan, Step, Work, assemble, cascade, lowered, plan, plan_with};
use tinyc::verify::harness::CrateRef;
use tinyc::verify::host::{HostOptions, HostRunner};
use tinyc::verify::{reference, simulate::Simulator};

fn q() -> QuantParams {
    QuantParams::new(0.05, -3)
}

fn tanh(net: &mut Net, name: &str, x: ValueId) -> ValueId {
    net.op(name, Op::Unary(vec![Function::Tanh]), &[x], q())
}

fn step<'a>(plan: &'a Plan, name: &str) -> &'a Step {
    plan.steps.iter().find(|step| step.name == name).unwrap()
}

/// What a step's output shows, with the first byte there.
fn shown(plan: &Plan, name: &str) -> Vec<(ValueId, usize)> {
    let step = step(plan, name);
    step.shown.iter().map(|o| (o.value, o.range.offset - step.output_range.offset)).collect()
}

/// Plans of whole tensors, and of every candidate, with the input whole and pushed.
fn plans(module: &Module, kernels: KernelSet) -> Vec<Plan> {
    let steps = lowered(module, kernels).unwrap();
    let mut plans = vec![plan_with(module, kernels).unwrap()];
    let whole = cascade::candidates(module, &steps, kernels, Effort::default());
    plans.extend(whole.list.iter().map(|c| whole.plan(module, steps.clone(), c).unwrap()));
    if let Ok(pushed) = cascade::pushed_candidates(module, &steps, kernels, Effort::default()) {
        plans.extend(pushed.list.iter().map(|c| pushed.plan(module, steps.clone(), c).unwrap()));
    }
    plans
}

fn check(net: &mut Net, plan: &Plan, what: &str) {
    let sample = net.sample();
    let expected = expected(net, &sample);
    let slices: Vec<&[i8]> = sample.iter().map(Vec::as_slice).collect();
    let all = reference::run(&net.module, &reference::inputs(&net.module, &slices));
    let outputs = Simulator::new(plan).run_traced(&slices, |_, step, codes| {
        let reference = &all[&step.output].codes;
        assert_eq!(codes, &reference[..codes.len()], "{what}, step {}\n{plan}", step.name);
    });
    assert_eq!(outputs, expected, "{what}\n{plan}");
}

#[test]
fn operands_are_written_where_they_lie_in_the_output() {
    // A table makes `a` of the input, another one `b` in place of it: 16 B each. Joined they
    // are 32 B, in which everything lies; with copies 64 B live at the end.
    let mut net = Net::new("two", 1);
    let x = net.input("x", &[1, 16], q());
    let a = tanh(&mut net, "a", x);
    let b = tanh(&mut net, "b", x);
    let both = net.op("both", Op::Concat(1), &[a, b], q());
    net.output(both);
    let plan = plan(&net.module).unwrap();
    assert_eq!((plan.arena_bytes, plan.live_bound_bytes), (32, 32), "{plan}");
    assert_eq!(shown(&plan, "both"), [(a, 0), (b, 16)]);
    assert_eq!(step(&plan, "both").work, Work::View);
    assert_eq!((plan.inputs[0].range.offset, plan.inputs[0].overwritten), (16, true));
    check(&mut net, &plan, "two");
}

#[test]
fn parts_live_as_long_as_their_own_bytes_are_needed() {
    // `wide` is 64 B before anything of what is joined but `a` (16 B) is there; then `b` and
    // `c` are made of it. At most: x 8, a 16, wide 64, b 16, c 16. As one buffer from the
    // first part on, what is joined would take 48 B beside x and wide.
    let mut net = Net::new("lives", 1);
    let x = net.input("x", &[1, 1, 1, 8], q());
    let a = net.conv("a", x, 1, 1, 1, 16);
    let wide = net.conv("wide", x, 1, 1, 1, 64);
    let b = net.conv("b", wide, 1, 1, 1, 16);
    let c = net.conv("c", wide, 1, 1, 1, 16);
    let all = net.op("all", Op::Concat(3), &[a, b, c], q());
    let y = net.conv("y", all, 1, 1, 1, 4);
    net.output(y);
    let plan = plan(&net.module).unwrap();
    assert_eq!(plan.live_bound_bytes, 16 + 64 + 16 + 16);
    assert_eq!(shown(&plan, "all"), [(a, 0), (b, 16), (c, 32)]);
    check(&mut net, &plan, "lives");
}

#[test]
fn what_cannot_be_in_place_is_copied_beside_what_can() {
    // Behind 6 B nothing begins at a word; what is joined twice lies in one output only, and
    // an operand that comes twice is copied.
    let mut net = Net::new("some", 1);
    let x = net.input("x", &[1, 8], q());
    let six = net.dense("six", x, 6);
    let eight = net.dense("eight", x, 8);
    let odd = net.op("odd", Op::Concat(1), &[six, eight], q());
    let again = net.op("again", Op::Concat(1), &[eight, six], q());
    let twice = net.op("twice", Op::Concat(1), &[odd, again, odd], q());
    for output in [odd, again, twice] {
        net.output(output);
    }
    let plan = plan(&net.module).unwrap();
    assert_eq!(shown(&plan, "odd"), [(six, 0)]);
    assert_eq!(shown(&plan, "again"), [(eight, 0)]);
    assert_eq!(shown(&plan, "twice"), []);
    let calls = |name: &str| step(&plan, name).work.calls().len();
    assert_eq!((calls("odd"), calls("again"), calls("twice")), (1, 1, 3));
    check(&mut net, &plan, "some");
}

#[test]
fn what_is_joined_can_be_joined_and_read_elsewhere() {
    // A map along its height, a view of it as a vector, joined again; `b` is read before,
    // between and after.
    let mut net = Net::new("nested", 1);
    let x = net.input("x", &[1, 4, 4, 2], q());
    let a = net.conv("a", x, 3, 1, 1, 2);
    let b = net.conv("b", x, 1, 1, 1, 2);
    let before = net.conv("before", b, 3, 1, 1, 2);
    let high = net.op("high", Op::Concat(1), &[a, b], q());
    let between = net.conv("between", b, 3, 1, 1, 2);
    let flat = net.reshape("flat", high, &[1, 64]);
    let more = net.dense("more", flat, 8);
    let all = net.op("all", Op::Concat(1), &[more, flat], q());
    let after = net.conv("after", b, 3, 1, 1, 2);
    for output in [before, between, all, after] {
        net.output(output);
    }
    for kernels in [KernelSet::General, KernelSet::Tiles] {
        for plan in plans(&net.module, kernels) {
            assert_eq!(shown(&plan, "high"), [(a, 0), (b, 32)]);
            assert_eq!(shown(&plan, "all"), [(more, 0), (flat, 8)]);
            let offset = |name: &str| step(&plan, name).output_range.offset;
            assert_eq!(offset("b"), offset("all") + 8 + 32);
            check(&mut net, &plan, "nested");
        }
    }
}

#[test]
fn random_strands_give_the_references_bytes() {
    let (mut in_place, mut copied, mut cascades) = (0, 0, 0);
    let (mut bytes, mut with_copies) = (0, 0);
    for seed in 0..48 {
        let mut net = strands(seed);
        let kernels = [KernelSet::General, KernelSet::Tiles, KernelSet::Lanes, KernelSet::Windows];
        let kernels = kernels[seed as usize % 4];
        let apart = lowered(&net.module, kernels).unwrap().into_iter();
        let apart = apart.map(|(id, lowered)| (id, Lowered { side_by_side: false, ..lowered }));
        let apart = assemble(&net.module, apart.collect()).unwrap().arena_bytes;
        let own = plan_with(&net.module, kernels).unwrap().arena_bytes;
        assert!(own <= apart, "seed {seed}: {own} B, {apart} B with copies");
        (bytes, with_copies) = (bytes + own, with_copies + apart);
        for plan in plans(&net.module, kernels) {
            check(&mut net, &plan, &format!("seed {seed}"));
            let joins = plan.steps.iter().filter(|step| step.onnx_op == "concat");
            for join in joins {
                in_place += join.shown.len();
                copied += join.work.calls().len();
            }
            cascades += plan.cascades.iter().filter(|c| c.stages > 1).count();
        }
    }
    assert!(in_place > 200 && copied > 50 && cascades > 50, "{in_place}, {copied}, {cascades}");
    assert!(bytes * 20 < with_copies * 19, "{bytes} B, {with_copies} B with copies");
}

/// Moves everything that lies in the same run of memory as a buffer does.
fn moved(plan: &Plan, buffer: usize, by: isize) -> Option<Plan> {
    let mut members = BTreeSet::from([buffer]);
    let mut values: BTreeSet<ValueId> = BTreeSet::new();
    loop {
        let before = members.len();
        for &member in &members {
            if let BufferKind::Values(of) = &plan.buffers[member].kind {
                values.extend(of);
            }
        }
        let shares = |index: &usize| matches!(&plan.buffers[*index].kind, BufferKind::Values(of) if of.iter().any(|v| values.contains(v)));
        members.extend((0..plan.buffers.len()).filter(shares));
        if members.len() == before {
            break;
        }
    }
    let mut plan = plan.clone();
    for &member in &members {
        let buffer = &mut plan.buffers[member];
        buffer.offset =
            buffer.offset.checked_add_signed(by).filter(|at| at + buffer.bytes <= plan.arena_bytes)?;
    }
    let shift = |offset: &mut usize| *offset = offset.wrapping_add_signed(by);
    for io in plan.inputs.iter_mut().chain(&mut plan.outputs).filter(|io| values.contains(&io.value)) {
        shift(&mut io.range.offset);
    }
    for step in &mut plan.steps {
        let ours = values.contains(&step.output);
        if ours {
            shift(&mut step.output_range.offset);
        }
        for operand in step.shown.iter_mut().filter(|o| values.contains(&o.value)) {
            shift(&mut operand.range.offset);
        }
        let Work::Whole(calls) = &mut step.work else { continue };
        for call in calls {
            if ours {
                shift(&mut call.output.offset);
            }
            for operand in call.inputs.iter_mut().filter(|o| values.contains(&o.value)) {
                shift(&mut operand.range.offset);
            }
        }
    }
    Some(plan)
}

#[test]
fn runs_of_memory_that_destroy_something_are_caught() {
    let mut mutants = Mutants::default();
    for seed in 0..24 {
        let mut net = strands(seed);
        let plan = plan(&net.module).unwrap();
        let sample = net.sample();
        let expected = expected(&net, &sample);
        for buffer in 0..plan.buffers.len() {
            for by in (-64..=64).step_by(4).filter(|by| *by != 0) {
                if let Some(mutant) = moved(&plan, buffer, by) {
                    let what = format!("seed {seed}, buffer {buffer} by {by}");
                    mutants.judge(&mutant, &sample, &expected, &what);
                }
            }
        }
    }
    assert!(mutants.caught > 500 && mutants.harmless > 50, "{mutants:?}");
}

#[test]
fn a_part_that_lies_elsewhere_is_caught() {
    // A part is made, and read by all others, a word further: what is joined lacks it.
    let mut caught = 0;
    for seed in 0..40 {
        let plan = plan(&strands(seed).module).unwrap();
        let parts: Vec<ValueId> = plan
            .steps
            .iter()
            .filter(|step| step.shown.len() > 1)
            .flat_map(|step| step.shown.iter().map(|operand| operand.value))
            .collect();
        for part in parts {
            let mut mutant = plan.clone();
            for step in &mut mutant.steps {
                let ours = step.output == part;
                if ours {
                    step.output_range.offset += 4;
                }
                let Work::Whole(calls) = &mut step.work else { continue };
                for call in calls {
                    if ours {
                        call.output.offset += 4;
                    }
                    let reads = call.inputs.iter_mut().filter(|operand| operand.value == part);
                    reads.for_each(|operand| operand.range.offset += 4);
                }
            }
            if mutant == plan {
                continue;
            }
            assert!(verify(&mutant).is_err(), "seed {seed}, {part}");
            // The replay alone sees it where somebody reads what is joined.
            caught += usize::from(replay(&mutant).is_err());
        }
    }
    assert!(caught > 20, "{caught}");
}

#[test]
fn emitted_crates_join_by_rows_and_in_place() {
    // Three branches joined along channels, two halves of the result joined along the height,
    // and vectors of both.
    let mut net = Net::new("joins", 4);
    let x = net.input("x", &[1, 12, 4, 4], q());
    let branches = [1, 3, 5].map(|kernel| net.conv(&format!("branch_{kernel}"), x, kernel, 1, 1, 4));
    let wide = net.op("wide", Op::Concat(3), &branches, q());
    let halves = ["up", "down"].map(|name| net.conv(name, wide, 3, 2, 1, 2));
    let high = net.op("high", Op::Concat(1), &halves, q());
    let flat = net.reshape("flat", high, &[1, 48]);
    let dense = net.dense("dense", flat, 4);
    let all = net.op("all", Op::Concat(1), &[dense, flat], q());
    net.output(all);
    let samples: Vec<Vec<i8>> = (0..20).map(|_| net.codes(12 * 4 * 4)).collect();
    let expected: Vec<i8> =
        samples.iter().flat_map(|codes| expected(&net, std::slice::from_ref(codes))).flatten().collect();
    let dir = work_dir("joined");
    let crates = [("fast", Strategy::Fast), ("small", Strategy::Min)].map(|(name, strategy)| {
        let asked = Asked { strategy, ..Asked::default() };
        let plan = choose(&net.module, asked, &|plan| plan.weights.len() as u64).unwrap().plan;
        assert_eq!(shown(&plan, "high").len() + shown(&plan, "all").len(), 4, "{plan}");
        let wide = &step(&plan, "wide").work;
        assert_eq!(matches!(wide, Work::Rows(_)), strategy == Strategy::Min, "{plan}");
        let files = generate(&plan, &net.module, &options(name)).unwrap();
        assert!(files.text("README.md").unwrap().contains("none (written in place)"));
        write::write(&dir.join(name), &files).unwrap();
        CrateRef { package: name.into(), dir: dir.join(name) }
    });
    let built =
        HostOptions { work_dir: runners(), quick_build: true, checked: true, ..HostOptions::default() };
    let host = HostRunner::build(&crates, built).unwrap();
    for index in 0..2 {
        assert_eq!(host.run(index, &samples.concat()).unwrap(), expected);
    }
}
