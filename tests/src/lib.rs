//! Shared parts of the integration tests.

pub mod onnx;
