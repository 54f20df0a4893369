//! Constants of the kernels that take four channels at a time: bytes written down by hand.

use tinyc::lower::Constants;
use tinyc::ops::conv::pack_blocks::{pack_blocks, pack_quads};
use tinyc::quant::LayerQuant;
use tinyc::quant::multiplier::Multiplier;
use tinyc_runtime::kernels::blocks::halves;

/// A layer whose channels have the multipliers 0, 10, 20 and so on.
fn layer(channels: usize, k: u8) -> LayerQuant {
    LayerQuant {
        weights: Vec::new(),
        weight_scales: vec![1.0; channels],
        bias: vec![0; channels],
        multipliers: (0..channels).map(|channel| Multiplier { m: 10 * channel as i32, k }).collect(),
        borders: None,
    }
}

/// Blocks of layers of two words, whose inputs lie in order; and the bytes of tables.
fn blocks(bias: &[i32], weights: &[i8], k: u8) -> (Vec<u8>, usize, bool) {
    let places: Vec<usize> = (0..weights.len() / bias.len()).collect();
    let packed = pack_blocks(bias, &layer(bias.len(), k), weights, &places, 2, bias.len() % 4 < 3);
    (packed.consts.to_vec(), packed.consts.table_bytes(), packed.dual)
}

#[test]
fn half_a_block_holds_one_channel_or_two() {
    // Starts, (1, -2) and (3, nothing), multipliers; the second channel does not exist.
    let one = [5, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0xFE, 0xFF, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(blocks(&[5], &[1, -2, 3], 0), (one.to_vec(), 8, true));
    // 256 * 2 + 1; halves 256 * B + A; multipliers.
    let two = [1, 2, 0, 0, 1, 0, 0, 0, 1, 5, 2, 6, 3, 7, 4, 8, 0, 0, 0, 0, 10, 0, 0, 0];
    assert_eq!(blocks(&[1, 2], &[1, 2, 3, 4, 5, 6, 7, 8], 0), (two.to_vec(), 8, true));
    // Codes of -128 go side by side; then shifts, with zeros up to a word.
    let apart = [2, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 2, 6, 3, 7, 4, 8, 0, 0, 0, 0, 10, 0, 0, 0, 3, 3, 0, 0];
    assert_eq!(blocks(&[1, 2], &[1, 2, 3, 4, -128, 6, 7, 8], 3), (apart.to_vec(), 12, false));
}

#[test]
fn half_a_block_follows_whole_ones() {
    let weights: Vec<i8> = (0..6).flat_map(|channel| [channel, 0, 0, -channel]).collect();
    let (bytes, tables, dual) = blocks(&[0, 0, 0, 0, 7, 0], &weights, 0);
    let whole = [
        [0; 16].as_slice(),
        &[0, 1, 0, 0, 2, 3, 0, 0],
        // 256 * -1 - 0; 256 * -3 - 2 = -770.
        &[0, 0, 0, 0xFF, 0, 0, 0xFE, 0xFC],
        &[0, 0, 0, 0, 10, 0, 0, 0, 20, 0, 0, 0, 30, 0, 0, 0],
    ];
    // 256 * -5 - 4 = -1284.
    let half = [[7, 0, 0, 0, 7, 0, 0, 0], [4, 5, 0, 0, 0, 0, 0xFC, 0xFA], [40, 0, 0, 0, 50, 0, 0, 0]];
    assert_eq!(bytes, [whole.concat(), half.concat()].concat());
    assert_eq!((tables, dual), (24, true));
}

#[test]
fn other_blocks_are_filled_up() {
    // Three channels.
    let (bytes, tables, _) = blocks(&[1, 0, 3], &[1, 2, 3, 4, 0, 0, 0, 0, 9, 10, 11, 12], 0);
    let three = [
        [1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0].as_slice(),
        &[1, 0, 2, 0, 9, 0, 10, 0, 3, 0, 4, 0, 11, 0, 12, 0],
        &[0, 0, 0, 0, 10, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0],
    ];
    assert_eq!((bytes, tables), (three.concat(), 16));
    // Which those are: not where half of them is little, or would need much scratch.
    assert_eq!(
        [1, 2, 3, 4, 5, 6].map(|channels| halves(channels, 64)),
        [true, true, false, false, true, true]
    );
    assert!(halves(1, 12) && !halves(1, 11) && !halves(1, 65));
}

#[test]
fn depthwise_channels_that_are_left_have_no_others_beside_them() {
    let of = |channels: usize| -> Constants {
        let bias: Vec<i32> = (0..channels as i32).map(|channel| 100 + channel).collect();
        let weights: Vec<i8> = (0..9 * channels).map(|i| i as i8 - 20).collect();
        pack_quads(&bias, &layer(channels, 0), &weights)
    };
    let four = of(4);
    let words = [100, 0, 101, 10, 102, 20, 103, 30].map(i32::to_le_bytes);
    let weights: Vec<u8> = (-20..16).map(|weight: i8| weight as u8).collect();
    assert_eq!(four.to_vec(), [words.concat(), weights].concat());
    let six = of(6);
    let words = [104, 40, 105, 50].map(i32::to_le_bytes);
    let weights: Vec<u8> = (16..34).collect();
    assert_eq!(six.to_vec(), [four.to_vec(), words.concat(), vec![0, 0], weights].concat());
    assert_eq!([4, 5, 6, 7, 8].map(|channels| of(channels).len()), [68, 88, 104, 120, 136]);
    assert_eq!(six.table_bytes(), 24);
}
