//! Calibration: the ranges that activations take on sample inputs.
//!
//! In: the float oracle, samples, a method. Out: [`Ranges`] by ONNX tensor.
//! Invariant: the result does not depend on the order in which samples are run
//! (minima, maxima and integer counts only), so two cores give the same bytes.
//! Methods as in Krishnamoorthi 2018, section 3.1 (min-max), and Wu et al. 2020,
//! section 4.2 (percentile).

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::ir::{Clamp, QuantParams};
use crate::onnx::oracle::Oracle;
use crate::onnx::{OnnxError, Source};
use crate::samples::Samples;

/// The reals that a tensor takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Smallest.
    pub min: f32,
    /// Largest.
    pub max: f32,
}

impl Range {
    /// The range of nothing: the identity of [`Range::union`].
    pub const EMPTY: Range = Range { min: f32::INFINITY, max: f32::NEG_INFINITY };

    /// Both ranges and what lies between.
    pub fn union(self, other: Range) -> Range {
        Range { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// The range widened to a value.
    pub fn including(self, value: f32) -> Range {
        self.union(Range { min: value, max: value })
    }

    /// The range after a clamp.
    pub fn clamped(self, clamp: Clamp) -> Range {
        Range { min: self.min.clamp(clamp.lo, clamp.hi), max: self.max.clamp(clamp.lo, clamp.hi) }
    }

    /// Asymmetric parameters that cover the range and represent 0 exactly; `None`
    /// where the range is empty or zero.
    pub fn params(self) -> Option<QuantParams> {
        let (lo, hi) = (f64::from(self.min.min(0.0)), f64::from(self.max.max(0.0)));
        let scale = ((hi - lo) / 255.0) as f32;
        if !scale.is_normal() {
            return None;
        }
        let zero_point = (-128.0 - lo / f64::from(scale)).round_ties_even().clamp(-128.0, 127.0);
        Some(QuantParams::new(scale, zero_point as i8))
    }
}

/// Ranges by ONNX tensor.
pub type Ranges = BTreeMap<String, Range>;

/// How a range is chosen from the values seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Everything seen.
    MinMax,
    /// The given percentage of values, the rest cut off evenly at both ends.
    Percentile(f64),
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Method::MinMax => write!(f, "min-max"),
            Method::Percentile(p) => write!(f, "percentile {p}"),
        }
    }
}

impl std::str::FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "min-max" || text == "minmax" {
            return Ok(Method::MinMax);
        }
        let number = text.strip_prefix("percentile").map(|t| t.trim_start_matches([':', ' ', '=', '-']));
        match number.map(|n| if n.is_empty() { Ok(99.99) } else { n.parse::<f64>() }) {
            Some(Ok(p)) if p > 50.0 && p <= 100.0 => Ok(Method::Percentile(p)),
            _ => Err(format!(
                "'{text}' is not a calibration method: use min-max, percentile or percentile:99.9 (above 50, at most 100)"
            )),
        }
    }
}

/// Bins of the histogram behind a percentile.
const BINS: usize = 2048;

/// Runs the oracle over all samples and returns the ranges of the graph's inputs
/// and of `tensors`; `tick` is called once a sample and pass.
///
/// # Errors
/// [`OnnxError::Oracle`] where the oracle fails.
pub fn calibrate(
    source: &Source,
    tensors: &[String],
    samples: &Samples,
    method: Method,
    tick: &(dyn Fn() + Sync),
) -> Result<Ranges, OnnxError> {
    let oracle = Oracle::new(source, tensors)?;
    let inputs: Vec<&String> = source.model.inputs.iter().map(|p| &p.name).collect();
    let names: Vec<&String> = inputs.iter().copied().chain(tensors).collect();
    let run = |index: usize| -> Result<Vec<Vec<f32>>, OnnxError> {
        let mut all: Vec<Vec<f32>> =
            (0..inputs.len()).map(|i| samples.sample(index, i).iter().copied().collect()).collect();
        let outputs = oracle.run(&all)?;
        all.extend(outputs.into_iter().map(|t| t.into_iter().collect()));
        tick();
        Ok(all)
    };
    let min_max = (0..samples.len())
        .into_par_iter()
        .map(|index| {
            let ranges =
                run(index)?.iter().map(|t| t.iter().fold(Range::EMPTY, |r, &v| r.including(v))).collect();
            Ok::<Vec<Range>, OnnxError>(ranges)
        })
        .try_reduce(
            || vec![Range::EMPTY; names.len()],
            |a, b| Ok(a.iter().zip(&b).map(|(a, b)| a.union(*b)).collect()),
        )?;
    let ranges = match method {
        Method::MinMax => min_max,
        Method::Percentile(percent) => {
            let counts = (0..samples.len())
                .into_par_iter()
                .map(|index| {
                    Ok::<_, OnnxError>(
                        run(index)?.iter().zip(&min_max).map(|(t, r)| histogram(t, *r)).collect(),
                    )
                })
                .try_reduce(
                    || vec![vec![0u64; BINS]; names.len()],
                    |a: Vec<Vec<u64>>, b| {
                        Ok(a.iter()
                            .zip(&b)
                            .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect())
                            .collect())
                    },
                )?;
            min_max.iter().zip(&counts).map(|(r, c)| cut(*r, c, percent)).collect()
        }
    };
    Ok(names.into_iter().cloned().zip(ranges).collect())
}

fn histogram(values: &[f32], range: Range) -> Vec<u64> {
    let mut counts = vec![0; BINS];
    let width = (f64::from(range.max) - f64::from(range.min)) / BINS as f64;
    for &v in values {
        let bin = if width > 0.0 { (f64::from(v) - f64::from(range.min)) / width } else { 0.0 };
        counts[(bin as usize).min(BINS - 1)] += 1;
    }
    counts
}

/// The part of `range` that keeps `percent` of the counted values.
fn cut(range: Range, counts: &[u64], percent: f64) -> Range {
    let total: u64 = counts.iter().sum();
    let spare = total as f64 * (100.0 - percent) / 200.0;
    let width = (f64::from(range.max) - f64::from(range.min)) / BINS as f64;
    let skip = |counts: &mut dyn Iterator<Item = &u64>| {
        let mut seen = 0.0;
        counts
            .take_while(|&&c| {
                seen += c as f64;
                seen <= spare
            })
            .count() as f64
    };
    let (below, above) = (skip(&mut counts.iter()), skip(&mut counts.iter().rev()));
    Range {
        min: (f64::from(range.min) + below * width) as f32,
        max: (f64::from(range.max) - above * width) as f32,
    }
}
