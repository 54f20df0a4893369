//! Sentences N28 to N40: poolings, sums and products, tables, softmax.

use tinyc::Feed;
use tinyc::ir::{Clamp, QuantParams};
use tinyc::ops::Op;
use tinyc::ops::binary::{Binary, Coefficients};
use tinyc::ops::conv::{Pads, Window};
use tinyc::ops::pool::{Kind, Pool};
use tinyc::ops::unary::Function;
use tinyc::passes::{Context, Half, Scales, run_half};
use tinyc::quant::calibrate::{Range, Ranges};

use super::common::{Random, compute, module, saturated};

const BOUND: f64 = 0.51;

fn average(kernel: usize, pad: usize, count_include_pad: bool, ceil: bool, stride: usize) -> Op {
    let window = Window {
        kernel: [kernel, kernel],
        stride: [stride, stride],
        dilation: [1, 1],
        pads: Pads { top: pad, left: pad, bottom: pad, right: pad },
    };
    Op::Pool(Pool { kind: Kind::Average { count_include_pad }, window, ceil })
}

/// 3x3 cells of 10, 20, ... 90 above a zero point of -5.
const CELLS: [i8; 9] = [5, 15, 25, 35, 45, 55, 65, 75, 85];

#[test]
fn n28_every_window_has_its_own_divisor() {
    let input = QuantParams::new(1.0, -5);
    let output = QuantParams::new(0.5, 0);
    let codes = compute(
        average(3, 1, false, false, 1),
        &[("x", &[1, 3, 3, 1], input)],
        &[&CELLS],
        (&[1, 3, 3, 1], output),
    );
    // Corners: means of four cells, 30, 40, 60, 70; edges of six: 35, 45, 55, 65; all nine: 50. Twice that.
    assert_eq!(codes, [60, 70, 80, 90, 100, 110, 120, 127, 127]);
}

#[test]
fn n29_declared_padding_counts_and_overhang_does_not() {
    let params = QuantParams::new(1.0, -5);
    let input = ("x", &[1, 3, 3, 1][..], params);
    let counted = compute(average(3, 1, true, false, 1), &[input], &[&CELLS], (&[1, 3, 3, 1], params));
    // Sums 120, 210, 160, 270, 450, 330, 240, 390, 280 over nine, 13.33 up to 43.33, minus the 5.
    assert_eq!(counted, [8, 18, 13, 25, 45, 32, 22, 38, 26]);
    // 2x2 windows, stride 2: the second row and column hang over by one, outside any padding.
    let overhang = compute(average(2, 0, true, true, 2), &[input], &[&CELLS], (&[1, 2, 2, 1], params));
    assert_eq!(overhang, [25, 40, 70, 85]);
}

#[test]
fn n30_averages_are_within_the_bound() {
    let mut random = Random(30);
    for _ in 0..3_000 {
        let input = random.params(1e-3, 1.0);
        let output = QuantParams::new(input.scale * random.log(0.2, 3.0) as f32, random.code());
        let kernel = random.int(1, 6) as usize;
        let codes: Vec<i8> = (0..kernel * kernel).map(|_| random.code()).collect();
        let shape = [1, kernel, kernel, 1];
        let got = compute(
            average(kernel, 0, false, false, 1),
            &[("x", &shape, input)],
            &[&codes],
            (&[1, 1, 1, 1], output),
        );
        let mean = codes.iter().map(|&q| input.real(q)).sum::<f64>() / codes.len() as f64;
        check(got[0], mean, output, "average");
    }
}

/// A code against the exact real result.
fn check(code: i8, exact: f64, output: QuantParams, what: &str) {
    let exact = saturated(exact / f64::from(output.scale) + f64::from(output.zero_point));
    assert!((f64::from(code) - exact).abs() <= BOUND, "{what}: {code} for {exact}");
}

fn binary(op: Binary, a: (QuantParams, i8), b: (QuantParams, i8), output: QuantParams) -> i8 {
    let inputs = [("a", &[1][..], a.0), ("b", &[1][..], b.0)];
    compute(Op::Binary(op), &inputs, &[&[a.1], &[b.1]], (&[1], output))[0]
}

#[test]
fn n31_sums_round_once_toward_plus_infinity() {
    // By hand, S = 22: a half and a quarter of a step, zero points 1, 2 and 3.
    let (a, b, out) = (QuantParams::new(0.5, 1), QuantParams::new(0.25, 2), QuantParams::new(1.0, 3));
    let sum = Coefficients::new(&a, &b, &out, false);
    assert_eq!((sum.ma, sum.mb, sum.shift, sum.wide), (1 << 21, 1 << 20, 22, false));
    assert_eq!(sum.c, (1 << 21) + (3 << 22) - (1 << 21) - (2 << 20));
    assert_eq!(Coefficients::new(&a, &b, &out, true).mb, -(1 << 20));
    // 0.5 * 3 + 0.25 * -4 = 0.5 -> 1; 0.5 * -3 + 0.25 * 4 = -0.5 -> 0; each plus 3.
    assert_eq!([(4, -2), (-2, 6)].map(|(qa, qb)| binary(Binary::Add, (a, qa), (b, qb), out)), [4, 3]);
    // 0.5 * 3 - 0.25 * -4 = 2.5 -> 3, plus 3.
    assert_eq!(binary(Binary::Sub, (a, 4), (b, -2), out), 6);
}

#[test]
fn n32_the_shift_is_the_largest_that_fits() {
    let mut random = Random(32);
    let mut wide = 0;
    for _ in 0..20_000 {
        let (a, b, out) = (random.params(1e-3, 1e3), random.params(1e-3, 1e3), random.params(1e-1, 10.0));
        let fits = |shift: u32| {
            let coefficient = |q: &QuantParams| {
                (f64::from(q.scale) / f64::from(out.scale) * 2f64.powi(shift as i32)).round_ties_even()
                    as i128
            };
            let (ma, mb) = (coefficient(&a), coefficient(&b));
            let zeros = i128::from(a.zero_point) * ma + i128::from(b.zero_point) * mb;
            let c = (1i128 << (shift - 1)) + (i128::from(out.zero_point) << shift) - zeros;
            128 * (ma + mb) + c.abs() < 1 << 31
        };
        let chosen = Coefficients::new(&a, &b, &out, false);
        match (15..=22).rev().find(|&shift| fits(shift)) {
            Some(shift) => assert_eq!((chosen.shift, chosen.wide), (shift, false)),
            None => {
                assert!(chosen.wide && (15..=22).contains(&chosen.shift));
                wide += 1;
            }
        }
    }
    assert!((100..19_900).contains(&wide), "{wide} of 20,000 cases are wide");
}

#[test]
fn n33_binary_operations_are_within_the_bound() {
    let mut random = Random(33);
    for _ in 0..20_000 {
        let (a, b) = (random.params(1e-2, 10.0), random.params(1e-2, 10.0));
        let (qa, qb) = (random.code(), random.code());
        let sums = QuantParams::new(a.scale.max(b.scale) * random.log(0.02, 2.0) as f32, random.code());
        check(binary(Binary::Add, (a, qa), (b, qb), sums), a.real(qa) + b.real(qb), sums, "add");
        check(binary(Binary::Sub, (a, qa), (b, qb), sums), a.real(qa) - b.real(qb), sums, "sub");
        let products = QuantParams::new(a.scale * b.scale * random.log(0.5, 500.0) as f32, random.code());
        check(binary(Binary::Mul, (a, qa), (b, qb), products), a.real(qa) * b.real(qb), products, "mul");
    }
}

#[test]
fn n34_products_are_requantized() {
    // 1/2 * 1/4 / (1/2) = 1/4: 3 * -2 = -6 -> -1.5 -> -1, plus 7; 3 * 2 = 6 -> 1.5 -> 2.
    let (a, b, out) = (QuantParams::new(0.5, 1), QuantParams::new(0.25, 2), QuantParams::new(0.5, 7));
    assert_eq!([(4, 0), (4, 4)].map(|(qa, qb)| binary(Binary::Mul, (a, qa), (b, qb), out)), [6, 9]);
}

/// All codes, through a chain of functions.
fn table(chain: &[Function], input: QuantParams, output: QuantParams) -> Vec<i8> {
    let codes: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    compute(Op::Unary(chain.to_vec()), &[("x", &[256], input)], &[&codes], (&[256], output))
}

#[test]
fn n35_a_chain_rounds_once_at_its_end() {
    let input = QuantParams::new(0.5, 0);
    let chain = [Function::Clamp(Clamp::RELU), Function::Affine { scale: 0.5, shift: 0.25 }];
    let output = QuantParams { scale: 1.0, zero_point: 0, lo: 1, hi: 20 };
    let codes = table(&chain, input, output);
    // -64 -> 0 -> 0.25 -> 0, then the clamp; 5 -> 2.5 -> 1.5 -> 2 (even); 9 -> 4.5 -> 2.5 -> 2 (even); 127 -> 32.
    let at = |code: i8| codes[(i32::from(code) + 128) as usize];
    assert_eq!([-128, 5, 9, 127].map(at), [1, 2, 2, 20]);
}

#[test]
fn n36_tables_are_within_half_an_lsb() {
    type Case = (Function, fn(f64) -> f64);
    let cases: [Case; 4] = [
        (Function::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
        (Function::Tanh, f64::tanh),
        (Function::HardSwish, |x| x * ((x + 3.0).clamp(0.0, 6.0)) / 6.0),
        (Function::LeakyRelu { slope: 0.25 }, |x| if x < 0.0 { 0.25 * x } else { x }),
    ];
    let mut random = Random(36);
    for (function, exact) in cases {
        for _ in 0..100 {
            let (input, output) = (random.params(1e-2, 0.1), random.params(1e-3, 0.1));
            for (code, got) in (i8::MIN..=i8::MAX).zip(table(&[function], input, output)) {
                let real = exact(input.real(code)) / f64::from(output.scale) + f64::from(output.zero_point);
                assert!((f64::from(got) - saturated(real)).abs() <= 0.5 + 1e-9, "{function:?} of {code}");
            }
        }
    }
}

#[test]
fn n37_tables_have_no_holes() {
    let (input, output) = (QuantParams::new(1.0, 0), QuantParams::new(0.1, -20));
    // Roots below 0 are 0; logarithms there fall to the least code.
    assert_eq!(table(&[Function::Sqrt], input, output)[..128], [-20; 128]);
    assert_eq!(table(&[Function::Log], input, output)[..129], [-128; 129]);
}

fn softmax(input: QuantParams, codes: &[i8]) -> Vec<i8> {
    let output = QuantParams::new(1.0 / 256.0, -128);
    let shape = [1, codes.len()];
    compute(Op::Softmax, &[("x", &shape, input)], &[codes], (&shape, output))
}

#[test]
fn n38_probabilities_use_all_codes() {
    let input = QuantParams::new(0.1, 0);
    let (mut module, node) = module(Op::Softmax, &[("x", &[1, 3], input)], &[], &[1, 3]);
    // Whatever range calibration saw.
    let range = |max| Range { min: 0.0, max };
    let ranges = Ranges::from([("x".into(), range(3.0)), ("out".into(), range(0.7))]);
    let context = Context {
        no_softmax: false,
        keep_dead_channels: true,
        feed: Feed::Whole,
        scales: Scales::Calibrated(&ranges),
    };
    run_half(&mut module, Half::Integer, &context, |_, _| ()).expect("quantizes");
    let output = module.graph.node(node).output;
    assert_eq!(module.quant.activation(output), QuantParams::new(1.0 / 256.0, -128));

    let given = QuantParams::new(1.0 / 255.0, -128);
    module.given.activations.insert("out".into(), given);
    run_half(&mut module, Half::Integer, &context, |_, _| ()).expect("quantizes");
    assert_eq!(module.quant.activation(output), given);
}

#[test]
fn n39_softmax_is_within_one_lsb() {
    let mut random = Random(39);
    for _ in 0..5_000 {
        let input = random.params(1e-3, 2.0);
        let length = random.log(1.0, 300.0) as usize;
        let codes: Vec<i8> = (0..length).map(|_| random.code()).collect();
        let largest = codes.iter().map(|&q| input.real(q)).fold(f64::MIN, f64::max);
        let terms: Vec<f64> = codes.iter().map(|&q| (input.real(q) - largest).exp()).collect();
        let sum: f64 = terms.iter().sum();
        for (code, term) in softmax(input, &codes).into_iter().zip(terms) {
            let exact = saturated(term / sum * 256.0 - 128.0);
            assert!((f64::from(code) - exact).abs() <= 1.0, "{code} for {exact}, {length} values");
        }
    }
}

#[test]
fn n40_softmax_sees_differences_alone() {
    let input = QuantParams::new(0.05, 17);
    let codes = [-50, -20, -20, 0, 10];
    let base = softmax(input, &codes);
    assert_eq!(base[1], base[2]);
    for shift in [-70, 5, 90] {
        assert_eq!(softmax(input, &codes.map(|q: i8| q + shift)), base);
    }
}
