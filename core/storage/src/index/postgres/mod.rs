//! The index in PostgreSQL: for many processes and hosts.
//!
//! Queries and rules are those of SQLite, compiled for this connection; what differs is who may write what at the same time (`lock`), how a
//! batch ends (`apply`), how appends save ways to the server (`append`), and that processes tell each other what they changed (`notice`).
//!
//! Connections live on the runtime that opened the index; calls may come from any runtime. A call runs to its end even if its caller leaves,
//! so no transaction stays open and no connection is lost by that.
//!
//! **Invariants.** What [`Index::apply`] answered is committed, as durable as `synchronous_commit` says (leave it on).
//! **Bounds.** `pool_size` connections and one that listens; a statement ends after `statement_timeout`; who finds no connection waits 5 s.
//! **On failure.** What was not committed is tried again where that can help; else, and where the outcome of a commit is not known,
//! [`Error::Unavailable`]. Connections are made anew when they are needed.

// What SQLite shares is compiled here a second time, on purpose.
#![allow(clippy::duplicate_mod)]

/// How a statement names an index; the planner of PostgreSQL finds it by its statistics.
macro_rules! indexed_by {
    ($index:literal) => {
        ""
    };
}

/// Whether a message has `\Deleted`, as its index says it.
macro_rules! deleted {
    () => {
        "flags & 8 <> 0"
    };
}

/// Two rows belong to one account: the first half of a body's key.
macro_rules! same_account {
    ($one:literal, $other:literal) => {
        concat!($one, ".account_id = ", $other, ".account_id AND ")
    };
}

mod addresses;
mod append;
mod apply;
mod changes;
mod conn;
mod generation;
mod kept;
mod lock;
mod look;
mod mailboxes;
mod mark;
mod message;
mod migrate;
mod moment;
mod notice;
mod page;
mod pool;
mod renew;
mod row;
mod run;
mod serving;
mod settings;
mod snapshot;
mod sql;
mod tls;
mod url;
mod warm;

// What SQLite shares: each back end compiles these with its own `Conn`, `moment`, `sql` and macros.
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

use std::sync::Arc;

pub use settings::{Hearing, PostgresSettings};

use tokio::{runtime::Handle, sync::broadcast};

use self::{
    conn::Conn,
    look::State,
    mailboxes::{Mailboxes, Which},
    notice::Notices,
    pool::Pool,
    snapshot::Remembered,
};
use super::{
    Account, AccountId, Addresses, Alias, BlobId, BlobRef, Change, DirectoryEntry, Domain,
    Expunged, INBOX, Index, KnownBody, Mailbox, MailboxChanges, MailboxId, Mark, Marked, ModSeq,
    News, Outcome, Overdue, Recoverable, RenewUidValidities, Retention, SummaryPage, Timestamp,
    Uid, Usage,
};
use crate::{Error, blob::BlobKey};

/// The index in PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct PostgresIndex {
    pool: Arc<Pool>,
    notices: Arc<Notices>,
    hearing: Hearing,
    remembered: Remembered,
    /// How transactions that write begin, and those that read.
    begin: Arc<(String, String)>,
}

impl std::fmt::Debug for PostgresIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresIndex")
    }
}

impl PostgresIndex {
    /// Connects, brings the schema up to date, and gives the accounts that other programs made their mailboxes.
    ///
    /// # Errors
    /// [`Error::NewerSchema`] for a database of a newer program, [`Error::Unavailable`] for a URL that cannot be understood and for
    /// a database that lets nobody in.
    pub async fn open(settings: &PostgresSettings) -> Result<PostgresIndex, Error> {
        let (index, _) = Self::migrated(settings).await?;
        if index.hearing == Hearing::Everybody {
            index.notices.clone().start(&index.pool).await;
            serving::begin(&index).await;
            warm::up(&index).await;
        }
        Ok(index)
    }

    /// Brings the schema of a database up to date; what was applied. Harmless beside running servers.
    ///
    /// # Errors
    /// As [`PostgresIndex::open`].
    pub async fn migrate(settings: &PostgresSettings) -> Result<Vec<String>, Error> {
        Ok(Self::migrated(settings).await?.1)
    }

    async fn migrated(settings: &PostgresSettings) -> Result<(PostgresIndex, Vec<String>), Error> {
        let runtime = Handle::current();
        let password = settings.password.as_deref();
        let size = settings.pool_size;
        let pool = Pool::at(&settings.url, password, size, runtime.clone()).await?;
        let listener = match &settings.listen_url {
            Some(url) => Pool::at(url, password, 1, runtime).await?,
            None => pool.clone(),
        };
        let timeout = pool.target.statement_timeout.as_millis();
        // Locks of a host that is gone without a word end too.
        let begin = |how: &str| {
            format!(
                "BEGIN {how}; SET LOCAL statement_timeout = {timeout}; \
                 SET LOCAL idle_in_transaction_session_timeout = {timeout}"
            )
        };
        let index = PostgresIndex {
            begin: Arc::new((
                begin("ISOLATION LEVEL READ COMMITTED"),
                begin("ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            )),
            notices: Arc::new(Notices::new(listener)),
            hearing: settings.hearing,
            remembered: Remembered::default(),
            pool,
        };
        let applied = index.on(|conn, _| migrate::migrate(conn)).await?;
        // A standby, which may be read, has none: they would have come with the changes of its primary.
        if index.read(migrate::some_are_bare).await? {
            let taken = index
                .on(|conn, begin| migrate::take_over(conn, &begin.0, moment::now()))
                .await?;
            tracing::info!(accounts = taken, "accounts got their mailboxes");
        }
        Ok((index, applied))
    }

    /// Gives an account that another program made meanwhile its mailboxes; whether it had none. Another host may have been quicker: whoever misses
    /// what every account has looks again in any case.
    async fn furnished(&self, account: AccountId) -> Result<bool, Error> {
        if !self
            .read(move |conn| migrate::is_bare(conn, account))
            .await?
        {
            return Ok(false);
        }
        let made = self
            .trying(move |conn, begin| {
                migrate::take_over_one(conn, &begin.0, account, moment::now())
            })
            .await?;
        if made {
            tracing::info!(account = account.0, "account got its mailboxes");
        }
        Ok(true)
    }
}

#[async_trait::async_trait]
impl Index for PostgresIndex {
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
        let (domain, wanted) = (domain.to_owned(), addresses.to_vec());
        let look = move |conn: &mut Conn| addresses::addresses(conn, &domain, &wanted);
        let found = self.read(look.clone()).await?;
        let bare = found.addresses.iter().filter(|it| it.inbox.is_none());
        let bare: Vec<AccountId> = bare
            .filter_map(|it| Some(it.account.as_ref()?.id))
            .collect();
        if bare.is_empty() {
            return Ok(found);
        }
        for account in bare {
            self.furnished(account).await?;
        }
        self.read(look).await
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
        let all = move || Mailboxes::new(Which::All(account));
        let found = self.look(State::Any, all).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        self.furnished(account).await?;
        self.look(State::Any, all).await
    }

    async fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<Mailbox>, Error> {
        let one = || Mailboxes::new(Which::Name(account, name.to_owned()));
        let mut found = self.look(State::Any, one).await?;
        if found.is_empty() && (self.furnished(account).await? || name == INBOX) {
            found = self.look(State::Any, one).await?;
        }
        Ok(found.pop())
    }

    async fn mailbox_by_id(&self, id: MailboxId) -> Result<Option<Mailbox>, Error> {
        let one = || Mailboxes::new(Which::Id(id));
        Ok(self.look(State::Any, one).await?.pop())
    }

    async fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, Error> {
        self.read(move |conn| mailbox::subscriptions(conn, account))
            .await
    }

    async fn changes(&self, mailbox: MailboxId, since: ModSeq) -> Result<MailboxChanges, Error> {
        let changes = || changes::Changes::new(mailbox, since);
        Ok(self.look(State::One, changes).await?.changes)
    }

    async fn messages(&self, mailbox: MailboxId) -> Result<MailboxChanges, Error> {
        self.remembered.messages(self, mailbox).await
    }

    async fn summaries(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<SummaryPage, Error> {
        let uids = sql::rising(uids);
        let page = || page::Summaries::new(mailbox, uids.to_vec());
        match self.look(State::Any, page).await? {
            page::Page::Read(page) => Ok(page),
            page::Page::Chosen(chosen) => self.look(State::Any, || chosen.clone()).await,
        }
    }

    async fn blobs(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<(Uid, BlobRef)>, Error> {
        let bodies = || page::Bodies::new(mailbox, uids.to_vec());
        self.look(State::Any, bodies).await
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

    async fn is_served(&self) -> Result<bool, Error> {
        self.read(serving::somebody).await
    }

    async fn generation(&self) -> Result<i64, Error> {
        let own = self.read(|conn| counter::value(conn, "generation")).await?;
        if !self.notices.hears() {
            let highest = self.read(generation::highest_transaction).await?;
            self.notices.saw_transaction(highest);
        }
        Ok(own + self.notices.missed())
    }

    fn news(&self) -> Option<broadcast::Receiver<News>> {
        Some(self.notices.subscribe())
    }

    fn is_deaf(&self) -> bool {
        !self.notices.hears()
    }

    async fn shared_clock(&self) -> Result<Option<Timestamp>, Error> {
        self.read(generation::clock).await.map(Some)
    }

    fn writers(&self) -> usize {
        // The rest is for reads, which somebody waits for at a screen.
        4
    }

    async fn apply(&self, changes: Vec<Change>) -> Vec<Result<Outcome, Error>> {
        let mut answers = Vec::with_capacity(changes.len());
        for part in lock::parts(changes) {
            answers.extend(self.apply_part(part).await);
        }
        answers
    }

    async fn mark(&self, before: Option<Mark>, now: Timestamp) -> Result<Option<Marked>, Error> {
        let raised = self
            .trying(move |conn, begin| mark::raise(conn, &begin.0, before))
            .await?;
        if let Some(mark) = raised {
            let restored = false;
            return Ok(Some(Marked { mark, restored }));
        }
        let marked = self
            .trying(move |conn, begin| mark::renew(conn, &begin.0, before, now))
            .await?;
        if marked.restored {
            let renewed = [Change::RenewUidValidities(RenewUidValidities { now })];
            self.notices.tell(&renewed, &[Ok(Outcome::Done)]);
        }
        Ok(Some(marked))
    }

    async fn probe(&self) -> Result<(), Error> {
        self.trying(|conn, begin| generation::probe(conn, &begin.0))
            .await
    }
}
