//! What every firmware of these tests needs: faults, panics, random numbers.
//!
//! In: a fault or a panic, a seed. Out: text that names the place and exit code 1;
//! numbers. Invariant: a run that goes wrong ends, and says so.

use core::panic::PanicInfo;

use super::semihosting::{exit, print, print_number};

#[cfg(target_arch = "arm")]
unsafe extern "C" {
    static _stack_limit: u8;
    static _stack_top: u8;
}

/// The lowest address of the stack, and the one past its end; for Arm's fault handler.
#[cfg(target_arch = "arm")]
pub fn stack_bounds() -> (usize, usize) {
    ((&raw const _stack_limit).addr(), (&raw const _stack_top).addr())
}

/// Ends a run that faulted.
pub fn fault(cause: u32, pc: u32) -> ! {
    print(c"fault ");
    print_number(cause, 10);
    print(c" pc 0x");
    print_number(pc, 16);
    print(c"\n");
    exit(false)
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    print(c"panic at line ");
    print_number(info.location().map_or(0, |place| place.line()), 10);
    print(c"\n");
    exit(false)
}

/// Numbers that look random, the same in every run (xorshift; Marsaglia 2003).
pub struct Rng(pub u32);

impl Rng {
    /// 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0.wrapping_mul(0x9E37_79B1)
    }

    /// A number from `low` to `high`, both included.
    pub fn size(&mut self, low: usize, high: usize) -> usize {
        low + (self.bits() >> 8) as usize % (high - low + 1)
    }

    /// Whether the one case in `one_in` is met.
    pub fn chance(&mut self, one_in: u32) -> bool {
        (self.bits() >> 8).is_multiple_of(one_in)
    }
}

/// Classes of the pixels of an output `[rows][columns][channels]` and what they add, as
/// `kernels::borders` reads them: two of rows by two of columns, of which two add something.
#[allow(dead_code, reason = "not every firmware has convolutions with borders")]
pub fn border_classes(rng: &mut Rng, bytes: &mut [u8], [rows, columns, channels]: [usize; 3]) {
    let head = 4 + rows + columns;
    let bytes = &mut bytes[..(head + 4).next_multiple_of(4) + 2 * 4 * channels];
    bytes.fill_with(|| rng.bits() as u8);
    bytes[..4].copy_from_slice(&4u32.to_le_bytes());
    bytes[4..4 + rows].iter_mut().for_each(|row| *row &= 2);
    bytes[4 + rows..head].iter_mut().for_each(|column| *column &= 1);
    bytes[head..head + 4].copy_from_slice(&[0, 1, 2, 0]);
}
