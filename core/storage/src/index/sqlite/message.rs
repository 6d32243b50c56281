//! Messages: what changed in a mailbox, summaries, bodies.

use diesel::{
    ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl, SqliteConnection,
    sql_types::{BigInt, Binary, Text},
};

use super::{
    blob::{self, BlobRow},
    fault::{Fault, number},
    mailbox,
    schema::{expunged, mailbox as mailboxes, message},
    sql::{self, Bind, rows, rows_while},
};
use crate::{
    Error,
    index::{
        BlobId, BlobRef, Expunged, Flags, Mailbox, MailboxChanges, MailboxId, Message, ModSeq,
        SummaryPage, SummaryRoom, Timestamp, Uid,
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
        uid_validity: mailbox.uid_validity,
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

/// Which messages of a mailbox are read. Neighbours are read as a range, which costs less than to look for each.
#[derive(Debug)]
pub(super) enum Which {
    /// From the first to the last, and those between that were not asked for are left out.
    Range(Vec<Uid>),
    /// Each by itself.
    Each(Vec<Uid>),
}

impl Which {
    /// Rising UIDs.
    pub(super) fn of(uids: &[Uid]) -> Self {
        let width = match uids {
            [first, .., last] => (last.0 - first.0) as usize,
            _ => 0,
        };
        match width < 2 * uids.len() {
            true => Self::Range(uids.to_vec()),
            false => Self::Each(uids.to_vec()),
        }
    }

    fn uids(&self) -> &[Uid] {
        match self {
            Self::Range(uids) | Self::Each(uids) => uids,
        }
    }

    /// Runs `range` with the first and the last, or `each` with a list, after the mailbox twice; the rows that were asked for.
    fn rows<R>(
        &self,
        id: MailboxId,
        (range, each): (&'static str, &'static str),
        run: impl FnOnce(&'static str, &[Bind<'_>]) -> QueryResult<Vec<(i64, R)>>,
    ) -> Result<Vec<(Uid, R)>, Fault> {
        let mailbox = Bind::Number(id.0);
        let bound = |uid: Option<&Uid>| Bind::Number(uid.map_or(0, |uid| uid.0.into()));
        let uids = self.uids();
        let found = match self {
            Self::Range(_) => {
                let (first, last) = (bound(uids.first()), bound(uids.last()));
                run(range, &[mailbox, mailbox, first, last])?
            }
            Self::Each(_) => {
                let list = sql::uid_list(uids);
                run(each, &[mailbox, mailbox, Bind::Among(&list)])?
            }
        };
        let mut asked = Vec::with_capacity(found.len());
        for (uid, row) in found {
            let uid = Uid(number(uid, "UID")?);
            if uids.binary_search(&uid).is_ok() {
                asked.push((uid, row));
            }
        }
        Ok(asked)
    }
}

/// One statement, so one state.
pub(super) fn summaries(
    conn: &mut SqliteConnection,
    id: MailboxId,
    which: &Which,
) -> Result<SummaryPage, Fault> {
    let (mut room, mut full_at) = (SummaryRoom::default(), None);
    let found = which.rows(
        id,
        (
            "SELECT m.uid, s.octets FROM message m JOIN summary s ON s.blob_id = m.blob_id \
             WHERE m.account_id = (SELECT account_id FROM mailbox WHERE id = ?) AND m.mailbox_id = ? \
             AND m.uid BETWEEN ? AND ? ORDER BY m.uid",
            "SELECT m.uid, s.octets FROM message m JOIN summary s ON s.blob_id = m.blob_id \
             WHERE m.account_id = (SELECT account_id FROM mailbox WHERE id = ?) AND m.mailbox_id = ? \
             AND m.uid ? ORDER BY m.uid",
        ),
        |text, binds| {
            let fits = |(uid, octets): &(i64, Vec<u8>)| {
                let fits = room.takes(octets.len());
                full_at = (!fits).then_some(*uid);
                fits
            };
            rows_while::<(BigInt, Binary), _>(conn, text, binds, fits)
        },
    )?;
    let is_left = |uid: &Uid| full_at.is_some_and(|full_at| i64::from(uid.0) >= full_at);
    let next = which.uids().iter().copied().find(is_left);
    Ok(SummaryPage { found, next })
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

/// Also of messages expunged or moved lately, as long as nobody may delete the body. One that goes between the two statements is found by
/// the second.
pub(super) fn blobs(
    conn: &mut SqliteConnection,
    id: MailboxId,
    which: &Which,
) -> Result<Vec<(Uid, BlobRef)>, Fault> {
    type Columns = (BigInt, (BigInt, Text, BigInt, Binary));
    let mut found: Vec<(Uid, BlobRow)> = which.rows(
        id,
        (
            "SELECT m.uid, b.id, b.key, b.size, b.sha256 FROM message m JOIN blob b ON b.id = m.blob_id \
             WHERE m.account_id = (SELECT account_id FROM mailbox WHERE id = ?) AND m.mailbox_id = ? \
             AND m.uid BETWEEN ? AND ? AND b.doomed IS NULL ORDER BY m.uid",
            "SELECT m.uid, b.id, b.key, b.size, b.sha256 FROM message m JOIN blob b ON b.id = m.blob_id \
             WHERE m.account_id = (SELECT account_id FROM mailbox WHERE id = ?) AND m.mailbox_id = ? \
             AND m.uid ? AND b.doomed IS NULL ORDER BY m.uid",
        ),
        |text, binds| rows::<Columns, _>(conn, text, binds),
    )?;
    if found.len() < which.uids().len() {
        let mut gone: Vec<(Uid, BlobRow)> = which.rows(
            id,
            (
                "SELECT e.uid, b.id, b.key, b.size, b.sha256 FROM expunged e JOIN blob b ON b.id = e.blob_id \
                 WHERE e.account_id = (SELECT account_id FROM mailbox WHERE id = ?) AND e.mailbox_id = ? \
                 AND e.uid BETWEEN ? AND ? AND b.doomed IS NULL ORDER BY e.uid",
                "SELECT e.uid, b.id, b.key, b.size, b.sha256 FROM expunged e JOIN blob b ON b.id = e.blob_id \
                 WHERE e.account_id = (SELECT account_id FROM mailbox WHERE id = ?) AND e.mailbox_id = ? \
                 AND e.uid ? AND b.doomed IS NULL ORDER BY e.uid",
            ),
            |text, binds| rows::<Columns, _>(conn, text, binds),
        )?;
        // In both, if it went between.
        gone.retain(|(uid, _)| found.binary_search_by_key(uid, |(uid, _)| *uid).is_err());
        found.append(&mut gone);
        found.sort_unstable_by_key(|(uid, _)| *uid);
    }
    let body = |(uid, row)| Ok((uid, blob::read(row)?));
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
