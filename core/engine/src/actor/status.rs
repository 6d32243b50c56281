//! What outlives every value of an actor: its places and the state it is in.
//!
//! **Invariants.** Places out plus places free is the bound. States only move forward, except that `Running` and
//! `Restarting` alternate; `Stopped` and `Failed` are final, and there the places are closed.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};
use tokio::time::{Instant, timeout_at};

use super::watched::Watched;
use super::{AskError, Role};

/// Where an actor is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It takes asks. The number counts the values built so far, from 1.
    Running(u64),
    /// The value of this number failed; the next one is being waited for.
    Restarting(u64),
    /// It finishes what was admitted and takes nothing more.
    Stopping,
    /// It ended in order.
    Stopped,
    /// It failed more often than its [`Restart`](super::Restart) allows, or lost its arbiter.
    Failed,
}

impl State {
    /// Whether nothing of the actor runs any more, for good.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

/// What handles and the supervisor have in common.
pub(super) struct Status {
    pub role: Role,
    /// Number of places.
    pub bound: usize,
    places: Semaphore,
    state: Watched<State>,
}

impl Status {
    pub fn new(role: Role, places: usize) -> Self {
        let bound = places.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            role,
            bound,
            places: Semaphore::new(bound),
            state: Watched::new(State::Running(1)),
        }
    }

    /// Waits for a place, first come first served.
    pub async fn place(self: &Arc<Self>) -> Result<Place, AskError> {
        match self.places.acquire().await {
            Ok(permit) => Ok(Place::new(permit, self)),
            Err(_) => Err(AskError::Stopped),
        }
    }

    /// Waits for a place until `deadline`. A place that is free now is taken even if `deadline` has passed.
    pub async fn place_before(self: &Arc<Self>, deadline: Instant) -> Result<Place, AskError> {
        // A timeout asks its future first, but that may be told to yield by the runtime with places free.
        match self.place_now() {
            Err(AskError::Overloaded) => {}
            known => return known,
        }
        match timeout_at(deadline, self.place()).await {
            Ok(place) => place,
            Err(_) => Err(AskError::Overloaded),
        }
    }

    /// Takes a place that is free now.
    pub fn place_now(self: &Arc<Self>) -> Result<Place, AskError> {
        match self.places.try_acquire() {
            Ok(permit) => Ok(Place::new(permit, self)),
            Err(TryAcquireError::NoPermits) => Err(AskError::Overloaded),
            Err(TryAcquireError::Closed) => Err(AskError::Stopped),
        }
    }

    pub fn free(&self) -> usize {
        self.places.available_permits()
    }

    pub fn state(&self) -> State {
        self.state.get()
    }

    /// Waits for a state; the one that it is.
    pub async fn wait_for(&self, reached: impl FnMut(State) -> bool) -> State {
        self.state.wait_for(reached).await
    }

    /// Moves to `next` unless the actor was told to stop or has ended. Says whether it moved.
    pub fn go_on(&self, next: State) -> bool {
        let goes = |state| matches!(state, State::Running(_) | State::Restarting(_));
        self.state.shift(goes, next)
    }

    /// Admits nothing more. Says whether it is this call that ended the admission.
    pub fn close(&self) -> bool {
        let closed = self.go_on(State::Stopping);
        if closed {
            self.places.close();
        }
        closed
    }

    /// Only if nothing runs: there is nobody to finish anything.
    pub fn close_if_restarting(&self) {
        let restarting = |state| matches!(state, State::Restarting(_));
        self.state.shift(restarting, State::Stopping);
    }

    /// The last move.
    pub fn end(&self, state: State) {
        self.state.shift(|_| true, state);
        self.places.close();
    }

    /// Why an ask cannot be admitted while there is nobody to take it.
    pub fn refusal(&self) -> AskError {
        match self.state() {
            State::Running(_) | State::Restarting(_) => AskError::Restarted,
            State::Stopping | State::Stopped | State::Failed => AskError::Stopped,
        }
    }
}

/// A taken place; dropping it gives it back.
pub(super) struct Place {
    status: Arc<Status>,
    work: Work,
}

/// How far the work is that a place is held for.
enum Work {
    Waits,
    Runs,
    Done,
}

impl Place {
    /// The permit is given back by `drop`.
    fn new(permit: SemaphorePermit<'_>, status: &Arc<Status>) -> Self {
        permit.forget();
        status.role.meters().taken.increment(1.0);
        Self {
            status: status.clone(),
            work: Work::Waits,
        }
    }

    /// The handler begins. A place dropped from here on is one whose ask was lost, except by [`done`](Self::done).
    pub fn begin(&mut self) {
        self.work = Work::Runs;
    }

    /// The work has ended with an answer.
    pub fn done(mut self) {
        self.work = Work::Done;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let meters = self.status.role.meters();
        meters.taken.decrement(1.0);
        if let Work::Runs = self.work {
            meters.lost.increment(1);
        }
        self.status.places.add_permits(1);
    }
}
