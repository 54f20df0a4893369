//! Channels that are one code in each class of pixels.
//!
//! In: a quantized graph and the ranges of its channels. Out: [`Known`]: for every
//! activation `[1, H, W, C]` its classes of rows and columns, and the channels whose
//! code depends on the class alone. Invariant: no input makes such a channel hold
//! another code; a pixel's class is that of its row by that of its column.
//!
//! Padding makes classes: output rows are of one class if the taps of their windows
//! lie outside alike, and inside on rows of one class. So a pixel stands for its class,
//! and what a class holds is computed as its pixel would be.

use std::collections::BTreeMap;

use super::ranges::{Range, Ranges, combined, product};
use crate::ir::{Graph, NodeId, QuantParams, Shape, ValueId};
use crate::ops::conv::{Conv, Window};
use crate::ops::pool::{self, Kind, Pool};
use crate::ops::{Op, unary};
use crate::quant::multiplier::requantize;
use crate::quant::{LayerQuant, QTensor, QuantTable};

/// The class of each row and of each column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// Rows, columns.
    pub axes: [Vec<usize>; 2],
}

impl Grid {
    fn one(size: [usize; 2]) -> Grid {
        Grid { axes: size.map(|len| vec![0; len]) }
    }

    /// Lines with equal keys are of one class.
    fn of<K: Ord>(size: [usize; 2], key: impl Fn(usize, usize) -> K) -> Grid {
        let axis = |axis: usize| {
            let mut classes = BTreeMap::new();
            let mut class = |at: usize| {
                let next = classes.len();
                *classes.entry(key(axis, at)).or_insert(next)
            };
            (0..size[axis]).map(&mut class).collect()
        };
        Grid { axes: [axis(0), axis(1)] }
    }

    /// Of the output of a window over an input of `size`, whose classes are `self`.
    pub fn behind(&self, window: &Window, size: [usize; 2], out: [usize; 2]) -> Grid {
        Grid::of(out, |axis, at| -> Vec<Option<usize>> {
            (0..window.kernel[axis])
                .map(|tap| window.position(axis, at, tap, size[axis]).map(|i| self.axes[axis][i]))
                .collect()
        })
    }

    /// How many classes rows and columns have.
    pub fn counts(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.axes[axis].iter().max().map_or(0, |most| most + 1))
    }

    /// A pixel of each class, `[class of rows][class of columns]`.
    pub fn pixels(&self) -> Vec<[usize; 2]> {
        let counts = self.counts();
        let first = |axis: usize| {
            let at = |class| self.axes[axis].iter().position(|&c| c == class).unwrap_or(0);
            (0..counts[axis]).map(at).collect::<Vec<_>>()
        };
        let columns = first(1);
        first(0).into_iter().flat_map(|y| columns.iter().map(move |&x| [y, x])).collect()
    }
}

/// An activation's classes, and its channels that depend on them alone.
#[derive(Debug, Clone)]
struct Classed {
    grid: Grid,
    /// By channel, `[class of rows][class of columns]`.
    codes: BTreeMap<usize, Vec<i8>>,
}

/// What is known of all activations.
#[derive(Debug, Clone, Default)]
pub struct Known {
    ranges: Ranges,
    classed: BTreeMap<ValueId, Classed>,
    /// Whether channels are not known because there are more classes than `most`.
    pub exceeded: bool,
    /// Classes that an activation may have.
    pub most: usize,
}

impl Known {
    /// The ranges over all pixels.
    pub fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// The same, for layers that may have any number of classes.
    pub fn for_any_layer(self) -> Known {
        Known { most: usize::MAX, ..self }
    }

    /// Whether a channel's code depends on its pixel alone.
    pub fn is_known(&self, value: ValueId, channel: usize) -> bool {
        self.ranges[&value][channel].constant().is_some() || self.is_classed(value, channel)
    }

    /// Whether it is another code in another class.
    fn is_classed(&self, value: ValueId, channel: usize) -> bool {
        self.classed.get(&value).is_some_and(|classed| classed.codes.contains_key(&channel))
    }

    /// The code of a known channel at a pixel.
    pub fn code(&self, value: ValueId, channel: usize, [y, x]: [usize; 2]) -> Option<i8> {
        let classed = self.classed.get(&value).and_then(|classed| {
            let across = classed.grid.counts()[1];
            let class = classed.grid.axes[0][y] * across + classed.grid.axes[1][x];
            classed.codes.get(&channel).map(|codes| codes[class])
        });
        classed.or_else(|| self.ranges[&value][channel].constant())
    }

    fn range(&self, value: ValueId, channel: usize, at: [usize; 2]) -> Range {
        self.code(value, channel, at).map_or(self.ranges[&value][channel], Range::one)
    }

    /// The classes of an activation `[1, H, W, C]`.
    pub fn grid(&self, graph: &Graph, value: ValueId) -> Grid {
        self.classed.get(&value).map_or_else(|| Grid::one(size_of(graph.shape(value))), |c| c.grid.clone())
    }
}

/// Rows and columns.
pub fn size_of(shape: &Shape) -> [usize; 2] {
    shape.hwc().map_or([1, 1], |[h, w, _]| [h, w])
}

/// Everything that is known, with up to `most` classes of pixels an activation.
pub fn of(graph: &Graph, quant: &QuantTable, most: usize) -> Known {
    let mut known = Known { most, ..Known::default() };
    for &input in &graph.inputs {
        // The caller writes codes as it likes.
        known.ranges.insert(input, vec![Range::ANY; graph.shape(input).channels()]);
    }
    for &id in graph.order() {
        let output = graph.node(id).output;
        let mut ranges = super::ranges::node(graph, quant, id, &known.ranges);
        flattened(graph, id, &known, &mut ranges);
        known.ranges.insert(output, ranges);
        let Some(classed) = node(graph, quant, id, &known).map(merged) else { continue };
        let [rows, columns] = classed.grid.counts();
        if rows * columns > most {
            known.exceeded = true;
        } else if !classed.codes.is_empty() {
            known.classed.insert(output, classed);
        }
    }
    known
}

/// All elements of a map behind each other: each pixel has channels of its own.
fn flattened(graph: &Graph, id: NodeId, known: &Known, ranges: &mut [Range]) {
    let node = graph.node(id);
    let input = node.inputs[0];
    let shape = graph.shape(input);
    let Some([_, w, c]) = shape.hwc().filter(|_| node.op == Op::Reshape) else { return };
    if ranges.len() == shape.elements() && known.classed.contains_key(&input) {
        for (i, range) in ranges.iter_mut().enumerate() {
            *range = known.range(input, i % c, [i / c / w, i / c % w]);
        }
    }
}

/// Classes that hold the same codes are one.
fn merged(classed: Classed) -> Classed {
    let (axes, across) = (&classed.grid.axes, classed.grid.counts()[1]);
    let size = [axes[0].len(), axes[1].len()];
    let grid = Grid::of(size, |axis, at| -> Vec<i8> {
        let class = axes[axis][at];
        let of_line = |codes: &Vec<i8>| -> Vec<i8> {
            match axis {
                0 => codes[class * across..][..across].to_vec(),
                _ => codes.iter().skip(class).step_by(across).copied().collect(),
            }
        };
        classed.codes.values().flat_map(of_line).collect()
    });
    let old = |[y, x]: [usize; 2]| axes[0][y] * across + axes[1][x];
    let pixels = grid.pixels();
    let of_channel = |codes: &Vec<i8>| pixels.iter().map(|&at| codes[old(at)]).collect();
    let codes = classed.codes.iter().map(|(&c, codes)| (c, of_channel(codes))).collect();
    Classed { grid, codes }
}

/// The channels of a node's output that are known by class and are not one code.
fn node(graph: &Graph, quant: &QuantTable, id: NodeId, known: &Known) -> Option<Classed> {
    let node = graph.node(id);
    let (input, output) = (node.inputs[0], node.output);
    let [in_size, size] = [input, output].map(|value| size_of(graph.shape(value)));
    let (given, out) = (quant.activation(input), quant.activation(output));
    let is_map = graph.shape(output).hwc().is_some() && graph.shape(input).hwc().is_some();
    let channels = graph.shape(output).channels();
    let grids = |known: &Known| -> Vec<Grid> {
        graph.activations(id).into_iter().map(|value| known.grid(graph, value)).collect()
    };
    let grid = match &node.op {
        _ if !is_map => return None,
        Op::Conv(conv) => known.grid(graph, input).behind(&conv.window, in_size, size),
        Op::Pool(pool) => {
            let before = known.grid(graph, input);
            Grid::of(size, |axis, at| {
                let cells = pool.inside(axis, at, in_size[axis]).map(|i| before.axes[axis][i]);
                (cells.collect::<Vec<_>>(), pool.counted(axis, at, in_size[axis]))
            })
        }
        Op::Unary(_) => known.grid(graph, input),
        Op::Binary(_) if graph.shape(node.inputs[0]) != graph.shape(node.inputs[1]) => return None,
        Op::Concat(axis) if axis + 1 != graph.shape(output).rank() => return None,
        Op::Binary(_) | Op::Concat(_) => {
            let grids = grids(known);
            Grid::of(size, |axis, at| grids.iter().map(|grid| grid.axes[axis][at]).collect::<Vec<_>>())
        }
        _ => return None,
    };
    let pixels = grid.pixels();
    if pixels.len() < 2 {
        return None;
    }
    let table = match &node.op {
        Op::Unary(chain) => {
            let codes: Vec<i8> = (i8::MIN..=i8::MAX).collect();
            let every = QTensor { shape: Shape(vec![256]), codes, params: given };
            unary::reference(chain, &every, node.clamp, out)
        }
        _ => Vec::new(),
    };
    let code = |channel: usize, at: [usize; 2]| -> Option<i8> {
        match &node.op {
            Op::Conv(conv) => {
                let layer = Layer { conv, quant: quant.layer(id), input, given, out, outputs: channels };
                layer.code(known, in_size, graph.shape(node.inputs[1]).channels(), channel, at)
            }
            Op::Pool(pool) => pooled(pool, known, input, [in_size, at], channel, [given, out]),
            Op::Unary(_) => {
                known.code(input, channel, at).map(|code| table[(i32::from(code) + 128) as usize])
            }
            Op::Binary(op) => {
                let [a, b] = [node.inputs[0], node.inputs[1]];
                let ranges = [a, b].map(|value| known.range(value, channel, at));
                combined(*op, ranges, [a, b].map(|value| quant.activation(value)), out).constant()
            }
            _ => {
                let mut channel = channel;
                for &value in &node.inputs {
                    let own = graph.shape(value).channels();
                    if channel < own {
                        return known.code(value, channel, at);
                    }
                    channel -= own;
                }
                None
            }
        }
    };
    let unknown = |&channel: &usize| known.ranges[&output][channel].constant().is_none();
    let codes = (0..channels).filter(unknown).filter_map(|channel| {
        let codes: Option<Vec<i8>> = pixels.iter().map(|&at| code(channel, at)).collect();
        Some((channel, codes?))
    });
    Some(Classed { codes: codes.collect(), grid })
}

/// A convolution.
struct Layer<'a> {
    conv: &'a Conv,
    quant: &'a LayerQuant,
    input: ValueId,
    given: QuantParams,
    out: QuantParams,
    outputs: usize,
}

impl Layer<'_> {
    /// The code of an output channel at a pixel, if all inputs give the same.
    fn code(
        &self,
        known: &Known,
        size: [usize; 2],
        per_group: usize,
        channel: usize,
        at: [usize; 2],
    ) -> Option<i8> {
        let window = &self.conv.window;
        let pad = Range::one(self.given.code(f64::from(self.conv.pad_value)));
        let first = channel / (self.outputs / self.conv.groups) * per_group;
        let per_channel = self.quant.weights.len() / self.outputs;
        let weights = &self.quant.weights[channel * per_channel..][..per_channel];
        let mut acc = [i64::from(self.quant.bias[channel]); 2];
        for (tap, weights) in weights.chunks(per_group).enumerate() {
            let taps = [tap / window.kernel[1], tap % window.kernel[1]];
            let place = |axis: usize| window.position(axis, at[axis], taps[axis], size[axis]);
            let place = place(0).zip(place(1));
            for (i, &w) in weights.iter().enumerate().filter(|(_, w)| **w != 0) {
                let range = place.map_or(pad, |(y, x)| known.range(self.input, first + i, [y, x]));
                let ends = product(range, self.given.zero_point, w);
                acc = [acc[0] + ends[0], acc[1] + ends[1]];
            }
        }
        let [lo, hi] = acc.map(|acc| requantize(acc, self.quant.multipliers[channel], &self.out));
        (lo == hi).then_some(lo)
    }
}

/// The code of a pooled channel at a pixel, if those under its window are known.
fn pooled(
    pool: &Pool,
    known: &Known,
    input: ValueId,
    [size, at]: [[usize; 2]; 2],
    channel: usize,
    [given, out]: [QuantParams; 2],
) -> Option<i8> {
    let columns: Vec<usize> = pool.inside(1, at[1], size[1]).collect();
    let cells = pool.inside(0, at[0], size[0]).flat_map(|y| columns.iter().map(move |&x| [y, x]));
    let codes: Vec<i8> = cells.map(|cell| known.code(input, channel, cell)).collect::<Option<_>>()?;
    if pool.kind == Kind::Max {
        return codes.iter().max().map(|code| (*code).clamp(out.lo, out.hi));
    }
    let counted = pool.counted(0, at[0], size[0]) * pool.counted(1, at[1], size[1]);
    let sum = codes.iter().map(|&q| i64::from(q) - i64::from(given.zero_point)).sum();
    // Lowering refuses a mean without a multiplier.
    pool::multiplier(&given, &out, counted).map(|m| requantize(sum, m, &out))
}
