//! A handle for one kind of message, which does not name the actor's type.
//!
//! For those who must not know who they talk to: a mailbox tells its joined sessions that something changed, and
//! knows nothing of connections.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix::{Actor, Handler, Message};
use tokio::time::Instant;

use super::{AskError, Handle, WeakHandle};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, AskError>> + Send + 'a>>;

/// As a [`Handle`], for messages `M` only.
pub struct Recipient<M: Message>(Arc<dyn Admits<M>>);

/// As a [`WeakHandle`], for messages `M` only.
pub struct WeakRecipient<M: Message>(Arc<dyn Upgrades<M>>);

trait Admits<M: Message>: Send + Sync {
    fn ask(&self, message: M) -> Answer<'_, M::Result>;
    fn ask_before(&self, deadline: Instant, message: M) -> Answer<'_, M::Result>;
    fn try_tell(&self, message: M) -> Result<(), AskError>;
    fn downgrade(&self) -> Arc<dyn Upgrades<M>>;
}

trait Upgrades<M: Message>: Send + Sync {
    fn upgrade(&self) -> Option<Recipient<M>>;
}

impl<M> Recipient<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    pub(super) fn new<A: Actor + Handler<M>>(handle: Handle<A>) -> Self {
        Self(Arc::new(handle))
    }

    /// See [`Handle::ask`].
    ///
    /// # Errors
    /// As there.
    pub async fn ask(&self, message: M) -> Result<M::Result, AskError> {
        self.0.ask(message).await
    }

    /// See [`Handle::ask_before`].
    ///
    /// # Errors
    /// As there.
    pub async fn ask_before(&self, deadline: Instant, message: M) -> Result<M::Result, AskError> {
        self.0.ask_before(deadline, message).await
    }

    /// See [`Handle::try_tell`].
    ///
    /// # Errors
    /// As there.
    pub fn try_tell(&self, message: M) -> Result<(), AskError> {
        self.0.try_tell(message)
    }

    /// A reference that does not keep the actor alive.
    pub fn downgrade(&self) -> WeakRecipient<M> {
        WeakRecipient(self.0.downgrade())
    }
}

impl<M: Message> WeakRecipient<M> {
    /// See [`WeakHandle::upgrade`].
    pub fn upgrade(&self) -> Option<Recipient<M>> {
        self.0.upgrade()
    }
}

impl<A, M> Admits<M> for Handle<A>
where
    A: Actor + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn ask(&self, message: M) -> Answer<'_, M::Result> {
        Box::pin(Handle::ask(self, message))
    }

    fn ask_before(&self, deadline: Instant, message: M) -> Answer<'_, M::Result> {
        Box::pin(Handle::ask_before(self, deadline, message))
    }

    fn try_tell(&self, message: M) -> Result<(), AskError> {
        Handle::try_tell(self, message)
    }

    fn downgrade(&self) -> Arc<dyn Upgrades<M>> {
        Arc::new(Handle::downgrade(self))
    }
}

impl<A, M> Upgrades<M> for WeakHandle<A>
where
    A: Actor + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn upgrade(&self) -> Option<Recipient<M>> {
        WeakHandle::upgrade(self).map(Recipient::new)
    }
}

impl<M: Message> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Message> Clone for WeakRecipient<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Message> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient(..)")
    }
}

impl<M: Message> fmt::Debug for WeakRecipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakRecipient(..)")
    }
}
