//! `model.quant.toml`: what calibration decided, for review and for rebuilding.
//!
//! In: a quantized module, or a file. Out: text, or a [`QuantFile`]. Invariant: a
//! build from the file gives the same bytes as the build that wrote it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Module;
use crate::ir::{Def, InputLayouts, QuantParams};
use crate::samples::Preprocess;

/// The version of the file's form.
const FORMAT: u32 = 1;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantFile {
    /// Version of the form: 1.
    pub format: u32,
    /// SHA-256 of the model file.
    pub model_sha256: String,
    /// SHA-256 of the calibration data; absent for synthetic inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sha256: Option<String>,
    /// How many samples were used.
    pub samples: usize,
    /// How ranges were chosen.
    pub method: String,
    /// Whether a final softmax was taken off.
    pub no_softmax: bool,
    /// How the crate's inputs lie; absent where as the model file says.
    #[serde(default, skip_serializing_if = "InputLayouts::is_onnx")]
    pub layouts: InputLayouts,
    /// How raw samples become the model's inputs.
    pub preprocess: Preprocess,
    /// Every activation, in order of execution.
    #[serde(default, rename = "tensor")]
    pub tensors: Vec<Entry>,
}

/// An activation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Name of the tensor.
    pub name: String,
    /// Real value of one step.
    pub scale: f32,
    /// Code of 0.
    pub zero_point: i8,
    /// Smallest code written.
    pub lo: i8,
    /// Largest code written.
    pub hi: i8,
}

/// A quantization file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum QuantFileError {
    /// Not readable.
    #[error("cannot read the quantization file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not of this form.
    #[error("{path} is not a quantization file that this tinyc reads: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Made for another model.
    #[error(
        "{path} was made for a model with SHA-256 {expected}, this one has {found}: calibrate again with --calib"
    )]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// Recorded digest.
        expected: String,
        /// The model's digest.
        found: String,
    },
}

impl QuantFile {
    /// Records the activations of a module.
    pub fn record(module: &Module, header: QuantFile) -> QuantFile {
        let graph = &module.graph;
        // Inputs as the file has them, where the caller turns them to what the graph reads.
        let turned = graph.values().filter(|(id, v)| v.def == Def::Input && !graph.inputs.contains(id));
        let tensors = graph
            .live_activations()
            .into_iter()
            .chain(turned.map(|(id, _)| id))
            .filter_map(|id| {
                let p = module.quant.activations.get(&id)?;
                let name = module.graph.value(id).name.clone();
                Some(Entry { name, scale: p.scale, zero_point: p.zero_point, lo: p.lo, hi: p.hi })
            })
            .collect();
        QuantFile { format: FORMAT, tensors, ..header }
    }

    /// The parameters of a tensor.
    pub fn params(&self, name: &str) -> Option<QuantParams> {
        let e = self.tensors.iter().find(|e| e.name == name)?;
        Some(QuantParams { scale: e.scale, zero_point: e.zero_point, lo: e.lo, hi: e.hi })
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let body = toml::to_string_pretty(self).unwrap_or_default();
        format!(
            "# Written by tinyc: the quantization of every activation.\n# real = scale * (code - zero_point), codes clamped to lo..=hi.\n# `tinyc build --quant` with this file gives identical bytes without the data.\n{body}"
        )
    }

    /// Reads a file and checks that it belongs to the model with that digest.
    ///
    /// # Errors
    /// [`QuantFileError`].
    pub fn read(path: &Path, model_sha256: &str) -> Result<QuantFile, QuantFileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| QuantFileError::Read { path: path.into(), source })?;
        let form = |reason: String| QuantFileError::Form { path: path.into(), reason };
        let file: QuantFile = toml::from_str(&text).map_err(|e| form(e.to_string()))?;
        if file.format != FORMAT {
            return Err(form(format!("its format is {}, this tinyc reads {FORMAT}", file.format)));
        }
        if let Some(bad) = file.tensors.iter().find(|e| !e.scale.is_normal() || e.scale < 0.0 || e.lo > e.hi)
        {
            return Err(form(format!(
                "tensor '{}' has scale {} and clamp {}..={}",
                bad.name, bad.scale, bad.lo, bad.hi
            )));
        }
        if file.model_sha256 != model_sha256 {
            return Err(QuantFileError::OtherModel {
                path: path.into(),
                expected: file.model_sha256,
                found: model_sha256.into(),
            });
        }
        Ok(file)
    }
}
