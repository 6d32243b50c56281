//! The end in order: start right to left, stop left to right.
//!
//! A process is built from the index to the listeners and taken down from the listeners to the index, so that nobody
//! is asked who has gone already. Each stage gets a deadline: until then its work may end well; then it is cut, and
//! the next stage has its turn. A second signal cuts everything at once.
//!
//! **Invariants.** A stage begins to drain when all before it are over. Once a stage drains, no new work begins in it.
//!
//! **Bounds.** The sum of the deadlines.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, Context};
use futures_util::FutureExt;
use futures_util::future::join_all;
use metrics::{Gauge, gauge};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::Handle;
use super::life::text;
use super::watched::Watched;
use crate::telemetry::metrics::STAGE_OPEN_WORK;

/// A part of the house, in the order in which they stop.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Take no new connections.
    Listeners,
    /// Finish the open command, say `BYE` or `421`, close.
    Connections,
    /// Finish open deliveries, give back the leases of the rest.
    Queue,
    /// Finish open changes.
    Mailboxes,
    /// Finish uploads.
    BlobPool,
    /// Finish transactions, close the database.
    Index,
}

impl Stage {
    /// All, in the order in which they stop; they start in the opposite one.
    pub const ALL: [Self; 6] = [
        Self::Listeners,
        Self::Connections,
        Self::Queue,
        Self::Mailboxes,
        Self::BlobPool,
        Self::Index,
    ];

    /// As logs and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listeners => "listeners",
            Self::Connections => "connections",
            Self::Queue => "queue",
            Self::Mailboxes => "mailboxes",
            Self::BlobPool => "blob pool",
            Self::Index => "index",
        }
    }
}

/// The stages of one process. Cheap to clone.
///
/// Metric: [`STAGE_OPEN_WORK`], by stage.
#[derive(Clone)]
pub struct Stages(Arc<Inner>);

struct Inner {
    stages: [Arc<One>; Stage::ALL.len()],
    hurry: watch::Sender<bool>,
}

struct One {
    stage: Stage,
    phase: Watched<Phase>,
    /// Twice the number of open works, plus one once no more may begin.
    open: AtomicUsize,
    idle: Notify,
    closers: Mutex<Vec<Closer>>,
    meter: Gauge,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Phase {
    Open,
    Draining,
    Over,
}

const CLOSED: usize = 1;
const WORK: usize = 2;

type Closing = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Closer {
    name: String,
    close: Box<dyn FnOnce(Instant) -> Closing + Send>,
}

impl Stages {
    /// All stages open.
    pub fn new() -> Self {
        let stages = Stage::ALL.map(|stage| {
            Arc::new(One {
                stage,
                phase: Watched::new(Phase::Open),
                open: AtomicUsize::new(0),
                idle: Notify::new(),
                closers: Mutex::default(),
                meter: gauge!(STAGE_OPEN_WORK, "stage" => stage.name()),
            })
        });
        let hurry = watch::Sender::new(false);
        Self(Arc::new(Inner { stages, hurry }))
    }

    /// The word by which those who work in `stage` hear of its end.
    pub fn drain(&self, stage: Stage) -> Drain {
        Drain(self.one(stage).clone())
    }

    /// Runs `close` when `stage` drains; the stage is not over before it has ended. It is given the deadline, and is
    /// dropped when that passes. Added to a stage that drains already, it is dropped unused.
    pub fn at<F>(
        &self,
        stage: Stage,
        name: impl Into<String>,
        close: impl FnOnce(Instant) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let closer = Closer {
            name: name.into(),
            close: Box::new(move |deadline| Box::pin(close(deadline))),
        };
        let mut closers = self.one(stage).closers();
        if self.one(stage).phase.get() == Phase::Open {
            closers.push(closer);
        }
    }

    /// Stops the actor when `stage` drains, and keeps it alive until then.
    pub fn stop_actor<A: Actor<Context = Context<A>>>(&self, stage: Stage, handle: &Handle<A>) {
        let name = handle.role().name().to_owned();
        let handle = handle.clone();
        self.at(stage, name, move |_| {
            handle.stop();
            handle.ended().map(drop)
        });
    }

    /// Takes the house down, stage by stage, each with the time that `patience` gives it. A second call finds nothing
    /// left to do.
    pub async fn stop(&self, patience: impl Fn(Stage) -> Duration) -> DrainReport {
        let mut stages = Vec::new();
        for stage in Stage::ALL {
            stages.push(self.stop_one(stage, patience(stage)).await);
        }
        DrainReport { stages }
    }

    /// Takes down one stage; those before it must be over already. A second call finds nothing left to do.
    pub async fn stop_one(&self, stage: Stage, patience: Duration) -> StageReport {
        let one = self.one(stage);
        let begun = Instant::now();
        let deadline = begun + patience;
        let mut hurry = self.0.hurry.subscribe();
        let work = timeout_at(deadline, one.drain(deadline));
        let in_time = tokio::select! {
            biased;
            _ = hurry.wait_for(|hurry| *hurry) => false,
            done = work => done.is_ok(),
        };
        let left = one.cut();
        let report = StageReport {
            stage,
            took: begun.elapsed(),
            left,
            in_time,
        };
        report.log();
        report
    }

    /// Waits for SIGTERM or SIGINT, then takes the house down as [`stop`](Self::stop) does; the next signal
    /// [hurries](Self::hurry) it.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub async fn stop_on_signals(
        &self,
        patience: impl Fn(Stage) -> Duration,
    ) -> io::Result<DrainReport> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        tracing::info!("going down");
        let stop = self.stop(patience);
        tokio::pin!(stop);
        tokio::select! {
            report = &mut stop => return Ok(report),
            () = next() => {}
        }
        tracing::warn!("going down at once");
        self.hurry();
        Ok(stop.await)
    }

    /// Cuts everything at once: the second signal.
    pub fn hurry(&self) {
        self.0.hurry.send_replace(true);
        for one in &self.0.stages {
            one.cut();
        }
    }

    fn one(&self, stage: Stage) -> &Arc<One> {
        // `Stage::ALL` is in the order of the discriminants; a test says so.
        &self.0.stages[stage as usize]
    }
}

impl Default for Stages {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phases = self.0.stages.iter();
        let phases = phases.map(|one| (one.stage, one.phase.get(), one.count()));
        f.debug_list().entries(phases).finish()
    }
}

impl One {
    fn closers(&self) -> std::sync::MutexGuard<'_, Vec<Closer>> {
        self.closers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.open.load(Ordering::SeqCst) / WORK
    }

    fn begin(self: &Arc<Self>) -> Option<Work> {
        let more = |open: usize| (open & CLOSED == 0).then_some(open + WORK);
        let begun = self
            .open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        begun.ok()?;
        self.meter.increment(1.0);
        Some(Work(self.clone()))
    }

    /// Waits until nothing is open any more.
    async fn drain(&self, deadline: Instant) {
        let closers = {
            // Under the lock, so that no closer is added after they were taken.
            let mut closers = self.closers();
            self.open.fetch_or(CLOSED, Ordering::SeqCst);
            self.phase.shift(|now| now == Phase::Open, Phase::Draining);
            std::mem::take(&mut *closers)
        };
        tracing::info!(stage = self.stage.name(), open = self.count(), "draining");
        let closers = closers.into_iter().map(|closer| async move {
            let close = async move { (closer.close)(deadline).await };
            if let Err(panic) = AssertUnwindSafe(close).catch_unwind().await {
                let (name, panic) = (closer.name, text(panic));
                tracing::error!(name, panic, "closing panicked");
            }
        });
        join_all(closers).await;
        loop {
            let idle = self.idle.notified();
            if self.count() == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Tells what is still open to end at once. Returns how much that is.
    fn cut(&self) -> usize {
        self.open.fetch_or(CLOSED, Ordering::SeqCst);
        self.phase.shift(|_| true, Phase::Over);
        self.count()
    }
}

/// How those who work in a stage hear of its end. Cheap to clone.
///
/// ```
/// # use postrider::actor::Drain;
/// # async fn next_command() {}
/// async fn connection(drain: Drain) {
///     let Some(_work) = drain.work() else { return };
///     loop {
///         tokio::select! {
///             () = drain.over() => return,
///             () = drain.begun() => return, // after a `BYE`
///             () = next_command() => {}
///         }
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Drain(Arc<One>);

impl Drain {
    /// Begins a piece of work that the stage waits for until it is dropped; `None` if it is too late for that.
    pub fn work(&self) -> Option<Work> {
        self.0.begin()
    }

    /// Waits until the stage drains: finish what is open, begin nothing.
    pub async fn begun(&self) {
        self.reach(Phase::Draining).await;
    }

    /// Waits until the stage's time is up: drop everything.
    pub async fn over(&self) {
        self.reach(Phase::Over).await;
    }

    /// Whether the stage drains, or is over.
    pub fn has_begun(&self) -> bool {
        self.0.phase.get() >= Phase::Draining
    }

    /// How many pieces of work are open in the stage.
    pub fn open(&self) -> usize {
        self.0.count()
    }

    async fn reach(&self, phase: Phase) {
        self.0.phase.wait_for(|now| now >= phase).await;
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Drain").field(&self.0.stage).finish()
    }
}

/// An open piece of work; its stage waits until it is dropped.
#[must_use = "work that is dropped has ended"]
pub struct Work(Arc<One>);

impl Drop for Work {
    fn drop(&mut self) {
        let one = &self.0;
        one.meter.decrement(1.0);
        if one.open.fetch_sub(WORK, Ordering::SeqCst) == WORK | CLOSED {
            one.idle.notify_waiters();
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Work").field(&self.0.stage).finish()
    }
}

/// How an end went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DrainReport {
    /// In the order in which they stopped.
    pub stages: Vec<StageReport>,
}

impl DrainReport {
    /// Whether nothing was cut.
    pub fn is_clean(&self) -> bool {
        self.stages.iter().all(|stage| stage.in_time)
    }
}

/// How the end of one stage went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StageReport {
    /// Which.
    pub stage: Stage,
    /// How long it took.
    pub took: Duration,
    /// Pieces of work that were cut.
    pub left: usize,
    /// Whether all ended by itself before the deadline.
    pub in_time: bool,
}

impl StageReport {
    fn log(&self) {
        let (stage, left) = (self.stage.name(), self.left);
        let took_ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        if self.in_time {
            tracing::info!(stage, took_ms, "drained");
        } else {
            tracing::warn!(stage, took_ms, left, "cut");
        }
    }
}
