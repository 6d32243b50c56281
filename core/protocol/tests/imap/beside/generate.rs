//! Commands put together from productions, and mistakes in them.

use proptest::prelude::*;
use proptest::sample::select;

use super::commands::line as whole;
use crate::client::State;

/// A line and the state it is said in.
pub fn line() -> impl Strategy<Value = (State, Vec<u8>)> {
    let command = prop_oneof![
        9 => selected().prop_map(|command| (State::Selected, command)),
        1 => login().prop_map(|command| (State::Before, command)),
    ];
    (command, proptest::collection::vec(mistake(), 0..4)).prop_map(
        |((state, command), mistakes)| {
            let mut octets = command.into_bytes();
            // Behind a literal's announcement nothing is changed: its octets are counted.
            let end = octets
                .iter()
                .position(|octet| *octet == b'{')
                .unwrap_or(octets.len());
            let behind = octets.split_off(end);
            for mistake in mistakes {
                mistake.make(&mut octets);
            }
            octets.extend_from_slice(&behind);
            (state, whole(&octets))
        },
    )
}

#[derive(Clone, Debug)]
enum Mistake {
    Insert(prop::sample::Index, &'static str),
    Remove(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index),
    Change(prop::sample::Index, &'static str),
}

fn mistake() -> impl Strategy<Value = Mistake> {
    let at = any::<prop::sample::Index>;
    let odd = || {
        select(vec![
            " ",
            "(",
            ")",
            "[",
            "]",
            "\"",
            "\\",
            "*",
            "%",
            "+",
            "-",
            ".",
            ",",
            ":",
            "<",
            ">",
            "0",
            "1",
            "9",
            "a",
            "Z",
            "NIL",
            "()",
            "01",
            "4294967295",
            "4294967296",
            "\t",
            "\x7f",
            "\u{e9}",
            "$x",
            "=",
            "/",
            "{",
            "}",
            "~",
            "\\Seen",
            "\\*",
        ])
    };
    prop_oneof![
        (at(), odd()).prop_map(|(at, odd)| Mistake::Insert(at, odd)),
        at().prop_map(Mistake::Remove),
        at().prop_map(Mistake::Double),
        at().prop_map(Mistake::Swap),
        (at(), odd()).prop_map(|(at, odd)| Mistake::Change(at, odd)),
    ]
}

impl Mistake {
    fn make(self, octets: &mut Vec<u8>) {
        if octets.is_empty() {
            return;
        }
        let length = octets.len();
        match self {
            Mistake::Insert(at, odd) => {
                let at = at.index(length + 1);
                octets.splice(at..at, odd.bytes());
            }
            Mistake::Remove(at) => {
                octets.remove(at.index(length));
            }
            Mistake::Double(at) => {
                let at = at.index(length);
                octets.insert(at, octets[at]);
            }
            Mistake::Swap(at) => {
                let at = at.index(length);
                octets.swap(at, (at + 1) % length);
            }
            Mistake::Change(at, odd) => {
                let at = at.index(length);
                octets.splice(at..=at, odd.bytes());
            }
        }
    }
}

fn login() -> impl Strategy<Value = String> {
    (astring(), astring()).prop_map(|(user, password)| format!("LOGIN {user} {password}"))
}

fn selected() -> impl Strategy<Value = String> {
    prop_oneof![
        (uid(), set(), items()).prop_map(|(uid, set, items)| format!("{uid}FETCH {set} {items}")),
        (uid(), keys()).prop_map(|(uid, keys)| format!("{uid}SEARCH {keys}")),
        (uid(), set(), store()).prop_map(|(uid, set, store)| format!("{uid}STORE {set} {store}")),
        (uid(), select(vec!["COPY", "MOVE"]), set(), astring())
            .prop_map(|(uid, verb, set, name)| format!("{uid}{verb} {set} {name}")),
        (
            select(vec![
                "SELECT",
                "EXAMINE",
                "CREATE",
                "DELETE",
                "SUBSCRIBE",
                "unsubscribe",
                "GETQUOTAROOT"
            ]),
            astring()
        )
            .prop_map(|(verb, name)| format!("{verb} {name}")),
        (astring(), astring()).prop_map(|(from, to)| format!("RENAME {from} {to}")),
        (select(vec!["LIST", "LSUB"]), astring(), list_mailbox())
            .prop_map(|(verb, reference, pattern)| format!("{verb} {reference} {pattern}")),
        (astring(), proptest::collection::vec(status(), 1..5))
            .prop_map(|(name, items)| format!("STATUS {name} ({})", items.join(" "))),
        (
            astring(),
            proptest::option::of(flag_list()),
            proptest::option::of(date_time()),
            select(vec!["", "~"])
        )
            .prop_map(|(name, flags, date, eight)| {
                let flags = flags.map_or(String::new(), |flags| format!(" {flags}"));
                let date = date.map_or(String::new(), |date| format!(" {date}"));
                format!("APPEND {name}{flags}{date} {eight}{{3+}}\r\nabc")
            }),
    ]
}

fn uid() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "UID ", "uid "])
}

fn astring() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-z0-9/&+,.\\]!#$'|~^`_-]{1,8}".prop_map(|text| text),
        3 => "[ -~]{0,8}".prop_map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
        1 => select(vec!["INBOX", "inbox", "\"InBox\"", "NIL", "R&-D", "&ZeVnLIqe-", "\"\"", "a//b", "/"]).prop_map(str::to_owned),
        1 => "[ -~]{1,6}".prop_map(|text| format!("{{{}+}}\r\n{text}", text.len())),
    ]
}

fn list_mailbox() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c/%*.\\]]{1,6}".prop_map(|text| text),
        "[a-c/%* ]{0,6}".prop_map(|text| format!("\"{text}\"")),
    ]
}

fn status() -> impl Strategy<Value = &'static str> {
    select(vec![
        "MESSAGES",
        "recent",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "DELETED",
        "SIZE",
    ])
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (1u64..12).prop_map(|it| it.to_string()),
        1 => (1u64..1 << 33).prop_map(|it| it.to_string()),
        1 => select(vec!["*", "0", "00", "01", "4294967295", "4294967296"]).prop_map(str::to_owned),
    ]
}

fn set() -> impl Strategy<Value = String> {
    let element = prop_oneof![
        number(),
        (number(), number()).prop_map(|(one, other)| format!("{one}:{other}")),
    ];
    proptest::collection::vec(element, 1..4).prop_map(|elements| elements.join(","))
}

fn items() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => select(vec!["ALL", "fast", "Full"]).prop_map(str::to_owned),
        2 => item(),
        3 => proptest::collection::vec(item(), 1..4).prop_map(|items| format!("({})", items.join(" "))),
    ]
}

fn item() -> impl Strategy<Value = String> {
    let word = select(vec![
        "ENVELOPE",
        "flags",
        "INTERNALDATE",
        "RFC822",
        "RFC822.HEADER",
        "RFC822.SIZE",
        "rfc822.text",
        "BODY",
        "BODYSTRUCTURE",
        "UID",
    ]);
    let part = || {
        "[1-9]{0,1}(\\.[1-9][0-9]{0,2}){0,2}"
            .prop_map(|part| part.trim_start_matches('.').to_owned())
    };
    let text = select(vec![
        "",
        "HEADER",
        "TEXT",
        "MIME",
        "HEADER.FIELDS (A)",
        "header.fields.not (To \"Subject\")",
        "FIELDS",
        "HEADER.FIELDS ()",
    ]);
    let partial = proptest::option::of(
        (0u64..300, 0u64..300).prop_map(|(from, octets)| format!("<{from}.{octets}>")),
    );
    prop_oneof![
        2 => word.prop_map(str::to_owned),
        3 => (select(vec!["BODY", "BODY.PEEK"]), part(), text, partial.clone()).prop_map(|(verb, part, text, partial)| {
            let dot = if part.is_empty() || text.is_empty() { "" } else { "." };
            format!("{verb}[{part}{dot}{text}]{}", partial.unwrap_or_default())
        }),
        1 => (select(vec!["BINARY", "BINARY.PEEK"]), part(), partial)
            .prop_map(|(verb, part, partial)| format!("{verb}[{part}]{}", partial.unwrap_or_default())),
        1 => part().prop_map(|part| format!("BINARY.SIZE[{part}]")),
    ]
}

fn flag() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(vec!["\\Seen", "\\Answered", "\\flagged", "\\Deleted", "\\Draft"]).prop_map(str::to_owned),
        2 => "[$A-Za-z][A-Za-z0-9.:_-]{0,5}".prop_map(|text| text),
    ]
}

fn flag_list() -> impl Strategy<Value = String> {
    proptest::collection::vec(flag(), 0..4).prop_map(|flags| format!("({})", flags.join(" ")))
}

fn store() -> impl Strategy<Value = String> {
    let flags = prop_oneof![
        flag_list(),
        proptest::collection::vec(flag(), 1..4).prop_map(|flags| flags.join(" ")),
    ];
    (
        select(vec!["", "+", "-"]),
        select(vec!["FLAGS", "FLAGS.SILENT", "flags"]),
        flags,
    )
        .prop_map(|(sign, name, flags)| format!("{sign}{name} {flags}"))
}

fn day() -> impl Strategy<Value = String> {
    let month = select(vec!["Jan", "feb", "MAR", "Apr", "Jun", "Dec", "Foo", "13"]);
    (0u32..33, month, 1890u32..2040).prop_map(|(day, month, year)| format!("{day}-{month}-{year}"))
}

fn date() -> impl Strategy<Value = String> {
    prop_oneof![day(), day().prop_map(|day| format!("\"{day}\""))]
}

fn date_time() -> impl Strategy<Value = String> {
    let zone = (select(vec!["+", "-"]), 0u32..15, 0u32..62)
        .prop_map(|(sign, hours, minutes)| format!("{sign}{hours:02}{minutes:02}"));
    (day(), 0u32..25, 0u32..61, 0u32..61, zone).prop_map(|(day, hour, minute, second, zone)| {
        format!("\"{day:>11} {hour:02}:{minute:02}:{second:02} {zone}\"")
    })
}

fn keys() -> impl Strategy<Value = String> {
    let charset = select(vec![
        "",
        "",
        "",
        "CHARSET UTF-8 ",
        "charset \"us-ascii\" ",
        "CHARSET x-none ",
    ]);
    (charset, proptest::collection::vec(key(), 1..4))
        .prop_map(|(charset, keys)| format!("{charset}{}", keys.join(" ")))
}

fn key() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        3 => select(vec![
            "ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "NEW", "OLD", "recent", "SEEN", "UNANSWERED", "UNDELETED", "UNDRAFT",
            "UNFLAGGED", "unseen",
        ])
        .prop_map(str::to_owned),
        2 => (select(vec!["BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "to"]), astring())
            .prop_map(|(name, text)| format!("{name} {text}")),
        1 => (select(vec!["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"]), date())
            .prop_map(|(name, date)| format!("{name} {date}")),
        1 => (select(vec!["LARGER", "SMALLER"]), 0u64..1 << 33).prop_map(|(name, octets)| format!("{name} {octets}")),
        1 => (select(vec!["KEYWORD", "UNKEYWORD"]), "[$A-Za-z]{1,5}").prop_map(|(name, word)| format!("{name} {word}")),
        1 => ("[A-Za-z-]{1,5}", astring()).prop_map(|(name, text)| format!("HEADER {name} {text}")),
        1 => set(),
        1 => set().prop_map(|set| format!("UID {set}")),
    ];
    plain.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| format!("NOT {key}")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("OR {one} {other}")),
            proptest::collection::vec(inner, 1..4).prop_map(|keys| format!("({})", keys.join(" "))),
        ]
    })
}
