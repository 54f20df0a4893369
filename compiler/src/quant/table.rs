//! The side tables that quantization fills.
//!
//! Invariant: after the integer half of the pipeline every live activation has
//! an entry in [`QuantTable`], and so has every convolution, dense and affine node.

use std::collections::BTreeMap;

use super::{BorderBias, Multiplier};
use crate::ir::{Graph, NodeId, QuantParams, Shape, ValueId};

/// Quantization that the model itself carries (QuantizeLinear / DequantizeLinear).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// Parameters of activations by ONNX tensor, to be looked up through
    /// [`Origin`](crate::ir::Origin).
    pub activations: BTreeMap<String, QuantParams>,
    /// Scales of constant weights: one, or one per output channel (first dimension).
    pub weight_scales: BTreeMap<ValueId, Vec<f32>>,
}

impl Given {
    /// The parameters that the model gives a value: those of the ONNX tensor whose
    /// elements it holds.
    pub fn activation(&self, graph: &Graph, id: ValueId) -> Option<QuantParams> {
        let origin = graph.value(id).origin.as_ref()?;
        if !origin.clamp.is_none() {
            return None;
        }
        self.activations.get(&origin.tensor).copied()
    }
}

/// The integers of a layer with weights.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerQuant {
    /// Codes in the order of the constant weights.
    pub weights: Vec<i8>,
    /// Weight scale of each output channel.
    pub weight_scales: Vec<f64>,
    /// Bias of each output channel, in units of input scale * weight scale;
    /// the input's zero point is not folded in.
    pub bias: Vec<i32>,
    /// Requantization of each output channel.
    pub multipliers: Vec<Multiplier>,
    /// What pixels near the borders add to the bias: convolutions without groups alone.
    pub borders: Option<BorderBias>,
}

/// Every integer that the emitted crate will compute with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuantTable {
    /// Parameters of every live activation.
    pub activations: BTreeMap<ValueId, QuantParams>,
    /// Weights, biases and multipliers of layers.
    pub layers: BTreeMap<NodeId, LayerQuant>,
}

impl QuantTable {
    /// Parameters of an activation. Panics where quantization has not run: a bug of the caller.
    pub fn activation(&self, id: ValueId) -> QuantParams {
        self.activations[&id]
    }

    /// The integers of a layer. Panics where quantization has not run: a bug of the caller.
    pub fn layer(&self, id: NodeId) -> &LayerQuant {
        &self.layers[&id]
    }
}

/// A quantized tensor as the naive reference handles it.
#[derive(Debug, Clone, PartialEq)]
pub struct QTensor {
    /// Dimensions.
    pub shape: Shape,
    /// Row-major codes.
    pub codes: Vec<i8>,
    /// What the codes mean.
    pub params: QuantParams,
}
