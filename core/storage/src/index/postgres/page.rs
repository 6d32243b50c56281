//! Summaries and bodies of some messages of a mailbox.
//!
//! Messages that lie together are asked for as a range: one walk along the index, where a list costs one search for each. Summaries are found by a list
//! of their keys, which no planner takes for a reason to read a whole table, whatever it believes about how many there are.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::{
    blob,
    fault::number,
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

macro_rules! summaries {
    ($messages:literal) => {
        concat!(
            "SELECT blob_id, octets FROM summary WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) \
             AND blob_id = ANY (ARRAY(SELECT blob_id FROM message WHERE ",
            of_mailbox!(),
            $messages,
            "))"
        )
    };
}

const RANGE: &str = concat!(
    "SELECT uid, blob_id FROM message WHERE ",
    of_mailbox!(),
    " AND uid BETWEEN $2 AND $3 ORDER BY uid"
);
const LIST: &str = concat!(
    "SELECT uid, blob_id FROM message WHERE ",
    of_mailbox!(),
    " AND uid = ANY ($2) ORDER BY uid"
);
const SUMMARIES_OF_RANGE: &str = summaries!(" AND uid BETWEEN $2 AND $3");
const SUMMARIES_OF_LIST: &str = summaries!(" AND uid = ANY ($2)");

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
        let id = || look::number(self.id.0);
        if let Some((first, last)) = self.range() {
            let values = || vec![id(), look::number(first), look::number(last)];
            return vec![
                Ask::Planned(RANGE, values()),
                Ask::Planned(SUMMARIES_OF_RANGE, values()),
            ];
        }
        let values = || vec![id(), list(&self.uids)];
        vec![
            Ask::Planned(LIST, values()),
            Ask::Planned(SUMMARIES_OF_LIST, values()),
        ]
    }

    fn row(&mut self, query: usize, row: Row) -> Result<(), Error> {
        if query == 1 {
            self.octets.insert(get(&row, 0)?, row);
            return Ok(());
        }
        let uid = Uid(number(get(&row, 0)?, "UID")?);
        if self.uids.binary_search(&uid).is_ok() {
            self.messages.push((uid, get(&row, 1)?));
        }
        Ok(())
    }

    /// What came or went between the two statements has a row of one of them alone.
    fn found(self) -> Result<Self::Found, Error> {
        let octets = |(uid, blob): &(Uid, i64)| {
            let row = self.octets.get(blob)?;
            Some(get::<&[u8]>(row, 1).map(|octets| (*uid, octets.to_vec())))
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
