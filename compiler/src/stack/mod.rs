//! The worst-case stack of a function, from the linked firmware alone.
//!
//! In: an ELF file, its instruction set, the name of a function. Out: a
//! [`StackBound`]: how far below the stack pointer of its caller the function
//! and everything that it calls can reach, whatever the data. Invariant: what
//! is not understood is an error, never a guess: recursion, calls and jumps
//! through a register, a frame whose size is no constant.
//!
//! Each function is walked from its first instruction along every branch
//! (`walk`), with the depth of the stack known at each instruction; the
//! decoders (`thumb`, `riscv`) say what an instruction does to the stack
//! pointer and where it continues. The calls make a graph without a cycle;
//! the bound is its longest path.

mod graph;
mod riscv;
mod step;
mod thumb;
mod walk;

use crate::target::Isa;
use crate::verify::elf::Elf;

pub use graph::{Place, StackBound};

/// Why the stack of a function has no bound that can be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// No function of that name.
    #[error("the firmware has no function '{0}'")]
    NoFunction(String),
    /// A cycle in the graph of calls.
    #[error("recursion: {}", .0.join(" calls "))]
    Recursion(Vec<String>),
    /// A call through a register whose value is not known.
    #[error("{0}: a call through a register, of no function that can be told")]
    IndirectCall(Place),
    /// A jump through a register that need not stay in its function.
    #[error("{0}: a jump through a register that may leave the function")]
    IndirectJump(Place),
    /// A stack pointer that is no constant below that of the caller.
    #[error("{0}: the stack pointer moves by an amount that is no constant")]
    NotConstant(Place),
    /// Two ways to one instruction with different depths, or a return with
    /// bytes left on the stack.
    #[error("{at}: the stack is {first} B deep on one way and {second} B on another")]
    Unbalanced {
        /// The instruction.
        at: Place,
        /// Depth on the way taken first.
        first: i32,
        /// Depth on the other, or at the caller's.
        second: i32,
    },
    /// Execution runs to where no function is, or on behind its function.
    #[error("{0}: execution leaves the code of the firmware's functions")]
    NoCode(Place),
}

/// The bound of a function of a linked firmware, by its exact symbol.
///
/// # Errors
/// [`StackError`].
pub fn bound(elf: &Elf, isa: Isa, function: &str) -> Result<StackBound, StackError> {
    let entry = elf.function(function).ok_or_else(|| StackError::NoFunction(function.to_owned()))?;
    graph::longest(elf, isa, entry)
}
