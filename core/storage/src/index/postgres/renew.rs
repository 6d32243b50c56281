//! New values of UIDVALIDITY for all mailboxes, once numbers may have been given that the database does not know of (I3).

use diesel::sql_types::BigInt;

use super::{
    Conn,
    fault::{Fault, number},
    sql::{Bind, rows, run},
};
use crate::index::{Outcome, RenewUidValidities, Timestamp, check};

pub(super) fn renew(conn: &mut Conn, change: &RenewUidValidities) -> Result<Outcome, Fault> {
    all(conn, change.now)?;
    Ok(Outcome::Done)
}

/// Each mailbox gets a value that neither it nor another mailbox of its account has had, one after the other. Sessions end: what they know
/// is no more.
pub(super) fn all(conn: &mut Conn, now: Timestamp) -> Result<(), Fault> {
    let now = check::uid_validity_after(0, check::beyond_backups(now))?;
    // However many there are, two statements.
    conn.send_ahead("SET LOCAL statement_timeout = 0");
    run(
        conn,
        "UPDATE mailbox m SET uid_validity = r.value FROM ( \
            SELECT m.account_id, m.id, greatest(u.last_uid_validity + 1, ?) - 1 \
                + row_number() OVER (PARTITION BY m.account_id ORDER BY m.id) AS value \
            FROM mailbox m JOIN virtual_users u ON u.id = m.account_id) r \
         WHERE m.account_id = r.account_id AND m.id = r.id",
        &[Bind::Number(now.into())],
    )?;
    run(
        conn,
        "UPDATE virtual_users u SET version = version + 1, last_uid_validity = greatest(u.last_uid_validity, ( \
            SELECT max(uid_validity) FROM mailbox m WHERE m.account_id = u.id))",
        &[],
    )?;
    let highest = rows::<(BigInt,), (i64,)>(
        conn,
        "SELECT coalesce(max(last_uid_validity), 0) FROM virtual_users",
        &[],
    )?;
    for (highest,) in highest {
        // Beyond its range nothing is renewed.
        let last: u32 = number(highest, "UIDVALIDITY")?;
        tracing::debug!(last, "UIDVALIDITY values are new");
    }
    Ok(())
}
