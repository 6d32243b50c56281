//! What every [`Index`] must do, as a suite that each back end runs in its own tests.
//!
//! A failed check panics and names itself.

#![allow(clippy::missing_panics_doc)]

mod accounts;
mod blobs;
mod copies;
mod directory;
mod domains;
mod flags;
mod mailboxes;
mod maildrops;
mod messages;
mod placed_expunged;
pub(crate) mod places;
mod races;
pub mod random;
mod retention;
mod summaries;
mod undelete;

use std::sync::Arc;

use super::{
    Account, AccountId, AddAccounts, AddDomain, Append, Appended, AuthType, Change, Copied, Copy,
    CopyMode, CreateMailbox, DeleteMailbox, Expunge, ExpungeWhich, ExpungedUids, Flags, INBOX,
    Index, Mailbox, MailboxId, NewAccount, NewBlob, Outcome, RenameMailbox, Store, StoreMode,
    Stored, Timestamp, Uid,
};
use crate::{Error, blob::BlobKey};

/// The time of the suite.
pub const NOW: Timestamp = Timestamp(1_700_000_000_123_456);

/// Runs the whole suite; each call of `fresh` makes an empty index.
pub async fn all<F>(fresh: F)
where
    F: AsyncFn() -> Arc<dyn Index>,
{
    domains::all(&fresh).await;
    accounts::all(&fresh).await;
    directory::all(&fresh).await;
    mailboxes::all(&fresh).await;
    messages::all(&fresh).await;
    flags::all(&fresh).await;
    copies::all(&fresh).await;
    summaries::all(&fresh).await;
    blobs::all(&fresh).await;
    retention::all(&fresh).await;
    maildrops::all(&fresh).await;
    places::all(&fresh).await;
    placed_expunged::all(&fresh).await;
    undelete::all(&fresh).await;
    races::all(&fresh).await;
}

/// An account to try things on.
#[derive(Clone)]
pub struct Home {
    /// The index it is in.
    pub index: Arc<dyn Index>,
    /// The account.
    pub account: AccountId,
    /// Its INBOX.
    pub inbox: MailboxId,
}

/// Some time after [`NOW`], in microseconds.
pub fn later(micros: i64) -> Timestamp {
    Timestamp(NOW.0 + micros)
}

/// Applies one change.
///
/// # Errors
/// Those of the change.
pub async fn one(index: &dyn Index, change: Change) -> Result<Outcome, Error> {
    let mut answers = index.apply(vec![change]).await;
    assert_eq!(answers.len(), 1, "one answer for one change");
    answers.remove(0)
}

/// The change that adds a domain.
pub fn add_domain(name: &str) -> Change {
    Change::AddDomain(AddDomain {
        name: name.to_owned(),
        auth: AuthType::Local,
        ldap_base_dn: None,
        now: NOW,
    })
}

/// The change that adds an account.
pub fn add_account(email: &str, quota: Option<u64>) -> Change {
    Change::AddAccounts(AddAccounts {
        accounts: vec![NewAccount {
            email: email.to_owned(),
            password: Some("{PLAIN}secret".to_owned()),
            quota,
            auth: AuthType::Local,
        }],
        now: NOW,
    })
}

/// A body; its octets follow from its name, so that the same name always means the same body.
pub fn body(name: &str, size: u64) -> NewBlob {
    let mut sha256 = [0; 32];
    for (at, octet) in name.bytes().enumerate() {
        sha256[at % 32] ^= octet;
    }
    NewBlob {
        key: BlobKey::parse(&format!("example.test/ada/Maildir/cur/{name}"))
            .expect("the suite's names are plain"),
        size,
        line_size: size,
        sha256,
        summary: format!("summary of {name}").into_bytes(),
    }
}

impl Home {
    /// Adds a domain and `ada@example.test` to an empty index.
    pub async fn new(index: Arc<dyn Index>, quota: Option<u64>) -> Home {
        one(&*index, add_domain("example.test"))
            .await
            .expect("a first domain");
        Home::add(index, "ada@example.test", quota).await
    }

    /// Adds an account to a domain that is there.
    pub async fn add(index: Arc<dyn Index>, email: &str, quota: Option<u64>) -> Home {
        let outcome = one(&*index, add_account(email, quota)).await;
        let Ok(Outcome::Accounts(ids)) = outcome else {
            panic!("adding {email} brought {outcome:?}");
        };
        let account = ids[0];
        let inbox = index.mailbox(account, INBOX).await.expect("reads work");
        let inbox = inbox.expect("every account has INBOX").id;
        Home {
            index,
            account,
            inbox,
        }
    }

    /// Applies one change.
    ///
    /// # Errors
    /// Those of the change.
    pub async fn one(&self, change: Change) -> Result<Outcome, Error> {
        one(&*self.index, change).await
    }

    /// The change that appends a body.
    pub fn append_of(&self, mailbox: MailboxId, blob: NewBlob) -> Append {
        Append {
            account: self.account,
            mailbox,
            blob,
            flags: Flags::default(),
            keywords: Vec::new(),
            internal_date: Timestamp(NOW.0 - 5),
            now: NOW,
        }
    }

    /// Appends a body.
    ///
    /// # Errors
    /// Those of [`Append`].
    pub async fn append(
        &self,
        mailbox: MailboxId,
        name: &str,
        size: u64,
    ) -> Result<Appended, Error> {
        let append = self.append_of(mailbox, body(name, size));
        match self.one(Change::Append(append)).await? {
            Outcome::Appended(appended) => Ok(appended),
            other => panic!("an append brought {other:?}"),
        }
    }

    /// Appends `count` bodies of 10 octets, named after `name`.
    pub async fn fill(&self, mailbox: MailboxId, name: &str, count: u32) -> Vec<Uid> {
        let appends = (0..count)
            .map(|nth| Change::Append(self.append_of(mailbox, body(&format!("{name}.{nth}"), 10))));
        let answers = self.index.apply(appends.collect()).await;
        let uid = |answer| match answer {
            Ok(Outcome::Appended(appended)) => appended.uid,
            other => panic!("an append brought {other:?}"),
        };
        answers.into_iter().map(uid).collect()
    }

    /// Creates a mailbox.
    ///
    /// # Errors
    /// Those of [`CreateMailbox`].
    pub async fn create(&self, name: &str) -> Result<MailboxId, Error> {
        let create = Change::CreateMailbox(CreateMailbox {
            account: self.account,
            name: name.to_owned(),
            special_use: None,
            now: NOW,
        });
        match self.one(create).await? {
            Outcome::Mailbox(id) => Ok(id),
            other => panic!("a create brought {other:?}"),
        }
    }

    /// Deletes a mailbox.
    ///
    /// # Errors
    /// Those of [`DeleteMailbox`].
    pub async fn delete(&self, name: &str) -> Result<Outcome, Error> {
        let (account, name, now) = (self.account, name.to_owned(), NOW);
        self.one(Change::DeleteMailbox(DeleteMailbox { account, name, now }))
            .await
    }

    /// Renames a mailbox.
    ///
    /// # Errors
    /// Those of [`RenameMailbox`].
    pub async fn rename(&self, from: &str, to: &str) -> Result<MailboxId, Error> {
        let rename = Change::RenameMailbox(RenameMailbox {
            account: self.account,
            from: from.to_owned(),
            to: to.to_owned(),
            now: NOW,
        });
        match self.one(rename).await? {
            Outcome::Mailbox(id) => Ok(id),
            other => panic!("a rename brought {other:?}"),
        }
    }

    /// Stores flags and keywords.
    ///
    /// # Errors
    /// Those of [`Store`].
    pub async fn store(
        &self,
        mailbox: MailboxId,
        uids: &[Uid],
        mode: StoreMode,
        flags: Flags,
        keywords: &[&str],
    ) -> Result<Stored, Error> {
        let store = Change::Store(Store {
            mailbox,
            uids: uids.to_vec(),
            mode,
            flags,
            keywords: keywords.iter().map(|it| (*it).to_owned()).collect(),
            unchanged_since: None,
        });
        match self.one(store).await? {
            Outcome::Stored(stored) => Ok(stored),
            other => panic!("a store brought {other:?}"),
        }
    }

    /// Copies or moves.
    ///
    /// # Errors
    /// Those of [`Copy`].
    pub async fn copy(
        &self,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        mode: CopyMode,
    ) -> Result<Copied, Error> {
        let copy = Change::Copy(Copy {
            account: self.account,
            from,
            uids: uids.to_vec(),
            to,
            mode,
            now: NOW,
        });
        match self.one(copy).await? {
            Outcome::Copied(copied) => Ok(copied),
            other => panic!("a copy brought {other:?}"),
        }
    }

    /// Expunges.
    ///
    /// # Errors
    /// Those of [`Expunge`].
    pub async fn expunge(
        &self,
        mailbox: MailboxId,
        which: ExpungeWhich,
        now: Timestamp,
    ) -> Result<ExpungedUids, Error> {
        let expunge = Change::Expunge(Expunge {
            account: self.account,
            mailbox,
            which,
            now,
        });
        match self.one(expunge).await? {
            Outcome::Expunged(gone) => Ok(gone),
            other => panic!("an expunge brought {other:?}"),
        }
    }

    /// The account as it is now.
    pub async fn account(&self) -> Account {
        let found = self.index.account_by_id(self.account).await;
        found.expect("reads work").expect("the account is there")
    }

    /// A mailbox as it is now.
    pub async fn mailbox(&self, id: MailboxId) -> Mailbox {
        let found = self.index.mailbox_by_id(id).await;
        found.expect("reads work").expect("the mailbox is there")
    }

    /// Names of all mailboxes.
    pub async fn names(&self) -> Vec<String> {
        let all = self
            .index
            .mailboxes(self.account)
            .await
            .expect("reads work");
        all.into_iter().map(|it| it.name).collect()
    }

    /// UIDVALIDITY of all mailboxes, by their names.
    pub async fn validities(&self) -> Vec<u32> {
        let all = self.index.mailboxes(self.account).await;
        let all = all.expect("reads work");
        all.iter().map(|it| it.uid_validity.0).collect()
    }

    /// Summaries of messages of a mailbox, page by page.
    pub async fn summaries(&self, mailbox: MailboxId, uids: &[Uid]) -> Vec<(Uid, Vec<u8>)> {
        let mut found = Vec::new();
        let mut left = uids;
        while !left.is_empty() {
            let page = self.index.summaries(mailbox, left).await;
            let page = page.expect("reads work");
            found.extend(page.found);
            let before = left.len();
            left = match page.next {
                Some(next) => &left[left.partition_point(|uid| *uid < next)..],
                None => &[],
            };
            assert!(left.len() < before, "a page goes on");
        }
        found
    }

    /// UIDs of a mailbox.
    pub async fn uids(&self, mailbox: MailboxId) -> Vec<Uid> {
        let all = self.index.changes(mailbox, super::ModSeq(0)).await;
        let all = all.expect("reads work").changed;
        all.into_iter().map(|it| it.uid).collect()
    }

    /// Checks what always holds: counters fit the messages (I4), UIDs and modification sequences stay below what the mailbox tells (I3).
    pub async fn check(&self) {
        let mut used = 0;
        for mailbox in self
            .index
            .mailboxes(self.account)
            .await
            .expect("reads work")
        {
            if !mailbox.selectable {
                assert_eq!((mailbox.messages, mailbox.size), (0, 0), "{mailbox:?}");
                continue;
            }
            let all = self.index.changes(mailbox.id, super::ModSeq(0)).await;
            let all = all.expect("reads work").changed;
            let count = |keep: &dyn Fn(Flags) -> bool| {
                u32::try_from(all.iter().filter(|it| keep(it.flags)).count())
                    .expect("a small count")
            };
            let size: u64 = all.iter().map(|it| it.size).sum();
            assert_eq!(
                mailbox.messages,
                count(&|_| true),
                "messages of {mailbox:?}"
            );
            assert_eq!(
                mailbox.unseen,
                count(&|it| !it.contains(Flags::SEEN)),
                "unseen of {mailbox:?}"
            );
            assert_eq!(
                mailbox.deleted,
                count(&|it| it.contains(Flags::DELETED)),
                "deleted of {mailbox:?}"
            );
            assert_eq!(mailbox.size, size, "size of {mailbox:?}");
            assert!(
                all.is_sorted_by(|a, b| a.uid < b.uid),
                "UIDs of {mailbox:?}"
            );
            assert!(
                all.iter().all(|it| it.uid < mailbox.uid_next),
                "UIDNEXT of {mailbox:?}"
            );
            assert!(
                all.iter().all(|it| it.modseq <= mailbox.highest_modseq),
                "HIGHESTMODSEQ of {mailbox:?}"
            );
            used += size;
        }
        assert_eq!(self.account().await.used, used, "used quota");
    }
}
