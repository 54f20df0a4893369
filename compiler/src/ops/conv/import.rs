//! ONNX Conv.

use ndarray::{Axis, IxDyn};

use super::{Conv, Pads, Window};
use crate::ir::ValueId;
use crate::onnx::OnnxNode;
use crate::onnx::import::Importer;
use crate::ops::Op;

/// A value of a spatial attribute for rows and columns: 1-D attributes give the
/// rows (time), the columns take `missing`.
pub fn pair(
    values: Option<&[i64]>,
    dims: usize,
    default: i64,
    missing: usize,
    name: &str,
) -> Result<[usize; 2], String> {
    let values = match values {
        Some(v) => v.to_vec(),
        None => vec![default; dims],
    };
    if values.len() != dims || values.iter().any(|&v| v < 0) {
        return Err(format!("its {name} {values:?} do not fit {dims} spatial dimensions"));
    }
    Ok([values[0] as usize, values.get(1).map_or(missing, |&v| v as usize)])
}

/// The geometry that Conv and the poolings share. `size` is the input's height
/// and width, `dims` the number of ONNX spatial dimensions (1 or 2).
///
/// # Errors
/// Where an attribute does not fit.
pub fn window(node: &OnnxNode, kernel: [usize; 2], size: [usize; 2], dims: usize) -> Result<Window, String> {
    let stride = pair(node.ints("strides"), dims, 1, 1, "strides")?;
    let dilation = pair(node.ints("dilations"), dims, 1, 1, "dilations")?;
    if stride.contains(&0) || dilation.contains(&0) || kernel.contains(&0) {
        return Err("a stride, dilation or kernel size of 0 has no meaning".into());
    }
    let mut pads = Pads::default();
    match node.string("auto_pad", "NOTSET") {
        "NOTSET" | "" => {
            let all = node.ints("pads").map_or(vec![0; 2 * dims], <[i64]>::to_vec);
            if all.len() != 2 * dims || all.iter().any(|&p| p < 0) {
                return Err(format!(
                    "its pads {all:?} do not fit {dims} spatial dimensions, or are negative"
                ));
            }
            pads.top = all[0] as usize;
            pads.bottom = all[dims] as usize;
            if dims == 2 {
                pads.left = all[1] as usize;
                pads.right = all[3] as usize;
            }
        }
        "VALID" => {}
        same @ ("SAME_UPPER" | "SAME_LOWER") => {
            let mut lead = [0; 2];
            let mut trail = [0; 2];
            for i in 0..2 {
                let out = size[i].div_ceil(stride[i]);
                let needed = (out - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1;
                let total = needed.saturating_sub(size[i]);
                let small = total / 2;
                (lead[i], trail[i]) =
                    if same == "SAME_UPPER" { (small, total - small) } else { (total - small, small) };
            }
            pads = Pads { top: lead[0], left: lead[1], bottom: trail[0], right: trail[1] };
        }
        other => return Err(format!("its auto_pad '{other}' is not known")),
    }
    Ok(Window { kernel, stride, dilation, pads })
}

/// Imports a Conv node: weights `[O, I/g, kh, kw]` become `[O, kh, kw, I/g]`.
pub fn import(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let x = imp.activation(node, 0)?;
    let rank = imp.shape(x).rank();
    let weights = imp.floats(node, 1)?.ok_or("it has no weights")?;
    if weights.ndim() != rank || !(3..=4).contains(&rank) {
        return Err(format!(
            "weights of {} dimensions on an input of {rank}; 1-D and 2-D convolutions are supported",
            weights.ndim()
        ));
    }
    let weights = if rank == 3 { weights.insert_axis(Axis(3)) } else { weights };
    let weights = weights.permuted_axes(IxDyn(&[0, 2, 3, 1])).as_standard_layout().into_owned();
    let kernel = [weights.shape()[1], weights.shape()[2]];
    let declared = pair(
        node.ints("kernel_shape").or(Some(&kernel.map(|k| k as i64)[..rank - 2])),
        rank - 2,
        1,
        1,
        "kernel_shape",
    )?;
    if declared != kernel {
        return Err(format!("its kernel_shape {declared:?} does not match the weights' {kernel:?}"));
    }
    let shape = imp.shape(x);
    let size = [shape.0[2], shape.0.get(3).copied().unwrap_or(1)];
    let window = window(node, kernel, size, rank - 2)?;
    let conv = Conv { window, groups: node.int("group", 1).max(0) as usize, pad_value: 0.0 };
    let x = imp.to_channel_last(x)?;
    let mut inputs = vec![x, imp.add_weights(node, 1, weights, 0)];
    if let Some(bias) = imp.floats(node, 2)? {
        inputs.push(imp.add_const(node.input(2).unwrap_or("bias"), bias));
    }
    imp.emit_channel_last(Op::Conv(conv), inputs, rank)
}
