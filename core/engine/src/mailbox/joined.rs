//! One session's hold on an open mailbox.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use postrider_protocol::imap::snapshot::Snapshot;
use postrider_storage::Error;
use postrider_storage::index::MailboxId;

use super::actor::{Join, Mailbox, Refresh};
use crate::actor::Handle;
use crate::connection::Signals;
use crate::index::IndexPool;

/// What a mailbox's actor and its sessions share, so that a session which is up to date need not ask.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The newest snapshot; none before the first load.
    snapshot: ArcSwapOption<Snapshot>,
    /// How many notices came, and how many of them the snapshot includes.
    noticed: AtomicU64,
    included: AtomicU64,
    sessions: Mutex<Vec<(u64, Signals)>>,
    next: AtomicU64,
}

impl Shared {
    /// Marks the snapshot as old and every session as behind.
    pub fn notice_all(&self) {
        self.noticed.fetch_add(1, Ordering::SeqCst);
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, signals) in sessions.iter() {
            signals.changed();
        }
    }

    /// The snapshot, if no notice came since it was read.
    pub fn fresh(&self) -> Option<Arc<Snapshot>> {
        let noticed = self.noticed.load(Ordering::SeqCst);
        if self.included.load(Ordering::SeqCst) < noticed {
            return None;
        }
        self.snapshot.load_full()
    }

    /// How many notices a snapshot that is read from now on will include.
    pub fn noticed(&self) -> u64 {
        self.noticed.load(Ordering::SeqCst)
    }

    /// Shows a snapshot that includes so many notices. Returns whether it differs from the one before.
    pub fn publish(&self, snapshot: Arc<Snapshot>, includes: u64) {
        self.snapshot.store(Some(snapshot));
        self.included.fetch_max(includes, Ordering::SeqCst);
    }

    fn enter(&self, signals: Signals) -> u64 {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.push((number, signals));
        number
    }

    fn exit(&self, number: u64) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|(session, _)| *session != number);
    }

    /// Whether no session holds the mailbox.
    pub fn is_empty(&self) -> bool {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.is_empty()
    }
}

/// One session's hold on an open mailbox. Dropping it leaves the mailbox.
pub struct Joined {
    id: MailboxId,
    handle: Handle<Mailbox>,
    index: IndexPool,
    shared: Arc<Shared>,
    number: u64,
}

impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Joined").field(&self.id).finish()
    }
}

impl Joined {
    pub(super) async fn new(
        id: MailboxId,
        handle: Handle<Mailbox>,
        index: IndexPool,
        signals: Signals,
    ) -> Result<Self, Error> {
        let shared = handle.ask(Join).await.map_err(unavailable)?;
        let number = shared.enter(signals);
        let joined = Self {
            id,
            handle,
            index,
            shared,
            number,
        };
        joined.snapshot().await?;
        Ok(joined)
    }

    /// Which mailbox.
    pub fn id(&self) -> MailboxId {
        self.id
    }

    /// The index, for reads about this mailbox.
    pub fn index(&self) -> &IndexPool {
        &self.index
    }

    /// The mailbox as it is now: with everything that was committed in this process before the call.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the mailbox is gone, [`Error::Unavailable`].
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, Error> {
        if let Some(snapshot) = self.shared.fresh() {
            return Ok(snapshot);
        }
        self.handle.ask(Refresh).await.map_err(unavailable)?
    }

    /// The mailbox after a change that the caller has just committed; everybody else is told.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub async fn changed(&self) -> Result<Arc<Snapshot>, Error> {
        self.shared.notice_all();
        self.snapshot().await
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.shared.exit(self.number);
    }
}

fn unavailable(error: crate::actor::AskError) -> Error {
    Error::Unavailable(error.to_string())
}
