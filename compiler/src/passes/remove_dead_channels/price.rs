//! Whether biases by class of pixels pay.
//!
//! In: a quantized module and what is known of its channels. Out: the channels that
//! stay, and the layers whose input channels stay because of borders, with the reason.
//! Invariant: no layer gets such biases where the network with them takes more flash or
//! more work than without.

use std::collections::BTreeSet;

use super::classes::{self, Known};
use super::keep::{self, Kept};
use super::{BorderBiases, shrink};
use crate::Module;
use crate::ir::NodeId;
use crate::ops::{self, Op};
use crate::quant::border::MOST_CLASSES;

/// Channels that stay because they are not the padding's code at borders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staying {
    /// The layer that would have to take them over, by its ONNX node.
    pub layer: String,
    /// Its input channels that stay.
    pub channels: usize,
    /// Why.
    pub reason: Reason,
}

/// Why channels stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Their layer's biases would take more flash or more work than is saved.
    Price,
    /// There are more classes of pixels than [`MOST_CLASSES`].
    Classes,
}

/// Multiply-accumulates that take the time of correcting one output, by the fixture
/// `borders` on a Cortex-M4: sums that leave the assembly, an addition, a requantization
/// of its own, and half of the outputs that only share a pair of pixels with such a one.
const CORRECTION_MACS: u64 = 100;

/// Bytes that the code for such layers may take, which the first of them brings with it.
const CODE_BYTES: u64 = 1024;

/// What a network costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Price {
    bytes: u64,
    work: u64,
}

impl Price {
    /// Whether it is no more than another in both.
    fn pays(self, other: Price) -> bool {
        self.bytes <= other.bytes && self.work <= other.work
    }
}

/// What is known, which channels stay, and which of them because of borders.
pub fn decide(module: &Module, policy: BorderBiases) -> (Known, Kept, Vec<Staying>) {
    let (graph, quant) = (&module.graph, &module.quant);
    let none = BTreeSet::new();
    let known = classes::of(graph, quant, MOST_CLASSES);
    let even = keep::of(graph, quant, &known, &none);
    let convolutions: BTreeSet<NodeId> = graph
        .order()
        .iter()
        .copied()
        .filter(|&id| matches!(graph.node(id).op, Op::Conv(conv) if conv.groups == 1))
        .collect();
    let fewest = match known.exceeded {
        true => keep::of(graph, quant, &classes::of(graph, quant, usize::MAX), &convolutions),
        false => keep::of(graph, quant, &known.clone().for_any_layer(), &convolutions),
    };
    if policy == BorderBiases::Never || fewest == even {
        return (known, even, Vec::new());
    }
    let allowed = keep::of(graph, quant, &known, &convolutions);
    let (bordered, kept) = match policy {
        BorderBiases::Priced => priced(module, &known, &even, convolutions, &allowed),
        _ => (convolutions, allowed.clone()),
    };
    let mut staying = Vec::new();
    for id in graph.order().iter().filter(|&&id| matches!(graph.node(id).op, Op::Conv(_))) {
        let node = graph.node(*id);
        let input = node.inputs[0];
        let more = |these: &Kept, than: &Kept| {
            these[&input].iter().zip(&than[&input]).filter(|(these, than)| **these && !**than).count()
        };
        let lost = [
            (more(&allowed, &fewest), Reason::Classes),
            (if bordered.contains(id) { 0 } else { more(&kept, &allowed) }, Reason::Price),
        ];
        let rows = lost.into_iter().filter(|(channels, _)| *channels > 0);
        staying.extend(rows.map(|(channels, reason)| Staying { layer: node.name.clone(), channels, reason }));
    }
    (known, kept, staying)
}

/// The layers for which such biases pay, and what stays then.
fn priced(
    module: &Module,
    known: &Known,
    even: &Kept,
    mut bordered: BTreeSet<NodeId>,
    allowed: &Kept,
) -> (BTreeSet<NodeId>, Kept) {
    let mut kept = allowed.clone();
    let (mut price, mut with) = price(module, known, &kept);
    loop {
        let worse = with.iter().copied().find_map(|id| {
            let rest: BTreeSet<NodeId> = bordered.iter().copied().filter(|&other| other != id).collect();
            let without = keep::of(&module.graph, &module.quant, known, &rest);
            let (cost, with) = self::price(module, known, &without);
            (!price.pays(cost)).then_some((rest, without, cost, with))
        });
        let Some(better) = worse else { break };
        (bordered, kept, price, with) = better;
    }
    let (plain, _) = self::price(module, known, even);
    let total = Price { bytes: price.bytes + CODE_BYTES, ..price };
    if with.is_empty() || total.pays(plain) { (bordered, kept) } else { (BTreeSet::new(), even.clone()) }
}

/// What the network costs without the channels that do not stay, and its layers with
/// biases by class.
fn price(module: &Module, known: &Known, kept: &Kept) -> (Price, Vec<NodeId>) {
    let mut small = module.clone();
    shrink::run(&mut small, known, kept);
    let mut price = Price { bytes: 0, work: 0 };
    let mut with = Vec::new();
    for &id in small.graph.order() {
        let Some(layer) = small.quant.layers.get(&id) else { continue };
        // Weights, and of each channel a bias and a multiplier.
        price.bytes += (layer.weights.len() + 8 * layer.bias.len()) as u64;
        price.work += ops::macs(&small.graph, id);
        if let Some(borders) = &layer.borders {
            price.bytes += borders.pack().len() as u64;
            price.work += CORRECTION_MACS * (borders.pixels() * layer.bias.len()) as u64;
            with.push(id);
        }
    }
    (price, with)
}
