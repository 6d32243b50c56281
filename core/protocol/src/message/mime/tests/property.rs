//! What holds of every message, nearly MIME or not.

use super::*;
use proptest::prelude::*;

/// Messages that are nearly MIME.
fn nearly_mime() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=a".to_owned()),
        Just("Content-Type: multipart/digest; boundary=\"a\"".to_owned()),
        Just("Content-Type: multipart/mixed; boundary=b".to_owned()),
        Just("Content-Type: message/rfc822".to_owned()),
        Just("Content-Type: text/html; charset=x".to_owned()),
        Just("Content-Transfer-Encoding: base64".to_owned()),
        Just("Subject: s".to_owned()),
        Just("To: a@b, g: c@d;".to_owned()),
        Just(" folded".to_owned()),
        Just(String::new()),
        Just(String::new()),
        Just(String::new()),
        Just("--a".to_owned()),
        Just("--a".to_owned()),
        Just("--b".to_owned()),
        Just("--a--".to_owned()),
        Just("--b-- ".to_owned()),
        "[-a-z :]{0,6}",
    ];
    proptest::collection::vec(line, 0..40).prop_map(|lines| lines.join("\n"))
}

/// What [`Part`] promises.
fn assert_nested(part: &Part, outer: Span) {
    assert!(
        outer.contains(part.header) && outer.contains(part.body),
        "{part:?} in {outer:?}"
    );
    assert!(part.header.end <= part.body.start);
    let mut left = part.body;
    for child in part.children() {
        assert_nested(child, left);
        left.start = child.body.end;
    }
}

/// The tree without its offsets.
fn without_offsets(part: &Part) -> Part {
    let mut part = part.clone();
    fn strip(part: &mut Part) {
        part.header = Span::default();
        part.body = Span::default();
        match &mut part.content {
            Content::Leaf => {}
            Content::Multipart(parts) => parts.iter_mut().for_each(strip),
            Content::Message(embedded) => strip(&mut embedded.root),
        }
    }
    strip(&mut part);
    part
}

proptest! {
    #[test]
    fn spans_are_nested_and_work_is_linear(message in nearly_mime()) {
        let scanned = assert_linear(message.as_bytes());
        assert_nested(&scanned.root, Span { start: 0, end: message.len() as u64 });
        for part in scanned.root.walk() {
            let lines = part.body.of(message.as_bytes()).iter().filter(|octet| **octet == b'\n').count();
            prop_assert_eq!(part.lines, lines as u64);
        }
    }

    #[test]
    fn line_ends_do_not_matter(message in nearly_mime()) {
        let bare = scanned(message.as_bytes());
        let canonical = message.replace('\n', "\r\n");
        let full = scanned(canonical.as_bytes());
        prop_assert_eq!(without_offsets(&bare.root), without_offsets(&full.root));
        prop_assert_eq!(bare.envelope, full.envelope);
        for (bare, full) in bare.root.walk().zip(full.root.walk()) {
            let text = String::from_utf8_lossy(full.body.of(canonical.as_bytes())).replace("\r\n", "\n");
            prop_assert_eq!(String::from_utf8_lossy(bare.body.of(message.as_bytes())), text);
        }
    }

    #[test]
    fn any_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300), parts in 0usize..5, depth in 0usize..5) {
        let limits = Limits { parts, depth, fields: 3, header: 50, addresses: 2, kept: 20 };
        let scanned = scan(&octets, &limits);
        assert_nested(&scanned.root, Span { start: 0, end: octets.len() as u64 });
    }

    #[test]
    fn any_limits_hold(message in nearly_mime(), parts in 0usize..5, depth in 0usize..5, kept in 0usize..40) {
        let limits = Limits { parts, depth, kept, addresses: kept / 4, ..Limits::default() };
        let scanned = scan(message.as_bytes(), &limits);
        assert_nested(&scanned.root, Span { start: 0, end: message.len() as u64 });
        prop_assert!(scanned.root.walk().count() <= parts.max(1) + depth + 1);
    }
}
