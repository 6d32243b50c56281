//! Tests of the scanner: examples of the RFCs, and what is broken.

mod attack;
mod property;

use super::*;
use crate::message::part::Encoding;
use crate::message::section::SectionText;

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
