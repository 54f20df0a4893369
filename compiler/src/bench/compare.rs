//! A benchmark against an earlier one.
//!
//! In: a report, the JSON text of an older one. Out: [`Comparison`]: old, new
//! and their ratio, in total and for each layer. Invariant: layers are matched
//! by name, in order where a name occurs twice; one that only one side has is
//! shown with nothing on the other side.

use serde::{Deserialize, Serialize};

use super::report::BenchReport;

/// What an older report must hold; other fields may be there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Older {
    /// Name of the target.
    pub target: String,
    /// Instructions of one inference.
    pub instructions: u64,
    /// Estimated cycles.
    pub cycles: Option<u64>,
    /// Bytes of the arena.
    pub arena_bytes: u64,
    /// Flash by section.
    pub flash_bytes: OlderFlash,
    /// Bytes of multipliers and tables among the other bytes; `None` in reports that
    /// count them as weights.
    pub tables_bytes: Option<u64>,
    /// Its layers.
    pub layers: Vec<OlderLayer>,
}

/// Flash of an older report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct OlderFlash {
    /// Instructions.
    pub code: u64,
    /// Weights.
    pub weights: u64,
    /// Everything else.
    pub other: u64,
}

/// A layer of an older report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OlderLayer {
    /// The ONNX node's name.
    pub name: String,
    /// Instructions.
    pub instructions: u64,
    /// Estimated cycles.
    pub cycles: Option<u64>,
}

/// A report against an older one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The older report's target, should it differ.
    pub other_target: Option<String>,
    /// `"cycles"`, or `"instructions"` where one side has no cycles.
    pub unit: &'static str,
    /// The whole inference.
    pub total: Change,
    /// Bytes of the arena.
    pub arena_bytes: Change,
    /// Code and other bytes of flash beside weights.
    pub code_bytes: Change,
    /// Weights.
    pub weights_bytes: Change,
    /// Whether the older report counts multipliers and tables as weights; then both
    /// sides do.
    pub tables_as_weights: bool,
    /// Each layer of the new report, then those that only the older one had.
    pub layers: Vec<LayerChange>,
}

/// An old and a new figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Change {
    /// Before.
    pub old: Option<u64>,
    /// Now.
    pub new: Option<u64>,
    /// `new / old`.
    pub ratio: Option<f64>,
}

/// A layer, before and now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerChange {
    /// The ONNX node's name.
    pub name: String,
    /// In the comparison's unit.
    #[serde(flatten)]
    pub change: Change,
}

impl Change {
    fn new(old: Option<u64>, new: Option<u64>) -> Self {
        let ratio = old.zip(new).filter(|&(old, _)| old > 0).map(|(old, new)| new as f64 / old as f64);
        Self { old, new, ratio }
    }
}

impl Older {
    /// Reads the text of a report.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

impl Comparison {
    /// Compares.
    #[must_use]
    pub fn new(old: &Older, new: &BenchReport) -> Self {
        let in_cycles = old.cycles.is_some() && new.cycles.is_some();
        let pick =
            |cycles: Option<u64>, instructions: u64| if in_cycles { cycles } else { Some(instructions) };
        let mut left: Vec<&OlderLayer> = old.layers.iter().collect();
        let mut layers: Vec<LayerChange> = new
            .layers
            .iter()
            .map(|layer| {
                let before = left.iter().position(|old| old.name == layer.name).map(|at| left.remove(at));
                let old = before.and_then(|old| pick(old.cycles, old.instructions));
                LayerChange {
                    name: layer.name.clone(),
                    change: Change::new(old, pick(layer.cycles, layer.instructions)),
                }
            })
            .collect();
        layers.extend(left.into_iter().map(|old| LayerChange {
            name: old.name.clone(),
            change: Change::new(pick(old.cycles, old.instructions), None),
        }));
        let (before, now) = (&old.flash_bytes, &new.flash_bytes);
        let tables_as_weights = old.tables_bytes.is_none();
        let moved = if tables_as_weights { new.tables_bytes } else { 0 };
        let both = |old: u64, new: u64| Change::new(Some(old), Some(new));
        Self {
            other_target: Some(old.target.clone()).filter(|target| *target != new.target),
            unit: if in_cycles { "cycles" } else { "instructions" },
            total: Change::new(pick(old.cycles, old.instructions), pick(new.cycles, new.instructions)),
            arena_bytes: both(old.arena_bytes, new.arena_bytes),
            code_bytes: both(before.code + before.other, now.code + now.other - moved),
            weights_bytes: both(before.weights, now.weights + moved),
            tables_as_weights,
            layers,
        }
    }
}
