//! Sum, difference and product of two activations.
//!
//! In: two tensors that broadcast to each other (ONNX multidirectional
//! broadcasting, which is numpy's). Out: the joint shape. Invariant: one rounding,
//! at the end, within 0.51 LSB of exact arithmetic on the quantized operands.
//!
//! Sums and differences are `clamp((qa * ma + qb * mb + c) >> S, lo, hi)` with
//! [`Coefficients`]; a product is the one requantization of
//! `(qa - za) * (qb - zb)` by `sa * sb / so`.

pub mod import;
pub mod lower;

use crate::ir::{QuantParams, Shape};
use crate::quant::multiplier::requantize;
use crate::quant::{Multiplier, QTensor};

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// Sum.
    Add,
    /// Difference: first minus second.
    Sub,
    /// Product.
    Mul,
}

impl Binary {
    /// The name in the IR's text form and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
        }
    }
}

/// The joint shape of two shapes, by numpy's rules: aligned at the last
/// dimension, each pair of dimensions equal or one of them 1.
///
/// # Errors
/// Where they do not broadcast, or need more than the kernels' 4 dimensions
/// (see [`loops`]).
pub fn output_shape(inputs: &[&Shape]) -> Result<Shape, String> {
    let [a, b] = inputs[..] else {
        return Err(format!("it has {} operands instead of 2", inputs.len()));
    };
    let joint = broadcast(a, b).ok_or_else(|| format!("the shapes {a} and {b} do not broadcast"))?;
    let dims = loops(a, b, &joint).len();
    if dims > 4 {
        return Err(format!(
            "broadcasting {a} and {b} takes {dims} nested loops; up to 4 are supported: expand one operand first"
        ));
    }
    Ok(joint)
}

/// The shape to which two shapes broadcast, or `None`.
pub fn broadcast(a: &Shape, b: &Shape) -> Option<Shape> {
    let rank = a.rank().max(b.rank());
    let dims = aligned(a, rank).into_iter().zip(aligned(b, rank)).map(|(a, b)| match (a, b) {
        (a, b) if a == b => Some(a),
        (1, b) => Some(b),
        (a, 1) => Some(a),
        _ => None,
    });
    dims.collect::<Option<Vec<usize>>>().map(Shape)
}

/// A shape's dimensions with ones in front, to `rank` dimensions.
fn aligned(shape: &Shape, rank: usize) -> Vec<usize> {
    let mut dims = vec![1; rank - shape.rank()];
    dims.extend(&shape.0);
    dims
}

/// One loop of an element-wise kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loop {
    /// Iterations: a product of dimensions of the output.
    pub len: usize,
    /// Whether the first operand moves along; otherwise it is broadcast.
    pub a_moves: bool,
    /// Whether the second operand moves along; otherwise it is broadcast.
    pub b_moves: bool,
}

/// The fewest nested loops over the output, outermost first: dimensions of 1 are
/// dropped, neighbours along which both operands behave alike are merged.
pub fn loops(a: &Shape, b: &Shape, out: &Shape) -> Vec<Loop> {
    let mut loops: Vec<Loop> = Vec::new();
    for ((&len, a), b) in out.0.iter().zip(aligned(a, out.rank())).zip(aligned(b, out.rank())) {
        if len == 1 {
            continue;
        }
        let next = Loop { len, a_moves: a != 1, b_moves: b != 1 };
        match loops.last_mut() {
            Some(last) if (last.a_moves, last.b_moves) == (next.a_moves, next.b_moves) => last.len *= len,
            _ => loops.push(next),
        }
    }
    loops
}

/// The integers of a quantized sum `clamp((qa * ma + qb * mb + c) >> shift, lo, hi)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coefficients {
    /// `round(sa / so * 2^shift)`.
    pub ma: i64,
    /// `round(sb / so * 2^shift)`, negative for a difference.
    pub mb: i64,
    /// `2^(shift - 1) + zo * 2^shift - za * ma - zb * mb`: rounding and zero points.
    pub c: i128,
    /// `S`, in 15..=22.
    pub shift: u32,
    /// Whether sums need 64 bits.
    pub wide: bool,
}

impl Coefficients {
    /// Derives them. `shift` is the largest in 15..=22 for which no sum of any
    /// codes overflows 32 bits: `128 |ma| + 128 |mb| + |c| <= 2^31 - 1`. Where even
    /// 15 does not do, sums are 64 bits wide and `shift` is the largest for which
    /// `ma` and `mb` are 32-bit numbers, or 15 (lowering refuses what is larger).
    ///
    /// Error: each coefficient is off by at most 1/2, each difference of codes is at
    /// most 255, so the result is off by `255 / 2^S <= 0.0078` before its one rounding.
    pub fn new(a: &QuantParams, b: &QuantParams, out: &QuantParams, subtract: bool) -> Coefficients {
        let ratio = |q: &QuantParams| f64::from(q.scale) / f64::from(out.scale);
        let (ratio_a, ratio_b) = (ratio(a), if subtract { -ratio(b) } else { ratio(b) });
        let at = |shift: u32| {
            let one = (1i64 << shift) as f64;
            // A float that is too large becomes the largest integer, which does not fit below.
            let ma = (ratio_a * one).round_ties_even() as i64;
            let mb = (ratio_b * one).round_ties_even() as i64;
            let c = (1i128 << (shift - 1)) + (i128::from(out.zero_point) << shift)
                - i128::from(a.zero_point) * i128::from(ma)
                - i128::from(b.zero_point) * i128::from(mb);
            Coefficients { ma, mb, c, shift, wide: false }
        };
        let narrow = |x: &Coefficients| x.bound() <= i128::from(i32::MAX);
        let words = |x: &Coefficients| i32::try_from(x.ma).is_ok() && i32::try_from(x.mb).is_ok();
        let shifts = (15..=22).rev();
        shifts.clone().map(at).find(narrow).unwrap_or_else(|| {
            let wide = shifts.map(at).find(words).unwrap_or_else(|| at(15));
            Coefficients { wide: true, ..wide }
        })
    }

    /// The largest magnitude of any partial sum, over all codes.
    pub fn bound(&self) -> i128 {
        128 * i128::from(self.ma).abs() + 128 * i128::from(self.mb).abs() + self.c.abs()
    }
}

/// The multiplier of a quantized product: `sa * sb / so`; `None` where the
/// requantization cannot represent it.
pub fn product_multiplier(a: &QuantParams, b: &QuantParams, out: &QuantParams) -> Option<Multiplier> {
    Multiplier::from_real(f64::from(a.scale) * f64::from(b.scale) / f64::from(out.scale))
}

/// The naive integer reference: each output element from the two elements that
/// broadcast to it, found by index, in 128-bit arithmetic.
pub fn reference(op: Binary, a: &QTensor, b: &QTensor, shape: &Shape, out: QuantParams) -> Vec<i8> {
    let sum = Coefficients::new(&a.params, &b.params, &out, op == Binary::Sub);
    // Lowering refuses the scales that have no multiplier; until then they saturate.
    let product = product_multiplier(&a.params, &b.params, &out).unwrap_or(Multiplier { m: i32::MAX, k: 31 });
    let strides = shape.strides();
    (0..shape.elements())
        .map(|element| {
            let index: Vec<usize> =
                strides.iter().zip(&shape.0).map(|(stride, dim)| element / stride % dim).collect();
            let (qa, qb) = (element_at(a, &index), element_at(b, &index));
            match op {
                Binary::Add | Binary::Sub => {
                    let acc =
                        i128::from(qa) * i128::from(sum.ma) + i128::from(qb) * i128::from(sum.mb) + sum.c;
                    let rounded = acc.div_euclid(1i128 << sum.shift);
                    rounded.max(i128::from(out.lo)).min(i128::from(out.hi)) as i8
                }
                Binary::Mul => {
                    let (za, zb) = (i64::from(a.params.zero_point), i64::from(b.params.zero_point));
                    requantize((i64::from(qa) - za) * (i64::from(qb) - zb), product, &out)
                }
            }
        })
        .collect()
}

/// The code of `x` that broadcasts to `index` of the joint shape.
fn element_at(x: &QTensor, index: &[usize]) -> i8 {
    let own = &index[index.len() - x.shape.rank()..];
    let position = own.iter().zip(&x.shape.0).fold(0, |p, (&i, &dim)| p * dim + if dim == 1 { 0 } else { i });
    x.codes[position]
}
