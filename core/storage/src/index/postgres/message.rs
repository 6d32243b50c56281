//! Messages: summaries, bodies, what can be brought back.

use diesel::{
    ExpressionMethods, QueryDsl, RunQueryDsl,
    sql_types::{BigInt, Binary, Text},
};

use super::{
    Conn,
    blob::{self, BlobRow},
    fault::{Fault, number},
    mailbox,
    schema::expunged,
    sql::{Bind, List, rows},
};
use crate::{
    Error,
    index::{BlobId, BlobRef, Expunged, MailboxId, Timestamp, Uid},
};

pub(super) fn summaries(
    conn: &mut Conn,
    id: MailboxId,
    uids: &List,
) -> Result<Vec<(Uid, Vec<u8>)>, Fault> {
    let Some(mailbox) = mailbox::by_id(conn, id)? else {
        return Ok(Vec::new());
    };
    let found: Vec<(i64, Vec<u8>)> = rows::<(BigInt, Binary), _>(
        conn,
        concat!(
            "SELECT m.uid, s.octets FROM message m JOIN summary s ON ",
            same_account!("s", "m"),
            "s.blob_id = m.blob_id WHERE m.account_id = ? AND m.mailbox_id = ? AND m.uid ? ORDER BY m.uid",
        ),
        &[
            Bind::Number(mailbox.account.0),
            Bind::Number(id.0),
            Bind::Among(uids),
        ],
    )?;
    let summary = |(uid, octets)| Ok((Uid(number(uid, "UID")?), octets));
    Ok(found
        .into_iter()
        .map(summary)
        .collect::<Result<_, Error>>()?)
}

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

/// Also of messages expunged or moved lately, as long as nobody may delete the body.
pub(super) fn blobs(
    conn: &mut Conn,
    id: MailboxId,
    uids: &List,
) -> Result<Vec<(Uid, BlobRef)>, Fault> {
    let Some(mailbox) = mailbox::by_id(conn, id)? else {
        return Ok(Vec::new());
    };
    let (account, mailbox, uids) = (
        Bind::Number(mailbox.account.0),
        Bind::Number(id.0),
        Bind::Among(uids),
    );
    let found: Vec<(i64, BlobRow)> = rows::<(BigInt, (BigInt, Text, BigInt, Binary)), _>(
        conn,
        concat!(
            "WITH found (account_id, uid, blob_id) AS ( \
            SELECT account_id, uid, blob_id FROM message \
            WHERE account_id = ? AND mailbox_id = ? AND uid ? \
            UNION ALL \
            SELECT account_id, uid, blob_id FROM expunged \
            WHERE account_id = ? AND mailbox_id = ? AND uid ?) \
         SELECT f.uid, b.id, b.key, b.size, b.sha256 \
         FROM found f JOIN blob b ON ",
            same_account!("b", "f"),
            "b.id = f.blob_id WHERE b.doomed IS NULL ORDER BY f.uid",
        ),
        &[account, mailbox, uids, account, mailbox, uids],
    )?;
    let body = |(uid, row)| Ok((Uid(number(uid, "UID")?), blob::read(row)?));
    Ok(found.into_iter().map(body).collect::<Result<_, Error>>()?)
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
