//! Pooling to `max_pool` or `avg_pool` calls.
//!
//! In: a quantized node. Out: one call. Invariant: the constants of a mean hold
//! one multiplier for every count that a window can have, so that border windows
//! divide by their own count.

use tinyc_runtime::kernels::{avg_pool, max_pool};

use super::{Kind, Pool, multiplier};
use crate::ir::{Graph, NodeId};
use crate::lower::{Call, Constants, Kernel, LowerError, Lowered, Packer};
use crate::ops::conv::lower::out_params;
use crate::quant::{Multiplier, QuantTable};

/// Lowers a pooling.
///
/// # Errors
/// [`LowerError::Multiplier`] where the scales are too far apart.
pub fn lower(graph: &Graph, quant: &QuantTable, id: NodeId, pool: &Pool) -> Result<Lowered, LowerError> {
    let node = graph.node(id);
    let [in_h, in_w, in_c] =
        graph.shape(node.inputs[0]).hwc().expect("verified: pooling input is [1, H, W, C]");
    let [out_h, out_w, _] = graph.shape(node.output).hwc().expect("verified: pooling output is [1, H, W, C]");
    let input = quant.activation(node.inputs[0]);
    let output = quant.activation(node.output);
    let Pool { kind, window, .. } = *pool;
    let (kernel, consts, scratch_bytes) = match kind {
        Kind::Max => {
            let params = max_pool::Params {
                in_h,
                in_w,
                in_c,
                out_h,
                out_w,
                kernel_h: window.kernel[0],
                kernel_w: window.kernel[1],
                stride_h: window.stride[0],
                stride_w: window.stride[1],
                pad_top: window.pads.top,
                pad_left: window.pads.left,
                dilation_h: window.dilation[0],
                dilation_w: window.dilation[1],
                lo: output.lo,
                hi: output.hi,
            };
            (Kernel::MaxPool(params), Constants::default(), max_pool::scratch_bytes(&params))
        }
        Kind::Average { count_include_pad } => {
            // Windows that never stick out all count every cell.
            let inside = window.pads == Default::default()
                && window.reach(0, out_h) <= in_h
                && window.reach(1, out_w) <= in_w;
            let cells = window.kernel[0] * window.kernel[1];
            let first_count = if inside { cells } else { 1 };
            let params = avg_pool::Params {
                in_h,
                in_w,
                in_c,
                out_h,
                out_w,
                kernel_h: window.kernel[0],
                kernel_w: window.kernel[1],
                stride_h: window.stride[0],
                stride_w: window.stride[1],
                pad_top: window.pads.top,
                pad_left: window.pads.left,
                pad_bottom: window.pads.bottom,
                pad_right: window.pads.right,
                dilation_h: window.dilation[0],
                dilation_w: window.dilation[1],
                zero_point_in: input.zero_point.into(),
                count_include_pad,
                first_count,
                out: out_params(&output),
            };
            let multipliers: Vec<Multiplier> = (first_count..=cells)
                .map(|count| {
                    let real = f64::from(input.scale) / (f64::from(output.scale) * count as f64);
                    multiplier(&input, &output, count).ok_or(LowerError::Multiplier { real })
                })
                .collect::<Result<_, _>>()?;
            let consts = Packer::new()
                .multipliers(multipliers.iter().map(|m| m.m))
                .shifts(multipliers.iter().map(|m| m.k))
                .finish();
            (Kernel::AvgPool(params), consts, avg_pool::scratch_bytes(&params))
        }
    };
    Ok(Lowered::one(Call { kernel, consts, inputs: vec![node.inputs[0]], scratch_bytes }))
}
