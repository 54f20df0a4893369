//! stub
pub mod import;
pub mod lower;
use crate::ir::{Clamp, QuantParams};
use crate::quant::QTensor;
/// An element-wise function of one real.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// Clamp to a range: Relu, Clip.
    Clamp(Clamp),
    /// x * scale + shift.
    Affine {
        /// Factor.
        scale: f32,
        /// Summand.
        shift: f32,
    },
}
impl std::fmt::Display for Function {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
/// stub
pub fn reference(_chain: &[Function], _x: &QTensor, _clamp: Clamp, _out: QuantParams) -> Vec<i8> {
    todo!()
}
