//! How a kernel walks through its operand, and how far its output may reach
//! into the operand's bytes.
//!
//! In: a [`Kernel`]. Out: a [`Sweep`]: which input rows each step reads, which
//! output rows it writes, in which orders; and the distances that follow.
//! Invariant: an output that starts at the distance or farther away overwrites
//! no row that its own step or a later one reads. Nothing is assumed about the
//! order of accesses within a step.

use std::ops::Range;

use tinyc_runtime::kernels::{depthwise_lanes, depthwise_lines, depthwise_quad};

use super::Kernel;

/// The order in which the output rows are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowOrder {
    /// From the first row to the last: the output may lie a little below its operand.
    #[default]
    Forward,
    /// From the last row to the first: the output may lie a little above.
    Backward,
}

/// Steps that read windows of input rows and write output rows. For kernels
/// that finish pixel after pixel, a row is a single pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Rows of the input.
    pub in_rows: usize,
    /// Bytes of an input row.
    pub in_row_bytes: usize,
    /// Rows of the output.
    pub out_rows: usize,
    /// Bytes of an output row.
    pub out_row_bytes: usize,
    /// Rows of the window.
    pub kernel: usize,
    /// Input rows from one output row to the next.
    pub stride: usize,
    /// Rows of padding above the input.
    pub pad: usize,
    /// Input rows from one row of the window to the next.
    pub dilation: usize,
    /// Output rows that a step writes, at least 1; fewer in the last step.
    pub rows_per_step: usize,
}

impl Walk {
    /// The input rows in the window of an output row.
    pub fn rows_read(&self, out_row: usize) -> impl Iterator<Item = usize> + use<> {
        let Walk { in_rows, kernel, stride, pad, dilation, .. } = *self;
        (0..kernel)
            .filter_map(move |tap| (out_row * stride + tap * dilation).checked_sub(pad))
            .filter(move |&row| row < in_rows)
    }

    /// The output rows of each step, in their order.
    pub fn steps(&self, order: RowOrder) -> Vec<Range<usize>> {
        let starts = (0..self.out_rows).step_by(self.rows_per_step);
        let mut steps: Vec<Range<usize>> =
            starts.map(|y| y..(y + self.rows_per_step).min(self.out_rows)).collect();
        if order == RowOrder::Backward {
            steps.reverse();
        }
        steps
    }

    /// Bytes by which the output must start below the operand when rows are made
    /// forward: the largest lead of what a step has written over what it and
    /// later steps still read,
    /// `max over y of ((y + 1) * out_row - first row read from y on * in_row)`.
    /// At most the bytes of the output, at which the two lie apart.
    pub fn below_bytes(&self) -> usize {
        let (mut first, mut distance) = (None, 0);
        for step in self.steps(RowOrder::Backward) {
            let end = step.end * self.out_row_bytes;
            first = step.flat_map(|y| self.rows_read(y)).chain(first).min();
            if let Some(row) = first {
                distance = distance.max(end.saturating_sub(row * self.in_row_bytes));
            }
        }
        distance
    }

    /// Bytes by which the output must start above the start of the operand when
    /// rows are made backward:
    /// `max over y of (end of the last row read up to y * in_row - y * out_row)`.
    /// At most [`Walk::reach_bytes`].
    pub fn above_bytes(&self) -> usize {
        let (mut end, mut distance) = (0, 0);
        for step in self.steps(RowOrder::Forward) {
            let start = step.start * self.out_row_bytes;
            end = step.map(|y| self.end_read(y)).chain([end]).max().unwrap_or(0);
            distance = distance.max(end.saturating_sub(start));
        }
        distance
    }

    /// Where in the operand the last byte ends that is ever read: strides may
    /// leave rows behind it that nobody needs.
    pub fn reach_bytes(&self) -> usize {
        (0..self.out_rows).map(|y| self.end_read(y)).max().unwrap_or(0)
    }

    fn end_read(&self, out_row: usize) -> usize {
        self.rows_read(out_row).max().map_or(0, |row| (row + 1) * self.in_row_bytes)
    }
}

/// The walks of a kernel through its only operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// How its `run` walks.
    pub forward: Walk,
    /// How its `run_back` walks; `None` for a kernel without.
    pub backward: Option<Walk>,
}

impl Sweep {
    /// The walk in an order; `None` where the kernel cannot.
    pub fn walk(&self, order: RowOrder) -> Option<Walk> {
        match order {
            RowOrder::Forward => Some(self.forward),
            RowOrder::Backward => self.backward,
        }
    }

    /// Bytes by which the output must start below the operand, or more.
    pub fn below_bytes(&self) -> usize {
        self.forward.below_bytes()
    }

    /// Bytes by which the output must start above the operand's start, or more.
    pub fn above_bytes(&self) -> usize {
        self.backward.map_or_else(|| self.forward.reach_bytes(), |walk| walk.above_bytes())
    }

    /// The order that suits an output at one offset of an operand at another;
    /// backward only where they overlap.
    pub fn order(&self, output_offset: usize, operand_offset: usize) -> RowOrder {
        let above = output_offset > operand_offset;
        let apart = output_offset >= operand_offset + self.forward.reach_bytes();
        if above && !apart && self.backward.is_some() { RowOrder::Backward } else { RowOrder::Forward }
    }
}

/// The walk of a kernel of windows whose parameters have the usual names.
macro_rules! windows {
    ($p:expr, $out_c:expr) => {
        sweep(
            Walk {
                in_rows: $p.in_h,
                in_row_bytes: $p.in_w * $p.in_c,
                out_rows: $p.out_h,
                out_row_bytes: $p.out_w * $out_c,
                kernel: $p.kernel_h,
                stride: $p.stride_h,
                pad: $p.pad_top,
                dilation: $p.dilation_h,
                rows_per_step: 1,
            },
            [$p.kernel_w, $p.stride_w].iter().all(|&n| n == 1) && $p.pad_left == 0 && $p.in_w == $p.out_w,
            $p.in_w,
        )
    };
}

/// The walk of a kernel that makes pixels in pairs: through all rows where it is
/// pointwise; otherwise a pair may take the last pixel of a row and the first of
/// the next.
macro_rules! pixel_pairs {
    ($p:expr) => {
        if $p.pointwise() {
            Walk {
                in_rows: $p.in_h * $p.in_w,
                in_row_bytes: $p.in_c,
                out_rows: $p.out_h * $p.out_w,
                out_row_bytes: $p.out_c,
                kernel: 1,
                stride: 1,
                pad: 0,
                dilation: 1,
                rows_per_step: 2,
            }
        } else {
            Walk {
                in_rows: $p.in_h,
                in_row_bytes: $p.in_w * $p.in_c,
                out_rows: $p.out_h,
                out_row_bytes: $p.out_w * $p.out_c,
                kernel: $p.kernel_h,
                stride: $p.stride_h,
                pad: $p.pad_top,
                dilation: $p.dilation_h,
                rows_per_step: if $p.out_w.is_multiple_of(2) { 1 } else { 2 },
            }
        }
    };
}

/// Row by row, in both orders. Where every output pixel has its one input pixel
/// the forward walk goes by pixels, since they are made in the order in which
/// they lie; the backward walk goes forward within a row.
fn sweep(rows: Walk, own_columns: bool, columns: usize) -> Sweep {
    let own_rows = rows.kernel == 1 && rows.stride == 1 && rows.pad == 0 && rows.in_rows == rows.out_rows;
    let forward = if own_rows && own_columns && columns > 0 {
        Walk {
            in_rows: rows.in_rows * columns,
            in_row_bytes: rows.in_row_bytes / columns,
            out_rows: rows.out_rows * columns,
            out_row_bytes: rows.out_row_bytes / columns,
            ..rows
        }
    } else {
        rows
    };
    Sweep { forward, backward: Some(rows) }
}

/// A kernel whose `run` knows one order.
fn forward_only(forward: Walk) -> Sweep {
    Sweep { forward, backward: None }
}

/// The rows of a depthwise convolution 3 x 3, four channels at a time.
pub(super) fn quad_walk(p: &depthwise_quad::Params) -> Walk {
    Walk {
        in_rows: p.in_h,
        in_row_bytes: p.in_w * p.channels,
        out_rows: p.out_h,
        out_row_bytes: p.out_w * p.channels,
        kernel: 3,
        stride: p.stride,
        pad: p.pad_top,
        dilation: 1,
        rows_per_step: p.step_rows(),
    }
}

/// The rows of one of any kernel.
pub(super) fn lines_walk(p: &depthwise_lines::Params) -> Walk {
    Walk {
        in_rows: p.in_h,
        in_row_bytes: p.in_w * p.channels,
        out_rows: p.out_h,
        out_row_bytes: p.out_w * p.channels,
        kernel: p.kernel_h,
        stride: p.stride_h,
        pad: p.pad_top,
        dilation: 1,
        rows_per_step: p.step_rows(),
    }
}

/// The rows of one in vectors.
pub(super) fn lanes_walk(p: &depthwise_lanes::Params) -> Walk {
    Walk {
        in_rows: p.in_h,
        in_row_bytes: p.in_w * p.in_c,
        out_rows: p.out_h,
        out_row_bytes: p.out_w * p.in_c,
        kernel: 3,
        stride: p.stride_h,
        pad: p.pad_top,
        dilation: p.dilation_h,
        rows_per_step: 1,
    }
}

fn both_ways(walk: Walk) -> Sweep {
    Sweep { forward: walk, backward: Some(walk) }
}

impl Kernel {
    /// How the kernel walks through its only operand; `None` where the output
    /// must lie apart from it (or in place, which operators declare themselves).
    ///
    /// A kernel that writes several rows at a time, or pixels across the ends of
    /// rows, says so in its `rows_per_step`.
    pub fn sweep(&self) -> Option<Sweep> {
        match self {
            Kernel::Bordered(p) => p.even().sweep().map(|sweep| forward_only(sweep.forward)),
            Kernel::Conv2d(p) => Some(windows!(p, p.out_c)),
            Kernel::Depthwise(p) => Some(windows!(p, p.out_c)),
            Kernel::MaxPool(p) => Some(windows!(p, p.in_c)),
            Kernel::AvgPool(p) => Some(windows!(p, p.in_c)),
            Kernel::DepthwiseWindow(p) => Some(windows!(p, p.in_c)),
            Kernel::ConvTile(p) => Some(forward_only(pixel_pairs!(p))),
            Kernel::ConvWindow(p) => Some(forward_only(pixel_pairs!(p))),
            // Where a pixel has its own window, two at a time are read and written.
            Kernel::ConvLanes(p) if p.pointwise() => Some(forward_only(pixel_pairs!(p))),
            Kernel::ConvLanes(p) => Some(forward_only(windows!(p, p.out_c).forward)),
            Kernel::DepthwiseLanes(p) => Some(both_ways(lanes_walk(p))),
            // A strip of tiles. It looks at all rows of its last window, but outputs
            // that exist depend on those of their own windows alone.
            Kernel::ConvWinograd(p) => Some(forward_only(Walk {
                in_rows: p.in_h,
                in_row_bytes: p.in_w * p.in_c,
                out_rows: p.out_h,
                out_row_bytes: p.out_w * p.out_c,
                kernel: 3,
                stride: 1,
                pad: p.pad_top,
                dilation: 1,
                rows_per_step: p.tile_h,
            })),
            // Channel after channel over the rows of a step.
            Kernel::DepthwiseQuad(p) => Some(both_ways(quad_walk(p))),
            Kernel::DepthwiseLines(p) => Some(both_ways(lines_walk(p))),
            // Several pixels of a row share the reading of a weight.
            Kernel::Sparse(p) => Some(forward_only(Walk {
                in_rows: p.in_h,
                in_row_bytes: p.in_w * p.in_c,
                out_rows: p.out_h,
                out_row_bytes: p.out_w * p.out_c,
                kernel: p.kernel_h,
                stride: p.stride_h,
                pad: p.pad_top,
                dilation: p.dilation_h,
                rows_per_step: 1,
            })),
            _ => None,
        }
    }
}
