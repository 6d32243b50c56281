//! Dates of messages and of IMAP: `date-time` (RFC 5322 section 3.3 and section 4.3), IMAP `date-time` and `date`
//! (RFC 9051 section 9).
//!
//! **Invariants.** What is printed parses to the same value.

use core::fmt;

use chrono::{Datelike, NaiveDate};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY: i64 = 86_400;
/// Tokens of a date that are looked at.
const TOKENS: usize = 16;

/// A moment and the zone in which it was written.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct DateTime {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub epoch: i64,
    /// Minutes east of UTC.
    pub offset: i16,
}

/// A day of the calendar, without a zone.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Date(NaiveDate);

impl DateTime {
    /// A moment, written in UTC.
    pub fn utc(epoch: i64) -> Self {
        Self { epoch, offset: 0 }
    }

    /// Parses a `Date` field: the grammar of RFC 5322 with its obsolete forms, and what else is met, such as a
    /// missing zone, comma or weekday, dashes between day, month and year, and the order of asctime.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut found = Found::default();
        for token in tokens(value).take(TOKENS) {
            found.take(token);
        }
        found.moment()
    }

    /// Parses an IMAP `date-time` without its quotes: `17-Jul-1996 02:44:25 -0700`, the day padded by a blank.
    pub fn parse_imap(text: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(text).ok()?;
        let (date, rest) = text.split_at_checked(11)?;
        let date = Date::parse_fixed(date)?;
        let (time, zone) = rest.strip_prefix(' ')?.split_at_checked(8)?;
        let zone = zone.strip_prefix(' ')?;
        if !is_shaped(time, "dd:dd:dd") || !is_shaped(zone, "sdddd") {
            return None;
        }
        Self::new(
            date,
            seconds_of_day(time.as_bytes())?,
            numeric_zone(zone.as_bytes())?,
        )
    }

    /// As a `Date` or trace field says it: `Fri, 21 Nov 1997 09:55:06 -0600`.
    pub fn header(self) -> String {
        let date = self.date();
        let weekday = WEEKDAYS[date.0.weekday().num_days_from_monday() as usize];
        let (hour, minute, second) = self.time();
        let (day, month, year) = (date.day(), MONTHS[date.0.month0() as usize], date.0.year());
        let zone = Zone(self.offset);
        format!("{weekday}, {day} {month} {year:04} {hour:02}:{minute:02}:{second:02} {zone}")
    }

    /// As an IMAP `date-time` without its quotes.
    pub fn imap(self) -> String {
        let date = self.date();
        let (hour, minute, second) = self.time();
        let (day, month, year) = (date.day(), MONTHS[date.0.month0() as usize], date.0.year());
        let zone = Zone(self.offset);
        format!("{day:2}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} {zone}")
    }

    /// The day in the zone in which it was written, as SENTON compares it (RFC 9051 section 6.4.4).
    /// Years outside of 1 to 9999 become the nearest day inside.
    pub fn date(self) -> Date {
        Date::of_days(self.local().div_euclid(DAY))
    }

    /// The day in UTC.
    pub fn utc_date(self) -> Date {
        Date::of_days(self.epoch.div_euclid(DAY))
    }

    fn new(date: Date, seconds: i64, offset: i16) -> Option<Self> {
        Some(Self {
            epoch: date.midnight() + seconds - i64::from(offset) * 60,
            offset,
        })
    }

    fn local(self) -> i64 {
        self.epoch.saturating_add(i64::from(self.offset) * 60)
    }

    fn time(self) -> (i64, i64, i64) {
        let seconds = self.local().rem_euclid(DAY);
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

impl Date {
    /// A day that exists, in the years 1 to 9999.
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        let date = NaiveDate::from_ymd_opt(year, month, day)?;
        (1..=9999).contains(&year).then_some(Self(date))
    }

    /// Parses an IMAP `date` without its quotes: `1-Feb-1994`, the day one digit or two.
    pub fn parse_imap(text: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(text).ok()?;
        let padded = format!("{text:>11}");
        if text.starts_with(' ') {
            return None;
        }
        Self::parse_fixed(&padded)
    }

    /// Seconds from 1970-01-01 to the first second of the day, both in UTC.
    pub fn midnight(self) -> i64 {
        // 719163 is the day number of 1970-01-01 in a count that begins with 0001-01-01 as 1.
        (i64::from(self.0.num_days_from_ce()) - 719_163) * DAY
    }

    /// Year, month from 1, day from 1.
    pub fn parts(self) -> (i32, u32, u32) {
        (self.0.year(), self.0.month(), self.0.day())
    }

    fn day(self) -> u32 {
        self.0.day()
    }

    fn of_days(days: i64) -> Self {
        let (first, last) = (-719_162, 2_932_896); // 0001-01-01 and 9999-12-31
        let number = days.clamp(first, last) + 719_163;
        let date = i32::try_from(number)
            .ok()
            .and_then(NaiveDate::from_num_days_from_ce_opt);
        Self(date.unwrap_or_default())
    }

    /// `date-day-fixed "-" date-month "-" date-year`.
    fn parse_fixed(text: &str) -> Option<Self> {
        if !is_shaped(text, "bd-aaa-dddd") {
            return None;
        }
        let day = text[..2].trim_start().parse().ok()?;
        Self::new(text[7..].parse().ok()?, month(&text.as_bytes()[3..6])?, day)
    }
}

impl fmt::Display for Date {
    /// As an IMAP `date`: `1-Feb-1994`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{day}-{}-{year:04}", MONTHS[month as usize - 1])
    }
}

/// Minutes east of UTC, as `+hhmm`.
struct Zone(i16);

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let minutes = self.0.unsigned_abs();
        write!(f, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }
}

/// What of a date has been read.
#[derive(Debug, Default)]
struct Found {
    day: Option<u32>,
    month: Option<u32>,
    year: Option<i32>,
    time: Option<i64>,
    zone: Option<i16>,
}

impl Found {
    fn take(&mut self, token: &[u8]) {
        let first = token[0];
        if token.contains(&b':') {
            if self.time.is_none() {
                self.time = seconds_of_day(token);
            }
        } else if matches!(first, b'+' | b'-') {
            if self.time.is_some() && self.zone.is_none() {
                self.zone = numeric_zone(token);
            }
        } else if first.is_ascii_digit() {
            self.take_number(token);
        } else if self.month.is_none() && month(token).is_some() {
            self.month = month(token);
        } else if self.time.is_some() && self.zone.is_none() {
            self.zone = Some(named_zone(token));
        }
    }

    fn take_number(&mut self, token: &[u8]) {
        let Some(number) = digits(token, 4) else {
            // `21-Nov-1997`
            token
                .split(|octet| *octet == b'-')
                .filter(|part| !part.is_empty())
                .take(3)
                .for_each(|part| {
                    if let Some(number) = digits(part, 4) {
                        self.number(number, part.len());
                    } else if self.month.is_none() {
                        self.month = month(part);
                    }
                });
            return;
        };
        self.number(number, token.len());
    }

    fn number(&mut self, number: u32, length: usize) {
        if self.day.is_none() && length <= 2 {
            self.day = Some(number);
        } else if self.year.is_none() && length >= 2 {
            // RFC 5322 section 4.3: two digits are of 1950 to 2049, three count from 1900.
            let century = match (length, number) {
                (2, 0..=49) => 2000,
                (2 | 3, _) => 1900,
                _ => 0,
            };
            self.year = i32::try_from(number + century).ok();
        }
    }

    fn moment(self) -> Option<DateTime> {
        let date = Date::new(self.year?, self.month?, self.day?)?;
        DateTime::new(date, self.time.unwrap_or(0), self.zone.unwrap_or(0))
    }
}

/// Words of a date outside of comments, which may nest.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    core::iter::from_fn(move || {
        rest = skip_blanks(rest);
        let ends =
            |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b',' | b'(' | b')' | b'"');
        let end = rest.iter().position(ends).unwrap_or(rest.len());
        let (token, tail) = rest.split_at(end);
        rest = tail;
        (!token.is_empty()).then_some(token)
    })
}

fn skip_blanks(value: &[u8]) -> &[u8] {
    let mut depth = 0usize;
    let mut escaped = false;
    for (at, octet) in value.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if depth > 0 => escaped = true,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' | b'"' | b'\0' => {}
            _ if depth > 0 || octet.is_ascii_whitespace() => {}
            _ => return &value[at..],
        }
    }
    &[]
}

/// `hour ":" minute [ ":" second ]`; a leap second is the first of the next minute.
fn seconds_of_day(token: &[u8]) -> Option<i64> {
    let mut parts = token
        .split(|octet| *octet == b':')
        .map(|part| digits(part, 2));
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let valid = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    valid.then_some(i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

/// `("+" / "-") 4DIGIT`
fn numeric_zone(token: &[u8]) -> Option<i16> {
    let (sign, number) = token.split_first()?;
    let number = i16::try_from(digits(number, 4)?).ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    let offset = hours * 60 + minutes;
    let valid = token.len() == 5 && minutes < 60;
    valid.then_some(if *sign == b'-' { -offset } else { offset })
}

/// `obs-zone` (RFC 5322 section 4.3). A name without a known meaning is UTC.
fn named_zone(token: &[u8]) -> i16 {
    let hours = match token.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        b"KST" | b"JST" => 9,
        _ => 0,
    };
    hours * 60
}

/// 1 to 12 for a month's name or its first letters.
fn month(token: &[u8]) -> Option<u32> {
    let name = token.get(..3)?;
    let is_month = |month: &&str| month.as_bytes().eq_ignore_ascii_case(name);
    let index = MONTHS.iter().position(is_month)?;
    u32::try_from(index + 1).ok()
}

fn digits(token: &[u8], limit: usize) -> Option<u32> {
    if token.is_empty() || token.len() > limit || !token.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        token
            .iter()
            .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')),
    )
}

/// Whether each octet is of its class: `d` digit, `b` digit or blank, `a` letter, `s` sign, else itself.
fn is_shaped(text: &str, shape: &str) -> bool {
    let fits = |(octet, class): (u8, u8)| match class {
        b'd' => octet.is_ascii_digit(),
        b'b' => octet.is_ascii_digit() || octet == b' ',
        b'a' => octet.is_ascii_alphabetic(),
        b's' => matches!(octet, b'+' | b'-'),
        other => octet == other,
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

#[cfg(test)]
mod tests;
