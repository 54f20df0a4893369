//! The channels that a build left out.
//!
//! In: what the pass `remove_dead_channels` recorded. Out: [`DeadChannelsRow`] and its
//! lines of text. Invariant: the lines hold no fact that the row does not hold.

use serde::Serialize;

use crate::passes::remove_dead_channels::{DeadChannels, Reason};
use crate::quant::border::MOST_CLASSES;
use crate::target::units::{format_bytes, thousands};

/// The channels that were left out, and what that saves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadChannelsRow {
    /// Multiply-accumulates less.
    pub macs_saved: u64,
    /// Bytes of weights less, one a weight.
    pub weight_bytes_saved: u64,
    /// Convolutions and dense layers that lost output channels, in order.
    pub layers: Vec<DeadLayerRow>,
    /// Layers that have biases by class of pixels for it, in order.
    pub borders: Vec<BorderRow>,
    /// Input channels that stay because they add something else at borders, by the layer
    /// that reads them.
    pub staying: Vec<StayingRow>,
}

/// A layer whose bias differs at borders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BorderRow {
    /// The ONNX node.
    pub layer: String,
    /// Output pixels with another bias than most.
    pub pixels: usize,
    /// Bytes of constants for it.
    pub bytes: usize,
}

/// A layer whose input keeps channels because of borders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StayingRow {
    /// The ONNX node.
    pub layer: String,
    /// Its input channels that stay.
    pub channels: usize,
    /// `"price"`: biases by class would take more flash or work than they save;
    /// `"classes"`: there are more classes than a layer may have.
    pub reason: &'static str,
}

/// A layer that lost output channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLayerRow {
    /// The ONNX node.
    pub layer: String,
    /// Output channels left out.
    pub removed: usize,
    /// Output channels in the model.
    pub channels: usize,
}

impl DeadChannelsRow {
    /// The rows of what the pass recorded.
    #[must_use]
    pub fn of(dead: &DeadChannels) -> Self {
        let row = |layer: &crate::passes::remove_dead_channels::DeadLayer| DeadLayerRow {
            layer: layer.name.clone(),
            removed: layer.removed,
            channels: layer.channels,
        };
        Self {
            macs_saved: dead.macs_saved,
            weight_bytes_saved: dead.weight_bytes_saved,
            layers: dead.layers.iter().map(row).collect(),
            borders: dead
                .borders
                .iter()
                .map(|layer| BorderRow {
                    layer: layer.name.clone(),
                    pixels: layer.pixels,
                    bytes: layer.bytes,
                })
                .collect(),
            staying: dead
                .staying
                .iter()
                .map(|layer| StayingRow {
                    layer: layer.layer.clone(),
                    channels: layer.channels,
                    reason: match layer.reason {
                        Reason::Price => "price",
                        Reason::Classes => "classes",
                    },
                })
                .collect(),
        }
    }

    /// The lines of the summary; none where nothing was left out and nothing could be.
    pub(super) fn text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.layers.is_empty() {
            let sum = |count: fn(&DeadLayerRow) -> usize| self.layers.iter().map(count).sum::<usize>() as u64;
            lines.push(format!(
                "{} of {} channels left out in {} layers: {} MACs and {} of weights less",
                thousands(sum(|l| l.removed)),
                thousands(sum(|l| l.channels)),
                self.layers.len(),
                thousands(self.macs_saved),
                format_bytes(self.weight_bytes_saved)
            ));
        }
        if let Some(first) = self.borders.first() {
            let bytes: usize = self.borders.iter().map(|layer| layer.bytes).sum();
            lines.push(format!(
                "biases that differ at borders in {} layers, first '{}': {} of constants",
                self.borders.len(),
                first.layer,
                format_bytes(bytes as u64)
            ));
        }
        for layer in &self.staying {
            let why = match layer.reason {
                "classes" => format!("that would take biases for more than {MOST_CLASSES} classes of pixels"),
                _ => "biases for them would take more flash or work than they save".to_owned(),
            };
            lines.push(format!(
                "{} constant channels in front of '{}' stay, as they differ from its padding: {why}",
                layer.channels, layer.layer
            ));
        }
        lines
    }
}
