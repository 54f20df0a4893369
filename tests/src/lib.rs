//! Shared parts of the integration tests.

pub mod benchmarks;
pub mod models;
pub mod needs;
pub mod onnx;
