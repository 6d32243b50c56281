//! Open mailboxes: one actor for each in this process, holding the snapshot that its sessions share.
//!
//! The actor is a cache and an order-keeper, never the guard of an invariant: UIDs, modification sequences and quota are
//! decided by the index's transactions, also those of other processes. Each change of a mailbox, by whomever, ends in a *notice*
//! that carries no truth; who gets it reads what is newer than what it has.
//!
//! **Invariants.** I3: a snapshot only moves forward. I5 is the session's: it decides when its client hears.
//! **Bounds.** `queues.mailbox` asks a mailbox, `queues.mailboxes` open at a time; 32 octets a message. A mailbox whose sessions only wait
//! has no actor: what they share is all that is kept.
//! **On failure.** Rebuilt from the index; its sessions are marked and look again.

mod actor;
pub(crate) mod convert;
mod joined;
mod maildrop;
pub mod retention;
mod summaries;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use postrider_storage::Error;
use postrider_storage::index::MailboxId;

use crate::actor::{Handle, Limits, Registry, RegistryError, Restart, Stage, Stages, Supervisor};
use crate::connection::Signals;
use crate::index::IndexPool;
use crate::limits::{self, Limit};

pub(crate) use actor::Mailbox;
pub use joined::Joined;
use joined::Shared;
use summaries::Summaries;

/// Asks that a mailbox usually takes at a time.
pub const PLACES: usize = 64;
/// Octets of summaries that are usually kept in memory.
pub const SUMMARIES: u64 = 64 * 1024 * 1024;
/// Mailboxes usually open at a time.
pub const OPEN: usize = 100_000;
/// How long a mailbox stays loaded when nobody has it open.
pub const LINGER: Duration = Duration::from_secs(30);
/// How often a mailbox may fail before its sessions are told so for good.
const RESTART: Restart = Restart {
    limit: 5,
    window: Duration::from_secs(60),
    pause: Duration::from_millis(100),
};

/// The open mailboxes of this process. Cheap to clone.
#[derive(Clone)]
pub struct Mailboxes {
    index: IndexPool,
    open: Registry<MailboxId, Mailbox>,
    /// What a notice must reach, without waiting for the actor.
    shared: Arc<DashMap<MailboxId, Arc<Shared>>>,
    /// Mailboxes that sessions have open, and how many there may be.
    held: Arc<AtomicUsize>,
    most: usize,
    summaries: Arc<Summaries>,
}

impl std::fmt::Debug for Mailboxes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailboxes")
            .field("open", &self.shared.len())
            .finish_non_exhaustive()
    }
}

impl Mailboxes {
    /// No mailbox open yet; the usual bounds.
    pub fn new(index: IndexPool, supervisor: &Supervisor) -> Self {
        Self::with_bounds(index, supervisor, OPEN, PLACES, SUMMARIES)
    }

    /// No mailbox open yet; `open` at a time, each with so many `places` for asks, and so many octets of `summaries` of all of them.
    pub fn with_bounds(
        index: IndexPool,
        supervisor: &Supervisor,
        open: usize,
        places: usize,
        summaries: u64,
    ) -> Self {
        let shared: Arc<DashMap<MailboxId, Arc<Shared>>> = Arc::default();
        let (for_actor, known) = (index.clone(), shared.clone());
        let limits = Limits {
            open,
            places,
            linger: LINGER,
        };
        let make = move |id: &MailboxId, _: &_| {
            let shared = known.entry(*id).or_default().clone();
            Mailbox::new(*id, for_actor.clone(), shared, known.clone())
        };
        let actors = Registry::new(supervisor.clone(), "mailbox", RESTART, limits, make);
        Self {
            index,
            open: actors,
            shared,
            held: Arc::default(),
            most: open,
            summaries: Arc::new(Summaries::new(summaries)),
        }
    }

    /// Joins a mailbox: `signals` is marked whenever something in it changes, until the [`Joined`] is dropped.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not there, [`Error::Unavailable`] if too many are open or the index is away.
    pub async fn join(&self, id: MailboxId, signals: Signals) -> Result<Joined, Error> {
        Joined::new(id, self.clone(), signals).await
    }

    /// The actor of a mailbox, made if there is none.
    async fn handle(&self, id: MailboxId) -> Result<Handle<Mailbox>, Error> {
        self.open.open(&id).await.map_err(|error| match error {
            RegistryError::Full => too_many(),
            RegistryError::Closed => Error::Unavailable(error.to_string()),
        })
    }

    /// Below which UID sessions of this process have taken what is recent in a mailbox; 0 if none has it open.
    pub fn claimed(&self, id: MailboxId) -> u32 {
        self.shared.get(&id).map_or(0, |shared| shared.claimed())
    }

    /// Takes a place among the mailboxes that sessions have open.
    fn hold(&self) -> Result<(), Error> {
        let more = |held| (held < self.most).then_some(held + 1);
        let held = self
            .held
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        held.map(drop).map_err(|_| too_many())
    }

    /// Counts a mailbox that is open already.
    fn hold_more(&self) {
        self.held.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether notices reach what these sessions share. They do from now on, unless others share something newer.
    fn reaches(&self, id: MailboxId, shared: &Arc<Shared>) -> bool {
        let known = self.shared.entry(id).or_insert_with(|| shared.clone());
        Arc::ptr_eq(&known, shared)
    }

    /// The last session has left a mailbox: what is shared goes with its actor, or now if there is none.
    fn left(&self, id: MailboxId, left: &Arc<Shared>) {
        self.held.fetch_sub(1, Ordering::SeqCst);
        if self.open.find(&id).is_none() {
            self.forget(id, left);
        }
    }

    /// Forgets what the sessions of a mailbox shared, if none is left.
    fn forget(&self, id: MailboxId, left: &Arc<Shared>) {
        self.shared.remove_if(&id, |_, shared| {
            Arc::ptr_eq(shared, left) && shared.is_empty()
        });
    }

    /// Closes all mailboxes when their stage drains.
    pub(crate) fn stop_with(&self, stages: &Stages) {
        let open = self.open.clone();
        stages.at(Stage::Mailboxes, "mailboxes", move |deadline| async move {
            open.drain(deadline).await;
        });
    }

    /// Something in a mailbox changed. Sessions of this process that have it open are marked; nobody waits.
    pub fn notice(&self, id: MailboxId) {
        let shared = self.shared.get(&id).map(|shared| shared.clone());
        if let Some(shared) = shared {
            shared.notice_all();
        }
    }

    /// Anything may have changed (another process wrote, a listening connection was lost): all sessions look again.
    pub fn notice_everywhere(&self) {
        for shared in self.shared.iter() {
            shared.notice_all();
        }
    }
}

fn too_many() -> Error {
    limits::reached(Limit::Mailboxes);
    Error::Unavailable("too many open mailboxes".to_owned())
}
