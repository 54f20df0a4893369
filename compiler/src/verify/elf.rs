//! What measurements must know of a linked firmware.
//!
//! In: the bytes of a 32-bit little-endian ELF file. Out: sections, functions
//! and the bytes at an address. Invariant: nothing is trusted: a file that
//! ends early or lies about offsets is `None`, never a panic.

/// A linked firmware.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Elf {
    /// The sections that lie in memory, in the file's order.
    pub sections: Vec<Section>,
    /// The functions, by address; of several with one address all are there.
    pub functions: Vec<Function>,
    /// Every other symbol that names an address in a section.
    pub symbols: Vec<Function>,
}

/// A range of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name, with the dot.
    pub name: String,
    /// First address.
    pub address: u32,
    /// Length in bytes.
    pub bytes: u32,
    /// Whether it holds instructions.
    pub executable: bool,
    /// Its contents; empty where it has none in the file.
    pub data: Vec<u8>,
}

/// A function, or another symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name as the linker knows it.
    pub name: String,
    /// Its first instruction, without the bit that tells Thumb code.
    pub address: u32,
    /// Length in bytes; 0 where the file does not say.
    pub bytes: u32,
}

const SECTION_HEADER_BYTES: usize = 40;
const SYMBOL_BYTES: usize = 16;
const TYPE_SYMBOLS: u32 = 2;
const TYPE_NO_BITS: u32 = 8;
const FLAG_IN_MEMORY: u32 = 2;
const FLAG_EXECUTABLE: u32 = 4;
const FUNCTION: u8 = 2;

struct Header {
    name: u32,
    kind: u32,
    flags: u32,
    address: u32,
    offset: usize,
    bytes: usize,
    link: usize,
}

impl Elf {
    /// Reads a file.
    #[must_use]
    pub fn parse(file: &[u8]) -> Option<Self> {
        if !file.starts_with(b"\x7fELF\x01\x01") {
            return None;
        }
        let table = word(file, 32)? as usize;
        let count = usize::from(half(file, 48)?);
        let headers: Vec<Header> = (0..count)
            .map(|index| header(file, table.checked_add(index.checked_mul(SECTION_HEADER_BYTES)?)?))
            .collect::<Option<_>>()?;
        let names = contents(file, headers.get(usize::from(half(file, 50)?))?)?;
        let mut elf = Self::default();
        for header in &headers {
            if header.flags & FLAG_IN_MEMORY != 0 && header.bytes > 0 {
                elf.sections.push(Section {
                    name: text(names, header.name)?,
                    address: header.address,
                    bytes: u32::try_from(header.bytes).ok()?,
                    executable: header.flags & FLAG_EXECUTABLE != 0,
                    data: match header.kind {
                        TYPE_NO_BITS => Vec::new(),
                        _ => contents(file, header)?.to_vec(),
                    },
                });
            }
            if header.kind == TYPE_SYMBOLS {
                let names = contents(file, headers.get(header.link)?)?;
                for symbol in contents(file, header)?.chunks_exact(SYMBOL_BYTES) {
                    elf.add(symbol, names)?;
                }
            }
        }
        elf.functions.sort_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
        Some(elf)
    }

    fn add(&mut self, symbol: &[u8], names: &[u8]) -> Option<()> {
        let (address, bytes) = (word(symbol, 4)?, word(symbol, 8)?);
        let name = text(names, word(symbol, 0)?)?;
        if half(symbol, 14)? == 0 || name.is_empty() {
            return Some(());
        }
        match symbol.get(12)? & 15 {
            FUNCTION => self.functions.push(Function { name, address: address & !1, bytes }),
            _ => self.symbols.push(Function { name, address, bytes }),
        }
        Some(())
    }

    /// The address of a function by its exact name.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<u32> {
        self.functions.iter().find(|function| function.name == name).map(|function| function.address)
    }

    /// Length of a section; 0 where there is none of that name.
    #[must_use]
    pub fn section_bytes(&self, name: &str) -> u32 {
        self.sections.iter().filter(|section| section.name == name).map(|section| section.bytes).sum()
    }

    /// What follows an address within its section.
    #[must_use]
    pub fn at(&self, address: u32) -> Option<&[u8]> {
        self.sections
            .iter()
            .filter_map(|section| section.data.get(address.checked_sub(section.address)? as usize..))
            .find(|rest| !rest.is_empty())
    }
}

fn header(file: &[u8], at: usize) -> Option<Header> {
    let field = |index: usize| word(file, at.checked_add(4 * index)?);
    Some(Header {
        name: field(0)?,
        kind: field(1)?,
        flags: field(2)?,
        address: field(3)?,
        offset: field(4)? as usize,
        bytes: field(5)? as usize,
        link: field(6)? as usize,
    })
}

fn contents<'a>(file: &'a [u8], header: &Header) -> Option<&'a [u8]> {
    file.get(header.offset..header.offset.checked_add(header.bytes)?)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn text(names: &[u8], at: u32) -> Option<String> {
    let rest = names.get(at as usize..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}
