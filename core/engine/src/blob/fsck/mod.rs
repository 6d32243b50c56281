//! The check that index and store agree, in both directions.
//!
//! Rows without a body are lost mail: they are named and never removed. Bodies without a row are left by a crash between put
//! and commit, or by an index that was restored from an older copy. `Repair::Append` makes them messages again, in the mailbox of
//! their birth, which is made again if it is gone: mail is never thrown away, and at worst somebody gets one twice (a sender who heard
//! no 250 has sent it again). Only what was made whole is appended; what is damaged, or whose account is gone or full, stays
//! where it is and is named.
//!
//! It runs beside a working server. Whatever appears or goes while it looks is asked for again before it counts, and the row of a body
//! younger than the grace time is waited for: a delivery may be about to name it. Should it come after the wait it finds the row
//! that a repair made, since a key is appended once.
//!
//! **Bounds.** 32 octets a row, for the whole index; [`BATCH`] possible orphans; one body at a time from the spool.
//! **On failure.** A check that cannot see everything ends with the error and says nothing: half a listing looks like lost mail.

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
use super::{BlobPool, Spools, gc};
use crate::actor::Taker;

/// Possible orphans that are looked at together.
const BATCH: usize = 1000;
/// Rows of one page of the index.
const PAGE: u32 = 1000;
/// Bodies asked for at a time.
const PARALLEL: usize = 8;
/// How often the row of a young body is looked for while it is waited for.
const LOOK: Duration = Duration::from_millis(500);
/// Doomed bodies that are not taken for orphans; the reaper leaves no more than a round behind.
const DOOMED: u32 = 100_000;

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
    /// The row of a younger body may be on its way, and is waited for.
    pub grace: Duration,
    /// How long; then the body counts as left over like any other.
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
        let mut orphans = Vec::new();
        let mut young = Vec::new();
        let mut bodies = self.blobs.list("", self.deadline()).await?;
        while let Some((key, size)) = bodies.try_next().await? {
            report.bodies += 1;
            report.octets += size;
            match rows.see(&key, size) {
                Some(expected) if expected == size => {}
                Some(expected) => {
                    let damage = Damage::Size {
                        expected,
                        found: size,
                    };
                    report.damaged.add(damaged(&key, damage));
                }
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
                self.wait_for_rows(&mut young, rows).await?;
                self.look_at_orphans(now, &mut young, rows, report).await?;
            }
        }
        self.look_at_orphans(now, &mut orphans, rows, report)
            .await?;
        self.wait_for_rows(&mut young, rows).await?;
        self.look_at_orphans(now, &mut young, rows, report).await
    }

    /// Takes out bodies whose rows come while they are waited for.
    async fn wait_for_rows(
        &self,
        young: &mut Vec<(BlobKey, u64)>,
        rows: &mut Rows,
    ) -> Result<(), Error> {
        let until = Instant::now() + self.options.settle;
        loop {
            if young.is_empty() {
                return Ok(());
            }
            rows.catch_up(self.index.as_ref()).await?;
            young.retain(|(key, size)| rows.see(key, *size).is_none());
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            tokio::time::sleep_until((now + LOOK).min(until)).await;
        }
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
        // Rows that were committed since the others were read.
        rows.catch_up(self.index.as_ref()).await?;
        // What is doomed no message names any longer, but the index still knows. Nothing is newly doomed by asking: nothing was expunged before 1970.
        let doomed = gc::doom(self.index.as_ref(), Timestamp(0), DOOMED).await?;
        let doomed: HashSet<BlobKey> = doomed.into_iter().map(|body| body.key).collect();
        for (key, size) in orphans.drain(..) {
            if rows.see(&key, size).is_some() || doomed.contains(&key) {
                continue;
            }
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
        loop {
            let page = self.index.all_blobs(after, PAGE).await?;
            let Some(last) = page.last() else {
                return self.name_messages(&listed, report).await;
            };
            after = last.id;
            let due = page.into_iter().filter(|row| self.is_due(row, rows));
            let mut found = stream::iter(due)
                .map(|row| self.look_at_row(row))
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

    async fn look_at_row(&self, row: BlobRef) -> Result<Option<RowFault>, Error> {
        let end = match self.options.depth {
            Depth::Length => 0,
            Depth::Checksum => row.size,
        };
        let read = async {
            let mut hash = Sha256::new();
            let mut chunks = self.blobs.get(&row.key, 0..end, self.deadline()).await?;
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

/// What is wrong with a row.
enum RowFault {
    Missing(BlobId, Missing),
    Damaged(Damaged),
}

fn damaged(key: &BlobKey, damage: Damage) -> Damaged {
    Damaged {
        key: key.as_str().to_owned(),
        damage,
    }
}
