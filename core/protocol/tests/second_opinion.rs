//! Structure and decoded headers beside those of another parser (`mail-parser`), on messages that are as they should be.
//!
//! Decided differences, where the two part on purpose:
//!
//! | | here | there |
//! | --- | --- | --- |
//! | a part without Content-Type in a multipart/digest | `message/rfc822` (RFC 2046 section 5.1.5) | the same |
//! | `Content-Type: text` and others that are none | `text/plain`, flagged | as written, without subtype |
//! | a multipart whose boundary never comes | one `text/plain`, flagged | an empty multipart |
//! | two equal parameters | the first, flagged | the last |
//! | text in the body of a leaf | decoded when somebody asks | decoded always, line ends made LF in some encodings |
//! | a trailing line end before a boundary | belongs to the boundary (RFC 2046 section 5.1.1) | the same |
//! | a message/rfc822 that is nothing but a message/rfc822 | one in the other | a panic in some of them |
//! | more than 50 levels, 1,000 parts | content, flagged | taken apart further |
//!
//! So the generated messages have none of the broken ones; what both say of them must be the same.

use mail_parser::{Address, HeaderValue, Message, MessageParser, MimeHeaders, PartType};
use postrider_protocol::message::mime::{Limits, scan};
use postrider_protocol::message::text::each_piece;
use postrider_protocol::message::{AddressItem, Content, DateTime, Part, encoded_word};
use proptest::prelude::*;

/// An entity.
#[derive(Clone, Debug)]
enum Tree {
    Leaf {
        kind: &'static str,
        encoding: &'static str,
        name: Option<(Form, String)>,
        text: String,
    },
    Multipart(&'static str, Vec<Tree>),
    Message(String, Box<Tree>),
}

/// How a file name is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Quoted,
    Extended,
    Pieces,
    EncodedWord,
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in octets.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            match digit <= three.len() {
                true => text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63])),
                false => text.push('='),
            }
        }
    }
    text
}

fn percent(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

fn disposition(form: Form, name: &str) -> String {
    match form {
        Form::Quoted => format!(
            "attachment; filename=\"{}\"",
            name.replace(|it: char| !it.is_ascii(), "x")
        ),
        Form::Extended => format!("attachment;\r\n filename*=utf-8''{}", percent(name)),
        Form::Pieces => {
            let (one, other) =
                name.split_at(name.char_indices().nth(1).map_or(name.len(), |it| it.0));
            format!(
                "attachment;\r\n filename*0*=utf-8''{};\r\n filename*1*={}",
                percent(one),
                percent(other)
            )
        }
        Form::EncodedWord => format!(
            "attachment; filename=\"=?utf-8?B?{}?=\"",
            base64(name.as_bytes())
        ),
    }
}

impl Tree {
    /// Writes the entity behind its outer fields.
    fn write(&self, boundaries: &mut usize, out: &mut String) {
        match self {
            Self::Leaf {
                kind,
                encoding,
                name,
                text,
            } => {
                out.push_str(&format!(
                    "Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n"
                ));
                if let Some((form, name)) = name {
                    out.push_str(&format!(
                        "Content-Disposition: {}\r\n",
                        disposition(*form, name)
                    ));
                }
                out.push_str("\r\n");
                match *encoding {
                    "base64" => {
                        let text = base64(text.as_bytes());
                        let lines: Vec<_> = text.as_bytes().chunks(76).collect();
                        for line in lines {
                            out.push_str(std::str::from_utf8(line).expect("ASCII"));
                            out.push_str("\r\n");
                        }
                    }
                    "quoted-printable" => {
                        let escape = |octet: u8| match octet {
                            b'\r' | b'\n' | b'a'..=b'z' => char::from(octet).to_string(),
                            _ => format!("={octet:02X}"),
                        };
                        out.extend(text.bytes().map(escape));
                    }
                    _ => out.push_str(text),
                }
            }
            Self::Multipart(subtype, children) => {
                *boundaries += 1;
                let boundary = format!("=_{boundaries:04}_");
                out.push_str(&format!(
                    "Content-Type: multipart/{subtype};\r\n\tboundary=\"{boundary}\"\r\n\r\npreamble"
                ));
                for child in children {
                    out.push_str(&format!("\r\n--{boundary}\r\n"));
                    child.write(boundaries, out);
                }
                out.push_str(&format!("\r\n--{boundary}--\r\n"));
            }
            Self::Message(subject, inner) => {
                out.push_str(&format!(
                    "Content-Type: message/rfc822\r\n\r\nSubject: {subject}\r\n"
                ));
                inner.write(boundaries, out);
            }
        }
    }
}

fn leaf() -> impl Strategy<Value = Tree> {
    let kinds = prop_oneof![
        Just("text/plain; charset=utf-8"),
        Just("text/html; charset=\"UTF-8\""),
        Just("application/octet-stream"),
        Just("image/png; x=\"a b\""),
    ];
    let encodings = prop_oneof![Just("8bit"), Just("base64"), Just("quoted-printable")];
    let forms = prop_oneof![
        Just(Form::Quoted),
        Just(Form::Extended),
        Just(Form::Pieces),
        Just(Form::EncodedWord)
    ];
    let name = proptest::option::of((forms, "[a-z가é]{1,6}\\.[a-z]{3}"));
    (
        kinds,
        encodings,
        name,
        "([a-z가é]{1,8}( [a-z]{1,4})?\r\n){0,4}[a-z]{1,4}",
    )
        .prop_map(|(kind, encoding, name, text)| Tree::Leaf {
            kind,
            encoding,
            name,
            text,
        })
}

fn tree() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(4, 16, 3, |inner| {
        let subtype = prop_oneof![Just("mixed"), Just("alternative"), Just("related")];
        prop_oneof![
            (subtype, proptest::collection::vec(inner.clone(), 1..4))
                .prop_map(|(subtype, children)| Tree::Multipart(subtype, children)),
            ("[a-z]{1,8}", inner)
                // A message that is nothing but a message: there it is a panic.
                .prop_map(|(subject, inner)| match inner {
                    inner @ Tree::Message(..) => inner,
                    inner => Tree::Message(subject, Box::new(inner)),
                }),
        ]
    })
}

/// Both see the same part: type, place, text, names, and what is in it.
fn same(ours: &Part, theirs: &Message<'_>, id: u32, raw: &[u8]) {
    let part = theirs.part(id).expect("an index of its own");
    let kind = part.content_type().expect("it has one");
    let subtype = kind.c_subtype.as_deref().unwrap_or_default();
    assert_eq!(
        format!("{}/{}", ours.media.kind, ours.media.subtype),
        format!("{}/{subtype}", kind.c_type).to_lowercase()
    );
    let names = ours.file_names();
    assert_eq!(names.first().map(String::as_str), part.attachment_name());
    match (&ours.content, &part.body) {
        (Content::Multipart(children), PartType::Multipart(ids)) => {
            assert_eq!(children.len(), ids.len());
            for (child, id) in children.iter().zip(ids) {
                same(child, theirs, *id, raw);
            }
        }
        (Content::Message(embedded), PartType::Message(inner)) => {
            let subject = embedded
                .envelope
                .subject
                .as_deref()
                .map(encoded_word::decode);
            assert_eq!(subject.as_deref(), inner.subject());
            same(&embedded.root, inner, 0, raw);
        }
        (Content::Leaf, body) => {
            let span = &raw[part.offset_body as usize..part.offset_end as usize];
            let ours_raw = ours.body.of(raw);
            assert_eq!(
                String::from_utf8_lossy(ours_raw),
                String::from_utf8_lossy(span)
            );
            if let PartType::Text(text) | PartType::Html(text) = body {
                let mut decoded = String::new();
                let _ = each_piece(ours, raw, |piece| {
                    decoded.push_str(piece);
                    core::ops::ControlFlow::Continue(())
                });
                // Line ends are made LF there.
                assert_eq!(decoded.replace("\r\n", "\n"), text.replace("\r\n", "\n"));
            }
        }
        (ours, theirs) => panic!("{ours:?} is {theirs:?} there"),
    }
}

fn shown(items: &[AddressItem]) -> Vec<String> {
    let text = |octets: &[u8]| encoded_word::decode(octets);
    let show = |item: &AddressItem| match item {
        AddressItem::Mailbox {
            name,
            local,
            domain,
            ..
        } => Some(format!(
            "{:?} {}@{}",
            name.as_deref().map(text),
            text(local),
            text(domain)
        )),
        AddressItem::GroupStart(_) | AddressItem::GroupEnd => None,
    };
    items.iter().filter_map(show).collect()
}

fn shown_there(address: Option<&Address<'_>>) -> Vec<String> {
    let Some(address) = address else {
        return Vec::new();
    };
    let show = |it: &mail_parser::Addr<'_>| {
        format!(
            "{:?} {}",
            it.name.as_deref(),
            it.address.as_deref().unwrap_or_default()
        )
    };
    address.iter().map(show).collect()
}

proptest! {
    #[test]
    fn the_same_structure(tree in tree()) {
        let mut text = "Subject: outer\r\nMIME-Version: 1.0\r\n".to_owned();
        tree.write(&mut 0, &mut text);
        let raw = text.as_bytes();
        let theirs = MessageParser::default().parse(raw).expect("a message");
        let ours = scan(raw, &Limits::default());
        prop_assert!(ours.root.all_flaws().is_empty(), "{:?}\n{text}", ours.root.all_flaws());
        same(&ours.root, &theirs, 0, raw);
    }

    #[test]
    fn the_same_envelope(
        words in proptest::collection::vec(
            "[a-z]{1,6}|=\\?utf-8\\?q\\?[a-z]{1,4}(=C3=A9)?\\?=|=\\?utf-8\\?B\\?6rCA\\?=|=\\?iso-8859-1\\?Q\\?=E9t=E9\\?=",
            1..6,
        ),
        addresses in proptest::collection::vec(
            prop_oneof![
                "[a-z]{1,6}@[a-z]{1,6}\\.test",
                "[A-Z][a-z]{1,6} [A-Z][a-z]{1,6} <[a-z]{1,6}@[a-z]{1,6}\\.test>",
                "\"[A-Z][a-z]{1,6}, [a-z]{1,6}\" <[a-z]{1,6}@[a-z]{1,6}\\.test>",
                "=\\?utf-8\\?B\\?6rCA\\?= <[a-z]{1,6}@[a-z]{1,6}\\.test>",
            ],
            1..5,
        ),
        epoch in 0i64..4_000_000_000,
        hours in -12i16..=14,
        fold in any::<bool>(),
    ) {
        let date = DateTime { epoch, offset: hours * 60 };
        let subject = words.join(if fold { "\r\n " } else { " " });
        let list = addresses.join(if fold { ",\r\n\t" } else { ", " });
        let text = format!(
            "From: {}\r\nTo: {list}\r\nSubject: {subject}\r\nDate: {}\r\nMessage-ID: <a.{epoch}@b.test>\r\n\
             References: <x@y.test>\r\n <z@y.test>\r\n\r\nbody\r\n",
            addresses[0],
            date.header(),
        );
        let raw = text.as_bytes();
        let theirs = MessageParser::default().parse(raw).expect("a message");
        let ours = scan(raw, &Limits::default()).envelope;
        let subject = ours.subject.as_deref().map(encoded_word::decode);
        prop_assert_eq!(subject.as_deref(), theirs.subject());
        prop_assert_eq!(shown(&ours.to), shown_there(theirs.to()));
        prop_assert_eq!(shown(&ours.from), shown_there(theirs.from()));
        let sent = ours.date.as_deref().and_then(DateTime::parse);
        prop_assert_eq!(sent.map(|it| it.epoch), theirs.date().map(|it| it.to_timestamp()));
        let id = ours.message_id.as_deref().map(|it| String::from_utf8_lossy(it).into_owned());
        let bare = id.as_deref().map(|it| it.trim_matches(['<', '>']));
        prop_assert_eq!(bare, theirs.message_id());
        let many = matches!(theirs.references(), HeaderValue::TextList(list) if list.len() == 2);
        prop_assert!(many, "{:?}", theirs.references());
    }
}
