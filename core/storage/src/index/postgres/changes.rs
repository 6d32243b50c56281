//! What changed in a mailbox, in one way to the server: what SELECT reads of every message of a mailbox.

use tokio_postgres::Row;

use super::{
    fault::number,
    look::{self, Ask, Look, get},
};
use crate::{
    Error,
    index::{
        BlobId, Flags, MailboxChanges, MailboxId, Message, ModSeq, Timestamp, Uid, UidValidity,
    },
};

/// What [`MailboxRow::read`] reads.
macro_rules! mailbox_row {
    ($and:expr, $from:literal) => {
        concat!(
            "SELECT m.uid_validity, m.uid_next, m.highest_modseq, m.vanished_floor, m.messages, m.unseen, m.deleted, m.size",
            $and,
            " FROM mailbox m",
            $from,
            " WHERE m.id = $1 AND m.selectable"
        )
    };
}
pub(super) use mailbox_row;

const MAILBOX: &str = mailbox_row!("", "");
pub(super) const KEYWORDS: &str = "SELECT number, name FROM mailbox_keyword \
    WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1 ORDER BY number";
/// What [`message`] reads. Who was never changed and came when it was delivered says so by saying nothing.
macro_rules! messages {
    ($which:expr) => {
        concat!(
            "SELECT uid, modseq, nullif(flags, 0), size, internal_date, nullif(save_date, internal_date), blob_id FROM message \
             WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1",
            $which,
            " ORDER BY uid"
        )
    };
}
pub(super) use messages;

const MESSAGES: &str = messages!("");
const CHANGED: &str = messages!(" AND modseq > $2");
const VANISHED: &str = "SELECT uid FROM expunged \
    WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1 AND modseq > $2 ORDER BY uid";
/// All that is there, where the log of what went does not reach back far enough.
const PRESENT: &str = "SELECT uid FROM message \
    WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1 \
    AND $2 < (SELECT vanished_floor FROM mailbox WHERE id = $1) ORDER BY uid";

/// What the row of a mailbox says.
#[derive(Debug)]
pub(super) struct MailboxRow {
    pub(super) uid_validity: UidValidity,
    pub(super) uid_next: u32,
    pub(super) highest_modseq: u64,
    /// How far the log of what went reaches back.
    vanished_floor: i64,
    pub(super) counts: Counts,
}

/// What the row of a mailbox says of all its messages together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    pub(super) messages: u64,
    unseen: u64,
    deleted: u64,
    size: u64,
}

impl Counts {
    /// Those of these messages.
    pub(super) fn of(messages: &[Message]) -> Counts {
        let mut counts = Counts::default();
        for message in messages {
            counts.messages += 1;
            counts.unseen += u64::from(!message.flags.contains(Flags::SEEN));
            counts.deleted += u64::from(message.flags.contains(Flags::DELETED));
            counts.size = counts.size.wrapping_add(message.size);
        }
        counts
    }
}

impl MailboxRow {
    pub(super) fn read(row: &Row) -> Result<MailboxRow, Error> {
        let count = |at| number(get(row, at)?, "a count of messages");
        Ok(MailboxRow {
            uid_validity: UidValidity(number(get(row, 0)?, "UIDVALIDITY")?),
            uid_next: number(get(row, 1)?, "UIDNEXT")?,
            highest_modseq: number(get(row, 2)?, "HIGHESTMODSEQ")?,
            vanished_floor: get(row, 3)?,
            counts: Counts {
                messages: count(4)?,
                unseen: count(5)?,
                deleted: count(6)?,
                size: count(7)?,
            },
        })
    }
}

/// What changed, and what the mailbox counts by then.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) changes: MailboxChanges,
    pub(super) counts: Counts,
}

/// As [`Index::changes`](crate::index::Index::changes).
#[derive(Debug)]
pub(super) struct Changes {
    id: MailboxId,
    since: i64,
    mailbox: Option<MailboxRow>,
    keywords: Vec<String>,
    changed: Vec<Message>,
    vanished: Vec<Uid>,
    present: Vec<Uid>,
}

impl Changes {
    pub(super) fn new(id: MailboxId, since: ModSeq) -> Changes {
        Changes {
            id,
            // What is beyond the column's range is beyond every modification sequence.
            since: i64::try_from(since.0).unwrap_or(i64::MAX),
            mailbox: None,
            keywords: Vec::new(),
            changed: Vec::new(),
            vanished: Vec::new(),
            present: Vec::new(),
        }
    }
}

impl Look for Changes {
    type Found = Changed;

    fn asks(&self) -> Vec<Ask<'_>> {
        let of = || vec![look::number(self.id.0)];
        let of_since = || vec![look::number(self.id.0), look::number(self.since)];
        match self.since {
            0 => vec![
                Ask::Planned(MAILBOX, of()),
                Ask::Planned(KEYWORDS, of()),
                Ask::Planned(MESSAGES, of()),
            ],
            _ => vec![
                Ask::Planned(MAILBOX, of()),
                Ask::Planned(KEYWORDS, of()),
                Ask::Planned(CHANGED, of_since()),
                Ask::Planned(VANISHED, of_since()),
                Ask::Planned(PRESENT, of_since()),
            ],
        }
    }

    fn row(&mut self, query: usize, row: Row) -> Result<(), Error> {
        match query {
            0 => self.mailbox = Some(MailboxRow::read(&row)?),
            1 => keyword(&row, &mut self.keywords)?,
            2 => self.changed.push(message(&row)?),
            3 => self.vanished.push(uid(&row)?),
            _ => self.present.push(uid(&row)?),
        }
        Ok(())
    }

    fn found(self) -> Result<Changed, Error> {
        let mailbox = self.mailbox.ok_or(Error::NotFound("mailbox"))?;
        let expunged = match self.since {
            0 => Vec::new(),
            since if since >= mailbox.vanished_floor => self.vanished,
            _ => {
                let mut present = self.present.into_iter().peekable();
                let all = (1..mailbox.uid_next).map(Uid);
                all.filter(|uid| present.next_if_eq(uid).is_none())
                    .collect()
            }
        };
        Ok(Changed {
            counts: mailbox.counts,
            changes: MailboxChanges {
                uid_validity: mailbox.uid_validity,
                highest_modseq: mailbox.highest_modseq,
                uid_next: mailbox.uid_next,
                changed: self.changed,
                expunged,
                keywords: self.keywords,
            },
        })
    }
}

/// The next keyword of a mailbox.
pub(super) fn keyword(row: &Row, keywords: &mut Vec<String>) -> Result<(), Error> {
    if usize::try_from(get::<i64>(row, 0)?) != Ok(keywords.len()) {
        return Err(Error::Corrupt("keyword numbers have a gap".to_owned()));
    }
    keywords.push(get(row, 1)?);
    Ok(())
}

pub(super) fn message(row: &Row) -> Result<Message, Error> {
    let internal_date = get(row, 4)?;
    Ok(Message {
        uid: uid(row)?,
        modseq: ModSeq(number(get(row, 1)?, "MODSEQ")?),
        flags: Flags(number(get::<Option<i64>>(row, 2)?.unwrap_or(0), "flags")?),
        size: number(get(row, 3)?, "size of a message")?,
        internal_date: Timestamp(internal_date),
        save_date: Timestamp(get::<Option<i64>>(row, 5)?.unwrap_or(internal_date)),
        blob: BlobId(get(row, 6)?),
    })
}

fn uid(row: &Row) -> Result<Uid, Error> {
    Ok(Uid(number(get(row, 0)?, "UID")?))
}
