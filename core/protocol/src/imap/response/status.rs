//! STATUS (RFC 9051 section 7.3.2; RFC 3501 section 7.2.4; RFC 7162; RFC 7889; RFC 8474).

use bytes::{BufMut, BytesMut};

use super::string::number;
use crate::imap::ask::Counters;
use crate::imap::syntax::status::StatusItem;
use crate::imap::syntax::{MailboxName, Utf8};

/// Writes `* STATUS name (MESSAGES 231 UIDNEXT 44292)`. `append_limit` is the largest message taken, none if there is
/// no limit.
pub fn status(
    name: &MailboxName,
    items: &[StatusItem],
    counters: &Counters,
    append_limit: Option<u64>,
    utf8: Utf8,
    out: &mut BytesMut,
) {
    out.put_slice(b"* STATUS ");
    name.write(utf8, out);
    out.put_slice(b" (");
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.put_u8(b' ');
        }
        if let Some((_, name)) = StatusItem::ALL.iter().find(|(known, _)| known == item) {
            out.put_slice(name.as_bytes());
        }
        out.put_u8(b' ');
        let value = match item {
            StatusItem::Messages => counters.messages.into(),
            StatusItem::UidNext => counters.uid_next.into(),
            StatusItem::UidValidity => counters.uid_validity.into(),
            StatusItem::Unseen => counters.unseen.into(),
            StatusItem::Deleted => counters.deleted.into(),
            StatusItem::Size => counters.size,
            StatusItem::Recent => counters.recent.into(),
            StatusItem::HighestModSeq => counters.highest_modseq,
            StatusItem::AppendLimit => match append_limit {
                Some(limit) => limit,
                None => {
                    out.put_slice(b"NIL");
                    continue;
                }
            },
            StatusItem::MailboxId => {
                out.put_u8(b'(');
                out.put_slice(counters.mailbox_id.as_bytes());
                out.put_u8(b')');
                continue;
            }
        };
        number(value, out);
    }
    out.put_slice(b")\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_items() {
        let counters = Counters {
            messages: 1,
            uid_next: 2,
            uid_validity: 3,
            unseen: 4,
            deleted: 5,
            size: 6,
            recent: 7,
            highest_modseq: 8,
            mailbox_id: "M9".into(),
        };
        let items = StatusItem::ALL.map(|(item, _)| item);
        let name = MailboxName::new("a b").expect("a name");
        let mut out = BytesMut::new();
        status(&name, &items, &counters, Some(10), Utf8::Off, &mut out);
        status(
            &name,
            &[StatusItem::AppendLimit],
            &counters,
            None,
            Utf8::Off,
            &mut out,
        );
        assert_eq!(
            std::str::from_utf8(&out),
            Ok(
                "* STATUS \"a b\" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3 UNSEEN 4 DELETED 5 SIZE 6 RECENT 7 HIGHESTMODSEQ 8 \
                APPENDLIMIT 10 MAILBOXID (M9))\r\n* STATUS \"a b\" (APPENDLIMIT NIL)\r\n"
            )
        );
    }
}
