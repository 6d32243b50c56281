//! One session's hold on an open mailbox.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use postrider_protocol::imap::snapshot::Snapshot;
use postrider_protocol::imap::types::Uid;
use postrider_protocol::message::Kept;
use postrider_storage::Error;
use postrider_storage::index::MailboxId;

use super::Mailboxes;
use super::actor::{Join, Mailbox, Refresh};
use crate::actor::{AskError, Handle};
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
    /// The first UID that no session of this process has shown as `\Recent`.
    claimed: AtomicU32,
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
        // Most mailboxes have one.
        sessions.reserve_exact(1);
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
///
/// **On failure.** The actor of a mailbox may fail for good; then the session joins the next one, and knows what it knew.
pub struct Joined {
    id: MailboxId,
    mailboxes: Mailboxes,
    signals: Signals,
    place: Mutex<Place>,
}

/// A session's place in a mailbox.
#[derive(Clone)]
struct Place {
    handle: Handle<Mailbox>,
    shared: Arc<Shared>,
    number: u64,
}

impl Place {
    async fn take(mailboxes: &Mailboxes, id: MailboxId, signals: &Signals) -> Result<Self, Error> {
        let handle = mailboxes.handle(id).await?;
        let shared = handle.ask(Join).await.map_err(unavailable)?;
        let number = shared.enter(signals.clone());
        Ok(Self {
            handle,
            shared,
            number,
        })
    }

    fn leave(&self, mailboxes: &Mailboxes, id: MailboxId) {
        self.shared.exit(self.number);
        // An actor that ended in order has taken this along; one that failed for good has not.
        if self.handle.state().is_over() {
            mailboxes.forget(id, &self.shared);
        }
    }
}

impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Joined").field(&self.id).finish()
    }
}

impl Joined {
    pub(super) async fn new(
        id: MailboxId,
        mailboxes: Mailboxes,
        signals: Signals,
    ) -> Result<Self, Error> {
        let place = Place::take(&mailboxes, id, &signals).await?;
        let joined = Self {
            id,
            mailboxes,
            signals,
            place: Mutex::new(place),
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
        &self.mailboxes.index
    }

    /// Takes what is recent below the UID `next`: all from what is returned is this session's alone, in this process.
    pub fn claim(&self, next: u32) -> u32 {
        self.lock().shared.claimed.fetch_max(next, Ordering::SeqCst)
    }

    /// Below which UID sessions of this process have taken what is recent.
    pub fn claimed(&self) -> u32 {
        self.lock().shared.claimed.load(Ordering::SeqCst)
    }

    /// Summaries of these messages that are in memory, of those that were there when somebody last looked.
    pub fn kept(&self, uids: &[Uid]) -> Vec<(Uid, Kept)> {
        let Some(known) = self.known() else {
            return Vec::new();
        };
        let there = uids.iter().filter(|uid| known.find(**uid).is_some());
        self.mailboxes.summaries.find(self.id, there.copied())
    }

    /// Keeps summaries in memory for the next who asks.
    pub fn keep(&self, found: &[(Uid, Kept)]) {
        self.mailboxes.summaries.keep(self.id, found);
    }

    /// The mailbox as it was when somebody last looked.
    pub fn known(&self) -> Option<Arc<Snapshot>> {
        self.lock().shared.snapshot.load_full()
    }

    /// The mailbox as it is now: with everything that was committed in this process before the call.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the mailbox is gone, [`Error::Unavailable`].
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, Error> {
        let place = self.place();
        if let Some(snapshot) = place.shared.fresh() {
            return Ok(snapshot);
        }
        match place.handle.ask(Refresh).await {
            Err(AskError::Stopped) => self.again().await,
            answer => answer.map_err(unavailable)?,
        }
    }

    /// Takes a place with the next actor of the mailbox.
    async fn again(&self) -> Result<Arc<Snapshot>, Error> {
        let place = Place::take(&self.mailboxes, self.id, &self.signals).await?;
        let handle = place.handle.clone();
        let old = std::mem::replace(&mut *self.lock(), place);
        old.leave(&self.mailboxes, self.id);
        handle.ask(Refresh).await.map_err(unavailable)?
    }

    /// The mailbox after a change that the caller has just committed; everybody else is told.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub async fn changed(&self) -> Result<Arc<Snapshot>, Error> {
        self.place().shared.notice_all();
        self.snapshot().await
    }

    fn place(&self) -> Place {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.place().leave(&self.mailboxes, self.id);
    }
}

fn unavailable(error: AskError) -> Error {
    Error::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use postrider_storage::index::{
        AddAccounts, AddDomain, AuthType, Change, INBOX, Index, MemoryIndex, NewAccount, Timestamp,
    };

    use super::*;
    use crate::actor::{Escalation, ServiceRuntime, Supervisor};
    use crate::connection::Heed;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    async fn open() -> (Mailboxes, MailboxId) {
        let index = Arc::new(MemoryIndex::new());
        let domain = AddDomain {
            name: "a.test".into(),
            auth: AuthType::Local,
            ldap_base_dn: None,
            now: NOW,
        };
        let account = NewAccount {
            email: "ada@a.test".into(),
            password: None,
            quota: None,
            auth: AuthType::Local,
        };
        let accounts = AddAccounts {
            accounts: vec![account],
            now: NOW,
        };
        let changes = vec![Change::AddDomain(domain), Change::AddAccounts(accounts)];
        for outcome in index.apply(changes).await {
            outcome.expect("done");
        }
        let found = index.account("ada@a.test").await.expect("a read");
        let account = found.expect("it was added").id;
        let inbox = index.mailbox(account, INBOX).await.expect("a read");
        let runtime = ServiceRuntime::start(1, 4).expect("threads");
        let supervisor = Supervisor::new(Escalation::log_only());
        let pool = IndexPool::new(index, runtime, &supervisor);
        let id = inbox.expect("every account has one").id;
        (Mailboxes::new(pool, &supervisor), id)
    }

    #[actix_rt::test]
    async fn an_actor_that_failed_for_good_is_followed_by_another() {
        let (mailboxes, id) = open().await;
        let (signals, others) = (Signals::default(), Signals::default());
        let joined = mailboxes.join(id, signals.clone()).await.expect("joins");
        let handle = joined.place().handle;
        handle.stop();
        handle.ended().await;

        // What it knew is still good; after a change it asks, and another one answers.
        joined.snapshot().await.expect("what it knew");
        joined.changed().await.expect("the next actor");
        assert!(!joined.place().handle.is(&handle));

        // Notices reach it there, beside those who come now, once.
        let other = mailboxes.join(id, others.clone()).await.expect("joins");
        while signals.take(Heed::All).is_some() || others.take(Heed::All).is_some() {}
        mailboxes.notice(id);
        assert!(signals.take(Heed::All).is_some() && others.take(Heed::All).is_some());
        joined.snapshot().await.expect("a snapshot");
        other.snapshot().await.expect("a snapshot");
    }

    #[actix_rt::test]
    async fn what_an_actor_that_failed_for_good_leaves_goes_with_its_last_session() {
        let (mailboxes, id) = open().await;
        let joined = mailboxes.join(id, Signals::default()).await.expect("joins");
        let handle = joined.place().handle;
        handle.stop();
        handle.ended().await;
        assert_eq!(mailboxes.shared.len(), 1);
        drop((joined, handle));
        assert_eq!(mailboxes.shared.len(), 0);
    }
}
