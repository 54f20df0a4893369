//! What was last written where.
//!
//! In: writes. Out: whether bytes still hold what somebody wants to read.
//! Invariant: every byte of the arena has one tag at a time, the last that was
//! written; neighbours that hold neighbouring bytes of one content are one entry,
//! so that a row costs a few entries and not its bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::ir::ValueId;

/// What a byte holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Private bytes of a call.
    Scratch {
        /// What the step makes.
        step: ValueId,
        /// Which call of it.
        call: usize,
    },
    /// A byte of a content.
    Content {
        /// Whose.
        value: ValueId,
        /// The byte's position in the value, less its offset in the arena.
        shift: isize,
    },
}

impl Tag {
    /// The tag of a value whose byte `byte` lies at `offset`.
    pub fn of(value: ValueId, byte: usize, offset: usize) -> Tag {
        Tag::Content { value, shift: byte as isize - offset as isize }
    }
}

/// What is where, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Which byte of the arena.
    pub offset: usize,
    /// What it holds; `None` where nobody wrote.
    pub tag: Option<Tag>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            None => write!(f, "nothing at {}", self.offset),
            Some(Tag::Scratch { step, .. }) => write!(f, "scratch of {step} at {}", self.offset),
            Some(Tag::Content { value, shift }) => {
                write!(f, "byte {} of {value} at {}", shift + self.offset as isize, self.offset)
            }
        }
    }
}

/// The arena's tags: first byte to one past the last byte, and the tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(BTreeMap<usize, (usize, Tag)>);

impl Tags {
    /// Writes `offset..offset + bytes`.
    pub fn write(&mut self, offset: usize, bytes: usize, tag: Tag) {
        if bytes == 0 {
            return;
        }
        let (start, end) = (offset, offset + bytes);
        self.split(start);
        self.split(end);
        let old: Vec<usize> = self.0.range(start..end).map(|(&at, _)| at).collect();
        for at in old {
            self.0.remove(&at);
        }
        let mut run = (start, end);
        if let Some((&at, &(before, same))) = self.0.range(..start).next_back()
            && before == start
            && same == tag
        {
            run.0 = at;
        }
        if let Some(&(after, same)) = self.0.get(&end)
            && same == tag
        {
            self.0.remove(&end);
            run.1 = after;
        }
        self.0.insert(run.0, (run.1, tag));
    }

    /// Checks that `offset..offset + bytes` hold what the tag says.
    ///
    /// # Errors
    /// The first byte that does not.
    pub fn check(&self, offset: usize, bytes: usize, tag: Tag) -> Result<(), Found> {
        let mut at = offset;
        while at < offset + bytes {
            let entry = self.0.range(..=at).next_back().filter(|(_, (end, _))| *end > at);
            match entry {
                Some((_, &(end, found))) if found == tag => at = end,
                _ => return Err(Found { offset: at, tag: entry.map(|(_, (_, tag))| *tag) }),
            }
        }
        Ok(())
    }

    /// Nothing lies in `offset..offset + bytes` any more.
    pub fn erase(&mut self, offset: usize, bytes: usize) {
        self.split(offset);
        self.split(offset + bytes);
        let old: Vec<usize> = self.0.range(offset..offset + bytes).map(|(&at, _)| at).collect();
        for at in old {
            self.0.remove(&at);
        }
    }

    /// Copies `from..from + bytes` to `to`, as if through a buffer; scratch is lost.
    pub fn copy(&mut self, from: usize, to: usize, bytes: usize) {
        self.split(from);
        self.split(from + bytes);
        let found: Vec<(usize, (usize, Tag))> =
            self.0.range(from..from + bytes).map(|(&at, &entry)| (at, entry)).collect();
        self.erase(to, bytes);
        for (at, (end, tag)) in found {
            if let Tag::Content { value, shift } = tag {
                let shift = shift + from as isize - to as isize;
                self.write(at - from + to, end - at, Tag::Content { value, shift });
            }
        }
    }

    /// The same bytes as contents of something else: `rename` says for a value which of its
    /// bytes, in runs, are which bytes of it now, as a difference; all others are lost, and
    /// so is scratch.
    pub fn renamed(&self, rename: impl Fn(ValueId) -> Vec<(Range<usize>, isize)>) -> Tags {
        let mut tags = Tags::default();
        for (&at, &(end, tag)) in &self.0 {
            let Tag::Content { value, shift } = tag else { continue };
            let first = (at as isize + shift) as usize;
            for (run, difference) in rename(value) {
                let (start, stop) = (run.start.max(first), run.end.min(first + end - at));
                if start < stop {
                    let tag = Tag::Content { value, shift: shift + difference };
                    tags.write(at + start - first, stop - start, tag);
                }
            }
        }
        tags
    }

    /// Makes an entry begin at a byte, if one reaches over it.
    fn split(&mut self, at: usize) {
        if let Some((&start, &(end, tag))) = self.0.range(..at).next_back()
            && end > at
        {
            self.0.insert(start, (at, tag));
            self.0.insert(at, (end, tag));
        }
    }
}
