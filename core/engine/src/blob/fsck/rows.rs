//! All rows of the index in little memory: a fingerprint of the key, the size, and whether its body was seen.

use postrider_storage::{
    Error,
    blob::BlobKey,
    index::{BlobId, BlobRef, Index},
};
use sha2::{Digest, Sha256};

use super::PAGE;

/// Whether the store listed a row's body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    No,
    WithItsSize,
    WithAnotherSize,
}

/// The rows of the index.
pub(super) struct Rows {
    /// By fingerprint.
    rows: Vec<Row>,
    /// Rows that came later, few, by fingerprint.
    late: Vec<Row>,
}

struct Row {
    fingerprint: u128,
    size: u64,
    seen: Seen,
}

impl Row {
    fn of(row: &BlobRef) -> Self {
        Self {
            fingerprint: fingerprint(&row.key),
            size: row.size,
            seen: Seen::No,
        }
    }
}

impl Rows {
    pub(super) async fn load(index: &dyn Index) -> Result<Self, Error> {
        let mut rows = Vec::new();
        let mut after = BlobId(i64::MIN);
        loop {
            let page = index.all_blobs(after, PAGE).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = last.id;
            rows.extend(page.iter().map(Row::of));
        }
        rows.sort_unstable_by_key(|row: &Row| row.fingerprint);
        Ok(Self {
            rows,
            late: Vec::new(),
        })
    }

    /// Adds rows that were committed since.
    pub(super) fn add_late<'a>(&mut self, rows: impl Iterator<Item = &'a BlobRef>) {
        let late = rows.map(Row::of);
        let new: Vec<Row> = late
            .filter(|row| place(&self.late, row.fingerprint).is_none())
            .collect();
        self.late.extend(new);
        self.late.sort_unstable_by_key(|row| row.fingerprint);
    }

    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Notes that a body of this size lies there; the size its row says, if it has one.
    pub(super) fn see(&mut self, key: &BlobKey, size: u64) -> Option<u64> {
        let fingerprint = fingerprint(key);
        let row = [&mut self.rows, &mut self.late]
            .into_iter()
            .find_map(|rows| {
                let place = place(rows, fingerprint)?;
                rows.get_mut(place)
            })?;
        row.seen = if row.size == size {
            Seen::WithItsSize
        } else {
            Seen::WithAnotherSize
        };
        Some(row.size)
    }

    /// What was noted for a row.
    pub(super) fn seen(&self, key: &BlobKey) -> Seen {
        let fingerprint = fingerprint(key);
        let found = [&self.rows, &self.late].into_iter().find_map(|rows| {
            let place = place(rows, fingerprint)?;
            rows.get(place)
        });
        found.map_or(Seen::No, |row| row.seen)
    }
}

fn place(rows: &[Row], fingerprint: u128) -> Option<usize> {
    rows.binary_search_by_key(&fingerprint, |row| row.fingerprint)
        .ok()
}

/// Half a SHA-256: nobody finds two keys with the same one.
fn fingerprint(key: &BlobKey) -> u128 {
    let hash = Sha256::digest(key.as_str());
    hash.iter()
        .take(16)
        .fold(0, |all, octet| all << 8 | u128::from(*octet))
}
