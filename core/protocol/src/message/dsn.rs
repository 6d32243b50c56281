//! Reports that a message was delivered (RFC 3461 section 6, RFC 3464, RFC 6522, RFC 6533).
//!
//! **Invariants.** A report has the null reverse-path and says that it was made by a machine, so that nothing answers it (RFC 3834
//! section 4). Values of the sender's stand in it one field each; they hold no control character.
//! **Bounds.** Of the message the header comes back, at most [`HEADER`] octets of it.

use core::fmt::Write as _;

use super::address::Address;
use super::date::DateTime;
use super::header;
use crate::smtp::dsn::{EnvelopeId, OriginalRecipient};

/// Octets of the message's header that a report brings back.
pub const HEADER: usize = 32 * 1024;

/// A report of successes.
#[derive(Debug)]
pub struct Report<'a> {
    /// Our name.
    pub hostname: &'a str,
    /// Who sent the message.
    pub to: &'a Address,
    /// ENVID of the transmission.
    pub envelope_id: Option<&'a EnvelopeId>,
    /// When the message came.
    pub arrival: DateTime,
    /// A name for the report, of letters and digits, that stands nowhere in the message.
    pub name: &'a str,
    /// What became of the recipients that are reported, at least one.
    pub recipients: &'a [Success<'a>],
    /// The message, or its beginning.
    pub message: &'a [u8],
}

/// A recipient that has the message.
#[derive(Debug)]
pub struct Success<'a> {
    /// The address that we took it for; `None` is `<Postmaster>`.
    pub address: Option<&'a Address>,
    /// ORCPT
    pub original: Option<&'a OriginalRecipient>,
    /// What was done.
    pub action: Action,
}

/// What was done for a recipient (RFC 3464 section 2.3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// It lies in the mailbox.
    Delivered,
    /// The address stands for several, and all of them have it.
    Expanded,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Expanded => "expanded",
        }
    }
}

impl Report<'_> {
    /// The whole message, with its Return-Path.
    pub fn message(&self) -> Vec<u8> {
        let status = self.status();
        let returned = self.returned();
        // What holds UTF-8 has other types (RFC 6533 section 4).
        let international = !(status.is_ascii() && returned.is_ascii());
        let (status_type, header_type, encoding) = match international {
            false => ("message/delivery-status", "text/rfc822-headers", "7bit"),
            true => (
                "message/global-delivery-status",
                "message/global-headers",
                "8bit",
            ),
        };
        let Self {
            hostname, to, name, ..
        } = self;
        let boundary = format!("=_{name}");
        let date = self.arrival.header();
        let mut text = format!(
            "Return-Path: <>\r\n\
             From: Mail delivery <postmaster@{hostname}>\r\n\
             To: <{to}>\r\n\
             Subject: Delivered\r\n\
             Date: {date}\r\n\
             Message-ID: <{name}@{hostname}>\r\n\
             Auto-Submitted: auto-replied\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\
             \r\n\
             --{boundary}\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\
             \r\n\
             Your message was delivered to:\r\n\r\n"
        );
        for recipient in self.recipients {
            // Writing to a string does not fail.
            let _ = write!(text, "    {}\r\n", named(recipient.address));
        }
        let _ = write!(
            text,
            "\r\n--{boundary}\r\nContent-Type: {status_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{status}"
        );
        let _ = write!(
            text,
            "\r\n--{boundary}\r\nContent-Type: {header_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        );
        let mut message = text.into_bytes();
        message.extend_from_slice(&returned);
        message.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        message
    }

    /// `per-message-fields`, then a group of `per-recipient-fields` each (RFC 3464 section 2.1).
    fn status(&self) -> String {
        let mut text = String::new();
        if let Some(id) = self.envelope_id {
            let _ = write!(text, "Original-Envelope-Id: {}\r\n", id.as_str());
        }
        let (hostname, date) = (self.hostname, self.arrival.header());
        let _ = write!(
            text,
            "Reporting-MTA: dns; {hostname}\r\nArrival-Date: {date}\r\n"
        );
        for recipient in self.recipients {
            text.push_str("\r\n");
            if let Some(original) = recipient.original {
                let _ = write!(text, "Original-Recipient: {original}\r\n");
            }
            let address = named(recipient.address);
            let kind = if address.is_ascii() {
                "rfc822"
            } else {
                "utf-8"
            };
            let action = recipient.action.name();
            let _ = write!(
                text,
                "Final-Recipient: {kind}; {address}\r\nAction: {action}\r\nStatus: 2.0.0\r\n"
            );
        }
        text
    }

    /// Whole lines of the message's header, as lines.
    fn returned(&self) -> Vec<u8> {
        let (fields, _) = header::split(self.message);
        let cut = match fields.get(..HEADER) {
            None => fields,
            Some(most) => {
                let end = most.iter().rposition(|octet| *octet == b'\n');
                &most[..end.map_or(0, |end| end + 1)]
            }
        };
        let mut returned = Vec::with_capacity(cut.len());
        for line in cut.split(|octet| *octet == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                // What is no UTF-8 could stand in no type that there is.
                returned.extend_from_slice(String::from_utf8_lossy(line).as_bytes());
                returned.extend_from_slice(b"\r\n");
            }
        }
        returned
    }
}

fn named(address: Option<&Address>) -> String {
    address.map_or_else(|| "postmaster".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::{Limits, scan};
    use crate::message::part::Content;

    fn address(text: &str) -> Address {
        text.parse().expect("an address")
    }

    fn report(to: &str, id: Option<&[u8]>, original: &[u8], message: &[u8]) -> String {
        let (to, ada) = (address(to), address("ada@example.test"));
        let list = address("list@example.test");
        let id = id.map(|id| EnvelopeId::parse(id).expect("an id"));
        let original = OriginalRecipient::parse(original, true);
        let success = |address, original, action| Success {
            address: Some(address),
            original,
            action,
        };
        let report = Report {
            hostname: "mail.example.test",
            to: &to,
            envelope_id: id.as_ref(),
            arrival: DateTime::utc(1_700_000_000),
            name: "R4ND0M",
            recipients: &[
                success(&ada, original.as_ref(), Action::Delivered),
                success(&list, None, Action::Expanded),
            ],
            message,
        };
        String::from_utf8(report.message()).expect("text")
    }

    #[test]
    fn says_what_rfc_3464_wants() {
        let text = report(
            "bob@example.test",
            Some(b"QQ314159"),
            b"rfc822;Ada+2Bx@example.test",
            b"Subject: hello\r\nTo: x\r\n\r\n--=_R4ND0M\r\nbody\r\n",
        );
        for line in [
            "Return-Path: <>\r\n",
            "To: <bob@example.test>\r\n",
            "Auto-Submitted: auto-replied\r\n",
            "\r\n\r\nOriginal-Envelope-Id: QQ314159\r\nReporting-MTA: dns; mail.example.test\r\nArrival-Date: ",
            "\r\n\r\nOriginal-Recipient: rfc822;Ada+x@example.test\r\nFinal-Recipient: rfc822; ada@example.test\r\nAction: delivered\r\nStatus: 2.0.0\r\n",
            "\r\n\r\nFinal-Recipient: rfc822; list@example.test\r\nAction: expanded\r\nStatus: 2.0.0\r\n",
            "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: hello\r\nTo: x\r\n\r\n--=_R4ND0M--\r\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        assert!(!text.contains("body"));
        let scanned = scan(text.as_bytes(), &Limits::default());
        let Content::Multipart(parts) = &scanned.root.content else {
            panic!("{text}");
        };
        assert_eq!(parts.len(), 3);
    }

    #[test]
    fn what_is_not_ascii_has_its_own_types() {
        let text = report(
            "b\u{f6}b@example.test",
            None,
            b"utf-8;\xc3\xa9@x",
            b"A: b\r\n\r\n",
        );
        assert!(text.contains("Content-Type: message/global-delivery-status\r\n"));
        assert!(text.contains("Original-Recipient: utf-8;\u{e9}@x\r\n"));
        assert!(text.contains("Content-Type: message/global-headers\r\n"));
        assert!(!text.contains("7bit") && text.contains("8bit"));
    }

    #[test]
    fn a_header_of_any_size_and_shape_comes_back_as_lines() {
        let long = "X: y\r\n".repeat(HEADER);
        let text = report("bob@example.test", None, b"", long.as_bytes());
        assert!(text.len() < HEADER + 3_000);
        let text = report("bob@example.test", None, b"", b"A: \xff\nB: c\r\n\r\nbody");
        assert!(text.contains("\r\n\r\nA: \u{fffd}\r\nB: c\r\n\r\n--=_"));
    }
}
