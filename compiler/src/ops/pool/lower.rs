//! stub
use crate::ir::{Graph, NodeId};
use crate::lower::{LowerError, Lowered};
use crate::quant::QuantTable;
/// stub
pub fn lower(_g: &Graph, _q: &QuantTable, _id: NodeId, _p: &super::Pool) -> Result<Lowered, LowerError> {
    todo!()
}
