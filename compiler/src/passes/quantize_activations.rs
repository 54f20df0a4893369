//! Scale, zero point and clamp of every activation.
//!
//! In: a fused graph and the source of scales. Out: `module.quant.activations`,
//! complete. Order of precedence: what the model carries; then what byte-moving
//! neighbours force; then calibration. Invariant: the clamp range `lo..=hi` is the
//! code range of the producer's clamp.

use std::collections::BTreeMap;

use super::align_scales::moves_bytes;
use super::{Context, PassError, Scales};
use crate::Module;
use crate::ir::{Clamp, Graph, QuantParams, ValueId};
use crate::ops::Op;
use crate::ops::unary::Function;
use crate::quant::calibrate::{Range, Ranges};

/// Runs the pass.
pub fn run(module: &mut Module, context: &Context<'_>) -> Result<(), PassError> {
    let values = module.graph.live_activations();
    if let Scales::Recorded(file) = context.scales {
        for &id in &values {
            let name = &module.graph.value(id).name;
            let params = file.params(name).ok_or_else(|| PassError::Unrecorded { tensor: name.clone() })?;
            module.quant.activations.insert(id, params);
        }
        return Ok(());
    }
    let mut params: BTreeMap<ValueId, QuantParams> =
        values.iter().filter_map(|&id| Some((id, module.given.activation(&module.graph, id)?))).collect();
    softmax_outputs(&module.graph, &mut params);
    let ties = ties(&module.graph, &module.given);
    spread(&ties, &mut params);
    match context.scales {
        Scales::Calibrated(ranges) => calibrated(&module.graph, ranges, &ties, &values, &mut params)?,
        Scales::Given | Scales::Unknown | Scales::Recorded(_) => {
            if let Some(&island) = values.iter().find(|v| !params.contains_key(v)) {
                let (tensor, node) = describe(&module.graph, island);
                return Err(PassError::Island { tensor, node });
            }
        }
    }
    for (id, mut p) in params {
        let clamp = module.graph.producer(id).map_or(Clamp::NONE, |n| module.graph.node(n).clamp);
        p.lo = if clamp.lo.is_finite() { p.code(clamp.lo.into()) } else { i8::MIN };
        p.hi = if clamp.hi.is_finite() { p.code(clamp.hi.into()) } else { i8::MAX };
        module.quant.activations.insert(id, p);
    }
    Ok(())
}

/// The scale of probabilities is fixed: 1/256 and zero point -128 spend all codes
/// on 0..1 (TensorFlow Lite's 8-bit quantization specification has the same).
fn softmax_outputs(graph: &Graph, params: &mut BTreeMap<ValueId, QuantParams>) {
    for &id in graph.order() {
        if graph.node(id).op == Op::Softmax {
            params.entry(graph.node(id).output).or_insert(QuantParams::new(1.0 / 256.0, -128));
        }
    }
}

/// Pairs of values that must, or may as well, share a scale.
fn ties(graph: &Graph, given: &crate::quant::Given) -> Vec<(ValueId, ValueId)> {
    let mut ties = Vec::new();
    for &id in graph.order() {
        let node = graph.node(id);
        let clamps_only =
            matches!(&node.op, Op::Unary(chain) if chain.iter().all(|f| matches!(f, Function::Clamp(_))));
        let free_clamp = clamps_only && !given.activations.is_empty();
        if moves_bytes(&node.op) || free_clamp {
            ties.extend(node.inputs.iter().map(|&v| (v, node.output)));
        }
    }
    ties
}

/// Copies known parameters along ties, producers first.
fn spread(ties: &[(ValueId, ValueId)], params: &mut BTreeMap<ValueId, QuantParams>) {
    loop {
        let mut changed = false;
        for &(from, to) in ties.iter() {
            if let Some(&p) = params.get(&from)
                && !params.contains_key(&to)
            {
                params.insert(to, p);
                changed = true;
            }
        }
        for &(from, to) in ties.iter().rev() {
            if let Some(&p) = params.get(&to)
                && !params.contains_key(&from)
            {
                params.insert(from, p);
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

/// Fills what is missing from calibrated ranges; tied values share the union of theirs.
fn calibrated(
    graph: &Graph,
    ranges: &Ranges,
    ties: &[(ValueId, ValueId)],
    values: &[ValueId],
    params: &mut BTreeMap<ValueId, QuantParams>,
) -> Result<(), PassError> {
    let mut group: BTreeMap<ValueId, ValueId> = values.iter().map(|&v| (v, v)).collect();
    for &(a, b) in ties {
        let (root_a, root_b) = (group[&a], group[&b]);
        for root in group.values_mut() {
            if *root == root_b {
                *root = root_a;
            }
        }
    }
    let mut union: BTreeMap<ValueId, Range> = BTreeMap::new();
    for &id in values.iter().filter(|v| !params.contains_key(v)) {
        let Some(mut range) = range_of(graph, ranges, id) else {
            let (tensor, node) = describe(graph, id);
            return Err(PassError::Island { tensor, node });
        };
        for reader in graph.readers(id) {
            match &graph.node(reader).op {
                Op::Conv(conv) => range = range.including(conv.pad_value),
                // A pad of minus infinity in front of a maximum is the lowest code.
                Op::Pad(pad) if pad.value.is_finite() => range = range.including(pad.value),
                _ => {}
            }
        }
        union.entry(group[&id]).and_modify(|r| *r = r.union(range)).or_insert(range);
    }
    for &id in values {
        if params.contains_key(&id) {
            continue;
        }
        let range = union[&group[&id]];
        let Some(p) = range.params() else {
            let (tensor, node) = describe(graph, id);
            return Err(PassError::ZeroRange { tensor, node });
        };
        params.insert(id, p);
    }
    Ok(())
}

/// The calibrated range of the ONNX tensor behind a value, clamped as the value is.
fn range_of(graph: &Graph, ranges: &Ranges, id: ValueId) -> Option<Range> {
    let origin = graph.value(id).origin.as_ref()?;
    let range = ranges.get(&origin.tensor)?;
    Some(range.clamped(origin.clamp))
}

fn describe(graph: &Graph, id: ValueId) -> (String, String) {
    let value = graph.value(id);
    let tensor = value.origin.as_ref().map_or(value.name.clone(), |o| o.tensor.clone());
    let node = graph.producer(id).map_or("graph input".into(), |n| graph.node(n).name.clone());
    (tensor, node)
}
