//! Fields of a message's header that clients list by, as they stand in it, so that
//! `BODY[HEADER.FIELDS (…)]` of these reads no store (RFC 9051 section 6.4.5.1).

use crate::message::header::{FieldNames, Selection, fields, line_end, select};
use crate::message::mime::Limits;

/// Octets of fields that are kept.
pub const FIELDS_LIMIT: usize = 8 * 1024;

/// The fields that are kept: what Thunderbird, Outlook, Apple Mail, K-9, Roundcube and mutt list by. At most 64;
/// new ones go to the end and need a new version of the format.
const KEPT: [&str; 42] = [
    "date",
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "subject",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-language",
    "importance",
    "priority",
    "x-priority",
    "x-msmail-priority",
    "precedence",
    "auto-submitted",
    "list-id",
    "list-post",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "newsgroups",
    "followup-to",
    "mail-followup-to",
    "mail-reply-to",
    "disposition-notification-to",
    "resent-date",
    "resent-from",
    "resent-to",
    "resent-message-id",
    "return-path",
    "delivered-to",
    "x-draft-info",
    "x-uniform-type-identifier",
    "x-universally-unique-identifier",
    "chat-version",
    "x-spam-flag",
];

/// Fields of a header, as they stand in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CachedHeader<T = Vec<u8>> {
    /// The fields in their order, and the empty line.
    pub(super) octets: T,
    /// Which of [`KEPT`] are not here though the header may have them.
    pub(super) missing: u64,
}

impl CachedHeader {
    /// Takes the fields that are kept from a header.
    pub(super) fn of(header: &[u8], limits: &Limits) -> Self {
        let end = line_end(header);
        let mut cached = Self::default();
        let readable = &header[..header.len().min(limits.header)];
        let mut all = fields(readable);
        for field in all.by_ref().take(limits.fields) {
            let Some(index) = KEPT.iter().position(|name| field.is(name)) else {
                continue;
            };
            let mark = 1 << index;
            let fits = cached.octets.len() + field.raw.len() + 2 * end.len() <= FIELDS_LIMIT;
            if fits && cached.missing & mark == 0 {
                cached.octets.extend_from_slice(field.raw);
                if !field.raw.ends_with(b"\n") {
                    cached.octets.extend_from_slice(end);
                }
            } else {
                cached.missing |= mark;
            }
        }
        if readable.len() < header.len() || all.next().is_some() {
            cached.missing = u64::MAX;
        }
        cached.octets.extend_from_slice(end);
        cached
    }
}

impl<T: AsRef<[u8]>> CachedHeader<T> {
    /// The named fields as they stand and an empty line, or `None` if only the message knows them.
    pub fn select(&self, names: &FieldNames) -> Option<Vec<u8>> {
        let known = |name: &[u8]| {
            let index = KEPT.iter().position(|kept| kept.as_bytes() == name);
            index.is_some_and(|index| self.missing & 1 << index == 0)
        };
        names
            .iter()
            .all(known)
            .then(|| select(self.octets.as_ref(), names, Selection::Only))
    }

    /// The kept fields, to search or read them one by one. A name for which [`CachedHeader::has`] is
    /// false may be missing.
    pub fn octets(&self) -> &[u8] {
        self.octets.as_ref()
    }

    /// Whether all fields with this name are here.
    pub fn has(&self, name: &str) -> bool {
        self.select(&FieldNames::new([name])).is_some()
    }
}
