//! One session's hold on an open mailbox.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use postrider_protocol::imap::snapshot::Snapshot;
use postrider_protocol::imap::types::{ModSeq, Uid};
use postrider_protocol::message::Kept;
use postrider_storage::Error;
use postrider_storage::index::MailboxId;

use super::Mailboxes;
use super::actor::{Join, Refresh};
use crate::actor::AskError;
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
    /// The last actor left in order: the snapshot is what it knew.
    folded: AtomicBool,
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

    /// Below which UID sessions of this process have taken what is recent.
    pub fn claimed(&self) -> u32 {
        self.claimed.load(Ordering::SeqCst)
    }

    /// The actor leaves, and the snapshot with its counts is all that it knew.
    pub fn fold(&self) {
        self.folded.store(true, Ordering::SeqCst);
    }

    /// What an actor that begins knows: what the one before it left. After one that failed that is nothing, and whoever has the mailbox
    /// open looks again.
    pub fn unfold(&self) -> Option<Arc<Snapshot>> {
        if self.folded.swap(false, Ordering::SeqCst) {
            return self.snapshot.load_full();
        }
        self.notice_all();
        None
    }

    /// Its number, and whether it is alone.
    fn enter(&self, signals: Signals) -> (u64, bool) {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        // Most mailboxes have one.
        sessions.reserve_exact(1);
        sessions.push((number, signals));
        (number, sessions.len() == 1)
    }

    /// Whether it was the last.
    fn exit(&self, number: u64) -> bool {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|(session, _)| *session != number);
        sessions.is_empty()
    }

    /// Whether no session holds the mailbox.
    pub fn is_empty(&self) -> bool {
        self.sessions() == 0
    }

    fn sessions(&self) -> usize {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.len()
    }
}

/// One session's hold on an open mailbox. Dropping it leaves the mailbox.
///
/// It does not hold the actor, only what is shared: who waits for hours needs nobody to read.
pub struct Joined {
    id: MailboxId,
    mailboxes: Mailboxes,
    place: Place,
}

/// A session's place in a mailbox.
struct Place {
    shared: Arc<Shared>,
    number: u64,
}

/// How often a session begins anew because the actor that let it in failed for good meanwhile.
const ATTEMPTS: usize = 3;

impl Place {
    async fn take(mailboxes: &Mailboxes, id: MailboxId, signals: &Signals) -> Result<Self, Error> {
        for _ in 0..ATTEMPTS {
            // Held until the place is taken: until then what is shared may go with the actor.
            let handle = mailboxes.handle(id).await?;
            let shared = handle.ask(Join).await.map_err(unavailable)?;
            let (number, alone) = shared.enter(signals.clone());
            if alone && let Err(error) = mailboxes.hold() {
                // Who came meanwhile believes that it is counted.
                if !shared.exit(number) {
                    mailboxes.hold_more();
                }
                return Err(error);
            }
            let place = Self { shared, number };
            if mailboxes.reaches(id, &place.shared) {
                return Ok(place);
            }
            place.leave(mailboxes, id);
        }
        Err(Error::Unavailable(
            "the mailbox fails again and again".into(),
        ))
    }

    fn leave(&self, mailboxes: &Mailboxes, id: MailboxId) {
        if self.shared.exit(self.number) {
            mailboxes.left(id, &self.shared);
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
            place,
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
        self.place.shared.claimed.fetch_max(next, Ordering::SeqCst)
    }

    /// Below which UID sessions of this process have taken what is recent.
    pub fn claimed(&self) -> u32 {
        self.place.shared.claimed()
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
        self.place.shared.snapshot.load_full()
    }

    /// The mailbox as it is now: with everything that was committed in this process before the call.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the mailbox is gone, [`Error::Unavailable`].
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, Error> {
        if let Some(snapshot) = self.place.shared.fresh() {
            return Ok(snapshot);
        }
        let handle = self.mailboxes.handle(self.id).await?;
        match handle.ask(Refresh).await {
            Err(AskError::Stopped) => self.again().await,
            answer => answer.map_err(unavailable)?,
        }
    }

    /// Sees to it that the mailbox is known with everything up to a change, which another process may have made: its notice may be on its
    /// way still.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub async fn reach(&self, change: ModSeq) -> Result<(), Error> {
        if self.snapshot().await?.highest_modseq() < change {
            self.changed().await?;
        }
        Ok(())
    }

    /// Asks the next actor of the mailbox.
    async fn again(&self) -> Result<Arc<Snapshot>, Error> {
        let handle = self.mailboxes.handle(self.id).await?;
        handle.ask(Refresh).await.map_err(unavailable)?
    }

    /// The session waits, maybe for hours: if it is alone, its mailbox needs no actor until something happens.
    pub fn rest(&self) {
        if self.place.shared.sessions() == 1 {
            self.mailboxes.open.let_go(&self.id);
        }
    }

    /// The mailbox after a change that the caller has just committed; everybody else is told.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub async fn changed(&self) -> Result<Arc<Snapshot>, Error> {
        self.place.shared.notice_all();
        self.snapshot().await
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.place.leave(&self.mailboxes, self.id);
    }
}

fn unavailable(error: AskError) -> Error {
    Error::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use postrider_storage::blob::BlobKey;
    use postrider_storage::index::{
        AccountId, AddAccounts, AddDomain, Append, AuthType, Change, INBOX, Index, MemoryIndex,
        NewAccount, NewBlob, Outcome, Timestamp,
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
        let handle = mailboxes.open.find(&id).expect("it lingers");
        handle.stop();
        handle.ended().await;

        // What it knew is still good; after a change it asks, and another one answers.
        joined.snapshot().await.expect("what it knew");
        joined.changed().await.expect("the next actor");
        assert!(!mailboxes.open.find(&id).expect("it is there").is(&handle));

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
        let handle = mailboxes.open.find(&id).expect("it lingers");
        handle.stop();
        handle.ended().await;
        assert_eq!(mailboxes.shared.len(), 1);
        drop((joined, handle));
        assert_eq!(mailboxes.shared.len(), 0);
        assert_eq!(mailboxes.held.load(Ordering::SeqCst), 0);
    }

    /// Who waits needs no actor; the next one goes on from what is shared, and nobody looks again for nothing.
    #[actix_rt::test]
    async fn a_mailbox_whose_session_rests_has_no_actor_until_something_happens() {
        let (mailboxes, id) = open().await;
        let signals = Signals::default();
        let joined = mailboxes.join(id, signals.clone()).await.expect("joins");
        let handle = mailboxes.open.find(&id).expect("it lingers").downgrade();
        joined.rest();
        handle.ended().await;
        assert_eq!(mailboxes.open.count(), 0);
        let known = joined.snapshot().await.expect("what is shared");
        assert_eq!(mailboxes.open.count(), 0);
        assert_eq!((joined.claim(7), joined.claimed()), (0, 7));
        assert_eq!(
            (mailboxes.claimed(id), mailboxes.claimed(MailboxId(0))),
            (7, 0)
        );

        while signals.take(Heed::All).is_some() {}
        mailboxes.notice(id);
        assert!(signals.take(Heed::All).is_some());
        let now = joined.snapshot().await.expect("the next actor");
        assert_eq!(now.highest_modseq(), known.highest_modseq());
        assert!(signals.take(Heed::All).is_none(), "it was told once");

        // Not while others have it open too.
        let other = mailboxes.join(id, Signals::default()).await.expect("joins");
        joined.rest();
        assert_eq!(mailboxes.open.count(), 1);
        drop((joined, other));
        let handle = mailboxes.open.find(&id).expect("it lingers").downgrade();
        mailboxes.open.let_go(&id);
        handle.ended().await;
        assert_eq!(mailboxes.shared.len(), 0);
        assert_eq!(mailboxes.held.load(Ordering::SeqCst), 0);
    }

    /// What another process committed is seen by who knows of it, before its notice comes.
    #[actix_rt::test]
    async fn a_mailbox_reaches_a_change_that_nobody_told_of() {
        let (mailboxes, id) = open().await;
        let joined = mailboxes.join(id, Signals::default()).await.expect("joins");
        let append = Append {
            account: AccountId(1),
            mailbox: id,
            blob: NewBlob {
                key: BlobKey::parse("a.test/ada/Maildir/cur/m1").expect("a key"),
                size: 10,
                line_size: 10,
                sha256: [0; 32],
                summary: Vec::new(),
            },
            flags: Default::default(),
            keywords: Vec::new(),
            internal_date: NOW,
            now: NOW,
        };
        let appended = mailboxes.index.change(Change::Append(append)).await;
        let Ok(Outcome::Appended(appended)) = appended else {
            panic!("not appended: {appended:?}");
        };
        assert_eq!(joined.snapshot().await.expect("what it knew").count(), 0);
        joined
            .reach(ModSeq(appended.modseq.0))
            .await
            .expect("looks");
        assert_eq!(joined.snapshot().await.expect("all of it").count(), 1);
    }

    #[actix_rt::test]
    async fn so_many_mailboxes_are_open_and_no_more() {
        let (mailboxes, id) = open().await;
        let few = Mailboxes {
            most: 1,
            ..mailboxes.clone()
        };
        let one = few.join(id, Signals::default()).await.expect("joins");
        let two = few.join(id, Signals::default()).await.expect("the same");
        let other = few.join(MailboxId(id.0 + 1000), Signals::default()).await;
        assert!(matches!(other, Err(Error::Unavailable(_))), "{other:?}");
        drop((one, two));
        let other = few.join(MailboxId(id.0 + 1000), Signals::default()).await;
        assert!(matches!(other, Err(Error::NotFound(_))), "{other:?}");
        assert_eq!(few.held.load(Ordering::SeqCst), 0);
    }
}
