//! Rows of mailboxes: what SELECT, STATUS and LIST ask first.

use tokio_postgres::Row;

use super::{
    fault::number,
    kept::{Kept, Parameter},
    look::{self, Ask, Look, get},
    mailbox,
};
use crate::{
    Error,
    index::{AccountId, Mailbox, MailboxId, ModSeq, Timestamp, Uid, UidValidity},
};

macro_rules! mailboxes {
    ($which:literal) => {
        concat!(
            "SELECT account_id, id, name, selectable, special_use, uid_validity, uid_next, highest_modseq, first_recent, messages, \
             unseen, deleted, size, created FROM mailbox WHERE ",
            $which
        )
    };
}

const BY_ID: Kept = Kept::new(mailboxes!("id = $1"));
const BY_NAME: Kept = Kept::new(mailboxes!("account_id = $1 AND name = $2"));
const ALL: &str = mailboxes!("account_id = $1 ORDER BY name <> 'INBOX', name");

/// Which mailboxes are wanted.
#[derive(Clone, Debug)]
pub(super) enum Which {
    Id(MailboxId),
    Name(AccountId, String),
    All(AccountId),
}

/// Mailboxes as their rows say; INBOX first.
#[derive(Debug)]
pub(super) struct Mailboxes {
    which: Which,
    found: Vec<Mailbox>,
}

impl Mailboxes {
    pub(super) fn new(which: Which) -> Mailboxes {
        let found = Vec::new();
        Mailboxes { which, found }
    }
}

impl Look for Mailboxes {
    type Found = Vec<Mailbox>;

    fn asks(&self) -> Vec<Ask<'_>> {
        vec![match &self.which {
            Which::Id(id) => Ask::Kept(BY_ID, vec![Parameter::Number(id.0)]),
            Which::Name(account, name) => Ask::Kept(
                BY_NAME,
                vec![Parameter::Number(account.0), Parameter::Text(name)],
            ),
            Which::All(account) => Ask::Planned(ALL, vec![look::number(account.0)]),
        }]
    }

    fn row(&mut self, _: usize, row: Row) -> Result<(), Error> {
        self.found.push(read(&row)?);
        Ok(())
    }

    fn found(self) -> Result<Vec<Mailbox>, Error> {
        Ok(self.found)
    }
}

fn read(row: &Row) -> Result<Mailbox, Error> {
    let special_use: Option<&str> = get(row, 4)?;
    Ok(Mailbox {
        account: AccountId(get(row, 0)?),
        id: MailboxId(get(row, 1)?),
        name: get(row, 2)?,
        selectable: get(row, 3)?,
        special_use: special_use.map(mailbox::special_use).transpose()?,
        uid_validity: UidValidity(number(get(row, 5)?, "UIDVALIDITY")?),
        uid_next: Uid(number(get(row, 6)?, "UIDNEXT")?),
        highest_modseq: ModSeq(number(get(row, 7)?, "HIGHESTMODSEQ")?),
        first_recent: Uid(number(get(row, 8)?, "first recent UID")?),
        messages: number(get(row, 9)?, "count of messages")?,
        unseen: number(get(row, 10)?, "count of unseen messages")?,
        deleted: number(get(row, 11)?, "count of deleted messages")?,
        size: number(get(row, 12)?, "size of a mailbox")?,
        created: Timestamp(get(row, 13)?),
    })
}
