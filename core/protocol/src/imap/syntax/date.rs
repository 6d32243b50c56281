//! Dates in commands (RFC 9051 section 9, `date` and `date-time`).

use super::args::{Args, Parsed, expected};
use crate::message::date::{Date, DateTime};

/// Octets of a `date-time` between its quotes.
const DATE_TIME: usize = "dd-Mmm-yyyy hh:mm:ss +zzzz".len();

/// `date = date-text / DQUOTE date-text DQUOTE`, `date-text = 1*2DIGIT "-" date-month "-" 4DIGIT`
///
/// # Errors
/// `Syntax`, also for days that no calendar has.
pub fn date(args: &mut Args<'_>) -> Parsed<Date> {
    let quoted = args.try_octet(b'"');
    let text = args.take_while(
        |octet| octet.is_ascii_alphanumeric() || octet == b'-',
        "a date",
    )?;
    if quoted {
        args.octet(b'"', "the end of a date")?;
    }
    Date::parse_imap(text).map_or(expected("a date"), Ok)
}

/// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`, in seconds since 1970.
///
/// # Errors
/// `Syntax`, also for times that no calendar or clock has.
pub fn date_time(args: &mut Args<'_>) -> Parsed<i64> {
    args.octet(b'"', "a date and time")?;
    let time = args.take(DATE_TIME).and_then(DateTime::parse_imap);
    args.octet(b'"', "a date and time in 28 octets")?;
    time.map_or(expected("a date and time"), |time| Ok(time.epoch))
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
        let day = Date::new(1994, 2, 1);
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
            "\" 1-Feb-1994\"",
            "1-Feb-1994\"",
            "-1-Feb-1994",
            "1 Feb 1994",
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
            ("\"31-Dec-2016 23:59:60 +0000\"", 1_483_228_800),
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
            "\"17-Jul-1996 02:44:25\"",
            "\"17-Jul-1996 02:44:25 -07000\"",
            "\"17-Jul-1996  02:44:25 -0700\"",
            "\"17-Jul-1996 02:44:25 -0700",
            "\"",
            "",
        ] {
            assert!(whole(text, date_time).is_err(), "{text}");
        }
    }
}
