//! In: plain numbers. Out: byte counts for people, and energy.
//!
//! Invariant: nothing is rounded before it is printed.

/// A whole number with a comma between thousands, for example "143,360".
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes for messages, for example "143,360 B".
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    format!("{} B", thousands(bytes))
}

/// A number of bytes for tables: whole GiB, MiB or KiB where exact, for example
/// "128 KiB", else as [`format_bytes`].
#[must_use]
pub fn format_bytes_short(bytes: u64) -> String {
    for (unit_bytes, unit) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit_bytes && bytes.is_multiple_of(unit_bytes) {
            return format!("{} {unit}", thousands(bytes / unit_bytes));
        }
    }
    format_bytes(bytes)
}

/// Energy in microjoule of a number of core cycles.
///
/// A current of 1 uA/MHz is 1 pC a cycle whatever the clock, therefore energy =
/// cycles * uA/MHz * V * 1e-12 J. It counts the core and its memories while
/// they run: no peripherals, no sleep, no board.
#[must_use]
pub fn energy_uj(cycles: u64, run_current_ua_per_mhz: f64, supply_volts: f64) -> f64 {
    cycles as f64 * run_current_ua_per_mhz * supply_volts * 1e-6
}
