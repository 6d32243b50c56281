//! The pool in front of the store: so many operations and octets at a time, each with a deadline.
//!
//! **Invariants.** A permit is held until the store is done, not until the asker loses patience: permits say what the store works
//! on. The store's futures run on the service runtime, where its connections live; what has begun is carried to its end there.
//! Reads and writes have permits of their own, so that slow readers do not keep mail from coming in.
//! **Bounds.** [`PoolLimits`]. Waiting askers stand in line, served in order; they hold what they have in the spool.
//! **On failure.** A deadline that passes is [`Error::Unavailable`]: before the permit nothing was done, afterwards the outcome is
//! unknown and the same put may be repeated. A store that panics is unavailable too.

mod adapt;
mod meter;
mod permit;

#[cfg(test)]
mod tests;

use std::{fmt, future::Future, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use metrics::gauge;
use postrider_storage::{
    Error,
    blob::{self, BlobKey, BlobMeta, BlobSource, BlobStore, BlobStream, BlobWritten, BlockingPut},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, error::Elapsed, timeout, timeout_at},
};

use self::{
    meter::{Meter, Meters},
    permit::{Permit, Permits},
};
use crate::{
    actor::{ByteCount, ServiceRuntime, Task},
    telemetry::metrics::STORE_PERMITS,
};

/// Picks an operation's figures.
type Pick = fn(&Meters) -> &Meter;

/// Chunks of 64 KiB that a read holds ready for its reader.
const CHUNKS_AHEAD: usize = 4;
/// Entries of a listing held ready.
const LISTED_AHEAD: usize = 256;
/// Octets of a put up to which its time says how the store is.
const TELLING: u64 = 256 << 10;

/// What a [`BlobPool`] lets through at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PoolLimits {
    /// Puts and deletes.
    pub writes: usize,
    /// Gets, each until the store has given all of it or waits for its reader.
    pub reads: usize,
    /// Octets of the bodies being put; one that is larger goes alone.
    pub octets: ByteCount,
    /// How long the store may take from one chunk of a get to the next.
    pub stall: Duration,
    /// Whether fewer are let through while the store answers later than usual, or not at all.
    pub adaptive: bool,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            writes: 64,
            reads: 256,
            octets: ByteCount::mib(256),
            stall: Duration::from_secs(60),
            adaptive: false,
        }
    }
}

/// The way to the store, cheap to clone.
#[derive(Clone)]
pub struct BlobPool(Arc<Inner>);

struct Inner {
    store: Arc<dyn BlobStore>,
    /// Puts that need no task of their own.
    blocking: Option<Arc<dyn BlockingPut>>,
    service: ServiceRuntime,
    stall: Duration,
    permits: Permits,
    meters: Meters,
}

impl Inner {
    /// Counts what a put brought.
    fn written(&self, outcome: Result<BlobWritten, Error>) -> Result<BlobWritten, Error> {
        outcome.inspect(|written| self.meters.put_octets.increment(written.size))
    }
}

impl BlobPool {
    /// A pool in front of `store`, whose work is done on `service`. Limits of zero count as one.
    pub fn new(store: Arc<dyn BlobStore>, service: ServiceRuntime, limits: PoolLimits) -> Self {
        let meters = Meters::new();
        let places = |kind| gauge!(STORE_PERMITS, "kind" => kind);
        Self(Arc::new(Inner {
            blocking: store.blocking(),
            store,
            service,
            stall: limits.stall,
            permits: Permits::new(&limits, places("write"), places("read")),
            meters,
        }))
    }

    /// [`BlobStore::put`], answered before `deadline`. What `source` reads must stay until then, at least.
    ///
    /// # Errors
    /// Those of the store; [`Error::Unavailable`] at the deadline.
    pub async fn put(
        &self,
        key: &BlobKey,
        source: BlobSource,
        meta: &BlobMeta,
        deadline: Instant,
    ) -> Result<BlobWritten, Error> {
        let octets = source.octets();
        let pick: Pick = |meters| &meters.put;
        let permit = self.write(octets, pick, deadline).await?;
        let (inner, key, meta) = (self.0.clone(), key.clone(), meta.clone());
        match &self.0.blocking {
            Some(store) => {
                let store = store.clone();
                let work = move || {
                    let begun = Instant::now();
                    let outcome = store.put(&key, &source, &meta);
                    pick(&inner.meters).answered(begun, &outcome);
                    permit.learn(begun, &outcome, octets);
                    drop(permit);
                    inner.written(outcome)
                };
                let task = self.0.service.block(work);
                self.finished(task, pick, deadline).await
            }
            None => {
                let work = async move {
                    let outcome = inner.store.put(&key, source, &meta).await;
                    inner.written(outcome)
                };
                self.run((permit, octets), pick, deadline, work).await
            }
        }
    }

    /// [`BlobStore::get`], begun before `deadline`.
    ///
    /// # Errors
    /// Those of the store; [`Error::Unavailable`] at the deadline, and as the last item of the stream when the store stalls.
    pub async fn get(
        &self,
        key: &BlobKey,
        range: Range<u64>,
        deadline: Instant,
    ) -> Result<BlobStream, Error> {
        let pick: Pick = |meters| &meters.get;
        let permit = self.read(pick, deadline).await?;
        let wanted = range.end.saturating_sub(range.start);
        let (inner, key) = (self.0.clone(), key.clone());
        let open = async move { inner.store.get(&key, range).await };
        let chunks = self
            .stream(permit, pick, CHUNKS_AHEAD, deadline, open)
            .await?;
        let read = self.0.meters.get_octets.clone();
        let exactly = stream::try_unfold((chunks, wanted), move |(mut chunks, left)| {
            let read = read.clone();
            async move {
                match chunks.next().await.transpose()? {
                    Some(chunk) if chunk.len() as u64 <= left => {
                        let octets = chunk.len() as u64;
                        read.increment(octets);
                        Ok(Some((chunk, (chunks, left - octets))))
                    }
                    None if left == 0 => Ok(None),
                    // Who reads was told how many octets come.
                    _ => Err(Error::Corrupt(
                        "a body of another length than it should have".to_owned(),
                    )),
                }
            }
        });
        Ok(exactly.boxed())
    }

    /// [`BlobStore::get_all`], answered before `deadline`. One permit for all of them: they are read one after the other.
    ///
    /// # Errors
    /// As a whole: [`Error::Unavailable`] at the deadline. Of each body: those of the store.
    pub async fn get_all(
        &self,
        bodies: Vec<(BlobKey, u64)>,
        deadline: Instant,
    ) -> Result<Vec<Result<Bytes, Error>>, Error> {
        let pick: Pick = |meters| &meters.get;
        let permit = self.read(pick, deadline).await?;
        let inner = self.0.clone();
        let work = async move {
            let read = inner.store.get_all(bodies).await?;
            let octets = read.iter().flatten().map(|body| body.len() as u64).sum();
            inner.meters.get_octets.increment(octets);
            Ok(read)
        };
        // Of many bodies nobody knows how long they usually take.
        self.run((permit, u64::MAX), pick, deadline, work).await
    }

    /// [`BlobStore::delete`], answered before `deadline`.
    ///
    /// # Errors
    /// Those of the store; [`Error::Unavailable`] at the deadline.
    pub async fn delete(&self, key: &BlobKey, deadline: Instant) -> Result<(), Error> {
        let pick: Pick = |meters| &meters.delete;
        let permit = self.write(0, pick, deadline).await?;
        let (inner, key) = (self.0.clone(), key.clone());
        let work = async move { inner.store.delete(&key).await };
        // Takes another time than a put, which is what the places follow.
        self.run((permit, u64::MAX), pick, deadline, work).await
    }

    /// [`BlobStore::meta`], answered before `deadline`.
    ///
    /// # Errors
    /// Those of the store; [`Error::Unavailable`] at the deadline.
    pub async fn meta(&self, key: &BlobKey, deadline: Instant) -> Result<BlobMeta, Error> {
        let pick: Pick = |meters| &meters.meta;
        let permit = self.read(pick, deadline).await?;
        let (inner, key) = (self.0.clone(), key.clone());
        let work = async move { inner.store.meta(&key).await };
        self.run((permit, 0), pick, deadline, work).await
    }

    /// [`BlobStore::list`], begun before `deadline`.
    ///
    /// # Errors
    /// Those of the store; [`Error::Unavailable`] at the deadline, and as the last item when the store stalls.
    pub async fn list(
        &self,
        prefix: &str,
        deadline: Instant,
    ) -> Result<BoxStream<'static, Result<(BlobKey, u64), Error>>, Error> {
        let pick: Pick = |meters| &meters.list;
        let permit = self.read(pick, deadline).await?;
        let (inner, prefix) = (self.0.clone(), prefix.to_owned());
        let open = async move { inner.store.list(&prefix).await };
        self.stream(permit, pick, LISTED_AHEAD, deadline, open)
            .await
    }

    /// [`BlobStore::probe`], answered before `deadline`. Needs no permit: it asks how the store is, not how busy we are.
    ///
    /// # Errors
    /// Those of the store; [`Error::Unavailable`] at the deadline.
    pub async fn probe(&self, deadline: Instant) -> Result<(), Error> {
        let inner = self.0.clone();
        let work = async move { inner.store.probe().await };
        let pick: Pick = |meters| &meters.probe;
        self.run((Permit::default(), 0), pick, deadline, work).await
    }

    async fn write(&self, octets: u64, pick: Pick, deadline: Instant) -> Result<Permit, Error> {
        let waiting = self.0.meters.waiting();
        let permit = self.0.permits.write(octets, &self.0.meters.writes);
        let permit = timeout_at(deadline, permit).await;
        drop(waiting);
        self.in_time(permit, pick)
    }

    async fn read(&self, pick: Pick, deadline: Instant) -> Result<Permit, Error> {
        let waiting = self.0.meters.waiting();
        let permit = self.0.permits.read(&self.0.meters.reads);
        let permit = timeout_at(deadline, permit).await;
        drop(waiting);
        self.in_time(permit, pick)
    }

    fn in_time<T>(
        &self,
        waited: Result<Result<T, Error>, Elapsed>,
        pick: Pick,
    ) -> Result<T, Error> {
        waited.unwrap_or_else(|_| {
            pick(&self.0.meters).gave_up();
            Err(Error::Unavailable("the store took too long".to_owned()))
        })
    }

    /// Runs one operation on the service runtime; the permit goes with it, whoever still waits, and learns from it, if so many octets
    /// are few enough.
    async fn run<T: Send + 'static>(
        &self,
        (permit, octets): (Permit, u64),
        pick: Pick,
        deadline: Instant,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = self.0.clone();
        let task = self.0.service.spawn(async move {
            let begun = Instant::now();
            let outcome = blob::until(deadline, work).await;
            pick(&inner.meters).answered(begun, &outcome);
            permit.learn(begun, &outcome, octets);
            drop(permit);
            outcome
        });
        self.finished(task, pick, deadline).await
    }

    /// Waits until the deadline for work that goes on after it.
    async fn finished<T>(
        &self,
        task: Task<Result<T, Error>>,
        pick: Pick,
        deadline: Instant,
    ) -> Result<T, Error> {
        let task = async {
            task.await
                .unwrap_or_else(|gone| Err(Error::Unavailable(gone.to_string())))
        };
        self.in_time(timeout_at(deadline, task).await, pick)
    }

    /// Opens a stream on the service runtime and moves its items over, a few ahead; the permit goes with it to its end.
    async fn stream<T: Send + 'static>(
        &self,
        permit: Permit,
        pick: Pick,
        ahead: usize,
        deadline: Instant,
        open: impl Future<Output = Result<BoxStream<'static, Result<T, Error>>, Error>> + Send + 'static,
    ) -> Result<BoxStream<'static, Result<T, Error>>, Error> {
        let (opened, is_open) = oneshot::channel();
        let inner = self.0.clone();
        self.0.service.spawn(async move {
            let begun = Instant::now();
            let outcome = blob::until(deadline, open).await;
            pick(&inner.meters).answered(begun, &outcome);
            permit.learn(begun, &outcome, 0);
            let (sender, receiver) = mpsc::channel(ahead);
            let outcome = outcome.map(|items| (items, receiver));
            let (answer, items) = match outcome {
                Ok((items, receiver)) => (Ok(receiver), Some(items)),
                Err(error) => (Err(error), None),
            };
            if let (Ok(()), Some(items)) = (opened.send(answer), items) {
                forward(items, sender, inner.stall, permit).await;
            }
        });
        let is_open = async { is_open.await.unwrap_or_else(|_| Err(broke_off())) };
        let receiver = self.in_time(timeout_at(deadline, is_open).await, pick)?;
        let items = stream::try_unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Some(item) => Ok(item?.map(|item| (item, receiver))),
                // The end is said, never just silence: a listing that stops must not look like lost mail.
                None => Err(broke_off()),
            }
        });
        Ok(items.boxed())
    }
}

/// Moves items to their reader until the end, an error, or nobody reads; the end is `None`. A reader that is slower than the store
/// gives the permit back: what waits is a few chunks, and those who read fast must not wait for those who do not.
async fn forward<T>(
    mut items: BoxStream<'static, Result<T, Error>>,
    reader: mpsc::Sender<Result<Option<T>, Error>>,
    stall: Duration,
    permit: Permit,
) {
    let mut permit = Some(permit);
    loop {
        let item = match timeout(stall, items.next()).await {
            Ok(item) => item.transpose(),
            Err(_) => Err(Error::Unavailable("the store stalled".to_owned())),
        };
        let last = !matches!(item, Ok(Some(_)));
        let sent = match reader.try_send(item) {
            Err(mpsc::error::TrySendError::Full(item)) => {
                permit = None;
                reader.send(item).await.is_ok()
            }
            sent => sent.is_ok(),
        };
        if !sent || last {
            drop(permit);
            return;
        }
    }
}

fn broke_off() -> Error {
    Error::Unavailable("the store broke off".to_owned())
}

impl fmt::Debug for BlobPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlobPool").field(&self.0.permits).finish()
    }
}
