//! Channel imbalance: how unlike the output channels of a layer are.
//!
//! In: the real weights of a layer, its output channels along the first axis.
//! Out: a ratio of at least 1. Invariant: it depends on the ratios between
//! channels only; scaling the layer does not change it.
//!
//! Nagel et al. 2019 ("Data-free quantization through weight equalization and
//! bias correction", section 4.1) measure the precision of channel `i` by
//! `p_i = r_i / R`, where `r_i = max|w|` of the channel and `R` is the largest
//! `r_i`. The imbalance is `1 / median(p_i) = R / median(r_i)`: with one scale for
//! the whole tensor, half of the channels would have at most `127 / imbalance`
//! steps on each side of zero. Per-channel scales, which tinyc uses unless the
//! model carries others, do not suffer from it; the activations behind them do.

use ndarray::ArrayD;

/// The imbalance of weights whose first axis runs over output channels; channels
/// that are all zero do not count. `None` where fewer than two channels count.
#[must_use]
pub fn channel_imbalance(weights: &ArrayD<f32>) -> Option<f64> {
    let mut ranges: Vec<f64> = weights
        .outer_iter()
        .map(|channel| channel.iter().fold(0.0, |range: f64, w| range.max(f64::from(w.abs()))))
        .filter(|range| *range > 0.0)
        .collect();
    if ranges.len() < 2 {
        return None;
    }
    ranges.sort_by(f64::total_cmp);
    let middle = ranges.len() / 2;
    let median =
        if ranges.len() % 2 == 1 { ranges[middle] } else { (ranges[middle - 1] + ranges[middle]) / 2.0 };
    ranges.last().map(|largest| largest / median)
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, IxDyn};

    use super::channel_imbalance;

    fn weights(channels: usize, data: &[f32]) -> ArrayD<f32> {
        let per_channel = data.len() / channels;
        ArrayD::from_shape_vec(IxDyn(&[channels, per_channel]), data.to_vec()).expect("shape")
    }

    #[test]
    fn ratio_of_largest_to_median_range() {
        // Ranges 1, 2, 8: median 2.
        assert_eq!(channel_imbalance(&weights(3, &[1.0, -0.5, 0.25, 2.0, -8.0, 3.0])), Some(4.0));
        // Ranges 1, 3, 4, 8: median 3.5.
        assert_eq!(channel_imbalance(&weights(4, &[1.0, 3.0, -4.0, 8.0])), Some(8.0 / 3.5));
    }

    #[test]
    fn equal_channels_are_balanced_and_dead_ones_do_not_count() {
        assert_eq!(channel_imbalance(&weights(3, &[2.0, -2.0, 0.0])), Some(1.0));
        assert_eq!(channel_imbalance(&weights(2, &[2.0, 0.0])), None);
    }
}
