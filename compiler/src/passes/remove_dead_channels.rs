//! Channels that do not matter: nobody reads them, or they are always one code.
//!
//! In: a quantized module. Out: the same network without its dead channels: values
//! with fewer channels, layers with fewer weights, biases that hold what constant
//! channels added. Invariant: for every input the codes of the graph's outputs and
//! of all channels that stay are what they were; docs/numerics.md, "Dead channels".
//!
//! `ranges` bounds the codes of every channel, `keep` decides which stay,
//! `shrink` takes the others out.

mod keep;
mod ranges;
mod shrink;

use super::{Context, PassError};
use crate::Module;
use crate::ops::{self, Op};
use crate::target::units::thousands;

/// What the pass took out of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadChannels {
    /// Layers with weights that lost output channels, in order.
    pub layers: Vec<DeadLayer>,
    /// Multiply-accumulates that are not needed any more.
    pub macs_saved: u64,
    /// Weights, one byte each, that are not needed any more.
    pub weight_bytes_saved: u64,
}

impl DeadChannels {
    /// Output channels that layers lost, in total.
    pub fn channels(&self) -> usize {
        self.layers.iter().map(|layer| layer.removed).sum()
    }
}

/// A layer that lost output channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLayer {
    /// The ONNX node.
    pub name: String,
    /// Output channels that were removed.
    pub removed: usize,
    /// Output channels that there were.
    pub channels: usize,
}

/// Runs the pass.
pub(super) fn run(module: &mut Module, context: &Context<'_>) -> Result<(), PassError> {
    if !context.keep_dead_channels {
        remove(module);
    }
    Ok(())
}

/// Takes the dead channels out of a quantized module and says so in its notes.
pub fn remove(module: &mut Module) {
    let before = cost(module);
    let ranges = ranges::of(&module.graph, &module.quant);
    let kept = keep::of(&module.graph, &module.quant, &ranges);
    let mut dead = DeadChannels::default();
    for &id in module.graph.order() {
        let node = module.graph.node(id);
        let flags = &kept[&node.output];
        let removed = flags.iter().filter(|&&kept| !kept).count();
        if removed > 0 && matches!(node.op, Op::Conv(_) | Op::Dense) {
            dead.layers.push(DeadLayer { name: node.name.clone(), removed, channels: flags.len() });
        }
    }
    shrink::run(module, &ranges, &kept);
    let after = cost(module);
    dead.macs_saved = before.0 - after.0;
    dead.weight_bytes_saved = before.1 - after.1;
    if let Some(first) = dead.layers.first() {
        let more = match dead.layers.len() {
            1 => String::new(),
            n => format!(" and {} further layers", n - 1),
        };
        module.notes.push(format!(
            "{} channels of '{}'{more} are never read or always one code and were left out: {} of {} MACs remain, every output is the same",
            dead.channels(), first.name, thousands(after.0), thousands(before.0)
        ));
    }
    module.dead = dead;
}

/// Multiply-accumulates and weights of all layers.
fn cost(module: &Module) -> (u64, u64) {
    let macs = module.graph.order().iter().map(|&id| ops::macs(&module.graph, id)).sum();
    let live = module.graph.order().iter().filter_map(|id| module.quant.layers.get(id));
    (macs, live.map(|layer| layer.weights.len() as u64).sum())
}
