//! Builds an actor again after it failed.
//!
//! actix's own `Supervisor` does not: it restarts the same value after `ctx.stop()` and leaves a panicked actor dead.
//! Here one task per actor owns the factory. It builds a value, waits for its end, and builds the next one, so there
//! is never more than one value alive and a late word from an old one has nobody to mislead. The task lives on an
//! arbiter; when the arbiter ends under it, the actor moves to another one if it was given a choice.
//!
//! **Invariants.** 2 and 3 of [the module](super). At most one value of an actor is alive.
//!
//! **On failure.** Asks that the failed value had taken are answered [`AskError::Restarted`](super::AskError); so are
//! those put until the next value is there.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use actix::{Actor, Arbiter, Context};
use actix_rt::ArbiterHandle;
use tokio::time::Instant;

use super::Role;
use super::arbiters::Arbiters;
use super::escalation::{Escalation, Failure};
use super::handle::{Handle, Shared, WeakHandle};
use super::inbox::Orphan;
use super::life::Life;
use super::queue::Queue;
use super::restart::Restart;
use super::status::{State, Status};

/// Where actors live and who hears of those that failed for good.
#[derive(Clone, Debug)]
pub struct Supervisor {
    escalation: Escalation,
    home: Home,
}

#[derive(Clone, Debug)]
enum Home {
    /// The arbiter of whoever starts the actor.
    Here,
    /// This one.
    Arbiter(ArbiterHandle),
    /// One of these.
    Any(Arbiters),
}

impl Home {
    /// The arbiter a new actor goes to.
    fn settle(&self) -> Option<ArbiterHandle> {
        match self {
            Self::Here => Arbiter::try_current(),
            Self::Arbiter(arbiter) => Some(arbiter.clone()),
            Self::Any(arbiters) => arbiters.pick(),
        }
    }
}

/// Runs `make()` on this arbiter, now and again after every failure. Returns the handle that follows it.
///
/// When `restart` is used up, the actix `System` ends with exit code 70; a [`Supervisor`] offers the choice. The
/// actor stops when its last handle is gone, after [`Handle::stop`], and of its own accord (`ctx.stop()`).
pub fn supervise<A, F>(role: impl Into<Role>, places: usize, restart: Restart, make: F) -> Handle<A>
where
    A: Actor<Context = Context<A>>,
    F: FnMut() -> A + Send + 'static,
{
    Supervisor::new(Escalation::end_system()).supervise(role, places, restart, make)
}

impl Supervisor {
    /// Starts actors on the arbiter of whoever asks for them; failures go to `escalation`.
    pub fn new(escalation: Escalation) -> Self {
        let home = Home::Here;
        Self { escalation, home }
    }

    /// Starts actors on `arbiter`, and lets them fail for good when it ends.
    #[must_use]
    pub fn on(&self, arbiter: ArbiterHandle) -> Self {
        Self {
            home: Home::Arbiter(arbiter),
            ..self.clone()
        }
    }

    /// Spreads actors over `arbiters`, and moves those whose arbiter ended.
    #[must_use]
    pub fn across(&self, arbiters: &Arbiters) -> Self {
        Self {
            home: Home::Any(arbiters.clone()),
            ..self.clone()
        }
    }

    /// As this one, but failures go to `escalation`.
    #[must_use]
    pub fn reporting_to(&self, escalation: Escalation) -> Self {
        Self {
            escalation,
            ..self.clone()
        }
    }

    /// Who hears of failures.
    pub fn escalation(&self) -> &Escalation {
        &self.escalation
    }

    /// Runs `make()` now and again after every failure. Returns the handle that follows it.
    ///
    /// Asks may be put at once. The actor stops when its last handle is gone, after [`Handle::stop`], and of its own
    /// accord (`ctx.stop()`). Without an arbiter to live on (called off any arbiter, or the arbiter ended) it fails
    /// for good at once.
    pub fn supervise<A, F>(
        &self,
        role: impl Into<Role>,
        places: usize,
        restart: Restart,
        mut make: F,
    ) -> Handle<A>
    where
        A: Actor<Context = Context<A>>,
        F: FnMut() -> A + Send + 'static,
    {
        self.supervise_with(role, places, restart, move |_| make())
    }

    /// As [`supervise`](Self::supervise), for actors that need a handle to themselves.
    pub fn supervise_with<A, F>(
        &self,
        role: impl Into<Role>,
        places: usize,
        restart: Restart,
        make: F,
    ) -> Handle<A>
    where
        A: Actor<Context = Context<A>>,
        F: FnMut(&WeakHandle<A>) -> A + Send + 'static,
    {
        let (handle, launch) = prepare(role.into(), places);
        launch.go(self, restart, make, || {});
        handle
    }

    /// Runs `make()` once. For actors that end by themselves, as a connection does.
    ///
    /// A failure is logged and counted, ends the actor and concerns nobody else. The actor does not stop with its
    /// last handle: it lives as long as it has something to do.
    pub fn once<A, F>(&self, role: impl Into<Role>, places: usize, make: F) -> Handle<A>
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce(&WeakHandle<A>) -> A + Send + 'static,
    {
        let (handle, mut launch) = prepare(role.into(), places);
        launch.orphan = Orphan::WorksOn;
        let alone = self.reporting_to(Escalation::log_only());
        // Boxed, so that its room is free once the actor is made.
        let mut make = Some(Box::new(make));
        let make = move |own: &WeakHandle<A>| {
            let make = make.take().expect("a limit of no restarts makes one value");
            make(own)
        };
        launch.go(&alone, Restart::NEVER, make, || {});
        handle
    }
}

/// An actor with a handle and a queue, but not yet begun.
pub(super) struct Launch<A: Actor> {
    status: Arc<Status>,
    shared: Weak<Shared<A>>,
    queue: Arc<Queue<A>>,
    orphan: Orphan,
}

/// Makes the handle of an actor before the actor, so that who holds a lock need not run a factory under it.
pub(super) fn prepare<A: Actor>(role: Role, places: usize) -> (Handle<A>, Launch<A>) {
    let queue = Queue::open();
    let status = Arc::new(Status::new(role, places));
    let handle = Handle::new(status.clone(), queue.clone());
    let shared = Arc::downgrade(&handle.shared);
    let orphan = Orphan::Stops;
    let launch = Launch {
        status,
        shared,
        queue,
        orphan,
    };
    (handle, launch)
}

impl<A: Actor<Context = Context<A>>> Launch<A> {
    /// Begins. `ended` runs when the actor is over, whatever it ended of.
    pub fn go(
        self,
        supervisor: &Supervisor,
        restart: Restart,
        make: impl FnMut(&WeakHandle<A>) -> A + Send + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) {
        // It stays where it began, unless it may choose.
        let home = match &supervisor.home {
            Home::Here => Arbiter::try_current().map(Home::Arbiter),
            home => Some(home.clone()),
        };
        let homeless = home.is_none();
        let task = Supervised {
            status: self.status,
            shared: self.shared,
            queue: Some(self.queue),
            orphan: self.orphan,
            restart,
            escalation: supervisor.escalation.clone(),
            home: home.unwrap_or(Home::Here),
            make,
            generation: 1,
            failures: VecDeque::new(),
            ended: Box::new(ended),
        };
        if homeless {
            return task.give_up("there is no arbiter to run on".to_owned());
        }
        Task(Some(Box::new(task))).settle(None);
    }
}

/// What the supervising task knows.
struct Supervised<A: Actor, F> {
    status: Arc<Status>,
    shared: Weak<Shared<A>>,
    /// The queue of the value that is to be built next, if it is open already.
    queue: Option<Arc<Queue<A>>>,
    orphan: Orphan,
    restart: Restart,
    escalation: Escalation,
    home: Home,
    make: F,
    generation: u64,
    failures: VecDeque<Instant>,
    ended: Box<dyn FnOnce() + Send>,
}

impl<A, F> Supervised<A, F>
where
    A: Actor<Context = Context<A>>,
    F: FnMut(&WeakHandle<A>) -> A + Send + 'static,
{
    /// Builds the next value, unless nobody wants one.
    fn build(&mut self) -> Result<Option<Box<Life<A>>>, String> {
        let Some(queue) = self.queue.take().or_else(|| self.reopen()) else {
            return Ok(None);
        };
        let own = WeakHandle::new(self.shared.clone(), self.status.clone());
        let make = || (self.make)(&own);
        let life = Life::begin(make, queue, self.status.clone(), self.orphan)?;
        Ok(Some(Box::new(life)))
    }

    /// Opens a queue for the next value, unless nobody wants one.
    fn reopen(&mut self) -> Option<Arc<Queue<A>>> {
        let shared = self.shared.upgrade()?;
        let queue = Queue::open();
        self.generation += 1;
        shared.slot.store(Some(queue.clone()));
        if !self.status.go_on(State::Running(self.generation)) {
            shared.close();
            return None;
        }
        let role = &self.status.role;
        role.meters().restarts.increment(1);
        let (actor, generation) = (role.name(), self.generation);
        tracing::info!(actor, generation, "actor restarted");
        Some(queue)
    }

    /// Takes note of a failure. The pause before the next value, unless there shall be none.
    fn failed(&mut self, reason: &str) -> Option<Duration> {
        let role = &self.status.role;
        role.meters().failures.increment(1);
        let (actor, generation) = (role.name(), self.generation);
        tracing::error!(actor, generation, reason, "actor failed");
        if let Some(shared) = self.shared.upgrade() {
            shared.close();
        }
        let now = Instant::now();
        let window = self.restart.window;
        self.failures
            .retain(|at| now.saturating_duration_since(*at) < window);
        self.failures.push_back(now);
        let failures = self.failures.len();
        (failures <= self.restart.limit).then(|| self.restart.back_off(failures))
    }

    /// Waits before the next value. Says whether there shall be one.
    fn rest(&self, pause: Duration) -> Rest {
        let (status, generation) = (self.status.clone(), self.generation);
        let shared = self.shared.clone();
        Box::pin(async move {
            if !status.go_on(State::Restarting(generation)) {
                return false;
            }
            // The last handle may have gone while there was a value to see to that.
            if shared.strong_count() == 0 {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => true,
                _ = status.wait_for(|state| state == State::Stopping) => false,
            }
        })
    }

    fn stopped(self) {
        self.status.end(State::Stopped);
        (self.ended)();
    }

    fn give_up(mut self, reason: String) {
        if self.failures.is_empty() {
            self.failed(&reason);
        }
        self.status.end(State::Failed);
        self.escalation.report(Failure {
            actor: self.status.role.shared_name(),
            failures: self.failures.len(),
            window: self.restart.window,
            reason,
        });
        (self.ended)();
    }
}

/// The supervising task; if it is dropped before its end, its arbiter has ended.
///
/// There is one for each actor, and most of them wait: it is as small as it can be.
struct Task<A, F>(Option<Box<Supervised<A, F>>>)
where
    A: Actor<Context = Context<A>>,
    F: FnMut(&WeakHandle<A>) -> A + Send + 'static;

/// A supervising task on its arbiter.
struct Supervising<A, F>
where
    A: Actor<Context = Context<A>>,
    F: FnMut(&WeakHandle<A>) -> A + Send + 'static,
{
    /// Dropped before the task: nothing of the actor lives when it moves.
    phase: Phase<A>,
    task: Task<A, F>,
}

/// A pause that ends with a value, or without one.
type Rest = Pin<Box<dyn Future<Output = bool>>>;

/// Where a supervising task is.
enum Phase<A: Actor<Context = Context<A>>> {
    Builds,
    Lives(Box<Life<A>>),
    /// Boxed once more: it is rare, and what tokio keeps for a task fits 128 octets without it.
    Rests(Box<Rest>),
}

impl<A, F> Task<A, F>
where
    A: Actor<Context = Context<A>>,
    F: FnMut(&WeakHandle<A>) -> A + Send + 'static,
{
    /// Goes to an arbiter, to begin there after `pause`.
    fn settle(mut self, pause: Option<Duration>) {
        let Some(task) = self.0.take() else { return };
        let Some(arbiter) = task.home.settle() else {
            return task.give_up("there is no arbiter to run on".to_owned());
        };
        // If the arbiter has ended, the closure is dropped unused, and the task in it comes back through `drop`.
        let task = Self(Some(task));
        arbiter.spawn_fn(move || {
            actix::spawn(task.run(pause));
        });
    }

    fn run(self, pause: Option<Duration>) -> Supervising<A, F> {
        let phase = match (&self.0, pause) {
            (Some(task), Some(pause)) => Phase::Rests(Box::new(task.rest(pause))),
            _ => Phase::Builds,
        };
        Supervising { phase, task: self }
    }

    fn finish(&mut self, end: Result<(), String>) {
        let Some(task) = self.0.take() else { return };
        match end {
            Ok(()) => task.stopped(),
            Err(reason) => task.give_up(reason),
        }
    }
}

impl<A, F> Future for Supervising<A, F>
where
    A: Actor<Context = Context<A>>,
    F: FnMut(&WeakHandle<A>) -> A + Send + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let Self { phase, task } = self.get_mut();
        let Some(supervised) = &mut task.0 else {
            return Poll::Ready(());
        };
        let end = ready!(phase.poll(supervised, context));
        task.finish(end);
        Poll::Ready(())
    }
}

impl<A: Actor<Context = Context<A>>> Phase<A> {
    /// Goes on until the actor is over, for good or for want of restarts.
    fn poll<F>(
        &mut self,
        task: &mut Supervised<A, F>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Result<(), String>>
    where
        F: FnMut(&WeakHandle<A>) -> A + Send + 'static,
    {
        loop {
            let failed = match self {
                Self::Builds => match task.build() {
                    Ok(Some(life)) => {
                        *self = Self::Lives(life);
                        continue;
                    }
                    Ok(None) => return Poll::Ready(Ok(())),
                    Err(reason) => reason,
                },
                Self::Lives(life) => match ready!(Pin::new(life).poll(context)) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(reason) => reason,
                },
                Self::Rests(rest) => match ready!((**rest).as_mut().poll(context)) {
                    true => {
                        *self = Self::Builds;
                        continue;
                    }
                    false => return Poll::Ready(Ok(())),
                },
            };
            match task.failed(&failed) {
                Some(pause) => *self = Self::Rests(Box::new(task.rest(pause))),
                None => return Poll::Ready(Err(failed)),
            }
        }
    }
}

impl<A, F> Drop for Task<A, F>
where
    A: Actor<Context = Context<A>>,
    F: FnMut(&WeakHandle<A>) -> A + Send + 'static,
{
    fn drop(&mut self) {
        let Some(mut task) = self.0.take() else {
            return;
        };
        let reason = "its arbiter ended";
        let pause = task.failed(reason);
        let moves = matches!(task.home, Home::Any(_));
        if !task.status.go_on(State::Restarting(task.generation)) {
            return task.stopped();
        }
        match pause {
            Some(pause) if moves => {
                task.queue = None;
                Self(Some(task)).settle(Some(pause));
            }
            _ => task.give_up(reason.to_owned()),
        }
    }
}
