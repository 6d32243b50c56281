//! Names of mailboxes: one spelling each, and none that leaves its place.

use proptest::prelude::*;

use super::*;
use crate::imap::syntax::{Args, ArgumentError};

fn name(text: &str) -> Result<String, NameError> {
    MailboxName::new(text).map(|name| name.0)
}

#[test]
fn spellings() {
    for (text, spelled) in [
        ("INBOX", "INBOX"),
        ("inbox", "INBOX"),
        ("InBoX/Sent", "INBOX/Sent"),
        ("inboxes", "inboxes"),
        ("Work/inbox", "Work/inbox"),
        ("Cafe\u{301}", "Caf\u{e9}"),
        ("\u{1112}\u{1161}\u{11ab}", "한"),
        ("\u{212b}", "\u{c5}"),
        ("#news", "#news"),
        ("...", "..."),
        (".hidden", ".hidden"),
        ("R&D", "R&D"),
        (" a ", " a "),
    ] {
        assert_eq!(name(text).as_deref(), Ok(spelled), "{text}");
    }
}

#[test]
fn attack_37_names_that_leave_their_place() {
    for (text, error) in [
        ("", NameError::Empty),
        ("/", NameError::Empty),
        ("/etc/passwd", NameError::Empty),
        ("a//b", NameError::Empty),
        ("a/", NameError::Empty),
        ("..", NameError::Dots),
        ("../x", NameError::Dots),
        ("a/../../x", NameError::Dots),
        ("a/.", NameError::Dots),
        ("a\0b", NameError::Control),
        ("a\r\nb", NameError::Control),
        ("a\u{7f}", NameError::Control),
        ("a\u{85}b", NameError::Control),
        ("a\u{2028}b", NameError::Control),
    ] {
        assert_eq!(name(text), Err(error), "{text:?}");
    }
    // In modified UTF-7 the same, and no other way to write them.
    for (wire, error) in [
        (&b"&AC4ALg-/x"[..], NameError::Encoding),
        (b"..&AC8-x", NameError::Encoding),
        (b"../x", NameError::Dots),
        (b"&AAA-", NameError::Control),
        (b"a&AA0ACg-b", NameError::Control),
        (b"&2AA-", NameError::Encoding),
        (b"caf\xc3\xa9", NameError::Encoding),
    ] {
        assert_eq!(
            MailboxName::from_wire(wire, Utf8::Off),
            Err(error),
            "{wire:?}"
        );
    }
    assert_eq!(
        MailboxName::from_wire(b"a\xff", Utf8::On),
        Err(NameError::Encoding)
    );
    // Percent signs are nothing but percent signs.
    assert_eq!(name("%2e%2e/x").as_deref(), Ok("%2e%2e/x"));
    // Both spellings of a letter are one mailbox.
    let composed = MailboxName::from_wire(b"Caf&AOk-", Utf8::Off);
    let decomposed = MailboxName::from_wire("Cafe\u{301}".as_bytes(), Utf8::On);
    assert!(composed.is_ok() && composed == decomposed);
}

#[test]
fn lengths_and_levels() {
    let long = "a".repeat(NAME_LIMIT);
    assert!(name(&long).is_ok());
    assert_eq!(name(&(long + "a")), Err(NameError::TooLong));
    assert_eq!(name(&"가".repeat(167)), Err(NameError::TooLong));
    assert_eq!(name(&"a".repeat(1_000_000)), Err(NameError::TooLong));
    // Conjoining jamo: three times as long as what they become.
    assert!(name(&"\u{1112}\u{1161}\u{11ab}".repeat(166)).is_ok());
    let deep = vec!["a"; LEVEL_LIMIT].join("/");
    assert!(name(&deep).is_ok());
    assert_eq!(name(&(deep + "/a")), Err(NameError::TooDeep));
}

#[test]
fn a_slash_at_the_end_is_for_create() {
    let created = MailboxName::to_create(b"Projects/", Utf8::Off).expect("a name");
    assert_eq!(created.as_str(), "Projects");
    assert_eq!(
        MailboxName::to_create(b"Projects//", Utf8::Off),
        Err(NameError::Empty)
    );
    assert_eq!(
        MailboxName::from_wire(b"Projects/", Utf8::Off),
        Err(NameError::Empty)
    );
}

#[test]
fn families() {
    let child = MailboxName::new("a/b/c").expect("a name");
    let parent = child.parent().expect("it has one");
    assert_eq!(parent.as_str(), "a/b");
    assert!(child.is_below(&parent) && !parent.is_below(&child) && !parent.is_below(&parent));
    assert!(!MailboxName::new("a/bc").expect("a name").is_below(&parent));
    assert_eq!(MailboxName::inbox().parent(), None);
    assert_eq!(child.levels().rev().collect::<Vec<_>>(), ["c", "b", "a"]);
}

#[test]
fn on_the_wire() {
    let written = |text: &str, utf8| {
        let mut out = BytesMut::new();
        MailboxName::new(text)
            .expect("a name")
            .write(utf8, &mut out);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    };
    assert_eq!(written("INBOX", Utf8::Off), "INBOX");
    assert_eq!(written("Sent Items", Utf8::Off), "\"Sent Items\"");
    assert_eq!(written("R&D", Utf8::Off), "R&-D");
    assert_eq!(written("R&D", Utf8::On), "R&D");
    assert_eq!(written("받은편지함", Utf8::Off), "&vBvHQNO4ycDVaA-");
    assert_eq!(written("받은편지함", Utf8::On), "\"받은편지함\"");
    assert_eq!(written("a\"b", Utf8::Off), "\"a\\\"b\"");
    assert_eq!(written("nil", Utf8::Off), "\"nil\"");
}

proptest! {
    #[test]
    fn reads_what_it_writes(text in "[a-zA-Z&~/ .\"\\\\%*()가-힣é😀\u{301}]{1,30}", on in any::<bool>()) {
        let utf8 = match on { true => Utf8::On, false => Utf8::Off };
        if let Ok(name) = MailboxName::new(&text) {
            let mut wire = BytesMut::new();
            name.write(utf8, &mut wire);
            let mut args = Args::new(&wire, utf8);
            prop_assert_eq!(args.mailbox(), Ok::<_, ArgumentError>(name.clone()));
            prop_assert!(args.is_empty());
            // One spelling: what is spelled stays as it is.
            prop_assert_eq!(MailboxName::new(name.as_str()), Ok(name));
        }
    }

    #[test]
    fn names_stay_in_their_place(text in any::<String>()) {
        if let Ok(name) = MailboxName::new(&text) {
            prop_assert!(name.as_str().len() <= NAME_LIMIT);
            prop_assert!(name.levels().all(|level| !matches!(level, "" | "." | "..")));
            prop_assert!(!name.as_str().chars().any(char::is_control));
        }
    }
}
