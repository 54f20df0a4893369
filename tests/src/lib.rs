//! Shared parts of the integration tests.

pub mod benchmarks;
pub mod cost;
pub mod models;
pub mod needs;
pub mod onnx;
pub mod planning;
pub mod ram;
