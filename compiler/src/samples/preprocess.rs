//! What happens to a stored value before the model sees it.
//!
//! In: the command line's `--mean`, `--std`, `--codes`. Out: a [`Preprocess`],
//! recorded beside the calibration and emitted into the crate, so that the chip
//! does the same arithmetic in the same order: `(x - mean) / std` in f32.
//! Invariant: a value from [`Preprocess::from_options`] or that passed
//! [`Preprocess::validate`] has finite means and positive, finite standard
//! deviations, as many of one as of the other.

use serde::{Deserialize, Serialize};

use super::error::SampleError;

/// From the stored value to the model's input.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Preprocess {
    /// The model takes the stored value, converted to f32.
    #[default]
    None,
    /// The model takes `(x - mean) / std`, in f32.
    MeanStd {
        /// One mean, or one per channel, in units of the stored value.
        mean: Vec<f32>,
        /// As many standard deviations, in the same unit.
        std: Vec<f32>,
        /// Axis of the model input's shape, batch axis included if the shape has
        /// one, that counts channels. Needed only with several means; where it
        /// is absent, the only axis of their number is taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel_axis: Option<usize>,
    },
    /// The stored values are the model's int8 input codes, or those plus 128 if
    /// stored as uint8: real value = scale * (code - zero_point).
    Codes,
}

impl Preprocess {
    /// Builds the preprocessing from command-line options: comma-separated
    /// numbers for `--mean` and `--std`. One without the other is completed with
    /// mean 0 or standard deviation 1; a single number serves all channels.
    ///
    /// # Errors
    /// [`SampleError::ParseList`], [`SampleError::MeanStdLength`],
    /// [`SampleError::Std`], [`SampleError::Mean`], or
    /// [`SampleError::CodesWithMeanStd`].
    pub fn from_options(
        mean: Option<&str>,
        std: Option<&str>,
        codes: bool,
    ) -> Result<Preprocess, SampleError> {
        let mean = mean.map(|s| parse_list("--mean", s)).transpose()?;
        let std = std.map(|s| parse_list("--std", s)).transpose()?;
        let (mut mean, mut std) = match (mean, std, codes) {
            (None, None, false) => return Ok(Preprocess::None),
            (None, None, true) => return Ok(Preprocess::Codes),
            (_, _, true) => return Err(SampleError::CodesWithMeanStd),
            (mean, std, false) => (mean.unwrap_or(vec![0.0]), std.unwrap_or(vec![1.0])),
        };
        let channels = mean.len().max(std.len());
        for list in [&mut mean, &mut std] {
            if let [single] = list[..] {
                *list = vec![single; channels];
            }
        }
        let preprocess = Preprocess::MeanStd { mean, std, channel_axis: None };
        preprocess.validate()?;
        Ok(preprocess)
    }

    /// Checks the numbers, for instance after reading them from a file.
    ///
    /// # Errors
    /// [`SampleError::MeanStdLength`] if the lists differ in length or are
    /// empty, [`SampleError::Mean`] and [`SampleError::Std`] for values that
    /// cannot be subtracted or divided by.
    pub fn validate(&self) -> Result<(), SampleError> {
        let Preprocess::MeanStd { mean, std, .. } = self else {
            return Ok(());
        };
        if mean.len() != std.len() || mean.is_empty() {
            return Err(SampleError::MeanStdLength { mean: mean.len(), std: std.len() });
        }
        if let Some(channel) = mean.iter().position(|m| !m.is_finite()) {
            let value = mean[channel];
            return Err(SampleError::Mean { channel, value });
        }
        if let Some(channel) = std.iter().position(|s| !(s.is_finite() && *s > 0.0)) {
            let value = std[channel];
            return Err(SampleError::Std { channel, value });
        }
        Ok(())
    }

    /// The same preprocessing with the channel axis settled for one input:
    /// `Some` exactly if there are several means. Validates as well.
    ///
    /// # Errors
    /// As [`Preprocess::validate`]; [`SampleError::ChannelCount`] if no axis of
    /// `shape`, or not the one asked for, has as many channels as there are
    /// means; [`SampleError::ChannelAxisAmbiguous`] if several have.
    pub fn resolve(&self, input: &str, shape: &[usize]) -> Result<Preprocess, SampleError> {
        self.validate()?;
        let Preprocess::MeanStd { mean, std, channel_axis } = self else {
            return Ok(self.clone());
        };
        let resolved =
            |channel_axis| Preprocess::MeanStd { mean: mean.clone(), std: std.clone(), channel_axis };
        let given = mean.len();
        if given == 1 {
            return Ok(resolved(None));
        }
        let axes: Vec<usize> = match channel_axis {
            Some(axis) if shape.get(*axis) == Some(&given) => vec![*axis],
            Some(_) => vec![],
            None => (0..shape.len()).filter(|&a| shape[a] == given).collect(),
        };
        match axes[..] {
            [axis] => Ok(resolved(Some(axis))),
            [] => Err(SampleError::ChannelCount {
                input: input.to_owned(),
                shape: shape.to_vec(),
                given,
                channel_axis: *channel_axis,
            }),
            _ => Err(SampleError::ChannelAxisAmbiguous {
                input: input.to_owned(),
                shape: shape.to_vec(),
                given,
                axes,
            }),
        }
    }
}

fn parse_list(option: &'static str, given: &str) -> Result<Vec<f32>, SampleError> {
    given
        .split(',')
        .map(|part| match part.trim().parse::<f32>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => {
                Err(SampleError::ParseList { option, given: given.to_owned(), part: part.trim().to_owned() })
            }
        })
        .collect()
}
