//! Small quantized modules, built by hand: no file, no calibration.

#![allow(dead_code, reason = "each test binary uses some of it")]

pub mod dead;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tinyc::ir::{Def, Graph, NewNode, NodeId, QuantParams, Shape, ValueId};
use tinyc::ops::Op;
use tinyc::ops::binary::Binary;
use tinyc::ops::conv::{Conv, Pads, Window};
use tinyc::ops::pad::Pad;
use tinyc::ops::pool::{Kind, Pool};
use tinyc::ops::unary::Function;
use tinyc::plan::Plan;
use tinyc::plan::verify::{replay, verify};
use tinyc::quant::{Given, LayerQuant, Multiplier, QuantTable};
use tinyc::verify::{reference, simulate::Simulator};
use tinyc::{Module, Ports};

/// A module under construction; weights and biases are seeded random codes.
pub struct Net {
    pub module: Module,
    rng: ChaCha8Rng,
}

impl Net {
    pub fn new(name: &str, seed: u64) -> Net {
        let module = Module {
            graph: Graph::new(name),
            given: Given::default(),
            quant: QuantTable::default(),
            ports: Ports { inputs: vec![], outputs: vec![] },
            notes: vec![],
            dead: Default::default(),
        };
        Net { module, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    pub fn input(&mut self, name: &str, shape: &[usize], params: QuantParams) -> ValueId {
        let id = self.module.graph.add_value(name, Shape::from(shape), Def::Input, None);
        self.module.graph.inputs.push(id);
        self.module.quant.activations.insert(id, params);
        id
    }

    pub fn output(&mut self, value: ValueId) {
        self.module.graph.outputs.push(value);
    }

    pub fn node(&mut self, name: &str, onnx_op: &str, op: Op, inputs: Vec<ValueId>, shape: Shape) -> NodeId {
        let params = self.module.quant.activation(inputs[0]);
        let output_name = format!("{name}_out");
        let node = NewNode { name, onnx_op, op, inputs, output_name: &output_name, shape, origin: None };
        let id = self.module.graph.add_node(node, None);
        let output = self.module.graph.node(id).output;
        self.module.quant.activations.insert(output, params);
        id
    }

    pub fn out(&self, node: NodeId) -> ValueId {
        self.module.graph.node(node).output
    }

    /// A convolution with a square kernel and padding that keeps the size at stride 1.
    pub fn conv(
        &mut self,
        name: &str,
        x: ValueId,
        kernel: usize,
        stride: usize,
        groups: usize,
        out_c: usize,
    ) -> ValueId {
        let pad = kernel / 2;
        let window = Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pads: Pads { top: pad, left: pad, bottom: pad, right: pad },
        };
        self.conv_over(name, x, window, groups, out_c)
    }

    /// A convolution over any window.
    pub fn conv_over(
        &mut self,
        name: &str,
        x: ValueId,
        window: Window,
        groups: usize,
        out_c: usize,
    ) -> ValueId {
        let per_group = self.module.graph.shape(x).channels() / groups;
        let weights = Shape(vec![out_c, window.kernel[0], window.kernel[1], per_group]);
        let taps = window.kernel[0] * window.kernel[1] * per_group;
        let conv = Conv { window, groups, pad_value: 0.0 };
        let constant = ndarray::ArrayD::<f32>::zeros(weights.0.clone());
        let constant = self.module.graph.add_const(&format!("{name}_w"), constant);
        let shape = conv.output_shape(&[self.module.graph.shape(x), &weights]).unwrap();
        let node = self.node(name, "Conv", Op::Conv(conv), vec![x, constant], shape);
        let real = 1.0 / (74.0 * (taps as f64).sqrt());
        let layer = LayerQuant {
            borders: None,
            weights: self.codes(weights.elements()).iter().map(|&w| w.max(-127)).collect(),
            weight_scales: vec![0.01; out_c],
            bias: (0..out_c).map(|_| self.rng.next_u32() as i32 % 4096).collect(),
            multipliers: (0..out_c)
                .map(|c| Multiplier::from_real(real * (1.0 + c as f64 / 16.0)).unwrap())
                .collect(),
        };
        self.module.quant.layers.insert(node, layer);
        self.out(node)
    }

    pub fn reshape(&mut self, name: &str, x: ValueId, shape: &[usize]) -> ValueId {
        let node = self.node(name, "Reshape", Op::Reshape, vec![x], Shape::from(shape));
        self.out(node)
    }

    /// A node whose output shape is the operator's own; its output has `params`.
    pub fn op(&mut self, name: &str, op: Op, inputs: &[ValueId], params: QuantParams) -> ValueId {
        let shapes: Vec<&Shape> = inputs.iter().map(|&v| self.module.graph.shape(v)).collect();
        let shape = op.output_shape(&shapes).unwrap().unwrap();
        let onnx_op = op.name();
        let node = self.node(name, onnx_op, op, inputs.to_vec(), shape);
        let output = self.out(node);
        self.module.quant.activations.insert(output, params);
        output
    }

    /// A fully connected layer over the last dimension.
    pub fn dense(&mut self, name: &str, x: ValueId, out: usize) -> ValueId {
        let features = self.module.graph.shape(x).channels();
        let constant = ndarray::ArrayD::<f32>::zeros(vec![out, features]);
        let constant = self.module.graph.add_const(&format!("{name}_w"), constant);
        let params = self.module.quant.activation(x);
        let output = self.op(name, Op::Dense, &[x, constant], params);
        let layer = LayerQuant {
            borders: None,
            weights: self.codes(out * features).iter().map(|&w| w.max(-127)).collect(),
            weight_scales: vec![0.01; out],
            bias: vec![100; out],
            // A shift in some channels: multipliers of one half and more.
            multipliers: (0..out)
                .map(|c| Multiplier::from_real(0.002 * 7f64.powi(c as i32)).unwrap())
                .collect(),
        };
        let node = self.module.graph.producer(output).unwrap();
        self.module.quant.layers.insert(node, layer);
        output
    }

    pub fn codes(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| self.rng.next_u32() as i8).collect()
    }

    /// Random codes for every input.
    pub fn sample(&mut self) -> Vec<Vec<i8>> {
        let sizes: Vec<usize> =
            self.module.graph.inputs.iter().map(|&v| self.module.graph.shape(v).elements()).collect();
        sizes.into_iter().map(|n| self.codes(n)).collect()
    }
}

/// Two inputs, two outputs, a depthwise layer, a view, a tensor read twice.
pub fn branches() -> Net {
    let mut net = Net::new("branches", 7);
    let image = net.input("image:0", &[1, 9, 7, 3], QuantParams::new(0.05, -3));
    let level = net.input("level", &[1, 2, 2, 6], QuantParams::new(0.02, 11));
    let a = net.conv("stem/conv", image, 3, 2, 1, 8);
    let b = net.conv("stem/depthwise", a, 3, 1, 8, 8);
    let c = net.conv("head", a, 1, 1, 1, 5);
    let d = net.conv("tail", b, 1, 1, 2, 4);
    let e = net.conv("level/conv", level, 1, 1, 1, 2);
    let flat = net.reshape("flat", d, &[1, 80]);
    let flat_again = net.reshape("flat_again", flat, &[1, 5, 4, 4]);
    let f = net.conv("last", flat_again, 3, 1, 1, 3);
    net.output(c);
    net.output(e);
    net.output(f);
    net
}

/// Every kernel of the runtime at least once, with residual and in-place steps.
pub fn zoo() -> Net {
    let q = QuantParams::new(0.05, -3);
    let mut net = Net::new("zoo", 11);
    let x = net.input("x", &[1, 8, 6, 4], q);
    let a = net.conv("conv", x, 3, 1, 1, 4);
    let b = net.conv("depthwise", a, 3, 1, 4, 4);
    let sum = net.op("residual", Op::Binary(Binary::Add), &[a, b], QuantParams::new(0.07, 5));
    let leaky = Op::Unary(vec![Function::LeakyRelu { slope: 0.1 }]);
    let c = net.op("leaky", leaky, &[sum], q);
    let window = Window { kernel: [2; 2], stride: [2; 2], dilation: [1; 2], pads: Pads::default() };
    let d = net.op("max", Op::Pool(Pool { kind: Kind::Max, window, ceil: false }), &[c], q);
    let kind = Kind::Average { count_include_pad: false };
    let pads = Pads { top: 1, left: 1, bottom: 1, right: 1 };
    let window = Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pads };
    let e = net.op("mean", Op::Pool(Pool { kind, window, ceil: false }), &[d], q);
    let f = net.op("product", Op::Binary(Binary::Mul), &[d, e], q);
    let g = net.op("concat", Op::Concat(3), &[d, f], q);
    let pad = Pad { before: vec![0, 1, 0, 0], after: vec![0, 0, 1, 0], value: 0.5 };
    let h = net.op("pad", Op::Pad(pad), &[g], q);
    let i = net.op("turn", Op::Transpose(vec![0, 3, 1, 2]), &[h], q);
    let flat = net.reshape("flat", i, &[1, 160]);
    let j = net.dense("dense", flat, 6);
    let k = net.op("softmax", Op::Softmax, &[j], QuantParams::new(1.0 / 256.0, -128));
    net.output(k);
    net.output(e);
    net
}

/// One input, one output.
pub fn chain() -> Net {
    let mut net = Net::new("chain \"one\"", 3);
    let x = net.input("x", &[1, 6, 5, 2], QuantParams::new(1.0 / 32.0, 4));
    let a = net.conv("conv_a", x, 3, 1, 1, 8);
    let b = net.conv("conv_b", a, 3, 1, 8, 16);
    let c = net.conv("conv_c", b, 1, 1, 1, 4);
    let y = net.reshape("y", c, &[1, 120]);
    net.output(y);
    net
}

/// Convolutions and poolings of many geometries, with sums, over maps that shrink.
pub fn geometries(seed: u64) -> Net {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let mut net = Net::new("geometries", seed);
    let mut value = net.input("x", &[1, 6 + pick(9), 5 + pick(6), 1 + pick(6)], QuantParams::new(0.05, -3));
    let mut older = value;
    for step in 0..4 + pick(8) {
        let name = format!("node_{step}");
        let shape = net.module.graph.shape(value).clone();
        let [rows, columns, channels] = shape.hwc().unwrap();
        let roomy = rows > 3 && columns > 3;
        let stride = if roomy { 1 + pick(2) } else { 1 };
        let before = value;
        value = match pick(8) {
            0..3 => net.conv(&name, value, 1 + 2 * pick(3), stride, 1, 1 + pick(12)),
            3 | 4 => net.conv(&name, value, 1 + 2 * pick(2), stride, channels, channels * (1 + pick(2))),
            5 | 6 if roomy => {
                let kind = if pick(2) == 0 { Kind::Max } else { Kind::Average { count_include_pad: false } };
                let pad = pick(2);
                let pads = Pads { top: pad, left: pick(2), bottom: pad, right: 0 };
                let window =
                    Window { kernel: [2 + pad; 2], stride: [1 + pick(3); 2], dilation: [1; 2], pads };
                net.op(
                    &name,
                    Op::Pool(Pool { kind, window, ceil: false }),
                    &[value],
                    QuantParams::new(0.05, -3),
                )
            }
            _ if net.module.graph.shape(older) == &shape => {
                net.op(&name, Op::Binary(Binary::Add), &[value, older], QuantParams::new(0.05, -3))
            }
            _ => net.conv(&name, value, 1, 1, 1, 8),
        };
        if pick(2) == 0 {
            older = before;
        }
    }
    net.output(value);
    if pick(3) == 0 {
        net.output(older);
    }
    net
}

/// A residual network: shortcuts of 1 x 1 convolutions beside two 3 x 3, sums, maybe a
/// concatenation, a mean over all rows, and a layer on the result.
pub fn residual(seed: u64) -> Net {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let q = || QuantParams::new(0.05, -3);
    let mut net = Net::new("residual", seed);
    let mut x = net.input("x", &[1, 8 + pick(9), 5 + pick(8), 1 + pick(4)], q());
    for block in 0..1 + pick(3) {
        let name = |part: &str| format!("{part}_{block}");
        let (stride, channels) = (1 + pick(2), 4 * (1 + pick(3)));
        let main = net.conv(&name("a"), x, 3, stride, 1, channels);
        let main = if pick(2) == 0 { net.conv(&name("d"), main, 3, 1, channels, channels) } else { main };
        let main = net.conv(&name("b"), main, 3, 1, 1, channels);
        let short = net.conv(&name("s"), x, 1, stride, 1, channels);
        x = net.op(&name("sum"), Op::Binary(Binary::Add), &[main, short], q());
        match pick(4) {
            0 => x = net.op(&name("tanh"), Op::Unary(vec![Function::Tanh]), &[x], q()),
            1 => {
                // Two, three or four.
                let all = [x, main, short, x];
                x = net.op(&name("cat"), Op::Concat(3), &all[..2 + (seed as usize + block) % 3], q());
            }
            2 => net.output(main),
            _ => {}
        }
    }
    if pick(4) > 0 {
        let [rows, columns, _] = net.module.graph.shape(x).hwc().unwrap();
        let window =
            Window { kernel: [rows, columns], stride: [1; 2], dilation: [1; 2], pads: Pads::default() };
        let kind = Kind::Average { count_include_pad: false };
        x = net.op("mean", Op::Pool(Pool { kind, window, ceil: false }), &[x], q());
        x = net.conv("head", x, 1, 1, 1, 5);
    }
    net.output(x);
    net
}

/// Vectors, and maps of one width, that are joined again and again, two to four at a time:
/// those of every layer, inputs, views, what others read as well, what is joined already.
pub fn strands(seed: u64) -> Net {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let q = || QuantParams::new(0.05, -3);
    let mut net = Net::new("strands", seed);
    let mut maps = vec![net.input("map", &[1, 3 + pick(5), 4, 2], q())];
    let mut vectors: Vec<ValueId> = (0..pick(3))
        .map(|index| net.input(&format!("vector_{index}"), &[1, 4 * (1 + pick(3)) + pick(2)], q()))
        .collect();
    for step in 0..6 + pick(10) {
        let name = format!("node_{step}");
        // Mostly recent tensors, so that some die and some stay.
        let recent = |len: usize, back: usize| len - 1 - back.min(len - 1);
        let map = maps[recent(maps.len(), pick(4))];
        let [rows, columns, channels] = net.module.graph.shape(map).hwc().unwrap();
        let vector = vectors.get(recent(vectors.len().max(1), pick(4))).copied();
        match (pick(9), vector) {
            (0, _) => maps.push(net.conv(&name, map, 3, 1, 1, 2)),
            (1, _) => maps.push(net.conv(&name, map, 1, 1, 1, 2)),
            (2, _) => maps.push(net.op(&name, Op::Unary(vec![Function::Tanh]), &[map], q())),
            (3, _) if rows < 30 => {
                let all: Vec<ValueId> = (0..2 + pick(3)).map(|_| maps[recent(maps.len(), pick(6))]).collect();
                maps.push(net.op(&name, Op::Concat(1), &all, q()));
            }
            (4, Some(x)) => vectors.push(net.dense(&name, x, 4 * (1 + pick(3)) + pick(2))),
            (5, Some(x)) => vectors.push(net.op(&name, Op::Unary(vec![Function::Tanh]), &[x], q())),
            (6 | 7, Some(x)) if net.module.graph.shape(x).elements() < 200 => {
                let more = (0..1 + pick(3)).map(|_| vectors[recent(vectors.len(), pick(6))]);
                let all: Vec<ValueId> = [x].into_iter().chain(more).collect();
                vectors.push(net.op(&name, Op::Concat(1), &all, q()));
            }
            _ => vectors.push(net.reshape(&name, map, &[1, rows * columns * channels])),
        }
    }
    // Nothing is made for nobody.
    let graph = &net.module.graph;
    let is_read = |value: &ValueId| graph.order().iter().any(|&id| graph.node(id).inputs.contains(value));
    let unread = maps.iter().chain(&vectors).copied().filter(|v| !is_read(v) && !graph.inputs.contains(v));
    for value in unread.collect::<Vec<_>>() {
        net.output(value);
    }
    net
}

/// Codes of every output by the naive references.
pub fn expected(net: &Net, sample: &[Vec<i8>]) -> Vec<Vec<i8>> {
    let slices: Vec<&[i8]> = sample.iter().map(Vec::as_slice).collect();
    let tensors = reference::run(&net.module, &reference::inputs(&net.module, &slices));
    net.module.graph.outputs.iter().map(|v| tensors[v].codes.clone()).collect()
}

/// What became of plans with rows in other places.
#[derive(Debug, Default)]
pub struct Mutants {
    /// The replay sees a read of what was overwritten.
    pub caught: usize,
    /// Nobody has anything to say, and the bytes are right.
    pub harmless: usize,
}

impl Mutants {
    /// Checks that the verifier says what the replay says, and that where neither has
    /// anything to say the outputs are the [`expected`] ones.
    pub fn judge(&mut self, mutant: &Plan, sample: &[Vec<i8>], expected: &[Vec<i8>], what: &str) {
        if replay(mutant).is_err() {
            assert!(verify(mutant).is_err(), "{what}");
            self.caught += 1;
        } else if verify(mutant).is_ok() {
            self.harmless += 1;
            let slices: Vec<&[i8]> = sample.iter().map(Vec::as_slice).collect();
            assert_eq!(Simulator::new(mutant).run(&slices), expected, "{what}\n{mutant}");
        }
    }
}
