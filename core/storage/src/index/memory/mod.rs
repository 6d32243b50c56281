//! The index in memory: plain maps behind one lock. The model that other back ends are measured by, and the index of tests.
//!
//! **Invariants.** A change checks everything before it touches anything, so that a refused one leaves no trace.

mod blob;
mod directory;
mod entry;
mod folder;
mod maildrop;
mod message;
mod name;
mod place;
mod place_expunged;
mod restore;
mod retention;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Account, AccountId, Alias, BlobId, BlobRef, Change, DirectoryEntry, Domain, DomainId, Expunged,
    Flags, Index, KnownBody, Mailbox, MailboxChanges, MailboxId, Message, ModSeq, NewBlob, Outcome,
    Overdue, Recoverable, Retention, SummaryPage, Timestamp, Uid, Usage, check,
};
use crate::{Error, blob::BlobKey};

/// The index in memory.
#[derive(Debug, Default)]
pub struct MemoryIndex {
    state: Mutex<State>,
    broken: Mutex<Option<Error>>,
    served: AtomicBool,
}

/// Everything that is kept.
#[derive(Clone, Debug, Default)]
struct State {
    generation: i64,
    last: Last,
    domains: BTreeMap<String, Domain>,
    accounts: BTreeMap<AccountId, Owner>,
    /// Source and destination, and whether it is active.
    aliases: BTreeMap<(String, String), bool>,
    /// The accounts whose entries brought aliases.
    brought: BTreeMap<(String, String), AccountId>,
    /// Without their aliases.
    entries: BTreeMap<AccountId, DirectoryEntry>,
    /// By name: who holds it, and until when.
    leases: BTreeMap<String, (String, Timestamp)>,
    subscriptions: BTreeSet<(AccountId, String)>,
    mailboxes: BTreeMap<MailboxId, Folder>,
    expunged: BTreeMap<(AccountId, MailboxId, Uid), Gone>,
    /// Mailboxes that are gone, and may come back for what was in them.
    gone: BTreeMap<MailboxId, GoneFolder>,
    /// When POP3 retrieved a message first.
    retrieved: BTreeMap<(MailboxId, Uid), Timestamp>,
    /// Unique-ids of POP3 that came from elsewhere.
    unique_ids: BTreeMap<(MailboxId, Uid), String>,
    blobs: BTreeMap<BlobId, Body>,
    keys: BTreeMap<BlobKey, BlobId>,
}

/// The highest numbers given so far.
#[derive(Clone, Debug, Default)]
struct Last {
    domain: i64,
    account: i64,
    mailbox: i64,
    blob: i64,
    reap: i64,
    /// Highest UIDVALIDITY of accounts that are gone.
    uid_validity: u32,
}

#[derive(Clone, Debug)]
struct Owner {
    /// Whether its domain is active stands with the domain alone.
    account: Account,
    last_uid_validity: u32,
}

#[derive(Clone, Debug)]
struct Folder {
    mailbox: Mailbox,
    keywords: Vec<String>,
    messages: BTreeMap<Uid, Message>,
    /// What vanished up to here is no longer in the log.
    floor: u64,
}

#[derive(Clone, Debug)]
struct Gone {
    modseq: u64,
    /// False for what moved: only the trace is kept.
    recoverable: bool,
    /// System flags.
    flags: Flags,
    /// By the numbers of its mailbox.
    keywords: u64,
    size: u64,
    internal_date: Timestamp,
    at: Timestamp,
    blob: BlobId,
}

#[derive(Clone, Debug)]
struct GoneFolder {
    account: AccountId,
    name: String,
    keywords: Vec<String>,
    at: Timestamp,
}

#[derive(Clone, Debug)]
struct Body {
    account: AccountId,
    new: NewBlob,
    /// What the first append answered.
    birth: (MailboxId, Uid, ModSeq),
    /// Place in the line of bodies that the store may delete.
    doomed: Option<i64>,
}

impl MemoryIndex {
    /// An empty index.
    pub fn new() -> MemoryIndex {
        MemoryIndex::default()
    }

    /// From now on every read and every change fails with this error; none: all is well again.
    pub fn break_with(&self, error: Option<Error>) {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, Error> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &*broken {
            return Err(error.clone());
        }
        // A change that panicked has checked before it touched, and the next one checks again.
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// The account of a change.
    fn owner(&mut self, id: AccountId) -> Result<&mut Owner, Error> {
        self.accounts.get_mut(&id).ok_or(Error::NotFound("account"))
    }

    /// A mailbox that holds messages.
    fn folder(&mut self, id: MailboxId) -> Result<&mut Folder, Error> {
        let found = self.mailboxes.get_mut(&id);
        found
            .filter(|it| it.mailbox.selectable)
            .ok_or(Error::NotFound("mailbox"))
    }

    /// As [`State::folder`], and the account's own (I6).
    fn owned(&mut self, account: AccountId, id: MailboxId) -> Result<&mut Folder, Error> {
        let folder = self.folder(id)?;
        if folder.mailbox.account != account {
            return Err(Error::NotFound("mailbox"));
        }
        Ok(folder)
    }

    /// The mailbox of this name.
    fn named(&self, account: AccountId, name: &str) -> Option<&Folder> {
        let mut all = self.mailboxes.values();
        all.find(|it| it.mailbox.account == account && it.mailbox.name == name)
    }

    /// The account as others see it.
    fn account(&self, owner: &Owner) -> Account {
        let mut account = owner.account.clone();
        let mut domains = self.domains.values();
        account.domain_active = domains.any(|it| it.id == account.domain && it.active);
        account
    }

    fn domain_id(&self, name: &str) -> Result<DomainId, Error> {
        let found = self.domains.get(name).map(|it| it.id);
        found.ok_or(Error::NotFound("domain"))
    }

    fn blob_ref(&self, id: BlobId) -> Option<BlobRef> {
        let body = self.blobs.get(&id).filter(|it| it.doomed.is_none())?;
        Some(body.as_ref(id))
    }

    fn apply(&mut self, change: Change) -> Result<Outcome, Error> {
        match change {
            Change::AddDomain(it) => self.add_domain(it),
            Change::SetDomainActive(it) => self.set_domain_active(it),
            Change::SetDomainAuth(it) => self.set_domain_auth(it),
            Change::RemoveDomain(it) => self.remove_domain(it),
            Change::AddAccounts(it) => self.add_accounts(it),
            Change::SetPassword(it) => self.set_password(it),
            Change::SetQuota(it) => self.set_quota(it),
            Change::SetRetention(it) => self.set_retention(it),
            Change::SetAccountActive(it) => self.set_account_active(it),
            Change::RemoveAccount(it) => self.remove_account(it),
            Change::TouchLogin(it) => self.touch_login(it),
            Change::AddAlias(it) => self.add_alias(it),
            Change::RemoveAlias(it) => self.remove_alias(it),
            Change::BindEntry(it) => self.bind_entry(it),
            Change::UnbindEntry(it) => self.unbind_entry(it),
            Change::RenameAccount(it) => self.rename_account(it),
            Change::SetEntryActive(it) => self.set_entry_active(it),
            Change::TakeLease(it) => self.take_lease(it),
            Change::HoldMaildrop(it) => self.hold_maildrop(it),
            Change::CreateMailbox(it) => self.create_mailbox(it),
            Change::DeleteMailbox(it) => self.delete_mailbox(it),
            Change::RenameMailbox(it) => self.rename_mailbox(it),
            Change::RenewUidValidities(it) => self.renew_uid_validities(it),
            Change::Subscribe(it) => self.subscribe(it),
            Change::ClaimRecent(it) => self.claim_recent(it),
            Change::Append(it) => self.append(it).map(Outcome::Appended),
            Change::AppendAll(it) => self.append_all(it),
            Change::Store(it) => self.store(it),
            Change::Copy(it) => self.copy(it),
            Change::Expunge(it) => self.expunge(it),
            Change::ExpungeMaildrop(it) => self.expunge_maildrop(it),
            Change::Retrieved(it) => self.retrieve(it),
            Change::Restore(it) => self.restore(it),
            Change::PlaceMailbox(it) => self.place_mailbox(it),
            Change::PlaceMessages(it) => self.place_messages(it),
            Change::PlaceExpunged(it) => self.place_expunged(it),
            Change::Reflag(it) => self.reflag(it),
            Change::Reap(it) => self.reap(it),
            Change::Forget(it) => self.forget(it),
        }
    }
}

#[async_trait::async_trait]
impl Index for MemoryIndex {
    async fn domain(&self, name: &str) -> Result<Option<Domain>, Error> {
        Ok(self.state()?.domains.get(name).cloned())
    }

    async fn domains(&self) -> Result<Vec<Domain>, Error> {
        Ok(self.state()?.domains.values().cloned().collect())
    }

    async fn account(&self, email: &str) -> Result<Option<Account>, Error> {
        let state = self.state()?;
        let found = state.accounts.values().find(|it| it.account.email == email);
        Ok(found.map(|it| state.account(it)))
    }

    async fn account_by_id(&self, id: AccountId) -> Result<Option<Account>, Error> {
        let state = self.state()?;
        Ok(state.accounts.get(&id).map(|it| state.account(it)))
    }

    async fn accounts(&self, domain: Option<&str>) -> Result<Vec<Account>, Error> {
        let state = self.state()?;
        let all = state.accounts.values().map(|it| state.account(it));
        let mut accounts: Vec<Account> = match domain {
            None => all.collect(),
            Some(domain) => match state.domain_id(domain) {
                Ok(id) => all.filter(|it| it.domain == id).collect(),
                Err(_) => Vec::new(),
            },
        };
        accounts.sort_by(|a, b| a.email.cmp(&b.email));
        Ok(accounts)
    }

    async fn destinations(&self, source: &str) -> Result<Vec<String>, Error> {
        let state = self.state()?;
        let active = state
            .aliases
            .iter()
            .filter(|((it, _), active)| it == source && **active);
        Ok(active.map(|((_, to), _)| to.clone()).collect())
    }

    async fn aliases(&self, domain: Option<&str>) -> Result<Vec<Alias>, Error> {
        let state = self.state()?;
        let all = state.aliases.iter().map(|((from, to), active)| Alias {
            source: from.clone(),
            destination: to.clone(),
            active: *active,
        });
        let wanted =
            all.filter(|it| domain.is_none() || check::alias_source(&it.source).ok() == domain);
        Ok(wanted.collect())
    }

    async fn directory_entry(
        &self,
        source: &str,
        stable_id: &str,
    ) -> Result<Option<DirectoryEntry>, Error> {
        let state = self.state()?;
        let mut all = state.entries.values();
        let found = all.find(|it| it.source == source && it.stable_id == stable_id);
        Ok(found.map(|it| state.entry(it)))
    }

    async fn directory_entry_of(
        &self,
        account: AccountId,
    ) -> Result<Option<DirectoryEntry>, Error> {
        let state = self.state()?;
        Ok(state.entries.get(&account).map(|it| state.entry(it)))
    }

    async fn directory_entries(&self, source: &str) -> Result<Vec<DirectoryEntry>, Error> {
        let state = self.state()?;
        let own = state.entries.values().filter(|it| it.source == source);
        Ok(own.map(|it| state.entry(it)).collect())
    }

    async fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>, Error> {
        let state = self.state()?;
        let all = state.mailboxes.values().map(|it| it.mailbox.clone());
        let mut mailboxes: Vec<Mailbox> = all.filter(|it| it.account == account).collect();
        mailboxes.sort_by_key(|it| (it.name != super::INBOX, it.name.clone()));
        Ok(mailboxes)
    }

    async fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<Mailbox>, Error> {
        let state = self.state()?;
        Ok(state.named(account, name).map(|it| it.mailbox.clone()))
    }

    async fn mailbox_by_id(&self, id: MailboxId) -> Result<Option<Mailbox>, Error> {
        let state = self.state()?;
        Ok(state.mailboxes.get(&id).map(|it| it.mailbox.clone()))
    }

    async fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, Error> {
        let state = self.state()?;
        let own = state.subscriptions.iter().filter(|(it, _)| *it == account);
        Ok(own.map(|(_, name)| name.clone()).collect())
    }

    async fn changes(&self, mailbox: MailboxId, since: ModSeq) -> Result<MailboxChanges, Error> {
        let mut state = self.state()?;
        let account = state.folder(mailbox)?.mailbox.account;
        let log = state.log(account, mailbox);
        let log: Vec<_> = log.map(|(uid, gone)| (uid, gone.modseq)).collect();
        Ok(state.folder(mailbox)?.changes(since, log.into_iter()))
    }

    async fn summaries(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<SummaryPage, Error> {
        let state = self.state()?;
        let Some(folder) = state.mailboxes.get(&mailbox) else {
            return Ok(SummaryPage::default());
        };
        let found = folder.messages.values().filter(|it| uids.contains(&it.uid));
        let summary = |it: &Message| Some((it.uid, state.blobs.get(&it.blob)?.new.summary.clone()));
        Ok(SummaryPage::of(found.filter_map(summary)))
    }

    async fn blobs(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<(Uid, BlobRef)>, Error> {
        let state = self.state()?;
        let Some(folder) = state.mailboxes.get(&mailbox) else {
            return Ok(Vec::new());
        };
        let present = folder.messages.values().map(|it| (it.uid, it.blob));
        let gone = state.log(folder.mailbox.account, mailbox);
        let all: BTreeMap<Uid, BlobId> = present
            .chain(gone.map(|(uid, it)| (uid, it.blob)))
            .collect();
        let wanted = all.into_iter().filter(|(uid, _)| uids.contains(uid));
        Ok(wanted
            .filter_map(|(uid, blob)| Some((uid, state.blob_ref(blob)?)))
            .collect())
    }

    async fn expunged(&self, mailbox: MailboxId) -> Result<Vec<Expunged>, Error> {
        let state = self.state()?;
        let Some(folder) = state.mailboxes.get(&mailbox) else {
            return Ok(Vec::new());
        };
        let log = state.log(folder.mailbox.account, mailbox);
        let recoverable = log.filter(|(_, it)| it.recoverable);
        let expunged = recoverable.map(|(uid, it)| Expunged {
            uid,
            size: it.size,
            internal_date: it.internal_date,
            expunged: it.at,
            blob: it.blob,
        });
        Ok(expunged.collect())
    }

    async fn recoverable(
        &self,
        account: AccountId,
        after: (MailboxId, Uid),
        limit: u32,
    ) -> Result<Vec<Recoverable>, Error> {
        Ok(self.state()?.recoverable(account, after, limit))
    }

    async fn recoverable_count(&self, account: AccountId, since: Timestamp) -> Result<u64, Error> {
        Ok(self.state()?.recoverable_count(account, since))
    }

    async fn line_sizes(&self, mailbox: MailboxId) -> Result<Vec<(Uid, u64)>, Error> {
        let state = self.state()?;
        let Some(folder) = state.mailboxes.get(&mailbox) else {
            return Ok(Vec::new());
        };
        let of = |it: &Message| Some((it.uid, state.blobs.get(&it.blob)?.new.line_size));
        let sizes = folder
            .messages
            .values()
            .filter_map(|it| Some((it.size, of(it)?)));
        let other = sizes.filter(|(size, (_, lines))| size != lines);
        Ok(other.map(|(_, sizes)| sizes).collect())
    }

    async fn unique_ids(&self, mailbox: MailboxId) -> Result<Vec<(Uid, String)>, Error> {
        Ok(self.state()?.noted(mailbox, |state| &state.unique_ids))
    }

    async fn retrieved(&self, mailbox: MailboxId) -> Result<Vec<(Uid, Timestamp)>, Error> {
        Ok(self.state()?.noted(mailbox, |state| &state.retrieved))
    }

    async fn overdue(
        &self,
        default: Retention,
        after: AccountId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Overdue>, Error> {
        Ok(self.state()?.overdue(default, after, now, limit))
    }

    async fn all_blobs(&self, after: BlobId, limit: u32) -> Result<Vec<BlobRef>, Error> {
        let state = self.state()?;
        let ids = state.blobs.keys().filter(|it| **it > after);
        let named = ids.filter_map(|it| state.blob_ref(*it));
        Ok(named.take(limit as usize).collect())
    }

    async fn known_bodies(&self, keys: &[BlobKey]) -> Result<Vec<KnownBody>, Error> {
        let state = self.state()?;
        Ok(keys.iter().filter_map(|it| state.known_body(it)).collect())
    }

    async fn usage(&self, account: AccountId) -> Result<Option<Usage>, Error> {
        Ok(self.state()?.usage(account))
    }

    async fn serve(&self) -> Result<(), Error> {
        self.served.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn is_served(&self) -> Result<bool, Error> {
        Ok(self.served.load(Ordering::SeqCst))
    }

    async fn generation(&self) -> Result<i64, Error> {
        Ok(self.state()?.generation)
    }

    async fn apply(&self, changes: Vec<Change>) -> Vec<Result<Outcome, Error>> {
        let mut state = match self.state() {
            Ok(state) => state,
            Err(error) => return vec![Err(error); changes.len()],
        };
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            let of_directory = check::of_directory(&change);
            let answer = state.apply(change);
            state.generation += i64::from(of_directory && answer.is_ok());
            answers.push(answer);
        }
        answers
    }

    async fn probe(&self) -> Result<(), Error> {
        self.state().map(|_| ())
    }
}
