//! What one instruction does to the stack, in words that both instruction
//! sets share.
//!
//! In: nothing. Out: the types that decoders make and the walk applies.
//! Invariant: a register is a number of its own instruction set; which ones
//! are the stack pointer and the rest, [`Registers`] says.

/// The registers with a role.
#[derive(Debug, Clone, Copy)]
pub struct Registers {
    /// The stack pointer.
    pub stack: u8,
    /// The frame pointer.
    pub frame: u8,
    /// The return address.
    pub link: u8,
}

/// An instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its length.
    pub bytes: u32,
    /// What it does to the stack pointer, or to a register that may reach it.
    pub effect: Effect,
    /// Where execution continues.
    pub flow: Flow,
}

/// What matters of the registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that does.
    None,
    /// The stack grows by so many bytes; it shrinks by negative ones.
    Grow(i32),
    /// A register becomes another one plus a constant.
    Move {
        /// The register that is written.
        to: u8,
        /// The other one.
        from: u8,
        /// The constant.
        add: i32,
    },
    /// A register becomes a constant.
    Literal {
        /// The register.
        to: u8,
        /// The constant.
        value: u32,
    },
    /// The upper half of a register becomes a constant.
    Upper {
        /// The register.
        to: u8,
        /// The half.
        value: u16,
    },
    /// The stack pointer moves up by a register, or down.
    Sum {
        /// The register.
        by: u8,
        /// Down.
        negative: bool,
    },
    /// The stack pointer becomes something else.
    Lost,
}

/// Where an instruction continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Behind itself.
    Next,
    /// Elsewhere.
    Jump(u32),
    /// Elsewhere or behind itself.
    Branch(u32),
    /// In a function, then behind itself.
    Call(u32),
    /// In the caller.
    Return,
    /// Nowhere: a trap.
    Stop,
    /// Where a register says, plus a constant.
    Register {
        /// The register.
        register: u8,
        /// The constant.
        add: i32,
        /// Whether it is a call.
        links: bool,
    },
    /// At a place of the table that follows, in units of two bytes.
    Table {
        /// Bytes of an entry: 1 or 2.
        entry_bytes: u32,
    },
    /// At a computed distance, or where a word in memory says.
    Computed,
    /// Behind itself, where up to four instructions depend on a condition.
    If(Conditional),
}

/// The instructions that an IT instruction makes conditional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Conditional {
    /// How many there still are.
    pub left: u8,
    /// Those which run, the next one in bit 0, if the first one does.
    pub runs: u8,
}

impl Conditional {
    /// Those which run if the first one does not.
    pub fn other(self) -> Self {
        Self { left: self.left, runs: !self.runs & ((1 << self.left) - 1) }
    }

    /// Whether the next instruction is skipped.
    pub fn skips(self) -> bool {
        self.left > 0 && self.runs & 1 == 0
    }

    /// Behind the next instruction.
    pub fn next(self) -> Self {
        Self { left: self.left.saturating_sub(1), runs: self.runs >> 1 }
    }
}
