//! The index: accounts, domains, aliases, mailboxes, messages.
//!
//! Reads are methods; changes are values ([`Change`]) that a back end applies in batches, one transaction each, so that
//! deliveries that arrive together share one commit. Every back end passes the contract suite.
//!
//! **Invariants.** I3 and I4 of the design are decided here, by transactions, and nowhere else.

mod account;
mod alias;
mod change;
mod check;
pub mod contract;
mod domain;
mod entry;
mod id;
mod mailbox;
mod mark;
mod memory;
mod message;
mod news;
mod postgres;
mod sqlite;
mod summary;

pub use account::{Account, DEFAULT_QUOTA, NewAccount, Overdue, Retention, Usage};
pub use alias::{Addresses, Alias, KnownAddress};
pub use change::*;
pub use domain::{AuthType, Domain};
pub use entry::*;
pub use id::{AccountId, BlobId, DomainId, MailboxId, ModSeq, Timestamp, Uid, UidValidity};
pub use mailbox::{
    DELIMITER, FIRST_MAILBOXES, INBOX, MAILBOX_LIMIT, Mailbox, NAME_LIMIT, SpecialUse,
};
pub use mark::{Mark, Marked};
pub use memory::MemoryIndex;
pub use message::{
    BlobRef, Expunged, Flags, KEYWORD_LENGTH, KEYWORD_LIMIT, KnownBody, MailboxChanges, Message,
    NewBlob, Recoverable,
};
pub use news::News;
pub use postgres::{Hearing, PostgresIndex, PostgresSettings};
pub use sqlite::SqliteIndex;
pub use summary::{SUMMARIES_LIMIT, SummaryPage, SummaryRoom};

use tokio::sync::broadcast;

use crate::{Error, blob::BlobKey};

/// What is kept of accounts, mailboxes and messages.
///
/// Its reads are awaited on the threads of the event loops, and dropped there when a connection goes: a back end blocks none of
/// them, and keeps its own connections whole.
///
/// # Errors
/// Every method: [`Error::Unavailable`] when the database is away or overloaded, [`Error::Corrupt`] when a row cannot
/// be understood. Further ones are named at the changes.
#[async_trait::async_trait]
pub trait Index: Send + Sync + 'static {
    /// The domain of this name (lower-case A-labels).
    async fn domain(&self, name: &str) -> Result<Option<Domain>, Error>;
    /// All domains by name.
    async fn domains(&self) -> Result<Vec<Domain>, Error>;
    /// The account with this address (lower case).
    async fn account(&self, email: &str) -> Result<Option<Account>, Error>;
    /// The account of this row.
    async fn account_by_id(&self, id: AccountId) -> Result<Option<Account>, Error>;
    /// All accounts by address, of one domain if named.
    async fn accounts(&self, domain: Option<&str>) -> Result<Vec<Account>, Error>;
    /// The oldest account of a domain that may get mail: who reads what is written to its postmaster.
    async fn first_account(&self, domain: &str) -> Result<Option<Account>, Error> {
        let accounts = self.accounts(Some(domain)).await?;
        let enabled = accounts.into_iter().filter(Account::enabled);
        Ok(enabled.min_by_key(|account| account.id))
    }
    /// Where mail for `source` (an address or `@domain`) leads: destinations of its active aliases.
    async fn destinations(&self, source: &str) -> Result<Vec<String>, Error>;
    /// What the index knows of addresses of one domain, as one consistent state: what a delivery asks first.
    async fn addresses(&self, domain: &str, addresses: &[String]) -> Result<Addresses, Error> {
        let mut found = Addresses {
            domain: self.domain(domain).await?,
            addresses: Vec::with_capacity(addresses.len()),
        };
        for address in addresses {
            let account = self.account(address).await?;
            let inbox = match &account {
                Some(account) => self.mailbox(account.id, INBOX).await?,
                None => None,
            };
            found.addresses.push(KnownAddress {
                destinations: self.destinations(address).await?,
                account,
                inbox: inbox.map(|inbox| inbox.id),
            });
        }
        Ok(found)
    }
    /// All aliases by source and destination, of one domain if named.
    async fn aliases(&self, domain: Option<&str>) -> Result<Vec<Alias>, Error>;

    /// The entry of a directory with this stable id, if an account is bound to it.
    async fn directory_entry(
        &self,
        source: &str,
        stable_id: &str,
    ) -> Result<Option<DirectoryEntry>, Error>;
    /// The entry that an account is bound to.
    async fn directory_entry_of(&self, account: AccountId)
    -> Result<Option<DirectoryEntry>, Error>;
    /// All entries of a directory that accounts are bound to, by account.
    async fn directory_entries(&self, source: &str) -> Result<Vec<DirectoryEntry>, Error>;

    /// All mailboxes of an account by name, INBOX first.
    async fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>, Error>;
    /// The mailbox of this name.
    async fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<Mailbox>, Error>;
    /// The mailbox of this row.
    async fn mailbox_by_id(&self, id: MailboxId) -> Result<Option<Mailbox>, Error>;
    /// Names the account subscribes to, sorted.
    async fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, Error>;

    /// What changed in a mailbox after `since`; with `ModSeq(0)` all messages, and nothing expunged. One consistent state.
    /// Where the log of what went no longer reaches back to `since`, `expunged` holds every UID that is not there
    /// (RFC 7162 section 3.2.5.1). [`Error::NotFound`] if the mailbox is gone or cannot be selected.
    async fn changes(&self, mailbox: MailboxId, since: ModSeq) -> Result<MailboxChanges, Error>;
    /// What [`changes`](Index::changes) says after `ModSeq(0)`, for who opens a mailbox: found in the fastest way.
    async fn messages(&self, mailbox: MailboxId) -> Result<MailboxChanges, Error> {
        self.changes(mailbox, ModSeq(0)).await
    }
    /// Encoded summaries of these messages by UID; those that are gone are left out, and so are those for which there is no room on a page of
    /// [`SUMMARIES_LIMIT`] octets: they are asked for again.
    async fn summaries(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<SummaryPage, Error>;
    /// Bodies of these messages by UID; those that are gone are left out, but one expunged lately may still be found, so that
    /// who was told of it can read it.
    async fn blobs(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<(Uid, BlobRef)>, Error>;
    /// Messages expunged from a mailbox that can be brought back, by UID; none if the mailbox is gone.
    async fn expunged(&self, mailbox: MailboxId) -> Result<Vec<Expunged>, Error>;
    /// A page of the messages of an account that can be brought back, also those of mailboxes that are gone, by mailbox and UID,
    /// after `after`.
    async fn recoverable(
        &self,
        account: AccountId,
        after: (MailboxId, Uid),
        limit: u32,
    ) -> Result<Vec<Recoverable>, Error>;
    /// How many messages of an account can be brought back that were expunged at this time or later.
    async fn recoverable_count(&self, account: AccountId, since: Timestamp) -> Result<u64, Error>;
    /// Octets as lines of the messages of a mailbox for which they are others than their size, by UID.
    async fn line_sizes(&self, mailbox: MailboxId) -> Result<Vec<(Uid, u64)>, Error>;
    /// Unique-ids in POP3 of the messages of a mailbox that have others than the usual, by UID.
    async fn unique_ids(&self, mailbox: MailboxId) -> Result<Vec<(Uid, String)>, Error>;
    /// When POP3 retrieved the messages of a mailbox first, by UID; those that it did not are left out.
    async fn retrieved(&self, mailbox: MailboxId) -> Result<Vec<(Uid, Timestamp)>, Error>;
    /// Messages of INBOX that POP3 retrieved longer ago than their account keeps them, or `default` says where it says nothing; of accounts
    /// behind `after`, by account and UID, at most `limit`.
    async fn overdue(
        &self,
        default: Retention,
        after: AccountId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Overdue>, Error>;
    /// A page of all bodies that the index names, by row, after `after`: for `fsck`.
    /// Rows that are committed while pages are read may have lower numbers than those that were read: see [`Index::known_bodies`].
    async fn all_blobs(&self, after: BlobId, limit: u32) -> Result<Vec<BlobRef>, Error>;
    /// What the index knows of these bodies, in any order; those that it does not know are left out. For `fsck`, and for who is about to
    /// delete a body that it put.
    async fn known_bodies(&self, keys: &[BlobKey]) -> Result<Vec<KnownBody>, Error>;
    /// What an account counts as used and what its messages have, as one consistent state; none if it is gone. For `fsck`.
    async fn usage(&self, account: AccountId) -> Result<Option<Usage>, Error>;
    /// Says that a server works on this index, until the index is dropped or the process ends.
    async fn serve(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Whether a server says so, in whatever process, on whatever host.
    async fn is_served(&self) -> Result<bool, Error>;
    /// A value that rises with every committed change of accounts, domains and aliases made by any process (for caches), and of
    /// mailboxes made by other processes, where no [`News`] tell of them. Logins and what an account uses do not count. Cheap enough to
    /// ask a few times a second.
    async fn generation(&self) -> Result<i64, Error>;
    /// News of other processes from now on, in a back end that is told of them; who falls behind takes it for [`News::Anything`].
    /// None where [`Index::generation`] has to be asked.
    fn news(&self) -> Option<broadcast::Receiver<News>> {
        None
    }
    /// Whether news that should come do not at present, so that [`Index::generation`] has to be asked more often.
    fn is_deaf(&self) -> bool {
        false
    }
    /// The one clock of all hosts that share this index, for rights that end by themselves. None where one host has it to itself: its own
    /// clock does, and what its processes settle among themselves needs no place here.
    async fn shared_clock(&self) -> Result<Option<Timestamp>, Error> {
        Ok(None)
    }
    /// How many batches of changes may well be applied at once.
    fn writers(&self) -> usize {
        1
    }

    /// Applies changes in order in one transaction, each in a savepoint of its own: a refused one leaves no trace and hinders no other.
    /// When this returns, what succeeded is durable. If the commit fails every change gets [`Error::Unavailable`].
    async fn apply(&self, changes: Vec<Change>) -> Vec<Result<Outcome, Error>>;

    /// Commits a mark of how far this index has come, for who keeps it outside: an index that is behind the one `before` has lost what it
    /// acknowledged, and gives every mailbox a new UIDVALIDITY (I3). None where that is noticed in another way.
    async fn mark(&self, before: Option<Mark>, now: Timestamp) -> Result<Option<Marked>, Error> {
        let _ = (before, now);
        Ok(None)
    }

    /// Whether a change could be made now (disk full, database read-only or away).
    async fn probe(&self) -> Result<(), Error>;
}
