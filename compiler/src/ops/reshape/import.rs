//! ONNX Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout and Cast.

use crate::ir::{Shape, ValueId};
use crate::onnx::OnnxNode;
use crate::onnx::import::Importer;
use crate::ops::Op;

/// `[0, 1, .., rank - 1]`.
pub fn identity(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

/// An axis of a tensor of `rank` dimensions; negative ones count from the end.
///
/// # Errors
/// Where there is no such dimension.
pub fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let index = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(index)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| format!("its axis {axis} is outside a tensor of {rank} dimensions"))
}

/// The axes of a node, ascending: its attribute `axes`, or operand `i` of later
/// operator sets; `None` where it has neither.
///
/// # Errors
/// Where one is out of range or stands twice, or the operand is not constant.
pub fn axes(
    imp: &Importer<'_>,
    node: &OnnxNode,
    i: usize,
    rank: usize,
) -> Result<Option<Vec<usize>>, String> {
    let given = match node.ints("axes") {
        Some(list) => Some(list.to_vec()),
        None => imp.integers(node, i)?,
    };
    let Some(given) = given else { return Ok(None) };
    let mut list = given.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    list.sort_unstable();
    if list.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("its axes {given:?} name a dimension twice"));
    }
    Ok(Some(list))
}

/// `x` under another shape with as many elements, as an intermediate step: it
/// keeps its relation to the ONNX tensor. No node where nothing changes.
pub fn view(imp: &mut Importer<'_>, x: ValueId, shape: Shape) -> ValueId {
    if imp.shape(x) == shape {
        return x;
    }
    let origin = imp.graph.value(x).origin.as_ref();
    let order = origin.and_then(|o| o.order.as_ref()).map(|order| identity(order.len()));
    imp.rearrange(Op::Reshape, x, shape, order.as_deref())
}

/// Emits a reshape of the node's first operand.
fn emit(imp: &mut Importer<'_>, x: ValueId, shape: Vec<usize>) -> ValueId {
    let order = Some(identity(shape.len()));
    imp.emit_shaped(Op::Reshape, vec![x], Shape(shape), order)
}

/// Imports a Reshape node.
pub fn reshape(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let x = imp.activation(node, 0)?;
    let target = match node.ints("shape") {
        Some(shape) => shape.to_vec(),
        None => imp.integers(node, 1)?.ok_or("it has no shape")?,
    };
    let shape = resolve(&imp.shape(x), &target, node.int("allowzero", 0) != 0)?;
    Ok(emit(imp, x, shape))
}

/// The dimensions that a Reshape asks for: 0 copies the input's (unless
/// `allowzero`), one -1 takes what remains.
fn resolve(input: &Shape, target: &[i64], allowzero: bool) -> Result<Vec<usize>, String> {
    let misfit = || {
        format!("its shape {target:?} does not fit an input of shape {input} ({} elements)", input.elements())
    };
    let mut rest = None;
    let mut shape = vec![1; target.len()];
    for (i, &dim) in target.iter().enumerate() {
        match dim {
            -1 if rest.is_none() => rest = Some(i),
            0 if !allowzero => shape[i] = *input.0.get(i).ok_or_else(misfit)?,
            1.. => shape[i] = usize::try_from(dim).map_err(|_| misfit())?,
            _ => return Err(misfit()),
        }
    }
    let known = shape.iter().try_fold(1usize, |all, &d| all.checked_mul(d)).ok_or_else(misfit)?;
    if let Some(i) = rest {
        shape[i] = input.elements().checked_div(known).ok_or_else(misfit)?;
    }
    if known.checked_mul(rest.map_or(1, |i| shape[i])) != Some(input.elements()) {
        return Err(misfit());
    }
    Ok(shape)
}

/// Imports a Flatten node: `[d0 * .. * d(axis-1), d(axis) * ..]`.
pub fn flatten(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let x = imp.activation(node, 0)?;
    let shape = imp.shape(x);
    let rank = shape.rank();
    // Unlike elsewhere, the rank itself is allowed: everything goes to the front.
    let at = node.int("axis", 1);
    let at = if at == rank as i64 { rank } else { axis(at, rank)? };
    let (front, back) = shape.0.split_at(at);
    Ok(emit(imp, x, vec![front.iter().product(), back.iter().product()]))
}

/// Imports a Squeeze node.
pub fn squeeze(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let x = imp.activation(node, 0)?;
    let shape = imp.shape(x);
    let gone = match axes(imp, node, 1, shape.rank())? {
        Some(list) => list,
        None => (0..shape.rank()).filter(|&i| shape.0[i] == 1).collect(),
    };
    if let Some(&wide) = gone.iter().find(|&&i| shape.0[i] != 1) {
        return Err(format!("it squeezes dimension {wide} of {shape}, which is not 1"));
    }
    let kept = (0..shape.rank()).filter(|i| !gone.contains(i)).map(|i| shape.0[i]).collect();
    Ok(emit(imp, x, kept))
}

/// Imports an Unsqueeze node: the axes count in the output.
pub fn unsqueeze(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let x = imp.activation(node, 0)?;
    let mut dims = imp.shape(x).0;
    let added = match node.ints("axes") {
        Some(list) => list.len(),
        None => imp.integers(node, 1)?.ok_or("it has no axes")?.len(),
    };
    for at in axes(imp, node, 1, dims.len() + added)?.unwrap_or_default() {
        dims.insert(at, 1);
    }
    Ok(emit(imp, x, dims))
}

/// Imports an Identity node: its output may have scales of its own.
pub fn same(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let x = imp.activation(node, 0)?;
    let rank = imp.shape(x).rank();
    imp.emit(Op::Unary(Vec::new()), vec![x], Some(identity(rank)))
}

/// Imports a Dropout node: outside training it changes nothing.
pub fn dropout(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    if imp.integers(node, 2)?.is_some_and(|flag| flag.iter().any(|&f| f != 0)) {
        return Err("its training_mode is on: export the model for inference".into());
    }
    same(imp, node)
}

/// Imports a Cast node between float types.
pub fn cast(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    // TensorProto.DataType: FLOAT, FLOAT16, DOUBLE, BFLOAT16.
    match node.int("to", 0) {
        1 | 10 | 11 | 16 => same(imp, node),
        other => Err(format!(
            "it casts to ONNX element type {other}; only casts between float types (1, 10, 11, 16) are supported"
        )),
    }
}
