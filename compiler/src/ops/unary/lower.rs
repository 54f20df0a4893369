//! A chain of element-wise functions to one `lut` call.
//!
//! In: a quantized node. Out: one call with a table of 256 bytes. Invariant: the
//! table covers every code, also those below `lo` or above `hi` of the input.

use tinyc_runtime::kernels::lut;

use super::Function;
use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Kernel, LowerError, Lowered, Packer};
use crate::quant::QuantTable;

/// Lowers a chain.
///
/// # Errors
/// None: every chain has a table.
pub fn lower(
    graph: &Graph,
    quant: &QuantTable,
    id: NodeId,
    chain: &[Function],
) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let input = quant.activation(node.inputs[0]);
    let output = quant.activation(node.output);
    let mut table = [0i8; 256];
    for code in i8::MIN..=i8::MAX {
        let real = chain.iter().fold(input.real(code), |x, function| function.eval(x));
        // The kernel's index is the code's byte: negative codes are the upper half.
        table[usize::from(code as u8)] = output.code(node.clamp.apply(real)).max(output.lo).min(output.hi);
    }
    let params = lut::Params { len: graph.shape(node.output).elements() };
    let call = Call {
        kernel: Kernel::Lut(params),
        consts: Packer::new().table(table.map(|code| code as u8)).finish(),
        inputs: vec![node.inputs[0]],
        scratch_bytes: lut::scratch_bytes(&params),
    };
    Ok(Lowered::one(call).in_place_of([0]))
}
