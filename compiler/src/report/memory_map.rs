//! The arena over the schedule: which buffer lies where, and when.
//!
//! In: a [`Plan`]. Out: [`MemoryMap`], drawn as text by its `Display` and as SVG by
//! [`svg`](super::memory_map_svg::svg). Invariant: it is a view of the plan's own
//! buffers and moments; nothing is computed anew but which moment of a step is the
//! fullest.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ir::ValueId;
use crate::plan::{Buffer, BufferKind, Plan, Time, Work};

/// The arena of a plan, moment by moment; docs/json.md names every field for users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryMap {
    /// Size of the arena.
    pub arena_bytes: usize,
    /// The most bytes that are needed at one moment: no arrangement needs less.
    pub live_bound_bytes: usize,
    /// The RAM regions over which the arena is divided, in the order of the offsets; empty
    /// where it is one buffer.
    pub regions: Vec<MapRegion>,
    /// Moments of the schedule: 0 is before the run, the last one after it.
    pub moments: usize,
    /// What is live before the run, every step, what is live after it.
    pub steps: Vec<MapStep>,
    /// The buffers in the order of the plan.
    pub buffers: Vec<MapBuffer>,
}

/// What of the arena lies in a RAM region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MapRegion {
    /// The region's name in the target's file.
    pub name: String,
    /// Its first byte among the offsets of the buffers.
    pub offset: usize,
    /// Size.
    pub bytes: usize,
}

/// A span of the time axis: a step, or the caller's turn before or after the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MapStep {
    /// The ONNX node's name; null for the caller's turns.
    pub name: Option<String>,
    /// Its first moment.
    pub first: usize,
    /// Its last moment; steps of a cascade take turns between the two.
    pub last: usize,
    /// The moment of its own at which most bytes are live: the one that text shows.
    pub fullest: usize,
    /// Bytes needed then, as the plan counts them.
    pub live_bytes: usize,
    /// Whether it works row by row.
    pub by_rows: bool,
    /// Whether it is the first at which the lower bound is reached.
    pub peak: bool,
    /// The group of what it makes.
    #[serde(skip)]
    pub makes: Option<usize>,
}

/// Bytes of the arena for some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MapBuffer {
    /// The model's input, or the ONNX node that makes the tensor or needs the scratch.
    pub name: String,
    /// What it holds.
    pub kind: MapKind,
    /// The row of its tensor; null where it holds all of it.
    pub row: Option<usize>,
    /// First byte.
    pub offset: usize,
    /// Size.
    pub bytes: usize,
    /// The moment at which it is first written.
    pub first: usize,
    /// The moment at which it is last read.
    pub last: usize,
    /// Buffers of one tensor have the same number, counted from 0 in their order.
    #[serde(skip)]
    pub group: usize,
}

/// What a buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MapKind {
    /// What the caller writes.
    Input,
    /// What the caller reads.
    Output,
    /// A tensor between.
    Tensor,
    /// Private bytes of a step.
    Scratch,
}

impl MapBuffer {
    /// Whether it is live at a moment.
    #[must_use]
    pub fn is_live(&self, moment: usize) -> bool {
        (self.first..=self.last).contains(&moment)
    }

    /// One past its last byte.
    #[must_use]
    pub fn end(&self) -> usize {
        self.offset + self.bytes
    }
}

impl MemoryMap {
    /// The map of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut groups = Groups::default();
        let buffers: Vec<MapBuffer> =
            plan.buffers.iter().map(|buffer| row(plan, buffer, &mut groups)).collect();
        let mut own: Vec<Vec<usize>> = vec![Vec::new(); plan.steps.len()];
        let events = plan.events();
        let mut pushes = Vec::new();
        for (index, event) in events.iter().enumerate() {
            match event.step() {
                Some(step) => own[step.index()].push(index + 1),
                None => pushes.push(index + 1),
            }
        }
        let live = live_bytes(&buffers, events.len() + 2);
        let caller = |moment: usize| MapStep {
            name: None,
            first: moment,
            last: moment,
            fullest: moment,
            live_bytes: live[moment],
            by_rows: false,
            peak: plan.peak_step.is_none() && live[moment] == plan.live_bound_bytes,
            makes: None,
        };
        // The caller writes the inputs before everything else, or row by row in between.
        let fullest = pushes.iter().copied().rev().max_by_key(|&moment| live[moment]);
        let mut steps = vec![MapStep {
            first: Time::START.index(),
            last: pushes.last().copied().unwrap_or(Time::START.index()),
            by_rows: !pushes.is_empty(),
            ..caller(fullest.unwrap_or(Time::START.index()))
        }];
        for (index, step) in plan.steps.iter().enumerate() {
            // Of equally full moments the first; every step has at least one.
            let fullest = own[index].iter().copied().rev().max_by_key(|&moment| live[moment]);
            let fullest = fullest.unwrap_or_default();
            steps.push(MapStep {
                name: Some(step.name.clone()),
                first: own[index].first().copied().unwrap_or(fullest),
                last: own[index].last().copied().unwrap_or(fullest),
                fullest,
                live_bytes: step.live_bytes,
                by_rows: matches!(step.work, Work::Rows(_)),
                peak: plan.peak_step.is_some_and(|peak| peak.index() == index),
                makes: groups.of_value.get(&step.output).copied(),
            });
        }
        steps.push(caller(events.len() + 1));
        Self {
            arena_bytes: plan.arena_bytes,
            live_bound_bytes: plan.live_bound_bytes,
            regions: plan
                .parts
                .iter()
                .map(|part| MapRegion { name: part.region.clone(), offset: part.start, bytes: part.bytes })
                .collect(),
            moments: events.len() + 2,
            steps,
            buffers,
        }
    }

    /// The region in which a buffer lies; `None` where the arena is one buffer.
    pub(super) fn region_of(&self, buffer: &MapBuffer) -> Option<&MapRegion> {
        self.regions
            .iter()
            .find(|region| (region.offset..region.offset + region.bytes).contains(&buffer.offset))
    }

    /// The buffers of each group.
    pub(super) fn groups(&self) -> Vec<Vec<&MapBuffer>> {
        let count = self.buffers.iter().map(|b| b.group + 1).max().unwrap_or(0);
        let mut groups = vec![Vec::new(); count];
        for buffer in &self.buffers {
            groups[buffer.group].push(buffer);
        }
        groups
    }
}

/// Bytes of all buffers that are live at each moment.
pub(super) fn live_bytes<'a>(buffers: impl IntoIterator<Item = &'a MapBuffer>, moments: usize) -> Vec<usize> {
    let mut live = vec![0; moments];
    for buffer in buffers {
        live[buffer.first..=buffer.last].iter_mut().for_each(|bytes| *bytes += buffer.bytes);
    }
    live
}

/// The number of each tensor, and of the scratch of each step.
#[derive(Default)]
struct Groups {
    of_value: BTreeMap<ValueId, usize>,
    /// By the first of values that share bytes: what is joined shares those of several.
    of_first: BTreeMap<ValueId, usize>,
    of_scratch: BTreeMap<usize, usize>,
    count: usize,
}

impl Groups {
    fn of(&mut self, kind: &BufferKind) -> usize {
        let next = self.count;
        let group = match kind {
            BufferKind::Values(values) | BufferKind::Row { values, .. } => {
                let group = values.first().map_or(next, |&first| *self.of_first.entry(first).or_insert(next));
                for &value in values {
                    self.of_value.entry(value).or_insert(group);
                }
                group
            }
            BufferKind::Scratch { step, .. } => *self.of_scratch.entry(step.index()).or_insert(next),
        };
        self.count = self.count.max(group + 1);
        group
    }
}

fn row(plan: &Plan, buffer: &Buffer, groups: &mut Groups) -> MapBuffer {
    let (name, kind, row) = match &buffer.kind {
        BufferKind::Values(values) => (maker(plan, values), port(plan, values), None),
        BufferKind::Row { values, row } => (maker(plan, values), port(plan, values), Some(*row)),
        BufferKind::Scratch { step, .. } => (plan.steps[step.index()].name.clone(), MapKind::Scratch, None),
    };
    MapBuffer {
        name,
        kind,
        row,
        offset: buffer.offset,
        bytes: buffer.bytes,
        first: buffer.first.index(),
        last: buffer.last.index(),
        group: groups.of(&buffer.kind),
    }
}

/// Who makes the first of values that share bytes.
fn maker(plan: &Plan, values: &[ValueId]) -> String {
    let input = plan.inputs.iter().find(|port| values.contains(&port.value)).map(|port| &port.name);
    let step = || plan.steps.iter().find(|step| values.contains(&step.output)).map(|step| &step.name);
    input.or_else(step).cloned().unwrap_or_default()
}

fn port(plan: &Plan, values: &[ValueId]) -> MapKind {
    if plan.inputs.iter().any(|port| values.contains(&port.value)) {
        MapKind::Input
    } else if plan.outputs.iter().any(|port| values.contains(&port.value)) {
        MapKind::Output
    } else {
        MapKind::Tensor
    }
}
