//! The kernels, one file a family.

pub mod channels;
pub mod conv2d;
pub mod dense;
pub mod depthwise;
