//! Constant padding.
//!
//! In: codes of any shape. Out: the same codes with constant ones around them.
//! Invariant: input and output share scale and zero point (a pass sees to it);
//! the constant is the code of [`Pad::value`] under them.

pub mod import;
pub mod lower;

use crate::ir::Shape;
use crate::quant::QTensor;

/// Constant padding of every dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// Elements before, per dimension.
    pub before: Vec<usize>,
    /// Elements after.
    pub after: Vec<usize>,
    /// The real value; minus infinity gives the smallest code.
    pub value: f32,
}

impl Pad {
    /// The shape of the output.
    ///
    /// # Errors
    /// Where the pads are not those of a tensor of the input's rank.
    pub fn output_shape(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        let dims = &inputs[0].0;
        if self.before.len() != dims.len() || self.after.len() != dims.len() {
            return Err(format!(
                "its pads {:?} and {:?} do not fit an input of {} dimensions",
                self.before,
                self.after,
                dims.len()
            ));
        }
        Ok(Shape((0..dims.len()).map(|i| self.before[i] + dims[i] + self.after[i]).collect()))
    }
}

/// The naive reference: every output element looked up by its index.
pub fn reference(pad: &Pad, x: &QTensor, shape: &Shape) -> Vec<i8> {
    let fill = x.params.code(f64::from(pad.value));
    let out_strides = shape.strides();
    let in_strides = x.shape.strides();
    (0..shape.elements())
        .map(|flat| {
            let mut source = Some(0);
            for i in 0..shape.rank() {
                let index = (flat / out_strides[i] % shape.0[i]).checked_sub(pad.before[i]);
                source = match (source, index) {
                    (Some(at), Some(index)) if index < x.shape.0[i] => Some(at + index * in_strides[i]),
                    _ => None,
                };
            }
            source.map_or(fill, |at| x.codes[at])
        })
        .collect()
}
