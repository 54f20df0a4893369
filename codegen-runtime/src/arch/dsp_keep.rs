//! What loops in assembly need besides their registers.
//!
//! In: a register, the number of a place, the byte of the stack at which places begin.
//! Out: the text of one instruction. Invariant: on targets that pass floats in registers
//! of the FPU (those that a callee may change), a place is one of these, and a move takes
//! one cycle; on others it is a slot of the stack.

#[cfg(target_abi = "eabihf")]
macro_rules! keep_at {
    ($register:literal, $number:literal, $base:literal) => {
        concat!("vmov s", $number, ", ", $register, "\n")
    };
}
#[cfg(not(target_abi = "eabihf"))]
macro_rules! keep_at {
    ($register:literal, $number:literal, $base:literal) => {
        concat!("str ", $register, ", [sp, #", $base, "+4*", $number, "]\n")
    };
}
#[cfg(target_abi = "eabihf")]
macro_rules! kept_at {
    ($register:literal, $number:literal, $base:literal) => {
        concat!("vmov ", $register, ", s", $number, "\n")
    };
}
#[cfg(not(target_abi = "eabihf"))]
macro_rules! kept_at {
    ($register:literal, $number:literal, $base:literal) => {
        concat!("ldr ", $register, ", [sp, #", $base, "+4*", $number, "]\n")
    };
}
pub(super) use {keep_at, kept_at};
