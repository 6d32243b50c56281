//! Summaries and bodies of some messages of a mailbox.
//!
//! Messages that lie together are asked for as a range, and so are their summaries: one walk along an index, where a list costs one search for each.
//! The statement for it is kept, because planning it takes as long as a page of it.

use std::{collections::HashMap, ops::Range};

use tokio_postgres::Row;

use super::{
    blob,
    fault::number,
    kept::{Kept, Parameter},
    look::{self, Ask, Look, get},
};
use crate::{
    Error,
    index::{BlobRef, MailboxId, SUMMARIES_LIMIT, SummaryPage, SummaryRoom, Uid},
};

macro_rules! of_mailbox {
    () => {
        "account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND mailbox_id = $1"
    };
}

macro_rules! summary {
    ($which:literal) => {
        concat!(
            "summary WHERE account_id = (SELECT account_id FROM mailbox WHERE id = $1) AND ",
            $which
        )
    };
}

macro_rules! joined {
    ($which:literal) => {
        concat!(
            "SELECT NULL, array_agg(blob_id), array_agg(octet_length(octets)), string_agg(octets, '') FILTER (WHERE (SELECT fits FROM page)) FROM ",
            summary!($which)
        )
    };
}

/// In one row messages with their bodies; in two more bodies with their summaries behind each other: those of the account that lie next to each other from the first on, as
/// long as at least half of them are wanted, and the others by a list of their keys. Neither is a reason for a planner to read a whole table, whatever
/// it believes about how many there are. Where all have more than `$most` octets together, only how many each has.
///
/// Three rows, because both sides work longer for five hundred rows than for their octets.
macro_rules! summaries {
    ($messages:literal, $most:literal) => {
        concat!(
            "WITH wanted AS MATERIALIZED (SELECT uid, blob_id FROM message WHERE ",
            of_mailbox!(),
            $messages,
            "), span AS MATERIALIZED (SELECT min(blob_id) AS first, max(blob_id) AS last, 2 * count(*) AS most FROM wanted), \
             near AS MATERIALIZED (SELECT max(blob_id) AS last, coalesce(sum(size), 0) AS octets FROM ( \
                SELECT blob_id, octet_length(octets) AS size FROM ",
            summary!("blob_id BETWEEN (SELECT first FROM span) AND (SELECT last FROM span)"),
            " ORDER BY blob_id LIMIT (SELECT most FROM span)) AS first), \
             far AS MATERIALIZED (SELECT array_agg(blob_id) AS blobs, coalesce(sum(octet_length(octets)), 0) AS octets FROM ",
            summary!("blob_id = ANY (ARRAY(SELECT blob_id FROM wanted WHERE blob_id > (SELECT last FROM near)))"),
            "), page AS MATERIALIZED (SELECT (SELECT octets FROM near) + (SELECT octets FROM far) <= ",
            $most,
            " AS fits) \
             SELECT array_agg(uid) AS uids, array_agg(blob_id) AS blobs, NULL::int[] AS sizes, NULL::bytea AS octets FROM wanted UNION ALL ",
            joined!("blob_id BETWEEN (SELECT first FROM span) AND (SELECT last FROM near)"),
            " UNION ALL ",
            joined!("blob_id = ANY ((SELECT blobs FROM far)::bigint[])")
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
    /// Where those of a body are.
    places: HashMap<i64, Place>,
    rows: Vec<Row>,
}

/// Octets in a row.
#[derive(Clone, Debug)]
struct Place {
    row: usize,
    range: Range<usize>,
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
            places: HashMap::with_capacity(uids.len()),
            rows: Vec::with_capacity(2),
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

    fn messages(&mut self, uids: Vec<i64>, blobs: Vec<i64>) -> Result<(), Error> {
        for (uid, blob) in uids.into_iter().zip(blobs) {
            let uid = Uid(number(uid, "UID")?);
            if self.uids.binary_search(&uid).is_ok() {
                self.messages.push((uid, blob));
            }
        }
        // They come in any order.
        self.messages.sort_unstable();
        Ok(())
    }

    fn bodies(&mut self, blobs: Vec<i64>, sizes: Vec<i32>, row: Row) -> Result<(), Error> {
        let mut end = 0_usize;
        for (blob, size) in blobs.into_iter().zip(sizes) {
            let start = end;
            end = start.saturating_add(number::<usize>(size.into(), "size")?);
            let row = self.rows.len();
            self.places.insert(
                blob,
                Place {
                    row,
                    range: start..end,
                },
            );
        }
        self.rows.push(row);
        Ok(())
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
        let blobs = get::<Option<Vec<i64>>>(&row, 1)?.unwrap_or_default();
        if let Some(sizes) = get(&row, 2)? {
            return self.bodies(blobs, sizes, row);
        }
        let uids = get::<Option<Vec<i64>>>(&row, 0)?.unwrap_or_default();
        self.messages(uids, blobs)
    }

    fn found(self) -> Result<Page, Error> {
        let octets = self.rows.iter().map(|row| get::<Option<&[u8]>>(row, 3));
        let octets = octets.collect::<Result<Vec<_>, _>>()?;
        let (mut room, mut page) = (SummaryRoom::default(), SummaryPage::default());
        let mut chosen = Vec::new();
        for (uid, blob) in self.messages {
            let Some(Place { row, range }) = self.places.get(&blob) else {
                continue;
            };
            if !room.takes(range.len()) {
                page.next = Some(uid);
                break;
            }
            match octets[*row] {
                Some(octets) => {
                    let octets = octets.get(range.clone());
                    let octets = octets.ok_or(Error::Corrupt("fewer octets than said".into()))?;
                    page.found.push((uid, octets.to_vec()));
                }
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
