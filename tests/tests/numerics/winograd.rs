//! Sentences N46 to N49: Winograd's convolution on integers.

use tinyc::ir::{NodeId, QuantParams, Shape};
use tinyc::lower::{Kernel, KernelSet, Lowered};
use tinyc::ops::conv::{Conv, Pads, Window};
use tinyc::ops::{Op, candidates};
use tinyc::quant::{LayerQuant, Multiplier};

use super::common::{Random, array, module};

/// The transforms of a tile size in fractions, as published (Lavin and Gray 2015),
/// and the factors of the rows of the kernel transform.
struct Transforms {
    input: Vec<Vec<f64>>,
    kernel: Vec<[f64; 3]>,
    output: Vec<Vec<f64>>,
    factors: Vec<f64>,
    whole: f64,
}

fn two() -> Transforms {
    Transforms {
        input: vec![
            vec![1.0, 0.0, -1.0, 0.0],
            vec![0.0, 1.0, 1.0, 0.0],
            vec![0.0, -1.0, 1.0, 0.0],
            vec![0.0, 1.0, 0.0, -1.0],
        ],
        kernel: vec![[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]],
        output: vec![vec![1.0, 1.0, 1.0, 0.0], vec![0.0, 1.0, -1.0, -1.0]],
        factors: vec![2.0; 4],
        whole: 2.0,
    }
}

fn four() -> Transforms {
    let (sixth, twelfth, twentyfourth) = (1.0 / 6.0, 1.0 / 12.0, 1.0 / 24.0);
    Transforms {
        input: vec![
            vec![4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
            vec![0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
            vec![0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
            vec![0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
            vec![0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
            vec![0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
        ],
        kernel: vec![
            [0.25, 0.0, 0.0],
            [-sixth, -sixth, -sixth],
            [-sixth, sixth, -sixth],
            [twentyfourth, twelfth, sixth],
            [twentyfourth, -twelfth, sixth],
            [0.0, 0.0, 1.0],
        ],
        output: vec![
            vec![1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
            vec![0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
            vec![0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
            vec![0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
        ],
        factors: vec![24.0, 6.0, 6.0, 24.0, 24.0, 6.0],
        whole: 24.0,
    }
}

/// A number that must be whole.
fn integer(x: f64) -> i64 {
    assert!((x - x.round()).abs() < 1e-9, "{x} is not whole");
    x.round() as i64
}

impl Transforms {
    fn input(&self) -> Vec<Vec<i64>> {
        self.input.iter().map(|row| row.iter().map(|&x| integer(x)).collect()).collect()
    }

    fn kernel(&self) -> Vec<Vec<i64>> {
        let scaled = |(row, factor): (&[f64; 3], &f64)| row.iter().map(|x| integer(x * factor)).collect();
        self.kernel.iter().zip(&self.factors).map(scaled).collect()
    }

    /// Columns take back what the kernel's rows were multiplied by too little.
    fn output(&self) -> Vec<Vec<i64>> {
        let scaled = |row: &Vec<f64>| {
            row.iter().zip(&self.factors).map(|(x, factor)| integer(x * self.whole / factor)).collect()
        };
        self.output.iter().map(scaled).collect()
    }
}

fn product(a: &[Vec<i64>], b: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let columns = b[0].len();
    let dot = |row: &[i64], column: usize| row.iter().zip(b).map(|(x, y)| x * y[column]).sum();
    a.iter().map(|row| (0..columns).map(|column| dot(row, column)).collect()).collect()
}

fn transposed(a: &[Vec<i64>]) -> Vec<Vec<i64>> {
    (0..a[0].len()).map(|column| a.iter().map(|row| row[column]).collect()).collect()
}

/// `a x b^T`.
fn both_ways(a: &[Vec<i64>], x: &[Vec<i64>], b: &[Vec<i64>]) -> Vec<Vec<i64>> {
    product(&product(a, x), &transposed(b))
}

fn codes(random: &mut Random, rows: usize, columns: usize) -> Vec<Vec<i64>> {
    (0..rows).map(|_| (0..columns).map(|_| i64::from(random.code())).collect()).collect()
}

#[test]
fn n46_scaled_transforms_give_the_convolution_times_a_constant() {
    let mut random = Random(46);
    for (rows, columns, constant) in [(two(), two(), 4), (two(), four(), 48), (four(), four(), 576)] {
        for _ in 0..200 {
            let inputs = codes(&mut random, rows.input.len(), columns.input.len());
            let kernel = codes(&mut random, 3, 3);
            let transformed = both_ways(&rows.input(), &inputs, &columns.input());
            let weights = both_ways(&rows.kernel(), &kernel, &columns.kernel());
            let products: Vec<Vec<i64>> = transformed
                .iter()
                .zip(&weights)
                .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).collect())
                .collect();
            let outputs = both_ways(&rows.output(), &products, &columns.output());
            for (y, row) in outputs.iter().enumerate() {
                for (x, &output) in row.iter().enumerate() {
                    let taps = (0..9).map(|tap| (tap / 3, tap % 3));
                    let sum: i64 = taps.map(|(ky, kx)| inputs[y + ky][x + kx] * kernel[ky][kx]).sum();
                    assert_eq!(output, constant * sum);
                }
            }
        }
    }
}

#[test]
fn n47_transformed_numbers_fit_16_bits() {
    // The largest magnitude is that of the row with the largest sum of magnitudes, twice.
    let largest = |matrix: &[Vec<i64>]| -> i64 {
        let sum = matrix.iter().map(|row| row.iter().map(|x| x.abs()).sum::<i64>()).max().unwrap();
        sum * sum * 128
    };
    for (transforms, inputs, weights) in [(two(), 512, 1_152), (four(), 12_800, 6_272)] {
        assert_eq!(largest(&transforms.input()), inputs);
        assert_eq!(largest(&transforms.kernel()), weights);
        assert!(inputs.max(weights) <= i64::from(i16::MAX));
    }
}

#[test]
fn n48_sums_may_wrap() {
    // What is left of 576 where the powers of two that an output's terms share are taken out.
    let mut random = Random(48);
    let (third, ninth) = (0xAAAA_AAAB_u32 as i32, 0x38E3_8E39_u32 as i32);
    let cases = (2..=6).map(|shift| (9, ninth, shift)).chain((2..=4).map(|shift| (3, third, shift)));
    for (factor, inverse, shift) in cases {
        assert_eq!(inverse.wrapping_mul(factor as i32), 1);
        let most = (1i64 << (31 - shift)) - 1;
        for sum in (0..1_000).map(|_| random.int(-most - 1, most)).chain([most, -most - 1, 0, -1]) {
            let wrapped = (factor * (sum << shift)) as i32;
            assert_eq!(i64::from(wrapped.wrapping_mul(inverse) >> shift), sum);
        }
    }
    // Row factors of the outputs: 24, 12, 6, 6 are 3 times 8, 4, 2, 2.
    let shared = |row: &Vec<i64>| row.iter().fold(0, |a, &b| num_gcd(a, b.abs()));
    let factors: Vec<i64> = four().output().iter().map(shared).collect();
    assert_eq!(factors, [1, 2, 4, 4]);
}

fn num_gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { num_gcd(b, a % b) }
}

/// A convolution 3 x 3 with one output channel whose weights are all 127.
fn convolution(channels: usize) -> (tinyc::Module, NodeId) {
    let params = QuantParams::new(0.1, -128);
    let window = Window {
        kernel: [3; 2],
        stride: [1; 2],
        dilation: [1; 2],
        pads: Pads { top: 1, left: 1, bottom: 1, right: 1 },
    };
    let op = Op::Conv(Conv { window, groups: 1, pad_value: 0.0 });
    let weights = array(&[1, 3, 3, channels], &vec![1.0; 9 * channels]);
    let (mut module, node) = module(op, &[("x", &[1, 4, 4, channels], params)], &[weights], &[1, 4, 4, 1]);
    let output = module.graph.node(node).output;
    assert_eq!(*module.graph.shape(output), Shape(vec![1, 4, 4, 1]));
    module.quant.activations.insert(module.graph.inputs[0], params);
    module.quant.activations.insert(output, params);
    let layer = LayerQuant {
        borders: None,
        weights: vec![127; 9 * channels],
        weight_scales: vec![1.0],
        bias: vec![0],
        multipliers: vec![Multiplier { m: 1 << 20, k: 0 }],
    };
    module.quant.layers.insert(node, layer);
    (module, node)
}

#[test]
fn n49_layers_without_the_proof_stay_plain() {
    let forms = |channels: usize| {
        let (module, node) = convolution(channels);
        let forms = candidates(&module.graph, &module.quant, node, KernelSet::Tiles).unwrap();
        let transformed = |form: &&Lowered| matches!(form.calls[0].kernel, Kernel::ConvWinograd(_));
        forms.iter().filter(transformed).count()
    };
    // 128 * 9 * 127 = 146,304 a channel: 229 of them stay within 2^25, 917 within 2^27, 3,669
    // within 2^29.
    assert_eq!([forms(229), forms(230), forms(917)], [3, 2, 2]);
    assert_eq!([forms(918), forms(3_669), forms(3_670)], [1, 1, 0]);
}
