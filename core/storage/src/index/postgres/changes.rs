//! What changed in a mailbox, in one way to the server: what SELECT reads of every message of a mailbox.

use futures_util::try_join;
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

use super::{
    Conn,
    fault::{Fault, number},
};
use crate::{
    Error,
    index::{BlobId, Flags, MailboxChanges, MailboxId, Message, ModSeq, Timestamp, Uid},
};

const MAILBOX: &str =
    "SELECT uid_next, highest_modseq, vanished_floor FROM mailbox WHERE id = $1 AND selectable";
const MESSAGES: &str = "SELECT uid, modseq, flags, size, internal_date, save_date, blob_id FROM message \
    WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1 ORDER BY uid";
const CHANGED: &str = "SELECT uid, modseq, flags, size, internal_date, save_date, blob_id FROM message \
    WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1 AND modseq > $2 ORDER BY uid";
const KEYWORDS: &str = "SELECT number, name FROM mailbox_keyword \
    WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1 ORDER BY number";
const VANISHED: &str = "SELECT uid FROM expunged \
    WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1 AND modseq > $2 ORDER BY uid";
const PRESENT: &str = "SELECT uid FROM message \
    WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1 ORDER BY uid";

/// As [`Index::changes`](crate::index::Index::changes).
pub(super) fn changes(
    conn: &mut Conn,
    mailbox: MailboxId,
    since: ModSeq,
) -> Result<MailboxChanges, Fault> {
    // What is beyond the column's range is beyond every modification sequence.
    let since = i64::try_from(since.0).unwrap_or(i64::MAX);
    let id = mailbox.0;
    let found = conn.with(async |client| {
        let of = [(
            &id as &(dyn tokio_postgres::types::ToSql + Sync),
            Type::INT8,
        )];
        let of_since = [
            (
                &id as &(dyn tokio_postgres::types::ToSql + Sync),
                Type::INT8,
            ),
            (&since, Type::INT8),
        ];
        let messages = async {
            match since {
                0 => client.query_typed(MESSAGES, &of).await,
                _ => client.query_typed(CHANGED, &of_since).await,
            }
        };
        let vanished = async {
            match since {
                0 => Ok(Vec::new()),
                _ => client.query_typed(VANISHED, &of_since).await,
            }
        };
        try_join!(
            client.query_typed(MAILBOX, &of),
            client.query_typed(KEYWORDS, &of),
            vanished,
            messages,
        )
    })?;
    let (mailbox, keywords, vanished, messages) = found;
    let mailbox = mailbox.first().ok_or(Error::NotFound("mailbox"))?;
    let uid_next: u32 = number(get(mailbox, 0)?, "UIDNEXT")?;
    let floor: i64 = get(mailbox, 2)?;
    let expunged = match since {
        0 => Vec::new(),
        _ if since >= floor => uids(&vanished)?,
        _ => {
            let of = [(
                &id as &(dyn tokio_postgres::types::ToSql + Sync),
                Type::INT8,
            )];
            let present = conn.with(async |client| client.query_typed(PRESENT, &of).await)?;
            let mut present = uids(&present)?.into_iter().peekable();
            let all = (1..uid_next).map(Uid);
            all.filter(|uid| present.next_if_eq(uid).is_none())
                .collect()
        }
    };
    Ok(MailboxChanges {
        highest_modseq: number(get(mailbox, 1)?, "HIGHESTMODSEQ")?,
        uid_next,
        changed: messages.iter().map(message).collect::<Result<_, _>>()?,
        expunged,
        keywords: names(&keywords)?,
    })
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Error> {
    row.try_get(at).map_err(|it| Error::Corrupt(it.to_string()))
}

fn message(row: &Row) -> Result<Message, Error> {
    Ok(Message {
        uid: Uid(number(get(row, 0)?, "UID")?),
        modseq: ModSeq(number(get(row, 1)?, "MODSEQ")?),
        flags: Flags(number(get(row, 2)?, "flags")?),
        size: number(get(row, 3)?, "size of a message")?,
        internal_date: Timestamp(get(row, 4)?),
        save_date: Timestamp(get(row, 5)?),
        blob: BlobId(get(row, 6)?),
    })
}

fn uids(rows: &[Row]) -> Result<Vec<Uid>, Error> {
    let uid = |row| Ok(Uid(number(get(row, 0)?, "UID")?));
    rows.iter().map(uid).collect()
}

fn names(rows: &[Row]) -> Result<Vec<String>, Error> {
    let mut names = Vec::with_capacity(rows.len());
    for row in rows {
        if usize::try_from(get::<i64>(row, 0)?) != Ok(names.len()) {
            return Err(Error::Corrupt("keyword numbers have a gap".to_owned()));
        }
        names.push(get(row, 1)?);
    }
    Ok(names)
}
