//! Shared parts of the integration tests.

pub mod models;
pub mod onnx;
