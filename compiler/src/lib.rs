//! tinyc: an ahead-of-time compiler from trained ONNX graphs to standalone
//! `no_std` INT8 crates for microcontrollers.
//!
//! The stages, in order, each a change of type:
//!
//! ```text
//! ONNX bytes -> onnx::Source -> Module (ir::Graph + side tables)
//!   -> passes (fused, quantized Module) -> plan::Plan -> codegen::CrateFiles -> disk
//! ```
//!
//! Data flows one way; reports and verification only read.

#![deny(missing_docs)]

pub mod bench;
pub mod codegen;
pub mod compile;
pub mod cost;
pub mod doctor;
pub mod emit;
pub mod ir;
pub mod lower;
pub mod onnx;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod quant;
pub mod report;
pub mod samples;
pub mod several;
pub mod stack;
pub mod target;
pub mod verify;

/// A model between import and planning: the graph and its side tables.
#[derive(Debug, Clone)]
pub struct Module {
    /// Values and nodes.
    pub graph: ir::Graph,
    /// Quantization that the file carries.
    pub given: quant::Given,
    /// Quantization that will be emitted; filled by the pass `quantize`.
    pub quant: quant::QuantTable,
    /// The graph's inputs and outputs as the file declares them.
    pub ports: Ports,
    /// What was assumed or changed, for the user.
    pub notes: Vec<String>,
    /// What the pass `remove_dead_channels` took out.
    pub dead: passes::remove_dead_channels::DeadChannels,
}

/// The graph's inputs and outputs as the file declares them, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Ports {
    /// Inputs.
    pub inputs: Vec<onnx::Port>,
    /// Outputs.
    pub outputs: Vec<onnx::Port>,
}

/// How the caller hands the input over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Feed {
    /// All of it before a run.
    #[default]
    Whole,
    /// Row by row; what a row makes possible is computed before the next one.
    Rows,
    /// A window that slides over a stream: so many new rows a step, which computes only
    /// what is new.
    Frames {
        /// Rows by which the window moves, at least 1.
        hop: usize,
    },
}

impl Feed {
    /// Whether the caller hands rows over, which lie as the first layer reads them.
    #[must_use]
    pub fn by_rows(self) -> bool {
        self != Feed::Whole
    }
}

impl std::str::FromStr for Feed {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        match given {
            "whole" => Ok(Feed::Whole),
            "rows" => Ok(Feed::Rows),
            "frames" => Ok(Feed::Frames { hop: 1 }),
            other => Err(format!("'{other}' is no way to feed an input: use whole, rows or frames")),
        }
    }
}

impl std::fmt::Display for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Feed::Whole => "whole",
            Feed::Rows => "rows",
            Feed::Frames { .. } => "frames",
        })
    }
}
