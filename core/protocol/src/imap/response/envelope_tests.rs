//! Envelopes: the RFC's own, broken ones, and many.

use std::time::{Duration, Instant};

use super::*;
use crate::message::summary::Summary;

fn written(header: &[u8], utf8: Utf8) -> Vec<u8> {
    let mut out = BytesMut::new();
    envelope(&Summary::of(header).envelope, utf8, &mut out);
    out.to_vec()
}

fn text(header: &str) -> String {
    String::from_utf8(written(header.as_bytes(), Utf8::Off)).expect("UTF-8")
}

const EXAMPLE: &str = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
    From: Terry Gray <gray@cac.washington.edu>\r\n\
    Subject: IMAP4rev2 WG mtg summary and minutes\r\n\
    To: imap@cac.washington.edu\r\n\
    cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
    Message-Id: <B27397-0100000@cac.washington.ed>\r\n\r\n";

#[test]
fn the_example_of_the_rfc() {
    let from = "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\"))";
    let wanted = format!(
        "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" {from} {from} {from} \
         ((NIL NIL \"imap\" \"cac.washington.edu\")) \
         ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) \
         NIL NIL \"<B27397-0100000@cac.washington.ed>\")"
    );
    assert_eq!(text(EXAMPLE), wanted);
}

#[test]
fn no_header_is_all_nil() {
    assert_eq!(text("\r\n"), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
}

#[test]
fn groups_and_missing_domains() {
    assert_eq!(
        text("To: Friends: a@example.org, b@example.org;, undisclosed:;\r\nFrom: root\r\n\r\n"),
        "(NIL NIL ((NIL NIL \"root\" \"\")) ((NIL NIL \"root\" \"\")) ((NIL NIL \"root\" \"\")) \
         ((NIL NIL \"Friends\" NIL)(NIL NIL \"a\" \"example.org\")(NIL NIL \"b\" \"example.org\")(NIL NIL NIL NIL)\
         (NIL NIL \"undisclosed\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)"
    );
}

#[test]
fn eight_bit_is_a_literal_unless_utf8_is_on() {
    let header = "Subject: Grüße\r\n\r\n".as_bytes();
    let off = written(header, Utf8::Off);
    assert!(
        off.starts_with("(NIL {7}\r\nGrüße NIL".as_bytes()),
        "{off:?}"
    );
    let on = written(header, Utf8::On);
    assert!(on.starts_with("(NIL \"Grüße\" NIL".as_bytes()), "{on:?}");
    let broken = written(b"Subject: a\xffb\\\"\0c\r\n\r\n", Utf8::On);
    assert!(!broken.contains(&0));
}

#[test]
fn ten_thousand_envelopes_are_written_fast() {
    let summary = Summary::of(EXAMPLE.as_bytes());
    let mut out = BytesMut::with_capacity(8 << 20);
    let start = Instant::now();
    for _ in 0..10_000 {
        envelope(&summary.envelope, Utf8::Off, &mut out);
    }
    // A debug build takes a fraction of a second.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(out.len() % 10_000, 0);
}
