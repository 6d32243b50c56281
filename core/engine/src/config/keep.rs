//! How long mail stays that POP3 has retrieved, written `"7d"` or `"never"`: whole days, because POP3 tells its clients days
//! (RFC 2449 section 6.7).

use std::fmt;
use std::str::FromStr;

use postrider_storage::index::Retention;

use super::parse_duration;

/// How long mail stays that POP3 has retrieved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Keep(pub Retention);

impl Keep {
    /// A week.
    pub const DEFAULT: Self = Self(Retention::Days(7));
}

/// Why a text says no such time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not whole days, such as \"7d\", from 1 to 36500, and not \"never\"")]
pub struct KeepError;

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        const DAY: u64 = 86_400;
        if text.trim().eq_ignore_ascii_case("never") {
            return Ok(Self(Retention::Never));
        }
        let time = parse_duration(text).map_err(|_| KeepError)?;
        let days = u32::try_from(time.as_secs() / DAY).map_err(|_| KeepError)?;
        let whole = time.as_secs() % DAY == 0 && time.subsec_nanos() == 0;
        match whole && (1..=Retention::LONGEST).contains(&days) {
            true => Ok(Self(Retention::Days(days))),
            false => Err(KeepError),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Retention::Never => f.write_str("never"),
            Retention::Days(days) => write!(f, "{days}d"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_or_never() {
        for (text, shown) in [
            ("7d", "7d"),
            ("1w", "7d"),
            ("24h", "1d"),
            ("36500d", "36500d"),
            (" Never", "never"),
        ] {
            let keep: Keep = text.parse().expect(text);
            assert_eq!(keep.to_string(), shown);
            assert_eq!(keep.to_string().parse(), Ok(keep));
        }
        for text in [
            "", "0", "0d", "7", "12h", "1d1ms", "36501d", "always", "-1d",
        ] {
            assert_eq!(text.parse::<Keep>(), Err(KeepError), "{text}");
        }
    }
}
