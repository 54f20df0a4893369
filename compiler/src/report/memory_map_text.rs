//! The arena over the schedule for a terminal.
//!
//! In: a [`MemoryMap`]. Out: time downwards, one line a step, the arena's bytes
//! across, a legend. Invariant: no line is longer than 100 characters.

use std::fmt;

use super::memory_map::{MapBuffer, MapKind, MemoryMap, live_bytes};
use super::short;
use crate::target::units::{format_bytes, thousands};

/// Characters of the picture.
const COLUMNS: usize = 64;
/// Characters of a step's name.
const NAME: usize = 22;
/// Letters of tensors, in turn.
const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Bytes that two buffers have: rows are read before they are written over.
const SHARED: u8 = b'#';
const SCRATCH: u8 = b'~';
const FREE: u8 = b'.';

impl fmt::Display for MemoryMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column_bytes = self.arena_bytes.div_ceil(COLUMNS).max(1);
        let used = self.arena_bytes.div_ceil(column_bytes);
        writeln!(
            f,
            "arena {}, lower bound {} (V); a column is {}; > marks the peak",
            format_bytes(self.arena_bytes as u64),
            format_bytes(self.live_bound_bytes as u64),
            format_bytes(column_bytes as u64),
        )?;
        writeln!(f, "{:NAME$} {:>10}  {}", "step", "live B", self.ruler(column_bytes))?;
        for step in &self.steps {
            let name = match &step.name {
                Some(name) => cut(name),
                None if step.first == 0 => "(inputs written)".to_owned(),
                None => "(outputs read)".to_owned(),
            };
            let picture = self.line(step.fullest, column_bytes, used);
            let (mark, how) = (if step.peak { '>' } else { ' ' }, if step.by_rows { '=' } else { ' ' });
            let live = thousands(step.live_bytes as u64);
            writeln!(f, "{name:NAME$}{how}{live:>10} {mark}{picture}")?;
        }
        writeln!(
            f,
            "{} free  {} scratch  {} written over while it is read{}",
            FREE as char,
            SCRATCH as char,
            SHARED as char,
            match self.steps.iter().any(|step| step.by_rows) {
                true => "  = by rows: its fullest moment",
                false => "",
            }
        )?;
        for (index, group) in self.groups().iter().enumerate() {
            self.legend(f, index, group)?;
        }
        Ok(())
    }
}

impl MemoryMap {
    /// Offsets at the quarters, and where the lower bound ends.
    fn ruler(&self, column_bytes: usize) -> String {
        let mut ruler = vec![b' '; COLUMNS];
        for quarter in 0..4 {
            let at = quarter * COLUMNS / 4;
            let label = thousands((at * column_bytes) as u64);
            if at * column_bytes < self.arena_bytes && at + label.len() <= COLUMNS {
                ruler[at..at + label.len()].copy_from_slice(label.as_bytes());
            }
        }
        let bound = (self.live_bound_bytes.max(1) - 1) / column_bytes;
        ruler[bound.min(COLUMNS - 1)] = b'V';
        String::from_utf8_lossy(&ruler).trim_end().to_owned()
    }

    /// The arena at a moment: each column shows who has most of its bytes.
    fn line(&self, moment: usize, column_bytes: usize, columns: usize) -> String {
        let live: Vec<&MapBuffer> = self.buffers.iter().filter(|b| b.is_live(moment)).collect();
        let cell = |column: usize| {
            let (start, end) = (column * column_bytes, (column + 1) * column_bytes);
            let part = |b: &MapBuffer| b.end().min(end).saturating_sub(b.offset.max(start));
            let here: Vec<&MapBuffer> = live.iter().copied().filter(|b| part(b) > 0).collect();
            let shares = |a: &MapBuffer, b: &MapBuffer| {
                a.end().min(b.end()).min(end) > a.offset.max(b.offset).max(start)
            };
            if here.iter().enumerate().any(|(i, a)| here[..i].iter().any(|b| shares(a, b))) {
                return SHARED;
            }
            let mut bytes = vec![0; LETTERS.len() + 1];
            for buffer in &here {
                let which = match buffer.kind {
                    MapKind::Scratch => LETTERS.len(),
                    _ => buffer.group % LETTERS.len(),
                };
                bytes[which] += part(buffer);
            }
            let most = (0..bytes.len()).rev().max_by_key(|&which| bytes[which]).unwrap_or(0);
            match bytes[most] {
                0 => FREE,
                _ => LETTERS.get(most).copied().unwrap_or(SCRATCH),
            }
        };
        (0..columns).map(|column| cell(column) as char).collect()
    }

    fn legend(&self, f: &mut fmt::Formatter<'_>, index: usize, group: &[&MapBuffer]) -> fmt::Result {
        let Some(buffer) = group.first() else { return Ok(()) };
        let letter = match buffer.kind {
            MapKind::Scratch => SCRATCH,
            _ => LETTERS[index % LETTERS.len()],
        };
        let most = live_bytes(group.iter().copied(), self.moments).into_iter().max().unwrap_or(0);
        let kind = match buffer.kind {
            MapKind::Input => "input",
            MapKind::Output => "output",
            MapKind::Tensor => "tensor",
            MapKind::Scratch => "scratch",
        };
        let place = match group {
            [one] => format!("{}..{}", thousands(one.offset as u64), thousands(one.end() as u64)),
            rows => format!("at most, in {} rows", rows.len()),
        };
        let place = match (buffer.kind, group.len()) {
            (MapKind::Scratch, 2..) => "at most".to_owned(),
            _ => place,
        };
        let (letter, most) = (letter as char, format_bytes(most as u64));
        writeln!(f, "{letter} {kind:7} {most:>11} {place:24} {}", short(&buffer.name))
    }
}

/// The end of a layer's name, which tells layers apart.
fn cut(name: &str) -> String {
    let name = short(name);
    let chars = name.chars().count();
    match chars > NAME {
        true => format!("..{}", name.chars().skip(chars - NAME + 2).collect::<String>()),
        false => name,
    }
}
