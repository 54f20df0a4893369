//! stub
pub mod import;
pub mod lower;
use crate::ir::{QuantParams, Shape};
use crate::quant::{LayerQuant, QTensor};
/// stub
pub fn output_shape(_inputs: &[&Shape]) -> Result<Shape, String> {
    todo!()
}
/// stub
pub fn reference(_layer: &LayerQuant, _scale_shape: &Shape, _x: &QTensor, _out: QuantParams) -> Vec<i8> {
    todo!()
}
