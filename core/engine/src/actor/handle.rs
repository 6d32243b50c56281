//! The only way to reach an actor: bounded, surviving restarts, usable from any thread and runtime.
//!
//! An actix `Addr` alone does not bound work: every clone may exceed the capacity by one message, and a handler that
//! returns a future frees its queue slot before the future ends. A [`Handle`] counts what is *admitted*, queued or
//! running, with one semaphore for all clones. The place travels with the ask, so it does not depend on the asker.
//!
//! **Invariants.** 1, 4 and 5 of [the module](super).
//!
//! **Bounds.** The queue of an actor is never longer than its places.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};

use actix::{Actor, Handler, Message};
use arc_swap::ArcSwapOption;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Role;
use super::inbox::{Ask, Envelope};
use super::queue::Queue;
use super::recipient::Recipient;
use super::status::{Place, State, Status};

/// Why an ask brought no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AskError {
    /// No place was free in time. Nothing happened.
    #[error("actor is overloaded")]
    Overloaded,
    /// The actor failed before it answered, or is being rebuilt: whether anything happened is unknown. Asking again
    /// is right for reads, and for writes that carry an id which makes their repetition harmless.
    #[error("actor restarted")]
    Restarted,
    /// The actor has stopped, or is stopping, for good. Nothing happened, and nothing will.
    #[error("actor stopped")]
    Stopped,
}

/// A bounded reference to whatever value of `A` is alive.
///
/// Cheap to clone. An actor under supervision stops when its last handle is gone; see
/// [`Supervisor::once`](super::Supervisor::once) for those that end by themselves.
pub struct Handle<A: Actor> {
    pub(super) shared: Arc<Shared<A>>,
}

/// A reference that does not keep its actor alive.
pub struct WeakHandle<A: Actor> {
    shared: Weak<Shared<A>>,
    status: Arc<Status>,
}

/// Dropped with the last handle, which closes the queue.
pub(super) struct Shared<A: Actor> {
    pub status: Arc<Status>,
    /// The queue of the value that is alive; none between two values and after the end.
    pub slot: ArcSwapOption<Queue<A>>,
}

impl<A: Actor> Shared<A> {
    /// Takes the queue away: there is nobody any more, or not yet, who takes asks.
    pub fn close(&self) {
        if let Some(queue) = self.slot.swap(None) {
            queue.close();
        }
    }
}

impl<A: Actor> Handle<A> {
    pub(super) fn new(status: Arc<Status>, queue: Arc<Queue<A>>) -> Self {
        let slot = ArcSwapOption::new(Some(queue));
        Self {
            shared: Arc::new(Shared { status, slot }),
        }
    }

    /// Waits for a place, puts the ask, and waits for the answer.
    ///
    /// The waiting is the backpressure. Places are given in the order in which they were asked for. While it waits
    /// for a place, dropping the future undoes it; afterwards the ask runs to its end and keeps its place until then.
    ///
    /// # Errors
    /// [`AskError::Restarted`] if the outcome is unknown, [`AskError::Stopped`] if nothing happened.
    pub async fn ask<M>(&self, message: M) -> Result<M::Result, AskError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
    {
        let place = self.shared.status.place().await?;
        self.answer(place, message).await
    }

    /// As [`ask`](Self::ask), but gives up if no place is free before `deadline`.
    ///
    /// `deadline` limits the admission only. A limit for the work belongs into the message, where the actor sees it:
    /// an asker that walks away does not end what it has begun.
    ///
    /// # Errors
    /// [`AskError::Overloaded`] if no place was free in time; nothing happened then. Else as [`ask`](Self::ask).
    pub async fn ask_before<M>(&self, deadline: Instant, message: M) -> Result<M::Result, AskError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
    {
        let place = self.shared.status.place_before(deadline).await;
        let place = place.inspect_err(|why| self.count(*why))?;
        self.answer(place, message).await
    }

    /// Gives notice if a place is free right now; waits for nothing.
    ///
    /// # Errors
    /// The notice was not given, whatever the error.
    pub fn try_tell<M>(&self, message: M) -> Result<(), AskError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
    {
        let place = self.shared.status.place_now();
        let place = place.inspect_err(|why| self.count(*why))?;
        self.admit(place, message).map(drop)
    }

    /// Admits nothing more, lets the actor finish what was admitted, then stops it. Returns at once;
    /// [`ended`](Self::ended) waits.
    pub fn stop(&self) {
        self.shared.status.close();
        self.shared.close();
    }

    /// Waits until nothing of the actor runs any more and says how it ended. Does not keep it alive.
    pub fn ended(&self) -> impl Future<Output = State> + Send + use<A> {
        self.downgrade().ended()
    }

    /// Waits until a value newer than the one numbered `seen` takes asks; `None` if there will be none.
    ///
    /// For those whom an actor knew and who must make themselves known again after a failure.
    pub fn rebuilt(&self, seen: u64) -> impl Future<Output = Option<u64>> + Send + use<A> {
        let status = self.shared.status.clone();
        async move {
            let newer = |state| match state {
                State::Running(number) => number > seen,
                State::Restarting(_) => false,
                State::Stopping | State::Stopped | State::Failed => true,
            };
            match status.wait_for(newer).await {
                State::Running(number) => Some(number),
                _ => None,
            }
        }
    }

    /// Where the actor is in its life, now.
    pub fn state(&self) -> State {
        self.shared.status.state()
    }

    /// What kind of actor this is.
    pub fn role(&self) -> &Role {
        &self.shared.status.role
    }

    /// How many asks may be admitted at a time.
    pub fn places(&self) -> usize {
        self.shared.status.bound
    }

    /// How many places are free now.
    pub fn places_free(&self) -> usize {
        self.shared.status.free()
    }

    /// A reference that does not keep the actor alive.
    pub fn downgrade(&self) -> WeakHandle<A> {
        WeakHandle::new(Arc::downgrade(&self.shared), self.shared.status.clone())
    }

    /// A reference for one kind of message that does not name the actor's type.
    pub fn recipient<M>(&self) -> Recipient<M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
    {
        Recipient::new(self.clone())
    }

    /// Whether both reach the same actor.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Whether there is no other handle.
    pub(super) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    async fn answer<M>(&self, place: Place, message: M) -> Result<M::Result, AskError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
    {
        let answer = self.admit(place, message)?;
        // Without a word: the value that had the ask is gone.
        answer.await.unwrap_or(Err(AskError::Restarted))
    }

    fn admit<M>(&self, place: Place, message: M) -> Result<Answer<M>, AskError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
    {
        let (ask, answer) = Ask::new(message, place);
        let ask: Box<dyn Envelope<A>> = Box::new(ask);
        let sent = match &*self.shared.slot.load() {
            Some(queue) => queue.push(ask).is_ok(),
            None => false,
        };
        if !sent {
            return Err(self.shared.status.refusal());
        }
        self.role().meters().asks.increment(1);
        Ok(answer)
    }

    fn count(&self, why: AskError) {
        if why == AskError::Overloaded {
            self.role().meters().overloads.increment(1);
        }
    }
}

type Answer<M> = oneshot::Receiver<Result<<M as Message>::Result, AskError>>;

impl<A: Actor> WeakHandle<A> {
    pub(super) fn new(shared: Weak<Shared<A>>, status: Arc<Status>) -> Self {
        Self { shared, status }
    }

    /// Where the actor is in its life, now.
    pub fn state(&self) -> State {
        self.status.state()
    }

    /// See [`Handle::ended`].
    pub fn ended(&self) -> impl Future<Output = State> + Send + use<A> {
        let status = self.status.clone();
        async move { status.wait_for(|state| state.is_over()).await }
    }

    /// The handle, unless the actor has no other one or has stopped.
    pub fn upgrade(&self) -> Option<Handle<A>> {
        let shared = self.shared.upgrade()?;
        match shared.status.state() {
            State::Running(_) | State::Restarting(_) => Some(Handle { shared }),
            State::Stopping | State::Stopped | State::Failed => None,
        }
    }
}

impl<A: Actor> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<A: Actor> Clone for WeakHandle<A> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            status: self.status.clone(),
        }
    }
}

impl<A: Actor> Drop for Shared<A> {
    fn drop(&mut self) {
        self.status.close_if_restarting();
        self.close();
    }
}

impl<A: Actor> fmt::Debug for Handle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Handle");
        out.field("role", &self.role().name());
        out.field("state", &self.state());
        out.field("places_free", &self.places_free()).finish()
    }
}

impl<A: Actor> fmt::Debug for WeakHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakHandle(..)")
    }
}
