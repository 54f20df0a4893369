//! Files, text and the end of the run, through the emulator's semihosting.
//!
//! In: names of files in the emulator's working folder, bytes, numbers. Out:
//! the same on the host's side. Invariant: nothing here can panic, so that
//! the harness adds no panic path to the proof that the model has none.

use crate::arch::semihosting;
use core::ffi::CStr;

const SYS_OPEN: usize = 0x01;
const SYS_WRITE0: usize = 0x04;
const SYS_WRITE: usize = 0x05;
const SYS_READ: usize = 0x06;
const SYS_FLEN: usize = 0x0C;
const SYS_EXIT: usize = 0x18;
const READ_BINARY: usize = 1;
const WRITE_BINARY: usize = 5;
const STOPPED_APPLICATION_EXIT: usize = 0x20026;
const STOPPED_RUN_TIME_ERROR: usize = 0x20023;

/// A text that does not count among the model's constants.
macro_rules! text {
    ($text:literal) => {{
        const BYTES: &[u8] = concat!($text, "\0").as_bytes();
        #[unsafe(link_section = ".harness.text")]
        static TEXT: [u8; BYTES.len()] = {
            let mut text = [0; BYTES.len()];
            text.copy_from_slice(BYTES);
            text
        };
        // SAFETY: it ends with the only 0 in it.
        unsafe { core::ffi::CStr::from_bytes_with_nul_unchecked(&TEXT) }
    }};
}
#[allow(unused_imports, reason = "not every firmware has texts of its own")]
pub(crate) use text;

/// An open file on the host's side.
#[derive(Clone, Copy)]
pub struct File(usize);

impl File {
    #[unsafe(link_section = ".harness")]
    fn open(name: &CStr, mode: usize) -> Option<Self> {
        let block = [name.as_ptr() as usize, mode, name.to_bytes().len()];
        let handle = semihosting(SYS_OPEN, block.as_ptr());
        (handle != usize::MAX).then_some(Self(handle))
    }

    /// Opens a file that must exist.
    pub fn read_from(name: &CStr) -> Option<Self> {
        Self::open(name, READ_BINARY)
    }

    /// Creates or empties a file.
    pub fn write_to(name: &CStr) -> Option<Self> {
        Self::open(name, WRITE_BINARY)
    }

    /// Bytes of the whole file.
    pub fn len(self) -> usize {
        semihosting(SYS_FLEN, [self.0].as_ptr())
    }

    /// Fills `bytes`; false if the file ended before.
    #[unsafe(link_section = ".harness")]
    pub fn read(self, bytes: &mut [i8]) -> bool {
        let block = [self.0, bytes.as_mut_ptr() as usize, bytes.len()];
        semihosting(SYS_READ, block.as_ptr()) == 0
    }

    /// Appends `bytes` (of u8 or i8); false if not all of them were taken.
    #[unsafe(link_section = ".harness")]
    pub fn write<Byte>(self, bytes: &[Byte]) -> bool {
        const { assert!(size_of::<Byte>() == 1) };
        let block = [self.0, bytes.as_ptr() as usize, bytes.len()];
        semihosting(SYS_WRITE, block.as_ptr()) == 0
    }
}

/// Writes text to the emulator's console.
#[unsafe(link_section = ".harness")]
pub fn print(text: &CStr) {
    semihosting(SYS_WRITE0, text.as_ptr().cast());
}

/// Writes a number in base 10 or 16.
#[unsafe(link_section = ".harness")]
pub fn print_number(mut value: u32, base: u32) {
    // Filled from the end; the last byte ends the text. 10 digits suffice.
    let mut text = [0u8; 11];
    let mut first = core::ptr::null();
    for slot in text.iter_mut().rev().skip(1) {
        let (quotient, digit) = match base {
            16 => (value / 16, value % 16),
            _ => (value / 10, value % 10),
        };
        *slot = if digit < 10 { b'0' } else { b'a' - 10 } + digit as u8;
        first = core::ptr::from_ref::<u8>(slot);
        value = quotient;
        if value == 0 {
            break;
        }
    }
    core::hint::black_box(&text);
    semihosting(SYS_WRITE0, first.cast());
}

/// Writes a line `name value`, in base 10.
#[unsafe(link_section = ".harness")]
pub fn print_fact(name: &CStr, value: usize) {
    print(name);
    print(text!(" "));
    print_number(value as u32, 10);
    print(text!("\n"));
}

/// Ends the emulator: exit code 0 if `success`, else 1.
#[unsafe(link_section = ".harness")]
pub fn exit(success: bool) -> ! {
    let reason = if success { STOPPED_APPLICATION_EXIT } else { STOPPED_RUN_TIME_ERROR };
    loop {
        semihosting(SYS_EXIT, core::ptr::without_provenance(reason));
    }
}
