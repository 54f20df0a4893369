//! What reading code and weights from flash costs on a chip.
//!
//! In: what a layer read, the chip's flash and cache. Out: cycles in which the
//! core waits, or `None` for serial flash and unknown wait states. Invariant:
//! never less than nothing, and nothing where there are no wait states.
//!
//! One formula for all chips, pessimistic where they differ:
//!
//! - Flash is read in lines of 16 bytes; a line that is not at hand costs the
//!   wait states, whole. Code that runs straight on costs nothing: every chip
//!   here fetches ahead.
//! - Code: each line costs once a layer. If all lines of the layer fit the
//!   instruction cache, that is all; if not, each jump costs a line as well.
//! - Data: if all lines that the layer reads fit the data cache, each costs
//!   once; if not, each load that leaves the line of the load before it does.
//!   A cache that serves both is taken to serve data with its full size only
//!   where it holds code and data of the layer together.

use super::timing::Timed;
use crate::target::Target;
use crate::verify::counting::{LINE_BYTES, LayerCounts};

/// Cycles in which the core waits for flash.
#[must_use]
pub fn wait_cycles(target: &Target, timed: &Timed, counts: &LayerCounts) -> Option<u64> {
    let wait_states = u64::from(target.flash.first()?.wait_states?);
    let line = u64::from(LINE_BYTES);
    let (code, data) = (timed.code_lines * line, counts.flash_lines * line);
    let (code_cache, data_cache) = match &target.cache {
        None => (0, 0),
        Some(cache) if cache.data_bytes == cache.instruction_bytes && code + data > cache.data_bytes => {
            (cache.instruction_bytes, 0)
        }
        Some(cache) => (cache.instruction_bytes, cache.data_bytes),
    };
    let code_lines = timed.code_lines + if code <= code_cache { 0 } else { timed.jumps };
    let data_lines = if data <= data_cache { counts.flash_lines } else { counts.flash_line_changes };
    Some(wait_states * (code_lines + data_lines))
}
