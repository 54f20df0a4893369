//! How the caller's input lies in memory.
//!
//! In: what the user declares. Out: the order of dimensions of each graph input.
//! Invariant: the layout is that of the port alone; in the graph it is an explicit
//! transpose behind the input, like any other, which cancels where the first layer
//! works channel-last.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Graph, Shape, ValueId};

/// The order of an input's dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// As the model file declares them.
    #[default]
    Onnx,
    /// The second dimension, which ONNX uses for channels, comes last: `[N, H, W, C]`
    /// for `[N, C, H, W]`, as cameras deliver pixels.
    ChannelsLast,
}

impl Layout {
    /// For each dimension of the port, the dimension of the ONNX input that it is;
    /// `None` where the input has no dimension to move.
    pub fn order(self, rank: usize) -> Option<Vec<usize>> {
        match self {
            Layout::Onnx => Some((0..rank).collect()),
            Layout::ChannelsLast if rank < 3 => None,
            Layout::ChannelsLast => Some(std::iter::once(0).chain(2..rank).chain([1]).collect()),
        }
    }

    /// The layout of a graph input.
    pub fn of_input(graph: &Graph, input: ValueId) -> Layout {
        if input_order(graph, input).is_sorted() { Layout::Onnx } else { Layout::ChannelsLast }
    }
}

/// For each dimension of a graph input, the dimension of the ONNX input that it is.
pub fn input_order(graph: &Graph, input: ValueId) -> Vec<usize> {
    let value = graph.value(input);
    let order = value.origin.as_ref().and_then(|origin| origin.order.clone());
    order.unwrap_or_else(|| (0..value.shape.rank()).collect())
}

/// The axis of a graph input that is this axis of the ONNX input of that shape.
pub fn input_axis(graph: &Graph, input: ValueId, onnx: &Shape, axis: usize) -> Option<usize> {
    let order = input_order(graph, input);
    let place = order.iter().position(|&dim| dim == axis)?;
    let inner: usize = order[place + 1..].iter().map(|&dim| onnx.0[dim]).product();
    let shape = &graph.shape(input).0;
    (0..shape.len())
        .rev()
        .find(|&a| shape[a] == onnx.0[axis] && shape[a + 1..].iter().product::<usize>() == inner)
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::Onnx => "onnx",
            Layout::ChannelsLast => "channels-last",
        })
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(given: &str) -> Result<Layout, String> {
        [Layout::Onnx, Layout::ChannelsLast]
            .into_iter()
            .find(|layout| layout.to_string() == given)
            .ok_or_else(|| format!("'{given}' is no input layout; use onnx or channels-last"))
    }
}

/// The layout of every input: one for all, and others for some by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputLayouts {
    /// For inputs that are not named.
    #[serde(default)]
    pub all: Layout,
    /// By the input's ONNX name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<String, Layout>,
}

impl InputLayouts {
    /// From what the command line says: `LAYOUT` for all inputs, `NAME=LAYOUT` for one.
    ///
    /// # Errors
    /// Where a layout is unknown.
    pub fn from_options(given: &[String]) -> Result<InputLayouts, String> {
        let mut layouts = InputLayouts::default();
        for option in given {
            // An ONNX name may hold an equals sign, a layout may not.
            match option.rsplit_once('=') {
                Some((name, layout)) => drop(layouts.named.insert(name.to_owned(), layout.parse()?)),
                None => layouts.all = option.parse()?,
            }
        }
        Ok(layouts)
    }

    /// The layout of an input.
    pub fn of(&self, name: &str) -> Layout {
        self.named.get(name).copied().unwrap_or(self.all)
    }

    /// Whether every input lies as the model file says.
    pub fn is_onnx(&self) -> bool {
        *self == InputLayouts::default()
    }
}
