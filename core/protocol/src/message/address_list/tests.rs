//! Tests of address lists: examples of the RFC, what is met, and floods.

use super::*;
use proptest::prelude::*;

/// Items as `name|route|local|domain`, `{group` and `}`.
fn items(value: &str) -> Vec<String> {
    let string = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let option = |octets: &Option<Vec<u8>>| octets.as_deref().map_or("-".into(), string);
    let show = |item: &AddressItem| match item {
        AddressItem::Mailbox {
            name,
            route,
            local,
            domain,
        } => [option(name), option(route), string(local), string(domain)].join("|"),
        AddressItem::GroupStart(name) => format!("{{{}", string(name)),
        AddressItem::GroupEnd => "}".into(),
    };
    parse(value.as_bytes(), 100).0.iter().map(show).collect()
}

#[test]
fn examples_of_the_rfc() {
    let cases: [(&str, &[&str]); 8] = [
        (
            "John Doe <jdoe@machine.example>",
            &["John Doe|-|jdoe|machine.example"],
        ),
        (
            "\"Joe Q. Public\" <john.q.public@example.com>",
            &["Joe Q. Public|-|john.q.public|example.com"],
        ),
        (
            "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
            &[
                "-|-|boss|nil.test",
                "Giant; \"Big\" Box|-|sysservices|example.net",
            ],
        ),
        (
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            &[
                "{A Group",
                "Ed Jones|-|c|a.test",
                "-|-|joe|where.test",
                "John|-|jdoe|one.test",
                "}",
            ],
        ),
        (
            "Undisclosed recipients:;",
            &["{Undisclosed recipients", "}"],
        ),
        (
            "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            &["Pete|-|pete|silly.test"],
        ),
        (
            "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)",
            &[
                "{A Group",
                "Chris Jones|-|c|public.example",
                "-|-|joe|example.org",
                "John|-|jdoe|one.test",
                "}",
            ],
        ),
        (
            "Mary Smith <@node.test:mary@example.net>, , jdoe@test   . example",
            &[
                "Mary Smith|@node.test|mary|example.net",
                "-|-|jdoe|test.example",
            ],
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(items(value), expected, "{value}");
    }
}

#[test]
fn forms_that_are_met() {
    let cases: [(&str, &[&str]); 22] = [
        ("ada@x.example (Ada)", &["Ada|-|ada|x.example"]),
        (
            "group: a@b, c@d;, two: e@f;",
            &["{group", "-|-|a|b", "-|-|c|d", "}", "{two", "-|-|e|f", "}"],
        ),
        ("<@a,@b:c@d>", &["-|@a,@b|c|d"]),
        ("root", &["-|-|root|"]),
        ("Ada Lovelace", &["Ada Lovelace|-||"]),
        ("<>", &["-|-||"]),
        ("a . b @ c . d", &["-|-|a.b|c.d"]),
        ("\"a b\"@c", &["-|-|a b|c"]),
        ("a@[192.0.2.1]", &["-|-|a|[192.0.2.1]"]),
        ("a@b <c@d>", &["a@b|-|c|d"]),
        ("=?utf-8?q?a=2C?= <b@c>", &["=?utf-8?q?a=2C?=|-|b|c"]),
        ("한글 <b@c>", &["한글|-|b|c"]),
        ("a@b@c", &["-|-|a@b|c"]),
        ("<a@b@c>", &["-|-|a@b|c"]),
        ("\"unclosed <a@b>", &["-|-|unclosed <a@b>|"]),
        ("Ada <a@b", &["Ada|-|a|b"]),
        ("a@b; c@d", &["-|-|a|b", "-|-|c|d"]),
        ("g: a@b", &["{g", "-|-|a|b", "}"]),
        ("g: h: a@b;", &["{g", "h|-|a|b", "}"]),
        (",,", &[]),
        ("", &[]),
        ("Ada Byron ada@x", &["Ada Byron|-|ada|x"]),
    ];
    for (value, expected) in cases {
        assert_eq!(items(value), expected, "{value}");
    }
}

#[test]
fn the_limit_closes_an_open_group() {
    let (items, whole) = parse(b"g: a@b, c@d, e@f;", 2);
    assert!(!whole);
    assert_eq!(items.len(), 3);
    assert_eq!(items.last(), Some(&AddressItem::GroupEnd));
    assert!(parse(b"a@b, c@d", 2).1);
}

/// Attack 20: addresses without end; attack 21: comments without end.
#[test]
fn attack_20_and_21_floods() {
    let (items, whole) = parse("a@b,".repeat(1_000_000).as_bytes(), 1000);
    assert_eq!((items.len(), whole), (1000, false));
    let nested = format!("{} a@b", "(".repeat(1_000_000));
    assert_eq!(parse(nested.as_bytes(), 9).0, []);
    let balanced = format!("{}{} a@b", "(".repeat(500_000), ")".repeat(500_000));
    assert_eq!(parse(balanced.as_bytes(), 9).0.len(), 1);
    for flood in ["<", "@", ":", ";", "a ", "\"", "\\", "a@", "<@", "x:", ". "] {
        let (items, _) = parse(flood.repeat(300_000).as_bytes(), 50);
        assert!(items.len() <= 51, "{flood}");
    }
}

proptest! {
    #[test]
    fn groups_are_closed_and_values_clean(value in "[a-c<>@,;:\"()\\[\\]\\\\. \r\n\0]{0,60}", limit in 0usize..20) {
        let (items, _) = parse(value.as_bytes(), limit);
        prop_assert!(items.len() <= limit + 1);
        let mut open = false;
        for item in items {
            match item {
                AddressItem::GroupStart(_) => { prop_assert!(!open); open = true; }
                AddressItem::GroupEnd => { prop_assert!(open); open = false; }
                AddressItem::Mailbox { local, domain, .. } => {
                    prop_assert!(!local.iter().chain(&domain).any(|octet| matches!(octet, b'\r' | b'\n' | 0)));
                }
            }
        }
        prop_assert!(!open);
    }
}
