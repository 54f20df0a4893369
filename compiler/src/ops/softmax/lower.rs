//! Softmax to a `softmax` call.
//!
//! In: a quantized node. Out: one call whose constants are the 256 exponentials, or
//! 32 factors of them. Invariants: no value of the kernel's formula exceeds 32 bits
//! unsigned; factors give every exponential exactly.

use tinyc_runtime::kernels::softmax;

use super::Integers;
use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Kernel, LowerError, Lowered, Packer};
use crate::ops::conv::lower::out_params;
use crate::quant::QuantTable;

/// Lowers a softmax.
///
/// # Errors
/// [`LowerError::Limit`] for rows or scales beyond those of [`Integers::new`].
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let shape = graph.shape(node.output);
    let n = shape.channels();
    let output = quant.activation(node.output);
    let integers = Integers::new(&quant.activation(node.inputs[0]), &output, n).map_err(LowerError::Limit)?;
    let factors = factors(f64::from(quant.activation(node.inputs[0]).scale), &integers.table);
    let params = softmax::Params {
        rows: shape.elements() / n,
        n,
        sum_scale: integers.sum_scale,
        factors: factors.is_some(),
        out: out_params(&output),
    };
    let consts = Packer::new()
        .multipliers(factors.unwrap_or(integers.table).into_iter().map(|word| word as i32))
        .finish();
    let scratch_bytes = softmax::scratch_bytes(&params);
    Ok(Lowered::one(Call {
        kernel: Kernel::Softmax(params),
        consts,
        inputs: vec![node.inputs[0]],
        scratch_bytes,
    })
    .in_place_of([0]))
}

/// Bits behind the point of a product of two factors.
const POINT: u32 = 40;

/// Numbers of which entry `d` of a table of `exp(-d * scale)` is the product of number
/// `d / 16` and number `16 + d % 16`, rounded from units of `2^-40`; `None` where none of
/// those that are tried give every entry.
///
/// The second sixteen are exponentials of up to 15 steps, to 31 bits. Each of the first
/// has about 2^9 values for which one entry is right, and must be one for all sixteen: an
/// entry near the middle between two integers may leave none, for which the exponentials
/// are then scaled a little otherwise.
pub fn factors(scale: f64, table: &[u32]) -> Option<Vec<u32>> {
    (64..128).find_map(|scaled: u32| {
        let unit = f64::from(scaled) / 64.0 * libm::exp2(31.0);
        let steps: Vec<u32> =
            (0..16).map(|d| libm::rint(unit * libm::exp(-f64::from(d) * scale)) as u32).collect();
        let firsts: Option<Vec<u32>> = table.chunks(16).map(|entries| first(entries, &steps)).collect();
        Some([firsts?, steps].concat())
    })
}

/// The least number whose products with `steps` round to `entries`.
fn first(entries: &[u32], steps: &[u32]) -> Option<u32> {
    let half = 1u128 << (POINT - 1);
    let (mut least, mut end) = (0, 1u128 << 32);
    for (&entry, &step) in entries.iter().zip(steps) {
        // entry <= (number * step + half) >> POINT < entry + 1
        let reach = |entry: u128| (entry << POINT).saturating_sub(half);
        match u128::from(step) {
            0 if entry > 0 => return None,
            0 => {}
            step => {
                least = least.max(reach(entry.into()).div_ceil(step));
                end = end.min(reach(u128::from(entry) + 1).div_ceil(step));
            }
        }
    }
    (least < end).then_some(least as u32)
}

#[cfg(test)]
mod tests {
    use super::super::Integers;
    use super::factors;
    use crate::ir::QuantParams;

    #[test]
    fn factors_give_every_exponential() {
        let output = QuantParams { scale: 1.0 / 256.0, zero_point: -128, lo: -128, hi: 127 };
        let mut found = 0;
        for thousandths in 1..=1000u16 {
            let input = QuantParams { scale: f32::from(thousandths) / 1000.0, ..output };
            let table = Integers::new(&input, &output, 2 + usize::from(thousandths) % 30).unwrap().table;
            let Some(words) = factors(input.scale.into(), &table) else { continue };
            found += 1;
            for (d, &entry) in table.iter().enumerate() {
                let product = u128::from(words[d / 16]) * u128::from(words[16 + d % 16]);
                assert_eq!(u128::from(entry), (product + (1 << 39)) >> 40, "{thousandths}, {d}");
            }
        }
        assert!(found > 990, "{found} of 1000");
    }
}
