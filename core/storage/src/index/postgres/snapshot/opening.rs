//! The first read of a mailbox: its row, its keywords, and its messages, from what is remembered of them or else from their rows.

use std::ops::RangeInclusive;

use tokio_postgres::Row;

use super::{
    super::{
        changes::{self, Changed, KEYWORDS, MailboxRow},
        look::{self, Ask, Look, get},
    },
    At, code,
};
use crate::{
    Error,
    index::{MailboxChanges, MailboxId, Message, ModSeq},
};

/// What is remembered of a mailbox, if it is of use: of its UIDVALIDITY, with a log of what went since, and neither too few messages nor too many.
macro_rules! usable {
    () => {
        "s.uid_validity = m.uid_validity AND s.modseq >= m.vanished_floor AND m.messages BETWEEN $2 AND $3"
    };
}

const MAILBOX: &str = changes::mailbox_row!(
    concat!(
        ", pg_is_in_recovery(), s.modseq, CASE WHEN ",
        usable!(),
        " THEN s.messages END"
    ),
    " LEFT JOIN mailbox_snapshot s ON s.account_id = m.account_id AND s.mailbox_id = m.id"
);
/// Nothing of use is remembered.
const MESSAGES: &str = changes::messages!(concat!(
    " AND NOT EXISTS (SELECT 1 FROM mailbox m JOIN mailbox_snapshot s \
     ON s.account_id = m.account_id AND s.mailbox_id = m.id WHERE m.id = $1 AND ",
    usable!(),
    ")"
));

/// How a mailbox is found.
pub(super) enum Opened {
    /// All of it was read.
    Rows(Changed),
    /// It is as it is remembered.
    Remembered(Changed),
    /// As it was at a modification sequence.
    At(At, Vec<Message>),
    /// What is remembered cannot be read, or is of another mailbox.
    Unreadable,
}

/// What else was seen.
pub(super) struct Seen {
    /// The modification sequence of what is remembered, whatever it is worth.
    pub(super) modseq: Option<i64>,
    /// Nothing can be written there.
    pub(super) is_standby: bool,
}

/// Reads it.
pub(super) struct Opening {
    id: MailboxId,
    sizes: RangeInclusive<u64>,
    mailbox: Option<MailboxRow>,
    seen: Seen,
    /// None where nothing of use is remembered; within, none where it cannot be read.
    known: Option<Option<Vec<Message>>>,
    keywords: Vec<String>,
    rows: Vec<Message>,
}

impl Opening {
    pub(super) fn new(id: MailboxId, sizes: RangeInclusive<u64>) -> Self {
        Self {
            id,
            sizes,
            mailbox: None,
            seen: Seen {
                modseq: None,
                is_standby: false,
            },
            known: None,
            keywords: Vec::new(),
            rows: Vec::new(),
        }
    }
}

impl Look for Opening {
    type Found = (Opened, Seen);

    fn asks(&self) -> Vec<Ask<'_>> {
        let size = |it: &u64| look::number(i64::try_from(*it).unwrap_or(i64::MAX));
        let id = || look::number(self.id.0);
        let sizes = || vec![id(), size(self.sizes.start()), size(self.sizes.end())];
        vec![
            Ask::Planned(MAILBOX, sizes()),
            Ask::Planned(KEYWORDS, vec![id()]),
            Ask::Planned(MESSAGES, sizes()),
        ]
    }

    fn row(&mut self, query: usize, row: Row) -> Result<(), Error> {
        match query {
            0 => {
                self.mailbox = Some(MailboxRow::read(&row)?);
                self.seen.is_standby = get(&row, 8)?;
                self.seen.modseq = get(&row, 9)?;
                self.known = get::<Option<&[u8]>>(&row, 10)?.map(code::decode);
            }
            1 => changes::keyword(&row, &mut self.keywords)?,
            _ => self.rows.push(changes::message(&row)?),
        }
        Ok(())
    }

    fn found(self) -> Result<Self::Found, Error> {
        let mailbox = self.mailbox.ok_or(Error::NotFound("mailbox"))?;
        let all = |messages| Changed {
            counts: mailbox.counts,
            changes: MailboxChanges {
                uid_validity: mailbox.uid_validity,
                highest_modseq: mailbox.highest_modseq,
                uid_next: mailbox.uid_next,
                changed: messages,
                expunged: Vec::new(),
                keywords: self.keywords,
            },
        };
        let at = self.seen.modseq.and_then(|it| u64::try_from(it).ok());
        let opened = match (self.known, at) {
            (None, _) => Opened::Rows(all(self.rows)),
            (Some(Some(known)), Some(at)) if at < mailbox.highest_modseq => {
                let at = At {
                    uid_validity: mailbox.uid_validity,
                    modseq: ModSeq(at),
                };
                Opened::At(at, known)
            }
            (Some(Some(known)), Some(at))
                if at == mailbox.highest_modseq
                    && changes::Counts::of(&known) == mailbox.counts =>
            {
                Opened::Remembered(all(known))
            }
            _ => Opened::Unreadable,
        };
        Ok((opened, self.seen))
    }
}
