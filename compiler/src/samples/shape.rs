//! Does one sample of an array have the shape of a model input?
//!
//! Sizes must agree in order; axes of size 1 may come and go, since they change
//! no element's place. Where sizes do not agree, a [`ShapeHint`] says what
//! probably happened.

use super::error::ShapeHint;

/// `Ok` if an array of shape `array` (first axis = sample) holds samples of
/// shape `input` (with or without a batch axis of 1).
///
/// A channel-last array for a channel-first input, or the other way round, is
/// an error: its elements would be read in the wrong order.
pub(super) fn check(array: &[usize], input: &[usize]) -> Result<(), ShapeHint> {
    let sample = array.get(1..).unwrap_or_default();
    let given = squeeze(sample);
    let wanted = squeeze(input);
    if !array.is_empty() && sizes(&given) == sizes(&wanted) {
        return Ok(());
    }
    Err(hint(array, &given, &wanted))
}

/// Axes of size other than 1, as (axis, size).
fn squeeze(shape: &[usize]) -> Vec<(usize, usize)> {
    shape.iter().copied().enumerate().filter(|&(_, size)| size != 1).collect()
}

fn sizes(axes: &[(usize, usize)]) -> Vec<usize> {
    axes.iter().map(|&(_, size)| size).collect()
}

fn hint(array: &[usize], given: &[(usize, usize)], wanted: &[(usize, usize)]) -> ShapeHint {
    if sizes(&squeeze(array)) == sizes(wanted) {
        return ShapeHint::NoSampleAxis;
    }
    let wanted = sizes(wanted);
    if given.len() == wanted.len() && given.len() > 1 {
        for shift in [1, given.len() - 1] {
            let mut rotated = given.to_vec();
            rotated.rotate_left(shift);
            if sizes(&rotated) == wanted {
                return ShapeHint::Layout { transpose: transpose(array, &rotated) };
            }
        }
    }
    let mut sorted_given = sizes(given);
    let mut sorted_wanted = wanted.clone();
    sorted_given.sort_unstable();
    sorted_wanted.sort_unstable();
    if sorted_given == sorted_wanted {
        ShapeHint::Order
    } else if !array.is_empty() && wanted.iter().product::<usize>() == sorted_given.iter().product::<usize>()
    {
        ShapeHint::Reshape
    } else {
        ShapeHint::None
    }
}

/// Axis order for the whole array: samples first, then `axes` (counted within a
/// sample), then the axes of size 1, wherever they were.
fn transpose(array: &[usize], axes: &[(usize, usize)]) -> Vec<usize> {
    let moved = axes.iter().map(|&(axis, _)| axis + 1);
    let ones = (1..array.len()).filter(|&a| array[a] == 1);
    std::iter::once(0).chain(moved).chain(ones).collect()
}
