//! SEARCH as clients write it.

use super::*;
use crate::imap::syntax::sequence::Listed;

fn parse_with(text: &[u8], utf8: Utf8) -> Result<Search, ArgumentError> {
    Search::parse(&mut Args::new(text, utf8))
}

fn parse(text: &str) -> Result<Search, ArgumentError> {
    parse_with(text.as_bytes(), Utf8::Off)
}

fn key(text: &str) -> SearchKey {
    parse(&format!(" {text}")).expect(text).key
}

fn header(field: &str, text: &str) -> SearchKey {
    SearchKey::Header {
        field: field.into(),
        text: text.into(),
    }
}

fn address(field: &'static str, text: &str) -> SearchKey {
    SearchKey::Address {
        field,
        text: text.into(),
    }
}

fn listed(key: &SearchKey) -> &Listed {
    match key {
        SearchKey::Sequence(SequenceSet::Listed(listed))
        | SearchKey::Uid(SequenceSet::Listed(listed)) => listed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn examples_of_the_rfc() {
    let search = parse(" FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"").expect("the RFC's");
    let SearchKey::And(keys) = search.key else {
        panic!("three keys");
    };
    assert_eq!(keys[0], SearchKey::Flag(Flags::FLAGGED));
    assert!(matches!(
        keys[1],
        SearchKey::Date {
            of: DateOf::Arrival,
            is: When::Since,
            ..
        }
    ));
    assert_eq!(keys[2], not(address("From", "Smith")));
    let search = parse(" RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"")
        .expect("the RFC's");
    let returns = search.returns.expect("options");
    assert!(returns.min && returns.count && !returns.all && !returns.max && !returns.save);
    let search = parse(" CHARSET UTF-8 TEXT {12}\r\nтест12").err();
    assert!(search.is_some(), "the literal is longer than what follows");
    let search = parse(" CHARSET UTF-8 TEXT {8}\r\nтест").expect("the RFC's");
    assert_eq!(search.key, SearchKey::Text("тест".into()));
    let search = parse(" RETURN () $ SMALLER 4096").expect("SEARCHRES");
    assert!(search.returns.is_some_and(|returns| returns.all));
    assert!(
        search
            .key
            .any(|key| *key == SearchKey::Sequence(SequenceSet::Saved))
    );
}

#[test]
fn every_key() {
    use SearchKey::{Flag, Keyword as KeywordKey};
    let keyword = |name| Keyword::new(name).expect("a keyword");
    for (text, wanted) in [
        ("ALL", SearchKey::All),
        ("ANSWERED", Flag(Flags::ANSWERED)),
        ("BCC a", address("Bcc", "a")),
        ("BODY \"a b\"", SearchKey::Body("a b".into())),
        ("CC a", address("Cc", "a")),
        ("DELETED", Flag(Flags::DELETED)),
        ("DRAFT", Flag(Flags::DRAFT)),
        ("EMAILID M1-_", SearchKey::EmailId("M1-_".into())),
        ("FLAGGED", Flag(Flags::FLAGGED)),
        ("FROM a", address("From", "a")),
        ("HEADER Message-ID \"\"", header("Message-ID", "")),
        ("KEYWORD $Forwarded", KeywordKey(keyword("$Forwarded"))),
        ("LARGER 7", SearchKey::Larger(7)),
        ("MODSEQ 620162338", SearchKey::ModSeq(ModSeq(620_162_338))),
        (
            "MODSEQ \"/flags/\\\\draft\" all 620162338",
            SearchKey::ModSeq(ModSeq(620_162_338)),
        ),
        (
            "NEW",
            SearchKey::And(vec![SearchKey::Recent, not(Flag(Flags::SEEN))]),
        ),
        ("NOT SEEN", not(Flag(Flags::SEEN))),
        ("OLD", not(SearchKey::Recent)),
        ("OLDER 60", SearchKey::Older(60)),
        (
            "OR SEEN DRAFT",
            SearchKey::Or(Box::new(Flag(Flags::SEEN)), Box::new(Flag(Flags::DRAFT))),
        ),
        ("RECENT", SearchKey::Recent),
        ("SAVEDATESUPPORTED", SearchKey::SaveDateSupported),
        ("seen", Flag(Flags::SEEN)),
        ("SMALLER 7", SearchKey::Smaller(7)),
        ("SUBJECT a", header("Subject", "a")),
        ("TEXT a", SearchKey::Text("a".into())),
        ("THREADID T1", SearchKey::ThreadId("T1".into())),
        ("TO a", address("To", "a")),
        ("UNANSWERED", not(Flag(Flags::ANSWERED))),
        ("UNDELETED", not(Flag(Flags::DELETED))),
        ("UNDRAFT", not(Flag(Flags::DRAFT))),
        ("UNFLAGGED", not(Flag(Flags::FLAGGED))),
        ("UNKEYWORD a", not(KeywordKey(keyword("A")))),
        ("UNSEEN", not(Flag(Flags::SEEN))),
        ("YOUNGER 60", SearchKey::Younger(60)),
        ("(SEEN)", Flag(Flags::SEEN)),
        (
            "((SEEN DRAFT))",
            SearchKey::And(vec![Flag(Flags::SEEN), Flag(Flags::DRAFT)]),
        ),
    ] {
        assert_eq!(key(text), wanted, "{text}");
    }
    for (prefix, of) in [
        ("", DateOf::Arrival),
        ("SENT", DateOf::Sent),
        ("SAVED", DateOf::Saved),
    ] {
        for (name, is) in [
            ("BEFORE", When::Before),
            ("ON", When::On),
            ("SINCE", When::Since),
        ] {
            match key(&format!("{prefix}{name} 1-Feb-1994")) {
                SearchKey::Date {
                    of: found_of,
                    is: found_is,
                    ..
                } => assert_eq!((found_of, found_is), (of, is)),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(listed(&key("UID 5:9")).largest_written(), 9);
    assert_eq!(listed(&key("2,4:*")).largest_written(), 4);
}

#[test]
fn the_rules_are_sorted_and_all_different() {
    assert!(RULES.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[test]
fn charsets() {
    let search = parse_with(
        b" CHARSET EUC-KR SUBJECT {4}\r\n\xb9\xde\xc0\xba",
        Utf8::Off,
    )
    .expect("Korean");
    assert_eq!(search.key, header("Subject", "받은"));
    for (text, save) in [
        (" CHARSET x-nothing ALL", false),
        (" RETURN (SAVE) CHARSET x-nothing FROM {1}\r\n\u{7f}", true),
    ] {
        assert_eq!(parse(text), Err(ArgumentError::Charset { save }), "{text}");
    }
    for text in [" CHARSET x-nothing", " CHARSET x-nothing FOO"] {
        assert!(
            matches!(parse(text), Err(ArgumentError::Syntax(_))),
            "{text}"
        );
    }
    assert!(
        matches!(parse(" SUBJECT {6}\r\n받은"), Err(ArgumentError::Syntax(_))),
        "8-bit text in US-ASCII"
    );
    let on = parse_with(" SUBJECT \"받은\"".as_bytes(), Utf8::On).expect("UTF-8 without saying so");
    assert_eq!(on.key, header("Subject", "받은"));
    assert!(parse_with(b" CHARSET UTF-8 SUBJECT {1}\r\n\xff", Utf8::Off).is_err());
}

#[test]
fn what_is_refused() {
    for text in [
        "",
        " ",
        "ALL",
        " ALL ",
        " ALL  SEEN",
        " FOO",
        " NOT",
        " NOT ",
        " OR SEEN",
        " OR SEEN ",
        " ()",
        " (ALL",
        " ALL)",
        " (ALL) )",
        " SEEN DRAFT SEE",
        " HEADER a",
        " KEYWORD",
        " KEYWORD \\Seen",
        " LARGER -1",
        " LARGER x",
        " SINCE 1-Foo-1994",
        " SINCE",
        " UID",
        " UID 0",
        " 0",
        " YOUNGER 0",
        " MODSEQ",
        " MODSEQ \"a\" 1",
        " RETURN ALL",
        " RETURN (FOO) ALL",
        " RETURN ()",
        " RETURN () ",
        " CHARSET",
        " CHARSET UTF-8",
        " CHARSET UTF-8 ",
        " EMAILID \"a\"",
        " SEEN(DRAFT)",
        " NOTSEEN",
        " SUBJECT",
    ] {
        assert!(
            matches!(parse(text), Err(ArgumentError::Syntax(_))),
            "{text:?}"
        );
    }
}

#[test]
fn attack_03_keys_are_nested_to_a_limit() {
    let groups = |levels: usize| format!(" {}SEEN{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&groups(DEPTH)).is_ok() && parse(&groups(DEPTH + 1)).is_err());
    let nots = |levels: usize| format!(" {}SEEN", "NOT ".repeat(levels));
    assert!(parse(&nots(DEPTH)).is_ok() && parse(&nots(DEPTH + 1)).is_err());
    let ors = |levels: usize| format!(" {}SEEN{}", "OR ".repeat(levels), " SEEN".repeat(levels));
    assert!(parse(&ors(DEPTH)).is_ok() && parse(&ors(DEPTH + 1)).is_err());
    for piece in ["(", "NOT ", "OR ", "OR (", "NOT ("] {
        assert!(parse(&format!(" {}", piece.repeat(200_000))).is_err());
    }
}

#[test]
fn attack_01_keys_are_counted() {
    let keys = |count| format!(" {}", vec!["TEXT {1+}\r\na"; count].join(" "));
    assert!(parse(&keys(KEYS)).is_ok() && parse(&keys(KEYS + 1)).is_err());
    let grouped = format!(" {}", vec!["(NOT SEEN)"; KEYS / 2].join(" "));
    assert!(parse(&grouped).is_err(), "groups and what is in them count");
}
