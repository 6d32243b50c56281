//! The index in one SQLite file: the embedded default.
//!
//! One connection writes, a few threads with a connection each read; the write-ahead log keeps them out of each other's way. A batch of
//! changes is one transaction inside one blocking task. Other processes may open the same file at the same time (the control program does).
//!
//! **Invariants.** What [`Index::apply`] answered is on disk. Every rule is checked inside the writing transaction.
//! **Bounds.** `readers` reads at once, two a core at most; batches wait in order of arrival.
//! **On failure.** A connection on which a statement failed is closed and a new one opened for the next read or batch; what a failed
//! commit left in the log is written over at once.
//!
//! Reads may be awaited on any runtime; changes work while the runtime does that opened the index.

/// How a statement names the index that SQLite, which keeps no statistics, would not choose.
macro_rules! indexed_by {
    ($index:literal) => {
        concat!("INDEXED BY ", $index, " ")
    };
}

/// Whether a message has `\Deleted`, as its index says it.
macro_rules! deleted {
    () => {
        "flags & 8"
    };
}

/// Two rows belong to one account: follows from their body, whose number is its key here.
macro_rules! same_account {
    ($one:literal, $other:literal) => {
        ""
    };
}

mod append;
mod apply;
mod commits;
mod connect;
mod generation;
mod mark;
mod message;
mod moment;
mod readers;
mod renew;
mod serving;
mod sql;

// What PostgreSQL shares: each back end compiles these with its own `Conn`, `moment`, `sql` and macros.
#[path = "../sql/account.rs"]
mod account;
#[path = "../sql/alias.rs"]
mod alias;
#[path = "../sql/blob.rs"]
mod blob;
#[path = "../sql/change.rs"]
mod change;
#[path = "../sql/copy.rs"]
mod copy;
#[path = "../sql/counter.rs"]
mod counter;
#[path = "../sql/domain.rs"]
mod domain;
#[path = "../sql/entry.rs"]
mod entry;
#[path = "../sql/expunge.rs"]
mod expunge;
#[path = "../sql/fault.rs"]
mod fault;
#[path = "../sql/mailbox.rs"]
mod mailbox;
#[path = "../sql/maildrop.rs"]
mod maildrop;
#[path = "../sql/name.rs"]
mod name;
#[path = "../sql/place.rs"]
mod place;
#[path = "../sql/place_expunged.rs"]
mod place_expunged;
#[path = "../sql/restore.rs"]
mod restore;
#[path = "../sql/retention.rs"]
mod retention;
#[path = "../sql/schema.rs"]
mod schema;
#[path = "../sql/store.rs"]
mod store;

#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use diesel::SqliteConnection;
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard},
};

use self::{
    commits::Commits, connect::Purpose, fault::Fault, message::Which, readers::Readers,
    serving::Serving,
};
use super::{
    Account, AccountId, Addresses, Alias, BlobId, BlobRef, Change, DirectoryEntry, Domain,
    Expunged, INBOX, Index, KnownAddress, KnownBody, Mailbox, MailboxChanges, MailboxId, ModSeq,
    Outcome, Overdue, Recoverable, Retention, SummaryPage, Timestamp, Uid, Usage,
};
use crate::{Error, blob::BlobKey};

/// What statements run on.
type Conn = SqliteConnection;

/// The index in a SQLite file.
pub struct SqliteIndex {
    path: String,
    /// Where the writing connection works.
    runtime: Handle,
    readers: Readers,
    /// None after a failure, until the next batch.
    writer: Arc<Mutex<Option<SqliteConnection>>>,
    commits: Arc<Commits>,
    serving: Serving,
}

impl std::fmt::Debug for SqliteIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteIndex")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SqliteIndex {
    /// Reads that wait or run.
    pub const READS: usize = readers::PLACES;
    /// How long a read waits for a place among them.
    pub const READ_WAIT: Duration = readers::WAIT;

    /// Opens the file that a path or an URL (`sqlite:///var/lib/postrider/postrider.db`) names, makes it if it is not there, and brings its
    /// schema up to date. `readers` is how many reads go on at once, at least one.
    ///
    /// # Errors
    /// [`Error::NewerSchema`] for a file of a newer program, [`Error::Corrupt`] for what is no database,
    /// [`Error::Unavailable`] if it cannot be opened.
    pub async fn open(path_or_url: &str, readers: u32) -> Result<SqliteIndex, Error> {
        let path = connect::file(path_or_url)?;
        migrate_file(path.clone()).await?;
        let commits = Arc::new(Commits::of(&path));
        let serving = Serving::of(&path);
        let path = path
            .to_str()
            .ok_or(Error::Invalid("not the path of a database file"))?
            .to_owned();
        let start = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || Readers::start(&path, readers))
        };
        let readers = start
            .await
            .map_err(|it| Error::Unavailable(it.to_string()))??;
        let index = SqliteIndex {
            path,
            runtime: Handle::current(),
            readers,
            writer: Arc::default(),
            commits,
            serving,
        };
        let now = now();
        index
            .write(move |conn, commits| commits.notice_restored(conn, now))
            .await?;
        Ok(index)
    }

    /// Brings the schema of a file up to date, making the file if it is not there; what was applied. Harmless beside a running server
    /// of the same version.
    ///
    /// # Errors
    /// As [`SqliteIndex::open`].
    pub async fn migrate(path_or_url: &str) -> Result<Vec<String>, Error> {
        migrate_file(connect::file(path_or_url)?).await
    }

    /// Reads one consistent state.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        self.readers.read(read).await
    }

    /// Runs `write` on the writing connection, in the order of the calls.
    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut SqliteConnection, &Commits) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let writer = self.writer.clone().lock_owned().await;
        self.write_on(writer, write).await
    }

    /// Runs `write` on the writing connection, on a thread that may block: to its end, also if the caller leaves.
    async fn write_on<T: Send + 'static>(
        &self,
        mut writer: Writer,
        write: impl FnOnce(&mut SqliteConnection, &Commits) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (path, commits) = (self.path.clone(), self.commits.clone());
        let work = move || {
            let mut conn = match writer.take() {
                Some(conn) => conn,
                None => open_writer(&path, &commits)?,
            };
            let answer = write(&mut conn, &commits);
            if answer.is_ok() {
                *writer = Some(conn);
                return answer;
            }
            // A connection on which a statement failed or a panic passed does not come back.
            drop(conn);
            // Not with the next batch: there may be none before a crash.
            if commits.is_unsettled() {
                *writer = open_writer(&path, &commits).ok();
            }
            answer
        };
        let done = self.runtime.spawn_blocking(work).await;
        done.unwrap_or_else(|it| Err(Error::Unavailable(it.to_string())))
    }

    /// Lets the writing connection grow the file by so many pages more, as if the disk were full.
    #[cfg(test)]
    async fn limit_pages(&self, more: u32) {
        use diesel::connection::SimpleConnection;

        let limited = self.write(move |conn, _| {
            let pages = format!("PRAGMA max_page_count = {};", 1 + more);
            conn.batch_execute(&pages).map_err(|it| fault::trouble(&it))
        });
        limited.await.expect("a pragma");
    }
}

/// The place of the writing connection, while nobody else uses it.
type Writer = OwnedMutexGuard<Option<SqliteConnection>>;

/// Opens the writing connection. Blocks.
fn open_writer(path: &str, commits: &Commits) -> Result<SqliteConnection, Error> {
    let mut conn = connect::open(path, Purpose::Write).map_err(|it| connect::refused(&it))?;
    commits.begin(&mut conn)?;
    Ok(conn)
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

async fn migrate_file(path: PathBuf) -> Result<Vec<String>, Error> {
    tokio::task::spawn_blocking(move || connect::migrate(&path))
        .await
        .map_err(|it| Error::Unavailable(it.to_string()))?
}

#[async_trait::async_trait]
impl Index for SqliteIndex {
    async fn domain(&self, name: &str) -> Result<Option<Domain>, Error> {
        let name = name.to_owned();
        self.read(move |conn| domain::by_name(conn, &name)).await
    }

    async fn domains(&self) -> Result<Vec<Domain>, Error> {
        self.read(domain::all).await
    }

    async fn account(&self, email: &str) -> Result<Option<Account>, Error> {
        let email = email.to_owned();
        self.read(move |conn| account::by_email(conn, &email)).await
    }

    async fn account_by_id(&self, id: AccountId) -> Result<Option<Account>, Error> {
        self.read(move |conn| account::by_id(conn, id)).await
    }

    async fn accounts(&self, domain: Option<&str>) -> Result<Vec<Account>, Error> {
        let domain = domain.map(str::to_owned);
        self.read(move |conn| account::all(conn, domain.as_deref()))
            .await
    }

    async fn first_account(&self, domain: &str) -> Result<Option<Account>, Error> {
        let domain = domain.to_owned();
        self.read(move |conn| account::first(conn, &domain)).await
    }

    async fn destinations(&self, source: &str) -> Result<Vec<String>, Error> {
        let source = source.to_owned();
        self.read(move |conn| alias::destinations(conn, &source))
            .await
    }

    async fn addresses(&self, domain: &str, addresses: &[String]) -> Result<Addresses, Error> {
        let (domain, addresses) = (domain.to_owned(), addresses.to_vec());
        self.read(move |conn| {
            let mut found = Addresses {
                domain: domain::by_name(conn, &domain)?,
                addresses: Vec::with_capacity(addresses.len()),
            };
            for address in &addresses {
                let account = account::by_email(conn, address)?;
                let inbox = match &account {
                    Some(account) => mailbox::by_name(conn, account.id, INBOX)?,
                    None => None,
                };
                found.addresses.push(KnownAddress {
                    destinations: alias::destinations(conn, address)?,
                    account,
                    inbox: inbox.map(|inbox| inbox.id),
                });
            }
            Ok(found)
        })
        .await
    }

    async fn aliases(&self, domain: Option<&str>) -> Result<Vec<Alias>, Error> {
        let domain = domain.map(str::to_owned);
        self.read(move |conn| alias::all(conn, domain.as_deref()))
            .await
    }

    async fn directory_entry(
        &self,
        source: &str,
        stable_id: &str,
    ) -> Result<Option<DirectoryEntry>, Error> {
        let (source, stable_id) = (source.to_owned(), stable_id.to_owned());
        self.read(move |conn| entry::by_id(conn, &source, &stable_id))
            .await
    }

    async fn directory_entry_of(
        &self,
        account: AccountId,
    ) -> Result<Option<DirectoryEntry>, Error> {
        self.read(move |conn| entry::of(conn, account)).await
    }

    async fn directory_entries(&self, source: &str) -> Result<Vec<DirectoryEntry>, Error> {
        let source = source.to_owned();
        self.read(move |conn| entry::all(conn, &source)).await
    }

    async fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>, Error> {
        self.read(move |conn| mailbox::all(conn, account)).await
    }

    async fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<Mailbox>, Error> {
        let name = name.to_owned();
        self.read(move |conn| mailbox::by_name(conn, account, &name))
            .await
    }

    async fn mailbox_by_id(&self, id: MailboxId) -> Result<Option<Mailbox>, Error> {
        self.read(move |conn| mailbox::by_id(conn, id)).await
    }

    async fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, Error> {
        self.read(move |conn| mailbox::subscriptions(conn, account))
            .await
    }

    async fn changes(&self, mailbox: MailboxId, since: ModSeq) -> Result<MailboxChanges, Error> {
        self.read(move |conn| message::changes(conn, mailbox, since))
            .await
    }

    async fn summaries(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<SummaryPage, Error> {
        let which = Which::of(&sql::rising(uids));
        let read = move |conn: &mut SqliteConnection| message::summaries(conn, mailbox, &which);
        self.readers.read_apart(read).await
    }

    async fn blobs(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<(Uid, BlobRef)>, Error> {
        let which = Which::of(&sql::rising(uids));
        let read = move |conn: &mut SqliteConnection| message::blobs(conn, mailbox, &which);
        self.readers.read_apart(read).await
    }

    async fn expunged(&self, mailbox: MailboxId) -> Result<Vec<Expunged>, Error> {
        self.read(move |conn| message::expunged(conn, mailbox))
            .await
    }

    async fn recoverable(
        &self,
        account: AccountId,
        after: (MailboxId, Uid),
        limit: u32,
    ) -> Result<Vec<Recoverable>, Error> {
        self.read(move |conn| restore::recoverable(conn, account, after, limit))
            .await
    }

    async fn recoverable_count(&self, account: AccountId, since: Timestamp) -> Result<u64, Error> {
        self.read(move |conn| restore::count(conn, account, since))
            .await
    }

    async fn line_sizes(&self, mailbox: MailboxId) -> Result<Vec<(Uid, u64)>, Error> {
        self.read(move |conn| message::line_sizes(conn, mailbox))
            .await
    }

    async fn unique_ids(&self, mailbox: MailboxId) -> Result<Vec<(Uid, String)>, Error> {
        self.read(move |conn| place::unique_ids(conn, mailbox))
            .await
    }

    async fn retrieved(&self, mailbox: MailboxId) -> Result<Vec<(Uid, Timestamp)>, Error> {
        self.read(move |conn| place::retrieved(conn, mailbox)).await
    }

    async fn overdue(
        &self,
        default: Retention,
        after: AccountId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Overdue>, Error> {
        self.read(move |conn| retention::overdue(conn, default, after, now, limit))
            .await
    }

    async fn all_blobs(&self, after: BlobId, limit: u32) -> Result<Vec<BlobRef>, Error> {
        self.read(move |conn| blob::page(conn, after, limit)).await
    }

    async fn known_bodies(&self, keys: &[BlobKey]) -> Result<Vec<KnownBody>, Error> {
        let keys = blob::texts(keys);
        self.read(move |conn| blob::known(conn, &keys)).await
    }

    async fn usage(&self, account: AccountId) -> Result<Option<Usage>, Error> {
        self.read(move |conn| account::usage(conn, account)).await
    }

    async fn serve(&self) -> Result<(), Error> {
        self.serving.begin()
    }

    async fn is_served(&self) -> Result<bool, Error> {
        self.serving.goes_on()
    }

    async fn generation(&self) -> Result<i64, Error> {
        // A batch that runs now looks at its end; who asks meanwhile need not wait for it.
        if let Ok(writer) = self.writer.clone().try_lock_owned() {
            let look = |conn: &mut SqliteConnection, commits: &Commits| {
                let looked = commits.foreign.look(conn);
                looked.map_err(|it| fault::trouble(&it))
            };
            self.write_on(writer, look).await?;
        }
        let own = self.read(|conn| counter::value(conn, "generation")).await?;
        Ok(own + self.commits.foreign.seen())
    }

    async fn apply(&self, changes: Vec<Change>) -> Vec<Result<Outcome, Error>> {
        let count = changes.len();
        if count == 0 {
            return Vec::new();
        }
        let answers = self
            .write(move |conn, commits| apply::batch(conn, &changes, commits))
            .await;
        answers.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn probe(&self) -> Result<(), Error> {
        self.write(generation::probe).await
    }
}
