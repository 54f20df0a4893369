//! ONNX MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, ReduceMean and ReduceMax.

use super::{Kind, Pool};
use crate::ir::{Shape, ValueId};
use crate::onnx::OnnxNode;
use crate::onnx::import::Importer;
use crate::ops::Op;
use crate::ops::conv::import::{pair, window};
use crate::ops::conv::{Pads, Window};
use crate::ops::reshape::import::{axes, identity, view};

const MEAN: Kind = Kind::Average { count_include_pad: false };

/// Imports a MaxPool node.
pub fn max_pool(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    pool(imp, node, Kind::Max)
}

/// Imports an AveragePool node.
pub fn average_pool(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    pool(imp, node, Kind::Average { count_include_pad: node.int("count_include_pad", 0) != 0 })
}

/// Imports a GlobalAveragePool node.
pub fn global_average_pool(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    global(imp, node, MEAN)
}

/// Imports a GlobalMaxPool node.
pub fn global_max_pool(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    global(imp, node, Kind::Max)
}

/// Imports a ReduceMean node.
pub fn reduce_mean(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    reduce(imp, node, MEAN)
}

/// Imports a ReduceMax node.
pub fn reduce_max(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    reduce(imp, node, Kind::Max)
}

/// A window over the whole of some dimensions.
fn whole(kind: Kind, kernel: [usize; 2]) -> Op {
    let window = Window { kernel, stride: [1, 1], dilation: [1, 1], pads: Pads::default() };
    Op::Pool(Pool { kind, window, ceil: false })
}

/// The input with its height and width (1-D: time and 1) and its spatial dimensions.
fn spatial(imp: &Importer<'_>, node: &OnnxNode) -> Result<(ValueId, [usize; 2], usize), String> {
    let x = imp.activation(node, 0)?;
    match imp.shape(x).0[..] {
        [_, _, t] => Ok((x, [t, 1], 1)),
        [_, _, h, w] => Ok((x, [h, w], 2)),
        ref other => Err(format!(
            "its input has {} dimensions; 1-D (N, C, T) and 2-D (N, C, H, W) pooling is supported",
            other.len()
        )),
    }
}

fn pool(imp: &mut Importer<'_>, node: &OnnxNode, kind: Kind) -> Result<ValueId, String> {
    let (x, size, dims) = spatial(imp, node)?;
    let kernel = node.ints("kernel_shape").ok_or("it has no kernel_shape")?;
    let kernel = pair(Some(kernel), dims, 1, 1, "kernel_shape")?;
    let window = window(node, kernel, size, dims)?;
    let kind = match kind {
        // Without padding both ways of counting are the same.
        Kind::Average { .. } if window.pads == Pads::default() => MEAN,
        other => other,
    };
    let pool = Pool { kind, window, ceil: node.int("ceil_mode", 0) != 0 };
    let x = imp.to_channel_last(x)?;
    imp.emit_channel_last(Op::Pool(pool), vec![x], dims + 2)
}

fn global(imp: &mut Importer<'_>, node: &OnnxNode, kind: Kind) -> Result<ValueId, String> {
    let (x, size, dims) = spatial(imp, node)?;
    let x = imp.to_channel_last(x)?;
    imp.emit_channel_last(whole(kind, size), vec![x], dims + 2)
}

fn reduce(imp: &mut Importer<'_>, node: &OnnxNode, kind: Kind) -> Result<ValueId, String> {
    let x = imp.activation(node, 0)?;
    let shape = imp.shape(x);
    let rank = shape.rank();
    let mut reduced = vec![false; rank];
    for axis in axes(imp, node, 1, rank)?.unwrap_or_default() {
        reduced[axis] = true;
    }
    if !reduced.contains(&true) {
        if node.int("noop_with_empty_axes", 0) != 0 {
            return imp.emit(Op::Unary(Vec::new()), vec![x], Some(identity(rank)));
        }
        reduced.fill(true);
    }
    let keep = node.int("keepdims", 1) != 0;
    // Convolutions are channel-last inside: pooling there needs no transpose in the end.
    if (3..=4).contains(&rank) && shape.0[0] == 1 && !reduced[0] && !reduced[1] {
        return reduce_spatial(imp, x, &reduced, keep, kind);
    }
    let out = (0..rank).filter(|&i| keep || !reduced[i]);
    let out = Shape(out.map(|i| if reduced[i] { 1 } else { shape.0[i] }).collect());
    let (x, kernel) = match shape.hwc() {
        Some([h, w, _]) if reduced == [false, true, true, false] => (x, [h, w]),
        _ => as_window(imp, x, &reduced),
    };
    // What is kept keeps its order, so the pooled data is that of the ONNX tensor.
    let y = imp.emit(whole(kind, kernel), vec![x], Some(identity(out.rank())))?;
    Ok(view(imp, y, out))
}

/// `[1, C, T]` or `[1, C, H, W]` reduced over some of its spatial dimensions.
fn reduce_spatial(
    imp: &mut Importer<'_>,
    x: ValueId,
    reduced: &[bool],
    keep: bool,
    kind: Kind,
) -> Result<ValueId, String> {
    let shape = imp.shape(x);
    let rank = shape.rank();
    let mut kernel = [1, 1];
    for axis in (2..rank).filter(|&a| reduced[a]) {
        kernel[axis - 2] = shape.0[axis];
    }
    let x = imp.to_channel_last(x)?;
    if keep {
        return imp.emit_channel_last(whole(kind, kernel), vec![x], rank);
    }
    let channels = shape.0[1];
    match (2..rank).find(|&a| !reduced[a]) {
        None => {
            let y = imp.emit(whole(kind, kernel), vec![x], Some(identity(2)))?;
            Ok(view(imp, y, Shape(vec![1, channels])))
        }
        Some(kept) => {
            let length = shape.0[kept];
            let y = imp.emit(whole(kind, kernel), vec![x], Some(vec![0, 2, 1]))?;
            let y = view(imp, y, Shape(vec![1, length, channels]));
            let turned = Op::Transpose(vec![0, 2, 1]);
            Ok(imp.rearrange(turned, y, Shape(vec![1, channels, length]), Some(&[0, 2, 1])))
        }
    }
}

/// The tensor as `[1, H, W, C]` such that windows over the whole of W reduce
/// exactly the given dimensions; a transpose where they are interrupted.
fn as_window(imp: &mut Importer<'_>, mut x: ValueId, reduced: &[bool]) -> (ValueId, [usize; 2]) {
    let shape = imp.shape(x);
    let wide: Vec<usize> = (0..reduced.len()).filter(|&i| shape.0[i] != 1).collect();
    let first = wide.iter().position(|&i| reduced[i]).unwrap_or(0);
    let run = wide[first..].iter().take_while(|&&i| reduced[i]).count();
    let size = |dims: &[usize]| dims.iter().map(|&i| shape.0[i]).product::<usize>();
    let (outer, rest) = wide.split_at(first);
    let (middle, inner) = rest.split_at(run);
    let mut window = [1, size(outer), size(middle), size(inner)];
    if inner.iter().any(|&i| reduced[i]) {
        let (front, back): (Vec<usize>, Vec<usize>) = (0..reduced.len()).partition(|&i| reduced[i]);
        window = [1, 1, size(&front), size(&back)];
        let perm = [front, back].concat();
        x = imp.rearrange(Op::Transpose(perm.clone()), x, shape.permuted(&perm), Some(&perm));
    }
    (view(imp, x, Shape(window.to_vec())), [1, window[2]])
}
