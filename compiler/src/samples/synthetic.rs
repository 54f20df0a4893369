//! Seeded stand-in inputs for a model without calibration data.
//!
//! In: an input's shape, a seed. Out: bytes 0..=255 a sample. Invariant: the
//! bytes depend on (seed, input, sample, shape) alone, not on the machine, the
//! number of samples or the order in which they are made: a ChaCha8 keystream
//! and integer arithmetic make them.
//!
//! Why smooth fields, and not white noise or normal values: convolution and
//! pooling average independent noise away, so that every range behind the first
//! layer would come out far narrower than real signals, images and spectra,
//! which vary slowly along their axes, produce. Uniform lattice values keep the
//! full input range in use, and as pixel bytes they pass through the same
//! `(x - mean) / std` as a camera's; without it they are read as byte / 256,
//! which is exact in f32 and lies in [0, 1). They stand in for a range, not for
//! data: accuracy on them means nothing.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Distance between lattice points along every axis, in elements.
const STEP: usize = 4;

/// Bytes of one sample: random bytes on a lattice with a point every 4 elements
/// along each axis, multilinear in between, rounded half up once.
///
/// `stream` tells samples and inputs apart: it selects the ChaCha8 stream, whose
/// key is the seed as a little-endian u64 followed by zeros. The lattice is
/// filled from the keystream in C order and has `ceil(size / 4) + 1` points along
/// an axis; axes of size 1 carry none.
pub fn smooth_bytes(shape: &[usize], seed: u64, stream: u64) -> Vec<u8> {
    let sizes: Vec<usize> = shape.iter().copied().filter(|&s| s != 1).collect();
    let mut points: Vec<usize> = sizes.iter().map(|s| s.div_ceil(STEP) + 1).collect();

    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(stream);
    let mut lattice = vec![0u8; points.iter().product()];
    rng.fill_bytes(&mut lattice);

    // One axis at a time, unnormalised: each interpolation multiplies by STEP,
    // so the one rounding is left to the end. u64 carries 8 + 2 bits an axis.
    let mut field: Vec<u64> = lattice.into_iter().map(u64::from).collect();
    for (axis, &size) in sizes.iter().enumerate() {
        let inner: usize = points[axis + 1..].iter().product();
        field = interpolate_axis(&field, points[axis], inner, size);
        points[axis] = size;
    }
    let scale = (STEP as u64).pow(sizes.len() as u32);
    field.into_iter().map(|v| ((v + scale / 2) / scale) as u8).collect()
}

/// Stretches the middle axis of `[outer][points][inner]` to `size` elements,
/// multiplying every value by STEP.
fn interpolate_axis(field: &[u64], points: usize, inner: usize, size: usize) -> Vec<u64> {
    let mut out = Vec::with_capacity(field.len() / points.max(1) * size);
    for block in field.chunks_exact((points * inner).max(1)) {
        for i in 0..size {
            let (low, weight) = (i / STEP, (i % STEP) as u64);
            let a = &block[low * inner..][..inner];
            let b = &block[(low + 1) * inner..][..inner];
            out.extend(a.iter().zip(b).map(|(a, b)| a * (STEP as u64 - weight) + b * weight));
        }
    }
    out
}
