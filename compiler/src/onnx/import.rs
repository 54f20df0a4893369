//! ONNX nodes to the IR.
//!
//! In: a folded float [`Source`]. Out: a [`Module`] whose convolutions and
//! poolings are channel-last, with explicit transposes around them. Invariant:
//! every unsupported node is reported, in one error, before anything else runs.

use std::collections::BTreeMap;

use ndarray::ArrayD;

use super::Source;
use super::error::{NodeProblem, OnnxError};
use super::model::{GivenByName, OnnxNode, Tensor};
use crate::Module;
use crate::ir::{Clamp, Def, Graph, InputLayouts, NewNode, Origin, Shape, ValueId};
use crate::ops::{Op, table};
use crate::quant::Given;

/// An operand of an ONNX node.
#[derive(Debug, Clone)]
pub enum Operand {
    /// Computed at run time.
    Activation(ValueId),
    /// Known now.
    Constant(Tensor),
}

/// The state of an import; the ops' `import.rs` work through it.
#[derive(Debug)]
pub struct Importer<'a> {
    /// The graph so far.
    pub graph: Graph,
    /// Version of ONNX's operator set.
    pub opset: i64,
    given: Given,
    by_name: &'a GivenByName,
    constants: &'a BTreeMap<String, Tensor>,
    values: BTreeMap<String, ValueId>,
    current: Option<&'a OnnxNode>,
}

/// Imports a model whose inputs lie as it says.
///
/// # Errors
/// As [`import_as`].
pub fn import(source: &Source) -> Result<Module, OnnxError> {
    import_as(source, &InputLayouts::default())
}

/// Imports a model; its inputs lie as declared.
///
/// # Errors
/// [`OnnxError::Nodes`] with every node that cannot be compiled;
/// [`OnnxError::Port`] for a layout of an input that the model does not have, or that
/// has no such dimensions.
pub fn import_as(source: &Source, layouts: &InputLayouts) -> Result<Module, OnnxError> {
    let model = &source.model;
    check_names(source, layouts)?;
    let mut importer = Importer {
        graph: Graph::new(&model.name),
        opset: model.opset,
        given: Given { activations: source.given.activations.clone(), ..Given::default() },
        by_name: &source.given,
        constants: &model.constants,
        values: BTreeMap::new(),
        current: None,
    };
    for port in &model.inputs {
        let shape = Shape(port.shape.clone().unwrap_or_default());
        let layout = layouts.of(&port.name);
        let Some(order) = layout.order(shape.rank()) else {
            let reason = format!(
                "it has shape {shape}, so that there are no channels to put last: the layout {layout} is for \
                 [N, C, T] and [N, C, H, W]"
            );
            return Err(OnnxError::Port { kind: "input", name: port.name.clone(), reason });
        };
        let value = importer.input(&port.name, &shape, order);
        importer.values.insert(port.name.clone(), value);
    }
    let mut problems = Vec::new();
    let mut unknown = std::collections::BTreeSet::new();
    let mut inferred: Option<BTreeMap<String, Vec<usize>>> = None;
    for node in &model.nodes {
        let depends_on_unknown = node.inputs.iter().any(|i| unknown.contains(i));
        let result = match table::find(&node.op) {
            None => Err(format!("the operator {} is not supported in opset {}", node.op, model.opset)),
            // Its shape cannot be known; it is fine as far as anyone can tell.
            Some(_) if depends_on_unknown => {
                unknown.extend(node.outputs.iter().cloned());
                continue;
            }
            Some(entry) => {
                importer.current = Some(node);
                (entry.import)(&mut importer, node)
            }
        };
        match result {
            Ok(value) => {
                importer.values.insert(node.outputs[0].clone(), value);
            }
            Err(reason) => {
                problems.push(NodeProblem { node: node.name.clone(), op: node.op.clone(), reason });
                // What follows can still be checked where the oracle knows the shape.
                let shapes = inferred.get_or_insert_with(|| super::oracle::shapes(model));
                for output in node.outputs.iter().filter(|o| !o.is_empty()) {
                    match shapes.get(output) {
                        Some(dims) => {
                            let shape = Shape(dims.clone());
                            let stand_in = importer.graph.add_value(output, shape, Def::Input, None);
                            importer.values.insert(output.clone(), stand_in);
                        }
                        None => drop(unknown.insert(output.clone())),
                    }
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(OnnxError::Nodes(problems));
    }
    for port in &model.outputs {
        let Some(&id) = importer.values.get(&port.name) else {
            let reason = "it is a constant, or a second output that is not supported".to_string();
            return Err(OnnxError::Port { kind: "output", name: port.name.clone(), reason });
        };
        importer.graph.outputs.push(id);
    }
    if importer.graph.inputs.is_empty() {
        let reason = "the graph has no input that is not an initializer".to_string();
        return Err(OnnxError::Port { kind: "input", name: String::new(), reason });
    }
    Ok(Module {
        graph: importer.graph,
        given: importer.given,
        quant: crate::quant::QuantTable::default(),
        ports: crate::Ports { inputs: model.inputs.clone(), outputs: model.outputs.clone() },
        notes: source.notes.clone(),
        dead: Default::default(),
    })
}

/// That every input with a layout of its own is one of the model's.
fn check_names(source: &Source, layouts: &InputLayouts) -> Result<(), OnnxError> {
    let inputs = &source.model.inputs;
    let Some(name) = layouts.named.keys().find(|name| inputs.iter().all(|port| port.name != **name)) else {
        return Ok(());
    };
    let names: Vec<&str> = inputs.iter().map(|port| port.name.as_str()).collect();
    let reason = format!("the model has no input of this name to lay out; it has: {}", names.join(", "));
    Err(OnnxError::Port { kind: "input", name: name.clone(), reason })
}

impl Importer<'_> {
    /// Adds a graph input whose dimension `i` is dimension `order[i]` of the ONNX
    /// input, and what turns it back; the value that nodes read.
    fn input(&mut self, name: &str, shape: &Shape, order: Vec<usize>) -> ValueId {
        let origin = |order: Vec<usize>| {
            Some(Origin {
                tensor: name.to_owned(),
                order: Some(order),
                extent: None,
                channels: None,
                clamp: Clamp::NONE,
            })
        };
        let as_onnx: Vec<usize> = (0..shape.rank()).collect();
        let port = self.graph.add_value(name, shape.permuted(&order), Def::Input, origin(order.clone()));
        self.graph.inputs.push(port);
        if order == as_onnx {
            return port;
        }
        let mut back = as_onnx.clone();
        order.iter().enumerate().for_each(|(i, &dim)| back[dim] = i);
        let turned = NewNode {
            name,
            onnx_op: "Transpose",
            op: Op::Transpose(back),
            inputs: vec![port],
            output_name: name,
            shape: shape.clone(),
            origin: origin(as_onnx),
        };
        let id = self.graph.add_node(turned, None);
        self.graph.node(id).output
    }

    /// Operand `i` of a node; `None` where it is omitted.
    ///
    /// # Errors
    /// Where nothing supported defines it.
    pub fn operand(&self, node: &OnnxNode, i: usize) -> Result<Option<Operand>, String> {
        let Some(name) = node.input(i) else { return Ok(None) };
        if let Some(&id) = self.values.get(name) {
            return Ok(Some(Operand::Activation(id)));
        }
        match self.constants.get(name) {
            Some(t) => Ok(Some(Operand::Constant(t.clone()))),
            None => {
                Err(format!("it reads '{name}', a second output of a node: only first outputs are supported"))
            }
        }
    }

    /// Operand `i`, which must be computed at run time.
    ///
    /// # Errors
    /// Where it is omitted or constant.
    pub fn activation(&self, node: &OnnxNode, i: usize) -> Result<ValueId, String> {
        match self.operand(node, i)? {
            Some(Operand::Activation(id)) => Ok(id),
            Some(Operand::Constant(_)) => Err(format!(
                "operand {i} is a constant where an activation is expected: fold the model with onnxsim and export it again"
            )),
            None => Err(format!("operand {i} is missing")),
        }
    }

    /// Operand `i` as constant floats; `None` where it is omitted.
    ///
    /// # Errors
    /// Where it is computed at run time or holds integers.
    pub fn floats(&self, node: &OnnxNode, i: usize) -> Result<Option<ArrayD<f32>>, String> {
        match self.operand(node, i)? {
            None => Ok(None),
            Some(Operand::Constant(Tensor::F32(a))) => Ok(Some(a)),
            Some(Operand::Constant(_)) => {
                Err(format!("operand {i} holds integers where floats are expected"))
            }
            Some(Operand::Activation(_)) => {
                Err(format!("operand {i} is computed at run time; only a constant is supported"))
            }
        }
    }

    /// Operand `i` as constant integers; `None` where it is omitted.
    ///
    /// # Errors
    /// Where it is computed at run time or holds floats.
    pub fn integers(&self, node: &OnnxNode, i: usize) -> Result<Option<Vec<i64>>, String> {
        match self.operand(node, i)? {
            None => Ok(None),
            Some(Operand::Constant(t)) => match t.integers() {
                Some(v) => Ok(Some(v)),
                None => Err(format!("operand {i} holds floats where integers are expected")),
            },
            Some(Operand::Activation(_)) => {
                Err(format!("operand {i} is computed at run time; only a constant is supported"))
            }
        }
    }

    /// The shape of an activation.
    pub fn shape(&self, id: ValueId) -> Shape {
        self.graph.shape(id).clone()
    }

    /// Adds constant weights for operand `i` of `node`. `output_axis` is the axis
    /// of `data`'s ONNX form that runs over output channels: the scales that the
    /// file carries are kept where they run along it.
    pub fn add_weights(
        &mut self,
        node: &OnnxNode,
        i: usize,
        data: ArrayD<f32>,
        output_axis: usize,
    ) -> ValueId {
        let name = node.input(i).unwrap_or("weights");
        let id = self.graph.add_const(name, data);
        if let Some((scales, axis)) = self.by_name.weights.get(name)
            && axis.is_none_or(|a| a == output_axis)
        {
            self.given.weight_scales.insert(id, scales.clone());
        }
        id
    }

    /// Adds a constant that is no layer's weights.
    pub fn add_const(&mut self, name: &str, data: ArrayD<f32>) -> ValueId {
        self.graph.add_const(name, data)
    }

    /// Adds a node whose output is the ONNX node's first output, transposed by
    /// `order` (`None`: not a plain transpose of it).
    ///
    /// # Errors
    /// Where the operands do not fit the operator.
    pub fn emit(
        &mut self,
        op: Op,
        inputs: Vec<ValueId>,
        order: Option<Vec<usize>>,
    ) -> Result<ValueId, String> {
        let shapes: Vec<&Shape> = inputs.iter().map(|&v| self.graph.shape(v)).collect();
        let shape = op.output_shape(&shapes)?.ok_or("tinyc bug: a reshape must name its shape")?;
        Ok(self.emit_shaped(op, inputs, shape, order))
    }

    /// As [`Importer::emit`], with the shape given: for reshapes.
    pub fn emit_shaped(
        &mut self,
        op: Op,
        inputs: Vec<ValueId>,
        shape: Shape,
        order: Option<Vec<usize>>,
    ) -> ValueId {
        let node = self.current.expect("emit is called while a node is imported");
        let output = &node.outputs[0];
        let origin =
            Some(Origin { tensor: output.clone(), order, extent: None, channels: None, clamp: Clamp::NONE });
        self.add(op, inputs, shape, output, origin)
    }

    /// Adds a node that rearranges an operand; its output keeps the operand's origin
    /// as far as it can be told (`order` says how its data relates to the operand's).
    pub fn rearrange(&mut self, op: Op, input: ValueId, shape: Shape, order: Option<&[usize]>) -> ValueId {
        let source = self.graph.value(input).clone();
        let origin = source.origin.map(|o| Origin {
            order: match (&o.order, order) {
                (Some(before), Some(perm)) if before.len() == perm.len() => {
                    Some(perm.iter().map(|&p| before[p]).collect())
                }
                _ => None,
            },
            ..o
        });
        self.add(op, vec![input], shape, &source.name, origin)
    }

    fn add(
        &mut self,
        op: Op,
        inputs: Vec<ValueId>,
        shape: Shape,
        output_name: &str,
        origin: Option<Origin>,
    ) -> ValueId {
        let node = self.current.expect("nodes are added while a node is imported");
        let id = self.graph.add_node(
            NewNode { name: &node.name, onnx_op: &node.op, op, inputs, output_name, shape, origin },
            None,
        );
        self.graph.node(id).output
    }

    /// `[N, C, H, W]` or `[N, C, T]` as `[N, H, W, C]` (1-D: H is time, W is 1).
    ///
    /// # Errors
    /// Where the rank is neither 3 nor 4.
    pub fn to_channel_last(&mut self, x: ValueId) -> Result<ValueId, String> {
        let shape = self.shape(x);
        match shape.rank() {
            4 => Ok(self.rearrange(
                Op::Transpose(vec![0, 2, 3, 1]),
                x,
                shape.permuted(&[0, 2, 3, 1]),
                Some(&[0, 2, 3, 1]),
            )),
            3 => {
                let [n, c, t] = [shape.0[0], shape.0[1], shape.0[2]];
                let turned =
                    self.rearrange(Op::Transpose(vec![0, 2, 1]), x, Shape(vec![n, t, c]), Some(&[0, 2, 1]));
                Ok(self.rearrange(Op::Reshape, turned, Shape(vec![n, t, 1, c]), None))
            }
            rank => Err(format!(
                "its input has {rank} dimensions; 1-D (N, C, T) and 2-D (N, C, H, W) are supported"
            )),
        }
    }

    /// Emits a channel-last node for the ONNX node and turns its result back to
    /// `[N, C, H, W]` (`rank` 4) or `[N, C, T]` (`rank` 3).
    ///
    /// # Errors
    /// As for [`Importer::emit`].
    pub fn emit_channel_last(
        &mut self,
        op: Op,
        inputs: Vec<ValueId>,
        rank: usize,
    ) -> Result<ValueId, String> {
        if rank == 4 {
            let y = self.emit(op, inputs, Some(vec![0, 2, 3, 1]))?;
            let shape = self.shape(y).permuted(&[0, 3, 1, 2]);
            return Ok(self.rearrange(Op::Transpose(vec![0, 3, 1, 2]), y, shape, Some(&[0, 3, 1, 2])));
        }
        let y = self.emit(op, inputs, Some(vec![0, 2, 1]))?;
        let [n, t, _, c] = self.shape(y).0[..] else {
            return Err("tinyc bug: channel-last output is not 4-D".into());
        };
        let flat = self.emit_shaped(Op::Reshape, vec![y], Shape(vec![n, t, c]), Some(vec![0, 2, 1]));
        Ok(self.rearrange(Op::Transpose(vec![0, 2, 1]), flat, Shape(vec![n, c, t]), Some(&[0, 2, 1])))
    }
}
