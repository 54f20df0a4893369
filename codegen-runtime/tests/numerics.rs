//! The requantization, on hand-calculated cases and against 128-bit arithmetic.

mod common;

use common::{CASES, Rng};
use tinyc_runtime::arch;
use tinyc_runtime::requant::{Out, requantize};

const WIDE: Out = Out { zero_point: 0, lo: -128, hi: 127 };

#[test]
fn ties_go_toward_plus_infinity() {
    // m = 2^30 is a quarter: 2/4 = 0.5 -> 1, -2/4 = -0.5 -> 0, 6/4 = 1.5 -> 2, -6/4 = -1.5 -> -1.
    let quarter = |acc| requantize(acc, 1 << 30, 0, WIDE);
    assert_eq!([2, -2, 6, -6].map(quarter), [1, 0, 2, -1]);
    // Beside the ties: 1/4, 3/4, 5/4, 7/4 and their negatives.
    assert_eq!([1, 3, 5, 7].map(quarter), [0, 1, 1, 2]);
    assert_eq!([-1, -3, -5, -7].map(quarter), [0, -1, -1, -2]);
}

#[test]
fn the_shift_multiplies_before_rounding() {
    // 2^30 * 2^1 / 2^32 = 1/2 and 2^30 * 2^3 / 2^32 = 2: nothing is lost on the way.
    assert_eq!([7, -7].map(|acc| requantize(acc, 1 << 30, 1, WIDE)), [4, -3]);
    assert_eq!([7, -7].map(|acc| requantize(acc, 1 << 30, 3, WIDE)), [14, -14]);
    assert_eq!(requantize(100, 1_500_000_000, 1, WIDE), 70); // 69.849...
}

#[test]
fn the_shift_saturates() {
    // 2^30 << 2 leaves 32 bits: 2^31 - 1 times 2^30 / 2^32 is about 2^29, which the clamp cuts.
    assert_eq!(requantize(1 << 30, 1 << 30, 2, WIDE), 127);
    assert_eq!(requantize(-(1 << 30), 1 << 30, 2, WIDE), -128);
    assert_eq!(requantize(i32::MAX, i32::MAX, 31, WIDE), 127);
    assert_eq!(requantize(i32::MIN, i32::MAX, 31, WIDE), -128);
    assert_eq!(requantize(0, i32::MAX, 31, WIDE), 0);
}

#[test]
fn zero_point_and_range_come_last() {
    let relu6 = Out { zero_point: -100, lo: -100, hi: -40 };
    // Halved: -25 and 100 leave the range, 0 and 15 stay.
    let codes = [-50, 0, 30, 200].map(|acc| requantize(acc, 1 << 30, 1, relu6));
    assert_eq!(codes, [-100, -100, -85, -40]);
}

#[test]
fn equals_the_formula_in_wide_arithmetic() {
    let mut rng = Rng::new(5);
    for case in 0..CASES * 100 {
        let acc = rng.bits() as i32 >> rng.range(0, 31);
        let k = if rng.chance(2) { 0 } else { rng.range(1, 31) as u32 };
        let m = if k > 0 { rng.range(1 << 30, (1 << 31) - 1) } else { rng.range(0, (1 << 31) - 1) };
        let m = if case.is_multiple_of(7) { i64::from(i32::MAX) } else { m };
        let out = rng.out();
        let expected = common::requantize(acc.into(), m, k, out);
        assert_eq!(requantize(acc, m as i32, k, out), expected, "{acc} {m} {k} {out:?}");
        assert_eq!(arch::requantize(acc, m as i32, k, out), expected);
    }
}
