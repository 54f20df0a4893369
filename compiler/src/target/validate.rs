//! In: a target as its file says it. Out: nothing, or the first thing in it that
//! cannot be.
//!
//! Invariant: every consumer may rely on what is checked here: regions are not
//! empty, disjoint and addressable, names are unique, the arena's region exists,
//! triple and clock suit the core.

use super::cores::Core;
use super::error::Problem;
use super::schema::{ArchFile, Target};

/// One past the highest address of a 32-bit core.
const ADDRESS_END_32: u64 = 1 << 32;

/// Checks one target on its own.
///
/// # Errors
/// The first [`Problem`] found.
pub(super) fn check(target: &Target) -> Result<(), Problem> {
    for name in names(target) {
        check_name(name)?;
    }
    check_regions(target)?;
    check_core(target)?;
    check_power(target)
}

/// Checks that no name or alias leads to two places.
///
/// # Errors
/// The file name of the later target, and [`Problem::NameClash`].
pub(super) fn check_set<'a>(
    targets: impl IntoIterator<Item = (&'a str, &'a Target)>,
) -> Result<(), (String, Problem)> {
    let mut owners = std::collections::HashMap::new();
    for (file, target) in targets {
        for name in names(target) {
            if let Some(other) = owners.insert(name, &target.name) {
                let problem = Problem::NameClash { name: name.to_owned(), other: other.clone() };
                return Err((file.to_owned(), problem));
            }
        }
    }
    Ok(())
}

/// The name and the aliases.
pub(super) fn names(target: &Target) -> impl Iterator<Item = &str> {
    std::iter::once(&target.name).chain(&target.aliases).map(String::as_str)
}

fn check_name(name: &str) -> Result<(), Problem> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    // A name that ends in .toml could never be told from a path.
    if name.is_empty() || !name.chars().all(allowed) || name.ends_with(".toml") {
        return Err(Problem::BadName { name: name.to_owned() });
    }
    Ok(())
}

fn check_regions(target: &Target) -> Result<(), Problem> {
    if target.flash.is_empty() {
        return Err(Problem::NoRegion { kind: "flash" });
    }
    if target.ram.is_empty() {
        return Err(Problem::NoRegion { kind: "ram" });
    }
    let flash = target.flash.iter().map(|r| (&r.name, r.origin, r.length_bytes));
    let ram = target.ram.iter().map(|r| (&r.name, r.origin, r.length_bytes));
    let mut regions: Vec<(&String, u64, u64)> = flash.chain(ram).collect();

    let address_end = match target.core {
        Core::Host => u64::MAX,
        _ => ADDRESS_END_32,
    };
    for &(region, origin, length_bytes) in &regions {
        if length_bytes == 0 {
            return Err(Problem::EmptyRegion { region: region.clone() });
        }
        if origin.checked_add(length_bytes).is_none_or(|end| end > address_end) {
            return Err(Problem::RegionTooHigh { region: region.clone(), origin, length_bytes });
        }
    }

    regions.sort_by_key(|&(_, origin, _)| origin);
    for pair in regions.windows(2) {
        let ((first, origin, length_bytes), (second, at, _)) = (pair[0], pair[1]);
        if origin + length_bytes > at {
            return Err(Problem::Overlap { first: first.clone(), second: second.clone(), at });
        }
    }
    regions.sort_by_key(|&(region, _, _)| region);
    for pair in regions.windows(2) {
        if pair[0].0 == pair[1].0 {
            return Err(Problem::RegionNameTwice { region: pair[0].0.clone() });
        }
    }

    if target.ram_region(&target.arena_region).is_none() {
        return Err(Problem::ArenaRegion {
            given: target.arena_region.clone(),
            known: target.ram.iter().map(|r| r.name.clone()).collect(),
        });
    }
    let largest = target.arena_bytes();
    if let Some(region) = target.arena_regions().into_iter().find(|region| region.length_bytes > largest) {
        return Err(Problem::ArenaNotLargest {
            given: target.arena_region.clone(),
            larger: region.name.clone(),
        });
    }
    Ok(())
}

fn check_core(target: &Target) -> Result<(), Problem> {
    let allowed = target.core.rust_targets();
    let suits = match &target.rust_target {
        Some(triple) => allowed.contains(&triple.as_str()),
        None => allowed.is_empty(),
    };
    if !suits {
        return Err(Problem::RustTarget {
            given: target.rust_target.clone(),
            core: target.core.label(),
            allowed: allowed.to_vec(),
        });
    }
    let dsp = matches!(target.arch, ArchFile::CortexMDsp | ArchFile::CortexM7Dsp);
    if !target.arch.suits(target.core.isa()) || (dsp && !target.core.has_dsp()) {
        let given = target.arch.file_name().trim_end_matches(".rs");
        return Err(Problem::Arch { given, core: target.core.label() });
    }
    let expected = match (target.core, target.clock_hz) {
        (Core::Host, None) => return Ok(()),
        (Core::Host, Some(_)) => "left out",
        (_, Some(clock_hz)) if clock_hz > 0 => return Ok(()),
        (_, _) => "the highest clock in Hz",
    };
    Err(Problem::Clock { core: target.core.label(), expected })
}

fn check_power(target: &Target) -> Result<(), Problem> {
    let Some(power) = &target.power else {
        return Ok(());
    };
    for (field, value) in
        [("run_current_ua_per_mhz", power.run_current_ua_per_mhz), ("supply_volts", power.supply_volts)]
    {
        if !(value.is_finite() && value > 0.0) {
            return Err(Problem::Power { field });
        }
    }
    Ok(())
}
