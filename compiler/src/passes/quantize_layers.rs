//! Weights, biases and multipliers of every layer.
//!
//! Formulas: docs/numerics.md, "Weights". Weights are symmetric per output
//! channel with `s_w = max(max|w| / 127, |bias| / (s_in * 2^30), floor)`, where the
//! floor keeps the multiplier `s_in * s_w / s_out` precise to 0.01 LSB.

use super::{Context, PassError};
use crate::Module;
use crate::ir::NodeId;
use crate::ops::Op;
use crate::quant::{LayerQuant, Multiplier};

/// Below this the rounding of `m` could cost more than 0.01 LSB over 256 codes:
/// `256 * 2^-33 / 0.01`.
const SMALLEST_MULTIPLIER: f64 = 3.0e-6;

/// Runs the pass.
pub fn run(module: &mut Module, _: &Context<'_>) -> Result<(), PassError> {
    let mut rescaled = Vec::new();
    for id in module.graph.order().to_vec() {
        let (layer, channels) = match module.graph.node(id).op {
            Op::Conv(_) | Op::Dense | Op::Affine => quantize(module, id)?,
            _ => continue,
        };
        if channels > 0 {
            let name = &module.graph.node(id).name;
            rescaled.push(format!("'{name}' ({channels} of {} channels)", layer.bias.len()));
        }
        module.quant.layers.insert(id, layer);
    }
    if let Some(first) = rescaled.first() {
        let more = match rescaled.len() {
            1 => String::new(),
            n => format!(" and {} further layers", n - 1),
        };
        module.notes.push(format!(
            "{first}{more} do not fit int8 weights, an int32 bias or a precise multiplier with the model's own weight scales; these channels were requantized"
        ));
    }
    Ok(())
}

/// The integers of a layer, and how many channels could not keep the scale that the
/// model carries.
fn quantize(module: &Module, id: NodeId) -> Result<(LayerQuant, usize), PassError> {
    let graph = &module.graph;
    let node = graph.node(id);
    let fail = |reason: String| PassError::Layer { node: node.name.clone(), reason };
    let weights =
        graph.constant(node.inputs[1]).ok_or_else(|| fail("tinyc bug: weights are not constant".into()))?;
    let channels = if node.op == Op::Affine { weights.len() } else { weights.shape()[0] };
    let flat: Vec<f64> = weights.iter().map(|&w| w.into()).collect();
    let rows: Vec<&[f64]> = flat.chunks(flat.len() / channels).collect();
    let bias: Vec<f64> = match node.inputs.get(2).and_then(|&b| graph.constant(b)) {
        Some(b) => b.iter().map(|&b| b.into()).collect(),
        None => vec![0.0; channels],
    };
    let s_in = f64::from(module.quant.activation(node.inputs[0]).scale);
    let s_out = f64::from(module.quant.activation(node.output).scale);
    let given = module.given.weight_scales.get(&node.inputs[1]);
    let mut layer = LayerQuant {
        borders: None,
        weights: Vec::with_capacity(flat.len()),
        weight_scales: Vec::with_capacity(channels),
        bias: Vec::with_capacity(channels),
        multipliers: Vec::with_capacity(channels),
    };
    let mut rescaled = 0;
    for (c, (row, &bias)) in rows.iter().zip(&bias).enumerate() {
        let kept =
            given.map(|g| f64::from(g[c.min(g.len() - 1)])).filter(|&s| fits(row, bias, s_in, s_out, s));
        rescaled += usize::from(given.is_some() && kept.is_none());
        let scale = kept.unwrap_or_else(|| own_scale(row, bias, s_in, s_out));
        let (lowest, highest) = if kept.is_some() { (-128.0, 127.0) } else { (-127.0, 127.0) };
        layer.weights.extend(row.iter().map(|w| (w / scale).round_ties_even().clamp(lowest, highest) as i8));
        layer.bias.push((bias / (s_in * scale)).round_ties_even() as i32);
        layer.weight_scales.push(scale);
        let real = s_in * scale / s_out;
        let multiplier = Multiplier::from_real(real).ok_or_else(|| {
            fail(format!("channel {c} needs a multiplier of {real:e}, beyond 2^30: its output's scale is too fine for its weights"))
        })?;
        layer.multipliers.push(multiplier);
    }
    Ok((layer, rescaled))
}

/// Whether a scale that the model carries can be kept.
fn fits(row: &[f64], bias: f64, s_in: f64, s_out: f64, scale: f64) -> bool {
    let codes_fit = row.iter().all(|w| (-128.0..=127.0).contains(&(w / scale).round_ties_even()));
    let acc = (bias / (s_in * scale)).abs() + row.iter().map(|w| (w / scale).abs() * 256.0).sum::<f64>();
    let real = s_in * scale / s_out;
    // Error of the rounded mantissa, 2^-33 at most, over what the accumulator can reach.
    let precise = real >= SMALLEST_MULTIPLIER || acc * libm::exp2(-33.0) <= 0.01;
    codes_fit && acc < 2147483647.0 && precise
}

/// The finest scale that holds the channel.
fn own_scale(row: &[f64], bias: f64, s_in: f64, s_out: f64) -> f64 {
    let largest = row.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    let floor = SMALLEST_MULTIPLIER * s_out / s_in;
    (largest / 127.0).max(bias.abs() / (s_in * libm::exp2(30.0))).max(floor)
}
