//! Outputs that overlap the operands they are made from: distances by hand, bytes,
//! and a verifier that catches a distance too short.

mod hand_made;
mod mutants;

use hand_made::{Net, geometries};
use mutants::{destroys, moved};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tinyc::ir::{QuantParams, ValueId};
use tinyc::lower::sweep::{RowOrder, Sweep, Walk};
use tinyc::ops::Op;
use tinyc::ops::binary::Binary;
use tinyc::plan::arena::{Block, Overlap, live_bytes, lower_bound, pack};
use tinyc::plan::verify::{replay, verify};
use tinyc::plan::{Plan, PlannedCall, StepId, Time, plan};
use tinyc::verify::{reference, simulate::Simulator};

fn q() -> QuantParams {
    QuantParams::new(0.05, -3)
}

fn calls(plan: &Plan) -> impl Iterator<Item = &PlannedCall> {
    plan.steps.iter().flat_map(|s| s.work.calls())
}

/// The plan of one convolution of `[1, rows, columns, channels]`.
fn one_conv(shape: [usize; 3], kernel: usize, stride: usize, out_c: usize) -> Plan {
    let mut net = Net::new("one", 1);
    let x = net.input("x", &[1, shape[0], shape[1], shape[2]], q());
    let y = net.conv("conv", x, kernel, stride, 1, out_c);
    net.output(y);
    plan(&net.module).unwrap()
}

fn sweep(plan: &Plan) -> Sweep {
    calls(plan).next().unwrap().kernel.sweep().unwrap()
}

#[test]
fn a_3x3_keeps_two_rows_between_output_and_input() {
    // Rows of 8 * 4 = 32 B. Once row y is written, 32 (y + 1) B are; row y still read row y - 1.
    let plan = one_conv([10, 8, 4], 3, 1, 4);
    assert_eq!((sweep(&plan).below_bytes(), sweep(&plan).above_bytes()), (64, 64));
    assert_eq!((plan.arena_bytes, plan.live_bound_bytes), (320 + 64, 320 + 64));
}

#[test]
fn a_stride_of_two_keeps_one_output_row() {
    // 9 rows of 32 B to 5 rows of 16 B. Forward: row 0 is written while row 0 is read, and
    // from then on the input runs ahead. Backward: row 4 ends at 80 B, and reads to the end (288 B).
    let plan = one_conv([9, 8, 4], 3, 2, 4);
    assert_eq!((sweep(&plan).below_bytes(), sweep(&plan).above_bytes()), (16, 288 - 80 + 16));
    assert_eq!(plan.arena_bytes, 288 + 16);
}

#[test]
fn pointwise_outputs_follow_pixel_by_pixel() {
    // 16 pixels of 2 B to 6 B: the last pixel's 96 B are written while the input is read at 30 B.
    // Backward by rows: row 0 ends at 8 B.
    let wider = one_conv([4, 4, 2], 1, 1, 6);
    assert_eq!((sweep(&wider).below_bytes(), sweep(&wider).above_bytes()), (96 - 30, 8));
    assert_eq!(wider.live_bound_bytes, 96 - 30 + 32);
    // 6 B to 2 B: one output pixel, and offsets are multiples of 4.
    let narrower = one_conv([4, 4, 6], 1, 1, 2);
    assert_eq!(sweep(&narrower).below_bytes(), 2);
    assert_eq!((narrower.live_bound_bytes, narrower.arena_bytes), (96 + 2, 96 + 4));
}

#[test]
fn steps_of_two_rows_and_gaps_in_the_window_cost_more() {
    let rows = Walk {
        in_rows: 10,
        in_row_bytes: 32,
        out_rows: 10,
        out_row_bytes: 32,
        kernel: 3,
        stride: 1,
        pad: 1,
        dilation: 1,
        rows_per_step: 1,
    };
    // Rows 2k and 2k + 1 at once read from row 2k - 1 to row 2k + 2.
    let pairs = Walk { rows_per_step: 2, ..rows };
    assert_eq!((pairs.below_bytes(), pairs.above_bytes()), (96, 96));
    // Row 1 reads rows 1 and 3 only, but row 2 goes back to row 0.
    let dilated = Walk { pad: 2, dilation: 2, ..rows };
    assert_eq!((dilated.below_bytes(), dilated.above_bytes()), (96, 96));
    // Rows 0..2 and 4..6 are read; what lies behind is free.
    let floor = Walk { out_rows: 2, kernel: 2, stride: 4, pad: 0, ..rows };
    assert_eq!((floor.below_bytes(), floor.reach_bytes()), (32, 6 * 32));
}

/// The lives of a plan's buffers, without what may overlap.
fn blocks(plan: &Plan) -> Vec<Block> {
    let block =
        |b: &tinyc::plan::Buffer| Block { bytes: b.bytes, align: b.align, first: b.first, last: b.last };
    plan.buffers.iter().map(block).collect()
}

#[test]
fn random_graphs_give_the_references_bytes_in_no_more_memory() {
    let (mut forward, mut backward, mut before, mut after) = (0, 0, 0, 0);
    for seed in 0..80 {
        let mut net = geometries(seed);
        let plan = plan(&net.module).unwrap();
        for call in calls(&plan).filter(|c| c.overlaps_operand()) {
            *(if call.order == RowOrder::Forward { &mut forward } else { &mut backward }) += 1;
        }
        let apart = pack(&blocks(&plan), &[]).total_bytes;
        assert!(plan.live_bound_bytes <= plan.arena_bytes && plan.arena_bytes <= apart, "seed {seed}");
        (before, after) = (before + apart, after + plan.arena_bytes);
        let sample = net.sample();
        let expected = reference::run(&net.module, &reference::inputs(&net.module, &[&sample[0]]));
        Simulator::new(&plan).run_traced(&[&sample[0]], |_, step, codes| {
            assert_eq!(codes, expected[&step.output].codes, "seed {seed}, step {}\n{plan}", step.name);
        });
        let outputs = Simulator::new(&plan).run(&[&sample[0]]);
        for (output, id) in outputs.iter().zip(&net.module.graph.outputs) {
            assert_eq!(output, &expected[id].codes, "seed {seed}\n{plan}");
        }
    }
    assert!(forward > 50 && backward > 50, "{forward} forward, {backward} backward");
    assert!(after * 4 < before * 3, "{after} B instead of {before} B");
}

#[test]
fn what_is_needed_again_is_not_overlapped() {
    let build = |again: fn(&mut Net, ValueId, ValueId)| {
        let mut net = Net::new("again", 1);
        let x = net.input("x", &[1, 8, 8, 4], q());
        let a = net.conv("a", x, 3, 1, 1, 4);
        let b = net.conv("b", a, 3, 1, 1, 4);
        net.output(b);
        again(&mut net, a, b);
        plan(&net.module).unwrap()
    };
    // b from a in 256 + 64 B, unless a is a graph output or is summed with b (in place).
    assert_eq!(build(|_, _, _| ()).arena_bytes, 256 + 64);
    assert_eq!(build(|net, a, _| net.output(a)).arena_bytes, 512);
    let sum = |net: &mut Net, a, b| {
        net.op("sum", Op::Binary(Binary::Add), &[a, b], q());
    };
    assert_eq!(build(sum).arena_bytes, 512);
}

#[test]
fn an_input_that_is_overlapped_counts_as_overwritten() {
    let plan = one_conv([10, 8, 4], 3, 1, 4);
    assert!(plan.inputs[0].overwritten);
}

#[test]
fn every_shift_of_a_buffer_is_judged_rightly() {
    let mut caught = 0;
    for seed in 0..12 {
        let plan = plan(&geometries(seed).module).unwrap();
        for buffer in 0..plan.buffers.len() {
            for offset in (0..plan.arena_bytes).step_by(4) {
                let bad = destroys(&plan, buffer, offset);
                let result = verify(&moved(&plan, buffer, offset));
                assert_eq!(
                    result.is_err(),
                    bad,
                    "seed {seed}: buffer {buffer} at {offset}: {result:?}\n{plan}"
                );
                caught += usize::from(bad);
            }
        }
    }
    assert!(caught > 1000, "{caught}");
}

#[test]
fn four_bytes_too_close_are_caught_by_the_replay() {
    // Every pair keeps its exact distance here: rows are multiples of 4.
    for (stride, layers, order) in
        [(1, 1, RowOrder::Backward), (2, 1, RowOrder::Backward), (1, 2, RowOrder::Forward)]
    {
        let mut net = Net::new("close", 1);
        let x = net.input("x", &[1, 8, 8, 4], q());
        let a = net.conv("a", x, 3, stride, 1, 4);
        // Offsets go up and down in turn.
        let last = if layers == 2 { net.conv("b", a, 3, 1, 1, 4) } else { a };
        net.output(last);
        let plan = plan(&net.module).unwrap();
        let call = calls(&plan).find(|c| c.order == order).expect("this order occurs");
        let (output, input) = (call.output.offset, call.inputs[0].range.offset);
        let buffer =
            plan.buffers.iter().position(|b| b.first.index() > 0 && b.range() == call.output).unwrap();
        let closer = if output < input { output + 4 } else { output - 4 };
        let error = replay(&moved(&plan, buffer, closer)).unwrap_err();
        assert!(error.starts_with("(6)"), "{error}");
        // The other direction would need another distance.
        let mut turned = plan.clone();
        for step in &mut turned.steps {
            if let tinyc::plan::Work::Whole(calls) = &mut step.work {
                for call in calls {
                    call.order = match call.order {
                        RowOrder::Forward => RowOrder::Backward,
                        RowOrder::Backward => RowOrder::Forward,
                    };
                }
            }
        }
        assert!(verify(&turned).unwrap_err().starts_with("(6)"));
    }
}

#[test]
fn the_packer_keeps_the_distances_of_pairs() {
    let at = |moment: usize| moment.checked_sub(1).map_or(Time::START, |step| StepId::of(step).time());
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    for _ in 0..60 {
        // A chain of blocks, each made from the one before, and some that live beside it.
        let chain = 2 + pick(8);
        let mut blocks: Vec<Block> = (0..chain)
            .map(|i| Block { bytes: 40 + pick(400), align: 4, first: at(i), last: at(i + 1) })
            .collect();
        let overlaps: Vec<Overlap> = (1..chain)
            .map(|born| {
                let (below, above) = (pick(blocks[born].bytes), pick(blocks[born - 1].bytes));
                Overlap { dying: born - 1, born, below_bytes: below, above_bytes: above }
            })
            .collect();
        for _ in 0..pick(4) {
            let first = pick(chain);
            blocks.push(Block { bytes: pick(300), align: 16, first: at(first), last: at(first + pick(4)) });
        }
        let packing = pack(&blocks, &overlaps);
        assert!(packing.total_bytes >= lower_bound(&blocks, &overlaps));
        assert!(packing.total_bytes <= pack(&blocks, &[]).total_bytes);
        for (i, a) in blocks.iter().enumerate() {
            for (j, b) in blocks.iter().enumerate().skip(i + 1) {
                let (from, to) = (packing.offsets[i], packing.offsets[j]);
                let apart = from + a.bytes <= to || to + b.bytes <= from || a.bytes * b.bytes == 0;
                let pair = overlaps.iter().find(|o| o.dying == i && o.born == j);
                let kept = pair.is_some_and(|o| to + o.below_bytes <= from || to >= from + o.above_bytes);
                assert!(!a.meets(b) || apart || kept, "blocks {i} and {j}");
            }
        }
    }
}

#[test]
fn what_a_moment_needs_counts_a_pair_once() {
    // 100 B to 80 B, 30 B below or 90 B above: 130 B, or 170 B; beside it 10 B.
    let (first, last) = (Time::START, StepId::of(0).time());
    let blocks = [
        Block { bytes: 100, align: 4, first, last },
        Block { bytes: 80, align: 4, first: last, last },
        Block { bytes: 10, align: 4, first, last },
    ];
    let pair = Overlap { dying: 0, born: 1, below_bytes: 30, above_bytes: 90 };
    assert_eq!((live_bytes(&blocks, &[pair], 0), live_bytes(&blocks, &[pair], 1)), (110, 140));
    assert_eq!(lower_bound(&blocks, &[]), 190);
}
