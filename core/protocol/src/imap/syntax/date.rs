//! Dates in commands (RFC 9051 section 9, `date` and `date-time`).

use chrono::{FixedOffset, NaiveDate, TimeZone};

use super::args::{Args, Parsed, expected};

/// The months as IMAP and RFC 5322 write them.
pub const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `date = date-text / DQUOTE date-text DQUOTE`, `date-text = 1*2DIGIT "-" date-month "-" 4DIGIT`
///
/// # Errors
/// `Syntax`, also for days that no calendar has.
pub fn date(args: &mut Args<'_>) -> Parsed<NaiveDate> {
    let quoted = args.try_octet(b'"');
    let digits = args.take_while(|octet| octet.is_ascii_digit(), "a day")?;
    if digits.len() > 2 {
        return expected("a day of one or two digits");
    }
    let date = month_and_year(args, number(digits))?;
    if quoted {
        args.octet(b'"', "the end of a date")?;
    }
    Ok(date)
}

/// `date-time = DQUOTE (SP DIGIT / 2DIGIT) "-" date-month "-" 4DIGIT SP 2DIGIT ":" 2DIGIT ":" 2DIGIT SP zone DQUOTE`,
/// in seconds since 1970.
///
/// # Errors
/// `Syntax`, also for times that no calendar or clock has. A leap second is taken as the second before it.
pub fn date_time(args: &mut Args<'_>) -> Parsed<i64> {
    args.octet(b'"', "a date and time")?;
    let day = match args.try_sp() {
        true => fixed(args, 1)?,
        false => fixed(args, 2)?,
    };
    let date = month_and_year(args, day)?;
    args.sp()?;
    let hour = fixed(args, 2)?;
    args.octet(b':', "a colon in a time")?;
    let minute = fixed(args, 2)?;
    args.octet(b':', "a colon in a time")?;
    let second = match fixed(args, 2)? {
        60 => 59,
        second => second,
    };
    args.sp()?;
    let zone = zone(args)?;
    args.octet(b'"', "the end of a date and time")?;
    date.and_hms_opt(hour, minute, second)
        .and_then(|local| zone.from_local_datetime(&local).single())
        .map_or(expected("a time of the day"), |time| Ok(time.timestamp()))
}

/// `zone = ("+" / "-") 4DIGIT`
fn zone(args: &mut Args<'_>) -> Parsed<FixedOffset> {
    let east = args.try_octet(b'+');
    if !east {
        args.octet(b'-', "a zone")?;
    }
    let (hours, minutes) = (fixed(args, 2)?, fixed(args, 2)?);
    let seconds = (hours * 3600 + minutes * 60) as i32;
    let zone = match minutes {
        0..60 if east => FixedOffset::east_opt(seconds),
        0..60 => FixedOffset::west_opt(seconds),
        _ => None,
    };
    zone.map_or(expected("a zone"), Ok)
}

/// `"-" date-month "-" 4DIGIT`
fn month_and_year(args: &mut Args<'_>, day: u32) -> Parsed<NaiveDate> {
    args.octet(b'-', "a hyphen in a date")?;
    let Some(month) = MONTHS.iter().position(|month| args.try_prefix(month)) else {
        return expected("a month");
    };
    args.octet(b'-', "a hyphen in a date")?;
    let year = fixed(args, 4)?;
    NaiveDate::from_ymd_opt(year as i32, month as u32 + 1, day)
        .map_or(expected("a day of the calendar"), Ok)
}

/// Exactly `count` digits.
fn fixed(args: &mut Args<'_>, count: usize) -> Parsed<u32> {
    match args.rest().get(..count) {
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => {
            for digit in digits {
                args.try_octet(*digit);
            }
            Ok(number(digits))
        }
        _ => expected("digits in a date"),
    }
}

/// The value of at most nine digits.
fn number(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::Utf8;

    fn whole<T>(text: &str, rule: fn(&mut Args<'_>) -> Parsed<T>) -> Parsed<T> {
        let mut args = Args::new(text.as_bytes(), Utf8::Off);
        let value = rule(&mut args)?;
        args.end()?;
        Ok(value)
    }

    #[test]
    fn dates() {
        let day = NaiveDate::from_ymd_opt(1994, 2, 1);
        for text in ["1-Feb-1994", "01-feb-1994", "\"1-FEB-1994\""] {
            assert_eq!(whole(text, date).ok(), day, "{text}");
        }
        for text in [
            "1-Feb-94",
            "30-Feb-1994",
            "001-Feb-1994",
            "1-Fbr-1994",
            " 1-Feb-1994",
            "\"1-Feb-1994",
            "1-Feb-19940",
            "0-Jan-2000",
            "",
        ] {
            assert!(whole(text, date).is_err(), "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, seconds) in [
            ("\"17-Jul-1996 02:44:25 -0700\"", 837_596_665),
            ("\" 1-Jan-1970 00:00:00 +0000\"", 0),
            ("\"31-Dec-1969 23:59:59 +0000\"", -1),
            ("\"01-Jan-1970 09:00:01 +0900\"", 1),
            ("\"31-Dec-2016 23:59:60 +0000\"", 1_483_228_799),
        ] {
            assert_eq!(whole(text, date_time), Ok(seconds), "{text}");
        }
        for text in [
            "17-Jul-1996 02:44:25 -0700",
            "\"7-Jul-1996 02:44:25 -0700\"",
            "\"17-Jul-1996 24:00:00 -0700\"",
            "\"17-Jul-1996 02:60:25 -0700\"",
            "\"17-Jul-1996 02:44:61 -0700\"",
            "\"17-Jul-1996 02:44:25 -0760\"",
            "\"17-Jul-1996 02:44:25 0700\"",
            "\"17-Jul-1996 02:44:25 +9900\"",
            "\"17-Jul-1996 02:44:25\"",
            "\"17-Jul-1996  02:44:25 -0700\"",
            "\"17-Jul-1996 02:44:25 -0700",
            "\"",
            "",
        ] {
            assert!(whole(text, date_time).is_err(), "{text}");
        }
    }
}
