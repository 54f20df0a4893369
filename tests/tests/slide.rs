//! Windows that slide over a stream of rows: after each step the bytes of a run on the
//! whole window, and a verifier that sees every row that is not what it should be.

mod hand_made;

use std::ops::Range;

use hand_made::{Net, branches, geometries, residual};
use tinyc::ir::{QuantParams, ValueId};
use tinyc::lower::KernelSet;
use tinyc::ops::Op;
use tinyc::ops::binary::Binary;
use tinyc::ops::conv::{Pads, Window};
use tinyc::ops::pool::{Kind, Pool};
use tinyc::plan::cascade::Effort;
use tinyc::plan::strategy::{Asked, Chosen, Strategy, choose};
use tinyc::plan::verify::{replay, verify};
use tinyc::plan::{BufferKind, Plan, PlanError, cascade, lowered};
use tinyc::verify::{reference, simulate::Simulator};
use tinyc::{Feed, Module};

fn q() -> QuantParams {
    QuantParams::new(0.05, -3)
}

/// Little, since nobody asks here for the last byte.
const EFFORT: Effort = Effort { units: 4_000_000, looks: 1000 };

/// Plans of some candidates: the smallest, the largest, those between in steps.
fn plans(module: &Module, kernels: KernelSet, hop: usize, most: usize) -> Result<Vec<Plan>, PlanError> {
    let steps = lowered(module, kernels).unwrap();
    let (found, _) = cascade::sliding_candidates(module, &steps, kernels, EFFORT, hop)?;
    let every = found.list.len().div_ceil(most).max(1);
    let last = found.list.last().into_iter();
    let some = found.list.iter().step_by(every).chain(last);
    Ok(some.map(|c| found.plan(module, steps.clone(), c).unwrap()).collect())
}

/// The plan that keeps most.
fn fullest(module: &Module, kernels: KernelSet, hop: usize) -> Plan {
    let plans = plans(module, kernels, hop, usize::MAX).unwrap();
    plans.into_iter().max_by_key(Plan::kept_bytes).unwrap()
}

fn macs(plan: &Plan) -> u64 {
    plan.steps.iter().map(|step| step.macs).sum()
}

/// A stream of three windows, and what the naive reference makes of the window that ends
/// with each frame; nothing where that is not full.
struct Stream {
    frames: Vec<Vec<i8>>,
    expected: Vec<Option<Vec<Vec<i8>>>>,
}

impl Stream {
    fn new(net: &mut Net, hop: usize) -> Stream {
        let shape = net.module.graph.shape(net.module.graph.inputs[0]);
        let (rows, row) = (shape.0[1], shape.elements() / shape.0[1]);
        let stream = net.codes(3 * rows / hop * hop * row);
        let of = |end: usize| {
            let window = [&stream[end.checked_sub(rows * row)?..end]];
            let tensors = reference::run(&net.module, &reference::inputs(&net.module, &window));
            Some(net.module.graph.outputs.iter().map(|id| tensors[id].codes.clone()).collect())
        };
        Stream {
            frames: stream.chunks(hop * row).map(<[i8]>::to_vec).collect(),
            expected: (1..=stream.len() / (hop * row)).map(|step| of(step * hop * row)).collect(),
        }
    }

    /// The first step whose outputs are not the reference's.
    fn differs(&self, plan: &Plan) -> Option<usize> {
        let mut simulator = Simulator::new(plan);
        self.frames.iter().zip(&self.expected).position(|(frame, expected)| {
            let outputs = simulator.step(frame, &mut |_, _, _| ());
            expected.as_ref().is_some_and(|expected| *expected != outputs)
        })
    }

    fn check(&self, plan: &Plan) {
        assert!(self.expected.iter().flatten().count() > 2);
        assert_eq!(self.differs(plan), None, "{plan}");
    }
}

fn mean(net: &mut Net, x: ValueId) -> ValueId {
    let [rows, columns, _] = net.module.graph.shape(x).hwc().unwrap();
    let window = Window { kernel: [rows, columns], stride: [1; 2], dilation: [1; 2], pads: Pads::default() };
    let kind = Kind::Average { count_include_pad: false };
    net.op("mean", Op::Pool(Pool { kind, window, ceil: false }), &[x], q())
}

/// Keyword spotting in small: a layer of stride 2, depthwise and 1 x 1 layers, a mean.
fn keywords() -> Net {
    let mut net = Net::new("keywords", 1);
    let mut x = net.input("spectrogram", &[1, 24, 10, 1], q());
    x = net.conv("first", x, 5, 2, 1, 8);
    for block in 0..2 {
        x = net.conv(&format!("depthwise_{block}"), x, 3, 1, 8, 8);
        x = net.conv(&format!("pointwise_{block}"), x, 1, 1, 1, 8);
    }
    x = mean(&mut net, x);
    x = net.conv("classes", x, 1, 1, 1, 4);
    net.output(x);
    net
}

/// A signal of three axes: convolutions without padding, pooling, a dense layer.
fn signal() -> Net {
    let mut net = Net::new("signal", 2);
    let tall =
        |kernel| Window { kernel: [kernel, 1], stride: [1; 2], dilation: [1; 2], pads: Pads::default() };
    let x = net.input("acceleration", &[1, 40, 1, 3], q());
    let a = net.conv_over("a", x, tall(5), 1, 4);
    let window = Window { stride: [2, 1], ..tall(2) };
    let pooled = net.op("pool", Op::Pool(Pool { kind: Kind::Max, window, ceil: false }), &[a], q());
    let b = net.conv_over("b", pooled, tall(3), 1, 8);
    let flat = net.reshape("flat", b, &[1, 16 * 8]);
    let y = net.dense("classes", flat, 4);
    net.output(y);
    net
}

/// Rows kept of the tensor of a name: those that lie there before a step.
fn kept(net: &Net, plan: &Plan, name: &str) -> Range<usize> {
    let tables = &plan.row_tables;
    let named = |table: usize| net.module.graph.value(tables[table].value).name == name;
    let found = plan.slide.as_ref().unwrap().kept.iter().find(|kept| named(kept.table));
    found.map_or(0..0, |kept| kept.first..kept.first + kept.moved())
}

#[test]
fn a_keyword_model_gives_the_bytes_of_whole_windows() {
    let mut net = keywords();
    for (kernels, hop) in [
        (KernelSet::General, 2),
        (KernelSet::Tiles, 2),
        (KernelSet::Windows, 2),
        (KernelSet::Tiles, 6),
        (KernelSet::Lanes, 2),
    ] {
        let stream = Stream::new(&mut net, hop);
        let plans = plans(&net.module, kernels, hop, 6).unwrap();
        plans.iter().for_each(|plan| stream.check(plan));
    }
}

#[test]
fn rows_at_the_ends_are_made_anew_and_those_between_kept() {
    let mut net = keywords();
    let plan = fullest(&net.module, KernelSet::General, 2);
    // 24 rows with a window of 5, stride 2, padding 2: of 12 rows the first reaches into the
    // padding above, the last into that below. The next 3 x 3 layers lose a row at each end
    // more. Of the rows between, the last is new.
    assert_eq!(kept(&net, &plan, "first_out"), 1..10);
    assert_eq!(kept(&net, &plan, "pointwise_0_out"), 2..9);
    assert_eq!(kept(&net, &plan, "pointwise_1_out"), 3..8);
    // Layers of 1 x 1 read no row but their own.
    assert_eq!(kept(&net, &plan, "depthwise_1_out"), 0..0);
    // The first row's window is cut by the padding: it needs the input's first rows.
    assert_eq!(kept(&net, &plan, "spectrogram"), 0..22);
    let rows = |name: &str| {
        let of = |step: &&tinyc::plan::Step| step.name == name;
        plan.steps.iter().find(of).map(|step| step.macs).unwrap()
    };
    assert_eq!(rows("first"), 3 * 5 * 25 * 8);
    assert_eq!(rows("pointwise_0"), 5 * 5 * 8 * 8);
    assert_eq!(rows("pointwise_1"), 7 * 5 * 8 * 8);
    Stream::new(&mut net, 2).check(&plan);
}

#[test]
fn without_padding_a_few_rows_are_kept() {
    let mut net = signal();
    let plan = fullest(&net.module, KernelSet::General, 2);
    // 36, 18 and 16 rows. Two new rows of `a` need six rows of the input, two of them new; the
    // pooled row needs these two; `b` needs two old pooled rows; the dense layer all of `b`.
    assert_eq!(kept(&net, &plan, "acceleration"), 34..38);
    assert_eq!(kept(&net, &plan, "a_out"), 0..0);
    assert_eq!(kept(&net, &plan, "pool_out"), 15..17);
    assert_eq!(kept(&net, &plan, "b_out"), 0..15);
    assert_eq!(plan.kept_bytes(), 4 * 3 + 2 * 4 + 15 * 8);
    assert_eq!(macs(&plan), 2 * 5 * 3 * 4 + 3 * 4 * 8 + 16 * 8 * 4);
    for hop in [2, 3, 4, 8] {
        let stream = Stream::new(&mut net, hop);
        for kernels in [KernelSet::General, KernelSet::Tiles] {
            plans(&net.module, kernels, hop, 4).unwrap().iter().for_each(|plan| stream.check(plan));
        }
    }
}

#[test]
fn random_graphs_give_the_references_bytes() {
    let (mut ran, mut refused) = (0, 0);
    for seed in 0..9 {
        let kernels = [KernelSet::General, KernelSet::Tiles, KernelSet::Windows][seed as usize % 3];
        for mut net in [geometries(seed), residual(seed)] {
            let hop = 1 + seed as usize % 4;
            match plans(&net.module, kernels, hop, 3) {
                Ok(plans) => {
                    let stream = Stream::new(&mut net, hop);
                    plans.iter().for_each(|plan| stream.check(plan));
                    ran += plans.len();
                }
                Err(PlanError::Frames { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(ran > 20 && refused < 12, "{ran} plans, {refused} models refused");
}

#[test]
fn what_cannot_slide_is_refused_by_name() {
    let refusal = |net: &Net, hop: usize| match plans(&net.module, KernelSet::General, hop, 1) {
        Err(error @ PlanError::Frames { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let two = refusal(&branches(), 1);
    assert!(two.contains("the model has 2 inputs, 'image:0', 'level'"), "{two}");
    assert!(two.contains("build without --input frames"), "{two}");

    let odd = refusal(&keywords(), 3);
    assert!(odd.contains("node 'first' (Conv)") && odd.contains("use --hop 6"), "{odd}");
    let far = refusal(&keywords(), 24);
    assert!(far.contains("--hop 24") && far.contains("24 rows of input 'spectrogram'"), "{far}");

    let mut net = Net::new("dense", 1);
    let x = net.input("features", &[1, 16], q());
    let y = net.dense("classes", x, 4);
    net.output(y);
    let whole = refusal(&net, 1);
    assert!(whole.contains("no layer reads input 'features' by rows"), "{whole}");

    let mut net = Net::new("edges", 1);
    let x = net.input("x", &[1, 4, 4, 2], q());
    let a = net.conv("a", x, 5, 1, 1, 4);
    net.output(a);
    let edges = refusal(&net, 1);
    assert!(edges.contains("every row of node 'a' (Conv)"), "{edges}");

    let mut net = Net::new("sum", 1);
    let x = net.input("x", &[1, 12, 4, 4], q());
    let all = mean(&mut net, x);
    net.output(all);
    let needs = refusal(&net, 1);
    assert!(needs.contains("node 'mean' (average_pool) needs all rows at once"), "{needs}");
}

fn chosen(net: &Net, strategy: Strategy, hop: usize) -> Chosen {
    let feed = Feed::Frames { hop };
    let asked = Asked { kernels: KernelSet::Tiles, strategy, feed, effort: EFFORT, ..Asked::default() };
    choose(&net.module, asked, &|plan| plan.weights.len() as u64).unwrap()
}

#[test]
fn strategies_trade_kept_rows_for_work() {
    let net = keywords();
    let (fast, min) = (chosen(&net, Strategy::Fast, 2), chosen(&net, Strategy::Min, 2));
    assert!(min.plan.arena_bytes < fast.plan.arena_bytes);
    assert!(2 * macs(&fast.plan) < fast.plan.slide.as_ref().unwrap().window_macs);
    let plans = plans(&net.module, KernelSet::Tiles, 2, usize::MAX).unwrap();
    let least = plans.iter().min_by_key(|plan| plan.kept_bytes()).unwrap();
    let most = plans.iter().max_by_key(|plan| plan.kept_bytes()).unwrap();
    assert!(macs(most) < macs(least) && macs(least) < least.slide.as_ref().unwrap().window_macs);
}

#[test]
fn a_layer_that_loses_the_rhythm_is_named() {
    // Of a signal that moves by one row, the pooled one would move by half of one.
    let mut net = signal();
    let odd = chosen(&net, Strategy::Fast, 1);
    let note = odd.notes.iter().find(|note| note.contains("node 'pool'")).unwrap();
    assert!(note.contains("does not divide --hop 1") && note.contains("with --hop 2"), "{note}");
    assert!(chosen(&net, Strategy::Fast, 2).notes.iter().all(|note| !note.contains("--hop")));
    Stream::new(&mut net, 1).check(&odd.plan);
}

#[test]
fn operands_that_move_apart_are_made_anew() {
    // A skip around two layers keeps step; what is left of the sum is kept.
    let mut net = Net::new("skip", 1);
    let x = net.input("x", &[1, 16, 6, 4], q());
    let a = net.conv("a", x, 3, 1, 1, 4);
    let b = net.conv("b", a, 3, 1, 1, 4);
    let sum = net.op("sum", Op::Binary(Binary::Add), &[x, b], q());
    let c = net.conv("c", sum, 3, 2, 1, 4);
    net.output(c);
    let stream = Stream::new(&mut net, 2);
    for kernels in [KernelSet::General, KernelSet::Tiles] {
        plans(&net.module, kernels, 2, 6).unwrap().iter().for_each(|plan| stream.check(plan));
    }
    let plan = fullest(&net.module, KernelSet::General, 2);
    assert_eq!(kept(&net, &plan, "sum_out"), 2..12);
}

#[test]
fn joined_tensors_of_different_widths_are_kept() {
    let mut net = Net::new("join", 1);
    let x = net.input("x", &[1, 16, 6, 4], q());
    let a = net.conv("a", x, 3, 1, 1, 4);
    let b = net.conv("b", x, 3, 1, 1, 8);
    let both = net.op("both", Op::Concat(3), &[a, b], q());
    let c = net.conv("c", both, 3, 1, 1, 4);
    net.output(c);
    let stream = Stream::new(&mut net, 1);
    plans(&net.module, KernelSet::General, 1, 4).unwrap().iter().for_each(|plan| stream.check(plan));
    let plan = fullest(&net.module, KernelSet::General, 1);
    assert_eq!(kept(&net, &plan, "both_out"), 1..14);
}

/// What became of changed plans.
#[derive(Debug, Default)]
struct Judged {
    caught: usize,
    harmless: usize,
}

impl Judged {
    /// A plan that the verifier passes gives the reference's bytes in every step.
    fn judge(&mut self, mutant: &Plan, stream: &Stream, what: &str) {
        if verify(mutant).is_err() {
            self.caught += 1;
            return;
        }
        self.harmless += 1;
        assert!(replay(mutant).is_ok(), "{what}");
        assert_eq!(stream.differs(mutant), None, "{what}\n{mutant}");
    }
}

#[test]
fn kept_rows_in_other_places_are_caught() {
    let mut net = keywords();
    let stream = Stream::new(&mut net, 2);
    let mut judged = Judged::default();
    for plan in plans(&net.module, KernelSet::Tiles, 2, 2).unwrap() {
        for (which, kept) in plan.slide.as_ref().unwrap().kept.iter().enumerate() {
            let table = &plan.row_tables[kept.table];
            let range = kept.range(&plan.row_tables);
            let own = |kind: &BufferKind| matches!(kind, BufferKind::Row { values, row } if values.contains(&table.value) && *row >= kept.first);
            let tail: usize = table.offsets.len() - kept.first;
            for offset in (0..=plan.arena_bytes - tail * table.row_bytes).step_by(16) {
                let mut mutant = plan.clone();
                let places = &mut mutant.row_tables[kept.table].offsets;
                (kept.first..places.len())
                    .for_each(|row| places[row] = offset + (row - kept.first) * table.row_bytes);
                let own = mutant.buffers.iter_mut().filter(|b| own(&b.kind));
                own.for_each(|b| b.offset = b.offset + offset - range.offset.min(b.offset));
                // The replay alone must see it, whatever buffers say.
                let seen = replay(&mutant).is_err();
                let differs = stream.differs(&mutant).is_some();
                assert!(seen || !differs, "kept {which} at {offset}\n{mutant}");
                judged.judge(&mutant, &stream, &format!("kept {which} at {offset}"));
            }
        }
    }
    assert!(judged.caught > 200, "{judged:?}");
}

#[test]
fn rows_that_are_left_out_or_kept_too_short_are_caught() {
    let mut net = keywords();
    let stream = Stream::new(&mut net, 2);
    let mut judged = Judged::default();
    for plan in plans(&net.module, KernelSet::General, 2, 4).unwrap() {
        for cascade in 0..plan.cascades.len() {
            for entry in 0..plan.cascades[cascade].order.len() {
                let mut fewer = plan.clone();
                fewer.cascades[cascade].order.remove(entry);
                fewer.cascades[cascade].starts.remove(entry);
                assert!(verify(&fewer).is_err(), "entry {entry} left out\n{fewer}");
                judged.judge(&fewer, &stream, "fewer");
                let mut other = plan.clone();
                other.cascades[cascade].starts[entry] += 1;
                judged.judge(&other, &stream, "a row further down");
            }
        }
        let slide = plan.slide.as_ref().unwrap();
        for kept in 0..slide.kept.len() {
            let change = |change: fn(&mut tinyc::plan::KeptRows)| {
                let mut mutant = plan.clone();
                change(&mut mutant.slide.as_mut().unwrap().kept[kept]);
                mutant
            };
            let forgotten = {
                let mut mutant = plan.clone();
                let slide = mutant.slide.as_mut().unwrap();
                slide.kept.remove(kept);
                (kept != slide.input).then_some(mutant)
            };
            let mutants = [
                Some(change(|kept| kept.first += 1)),
                Some(change(|kept| kept.end -= 1)),
                Some(change(|kept| kept.shift += 1)),
                Some(change(|kept| kept.shift -= 1)),
                forgotten,
            ];
            mutants.iter().flatten().for_each(|mutant| judged.judge(mutant, &stream, "kept otherwise"));
        }
        let mut later = plan.clone();
        later.slide.as_mut().unwrap().hop += 2;
        assert!(verify(&later).unwrap_err().starts_with("(12)"));
    }
    assert!(judged.caught > 50, "{judged:?}");
}
