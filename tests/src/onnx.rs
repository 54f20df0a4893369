//! Small ONNX models, generated: at least two for every supported operator.
//!
//! In: nothing (all data are seeded by name). Out: [`cases`], each a model of one or a
//! few nodes with the range of its inputs and the agreement that a quantized run owes
//! the float oracle. Invariants: names are unique; every graph input and output has a
//! static float shape with a leading 1; every output shape is written by hand, so a
//! shape inference that disagrees is wrong; no tensor has more than 4,096 elements.

mod binary;
mod build;
mod case;
mod conv;
mod dense;
mod fold;
mod mobilenet;
mod norm;
mod pool;
mod quantized;
mod reshape;
mod squeezenet;
mod tensor;
mod unary;

pub use build::{ModelBuilder, random};
pub use case::{Agreement, Case, InputSpec, Oracle};
pub use mobilenet::mobilenet_v2;
pub use squeezenet::squeezenet;
pub use tensor::{tensor_f32, tensor_i8, tensor_i32, tensor_i64, tensor_u8};

/// All cases, grouped by operator family, in a fixed order.
pub fn cases() -> Vec<Case> {
    [
        conv::cases(),
        pool::cases(),
        dense::cases(),
        binary::cases(),
        unary::cases(),
        norm::cases(),
        reshape::cases(),
        fold::cases(),
        quantized::cases(),
    ]
    .concat()
}
