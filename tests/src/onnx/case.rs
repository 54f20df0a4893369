//! What a test needs to know about a generated model besides its bytes.

use tract_onnx::pb::ModelProto;

use super::build::random;

/// How closely the quantized model must follow the float oracle.
///
/// Compare after feeding the oracle the *dequantized* input codes; then the rounding of
/// the inputs themselves is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Bytes are only moved or selected: every output is within half a step of the
    /// output's scale, plus one float rounding.
    Moves,
    /// One rounding of an exact result: within one step of the output's scale.
    Rounds,
    /// Two roundings at most (a table over a requantized tensor, a chain of two
    /// operators): within two steps of the output's scale.
    RoundsTwice,
    /// Weights are quantized too: judge by SQNR, at least 25 dB over many samples.
    Weights,
    /// Softmax: within one step of 1/256.
    Softmax,
}

/// Which reference can run the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oracle {
    /// tract runs it, without the Q/DQ pairs around activations where there are some, and
    /// agrees with ONNX Runtime. (With them, tract's optimizer turns DequantizeLinear ->
    /// Softmax -> QuantizeLinear into a table of single values, which is wrong.)
    Tract,
    /// tract cannot run it, or runs it wrongly, for the given reason; the model itself
    /// is valid ONNX. Compare with a naive computation instead.
    None(&'static str),
}

/// One graph input: its name, its shape, and the values with which a test should feed it.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// ONNX name.
    pub name: String,
    /// Full shape, leading 1 included.
    pub shape: Vec<usize>,
    /// Lower end of the values.
    pub low: f32,
    /// Upper end of the values, exclusive.
    pub high: f32,
}

/// A generated model and how to judge it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Unique; starts with the operator's name in lower case.
    pub name: &'static str,
    /// The operator under test, as ONNX spells it.
    pub op: &'static str,
    /// The model.
    pub model: ModelProto,
    /// The graph's inputs, in its order.
    pub inputs: Vec<InputSpec>,
    /// The shape of each graph output, in its order, written by hand.
    pub output_shapes: Vec<Vec<usize>>,
    /// What the quantized model owes the oracle.
    pub agreement: Agreement,
    /// Who can say what is right.
    pub oracle: Oracle,
}

impl Case {
    /// The model's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(&self.model)
    }

    /// `count` samples for each graph input, uniform over its range: row-major data of
    /// `[count, shape without its leading 1]`. The first sample starts with both ends of
    /// the range, so that a min-max calibration over any samples that include it sees them.
    pub fn samples(&self, seed: u64, count: usize) -> Vec<Vec<f32>> {
        self.inputs
            .iter()
            .map(|input| {
                let len = count * input.shape.iter().product::<usize>();
                let key = format!("{}/{}/{seed}", self.name, input.name);
                let mut data = random(&key, len, input.low, input.high);
                for (slot, end) in data.iter_mut().zip([input.low, input.high]) {
                    *slot = end;
                }
                data
            })
            .collect()
    }
}
