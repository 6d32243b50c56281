//! EXPUNGE, and all other ways in which messages leave a mailbox (I4, I10).

use diesel::{
    QueryableByName, RunQueryDsl, SqliteConnection, sql_query,
    sql_types::{BigInt, Text},
};

use super::{
    account,
    fault::{Fault, number},
    mailbox::{self, Shift},
    sql::{self, Bind, rising, run},
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

/// What counters need of a message.
#[derive(QueryableByName)]
pub(super) struct Row {
    #[diesel(sql_type = BigInt)]
    pub(super) uid: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) flags: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) size: i64,
}

/// SQLite would read the whole mailbox, since it believes that every row has flags; the index has only those with `\Deleted`.
pub(super) const DELETED: &str = "message INDEXED BY message_deleted";

/// Finds messages by UID.
pub(super) fn pick(
    conn: &mut SqliteConnection,
    mailbox: &Mailbox,
    scope: &Scope<'_>,
) -> Result<Picked, Fault> {
    let (from, filter, uids) = match scope {
        Scope::All => ("message", "?3 = ?3", String::new()),
        Scope::Among(uids) => (
            "message",
            "uid IN (SELECT value FROM json_each(?3))",
            sql::uid_list(&rising(uids)),
        ),
        Scope::Deleted => (DELETED, "flags & 8 AND ?3 = ?3", String::new()),
    };
    let rows: Vec<Row> = sql_query(format!(
        "SELECT uid, flags, size FROM {from} WHERE account_id = ?1 AND mailbox_id = ?2 AND {filter} ORDER BY uid"
    ))
    .bind::<BigInt, _>(mailbox.account.0)
    .bind::<BigInt, _>(mailbox.id.0)
    .bind::<Text, _>(uids)
    .load(conn)?;
    let mut picked = Picked::default();
    for row in rows {
        let flags = number(row.flags, "flags")?;
        let size: u64 = number(row.size, "size of a message")?;
        picked.uids.push(Uid(number(row.uid, "UID")?));
        picked.flags.push(flags);
        picked.any_flags |= flags;
        picked.size = picked.size.saturating_add(size);
        picked.shift.count(flags, row.size, 1);
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

pub(super) fn expunge(conn: &mut SqliteConnection, change: &Expunge) -> Result<Outcome, Fault> {
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
    conn: &mut SqliteConnection,
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
            (account_id, mailbox_id, uid, modseq, recoverable, flags, size, internal_date, expunged_at, blob_id) \
         SELECT account_id, mailbox_id, uid, ?, ?, flags & 31, size, internal_date, ?, blob_id FROM message \
         WHERE account_id = ? AND mailbox_id = ? AND uid IN (SELECT value FROM json_each(?)) ORDER BY uid",
        &[
            Bind::Number(modseq),
            Bind::Number(i64::from(keep == Keep::Recoverable)),
            Bind::Number(now.0),
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.id.0),
            Bind::Text(&uids),
        ],
    )?;
    run(
        conn,
        "DELETE FROM message WHERE account_id = ? AND mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))",
        &[
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.id.0),
            Bind::Text(&uids),
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
