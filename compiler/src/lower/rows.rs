//! How a kernel is driven row by row.
//!
//! In: a [`Kernel`] and the shape that it makes. Out: [`RowForm`]: which input rows
//! each unit of its work reads and which output row it writes; how many units it
//! likes to do in one step. Invariant: what a unit reads and writes is here and
//! nowhere else; the kernel's `run_rows` does exactly that.
//!
//! The unit of a window kernel is an output row. That of a mean over all rows is an
//! input row: it adds up, and its last unit writes the only output row.

use tinyc_runtime::kernels::{
    conv_lanes, conv_tile, conv_window, conv_winograd, depthwise_lanes, depthwise_lines, depthwise_quad,
    depthwise_window, join, pool_rows, sparse,
};

use super::Kernel;
use super::sweep::{Walk, lanes_walk, lines_walk, quad_walk};
use crate::ops::conv::lower_lanes;
use crate::ops::conv::lower_tile::with_row_strip;

/// How a kernel works row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowForm {
    /// Which input rows make which output row; `rows_per_step` is not used.
    pub walk: Walk,
    /// Whether rows are added up to a single output row.
    pub gathers: bool,
    /// Whether the output rows of one step must follow each other.
    pub adjacent: bool,
    /// The most units of one step.
    pub most_units: usize,
    /// Bytes of a row of the operands behind the first, where there are any.
    pub more_row_bytes: [usize; join::MOST - 1],
}

/// Rows that a step may resolve: what the emitted code keeps on the stack.
pub const MOST_WINDOW: usize = 128;
/// Units of a step that no kernel needs more of.
pub const MOST_UNITS: usize = 32;

impl RowForm {
    /// Bytes of a row of an operand.
    pub fn in_row_bytes(&self, operand: usize) -> usize {
        if operand == 0 { self.walk.in_row_bytes } else { self.more_row_bytes[operand - 1] }
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        if self.gathers { self.walk.in_rows } else { self.walk.out_rows }
    }

    /// The input rows that a unit reads.
    pub fn reads(&self, unit: usize) -> impl Iterator<Item = usize> + use<> {
        let (walk, gathers) = (self.walk, self.gathers);
        let own = gathers.then_some(unit);
        let rows = (!gathers).then(|| walk.rows_read(unit));
        own.into_iter().chain(rows.into_iter().flatten())
    }

    /// The output row that a unit finishes.
    pub fn writes(&self, unit: usize) -> Option<usize> {
        if self.gathers { (unit + 1 == self.units()).then_some(0) } else { Some(unit) }
    }

    /// The unit that finishes an output row.
    pub fn unit_of(&self, row: usize) -> usize {
        if self.gathers { self.units() - 1 } else { row }
    }

    /// Input rows that the window of `count` units in a row spans.
    pub fn window_rows(&self, count: usize) -> usize {
        self.walk.kernel * count
    }
}

/// The rows of element-wise kernels: `out[i]` of `in[i]`.
fn own_rows([h, w, c]: [usize; 3]) -> RowForm {
    let walk = Walk {
        in_rows: h,
        in_row_bytes: w * c,
        out_rows: h,
        out_row_bytes: w * c,
        kernel: 1,
        stride: 1,
        pad: 0,
        dilation: 1,
        rows_per_step: 1,
    };
    let more_row_bytes = [w * c; join::MOST - 1];
    RowForm { walk, gathers: false, adjacent: false, most_units: MOST_UNITS, more_row_bytes }
}

/// The rows of kernels whose parameters have the usual names.
macro_rules! windows {
    ($p:expr, $out_c:expr) => {
        RowForm {
            walk: Walk {
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
            gathers: false,
            adjacent: false,
            most_units: MOST_UNITS,
            more_row_bytes: [0; join::MOST - 1],
        }
    };
}

impl Kernel {
    /// How the kernel works row by row; `None` for kernels that need whole tensors.
    /// `shape` is that of the output, `[H, W, C]`.
    pub fn row_form(&self, shape: [usize; 3]) -> Option<RowForm> {
        let same = |strides: [[usize; 4]; 2], dims: [usize; 4]| {
            tinyc_runtime::kernels::strides::joined(dims, strides[0], strides[1])
                == Some((shape.iter().product(), 1, 1))
        };
        let form = match self {
            Kernel::Bordered(p) => return p.even().row_form(shape),
            Kernel::Conv2d(p) => windows!(p, p.out_c),
            Kernel::Depthwise(p) => windows!(p, p.out_c),
            Kernel::MaxPool(p) => windows!(p, p.in_c),
            Kernel::AvgPool(p) if pool_rows::serves(p) => RowForm { gathers: true, ..windows!(p, p.in_c) },
            Kernel::AvgPool(p) => windows!(p, p.in_c),
            Kernel::ConvTile(p) => windows!(p, p.out_c),
            Kernel::Sparse(p) => windows!(p, p.out_c),
            Kernel::ConvWindow(p) => windows!(p, p.out_c),
            Kernel::DepthwiseWindow(p) => windows!(p, p.in_c),
            Kernel::ConvLanes(p) => windows!(p, p.out_c),
            Kernel::DepthwiseLanes(p) => RowForm {
                walk: Walk { rows_per_step: 1, ..lanes_walk(p) },
                gathers: false,
                adjacent: false,
                most_units: MOST_UNITS,
                more_row_bytes: [0; join::MOST - 1],
            },
            // A step is up to a tile of rows high.
            Kernel::ConvWinograd(p) => RowForm {
                walk: Walk {
                    in_rows: p.in_h,
                    in_row_bytes: p.in_w * p.in_c,
                    out_rows: p.out_h,
                    out_row_bytes: p.out_w * p.out_c,
                    kernel: 3,
                    stride: 1,
                    pad: p.pad_top,
                    dilation: 1,
                    rows_per_step: 1,
                },
                gathers: false,
                adjacent: false,
                most_units: p.tile_h,
                more_row_bytes: [0; join::MOST - 1],
            },
            Kernel::DepthwiseQuad(p) => RowForm {
                walk: Walk { rows_per_step: 1, ..quad_walk(p) },
                gathers: false,
                adjacent: true,
                most_units: MOST_UNITS,
                more_row_bytes: [0; join::MOST - 1],
            },
            Kernel::DepthwiseLines(p) => RowForm {
                walk: Walk { rows_per_step: 1, ..lines_walk(p) },
                gathers: false,
                adjacent: true,
                most_units: MOST_UNITS,
                more_row_bytes: [0; join::MOST - 1],
            },
            Kernel::Add(p) if same([p.a_strides, p.b_strides], p.shape) => own_rows(shape),
            Kernel::Mul(p) if same([p.a_strides, p.b_strides], p.shape) => own_rows(shape),
            Kernel::Lut(_) => own_rows(shape),
            Kernel::Join(p) if p.rows == shape[0] => {
                let own = own_rows(shape);
                let [first, more @ ..] = p.lens.map(|len| p.width * len);
                RowForm { walk: Walk { in_row_bytes: first, ..own.walk }, more_row_bytes: more, ..own }
            }
            _ => return None,
        };
        (form.walk.kernel > 0 && form.walk.kernel <= MOST_WINDOW).then_some(form)
    }

    /// The same work on `units` units alone: for estimates, and for what depends on the
    /// rows of a step.
    pub fn of_units(&self, units: usize) -> Kernel {
        let mut kernel = *self;
        match &mut kernel {
            Kernel::Bordered(p) => return p.of(p.even().of_units(units)),
            Kernel::Conv2d(p) => p.out_h = units,
            Kernel::Depthwise(p) => p.out_h = units,
            Kernel::MaxPool(p) => p.out_h = units,
            Kernel::AvgPool(p) if pool_rows::serves(p) => p.kernel_h = units,
            Kernel::AvgPool(p) => p.out_h = units,
            Kernel::ConvTile(p) => p.out_h = units,
            Kernel::Sparse(p) => p.out_h = units,
            Kernel::ConvWindow(p) => p.out_h = units,
            Kernel::DepthwiseWindow(p) => p.out_h = units,
            Kernel::ConvLanes(p) => p.out_h = units,
            Kernel::DepthwiseLanes(p) => p.out_h = units,
            Kernel::DepthwiseQuad(p) => {
                (p.out_h, p.rows) = (units, units);
                p.in_h = p.in_h.min((units.max(1) - 1) * p.stride + 3);
            }
            Kernel::DepthwiseLines(p) => {
                (p.out_h, p.rows) = (units, units);
                p.in_h = p.in_h.min((units.max(1) - 1) * p.stride_h + p.kernel_h);
            }
            Kernel::ConvWinograd(p) => p.out_h = units,
            _ => {}
        }
        kernel
    }

    /// The kernel as it runs with up to `units` units a step, and with no more scratch
    /// than `strip_bytes` where it can choose.
    pub fn for_steps(&self, units: usize, strip_bytes: usize) -> Kernel {
        match self {
            Kernel::Bordered(p) => p.of(p.even().for_steps(units, strip_bytes)),
            Kernel::ConvTile(p) => Kernel::ConvTile(with_row_strip(*p, strip_bytes)),
            Kernel::ConvLanes(p) => Kernel::ConvLanes(lower_lanes::with_strip(*p, strip_bytes)),
            Kernel::DepthwiseQuad(p) => Kernel::DepthwiseQuad(depthwise_quad::Params { rows: units, ..*p }),
            Kernel::DepthwiseLines(p) => {
                Kernel::DepthwiseLines(depthwise_lines::Params { rows: units, ..*p })
            }
            other => *other,
        }
    }

    /// Private bytes of a step of up to `units` units, or, of a mean over all rows,
    /// those that hold its sums.
    pub fn row_scratch_bytes(&self, units: usize) -> usize {
        match self.of_units(units) {
            Kernel::Bordered(_) => self.even().row_scratch_bytes(units),
            Kernel::AvgPool(_) => match self {
                Kernel::AvgPool(p) if pool_rows::serves(p) => pool_rows::scratch_bytes(p),
                _ => 0,
            },
            Kernel::DepthwiseQuad(p) => depthwise_quad::scratch_bytes(&p),
            Kernel::DepthwiseLines(p) => depthwise_lines::scratch_bytes(&p),
            Kernel::ConvWinograd(p) => conv_winograd::scratch_bytes(&p),
            Kernel::Sparse(p) => sparse::scratch_bytes(&p),
            Kernel::ConvWindow(p) => match self {
                // Its pixels may be those of a whole tensor, which a few rows are not.
                Kernel::ConvWindow(whole) => {
                    conv_window::scratch_bytes(whole).max(conv_window::scratch_bytes(&p))
                }
                _ => 0,
            },
            Kernel::DepthwiseWindow(p) => depthwise_window::scratch_bytes(&p),
            // Whether windows are padded, the whole tensor says.
            Kernel::ConvLanes(_) | Kernel::DepthwiseLanes(_) => match self {
                Kernel::ConvLanes(whole) => conv_lanes::scratch_bytes(whole),
                Kernel::DepthwiseLanes(whole) => depthwise_lanes::scratch_bytes(whole),
                _ => 0,
            },
            Kernel::ConvTile(p) => conv_tile::scratch_bytes(self.tile().unwrap_or(&p)),
            _ => 0,
        }
    }

    fn tile(&self) -> Option<&conv_tile::Params> {
        match self {
            Kernel::ConvTile(p) => Some(p),
            _ => None,
        }
    }

    /// The most units that a step of the kernel may have.
    pub fn most_units(&self, form: &RowForm) -> usize {
        let most = match self {
            Kernel::Bordered(p) => return p.even().most_units(form),
            Kernel::DepthwiseQuad(p) => depthwise_quad::MOST_ROWS / p.stride,
            Kernel::DepthwiseLines(p) => p.most_rows(),
            Kernel::ConvTile(_) | Kernel::ConvWindow(_) => MOST_WINDOW / form.walk.kernel,
            Kernel::ConvWinograd(p) => p.tile_h,
            _ => form.most_units,
        };
        most.min(MOST_UNITS).min(form.units()).max(1)
    }
}
