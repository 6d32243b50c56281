//! ENVELOPE (RFC 9051 section 7.5.2).
//!
//! **Invariants.** A group is told by NIL alone, as the RFC says: host NIL, and a mailbox only at its start; so a
//! missing domain is an empty string.

use bytes::{BufMut, BytesMut};

use super::string::{nstring, string};
use crate::imap::syntax::Utf8;
use crate::message::address_list::AddressItem;
use crate::message::envelope::Envelope;
use crate::message::part::Text;

/// Writes `(date subject from sender reply-to to cc bcc in-reply-to message-id)`.
pub fn envelope<T: Text>(envelope: &Envelope<T>, utf8: Utf8, out: &mut BytesMut) {
    out.put_u8(b'(');
    nstring(envelope.date.as_ref(), utf8, out);
    out.put_u8(b' ');
    nstring(envelope.subject.as_ref(), utf8, out);
    for list in [
        &envelope.from[..],
        envelope.sender_or_from(),
        envelope.reply_to_or_from(),
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ] {
        out.put_u8(b' ');
        addresses(list, utf8, out);
    }
    out.put_u8(b' ');
    nstring(envelope.in_reply_to.as_ref(), utf8, out);
    out.put_u8(b' ');
    nstring(envelope.message_id.as_ref(), utf8, out);
    out.put_u8(b')');
}

/// `"(" 1*address ")" / nil`, without spaces between.
fn addresses<T: Text>(list: &[AddressItem<T>], utf8: Utf8, out: &mut BytesMut) {
    if list.is_empty() {
        out.put_slice(b"NIL");
        return;
    }
    out.put_u8(b'(');
    for item in list {
        match item {
            AddressItem::Mailbox {
                name,
                route,
                local,
                domain,
            } => {
                out.put_u8(b'(');
                nstring(name.as_ref(), utf8, out);
                out.put_u8(b' ');
                nstring(route.as_ref(), utf8, out);
                out.put_u8(b' ');
                string(local.as_ref(), utf8, out);
                out.put_u8(b' ');
                string(domain.as_ref(), utf8, out);
                out.put_u8(b')');
            }
            AddressItem::GroupStart(name) => {
                out.put_slice(b"(NIL NIL ");
                string(name.as_ref(), utf8, out);
                out.put_slice(b" NIL)");
            }
            AddressItem::GroupEnd => out.put_slice(b"(NIL NIL NIL NIL)"),
        }
    }
    out.put_u8(b')');
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
