//! Constant tensors as ONNX stores them: little-endian bytes in `raw_data`.
//!
//! In: dimensions and row-major values; a caller passes as many values as the dimensions
//! say. Out: a nameless `TensorProto`.

use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType;

fn tensor(dims: &[i64], data_type: DataType, raw_data: Vec<u8>) -> pb::TensorProto {
    pb::TensorProto {
        dims: dims.to_vec(),
        data_type: data_type as i32,
        raw_data,
        ..pb::TensorProto::default()
    }
}

/// A float32 tensor; an empty `dims` is a scalar.
pub fn tensor_f32(dims: &[i64], data: &[f32]) -> pb::TensorProto {
    tensor(dims, DataType::Float, data.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// An int64 tensor; an empty `dims` is a scalar.
pub fn tensor_i64(dims: &[i64], data: &[i64]) -> pb::TensorProto {
    tensor(dims, DataType::Int64, data.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// An int32 tensor; an empty `dims` is a scalar.
pub fn tensor_i32(dims: &[i64], data: &[i32]) -> pb::TensorProto {
    tensor(dims, DataType::Int32, data.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// An int8 tensor; an empty `dims` is a scalar.
pub fn tensor_i8(dims: &[i64], data: &[i8]) -> pb::TensorProto {
    tensor(dims, DataType::Int8, data.iter().map(|v| v.cast_unsigned()).collect())
}

/// A uint8 tensor; an empty `dims` is a scalar.
pub fn tensor_u8(dims: &[i64], data: &[u8]) -> pb::TensorProto {
    tensor(dims, DataType::Uint8, data.to_vec())
}
