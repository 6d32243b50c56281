//! Structures: the RFC's own, and that any tree of parts is written in the grammar.

use proptest::prelude::*;

use super::*;
use crate::imap::syntax::{Args, Parsed, SyntaxError};
use crate::message::address_list::AddressItem;
use crate::message::envelope::Envelope;
use crate::message::part::{Disposition, Encoding, Flaws, MediaType, Span};
use crate::message::summary::Summary;

fn written(part: &Part, form: Form, utf8: Utf8) -> Vec<u8> {
    let mut out = BytesMut::new();
    body(part, form, utf8, &mut out);
    out.to_vec()
}

fn of_message(message: &str, form: Form) -> String {
    let summary = Summary::of(message.as_bytes());
    String::from_utf8(written(&summary.root, form, Utf8::Off)).expect("UTF-8")
}

#[test]
fn text() {
    let message = "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\none\r\ntwo\r\n";
    assert_eq!(
        of_message(message, Form::Body),
        "(\"text\" \"plain\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 10 2)"
    );
    assert_eq!(
        of_message(message, Form::BodyStructure),
        "(\"text\" \"plain\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 10 2 NIL NIL NIL NIL)"
    );
}

#[test]
fn a_multipart_with_an_attachment() {
    let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\n\r\nhello\r\n\
        --b\r\nContent-Type: application/pdf; name=\"a b.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\
        Content-Disposition: attachment; filename=\"a b.pdf\"\r\nContent-ID: <x@y>\r\nContent-Language: en, de\r\n\r\nAAAA\r\n\
        --b--\r\n";
    assert_eq!(
        of_message(message, Form::Body),
        "((\"text\" \"plain\" NIL NIL NIL \"7BIT\" 5 0)\
         (\"application\" \"pdf\" (\"name\" \"a b.pdf\") \"<x@y>\" NIL \"BASE64\" 4) \"mixed\")"
    );
    assert_eq!(
        of_message(message, Form::BodyStructure),
        "((\"text\" \"plain\" NIL NIL NIL \"7BIT\" 5 0 NIL NIL NIL NIL)\
         (\"application\" \"pdf\" (\"name\" \"a b.pdf\") \"<x@y>\" NIL \"BASE64\" 4 NIL \
         (\"attachment\" (\"filename\" \"a b.pdf\")) (\"en\" \"de\") NIL) \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"
    );
}

#[test]
fn a_message_in_a_message() {
    let message = "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntext\r\n";
    let wanted = "(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 24 \
        (NIL \"inner\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" NIL NIL NIL \"7BIT\" 6 1) 3)";
    assert_eq!(of_message(message, Form::Body), wanted);
}

#[test]
fn a_global_message_is_one_only_where_utf8_is_on() {
    let summary =
        Summary::of(b"Content-Type: message/global\r\n\r\nSubject: inner\r\n\r\ntext\r\n");
    let off = written(&summary.root, Form::Body, Utf8::Off);
    assert_eq!(off, b"(\"message\" \"global\" NIL NIL NIL \"7BIT\" 24)");
    assert!(
        written(&summary.root, Form::Body, Utf8::On)
            .starts_with(b"(\"message\" \"global\" NIL NIL NIL \"7BIT\" 24 (")
    );
}

#[test]
fn attack_19_nested_and_many_parts_stay_bounded() {
    let nested: String = (0..10_000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
        .collect();
    let siblings = "Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned()
        + &"--b\r\n\r\nx\r\n".repeat(100_000);
    for message in [nested, siblings] {
        let wire = of_message(&message, Form::BodyStructure);
        assert_eq!(
            validate(wire.as_bytes(), Form::BodyStructure, Utf8::Off),
            Ok(())
        );
        assert!(wire.len() < 1 << 20, "{}", wire.len());
    }
}

/// `body` of the grammar, read as strictly as any client would.
fn validate(wire: &[u8], form: Form, utf8: Utf8) -> Parsed<()> {
    let mut args = Args::new(wire, utf8);
    read_body(&mut args, form, utf8)?;
    args.end()
}

fn read_body(args: &mut Args<'_>, form: Form, utf8: Utf8) -> Parsed<()> {
    let extended = form == Form::BodyStructure;
    args.octet(b'(', "a body")?;
    if args.peek() == Some(b'(') {
        while args.peek() == Some(b'(') {
            read_body(args, form, utf8)?;
        }
        args.sp()?;
        args.string()?;
        if extended {
            args.sp()?;
            read_parameters(args)?;
            read_placement(args)?;
        }
        return args.octet(b')', "the end of a multipart");
    }
    let kind = args.string()?.to_ascii_lowercase();
    args.sp()?;
    let subtype = args.string()?.to_ascii_lowercase();
    args.sp()?;
    read_parameters(args)?;
    for _ in 0..2 {
        args.sp()?;
        args.nstring()?;
    }
    args.sp()?;
    args.string()?;
    args.sp()?;
    args.number()?;
    let is_message =
        kind == b"message" && (subtype == b"rfc822" || subtype == b"global" && utf8 == Utf8::On);
    assert_ne!(kind, b"multipart");
    if is_message {
        args.sp()?;
        read_envelope(args)?;
        args.sp()?;
        read_body(args, form, utf8)?;
    }
    if is_message || kind == b"text" {
        args.sp()?;
        args.number()?;
    }
    if extended {
        args.sp()?;
        args.nstring()?;
        read_placement(args)?;
    }
    args.octet(b')', "the end of a body")
}

fn read_parameters(args: &mut Args<'_>) -> Parsed<()> {
    if args.try_word("NIL") {
        return Ok(());
    }
    args.parenthesised(|args| {
        args.string()?;
        args.sp()?;
        args.string()?;
        Ok::<_, SyntaxError>(())
    })?;
    Ok(())
}

fn read_placement(args: &mut Args<'_>) -> Parsed<()> {
    args.sp()?;
    if !args.try_word("NIL") {
        args.octet(b'(', "a disposition")?;
        args.string()?;
        args.sp()?;
        read_parameters(args)?;
        args.octet(b')', "the end of a disposition")?;
    }
    args.sp()?;
    match args.peek() {
        Some(b'(') => args
            .parenthesised(|args| args.string().map(|_| ()))
            .map(|_| ())?,
        _ => args.nstring().map(|_| ())?,
    }
    args.sp()?;
    args.nstring().map(|_| ())
}

fn read_envelope(args: &mut Args<'_>) -> Parsed<()> {
    args.octet(b'(', "an envelope")?;
    for n in 0..10 {
        if n > 0 {
            args.sp()?;
        }
        if !(2..8).contains(&n) || !args.try_octet(b'(') {
            args.nstring()?;
            continue;
        }
        while !args.try_octet(b')') {
            args.octet(b'(', "an address")?;
            for n in 0..4 {
                if n > 0 {
                    args.sp()?;
                }
                args.nstring()?;
            }
            args.octet(b')', "the end of an address")?;
        }
    }
    args.octet(b')', "the end of an envelope")
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        "[ -~]{0,12}".prop_map(String::into_bytes),
        "[가-힣\"\\\\]{0,6}".prop_map(String::into_bytes),
    ]
}

fn some<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::of(value)
}

fn parameters() -> impl Strategy<Value = Vec<Parameter>> {
    let parameter = (octets(), octets()).prop_map(|(name, value)| Parameter { name, value });
    prop::collection::vec(parameter, 0..3)
}

fn media() -> impl Strategy<Value = MediaType> {
    let known = prop::sample::select(vec![
        ("text", "plain"),
        ("text", "html"),
        ("multipart", "mixed"),
        ("message", "rfc822"),
        ("message", "global"),
        ("message", "delivery-status"),
        ("application", "pdf"),
        ("x", "NIL"),
        ("", ""),
    ]);
    prop_oneof![
        known.prop_map(|(kind, subtype)| MediaType::new(kind, subtype)),
        any::<(String, String)>().prop_map(|(kind, subtype)| MediaType::new(kind, subtype)),
    ]
}

fn envelopes() -> impl Strategy<Value = Envelope> {
    let address = prop_oneof![
        (some(octets()), some(octets()), octets(), octets()).prop_map(
            |(name, route, local, domain)| AddressItem::Mailbox {
                name,
                route,
                local,
                domain
            }
        ),
        octets().prop_map(AddressItem::GroupStart),
        Just(AddressItem::GroupEnd),
    ];
    (some(octets()), prop::collection::vec(address, 0..4)).prop_map(|(subject, from)| Envelope {
        subject,
        from,
        ..Envelope::default()
    })
}

/// Parts of any kind, also of kinds that the scanner never makes.
fn parts() -> impl Strategy<Value = Part> {
    let leaf = (
        (media(), parameters(), any::<(u64, u64)>()),
        (
            some(octets()),
            some(octets()),
            some(octets()),
            some(octets()),
        ),
        (
            octets(),
            some((octets(), parameters())),
            prop::collection::vec(octets(), 0..3),
        ),
    );
    let leaf = leaf.prop_map(
        |(
            (media, parameters, (end, lines)),
            (id, description, md5, location),
            (encoding, disposition, languages),
        )| {
            Part {
                header: Span::default(),
                body: Span { start: 0, end },
                lines,
                media,
                parameters,
                id,
                description,
                encoding: Encoding::Other(encoding),
                md5,
                disposition: disposition.map(|(kind, parameters)| Disposition { kind, parameters }),
                languages,
                location,
                flaws: Flaws::default(),
                content: Content::Leaf,
            }
        },
    );
    leaf.prop_recursive(4, 12, 3, |inner| {
        let content = prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Content::Multipart),
            (envelopes(), inner.clone()).prop_map(|(envelope, root)| Content::Message(Box::new(
                Embedded { envelope, root }
            ))),
        ];
        (inner, content).prop_map(|(part, content)| Part { content, ..part })
    })
}

proptest! {
    #[test]
    fn any_tree_is_written_in_the_grammar(part in parts(), on in any::<bool>()) {
        let utf8 = match on { true => Utf8::On, false => Utf8::Off };
        for form in [Form::Body, Form::BodyStructure] {
            let wire = written(&part, form, utf8);
            prop_assert_eq!(validate(&wire, form, utf8), Ok(()), "{}", String::from_utf8_lossy(&wire));
            prop_assert!(!wire.contains(&0));
        }
    }

    #[test]
    fn any_message_is_written_in_the_grammar(message in message()) {
        let summary = Summary::of(&message);
        for form in [Form::Body, Form::BodyStructure] {
            let wire = written(&summary.root, form, Utf8::Off);
            prop_assert_eq!(validate(&wire, form, Utf8::Off), Ok(()), "{}", String::from_utf8_lossy(&wire));
        }
    }
}

/// Messages of pieces that belong together, in any order.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "Content-Type: multipart/mixed; boundary=b\r\n",
        "Content-Type: multipart/digest; boundary=\"c\"\r\n",
        "Content-Type: message/rfc822\r\n",
        "Content-Type: multipart/mixed\r\n",
        "Content-Type: text/plain; charset=utf-8; name*0=\"a; name*1=b\r\n",
        "Content-Type: /\r\n",
        "Content-Type: \"text\"/\r\n",
        "Content-Disposition: attachment; filename=\"\u{e9}\\\"\r\n",
        "Content-Disposition: ;a\r\n",
        "Content-Language: de, ,\r\n",
        "Content-Transfer-Encoding: \u{1}\r\n",
        "From: a <b@c>, x: y;\r\n",
        "To: ((\r\n",
        "Subject: \0\u{e9}\"\\\r\n",
        "\r\n",
        "\r\n",
        "--b\r\n",
        "--b\r\n",
        "--b--\r\n",
        "--c\r\n",
        "--c--\r\n",
        "text\r\n",
        "\n",
        " folded\r\n",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Where servers in use differ, the RFCs decide: one line end belongs to the boundary behind it (RFC 2046 section 5.1.1), a boundary
/// is a whole line, an encoded message is not looked into (RFC 2045 section 6.4), and what has no parts is shown as text.
#[test]
fn odd_messages_by_the_book() {
    const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    const DIGEST: &str = "Content-Type: multipart/digest; boundary=b\r\n\r\n";
    const NOBODY: &str = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";
    let text = |octets: u32, lines: u32| {
        format!("(\"text\" \"plain\" NIL NIL NIL \"7BIT\" {octets} {lines})")
    };
    for (head, rest, wanted) in [
        // The line end before a boundary is not the part's, nor the embedded message's.
        (
            DIGEST,
            "--b\r\n\r\nx\r\n--b--\r\n",
            format!(
                "((\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 1 {NOBODY} {} 0) \"digest\")",
                text(0, 0)
            ),
        ),
        (
            MIXED,
            "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n--b--\r\n",
            format!(
                "((\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 10 (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL) {} 0) \"mixed\")",
                text(0, 0)
            ),
        ),
        // A line that only begins like a boundary is none, and blanks behind one do not count.
        (
            MIXED,
            "--bb\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\n",
            format!("({} \"mixed\")", text(1, 0)),
        ),
        (
            MIXED,
            "--b \t\r\n\r\nx\r\n--b-- \r\n",
            format!("({} \"mixed\")", text(1, 0)),
        ),
        (
            MIXED,
            "--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n",
            format!("({} \"mixed\")", text(1, 0)),
        ),
        // Parts without anything in them are parts.
        (
            MIXED,
            "--b\r\n--b\r\n--b--\r\n",
            format!("({}{} \"mixed\")", text(0, 0), text(0, 0)),
        ),
        // What never has a part is text, with its parameters.
        (
            MIXED,
            "x\r\n",
            "(\"text\" \"plain\" (\"boundary\" \"b\") NIL NIL \"7BIT\" 3 1)".to_owned(),
        ),
        (
            MIXED,
            "--b\r\nContent-Type: multipart/alternative\r\n\r\n--c\r\n\r\nx\r\n--b--\r\n",
            format!("({} \"mixed\")", text(8, 2)),
        ),
        (
            MIXED,
            "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--b--\r\n",
            "((\"application\" \"octet-stream\" NIL NIL NIL \"BASE64\" 4) \"mixed\")".to_owned(),
        ),
        // No type that is one.
        ("Content-Type: text\r\n\r\n", "x\r\n", text(3, 1)),
        (
            "Content-Type: text/plain charset=x\r\n\r\n",
            "x\r\n",
            text(3, 1),
        ),
        ("Content-Type: /plain\r\n\r\n", "x\r\n", text(3, 1)),
        // The first of two counts.
        (
            "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
            "x\r\n",
            "(\"text\" \"plain\" NIL NIL NIL \"BASE64\" 3 1)".to_owned(),
        ),
        ("", "", text(0, 0)),
    ] {
        let message = format!("{head}{rest}");
        assert_eq!(of_message(&message, Form::Body), wanted, "{message}");
    }
}
