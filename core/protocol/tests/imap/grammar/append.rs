//! `append`, `append-message`, `append-data`, `date-time`, and `date` in a search.

use super::super::client::{State, say};
use super::{holds, holds_in};

#[test]
fn append() {
    holds(
        State::LoggedIn,
        "append",
        &[
            "APPEND a {1}\r\nx",
            "append a {1+}\r\nx",
            "APPEND a ~{1}\r\nx",
            "APPEND a ~{1+}\r\n\0",
            "APPEND a (\\Seen) {1+}\r\nx",
            "APPEND a () {1+}\r\nx",
            "APPEND a \" 1-Feb-2026 00:00:00 +0000\" {1+}\r\nx",
            "APPEND a (\\Draft x) \"01-Feb-2026 00:00:00 +0000\" {1+}\r\nx",
            "APPEND {1+}\r\na {1+}\r\nx",
            "APPEND \"a b\" {0+}\r\n",
            "APPEND {1}\r\na (\\Seen) {3}\r\na\r\n",
        ],
        &[
            "APPEND",
            "APPEND ",
            "APPEND a",
            "APPEND a ",
            "APPEND a (\\Seen)",
            "APPEND a \"x\"",
            "APPEND a x",
            "APPEND a NIL",
            "APPEND a{1+}\r\nx",
            "APPEND a  {1+}\r\nx",
            "APPEND  a {1+}\r\nx",
            "APPEND a (\\Seen){1+}\r\nx",
            "APPEND a (\\Seen)  {1+}\r\nx",
            "APPEND a (\\Recent) {1+}\r\nx",
            "APPEND a (\\Seen {1+}\r\nx",
            "APPEND a \\Seen {1+}\r\nx",
            "APPEND a \" 1-Feb-2026 00:00:00 +0000\" (\\Seen) {1+}\r\nx",
            "APPEND a () () {1+}\r\nx",
            "APPEND a {1+}\r\nx ",
            "APPEND a {1+}\r\nxy",
            "APPEND a {1+}\r\nx)",
            "APPEND a {1+}\r\nx (\\Seen)",
            "APPEND a {1+}\r\nx {1+}\r\ny",
            "APPEND a {1+}\r\nx (\\Seen) {1+}\r\ny",
            "APPEND {1+}\r\na{1+}\r\nx",
            "APPEND ~{1+}\r\na {1+}\r\nx",
            "APPEND {1+}\r\na",
            "APPEND a (~{1+}\r\nx)",
            "APPEND a UTF8 {1+}\r\nx",
            "APPEND a CATENATE (TEXT {1+}\r\nx)",
        ],
    );
    holds(State::Before, "append", &[], &["APPEND a {1+}\r\nx"]);
}

/// What is said of a message that is appended is what was meant.
#[test]
fn append_data() {
    for (line, message) in [
        (&b"t APPEND a {3+}\r\na\r\n\r\n"[..], &b"a\r\n"[..]),
        (b"t APPEND a {7}\r\nb NOOP\n\r\n", b"b NOOP\n"),
        (b"t APPEND a ~{2+}\r\n\0\xff\r\n", b"\0\xff"),
        (b"t APPEND {1+}\r\na {5+}\r\n{9+}\n\r\n", b"{9+}\n"),
    ] {
        let heard = say(State::LoggedIn, line);
        assert!(heard.is_taken(), "{heard:?}");
        assert_eq!(heard.spooled, message);
    }
}

/// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`
#[test]
fn date_time() {
    holds_in(
        State::LoggedIn,
        "date-time",
        "APPEND a @ {1+}\r\nx",
        &[
            "\" 1-Feb-2026 00:00:00 +0000\"",
            "\"01-Feb-2026 23:59:59 -0800\"",
            "\"28-feb-2026 12:34:56 +1400\"",
            "\"29-Feb-2024 00:00:00 +0545\"",
            "\"31-DEC-1969 23:59:59 -0000\"",
            "\"31-Dec-2016 23:59:60 +0000\"",
            "\"31-Dec-9999 00:00:00 +0000\"",
        ],
        &[
            "\"1-Feb-2026 00:00:00 +0000\"",
            "\"  1-Feb-2026 00:00:00 +0000\"",
            "\"001-Feb-2026 00:00:00 +0000\"",
            "\" 0-Feb-2026 00:00:00 +0000\"",
            "\"00-Feb-2026 00:00:00 +0000\"",
            "\"29-Feb-2026 00:00:00 +0000\"",
            "\"30-Feb-2026 00:00:00 +0000\"",
            "\"31-Apr-2026 00:00:00 +0000\"",
            "\"32-Jan-2026 00:00:00 +0000\"",
            "\" 1-Foo-2026 00:00:00 +0000\"",
            "\" 1-02-2026 00:00:00 +0000\"",
            "\" 1-Feb-26 00:00:00 +0000\"",
            "\" 1-Feb-2026 24:00:00 +0000\"",
            "\" 1-Feb-2026 00:60:00 +0000\"",
            "\" 1-Feb-2026 00:00:61 +0000\"",
            "\" 1-Feb-2026 0:00:00 +0000\"",
            "\" 1-Feb-2026 00:00 +0000\"",
            "\" 1-Feb-2026 00:00:00\"",
            "\" 1-Feb-2026 00:00:00 0000\"",
            "\" 1-Feb-2026 00:00:00 +000\"",
            "\" 1-Feb-2026 00:00:00 +00000\"",
            "\" 1-Feb-2026 00:00:00 +0060\"",
            "\" 1-Feb-2026 00:00:00 GMT\"",
            "\" 1-Feb-2026  00:00:00 +0000\"",
            "\" 1-Feb-2026 00:00:00  +0000\"",
            "\" 1 Feb 2026 00:00:00 +0000\"",
            "\" 1-Feb-2026T00:00:00 +0000\"",
            "\" 1-Feb-2026 00:00:00 +0000",
            " 1-Feb-2026 00:00:00 +0000",
            "\"Sun, 1 Feb 2026 00:00:00 +0000\"",
            "\"\"",
            "\"2026-02-01 00:00:00 +0000\"",
            "{26+}\r\n 1-Feb-2026 00:00:00 +0000",
        ],
    );
}

/// `date = date-text / DQUOTE date-text DQUOTE`, `date-text = date-day "-" date-month "-" date-year`, `date-day = 1*2DIGIT`
#[test]
fn date() {
    for key in ["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"] {
        let frame = format!("SEARCH {key} @");
        holds_in(
            State::Selected,
            "date",
            &frame,
            &[
                "1-Feb-2026",
                "01-Feb-2026",
                "\"1-Feb-2026\"",
                "\"01-feb-2026\"",
                "29-FEB-2024",
                "31-Dec-9999",
                "31-jan-1970",
                "28-Feb-1900",
            ],
            &[
                "",
                "\" 1-Feb-2026\"",
                " 1-Feb-2026",
                "001-Feb-2026",
                "0-Feb-2026",
                "00-Feb-2026",
                "29-Feb-2026",
                "29-Feb-1900",
                "30-Feb-2026",
                "31-Jun-2026",
                "32-Jan-2026",
                "1-Foo-2026",
                "1-February-2026",
                "1-Fe-2026",
                "1-2-2026",
                "1-Feb-26",
                "1-Feb-02026",
                "1-Feb-20260",
                "1-Feb--2026",
                "-1-Feb-2026",
                "1/Feb/2026",
                "1 Feb 2026",
                "1-Feb-2026 00:00",
                "1-Feb-2026\"",
                "\"1-Feb-2026",
                "\"\"",
                "\"1-Feb-2026 \"",
                "2026-02-01",
                "{10+}\r\n1-Feb-2026",
                "(1-Feb-2026)",
                "1-Feb-2026x",
                "*",
            ],
        );
    }
}
