//! Our readers against mailparse, on messages that are as they should be: two implementations, one result.
//!
//! Where mail is broken they differ on purpose: mailparse takes a boundary for the beginning of a longer one, rescans
//! every level, gives up on odd base64 and takes the last of two equal parameters. So it is a judge here and no
//! part of the engine.

use base64::Engine as _;
use mailparse::{MailAddr, MailHeaderMap, ParsedMail};
use proptest::prelude::*;

use super::address_list::{self, AddressItem};
use super::date::DateTime;
use super::mime::{Limits, scan};
use super::parameter;
use super::part::{Content, Part};
use super::text::each_piece;

/// A message without its outer header fields.
#[derive(Clone, Debug)]
enum Tree {
    Leaf { encoding: usize, text: String },
    Multipart(Vec<Tree>),
}

const ENCODINGS: [&str; 3] = ["8bit", "base64", "quoted-printable"];

impl Tree {
    /// Writes the entity; boundaries are told apart by a number.
    fn write(&self, number: &mut usize, out: &mut String) {
        match self {
            Self::Leaf { encoding, text } => {
                let name = ENCODINGS[*encoding];
                let body = match name {
                    "base64" => base64::engine::general_purpose::STANDARD.encode(text),
                    "quoted-printable" => text
                        .bytes()
                        .map(|octet| match octet {
                            b'\r' | b'\n' | b'a'..=b'z' => char::from(octet).to_string(),
                            _ => format!("={octet:02X}"),
                        })
                        .collect(),
                    _ => text.clone(),
                };
                out.push_str("Content-Type: text/plain; charset=\"utf-8\"\r\n");
                out.push_str(&format!("Content-Transfer-Encoding: {name}\r\n\r\n{body}"));
            }
            Self::Multipart(children) => {
                *number += 1;
                let boundary = format!("=_{number:04}_");
                out.push_str(&format!(
                    "Content-Type: multipart/mixed;\r\n\tboundary=\"{boundary}\"\r\n\r\npreamble"
                ));
                for child in children {
                    out.push_str(&format!("\r\n--{boundary}\r\n"));
                    child.write(number, out);
                }
                out.push_str(&format!("\r\n--{boundary}--\r\nepilogue"));
            }
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = (
        0usize..3,
        "([a-z가é=]{0,5}( [a-z]{1,3})?\r\n){0,4}[a-z]{0,3}",
    )
        .prop_map(|(encoding, text)| Tree::Leaf { encoding, text });
    leaf.prop_recursive(4, 20, 4, |inner| {
        proptest::collection::vec(inner, 1..4).prop_map(Tree::Multipart)
    })
}

/// Both trees have the same shape, and leaves of the same octets in the same place and the same text.
fn assert_same(ours: &Part, theirs: &ParsedMail<'_>, message: &[u8]) {
    assert_eq!(
        format!("{}/{}", ours.media.kind, ours.media.subtype),
        theirs.ctype.mimetype
    );
    assert_eq!(ours.children().len(), theirs.subparts.len());
    if ours.content == Content::Leaf {
        let body = match theirs.get_body_encoded() {
            mailparse::body::Body::Base64(body) | mailparse::body::Body::QuotedPrintable(body) => {
                body.get_raw()
            }
            mailparse::body::Body::SevenBit(body) | mailparse::body::Body::EightBit(body) => {
                body.get_raw()
            }
            mailparse::body::Body::Binary(body) => body.get_raw(),
        };
        assert_eq!(
            String::from_utf8_lossy(ours.body.of(message)),
            String::from_utf8_lossy(body)
        );
        let mut text = String::new();
        let _ = each_piece(ours, message, |piece| {
            text.push_str(piece);
            core::ops::ControlFlow::Continue(())
        });
        assert_eq!(text, theirs.get_body().expect("well formed"));
    }
    for (ours, theirs) in ours.children().iter().zip(&theirs.subparts) {
        assert_same(ours, theirs, message);
    }
}

/// `name <local@domain>`, with groups in braces.
fn shown(items: &[AddressItem]) -> Vec<String> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let show = |item: &AddressItem| match item {
        AddressItem::Mailbox {
            name,
            local,
            domain,
            ..
        } => {
            format!(
                "{:?} {}@{}",
                name.as_deref().map(text),
                text(local),
                text(domain)
            )
        }
        AddressItem::GroupStart(name) => format!("{{{}", text(name)),
        AddressItem::GroupEnd => "}".to_owned(),
    };
    items.iter().map(show).collect()
}

fn shown_by_mailparse(list: &[MailAddr]) -> Vec<String> {
    let single = |info: &mailparse::SingleInfo| format!("{:?} {}", info.display_name, info.addr);
    let show = |address: &MailAddr| match address {
        MailAddr::Single(info) => vec![single(info)],
        MailAddr::Group(group) => {
            let mut all = vec![format!("{{{}", group.group_name)];
            all.extend(group.addrs.iter().map(single));
            all.push("}".to_owned());
            all
        }
    };
    list.iter().flat_map(show).collect()
}

proptest! {
    #[test]
    fn the_same_parts(tree in tree()) {
        let mut message = "Subject: x\r\n".to_owned();
        tree.write(&mut 0, &mut message);
        let theirs = mailparse::parse_mail(message.as_bytes()).expect("well formed");
        let scanned = scan(message.as_bytes(), &Limits::default());
        prop_assert!(scanned.root.all_flaws().is_empty());
        assert_same(&scanned.root, &theirs, message.as_bytes());
    }

    #[test]
    fn the_same_dates(epoch in 0i64..4_000_000_000, hours in -12i16..=14) {
        let date = DateTime { epoch, offset: hours * 60 };
        prop_assert_eq!(mailparse::dateparse(&date.header()).expect("a date"), epoch);
        let parsed = DateTime::parse(date.header().as_bytes());
        prop_assert_eq!(parsed.map(|date| date.epoch), Some(epoch));
    }

    #[test]
    fn the_same_header_values(words in proptest::collection::vec("[a-z]{1,5}|=\\?utf-8\\?q\\?[a-z_]{1,5}(=C3=A9)?\\?=|=\\?euc-kr\\?B\\?x9Gx2w==\\?=", 1..6), fold in any::<bool>()) {
        let value = words.join(if fold { "\r\n " } else { " " });
        let header = format!("Subject: {value}\r\n\r\n");
        let (theirs, _) = mailparse::parse_headers(header.as_bytes()).expect("a header");
        let ours = super::header::find(header.as_bytes(), "Subject").expect("a field").text();
        prop_assert_eq!(Some(ours), theirs.get_first_value("Subject"));
    }

    #[test]
    fn the_same_addresses(
        mut list in proptest::collection::vec(prop_oneof![
            "[a-z]{1,5}@[a-z]{1,5}\\.[a-z]{2}",
            "[A-Z][a-z]{1,5} [A-Z][a-z]{1,5} <[a-z.]{1}[a-z]{1,5}@[a-z]{1,5}>",
            "\"[A-Z][a-z, @;:]{1,5}[a-z]\" <[a-z]{1,5}@[a-z]{1,5}>",
        ], 1..5),
        // Last, since mailparse takes a comma after a group for the beginning of the next address.
        group in proptest::option::of("[A-Z][a-z]{1,5}: [a-z]{1,5}@[a-z]{1,5}, X <[a-z]{1,5}@[a-z]{1,5}>;"),
    ) {
        list.extend(group);
        let value = list.join(", ");
        let theirs = mailparse::addrparse(&value).expect("a list");
        let (ours, _) = address_list::parse(value.as_bytes(), 100);
        prop_assert_eq!(shown(&ours), shown_by_mailparse(&theirs));
    }

    #[test]
    fn the_same_parameters(name in "[a-z가é .]{1,9}[a-z]", piece in 1usize..9, plain in "[a-z ;=]{0,6}[a-z]") {
        let escaped: Vec<String> = name.bytes().map(|octet| format!("%{octet:02X}")).collect();
        let pieces: String = escaped.chunks(piece).enumerate().map(|(number, octets)| {
            let charset = if number == 0 { "utf-8''" } else { "" };
            format!(";\r\n filename*{number}*={charset}{}", octets.concat())
        }).collect();
        let value = format!("attachment; plain=\"{plain}\"{pieces}");
        let theirs = mailparse::parse_content_disposition(&value.replace("\r\n", ""));
        let ours = parameter::parse(value.as_bytes());
        prop_assert_eq!(parameter::text(&ours.parameters, "plain"), theirs.params.get("plain").cloned());
        prop_assert_eq!(parameter::text(&ours.parameters, "filename"), theirs.params.get("filename").cloned());
        prop_assert_eq!(theirs.params.get("filename"), Some(&name));
    }
}
