//! `add`, `mul`, `join`, `lut` and `softmax` against plain loops.

mod common;

use common::{Blob, CASES, Rng, guarded, guarded_rows, no_scratch, requantize};
use tinyc_runtime::kernels::{add, join, lut, mul, softmax};
use tinyc_runtime::requant::Out;
use tinyc_runtime::view::{Arena, Bytes};

/// A shape, with the strides of two operands that broadcast to it.
fn broadcast(rng: &mut Rng) -> ([usize; 4], [usize; 4], [usize; 4]) {
    let shape = [rng.size(1, 2), rng.size(1, 4), rng.size(1, 5), rng.size(1, 19)];
    let mut strides = |full: bool| {
        let mut strides = [0; 4];
        let mut step = 1;
        for axis in (0..4).rev() {
            if full || rng.chance(2) {
                strides[axis] = step;
                step *= shape[axis];
            }
        }
        strides
    };
    let (a, b) = (strides(false), strides(false));
    let full = strides(true);
    match rng.range(0, 4) {
        0 => (shape, full, full),
        1 => (shape, full, [0; 4]),
        2 => (shape, [0; 4], full),
        3 => (shape, full, b),
        _ => (shape, a, b),
    }
}

/// The operands' offsets for each element of `shape`, in row-major order.
fn offsets(shape: [usize; 4], a: [usize; 4], b: [usize; 4]) -> Vec<(usize, usize)> {
    let mut offsets = Vec::new();
    for i in 0..shape[0] {
        for j in 0..shape[1] {
            for k in 0..shape[2] {
                for l in 0..shape[3] {
                    let at = |s: [usize; 4]| i * s[0] + j * s[1] + k * s[2] + l * s[3];
                    offsets.push((at(a), at(b)));
                }
            }
        }
    }
    offsets
}

/// Two operands that are just as long as their strides reach.
fn operands(rng: &mut Rng, pairs: &[(usize, usize)]) -> (Vec<i8>, Vec<i8>) {
    let last = pairs.iter().fold((0, 0), |last, pair| (last.0.max(pair.0), last.1.max(pair.1)));
    (rng.codes(last.0 + 1, -128, 127), rng.codes(last.1 + 1, -128, 127))
}

#[test]
fn add_equals_plain_loops() {
    let mut rng = Rng::new(21);
    for _ in 0..CASES {
        let (shape, a_strides, b_strides) = broadcast(&mut rng);
        let pairs = offsets(shape, a_strides, b_strides);
        let (a, mut b) = operands(&mut rng, &pairs);
        let wide = rng.chance(3);
        let shift = if wide { rng.range(24, 40) } else { rng.range(0, 22) } as u32;
        let one = 1i64 << shift;
        let factor = |rng: &mut Rng| rng.range(-one, one).clamp(-(1 << 30), 1 << 30) as i32;
        let (ma, mb) = (factor(&mut rng), factor(&mut rng));
        let c = one / 2 + one * rng.range(-100, 100);
        let out = rng.out();
        let (lo, hi) = if rng.chance(2) { (-128, 127) } else { (out.lo, out.hi) };
        let p = add::Params { shape, a_strides, b_strides, ma, mb, c, shift, wide, lo, hi };
        let got = guarded(&a, pairs.len(), |a, output| {
            add::run(&p, a, Bytes::from_mut(&mut b), output, no_scratch());
        });
        // Row by row where both operands are as large as the output.
        if a_strides == b_strides && a.len() == pairs.len() {
            let (rows, len) = (shape[..3].iter().product(), shape[3]);
            let row_wise =
                guarded_rows([(&a, rows), (&b, rows)], (rows, rows, len), 0, |[a, b], output, part, _| {
                    add::run_rows(&p, a, b, output, part, len);
                });
            assert_eq!(row_wise, got, "{p:?}");
        }
        let expected: Vec<i8> = pairs
            .iter()
            .map(|&(at_a, at_b)| {
                let (qa, qb) = (i64::from(a[at_a]), i64::from(b[at_b]));
                let sum = qa * i64::from(ma) + qb * i64::from(mb) + c;
                sum.div_euclid(one).clamp(lo.into(), hi.into()) as i8
            })
            .collect();
        assert_eq!(got, expected, "{p:?}");
    }
}

#[test]
fn mul_equals_plain_loops() {
    let mut rng = Rng::new(22);
    for _ in 0..CASES {
        let (shape, a_strides, b_strides) = broadcast(&mut rng);
        let pairs = offsets(shape, a_strides, b_strides);
        let (a, mut b) = operands(&mut rng, &pairs);
        let k = if rng.chance(3) { rng.range(1, 3) as u32 } else { 0 };
        let m = if k > 0 { rng.range(1 << 30, (1 << 31) - 1) } else { rng.range(1 << 20, 1 << 27) };
        let (za, zb) = (rng.range(-128, 127) as i32, rng.range(-128, 127) as i32);
        let p = mul::Params { shape, a_strides, b_strides, za, zb, m: m as i32, k, out: rng.out() };
        let got = guarded(&a, pairs.len(), |a, output| {
            mul::run(&p, a, Bytes::from_mut(&mut b), output, no_scratch());
        });
        // Row by row where both operands are as large as the output.
        if a_strides == b_strides && a.len() == pairs.len() {
            let (rows, len) = (shape[..3].iter().product(), shape[3]);
            let row_wise =
                guarded_rows([(&a, rows), (&b, rows)], (rows, rows, len), 0, |[a, b], output, part, _| {
                    mul::run_rows(&p, a, b, output, part, len);
                });
            assert_eq!(row_wise, got, "{p:?}");
        }
        let expected: Vec<i8> = pairs
            .iter()
            .map(|&(at_a, at_b)| {
                let product = (i64::from(a[at_a]) - i64::from(za)) * (i64::from(b[at_b]) - i64::from(zb));
                requantize(product, m, k, p.out)
            })
            .collect();
        assert_eq!(got, expected, "{p:?}");
    }
}

#[test]
fn join_puts_the_pieces_of_tensors_side_by_side() {
    let mut rng = Rng::new(25);
    for _ in 0..CASES {
        let (rows, width) = (rng.size(1, 5), rng.size(1, 5));
        joins::<2>(&mut rng, rows, width);
        joins::<3>(&mut rng, rows, width);
        joins::<{ join::MOST }>(&mut rng, rows, width);
    }
}

/// A concatenation of `N` tensors.
fn joins<const N: usize>(rng: &mut Rng, rows: usize, width: usize) {
    let lens: [usize; N] = std::array::from_fn(|_| rng.size(1, 19));
    let mut operands = lens.map(|len| rng.codes(rows * width * len, -128, 127));
    let piece = |at: usize| {
        operands.iter().zip(lens).flat_map(move |(codes, len)| &codes[at * len..(at + 1) * len]).copied()
    };
    let expected: Vec<i8> = (0..rows * width).flat_map(piece).collect();
    let mut p = join::Params { rows, width, lens: [0; join::MOST] };
    p.lens[..N].copy_from_slice(&lens);
    let inputs: [(&[i8], usize); N] = std::array::from_fn(|n| (&operands[n][..], rows));
    let row_wise =
        guarded_rows(inputs, (rows, rows, expected.len() / rows), 0, |operands, output, part, scratch| {
            join::run_rows(&p, operands, output, part, scratch);
        });
    let whole = guarded(&[], expected.len(), |_, output| {
        let all = operands.each_mut().map(|codes| Bytes::from_mut(codes));
        join::run(&p, all, output, no_scratch());
    });
    assert_eq!(whole, expected, "{p:?}");
    assert_eq!(row_wise, expected, "{p:?}, row by row");
}

#[test]
fn lut_looks_every_code_up() {
    let mut blob = Blob::new();
    blob.bytes((0..=255u8).map(|index| index.wrapping_mul(3).wrapping_add(7)));
    let input: Vec<i8> = (-128..=127).rev().collect();
    let got = guarded(&input, 256, |input, output| {
        lut::run(&lut::Params { len: 256 }, blob.consts(), input, output, no_scratch());
    });
    let rows = guarded_rows([(&input, 16)], (16, 16, 16), 0, |[input], output, part, _| {
        lut::run_rows(blob.consts(), input, output, part, 16);
    });
    assert_eq!(rows, got);
    let expected: Vec<i8> = input.iter().map(|&q| ((i32::from(q) + 256) % 256 * 3 + 7) as i8).collect();
    assert_eq!(got, expected);
}

#[test]
fn the_output_may_be_the_input() {
    let mut rng = Rng::new(23);
    let codes = rng.codes(37, -128, 127);
    let (shape, row_major) = ([1, 1, 1, 37], [37, 37, 37, 1]);
    let out = Out { zero_point: 1, lo: -128, hi: 127 };
    let mut table = Blob::new();
    table.bytes((0..=255u8).map(|index| index ^ 0x55));
    let mut arena = Arena::<37>::new();
    arena.slice_mut::<0, 37>().copy_from_slice(&codes);
    let all = arena.view().at::<0, 37>();

    // (2q + 3q + 1) / 2, then times 9 / 32, then the table: each over its own input.
    let (a_strides, b_strides) = (row_major, row_major);
    let (lo, hi, wide) = (-128, 127, false);
    let sum = add::Params { shape, a_strides, b_strides, ma: 2, mb: 3, c: 1, shift: 1, wide, lo, hi };
    add::run(&sum, all, all, all, no_scratch());
    let b_strides = [0; 4];
    let product = mul::Params { shape, a_strides, b_strides, za: 0, zb: 0, m: 1 << 27, k: 0, out };
    mul::run(&product, all, Bytes::from_mut(&mut [9]), all, no_scratch());
    lut::run(&lut::Params { len: 37 }, table.consts(), all, all, no_scratch());

    let expected = codes.iter().map(|&q| i64::from(q)).map(|q| {
        let sum = (q * 5 + 1).div_euclid(2).clamp(-128, 127);
        requantize(sum * 9, 1 << 27, 0, out) ^ 0x55
    });
    let expected: Vec<i8> = expected.collect();
    assert_eq!(arena.slice::<0, 37>().to_vec(), expected);
}

/// `exp(-d * scale)`, at most 2^22.
fn exponentials(scale: f64) -> Vec<i64> {
    (0..256).map(|d| ((-f64::from(d) * scale).exp() * f64::from(1 << 22)).round() as i64).collect()
}

#[test]
fn softmax_equals_plain_loops() {
    let mut rng = Rng::new(24);
    for case in 0..CASES / 2 {
        let (rows, n) = (rng.size(1, 3), if case == 0 && !cfg!(miri) { 1023 } else { rng.size(1, 40) });
        let scale = rng.range(1, 300) as f64 / 1000.0;
        let mut blob = Blob::new();
        let factors = rng.chance(2);
        let table = if factors {
            let of = |d: i32| (f64::from(1u32 << 31) * (-f64::from(d) * scale).exp()) as i64;
            let (firsts, steps): (Vec<i64>, Vec<i64>) = (0..16).map(|d| (of(16 * d), of(d))).unzip();
            blob.words(firsts.iter().chain(&steps).copied());
            let product = |d: usize| i128::from(firsts[d / 16]) * i128::from(steps[d % 16]);
            (0..256).map(|d| ((product(d) + (1 << 39)) >> 40) as i64).collect()
        } else {
            let table = exponentials(scale);
            blob.words(table.iter().copied());
            table
        };
        let out = if rng.chance(2) { Out { zero_point: -128, lo: -128, hi: 127 } } else { rng.out() };
        let sum_scale = if rng.chance(2) { 1 << 24 } else { rng.range(1 << 20, u32::MAX.into()) as u32 };
        let spread = rng.range(0, 127);
        let input = rng.codes(rows * n, -spread - 1, spread);
        let p = softmax::Params { rows, n, sum_scale, factors, out };
        let got = guarded(&input, rows * n, |input, output| {
            softmax::run(&p, blob.consts(), input, output, no_scratch());
        });
        let mut expected = Vec::new();
        for row in input.chunks(n) {
            let max = i64::from(*row.iter().max().unwrap());
            let terms: Vec<i128> = row.iter().map(|&q| table[(max - i64::from(q)) as usize].into()).collect();
            let scaled = (terms.iter().sum::<i128>() * i128::from(sum_scale) + (1 << 23)) >> 24;
            for t in terms {
                let quotient = (t * 256 + scaled / 2) / scaled + i128::from(out.zero_point);
                expected.push(quotient.clamp(out.lo.into(), out.hi.into()) as i8);
            }
        }
        assert_eq!(got, expected, "{p:?}");
    }
}

#[test]
fn softmax_is_within_one_code_of_the_real_one() {
    let scale = 0.1;
    let mut blob = Blob::new();
    blob.words(exponentials(scale));
    let input = [-20, 30, 25, -128, 7, 127, 126, 120, 90, 0];
    let p = softmax::Params {
        rows: 1,
        n: 10,
        sum_scale: 1 << 24,
        factors: false,
        out: Out { zero_point: -128, lo: -128, hi: 127 },
    };
    let got = guarded(&input, 10, |input, output| {
        softmax::run(&p, blob.consts(), input, output, no_scratch());
    });
    let exponentials = input.map(|q| (f64::from(q) * scale).exp());
    let sum: f64 = exponentials.iter().sum();
    for (q, e) in got.iter().zip(exponentials) {
        let real = (e / sum * 256.0 - 128.0).min(127.0);
        assert!((f64::from(*q) - real).abs() <= 1.0, "{q} for {real}");
    }
}
