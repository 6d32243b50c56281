//! Tests of dates: examples of the RFCs, what is met, and properties.

use super::*;
use proptest::prelude::*;

fn parse(value: &str) -> Option<(i64, i16)> {
    DateTime::parse(value.as_bytes()).map(|date| (date.epoch, date.offset))
}

#[test]
fn examples_of_the_rfc() {
    let expected = Some((880_127_706, -360));
    assert_eq!(parse("Fri, 21 Nov 1997 09:55:06 -0600"), expected);
    assert_eq!(parse("21 Nov 97 09:55:06 -0600"), expected);
    assert_eq!(
        parse(" Fri, 21 Nov 1997 09(comment):  55  :  06 -0600").map(|d| d.0 / DAY),
        Some(10186)
    );
    assert_eq!(
        parse(
            "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)"
        ),
        Some((-27_723_480, -210))
    );
    assert_eq!(parse("21 Nov 97 09:55:06 GMT"), Some((880_106_106, 0)));
    assert_eq!(
        parse("Tue, 1 Jul 2003 10:52:37 +0200"),
        Some((1_057_049_557, 120))
    );
}

#[test]
fn forms_that_are_met() {
    let moment = 880_106_106;
    for (value, offset) in [
        ("Fri Nov 21 09:55:06 1997", 0),
        ("Friday, 21 November 1997 09:55:06 UT", 0),
        ("21-Nov-1997 09:55:06 Z", 0),
        ("Fri, 21 Nov 1997 09:55:06 +0000 (GMT (really))", 0),
        ("Fri,21 Nov 1997 04:55:06 EST", -300),
        ("Fri, 21 Nov 097 09:55:06", 0),
        ("Fri, 21 Nov 1997 18:55:06 KST", 540),
        ("Fri, 21 Nov 1997 09:55:06 A", 0),
        ("Fri, 21 Nov 1997 09:55:06 +xx", 0),
    ] {
        assert_eq!(parse(value), Some((moment, offset)), "{value}");
    }
    assert_eq!(
        parse("1 Jan 50 00:00 GMT").map(|date| date.0),
        Some(-631_152_000)
    );
    assert_eq!(
        parse("1 Jan 49 00:00 GMT").map(|date| date.0),
        Some(2_493_072_000)
    );
    assert_eq!(
        parse("31 Dec 1998 23:59:60 GMT").map(|date| date.0),
        Some(915_148_800)
    );
    assert_eq!(parse("29 Feb 2000"), Some((951_782_400, 0)));
}

#[test]
fn what_is_no_date() {
    for value in [
        "",
        "yesterday",
        "31 Feb 2000 00:00:00 GMT",
        "0 Jan 2000",
        "1 Jan",
        "Jan 2000",
        "1 Jan 99999",
    ] {
        assert_eq!(parse(value), None, "{value}");
    }
    assert_eq!(parse("1 Jan 2000 25:00:00 GMT"), parse("1 Jan 2000"));
}

#[test]
fn imap_forms() {
    let date = DateTime::parse_imap(b"17-Jul-1996 02:44:25 -0700").expect("a date-time");
    assert_eq!(
        date,
        DateTime {
            epoch: 837_596_665,
            offset: -420
        }
    );
    assert_eq!(date.imap(), "17-Jul-1996 02:44:25 -0700");
    assert_eq!(date.header(), "Wed, 17 Jul 1996 02:44:25 -0700");
    assert_eq!(date.date().to_string(), "17-Jul-1996");
    let padded = DateTime::parse_imap(b" 1-Feb-1994 00:00:00 +0000").expect("a date-time");
    assert_eq!(padded.imap(), " 1-Feb-1994 00:00:00 +0000");
    assert_eq!(Date::parse_imap(b"1-Feb-1994"), Date::new(1994, 2, 1));
    assert_eq!(
        Date::parse_imap(b"01-feb-1994").map(Date::midnight),
        Some(760_060_800)
    );
    for text in [
        "1-Feb-94",
        " 1-Feb-1994",
        "1-Foo-1994",
        "31-Feb-1994",
        "1-Feb-0000",
        "",
        "1-Feb-1994 ",
    ] {
        assert_eq!(Date::parse_imap(text.as_bytes()), None, "{text}");
    }
    for text in [
        "1-Feb-1994 00:00:00 +0000",
        " 1-Feb-1994 0:00:00 +0000",
        " 1-Feb-1994 00:00:00",
        "+1-Feb-1994 00:00:00 +0000",
        " 1-Feb-1994 24:00:00 +0000",
        " 1-Feb-1994 00:00:00 +0060",
        " 1-Feb-1994 00:00:00  000",
    ] {
        assert_eq!(DateTime::parse_imap(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn sent_on_another_day_than_utc() {
    let date = DateTime::parse(b"1 Jan 2020 01:00:00 +0900").expect("a date");
    assert_eq!(date.date().to_string(), "1-Jan-2020");
    assert_eq!(date.utc_date().to_string(), "31-Dec-2019");
}

#[test]
fn attack_21_nested_comments() {
    let nested = format!("{}1 Jan 2020{}", "(".repeat(200_000), ")".repeat(200_000));
    assert_eq!(parse(&nested), None);
    assert_eq!(
        parse(&format!("1 Jan 2020 {nested}")).map(|date| date.0),
        Some(1_577_836_800)
    );
    assert_eq!(parse("1 Jan 2020 (\\"), parse("1 Jan 2020"));
}

proptest! {
    #[test]
    fn parse_of_print_is_identity(epoch in -62_000_000_000i64..253_000_000_000, offset in -5999i16..=5999) {
        let offset = offset / 100 * 60 + offset % 60;
        let date = DateTime { epoch, offset };
        prop_assert_eq!(DateTime::parse(date.header().as_bytes()), Some(date));
        prop_assert_eq!(DateTime::parse_imap(date.imap().as_bytes()), Some(date));
        let day = date.date();
        prop_assert_eq!(Date::parse_imap(day.to_string().as_bytes()), Some(day));
    }

    #[test]
    fn any_octets_never_panic(octets in "[-+0-9A-Za-z:,() \r\n\\\\]{0,60}", epoch in any::<i64>(), offset in any::<i16>()) {
        let _ = DateTime::parse(octets.as_bytes());
        let _ = DateTime::parse_imap(octets.as_bytes());
        let _ = Date::parse_imap(octets.as_bytes());
        let _ = DateTime { epoch, offset }.header();
    }
}
