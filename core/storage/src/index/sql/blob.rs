//! Bodies: pages for `fsck`, and how they end (I2, I10).
//!
//! A body is held by the messages that name it and by those that can be brought back. When the last of them goes it is doomed: nothing
//! names it again, the store may delete it, and then its row is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{
    ExpressionMethods, QueryDsl, RunQueryDsl,
    sql_types::{BigInt, Bool},
};

use super::{
    Conn, counter,
    fault::{Fault, number},
    restore,
    schema::blob,
    sql::{self, Bind, rows, run},
};
use crate::{
    Error,
    blob::BlobKey,
    index::{BlobId, BlobRef, Doomed, Forget, KnownBody, Outcome, Reap},
};

/// Keys that a statement takes.
const KEYS: usize = 1000;

/// What a [`BlobRef`] needs of a row of `blob`.
pub(super) type BlobRow = (i64, String, i64, Vec<u8>);

pub(super) fn read((id, text, size, sha256): BlobRow) -> Result<BlobRef, Error> {
    let sha256 = sha256.try_into();
    Ok(BlobRef {
        id: BlobId(id),
        key: key(&text)?,
        size: number(size, "size of a body")?,
        sha256: sha256.map_err(|_| Error::Corrupt("checksum of a body".to_owned()))?,
    })
}

fn key(text: &str) -> Result<BlobKey, Error> {
    BlobKey::parse(text).map_err(|_| Error::Corrupt(format!("key of a body is {text:?}")))
}

pub(super) fn page(conn: &mut Conn, after: BlobId, limit: u32) -> Result<Vec<BlobRef>, Fault> {
    let rows: Vec<BlobRow> = blob::table
        .filter(blob::id.gt(after.0))
        .filter(blob::doomed.is_null())
        .order(blob::id)
        .limit(limit.into())
        .select((blob::id, blob::key, blob::size, blob::sha256))
        .load(conn)?;
    Ok(rows.into_iter().map(read).collect::<Result<_, _>>()?)
}

/// Keys as a statement takes them.
pub(super) fn texts(keys: &[BlobKey]) -> Vec<String> {
    keys.iter().map(|it| it.as_str().to_owned()).collect()
}

pub(super) fn known(conn: &mut Conn, keys: &[String]) -> Result<Vec<KnownBody>, Fault> {
    let mut known = Vec::new();
    for some in keys.chunks(KEYS) {
        let rows: Vec<(BlobRow, Option<i64>)> = blob::table
            .filter(blob::key.eq_any(some))
            .select((
                (blob::id, blob::key, blob::size, blob::sha256),
                blob::doomed,
            ))
            .load(conn)?;
        for (row, doomed) in rows {
            let (body, doomed) = (read(row)?, doomed.is_some());
            known.push(KnownBody { body, doomed });
        }
    }
    Ok(known)
}

pub(super) fn reap(conn: &mut Conn, change: &Reap) -> Result<Outcome, Fault> {
    let round = counter::raise(conn, "reap", 1)?;
    let released = give_up(conn, change)?;
    run(
        conn,
        concat!(
            "UPDATE blob SET doomed = ? WHERE id ? AND doomed IS NULL \
         AND NOT EXISTS (SELECT 1 FROM message m WHERE ",
            same_account!("m", "blob"),
            "m.blob_id = blob.id) AND NOT EXISTS (SELECT 1 FROM expunged e WHERE ",
            same_account!("e", "blob"),
            "e.blob_id = blob.id AND e.recoverable)",
        ),
        &[
            Bind::Number(2 * round),
            Bind::Among(&sql::list(released.into_iter())),
        ],
    )?;
    let rows: Vec<(i64, String)> = blob::table
        .filter(blob::doomed.is_not_null())
        .order((blob::doomed, blob::id))
        .limit(change.limit.into())
        .select((blob::id, blob::key))
        .load(conn)?;
    // Who was offered goes to the end of the line, so that a body which the store cannot delete holds nobody up.
    run(
        conn,
        "UPDATE blob SET doomed = ? WHERE id ?",
        &[
            Bind::Number(2 * round + 1),
            Bind::Among(&sql::list(rows.iter().map(|(id, _)| *id))),
        ],
    )?;
    let doomed = |(id, text): (i64, String)| {
        Ok(Doomed {
            id: BlobId(id),
            key: key(&text)?,
        })
    };
    let doomed = rows.into_iter().map(doomed).collect::<Result<_, Error>>()?;
    Ok(Outcome::Doomed(doomed))
}

/// Removes what was expunged before the time from the log; the bodies that were held by it.
fn give_up(conn: &mut Conn, change: &Reap) -> Result<BTreeSet<i64>, Fault> {
    let oldest = rows::<(BigInt,), (i64,)>(
        conn,
        "SELECT account_id FROM expunged WHERE expunged_at < ? \
         ORDER BY expunged_at, account_id, mailbox_id, uid LIMIT ?",
        &[
            Bind::Number(change.before.0),
            Bind::Number(change.limit.into()),
        ],
    )?;
    // Nobody may bring back or copy meanwhile what they hold.
    let accounts: BTreeSet<i64> = oldest.into_iter().map(|(account,)| account).collect();
    sql::lock_accounts(conn, &accounts)?;
    type Row = (i64, i64, i64, bool, i64);
    let gone: Vec<Row> = rows::<(BigInt, BigInt, BigInt, Bool, BigInt), _>(
        conn,
        "DELETE FROM expunged WHERE (account_id, mailbox_id, uid) IN ( \
            SELECT account_id, mailbox_id, uid FROM expunged WHERE expunged_at < ? AND +account_id ? \
            ORDER BY expunged_at, account_id, mailbox_id, uid LIMIT ?) \
         RETURNING account_id, mailbox_id, modseq, recoverable, blob_id",
        &[
            Bind::Number(change.before.0),
            Bind::Among(&sql::list(accounts.into_iter())),
            Bind::Number(change.limit.into()),
        ],
    )?;
    let mut floors: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    let mut released = BTreeSet::new();
    for (account, mailbox, modseq, recoverable, blob) in gone {
        let floor = floors.entry((account, mailbox)).or_default();
        *floor = modseq.max(*floor);
        if recoverable {
            released.insert(blob);
        }
    }
    for ((account, mailbox), floor) in floors {
        run(
            conn,
            "UPDATE mailbox SET vanished_floor = ? WHERE account_id = ? AND id = ? AND vanished_floor < ?",
            &[
                Bind::Number(floor),
                Bind::Number(account),
                Bind::Number(mailbox),
                Bind::Number(floor),
            ],
        )?;
    }
    restore::forget_old(conn, change.before)?;
    Ok(released)
}

pub(super) fn forget(conn: &mut Conn, change: &Forget) -> Result<Outcome, Fault> {
    run(
        conn,
        "DELETE FROM blob WHERE id ? AND doomed IS NOT NULL",
        &[Bind::Among(&sql::list(change.blobs.iter().map(|it| it.0)))],
    )?;
    Ok(Outcome::Done)
}
