//! The graph of calls, and its longest path.
//!
//! In: a linked firmware and the function to start from. Out: [`StackBound`].
//! Invariant: a function that is part of a cycle is never given a bound.

use std::collections::BTreeMap;
use std::fmt;

use super::StackError;
use super::walk::{Function, walk};
use crate::target::Isa;
use crate::verify::elf::Elf;

/// How much stack a function needs, whatever the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackBound {
    /// Bytes below the stack pointer of its caller.
    pub bytes: u32,
    /// The functions of the deepest way, the outermost first, each with the
    /// bytes that it holds there.
    pub path: Vec<(String, u32)>,
}

/// An address, told by its function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The function that holds it; empty where none does.
    pub function: String,
    /// The address.
    pub address: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.function[..] {
            "" => write!(f, "{:#010x}", self.address),
            function => write!(f, "{:#010x} in '{function}'", self.address),
        }
    }
}

/// The functions of a firmware by address.
pub struct Functions<'a> {
    pub elf: &'a Elf,
    pub isa: Isa,
    /// First address -> end and name.
    ranges: BTreeMap<u32, (u32, &'a str)>,
    /// Where code and data begin among each other: address -> whether code.
    marks: BTreeMap<u32, bool>,
}

impl<'a> Functions<'a> {
    fn new(elf: &'a Elf, isa: Isa) -> Self {
        let mut ranges: BTreeMap<u32, (u32, &str)> = BTreeMap::new();
        let sections: Vec<_> = elf.sections.iter().filter(|section| section.executable).collect();
        for function in &elf.functions {
            let start = function.address;
            let Some(section) = sections.iter().find(|s| (s.address..s.address + s.bytes).contains(&start))
            else {
                continue;
            };
            // Without a length it reaches to the next function.
            let next = elf.functions.iter().map(|f| f.address).find(|&address| address > start);
            let limit = section.address + section.bytes;
            let end = match function.bytes {
                0 => next.map_or(limit, |next| next.min(limit)),
                bytes => start.saturating_add(bytes).min(limit),
            };
            let range = ranges.entry(start).or_insert((end, &function.name));
            range.0 = range.0.max(end);
        }
        let kind = |name: &str| match name.split('.').next()? {
            "$t" | "$a" | "$x" => Some(true),
            "$d" => Some(false),
            _ => None,
        };
        let marks = elf.symbols.iter().filter_map(|s| Some((s.address & !1, kind(&s.name)?))).collect();
        Self { elf, isa, ranges, marks }
    }

    fn containing(&self, at: u32) -> Option<(u32, &'a str)> {
        let (_, &(end, name)) = self.ranges.range(..=at).next_back()?;
        (at < end).then_some((end, name))
    }

    /// The end of the function that holds an address.
    pub fn end(&self, at: u32) -> Option<u32> {
        self.containing(at).map(|(end, _)| end)
    }

    /// An address for people.
    pub fn place(&self, at: u32) -> Place {
        let function = self.containing(at).map_or_else(String::new, |(_, name)| readable(name));
        Place { function, address: at }
    }

    /// Whether an address within a function holds an instruction and no data.
    pub fn is_code(&self, at: u32) -> bool {
        self.marks.range(..=at).next_back().is_none_or(|(_, &code)| code)
    }

    /// Where the data that begin at an address end.
    pub fn data_end(&self, at: u32) -> Option<u32> {
        if self.is_code(at) {
            return None;
        }
        self.marks.range(at + 1..).find(|&(_, &code)| code).map(|(&end, _)| end)
    }

    /// A word of memory.
    pub fn word(&self, at: u32) -> Option<u32> {
        Some(u32::from_le_bytes(self.elf.at(at)?.get(..4)?.try_into().ok()?))
    }
}

/// The last names of a mangled path, without its hash: `kernels::add::step`.
fn readable(mangled: &str) -> String {
    let mut names = Vec::new();
    if let Some(mut rest) = mangled.strip_prefix("_ZN") {
        while let Some(digits) = rest.find(|c: char| !c.is_ascii_digit()).filter(|&digits| digits > 0) {
            let (length, behind) = rest.split_at(digits);
            let Some((name, behind)) = length.parse().ok().and_then(|n| behind.split_at_checked(n)) else {
                break;
            };
            names.push(name);
            rest = behind;
        }
        // The hash.
        names.pop();
    }
    match names.len() {
        0 => mangled.to_owned(),
        count => names[count.saturating_sub(3)..].join("::"),
    }
}

/// The bound of the function at an address.
pub fn longest(elf: &Elf, isa: Isa, entry: u32) -> Result<StackBound, StackError> {
    let functions = Functions::new(elf, isa);
    let mut search = Search { functions: &functions, done: BTreeMap::new(), way: Vec::new() };
    let bytes = search.visit(entry)?;
    let mut path = Vec::new();
    let mut next = Some(entry);
    while let Some(at) = next {
        let visited = &search.done[&at];
        path.push((functions.place(at).function, visited.held));
        next = visited.through;
    }
    Ok(StackBound { bytes, path })
}

/// A function whose bound is known.
struct Visited {
    bytes: u32,
    /// What it holds of them itself.
    held: u32,
    /// The call that makes its bound; none: its own deepest point.
    through: Option<u32>,
}

struct Search<'a> {
    functions: &'a Functions<'a>,
    done: BTreeMap<u32, Visited>,
    /// The functions between the first one and this one.
    way: Vec<u32>,
}

impl Search<'_> {
    fn visit(&mut self, at: u32) -> Result<u32, StackError> {
        if let Some(visited) = self.done.get(&at) {
            return Ok(visited.bytes);
        }
        if let Some(start) = self.way.iter().position(|&outer| outer == at) {
            let cycle = self.way[start..].iter().chain([&at]);
            let names = cycle.map(|&at| self.functions.place(at).function).collect();
            return Err(StackError::Recursion(names));
        }
        self.way.push(at);
        let Function { own_bytes, calls } = walk(self.functions, at)?;
        let mut visited = Visited { bytes: own_bytes, held: own_bytes, through: None };
        for (to, depth) in calls {
            let bytes = depth.saturating_add(self.visit(to)?);
            if bytes > visited.bytes {
                visited = Visited { bytes, held: depth, through: Some(to) };
            }
        }
        self.way.pop();
        let bytes = visited.bytes;
        self.done.insert(at, visited);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_mangled_name_is_told_by_its_last_parts() {
        assert_eq!(
            readable("_ZN9kws_dscnn7runtime7kernels8avg_pool4step17hba8cc9e353b3ef15E"),
            "kernels::avg_pool::step"
        );
        assert_eq!(readable("_ZN2m73run17h0000000000000000E"), "m7::run");
        assert_eq!(readable("__aeabi_memmove"), "__aeabi_memmove");
        assert_eq!(readable("_ZN99short17hE"), "_ZN99short17hE");
    }
}
