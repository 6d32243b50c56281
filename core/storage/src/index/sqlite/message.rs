//! Messages: what changed in a mailbox, summaries, bodies.

use diesel::{
    ExpressionMethods, QueryDsl, RunQueryDsl, SqliteConnection,
    sql_types::{BigInt, Binary, Text},
};

use super::{
    blob::{self, BlobRow},
    fault::{Fault, number},
    mailbox,
    sql::{Bind, rows},
};
use crate::{
    Error,
    index::{
        BlobId, BlobRef, Expunged, Flags, Mailbox, MailboxChanges, MailboxId, Message, ModSeq,
        Timestamp, Uid,
        schema::{expunged, mailbox as mailboxes, message},
    },
};

type Row = (i64, i64, i64, i64, i64, i64, i64);

const COLUMNS: (
    message::uid,
    message::modseq,
    message::flags,
    message::size,
    message::internal_date,
    message::save_date,
    message::blob_id,
) = (
    message::uid,
    message::modseq,
    message::flags,
    message::size,
    message::internal_date,
    message::save_date,
    message::blob_id,
);

fn read(row: Row) -> Result<Message, Error> {
    let (uid, modseq, flags, size, internal_date, save_date, blob) = row;
    Ok(Message {
        uid: Uid(number(uid, "UID")?),
        modseq: ModSeq(number(modseq, "MODSEQ")?),
        flags: Flags(number(flags, "flags")?),
        size: number(size, "size of a message")?,
        internal_date: Timestamp(internal_date),
        save_date: Timestamp(save_date),
        blob: BlobId(blob),
    })
}

fn uids(rows: Vec<i64>) -> Result<Vec<Uid>, Error> {
    rows.into_iter()
        .map(|it| Ok(Uid(number(it, "UID")?)))
        .collect()
}

pub(super) fn changes(
    conn: &mut SqliteConnection,
    id: MailboxId,
    since: ModSeq,
) -> Result<MailboxChanges, Fault> {
    let mailbox = mailbox::selectable(conn, id)?;
    // What is beyond the column's range is beyond every modification sequence.
    let since = i64::try_from(since.0).unwrap_or(i64::MAX);
    let of_mailbox = message::table
        .filter(message::account_id.eq(mailbox.account.0))
        .filter(message::mailbox_id.eq(id.0))
        .order(message::uid)
        .select(COLUMNS);
    let rows: Vec<Row> = match since {
        0 => of_mailbox.load(conn)?,
        _ => of_mailbox.filter(message::modseq.gt(since)).load(conn)?,
    };
    let expunged = match since {
        0 => Vec::new(),
        _ => vanished(conn, &mailbox, since)?,
    };
    let keywords = mailbox::keywords(conn, &mailbox)?;
    Ok(MailboxChanges {
        highest_modseq: mailbox.highest_modseq.0,
        uid_next: mailbox.uid_next.0,
        changed: rows.into_iter().map(read).collect::<Result<_, _>>()?,
        expunged,
        keywords,
    })
}

/// UIDs that went after a modification sequence. Where the log no longer reaches back so far, all that are not there: who asks knows
/// which of them it had (RFC 7162 section 3.2.5.1).
fn vanished(conn: &mut SqliteConnection, mailbox: &Mailbox, since: i64) -> Result<Vec<Uid>, Fault> {
    let (account, id) = (mailbox.account.0, mailbox.id.0);
    let floor: i64 = mailboxes::table
        .find((account, id))
        .select(mailboxes::vanished_floor)
        .get_result(conn)?;
    if since >= floor {
        let rows = expunged::table
            .filter(expunged::account_id.eq(account))
            .filter(expunged::mailbox_id.eq(id))
            .filter(expunged::modseq.gt(since))
            .order(expunged::uid)
            .select(expunged::uid)
            .load(conn)?;
        return Ok(uids(rows)?);
    }
    let present = message::table
        .filter(message::account_id.eq(account))
        .filter(message::mailbox_id.eq(id))
        .order(message::uid)
        .select(message::uid)
        .load(conn)?;
    let mut present = uids(present)?.into_iter().peekable();
    let all = (1..mailbox.uid_next.0).map(Uid);
    Ok(all
        .filter(|uid| present.next_if_eq(uid).is_none())
        .collect())
}

pub(super) fn summaries(
    conn: &mut SqliteConnection,
    id: MailboxId,
    uids: &str,
) -> Result<Vec<(Uid, Vec<u8>)>, Fault> {
    let Some(mailbox) = mailbox::by_id(conn, id)? else {
        return Ok(Vec::new());
    };
    let found: Vec<(i64, Vec<u8>)> = rows::<(BigInt, Binary), _>(
        conn,
        "SELECT m.uid, s.octets FROM message m JOIN summary s ON s.blob_id = m.blob_id \
         WHERE m.account_id = ? AND m.mailbox_id = ? AND m.uid IN (SELECT value FROM json_each(?)) ORDER BY m.uid",
        &[
            Bind::Number(mailbox.account.0),
            Bind::Number(id.0),
            Bind::Text(uids),
        ],
    )?;
    let summary = |(uid, octets)| Ok((Uid(number(uid, "UID")?), octets));
    Ok(found
        .into_iter()
        .map(summary)
        .collect::<Result<_, Error>>()?)
}

pub(super) fn line_sizes(
    conn: &mut SqliteConnection,
    id: MailboxId,
) -> Result<Vec<(Uid, u64)>, Fault> {
    let Some(mailbox) = mailbox::by_id(conn, id)? else {
        return Ok(Vec::new());
    };
    let found: Vec<(i64, i64)> = rows::<(BigInt, BigInt), _>(
        conn,
        "SELECT m.uid, b.line_size FROM blob b INDEXED BY blob_lines JOIN message m ON m.blob_id = b.id \
         WHERE b.account_id = ? AND b.line_size IS NOT NULL AND m.account_id = ? AND m.mailbox_id = ? ORDER BY m.uid",
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
    conn: &mut SqliteConnection,
    id: MailboxId,
    uids: &str,
) -> Result<Vec<(Uid, BlobRef)>, Fault> {
    let Some(mailbox) = mailbox::by_id(conn, id)? else {
        return Ok(Vec::new());
    };
    let (account, mailbox, uids) = (
        Bind::Number(mailbox.account.0),
        Bind::Number(id.0),
        Bind::Text(uids),
    );
    let found: Vec<(i64, BlobRow)> = rows::<(BigInt, (BigInt, Text, BigInt, Binary)), _>(
        conn,
        "WITH found (uid, blob_id) AS ( \
            SELECT uid, blob_id FROM message \
            WHERE account_id = ? AND mailbox_id = ? AND uid IN (SELECT value FROM json_each(?)) \
            UNION ALL \
            SELECT uid, blob_id FROM expunged \
            WHERE account_id = ? AND mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))) \
         SELECT f.uid, b.id, b.key, b.size, b.sha256 \
         FROM found f JOIN blob b ON b.id = f.blob_id WHERE b.doomed IS NULL ORDER BY f.uid",
        &[account, mailbox, uids, account, mailbox, uids],
    )?;
    let body = |(uid, row)| Ok((Uid(number(uid, "UID")?), blob::read(row)?));
    Ok(found.into_iter().map(body).collect::<Result<_, Error>>()?)
}

pub(super) fn expunged(conn: &mut SqliteConnection, id: MailboxId) -> Result<Vec<Expunged>, Fault> {
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
