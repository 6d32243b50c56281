//! New values of UIDVALIDITY for all mailboxes, once numbers may have been given that the database does not know of (I3).

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

use super::{
    Conn,
    fault::{Fault, number},
    schema::{mailbox, virtual_users},
    sql::{Bind, run},
};
use crate::index::{Outcome, RenewUidValidities, Timestamp, check};

pub(super) fn renew(conn: &mut Conn, change: &RenewUidValidities) -> Result<Outcome, Fault> {
    all(conn, change.now)?;
    Ok(Outcome::Done)
}

/// Each mailbox gets a value that neither it nor another mailbox of its account has had. Sessions end: what they know is no more.
pub(super) fn all(conn: &mut Conn, now: Timestamp) -> Result<(), Fault> {
    let now = check::beyond_backups(now);
    let accounts: Vec<(i64, i64)> = virtual_users::table
        .select((virtual_users::id, virtual_users::last_uid_validity))
        .load(conn)?;
    for (account, last) in accounts {
        let mailboxes: Vec<i64> = mailbox::table
            .filter(mailbox::account_id.eq(account))
            .order(mailbox::id)
            .select(mailbox::id)
            .load(conn)?;
        let mut last: u32 = number(last, "UIDVALIDITY")?;
        for id in mailboxes {
            last = check::uid_validity_after(last, now)?;
            run(
                conn,
                "UPDATE mailbox SET uid_validity = ? WHERE account_id = ? AND id = ?",
                &[
                    Bind::Number(last.into()),
                    Bind::Number(account),
                    Bind::Number(id),
                ],
            )?;
        }
        run(
            conn,
            "UPDATE virtual_users SET last_uid_validity = ?, version = version + 1 WHERE id = ?",
            &[Bind::Number(last.into()), Bind::Number(account)],
        )?;
    }
    Ok(())
}
