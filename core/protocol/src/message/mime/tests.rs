//! Tests of the scanner: examples of the RFCs, what is broken, attacks, and properties.

use super::*;
use crate::message::part::Encoding;
use crate::message::section::SectionText;
use proptest::prelude::*;

fn scanned(message: &[u8]) -> Scanned {
    scan(message, &Limits::default())
}

fn text(span: Span, message: &[u8]) -> String {
    String::from_utf8_lossy(span.of(message)).into_owned()
}

/// The tree on one line: types, with children in brackets.
fn outline(part: &Part) -> String {
    let name = format!("{}/{}", part.media.kind, part.media.subtype);
    match part.children() {
        [] => name,
        children => {
            let inside: Vec<_> = children.iter().map(outline).collect();
            format!("{name}[{}]", inside.join(" "))
        }
    }
}

fn body(message: &[u8], path: &[u32]) -> Option<String> {
    scanned(message)
        .root
        .section(path, SectionText::Whole)
        .map(|span| text(span, message))
}

/// RFC 2046 section 5.1.1.
const SIMPLE: &str = "From: Nathaniel Borenstein <nsb@bellcore.com>\r\n\
    Subject: Sample message\r\nMIME-Version: 1.0\r\n\
    Content-type: multipart/mixed; boundary=\"simple boundary\"\r\n\r\n\
    This is the preamble.\r\n--simple boundary\r\n\r\n\
    implicitly typed\r\nno line break at the end\r\n--simple boundary\r\n\
    Content-type: text/plain; charset=us-ascii\r\n\r\n\
    explicitly typed\r\nline break at the end\r\n\r\n--simple boundary--\r\n\r\nThis is the epilogue.\r\n";

#[test]
fn simple_multipart_of_the_rfc() {
    let message = SIMPLE.as_bytes();
    let root = scanned(message).root;
    assert_eq!(outline(&root), "multipart/mixed[text/plain text/plain]");
    assert!(root.all_flaws().is_empty());
    let [first, second] = root.children() else {
        panic!("two parts")
    };
    assert_eq!(text(first.header, message), "\r\n");
    assert_eq!(
        text(first.body, message),
        "implicitly typed\r\nno line break at the end"
    );
    assert_eq!(first.lines, 1);
    assert_eq!(
        text(second.header, message),
        "Content-type: text/plain; charset=us-ascii\r\n\r\n"
    );
    assert_eq!(
        text(second.body, message),
        "explicitly typed\r\nline break at the end\r\n"
    );
    assert_eq!(second.lines, 2);
    assert_eq!(root.body.end, message.len() as u64);
    assert_eq!(
        root.lines,
        root.body
            .of(message)
            .iter()
            .filter(|octet| **octet == b'\n')
            .count() as u64
    );
}

/// RFC 2046 appendix A, with its nested parts.
const COMPLEX: &str = "MIME-Version: 1.0\r\nSubject: A multipart example\r\n\
    Content-Type: multipart/mixed;\r\n              boundary=unique-boundary-1\r\n\r\n\
    This is the preamble area of a multipart message.\r\n\r\n\
    --unique-boundary-1\r\n\r\n  ... Some text appears here ...\r\n\r\n\
    --unique-boundary-1\r\nContent-type: text/plain; charset=US-ASCII\r\n\r\nThis could have been part of the previous part.\r\n\r\n\
    --unique-boundary-1\r\nContent-Type: multipart/parallel; boundary=unique-boundary-2\r\n\r\n\
    --unique-boundary-2\r\nContent-Type: audio/basic\r\nContent-Transfer-Encoding: base64\r\n\r\n  ... audio ...\r\n\r\n\
    --unique-boundary-2\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n  ... image ...\r\n\r\n\
    --unique-boundary-2--\r\n\r\n\
    --unique-boundary-1\r\nContent-type: text/enriched\r\n\r\nThis is <bold>enriched.</bold>\r\n\r\n\
    --unique-boundary-1\r\nContent-Type: message/rfc822\r\n\r\n\
    From: (mailbox in US-ASCII)\r\nSubject: (subject in US-ASCII)\r\n\
    Content-Type: Text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: Quoted-printable\r\n\r\n  ... Additional text ...\r\n\r\n\
    --unique-boundary-1--\r\n";

#[test]
fn complex_multipart_of_the_rfc() {
    let message = COMPLEX.as_bytes();
    let root = scanned(message).root;
    assert_eq!(
        outline(&root),
        "multipart/mixed[text/plain text/plain multipart/parallel[audio/basic image/jpeg] text/enriched message/rfc822[text/plain]]"
    );
    assert_eq!(
        body(message, &[3, 2]).as_deref(),
        Some("  ... image ...\r\n")
    );
    assert_eq!(
        body(message, &[5, 1]).as_deref(),
        Some("  ... Additional text ...\r\n")
    );
    let inner = root.at(&[5, 1]).expect("a part");
    assert_eq!(inner.encoding, Encoding::QuotedPrintable);
    assert_eq!(inner.parameter("CHARSET"), Some(&b"ISO-8859-1"[..]));
    let Content::Message(embedded) = &root.children()[4].content else {
        panic!("a message")
    };
    assert_eq!(
        embedded.envelope.subject.as_deref(),
        Some(&b"(subject in US-ASCII)"[..])
    );
}

/// The example of RFC 9051 section 6.4.5.1.
fn numbering() -> String {
    let message = |boundary: &str, parts: &[&str]| {
        let parts: String = parts
            .iter()
            .map(|part| format!("--{boundary}\r\n{part}\r\n"))
            .collect();
        format!(
            "Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n{parts}--{boundary}--\r\n"
        )
    };
    let plain =
        |name: &str| format!("Content-Type: text/plain\r\nContent-ID: {name}\r\n\r\n{name}");
    let stream = |name: &str| format!("Content-Type: application/octet-stream\r\n\r\n{name}");
    let alternative = format!(
        "Content-Type: multipart/alternative; boundary=d\r\n\r\n--d\r\n{}\r\n--d\r\nContent-Type: text/richtext\r\n\r\n4.2.2.2\r\n--d--",
        plain("4.2.2.1")
    );
    let three = message("b", &[&plain("3.1"), &stream("3.2")]);
    let four_two = message("c", &[&plain("4.2.1"), &alternative]);
    let three = format!("Content-Type: message/rfc822\r\n\r\nSubject: 3\r\n{three}");
    let four_two = format!("Content-Type: message/rfc822\r\n\r\nSubject: 4.2\r\n{four_two}");
    let four = message("m", &["Content-Type: image/gif\r\n\r\n4.1", &four_two]);
    format!(
        "Subject: root\r\n{}",
        message("a", &[&plain("1"), &stream("2"), &three, &four])
    )
}

#[test]
fn numbers_of_the_rfc() {
    let message = numbering();
    let message = message.as_bytes();
    let root = scanned(message).root;
    for path in [
        &[1][..],
        &[2],
        &[3, 1],
        &[3, 2],
        &[4, 1],
        &[4, 2, 1],
        &[4, 2, 2, 1],
        &[4, 2, 2, 2],
    ] {
        let name: Vec<_> = path.iter().map(u32::to_string).collect();
        assert_eq!(body(message, path), Some(name.join(".")), "{path:?}");
    }
    let section = |path: &[u32], of| root.section(path, of).map(|span| text(span, message));
    assert_eq!(
        section(&[], SectionText::Whole).map(|all| all.len()),
        Some(message.len())
    );
    assert!(
        section(&[], SectionText::Header)
            .is_some_and(|header| header.starts_with("Subject: root\r\n"))
    );
    assert!(section(&[], SectionText::Text).is_some_and(|body| body.starts_with("--a\r\n")));
    assert!(section(&[3], SectionText::Header).is_some_and(|header| {
        header.starts_with("Subject: 3\r\n") && header.ends_with("=b\r\n\r\n")
    }));
    assert!(
        section(&[3], SectionText::Text)
            .is_some_and(|body| body.starts_with("--b\r\n") && body.ends_with("--b--\r\n"))
    );
    assert!(
        section(&[4, 2], SectionText::Header)
            .is_some_and(|header| header.starts_with("Subject: 4.2\r\n"))
    );
    assert_eq!(
        section(&[4, 1], SectionText::Mime).as_deref(),
        Some("Content-Type: image/gif\r\n\r\n")
    );
    assert_eq!(
        section(&[3], SectionText::Mime).as_deref(),
        Some("Content-Type: message/rfc822\r\n\r\n")
    );
    for (path, of) in [
        (&[][..], SectionText::Mime),
        (&[1], SectionText::Header),
        (&[1], SectionText::Text),
        (&[4], SectionText::Text),
        (&[0], SectionText::Whole),
        (&[5], SectionText::Whole),
        (&[1, 1], SectionText::Whole),
        (&[3, 3], SectionText::Mime),
        (&[4, 2, 2, 3], SectionText::Whole),
        (&[u32::MAX], SectionText::Whole),
    ] {
        assert_eq!(section(path, of), None, "{path:?} {of:?}");
    }
}

#[test]
fn part_one_of_what_is_no_multipart() {
    let plain = b"Subject: x\r\n\r\nbody\r\n";
    let root = scanned(plain).root;
    assert_eq!(body(plain, &[1]).as_deref(), Some("body\r\n"));
    assert_eq!(root.section(&[1], SectionText::Mime), Some(root.header));
    assert_eq!(body(plain, &[2]), None);
    let forwarded = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ninner\r\n";
    let root = scanned(forwarded).root;
    assert_eq!(
        body(forwarded, &[1]).as_deref(),
        Some("Subject: in\r\n\r\ninner\r\n")
    );
    assert_eq!(body(forwarded, &[1, 1]).as_deref(), Some("inner\r\n"));
    let header = root
        .section(&[1], SectionText::Header)
        .map(|span| text(span, forwarded));
    assert_eq!(header.as_deref(), Some("Subject: in\r\n\r\n"));
    assert_eq!(body(forwarded, &[1, 1, 1]), None);
}

#[test]
fn digests_hold_messages() {
    let message = "Content-Type: multipart/digest; boundary=\"foo\"\n\nprologue\n\n--foo \n\nSubject: m1\n\nm1 body\n\n\
        --foo\t\nX-Mime: m2 header\n\nSubject: m2\n\nm2 body\n\n--foo\nContent-Type: text/html\n\nm3\n--foo--\n\nepilogue\n";
    let message = message.as_bytes();
    let root = scanned(message).root;
    assert_eq!(
        outline(&root),
        "multipart/digest[message/rfc822[text/plain] message/rfc822[text/plain] text/html]"
    );
    let section = |path: &[u32], of| root.section(path, of).map(|span| text(span, message));
    assert_eq!(section(&[1], SectionText::Mime).as_deref(), Some("\n"));
    assert_eq!(
        section(&[1], SectionText::Header).as_deref(),
        Some("Subject: m1\n\n")
    );
    assert_eq!(
        section(&[1], SectionText::Text).as_deref(),
        Some("m1 body\n")
    );
    assert_eq!(
        section(&[2], SectionText::Mime).as_deref(),
        Some("X-Mime: m2 header\n\n")
    );
    assert_eq!(
        section(&[2], SectionText::Whole).as_deref(),
        Some("Subject: m2\n\nm2 body\n")
    );
}

#[test]
fn boundaries_are_matched_whole() {
    let message = b"Content-Type: multipart/mixed; boundary=abc\r\n\r\n--abc\r\n\r\none\r\n--abc1\r\nstill one\r\n-- abc\r\n--abc--x\r\n --abc\r\n--abc  \r\n\r\ntwo\r\n--abc-- \t\r\n--abc\r\n\r\nnot three\r\n";
    let root = scanned(message).root;
    assert_eq!(outline(&root), "multipart/mixed[text/plain text/plain]");
    assert!(body(message, &[1]).is_some_and(|one| one.ends_with("\r\n --abc")));
    assert_eq!(body(message, &[2]).as_deref(), Some("two"));
    let nested = b"Content-Type: multipart/mixed; boundary=abc\n\n--abc\nContent-Type: multipart/mixed; boundary=abc1\n\n--abc1\n\n1.1\n--abc1\n\n1.2\n--abc1--\n--abc\n\n2\n--abc--\n";
    assert_eq!(
        outline(&scanned(nested).root),
        "multipart/mixed[multipart/mixed[text/plain text/plain] text/plain]"
    );
    let dashes = b"Content-Type: multipart/mixed; boundary=\"a--\"\n\n--a--\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\n1.1\n--a--\n--a--\n\n2\n--a----\n";
    let root = scanned(dashes).root;
    assert_eq!(
        outline(&root),
        "multipart/mixed[multipart/mixed[text/plain] text/plain]"
    );
    assert_eq!(body(dashes, &[1, 1]).as_deref(), Some("1.1"));
}

#[test]
fn an_inner_boundary_equal_to_the_outer_hides_it() {
    let message = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n1.1\n--b--\n--b\n\n2\n--b--\n";
    let root = scanned(message).root;
    assert_eq!(
        outline(&root),
        "multipart/mixed[multipart/mixed[text/plain] text/plain]"
    );
    assert!(root.all_flaws().is_empty());
}

#[test]
fn missing_ends() {
    let message = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n1.1\r\n--a\r\n\r\n2\r\n";
    let root = scanned(message).root;
    assert_eq!(
        outline(&root),
        "multipart/mixed[multipart/mixed[text/plain] text/plain]"
    );
    assert!(
        root.flaws.contains(Flaws::UNCLOSED) && root.children()[0].flaws.contains(Flaws::UNCLOSED)
    );
    assert_eq!(body(message, &[1, 1]).as_deref(), Some("1.1"));
    assert_eq!(body(message, &[2]).as_deref(), Some("2\r\n"));
    let header = b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/html\n--a\nContent-Type: message/rfc822\nX: y\n--a--\n";
    let root = scanned(header).root;
    assert_eq!(
        outline(&root),
        "multipart/mixed[text/html message/rfc822[text/plain]]"
    );
    assert!(root.children()[0].flaws.contains(Flaws::HEADER_OPEN));
    assert_eq!(body(header, &[1]).as_deref(), Some(""));
    assert_eq!(body(header, &[2, 1]).as_deref(), Some(""));
}

#[test]
fn empty_and_headless_messages() {
    for message in [
        &b""[..],
        b"\r\n",
        b"\n",
        b"no header at all",
        b" \r\n",
        b"\r\n\r\n",
        b":\r\n",
    ] {
        let Scanned { root, envelope, .. } = scanned(message);
        assert_eq!(outline(&root), "text/plain");
        assert_eq!(envelope, Envelope::default());
        assert_eq!(root.header.len() + root.body.len(), message.len() as u64);
    }
}

#[test]
fn fields_of_a_part() {
    let message = b"Content-Type: TEXT/Html; Charset=\"x\r\n y\"\r\nContent-Transfer-Encoding: Base64 (c)\r\nContent-ID: <i@d>\r\nContent-Description: some\r\n thing\r\nContent-MD5: Q2hlY2s=\r\nContent-Disposition: attachment; filename=\"a.html\"\r\nContent-Language: ko, en\r\nContent-Location: http://x/\r\n\r\n";
    let root = scanned(message).root;
    assert!(root.media.is("text", "html"));
    assert_eq!(root.parameter("charset"), Some(&b"x y"[..]));
    assert_eq!(root.encoding, Encoding::Base64);
    assert_eq!(root.id.as_deref(), Some(&b"<i@d>"[..]));
    assert_eq!(root.description.as_deref(), Some(&b"some thing"[..]));
    assert_eq!(root.md5.as_deref(), Some(&b"Q2hlY2s="[..]));
    assert_eq!(root.languages, [b"ko".to_vec(), b"en".to_vec()]);
    assert_eq!(root.location.as_deref(), Some(&b"http://x/"[..]));
    assert!(root.is_attachment());
    assert_eq!(root.file_names(), ["a.html"]);
}

#[test]
fn envelopes() {
    let message = b"Message-ID: <msg@id>\nIn-Reply-To: <reply@to.id>\nDate: Sat, 01 Feb 2007 01:02:03 +0200\nSubject: subject\n header\nFrom: From Real <f@d>\nTo: a@b\nTo: c@d\nSender: \nsubject: second\n\nbody\n";
    let Scanned { root, envelope, .. } = scanned(message);
    assert_eq!(envelope.subject.as_deref(), Some(&b"subject header"[..]));
    assert_eq!(envelope.message_id.as_deref(), Some(&b"<msg@id>"[..]));
    assert_eq!(envelope.to.len(), 2);
    assert!(envelope.sender.is_empty());
    assert_eq!(envelope.sender_or_from(), envelope.from);
    assert_eq!(envelope.reply_to_or_from(), envelope.from);
    assert!(root.flaws.contains(Flaws::DUPLICATE_FIELD));
}

/// Attack 23: what two programs may read in two ways is read in one, and flagged.
#[test]
fn attack_23_ambiguous_structure() {
    let flaws = |message: &str| {
        let root = scanned(message.as_bytes()).root;
        (outline(&root), root.all_flaws())
    };
    let (shape, found) = flaws(
        "Content-Type: text/plain\r\nContent-Type: application/x-msdownload; name=a.exe\r\n\r\nMZ",
    );
    assert_eq!(
        (shape.as_str(), found),
        ("text/plain", Flaws::DUPLICATE_TYPE)
    );
    let (_, found) =
        flaws("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\nTVo=");
    assert_eq!(found, Flaws::DUPLICATE_ENCODING);
    let (_, found) =
        flaws("Content-Disposition: inline\nContent-Disposition: attachment; filename=a.exe\n\n");
    assert_eq!(found, Flaws::DUPLICATE_DISPOSITION);
    let (shape, found) = flaws(
        "Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--b\n\nhidden\n--b--\n--a\n\nseen\n--a--\n",
    );
    assert_eq!(
        (shape.as_str(), found),
        ("multipart/mixed[text/plain]", Flaws::DUPLICATE_PARAMETER)
    );
    for (head, flaw) in [
        ("multipart/mixed", Flaws::NO_BOUNDARY),
        ("multipart/mixed; boundary=\"\"", Flaws::NO_BOUNDARY),
        ("multipart/mixed; boundary=\"  \"", Flaws::NO_BOUNDARY),
        (
            "multipart/mixed; boundary=c",
            Flaws::NO_PARTS | Flaws::UNCLOSED,
        ),
        ("multipart", Flaws::BAD_TYPE),
        ("text/plain/html", Flaws::BAD_TYPE),
    ] {
        let (shape, found) = flaws(&format!("Content-Type: {head}\n\n--\n\n--b\n\nx\n--b--\n"));
        assert_eq!((shape.as_str(), found), ("text/plain", flaw), "{head}");
    }
    let (shape, found) =
        flaws("Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\nx\n--ab--\n");
    assert_eq!(
        (shape.as_str(), found),
        ("multipart/mixed[text/plain]", Flaws::default())
    );
    let (shape, found) = flaws(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQo=\n",
    );
    assert_eq!(
        (shape.as_str(), found),
        ("application/octet-stream", Flaws::BAD_ENCODING)
    );
    for head in [
        "Content-Type : text/plain",
        "Content-Type: text/plain;\r x=y",
        "Content-ID: \0",
    ] {
        let (_, found) = flaws(&format!("{head}\r\n\r\nx"));
        assert_eq!(found, Flaws::ODD_FIELD, "{head:?}");
    }
    let (_, found) = flaws("Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a.exe\n");
    assert_eq!(found, Flaws::BAD_ENCODING);
}

/// Work that is linear: so many looks at each octet at most, whatever the message.
fn assert_linear(message: &[u8]) -> Scanned {
    let scanned = scanned(message);
    let limit = 6 * message.len() as u64 + 10_000;
    assert!(
        scanned.work <= limit,
        "{} looks at {} octets",
        scanned.work,
        message.len()
    );
    scanned
}

/// Attack 19: parts without end, beside and inside each other.
#[test]
fn attack_19_siblings() {
    let limits = Limits::default();
    let message = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}--b--\nepilogue\n",
        "--b\n\nx\n".repeat(100_000)
    );
    let root = assert_linear(message.as_bytes()).root;
    assert_eq!(root.walk().count(), limits.parts + 1);
    let last = root.children().last().expect("parts");
    assert!(last.media.is("application", "octet-stream"));
    assert_eq!(last.flaws, Flaws::TOO_MANY);
    assert!(text(last.body, message.as_bytes()).starts_with("\nx\n--b\n"));
    assert!(text(last.body, message.as_bytes()).ends_with("--b\n\nx"));
}

#[test]
fn attack_19_nested_multiparts() {
    let limits = Limits::default();
    let level = |number: usize| {
        format!("Content-Type: multipart/mixed; boundary=b{number}\n\n--b{number}\n")
    };
    let message: String = (0..100_000).map(level).collect();
    let root = assert_linear(message.as_bytes()).root;
    assert_eq!(root.walk().count(), limits.depth + 1);
    assert!(root.all_flaws().contains(Flaws::TOO_DEEP));
    let ends: String = (0..100_000)
        .rev()
        .map(|number| format!("--b{number}--\n"))
        .collect();
    assert_linear(format!("{message}\n{ends}").as_bytes());
}

#[test]
fn attack_19_nested_messages() {
    let message = "Content-Type: message/rfc822\n\n".repeat(100_000);
    let root = assert_linear(message.as_bytes()).root;
    assert_eq!(root.walk().count(), Limits::default().depth + 1);
    let digests: String = (0..100_000)
        .map(|n| format!("Content-Type: multipart/digest; boundary=b{n}\n\n--b{n}\n\n"))
        .collect();
    assert_linear(digests.as_bytes());
}

#[test]
fn attack_19_siblings_at_every_depth() {
    let limits = Limits {
        parts: 100,
        ..Limits::default()
    };
    let opening: String = (0..40)
        .map(|n| {
            format!(
                "--b{n}\nContent-Type: multipart/mixed; boundary=b{}\n\n",
                n + 1
            )
        })
        .collect();
    let siblings: String = (0..=40)
        .rev()
        .map(|n| format!("--b{n}\n\nx\n").repeat(5000))
        .collect();
    let message = format!("Content-Type: multipart/mixed; boundary=b0\n\n{opening}{siblings}");
    let scanned = scan(message.as_bytes(), &limits);
    assert!(scanned.root.walk().count() <= limits.parts + limits.depth + 1);
    assert!(scanned.work <= 6 * message.len() as u64);
}

#[test]
fn attack_19_lines_that_look_like_boundaries() {
    for line in [
        "--\n",
        "--b\n",
        "--\n--b1--",
        "--c\n",
        "\n",
        "--b                              \n",
    ] {
        let message = format!(
            "Content-Type: multipart/mixed; boundary=b1\n\n--b1\n\n{}",
            line.repeat(200_000)
        );
        assert_linear(message.as_bytes());
    }
    // One boundary for all levels.
    let same = "Content-Type: multipart/mixed; boundary=b\n\n--b\n".repeat(50_000)
        + &"--b--\n".repeat(50_000);
    assert_linear(same.as_bytes());
}

/// Attack 20: fields and addresses without end.
#[test]
fn attack_20_header_floods() {
    let limits = Limits::default();
    let many = format!("{}\nbody", "To: a@b\n".repeat(1_000_000));
    let scanned = assert_linear(many.as_bytes());
    assert!(scanned.root.flaws.contains(Flaws::HEADER_CUT));
    assert!(scanned.envelope.to.len() <= limits.fields);
    let long = format!("To: {}\n\nbody", "a@b,".repeat(1_000_000));
    let scanned = assert_linear(long.as_bytes());
    assert!(scanned.envelope.to.len() <= limits.addresses);
    assert!(
        scanned
            .root
            .flaws
            .contains(Flaws::VALUES_CUT | Flaws::HEADER_CUT)
    );
    for field in [
        "Content-Type: a/b\n",
        "Content-Type: text/plain; a=b\n",
        "x\n",
        " \n",
        "Content-Disposition: a; b=c\n",
    ] {
        assert_linear(field.repeat(100_000).as_bytes());
    }
}

#[test]
fn kept_octets_are_bounded_over_all_parts() {
    let limits = Limits {
        kept: 1000,
        ..Limits::default()
    };
    let part = format!(
        "--b\nContent-Type: a/b; name={}\nContent-ID: <{}>\n\n\n",
        "n".repeat(100),
        "i".repeat(100)
    );
    let message = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        part.repeat(50)
    );
    let root = scan(message.as_bytes(), &limits).root;
    let kept: usize = root
        .walk()
        .map(|part| {
            part.parameters.iter().map(|p| p.value.len()).sum::<usize>()
                + part.id.iter().map(Vec::len).sum::<usize>()
        })
        .sum();
    assert!((800..=1000).contains(&kept), "{kept}");
    assert!(root.all_flaws().contains(Flaws::VALUES_CUT));
}

/// Messages that are nearly MIME.
fn nearly_mime() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=a".to_owned()),
        Just("Content-Type: multipart/digest; boundary=\"a\"".to_owned()),
        Just("Content-Type: multipart/mixed; boundary=b".to_owned()),
        Just("Content-Type: message/rfc822".to_owned()),
        Just("Content-Type: text/html; charset=x".to_owned()),
        Just("Content-Transfer-Encoding: base64".to_owned()),
        Just("Subject: s".to_owned()),
        Just("To: a@b, g: c@d;".to_owned()),
        Just(" folded".to_owned()),
        Just(String::new()),
        Just(String::new()),
        Just(String::new()),
        Just("--a".to_owned()),
        Just("--a".to_owned()),
        Just("--b".to_owned()),
        Just("--a--".to_owned()),
        Just("--b-- ".to_owned()),
        "[-a-z :]{0,6}",
    ];
    proptest::collection::vec(line, 0..40).prop_map(|lines| lines.join("\n"))
}

/// What [`Part`] promises.
fn assert_nested(part: &Part, outer: Span) {
    assert!(
        outer.contains(part.header) && outer.contains(part.body),
        "{part:?} in {outer:?}"
    );
    assert!(part.header.end <= part.body.start);
    let mut left = part.body;
    for child in part.children() {
        assert_nested(child, left);
        left.start = child.body.end;
    }
}

/// The tree without its offsets.
fn without_offsets(part: &Part) -> Part {
    let mut part = part.clone();
    fn strip(part: &mut Part) {
        part.header = Span::default();
        part.body = Span::default();
        match &mut part.content {
            Content::Leaf => {}
            Content::Multipart(parts) => parts.iter_mut().for_each(strip),
            Content::Message(embedded) => strip(&mut embedded.root),
        }
    }
    strip(&mut part);
    part
}

proptest! {
    #[test]
    fn spans_are_nested_and_work_is_linear(message in nearly_mime()) {
        let scanned = assert_linear(message.as_bytes());
        assert_nested(&scanned.root, Span { start: 0, end: message.len() as u64 });
        for part in scanned.root.walk() {
            let lines = part.body.of(message.as_bytes()).iter().filter(|octet| **octet == b'\n').count();
            prop_assert_eq!(part.lines, lines as u64);
        }
    }

    #[test]
    fn line_ends_do_not_matter(message in nearly_mime()) {
        let bare = scanned(message.as_bytes());
        let canonical = message.replace('\n', "\r\n");
        let full = scanned(canonical.as_bytes());
        prop_assert_eq!(without_offsets(&bare.root), without_offsets(&full.root));
        prop_assert_eq!(bare.envelope, full.envelope);
        for (bare, full) in bare.root.walk().zip(full.root.walk()) {
            let text = String::from_utf8_lossy(full.body.of(canonical.as_bytes())).replace("\r\n", "\n");
            prop_assert_eq!(String::from_utf8_lossy(bare.body.of(message.as_bytes())), text);
        }
    }

    #[test]
    fn any_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300), parts in 0usize..5, depth in 0usize..5) {
        let limits = Limits { parts, depth, fields: 3, header: 50, addresses: 2, kept: 20 };
        let scanned = scan(&octets, &limits);
        assert_nested(&scanned.root, Span { start: 0, end: octets.len() as u64 });
    }

    #[test]
    fn any_limits_hold(message in nearly_mime(), parts in 0usize..5, depth in 0usize..5, kept in 0usize..40) {
        let limits = Limits { parts, depth, kept, addresses: kept / 4, ..Limits::default() };
        let scanned = scan(message.as_bytes(), &limits);
        assert_nested(&scanned.root, Span { start: 0, end: message.len() as u64 });
        prop_assert!(scanned.root.walk().count() <= parts.max(1) + depth + 1);
    }
}
