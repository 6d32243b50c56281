//! Leave to ask the store: so many operations and octets at a time.
//!
//! **Invariants.** Whoever waits is served in order. A write takes its place first and its room for octets then, always, so that
//! nobody waits for what another holds who waits for what the first holds.
//! **Bounds.** [`PoolLimits`]; where they are adaptive, the places follow the store's latency ([`Adapt`]) and never pass them.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use metrics::Gauge;
use postrider_storage::Error;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{PoolLimits, adapt::Adapt, meter::Raised};

/// Octets that one permit stands for.
const UNIT: u64 = 1024;

/// How much may go on at a time.
pub(super) struct Permits {
    writes: Arc<Lane>,
    reads: Arc<Lane>,
    /// In [`UNIT`]s.
    octets: Arc<Semaphore>,
    all_octets: u32,
}

impl Permits {
    /// The gauges show how many places there are for writes and reads.
    pub(super) fn new(limits: &PoolLimits, writes: Gauge, reads: Gauge) -> Self {
        let all_octets = u32::try_from(limits.octets.get() / UNIT)
            .unwrap_or(u32::MAX)
            .max(1);
        let octets = usize::try_from(all_octets).unwrap_or(usize::MAX);
        Self {
            writes: Lane::new(limits.writes, limits.adaptive, writes),
            reads: Lane::new(limits.reads, limits.adaptive, reads),
            octets: Arc::new(Semaphore::new(octets.min(Semaphore::MAX_PERMITS))),
            all_octets,
        }
    }

    /// Leave to write so many octets; more than all there are count as all.
    pub(super) async fn write(&self, octets: u64, taken: &Gauge) -> Result<Permit, Error> {
        let units = octets.div_ceil(UNIT).min(u64::from(self.all_octets));
        let units = u32::try_from(units).unwrap_or(self.all_octets);
        let place = self.writes.take().await?;
        let room = take(&self.octets, units).await?;
        Ok(Permit::new(place, Some(room), taken))
    }

    /// Leave to read.
    pub(super) async fn read(&self, taken: &Gauge) -> Result<Permit, Error> {
        let place = self.reads.take().await?;
        Ok(Permit::new(place, None, taken))
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> (usize, usize, usize) {
        (
            self.writes.places.available_permits(),
            self.reads.places.available_permits(),
            self.octets.available_permits(),
        )
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Permits");
        out.field("writes_free", &self.writes.places.available_permits());
        out.field("reads_free", &self.reads.places.available_permits());
        out.finish_non_exhaustive()
    }
}

async fn take(semaphore: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Error> {
    let permit = semaphore.clone().acquire_many_owned(count).await;
    permit.map_err(|_| Error::Unavailable("the pool is closed".to_owned()))
}

/// The places of one kind of operations.
struct Lane {
    places: Arc<Semaphore>,
    /// None: always as many.
    adapting: Option<Mutex<Adapting>>,
}

struct Adapting {
    adapt: Adapt,
    /// Places there are, without those owed.
    now: usize,
    /// Places taken that vanish when they are given back.
    owed: usize,
    shown: Gauge,
}

impl Lane {
    fn new(most: usize, adaptive: bool, shown: Gauge) -> Arc<Self> {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        shown.set(most as f64);
        let adapting = adaptive.then(|| {
            Mutex::new(Adapting {
                adapt: Adapt::new(most),
                now: most,
                owed: 0,
                shown,
            })
        });
        Arc::new(Self {
            places: Arc::new(Semaphore::new(most)),
            adapting,
        })
    }

    async fn take(self: &Arc<Self>) -> Result<Place, Error> {
        let permit = take(&self.places, 1).await?;
        Ok(Place {
            lane: self.clone(),
            permit: Some(permit),
        })
    }

    fn adapting(&self) -> Option<MutexGuard<'_, Adapting>> {
        let adapting = self.adapting.as_ref()?;
        Some(adapting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Learns from an operation.
    fn learn(&self, begun: Instant, well: bool) {
        let Some(mut adapting) = self.adapting() else {
            return;
        };
        let now = Instant::now();
        let free = self.places.available_permits();
        let working = (adapting.now + adapting.owed).saturating_sub(free);
        match well {
            true => adapting.adapt.answered(begun, now, working),
            false => adapting.adapt.failed(begun, now),
        }
        let wanted = adapting.adapt.window();
        if wanted > adapting.now {
            let more = wanted - adapting.now;
            let forgiven = more.min(adapting.owed);
            adapting.owed -= forgiven;
            self.places.add_permits(more - forgiven);
        } else {
            let fewer = adapting.now - wanted;
            adapting.owed += fewer - self.places.forget_permits(fewer);
        }
        adapting.now = wanted;
        adapting.shown.set(wanted as f64);
    }
}

/// A place, given back when dropped.
struct Place {
    lane: Arc<Lane>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(mut adapting) = self.lane.adapting() else {
            return;
        };
        if adapting.owed > 0
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
            adapting.owed -= 1;
        }
    }
}

/// Leave to ask the store; given back when dropped.
#[derive(Default)]
pub(super) struct Permit {
    place: Option<Place>,
    _room: Option<OwnedSemaphorePermit>,
    _taken: Option<Raised>,
}

impl Permit {
    fn new(place: Place, room: Option<OwnedSemaphorePermit>, taken: &Gauge) -> Self {
        Self {
            place: Some(place),
            _room: room,
            _taken: Some(Raised::new(taken)),
        }
    }

    /// The store has answered what this was leave for; `octets` went there. Large bodies say more about themselves than about the store.
    pub(super) fn learn<T>(&self, begun: Instant, outcome: &Result<T, Error>, octets: u64) {
        let Some(place) = &self.place else { return };
        match outcome {
            Err(Error::Unavailable(_)) => place.lane.learn(begun, false),
            _ if octets <= super::TELLING => place.lane.learn(begun, true),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    fn lane(most: usize) -> Arc<Lane> {
        Lane::new(most, true, Gauge::noop())
    }

    #[tokio::test]
    async fn places_that_are_taken_vanish_when_they_come_back() {
        let lane = lane(16);
        let mut held = Vec::new();
        for _ in 0..16 {
            held.push(lane.take().await.unwrap());
        }
        lane.learn(Instant::now(), false);
        let now = lane.adapting().unwrap().now;
        assert_eq!((now, lane.adapting().unwrap().owed), (11, 5));
        for _ in 0..5 {
            held.pop();
        }
        assert_eq!(lane.places.available_permits(), 0);
        assert_eq!(lane.adapting().unwrap().owed, 0);
        held.clear();
        assert_eq!(lane.places.available_permits(), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn places_come_and_go_and_none_is_lost() {
        let lane = lane(16);
        let mut held = Vec::new();
        for round in 0..500u64 {
            if let Ok(Ok(place)) = tokio::time::timeout(Duration::from_millis(1), lane.take()).await
            {
                held.push(place);
            }
            let begun = Instant::now();
            tokio::time::advance(Duration::from_millis(round * 37 % 90)).await;
            lane.learn(begun, round % 7 != 0);
            if round % 3 == 0 {
                held.pop();
            }
            let adapting = lane.adapting().unwrap();
            let free = lane.places.available_permits();
            assert_eq!(
                adapting.now + adapting.owed,
                free + held.len(),
                "round {round}"
            );
            assert!(adapting.now <= 16 && adapting.now >= 2);
        }
        held.clear();
        let now = lane.adapting().unwrap().now;
        assert_eq!(lane.places.available_permits(), now);
    }
}
