//! A span of time, written `"3s"`, `"250ms"`, `"1h30m"` or `"30d"`.

use std::time::Duration;

/// Units, largest first, in milliseconds.
const UNITS: [(&str, u64); 6] = [
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Why a text is no span of time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DurationError {
    /// Not numbers with units.
    #[error(
        "not a span of time; write a number with a unit, such as \"250ms\", \"3s\", \"5m\", \"1h30m\" or \"30d\""
    )]
    Malformed,
    /// A bare number.
    #[error("span of time without a unit; add ms, s, m, h, d or w")]
    NoUnit,
    /// More than a hundred years.
    #[error("span of time is too long")]
    TooLong,
}

/// Reads a span of time: one or more numbers with a unit, from the largest unit to the smallest.
///
/// # Errors
/// Anything else, and more than a hundred years.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationError::Malformed);
    }
    let mut milliseconds = 0u64;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or(DurationError::NoUnit)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, factor) = *UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(DurationError::Malformed)?;
        if number.is_empty() || factor >= last_unit {
            return Err(DurationError::Malformed);
        }
        last_unit = factor;
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        milliseconds = number
            .checked_mul(factor)
            .and_then(|it| it.checked_add(milliseconds))
            .filter(|it| *it <= 36_525 * 86_400_000)
            .ok_or(DurationError::TooLong)?;
        rest = tail.trim_start();
    }
    Ok(Duration::from_millis(milliseconds))
}

/// Writes a span of time so that [`parse_duration`] reads the same; what is below a millisecond is cut.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    // Weeks are read but not written: "30d" says more than "4w2d".
    for (unit, factor) in &UNITS[1..] {
        if rest >= *factor {
            text.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_spans() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("250ms", 250),
            ("3s", 3_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("30d", 2_592_000_000),
            ("1w", 604_800_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_the_rest() {
        use DurationError::{Malformed, NoUnit, TooLong};
        for (text, error) in [
            ("", Malformed),
            ("s", Malformed),
            ("3", NoUnit),
            ("1h30", NoUnit),
            ("3 seconds", Malformed),
            ("-3s", Malformed),
            ("1.5h", Malformed),
            ("30m1h", Malformed),
            ("1m1m", Malformed),
            ("40000d", TooLong),
            ("99999999999999999999s", TooLong),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_reads(milliseconds in 0u64..36_525 * 86_400_000) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn reads_anything_without_panic(text in "\\PC*") {
            let _ = parse_duration(&text);
        }
    }
}
