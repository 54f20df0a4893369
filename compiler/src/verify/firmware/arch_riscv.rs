//! RV32IMC: from reset to `firmware_main`, the markers of the measured
//! region, the painted stack, faults, and the semihosting trap.
//!
//! In: the symbols of the linker script. Out: initialised memory and a stack
//! of which every word below the caller can be told apart from an untouched
//! one. Invariant: `reset` is the first instruction of FLASH, because the
//! machine starts there; `bench_start` and `bench_stop` are a lone `ret`.

use core::arch::{asm, global_asm};

global_asm!(
    r#"
    .section .vectors, "ax", @progbits
    .global reset
    .type reset, @function
reset:
    la sp, _stack_top
    la t0, trap_entry
    csrw mtvec, t0
    la a0, _data_start
    la a1, _data_end
    la a2, _data_load
1:  bgeu a0, a1, 2f
    lw a3, 0(a2)
    sw a3, 0(a0)
    addi a0, a0, 4
    addi a2, a2, 4
    j 1b
2:  la a0, _bss_start
    la a1, _bss_end
3:  bgeu a0, a1, 4f
    sw zero, 0(a0)
    addi a0, a0, 4
    j 3b
4:  call firmware_main

    .section .harness.trap, "ax", @progbits
    .balign 4
trap_entry:
    csrr a0, mcause
    csrr a1, mepc
    la sp, _stack_top
    call riscv_trap

    .section .harness.bench_start, "ax", @progbits
    .balign 4
    .global bench_start
    .type bench_start, @function
bench_start:
    ret
    .size bench_start, . - bench_start

    .section .harness.bench_stop, "ax", @progbits
    .balign 4
    .global bench_stop
    .type bench_stop, @function
bench_stop:
    ret
    .size bench_stop, . - bench_stop

    .section .harness.paint_stack, "ax", @progbits
    .balign 4
    .global paint_stack
    .type paint_stack, @function
paint_stack:
    la a0, _stack_limit
    li a1, 0xDEADC0DE
1:  bgeu a0, sp, 2f
    sw a1, 0(a0)
    addi a0, a0, 4
    j 1b
2:  ret

    .section .harness.stack_peak, "ax", @progbits
    .balign 4
    .global stack_peak
    .type stack_peak, @function
stack_peak:
    la a0, _stack_limit
    li a1, 0xDEADC0DE
1:  bgeu a0, sp, 2f
    lw a2, 0(a0)
    bne a2, a1, 2f
    addi a0, a0, 4
    j 1b
2:  sub a0, sp, a0
    ret
"#
);

/// Where a trap lands: the cause and the address of the instruction.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".harness")]
extern "C" fn riscv_trap(cause: u32, pc: u32) -> ! {
    crate::fault(cause, pc)
}

/// One semihosting operation; the meaning of `argument` and of what returns
/// is the operation's.
#[unsafe(link_section = ".harness")]
#[inline(never)]
pub fn semihosting(operation: usize, argument: *const usize) -> usize {
    let result;
    // SAFETY: the emulator serves this trap; it writes memory only where the
    // argument block of a read operation points, which callers own mutably.
    // The three instructions are the trap's signature: uncompressed, and
    // aligned so that no page boundary falls between them.
    unsafe {
        asm!(
            ".option push",
            ".option norvc",
            ".balign 16",
            "slli x0, x0, 0x1f",
            "ebreak",
            "srai x0, x0, 0x7",
            ".option pop",
            inout("a0") operation => result,
            in("a1") argument,
            options(nostack),
        );
    }
    result
}
