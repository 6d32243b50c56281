//! EXPUNGE, and all other ways in which messages leave a mailbox (I4, I10).

use diesel::sql_types::BigInt;

use super::{
    Conn, account,
    fault::{Fault, number},
    mailbox::{self, Shift},
    sql::{self, Bind, rising, rows, run},
};
use crate::index::{
    Expunge, ExpungeWhich, ExpungedUids, Flags, Mailbox, Outcome, Timestamp, Uid, check,
};

/// Which messages of a mailbox.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    All,
    Among(&'a [Uid]),
    Deleted,
}

/// What stays of messages that leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keep {
    /// They can be brought back, and no longer count against the quota.
    Recoverable,
    /// Only that they were there: they live on elsewhere.
    Trace,
}

/// Messages found, and what they count together.
#[derive(Debug, Default)]
pub(super) struct Picked {
    pub(super) uids: Vec<Uid>,
    pub(super) size: u64,
    /// Each flag that one of them has.
    pub(super) any_flags: u64,
    /// As if all came.
    pub(super) shift: Shift,
    flags: Vec<u64>,
}

/// What counters need of a message: its UID, flags and size.
pub(super) type Row = (i64, i64, i64);

const ALL: &str =
    "SELECT uid, flags, size FROM message WHERE account_id = ? AND mailbox_id = ? ORDER BY uid";
const AMONG: &str = "SELECT uid, flags, size FROM message WHERE account_id = ? AND mailbox_id = ? \
    AND uid ? ORDER BY uid";
/// SQLite would read the whole mailbox, since it believes that every row has flags; the named index has only those with `\Deleted`.
const DELETED: &str = concat!(
    "SELECT uid, flags, size FROM message ",
    indexed_by!("message_deleted"),
    "WHERE account_id = ? AND mailbox_id = ? AND ",
    deleted!(),
    " ORDER BY uid",
);

/// Finds messages by UID.
pub(super) fn pick(conn: &mut Conn, mailbox: &Mailbox, scope: &Scope<'_>) -> Result<Picked, Fault> {
    let (text, uids) = match scope {
        Scope::All => (ALL, None),
        Scope::Among(uids) => (AMONG, Some(sql::uid_list(&rising(uids)))),
        Scope::Deleted => (DELETED, None),
    };
    let mut binds = vec![Bind::Number(mailbox.account.0), Bind::Number(mailbox.id.0)];
    binds.extend(uids.as_ref().map(Bind::Among));
    let found: Vec<Row> = rows::<(BigInt, BigInt, BigInt), _>(conn, text, &binds)?;
    let mut picked = Picked::default();
    for (uid, flags, octets) in found {
        let flags = number(flags, "flags")?;
        let size: u64 = number(octets, "size of a message")?;
        picked.uids.push(Uid(number(uid, "UID")?));
        picked.flags.push(flags);
        picked.any_flags |= flags;
        picked.size = picked.size.saturating_add(size);
        picked.shift.count(flags, octets, 1);
    }
    Ok(picked)
}

impl Picked {
    /// Only those with `\Deleted`; sizes and counters are left as they are.
    fn deleted(&self) -> Vec<Uid> {
        let marked = self.uids.iter().zip(&self.flags);
        let marked = marked.filter(|(_, flags)| Flags(**flags).contains(Flags::DELETED));
        marked.map(|(uid, _)| *uid).collect()
    }
}

pub(super) fn expunge(conn: &mut Conn, change: &Expunge) -> Result<Outcome, Fault> {
    let mailbox = mailbox::owned(conn, change.account, change.mailbox)?;
    let narrowed;
    let scope = match &change.which {
        ExpungeWhich::Deleted => Scope::Deleted,
        ExpungeWhich::DeletedAmong(uids) => {
            narrowed = pick(conn, &mailbox, &Scope::Among(uids))?.deleted();
            Scope::Among(&narrowed)
        }
        ExpungeWhich::Exactly(uids) => Scope::Among(uids),
    };
    let gone = take(conn, &mailbox, scope, Keep::Recoverable, change.now)?;
    Ok(Outcome::Expunged(gone))
}

/// Takes messages out of a mailbox.
pub(super) fn take(
    conn: &mut Conn,
    mailbox: &Mailbox,
    scope: Scope<'_>,
    keep: Keep,
    now: Timestamp,
) -> Result<ExpungedUids, Fault> {
    let picked = pick(conn, mailbox, &scope)?;
    if picked.uids.is_empty() {
        return Ok(ExpungedUids {
            uids: Vec::new(),
            highest_modseq: mailbox.highest_modseq.0,
        });
    }
    let modseq = mailbox::next_modseq(mailbox)?;
    let uids = sql::uid_list(&picked.uids);
    run(
        conn,
        "INSERT INTO expunged \
            (account_id, mailbox_id, uid, modseq, recoverable, flags, keywords, size, internal_date, expunged_at, blob_id) \
         SELECT account_id, mailbox_id, uid, ?, ?, flags & 31, flags & ~31, size, internal_date, ?, blob_id FROM message \
         WHERE account_id = ? AND mailbox_id = ? AND uid ? ORDER BY uid",
        &[
            Bind::Number(modseq),
            Bind::Bool(keep == Keep::Recoverable),
            Bind::Number(now.0),
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.id.0),
            Bind::Among(&uids),
        ],
    )?;
    run(
        conn,
        "DELETE FROM message WHERE account_id = ? AND mailbox_id = ? AND uid ?",
        &[
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.id.0),
            Bind::Among(&uids),
        ],
    )?;
    let shift = Shift {
        messages: -picked.shift.messages,
        unseen: -picked.shift.unseen,
        deleted: -picked.shift.deleted,
        size: -picked.shift.size,
    };
    mailbox::advance(conn, mailbox, shift, mailbox.uid_next.0, modseq)?;
    if keep == Keep::Recoverable {
        account::charge(conn, mailbox.account, -check::octets(picked.size)?)?;
    }
    Ok(ExpungedUids {
        uids: picked.uids,
        highest_modseq: number(modseq, "MODSEQ")?,
    })
}
