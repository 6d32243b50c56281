//! Summaries and bodies of some messages of a mailbox.
//!
//! Messages that lie together are asked for as a range, and so are their summaries: one walk along an index, where a list costs one search for each.
//! The statement for it is kept, because planning it takes as long as a page of it.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::{
    blob,
    fault::number,
    kept::{Kept, Parameter},
    look::{self, Ask, Look, get},
};
use crate::{
    Error,
    index::{BlobRef, MailboxId, Uid},
};

macro_rules! of_mailbox {
    () => {
        "account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1"
    };
}

/// Messages with their bodies, in one row; then bodies with their summaries: those of the account that lie next to each other from the first on, as long as at least half
/// of them are wanted, and the others by a list of their keys. Neither is a reason for a planner to read a whole table, whatever it believes about how
/// many there are.
macro_rules! summaries {
    ($messages:literal) => {
        concat!(
            "WITH wanted AS MATERIALIZED (SELECT uid, blob_id FROM message WHERE ",
            of_mailbox!(),
            $messages,
            "), span AS MATERIALIZED ( \
                SELECT min(blob_id) AS first, max(blob_id) AS last, 2 * count(*) AS most FROM wanted), \
             near AS MATERIALIZED (SELECT blob_id, octets FROM summary WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) \
                AND blob_id BETWEEN (SELECT first FROM span) AND (SELECT last FROM span) ORDER BY blob_id LIMIT (SELECT most FROM span)) \
             SELECT array_agg(uid) AS uids, array_agg(blob_id) AS blobs, NULL AS blob_id, NULL AS octets FROM wanted \
             UNION ALL SELECT NULL, NULL, blob_id, octets FROM near \
             UNION ALL SELECT NULL, NULL, blob_id, octets FROM summary WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) \
                AND blob_id = ANY (ARRAY(SELECT blob_id FROM wanted WHERE blob_id > (SELECT max(blob_id) FROM near)))"
        )
    };
}

const RANGE: Kept = Kept::new(summaries!(" AND uid BETWEEN $2 AND $3"));
const LIST: &str = summaries!(" AND uid = ANY ($2)");

/// Also of messages expunged or moved lately, as long as nobody may delete the body.
const BODIES: &str = concat!(
    "WITH found (account_id, uid, blob_id) AS (SELECT account_id, uid, blob_id FROM message WHERE ",
    of_mailbox!(),
    " AND uid = ANY ($2) UNION ALL SELECT account_id, uid, blob_id FROM expunged WHERE ",
    of_mailbox!(),
    " AND uid = ANY ($2)) SELECT f.uid, b.id, b.key, b.size, b.sha256 FROM found f \
     JOIN blob b ON b.account_id = f.account_id AND b.id = f.blob_id WHERE b.doomed IS NULL ORDER BY f.uid"
);

/// As [`Index::summaries`](crate::index::Index::summaries).
#[derive(Debug)]
pub(super) struct Summaries {
    id: MailboxId,
    /// Rising, each once.
    uids: Vec<Uid>,
    messages: Vec<(Uid, i64)>,
    octets: HashMap<i64, Row>,
}

impl Summaries {
    pub(super) fn new(id: MailboxId, uids: Vec<Uid>) -> Summaries {
        Summaries {
            id,
            messages: Vec::with_capacity(uids.len()),
            octets: HashMap::with_capacity(uids.len()),
            uids,
        }
    }

    /// The range that holds them, if it holds few others.
    fn range(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.uids.first()?.0, self.uids.last()?.0);
        let most = self.uids.len().saturating_add(self.uids.len() / 4);
        let span = usize::try_from(last - first).unwrap_or(usize::MAX);
        (span <= most).then_some((first.into(), last.into()))
    }
}

impl Look for Summaries {
    type Found = Vec<(Uid, Vec<u8>)>;

    fn asks(&self) -> Vec<Ask<'_>> {
        let id = self.id.0;
        vec![match self.range() {
            Some((first, last)) => {
                Ask::Kept(RANGE, [id, first, last].map(Parameter::Number).into())
            }
            None => Ask::Planned(LIST, vec![look::number(id), list(&self.uids)]),
        }]
    }

    fn row(&mut self, _: usize, row: Row) -> Result<(), Error> {
        if let Some(blob) = get(&row, 2)? {
            self.octets.insert(blob, row);
            return Ok(());
        }
        let uids = get::<Option<Vec<i64>>>(&row, 0)?.unwrap_or_default();
        let blobs = get::<Option<Vec<i64>>>(&row, 1)?.unwrap_or_default();
        for (uid, blob) in uids.into_iter().zip(blobs) {
            let uid = Uid(number(uid, "UID")?);
            if self.uids.binary_search(&uid).is_ok() {
                self.messages.push((uid, blob));
            }
        }
        Ok(())
    }

    fn found(mut self) -> Result<Self::Found, Error> {
        // They come in any order.
        self.messages.sort_unstable();
        let octets = |(uid, blob): &(Uid, i64)| {
            let row = self.octets.get(blob)?;
            Some(get::<&[u8]>(row, 3).map(|octets| (*uid, octets.to_vec())))
        };
        self.messages.iter().filter_map(octets).collect()
    }
}

/// As [`Index::blobs`](crate::index::Index::blobs).
#[derive(Debug)]
pub(super) struct Bodies {
    id: MailboxId,
    uids: Vec<Uid>,
    found: Vec<(Uid, BlobRef)>,
}

impl Bodies {
    pub(super) fn new(id: MailboxId, uids: Vec<Uid>) -> Bodies {
        let found = Vec::with_capacity(uids.len());
        Bodies { id, uids, found }
    }
}

impl Look for Bodies {
    type Found = Vec<(Uid, BlobRef)>;

    fn asks(&self) -> Vec<Ask<'_>> {
        let values = vec![look::number(self.id.0), list(&self.uids)];
        vec![Ask::Planned(BODIES, values)]
    }

    fn row(&mut self, _: usize, row: Row) -> Result<(), Error> {
        let uid = Uid(number(get(&row, 0)?, "UID")?);
        let body = (get(&row, 1)?, get(&row, 2)?, get(&row, 3)?, get(&row, 4)?);
        self.found.push((uid, blob::read(body)?));
        Ok(())
    }

    fn found(self) -> Result<Self::Found, Error> {
        Ok(self.found)
    }
}

fn list(uids: &[Uid]) -> (super::conn::Value, tokio_postgres::types::Type) {
    look::numbers(uids.iter().map(|uid| i64::from(uid.0)).collect())
}
