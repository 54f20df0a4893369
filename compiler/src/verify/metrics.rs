//! Model outputs and labels in, figures of merit out.
//!
//! Everything is an accumulator: push one sample, merge two accumulators, read
//! the figure at the end. Invariant: merging is the same as having pushed both
//! sequences into one. Counts and ranks are exact whatever the order; the sums
//! behind SQNR and mean squared errors are f64, so accumulators merged in the
//! order of the samples give the same bits every time.

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the model is scored by against labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Share of samples whose largest output is the labelled class, in percent.
    Accuracy,
    /// Area under the ROC curve, 0 to 1: score = the output of class 1 of two, or
    /// the only output; labels 0 and 1.
    Auc,
    /// Anomaly detection: a group's score is the mean over its samples of the
    /// mean squared difference between the model's output and its input; area
    /// under the ROC curve over the groups, 0 to 1.
    Mse,
}

/// Why a metric has no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// Nothing was pushed.
    #[error("no sample to score")]
    NoSamples,
    /// AUC over labels of one kind only.
    #[error(
        "AUC needs both labels, and has {positives} samples or groups of label 1 and {negatives} \
         of label 0: evaluate more samples"
    )]
    OneClass {
        /// Scores with label 1.
        positives: u64,
        /// Scores with label 0.
        negatives: u64,
    },
    /// A label that is not 0 or 1.
    #[error("AUC needs labels 0 and 1, sample or group {index} has {label}; use --metric accuracy")]
    NotBinary {
        /// Sample or group.
        index: usize,
        /// Its label.
        label: usize,
    },
    /// AUC of a model with several outputs.
    #[error("AUC needs 1 or 2 outputs, the model has {outputs}; use --metric accuracy")]
    NotAScore {
        /// Elements of the output.
        outputs: usize,
    },
    /// A label beyond the outputs.
    #[error("sample {index} has label {label}, the model has {outputs} outputs: labels count from 0")]
    LabelOutOfRange {
        /// Sample.
        index: usize,
        /// Its label.
        label: usize,
        /// Elements of the output.
        outputs: usize,
    },
    /// `mse` of a model whose output is not a reconstruction.
    #[error(
        "mse compares the output with the input: {outputs} outputs, {inputs} inputs; use --metric \
         accuracy or auc"
    )]
    NotAReconstruction {
        /// Elements of the output.
        outputs: usize,
        /// Elements of the input.
        inputs: usize,
    },
    /// A sample without a label or group.
    #[error("sample or group {index} has no label")]
    NoLabel {
        /// Sample or group.
        index: usize,
    },
    /// A score that is NaN or infinite.
    #[error("sample or group {index} has the score {score}: the model's output is not finite")]
    NotFinite {
        /// Sample or group.
        index: usize,
        /// Its score.
        score: f64,
    },
}

/// Index of the largest value, the first of equals; `None` for no values, or if
/// one of them is NaN. Works on real outputs and on int8 codes alike.
pub fn argmax<T: PartialOrd + Copy>(values: &[T]) -> Option<usize> {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        // A NaN compares with nothing, itself included.
        value.partial_cmp(value)?;
        if *value > values[best] {
            best = index;
        }
    }
    (!values.is_empty()).then_some(best)
}

/// A share of samples: how many of them hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HitRate {
    /// Samples that hit.
    pub hits: u64,
    /// All samples.
    pub total: u64,
}

impl HitRate {
    /// Counts one sample.
    pub fn push(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.total += 1;
    }

    /// Counts whether the largest output is that of class `label`.
    pub fn push_label<T: PartialOrd + Copy>(&mut self, output: &[T], label: usize) {
        self.push(argmax(output) == Some(label));
    }

    /// Counts whether two outputs have the same largest element. An output
    /// without one (empty, NaN) agrees with nothing.
    pub fn push_agreement<T: PartialOrd + Copy>(&mut self, a: &[T], b: &[T]) {
        let best = argmax(a);
        self.push(best.is_some() && best == argmax(b));
    }

    /// Adds the samples of `other`.
    pub fn merge(&mut self, other: &HitRate) {
        self.hits += other.hits;
        self.total += other.total;
    }

    /// Percent of samples that hit; `None` without samples.
    pub fn percent(&self) -> Option<f64> {
        (self.total > 0).then(|| 100.0 * self.hits as f64 / self.total as f64)
    }
}

/// A ratio of powers in decibels, possibly infinite.
///
/// In JSON and TOML a finite value is a number, the infinite ones are the strings
/// `"inf"` (nothing differs) and `"-inf"`, since JSON has no infinity.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Decibel(pub f64);

impl std::fmt::Display for Decibel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} dB", self.0)
    }
}

/// The two JSON forms of [`Decibel`].
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum DecibelForm {
    Finite(f64),
    Infinite(Infinity),
}

#[derive(Serialize, Deserialize)]
enum Infinity {
    #[serde(rename = "inf")]
    Positive,
    #[serde(rename = "-inf")]
    Negative,
}

impl Serialize for Decibel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match self.0 {
            f64::INFINITY => DecibelForm::Infinite(Infinity::Positive),
            db if db.is_finite() => DecibelForm::Finite(db),
            _ => DecibelForm::Infinite(Infinity::Negative),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decibel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Decibel(match DecibelForm::deserialize(deserializer)? {
            DecibelForm::Finite(db) => db,
            DecibelForm::Infinite(Infinity::Positive) => f64::INFINITY,
            DecibelForm::Infinite(Infinity::Negative) => f64::NEG_INFINITY,
        }))
    }
}

/// Signal to quantization noise ratio: 10 log10(sum r^2 / sum (r - v)^2) over
/// the elements r of a reference and v of what is judged by it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sqnr {
    /// Sum of r^2, in squared units of the tensor.
    pub signal: f64,
    /// Sum of (r - v)^2, in the same unit.
    pub noise: f64,
    /// Elements seen.
    pub elements: u64,
}

impl Sqnr {
    /// Adds the elements of one tensor.
    ///
    /// # Panics
    /// If the lengths differ, which is a bug of the caller.
    pub fn push(&mut self, reference: &[f32], value: &[f32]) {
        assert_eq!(reference.len(), value.len(), "tinyc bug: SQNR of unlike tensors");
        for (&r, &v) in reference.iter().zip(value) {
            let (r, v) = (f64::from(r), f64::from(v));
            self.signal += r * r;
            // Equal infinities differ by nothing, not by NaN.
            self.noise += if r == v { 0.0 } else { (r - v) * (r - v) };
        }
        self.elements += reference.len() as u64;
    }

    /// Adds the elements of `other`.
    pub fn merge(&mut self, other: &Sqnr) {
        self.signal += other.signal;
        self.noise += other.noise;
        self.elements += other.elements;
    }

    /// The ratio: infinite if nothing differs; minus infinity if the reference is
    /// all zero and the value is not, or if a difference is infinite or NaN.
    /// `None` without elements.
    pub fn db(&self) -> Option<Decibel> {
        if self.elements == 0 {
            return None;
        }
        let db = if self.noise == 0.0 {
            f64::INFINITY
        } else if !self.noise.is_finite() || self.signal == 0.0 {
            f64::NEG_INFINITY
        } else {
            10.0 * (self.signal / self.noise).log10()
        };
        Some(Decibel(db))
    }
}

/// Difference between a reference output and the output judged by it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OutputDiff {
    /// Largest |reference - value|, in the output's unit; infinite if a
    /// difference is not a number.
    pub max_abs: f64,
    /// Signal and noise over all elements.
    pub sqnr: Sqnr,
    /// Samples with the same largest element.
    pub top1: HitRate,
}

impl OutputDiff {
    /// Adds the output of one sample.
    ///
    /// # Panics
    /// If the lengths differ, which is a bug of the caller.
    pub fn push(&mut self, reference: &[f32], value: &[f32]) {
        self.sqnr.push(reference, value);
        self.top1.push_agreement(reference, value);
        for (&r, &v) in reference.iter().zip(value) {
            if r != v {
                let diff = (f64::from(r) - f64::from(v)).abs();
                self.max_abs = self.max_abs.max(if diff.is_nan() { f64::INFINITY } else { diff });
            }
        }
    }

    /// Adds the samples of `other`.
    pub fn merge(&mut self, other: &OutputDiff) {
        self.max_abs = self.max_abs.max(other.max_abs);
        self.sqnr.merge(&other.sqnr);
        self.top1.merge(&other.top1);
    }
}

/// Scores with binary labels, for the area under the ROC curve.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RankedScores {
    scored: Vec<(f64, bool)>,
}

impl RankedScores {
    /// Adds one score of a sample whose label is 1 (`positive`) or 0.
    pub fn push(&mut self, score: f64, positive: bool) {
        // Adding zero makes -0.0 a 0.0, so that the two tie below.
        self.scored.push((score + 0.0, positive));
    }

    /// Adds the scores of `other`.
    pub fn merge(&mut self, other: RankedScores) {
        self.scored.extend(other.scored);
    }

    /// Probability that a positive scores above a negative, ties counting half:
    /// the Mann-Whitney U statistic by mid-ranks over positives * negatives.
    /// Counted in integers, so that it does not depend on the order of pushes.
    ///
    /// # Errors
    /// [`MetricError::NotFinite`] for a NaN or infinite score,
    /// [`MetricError::NoSamples`], [`MetricError::OneClass`].
    pub fn auc(&self) -> Result<f64, MetricError> {
        if self.scored.is_empty() {
            return Err(MetricError::NoSamples);
        }
        if let Some(index) = self.scored.iter().position(|(s, _)| !s.is_finite()) {
            let score = self.scored[index].0;
            return Err(MetricError::NotFinite { index, score });
        }
        let mut scored = self.scored.clone();
        scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        // Twice U, to keep the halves of ties whole.
        let mut twice_u = 0u128;
        let (mut positives, mut negatives) = (0u64, 0u64);
        for tied in scored.chunk_by(|a, b| a.0 == b.0) {
            let up = tied.iter().filter(|(_, positive)| *positive).count() as u64;
            let down = tied.len() as u64 - up;
            twice_u += u128::from(up) * u128::from(2 * negatives + down);
            positives += up;
            negatives += down;
        }
        if positives == 0 || negatives == 0 {
            return Err(MetricError::OneClass { positives, negatives });
        }
        let twice_pairs = 2 * u128::from(positives) * u128::from(negatives);
        Ok(twice_u as f64 / twice_pairs as f64)
    }
}

/// Mean reconstruction error of each group of samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupErrors {
    /// Sum of the samples' mean squared errors and their number, by group.
    groups: Vec<(f64, u64)>,
}

impl GroupErrors {
    /// Adds one sample of `group`: the mean over the elements of
    /// (output - input)^2, both in real units.
    ///
    /// # Errors
    /// [`MetricError::NotAReconstruction`] if the lengths differ or are 0.
    pub fn push(&mut self, group: usize, input: &[f32], output: &[f32]) -> Result<(), MetricError> {
        if input.len() != output.len() || input.is_empty() {
            return Err(MetricError::NotAReconstruction { outputs: output.len(), inputs: input.len() });
        }
        let squares: f64 =
            input.iter().zip(output).map(|(&x, &y)| (f64::from(y) - f64::from(x)).powi(2)).sum();
        let slot = self.slot(group);
        slot.0 += squares / input.len() as f64;
        slot.1 += 1;
        Ok(())
    }

    /// Adds the samples of `other`.
    pub fn merge(&mut self, other: &GroupErrors) {
        for (group, &(sum, count)) in other.groups.iter().enumerate() {
            let slot = self.slot(group);
            slot.0 += sum;
            slot.1 += count;
        }
    }

    /// Mean over each group's samples of their mean squared errors; `None` for a
    /// group without samples.
    pub fn scores(&self) -> Vec<Option<f64>> {
        self.groups.iter().map(|&(sum, count)| (count > 0).then(|| sum / count as f64)).collect()
    }

    /// Area under the ROC curve over the groups, label 1 = anomaly. Groups
    /// without samples do not count.
    ///
    /// # Errors
    /// [`MetricError::NoLabel`] if `labels` is too short,
    /// [`MetricError::NotBinary`], and those of [`RankedScores::auc`].
    pub fn auc(&self, labels: &[usize]) -> Result<f64, MetricError> {
        let mut ranked = RankedScores::default();
        for (index, score) in self.scores().into_iter().enumerate() {
            if let Some(score) = score {
                if !score.is_finite() {
                    return Err(MetricError::NotFinite { index, score });
                }
                ranked.push(score, binary(labels, index)?);
            }
        }
        ranked.auc()
    }

    fn slot(&mut self, group: usize) -> &mut (f64, u64) {
        if self.groups.len() <= group {
            self.groups.resize(group + 1, (0.0, 0));
        }
        &mut self.groups[group]
    }
}

/// One metric over one model's outputs; labels are borrowed, so that a scorer a
/// thread costs nothing.
#[derive(Debug, Clone)]
pub struct Scorer<'a> {
    labels: &'a [usize],
    state: State<'a>,
}

#[derive(Debug, Clone)]
enum State<'a> {
    Accuracy(HitRate),
    Auc(RankedScores),
    Mse { source: &'a [usize], errors: GroupErrors },
}

impl<'a> Scorer<'a> {
    /// An empty scorer. `labels` are per sample; for [`Metric::Mse`] they are per
    /// group, and `source` is the group of each sample (unused otherwise).
    pub fn new(metric: Metric, labels: &'a [usize], source: &'a [usize]) -> Scorer<'a> {
        let state = match metric {
            Metric::Accuracy => State::Accuracy(HitRate::default()),
            Metric::Auc => State::Auc(RankedScores::default()),
            Metric::Mse => State::Mse { source, errors: GroupErrors::default() },
        };
        Scorer { labels, state }
    }

    /// Scores sample `index`: the model's input and output, both in real units.
    ///
    /// # Errors
    /// [`MetricError`] if the sample has no label, or the output or label does
    /// not suit the metric.
    pub fn push(&mut self, index: usize, input: &[f32], output: &[f32]) -> Result<(), MetricError> {
        match &mut self.state {
            State::Accuracy(rate) => {
                let label = label(self.labels, index)?;
                if label >= output.len() {
                    return Err(MetricError::LabelOutOfRange { index, label, outputs: output.len() });
                }
                rate.push_label(output, label);
            }
            State::Auc(ranked) => {
                let score = match *output {
                    [only] => only,
                    [_, class_1] => class_1,
                    _ => {
                        return Err(MetricError::NotAScore { outputs: output.len() });
                    }
                };
                let score = f64::from(score);
                if !score.is_finite() {
                    return Err(MetricError::NotFinite { index, score });
                }
                ranked.push(score, binary(self.labels, index)?);
            }
            State::Mse { source, errors } => {
                let group = label(source, index)?;
                errors.push(group, input, output)?;
            }
        }
        Ok(())
    }

    /// Adds the samples of `other`, a scorer of the same metric.
    ///
    /// # Panics
    /// If the metrics differ, which is a bug of the caller.
    pub fn merge(&mut self, other: Scorer<'a>) {
        match (&mut self.state, other.state) {
            (State::Accuracy(a), State::Accuracy(b)) => a.merge(&b),
            (State::Auc(a), State::Auc(b)) => a.merge(b),
            (State::Mse { errors: a, .. }, State::Mse { errors: b, .. }) => a.merge(&b),
            _ => panic!("tinyc bug: scorers of different metrics merged"),
        }
    }

    /// The figure: percent for [`Metric::Accuracy`], 0 to 1 for the others.
    ///
    /// # Errors
    /// [`MetricError::NoSamples`], and for the AUCs those of
    /// [`RankedScores::auc`] and [`GroupErrors::auc`].
    pub fn score(&self) -> Result<f64, MetricError> {
        match &self.state {
            State::Accuracy(rate) => rate.percent().ok_or(MetricError::NoSamples),
            State::Auc(ranked) => ranked.auc(),
            State::Mse { errors, .. } => errors.auc(self.labels),
        }
    }
}

fn label(labels: &[usize], index: usize) -> Result<usize, MetricError> {
    let label = labels.get(index);
    label.copied().ok_or(MetricError::NoLabel { index })
}

fn binary(labels: &[usize], index: usize) -> Result<bool, MetricError> {
    match label(labels, index)? {
        0 => Ok(false),
        1 => Ok(true),
        label => Err(MetricError::NotBinary { index, label }),
    }
}
