//! FETCH as clients write it.

use super::*;
use crate::imap::syntax::Utf8;

fn parse(text: &str) -> Parsed<Fetch> {
    Fetch::parse(&mut Args::new(text.as_bytes(), Utf8::Off))
}

fn one(item: &str) -> FetchItem {
    let mut fetch = parse(&format!(" 1 {item}")).expect(item);
    assert_eq!(fetch.items.len(), 1, "{item}");
    fetch.items.remove(0)
}

fn section(part: &[u32], text: SectionText) -> Section {
    Section {
        part: part.to_vec(),
        text,
    }
}

#[test]
fn the_example_of_the_rfc() {
    let fetch = parse(" 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])").expect("the RFC's example");
    assert_eq!(fetch.items[0], FetchItem::Flags);
    let fields = vec!["DATE".to_owned(), "FROM".to_owned()];
    assert_eq!(
        fetch.items[1],
        FetchItem::Section {
            section: section(&[], SectionText::HeaderFields(fields)),
            partial: None,
            seen: Seen::Set,
            name: SectionName::Body,
        }
    );
}

#[test]
fn macros_are_spelled_out() {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    let items = |text| parse(text).expect("a macro").items;
    assert_eq!(items(" 1 ALL"), [Flags, InternalDate, Size, Envelope]);
    assert_eq!(items(" 1 fast"), [Flags, InternalDate, Size]);
    assert_eq!(
        items(" 1 FULL"),
        [Flags, InternalDate, Size, Envelope, Body]
    );
    assert!(parse(" 1 (ALL)").is_err(), "a macro stands alone");
}

#[test]
fn words() {
    for (name, item) in WORDS {
        assert_eq!(one(name), item);
        assert_eq!(one(&name.to_lowercase()), item);
    }
    assert_eq!(one("BODY"), FetchItem::Body);
    assert_eq!(one("PREVIEW"), FetchItem::Preview { lazy: false });
    assert_eq!(one("(PREVIEW (LAZY))"), FetchItem::Preview { lazy: true });
}

#[test]
fn sections() {
    for (text, wanted) in [
        ("BODY[]", section(&[], SectionText::All)),
        ("BODY[HEADER]", section(&[], SectionText::Header)),
        ("BODY[TEXT]", section(&[], SectionText::Text)),
        ("BODY[1]", section(&[1], SectionText::All)),
        ("BODY[4.2.2.1]", section(&[4, 2, 2, 1], SectionText::All)),
        ("BODY[4.1.MIME]", section(&[4, 1], SectionText::Mime)),
        ("BODY[3.HEADER]", section(&[3], SectionText::Header)),
        ("body[3.text]", section(&[3], SectionText::Text)),
        (
            "BODY[2.HEADER.FIELDS.NOT (X-A \"To\")]",
            section(
                &[2],
                SectionText::HeaderFieldsNot(vec!["X-A".into(), "To".into()]),
            ),
        ),
        (
            "BODY[HEADER.FIELDS ({4}\r\nDate)]",
            section(&[], SectionText::HeaderFields(vec!["Date".into()])),
        ),
    ] {
        match one(text) {
            FetchItem::Section {
                section,
                seen: Seen::Set,
                partial: None,
                ..
            } => assert_eq!(section, wanted, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let peek = one("BODY.PEEK[]<0.2048>");
    assert!(!peek.sets_seen() && one("BODY[]").sets_seen());
    let FetchItem::Section { partial, .. } = peek else {
        panic!("a section");
    };
    assert_eq!(
        partial,
        Some(Partial {
            offset: 0,
            octets: 2048
        })
    );
}

#[test]
fn old_names() {
    for (text, wanted_text, wanted_name, sets_seen) in [
        ("RFC822", SectionText::All, SectionName::Rfc822, true),
        (
            "RFC822.HEADER",
            SectionText::Header,
            SectionName::Rfc822Header,
            false,
        ),
        (
            "RFC822.TEXT",
            SectionText::Text,
            SectionName::Rfc822Text,
            true,
        ),
    ] {
        let item = one(text);
        assert_eq!(item.sets_seen(), sets_seen);
        let FetchItem::Section { section, name, .. } = item else {
            panic!("{text} is a section");
        };
        assert_eq!((section.text, name), (wanted_text, wanted_name));
    }
}

#[test]
fn binary_items() {
    assert_eq!(
        one("BINARY.SIZE[1.2]"),
        FetchItem::BinarySize { part: vec![1, 2] }
    );
    let item = one("BINARY.PEEK[3]<10.20>");
    let partial = Some(Partial {
        offset: 10,
        octets: 20,
    });
    assert_eq!(
        item,
        FetchItem::Binary {
            part: vec![3],
            partial,
            seen: Seen::Peek
        }
    );
    assert!(one("BINARY[]").sets_seen());
}

#[test]
fn modifiers() {
    let fetch = parse(" 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)").expect("RFC 7162's");
    assert_eq!(
        (fetch.changed_since, fetch.vanished),
        (Some(ModSeq(12345)), true)
    );
    assert!(parse(" 1 PREVIEW (CHANGEDSINCE 1)").is_ok());
    for text in [
        " 1 FLAGS (VANISHED)",
        " 1 FLAGS ()",
        " 1 FLAGS (CHANGEDSINCE)",
        " 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)",
        " 1 FLAGS (X)",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_refused() {
    for item in [
        "",
        "()",
        "FOO",
        "(FLAGS",
        "(FLAGS )",
        "( FLAGS)",
        "FLAGS UID",
        "FLAGS[]",
        "ENVELOPE[]",
        "RFC822[]",
        "BODY[",
        "BODY[]<5>",
        "BODY[]<5.0>",
        "BODY[]<5.05>",
        "BODY[]<.5>",
        "BODY[]<5.>",
        "BODY[]<5.10",
        "BODY[]<-1.10>",
        "BODY[]<0.9223372036854775808>",
        "BODY[0]",
        "BODY[1.0]",
        "BODY[01]",
        "BODY[1.]",
        "BODY[.1]",
        "BODY[1..2]",
        "BODY[MIME]",
        "BODY[HEADER.FIELDS]",
        "BODY[HEADER.FIELDS()]",
        "BODY[HEADER.FIELDS ()]",
        "BODY[HEADER.FIELDS (a)b]",
        "BODY[HEADER.FIELDS ({2}\r\n\u{e9})]",
        "BODY[1HEADER]",
        "BODY[1.FOO]",
        "BODY[ ]",
        "BODY[1 ]",
        "BODY [1]",
        "BINARY",
        "BINARY.PEEK",
        "BINARY.SIZE[1]<0.1>",
        "BINARY[TEXT]",
        "BINARY[1.MIME]",
        "BODY.PEEK",
        "BODYSTRUCTURE[]",
        "BODY[]<0.1> ",
    ] {
        assert!(parse(&format!(" 1 {item}")).is_err(), "{item}");
    }
    let many = |count| format!(" 1 ({})", vec!["UID"; count].join(" "));
    assert!(parse(&many(ITEMS)).is_ok() && parse(&many(ITEMS + 1)).is_err());
    let deep = format!(" 1 BODY[{}]", vec!["1"; 51].join("."));
    assert!(parse(&deep).is_err());
    let fields = format!(" 1 BODY[HEADER.FIELDS ({})]", vec!["A"; 201].join(" "));
    assert!(parse(&fields).is_err());
}
