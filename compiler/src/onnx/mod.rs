//! ONNX: the only place that names `tract_onnx` and `prost`.
//!
//! In: the bytes of a model file. Out: [`OnnxModel`] (decoded, folded, with
//! QuantizeLinear / DequantizeLinear taken out), the imported
//! [`Module`](crate::Module), and the float [`oracle`]. Invariant: after
//! `fold` and `qdq` the model is a float graph whose nodes all read at least
//! one activation, and the oracle runs exactly the graph that is imported.

mod encode;
pub mod error;
mod fold;
pub mod import;
mod kernels;
mod load;
pub mod model;
mod normalize;
pub mod oracle;
mod qdq;

pub use error::OnnxError;
pub use load::load;
pub use model::{Attr, OnnxModel, OnnxNode, Port, Tensor};

use model::GivenByName;

/// Everything that the file says, as the rest of the compiler reads it.
#[derive(Debug, Clone)]
pub struct Source {
    /// The float graph.
    pub model: OnnxModel,
    /// The quantization that the file carries, by tensor name.
    pub given: GivenByName,
    /// What was assumed or changed while reading, for the user.
    pub notes: Vec<String>,
}

/// Reads, folds and strips a model file.
///
/// # Errors
/// [`OnnxError`], which names the file or the node and says what to do.
pub fn read(path: &std::path::Path) -> Result<Source, OnnxError> {
    let (model, notes) = load(path)?;
    prepare(model, notes)
}

/// Folds and strips a decoded model.
///
/// # Errors
/// [`OnnxError`] as for [`read`].
pub fn prepare(mut model: OnnxModel, mut notes: Vec<String>) -> Result<Source, OnnxError> {
    kernels::tract().map_err(OnnxError::Oracle)?;
    normalize::name_axes(&mut model);
    fold::fold(&mut model)?;
    let given = qdq::strip(&mut model, &mut notes)?;
    fold::fold(&mut model)?;
    // Only now are dequantized summands constants.
    normalize::split_gemms(&mut model);
    fold::fold(&mut model)?;
    Ok(Source { model, given, notes })
}
