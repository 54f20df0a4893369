//! An arena divided over several RAM regions.
//!
//! In: what has to lie somewhere, in [`Unit`]s that stay together, and the [`Regions`] that
//! there are. Out: a [`Division`]: an offset for everything and a [`Part`] for each region
//! that is used. Invariants: a unit lies in one region; each region is packed by itself, by
//! the packer of an arena that is one buffer, and holds no more than it may; the result
//! depends on the units and regions alone.
//!
//! The hottest units go first, each into the fastest region that has room for it at every
//! moment at which it lives. How hot a unit is, is how often a byte of it is read or written
//! for each moment that it lives: what is there for long takes room from others for long.
//! A unit that fits one region alone goes before all others. Where that leaves something
//! without a place, the largest go first.

use std::cmp::Reverse;
use std::fmt;

use super::Part;
use super::regions::Regions;
use crate::target::units::format_bytes;

/// Things that lie in the same region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// What it is, for messages.
    pub name: String,
    /// The things, by position.
    pub members: Vec<usize>,
    /// See [`heat`].
    pub heat: u64,
}

/// How hot a unit is whose bytes are read or written so many times all together, and that
/// covers so many bytes times moments.
#[must_use]
pub fn heat(traffic_bytes: usize, byte_moments: usize) -> u64 {
    const SCALE: u128 = 1 << 20;
    let scaled = traffic_bytes as u128 * SCALE / byte_moments.max(1) as u128;
    u64::try_from(scaled).unwrap_or(u64::MAX - 1)
}

/// The heat of private bytes of a call, which it reads and writes again and again.
pub const SCRATCH_HEAT: u64 = u64::MAX;

/// What is packed.
pub trait Things {
    /// The most bytes that some of them take at one moment, at least.
    fn bound(&self, members: &[usize]) -> usize;
    /// Offsets of some of them in their order, and one past the highest byte.
    fn pack(&self, members: &[usize]) -> (Vec<usize>, usize);
}

/// Where everything lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    /// An offset for each thing, counted through all parts.
    pub offsets: Vec<usize>,
    /// One past the highest byte.
    pub total_bytes: usize,
    /// The parts; none where everything lies in one region.
    pub parts: Vec<Part>,
}

/// Why nothing can be divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Full {
    /// More lives at one moment than all regions together may hold.
    Together {
        /// How much.
        bytes: usize,
    },
    /// Something that is too large for every region by itself.
    Alone {
        /// What.
        name: String,
        /// Its bytes.
        bytes: usize,
    },
    /// Something for which no region has room any more.
    Beside {
        /// What.
        name: String,
        /// Its bytes.
        bytes: usize,
    },
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |bytes: &usize| format_bytes(*bytes as u64);
        match self {
            Full::Together { bytes } => {
                write!(f, "{} live at one moment, more than all of them together may hold", of(bytes))
            }
            Full::Alone { name, bytes } => write!(f, "{name} of {} fits no region whole", of(bytes)),
            Full::Beside { name, bytes } => {
                write!(f, "no region has room for {name} of {} beside what lives with it", of(bytes))
            }
        }
    }
}

/// Times that units are assigned anew, to less than a region may hold, where a region could
/// not be packed within what it may hold.
const TRIES: usize = 6;

/// Divides; `count` is the number of things, each of which is in one unit.
///
/// # Errors
/// [`Full`]; [`Full::Beside`] with the first unit that has no place where the hottest go first.
pub fn divide(
    regions: &Regions,
    units: &[Unit],
    count: usize,
    things: &dyn Things,
) -> Result<Division, Full> {
    let bytes: Vec<usize> = units.iter().map(|unit| things.bound(&unit.members)).collect();
    let mut limits: Vec<usize> = regions.rooms.iter().map(|room| room.limit_bytes).collect();
    limits.sort_unstable_by_key(|&limit| Reverse(limit));
    let (largest, second) = (limits.first().copied().unwrap_or(0), limits.get(1).copied().unwrap_or(0));
    if let Some(unit) = (0..units.len()).find(|&unit| bytes[unit] > largest) {
        return Err(Full::Alone { name: units[unit].name.clone(), bytes: bytes[unit] });
    }
    let together = things.bound(&(0..count).collect::<Vec<_>>());
    if together > regions.total_bytes.min(limits.iter().sum()) {
        return Err(Full::Together { bytes: together });
    }
    let mut hottest: Vec<usize> = (0..units.len()).collect();
    hottest.sort_by_key(|&unit| (bytes[unit] <= second, Reverse(units[unit].heat), unit));
    let mut greatest: Vec<usize> = (0..units.len()).collect();
    greatest.sort_by_key(|&unit| (Reverse(bytes[unit]), Reverse(units[unit].heat), unit));
    let in_order = |order: &[usize]| {
        let beside = |unit: usize| Full::Beside { name: units[unit].name.clone(), bytes: bytes[unit] };
        in_order(regions, units, order, count, things).map_err(beside)
    };
    in_order(&hottest).or_else(|full| in_order(&greatest).map_err(|_| full))
}

/// Divides with units placed in an order; the unit that has no place otherwise.
fn in_order(
    regions: &Regions,
    units: &[Unit],
    order: &[usize],
    count: usize,
    things: &dyn Things,
) -> Result<Division, usize> {
    let mut caps: Vec<usize> = regions.rooms.iter().map(|room| room.limit_bytes).collect();
    for _ in 0..TRIES {
        let members = assigned(units, order, &caps, things)?;
        let packed: Vec<(Vec<usize>, usize)> = members.iter().map(|members| things.pack(members)).collect();
        let sizes: Vec<usize> = packed.iter().map(|(_, bytes)| bytes.next_multiple_of(Part::ALIGN)).collect();
        let over = |(room, &size): (usize, &usize)| size.saturating_sub(regions.rooms[room].limit_bytes);
        let mut over: Vec<usize> = sizes.iter().enumerate().map(over).collect();
        let together = sizes.iter().sum::<usize>().saturating_sub(regions.total_bytes);
        if let Some(slowest) = sizes.iter().rposition(|&size| size > 0) {
            over[slowest] = over[slowest].max(together);
        }
        if over.iter().all(|&bytes| bytes == 0) {
            return Ok(divided(regions, &members, &packed, count));
        }
        for room in (0..caps.len()).filter(|&room| over[room] > 0) {
            caps[room] = caps[room].min(sizes[room]).saturating_sub(over[room]);
        }
    }
    Err(order.last().copied().unwrap_or(0))
}

/// The members of each room; the unit that has no place otherwise.
fn assigned(
    units: &[Unit],
    order: &[usize],
    caps: &[usize],
    things: &dyn Things,
) -> Result<Vec<Vec<usize>>, usize> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); caps.len()];
    for &unit in order {
        let has_room = |(room, &cap): (usize, &usize)| {
            let with: Vec<usize> = members[room].iter().chain(&units[unit].members).copied().collect();
            (things.bound(&with) <= cap).then_some((room, with))
        };
        let (room, with) = caps.iter().enumerate().find_map(has_room).ok_or(unit)?;
        members[room] = with;
    }
    Ok(members)
}

/// Puts what was packed into one row of offsets.
fn divided(
    regions: &Regions,
    members: &[Vec<usize>],
    packed: &[(Vec<usize>, usize)],
    count: usize,
) -> Division {
    let mut division = Division { offsets: vec![0; count], total_bytes: 0, parts: Vec::new() };
    for (room, (members, (offsets, bytes))) in regions.rooms.iter().zip(members.iter().zip(packed)) {
        let start = division.total_bytes.next_multiple_of(Part::ALIGN);
        if *bytes == 0 {
            continue;
        }
        for (&member, offset) in members.iter().zip(offsets) {
            division.offsets[member] = start + offset;
        }
        division.total_bytes = start + bytes;
        division.parts.push(Part {
            region: room.region.clone(),
            start,
            bytes: bytes.next_multiple_of(Part::ALIGN),
            limit_bytes: room.limit_bytes,
        });
    }
    match &mut division.parts[..] {
        [] | [_] => division.parts.clear(),
        [.., last] => division.total_bytes = last.end(),
    }
    division
}
