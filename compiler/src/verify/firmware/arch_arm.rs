//! Cortex-M: from reset to `firmware_main`, the markers of the measured
//! region, the painted stack, faults, and the semihosting trap.
//!
//! In: the symbols of the linker script. Out: initialised memory, an enabled
//! FPU on hard-float targets, and a stack of which every word below the
//! caller can be told apart from an untouched one.
//! Invariant: only Armv6-M instructions outside the FPU lines, so one text
//! serves every core; `bench_start` and `bench_stop` are a lone `bx lr`.

use core::arch::{asm, global_asm};

global_asm!(
    r#"
    .section .vectors, "a", %progbits
    .word _stack_top
    .word reset
    .rept 14
    .word fault_entry
    .endr

    .section .harness.reset, "ax", %progbits
    .thumb
    .balign 4
    .global reset
    .type reset, %function
    .thumb_func
reset:
    ldr r0, =_data_start
    ldr r1, =_data_end
    ldr r2, =_data_load
1:  cmp r0, r1
    bhs 2f
    ldmia r2!, {{r3}}
    stmia r0!, {{r3}}
    b 1b
2:  ldr r0, =_bss_start
    ldr r1, =_bss_end
    movs r2, #0
3:  cmp r0, r1
    bhs 4f
    stmia r0!, {{r2}}
    b 3b
4:  bl enable_fpu
    bl firmware_main
    .ltorg

    .section .harness.fault, "ax", %progbits
    .balign 4
    .type fault_entry, %function
    .thumb_func
fault_entry:
    mrs r0, msp
    mrs r1, ipsr
    ldr r2, =_stack_top
    mov sp, r2
    bl arm_fault
    .ltorg

    .section .harness.bench_start, "ax", %progbits
    .balign 4
    .global bench_start
    .type bench_start, %function
    .thumb_func
bench_start:
    bx lr
    .size bench_start, . - bench_start

    .section .harness.bench_stop, "ax", %progbits
    .balign 4
    .global bench_stop
    .type bench_stop, %function
    .thumb_func
bench_stop:
    bx lr
    .size bench_stop, . - bench_stop

    .section .harness.paint_stack, "ax", %progbits
    .balign 4
    .global paint_stack
    .type paint_stack, %function
    .thumb_func
paint_stack:
    ldr r0, =_stack_limit
    ldr r1, =0xDEADC0DE
    mov r2, sp
1:  cmp r0, r2
    bhs 2f
    stmia r0!, {{r1}}
    b 1b
2:  bx lr
    .ltorg

    .section .harness.stack_peak, "ax", %progbits
    .balign 4
    .global stack_peak
    .type stack_peak, %function
    .thumb_func
stack_peak:
    ldr r0, =_stack_limit
    ldr r1, =0xDEADC0DE
    mov r2, sp
1:  cmp r0, r2
    bhs 2f
    ldmia r0!, {{r3}}
    cmp r3, r1
    beq 1b
    subs r0, r0, #4
2:  subs r0, r2, r0
    bx lr
    .ltorg
"#
);

#[cfg(target_abi = "eabihf")]
global_asm!(
    r#"
    .section .harness.enable_fpu, "ax", %progbits
    .balign 4
    .type enable_fpu, %function
    .thumb_func
enable_fpu:
    ldr r0, =0xE000ED88
    ldr r1, [r0]
    ldr r2, =0x00F00000
    orrs r1, r2
    str r1, [r0]
    dsb
    isb
    bx lr
    .ltorg
"#
);

// Without the hard-float ABI the FPU stays off: an instruction that needs it
// then faults, as it would on a core that has none.
#[cfg(not(target_abi = "eabihf"))]
global_asm!(
    r#"
    .section .harness.enable_fpu, "ax", %progbits
    .balign 4
    .type enable_fpu, %function
    .thumb_func
enable_fpu:
    bx lr
"#
);

/// Where an exception lands: `frame` is what the core stacked (eight words,
/// the seventh is the program counter), `exception` the number of the vector.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".harness")]
extern "C" fn arm_fault(frame: *const u32, exception: u32) -> ! {
    let address = frame as usize;
    let (limit, top) = crate::stack_bounds();
    // A frame outside the stack means that the stack overflowed; reading it
    // could fault once more.
    let pc = if address >= limit && address + 32 <= top {
        // SAFETY: the eight words at `frame` lie within the stack.
        unsafe { frame.add(6).read_volatile() }
    } else {
        u32::MAX
    };
    crate::fault(exception, pc)
}

/// One semihosting operation; the meaning of `argument` and of what returns
/// is the operation's.
#[unsafe(link_section = ".harness")]
#[inline(never)]
pub fn semihosting(operation: usize, argument: *const usize) -> usize {
    let result;
    // SAFETY: the emulator serves this trap; it writes memory only where the
    // argument block of a read operation points, which callers own mutably.
    unsafe {
        asm!("bkpt 0xAB", inout("r0") operation => result, in("r1") argument, options(nostack));
    }
    result
}
