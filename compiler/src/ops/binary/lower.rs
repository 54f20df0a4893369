//! A binary operation to one `add` or `mul` call.
//!
//! In: a quantized node. Out: one call over 4 loops, stride 0 where an operand is
//! broadcast. Invariant: 32-bit sums are proven not to overflow for any codes;
//! `in_place` names only operands that are not broadcast.

use tinyc_runtime::kernels::{add, mul};

use super::{Binary, Coefficients, Loop, loops, product_multiplier};
use crate::ir::{Graph, NodeId, QuantParams};
use crate::lower::{Call, Constants, Kernel, LowerError, Lowered};
use crate::ops::conv::lower::out_params;
use crate::quant::QuantTable;

/// Lowers a binary operation.
///
/// # Errors
/// [`LowerError::Multiplier`] where the scales of a product are out of range,
/// [`LowerError::Limit`] where those of a sum are, or broadcasting needs more
/// than 4 loops.
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId, op: Binary) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let operands = [node.inputs[0], node.inputs[1]];
    let [a, b] = operands.map(|v| quant.activation(v));
    let [a_shape, b_shape] = operands.map(|v| graph.shape(v));
    let out = quant.activation(node.output);
    let out_shape = graph.shape(node.output);

    let loops = loops(a_shape, b_shape, out_shape);
    if loops.len() > 4 {
        return Err(LowerError::Limit(format!(
            "broadcasting {a_shape} and {b_shape} takes {} nested loops, the kernel has 4: expand one operand first",
            loops.len()
        )));
    }
    let mut shape = [1; 4];
    for (slot, l) in shape.iter_mut().skip(4 - loops.len()).zip(&loops) {
        *slot = l.len;
    }
    let a_strides = strides(&loops, |l| l.a_moves);
    let b_strides = strides(&loops, |l| l.b_moves);
    let (kernel, scratch_bytes) = match op {
        Binary::Add | Binary::Sub => {
            let sum = Coefficients::new(&a, &b, &out, op == Binary::Sub);
            let [ma, mb] = narrow(&sum, [&a, &b], &out)?;
            // |c| <= 2^21 + 2^29 + 2 * 128 * 2^31 once the coefficients are 32-bit numbers.
            let c = sum.c as i64;
            let params = add::Params {
                shape,
                a_strides,
                b_strides,
                ma,
                mb,
                c,
                shift: sum.shift,
                wide: sum.wide,
                lo: out.lo.into(),
                hi: out.hi.into(),
            };
            (Kernel::Add(params), add::scratch_bytes(&params))
        }
        Binary::Mul => {
            let real = f64::from(a.scale) * f64::from(b.scale) / f64::from(out.scale);
            let multiplier = product_multiplier(&a, &b, &out).ok_or(LowerError::Multiplier { real })?;
            let params = mul::Params {
                shape,
                a_strides,
                b_strides,
                za: a.zero_point.into(),
                zb: b.zero_point.into(),
                m: multiplier.m,
                k: multiplier.k.into(),
                out: out_params(&out),
            };
            (Kernel::Mul(params), mul::scratch_bytes(&params))
        }
    };
    // Each element is read before it is written, unless broadcasting reads it again.
    let whole = (0..2).filter(|&i| graph.shape(operands[i]).elements() == out_shape.elements());
    let call = Call { kernel, consts: Constants::default(), inputs: operands.to_vec(), scratch_bytes };
    Ok(Lowered::one(call).in_place_of(whole))
}

/// An operand's strides over the loops, in elements, in front zeros; 0 where it is broadcast.
fn strides(loops: &[Loop], moves: impl Fn(&Loop) -> bool) -> [usize; 4] {
    let mut strides = [0; 4];
    let mut stride = 1;
    for (slot, l) in strides.iter_mut().rev().zip(loops.iter().rev()) {
        if moves(l) {
            *slot = stride;
            stride *= l.len;
        }
    }
    strides
}

/// The coefficients as the kernel's 32-bit words.
fn narrow(
    sum: &Coefficients,
    operands: [&QuantParams; 2],
    out: &QuantParams,
) -> Result<[i32; 2], LowerError> {
    let mut words = [0; 2];
    for ((word, m), operand) in words.iter_mut().zip([sum.ma, sum.mb]).zip(operands) {
        let real = f64::from(operand.scale) / f64::from(out.scale);
        *word = i32::try_from(m).map_err(|_| {
            LowerError::Limit(format!(
                "an operand's scale is {real:e} times that of the result, the kernel takes less than 65,536: check the scales of its inputs and output"
            ))
        })?;
    }
    Ok(words)
}
