//! What can be wrong with a model file.
//!
//! Invariant: each error names the file or the node, the limit, and what to do.

use std::path::PathBuf;

/// One node that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProblem {
    /// The ONNX node's name.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// What is unsupported or wrong, and what to do.
    pub reason: String,
}

impl std::fmt::Display for NodeProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node '{}' ({}): {}", self.node, self.op, self.reason)
    }
}

/// A model that cannot be read or imported.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of zero bytes.
    #[error("{path} is empty (0 bytes): export the model again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Not a protobuf of an ONNX model.
    #[error(
        "{path} is not an ONNX model, or is cut short ({reason}): check the file with onnx.checker and export it again"
    )]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A tensor that cannot be decoded.
    #[error("tensor '{tensor}': {reason}")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A graph input or output that cannot be compiled.
    #[error("graph {kind} '{name}': {reason}")]
    Port {
        /// "input" or "output".
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// Nodes that cannot be compiled: all of them.
    #[error("{} of the model's nodes cannot be compiled:\n{}\n`tinyc supported-ops` lists what can", .0.len(), list(.0))]
    Nodes(Vec<NodeProblem>),
    /// The float reference could not run the model.
    #[error("the float reference (tract) cannot run this model: {0}")]
    Oracle(String),
}

fn list(problems: &[NodeProblem]) -> String {
    problems.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n")
}
