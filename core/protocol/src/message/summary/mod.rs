//! What the index holds of a message, made once at delivery: enough for ENVELOPE, BODYSTRUCTURE, SORT, THREAD, a
//! client's message list and PREVIEW without the message itself.
//!
//! **Invariants.** `decode(encode(x)) == x`. What [`Summary::decode`] gives has every promise that
//! [`Summary::of`] keeps, whatever the octets were: spans lie in the message and inside each other.
//! **Bounds.** [`Limits`] say how much is kept; a usual mail takes one to two KiB encoded. Decoding needs memory
//! in proportion to its input and [`codec::TEXT_LIMIT`], and no more.

mod cached_header;
mod codec;
mod kept;

pub use cached_header::{CachedHeader, FIELDS_LIMIT};
pub use kept::Kept;

use super::date::DateTime;
use super::envelope::Envelope;
use super::header;
use super::mime::{Limits, scan};
use super::part::{Part, Span};
use super::preview::preview;
use super::section::SectionText;
use super::thread::{self, BaseSubject};

/// What the index holds of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Summary {
    /// Octets of the message.
    pub size: u64,
    /// Where its parts are and what they say about themselves.
    pub root: Part,
    /// Who, when and what.
    pub envelope: Envelope,
    /// The `Date` field, if it is one.
    pub sent: Option<DateTime>,
    /// The subject as SORT and THREAD compare it.
    pub subject: BaseSubject,
    /// Identifiers of the messages this one follows, the oldest first.
    pub references: Vec<Vec<u8>>,
    /// Fields that clients list by, as they stand in the header.
    pub header: CachedHeader,
    /// A few words of its text.
    pub preview: String,
}

/// Why octets are no summary.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SummaryError {
    /// Made by a version that this one does not know.
    #[error("summary of an unknown version")]
    Version,
    /// Cut short, or not a summary.
    #[error("malformed summary")]
    Malformed,
}

impl Summary {
    /// Makes the summary of a message.
    pub fn of(message: &[u8]) -> Self {
        Self::within(message, &Limits::default())
    }

    /// Makes the summary of a message within other limits than the usual.
    pub fn within(message: &[u8], limits: &Limits) -> Self {
        let scanned = scan(message, limits);
        let header = scanned.root.header.of(message);
        let readable = &header[..header.len().min(limits.header)];
        let references = header::find(readable, "References").map(|field| field.unfolded());
        let in_reply_to = scanned.envelope.in_reply_to.as_deref();
        Self {
            size: message.len() as u64,
            sent: scanned.envelope.date.as_deref().and_then(DateTime::parse),
            subject: BaseSubject::of(scanned.envelope.subject.as_deref().unwrap_or_default()),
            references: thread::references(references.as_deref(), in_reply_to),
            header: CachedHeader::of(header, limits),
            preview: preview(&scanned.root, message),
            root: scanned.root,
            envelope: scanned.envelope,
        }
    }

    /// The octets of a section (RFC 9051 section 6.4.5.1); `None` if there is no such section.
    pub fn section(&self, path: &[u32], text: SectionText) -> Option<Span> {
        self.root.section(path, text)
    }

    /// The message's own identifier as threads compare it, without brackets and quoting.
    pub fn message_id(&self) -> Option<Vec<u8>> {
        thread::message_ids(self.envelope.message_id.as_deref()?).next()
    }

    /// Makes the octets the index keeps.
    pub fn encode(&self) -> Vec<u8> {
        codec::seal(&codec::encode(self))
    }

    /// Reads what [`Summary::encode`] made.
    ///
    /// # Errors
    /// Octets that are no summary, are damaged, or of a version to come: make it anew from the message.
    pub fn decode(octets: &[u8]) -> Result<Self, SummaryError> {
        codec::decode(codec::unseal(octets)?)
    }
}

#[cfg(test)]
mod tests;
