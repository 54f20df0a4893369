//! Inputs that are pushed row by row: the same bytes as with the whole input, in less
//! memory, and a verifier that sees every row that comes too late or is lost.

mod hand_made;

use hand_made::{Mutants, Net, branches, expected, geometries, residual};
use tinyc::ir::QuantParams;
use tinyc::lower::KernelSet;
use tinyc::ops::Op;
use tinyc::ops::binary::Binary;
use tinyc::ops::conv::{Pads, Window};
use tinyc::ops::pool::{Kind, Pool};
use tinyc::plan::cascade::Effort;
use tinyc::plan::strategy::{Asked, Strategy, choose};
use tinyc::plan::verify::{replay, verify};
use tinyc::plan::{BufferKind, Event, Plan, PlanError, cascade, lowered};
use tinyc::verify::{reference, simulate::Simulator};
use tinyc::{Feed, Module};

fn q() -> QuantParams {
    QuantParams::new(0.05, -3)
}

/// The plan of every candidate.
fn plans(module: &Module, kernels: KernelSet) -> Result<Vec<Plan>, PlanError> {
    let steps = lowered(module, kernels).unwrap();
    let found = cascade::pushed_candidates(module, &steps, kernels, Effort::default())?;
    Ok(found.list.iter().map(|c| found.plan(module, steps.clone(), c).unwrap()).collect())
}

/// The smallest of the plans.
fn least(plans: &[Plan]) -> &Plan {
    plans.iter().min_by_key(|plan| plan.arena_bytes).unwrap()
}

/// Runs a plan on random codes and compares with the naive reference.
fn check(net: &mut Net, plan: &Plan) {
    let sample = net.sample();
    let slices: Vec<&[i8]> = sample.iter().map(Vec::as_slice).collect();
    let expected = reference::run(&net.module, &reference::inputs(&net.module, &slices));
    let outputs = Simulator::new(plan).run(&slices);
    for (output, id) in outputs.iter().zip(&net.module.graph.outputs) {
        assert_eq!(output, &expected[id].codes, "{plan}");
    }
}

#[test]
fn random_graphs_give_the_references_bytes() {
    let (mut ran, mut refused, mut whole, mut rows) = (0, 0, 0, 0);
    for seed in 0..5 {
        for (kernels, mut net) in [
            (KernelSet::General, geometries(seed)),
            (KernelSet::Tiles, geometries(seed)),
            (KernelSet::Windows, residual(seed)),
            (KernelSet::Lanes, geometries(seed)),
            (KernelSet::Tiles, residual(seed)),
        ] {
            let plans = match plans(&net.module, kernels) {
                Ok(plans) => plans,
                Err(PlanError::Rows { .. }) => {
                    refused += 1;
                    continue;
                }
                Err(other) => panic!("{other}"),
            };
            for plan in &plans {
                check(&mut net, plan);
                ran += 1;
            }
            rows += least(&plans).arena_bytes;
            let steps = lowered(&net.module, kernels).unwrap();
            let found = cascade::candidates(&net.module, &steps, kernels, Effort::default());
            whole += found.list.iter().map(|c| c.placed.total_bytes).min().unwrap();
        }
    }
    assert!(ran > 50 && refused < 4, "{ran} plans, {refused} models refused");
    assert!(rows < whole, "{rows} B instead of {whole} B");
}

/// A 3 x 3 layer of 8 channels on 40 rows of 16 bytes, and a mean over all rows.
fn tall() -> Net {
    let mut net = Net::new("tall", 1);
    let x = net.input("camera", &[1, 40, 8, 2], q());
    let a = net.conv("first", x, 3, 1, 1, 8);
    let window = Window { kernel: [40, 8], stride: [1; 2], dilation: [1; 2], pads: Pads::default() };
    let kind = Kind::Average { count_include_pad: false };
    let mean = net.op("mean", Op::Pool(Pool { kind, window, ceil: false }), &[a], q());
    net.output(mean);
    net
}

#[test]
fn an_input_is_never_whole() {
    // By hand: three rows of the input (16 bytes each), one of the layer (64), 8 sums of 4 bytes.
    let mut net = tall();
    let plans = plans(&net.module, KernelSet::General).unwrap();
    let plan = least(&plans);
    assert!(plan.arena_bytes <= 3 * 16 + 64 + 32, "{plan}");
    let pushed = plan.pushed.as_ref().unwrap();
    assert_eq!((pushed.rows, pushed.after.len()), (40, 40));
    // A row of the layer needs the row below its own, the last one does not.
    let events = plan.events();
    assert_eq!(events[..2], [Event::Push(0), Event::Push(1)]);
    assert!(matches!(events[2], Event::Rows(..)));
    let last = events.iter().rposition(|event| *event == Event::Push(39)).unwrap();
    let rows = events[last..].iter().filter(|event| event.step().is_some_and(|step| step.index() == 0));
    assert_eq!(rows.count(), 2);
    check(&mut net, plan);
}

#[test]
fn rows_that_nobody_reads_have_no_place() {
    // 9 rows pooled in twos: the ninth is pushed and forgotten.
    let mut net = Net::new("floor", 1);
    let x = net.input("x", &[1, 9, 6, 2], q());
    let window = Window { kernel: [2; 2], stride: [2; 2], dilation: [1; 2], pads: Pads::default() };
    let pooled = net.op("pool", Op::Pool(Pool { kind: Kind::Max, window, ceil: false }), &[x], q());
    net.output(pooled);
    for plan in plans(&net.module, KernelSet::General).unwrap() {
        let pushed = plan.pushed.as_ref().unwrap();
        assert_eq!((pushed.rows, pushed.after.len()), (9, 8));
        check(&mut net, &plan);
    }
}

#[test]
fn a_shortcut_from_the_input_keeps_its_rows() {
    let mut net = Net::new("skip", 1);
    let x = net.input("x", &[1, 12, 6, 4], q());
    let a = net.conv("a", x, 3, 1, 1, 4);
    let b = net.conv("b", a, 3, 1, 1, 4);
    let sum = net.op("sum", Op::Binary(Binary::Add), &[x, b], q());
    let c = net.conv("c", sum, 3, 2, 1, 4);
    net.output(c);
    for kernels in [KernelSet::General, KernelSet::Tiles] {
        let plans = plans(&net.module, kernels).unwrap();
        plans.iter().for_each(|plan| check(&mut net, plan));
        // The input has 288 bytes.
        assert!(least(&plans).pushed.is_some());
    }
}

#[test]
fn what_cannot_be_pushed_is_refused_by_name() {
    let refusal = |net: &Net| match plans(&net.module, KernelSet::General) {
        Err(error @ PlanError::Rows { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let two = refusal(&branches());
    assert!(two.contains("the model has 2 inputs, 'image:0', 'level'"), "{two}");
    assert!(two.contains("build without --input rows"), "{two}");

    let mut net = Net::new("dense", 1);
    let x = net.input("features", &[1, 16], q());
    let y = net.dense("classes", x, 4);
    net.output(y);
    let whole = refusal(&net);
    assert!(whole.contains("node 'classes' (dense) reads all of input 'features'"), "{whole}");

    let mut net = Net::new("view", 1);
    let x = net.input("x", &[1, 6, 4, 2], q());
    let a = net.conv("a", x, 3, 1, 1, 4);
    let flat = net.reshape("flat", x, &[1, 48]);
    net.output(a);
    net.output(flat);
    let view = refusal(&net);
    assert!(view.contains("node 'flat' (Reshape) reads all of input 'x'"), "{view}");

    // The sum reads the input when a softmax has broken the rows.
    let mut net = Net::new("late", 1);
    let x = net.input("x", &[1, 6, 4, 4], q());
    let a = net.conv("a", x, 3, 1, 1, 4);
    let b = net.op("soft", Op::Softmax, &[a], QuantParams::new(1.0 / 256.0, -128));
    let sum = net.op("sum", Op::Binary(Binary::Add), &[x, b], q());
    net.output(sum);
    let late = refusal(&net);
    assert!(late.contains("node 'sum' (add) reads input 'x' after node 'soft' (softmax)"), "{late}");

    let mut net = Net::new("output", 1);
    let x = net.input("x", &[1, 6, 4, 4], q());
    let a = net.conv("a", x, 3, 1, 1, 4);
    net.output(a);
    net.output(x);
    assert!(refusal(&net).contains("input 'x' is also an output of the model"));
}

#[test]
fn strategies_know_pushed_rows() {
    let net = tall();
    let plan = |strategy, feed| {
        let asked = Asked { kernels: KernelSet::Tiles, strategy, feed, ..Asked::default() };
        choose(&net.module, asked, &|plan| plan.weights.len() as u64).unwrap()
    };
    let whole = plan(Strategy::Min, Feed::Whole);
    let (fast, min) = (plan(Strategy::Fast, Feed::Rows), plan(Strategy::Min, Feed::Rows));
    assert!(min.plan.arena_bytes < whole.plan.arena_bytes);
    assert!(min.plan.arena_bytes <= fast.plan.arena_bytes);
    assert!(min.curve.iter().all(|point| point.cascades));
    let last = min.curve.last().unwrap();
    assert_eq!(fast.plan.arena_bytes, last.arena_bytes);
}

#[test]
fn rows_that_come_too_late_are_caught() {
    for seed in 0..3 {
        let net = residual(seed);
        for plan in plans(&net.module, KernelSet::Tiles).unwrap() {
            let after = &plan.pushed.as_ref().unwrap().after;
            for row in 1..after.len() {
                // One step more before the row, one less behind it.
                let mut early = plan.clone();
                let counts = &mut early.pushed.as_mut().unwrap().after;
                if counts[row] == 0 {
                    continue;
                }
                (counts[row - 1], counts[row]) = (counts[row - 1] + 1, counts[row] - 1);
                let reason = verify(&early).unwrap_err();
                assert!(reason.starts_with("(6)") || reason.starts_with("(2)"), "{reason}");
                assert!(replay(&early).is_err());
            }
            let mut fewer = plan.clone();
            fewer.pushed.as_mut().unwrap().after.pop();
            assert!(verify(&fewer).unwrap_err().starts_with("(11)"));
        }
    }
}

#[test]
fn pushed_rows_that_are_lost_are_caught() {
    let mut mutants = Mutants::default();
    for seed in 0..4 {
        let mut net = residual(seed);
        let sample = net.sample();
        let expected = expected(&net, &sample);
        let plans = plans(&net.module, KernelSet::Tiles).unwrap();
        let plan = least(&plans);
        let table = plan.pushed.as_ref().unwrap().table;
        let bytes = plan.row_tables[table].row_bytes;
        for row in 0..plan.row_tables[table].offsets.len() {
            for offset in (0..=plan.arena_bytes - bytes).step_by(4) {
                let mut mutant = plan.clone();
                mutant.row_tables[table].offsets[row] = offset;
                let own = |kind: &BufferKind| matches!(kind, BufferKind::Row { values, row: r } if values.contains(&plan.inputs[0].value) && *r == row);
                mutant.buffers.iter_mut().filter(|b| own(&b.kind)).for_each(|b| b.offset = offset);
                let what = format!("seed {seed}, row {row} at {offset}");
                mutants.judge(&mutant, &sample, &expected, &what);
            }
        }
    }
    assert!(mutants.caught > 1000 && mutants.harmless > 50, "{mutants:?}");
}
