//! The primitives that kernels are built on, for the machine at hand.
//!
//! Which file is chosen follows from the chip, not from `cfg`: an emitted crate
//! has its own version of this file that names the one its chip asks for. Here
//! it is the portable one, which every other one must equal bit for bit.

#[cfg(feature = "cortex_m_dsp")]
pub mod cortex_m_dsp;
#[cfg(feature = "cortex_m_dsp")]
pub mod dsp_depthwise;
#[cfg(feature = "cortex_m_dsp")]
pub mod dsp_row;
#[cfg(feature = "cortex_m_dsp")]
pub mod dsp_tile;
#[cfg(feature = "cortex_m_dsp")]
pub mod dsp_widen;
#[cfg(feature = "cortex_m_dsp")]
pub mod dsp_winograd;
#[cfg(feature = "cortex_m_dsp")]
pub mod dsp_winograd_in;
#[cfg(feature = "cortex_m_dsp")]
pub mod dsp_winograd_out;
pub mod portable;
pub mod portable_winograd;

#[cfg(feature = "cortex_m_dsp")]
pub use self::cortex_m_dsp::*;
#[cfg(not(feature = "cortex_m_dsp"))]
pub use self::portable::*;
