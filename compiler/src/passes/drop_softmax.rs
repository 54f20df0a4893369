//! `--no-softmax`: graph outputs that are a softmax become its input.

use super::{Context, PassError};
use crate::Module;
use crate::ops::Op;

/// Runs the pass.
pub fn run(module: &mut Module, context: &Context<'_>) -> Result<(), PassError> {
    if !context.no_softmax {
        return Ok(());
    }
    for output in module.graph.outputs.clone() {
        let Some(id) = module.graph.producer(output) else { continue };
        if module.graph.node(id).op == Op::Softmax && module.graph.readers(output).is_empty() {
            let input = module.graph.node(id).inputs[0];
            // The logits are another tensor: they keep their own name and range.
            module.graph.replace_uses(output, input);
            module.graph.remove_node(id);
        }
    }
    Ok(())
}
