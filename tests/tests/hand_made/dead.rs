//! Networks with dead channels, planted by hand, and what they compute without them.

use std::path::Path;

use super::Net;
use tinyc::Module;
use tinyc::compile::{CompileOptions, Compiled, Silent, compile};
use tinyc::ir::verify::verify;
use tinyc::ir::{QuantParams, ValueId};
use tinyc::lower::KernelSet;
use tinyc::passes::remove_dead_channels::{BorderBiases, remove};
use tinyc::plan::plan_with;
use tinyc::quant::LayerQuant;
use tinyc::verify::reference;
use tinyc::verify::simulate::Simulator;

/// Scale and zero point of the hand-made networks.
pub fn q() -> QuantParams {
    QuantParams::new(0.05, -3)
}

pub fn outputs(module: &Module, codes: &[Vec<i8>]) -> Vec<Vec<i8>> {
    let slices: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
    let tensors = reference::run(module, &reference::inputs(module, &slices));
    module.graph.outputs.iter().map(|id| tensors[id].codes.clone()).collect()
}

/// The network without its dead channels; reference and kernels must give what the
/// reference gives with them, on random inputs and on the extreme ones.
pub fn shrunk(net: &mut Net) -> Module {
    shrunk_with(net, BorderBiases::Priced)
}

pub fn shrunk_with(net: &mut Net, borders: BorderBiases) -> Module {
    let mut small = net.module.clone();
    remove(&mut small, borders);
    verify(&small.graph).unwrap();
    let mut samples: Vec<Vec<Vec<i8>>> = (0..12).map(|_| net.sample()).collect();
    for code in [i8::MIN, -3, i8::MAX] {
        samples.push(samples[0].iter().map(|input| vec![code; input.len()]).collect());
    }
    let sets = [KernelSet::General, KernelSet::Tiles, KernelSet::Windows];
    let plans = sets.map(|kernels| plan_with(&small, kernels).unwrap());
    for codes in &samples {
        let expected = outputs(&net.module, codes);
        assert_eq!(outputs(&small, codes), expected);
        let slices: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
        for plan in &plans {
            assert_eq!(Simulator::new(plan).run(&slices), expected);
        }
    }
    small
}

pub fn channels(module: &Module, value: ValueId) -> usize {
    module.graph.shape(value).channels()
}

pub fn layer(net: &mut Net, output: ValueId) -> &mut LayerQuant {
    let node = net.module.graph.producer(output).unwrap();
    net.module.quant.layers.get_mut(&node).unwrap()
}

/// Output channel `c` has no weights: it is always the code of its bias.
pub fn without_weights(net: &mut Net, output: ValueId, c: usize, bias: i32) {
    let layer = layer(net, output);
    let row = layer.weights.len() / layer.bias.len();
    layer.weights[c * row..][..row].fill(0);
    layer.bias[c] = bias;
}

/// Output channel `c` keeps its weights and always saturates at -128.
pub fn saturated(net: &mut Net, output: ValueId, c: usize) {
    layer(net, output).bias[c] = -(1 << 24);
}

/// No output channel of a layer reads input channel `c` of `of`.
pub fn unread(net: &mut Net, output: ValueId, c: usize, of: usize) {
    layer(net, output).weights.iter_mut().skip(c).step_by(of).for_each(|w| *w = 0);
}

pub fn both(model: &Path, options: &CompileOptions) -> [Compiled; 2] {
    [true, false].map(|keep_dead_channels| {
        let options = CompileOptions { keep_dead_channels, ..options.clone() };
        compile(model, &options, &Silent, &mut |_, _| {}).unwrap()
    })
}
