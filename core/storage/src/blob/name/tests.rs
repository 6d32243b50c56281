//! Components: known answers, and that names come back.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn folder(name: &str) -> String {
    encode_mailbox(name).unwrap().unwrap()
}

#[test]
fn owners_are_escaped() {
    assert_eq!(encode_owner("ada").unwrap(), "ada");
    assert_eq!(encode_owner("ada.l+tag=x_y-z").unwrap(), "ada.l+tag=x_y-z");
    assert_eq!(encode_owner("..").unwrap(), "%2e.");
    assert_eq!(encode_owner("-rf").unwrap(), "%2drf");
    assert_eq!(encode_owner("a/b\0c%").unwrap(), "a%2fb%00c%25");
    assert_eq!(encode_owner("%2e%2e").unwrap(), "%252e%252e");
    assert_eq!(encode_owner("Ada").unwrap(), "%41da");
    assert!(matches!(encode_owner(""), Err(Error::Invalid(_))));
}

#[test]
fn mailboxes_are_modified_utf7() {
    // The example of RFC 3501 section 5.1.3, level by level.
    assert_eq!(
        folder("~peter/mail/台北/日本語"),
        ".~peter.mail.&U,BTFw-.&ZeVnLIqe-"
    );
    assert_eq!(folder("Projects/2026"), ".Projects.2026");
    assert_eq!(folder("a.b"), ".a&AC4-b");
    assert_eq!(folder("a&b"), ".a&-b");
    assert_eq!(folder(".."), ".&AC4ALg-");
    assert_eq!(folder("a\u{0}\u{7f}b"), ".a&AAAAfw-b");
    assert_eq!(folder("INBOX/x"), ".INBOX.x");
    assert_eq!(encode_mailbox("INBOX").unwrap(), None);
    assert_eq!(encode_mailbox("inbox").unwrap(), None);
    for bad in ["", "/", "a/", "/a", "a//b"] {
        assert!(
            matches!(encode_mailbox(bad), Err(Error::Invalid(_))),
            "{bad:?}"
        );
    }
}

#[test]
fn only_canonical_components_decode() {
    for bad in [
        "", ".", "..", ".x", "A", "a b", "%2E", "%61", "%zz", "%f", "%ff", "é", "a%~12", "a/b",
    ] {
        assert_eq!(decode_owner(bad), None, "{bad:?}");
    }
    for bad in [
        "", ".", "..", "x", ".a.", "..a", ".INBOX", ".inbox", ".&", ".&AGE-", ".&AC4", ".a/b",
        ".é", ".&AAB-",
    ] {
        assert_eq!(decode_mailbox(bad), None, "{bad:?}");
    }
}

#[test]
fn long_names_are_shortened_apart() {
    let (one, other) = (
        format!("{}1", "é".repeat(200)),
        format!("{}2", "é".repeat(200)),
    );
    for (encoded, differs, mark) in [
        (
            encode_owner(&one).unwrap(),
            encode_owner(&other).unwrap(),
            "%~",
        ),
        (folder(&one), folder(&other), "&~"),
    ] {
        assert_ne!(encoded, differs);
        assert!(
            encoded.len() <= COMPONENT_LIMIT && encoded.len() > 240,
            "{encoded}"
        );
        assert!(encoded.contains(mark));
    }
    assert_eq!(
        decode_owner(&encode_owner(&one).unwrap()),
        Some(Decoded::Shortened)
    );
    assert_eq!(decode_mailbox(&folder(&one)), Some(Decoded::Shortened));
    // The boundary itself, and every place where the cut may meet an escape.
    assert_eq!(encode_owner(&"a".repeat(255)).unwrap(), "a".repeat(255));
    for shift in 0..4 {
        let name = format!("{}{}", "a".repeat(shift), "%".repeat(100));
        let component = encode_owner(&name).unwrap();
        assert_eq!(
            decode_owner(&component),
            Some(Decoded::Shortened),
            "{component}"
        );
    }
}

fn odd_name() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        ".",
        "..",
        "%",
        "%2e",
        "&",
        "&-",
        "&AC4-",
        "%~",
        "&~",
        "~",
        "-",
        "a",
        "A",
        "é",
        "e\u{301}",
        "\0",
        "\r",
        " ",
        "\u{1f600}",
    ]);
    prop_oneof![
        prop::collection::vec(odd, 1..8).prop_map(|parts| parts.concat()),
        "[^/]{1,120}",
    ]
}

proptest! {
    #[test]
    fn owners_come_back(name in odd_name()) {
        let component = encode_owner(&name).unwrap();
        prop_assert!(component.len() <= COMPONENT_LIMIT);
        prop_assert_eq!(component.to_ascii_lowercase(), component.clone());
        match decode_owner(&component) {
            Some(Decoded::Name(back)) => prop_assert_eq!(back, name),
            other => prop_assert!(name.len() > 80 && other == Some(Decoded::Shortened)),
        }
    }

    #[test]
    fn mailboxes_come_back(levels in prop::collection::vec(odd_name(), 1..4)) {
        let name = levels.join("/").replace('\u{fffd}', "x");
        prop_assume!(!name.eq_ignore_ascii_case(INBOX));
        let component = encode_mailbox(&name).unwrap().unwrap();
        prop_assert!(component.len() <= COMPONENT_LIMIT && component.is_ascii());
        prop_assert!(!component.contains('/') && !component.contains("..") && component.len() > 1);
        match decode_mailbox(&component) {
            Some(Decoded::Name(back)) => prop_assert_eq!(back, name),
            other => prop_assert!(name.len() > 80 && other == Some(Decoded::Shortened)),
        }
    }

    #[test]
    fn any_text_decodes_or_not(text in ".{0,300}") {
        if let Some(Decoded::Name(name)) = decode_owner(&text) {
            prop_assert_eq!(encode_owner(&name).unwrap(), text.clone());
        }
        if let Some(Decoded::Name(name)) = decode_mailbox(&text) {
            prop_assert_eq!(encode_mailbox(&name).unwrap(), Some(text));
        }
    }
}
