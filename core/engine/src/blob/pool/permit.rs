//! Leave to ask the store: so many operations and octets at a time.
//!
//! **Invariants.** Whoever waits is served in order. A write takes its place first and its room for octets then, always, so that
//! nobody waits for what another holds who waits for what the first holds.
//!
//! That the number of permits follows the store's latency (additive increase, multiplicative decrease) belongs here: semaphores
//! grow and shrink while they are used.

use std::{fmt, sync::Arc};

use metrics::Gauge;
use postrider_storage::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{PoolLimits, meter::Raised};

/// Octets that one permit stands for.
const UNIT: u64 = 1024;

/// How much may go on at a time.
pub(super) struct Permits {
    writes: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    /// In [`UNIT`]s.
    octets: Arc<Semaphore>,
    all_octets: u32,
}

impl Permits {
    pub(super) fn new(limits: &PoolLimits) -> Self {
        let permits =
            |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        let all_octets = u32::try_from(limits.octets.get() / UNIT)
            .unwrap_or(u32::MAX)
            .max(1);
        Self {
            writes: permits(limits.writes),
            reads: permits(limits.reads),
            octets: permits(usize::try_from(all_octets).unwrap_or(usize::MAX)),
            all_octets,
        }
    }

    /// Leave to write so many octets; more than all there are count as all.
    pub(super) async fn write(&self, octets: u64, taken: &Gauge) -> Result<Permit, Error> {
        let units = octets.div_ceil(UNIT).min(u64::from(self.all_octets));
        let units = u32::try_from(units).unwrap_or(self.all_octets);
        let place = take(&self.writes, 1).await?;
        let room = take(&self.octets, units).await?;
        Ok(Permit::new([Some(place), Some(room)], taken))
    }

    /// Leave to read.
    pub(super) async fn read(&self, taken: &Gauge) -> Result<Permit, Error> {
        let place = take(&self.reads, 1).await?;
        Ok(Permit::new([Some(place), None], taken))
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> (usize, usize, usize) {
        let Self {
            writes,
            reads,
            octets,
            ..
        } = self;
        (
            writes.available_permits(),
            reads.available_permits(),
            octets.available_permits(),
        )
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Permits");
        out.field("writes_free", &self.writes.available_permits());
        out.field("reads_free", &self.reads.available_permits());
        out.finish_non_exhaustive()
    }
}

async fn take(semaphore: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Error> {
    let permit = semaphore.clone().acquire_many_owned(count).await;
    permit.map_err(|_| Error::Unavailable("the pool is closed".to_owned()))
}

/// Leave to ask the store; given back when dropped.
#[derive(Default)]
pub(super) struct Permit {
    _held: [Option<OwnedSemaphorePermit>; 2],
    _taken: Option<Raised>,
}

impl Permit {
    fn new(held: [Option<OwnedSemaphorePermit>; 2], taken: &Gauge) -> Self {
        Self {
            _held: held,
            _taken: Some(Raised::new(taken)),
        }
    }
}
