//! Bringing expunged messages back (I10).

use diesel::sql_types::BigInt;

use super::{
    Conn, account,
    expunge::Row,
    fault::{Fault, number},
    mailbox::{self, Shift},
    sql::{self, Bind, rising, rows, run},
};
use crate::index::{Copied, Outcome, Restore, Uid, check};

pub(super) fn restore(conn: &mut Conn, change: &Restore) -> Result<Outcome, Fault> {
    let account = account::existing(conn, change.account)?;
    let to = mailbox::owned(conn, change.account, change.to)?;
    let found: Vec<Row> = rows::<(BigInt, BigInt, BigInt), _>(
        conn,
        "SELECT uid, flags & ~8, size FROM expunged WHERE account_id = ? AND mailbox_id = ? AND recoverable \
         AND uid ? ORDER BY uid",
        &[
            Bind::Number(change.account.0),
            Bind::Number(change.from.0),
            Bind::Among(&sql::uid_list(&rising(&change.uids))),
        ],
    )?;
    let mut shift = Shift::default();
    let mut from = Vec::with_capacity(found.len());
    for (uid, flags, size) in found {
        shift.count(number(flags, "flags")?, size, 1);
        from.push(Uid(number(uid, "UID")?));
    }
    let mut copied = Copied {
        uid_validity: to.uid_validity.0,
        ..Copied::default()
    };
    if from.is_empty() {
        return Ok(Outcome::Copied(copied));
    }
    check::room_for(account.used, number(shift.size, "size")?, account.quota)?;
    let first = to.uid_next.0;
    let uid_next = check::uid_after(first, from.len())?;
    let modseq = mailbox::next_modseq(&to)?;
    let list = sql::uid_list(&from);
    run(
        conn,
        "INSERT INTO message (account_id, mailbox_id, uid, modseq, flags, size, internal_date, save_date, blob_id) \
         SELECT e.account_id, ?, ? + j.key, ?, e.flags & ~8, e.size, e.internal_date, ?, e.blob_id \
         FROM ? j CROSS JOIN expunged e WHERE e.account_id = ? AND e.mailbox_id = ? AND e.uid = j.value",
        &[
            Bind::Number(to.id.0),
            Bind::Number(first.into()),
            Bind::Number(modseq),
            Bind::Number(change.now.0),
            Bind::Numbered(&list),
            Bind::Number(change.account.0),
            Bind::Number(change.from.0),
        ],
    )?;
    // The trace stays for who still has to hear that they went.
    run(
        conn,
        "UPDATE expunged SET recoverable = FALSE WHERE account_id = ? AND mailbox_id = ? \
         AND uid ?",
        &[
            Bind::Number(change.account.0),
            Bind::Number(change.from.0),
            Bind::Among(&list),
        ],
    )?;
    mailbox::advance(conn, &to, shift, uid_next, modseq)?;
    account::charge(conn, change.account, shift.size)?;
    copied.from = from;
    copied.to = (first..uid_next).map(Uid).collect();
    Ok(Outcome::Copied(copied))
}
