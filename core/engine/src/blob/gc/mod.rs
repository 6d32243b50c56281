//! The reaper: what was expunged longer ago than the retention time goes for good (I10).
//!
//! One round is three steps: the index dooms bodies that no row names any longer, the store deletes them, the index forgets them.
//!
//! **Invariants.** A body is deleted only after the index has said, in a transaction, that nothing can name it again (I2), and forgotten only
//! after the store has deleted it. A round may end between any two steps, by a failure or with the process: what is doomed comes
//! again in the next one, and deleting twice is a success.
//! **Bounds.** [`ReaperSettings`]: rows a round, deletes at a time.
//! **On failure.** A body that cannot be deleted stays doomed; the others go on, also those that come after a round full of them.
//! A store that takes nothing for [`BARREN`] rounds is left alone until the next run.

#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use postrider_storage::{
    Error,
    index::{BlobId, Change, Doomed, Forget, Index, Outcome, Reap, Timestamp},
};
use tokio::time::Instant;

use super::BlobPool;

/// Rounds in a row that delete nothing before the store is left alone.
pub const BARREN: u32 = 4;

/// How the [`Reaper`] works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReaperSettings {
    /// How long expunged messages can be brought back.
    pub retention: Duration,
    /// Bodies a round, at most.
    pub batch: u32,
    /// Deletes that the store works on at a time.
    pub parallel: usize,
    /// How long one delete may take.
    pub patience: Duration,
}

impl Default for ReaperSettings {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(30 * 24 * 3600),
            batch: 500,
            parallel: 8,
            patience: Duration::from_secs(30),
        }
    }
}

/// What a round, or some, brought.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reaped {
    /// Bodies that were doomed, those of earlier rounds included.
    pub doomed: u64,
    /// Bodies that are gone.
    pub deleted: u64,
    /// Bodies that the store could not delete; they come again.
    pub failed: u64,
}

/// Deletes what no message names any longer.
pub struct Reaper {
    index: Arc<dyn Index>,
    blobs: BlobPool,
    settings: ReaperSettings,
}

impl Reaper {
    /// A reaper of this index and store. Several, in one or many processes, do each other no harm.
    pub fn new(index: Arc<dyn Index>, blobs: BlobPool, settings: ReaperSettings) -> Self {
        Self {
            index,
            blobs,
            settings,
        }
    }

    /// Rounds until nothing is left to do, nothing can be done, or there were `rounds` of them. To be called now and then.
    ///
    /// # Errors
    /// Those of the index. What was done is done, and the rest comes again.
    pub async fn run(&self, now: Timestamp, rounds: u32) -> Result<Reaped, Error> {
        let mut all = Reaped::default();
        let mut stuck = HashSet::new();
        let mut barren = 0;
        for _ in 0..rounds {
            let round = self.one(now).await?;
            let tried = stuck.len();
            stuck.extend(round.failed.iter().copied());
            all.doomed += round.deleted + (stuck.len() - tried) as u64;
            all.deleted += round.deleted;
            let empty = round.deleted == 0 && round.failed.is_empty();
            // The index offers a body that stayed once more before those that were released after it.
            barren = match round.deleted {
                0 => barren + 1,
                _ => 0,
            };
            if empty || barren == BARREN {
                break;
            }
        }
        all.failed = stuck.len() as u64;
        if all.failed > 0 {
            tracing::warn!(
                failed = all.failed,
                deleted = all.deleted,
                "bodies could not be deleted"
            );
        }
        Ok(all)
    }

    /// One round.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn round(&self, now: Timestamp) -> Result<Reaped, Error> {
        let Round { deleted, failed } = self.one(now).await?;
        let failed = failed.len() as u64;
        Ok(Reaped {
            doomed: deleted + failed,
            deleted,
            failed,
        })
    }

    async fn one(&self, now: Timestamp) -> Result<Round, Error> {
        let retention = i64::try_from(self.settings.retention.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(now.0.saturating_sub(retention));
        let doomed = doom(self.index.as_ref(), before, self.settings.batch).await?;
        let ends: Vec<_> = stream::iter(doomed)
            .map(|body| self.delete(body))
            .buffer_unordered(self.settings.parallel.max(1))
            .collect()
            .await;
        let (mut gone, mut failed) = (Vec::new(), Vec::new());
        for end in ends {
            match end {
                Ok(id) => gone.push(id),
                Err(id) => failed.push(id),
            }
        }
        let deleted = gone.len() as u64;
        if deleted > 0 {
            let forget = Change::Forget(Forget { blobs: gone });
            super::apply(self.index.as_ref(), forget).await?;
        }
        Ok(Round { deleted, failed })
    }

    /// The body, gone or not.
    async fn delete(&self, body: Doomed) -> Result<BlobId, BlobId> {
        let deadline = Instant::now() + self.settings.patience;
        match self.blobs.delete(&body.key, deadline).await {
            Ok(()) => Ok(body.id),
            Err(error) => {
                tracing::debug!(key = %body.key, %error, "a doomed body stays");
                Err(body.id)
            }
        }
    }
}

/// What a round brought.
struct Round {
    deleted: u64,
    failed: Vec<BlobId>,
}

/// Bodies that may be deleted: those of earlier rounds, and those that nothing names since `before`.
async fn doom(index: &dyn Index, before: Timestamp, limit: u32) -> Result<Vec<Doomed>, Error> {
    match super::apply(index, Change::Reap(Reap { before, limit })).await? {
        Outcome::Doomed(doomed) => Ok(doomed),
        other => Err(Error::Corrupt(format!(
            "the index answered a reap with {other:?}"
        ))),
    }
}
