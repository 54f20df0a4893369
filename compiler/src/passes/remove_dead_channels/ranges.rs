//! Which codes each channel can take, for any input at all.
//!
//! In: a node and the ranges of its operands. Out: one [`Range`] for each index of its
//! output's last dimension. Invariant: no input makes a channel leave its
//! range; a range of one code is exactly that code at every position.
//! Bounds are exact for one layer whose inputs vary independently: accumulators are
//! bounded tap by tap from the actual weights, border by border, and requantization
//! is monotone.

use std::collections::{BTreeMap, BTreeSet};

use crate::ir::{Graph, NodeId, QuantParams, Shape, ValueId};
use crate::ops::conv::{Conv, Window};
use crate::ops::pool::{self, Kind, Pool};
use crate::ops::{Op, binary, unary};
use crate::quant::multiplier::requantize;
use crate::quant::{LayerQuant, QTensor, QuantTable};

/// The smallest and the largest code of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    lo: i8,
    hi: i8,
}

impl Range {
    /// Any code.
    pub const ANY: Range = Range { lo: i8::MIN, hi: i8::MAX };

    /// One code.
    pub fn one(code: i8) -> Range {
        Range { lo: code, hi: code }
    }

    fn join(self, other: Range) -> Range {
        Range { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    fn over(codes: impl IntoIterator<Item = i8>) -> Range {
        codes.into_iter().map(Range::one).reduce(Range::join).unwrap_or(Range::ANY)
    }

    /// The code that the channel always has.
    pub fn constant(self) -> Option<i8> {
        (self.lo == self.hi).then_some(self.lo)
    }
}

/// The ranges of every activation's channels (indices of its last dimension).
pub type Ranges = BTreeMap<ValueId, Vec<Range>>;

/// Bounds the output of a node whose operands are bounded.
pub fn node(graph: &Graph, quant: &QuantTable, id: NodeId, ranges: &Ranges) -> Vec<Range> {
    let node = graph.node(id);
    let (input, shape) = (node.inputs[0], graph.shape(node.output));
    let (x, x_shape) = (&ranges[&input], graph.shape(input));
    let (given, out) = (quant.activation(input), quant.activation(node.output));
    let channels = shape.channels();
    match &node.op {
        Op::Conv(c) => conv(c, quant.layer(id), graph.shape(node.inputs[1]), x, given, x_shape, shape, out),
        Op::Dense => dense(quant.layer(id), x, given, channels, out),
        Op::Affine => affine(quant.layer(id), graph.shape(node.inputs[1]), x, given, out),
        Op::Pool(p) => pooled(p, x, x_shape, shape, given, out),
        Op::Binary(b) => {
            let params = [given, quant.activation(node.inputs[1])];
            let second = &ranges[&node.inputs[1]];
            let of = |r: &[Range], c: usize| r[if r.len() == channels { c } else { 0 }];
            (0..channels).map(|c| combined(*b, [of(x, c), of(second, c)], params, out)).collect()
        }
        Op::Unary(chain) => {
            let codes: Vec<i8> = (i8::MIN..=i8::MAX).collect();
            let every = QTensor { shape: Shape(vec![256]), codes, params: given };
            let table = unary::reference(chain, &every, node.clamp, out);
            let at = |code: i8| (i32::from(code) + 128) as usize;
            x.iter().map(|r| Range::over(table[at(r.lo)..=at(r.hi)].iter().copied())).collect()
        }
        Op::Softmax => vec![Range { lo: out.lo, hi: out.hi }; channels],
        Op::Concat(axis) => {
            let operands = node.inputs.iter().map(|v| ranges[v].as_slice());
            if axis + 1 == shape.rank() {
                operands.flatten().copied().collect()
            } else {
                operands.map(<[Range]>::to_vec).reduce(|a, b| joined(&a, &b)).unwrap_or_default()
            }
        }
        Op::Pad(p) => {
            let fill = Range::one(given.code(f64::from(p.value)));
            let last = x_shape.rank() - 1;
            let untouched = p.before[last] == 0 && p.after[last] == 0;
            let all = whole(x).join(fill);
            (0..channels).map(|c| if untouched { x[c].join(fill) } else { all }).collect()
        }
        // Element `i` of the data has channel `i % channels` on both sides.
        Op::Reshape if channels.is_multiple_of(x.len()) => (0..channels).map(|c| x[c % x.len()]).collect(),
        Op::Reshape if x.len().is_multiple_of(channels) => {
            x.chunks(channels).map(<[Range]>::to_vec).reduce(|a, b| joined(&a, &b)).unwrap_or_default()
        }
        Op::Transpose(perm) if perm.last() == Some(&(perm.len() - 1)) => x.clone(),
        Op::Reshape | Op::Transpose(_) => vec![whole(x); channels],
    }
}

fn whole(x: &[Range]) -> Range {
    x.iter().copied().reduce(Range::join).unwrap_or(Range::ANY)
}

fn joined(a: &[Range], b: &[Range]) -> Vec<Range> {
    a.iter().zip(b).map(|(&a, &b)| a.join(b)).collect()
}

/// The smallest and largest `(q - zero_point) * w` of a range of codes.
pub fn product(range: Range, zero_point: i8, weight: i8) -> [i64; 2] {
    let ends = [range.lo, range.hi].map(|q| (i64::from(q) - i64::from(zero_point)) * i64::from(weight));
    [ends[0].min(ends[1]), ends[0].max(ends[1])]
}

/// The distinct kinds of windows along an axis (0: rows, 1: columns): which of a
/// window's taps lie inside the input.
fn borders(window: &Window, axis: usize, size: usize, out: usize) -> BTreeSet<Vec<bool>> {
    let inside = |o: usize, k: usize| window.position(axis, o, k, size).is_some();
    (0..out).map(|o| (0..window.kernel[axis]).map(|k| inside(o, k)).collect()).collect()
}

#[allow(clippy::too_many_arguments)]
fn conv(
    conv: &Conv,
    layer: &LayerQuant,
    weights: &Shape,
    x: &[Range],
    given: QuantParams,
    x_shape: &Shape,
    shape: &Shape,
    out: QuantParams,
) -> Vec<Range> {
    let [in_h, in_w, _] = x_shape.hwc().expect("verified: convolution input is [1, H, W, C]");
    let [out_h, out_w, out_c] = shape.hwc().expect("verified: convolution output is [1, H, W, C]");
    let rows = borders(&conv.window, 0, in_h, out_h);
    let columns = borders(&conv.window, 1, in_w, out_w);
    let per_group = weights.channels();
    let kernel_w = conv.window.kernel[1];
    let pad = Range::one(given.code(f64::from(conv.pad_value)));
    let sum = |taps: &[i8], inputs: &mut dyn Iterator<Item = Range>| {
        taps.iter().zip(inputs).fold([0, 0], |sum: [i64; 2], (&w, range)| {
            let p = product(range, given.zero_point, w);
            [sum[0] + p[0], sum[1] + p[1]]
        })
    };
    let per_channel = layer.weights.len() / out_c;
    let channel = |oc: usize| {
        let first = oc / (out_c / conv.groups) * per_group;
        let bias = i64::from(layer.bias[oc]);
        // Per tap, what it adds inside the input and outside.
        let taps: Vec<[[i64; 2]; 2]> = layer.weights[oc * per_channel..][..per_channel]
            .chunks(per_group)
            .map(|tap| {
                let inside = sum(tap, &mut x[first..first + per_group].iter().copied());
                [sum(tap, &mut std::iter::repeat(pad)), inside]
            })
            .collect();
        let ends = rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column))).flat_map(
            |(row, column)| {
                let mut acc = [bias; 2];
                for (ky, &y_inside) in row.iter().enumerate() {
                    for (kx, &x_inside) in column.iter().enumerate() {
                        let added = taps[ky * kernel_w + kx][usize::from(y_inside && x_inside)];
                        acc = [acc[0] + added[0], acc[1] + added[1]];
                    }
                }
                acc.map(|acc| requantize(acc, layer.multipliers[oc], &out))
            },
        );
        Range::over(ends)
    };
    (0..out_c).map(channel).collect()
}

fn dense(layer: &LayerQuant, x: &[Range], given: QuantParams, out_c: usize, out: QuantParams) -> Vec<Range> {
    (0..out_c)
        .map(|oc| {
            let mut acc = [i64::from(layer.bias[oc]); 2];
            for (&w, &range) in layer.weights[oc * x.len()..].iter().zip(x) {
                let p = product(range, given.zero_point, w);
                acc = [acc[0] + p[0], acc[1] + p[1]];
            }
            Range::over(acc.map(|acc| requantize(acc, layer.multipliers[oc], &out)))
        })
        .collect()
}

fn affine(
    layer: &LayerQuant,
    constants: &Shape,
    x: &[Range],
    given: QuantParams,
    out: QuantParams,
) -> Vec<Range> {
    let along = constants.channels();
    (0..x.len())
        .map(|c| {
            // All elements of the constants that meet this channel.
            let elements = (0..layer.bias.len()).filter(|e| along == 1 || e % along == c);
            let ends = elements.flat_map(|e| {
                product(x[c], given.zero_point, layer.weights[e])
                    .map(|p| requantize(p + i64::from(layer.bias[e]), layer.multipliers[e], &out))
            });
            Range::over(ends)
        })
        .collect()
}

fn pooled(
    pool: &Pool,
    x: &[Range],
    x_shape: &Shape,
    shape: &Shape,
    given: QuantParams,
    out: QuantParams,
) -> Vec<Range> {
    let [in_h, in_w, _] = x_shape.hwc().expect("verified: pooling input is [1, H, W, C]");
    let [out_h, out_w, _] = shape.hwc().expect("verified: pooling output is [1, H, W, C]");
    if pool.kind == Kind::Max {
        return x.iter().map(|r| Range::over([r.lo, r.hi].map(|q| q.clamp(out.lo, out.hi)))).collect();
    }
    // How many cells a window has along an axis, and how many it counts.
    let sizes = |axis: usize, size: usize, out: usize| -> BTreeSet<(usize, usize)> {
        (0..out).map(|o| (pool.inside(axis, o, size).count(), pool.counted(axis, o, size))).collect()
    };
    let (rows, columns) = (sizes(0, in_h, out_h), sizes(1, in_w, out_w));
    let windows: BTreeSet<(usize, usize)> =
        rows.iter().flat_map(|r| columns.iter().map(|c| (r.0 * c.0, r.1 * c.1))).collect();
    let mean = |q: i8, (cells, counted): (usize, usize)| {
        let sum = (i64::from(q) - i64::from(given.zero_point)) * cells as i64;
        // Lowering refuses a mean without a multiplier.
        pool::multiplier(&given, &out, counted).map(|m| requantize(sum, m, &out))
    };
    x.iter()
        .map(|r| {
            let ends: Option<Vec<i8>> =
                windows.iter().flat_map(|&w| [mean(r.lo, w), mean(r.hi, w)]).collect();
            ends.map_or(Range::ANY, Range::over)
        })
        .collect()
}

/// Sums, differences and products are monotone in each operand, so that their ends
/// are among those of the operands' ends.
pub fn combined(op: binary::Binary, ranges: [Range; 2], params: [QuantParams; 2], out: QuantParams) -> Range {
    let tensor = |code: i8, params: QuantParams| QTensor { shape: Shape(vec![1]), codes: vec![code], params };
    let [a, b] = ranges;
    let ends = [a.lo, a.hi].into_iter().flat_map(|a| [b.lo, b.hi].map(|b| (a, b)));
    Range::over(ends.flat_map(|(a, b)| {
        binary::reference(op, &tensor(a, params[0]), &tensor(b, params[1]), &Shape(vec![1]), out)
    }))
}
