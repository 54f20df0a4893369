//! Where the panics that a firmware holds come from.
//!
//! In: an ELF file for a 32-bit little-endian core, linked with a panic
//! handler that reads its location, and without debug information. Out: the
//! places in the source, sorted. Invariant: only what the linker kept is
//! found, so a place that is named can be reached as far as the linker knows.
//!
//! A panic's place is a constant of four words: address and length of the
//! file's name, line, column (`core::panic::Location`). Its layout is not a
//! promise of the language; a change would leave the list empty, no more.

/// The segments of an ELF32 file: offset, address and length of each.
fn segments(elf: &[u8]) -> Vec<(usize, usize, usize)> {
    let Some((table, count)) = word(elf, 0x1c).zip(half(elf, 0x2c)) else {
        return Vec::new();
    };
    const HEADER_BYTES: usize = 32;
    (0..count)
        .filter_map(|index| {
            let at = table.checked_add(index * HEADER_BYTES)?;
            Some((word(elf, at + 4)?, word(elf, at + 8)?, word(elf, at + 16)?))
        })
        .collect()
}

/// Every `file:line:column` of a panic in the firmware.
pub(super) fn panic_locations(elf: &[u8]) -> Vec<String> {
    let segments = segments(elf);
    let file_name = |address: usize, length: usize| {
        let offset = segments.iter().find_map(|(offset, start, bytes)| {
            let within = address.checked_sub(*start)?;
            (within < *bytes).then_some(offset + within)
        })?;
        let name = elf.get(offset..offset.checked_add(length)?)?;
        let name = std::str::from_utf8(name).ok()?;
        (name.ends_with(".rs") && !name.contains(|c: char| c.is_control())).then_some(name)
    };
    let mut found: Vec<String> = (0..elf.len() / 4)
        .filter_map(|index| {
            let at = index * 4;
            let length = word(elf, at + 4).filter(|length| (4..1024).contains(length))?;
            let name = file_name(word(elf, at)?, length)?;
            let (line, column) = (word(elf, at + 8)?, word(elf, at + 12)?);
            Some(format!("{name}:{line}:{column}"))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn word(elf: &[u8], at: usize) -> Option<usize> {
    let bytes = elf.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

fn half(elf: &[u8], at: usize) -> Option<usize> {
    let bytes = elf.get(at..at + 2)?.try_into().ok()?;
    Some(usize::from(u16::from_le_bytes(bytes)))
}
