//! Element-wise functions of one tensor, and chains of them.
//!
//! In: a tensor of any shape. Out: the same shape. A chain is applied left to
//! right to the real that a code stands for, in f64, and rounded once at its end
//! (docs/numerics.md, "Tables"); over int8 it is a table of 256 bytes. The empty
//! chain changes the quantization alone. Formulas: ONNX operator specification,
//! the operator that each variant names. Invariant: functions are evaluated with
//! the pure-Rust `libm` alone, so that tables are the same on every machine.

pub mod import;
pub mod lower;

use std::fmt;

use crate::ir::{Clamp, QuantParams};
use crate::quant::QTensor;

/// An element-wise function of one real.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// Clamp to a range: Relu, Clip.
    Clamp(Clamp),
    /// `x * scale + shift`: Neg, and arithmetic with a scalar constant.
    Affine {
        /// Factor.
        scale: f32,
        /// Summand.
        shift: f32,
    },
    /// LeakyRelu, and PRelu with one slope: `x` above 0, `slope * x` below.
    LeakyRelu {
        /// Factor below 0.
        slope: f32,
    },
    /// `x` above the threshold, else 0.
    ThresholdedRelu {
        /// The largest `x` that becomes 0.
        threshold: f32,
    },
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `scale * x + shift`, clamped to 0..=1.
    HardSigmoid {
        /// Factor (ONNX `alpha`).
        scale: f32,
        /// Summand (ONNX `beta`).
        shift: f32,
    },
    /// `x * clamp(x / 6 + 1/2, 0, 1)`.
    HardSwish,
    /// `scale * x` above 0, `scale * alpha * (e^x - 1)` below: Elu, Selu.
    Elu {
        /// Distance to the asymptote on the left.
        alpha: f32,
        /// Factor on both sides (1 for Elu, ONNX `gamma` for Selu).
        scale: f32,
    },
    /// `ln(1 + e^x)`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x * tanh(softplus(x))`.
    Mish,
    /// `x / (1 + e^-x)`.
    Swish,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`.
    GeluTanh,
    /// Magnitude.
    Abs,
    /// -1, 0 or 1.
    Sign,
    /// `e^x`.
    Exp,
    /// Natural logarithm; minus infinity at 0 and below.
    Log,
    /// Square root; 0 below 0.
    Sqrt,
    /// Error function.
    Erf,
    /// `x^exponent`; 0 where that is not a real number (a negative base under a
    /// fractional exponent).
    Pow {
        /// The constant exponent.
        exponent: f32,
    },
    /// Sine of radians.
    Sin,
    /// Cosine of radians.
    Cos,
    /// The largest integer not above `x`.
    Floor,
    /// The smallest integer not below `x`.
    Ceil,
    /// The nearest integer, ties to even.
    Round,
}

impl Function {
    /// The function's value at `x`.
    ///
    /// Quantization can move a real slightly out of a function's domain (a square
    /// that reads as -0.01); there the function takes the value that it tends to at
    /// the domain's edge, never NaN.
    pub fn eval(&self, x: f64) -> f64 {
        match *self {
            Function::Clamp(clamp) => clamp.apply(x),
            Function::Affine { scale, shift } => x * f64::from(scale) + f64::from(shift),
            Function::LeakyRelu { slope } => {
                if x < 0.0 {
                    x * f64::from(slope)
                } else {
                    x
                }
            }
            Function::ThresholdedRelu { threshold } => {
                if x > f64::from(threshold) {
                    x
                } else {
                    0.0
                }
            }
            Function::Sigmoid => sigmoid(x),
            Function::Tanh => libm::tanh(x),
            Function::HardSigmoid { scale, shift } => {
                (x * f64::from(scale) + f64::from(shift)).clamp(0.0, 1.0)
            }
            Function::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Function::Elu { alpha, scale } => {
                let value = if x < 0.0 { f64::from(alpha) * libm::expm1(x) } else { x };
                f64::from(scale) * value
            }
            Function::Softplus => softplus(x),
            Function::Softsign => x / (1.0 + x.abs()),
            Function::Mish => x * libm::tanh(softplus(x)),
            Function::Swish => x * sigmoid(x),
            Function::Gelu => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Function::GeluTanh => {
                let root = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
                0.5 * x * (1.0 + libm::tanh(root * (x + 0.044715 * x * x * x)))
            }
            Function::Abs => x.abs(),
            Function::Sign if x == 0.0 => 0.0,
            Function::Sign => x.signum(),
            Function::Exp => libm::exp(x),
            Function::Log if x <= 0.0 => f64::NEG_INFINITY,
            Function::Log => libm::log(x),
            Function::Sqrt => libm::sqrt(x.max(0.0)),
            Function::Erf => libm::erf(x),
            Function::Pow { exponent } => {
                let value = libm::pow(x, f64::from(exponent));
                if value.is_nan() { 0.0 } else { value }
            }
            Function::Sin => libm::sin(x),
            Function::Cos => libm::cos(x),
            Function::Floor => libm::floor(x),
            Function::Ceil => libm::ceil(x),
            Function::Round => libm::rint(x),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn softplus(x: f64) -> f64 {
    // e^x alone would overflow for large x.
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// The text of IR dumps and snapshots: the ONNX operator in snake case and its
/// constants, floats in their shortest exact form.
impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Function::Clamp(clamp) => return write!(f, "{clamp}"),
            Function::Affine { scale, shift } => return write!(f, "affine({scale}, {shift})"),
            Function::LeakyRelu { slope } => return write!(f, "leaky_relu({slope})"),
            Function::ThresholdedRelu { threshold } => return write!(f, "thresholded_relu({threshold})"),
            Function::HardSigmoid { scale, shift } => return write!(f, "hard_sigmoid({scale}, {shift})"),
            Function::Elu { alpha, scale } => return write!(f, "elu({alpha}, {scale})"),
            Function::Pow { exponent } => return write!(f, "pow({exponent})"),
            Function::Sigmoid => "sigmoid",
            Function::Tanh => "tanh",
            Function::HardSwish => "hard_swish",
            Function::Softplus => "softplus",
            Function::Softsign => "softsign",
            Function::Mish => "mish",
            Function::Swish => "swish",
            Function::Gelu => "gelu",
            Function::GeluTanh => "gelu_tanh",
            Function::Abs => "abs",
            Function::Sign => "sign",
            Function::Exp => "exp",
            Function::Log => "log",
            Function::Sqrt => "sqrt",
            Function::Erf => "erf",
            Function::Sin => "sin",
            Function::Cos => "cos",
            Function::Floor => "floor",
            Function::Ceil => "ceil",
            Function::Round => "round",
        };
        f.write_str(name)
    }
}

/// The naive reference, element by element: the chain on the dequantized real in
/// f64, then the node's clamp, then round half to even, saturate, clamp to `lo..=hi`.
pub fn reference(chain: &[Function], x: &QTensor, clamp: Clamp, out: QuantParams) -> Vec<i8> {
    let mut codes = Vec::with_capacity(x.codes.len());
    for &code in &x.codes {
        let steps = i32::from(code) - i32::from(x.params.zero_point);
        let mut real = f64::from(x.params.scale) * f64::from(steps);
        for function in chain {
            real = function.eval(real);
        }
        // Of infinities a chain can make NaN; the clamp turns it into its lower end.
        let real = clamp.apply(real);
        let rounded = (real / f64::from(out.scale)).round_ties_even() + f64::from(out.zero_point);
        let saturated = rounded.clamp(-128.0, 127.0);
        codes.push((saturated as i32).max(i32::from(out.lo)).min(i32::from(out.hi)) as i8);
    }
    codes
}
