//! Dead rows and columns: the network without them computes what it computed with them.
//!
//! Expected sizes are calculated by hand; expected bytes come from the naive reference
//! on the network that still computes everything.

mod hand_made;

use hand_made::Net;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tinyc::Module;
use tinyc::ir::verify::verify;
use tinyc::ir::{QuantParams, ValueId};
use tinyc::lower::KernelSet;
use tinyc::ops::binary::Binary;
use tinyc::ops::conv::{Pads, Window};
use tinyc::ops::pool::{Kind, Pool};
use tinyc::ops::unary::Function;
use tinyc::ops::{self, Op};
use tinyc::passes::remove_dead_rows::remove;
use tinyc::plan::cascade::{Effort, candidates};
use tinyc::plan::{lowered, plan_with};
use tinyc::verify::reference;
use tinyc::verify::simulate::Simulator;

fn q() -> QuantParams {
    QuantParams::new(0.05, -3)
}

fn window(kernel: [usize; 2], stride: [usize; 2], pads: [usize; 4]) -> Window {
    let [top, left, bottom, right] = pads;
    Window { kernel, stride, dilation: [1; 2], pads: Pads { top, left, bottom, right } }
}

fn pool(net: &mut Net, name: &str, x: ValueId, kind: Kind, window: Window, ceil: bool) -> ValueId {
    net.op(name, Op::Pool(Pool { kind, window, ceil }), &[x], q())
}

fn outputs(module: &Module, codes: &[Vec<i8>]) -> Vec<Vec<i8>> {
    let slices: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
    let tensors = reference::run(module, &reference::inputs(module, &slices));
    module.graph.outputs.iter().map(|id| tensors[id].codes.clone()).collect()
}

/// The network without its dead rows; the reference and the kernels, on whole tensors
/// and row by row, must give what the reference gives with them.
fn shrunk(net: &mut Net) -> Module {
    shrunk_in(net, usize::MAX)
}

/// As [`shrunk`], with at most so many plans by rows for each set of kernels.
fn shrunk_in(net: &mut Net, by_rows: usize) -> Module {
    let mut small = net.module.clone();
    remove(&mut small);
    verify(&small.graph).unwrap();
    let mut plans = Vec::new();
    for kernels in [KernelSet::General, KernelSet::Tiles, KernelSet::Windows] {
        plans.push(plan_with(&small, kernels).unwrap());
        if by_rows == 0 {
            continue;
        }
        let steps = lowered(&small, kernels).unwrap();
        let rows = candidates(&small, &steps, kernels, Effort::default());
        plans
            .extend(rows.list.iter().take(by_rows).map(|one| rows.plan(&small, steps.clone(), one).unwrap()));
    }
    for _ in 0..3 {
        let codes = net.sample();
        let expected = outputs(&net.module, &codes);
        assert_eq!(outputs(&small, &codes), expected);
        let slices: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
        for plan in &plans {
            assert_eq!(Simulator::new(plan).run(&slices), expected, "{plan}");
        }
    }
    small
}

fn size(module: &Module, value: ValueId) -> [usize; 2] {
    let [height, width, _] = module.graph.shape(value).hwc().unwrap();
    [height, width]
}

fn macs(module: &Module) -> u64 {
    module.graph.order().iter().map(|&id| ops::macs(&module.graph, id)).sum()
}

#[test]
fn a_pooling_in_floor_mode_shortens_the_layers_in_front_of_it() {
    let mut net = Net::new("floor", 1);
    let x = net.input("x", &[1, 13, 16, 2], q());
    let a = net.conv_over("a", x, window([3; 2], [1; 2], [0; 4]), 1, 4);
    let b = net.conv_over("b", a, window([3; 2], [1; 2], [1; 4]), 1, 3);
    let y = pool(&mut net, "y", b, Kind::Max, window([2; 2], [2; 2], [0; 4]), false);
    net.output(y);
    assert_eq!([a, b, y].map(|v| size(&net.module, v)), [[11, 14], [11, 14], [5, 7]]);
    let small = shrunk(&mut net);
    // The pooling reads 10 of 11 rows; row 9 of b reads rows 8 to 10 of a, all there are.
    assert_eq!([x, a, b, y].map(|v| size(&small, v)), [[13, 16], [11, 14], [10, 14], [5, 7]]);
    assert_eq!(macs(&net.module) - macs(&small), 14 * 3 * 9 * 4);
}

#[test]
fn strides_leave_rows_and_columns_over() {
    let mut net = Net::new("strides", 2);
    let x = net.input("x", &[1, 12, 11, 2], q());
    let a = net.conv("a", x, 3, 1, 1, 4);
    let b = net.op("b", Op::Unary(vec![Function::Tanh]), &[a], q());
    // Windows start at 0, 3, 6, 9 of 12 rows and at 0, 3, 6, 9 of 11 columns.
    let c = net.conv_over("c", b, window([2, 1], [3; 2], [0; 4]), 4, 4);
    net.output(c);
    let small = shrunk(&mut net);
    assert_eq!([x, a, b, c].map(|v| size(&small, v)), [[12, 11], [11, 10], [11, 10], [4, 4]]);
    assert!(macs(&small) < macs(&net.module));
}

#[test]
fn what_is_added_or_joined_has_one_size() {
    let mut net = Net::new("tied", 3);
    let x = net.input("x", &[1, 9, 9, 2], q());
    let a = net.conv("a", x, 3, 1, 1, 4);
    let b = net.conv("b", x, 1, 1, 1, 4);
    let sum = net.op("sum", Op::Binary(Binary::Add), &[a, b], QuantParams::new(0.1, 4));
    let y = pool(&mut net, "y", sum, Kind::Max, window([2; 2], [2; 2], [0; 4]), false);
    // Reads row and column 8 of b; so the sum, and a with it, have them too.
    let z = net.conv("z", b, 3, 1, 1, 2);
    let joined = net.op("joined", Op::Concat(3), &[a, a], q());
    let last = pool(&mut net, "last", joined, Kind::Max, window([2; 2], [2; 2], [0; 4]), false);
    net.output(y);
    net.output(z);
    net.output(last);
    let small = shrunk(&mut net);
    assert_eq!([a, b, sum, joined].map(|v| size(&small, v)), [[9; 2]; 4]);
    let mut alone = Net::new("tied alone", 4);
    let x = alone.input("x", &[1, 9, 9, 2], q());
    let a = alone.conv("a", x, 3, 1, 1, 4);
    let b = alone.conv("b", x, 1, 1, 1, 4);
    let sum = alone.op("sum", Op::Binary(Binary::Add), &[a, b], QuantParams::new(0.1, 4));
    let y = pool(&mut alone, "y", sum, Kind::Max, window([2; 2], [2; 2], [0; 4]), false);
    alone.output(y);
    let small = shrunk(&mut alone);
    assert_eq!([a, b, sum].map(|v| size(&small, v)), [[8; 2]; 3]);
}

#[test]
fn outputs_and_what_is_flattened_stay_whole() {
    let mut net = Net::new("whole", 5);
    let x = net.input("x", &[1, 7, 7, 2], q());
    let a = net.conv("a", x, 3, 1, 1, 4);
    let b = net.conv("b", x, 3, 1, 1, 4);
    let y = pool(&mut net, "y", a, Kind::Max, window([2; 2], [2; 2], [0; 4]), false);
    let flat = net.reshape("flat", b, &[1, 7 * 7 * 4]);
    let z = net.dense("z", flat, 3);
    let p = pool(&mut net, "p", b, Kind::Max, window([2; 2], [2; 2], [0; 4]), false);
    [a, y, z, p].into_iter().for_each(|value| net.output(value));
    let small = shrunk(&mut net);
    assert_eq!([a, b].map(|v| size(&small, v)), [[7; 2]; 2]);
}

#[test]
fn means_count_the_cells_that_they_counted() {
    for (ceil, count_include_pad) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut net = Net::new("means", 6);
        let x = net.input("x", &[1, 10, 9, 2], q());
        let a = net.conv("a", x, 1, 1, 1, 3);
        let kind = Kind::Average { count_include_pad };
        let mean = pool(&mut net, "mean", a, kind, window([3; 2], [2; 2], [1, 0, 1, 1]), ceil);
        let y = pool(&mut net, "y", mean, Kind::Max, window([2; 2], [2; 2], [0; 4]), false);
        net.output(y);
        let small = shrunk(&mut net);
        // Of 5 (6) x 4 (5) means 4 (6) x 4 are read; row 3 reads up to row 7 of a.
        let rows = if ceil { [10, 6] } else { [8, 4] };
        assert_eq!([a, mean].map(|v| size(&small, v)), [[rows[0], 9], [rows[1], 4]], "ceil {ceil}");
    }
}

/// A network drawn at random: windows of all kinds, sums, tables.
fn drawn(seed: u64) -> Net {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let mut net = Net::new("drawn", seed);
    let mut x = net.input("x", &[1, 9 + pick(12), 9 + pick(12), 1 + pick(4)], q());
    let mut earlier: Vec<ValueId> = Vec::new();
    for step in 0..4 + pick(5) {
        let name = format!("n{step}");
        let [height, width, c] = net.module.graph.shape(x).hwc().unwrap();
        let kernel = [1 + pick(3.min(height)), 1 + pick(3.min(width))];
        let pads = [0; 4].map(|_| if kernel.contains(&1) { 0 } else { pick(2) });
        let dilation = [0, 1].map(|i| if [height, width][i] > 4 { 1 + pick(2) } else { 1 });
        let window = Window { dilation, ..window(kernel, [1 + pick(3), 1 + pick(3)], pads) };
        let fits = window.output([height, width], false).is_ok();
        let y = match pick(8) {
            0..3 if fits => net.conv_over(&name, x, window, 1, 1 + pick(9)),
            3 if fits => net.conv_over(&name, x, window, c, c),
            4 | 5 => {
                let kinds = [false, true].map(|count_include_pad| Kind::Average { count_include_pad });
                let kind = [Kind::Max, kinds[0], kinds[1]][pick(3)];
                let pool = Pool { kind, window, ceil: pick(2) == 0 };
                match pool.output_shape(&[net.module.graph.shape(x)]) {
                    Ok(_) => net.op(&name, Op::Pool(pool), &[x], q()),
                    Err(_) => continue,
                }
            }
            6 => net.op(&name, Op::Unary(vec![Function::Abs]), &[x], q()),
            _ => {
                let shape = net.module.graph.shape(x).clone();
                match earlier.iter().copied().find(|v| *net.module.graph.shape(*v) == shape) {
                    Some(other) => net.op(&name, Op::Binary(Binary::Add), &[x, other], q()),
                    None => net.conv(&name, x, 1, 1, 1, c),
                }
            }
        };
        earlier.push(x);
        x = y;
    }
    net.output(x);
    net
}

#[test]
fn random_networks_compute_the_same_without_their_dead_rows() {
    let mut saved = 0;
    for seed in 0..60 {
        let mut net = drawn(seed);
        let small = shrunk_in(&mut net, if seed % 6 == 0 { 4 } else { 0 });
        saved += usize::from(macs(&small) < macs(&net.module));
    }
    assert!(saved > 20, "MACs were saved in {saved} of 60 networks only");
}
