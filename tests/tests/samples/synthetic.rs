//! Synthetic samples against the keystream and the interpolation by definition.

use tinyc::samples::{InputQuant, InputSpec, Preprocess, Samples, smooth_bytes};

use super::{spec, values};

/// The ChaCha8 keystream by the definition of RFC 8439's block function with
/// eight rounds, a 64-bit counter and a 64-bit stream number.
fn chacha8(seed: u64, stream: u64, len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for counter in 0u64.. {
        let mut s = [0u32; 16];
        s[..4].copy_from_slice(&[0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
        (s[4], s[5]) = (seed as u32, (seed >> 32) as u32);
        (s[12], s[13]) = (counter as u32, (counter >> 32) as u32);
        (s[14], s[15]) = (stream as u32, (stream >> 32) as u32);
        let start = s;
        for round in 0..8 {
            for i in 0..4 {
                let shift = round % 2;
                let [a, b, c, d] = [0, 1, 2, 3].map(|r| 4 * r + (i + r * shift) % 4);
                for (x, y, z, bits) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
                    s[x] = s[x].wrapping_add(s[y]);
                    s[z] = (s[z] ^ s[x]).rotate_left(bits);
                }
            }
        }
        for (word, start) in s.iter().zip(start) {
            out.extend(word.wrapping_add(start).to_le_bytes());
        }
        if out.len() >= len {
            out.truncate(len);
            break;
        }
    }
    out
}

#[test]
fn synthetic_fields_are_multilinear_between_keystream_bytes() {
    let (height, width) = (10, 7);
    let (rows, columns) = (4, 3);
    let (seed, stream) = (0x0123_4567_89ab_cdef, 5 << 32 | 2);
    let lattice = chacha8(seed, stream, rows * columns);
    let at = |r: usize, c: usize| f64::from(lattice[r * columns + c]);
    let mut expected = Vec::new();
    for h in 0..height {
        for w in 0..width {
            let (r, c) = (h / 4, w / 4);
            let (v, u) = ((h % 4) as f64 / 4.0, (w % 4) as f64 / 4.0);
            let top = at(r, c) * (1.0 - u) + at(r, c + 1) * u;
            let bottom = at(r + 1, c) * (1.0 - u) + at(r + 1, c + 1) * u;
            expected.push((top * (1.0 - v) + bottom * v + 0.5).floor() as u8);
        }
    }
    assert_eq!(smooth_bytes(&[1, height, width], seed, stream), expected);
}

#[test]
fn synthetic_samples_are_seeded_and_independent_of_their_number() {
    let specs = [spec("a", &[1, 3, 16, 16]), spec("b", &[1, 16])];
    let make = |len, seed| Samples::synthetic(&specs, &Preprocess::None, len, seed).unwrap();
    let (few, many, other) = (make(2, 1), make(8, 1), make(8, 2));
    assert_eq!((few.len(), many.len()), (2, 8));
    for input in 0..2 {
        for i in 0..2 {
            assert_eq!(few.sample(i, input), many.sample(i, input));
            assert_ne!(few.sample(i, input), other.sample(i, input));
        }
        assert_ne!(many.sample(0, input), many.sample(1, input));
    }
    let all: Vec<f32> = (0..8).flat_map(|i| values(&many, i)).collect();
    assert!(all.iter().all(|v| (0.0..1.0).contains(v)));
    assert!(all.iter().any(|v| *v < 0.05) && all.iter().any(|v| *v > 0.95));
    // Smooth: neighbours in a row differ by at most a quarter of the range, plus
    // the rounding of two bytes.
    for row in all.chunks(16) {
        assert!(row.windows(2).all(|p| (p[0] - p[1]).abs() <= 0.2501));
    }
    assert!(Samples::synthetic(&specs, &Preprocess::None, 0, 1).is_err());
}

#[test]
fn synthetic_samples_go_through_the_preprocessing() {
    let pre = Preprocess::from_options(Some("128"), Some("64"), false).unwrap();
    let specs = [spec("a", &[1, 64])];
    let samples = Samples::synthetic(&specs, &pre, 4, 0).unwrap();
    let pixels = samples.pixels(3, 0).unwrap().to_vec();
    let expected: Vec<f32> = pixels.iter().map(|&p| (f32::from(p) - 128.0) / 64.0).collect();
    assert_eq!(values(&samples, 3), expected);

    let quantized =
        [InputSpec { quant: Some(InputQuant { scale: 1.0, zero_point: 0 }), ..spec("a", &[1, 64]) }];
    let codes = Samples::synthetic(&quantized, &Preprocess::Codes, 4, 0).unwrap();
    let expected: Vec<i8> = pixels.iter().map(|&p| (i16::from(p) - 128) as i8).collect();
    assert_eq!(codes.codes(3, 0).unwrap(), expected);
}
