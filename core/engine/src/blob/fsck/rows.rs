//! All rows of the index in little memory: a fingerprint of the key, the size, and whether its body was seen.

use postrider_storage::{
    Error,
    blob::BlobKey,
    index::{BlobId, Index},
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
    last: BlobId,
}

struct Row {
    fingerprint: u128,
    size: u64,
    seen: Seen,
}

impl Rows {
    pub(super) async fn load(index: &dyn Index) -> Result<Self, Error> {
        let mut all = Self {
            rows: Vec::new(),
            late: Vec::new(),
            last: BlobId(i64::MIN),
        };
        all.catch_up(index).await?;
        std::mem::swap(&mut all.rows, &mut all.late);
        Ok(all)
    }

    /// Reads rows that were added since.
    pub(super) async fn catch_up(&mut self, index: &dyn Index) -> Result<(), Error> {
        loop {
            let page = index.all_blobs(self.last, PAGE).await?;
            let Some(last) = page.last() else {
                break;
            };
            self.last = last.id;
            self.late.extend(page.iter().map(|row| Row {
                fingerprint: fingerprint(&row.key),
                size: row.size,
                seen: Seen::No,
            }));
        }
        self.late.sort_unstable_by_key(|row| row.fingerprint);
        Ok(())
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
