//! Nodes whose output nobody reads.

use super::{Context, PassError};
use crate::Module;

/// Runs the pass.
pub fn run(module: &mut Module, _: &Context<'_>) -> Result<(), PassError> {
    for id in module.graph.order().to_vec().into_iter().rev() {
        let output = module.graph.node(id).output;
        if module.graph.readers(output).is_empty() && !module.graph.outputs.contains(&output) {
            module.graph.remove_node(id);
        }
    }
    Ok(())
}
