//! ONNX's element-wise functions of one tensor: Relu, Sigmoid, Clip and the like.

use super::Function;
use crate::ir::{Clamp, ValueId};
use crate::onnx::import::{Importer, Operand};
use crate::onnx::{OnnxNode, Tensor};
use crate::ops::Op;

/// Imports an operator whose parameters are attributes.
///
/// # Errors
/// Where an attribute has no meaning.
pub fn import(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let function = function(node)?;
    let x = imp.activation(node, 0)?;
    emit(imp, x, function)
}

/// Adds the node's function of `x`, in the layout of the ONNX tensor.
///
/// # Errors
/// As for [`Importer::emit`].
pub fn emit(imp: &mut Importer<'_>, x: ValueId, function: Function) -> Result<ValueId, String> {
    let order = (0..imp.shape(x).rank()).collect();
    imp.emit(Op::Unary(vec![function]), vec![x], Some(order))
}

fn function(node: &OnnxNode) -> Result<Function, String> {
    let attribute = |name: &str, default: f32| match node.float(name, default) {
        v if v.is_finite() => Ok(v),
        v => Err(format!("its {name} is {v}, not a finite number: export the model again")),
    };
    Ok(match node.op.as_str() {
        "Relu" => Function::Clamp(Clamp::RELU),
        "LeakyRelu" => Function::LeakyRelu { slope: attribute("alpha", 0.01)? },
        "ThresholdedRelu" => Function::ThresholdedRelu { threshold: attribute("alpha", 1.0)? },
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "HardSigmoid" => {
            Function::HardSigmoid { scale: attribute("alpha", 0.2)?, shift: attribute("beta", 0.5)? }
        }
        "HardSwish" => Function::HardSwish,
        "Elu" => Function::Elu { alpha: attribute("alpha", 1.0)?, scale: 1.0 },
        // The defaults are the specification's, in full; f32 rounds them.
        "Selu" => {
            Function::Elu { alpha: attribute("alpha", 1.673_263_2)?, scale: attribute("gamma", 1.050_701)? }
        }
        // tract leaves alpha out on the left, so nothing could be checked against it.
        "Celu" => match attribute("alpha", 1.0)? {
            1.0 => Function::Elu { alpha: 1.0, scale: 1.0 },
            alpha => {
                return Err(format!(
                    "its alpha is {alpha}; only 1 is supported: export it as alpha * Elu(x / alpha)"
                ));
            }
        },
        "Softplus" => Function::Softplus,
        "Softsign" => Function::Softsign,
        "Mish" => Function::Mish,
        "Swish" => match attribute("alpha", 1.0)? {
            1.0 => Function::Swish,
            alpha => {
                return Err(format!(
                    "its alpha is {alpha}; only 1 is supported: export it as x * sigmoid(alpha * x)"
                ));
            }
        },
        "Gelu" => match node.string("approximate", "none") {
            "none" => Function::Gelu,
            "tanh" => Function::GeluTanh,
            other => return Err(format!("its approximation '{other}' is not known; 'none' and 'tanh' are")),
        },
        "Abs" => Function::Abs,
        "Neg" => Function::Affine { scale: -1.0, shift: 0.0 },
        "Sign" => Function::Sign,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Sqrt" => Function::Sqrt,
        "Erf" => Function::Erf,
        "Sin" => Function::Sin,
        "Cos" => Function::Cos,
        "Floor" => Function::Floor,
        "Ceil" => Function::Ceil,
        "Round" => Function::Round,
        other => return Err(format!("tinyc bug: {other} is not an element-wise function")),
    })
}

/// Operand `i` as one float: a constant of one element, of any numeric type.
fn scalar(imp: &Importer<'_>, node: &OnnxNode, i: usize, what: &str) -> Result<Option<f32>, String> {
    let tensor = match imp.operand(node, i)? {
        None => return Ok(None),
        Some(Operand::Constant(tensor)) => tensor,
        Some(Operand::Activation(_)) => {
            return Err(format!("its {what} is computed at run time; only a constant is supported"));
        }
    };
    let values: Vec<f32> = match &tensor {
        Tensor::F32(a) => a.iter().copied().collect(),
        integers => integers.integers().unwrap_or_default().iter().map(|&v| v as f32).collect(),
    };
    match values[..] {
        [value] if !value.is_nan() => Ok(Some(value)),
        [_] => Err(format!("its {what} is not a number: export the model again")),
        _ => Err(format!("its {what} has {} elements; only one value for all is supported", values.len())),
    }
}

/// Imports Clip: bounds are attributes up to opset 10 and operands from 11 on.
///
/// # Errors
/// Where a bound is not a constant number.
pub fn clip(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let (lo, hi) = if imp.opset < 11 {
        (node.float("min", f32::NEG_INFINITY), node.float("max", f32::INFINITY))
    } else {
        let lo = scalar(imp, node, 1, "lower bound")?;
        (lo.unwrap_or(f32::NEG_INFINITY), scalar(imp, node, 2, "upper bound")?.unwrap_or(f32::INFINITY))
    };
    if lo.is_nan() || hi.is_nan() {
        return Err("a bound is not a number: export the model again".into());
    }
    // The largest floats are the specification's way to say "no bound".
    let lo = if lo == f32::MIN { f32::NEG_INFINITY } else { lo };
    let hi = if hi == f32::MAX { f32::INFINITY } else { hi };
    let x = imp.activation(node, 0)?;
    // ONNX: where the bounds cross, every element becomes the upper one.
    emit(imp, x, Function::Clamp(Clamp { lo: lo.min(hi), hi }))
}

/// Imports PRelu with one slope for all channels.
///
/// # Errors
/// Where the slopes differ or are not constants.
pub fn prelu(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let slopes = imp.floats(node, 1)?.ok_or("it has no slope")?;
    let x = imp.activation(node, 0)?;
    match slopes.iter().next() {
        Some(&slope) if slope.is_finite() && slopes.iter().all(|&s| s == slope) => {
            emit(imp, x, Function::LeakyRelu { slope })
        }
        _ => Err(format!(
            "its {} slopes differ or are not finite; one slope for all channels is supported: train with num_parameters=1 or with LeakyReLU",
            slopes.len()
        )),
    }
}

/// Imports Pow with a constant exponent.
///
/// # Errors
/// Where the exponent is not one constant number.
pub fn pow(imp: &mut Importer<'_>, node: &OnnxNode) -> Result<ValueId, String> {
    let exponent = scalar(imp, node, 1, "exponent")?.ok_or("it has no exponent")?;
    if !exponent.is_finite() {
        return Err(format!("its exponent {exponent} is not finite: export the model again"));
    }
    let x = imp.activation(node, 0)?;
    emit(imp, x, Function::Pow { exponent })
}
