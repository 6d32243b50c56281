//! What stands beside an object: `x-amz-meta-*`, enough to rebuild a lost index.
//!
//! **Invariants.** Values are visible ASCII, so that neither signing nor a proxy changes them: what is anything else becomes "=" and
//! its Base64 (RFC 4648 section 5).
//! **Bounds.** 2 KiB of names and values together, as S3 allows; what does not fit is left out, the envelope first.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use reqwest::header::{HeaderMap, HeaderName};

use super::{hex, sign::value};
use crate::{
    Error,
    blob::{BlobKey, BlobMeta, BlobWritten},
};

/// Octets of names and values, with some to spare.
const LIMIT: usize = 2000;

const ACCOUNT: &str = "x-amz-meta-account";
const MAILBOX: &str = "x-amz-meta-mailbox";
const DATE: &str = "x-amz-meta-internal-date";
const SHA256: &str = "x-amz-meta-sha256";
const RECIPIENT: &str = "x-amz-meta-recipient";
const SENDER: &str = "x-amz-meta-sender";

/// Adds what is known of a body to the headers of its put.
pub(super) fn write(
    meta: &BlobMeta,
    written: &BlobWritten,
    headers: &mut HeaderMap,
) -> Result<(), Error> {
    let date = meta.internal_date.to_string();
    let checksum = hex(&written.sha256);
    // In the order of their worth.
    let fields = [
        (DATE, date.as_str()),
        (SHA256, &checksum),
        (ACCOUNT, &meta.account),
        (MAILBOX, &meta.mailbox),
        (RECIPIENT, &meta.recipient),
        (SENDER, &meta.sender),
    ];
    let mut left = LIMIT;
    for (name, text) in fields {
        let text = encode(text);
        let Some(rest) = left.checked_sub(name.len() + text.len()) else {
            continue;
        };
        if !text.is_empty() {
            left = rest;
            headers.insert(HeaderName::from_static(name), value(&text)?);
        }
    }
    Ok(())
}

/// What the headers say of a body, and the key where they do not.
pub(super) fn read(key: &BlobKey, headers: &HeaderMap) -> BlobMeta {
    let known = BlobMeta::from_key(key);
    let field = |name: &str| decode(headers.get(name)?.to_str().ok()?);
    BlobMeta {
        account: field(ACCOUNT).unwrap_or(known.account),
        mailbox: field(MAILBOX).unwrap_or(known.mailbox),
        internal_date: field(DATE)
            .and_then(|it| it.parse().ok())
            .unwrap_or(known.internal_date),
        sender: field(SENDER).unwrap_or_default(),
        recipient: field(RECIPIENT).unwrap_or_default(),
    }
}

fn encode(text: &str) -> String {
    let plain = text.bytes().all(|octet| octet.is_ascii_graphic());
    match plain && !text.starts_with('=') {
        true => text.to_owned(),
        false => format!("={}", BASE64.encode(text)),
    }
}

fn decode(text: &str) -> Option<String> {
    match text.strip_prefix('=') {
        None => Some(text.to_owned()),
        Some(encoded) => String::from_utf8(BASE64.decode(encoded).ok()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const WRITTEN: BlobWritten = BlobWritten {
        size: 1,
        sha256: [7; 32],
    };

    fn key() -> BlobKey {
        BlobKey::parse("example.com/ada/Maildir/.Sub/cur/1.M2P3.host,S=3:2,").unwrap()
    }

    #[test]
    fn attack_37_values_survive_whatever_they_are() {
        for text in [
            "ada@example.com",
            "a b",
            "=x",
            "\u{d55c}\r\nx: y",
            "\0",
            "%2e",
            "\u{e9}",
        ] {
            let meta = BlobMeta {
                account: text.to_owned(),
                mailbox: text.to_owned(),
                internal_date: -5,
                sender: text.to_owned(),
                recipient: text.to_owned(),
            };
            let mut headers = HeaderMap::new();
            write(&meta, &WRITTEN, &mut headers).unwrap();
            assert_eq!(read(&key(), &headers), meta, "{text:?}");
            for value in headers.values() {
                assert!(value.as_bytes().iter().all(u8::is_ascii_graphic));
            }
        }
    }

    #[test]
    fn attack_37_the_longest_names_lose_the_envelope_first() {
        let long = "\u{d55c}".repeat(166);
        let meta = BlobMeta {
            account: long.clone(),
            mailbox: long.clone(),
            internal_date: 5,
            sender: long.clone(),
            recipient: long.clone(),
        };
        let mut headers = HeaderMap::new();
        write(&meta, &WRITTEN, &mut headers).unwrap();
        let octets: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        assert!(octets <= LIMIT, "{octets}");
        let found = read(&key(), &headers);
        assert_eq!((found.account, found.mailbox), (long.clone(), long));
        assert_eq!((found.internal_date, found.sender.as_str()), (5, ""));
    }

    #[test]
    fn without_headers_the_key_says_what_it_can() {
        let found = read(&key(), &HeaderMap::new());
        assert_eq!(found, BlobMeta::from_key(&key()));
        assert_eq!(found.mailbox, "Sub");
    }
}
