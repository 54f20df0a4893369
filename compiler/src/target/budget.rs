//! In: what the user gave to `--budget-flash` or `--budget-ram`. Out: how many
//! bytes of a memory the model may use.
//!
//! Invariant: a budget is more than nothing and never more than the memory;
//! shares are exact integer arithmetic, rounded down to whole bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::units::{format_bytes, thousands};

/// Hundredths of a percent in the whole.
const WHOLE: u32 = 10_000;

/// The part of a memory that the model may use; 80 % unless told otherwise.
///
/// Written as `90%` or `87.5%`, or as bytes: `65536`, `65_536`, `64K`, `64KiB`,
/// `1M`. K and M count 1,024 and 1,048,576, with or without `B` or `iB`, as in
/// the datasheets of microcontrollers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget(Amount);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Amount {
    /// Hundredths of a percent, 1 to [`WHOLE`].
    Share(u32),
    /// Bytes, at least 1.
    Bytes(u64),
}

/// Why a text is not a budget.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BudgetError {
    /// Not a number with a known unit.
    #[error("\"{given}\" is not a budget; write a share such as 90% or bytes such as 65536, 64K or 64KiB")]
    NotABudget {
        /// The text.
        given: String,
    },
    /// A share of nothing or of more than everything.
    #[error("budget {given} is out of range; a share lies above 0 % and at most at 100 %")]
    ShareOutOfRange {
        /// The text.
        given: String,
    },
    /// A share with more than two decimals.
    #[error("budget {given} is too fine; give at most two decimals")]
    ShareTooFine {
        /// The text.
        given: String,
    },
    /// Zero bytes, or more than 64 bits hold.
    #[error("budget {given} is out of range; give 1 B to {} B", u64::MAX)]
    BytesOutOfRange {
        /// The text.
        given: String,
    },
}

impl Default for Budget {
    fn default() -> Self {
        Self(Amount::Share(WHOLE / 5 * 4))
    }
}

impl Budget {
    /// A budget in bytes; `None` for 0.
    #[must_use]
    pub fn from_bytes(bytes: u64) -> Option<Self> {
        (bytes > 0).then_some(Self(Amount::Bytes(bytes)))
    }

    /// A budget in whole percent; `None` unless 1 to 100.
    #[must_use]
    pub fn from_percent(percent: u32) -> Option<Self> {
        (1..=100).contains(&percent).then(|| Self(Amount::Share(percent * (WHOLE / 100))))
    }

    /// Bytes that the model may use of a memory of `total_bytes`: the share,
    /// rounded down, or the given bytes, but never more than the memory.
    #[must_use]
    pub fn limit_bytes(&self, total_bytes: u64) -> u64 {
        match self.0 {
            Amount::Share(share) => {
                let exact = u128::from(total_bytes) * u128::from(share) / u128::from(WHOLE);
                // At most `total_bytes`, because `share` is at most WHOLE.
                u64::try_from(exact).unwrap_or(total_bytes)
            }
            Amount::Bytes(bytes) => bytes.min(total_bytes),
        }
    }

    /// The limit for messages: "104,857 B (80 % of 131,072)", or
    /// "65,536 B (of 131,072)" for a budget in bytes.
    #[must_use]
    pub fn describe(&self, total_bytes: u64) -> String {
        let limit = format_bytes(self.limit_bytes(total_bytes));
        let total = thousands(total_bytes);
        match self.0 {
            Amount::Share(_) => format!("{limit} ({self} of {total})"),
            Amount::Bytes(_) => format!("{limit} (of {total})"),
        }
    }
}

impl fmt::Display for Budget {
    /// "80 %", "87.5 %" or "65,536 B".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Amount::Share(share) => {
                write!(f, "{}", share / 100)?;
                match share % 100 {
                    0 => {}
                    tenths if tenths % 10 == 0 => write!(f, ".{}", tenths / 10)?,
                    hundredths => write!(f, ".{hundredths:02}")?,
                }
                f.write_str(" %")
            }
            Amount::Bytes(bytes) => f.write_str(&format_bytes(bytes)),
        }
    }
}

impl Serialize for Budget {
    /// The text of `Display`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Budget {
    type Err = BudgetError;

    fn from_str(given: &str) -> Result<Self, BudgetError> {
        let text = given.trim();
        match text.strip_suffix('%') {
            Some(number) => parse_share(given, number.trim_end()),
            None => parse_bytes(given, text),
        }
    }
}

fn parse_share(given: &str, number: &str) -> Result<Budget, BudgetError> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if !is_digits(whole) || !is_digits(decimals) {
        return Err(BudgetError::NotABudget { given: given.to_owned() });
    }
    let decimals = decimals.trim_end_matches('0');
    if decimals.len() > 2 {
        return Err(BudgetError::ShareTooFine { given: given.to_owned() });
    }
    // Both parse: `whole` may be too long for u32, `hundredths` has two digits.
    let hundredths = format!("{decimals:0<2}").parse::<u32>();
    match (whole.parse::<u32>(), hundredths) {
        (Ok(whole @ 0..=100), Ok(hundredths)) if (1..=WHOLE).contains(&(whole * 100 + hundredths)) => {
            Ok(Budget(Amount::Share(whole * 100 + hundredths)))
        }
        _ => Err(BudgetError::ShareOutOfRange { given: given.to_owned() }),
    }
}

fn parse_bytes(given: &str, text: &str) -> Result<Budget, BudgetError> {
    let unit_at = text.find(|c: char| !(c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_at);
    let digits = digits.replace('_', "");
    let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        _ => 0,
    };
    if factor == 0 || !is_digits(&digits) {
        return Err(BudgetError::NotABudget { given: given.to_owned() });
    }
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .and_then(Budget::from_bytes)
        .ok_or_else(|| BudgetError::BytesOutOfRange { given: given.to_owned() })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
