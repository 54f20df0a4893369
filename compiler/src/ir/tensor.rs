//! What is known of a tensor: its shape, its quantization, where it came from.
//!
//! Invariant: shapes are concrete (no symbolic dimension survives import) and
//! tensors are row-major in the order of their shape; a layout other than ONNX's
//! is an explicit transpose in the graph, never a hidden property of a tensor.

use std::fmt;

/// The dimensions of a tensor, outermost first; the batch, where there is one, is 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The last dimension: the channels of a channel-last tensor; 1 for a scalar.
    pub fn channels(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }

    /// The dimensions `[height, width, channels]` of a `[1, H, W, C]` tensor, or
    /// `None` where the tensor has another rank or a batch other than 1.
    pub fn hwc(&self) -> Option<[usize; 3]> {
        match self.0[..] {
            [1, h, w, c] => Some([h, w, c]),
            _ => None,
        }
    }

    /// The shape after `perm`: dimension `i` of the result is dimension `perm[i]` of `self`.
    pub fn permuted(&self, perm: &[usize]) -> Shape {
        Shape(perm.iter().map(|&p| self.0[p]).collect())
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.rank()];
        for i in (1..self.rank()).rev() {
            strides[i - 1] = strides[i] * self.0[i];
        }
        strides
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(dims.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(usize::to_string).collect();
        write!(f, "[{}]", dims.join(", "))
    }
}

/// Affine quantization of an activation, per tensor (Jacob et al. 2018, eq. 1):
/// `real = scale * (code - zero_point)`, codes clamped to `lo..=hi`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantParams {
    /// Real value of one step; finite and greater than zero.
    pub scale: f32,
    /// The code of the real value 0.
    pub zero_point: i8,
    /// The smallest code that the producer writes.
    pub lo: i8,
    /// The largest code that the producer writes.
    pub hi: i8,
}

impl QuantParams {
    /// Parameters over the full range of codes.
    pub fn new(scale: f32, zero_point: i8) -> Self {
        QuantParams { scale, zero_point, lo: i8::MIN, hi: i8::MAX }
    }

    /// Whether both map codes to the same reals; the clamp range may differ.
    pub fn same_scale(&self, other: &QuantParams) -> bool {
        self.scale == other.scale && self.zero_point == other.zero_point
    }

    /// The code of a real value: round half to even, then saturate to -128..=127
    /// (not to `lo..=hi`, which belongs to the producer).
    pub fn code(&self, real: f64) -> i8 {
        let q = (real / f64::from(self.scale)).round_ties_even() + f64::from(self.zero_point);
        q.clamp(-128.0, 127.0) as i8
    }

    /// The code of a model input, in float32 as the chip computes it:
    /// round half to even of `x / scale`, plus the zero point, saturated; NaN is 0.
    pub fn quantize(&self, x: f32) -> i8 {
        let steps = (x / self.scale).round_ties_even();
        let steps = if steps.is_nan() { 0.0 } else { steps.clamp(-512.0, 512.0) };
        (steps as i32 + i32::from(self.zero_point)).clamp(-128, 127) as i8
    }

    /// The real value of a code.
    pub fn real(&self, code: i8) -> f64 {
        f64::from(self.scale) * (f64::from(code) - f64::from(self.zero_point))
    }
}

impl fmt::Display for QuantParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "q(scale {:e}, zp {}", self.scale, self.zero_point)?;
        if (self.lo, self.hi) != (i8::MIN, i8::MAX) {
            write!(f, ", clamp {}..={}", self.lo, self.hi)?;
        }
        write!(f, ")")
    }
}

/// A range of reals to which a node clamps its output (ReLU: 0 to infinity).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// Lower end; minus infinity where there is none.
    pub lo: f32,
    /// Upper end; infinity where there is none.
    pub hi: f32,
}

impl Clamp {
    /// No clamp at all.
    pub const NONE: Clamp = Clamp { lo: f32::NEG_INFINITY, hi: f32::INFINITY };
    /// The range of ReLU.
    pub const RELU: Clamp = Clamp { lo: 0.0, hi: f32::INFINITY };

    /// Whether any value changes.
    pub fn is_none(&self) -> bool {
        *self == Clamp::NONE
    }

    /// `self` first, then `next`.
    pub fn then(self, next: Clamp) -> Clamp {
        Clamp { lo: self.lo.clamp(next.lo, next.hi), hi: self.hi.clamp(next.lo, next.hi) }
    }

    /// The value clamped.
    pub fn apply(&self, x: f64) -> f64 {
        x.max(f64::from(self.lo)).min(f64::from(self.hi))
    }
}

impl fmt::Display for Clamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Clamp::RELU { write!(f, "relu") } else { write!(f, "clamp({}, {})", self.lo, self.hi) }
    }
}

/// How a value relates to a tensor of the ONNX file, so that the float oracle's
/// tensor can be compared with it and calibrated on.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Name of the ONNX tensor.
    pub tensor: String,
    /// The value's row-major data is that of `transpose(tensor, order)`; `None`
    /// where the relation is more than a transpose (ranges still hold then).
    pub order: Option<Vec<usize>>,
    /// The value, `[1, H, W, C]`, has only the first so many rows and columns of it;
    /// `None` where it has all.
    pub extent: Option<[usize; 2]>,
    /// The value has only these channels of it; `None` where it has all.
    pub channels: Option<Selection>,
    /// The value is the tensor clamped to this range.
    pub clamp: Clamp,
}

/// Some channels (indices of the last dimension) of a larger tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// How many channels there were.
    pub of: usize,
    /// Those that are left, in increasing order.
    pub kept: Vec<usize>,
}

impl Selection {
    /// The elements of the channels that are left, from all elements in row-major order.
    pub fn pick<T: Copy>(&self, all: &[T]) -> Vec<T> {
        all.chunks(self.of).flat_map(|position| self.kept.iter().map(|&c| position[c])).collect()
    }
}
