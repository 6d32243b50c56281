//! The tokens of the grammar: what they take, what they refuse, and that they always come to an end.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::imap::syntax::{append, create, fetch, flag, list, search, select, status, store};

fn args(text: &[u8]) -> Args<'_> {
    Args::new(text, Utf8::Off)
}

fn whole<'a, T>(
    text: &'a [u8],
    utf8: Utf8,
    rule: impl Fn(&mut Args<'a>) -> Parsed<T>,
) -> Parsed<T> {
    let mut args = Args::new(text, utf8);
    let value = rule(&mut args)?;
    args.end()?;
    Ok(value)
}

fn astring(text: &[u8], utf8: Utf8) -> Option<Vec<u8>> {
    whole(text, utf8, Args::astring).ok().map(Cow::into_owned)
}

#[test]
fn strings() {
    for (wire, text) in [
        (&b"a]b"[..], &b"a]b"[..]),
        (b"\"\"", b""),
        (b"\"a b\"", b"a b"),
        (b"\"\\\"\\\\x\\\"\"", b"\"\\x\""),
        (b"\"a\tb\x7f\"", b"a\tb\x7f"),
        (b"{3}\r\na\r\n", b"a\r\n"),
        (b"{3+}\r\n\xff\"(", b"\xff\"("),
        (b"{0}\r\n", b""),
        (b"NIL", b"NIL"),
        (b"a+&'}b", b"a+&'}b"),
    ] {
        assert_eq!(astring(wire, Utf8::Off).as_deref(), Some(text), "{wire:?}");
    }
    for wire in [
        &b""[..],
        b"\"",
        b"\"a",
        b"\"a\\",
        b"\"a\\n\"",
        b"\"a\rb\"",
        b"\"a\nb\"",
        b"\"a\0b\"",
        b"{3}\r\nab",
        b"{3}\nabc",
        b"{3}abc",
        b"{}\r\n",
        b"{-1}\r\n",
        b"{1}\r\n\0",
        b"~{1}\r\na",
        b"{1+\r\na",
        b"a b",
        b"a(",
        b"a{1}",
        b"a%",
        b"a*",
        b"a\\",
        b"a\"",
        b"\x7f",
        b"\xc3\xa9",
        b"{18446744073709551616}\r\n",
        b"{9223372036854775808}\r\n",
        b"{99999999999999}\r\na",
        b"\"a\"b",
        b"{1}\r\nab",
    ] {
        assert_eq!(astring(wire, Utf8::Off), None, "{wire:?}");
    }
}

#[test]
fn eight_bit_stands_in_quoted_strings_where_utf8_is_on() {
    let text = "\"받은 편지함\"".as_bytes();
    assert_eq!(astring(text, Utf8::Off), None);
    assert_eq!(
        astring(text, Utf8::On).as_deref(),
        Some("받은 편지함".as_bytes())
    );
    // Attack 7: truncated UTF-8.
    assert_eq!(astring(b"\"\xeb\xb0\"", Utf8::On), None);
    assert_eq!(
        astring(b"\xeb\xb0\x9b", Utf8::On),
        None,
        "an atom is US-ASCII"
    );
}

#[test]
fn nil_is_a_word_of_its_own() {
    let nstring = |text| whole(text, Utf8::Off, Args::nstring);
    assert_eq!(nstring(b"nil"), Ok(None));
    assert_eq!(nstring(b"\"NIL\""), Ok(Some(Cow::Borrowed(&b"NIL"[..]))));
    assert!(nstring(b"NILS").is_err() && nstring(b"atom").is_err());
}

#[test]
fn literal8_may_hold_nul() {
    assert_eq!(
        whole(b"~{3}\r\na\0b", Utf8::Off, Args::literal8),
        Ok(&b"a\0b"[..])
    );
    assert_eq!(
        whole(b"{1+}\r\na", Utf8::Off, Args::literal8),
        Ok(&b"a"[..])
    );
    assert!(whole(b"{3}\r\na\0b", Utf8::Off, Args::literal8).is_err());
}

#[test]
fn numbers() {
    let number = |text: &str| whole(text.as_bytes(), Utf8::Off, Args::number).ok();
    let number64 = |text: &str| whole(text.as_bytes(), Utf8::Off, Args::number64).ok();
    let nz_number = |text: &str| {
        whole(text.as_bytes(), Utf8::Off, Args::nz_number)
            .ok()
            .map(NonZeroU32::get)
    };
    assert_eq!(
        (number("0"), number("007"), number("4294967295")),
        (Some(0), Some(7), Some(u32::MAX))
    );
    assert_eq!(
        (number("4294967296"), number(""), number("-1"), number("+1")),
        (None, None, None, None)
    );
    assert_eq!(number64("9223372036854775807"), Some(i64::MAX as u64));
    assert_eq!(
        (
            number64("9223372036854775808"),
            number64("18446744073709551616")
        ),
        (None, None)
    );
    assert_eq!(
        (
            nz_number("1"),
            nz_number("0"),
            nz_number("01"),
            nz_number("4294967296")
        ),
        (Some(1), None, None, None)
    );
}

#[test]
fn one_space_is_one_space() {
    let mut two = args(b"  ");
    assert_eq!(
        (two.sp(), two.end().is_err(), two.sp(), two.end()),
        (Ok(()), true, Ok(()), Ok(()))
    );
    assert!(args(b"\t").sp().is_err());
}

#[test]
fn lists() {
    let atoms = |text| whole(text, Utf8::Off, |args| args.parenthesised(Args::atom));
    assert_eq!(atoms(b"(a b c)"), Ok(vec!["a", "b", "c"]));
    for text in [
        &b"()"[..],
        b"( a)",
        b"(a )",
        b"(a  b)",
        b"(a",
        b"a)",
        b"(a))",
        b"((a))",
        b"(a,b",
    ] {
        assert!(atoms(text).is_err(), "{text:?}");
    }
    let maybe = |text| {
        whole(text, Utf8::Off, |args| {
            args.parenthesised_or_empty(Args::atom)
        })
    };
    assert_eq!(maybe(b"()"), Ok(vec![]));
    assert!(maybe(b"( )").is_err());
    let long = format!("({})", vec!["a"; ELEMENTS].join(" "));
    assert!(atoms(long.as_bytes()).is_ok());
    let longer = format!("({} a)", vec!["a"; ELEMENTS].join(" "));
    assert!(atoms(longer.as_bytes()).is_err());
}

/// A list of lists of lists…
fn nest(args: &mut Args<'_>) -> Parsed<usize> {
    match args.peek() {
        Some(b'(') => Ok(1 + args
            .parenthesised_or_empty(nest)?
            .into_iter()
            .max()
            .unwrap_or(0)),
        _ => args.atom().map(|_| 0),
    }
}

#[test]
fn attack_03_parentheses_are_nested_to_a_limit() {
    let deep = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(whole(deep(DEPTH).as_bytes(), Utf8::Off, nest), Ok(DEPTH));
    assert!(whole(deep(DEPTH + 1).as_bytes(), Utf8::Off, nest).is_err());
    for rule in RULES {
        let text = format!(" {}", "(".repeat(1_000_000));
        assert!(!rule(&mut args(text.as_bytes())));
        let text = format!(" x {}", "(".repeat(1_000_000));
        assert!(!rule(&mut args(text.as_bytes())));
    }
    // Siblings are not nested.
    let flat = format!("({})", vec!["(a)"; 1000].join(" "));
    assert_eq!(whole(flat.as_bytes(), Utf8::Off, nest), Ok(2));
}

/// All parsers of arguments.
const RULES: [fn(&mut Args<'_>) -> bool; 11] = [
    |args| append::Append::parse(args).is_ok(),
    |args| append::after_message(args, append::AppendData::Utf8).is_ok(),
    |args| create::Create::parse(args).is_ok(),
    |args| fetch::Fetch::parse(args).is_ok(),
    |args| flag::FlagList::parse_bare(args).is_ok(),
    |args| list::List::parse(args).is_ok(),
    |args| list::List::parse_lsub(args).is_ok(),
    |args| search::Search::parse(args).is_ok(),
    |args| select::Select::parse(args).is_ok(),
    |args| status::Status::parse(args).is_ok(),
    |args| store::Store::parse(args).is_ok(),
];

#[test]
fn attack_01_work_is_linear_in_what_was_sent() {
    let floods = [
        " x ".to_owned() + &"\"\\\\\\\"\" ".repeat(200_000),
        " ".to_owned() + &"{4+}\r\nabcd ".repeat(100_000),
        " TEXT {4+}\r\nabcd".repeat(100_000),
        " 1".to_owned() + &",1:*".repeat(300_000),
        " 1 (".to_owned() + &"BODY[HEADER.FIELDS (A B C)]<1.2> ".repeat(40_000),
        " x (".to_owned() + &"\\Seen ".repeat(200_000),
        " x ".to_owned() + &"k0 k1 k2 k3 ".repeat(100_000),
        " \"\" (".to_owned() + &"%*%*%a ".repeat(150_000),
        " ".to_owned() + &"&AGE-".repeat(250_000),
        " OR NOT".repeat(150_000),
        " ".to_owned() + &"9".repeat(1_000_000),
        " UID 1".repeat(150_000),
    ];
    let start = Instant::now();
    for flood in &floods {
        for rule in RULES {
            assert!(!rule(&mut args(flood.as_bytes())), "{}", &flood[..20]);
        }
    }
    // 12 floods of a megabyte for 11 parsers: quadratic work would take hours.
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}

/// Octets as a client that means harm would send them: tokens of the grammar in any order.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec![
        " ",
        "(",
        ")",
        "\"",
        "\\",
        "{3}\r\nabc",
        "{2+}\r\nxy",
        "~{1}\r\n\0",
        "{9}",
        "[",
        "]",
        "<",
        ">",
        ".",
        "1",
        "0",
        ":",
        "*",
        "$",
        ",",
        "%",
        "4294967295",
        "FLAGS",
        "BODY",
        "PEEK",
        "HEADER.FIELDS",
        "RETURN ",
        "STATUS",
        "UIDNEXT",
        "MESSAGES",
        "INBOX",
        "&AOk-",
        "&",
        "\u{e9}",
        "\r\n",
        "\0",
        "NOT ",
        "OR ",
        "CHARSET UTF-8 ",
        "SUBJECT ",
        "\\Seen",
        "\\Recent",
        "UTF8 (",
        "\" 1-Jan-1970 00:00:00 +0000\"",
        "1-Feb-1994",
        "(USE (\\Sent))",
        "(QRESYNC (1 2 3 (4 5)))",
        "+FLAGS.SILENT",
        "a/b",
    ]);
    let noise = prop::collection::vec(any::<u8>(), 0..6);
    let piece = prop_oneof![9 => token.prop_map(|token| token.as_bytes().to_vec()), 1 => noise];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_octets_are_taken_or_refused(text in prop_oneof![soup(), any::<Vec<u8>>()], on in any::<bool>()) {
        let utf8 = match on { true => Utf8::On, false => Utf8::Off };
        for rule in RULES {
            rule(&mut Args::new(&text, utf8));
            let spaced = [b" ", &text[..]].concat();
            rule(&mut Args::new(&spaced, utf8));
        }
        let _ = crate::imap::syntax::Command::parse(&text, utf8);
        let _ = crate::imap::syntax::LiteralHeader::at_end(&text);
        let _ = whole(&text, utf8, nest);
    }
}
