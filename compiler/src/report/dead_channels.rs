//! The channels that a build left out.
//!
//! In: what the pass `remove_dead_channels` recorded. Out: [`DeadChannelsRow`] and its
//! line of text. Invariant: the line holds no fact that the row does not hold.

use serde::Serialize;

use crate::passes::remove_dead_channels::DeadChannels;
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
        }
    }

    /// The line of the summary; `None` where nothing was left out.
    pub(super) fn text(&self) -> Option<String> {
        if self.layers.is_empty() {
            return None;
        }
        let sum = |count: fn(&DeadLayerRow) -> usize| self.layers.iter().map(count).sum::<usize>() as u64;
        Some(format!(
            "{} of {} channels left out in {} layers: {} MACs and {} of weights less",
            thousands(sum(|l| l.removed)),
            thousands(sum(|l| l.channels)),
            self.layers.len(),
            thousands(self.macs_saved),
            format_bytes(self.weight_bytes_saved)
        ))
    }
}
