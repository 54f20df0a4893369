//! The arena over the schedule for a terminal.
//!
//! In: a [`MemoryMap`]. Out: time downwards, one line a step, the arena's bytes
//! across, for each RAM region by itself, a legend. Invariant: no line is longer than 100 characters.

use std::fmt;

use super::memory_map::{MapBuffer, MapKind, MapStep, MemoryMap, live_bytes};
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
        write!(
            f,
            "arena {}, lower bound {}",
            format_bytes(self.arena_bytes as u64),
            format_bytes(self.live_bound_bytes as u64),
        )?;
        if self.regions.is_empty() {
            let all = Span { first: 0, bytes: self.arena_bytes, bound_bytes: self.live_bound_bytes };
            writeln!(f, " (V); a column is {}; > marks the peak", format_bytes(all.column_bytes() as u64))?;
            self.picture(f, &all, |step| step.live_bytes)?;
        } else {
            writeln!(f, "; > marks the peak")?;
        }
        for region in &self.regions {
            let inside = |b: &&MapBuffer| (region.offset..region.offset + region.bytes).contains(&b.offset);
            let live = live_bytes(self.buffers.iter().filter(inside), self.moments);
            // Where a tensor is made over another, bytes count twice.
            let bound_bytes = live.iter().copied().max().unwrap_or(0).min(region.bytes);
            let span = Span { first: region.offset, bytes: region.bytes, bound_bytes };
            writeln!(
                f,
                "\n{} {}, at most {} of it live (V); a column is {}",
                region.name,
                format_bytes(region.bytes as u64),
                format_bytes(bound_bytes as u64),
                format_bytes(span.column_bytes() as u64),
            )?;
            self.picture(f, &span, |step| live[step.fullest])?;
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

/// Bytes of the arena that a picture shows.
struct Span {
    first: usize,
    bytes: usize,
    /// The most of them that are live at one moment.
    bound_bytes: usize,
}

impl Span {
    fn column_bytes(&self) -> usize {
        self.bytes.div_ceil(COLUMNS).max(1)
    }

    /// Offsets at the quarters, and where the lower bound ends.
    fn ruler(&self) -> String {
        let column_bytes = self.column_bytes();
        let mut ruler = vec![b' '; COLUMNS];
        for quarter in 0..4 {
            let at = quarter * COLUMNS / 4;
            let label = thousands((at * column_bytes) as u64);
            if at * column_bytes < self.bytes && at + label.len() <= COLUMNS {
                ruler[at..at + label.len()].copy_from_slice(label.as_bytes());
            }
        }
        let bound = (self.bound_bytes.max(1) - 1) / column_bytes;
        ruler[bound.min(COLUMNS - 1)] = b'V';
        String::from_utf8_lossy(&ruler).trim_end().to_owned()
    }
}

impl MemoryMap {
    /// The steps, each with some bytes of the arena; `live` says how many of them it needs.
    fn picture(
        &self,
        f: &mut fmt::Formatter<'_>,
        span: &Span,
        live: impl Fn(&MapStep) -> usize,
    ) -> fmt::Result {
        writeln!(f, "{:NAME$} {:>10}  {}", "step", "live B", span.ruler())?;
        for step in &self.steps {
            let name = match &step.name {
                Some(name) => cut(name),
                None if step.first == 0 => "(inputs written)".to_owned(),
                None => "(outputs read)".to_owned(),
            };
            let picture = self.line(step.fullest, span);
            let (mark, how) = (if step.peak { '>' } else { ' ' }, if step.by_rows { '=' } else { ' ' });
            let live = thousands(live(step) as u64);
            writeln!(f, "{name:NAME$}{how}{live:>10} {mark}{picture}")?;
        }
        Ok(())
    }

    /// The arena at a moment: each column shows who has most of its bytes.
    fn line(&self, moment: usize, span: &Span) -> String {
        let column_bytes = span.column_bytes();
        let live: Vec<&MapBuffer> = self.buffers.iter().filter(|b| b.is_live(moment)).collect();
        let cell = |column: usize| {
            let start = span.first + column * column_bytes;
            let end = (start + column_bytes).min(span.first + span.bytes);
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
        (0..span.bytes.div_ceil(column_bytes)).map(|column| cell(column) as char).collect()
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
            [one] => {
                let start = self.region_of(one).map_or(0, |region| region.offset);
                let (first, end) = (one.offset - start, one.end() - start);
                format!("{}..{}", thousands(first as u64), thousands(end as u64))
            }
            rows => format!("at most, in {} rows", rows.len()),
        };
        let place = match (buffer.kind, group.len()) {
            (MapKind::Scratch, 2..) => "at most".to_owned(),
            _ => place,
        };
        let place = match self.region_of(buffer) {
            Some(region) if group.len() == 1 || buffer.kind != MapKind::Scratch => {
                format!("{place} of {}", region.name)
            }
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
