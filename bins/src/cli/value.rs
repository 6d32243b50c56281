//! Values on the command line: sizes, spans, moments, UIDs.

use std::{ops::RangeInclusive, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use postrider::config::{ByteCount, Keep, parse_duration};

/// A quota on the command line: a size or "unlimited".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota(pub Option<u64>);

impl std::str::FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("unlimited") {
            return Ok(Self(None));
        }
        let size: ByteCount = text
            .parse()
            .map_err(|error| format!("{error}, or \"unlimited\""))?;
        Ok(Self(Some(size.0)))
    }
}

/// A retention on the command line: whole days, "never" or "default".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeepArg(pub Option<Keep>);

impl std::str::FromStr for KeepArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("default") {
            return Ok(Self(None));
        }
        let keep: Keep = text
            .parse()
            .map_err(|error| format!("{error}, and not \"default\""))?;
        Ok(Self(Some(keep)))
    }
}

/// A moment on the command line, or how long ago it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// Then.
    At(DateTime<Utc>),
    /// So long ago.
    Ago(Duration),
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(ago) = parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(at.to_utc()));
        }
        let forms = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
        let at = forms
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
        let day = || {
            NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .ok()?
                .and_hms_opt(0, 0, 0)
        };
        let at = at.or_else(day);
        at.map(|at| Self::At(at.and_utc())).ok_or_else(|| {
            "not a time; write 2026-03-01, \"2026-03-01 14:00\" (UTC), or how long ago, such as 2h or 3d"
                .to_owned()
        })
    }
}

/// UIDs on the command line: `7,12:15`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UidSet(pub Vec<RangeInclusive<u32>>);

impl std::str::FromStr for UidSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|it| *it > 0);
        let range = |text: &str| {
            let (first, last) = text.split_once(':').unwrap_or((text, text));
            let (first, last) = (number(first)?, number(last)?);
            Some(first.min(last)..=first.max(last))
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges
            .map(Self)
            .ok_or_else(|| "not UIDs; write numbers and ranges, such as 7,12:15".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_sizes_or_unlimited() {
        assert_eq!("2GiB".parse(), Ok(Quota(Some(2 << 30))));
        assert_eq!("Unlimited".parse(), Ok(Quota(None)));
        assert!("lots".parse::<Quota>().is_err());
    }

    #[test]
    fn times_are_moments_or_spans() {
        let at = |text: &str| match text.parse() {
            Ok(When::At(at)) => at.to_rfc3339(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!("2h".parse(), Ok(When::Ago(Duration::from_secs(7200))));
        assert_eq!(at("2026-03-01"), "2026-03-01T00:00:00+00:00");
        assert_eq!(at("2026-03-01 14:05"), "2026-03-01T14:05:00+00:00");
        assert_eq!(at("2026-03-01T14:05:00+09:00"), "2026-03-01T05:05:00+00:00");
        for wrong in ["", "yesterday", "5", "2026-13-01", "2026-03-01 25:00"] {
            assert!(wrong.parse::<When>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn uids_are_numbers_and_ranges() {
        assert_eq!("7, 15:12".parse(), Ok(UidSet(vec![7..=7, 12..=15])));
        for wrong in ["", "0", "1:", "*", "1;2", "4294967296"] {
            assert!(wrong.parse::<UidSet>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn retentions_are_days_never_or_default() {
        let days = |text: &str| {
            text.parse::<KeepArg>()
                .map(|it| it.0.map(|it| it.to_string()))
        };
        assert_eq!(days("30d"), Ok(Some("30d".to_owned())));
        assert_eq!(days("Never"), Ok(Some("never".to_owned())));
        assert_eq!(days("default"), Ok(None));
        assert!(days("12h").is_err() && days("0d").is_err());
    }
}
