//! The check that index and store agree, in both directions.
//!
//! Rows without a body are lost mail: they are named and never removed. Bodies without a row are left by a crash between put
//! and commit, or by an index that was restored from an older copy. `Repair::Append` makes them messages again, in the mailbox of
//! their birth, which is made again if it is gone: mail is never thrown away, and at worst somebody gets one twice (a sender who heard
//! no 250 has sent it again). Only what was made whole is appended; what is damaged, or whose account is gone or full, stays
//! where it is and is named.
//!
//! It runs beside working servers, and takes nothing from them:
//!
//! - What has no row when it is listed is asked for by its key before it counts: rows are committed in another order than they are numbered.
//! - A body younger than the grace time belongs to who puts it. While a server works on the index it is left alone, and only counted; its row
//!   may still come, or be refused and the body taken back. Without a server it is waited for, and then it is left over like any other.
//! - Bodies of an import have no age: their names follow from what they were read from. They are left to the next run of that import.
//! - Right before an orphan becomes a message its key is asked for once more; and a key that is appended twice is one message.
//! - Ages come from names, which hosts give by their own clocks, never from the store: hosts' clocks may differ by a part of the grace time.
//!
//! **Bounds.** 32 octets a row, for the whole index; [`BATCH`] possible orphans; one body at a time from the spool.
//! **On failure.** A check that cannot see everything ends with the error and says nothing: half a listing looks like lost mail. Only where the store may not
//! be listed at all the other half is done, and the report says so.

mod accounts;
mod orphan;
mod report;
mod rows;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use postrider_storage::{
    Error,
    blob::BlobKey,
    index::{BlobId, BlobRef, Index, Timestamp},
};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

pub use self::report::{
    Damage, Damaged, Findings, FsckReport, Missing, Named, Orphan, OrphanFate, WrongQuota,
};
use self::rows::{Rows, Seen};
use super::{BlobPool, Spools};
use crate::actor::Taker;

/// Possible orphans that are looked at together.
const BATCH: usize = 1000;
/// Rows of one page of the index.
const PAGE: u32 = 1000;
/// Bodies asked for at a time.
const PARALLEL: usize = 8;
/// How often the row of a young body is looked for while it is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Makes the encoded summary of a message that the index keeps.
pub type Summarize = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// How closely bodies are looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Depth {
    /// Whether they are there, and their length.
    Length,
    /// All their octets.
    Checksum,
}

/// What happens to orphans.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repair {
    /// They are named.
    Report,
    /// They become messages again where that is possible.
    Append,
}

/// Who gets an orphan that is repaired: who has the address it was made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    /// If that account had it already when the body was made (I6).
    Then,
    /// Whoever has it now: for an index that was lost, whose accounts were made anew.
    Now,
}

/// How a check is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FsckOptions {
    /// How closely bodies are looked at.
    pub depth: Depth,
    /// What happens to orphans.
    pub repair: Repair,
    /// Whose they are.
    pub owner: Owner,
    /// The row of a younger body may be on its way, and is waited for. More than a server takes from the naming of a body to its row, and than
    /// hosts' clocks differ.
    pub grace: Duration,
    /// How long; then the body is left over like any other, unless a server works on the index.
    pub settle: Duration,
    /// How long one operation may take.
    pub patience: Duration,
}

impl Default for FsckOptions {
    fn default() -> Self {
        Self {
            depth: Depth::Length,
            repair: Repair::Report,
            owner: Owner::Then,
            grace: Duration::from_secs(120),
            settle: Duration::from_secs(5),
            patience: Duration::from_secs(60),
        }
    }
}

impl FsckOptions {
    /// The usual ones beside servers whose answers come after this time at the latest: scan, put and commit of a body, each with its own.
    pub fn beside(answer: Duration) -> Self {
        let usual = Self::default();
        Self {
            grace: usual.grace.max(answer.saturating_mul(5)),
            ..usual
        }
    }
}

/// A check of one index and one store.
pub struct Fsck {
    /// The index.
    pub index: Arc<dyn Index>,
    /// The store.
    pub blobs: BlobPool,
    /// Where orphans wait while they are read again.
    pub spools: Spools,
    /// Whose memory that takes.
    pub taker: Taker,
    /// What is kept of a message in the index.
    pub summarize: Summarize,
    /// How it is done.
    pub options: FsckOptions,
}

impl Fsck {
    /// Checks everything once.
    ///
    /// # Errors
    /// Those of the index and of the store, when not everything could be seen.
    pub async fn run(&self, now: Timestamp) -> Result<FsckReport, Error> {
        let mut report = FsckReport::default();
        let mut rows = Rows::load(self.index.as_ref()).await?;
        report.rows = rows.len();
        self.look_at_bodies(now, &mut rows, &mut report).await?;
        self.look_at_rows(&rows, &mut report).await?;
        self.look_at_quotas(&mut report).await?;
        Ok(report)
    }

    /// From the store's side: which bodies have no row, or another length.
    async fn look_at_bodies(
        &self,
        now: Timestamp,
        rows: &mut Rows,
        report: &mut FsckReport,
    ) -> Result<(), Error> {
        let grace = i64::try_from(self.options.grace.as_micros()).unwrap_or(i64::MAX);
        let young_since = now.0.saturating_sub(grace);
        let (mut orphans, mut young) = (Vec::new(), Vec::new());
        let mut bodies = match self.blobs.list("", self.deadline()).await {
            Err(Error::Denied(why)) => {
                report.unlisted = Some(why);
                return Ok(());
            }
            listing => listing?,
        };
        while let Some((key, size)) = bodies.try_next().await? {
            report.bodies += 1;
            report.octets += size;
            match rows.see(&key, size) {
                Some(expected) => compare(&key, expected, size, report),
                None if key.unique().is_some_and(|it| it.made().0 > young_since) => {
                    young.push((key, size));
                }
                None => orphans.push((key, size)),
            }
            if orphans.len() == BATCH {
                self.look_at_orphans(now, &mut orphans, rows, report)
                    .await?;
            }
            if young.len() == BATCH {
                self.look_at_young(now, &mut young, rows, report).await?;
            }
        }
        self.look_at_orphans(now, &mut orphans, rows, report)
            .await?;
        self.look_at_young(now, &mut young, rows, report).await
    }

    /// Young bodies: those whose rows come while they are waited for are well, and the rest is somebody's as long as anybody serves.
    async fn look_at_young(
        &self,
        now: Timestamp,
        young: &mut Vec<(BlobKey, u64)>,
        rows: &mut Rows,
        report: &mut FsckReport,
    ) -> Result<(), Error> {
        let until = Instant::now() + self.options.settle;
        let mut served = self.index.is_served().await?;
        while !young.is_empty() {
            self.leave_known(young, rows, report).await?;
            let now = Instant::now();
            if now >= until {
                break;
            }
            tokio::time::sleep_until((now + LOOK).min(until)).await;
        }
        served |= self.index.is_served().await?;
        if served {
            report.young += young.len() as u64;
            young.clear();
        }
        self.look_at_orphans(now, young, rows, report).await
    }

    /// Takes out bodies that the index knows by now; also those that are doomed, which the reaper deletes.
    async fn leave_known(
        &self,
        bodies: &mut Vec<(BlobKey, u64)>,
        rows: &mut Rows,
        report: &mut FsckReport,
    ) -> Result<(), Error> {
        let keys: Vec<BlobKey> = bodies.iter().map(|(key, _)| key.clone()).collect();
        let known = self.index.known_bodies(&keys).await?;
        let named = known.iter().filter(|it| !it.doomed);
        rows.add_late(named.map(|it| &it.body));
        let known: HashSet<&BlobKey> = known.iter().map(|it| &it.body.key).collect();
        bodies.retain(|(key, size)| {
            let unknown = !known.contains(key);
            if let Some(expected) = rows.see(key, *size) {
                compare(key, expected, *size, report);
            }
            unknown
        });
        Ok(())
    }

    async fn look_at_orphans(
        &self,
        now: Timestamp,
        orphans: &mut Vec<(BlobKey, u64)>,
        rows: &mut Rows,
        report: &mut FsckReport,
    ) -> Result<(), Error> {
        if orphans.is_empty() {
            return Ok(());
        }
        self.leave_known(orphans, rows, report).await?;
        for (key, size) in orphans.drain(..) {
            let Some(orphan) = self.look_at_orphan(now, key, size).await? else {
                continue;
            };
            if matches!(orphan.fate, OrphanFate::Appended { .. }) {
                report.orphans.mended += 1;
            }
            report.orphans.add(orphan);
        }
        Ok(())
    }

    /// From the index's side: which rows have no body, or one with other octets.
    async fn look_at_rows(&self, rows: &Rows, report: &mut FsckReport) -> Result<(), Error> {
        let mut after = BlobId(i64::MIN);
        let mut listed = HashMap::new();
        let unlisted = match report.unlisted {
            Some(_) => Unlisted::Yes,
            None => Unlisted::No,
        };
        loop {
            let page = self.index.all_blobs(after, PAGE).await?;
            let Some(last) = page.last() else {
                return self.name_messages(&listed, report).await;
            };
            after = last.id;
            let due = page.into_iter().filter(|row| self.is_due(row, rows));
            let mut found = stream::iter(due)
                .map(|row| self.look_at_row(row, unlisted))
                .buffer_unordered(PARALLEL);
            while let Some(found) = found.next().await {
                match found? {
                    None => {}
                    Some(RowFault::Missing(id, missing)) => {
                        listed.insert(id, report.missing.listed.len());
                        report.missing.add(missing);
                    }
                    Some(RowFault::Damaged(damaged)) => report.damaged.add(damaged),
                }
            }
        }
    }

    /// Whether a row's body must be asked for by itself. One whose length is wrong was named already.
    fn is_due(&self, row: &BlobRef, rows: &Rows) -> bool {
        match rows.seen(&row.key) {
            Seen::WithItsSize => self.options.depth == Depth::Checksum,
            Seen::WithAnotherSize => false,
            // Listed before it was put, put after the listing, or missing.
            Seen::No => true,
        }
    }

    async fn look_at_row(
        &self,
        row: BlobRef,
        unlisted: Unlisted,
    ) -> Result<Option<RowFault>, Error> {
        let range = match (self.options.depth, unlisted) {
            (Depth::Checksum, _) => 0..row.size,
            (Depth::Length, Unlisted::No) => 0..0,
            // Nobody told its length, so its last octet is asked for.
            (Depth::Length, Unlisted::Yes) => row.size.saturating_sub(1)..row.size,
        };
        let read = async {
            let mut hash = Sha256::new();
            let mut chunks = self.blobs.get(&row.key, range, self.deadline()).await?;
            while let Some(chunk) = chunks.try_next().await? {
                hash.update(&chunk);
            }
            Ok(<[u8; 32]>::from(hash.finalize()))
        };
        let damage = match read.await {
            Ok(sha256) if self.options.depth == Depth::Length || sha256 == row.sha256 => {
                return Ok(None);
            }
            Ok(_) => Damage::Checksum,
            Err(Error::NotFound(_)) => return self.missing(row).await,
            Err(Error::Corrupt(why)) => Damage::Unreadable { why },
            Err(error) => return Err(error),
        };
        Ok(Some(RowFault::Damaged(damaged(&row.key, damage))))
    }

    /// A row whose body was not there, unless it went in the meantime.
    async fn missing(&self, row: BlobRef) -> Result<Option<RowFault>, Error> {
        let before = BlobId(row.id.0.saturating_sub(1));
        let now = self.index.all_blobs(before, 1).await?;
        if now.first().is_none_or(|it| it.id != row.id) {
            return Ok(None);
        }
        let missing = Missing {
            key: row.key.as_str().to_owned(),
            size: row.size,
            messages: Vec::new(),
        };
        Ok(Some(RowFault::Missing(row.id, missing)))
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.options.patience
    }
}

/// Whether the store told nothing of its bodies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unlisted {
    Yes,
    No,
}

/// What is wrong with a row.
enum RowFault {
    Missing(BlobId, Missing),
    Damaged(Damaged),
}

/// Notes a body whose length is not what its row says.
fn compare(key: &BlobKey, expected: u64, found: u64, report: &mut FsckReport) {
    if expected != found {
        report
            .damaged
            .add(damaged(key, Damage::Size { expected, found }));
    }
}

fn damaged(key: &BlobKey, damage: Damage) -> Damaged {
    Damaged {
        key: key.as_str().to_owned(),
        damage,
    }
}
