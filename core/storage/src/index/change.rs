//! All changes of the index as values, so that what waits can share one transaction.
//!
//! Each change stands or falls alone (a savepoint each); the batch commits as one. A change repeated after an unknown
//! outcome is harmless: appends are recognised by their blob's key, the others set a state.

mod mailbox;
mod maildrop;
mod place;

pub use mailbox::*;
pub use maildrop::*;
pub use place::*;

use super::{
    AccountId, Alias, AuthType, BindEntry, BlobId, DomainId, Flags, MailboxId, ModSeq, NewAccount,
    NewBlob, RenameAccount, Retention, SetEntryActive, Timestamp, Uid, UidValidity, UnbindEntry,
};

/// One change of the index.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // each variant carries the documented struct of its name
pub enum Change {
    AddDomain(AddDomain),
    SetDomainActive(SetDomainActive),
    SetDomainAuth(SetDomainAuth),
    RemoveDomain(RemoveDomain),
    AddAccounts(AddAccounts),
    SetPassword(SetPassword),
    SetQuota(SetQuota),
    SetRetention(SetRetention),
    SetAccountActive(SetAccountActive),
    RemoveAccount(RemoveAccount),
    TouchLogin(TouchLogin),
    AddAlias(AddAlias),
    RemoveAlias(RemoveAlias),
    BindEntry(BindEntry),
    UnbindEntry(UnbindEntry),
    RenameAccount(RenameAccount),
    SetEntryActive(SetEntryActive),
    TakeLease(TakeLease),
    HoldMaildrop(HoldMaildrop),
    CreateMailbox(CreateMailbox),
    DeleteMailbox(DeleteMailbox),
    RenameMailbox(RenameMailbox),
    RenewUidValidities(RenewUidValidities),
    Subscribe(Subscribe),
    ClaimRecent(ClaimRecent),
    Append(Append),
    AppendAll(AppendAll),
    Store(Store),
    Copy(Copy),
    Expunge(Expunge),
    ExpungeMaildrop(ExpungeMaildrop),
    Retrieved(Retrieved),
    Restore(Restore),
    PlaceMailbox(PlaceMailbox),
    PlaceMessages(PlaceMessages),
    PlaceExpunged(PlaceExpunged),
    Reflag(Reflag),
    Reap(Reap),
    Forget(Forget),
}

/// What a change brought.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs)] // named after the changes that bring them
pub enum Outcome {
    Done,
    Domain(DomainId),
    Accounts(Vec<AccountId>),
    Mailbox(MailboxId),
    Recent(Uid),
    Appended(Appended),
    AllAppended(Vec<Appended>),
    Stored(Stored),
    Copied(Copied),
    Expunged(ExpungedUids),
    Doomed(Vec<Doomed>),
    /// The UID of each message, in order; none for one that was placed before.
    Placed(Vec<Option<Uid>>),
}

/// Adds a domain. `Exists` if it is there. Outcome: `Domain`.
#[derive(Clone, Debug)]
pub struct AddDomain {
    /// Lower-case A-labels.
    pub name: String,
    /// How its accounts authenticate.
    pub auth: AuthType,
    /// Base DN in place of the configured one.
    pub ldap_base_dn: Option<String>,
    /// Now.
    pub now: Timestamp,
}

/// Switches a domain on or off and raises the versions of its accounts. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct SetDomainActive {
    /// Its name.
    pub name: String,
    /// On or off.
    pub active: bool,
}

/// Says who vouches for a domain's accounts from now on, and raises their versions. Their hashes stay, whoever vouches. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct SetDomainAuth {
    /// Its name.
    pub name: String,
    /// How its accounts authenticate.
    pub auth: AuthType,
    /// Base DN in place of the configured one.
    pub ldap_base_dn: Option<String>,
    /// Which accounts go over to it.
    pub users: UsersOfDomain,
    /// Now.
    pub now: Timestamp,
}

/// Which accounts go over with their domain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UsersOfDomain {
    /// All: who goes to the directory is bound to its entry by address, at the next synchronisation or login.
    Follow,
    /// None.
    Stay,
}

/// Removes a domain without accounts, and its aliases. `Exists("account")` while it has any. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct RemoveDomain {
    /// Its name.
    pub name: String,
}

/// Adds accounts with INBOX and the first mailboxes, all of them subscribed; all accounts or none. Outcome: `Accounts`, in order.
#[derive(Clone, Debug)]
pub struct AddAccounts {
    /// The accounts. Their domains must exist.
    pub accounts: Vec<NewAccount>,
    /// Now.
    pub now: Timestamp,
}

/// Sets an account's password hash and raises its version. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct SetPassword {
    /// The account.
    pub account: AccountId,
    /// The new hash; none: no local login.
    pub password: Option<String>,
    /// Only if this is still the hash (an upgrade at login must not undo a change made meanwhile); none: whatever it is.
    /// If it is not, nothing is done.
    pub only_if: Option<String>,
    /// Now.
    pub now: Timestamp,
}

/// Sets an account's quota. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct SetQuota {
    /// The account.
    pub account: AccountId,
    /// Octets; none: no limit. A quota below what is used stops further mail, nothing else.
    pub quota: Option<u64>,
    /// Now.
    pub now: Timestamp,
}

/// Sets how long an account's messages stay after POP3 retrieved them. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct SetRetention {
    /// The account.
    pub account: AccountId,
    /// None: as the configuration says.
    pub retention: Option<Retention>,
    /// Now.
    pub now: Timestamp,
}

/// Switches an account on or off and raises its version. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct SetAccountActive {
    /// The account.
    pub account: AccountId,
    /// On or off.
    pub active: bool,
    /// Now.
    pub now: Timestamp,
}

/// Removes an account, its mailboxes and messages; the bodies are doomed after the retention time (I10). Aliases that
/// name it stay. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct RemoveAccount {
    /// The account.
    pub account: AccountId,
    /// Now.
    pub now: Timestamp,
}

/// Notes a login, unless one less than a minute ago is noted. Raises neither version nor generation. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct TouchLogin {
    /// The account.
    pub account: AccountId,
    /// Now.
    pub now: Timestamp,
}

/// Adds an alias. `Exists` if the same pair is there, `NotFound("domain")` if the source's domain is not. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct AddAlias {
    /// The pair.
    pub alias: Alias,
}

/// Removes one alias, or all of a source. `NotFound` if there is none. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct RemoveAlias {
    /// Address, or `@domain`.
    pub source: String,
    /// Only this pair; none: all of the source.
    pub destination: Option<String>,
}

/// Takes, prolongs or (with an `until` that has come) gives back the right to some work that one process does at a time. `Exists("lease")`
/// while somebody else holds it. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct TakeLease {
    /// Of which work.
    pub name: String,
    /// Who takes it: a name that no other process has.
    pub holder: String,
    /// Free for others from then on.
    pub until: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// Adds a message (I1, I2, I3, I4). The same key again in the same mailbox brings the same UID, wherever the message went since.
/// `Exists("blob")` if the key names other octets or another account's body (I6), `NotFound("blob")` if it names a doomed one (I2).
/// Outcome: `Appended`.
#[derive(Clone, Debug)]
pub struct Append {
    /// Whose.
    pub account: AccountId,
    /// Where. `NotFound("mailbox")` if it went meanwhile or cannot be selected.
    pub mailbox: MailboxId,
    /// Its body, which lies in the store already.
    pub blob: NewBlob,
    /// System flags.
    pub flags: Flags,
    /// Keywords by name; unknown ones are added, `Limit` if there is no room.
    pub keywords: Vec<String>,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// Adds messages to mailboxes of any accounts, all or none: one answer speaks for all recipients of a message. Errors are those of
/// the first [`Append`] that is refused. Outcome: `AllAppended`, in order.
#[derive(Clone, Debug)]
pub struct AppendAll {
    /// The messages.
    pub appends: Vec<Append>,
}

/// What an append brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Appended {
    /// Of the mailbox.
    pub uid_validity: UidValidity,
    /// Of the message.
    pub uid: Uid,
    /// Of the change.
    pub modseq: ModSeq,
}

/// How STORE combines flags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreMode {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// Changes flags. UIDs that are gone are passed over. A message whose flags do not change keeps its modification sequence. Outcome: `Stored`.
#[derive(Clone, Debug)]
pub struct Store {
    /// Where.
    pub mailbox: MailboxId,
    /// Which, rising.
    pub uids: Vec<Uid>,
    /// How.
    pub mode: StoreMode,
    /// System flags.
    pub flags: Flags,
    /// Keywords by name; unknown ones are added unless the mode is `Remove`.
    pub keywords: Vec<String>,
    /// Pass over messages changed after this (RFC 7162).
    pub unchanged_since: Option<ModSeq>,
}

/// What a store brought.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stored {
    /// Highest modification sequence of the mailbox afterwards.
    pub highest_modseq: u64,
    /// UIDs passed over because of `unchanged_since`.
    pub modified: Vec<Uid>,
}

/// Whether the messages stay where they were.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyMode {
    /// COPY
    Copy,
    /// MOVE: the originals are gone in the same transaction, without a trace to recover.
    Move,
}

/// Copies or moves messages, all or none; bodies stay where they lie. UIDs that are gone are passed over. Flags and keywords go along.
/// COPY adds to the used quota. Outcome: `Copied`.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Whose; both mailboxes are.
    pub account: AccountId,
    /// From where.
    pub from: MailboxId,
    /// Which, rising.
    pub uids: Vec<Uid>,
    /// To where (may be the same).
    pub to: MailboxId,
    /// Stay or go.
    pub mode: CopyMode,
    /// Now.
    pub now: Timestamp,
}

/// What a copy brought: `from[n]` became `to[n]`, both rising.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Copied {
    /// Of the mailbox copied to; 0 never comes.
    pub uid_validity: u32,
    /// UIDs copied.
    pub from: Vec<Uid>,
    /// Their new UIDs.
    pub to: Vec<Uid>,
}

/// Which messages go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ExpungeWhich {
    /// All with `\Deleted`.
    Deleted,
    /// Those with `\Deleted` among these, rising.
    DeletedAmong(Vec<Uid>),
    /// These, whatever their flags (POP3), rising.
    Exactly(Vec<Uid>),
}

/// Expunges messages; they stay recoverable (I10) and no longer count against the quota. Outcome: `Expunged`.
#[derive(Clone, Debug)]
pub struct Expunge {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub mailbox: MailboxId,
    /// Which.
    pub which: ExpungeWhich,
    /// Now.
    pub now: Timestamp,
}

/// What an expunge brought.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExpungedUids {
    /// The UIDs that went, rising.
    pub uids: Vec<Uid>,
    /// Highest modification sequence of the mailbox afterwards.
    pub highest_modseq: u64,
}

/// Notes that POP3 has retrieved messages; of those that it has retrieved before nothing changes. UIDs that are gone are passed over, and no
/// session sees a change. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct Retrieved {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub mailbox: MailboxId,
    /// Which, in any order.
    pub uids: Vec<Uid>,
    /// Now.
    pub now: Timestamp,
}

/// Brings expunged messages back, all or none, as new messages with the flags and keywords they had but `\Deleted`; a keyword for which the
/// mailbox has no room is lost. UIDs that cannot be brought back are passed over, so that twice is once. Bodies stay where they lie. Adds to the
/// used quota. Outcome: `Copied`.
#[derive(Clone, Debug)]
pub struct Restore {
    /// Whose.
    pub account: AccountId,
    /// From where they were expunged; the mailbox may be gone.
    pub from: MailboxId,
    /// Which, rising.
    pub uids: Vec<Uid>,
    /// To where.
    pub to: MailboxId,
    /// Now.
    pub now: Timestamp,
}

/// Gives up what was expunged before a time: bodies that no row names any longer become doomed. From then on nothing
/// can name them again. Doomed bodies of earlier rounds come again until they are forgotten, but none before all others had their turn.
/// Outcome: `Doomed`.
#[derive(Clone, Debug)]
pub struct Reap {
    /// Expunged before this.
    pub before: Timestamp,
    /// At most this many rows are given up, and at most this many bodies come.
    pub limit: u32,
}

/// A body that the store may delete.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Doomed {
    /// Its row.
    pub id: BlobId,
    /// Its place in the store.
    pub key: crate::blob::BlobKey,
}

/// Removes the rows of doomed bodies that the store has deleted. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct Forget {
    /// Their rows.
    pub blobs: Vec<BlobId>,
}
