//! Messages: append, store, copy, expunge.

use std::collections::BTreeMap;

use super::{Body, Gone, State};
use crate::{
    Error,
    index::{
        AccountId, Append, AppendAll, Appended, BlobId, ClaimRecent, Copied, Copy, CopyMode,
        Expunge, ExpungeWhich, ExpungedUids, Flags, MailboxId, Message, Outcome, Store, StoreMode,
        Stored, Timestamp, Uid, check,
    },
};

impl State {
    pub(super) fn claim_recent(&mut self, change: ClaimRecent) -> Result<Outcome, Error> {
        let mailbox = &mut self.folder(change.mailbox)?.mailbox;
        let first = mailbox.first_recent;
        mailbox.first_recent = mailbox.uid_next;
        Ok(Outcome::Recent(first))
    }

    pub(super) fn append_all(&mut self, change: AppendAll) -> Result<Outcome, Error> {
        let before = self.clone();
        let appended = change
            .appends
            .into_iter()
            .map(|it| self.append(it))
            .collect();
        match appended {
            Ok(appended) => Ok(Outcome::AllAppended(appended)),
            Err(error) => {
                *self = before;
                Err(error)
            }
        }
    }

    pub(super) fn append(&mut self, change: Append) -> Result<Appended, Error> {
        let account = self.owner(change.account)?.account.clone();
        let mailbox = self.owned(change.account, change.mailbox)?.mailbox.clone();
        check::octets(change.blob.size)?;
        let known = self.known(&change)?;
        if let Some(blob) = known
            && let Some((uid, modseq)) = self.repeated(blob, change.mailbox)
        {
            return Ok(Appended {
                uid_validity: mailbox.uid_validity,
                uid,
                modseq,
            });
        }
        let used = check::room_for(account.used, change.blob.size, account.quota)?;
        let uid = mailbox.uid_next;
        let uid_next = check::uid_after(uid.0, 1)?;
        let folder = self.owned(change.account, change.mailbox)?;
        let mut keywords = folder.keywords.clone();
        let bits = check::keywords(&mut keywords, &change.keywords, check::Unknown::Add)?;

        folder.keywords = keywords;
        let modseq = folder.next_modseq();
        let size = change.blob.size;
        let blob = known.unwrap_or(BlobId(self.last.blob + 1));
        if known.is_none() {
            self.last.blob += 1;
            self.keys.insert(change.blob.key.clone(), blob);
            let body = Body {
                account: change.account,
                new: change.blob,
                birth: (change.mailbox, uid, modseq),
                doomed: None,
            };
            self.blobs.insert(blob, body);
        }
        let folder = self.owned(change.account, change.mailbox)?;
        let message = Message {
            uid,
            modseq,
            flags: Flags((change.flags.0 & Flags::SYSTEM.0) | bits.0),
            size,
            internal_date: change.internal_date,
            save_date: change.now,
            blob,
        };
        folder.messages.insert(uid, message);
        folder.mailbox.uid_next = Uid(uid_next);
        folder.count();
        self.owner(change.account)?.account.used = used;
        Ok(Appended {
            uid_validity: mailbox.uid_validity,
            uid,
            modseq,
        })
    }

    /// The body of this key, if there is one that may be named.
    fn known(&self, change: &Append) -> Result<Option<BlobId>, Error> {
        let Some(id) = self.keys.get(&change.blob.key) else {
            return Ok(None);
        };
        let Some(body) = self.blobs.get(id) else {
            return Ok(None);
        };
        let same = body.account == change.account
            && body.new.size == change.blob.size
            && body.new.sha256 == change.blob.sha256;
        match body.doomed {
            _ if !same => Err(Error::Exists("blob")),
            Some(_) => Err(Error::NotFound("blob")),
            None => Ok(Some(*id)),
        }
    }

    /// What the first append of a body to a mailbox brought.
    fn repeated(&self, blob: BlobId, to: MailboxId) -> Option<(Uid, crate::index::ModSeq)> {
        let (mailbox, uid, modseq) = self.blobs.get(&blob)?.birth;
        if mailbox == to {
            return Some((uid, modseq));
        }
        let mut there = self.mailboxes.get(&to)?.messages.values();
        there
            .find(|it| it.blob == blob)
            .map(|it| (it.uid, it.modseq))
    }

    pub(super) fn store(&mut self, change: Store) -> Result<Outcome, Error> {
        let unknown = match change.mode {
            StoreMode::Remove => check::Unknown::PassOver,
            StoreMode::Add | StoreMode::Replace => check::Unknown::Add,
        };
        let folder = self.folder(change.mailbox)?;
        let mut keywords = folder.keywords.clone();
        let bits = check::keywords(&mut keywords, &change.keywords, unknown)?;

        folder.keywords = keywords;
        let bits = (change.flags.0 & Flags::SYSTEM.0) | bits.0;
        let mut modified = Vec::new();
        let mut changed = Vec::new();
        for message in folder.messages.values() {
            if !change.uids.contains(&message.uid) {
                continue;
            }
            if change.unchanged_since.is_some_and(|it| message.modseq > it) {
                modified.push(message.uid);
                continue;
            }
            let flags = match change.mode {
                StoreMode::Replace => bits,
                StoreMode::Add => message.flags.0 | bits,
                StoreMode::Remove => message.flags.0 & !bits,
            };
            if flags != message.flags.0 {
                changed.push((message.uid, Flags(flags)));
            }
        }
        if !changed.is_empty() {
            let modseq = folder.next_modseq();
            for (uid, flags) in changed {
                if let Some(message) = folder.messages.get_mut(&uid) {
                    message.flags = flags;
                    message.modseq = modseq;
                }
            }
            folder.count();
        }
        Ok(Outcome::Stored(Stored {
            highest_modseq: folder.mailbox.highest_modseq.0,
            modified,
        }))
    }

    pub(super) fn copy(&mut self, change: Copy) -> Result<Outcome, Error> {
        let account = self.owner(change.account)?.account.clone();
        let from = self.owned(change.account, change.from)?;
        let present = from
            .messages
            .values()
            .filter(|it| change.uids.contains(&it.uid));
        let (uids, sizes): (Vec<Uid>, Vec<u64>) = present.map(|it| (it.uid, it.size)).unzip();
        self.owned(change.account, change.to)?;
        let used = match change.mode {
            CopyMode::Copy => check::room_for(account.used, sizes.iter().sum(), account.quota)?,
            CopyMode::Move => account.used,
        };
        let copied = self.transfer(
            change.account,
            change.from,
            change.to,
            &uids,
            change.mode,
            change.now,
        )?;
        self.owner(change.account)?.account.used = used;
        Ok(Outcome::Copied(copied))
    }

    /// Copies or moves messages that are there; the quota is the caller's matter.
    pub(super) fn transfer(
        &mut self,
        account: AccountId,
        from: MailboxId,
        to: MailboxId,
        uids: &[Uid],
        mode: CopyMode,
        now: Timestamp,
    ) -> Result<Copied, Error> {
        let source = self.owned(account, from)?;
        let names = source.keywords.clone();
        let messages: Vec<Message> = uids
            .iter()
            .filter_map(|uid| source.messages.get(uid).copied())
            .collect();
        let target = self.owned(account, to)?;
        let uid_validity = target.mailbox.uid_validity.0;
        if messages.is_empty() {
            return Ok(Copied {
                uid_validity,
                ..Copied::default()
            });
        }
        let uid_next = check::uid_after(target.mailbox.uid_next.0, messages.len())?;
        // Where each keyword in use has its bit in the other mailbox.
        let mut keywords = target.keywords.clone();
        let mut there: BTreeMap<u64, u64> = BTreeMap::new();
        for (number, name) in names.into_iter().enumerate() {
            let bit = check::keyword_bit(number);
            if messages.iter().any(|it| it.flags.0 & bit != 0) {
                let flags = check::keywords(&mut keywords, &[name], check::Unknown::Add)?;
                there.insert(bit, flags.0);
            }
        }

        target.keywords = keywords;
        let modseq = target.next_modseq();
        let mut new = Vec::new();
        for message in &messages {
            let uid = target.mailbox.uid_next;
            target.mailbox.uid_next = Uid(uid.0 + 1);
            let moved = there.iter().filter(|(bit, _)| message.flags.0 & **bit != 0);
            let keywords = moved.fold(0, |all, (_, bit)| all | bit);
            let copy = Message {
                uid,
                modseq,
                flags: Flags((message.flags.0 & Flags::SYSTEM.0) | keywords),
                save_date: now,
                ..*message
            };
            target.messages.insert(uid, copy);
            new.push(uid);
        }
        debug_assert_eq!(target.mailbox.uid_next.0, uid_next);
        target.count();
        if mode == CopyMode::Move {
            self.take(from, uids, false, now);
        }
        Ok(Copied {
            uid_validity,
            from: uids.to_vec(),
            to: new,
        })
    }

    pub(super) fn expunge(&mut self, change: Expunge) -> Result<Outcome, Error> {
        let folder = self.owned(change.account, change.mailbox)?;
        let gone = folder.messages.values().filter(|it| {
            let deleted = it.flags.contains(Flags::DELETED);
            match &change.which {
                ExpungeWhich::Deleted => deleted,
                ExpungeWhich::DeletedAmong(uids) => deleted && uids.contains(&it.uid),
                ExpungeWhich::Exactly(uids) => uids.contains(&it.uid),
            }
        });
        let uids: Vec<Uid> = gone.map(|it| it.uid).collect();
        self.take(change.mailbox, &uids, true, change.now);
        let folder = self.owned(change.account, change.mailbox)?;
        Ok(Outcome::Expunged(ExpungedUids {
            uids,
            highest_modseq: folder.mailbox.highest_modseq.0,
        }))
    }

    /// Takes all messages out of a mailbox; they can be brought back.
    pub(super) fn take_all(&mut self, id: MailboxId, now: Timestamp) {
        let all = self.mailboxes.get(&id).map(|it| it.messages.keys());
        let all: Vec<Uid> = all.into_iter().flatten().copied().collect();
        self.take(id, &all, true, now);
    }

    /// Takes messages that are there out of a mailbox.
    fn take(&mut self, id: MailboxId, uids: &[Uid], recoverable: bool, now: Timestamp) {
        let Some(folder) = self.mailboxes.get_mut(&id).filter(|_| !uids.is_empty()) else {
            return;
        };
        let account = folder.mailbox.account;
        let modseq = folder.next_modseq().0;
        let mut freed = 0;
        for uid in uids {
            if let Some(message) = folder.messages.remove(uid) {
                freed += message.size;
                let gone = Gone {
                    modseq,
                    recoverable,
                    flags: Flags(message.flags.0 & Flags::SYSTEM.0),
                    keywords: message.flags.0 & !Flags::SYSTEM.0,
                    size: message.size,
                    internal_date: message.internal_date,
                    at: now,
                    blob: message.blob,
                };
                self.expunged.insert((account, id, *uid), gone);
            }
        }
        folder.count();
        if recoverable && let Some(owner) = self.accounts.get_mut(&account) {
            owner.account.used -= freed;
        }
    }
}
