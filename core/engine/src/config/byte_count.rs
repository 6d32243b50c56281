//! A count of octets, written `"100MiB"`, `"1GiB"` or as a plain number.

use std::{fmt, str::FromStr};

/// A count of octets.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ByteCount(pub u64);

/// Binary units, largest first.
const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// Why a text is no size.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ByteCountError {
    /// Not a number with a unit.
    #[error(
        "not a size; write a number of octets or one with a unit, such as \"512KiB\", \"100MiB\" or \"1GiB\""
    )]
    Malformed,
    /// The unit is none we know.
    #[error(
        "unknown unit of size; known are B, KiB, MiB, GiB, TiB, their short forms K, M, G, T, and the decimal KB, MB, GB, TB"
    )]
    Unit,
    /// More than fits, or than a database can hold (63 bits).
    #[error("size is too large")]
    TooLarge,
}

impl ByteCount {
    /// So many mebibytes.
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }
}

impl FromStr for ByteCount {
    type Err = ByteCountError;

    /// `number [ "." digits ] [ unit ]`; units in any case, a space before them allowed.
    fn from_str(text: &str) -> Result<Self, ByteCountError> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let malformed = whole.is_empty()
            || (number.contains('.') && fraction.is_empty())
            || fraction.contains('.')
            || fraction.len() > 6;
        if malformed {
            return Err(ByteCountError::Malformed);
        }
        let factor: u128 = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(ByteCountError::Unit),
        };
        if factor == 1 && !fraction.is_empty() {
            return Err(ByteCountError::Malformed);
        }
        let whole: u64 = whole.parse().map_err(|_| ByteCountError::TooLarge)?;
        let scale = 10u128.pow(fraction.len() as u32);
        let fraction: u128 = match fraction {
            "" => 0,
            digits => digits.parse().map_err(|_| ByteCountError::Malformed)?,
        };
        let octets = u128::from(whole) * factor + fraction * factor / scale;
        match u64::try_from(octets) {
            Ok(octets) if octets <= i64::MAX as u64 => Ok(Self(octets)),
            _ => Err(ByteCountError::TooLarge),
        }
    }
}

impl fmt::Display for ByteCount {
    /// The largest unit that needs no fraction, so that it parses to the same count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |shift: &u32| self.0 != 0 && self.0.trailing_zeros() >= *shift;
        let text = match UNITS.iter().find(|(_, shift)| exact(shift)) {
            Some((unit, shift)) => format!("{}{unit}", self.0 >> shift),
            None => self.0.to_string(),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_sizes() {
        for (text, octets) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("512 B", 512),
            ("100MiB", 100 << 20),
            ("1GiB", 1 << 30),
            ("2 gib", 2 << 30),
            ("1.5G", 3 << 29),
            ("10MB", 10_000_000),
            ("3T", 3 << 40),
        ] {
            assert_eq!(text.parse(), Ok(ByteCount(octets)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_size() {
        use ByteCountError::{Malformed, TooLarge, Unit};
        for (text, error) in [
            ("", Malformed),
            ("GiB", Malformed),
            ("-1", Malformed),
            ("1.", Malformed),
            ("1..5M", Malformed),
            ("1.5", Malformed),
            ("1.5B", Malformed),
            ("1e6", Unit),
            ("10 elephants", Unit),
            ("10MiBi", Unit),
            ("99999999999999999999", TooLarge),
            ("9223372036854775808", TooLarge),
            ("8388608TiB", TooLarge),
        ] {
            assert_eq!(text.parse::<ByteCount>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_reads(octets in 0..i64::MAX as u64, shift in 0u32..50) {
            let count = ByteCount(octets >> shift << shift);
            prop_assert_eq!(count.to_string().parse(), Ok(count));
        }

        #[test]
        fn reads_anything_without_panic(text in "\\PC*") {
            let _ = text.parse::<ByteCount>();
        }
    }
}
