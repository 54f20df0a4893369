//! The constants of all calls in one blob.
//!
//! In: one blob a call, in order of execution. Out: the bytes of the crate's
//! weights file, and where each call's constants lie. Invariants: every range
//! starts at a multiple of 16; equal constants are stored once.

use std::collections::BTreeMap;

use super::ids::ConstRange;
use crate::lower::Constants;

/// Kernels load constants in groups of words.
const ALIGN: usize = 16;

/// A blob under construction.
#[derive(Debug, Default)]
pub struct Blob {
    bytes: Vec<u8>,
    table_bytes: usize,
    known: BTreeMap<Constants, ConstRange>,
}

impl Blob {
    /// Adds the constants of a call, or finds equal ones.
    pub fn add(&mut self, consts: Constants) -> ConstRange {
        if consts.is_empty() {
            return ConstRange::default();
        }
        if let Some(&range) = self.known.get(&consts) {
            return range;
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        let range =
            ConstRange { offset: self.bytes.len(), bytes: consts.len(), table_bytes: consts.table_bytes() };
        self.table_bytes += range.table_bytes;
        self.bytes.extend_from_slice(&consts);
        self.known.insert(consts, range);
        range
    }

    /// The bytes, and how many of them are multipliers, shifts and tables.
    pub fn finish(self) -> (Vec<u8>, usize) {
        (self.bytes, self.table_bytes)
    }
}
