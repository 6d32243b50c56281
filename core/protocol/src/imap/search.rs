//! Whether a message matches a search (RFC 9051 section 6.4.4), from what is known of it so far.
//!
//! A search is decided with as little as it needs: first from the snapshot alone, then with summaries, and only for what is
//! still open from the messages themselves. So a key is true, false, or not known yet, and `NOT`, `OR` and groups work on all three.

use super::snapshot::Entry;
use super::syntax::flag::Keyword;
use super::syntax::search::{DateOf, SearchKey, When};
use super::types::Flags;
use crate::message::address_list::AddressItem;
use crate::message::encoded_word;
use crate::message::envelope::Envelope;
use crate::message::header::fields;
use crate::message::part::Text;
use crate::message::summary::{Kept, Summary};
use crate::message::text::{Needle, Scope, is_in_message};
use crate::message::{Date, DateTime};

/// True, false, or not known yet.
pub type Verdict = Option<bool>;

/// Decides `key`; `leaf` decides keys without keys inside.
pub fn decide(key: &SearchKey, leaf: &mut impl FnMut(&SearchKey) -> Verdict) -> Verdict {
    match key {
        SearchKey::All => Some(true),
        SearchKey::And(keys) => {
            let mut all = Some(true);
            for key in keys {
                match decide(key, leaf) {
                    Some(false) => return Some(false),
                    Some(true) => {}
                    None => all = None,
                }
            }
            all
        }
        SearchKey::Or(one, other) => match (decide(one, leaf), decide(other, leaf)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        SearchKey::Not(key) => decide(key, leaf).map(|verdict| !verdict),
        key => leaf(key),
    }
}

/// Decides a leaf from the snapshot alone. Sets of numbers and `\Recent` are the session's to decide.
pub fn by_entry(key: &SearchKey, entry: &Entry, keywords: &[String]) -> Verdict {
    match key {
        SearchKey::Flag(flag) => Some(entry.flags.contains(*flag)),
        SearchKey::Keyword(keyword) => Some(has_keyword(entry.flags, keyword, keywords)),
        SearchKey::Larger(octets) => Some(u64::from(entry.size) > *octets),
        SearchKey::Smaller(octets) => Some(u64::from(entry.size) < *octets),
        SearchKey::ModSeq(since) => Some(entry.modseq >= *since),
        SearchKey::Date {
            of: DateOf::Arrival,
            is,
            day,
        } => Some(compares(day_of(entry.internal_date), *is, *day)),
        _ => None,
    }
}

/// Decides a leaf that looks into the message from its summary, where that is enough.
pub fn by_summary(key: &SearchKey, entry: &Entry, summary: &Kept) -> Verdict {
    match key {
        // A message without a date of its own is searched by its arrival: what RFC 5256 section 2.2 has for SORT. The Date field's
        // day is that of its own zone (RFC 9051 section 6.4.4).
        SearchKey::Date {
            of: DateOf::Sent,
            is,
            day,
        } => {
            let sent = summary.sent();
            let date = sent.map_or_else(|| day_of(entry.internal_date), |sent| sent.date());
            Some(compares(date, *is, *day))
        }
        SearchKey::Address { field, text } if has_address(&summary.envelope(), field, text) => {
            Some(true)
        }
        SearchKey::Address { field, text } if summary.header().has(field) => {
            Some(header_matches(summary.header().octets(), field, text))
        }
        SearchKey::Header { field, text } if summary.header().has(field) => {
            Some(header_matches(summary.header().octets(), field, text))
        }
        _ => None,
    }
}

/// Decides a leaf from the message itself.
pub fn by_message(key: &SearchKey, summary: &Summary, message: &[u8]) -> bool {
    let root = &summary.root;
    match key {
        SearchKey::Address { field, text } => {
            has_address(&summary.envelope, field, text)
                || header_matches(root.header.of(message), field, text)
        }
        SearchKey::Header { field, text } => header_matches(root.header.of(message), field, text),
        SearchKey::Body(text) => is_in_message(&Needle::new(text), root, message, Scope::Body),
        SearchKey::Text(text) => is_in_message(&Needle::new(text), root, message, Scope::Text),
        _ => false,
    }
}

/// Whether an address of the envelope, written without comments and folding, holds the text.
fn has_address<T: Text>(envelope: &Envelope<T>, field: &str, text: &str) -> bool {
    let items = match field {
        "Bcc" => &envelope.bcc,
        "Cc" => &envelope.cc,
        "From" => &envelope.from,
        "To" => &envelope.to,
        _ => return false,
    };
    let needle = Needle::new(text);
    items.iter().any(|item| match item {
        AddressItem::Mailbox {
            name,
            local,
            domain,
            ..
        } => {
            let (local, domain) = (
                String::from_utf8_lossy(local.as_ref()),
                String::from_utf8_lossy(domain.as_ref()),
            );
            needle.is_in(&match name {
                Some(name) => format!("{} <{local}@{domain}>", encoded_word::decode(name.as_ref())),
                None => format!("{local}@{domain}"),
            })
        }
        AddressItem::GroupStart(name) => needle.is_in(&encoded_word::decode(name.as_ref())),
        AddressItem::GroupEnd => false,
    })
}

fn header_matches(header: &[u8], name: &str, text: &str) -> bool {
    let needle = Needle::new(text);
    let mut named = fields(header).filter(|field| field.is(name));
    named.any(|field| text.is_empty() || needle.is_in(&field.text()))
}

fn has_keyword(flags: Flags, keyword: &Keyword, keywords: &[String]) -> bool {
    let number = keywords
        .iter()
        .position(|known| known.eq_ignore_ascii_case(keyword.as_str()));
    number.is_some_and(|number| flags.contains(Flags::keyword(number)))
}

/// INTERNALDATE is kept, told and searched in UTC.
fn day_of(seconds: i64) -> Date {
    DateTime::utc(seconds).utc_date()
}

fn compares(date: Date, is: When, day: Date) -> bool {
    match is {
        When::Before => date < day,
        When::On => date == day,
        When::Since => date >= day,
    }
}
