//! Reads both sides of a copy and compares them: counts, and for every message, also one that was deleted, its numbers, flags, dates, size, key and digest.

use std::collections::BTreeMap;

use postrider_storage::Error;
use postrider_storage::index::{Account, BlobRef, Index, Mailbox, Message, ModSeq, Timestamp, Uid};

use super::{Copy, CopyError, CopyReport};

/// UIDs that are asked for at a time.
const PAGE: usize = 1000;

impl Copy {
    pub(super) async fn verify(
        &self,
        since: Timestamp,
        report: &mut CopyReport,
    ) -> Result<(), CopyError> {
        let (from, to) = (self.from.index.as_ref(), self.to.index.as_ref());
        let domains = async |index: &dyn Index| -> Result<Vec<_>, Error> {
            let all = index.domains().await?.into_iter();
            let own = all.map(|it| (it.name, it.auth, it.ldap_base_dn, it.active));
            Ok(own.collect())
        };
        let (ours, theirs) = (domains(from).await?, domains(to).await?);
        same("domains", &ours, &theirs)?;
        report.domains = ours.len() as u64;
        let (ours, theirs) = (from.aliases(None).await?, to.aliases(None).await?);
        same("aliases", &ours, &theirs)?;
        report.aliases = ours.len() as u64;
        let (ours, theirs) = (from.accounts(None).await?, to.accounts(None).await?);
        let emails = |of: &[Account]| of.iter().map(|it| it.email.clone()).collect::<Vec<_>>();
        same("accounts", &emails(&ours), &emails(&theirs))?;
        report.accounts = ours.len() as u64;
        for (one, other) in ours.iter().zip(&theirs) {
            self.account_is_same(one, other, report).await?;
            self.deleted_is_same(one, other, since, report).await?;
        }
        Ok(())
    }

    async fn account_is_same(
        &self,
        one: &Account,
        other: &Account,
        report: &mut CopyReport,
    ) -> Result<(), CopyError> {
        let (from, to) = (self.from.index.as_ref(), self.to.index.as_ref());
        let email = &one.email;
        same(email, &settings(one), &settings(other))?;
        let subscriptions = (
            from.subscriptions(one.id).await?,
            to.subscriptions(other.id).await?,
        );
        same(email, &subscriptions.0, &subscriptions.1)?;
        let entries = (
            from.directory_entry_of(one.id).await?,
            to.directory_entry_of(other.id).await?,
        );
        let id = |it: Option<postrider_storage::index::DirectoryEntry>| {
            it.map(|it| {
                (
                    it.source,
                    it.stable_id,
                    it.display_name,
                    it.department,
                    it.disabled,
                )
            })
        };
        same(email, &id(entries.0), &id(entries.1))?;
        let (ours, theirs) = (from.mailboxes(one.id).await?, to.mailboxes(other.id).await?);
        let numbers = |of: &[Mailbox]| of.iter().map(numbers).collect::<Vec<_>>();
        same(email, &numbers(&ours), &numbers(&theirs))?;
        for (one, other) in ours.iter().zip(&theirs).filter(|(it, _)| it.selectable) {
            let what = format!("{email} {}", one.name);
            let (ours, theirs) = (messages(from, one).await?, messages(to, other).await?);
            if ours.len() != theirs.len() {
                same(&what, &ours.len(), &theirs.len())?;
            }
            for (uid, message) in &ours {
                same(&format!("{what} {uid}"), &Some(message), &theirs.get(uid))?;
            }
            report.messages += ours.len() as u64;
        }
        report.mailboxes += ours.len() as u64;
        Ok(())
    }
}

/// What an account is, but for its rows.
fn settings(of: &Account) -> impl PartialEq + std::fmt::Debug {
    (
        // Not to be printed where they differ.
        of.password.as_deref().map(|it| {
            use sha2::{Digest, Sha256};
            <[u8; 32]>::from(Sha256::digest(it))
        }),
        (of.quota, of.used, of.auth, of.active, of.domain_active),
        (of.pop3_retention, of.last_login, of.created),
    )
}

fn numbers(of: &Mailbox) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        (of.name.clone(), of.selectable, of.special_use),
        (
            of.uid_validity,
            of.uid_next,
            of.highest_modseq,
            of.first_recent,
        ),
        (of.messages, of.unseen, of.deleted, of.size, of.created),
    )
}

/// A message in all that is to be the same.
#[derive(Debug, Eq, PartialEq)]
struct Same {
    message: (ModSeq, u64, u64, Timestamp, Timestamp),
    keywords: Vec<String>,
    body: Option<(String, u64, [u8; 32])>,
    retrieved: Option<Timestamp>,
    unique_id: Option<String>,
}

async fn messages(index: &dyn Index, mailbox: &Mailbox) -> Result<BTreeMap<Uid, Same>, Error> {
    let all = index.changes(mailbox.id, ModSeq(0)).await?;
    let own = |it: &Message| {
        let names = all.keywords.iter().enumerate();
        let own = names.filter(|(number, _)| it.flags.0 >> (5 + number) & 1 == 1);
        Same {
            message: (
                it.modseq,
                it.flags.0,
                it.size,
                it.internal_date,
                it.save_date,
            ),
            keywords: own.map(|(_, name)| name.clone()).collect(),
            body: None,
            retrieved: None,
            unique_id: None,
        }
    };
    let mut same: BTreeMap<Uid, Same> = all.changed.iter().map(|it| (it.uid, own(it))).collect();
    let uids: Vec<Uid> = same.keys().copied().collect();
    for page in uids.chunks(PAGE) {
        for (
            uid,
            BlobRef {
                key, size, sha256, ..
            },
        ) in index.blobs(mailbox.id, page).await?
        {
            if let Some(it) = same.get_mut(&uid) {
                it.body = Some((key.to_string(), size, sha256));
            }
        }
    }
    for (uid, at) in index.retrieved(mailbox.id).await? {
        if let Some(it) = same.get_mut(&uid) {
            it.retrieved = Some(at);
        }
    }
    for (uid, unique_id) in index.unique_ids(mailbox.id).await? {
        if let Some(it) = same.get_mut(&uid) {
            it.unique_id = Some(unique_id);
        }
    }
    Ok(same)
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    one: &T,
    other: &T,
) -> Result<(), CopyError> {
    match one == other {
        true => Ok(()),
        false => {
            tracing::debug!(what, ?one, ?other, "the copy differs");
            Err(CopyError::Differs(what.to_owned()))
        }
    }
}
