//! Keys: known answers, attack 37, and that any text is a key or not.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn unique(host: &str, date: i64, size: u64) -> Unique {
    let written = BlobWritten {
        size,
        sha256: [0xab; 32],
    };
    Unique::new(host, Timestamp(date), &written).unwrap()
}

fn key(domain: &str, user: &str, mailbox: &str) -> BlobKey {
    BlobKey::for_message(domain, user, mailbox, &unique("mx", 0, 1)).unwrap()
}

#[test]
fn keys_lie_in_a_maildir() {
    let unique = unique("mx1.example.com", 1_700_000_000_123_456, 42);
    let inbox = BlobKey::for_message("example.com", "ada", "INBOX", &unique).unwrap();
    assert_eq!(
        inbox.as_str(),
        format!("example.com/ada/Maildir/cur/{unique}")
    );
    let folder = BlobKey::for_message("example.com", "ada", "Projects/2026", &unique).unwrap();
    assert_eq!(
        folder.as_str(),
        format!("example.com/ada/Maildir/.Projects.2026/cur/{unique}")
    );
    assert_eq!(folder.place().0, "example.com/ada/Maildir/.Projects.2026");
    assert_eq!(
        inbox.place(),
        ("example.com/ada/Maildir", unique.to_string().as_str())
    );
    let text = unique.to_string();
    assert!(text.starts_with("1700000000.M123456P"), "{text}");
    assert!(
        text.ends_with(".mx1.example.com,S=42,H=abababababababab:2,"),
        "{text}"
    );
}

#[test]
fn a_rebuild_reads_everything_back() {
    let key = key("example.com", "ada", "Projects/2026");
    let again = BlobKey::parse(key.as_str()).unwrap();
    assert_eq!(again, key);
    assert_eq!(again.account().as_deref(), Some("ada@example.com"));
    assert_eq!(again.mailbox().as_deref(), Some("Projects/2026"));
    let unique = again.unique().unwrap();
    assert_eq!((unique.size(), unique.checksum()), (1, [0xab; 8]));
    assert!(key.fits(&BlobWritten {
        size: 1,
        sha256: [0xab; 32]
    }));
    assert!(!key.fits(&BlobWritten {
        size: 2,
        sha256: [0xab; 32]
    }));
    assert!(!key.fits(&BlobWritten {
        size: 1,
        sha256: [0xac; 32]
    }));
}

#[test]
fn attack_37_no_name_leaves_its_folder_or_meets_another() {
    let names = [
        "..",
        ".",
        "...",
        "../../etc",
        "..%2f",
        "%2e%2e",
        "a/../b",
        "a\\b",
        "a\0",
        "A",
        "a",
        "é",
        "e\u{301}",
        "É",
        "&AC4-",
        "a.b",
        "a&AC4-b",
        "a%2fb",
        " ",
        "-",
        "~",
        "\u{202e}x",
        "ſ",
        "K",
        "k",
        "\r\n",
        "*",
        ":2,S",
    ];
    let mut seen = HashSet::new();
    for domain in names {
        for user in names {
            let key = key(domain, user, "INBOX");
            let (place, _) = key.place();
            assert_eq!(place.matches('/').count(), 2, "{place}");
            assert!(
                !place
                    .split('/')
                    .any(|it| it.is_empty() || it.starts_with('.')),
                "{place}"
            );
            assert!(seen.insert(place.to_ascii_lowercase()), "{place} twice");
            assert_eq!(key.account(), Some(format!("{user}@{domain}")));
            assert_eq!(BlobKey::parse(key.as_str()).unwrap(), key);
        }
    }
    for mailbox in [
        "a.b", "a/b", "a&AC4-b", "é", "e\u{301}", "..", "../..", "a/../b", "cur", "tmp", "%2e%2e",
        "a\\b",
    ] {
        let key = key("d", "u", mailbox);
        let (place, _) = key.place();
        assert_eq!(place.matches('/').count(), 3, "{place}");
        assert!(!place.contains(".."), "{place}");
        assert!(seen.insert(place.to_owned()), "{place} twice");
        assert_eq!(key.mailbox().as_deref(), Some(mailbox));
    }
    assert!(BlobKey::for_message("", "u", "INBOX", &unique("h", 0, 0)).is_err());
    assert!(BlobKey::for_message("d", "", "INBOX", &unique("h", 0, 0)).is_err());
    assert!(BlobKey::for_message("d", "u", "a//b", &unique("h", 0, 0)).is_err());
}

#[test]
fn attack_37_the_longest_names_fit() {
    let long = "\u{1f600}".repeat(2000);
    let unique = unique(&long, i64::MAX, u64::MAX);
    let key = BlobKey::for_message(&long, &long, &long, &unique).unwrap();
    assert!(key.as_str().len() <= KEY_LIMIT, "{}", key.as_str().len());
    assert!(
        key.as_str()
            .split('/')
            .all(|it| it.len() <= COMPONENT_LIMIT)
    );
    assert_eq!(BlobKey::parse(key.as_str()).unwrap(), key);
    assert_eq!((key.account(), key.mailbox()), (None, None));
    assert_eq!(key.unique().unwrap(), unique);
}

#[test]
fn what_is_no_key_is_refused() {
    for bad in [
        "",
        "/",
        "x",
        "d/u/Maildir/cur",
        "d/u/Maildir/cur/",
        "/d/u/Maildir/cur/x",
        "d/u/Maildir/cur/x/",
        "d/u/Maildir/cur/.x",
        "d/u/Maildir/cur/..",
        "d/u/Maildir/new/x",
        "d/u/Maildir/tmp/x",
        "d/u/maildir/cur/x",
        "D/u/Maildir/cur/x",
        "../u/Maildir/cur/x",
        "d/../Maildir/cur/x",
        "d//Maildir/cur/x",
        "d/u/Maildir/../cur/x",
        "d/u/Maildir/.a/.b/cur/x",
        "d/u/Maildir/a/cur/x",
        "d/u/Maildir/.a..b/cur/x",
        "d/u/Maildir/cur/a b",
        "d/u/Maildir/cur/é",
        "d/u/Maildir/cur/a\0",
        "d/u/Maildir/cur/-x",
    ] {
        assert!(BlobKey::parse(bad).is_err(), "{bad:?}");
    }
    let foreign =
        BlobKey::parse("d/u/Maildir/.Sent/cur/1700000000.M1P2.host,S=3,W=4:2,RS").unwrap();
    assert_eq!(foreign.unique(), None);
    assert_eq!(foreign.mailbox().as_deref(), Some("Sent"));
    assert!(BlobKey::parse(&format!("d/u/Maildir/cur/{}", "x".repeat(256))).is_err());
}

#[test]
fn a_unique_part_means_what_it_says_or_nothing() {
    let text = unique("h", 5_000_006, 7).to_string();
    assert!(Unique::parse(&text).is_some());
    for (from, to) in [
        ("5.M6", "05.M6"),
        ("5.M6", "5.M06"),
        ("5.M6", "+5.M6"),
        ("5.M6", "-5.M6"),
        ("5.M6", "5.M1000006"),
        ("S=7", "S=07"),
        ("S=7", "S=-7"),
        ("S=7", "S=99999999999999999999"),
        ("H=ab", "H=AB"),
        ("H=ab", "H="),
        (".h,", ".H,"),
        (":2,", ":2,S"),
    ] {
        assert_ne!(text, text.replace(from, to));
        assert_eq!(Unique::parse(&text.replace(from, to)), None, "{from} {to}");
    }
    assert_eq!(unique("h", -7, 1).made(), Timestamp(0));
    assert_eq!(unique("a/b:c,D", 0, 1).host, "a_b_c_d");
}

#[test]
fn two_of_the_same_moment_differ() {
    let all: HashSet<_> = (0..1000).map(|_| unique("h", 0, 1).to_string()).collect();
    assert_eq!(all.len(), 1000);
}

proptest! {
    #[test]
    fn any_text_is_a_key_or_not(text in "([a-z.%0-9&~-]{0,9}/){0,5}.{0,20}") {
        if let Ok(key) = BlobKey::parse(&text) {
            prop_assert_eq!(key.as_str(), &text);
            let _ = (key.account(), key.mailbox(), key.unique(), key.place());
        }
    }

    #[test]
    fn a_unique_part_comes_back(date in 0..i64::MAX, size: u64, host in ".{0,80}") {
        let unique = unique(&host, date, size);
        prop_assert_eq!(Unique::parse(&unique.to_string()), Some(unique));
    }
}

#[test]
fn a_derived_name_comes_again() {
    let written = BlobWritten {
        size: 7,
        sha256: [9; 32],
    };
    let derived = |source: &[u8]| Unique::derived("mx", Timestamp(5), source, &written);
    assert_eq!(derived(b"a"), derived(b"a"));
    assert_ne!(derived(b"a"), derived(b"b"));
    assert_eq!(derived(b"a").random(), Unique::derivation(b"a"));
    let key = BlobKey::for_message("example.com", "ada", "INBOX", &derived(b"a")).unwrap();
    assert_eq!(key.unique(), Some(derived(b"a")));
    assert!(key.fits(&written));
}
