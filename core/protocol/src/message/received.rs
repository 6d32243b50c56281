//! Trace fields: composing `Received` and `Return-Path` (RFC 5321 section 4.4), counting hops (section 6.3).
//!
//! **Invariants.** Whatever the values, each composed field is one field: its lines but the first begin with a
//! tab, and hold nothing but printable ASCII and UTF-8. Values that a peer chose cannot end a clause or open
//! a comment.

use core::fmt::Write as _;
use core::net::IpAddr;

use super::address::{Address, DOMAIN_LIMIT};
use super::date::DateTime;
use super::header::fields;

/// The values of a `Received` field.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// What the peer called itself; anything.
    pub helo: &'a str,
    /// The name its address has, if that was looked up and confirmed.
    pub peer_name: Option<&'a str>,
    /// Its address; none over a unix socket.
    pub peer_ip: Option<IpAddr>,
    /// Our name.
    pub by: &'a str,
    /// How it came: `ESMTPS` (RFC 3848, RFC 6531 section 4.3).
    pub with: &'a str,
    /// What to say of the TLS connection, such as `TLSv1.3, TLS_AES_256_GCM_SHA384`.
    pub tls: Option<&'a str>,
    /// Our name for the transmission.
    pub id: &'a str,
    /// The recipient. Only where there is one, so that blind copies stay blind (RFC 5321 section 7.2).
    pub recipient: Option<&'a Address>,
    /// Now.
    pub date: DateTime,
}

impl Received<'_> {
    /// The field with its line ends.
    pub fn header(&self) -> String {
        let mut field = format!("Received: from {}", domain(self.helo));
        // Writing to a string does not fail.
        let _ = match (self.peer_name, self.peer_ip) {
            (Some(name), Some(ip)) => write!(field, " ({} {})", domain(name), literal(ip)),
            (None, Some(ip)) => write!(field, " ({})", literal(ip)),
            (_, None) => Ok(()),
        };
        if let Some(tls) = self.tls {
            let _ = write!(
                field,
                "\r\n\t(using {})",
                plain(tls, |c| " .,;:-_/=".contains(c))
            );
        }
        let by = domain(self.by);
        let with = plain(self.with, |_| false);
        let id = plain(self.id, |c| "-._".contains(c));
        let _ = write!(field, "\r\n\tby {by} with {with} id {id}");
        if let Some(recipient) = self.recipient {
            let _ = write!(field, "\r\n\tfor <{recipient}>");
        }
        let _ = write!(field, ";\r\n\t{}\r\n", self.date.header());
        field
    }
}

/// `Return-Path: <…>` with its line end; the null path for `None`.
pub fn return_path(sender: Option<&Address>) -> String {
    match sender {
        Some(sender) => format!("Return-Path: <{sender}>\r\n"),
        None => "Return-Path: <>\r\n".to_owned(),
    }
}

/// How often a message has passed a server: its `Received` fields. A loop is assumed above about 100.
pub fn hops(message: &[u8]) -> usize {
    fields(message).filter(|field| field.is("Received")).count()
}

/// A name as a peer gave it, or what is harmless of it.
fn domain(name: &str) -> String {
    plain(name, |character| ".-_:[]".contains(character))
}

/// Letters, digits and what else is allowed; `?` for the rest, `unknown` for nothing.
fn plain(text: &str, allowed: impl Fn(char) -> bool) -> String {
    let harmless = |character: char| {
        if character.is_alphanumeric() || allowed(character) {
            character
        } else {
            '?'
        }
    };
    let text: String = text.chars().take(DOMAIN_LIMIT).map(harmless).collect();
    if text.is_empty() {
        "unknown".to_owned()
    } else {
        text
    }
}

/// `address-literal` (RFC 5321 section 4.1.3). An IPv4 address in an IPv6 socket is an IPv4 address.
fn literal(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::header;
    use proptest::prelude::*;

    fn received<'a>(helo: &'a str, recipient: Option<&'a Address>) -> Received<'a> {
        Received {
            helo,
            peer_name: Some("host.example"),
            peer_ip: Some([192, 0, 2, 1].into()),
            by: "mx.example",
            with: "ESMTPS",
            tls: Some("TLSv1.3, TLS_AES_256_GCM_SHA384"),
            id: "4Zx-1",
            recipient,
            date: DateTime {
                epoch: 880_127_706,
                offset: -360,
            },
        }
    }

    #[test]
    fn all_clauses() {
        let ada = "ada@example.com".parse().expect("an address");
        assert_eq!(
            received("helo.example", Some(&ada)).header(),
            "Received: from helo.example (host.example [192.0.2.1])\r\n\
             \t(using TLSv1.3, TLS_AES_256_GCM_SHA384)\r\n\
             \tby mx.example with ESMTPS id 4Zx-1\r\n\
             \tfor <ada@example.com>;\r\n\
             \tFri, 21 Nov 1997 09:55:06 -0600\r\n"
        );
    }

    #[test]
    fn few_clauses() {
        let bare = Received {
            peer_name: None,
            peer_ip: "::ffff:192.0.2.7".parse().ok(),
            tls: None,
            with: "SMTP",
            ..received("[192.0.2.7]", None)
        };
        assert_eq!(
            bare.header(),
            "Received: from [192.0.2.7] ([192.0.2.7])\r\n\tby mx.example with SMTP id 4Zx-1;\r\n\tFri, 21 Nov 1997 09:55:06 -0600\r\n"
        );
        let socket = Received {
            peer_ip: None,
            ..bare
        };
        assert!(
            socket
                .header()
                .starts_with("Received: from [192.0.2.7]\r\n")
        );
    }

    #[test]
    fn return_paths() {
        let odd = "\"a b\"@example.com".parse().expect("an address");
        assert_eq!(
            return_path(Some(&odd)),
            "Return-Path: <\"a b\"@example.com>\r\n"
        );
        assert_eq!(return_path(None), "Return-Path: <>\r\n");
    }

    #[test]
    fn hops_are_counted_in_the_header_alone() {
        assert_eq!(
            hops(b"Received: a\r\n b\r\nreceived : c\r\nX-Received: d\r\n\r\nReceived: e\r\n"),
            2
        );
    }

    proptest! {
        #[test]
        fn nothing_is_injected(helo in any::<String>(), id in any::<String>(), tls in any::<String>()) {
            let composed = Received { id: &id, tls: Some(&tls), ..received(&helo, None) }.header();
            prop_assert_eq!(header::fields(composed.as_bytes()).count(), 1);
            prop_assert_eq!(header::split(composed.as_bytes()).0.len(), composed.len());
            prop_assert!(composed.ends_with("\tFri, 21 Nov 1997 09:55:06 -0600\r\n"));
            prop_assert!(!composed.replace("\r\n\t", "").trim_end().contains(char::is_control));
            prop_assert_eq!(composed.matches(['(', ')']).count(), 4);
        }
    }
}
