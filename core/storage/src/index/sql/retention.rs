//! How long messages stay that POP3 has retrieved.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, sql_types::BigInt, update};

use super::{
    Conn, account,
    fault::{Fault, number},
    mailbox,
    moment::Moment,
    schema::virtual_users,
    sql::{self, Bind, rows, run},
};
use crate::{
    Error,
    index::{
        AccountId, INBOX, MailboxId, Outcome, Overdue, Retention, Retrieved, SetRetention,
        Timestamp, Uid, check,
    },
};

/// A retention as its column has it.
fn days(retention: Retention) -> i64 {
    match retention {
        Retention::Never => 0,
        Retention::Days(days) => days.into(),
    }
}

/// What a column of an account says.
pub(super) fn read(days: i64) -> Result<Retention, Error> {
    match number(days, "retention of POP3")? {
        0 => Ok(Retention::Never),
        days => Ok(Retention::Days(days)),
    }
}

pub(super) fn set(conn: &mut Conn, change: &SetRetention) -> Result<Outcome, Fault> {
    change.retention.map(check::retention).transpose()?;
    account::existing(conn, change.account)?;
    update(virtual_users::table.find(change.account.0))
        .set((
            virtual_users::pop3_retention.eq(change.retention.map(days)),
            virtual_users::updated_at.eq(Moment(change.now)),
        ))
        .execute(conn)?;
    Ok(Outcome::Done)
}

pub(super) fn retrieved(conn: &mut Conn, change: &Retrieved) -> Result<Outcome, Fault> {
    let mailbox = mailbox::owned(conn, change.account, change.mailbox)?;
    run(
        conn,
        "UPDATE message SET retrieved_at = ? WHERE account_id = ? AND mailbox_id = ? \
         AND uid ? AND retrieved_at IS NULL",
        &[
            Bind::Number(change.now.0),
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.id.0),
            Bind::Among(&sql::uid_list(&change.uids)),
        ],
    )?;
    Ok(Outcome::Done)
}

pub(super) fn overdue(
    conn: &mut Conn,
    default: Retention,
    after: AccountId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Overdue>, Fault> {
    let found: Vec<(i64, i64, i64)> = rows::<(BigInt, BigInt, BigInt), _>(
        conn,
        concat!(
            "SELECT m.account_id, m.mailbox_id, m.uid FROM message m ",
            indexed_by!("message_retrieved"),
            "JOIN virtual_users u ON u.id = m.account_id \
         JOIN mailbox b ON b.account_id = m.account_id AND b.id = m.mailbox_id \
         WHERE m.account_id > ? AND m.retrieved_at IS NOT NULL AND b.name = ? \
         AND coalesce(u.pop3_retention, ?) > 0 \
         AND m.retrieved_at <= ? - coalesce(u.pop3_retention, ?) * 86400000000 \
         ORDER BY m.account_id, m.mailbox_id, m.uid LIMIT ?",
        ),
        &[
            Bind::Number(after.0),
            Bind::Text(INBOX),
            Bind::Number(days(default)),
            Bind::Number(now.0),
            Bind::Number(days(default)),
            Bind::Number(limit.into()),
        ],
    )?;
    let read = |(account, mailbox, uid)| {
        Ok(Overdue {
            account: AccountId(account),
            mailbox: MailboxId(mailbox),
            uid: Uid(number(uid, "UID")?),
        })
    };
    Ok(found.into_iter().map(read).collect::<Result<_, Error>>()?)
}
