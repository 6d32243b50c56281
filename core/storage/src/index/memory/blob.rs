//! How bodies end.

use std::{collections::BTreeSet, ops::RangeInclusive};

use super::{Body, Gone, State};
use crate::{
    Error,
    blob::BlobKey,
    index::{
        AccountId, BlobId, BlobRef, Doomed, Forget, KnownBody, MailboxId, Outcome, Reap, Uid, Usage,
    },
};

impl Body {
    /// Where it lies.
    pub(super) fn as_ref(&self, id: BlobId) -> BlobRef {
        BlobRef {
            id,
            key: self.new.key.clone(),
            size: self.new.size,
            sha256: self.new.sha256,
        }
    }
}

impl State {
    /// What went from a mailbox, by UID.
    pub(super) fn log(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> impl Iterator<Item = (Uid, &Gone)> {
        let all: RangeInclusive<_> = (account, mailbox, Uid(0))..=(account, mailbox, Uid(u32::MAX));
        self.expunged
            .range(all)
            .map(|((_, _, uid), gone)| (*uid, gone))
    }

    /// What is known of a body.
    pub(super) fn known_body(&self, key: &BlobKey) -> Option<KnownBody> {
        let id = *self.keys.get(key)?;
        let body = self.blobs.get(&id)?;
        Some(KnownBody {
            body: body.as_ref(id),
            doomed: body.doomed.is_some(),
        })
    }

    /// What counts as used, and what the messages have.
    pub(super) fn usage(&self, id: AccountId) -> Option<Usage> {
        let account = &self.accounts.get(&id)?.account;
        let own = self
            .mailboxes
            .values()
            .filter(|it| it.mailbox.account == id);
        Some(Usage {
            used: account.used,
            sum: own
                .flat_map(|it| it.messages.values())
                .map(|it| it.size)
                .sum(),
        })
    }

    pub(super) fn reap(&mut self, change: Reap) -> Result<Outcome, Error> {
        self.last.reap += 1;
        let round = self.last.reap;
        let old = self.expunged.iter().filter(|(_, it)| it.at < change.before);
        let mut old: Vec<_> = old.map(|(key, it)| (it.at, *key)).collect();
        old.sort_unstable();
        old.truncate(change.limit as usize);
        let mut released = BTreeSet::new();
        for (_, key) in old {
            let Some(gone) = self.expunged.remove(&key) else {
                continue;
            };
            if let Some(folder) = self.mailboxes.get_mut(&key.1) {
                folder.floor = folder.floor.max(gone.modseq);
            }
            if gone.recoverable {
                released.insert(gone.blob);
            }
        }
        self.forget_gone(change.before);
        for id in released {
            let held = self.held(id);
            if let Some(body) = self.blobs.get_mut(&id).filter(|_| !held) {
                body.doomed.get_or_insert(2 * round);
            }
        }
        let doomed = self
            .blobs
            .iter()
            .filter_map(|(id, it)| Some((it.doomed?, *id)));
        let mut line: Vec<(i64, BlobId)> = doomed.collect();
        line.sort_unstable();
        line.truncate(change.limit as usize);
        let mut offered = Vec::new();
        for (_, id) in line {
            if let Some(body) = self.blobs.get_mut(&id) {
                body.doomed = Some(2 * round + 1);
                let key = body.new.key.clone();
                offered.push(Doomed { id, key });
            }
        }
        Ok(Outcome::Doomed(offered))
    }

    /// Whether a message, or one that can be brought back, names a body.
    fn held(&self, id: BlobId) -> bool {
        let mut messages = self.mailboxes.values().flat_map(|it| it.messages.values());
        let mut expunged = self.expunged.values();
        messages.any(|it| it.blob == id) || expunged.any(|it| it.blob == id && it.recoverable)
    }

    pub(super) fn forget(&mut self, change: Forget) -> Result<Outcome, Error> {
        for id in change.blobs {
            if self.blobs.get(&id).is_some_and(|it| it.doomed.is_some())
                && let Some(body) = self.blobs.remove(&id)
            {
                self.keys.remove(&body.new.key);
            }
        }
        Ok(Outcome::Done)
    }
}
