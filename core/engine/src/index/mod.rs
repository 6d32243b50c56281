//! The way to the index: reads where they are asked for, changes through one writer that lets what waits share a commit.

mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use postrider_storage::index::{self as storage, Change, Index, Outcome};
use postrider_storage::{Class, Error};

use tokio::sync::Notify;

use crate::actor::{Handle, Restart, ServiceRuntime, Stage, Stages, Supervisor};
use crate::telemetry::metrics::{INDEX_ERRORS, INDEX_SECONDS};
use writer::{Apply, Writer};

/// How long a read may take. A healthy one takes milliseconds; a disk that hangs must not hold connections for ever.
const READ_PATIENCE: Duration = Duration::from_secs(30);
/// Changes that usually may wait for the writer.
const PLACES: usize = 4096;
/// How long a change may wait before it is refused.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the writer may fail before the process ends.
const RESTART: Restart = Restart {
    limit: 5,
    window: Duration::from_secs(60),
    pause: Duration::from_millis(100),
};

/// The index as the engine sees it. Cheap to clone.
#[derive(Clone)]
pub struct IndexPool {
    index: Arc<dyn Index>,
    writer: Handle<Writer>,
    /// Told of changes of who may log in.
    access: Arc<Notify>,
    /// Told of messages that came back, for which no session asked.
    restored: Arc<Notify>,
    /// Whether this process changed anything since somebody asked.
    changed: Arc<AtomicBool>,
}

impl std::fmt::Debug for IndexPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IndexPool")
    }
}

impl IndexPool {
    /// Puts an index to work. Its writer lives where `supervisor` says.
    pub fn new(index: Arc<dyn Index>, runtime: ServiceRuntime, supervisor: &Supervisor) -> Self {
        Self::with_places(index, runtime, supervisor, PLACES)
    }

    /// The same, with so many places for changes that wait.
    pub fn with_places(
        index: Arc<dyn Index>,
        runtime: ServiceRuntime,
        supervisor: &Supervisor,
        places: usize,
    ) -> Self {
        let for_writer = index.clone();
        let writer = supervisor.supervise("index_writer", places, RESTART, move || {
            Writer::new(for_writer.clone(), runtime.clone())
        });
        Self {
            index,
            writer,
            access: Arc::default(),
            restored: Arc::default(),
            changed: Arc::default(),
        }
    }

    /// Reads. The future runs where the caller does; a back end sees to it that its connections and its blocking work do not.
    ///
    /// # Errors
    /// Those of the read, and [`Error::Unavailable`] after half a minute.
    pub async fn read<'a, T>(
        &'a self,
        read: impl FnOnce(&'a dyn Index) -> BoxFuture<'a, Result<T, Error>>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let result = tokio::time::timeout(READ_PATIENCE, read(&*self.index))
            .await
            .unwrap_or_else(|_| {
                Err(Error::Unavailable(
                    "a read of the index took too long".into(),
                ))
            });
        metrics::histogram!(INDEX_SECONDS, "operation" => "read")
            .record(began.elapsed().as_secs_f64());
        counted(result)
    }

    /// Changes the index. When this returns, what succeeded is durable.
    ///
    /// # Errors
    /// Those of the change. [`Error::Unavailable`]: the outcome is unknown, and repeating it is harmless.
    pub async fn change(&self, change: Change) -> Result<Outcome, Error> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let ends_access = matches!(
            change,
            Change::SetPassword(_)
                | Change::SetAccountActive(_)
                | Change::RemoveAccount(_)
                | Change::SetDomainActive(_)
                | Change::SetDomainAuth(_)
                | Change::RemoveDomain(_)
                | Change::RenameAccount(_)
                | Change::SetEntryActive(_)
        );
        let restores = matches!(change, Change::Restore(_));
        let result = self.writer.ask_before(deadline, Apply(change)).await;
        self.changed.store(true, Ordering::Relaxed);
        if restores {
            self.restored.notify_one();
        }
        if ends_access {
            self.access.notify_one();
        }
        counted(result.unwrap_or_else(|error| Err(Error::Unavailable(error.to_string()))))
    }

    /// Whether this process changed anything since it was asked last.
    pub(crate) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// Waits until this process changed who may log in. For one at a time.
    pub(crate) async fn access_changed(&self) {
        self.access.notified().await;
    }

    /// Waits until messages came back. For one at a time.
    pub(crate) async fn restored(&self) {
        self.restored.notified().await;
    }

    /// Finishes what waits, and takes nothing more, when the stage of the index drains.
    pub(crate) fn stop_with(&self, stages: &Stages) {
        stages.stop_actor(Stage::Index, &self.writer);
    }

    /// The index itself, for who runs on the service runtime.
    pub fn raw(&self) -> &Arc<dyn Index> {
        &self.index
    }
}

/// Counts a failure that is ours.
fn counted<T>(result: Result<T, Error>) -> Result<T, Error> {
    let ours = |error: &Error| matches!(error.class(), Class::Temporary | Class::Bug);
    if result.as_ref().is_err_and(ours) {
        metrics::counter!(INDEX_ERRORS).increment(1);
    }
    result
}

macro_rules! changes {
    ($($(#[$doc:meta])* $name:ident($change:ident) -> $outcome:ident($result:ty);)*) => {
        impl IndexPool {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// See [`change`](Self::change).
                pub async fn $name(&self, change: storage::$change) -> Result<$result, Error> {
                    match self.change(Change::$change(change)).await? {
                        Outcome::$outcome(outcome) => Ok(outcome),
                        other => Err(Error::Corrupt(format!("unexpected outcome {other:?}"))),
                    }
                }
            )*
        }
    };
}

changes! {
    /// Appends a message.
    append(Append) -> Appended(storage::Appended);
    /// Appends messages, all or none.
    append_all(AppendAll) -> AllAppended(Vec<storage::Appended>);
    /// Changes flags.
    store(Store) -> Stored(storage::Stored);
    /// Copies or moves.
    copy(Copy) -> Copied(storage::Copied);
    /// Expunges.
    expunge(Expunge) -> Expunged(storage::ExpungedUids);
    /// Expunges for who holds the maildrop, or while nobody does.
    expunge_maildrop(ExpungeMaildrop) -> Expunged(storage::ExpungedUids);
    /// Takes what is recent.
    claim_recent(ClaimRecent) -> Recent(storage::Uid);
    /// Makes a mailbox.
    create_mailbox(CreateMailbox) -> Mailbox(storage::MailboxId);
    /// Renames a mailbox.
    rename_mailbox(RenameMailbox) -> Mailbox(storage::MailboxId);
}

#[async_trait::async_trait]
impl crate::auth::Accounts for IndexPool {
    async fn account(&self, email: &str) -> Result<Option<storage::Account>, Error> {
        self.read(|index| index.account(email)).await
    }

    async fn change(&self, change: Change) -> Result<Outcome, Error> {
        IndexPool::change(self, change).await
    }
}
