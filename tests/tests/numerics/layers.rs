//! Sentences N15 to N20 and N23 to N27: weights, biases, accumulators, padding.

use tinyc::ir::{NodeId, QuantParams};
use tinyc::lower::LowerError;
use tinyc::ops::conv::lower::fold_zero_point;
use tinyc::ops::conv::{Conv, Pads, Window};
use tinyc::ops::pool::{Kind, Pool};
use tinyc::ops::{self, Op};
use tinyc::quant::{LayerQuant, Multiplier, QTensor};
use tinyc::{Module, ir::Shape};

use super::common::{Random, array, compute, module, quantize};

const S_IN: f32 = 0.125;
const S_OUT: f32 = 0.5;

/// A quantized dense layer `[1, inputs] -> [1, channels]`.
struct Dense {
    module: Module,
    node: NodeId,
}

impl Dense {
    fn new(rows: &[&[f32]], bias: &[f32], zero_point: i8, given: Option<Vec<f32>>) -> Dense {
        let input = QuantParams::new(S_IN, zero_point);
        let output = QuantParams::new(S_OUT, 5);
        let constants = [array(&[rows.len(), rows[0].len()], &rows.concat()), array(&[bias.len()], bias)];
        let (mut module, node) =
            module(Op::Dense, &[("x", &[1, rows[0].len()], input)], &constants, &[1, rows.len()]);
        if let Some(scales) = given {
            let weights = module.graph.node(node).inputs[1];
            module.given.weight_scales.insert(weights, scales);
        }
        quantize(&mut module, &[("x", input), ("out", output)]).expect("quantizes");
        Dense { module, node }
    }

    fn layer(&self) -> &LayerQuant {
        self.module.quant.layer(self.node)
    }

    fn run(&self, codes: &[i8]) -> Vec<i8> {
        let params = self.module.quant.activation(self.module.graph.inputs[0]);
        let x = QTensor { shape: Shape(vec![1, codes.len()]), codes: codes.to_vec(), params };
        ops::reference(&self.module.graph, &self.module.quant, self.node, &[&x]).codes
    }
}

#[test]
fn n15_weight_scales_are_the_largest_of_three() {
    // Channel 0: the weights decide. Channel 1: the bias, 2^28 / (2^-3 * 2^30) = 2. Channel 2: the floor.
    let bias = [0.0, 2f32.powi(28), 0.0];
    let dense = Dense::new(&[&[1.27, -0.635], &[2.0, 1.0], &[1e-7, -1e-7]], &bias, 0, None);
    let scales = &dense.layer().weight_scales;
    let expected = [f64::from(1.27f32) / 127.0, 2.0, 3.0e-6 * f64::from(S_OUT) / f64::from(S_IN)];
    for (scale, expected) in scales.iter().zip(expected) {
        assert!((scale / expected - 1.0).abs() < 1e-12, "{scale} is not {expected}");
    }
    // 1e-7 / 1.2e-5 rounds to 0.
    assert_eq!(dense.layer().weights, [127, -64, 1, 0, 0, 0]);
}

#[test]
fn n16_biases_round_and_never_clip() {
    // s_w = 1.27 / 127, s_in * s_w = 0.00125: 0.1 is 80 of it.
    let dense = Dense::new(&[&[1.27]], &[0.1], 0, None);
    assert_eq!(dense.layer().bias, [80]);
    let mut random = Random(16);
    for _ in 0..1_000 {
        let bias = (random.log(1e-6, 1e12) * if random.code() < 0 { -1.0 } else { 1.0 }) as f32;
        let dense = Dense::new(&[&[random.log(1e-3, 10.0) as f32]], &[bias], 0, None);
        let step = f64::from(S_IN) * dense.layer().weight_scales[0];
        let code = dense.layer().bias[0];
        assert!(code.unsigned_abs() <= 1 << 30, "bias {bias}");
        assert!((f64::from(code) - f64::from(bias) / step).abs() <= 0.5 + 1e-6, "bias {bias}");
    }
}

#[test]
fn n17_multiplier_is_the_ratio_of_scales() {
    // s_w = 2, so 2^-3 * 2 / 2^-1 = 1/2; and s_w = 1: 1/4.
    let dense = Dense::new(&[&[254.0], &[127.0]], &[0.0, 0.0], 0, None);
    assert_eq!(dense.layer().multipliers, [Multiplier { m: 1 << 30, k: 1 }, Multiplier { m: 1 << 30, k: 0 }]);
}

#[test]
fn n18_dead_channels_give_their_bias() {
    let dense = Dense::new(&[&[0.0, 0.0]], &[10.0], -20, None);
    // 10 / 0.5 = 20 above the zero point 5, whatever comes in.
    for codes in [[-128, -128], [0, 0], [127, -20]] {
        assert_eq!(dense.run(&codes), [25]);
    }
}

#[test]
fn n19_the_zero_point_is_in_the_bias() {
    let mut random = Random(19);
    for _ in 0..1_000 {
        let weights: Vec<i8> = (0..8).map(|_| random.code()).collect();
        let layer = LayerQuant {
            borders: None,
            weights: weights.clone(),
            weight_scales: vec![1.0],
            bias: vec![random.int(-(1 << 30), 1 << 30) as i32],
            multipliers: vec![Multiplier { m: 1, k: 0 }],
        };
        let zero_point = random.code();
        let folded = i64::from(fold_zero_point(&layer, zero_point).expect("fits")[0]);
        let codes: Vec<i8> = (0..8).map(|_| random.code()).collect();
        let dot = |z: i8| -> i64 {
            codes.iter().zip(&weights).map(|(&q, &w)| (i64::from(q) - i64::from(z)) * i64::from(w)).sum()
        };
        assert_eq!(folded + dot(0), i64::from(layer.bias[0]) + dot(zero_point));
    }
}

#[test]
fn n20_accumulators_are_proven_from_the_weights() {
    let layer = |bias: i32| LayerQuant {
        borders: None,
        weights: vec![100, -27],
        weight_scales: vec![1.0],
        bias: vec![bias],
        multipliers: vec![Multiplier { m: 1, k: 0 }],
    };
    // With zero point 1, bias' = bias - 73; the codes add at most 128 * 127 = 16,256.
    let largest = i32::MAX - 16_256 + 73;
    assert_eq!(fold_zero_point(&layer(largest), 1), Ok(vec![largest - 73]));
    let refused = fold_zero_point(&layer(largest + 1), 1);
    assert_eq!(refused, Err(LowerError::Accumulator { channel: 0, bound: 1 << 31 }));
}

#[test]
fn n23_given_weight_codes_are_kept_where_they_fit() {
    // Codes -128, 64 and 3 of scale 2^-4; the second channel's code 200 does not fit.
    let rows: [&[f32]; 2] = [&[-8.0, 4.0, 0.1875], &[12.5, 0.0, -1.0]];
    let dense = Dense::new(&rows, &[0.0, 0.0], 3, Some(vec![0.0625]));
    let layer = dense.layer();
    assert_eq!(layer.weights[..3], [-128, 64, 3]);
    assert_eq!(layer.weight_scales[0], 0.0625);
    // 12.5 / 127 is its own scale: 127, 0 and -10.16.
    assert_eq!(layer.weights[3..], [127, 0, -10]);
    assert!((layer.weight_scales[1] / (12.5 / 127.0) - 1.0).abs() < 1e-12);
    assert!(dense.module.notes.iter().any(|n| n.contains("'node'") && n.contains("1 of 2 channels")));
    // A bias of 2^31 steps, and a multiplier below 3e-6 on a large accumulator, do not fit either.
    let bias = Dense::new(&[&[1.0]], &[2f32.powi(24)], 0, Some(vec![0.0625]));
    assert_ne!(bias.layer().weight_scales, [0.0625]);
    let fine = 2f32.powi(-24);
    let coarse = Dense::new(&[&[fine]], &[1.0], 0, Some(vec![fine]));
    assert_ne!(coarse.layer().weight_scales, [f64::from(fine)]);
}

#[test]
fn n24_asymmetric_weights_fold_their_zero_point() {
    // uint8 codes 0, 128 and 255 with zero point 128 and scale 1/2: -64, 0 and 63.5.
    let kept = Dense::new(&[&[-64.0, 0.0, 63.5]], &[0.0], 0, Some(vec![0.5]));
    assert_eq!((&kept.layer().weights[..], kept.layer().weight_scales[0]), (&[-128, 0, 127][..], 0.5));
    // With zero point 10 they are -5, 59 and 122.5, that is 245 steps: beyond int8.
    let again = Dense::new(&[&[-5.0, 59.0, 122.5]], &[0.0], 0, Some(vec![0.5]));
    assert_eq!(again.layer().weights, [-5, 61, 127]);
}

#[test]
fn n25_biases_are_reals_until_the_end() {
    // 0.3 in steps of 2^-3 * 2^-4 is 38.4, from a model that keeps its weights' scale.
    let dense = Dense::new(&[&[1.0]], &[0.3], 0, Some(vec![0.0625]));
    assert_eq!((dense.layer().bias[0], dense.layer().weight_scales[0]), (38, 0.0625));
}

/// A 3x3 window over everything that is in reach of a 1x1 input.
fn around() -> Window {
    Window {
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pads: Pads { top: 1, left: 1, bottom: 1, right: 1 },
    }
}

#[test]
fn n26_padding_is_the_code_of_its_value() {
    let input = QuantParams::new(0.5, -9);
    let output = QuantParams::new(1.0, 0);
    let run = |pad_value: f32| {
        let conv = Op::Conv(Conv { window: around(), groups: 1, pad_value });
        let weights = array(&[1, 3, 3, 1], &[1.0; 9]);
        let (mut padded, node) = module(conv, &[("x", &[1, 1, 1, 1], input)], &[weights], &[1, 1, 1, 1]);
        quantize(&mut padded, &[("x", input), ("out", output)]).expect("quantizes");
        let x = QTensor { shape: Shape(vec![1, 1, 1, 1]), codes: vec![11], params: input };
        ops::reference(&padded.graph, &padded.quant, node, &[&x]).codes
    };
    // The cell itself is 0.5 * (11 + 9) = 10; eight cells of padding add 8 * 0, or 8 * -3.
    assert_eq!(run(0.0), [10]);
    assert_eq!(run(-3.0), [-14]);
}

#[test]
fn n27_padding_never_wins_a_maximum() {
    let pool = Op::Pool(Pool { kind: Kind::Max, window: around(), ceil: false });
    // Zero is the code -100: padding that read as zero would win over -120.
    let params = QuantParams::new(1.0, -100);
    let input = ("x", &[1, 1, 1, 1][..], params);
    assert_eq!(compute(pool, &[input], &[&[-120]], (&[1, 1, 1, 1], params)), [-120]);
}
