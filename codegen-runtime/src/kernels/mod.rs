//! The kernels, one file a family.

pub mod add;
pub mod avg_pool;
pub mod blocks;
pub mod channels;
pub mod conv2d;
pub mod conv_tile;
pub mod conv_window;
pub mod conv_winograd;
pub mod copy;
pub mod dense;
pub mod dense_tile;
pub mod depthwise;
pub mod depthwise_lines;
pub mod depthwise_quad;
pub mod depthwise_window;
pub mod join;
pub mod lut;
pub mod max_pool;
pub mod mul;
pub mod pool_rows;
pub mod softmax;
pub mod sparse;
pub mod strides;
pub mod window;
