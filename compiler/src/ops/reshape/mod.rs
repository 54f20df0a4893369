//! The same bytes under another shape, and operators that change nothing at all.
//!
//! In: any tensor. Out: its elements in the same row-major order. Invariant: a
//! reshape costs nothing at run time; operators that keep the shape too
//! (Identity, Dropout, Cast between floats) are empty chains of element-wise
//! functions, because the file may give their output other scales.

pub mod import;
