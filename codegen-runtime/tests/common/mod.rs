//! What the kernel tests share: seeded random numbers, guarded buffers, aligned
//! constants, and the requantization written a second time.

// Each test file uses its own part of this module.
#![allow(dead_code)]

use tinyc_runtime::requant::Out;
use tinyc_runtime::rows::Rows;
use tinyc_runtime::view::{Aligned, Bytes, Consts};

/// How many random cases a kernel gets: Miri is a thousand times slower.
pub const CASES: usize = if cfg!(miri) { 5 } else { 600 };

/// Xorshift: the same numbers on every machine.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number in `low..=high`.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + ((self.bits() >> 16) % (high - low + 1) as u64) as i64
    }

    pub fn size(&mut self, low: usize, high: usize) -> usize {
        self.range(low as i64, high as i64) as usize
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        (self.bits() >> 16).is_multiple_of(one_in)
    }

    pub fn codes(&mut self, len: usize, low: i64, high: i64) -> Vec<i8> {
        (0..len).map(|_| self.range(low, high) as i8).collect()
    }

    /// Output parameters, a third of them with a narrowed range.
    pub fn out(&mut self) -> Out {
        let zero_point = self.range(-128, 127) as i32;
        let (lo, hi) = if self.chance(3) {
            let lo = self.range(-128, 100);
            (lo, self.range(lo, 127))
        } else {
            (-128, 127)
        };
        Out { zero_point, lo: lo as i32, hi: hi as i32 }
    }
}

/// The requantization, from its formula, in 128-bit arithmetic.
pub fn requantize(acc: i64, m: i64, k: u32, out: Out) -> i8 {
    let shifted = (i128::from(acc) * (1i128 << k)).clamp(i32::MIN.into(), i32::MAX.into());
    let rounded = (shifted * i128::from(m) + (1i128 << 31)).div_euclid(1i128 << 32);
    (rounded + i128::from(out.zero_point)).clamp(out.lo.into(), out.hi.into()) as i8
}

/// A blob of constants, aligned as in flash.
pub struct Blob {
    bytes: Box<Aligned<65536>>,
    len: usize,
}

impl Blob {
    pub fn new() -> Blob {
        Blob { bytes: Box::new(Aligned([0xEE; 65536])), len: 0 }
    }

    pub fn bytes(&mut self, bytes: impl IntoIterator<Item = u8>) {
        for byte in bytes {
            self.bytes.0[self.len] = byte;
            self.len += 1;
        }
    }

    pub fn words(&mut self, words: impl IntoIterator<Item = i64>) {
        for word in words {
            self.bytes((word as u32).to_le_bytes());
        }
    }

    pub fn align4(&mut self) {
        while !self.len.is_multiple_of(4) {
            self.bytes([0xEE]);
        }
    }

    pub fn consts(&self) -> Consts<'_> {
        Consts::new(&self.bytes.0[..self.len])
    }
}

/// Classes of output pixels, drawn at random, and what each adds to the sums.
pub struct Classes {
    rows: Vec<u8>,
    columns: Vec<u8>,
    index: Vec<u8>,
    words: Vec<Vec<i64>>,
}

impl Classes {
    /// Of an output `[h][w][channels]`; inside some lie alike, as maps with borders do.
    pub fn random(rng: &mut Rng, [h, w]: [usize; 2], channels: usize) -> Classes {
        let (down, across) = (rng.size(1, 3), rng.size(1, 3));
        let mut line = |len: usize, classes: usize| -> Vec<usize> {
            let inside = rng.size(0, classes - 1);
            (0..len).map(|_| if rng.chance(3) { rng.size(0, classes - 1) } else { inside }).collect()
        };
        let (rows, columns) = (line(h, down), line(w, across));
        let index: Vec<u8> =
            (0..down * across).map(|_| if rng.chance(2) { 0 } else { rng.size(1, 4) as u8 }).collect();
        let words = (0..4).map(|_| (0..channels).map(|_| rng.range(-9000, 9000)).collect()).collect();
        Classes {
            rows: rows.into_iter().map(|row| (row * across) as u8).collect(),
            columns: columns.into_iter().map(|column| column as u8).collect(),
            index,
            words,
        }
    }

    /// What a pixel adds in a channel.
    pub fn at(&self, y: usize, x: usize, channel: usize) -> i64 {
        match self.index[usize::from(self.rows[y] + self.columns[x])] {
            0 => 0,
            class => self.words[usize::from(class) - 1][channel],
        }
    }

    /// Behind the other constants.
    pub fn append(&self, blob: &mut Blob) {
        blob.align4();
        blob.words([self.index.len() as i64]);
        for bytes in [&self.rows, &self.columns, &self.index] {
            blob.bytes(bytes.iter().copied());
        }
        blob.align4();
        self.words.iter().for_each(|words| blob.words(words.iter().copied()));
    }
}

/// Biases, multipliers and shifts of a layer whose channels have `taps`
/// products each.
pub struct Layer {
    pub bias: Vec<i64>,
    pub m: Vec<i64>,
    pub k: Vec<u32>,
    pub weights: Vec<i8>,
    pub shifts: bool,
    /// The range of the activations that goes with it.
    pub codes: (i64, i64),
}

impl Layer {
    /// Multipliers that bring most accumulators into the range of int8. With
    /// shifts the real multipliers are at least 1/2, so the weights are tiny.
    pub fn random(rng: &mut Rng, channels: usize, taps: usize, shifts: bool) -> Layer {
        let limit = if shifts { 1 } else { 127 };
        let spread = (taps as f64).sqrt() * if shifts { 4.0 } else { 5000.0 };
        let m = |rng: &mut Rng| match shifts {
            true => rng.range(1 << 30, (1 << 31) - 1),
            false => (rng.range(30, 200) as f64 / spread * 4294967296.0 / 4.0).min(2147483647.0) as i64,
        };
        Layer {
            bias: (0..channels).map(|_| rng.range(-(spread as i64), spread as i64)).collect(),
            m: (0..channels).map(|_| m(rng)).collect(),
            k: (0..channels).map(|_| if shifts { rng.range(0, 4) as u32 } else { 0 }).collect(),
            weights: rng.codes(channels * taps, -limit, limit),
            shifts,
            codes: if shifts { (-6, 5) } else { (-128, 127) },
        }
    }

    /// The blob that convolutions and dense layers read.
    pub fn blob(&self) -> Blob {
        let mut blob = Blob::new();
        blob.words(self.bias.iter().copied());
        blob.words(self.m.iter().copied());
        if self.shifts {
            blob.bytes(self.k.iter().map(|&k| k as u8));
            blob.align4();
        }
        blob.bytes(self.weights.iter().map(|&w| w as u8));
        blob
    }
}

/// Runs `kernel` on a copy of `input` and on `len` output bytes, and returns
/// the output, having checked that nothing else was written.
pub fn guarded(input: &[i8], len: usize, kernel: impl FnOnce(Bytes<'_>, Bytes<'_>)) -> Vec<i8> {
    const GUARD: usize = 32;
    let mut source = input.to_vec();
    let mut target: Vec<i8> = (0..len + 2 * GUARD).map(|i| (i * 37 + 11) as i8).collect();
    let before = target.clone();
    kernel(Bytes::from_mut(&mut source), Bytes::from_mut(&mut target[GUARD..GUARD + len]));
    assert_eq!(source, input, "the kernel wrote to its input");
    assert_eq!(target[..GUARD], before[..GUARD], "the kernel wrote before its output");
    assert_eq!(target[GUARD + len..], before[GUARD + len..], "the kernel wrote after its output");
    target[GUARD..GUARD + len].to_vec()
}

/// The share of codes strictly inside the range of `out`: a comparison of
/// saturated codes would show nothing.
pub fn share_inside(codes: &[i8], out: Out) -> f64 {
    let inside = codes.iter().filter(|&&q| i32::from(q) > out.lo && i32::from(q) < out.hi).count();
    inside as f64 / codes.len() as f64
}

/// Runs random cases, each of which says how many of its codes are inside the range: on
/// average more than `least` must be, though the few that Miri gets may not.
pub fn mostly_inside(least: f64, cases: usize, mut case: impl FnMut() -> f64) {
    let average = (0..cases).map(|_| case()).sum::<f64>() / cases as f64;
    assert!(cfg!(miri) || average > least, "only {average:.2} of the codes were inside the range");
}

/// No scratch.
pub fn no_scratch() -> Bytes<'static> {
    Bytes::from_mut(&mut [])
}

/// Calls a driver whose window has `kh` rows, a number known at run time.
#[macro_export]
macro_rules! with_kernel_rows {
    ($kh:expr, $module:ident::$run:ident, $($argument:expr),*) => {
        match $kh {
            1 => $module::$run::<1>($($argument),*),
            2 => $module::$run::<2>($($argument),*),
            3 => $module::$run::<3>($($argument),*),
            4 => $module::$run::<4>($($argument),*),
            5 => $module::$run::<5>($($argument),*),
            rows => panic!("no driver for {rows} kernel rows"),
        }
    };
}

/// One axis of a window: input size, kernel, stride, pad before, dilation, and
/// the output size with some pad after.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    pub size: usize,
    pub kernel: usize,
    pub stride: usize,
    pub pad: usize,
    pub pad_after: usize,
    pub dilation: usize,
    pub out: usize,
}

impl Axis {
    /// Odd and even sizes, pads as large as the window and unequal, dilation.
    pub fn random(rng: &mut Rng, max_size: usize) -> Axis {
        loop {
            let kernel = rng.size(1, 5);
            let dilation = if rng.chance(3) { rng.size(2, 3) } else { 1 };
            let reach = (kernel - 1) * dilation + 1;
            let size = rng.size(1, max_size);
            let stride = rng.size(1, 3);
            let (pad, pad_after) =
                if rng.chance(3) { (0, 0) } else { (rng.size(0, reach), rng.size(0, reach)) };
            if size + pad + pad_after >= reach {
                let out = (size + pad + pad_after - reach) / stride + 1;
                return Axis { size, kernel, stride, pad, pad_after, dilation, out };
            }
        }
    }

    /// The input position of a tap, which may be outside.
    pub fn at(&self, out: usize, tap: usize) -> i64 {
        (out * self.stride + tap * self.dilation) as i64 - self.pad as i64
    }

    /// The same, if inside.
    pub fn inside(&self, out: usize, tap: usize) -> Option<usize> {
        usize::try_from(self.at(out, tap)).ok().filter(|&at| at < self.size)
    }
}

/// Runs `kernel` over rows that lie in random order in one arena, bytes of
/// nobody's between them, a few rows at a time in order; returns what it wrote,
/// having checked that nothing else was written. `inputs` are tensors of
/// `(codes, rows)`; `output` is `(steps, rows, bytes of a row)`, where a step is
/// what the kernel counts in: an output row, or for sums an input row.
pub fn guarded_rows<const N: usize>(
    inputs: [(&[i8], usize); N],
    output: (usize, usize, usize),
    scratch_bytes: usize,
    mut kernel: impl FnMut([Rows<'_>; N], Rows<'_>, (usize, usize), Bytes<'_>),
) -> Vec<i8> {
    let (steps, out_rows, out_bytes) = output;
    let mut rng = Rng::new((inputs[0].0.len() * 64 + out_bytes) as u64);
    let shift = rng.size(0, 2);
    let unit = 1 << shift;
    // Which tensor a row belongs to, and which of its rows it is; the output last.
    let mut places: Vec<(usize, usize, usize)> = Vec::new();
    for (tensor, (codes, rows)) in inputs.iter().enumerate() {
        places.extend((0..*rows).map(|row| (tensor, row, codes.len() / rows)));
    }
    places.extend((0..out_rows).map(|row| (N, row, out_bytes)));
    for i in (1..places.len()).rev() {
        places.swap(i, rng.size(0, i));
    }
    // Scratch lies first, at a multiple of 4.
    let mut len = scratch_bytes.next_multiple_of(4) + 4 * rng.size(1, 3);
    let mut offsets: [Vec<u16>; N] = inputs.map(|(_, rows)| vec![0; rows]);
    let mut out_offsets = vec![0u16; out_rows];
    for &(tensor, row, bytes) in &places {
        len = len.next_multiple_of(unit) + unit * rng.size(0, 2);
        let offset = u16::try_from(len >> shift).expect("the arena is small");
        if tensor == N {
            out_offsets[row] = offset
        } else {
            offsets[tensor][row] = offset
        }
        len += bytes;
    }
    len += 32;
    let mut memory: Vec<i8> = (0..len + 4).map(|i| (i * 37 + 11) as i8).collect();
    let start = memory.as_ptr().align_offset(4);
    let arena = &mut memory[start..start + len];
    for (tensor, (codes, rows)) in inputs.iter().enumerate() {
        for (row, codes) in codes.chunks_exact(codes.len() / rows).enumerate() {
            let at = usize::from(offsets[tensor][row]) << shift;
            arena[at..at + codes.len()].copy_from_slice(codes);
        }
    }
    let before = arena.to_vec();
    {
        let arena = Bytes::from_mut(arena);
        let rows: [Rows<'_>; N] = std::array::from_fn(|tensor| {
            let (codes, rows) = inputs[tensor];
            Rows::new(arena, &offsets[tensor], shift as u32, codes.len() / rows)
        });
        let out = Rows::new(arena, &out_offsets, shift as u32, out_bytes);
        let mut y = 0;
        while y < steps {
            let count = rng.size(1, 3).min(steps - y);
            kernel(rows, out, (y, count), arena.sub(0, scratch_bytes));
            y += count;
        }
    }
    let mut touched = vec![false; len];
    touched[..scratch_bytes].fill(true);
    let mut written = Vec::new();
    for offset in out_offsets {
        let at = usize::from(offset) << shift;
        touched[at..at + out_bytes].fill(true);
        written.extend_from_slice(&arena[at..at + out_bytes]);
    }
    for at in 0..len {
        assert!(touched[at] || arena[at] == before[at], "byte {at} of {len} was written beside the rows");
    }
    written
}
