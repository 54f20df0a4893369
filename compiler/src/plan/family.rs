//! What planning and emission must know of each kernel of the runtime.
//!
//! In: a [`Kernel`]. Out: its module in the runtime, the form of its `run`, its
//! parameters as Rust text. Invariant: this is the one place that lists the
//! kernels besides the [`Kernel`] enum and the simulator's dispatch.

use crate::lower::{BorderedConv, Kernel};

/// A kernel family of the runtime. Its `run` takes the parameters, the constants
/// if it has any, the operands, the output and the scratch, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The module: `kernels/<name>.rs`.
    pub name: &'static str,
    /// The constant argument `KH` of `run`: rows of the window, where it has windows.
    pub kernel_h: Option<usize>,
    /// Whether it takes constants.
    pub consts: bool,
}

/// The family of a kernel.
pub fn family(kernel: &Kernel) -> Family {
    if let Kernel::Bordered(bordered) = kernel {
        let name = match bordered.conv {
            BorderedConv::Conv2d(_) => "conv2d_borders",
            BorderedConv::ConvTile(_) => "conv_tile_borders",
            BorderedConv::ConvWindow(_) => "conv_window_borders",
        };
        return Family { name, ..family(&bordered.even()) };
    }
    let (name, kernel_h, consts) = match kernel {
        Kernel::Conv2d(p) => ("conv2d", Some(p.kernel_h), true),
        Kernel::Depthwise(p) => ("depthwise", Some(p.kernel_h), true),
        Kernel::ConvTile(p) => ("conv_tile", Some(p.kernel_h), true),
        Kernel::ConvWindow(p) => ("conv_window", Some(p.kernel_h), true),
        Kernel::DepthwiseWindow(p) => ("depthwise_window", Some(p.kernel_h), true),
        Kernel::ConvLanes(p) => ("conv_lanes", Some(p.kernel_h), true),
        Kernel::DepthwiseLanes(_) => ("depthwise_lanes", Some(3), true),
        Kernel::DenseLanes(_) => ("dense_lanes", None, true),
        Kernel::ConvWinograd(_) => ("conv_winograd", None, true),
        Kernel::Sparse(p) => ("sparse", Some(p.kernel_h), true),
        Kernel::DepthwiseQuad(_) => ("depthwise_quad", Some(3), true),
        Kernel::DepthwiseLines(_) => ("depthwise_lines", None, true),
        Kernel::AvgPool(p) => ("avg_pool", Some(p.kernel_h), true),
        Kernel::MaxPool(p) => ("max_pool", Some(p.kernel_h), false),
        Kernel::Dense(_) => ("dense", None, true),
        Kernel::DenseTile(_) => ("dense_tile", None, true),
        Kernel::Lut(_) => ("lut", None, true),
        Kernel::Softmax(_) => ("softmax", None, true),
        Kernel::Add(_) => ("add", None, false),
        Kernel::Mul(_) => ("mul", None, false),
        Kernel::Join(_) => ("join", None, false),
        Kernel::Copy(_) => ("copy", None, false),
        Kernel::Bordered(_) => unreachable!("returned above"),
    };
    Family { name, kernel_h, consts }
}

/// The type of what `run` takes: parameters, or what follows from them.
pub fn params_type(kernel: &Kernel) -> &'static str {
    match kernel.even() {
        Kernel::ConvTile(_) | Kernel::DepthwiseQuad(_) => "Layer",
        _ => "Params",
    }
}

/// The parameters as Rust, a struct literal `Params { .. }` without its module, and how
/// the kernel's type follows from it.
pub fn params_text(kernel: &Kernel) -> String {
    match kernel {
        Kernel::Bordered(p) => params_text(&p.even()),
        Kernel::Conv2d(p) => format!("{p:?}"),
        Kernel::Depthwise(p) => format!("{p:?}"),
        Kernel::Dense(p) => format!("{p:?}"),
        Kernel::ConvTile(p) => format!("{p:?}.layer()"),
        Kernel::ConvWindow(p) => format!("{p:?}"),
        Kernel::DepthwiseWindow(p) => format!("{p:?}"),
        Kernel::ConvLanes(p) => format!("{p:?}"),
        Kernel::DepthwiseLanes(p) => format!("{p:?}"),
        Kernel::DenseLanes(p) => format!("{p:?}"),
        Kernel::ConvWinograd(p) => format!("{p:?}"),
        Kernel::Sparse(p) => format!("{p:?}"),
        Kernel::DepthwiseQuad(p) => format!("{p:?}.layer()"),
        Kernel::DepthwiseLines(p) => format!("{p:?}"),
        Kernel::DenseTile(p) => format!("{p:?}"),
        Kernel::MaxPool(p) => format!("{p:?}"),
        Kernel::AvgPool(p) => format!("{p:?}"),
        Kernel::Add(p) => format!("{p:?}"),
        Kernel::Mul(p) => format!("{p:?}"),
        Kernel::Lut(p) => format!("{p:?}"),
        Kernel::Softmax(p) => format!("{p:?}"),
        Kernel::Join(p) => format!("{p:?}"),
        Kernel::Copy(p) => format!("{p:?}"),
    }
}
