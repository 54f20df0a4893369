//! The intermediate representation: a graph of channel-last tensors.
//!
//! In: what the importer reads from ONNX. Out: what passes rewrite and the
//! planner schedules. Invariant: see [`verify`], which numbers the properties
//! and runs after every pass.

mod graph;
mod ids;
pub mod layout;
pub mod print;
mod tensor;
pub mod verify;

pub use graph::{Def, Graph, NewNode, Node, Value};
pub use ids::{NodeId, ValueId};
pub use layout::{InputLayouts, Layout};
pub use tensor::{Clamp, Origin, QuantParams, Selection, Shape};
