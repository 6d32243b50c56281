//! Tests of the summary: what it says, its size, and its encoding.

use super::*;
use crate::message::header::{FieldNames, Selection, select};
use crate::message::part::Flaws;
use proptest::prelude::*;

/// A mail as they mostly are, with the fields that the way here put on it.
const USUAL: &str = "Return-Path: <ada@example.com>\r\n\
    Received: from mx.example.net (mx.example.net [192.0.2.7])\r\n\tby mail.example.com with ESMTPS id 4Zx7yA1\r\n\tfor <bob@example.com>;\r\n\tFri, 21 Nov 1997 09:55:06 -0600\r\n\
    DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s1; h=from:to:subject; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=aaaa\r\n\
    Message-ID: <6f8a1c2e-9d3b-4f7a-8e21-0c5d7b9a1e3f@example.com>\r\n\
    Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nFrom: =?utf-8?B?7JWE64uk?= <ada@example.com>\r\n\
    To: \"Bob, the Builder\" <bob@example.com>, carol@example.com\r\nCc: Team: dave@example.com, erin@example.com;\r\n\
    Subject: Re: [list] =?euc-kr?B?x9Gx2w==?= report\r\nIn-Reply-To: <parent@example.com>\r\n\
    References: <root@example.com> <parent@example.com>\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=\"----=_Part_123456_789.1234567890\"\r\n\r\n\
    ------=_Part_123456_789.1234567890\r\nContent-Type: multipart/alternative; boundary=\"----=_Part_1\"\r\n\r\n\
    ------=_Part_1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n7JWI64WV7ZWY7IS47JqULg0KDQrrs7Tqs6DshJw=\r\n\
    ------=_Part_1\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>html</p>\r\n------=_Part_1--\r\n\
    ------=_Part_123456_789.1234567890\r\nContent-Type: application/pdf; name=\"report.pdf\"\r\n\
    Content-Disposition: attachment; filename=\"report.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n\
    ------=_Part_123456_789.1234567890--\r\n";

#[test]
fn says_what_the_message_says() {
    let summary = Summary::of(USUAL.as_bytes());
    assert_eq!(summary.size, USUAL.len() as u64);
    assert_eq!(
        summary.sent,
        Some(DateTime {
            epoch: 880_127_706,
            offset: -360
        })
    );
    assert_eq!(
        (summary.subject.text.as_str(), summary.subject.reply),
        ("한글 report", true)
    );
    assert_eq!(
        summary.references,
        [b"root@example.com".to_vec(), b"parent@example.com".to_vec()]
    );
    assert_eq!(
        summary.message_id().as_deref(),
        Some(&b"6f8a1c2e-9d3b-4f7a-8e21-0c5d7b9a1e3f@example.com"[..])
    );
    assert_eq!(summary.preview, "안녕하세요. 보고서");
    assert_eq!(summary.envelope.cc.len(), 4);
    assert_eq!(
        summary.root.at(&[2]).map(Part::file_names),
        Some(vec!["report.pdf".to_owned()])
    );
    assert!(summary.root.all_flaws().is_empty());
    let body = summary.section(&[2], SectionText::Whole).expect("a part");
    assert_eq!(body.of(USUAL.as_bytes()), b"JVBERi0=");
}

#[test]
fn a_usual_mail_takes_little() {
    let summary = Summary::of(USUAL.as_bytes());
    let encoded = summary.encode();
    assert!(encoded.len() < 1400, "{}", encoded.len());
    assert!(
        encoded.len() < summary.header.octets().len() + 400,
        "{}",
        encoded.len()
    );
    assert_eq!(Summary::decode(&encoded), Ok(summary));
}

#[test]
fn fields_come_from_the_summary() {
    let header = header::split(USUAL.as_bytes()).0;
    let cached = Summary::of(USUAL.as_bytes()).header;
    for names in [
        &[
            "From",
            "To",
            "Cc",
            "Bcc",
            "Resent-Message-ID",
            "Subject",
            "Date",
            "Message-ID",
            "Priority",
            "X-Priority",
            "References",
            "Newsgroups",
            "In-Reply-To",
            "Content-Type",
            "Reply-To",
        ][..],
        &["date", "subject"],
        &["list-id"],
        &[],
    ] {
        let names = FieldNames::new(names);
        assert_eq!(
            cached.select(&names),
            Some(select(header, &names, Selection::Only))
        );
    }
    assert_eq!(
        cached.select(&FieldNames::new(["Subject", "Received"])),
        None
    );
    assert!(cached.has("SUBJECT") && !cached.has("X-Other"));
}

#[test]
fn fields_that_do_not_fit_are_known_to_be_missing() {
    let long = format!(
        "Subject: s\nTo: {}\nCc: c@d\nTo: short@b\n\n",
        "a@b, ".repeat(3000)
    );
    let cached = Summary::of(long.as_bytes()).header;
    assert!(cached.octets().len() <= FIELDS_LIMIT);
    assert!(cached.has("Subject") && cached.has("Cc") && !cached.has("To"));
    let names = FieldNames::new(["cc"]);
    assert_eq!(cached.select(&names).as_deref(), Some(&b"Cc: c@d\n\n"[..]));
    let cut = format!("Subject: s\n{}Subject: t\n\n", "X: y\n".repeat(2000));
    assert!(!Summary::of(cut.as_bytes()).header.has("Subject"));
}

#[test]
fn junk_is_no_summary() {
    assert_eq!(Summary::decode(&[]), Err(SummaryError::Malformed));
    assert_eq!(Summary::decode(&[0]), Err(SummaryError::Version));
    assert_eq!(Summary::decode(&[255, 1, 2]), Err(SummaryError::Version));
    let encoded = Summary::of(USUAL.as_bytes()).encode();
    for length in 1..encoded.len() {
        assert_eq!(
            Summary::decode(&encoded[..length]),
            Err(SummaryError::Malformed),
            "{length}"
        );
    }
    assert_eq!(
        Summary::decode(&[&encoded[..], &[0]].concat()),
        Err(SummaryError::Malformed)
    );
}

/// Attack 19: a summary that claims nesting, counts or texts beyond all bounds.
/// A summary that was damaged is none: nobody is told a subject that the message has not.
#[test]
fn attack_44_each_damaged_octet_is_found() {
    let encoded = Summary::of(USUAL.as_bytes()).encode();
    assert!(Summary::decode(&encoded).is_ok());
    for at in 0..encoded.len() {
        for bit in 0..8 {
            let mut damaged = encoded.clone();
            damaged[at] ^= 1 << bit;
            assert!(
                Summary::decode(&damaged).is_err(),
                "bit {bit} of octet {at}"
            );
        }
        for word in [[0; 4], [0xff; 4]] {
            let mut damaged = encoded.clone();
            let end = damaged.len().min(at + 4);
            damaged[at..end].copy_from_slice(&word[..end - at]);
            assert!(
                damaged == encoded || Summary::decode(&damaged).is_err(),
                "octet {at}"
            );
        }
    }
    // What was kept before summaries were sealed is still read.
    let plain = &encoded[9..];
    assert_eq!(Summary::decode(plain), Summary::decode(&encoded));
}

#[test]
fn attack_19_decoding_is_bounded() {
    // A header of 8 KiB, then references to all of it without end.
    let mut bomb = vec![1, 0x80, 0x40];
    bomb.extend(vec![b'x'; 8192]);
    bomb.extend([0, 0]);
    // An empty part: offsets, lines, text/plain; then parameters, each twice the header.
    bomb.extend([0, 0, 0, 0, 0, 1, 0x90, 0x4e]);
    for _ in 0..20_000 {
        bomb.extend([0, 0x81, 0x80, 0x01, 0]);
    }
    assert_eq!(Summary::decode(&bomb), Err(SummaryError::Malformed));
    // Messages in messages in messages.
    let mut nested = vec![1, 0, 0, 0];
    for _ in 0..100_000 {
        nested.extend([0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 2]);
        nested.extend([0; 10]);
    }
    assert_eq!(Summary::decode(&nested), Err(SummaryError::Malformed));
}

/// Attack 7: NUL, 8-bit octets and cut UTF-8 in values.
#[test]
fn attack_7_odd_octets() {
    let message = b"Subject: a\0b\xff\xc3\r\nFrom: \xed\x95 <\0@\xff>\r\nContent-Type: text/plain; name=\"\0\x80\r\n x\"\r\n\r\n\xff\xfe\0";
    let summary = Summary::of(message);
    assert_eq!(
        summary.envelope.subject.as_deref(),
        Some(&b"ab\xff\xc3"[..])
    );
    assert_eq!(summary.root.parameter("name"), Some(&b"\x80 x"[..]));
    assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
    let long = [
        b"Subject: ".to_vec(),
        vec![b'x'; 5_000_000],
        b"\r\n\r\n".to_vec(),
    ]
    .concat();
    let summary = Summary::of(&long);
    assert!(summary.encode().len() < 600_000);
    assert!(summary.root.flaws.contains(Flaws::HEADER_CUT));
}

#[test]
fn the_largest_summaries_still_decode() {
    let parts: String = (0..2000).map(|n| format!("--b\nContent-Type: a/b{n}; name=n{n}; x=y\nContent-ID: <{n}@x>\nContent-Description: d{n}\n\nx\n")).collect();
    let to: String = (0..5000)
        .map(|n| format!("\"N {n}\" <a{n}@example{n}.com>, "))
        .collect();
    let message = format!("To: {to}\nContent-Type: multipart/mixed; boundary=b\n\n{parts}");
    let summary = Summary::of(message.as_bytes());
    assert_eq!(summary.envelope.to.len(), Limits::default().addresses);
    assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
}

fn mail() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "(Subject|Date|From|To|Cc|Reply-To|Message-ID|References|List-Id|X-Priority): [ -~가-힣]{0,40}",
        "(From|To|Sender): [a-c]{1,3} <[a-c]{1,3}@[a-c]{1,3}>(, g: [a-c]@[a-c];)?",
        "Content-(Type|Disposition): [a-z]{1,5}(/[a-z]{1,5})?(; [a-z]{1,4}=\"[a-z]{0,5}\"){0,2}",
        "Content-(ID|MD5|Language|Location|Description|Transfer-Encoding): [a-z, ]{0,9}",
        Just("Content-Type: multipart/mixed; boundary=b".to_owned()),
        Just("Content-Type: message/rfc822".to_owned()),
        Just(String::new()),
        Just(String::new()),
        Just("--b".to_owned()),
        Just("--b--".to_owned()),
        "[ -~]{0,20}",
    ];
    proptest::collection::vec(line, 0..30).prop_map(|lines| lines.join("\r\n"))
}

/// What is read in place is what is decoded, piece by piece.
fn is_read_in_place(encoded: &[u8], summary: &Summary) {
    let kept = Kept::new(encoded).expect("it decodes");
    assert!(kept.octets() <= encoded.len());
    // Texts look alike wherever they are held.
    let root = kept.root().expect("it decodes");
    assert_eq!(format!("{root:?}"), format!("{:?}", summary.root));
    let envelope = kept.envelope();
    assert_eq!(format!("{envelope:?}"), format!("{:?}", summary.envelope));
    assert_eq!(kept.header().octets(), summary.header.octets());
    assert_eq!(kept.header().missing, summary.header.missing);
    assert_eq!(kept.sent(), summary.sent);
    assert_eq!(kept.decode().as_ref(), Ok(summary));
}

#[test]
fn a_kept_summary_is_read_in_place() {
    let summary = Summary::of(USUAL.as_bytes());
    is_read_in_place(&summary.encode(), &summary);
    assert_eq!(Kept::new(&[]).err(), Some(SummaryError::Malformed));
    assert_eq!(Kept::new(&[0]).err(), Some(SummaryError::Version));
    let cut = &summary.encode()[..40];
    assert_eq!(Kept::new(cut).err(), Some(SummaryError::Malformed));
    // What was kept before there were seals, and a sealed one that was damaged.
    is_read_in_place(&codec::encode(&summary), &summary);
    let mut damaged = summary.encode();
    let subject = damaged.windows(6).position(|it| it == b"report");
    damaged[subject.expect("it is a text")] = b'R';
    assert_eq!(Kept::new(&damaged).err(), Some(SummaryError::Malformed));
}

proptest! {
    #[test]
    fn decode_of_encode_is_identity(message in mail()) {
        let summary = Summary::of(message.as_bytes());
        let encoded = summary.encode();
        is_read_in_place(&encoded, &summary);
        prop_assert_eq!(Summary::decode(&encoded), Ok(summary));
    }

    #[test]
    fn any_octets_make_a_summary(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let summary = Summary::of(&octets);
        prop_assert!(summary.preview.chars().count() <= 200);
        prop_assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
    }

    #[test]
    fn damaged_summaries_never_panic(message in mail(), damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let mut encoded = Summary::of(message.as_bytes()).encode();
        for (at, octet) in damage {
            let at = at % encoded.len();
            encoded[at] = octet;
        }
        let decoded = Summary::decode(&encoded);
        prop_assert_eq!(Kept::new(&encoded).map(drop), decoded.as_ref().map(drop).map_err(|error| *error));
        if let Ok(summary) = decoded {
            is_read_in_place(&encoded, &summary);
            // What decodes keeps the promises, so it encodes again.
            let whole = Span { start: 0, end: summary.size };
            prop_assert!(summary.root.walk().all(|part| whole.contains(part.header) && whole.contains(part.body)));
            prop_assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
        }
    }

    #[test]
    fn junk_never_panics(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Summary::decode(&[&[1], &octets[..]].concat());
    }

    #[test]
    fn cached_fields_equal_the_header(message in mail()) {
        let (header, _) = header::split(message.as_bytes());
        let names = FieldNames::new(["subject", "from", "to", "references", "x-priority"]);
        let cached = Summary::of(message.as_bytes()).header.select(&names);
        prop_assert_eq!(cached, Some(select(header, &names, Selection::Only)));
    }
}
