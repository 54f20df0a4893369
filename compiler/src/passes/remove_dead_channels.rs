//! Channels that do not matter: nobody reads them, or they are always one code.
//!
//! In: a quantized module. Out: the same network without its dead channels: values
//! with fewer channels, layers with fewer weights, biases that hold what constant
//! channels added. Invariant: for every input the codes of the graph's outputs and
//! of all channels that stay are what they were; docs/numerics.md, "Dead channels".
//!
//! `ranges` bounds the codes of every channel, `classes` finds what is one code in each
//! class of pixels, `keep` decides which stay, `price` where biases by class pay, and
//! `shrink` takes the others out.

mod classes;
mod keep;
mod price;
mod ranges;
mod shrink;

pub use price::{Reason, Staying};

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
    /// Layers that have biases by class of pixels for it, in order.
    pub borders: Vec<BorderLayer>,
    /// Channels that stay because of borders.
    pub staying: Vec<Staying>,
}

/// A layer that took over channels which add something else at borders than inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BorderLayer {
    /// The ONNX node.
    pub name: String,
    /// Output pixels whose bias is not the layer's.
    pub pixels: usize,
    /// Bytes of these biases and of the classes.
    pub bytes: usize,
}

/// Where layers may have biases by class of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BorderBiases {
    /// Nowhere: channels that need them stay.
    Never,
    /// Where they save flash and work.
    Priced,
    /// Wherever they let channels go.
    Always,
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
        remove(module, BorderBiases::Priced);
    }
    Ok(())
}

/// Takes the dead channels out of a quantized module and says so in its notes.
pub fn remove(module: &mut Module, policy: BorderBiases) {
    let before = cost(module);
    let (known, kept, staying) = price::decide(module, policy);
    let mut dead = DeadChannels { staying, ..DeadChannels::default() };
    for &id in module.graph.order() {
        let node = module.graph.node(id);
        let flags = &kept[&node.output];
        let removed = flags.iter().filter(|&&kept| !kept).count();
        if removed > 0 && matches!(node.op, Op::Conv(_) | Op::Dense) {
            dead.layers.push(DeadLayer { name: node.name.clone(), removed, channels: flags.len() });
        }
    }
    shrink::run(module, &known, &kept);
    for &id in module.graph.order() {
        let layer = module.quant.layers.get(&id);
        if let Some(borders) = layer.and_then(|layer| layer.borders.as_ref()) {
            let name = module.graph.node(id).name.clone();
            dead.borders.push(BorderLayer { name, pixels: borders.pixels(), bytes: borders.pack().len() });
        }
    }
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
