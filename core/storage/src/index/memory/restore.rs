//! Bringing expunged messages back.

use std::{collections::BTreeMap, ops::Bound};

use super::{GoneFolder, State};
use crate::{
    Error,
    index::{
        AccountId, Copied, Flags, MailboxId, Message, ModSeq, Outcome, Recoverable, Restore,
        Timestamp, Uid, check,
    },
};

impl State {
    /// Notes the name of a mailbox that is about to go.
    pub(super) fn note_gone(&mut self, id: MailboxId, at: Timestamp) {
        let folder = self.mailboxes.get(&id).filter(|it| it.mailbox.selectable);
        if let Some(folder) = folder {
            let gone = GoneFolder {
                account: folder.mailbox.account,
                name: folder.mailbox.name.clone(),
                keywords: folder.keywords.clone(),
                at,
            };
            self.gone.insert(id, gone);
        }
    }

    /// Forgets the names of mailboxes that went before a time and left nothing.
    pub(super) fn forget_gone(&mut self, before: Timestamp) {
        let left = |account, id| {
            let all = (account, id, Uid(0))..=(account, id, Uid(u32::MAX));
            self.expunged.range(all).next().is_some()
        };
        self.gone
            .retain(|id, it| it.at >= before || left(it.account, *id));
    }

    pub(super) fn recoverable(
        &self,
        account: AccountId,
        after: (MailboxId, Uid),
        limit: u32,
    ) -> Vec<Recoverable> {
        let from = Bound::Excluded((account, after.0, after.1));
        let to = Bound::Excluded((AccountId(account.0 + 1), MailboxId(0), Uid(0)));
        let own = self.expunged.range((from, to));
        let own = own.filter(|(_, it)| it.recoverable);
        let recoverable = own.filter_map(|((_, mailbox, uid), gone)| {
            let there = self.mailboxes.get(mailbox);
            let was = self.gone.get(mailbox);
            let keywords = there.map(|it| &it.keywords);
            let keywords = keywords.or(was.map(|it| &it.keywords));
            let name = there.map(|it| &it.mailbox.name);
            let body = self.blobs.get(&gone.blob)?;
            Some(Recoverable {
                mailbox: *mailbox,
                name: name.or(was.map(|it| &it.name)).cloned(),
                there: there.is_some(),
                deleted: was.map(|it| it.at),
                uid: *uid,
                modseq: ModSeq(gone.modseq),
                flags: gone.flags,
                keywords: check::keywords_in(gone.keywords, keywords.map_or(&[], Vec::as_slice)),
                size: gone.size,
                line_size: body.new.line_size,
                internal_date: gone.internal_date,
                expunged: gone.at,
                body: body.as_ref(gone.blob),
                summary: body.new.summary.clone(),
            })
        });
        recoverable.take(limit as usize).collect()
    }

    pub(super) fn recoverable_count(&self, account: AccountId, since: Timestamp) -> u64 {
        let all = self.expunged.iter();
        let own = all.filter(|((of, _, _), it)| *of == account && it.recoverable && it.at >= since);
        own.count() as u64
    }

    pub(super) fn restore(&mut self, change: Restore) -> Result<Outcome, Error> {
        let account = self.owner(change.account)?.account.clone();
        let to = self.owned(change.account, change.to)?;
        let mut copied = Copied {
            uid_validity: to.mailbox.uid_validity.0,
            ..Copied::default()
        };
        let uid_next = to.mailbox.uid_next.0;
        let log = self.log(change.account, change.from);
        let wanted = log.filter(|(uid, it)| it.recoverable && change.uids.contains(uid));
        let wanted: Vec<(Uid, u64, u64)> = wanted
            .map(|(uid, it)| (uid, it.size, it.keywords))
            .collect();
        if wanted.is_empty() {
            return Ok(Outcome::Copied(copied));
        }
        let sizes = wanted.iter().map(|(_, size, _)| size).sum();
        let used = check::room_for(account.used, sizes, account.quota)?;
        check::uid_after(uid_next, wanted.len())?;

        let any = wanted
            .iter()
            .fold(0, |all, (_, _, keywords)| all | keywords);
        let there = self.translated_keywords(&change, any)?;
        let modseq = self.owned(change.account, change.to)?.next_modseq();
        for (uid, _, _) in wanted {
            let Some(gone) = self.expunged.get_mut(&(change.account, change.from, uid)) else {
                continue;
            };
            gone.recoverable = false;
            let keywords = there.iter().filter(|(bit, _)| gone.keywords & **bit != 0);
            let keywords = keywords.fold(0, |all, (_, bit)| all | bit);
            let message = Message {
                uid: Uid(0),
                modseq,
                flags: Flags((gone.flags.0 & !Flags::DELETED.0) | keywords),
                size: gone.size,
                internal_date: gone.internal_date,
                save_date: change.now,
                blob: gone.blob,
            };
            let to = self.owned(change.account, change.to)?;
            let new = to.mailbox.uid_next;
            to.mailbox.uid_next = Uid(new.0 + 1);
            to.messages.insert(
                new,
                Message {
                    uid: new,
                    ..message
                },
            );
            copied.from.push(uid);
            copied.to.push(new);
        }
        self.owned(change.account, change.to)?.count();
        self.owner(change.account)?.account.used = used;
        Ok(Outcome::Copied(copied))
    }

    /// Where each keyword in use has its bit in the mailbox that messages come back to; those for which it has no room are left out.
    fn translated_keywords(
        &mut self,
        change: &Restore,
        any: u64,
    ) -> Result<BTreeMap<u64, u64>, Error> {
        let names = match (
            self.mailboxes.get(&change.from),
            self.gone.get(&change.from),
        ) {
            (Some(folder), _) => folder.keywords.clone(),
            (None, Some(gone)) => gone.keywords.clone(),
            (None, None) => Vec::new(),
        };
        let to = self.owned(change.account, change.to)?;
        let mut there = BTreeMap::new();
        for (number, name) in names.into_iter().enumerate() {
            let bit = check::keyword_bit(number);
            if any & bit == 0 {
                continue;
            }
            match check::keywords(&mut to.keywords, &[name], check::Unknown::Add) {
                Ok(flags) => drop(there.insert(bit, flags.0)),
                Err(Error::Limit { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(there)
    }
}
