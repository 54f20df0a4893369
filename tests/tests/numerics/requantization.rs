//! Sentences N8 to N14, N43 and N44: the one requantization.

use tinyc::ir::QuantParams;
use tinyc::quant::Multiplier;
use tinyc::quant::multiplier::requantize;
use tinyc_runtime::arch;
use tinyc_runtime::requant::{self, Out};

use super::common::Random;

const CASES: usize = 200_000;

fn full(zero_point: i8) -> QuantParams {
    QuantParams::new(1.0, zero_point)
}

/// The formula of the document without the shift's saturation, in 128 bits.
fn unsaturated(acc: i64, m: i32, k: u8, out: &QuantParams) -> i64 {
    let product = (i128::from(acc) << k) * i128::from(m) + (1 << 31);
    let code = i128::from(out.zero_point) + product.div_euclid(1 << 32);
    code.max(out.lo.into()).min(out.hi.into()) as i64
}

/// The formula of the document, in 128 bits.
fn formula(acc: i64, m: i32, k: u8, out: &QuantParams) -> i64 {
    let shifted = (i128::from(acc) << k).clamp(-(1 << 31), (1 << 31) - 1);
    unsaturated(shifted as i64, m, 0, out)
}

/// Accumulators of every magnitude, multipliers of every kind, any clamp.
fn random_case(random: &mut Random) -> (i32, Multiplier, QuantParams) {
    let acc = (random.bits() as i32) >> random.int(0, 31);
    let k = if random.int(0, 1) == 0 { 0 } else { random.int(1, 31) as u8 };
    let m = if k == 0 { random.int(0, (1 << 31) - 1) } else { random.int(1 << 30, (1 << 31) - 1) };
    let (a, b) = (random.code(), random.code());
    let out = QuantParams { scale: 1.0, zero_point: random.code(), lo: a.min(b), hi: a.max(b) };
    (acc, Multiplier { m: m as i32, k }, out)
}

#[test]
fn n08_compiler_runtime_and_formula_agree() {
    let mut random = Random(8);
    for _ in 0..CASES {
        let (acc, multiplier, out) = random_case(&mut random);
        let expected = formula(acc.into(), multiplier.m, multiplier.k, &out);
        let runtime = Out { zero_point: out.zero_point.into(), lo: out.lo.into(), hi: out.hi.into() };
        let (m, k) = (multiplier.m, multiplier.k.into());
        let copies = [
            requantize(acc.into(), multiplier, &out),
            requant::requantize(acc, m, k, runtime),
            arch::requantize(acc, m, k, runtime),
        ];
        assert_eq!(copies.map(i64::from), [expected; 3], "acc {acc}, {multiplier:?}, {out:?}");
    }
}

#[test]
fn n09_ties_go_toward_plus_infinity() {
    let quarter = Multiplier { m: 1 << 30, k: 0 };
    // 2/4 = 0.5, -2/4 = -0.5, 6/4 = 1.5, -6/4 = -1.5; and beside the ties.
    let codes = [2, -2, 6, -6, 1, 3, -1, -3].map(|acc| requantize(acc, quarter, &full(0)));
    assert_eq!(codes, [1, 0, 2, -1, 0, 1, 0, -1]);
}

#[test]
fn n10_multiplier_is_nearest_with_the_smallest_shift() {
    // By hand: 1/4 = 2^30 / 2^32; 1/2 needs a shift; 3 = 1.5 * 2^30 * 2^3 / 2^32.
    let made = [0.25, 0.5, 3.0].map(|real| Multiplier::from_real(real).expect("in range"));
    assert_eq!(made[0], Multiplier { m: 1 << 30, k: 0 });
    assert_eq!(made[1], Multiplier { m: 1 << 30, k: 1 });
    assert_eq!(made[2], Multiplier { m: 3 << 29, k: 3 });
    // Just below a half the mantissa would round up to 2^31, so that the shift takes over.
    let below = 0.5 - 2f64.powi(-40);
    assert_eq!(Multiplier::from_real(below), Some(Multiplier { m: 1 << 30, k: 1 }));

    let mut random = Random(10);
    for _ in 0..CASES {
        let real = random.log(1e-12, 1e9);
        let Multiplier { m, k } = Multiplier::from_real(real).expect("in range");
        let error = f64::from(m) * 2f64.powi(i32::from(k) - 32) - real;
        assert!(error.abs() <= 2f64.powi(i32::from(k) - 33), "{real}: off by {error}");
        assert!(m >= 0 && (k == 0 || m >= 1 << 30), "{real}: m {m}, k {k}");
        assert_eq!(k == 0, (real * 2f64.powi(32)).round_ties_even() < 2f64.powi(31), "{real}: k {k}");
    }
}

#[test]
fn n11_impossible_multipliers_do_not_exist() {
    let limit = 2f64.powi(30);
    for real in [-1e-9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, limit, 1e300] {
        assert_eq!(Multiplier::from_real(real), None, "{real}");
    }
    assert!(Multiplier::from_real(limit - 1.0).is_some());
    assert_eq!(Multiplier::from_real(0.0), Some(Multiplier { m: 0, k: 0 }));
}

#[test]
fn n12_saturating_the_shift_changes_no_code() {
    let mut random = Random(12);
    let mut saturated = 0;
    for _ in 0..CASES {
        let (acc, multiplier, out) = random_case(&mut random);
        let expected = unsaturated(acc.into(), multiplier.m, multiplier.k, &out);
        assert_eq!(
            i64::from(requantize(acc.into(), multiplier, &out)),
            expected,
            "{acc} {multiplier:?} {out:?}"
        );
        saturated += usize::from(i32::try_from(i64::from(acc) << multiplier.k).is_err());
    }
    assert!(saturated > CASES / 100, "only {saturated} cases saturate the shift");
}

#[test]
fn n13_rounding_the_multiplier_costs_a_hundredth_at_most() {
    let mut random = Random(13);
    for _ in 0..CASES {
        let real = random.log(3.0e-6, 1e6);
        let multiplier = Multiplier::from_real(real).expect("in range");
        let rounded = f64::from(multiplier.m) * 2f64.powi(i32::from(multiplier.k) - 32);
        // The largest accumulator whose result can be inside the codes: 255 LSB from the zero point.
        let acc = (255.0 / real).floor();
        assert!((acc * rounded - acc * real).abs() <= 0.01, "multiplier {real}, accumulator {acc}");
    }
}

#[test]
fn n14_zero_point_after_rounding_and_clamp_last() {
    let half = Multiplier { m: 1 << 30, k: 1 };
    // ReLU with zero point -100 and a top at -40: halves of -50, 0, 30, 31 and 200 are -25, 0, 15, 15.5 and 100.
    let out = QuantParams { scale: 1.0, zero_point: -100, lo: -100, hi: -40 };
    let codes = [-50, 0, 30, 31, 200].map(|acc| requantize(acc, half, &out));
    assert_eq!(codes, [-100, -100, -85, -84, -40]);
}

/// ONNX Runtime: a float32 multiplier, ties to even.
fn float_multiplier(acc: i32, real: f64) -> i64 {
    ((acc as f32 * real as f32).round_ties_even() as i64).clamp(-128, 127)
}

/// TensorFlow Lite: a rounding doubling high multiplication, then a rounding
/// shift to the right (Jacob et al. 2018, appendix B, and gemmlowp's fixed-point header).
fn double_rounding(acc: i32, real: f64) -> i64 {
    let exponent = (real.log2().floor() as i32) + 1;
    let mantissa = (real * 2f64.powi(31 - exponent)).round() as i64;
    let (mantissa, exponent) =
        if mantissa == 1 << 31 { (mantissa / 2, exponent + 1) } else { (mantissa, exponent) };
    let (left, right) = (exponent.max(0), (-exponent).max(0));
    let product = (i64::from(acc) << left) * mantissa;
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    let high = (product + nudge) / (1i64 << 31);
    let mask = (1i64 << right) - 1;
    let threshold = (mask >> 1) + i64::from(high < 0);
    let rounded = (high >> right) + i64::from((high & mask) > threshold);
    rounded.clamp(-128, 127)
}

#[test]
fn n43_other_engines_are_within_one_lsb() {
    let mut random = Random(43);
    for _ in 0..CASES {
        let real = random.log(1e-5, 1.0);
        let multiplier = Multiplier::from_real(real).expect("in range");
        let acc = (random.unit() * 300.0 / real * if random.int(0, 1) == 0 { 1.0 } else { -1.0 }) as i32;
        let own = i64::from(requantize(acc.into(), multiplier, &full(0)));
        for (engine, other) in
            [("float", float_multiplier(acc, real)), ("double rounding", double_rounding(acc, real))]
        {
            assert!(
                (own - other).abs() <= 1,
                "{engine}: accumulator {acc}, multiplier {real}: {own}, {other}"
            );
        }
    }
}

#[test]
fn n44_ties_above_an_even_neighbour_differ_by_one() {
    for (real, per_code) in [(0.25, 4), (0.5, 2)] {
        let multiplier = Multiplier::from_real(real).expect("in range");
        for code in -100i32..100 {
            let acc = code * per_code + per_code / 2;
            let own = i64::from(requantize(acc.into(), multiplier, &full(0)));
            let apart = own - float_multiplier(acc, real);
            assert_eq!(apart, i64::from(code % 2 == 0), "{acc} * {real}");
        }
    }
}
