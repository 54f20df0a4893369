//! The primitives that kernels are built on, for the machine at hand.
//!
//! Which file is chosen follows from the chip, not from `cfg`: an emitted crate
//! has its own version of this file that names the one its chip asks for. Here
//! it is the portable one, which every other one must equal bit for bit.

#[cfg(feature = "armv6m")]
pub mod armv6m;
#[cfg(feature = "armv7m")]
pub mod armv7m;
#[cfg(feature = "cortex_m7_dsp")]
pub mod cortex_m7_dsp;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod cortex_m_dsp;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_columns;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_depthwise;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_elementwise;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_keep;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_lines;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_lines_open;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_pairs;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_pool;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_row;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_tile;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_unrolled;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_winograd;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_winograd_in;
#[cfg(any(feature = "cortex_m_dsp", feature = "mve"))]
pub mod dsp_winograd_out;
#[cfg(feature = "cortex_m7_dsp")]
pub mod m7_depthwise;
#[cfg(feature = "cortex_m7_dsp")]
pub mod m7_row;
#[cfg(feature = "cortex_m7_dsp")]
pub mod m7_tile;
#[cfg(feature = "cortex_m7_dsp")]
pub mod m7_unrolled;
#[cfg(feature = "cortex_m7_dsp")]
pub mod m7_winograd;
#[cfg(feature = "mve")]
pub mod mve;
#[cfg(feature = "mve")]
pub mod mve_columns;
#[cfg(feature = "mve")]
pub mod mve_depthwise;
#[cfg(feature = "mve")]
pub mod mve_elementwise;
#[cfg(feature = "mve")]
pub mod mve_lanes;
pub mod portable;
pub mod portable_columns;
pub mod portable_elementwise;
pub mod portable_lanes;
pub mod portable_lines;
pub mod portable_window;
pub mod portable_winograd;
#[cfg(feature = "rv32imc")]
pub mod rv32imc;

/// Whether a layer's last block may be stored by half, as `kernels::blocks` says: an emitted
/// crate whose layers have none carries nothing of it.
pub const HALVES: bool = true;

#[cfg(feature = "armv6m")]
pub use self::armv6m::*;
#[cfg(feature = "armv7m")]
pub use self::armv7m::*;
#[cfg(all(feature = "cortex_m_dsp", not(feature = "cortex_m7_dsp")))]
pub use self::cortex_m_dsp::*;
#[cfg(feature = "cortex_m7_dsp")]
pub use self::cortex_m7_dsp::*;
#[cfg(feature = "cortex_m_dsp")]
pub use self::dsp_lines::{Segment, depthwise_lines};
#[cfg(all(feature = "cortex_m_dsp", not(feature = "cortex_m7_dsp")))]
pub use self::dsp_unrolled::unrolled_2x4;
#[cfg(feature = "cortex_m7_dsp")]
pub use self::m7_unrolled::unrolled_2x4;
#[cfg(feature = "mve")]
pub use self::mve::*;
#[cfg(not(any(
    feature = "armv6m",
    feature = "armv7m",
    feature = "cortex_m_dsp",
    feature = "mve",
    feature = "rv32imc"
)))]
pub use self::portable::*;
#[cfg(feature = "cortex_m_dsp")]
pub use self::portable_lanes::*;
pub use self::portable_lines::*;
#[cfg(feature = "rv32imc")]
pub use self::rv32imc::*;
