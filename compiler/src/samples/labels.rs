//! Arrays `y` and `source` in, class and group numbers out.
//!
//! They are read only when a metric asks: calibration must not fail because `y`
//! holds something else than classes.

use super::error::SampleError;
use super::npy::Array;

/// Labels of groups of samples, such as the windows of one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLabels {
    /// Group of each sample; every value is below `labels.len()`.
    pub source: Vec<usize>,
    /// Label of each group.
    pub labels: Vec<usize>,
}

/// One integer from 0 an element; the array is `(n,)`, or `(n, 1)`.
fn integers(array: &Array, name: &'static str) -> Result<Vec<usize>, SampleError> {
    if array.shape.is_empty() || array.shape[1..].iter().any(|&s| s != 1) {
        return Err(SampleError::LabelShape { array: name, shape: array.shape.clone() });
    }
    (0..array.data.len())
        .map(|index| {
            let value = array.data.get_f64(index);
            // 2^32 keeps the conversion exact on every machine.
            if value.fract() == 0.0 && (0.0..4_294_967_296.0).contains(&value) {
                Ok(value as usize)
            } else {
                Err(SampleError::LabelValue { array: name, index, value })
            }
        })
        .collect()
}

/// Labels, one a sample.
pub(super) fn per_sample(y: &Array, samples: usize) -> Result<Vec<usize>, SampleError> {
    one_per(y, "y", samples, "sample")
}

/// Labels, one a group; without `source` every sample is a group of its own.
pub(super) fn per_group(
    y: &Array,
    source: Option<&Array>,
    samples: usize,
) -> Result<GroupLabels, SampleError> {
    let Some(source) = source else {
        return Ok(GroupLabels { source: (0..samples).collect(), labels: per_sample(y, samples)? });
    };
    let source = one_per(source, "source", samples, "sample")?;
    let labels = integers(y, "y")?;
    let groups = source.iter().max().map_or(0, |g| g + 1);
    // A last group without a sample is harmless: it has no score either.
    if labels.len() < groups {
        return Err(SampleError::LabelCount {
            array: "y",
            given: labels.len(),
            expected: groups,
            per: "group of `source`",
        });
    }
    Ok(GroupLabels { source, labels })
}

fn one_per(
    array: &Array,
    name: &'static str,
    expected: usize,
    per: &'static str,
) -> Result<Vec<usize>, SampleError> {
    let values = integers(array, name)?;
    if values.len() != expected {
        return Err(SampleError::LabelCount { array: name, given: values.len(), expected, per });
    }
    Ok(values)
}
