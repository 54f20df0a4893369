//! What an op's `lower.rs` produces: calls into the runtime.
//!
//! In: a node of a quantized graph. Out: [`Lowered`]: kernel calls with their
//! parameters (the runtime's own structs), packed constants and scratch sizes.
//! Invariant: a call names a kernel and its parameters, never code; everything
//! that decides bytes is in the parameters and the constants.

pub mod rows;
pub mod sweep;

use tinyc_runtime::kernels::{
    add, avg_pool, conv_lanes, conv_tile, conv_window, conv_winograd, conv2d, copy, dense, dense_lanes,
    dense_tile, depthwise, depthwise_lanes, depthwise_lines, depthwise_quad, depthwise_window, join, lut,
    max_pool, mul, softmax, sparse,
};

use crate::ir::ValueId;

/// A kernel of the runtime with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// General convolution.
    Conv2d(conv2d::Params),
    /// Depthwise convolution.
    Depthwise(depthwise::Params),
    /// Fully connected.
    Dense(dense::Params),
    /// Convolution without groups, two pixels and four channels at once.
    ConvTile(conv_tile::Params),
    /// A convolution whose biases differ at borders.
    Bordered(Bordered),
    /// Convolution 3 x 3, stride 1, without groups, with transformed weights.
    ConvWinograd(conv_winograd::Params),
    /// Convolution without groups or fully connected, over the weights that are not zero.
    Sparse(sparse::Params),
    /// Convolution without groups over gathered windows, two pixels and four channels at once.
    ConvWindow(conv_window::Params),
    /// Depthwise convolution over gathered windows.
    DepthwiseWindow(depthwise_window::Params),
    /// Convolution without groups in vectors of 16 codes.
    ConvLanes(conv_lanes::Params),
    /// Depthwise convolution 3 x 3 in vectors of 16 channels.
    DepthwiseLanes(depthwise_lanes::Params),
    /// Fully connected in vectors of 16 codes.
    DenseLanes(dense_lanes::Params),
    /// Depthwise convolution 3 x 3, four channels at a time.
    DepthwiseQuad(depthwise_quad::Params),
    /// Depthwise convolution of any kernel, four channels at a time.
    DepthwiseLines(depthwise_lines::Params),
    /// Fully connected, four outputs at once.
    DenseTile(dense_tile::Params),
    /// Maximum over windows.
    MaxPool(max_pool::Params),
    /// Mean over windows.
    AvgPool(avg_pool::Params),
    /// Weighted sum of two tensors.
    Add(add::Params),
    /// Product of two tensors.
    Mul(mul::Params),
    /// 256-byte table.
    Lut(lut::Params),
    /// Softmax of rows.
    Softmax(softmax::Params),
    /// Strided copy.
    Copy(copy::Params),
    /// Two tensors side by side.
    Join(join::Params),
}

/// A convolution whose biases differ at borders. A file beside its kernel's, whose name
/// ends in `_borders`, computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bordered {
    /// The convolution.
    pub conv: BorderedConv,
    /// Output pixels that add to the bias.
    pub pixels: usize,
}

/// The convolutions that may have such biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BorderedConv {
    /// See [`Kernel::Conv2d`].
    Conv2d(conv2d::Params),
    /// See [`Kernel::ConvTile`].
    ConvTile(conv_tile::Params),
    /// See [`Kernel::ConvWindow`].
    ConvWindow(conv_window::Params),
}

impl Bordered {
    /// The kernel for biases that do not differ, which goes the same way.
    pub fn even(&self) -> Kernel {
        match self.conv {
            BorderedConv::Conv2d(p) => Kernel::Conv2d(p),
            BorderedConv::ConvTile(p) => Kernel::ConvTile(p),
            BorderedConv::ConvWindow(p) => Kernel::ConvWindow(p),
        }
    }

    /// The same with another convolution of its kind.
    fn of(&self, kernel: Kernel) -> Kernel {
        let conv = match kernel {
            Kernel::Conv2d(p) => BorderedConv::Conv2d(p),
            Kernel::ConvTile(p) => BorderedConv::ConvTile(p),
            Kernel::ConvWindow(p) => BorderedConv::ConvWindow(p),
            other => return other,
        };
        Kernel::Bordered(Bordered { conv, ..*self })
    }
}

impl Kernel {
    /// The kernel that goes the same way, with biases that do not differ at borders.
    pub fn even(&self) -> Kernel {
        match self {
            Kernel::Bordered(bordered) => bordered.even(),
            other => *other,
        }
    }

    /// The kernel for whole tensors, whose rows follow each other: a mean of all pixels
    /// has a single row of them.
    #[must_use]
    pub fn whole(self) -> Kernel {
        match self {
            Kernel::AvgPool(p)
                if [p.out_h, p.out_w] == [1, 1]
                    && [p.kernel_h, p.kernel_w] == [p.in_h, p.in_w]
                    && [p.dilation_h, p.dilation_w] == [1, 1]
                    && [p.pad_top, p.pad_left, p.pad_bottom, p.pad_right] == [0; 4] =>
            {
                let pixels = p.in_h * p.in_w;
                Kernel::AvgPool(avg_pool::Params {
                    in_h: 1,
                    in_w: pixels,
                    kernel_h: 1,
                    kernel_w: pixels,
                    ..p
                })
            }
            _ => self,
        }
    }
}

/// Which kernels a machine runs best. All sets give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KernelSet {
    /// The general ones, of which the compiler for the machine makes something.
    #[default]
    General,
    /// Those whose data suit instructions that multiply two 16-bit pairs.
    Tiles,
    /// Those of `Tiles`, by what they cost on a core that issues two instructions at once.
    DualTiles,
    /// Those for one product at a time with few registers.
    Windows,
    /// Those for vectors of 16 codes.
    Lanes,
}

impl KernelSet {
    /// Whether it has the kernels of `Tiles`.
    #[must_use]
    pub const fn has_tiles(self) -> bool {
        matches!(self, Self::Tiles | Self::DualTiles)
    }
}

/// One kernel call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which kernel, with what parameters.
    pub kernel: Kernel,
    /// Constants in flash, in the order in which the kernel reads them.
    pub consts: Constants,
    /// The activations that it reads.
    pub inputs: Vec<ValueId>,
    /// Private bytes within the arena while it runs.
    pub scratch_bytes: usize,
}

/// A node as runtime calls; all of them write the node's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered {
    /// In order; none for a view (the output is the input under another shape).
    pub calls: Vec<Call>,
    /// Positions in `Call::inputs` of the operands whose very bytes the output may
    /// take, should the operand die there: each has as many elements as the output,
    /// and its element `i` is not read after the output's element `i` is written.
    /// Empty where the output must lie apart. One at most is used.
    pub in_place: Vec<usize>,
    /// Whether the output is the node's operands, one after the other, and call `i` copies
    /// operand `i` to its place and does nothing else: a planner may let who makes an
    /// operand write it there.
    pub side_by_side: bool,
    /// Operands that are written where they lie in the output, with their first byte there;
    /// a planner's decision, after which no call copies them.
    pub shown: Vec<(ValueId, usize)>,
}

impl Lowered {
    /// No call: the output is the input's bytes.
    pub fn view() -> Lowered {
        Lowered { calls: Vec::new(), in_place: Vec::new(), side_by_side: false, shown: Vec::new() }
    }

    /// A single call that needs its output apart from its inputs.
    pub fn one(call: Call) -> Lowered {
        Lowered { calls: vec![call], ..Lowered::view() }
    }

    /// The same calls, whose output may take the bytes of the operands at `positions`.
    pub fn in_place_of(self, positions: impl IntoIterator<Item = usize>) -> Lowered {
        Lowered { in_place: positions.into_iter().collect(), ..self }
    }

    /// Several calls, each of which writes its part of the output, apart from all inputs.
    pub fn many(calls: Vec<Call>) -> Lowered {
        Lowered { calls, ..Lowered::view() }
    }

    /// Bytes of constants.
    pub fn const_bytes(&self) -> usize {
        self.calls.iter().map(|call| call.consts.len()).sum()
    }

    /// Whether the output is the operand's bytes under another shape.
    pub fn is_view(&self) -> bool {
        self.calls.is_empty() && self.shown.is_empty()
    }
}

/// Integers that do not fit the kernels.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LowerError {
    /// The 32-bit accumulator could overflow for some input.
    #[error(
        "channel {channel} can reach an accumulator of {bound}, above the 32-bit limit of 2,147,483,647: rescale the layer's weights or split it"
    )]
    Accumulator {
        /// Output channel.
        channel: usize,
        /// Largest magnitude that the proof finds.
        bound: i64,
    },
    /// A multiplier that the requantization cannot represent.
    #[error(
        "the scales ask for a multiplier of {real:e}, outside what the requantization represents (0 to 2^30): check the scales of its input and output"
    )]
    Multiplier {
        /// The real multiplier.
        real: f64,
    },
    /// A limit of a kernel.
    #[error("{0}")]
    Limit(String),
}

/// Constants of a call: bytes, and what part of them is no weight.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Constants {
    bytes: Vec<u8>,
    table_bytes: usize,
}

impl Constants {
    /// Bytes of multipliers, shifts and tables among them; the rest are weights and
    /// biases, with what fills them up.
    pub fn table_bytes(&self) -> usize {
        self.table_bytes
    }

    /// The same with other constants behind them, from a multiple of 4 bytes on.
    #[must_use]
    pub fn then(mut self, next: &Constants) -> Constants {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.extend(&next.bytes);
        self.table_bytes += next.table_bytes;
        self
    }
}

impl std::ops::Deref for Constants {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Packs constants: values are appended little-endian, in the order of reading.
#[derive(Debug, Default)]
pub struct Packer(Constants);

impl Packer {
    /// An empty blob.
    pub fn new() -> Self {
        Packer::default()
    }

    /// Appends biases.
    pub fn biases(self, words: impl IntoIterator<Item = i32>) -> Self {
        self.bytes(words.into_iter().flat_map(i32::to_le_bytes))
    }

    /// Appends bytes of weights.
    pub fn bytes(mut self, bytes: impl IntoIterator<Item = u8>) -> Self {
        self.0.bytes.extend(bytes);
        self
    }

    /// Appends codes.
    pub fn codes(self, codes: &[i8]) -> Self {
        self.bytes(codes.iter().map(|&c| c as u8))
    }

    /// Appends multipliers of channels, or other words that are no weights.
    pub fn multipliers(self, words: impl IntoIterator<Item = i32>) -> Self {
        self.table(words.into_iter().flat_map(i32::to_le_bytes))
    }

    /// Appends shifts of channels, or other bytes that are no weights, with zeros up to a
    /// multiple of 4 bytes.
    pub fn shifts(self, shifts: impl IntoIterator<Item = u8>) -> Self {
        let packer = self.table(shifts);
        let fill = packer.0.len().next_multiple_of(4) - packer.0.len();
        packer.table(std::iter::repeat_n(0, fill))
    }

    /// Appends bytes that are no weights.
    pub fn table(mut self, bytes: impl IntoIterator<Item = u8>) -> Self {
        let before = self.0.bytes.len();
        self.0.bytes.extend(bytes);
        self.0.table_bytes += self.0.bytes.len() - before;
        self
    }

    /// The blob.
    pub fn finish(self) -> Constants {
        self.0
    }
}
