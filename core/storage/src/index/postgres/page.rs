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
    index::{BlobRef, MailboxId, SUMMARIES_LIMIT, SummaryPage, Uid, summary::Room},
};

macro_rules! of_mailbox {
    () => {
        "account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1"
    };
}

/// Messages with their bodies, in one row; then bodies with their summaries: those of the account that lie next to each other from the first on, as long as at least half
/// of them are wanted, and the others by a list of their keys. Neither is a reason for a planner to read a whole table, whatever it believes about how
/// many there are. Where they have more than `$most` octets together, only how many each has.
macro_rules! summaries {
    ($messages:literal, $most:literal) => {
        concat!(
            "WITH wanted AS MATERIALIZED (SELECT uid, blob_id FROM message WHERE ",
            of_mailbox!(),
            $messages,
            "), span AS MATERIALIZED ( \
                SELECT min(blob_id) AS first, max(blob_id) AS last, 2 * count(*) AS most FROM wanted), \
             near AS MATERIALIZED (SELECT blob_id, octets FROM summary WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) \
                AND blob_id BETWEEN (SELECT first FROM span) AND (SELECT last FROM span) ORDER BY blob_id LIMIT (SELECT most FROM span)), \
             far AS MATERIALIZED (SELECT blob_id, octets FROM summary WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) \
                AND blob_id = ANY (ARRAY(SELECT blob_id FROM wanted WHERE blob_id > (SELECT max(blob_id) FROM near)))), \
             page AS MATERIALIZED (SELECT coalesce((SELECT sum(octet_length(octets)) FROM near), 0) \
                + coalesce((SELECT sum(octet_length(octets)) FROM far), 0) <= ",
            $most,
            " AS fits) \
             SELECT array_agg(uid) AS uids, array_agg(blob_id) AS blobs, NULL AS blob_id, NULL AS octets, NULL AS size FROM wanted \
             UNION ALL SELECT NULL, NULL, blob_id, CASE WHEN (SELECT fits FROM page) THEN octets END, octet_length(octets) FROM near \
             UNION ALL SELECT NULL, NULL, blob_id, CASE WHEN (SELECT fits FROM page) THEN octets END, octet_length(octets) FROM far"
        )
    };
}

const RANGE: Kept = Kept::new(summaries!(" AND uid BETWEEN $2 AND $3", "$4"));
const LIST: &str = summaries!(" AND uid = ANY ($2)", "$3");

/// Those of some bodies.
const EACH: &str = "SELECT blob_id, octets FROM summary \
     WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND blob_id = ANY ($2)";

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

/// What was found of a page.
#[derive(Debug)]
pub(super) enum Page {
    Read(SummaryPage),
    /// There is too much of it: these messages fit.
    Chosen(Chosen),
}

/// As many messages as there is room for, rising.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    id: MailboxId,
    messages: Vec<(Uid, i64)>,
    octets: HashMap<i64, Vec<u8>>,
    next: Option<Uid>,
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
    type Found = Page;

    fn asks(&self) -> Vec<Ask<'_>> {
        let (id, most) = (self.id.0, SUMMARIES_LIMIT as i64);
        vec![match self.range() {
            Some((first, last)) => {
                Ask::Kept(RANGE, [id, first, last, most].map(Parameter::Number).into())
            }
            None => Ask::Planned(
                LIST,
                vec![look::number(id), list(&self.uids), look::number(most)],
            ),
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

    fn found(mut self) -> Result<Page, Error> {
        // They come in any order.
        self.messages.sort_unstable();
        let (mut room, mut page) = (Room::default(), SummaryPage::default());
        let mut chosen = Vec::new();
        for (uid, blob) in self.messages {
            let Some(row) = self.octets.get(&blob) else {
                continue;
            };
            let size: i32 = get(row, 4)?;
            if !room.takes(usize::try_from(size).unwrap_or(usize::MAX)) {
                page.next = Some(uid);
                break;
            }
            match get::<Option<&[u8]>>(row, 3)? {
                Some(octets) => page.found.push((uid, octets.to_vec())),
                None => chosen.push((uid, blob)),
            }
        }
        Ok(match chosen.is_empty() {
            true => Page::Read(page),
            false => Page::Chosen(Chosen {
                id: self.id,
                messages: chosen,
                octets: HashMap::new(),
                next: page.next,
            }),
        })
    }
}

impl Look for Chosen {
    type Found = SummaryPage;

    fn asks(&self) -> Vec<Ask<'_>> {
        let blobs = self.messages.iter().map(|(_, blob)| *blob).collect();
        let values = vec![look::number(self.id.0), look::numbers(blobs)];
        vec![Ask::Planned(EACH, values)]
    }

    fn row(&mut self, _: usize, row: Row) -> Result<(), Error> {
        self.octets.insert(get(&row, 0)?, get(&row, 1)?);
        Ok(())
    }

    fn found(self) -> Result<SummaryPage, Error> {
        let octets = |(uid, blob): &(Uid, i64)| Some((*uid, self.octets.get(blob)?.clone()));
        let found = self.messages.iter().filter_map(octets).collect();
        let next = self.next;
        Ok(SummaryPage { found, next })
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
