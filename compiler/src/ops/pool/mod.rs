//! stub
pub mod import;
pub mod lower;
use super::conv::Window;
use crate::ir::{QuantParams, Shape};
use crate::quant::QTensor;
/// Which statistic of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The maximum; padding never wins.
    Max,
    /// The mean over the cells inside the input, or over all cells with `count_include_pad`.
    Average {
        /// Whether cells of the declared padding count as zeros.
        count_include_pad: bool,
    },
}
impl Kind {
    /// Name.
    pub fn name(self) -> &'static str {
        todo!()
    }
}
/// stub
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Statistic.
    pub kind: Kind,
    /// Geometry.
    pub window: Window,
    /// ONNX `ceil_mode`.
    pub ceil: bool,
}
impl Pool {
    /// stub
    pub fn output_shape(&self, _inputs: &[&Shape]) -> Result<Shape, String> {
        todo!()
    }
}
/// stub
pub fn reference(_pool: &Pool, _x: &QTensor, _shape: &Shape, _out: QuantParams) -> Vec<i8> {
    todo!()
}
