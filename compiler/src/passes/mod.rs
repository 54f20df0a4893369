//! The passes, in the order of one table.
//!
//! In: an imported [`Module`]. Out: the same model fused, quantized and ready to
//! plan. Invariant: the verifier holds after every pass; a pass changes what is
//! computed only as its own text says.

mod align_scales;
mod drop_softmax;
mod edit;
mod feed_rows;
mod fold_affine;
mod fuse_clamp;
mod fuse_pad;
mod fuse_unary;
mod merge_reshapes;
mod quantize_activations;
mod quantize_layers;
mod remove_dead;
pub mod remove_dead_channels;
pub mod remove_dead_rows;
mod remove_noops;
mod sink_transposes;

use crate::Feed;
use crate::Module;
use crate::ir::verify::verify;
use crate::quant::calibrate::Ranges;
use crate::quant::file::QuantFile;

/// What passes may look at besides the module.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Take a final softmax off.
    pub no_softmax: bool,
    /// Leave channels, rows and columns in that do not matter for the outputs.
    pub keep_dead_channels: bool,
    /// How the caller hands the input over.
    pub feed: Feed,
    /// Where the scales of activations come from; needed by the integer half.
    pub scales: Scales<'a>,
}

/// Where the scales of activations come from.
#[derive(Debug, Clone, Copy)]
pub enum Scales<'a> {
    /// Not known yet: only the float half can run.
    Unknown,
    /// From ranges seen in calibration.
    Calibrated(&'a Ranges),
    /// From a `model.quant.toml`.
    Recorded(&'a QuantFile),
    /// Only what the model itself carries.
    Given,
}

/// Before or after the scales are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Works on real numbers.
    Float,
    /// Needs, or produces, integers.
    Integer,
}

/// A row of [`PIPELINE`].
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// Its name, also for `--dump-ir-after`.
    pub name: &'static str,
    /// Before or after calibration.
    pub half: Half,
    /// What it does and why it stands where it stands.
    pub why: &'static str,
    run: fn(&mut Module, &Context<'_>) -> Result<(), PassError>,
}

/// Every pass, in order.
pub const PIPELINE: &[Pass] = &[
    Pass {
        name: "drop_softmax",
        half: Half::Float,
        why: "a final softmax goes where the user asks for logits; first, so that nothing fuses with it",
        run: drop_softmax::run,
    },
    Pass {
        name: "remove_noops",
        half: Half::Float,
        why: "identities, dropouts and reshapes to the same shape hide patterns from the passes below",
        run: remove_noops::run,
    },
    Pass {
        name: "sink_transposes",
        half: Half::Float,
        why: "channel-first to channel-last turns meet and cancel, so that a convolution is next to what it fuses with",
        run: sink_transposes::run,
    },
    Pass {
        name: "merge_reshapes",
        half: Half::Float,
        why: "transposes of unit dimensions are reshapes; chains of reshapes are one",
        run: merge_reshapes::run,
    },
    Pass {
        name: "fold_affine",
        half: Half::Float,
        why: "batch normalization and added biases go into the weights; after transposes, which stand between",
        run: fold_affine::run,
    },
    Pass {
        name: "fuse_pad",
        half: Half::Float,
        why: "a Pad becomes the padding of the convolution behind it",
        run: fuse_pad::run,
    },
    Pass {
        name: "fuse_unary",
        half: Half::Float,
        why: "chains of element-wise functions are one table",
        run: fuse_unary::run,
    },
    Pass {
        name: "fuse_clamp",
        half: Half::Float,
        why: "ReLU and Clip become the clamp of their producer; after chains are one, so that only their head is looked at",
        run: fuse_clamp::run,
    },
    Pass {
        name: "remove_dead",
        half: Half::Float,
        why: "what nobody reads any more must not be calibrated",
        run: remove_dead::run,
    },
    Pass {
        name: "quantize_activations",
        half: Half::Integer,
        why: "scales and zero points, on the graph that will run",
        run: quantize_activations::run,
    },
    Pass {
        name: "align_scales",
        half: Half::Integer,
        why: "nodes that only move bytes need one scale for input and output",
        run: align_scales::run,
    },
    Pass {
        name: "quantize_layers",
        half: Half::Integer,
        why: "weights, biases and multipliers follow from the scales on both sides",
        run: quantize_layers::run,
    },
    Pass {
        name: "remove_dead_rows",
        half: Half::Integer,
        why: "rows and columns that strides and poolings leave over; after calibration, which compares whole tensors, and before dead channels, whose constants may differ at the border that goes",
        run: remove_dead_rows::run,
    },
    Pass {
        name: "remove_dead_channels",
        half: Half::Integer,
        why: "channels that nobody reads or that are always one code; last, because only the integers tell, and tiny weights become zeros",
        run: remove_dead_channels::run,
    },
    Pass {
        name: "feed_rows",
        half: Half::Integer,
        why: "an input that is pushed row by row comes channel-last, without the turn in front of it; after the scales, which samples of the file's own shape gave",
        run: feed_rows::run,
    },
];

/// A pass that could not do its work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PassError {
    /// Calibration never saw this tensor differ from zero.
    #[error(
        "tensor '{tensor}' (node '{node}') is zero in every calibration sample: calibrate with inputs that excite it, or remove the branch from the model"
    )]
    ZeroRange {
        /// The ONNX tensor.
        tensor: String,
        /// The node that makes it.
        node: String,
    },
    /// A tensor with no scale in a model that carries scales.
    #[error(
        "tensor '{tensor}' (node '{node}') is not quantized in a model that otherwise is: quantize it when exporting, or pass --calib so that it can be calibrated"
    )]
    Island {
        /// The ONNX tensor.
        tensor: String,
        /// The node that makes it.
        node: String,
    },
    /// A quantization file that does not belong to this model.
    #[error(
        "the quantization file has no entry for tensor '{tensor}': it was made for another model or other options; build once with --calib and use the file that this writes"
    )]
    Unrecorded {
        /// The tensor.
        tensor: String,
    },
    /// A layer whose scales make no sense together.
    #[error("node '{node}': {reason}")]
    Layer {
        /// The ONNX node.
        node: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The verifier's finding.
    #[error("tinyc bug: after pass {pass}: {reason}; please report it with the model")]
    Bug {
        /// The pass.
        pass: &'static str,
        /// The violated property.
        reason: String,
    },
}

/// Runs one half of the pipeline; `observe` sees the module after each pass.
///
/// # Errors
/// [`PassError`], of the first pass that fails.
pub fn run_half(
    module: &mut Module,
    half: Half,
    context: &Context<'_>,
    mut observe: impl FnMut(&Pass, &Module),
) -> Result<(), PassError> {
    for pass in PIPELINE.iter().filter(|p| p.half == half) {
        (pass.run)(module, context)?;
        verify(&module.graph).map_err(|reason| PassError::Bug { pass: pass.name, reason })?;
        observe(pass, module);
    }
    Ok(())
}
