//! Messages: sizes as lines, what can be brought back.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, sql_types::BigInt};

use super::{
    Conn,
    fault::{Fault, number},
    mailbox,
    schema::expunged,
    sql::{Bind, rows},
};
use crate::{
    Error,
    index::{BlobId, Expunged, MailboxId, Timestamp, Uid},
};

pub(super) fn line_sizes(conn: &mut Conn, id: MailboxId) -> Result<Vec<(Uid, u64)>, Fault> {
    let Some(mailbox) = mailbox::by_id(conn, id)? else {
        return Ok(Vec::new());
    };
    let found: Vec<(i64, i64)> = rows::<(BigInt, BigInt), _>(
        conn,
        concat!(
            "SELECT m.uid, b.line_size FROM blob b ",
            indexed_by!("blob_lines"),
            "JOIN message m ON m.blob_id = b.id WHERE b.account_id = ? AND b.line_size IS NOT NULL AND m.account_id = ? AND m.mailbox_id = ? ORDER BY m.uid",
        ),
        &[
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.account.0),
            Bind::Number(id.0),
        ],
    )?;
    let read = |(uid, size)| Ok((Uid(number(uid, "UID")?), number(size, "size as lines")?));
    Ok(found.into_iter().map(read).collect::<Result<_, Error>>()?)
}

pub(super) fn expunged(conn: &mut Conn, id: MailboxId) -> Result<Vec<Expunged>, Fault> {
    let Some(mailbox) = mailbox::by_id(conn, id)? else {
        return Ok(Vec::new());
    };
    let rows: Vec<(i64, i64, i64, i64, i64)> = expunged::table
        .filter(expunged::account_id.eq(mailbox.account.0))
        .filter(expunged::mailbox_id.eq(id.0))
        .filter(expunged::recoverable.eq(true))
        .order(expunged::uid)
        .select((
            expunged::uid,
            expunged::size,
            expunged::internal_date,
            expunged::expunged_at,
            expunged::blob_id,
        ))
        .load(conn)?;
    let expunged = |(uid, size, internal_date, expunged, blob)| {
        Ok(Expunged {
            uid: Uid(number(uid, "UID")?),
            size: number(size, "size of a message")?,
            internal_date: Timestamp(internal_date),
            expunged: Timestamp(expunged),
            blob: BlobId(blob),
        })
    };
    Ok(rows
        .into_iter()
        .map(expunged)
        .collect::<Result<_, Error>>()?)
}
