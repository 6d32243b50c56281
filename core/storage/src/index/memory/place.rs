//! Mail that comes from elsewhere with its numbers.

use std::collections::BTreeMap;

use super::{Body, State};
use crate::{
    Error,
    index::{
        BlobId, Flags, MailboxId, Message, ModSeq, Outcome, PlaceMailbox, PlaceMessages, Reflag,
        Stored, Uid, check,
    },
};

impl State {
    pub(super) fn place_mailbox(&mut self, change: PlaceMailbox) -> Result<Outcome, Error> {
        check::mailbox_name(&change.name)?;
        check::numbers(&change)?;
        self.owner(change.account)?;
        let before = self.clone();
        let placed = self.place_checked(&change);
        if placed.is_err() {
            *self = before;
        }
        placed
    }

    fn place_checked(&mut self, change: &PlaceMailbox) -> Result<Outcome, Error> {
        let same = self.named(change.account, &change.name);
        let same = same.map(|it| it.mailbox.clone());
        let (id, new) = match same {
            Some(it) => (
                it.id,
                check::placing(&it, change)? == check::Placing::Settle,
            ),
            None => {
                self.make_parents(change.account, &change.name, 1, change.created)?;
                let id = self.insert_mailbox(change.account, &change.name, None, change.created)?;
                (id, true)
            }
        };
        let mut others = self.mailboxes.values().map(|it| &it.mailbox);
        let taken = others.any(|it| {
            it.account == change.account && it.id != id && it.special_use == change.special_use
        });
        let Some(folder) = self.mailboxes.get_mut(&id) else {
            return Err(Error::NotFound("mailbox"));
        };
        check::keywords(&mut folder.keywords, &change.keywords, check::Unknown::Add)?;
        let mailbox = &mut folder.mailbox;
        mailbox.highest_modseq = mailbox.highest_modseq.max(change.highest_modseq);
        if !new {
            mailbox.uid_next = mailbox.uid_next.max(change.uid_next);
            mailbox.first_recent = mailbox.first_recent.max(change.first_recent);
            return Ok(Outcome::Mailbox(id));
        }
        folder.floor = mailbox.highest_modseq.0;
        mailbox.selectable = change.selectable;
        if change.special_use.is_some() && !taken {
            mailbox.special_use = change.special_use;
        }
        mailbox.uid_validity = change.uid_validity;
        mailbox.uid_next = change.uid_next;
        mailbox.first_recent = change.first_recent;
        mailbox.created = change.created;
        let owner = self.owner(change.account)?;
        owner.last_uid_validity = owner.last_uid_validity.max(change.uid_validity.0);
        Ok(Outcome::Mailbox(id))
    }

    pub(super) fn place_messages(&mut self, change: PlaceMessages) -> Result<Outcome, Error> {
        check::placed(&change)?;
        self.owner(change.account)?;
        self.owned(change.account, change.mailbox)?;
        let before = self.clone();
        let placed = self.place_each(change);
        if placed.is_err() {
            *self = before;
        }
        placed.map(Outcome::Placed)
    }

    fn place_each(&mut self, change: PlaceMessages) -> Result<Vec<Option<Uid>>, Error> {
        let folder = self.owned(change.account, change.mailbox)?;
        let next = ModSeq(folder.mailbox.highest_modseq.0 + 1);
        let mut placed = Vec::new();
        for from in change.messages {
            let known = self.keys.get(&from.blob.key).copied();
            let body = known.and_then(|it| self.blobs.get(&it));
            let born_here = body.is_some_and(|it| it.birth.0 == change.mailbox);
            let uid_next = self.owned(change.account, change.mailbox)?.mailbox.uid_next;
            if check::was_placed(change.repeat, &from, uid_next, born_here) {
                placed.push(None);
                continue;
            }
            let body = known.and_then(|it| self.blobs.get(&it));
            let same = body.is_none_or(|it| {
                it.account == change.account
                    && it.new.size == from.blob.size
                    && it.new.sha256 == from.blob.sha256
            });
            match body {
                Some(_) if !same => return Err(Error::Exists("blob")),
                Some(body) if body.doomed.is_some() => return Err(Error::NotFound("blob")),
                _ => {}
            }
            let uid = from.uid.map_or(uid_next, |uid| uid.max(uid_next));
            let modseq = from.modseq.unwrap_or(next);
            let size = from.blob.size;
            check::octets(size)?;
            let blob = known.unwrap_or(BlobId(self.last.blob + 1));
            if known.is_none() {
                self.last.blob += 1;
                self.keys.insert(from.blob.key.clone(), blob);
                let body = Body {
                    account: change.account,
                    new: from.blob,
                    birth: (change.mailbox, uid, modseq),
                    doomed: None,
                };
                self.blobs.insert(blob, body);
            }
            let folder = self.owned(change.account, change.mailbox)?;
            let bits = check::keywords(&mut folder.keywords, &from.keywords, check::Unknown::Add)?;
            let message = Message {
                uid,
                modseq,
                flags: Flags((from.flags.0 & Flags::SYSTEM.0) | bits.0),
                size,
                internal_date: from.internal_date,
                save_date: from.save_date,
                blob,
            };
            folder.messages.insert(uid, message);
            folder.mailbox.uid_next = Uid(check::uid_after(uid.0, 1)?);
            folder.mailbox.highest_modseq = folder.mailbox.highest_modseq.max(modseq);
            folder.count();
            self.owner(change.account)?.account.used += size;
            let place = (change.mailbox, uid);
            if let Some(at) = from.retrieved {
                self.retrieved.insert(place, at);
            }
            if let Some(unique_id) = from.unique_id {
                self.unique_ids.insert(place, unique_id);
            }
            placed.push(Some(uid));
        }
        Ok(placed)
    }

    pub(super) fn reflag(&mut self, change: Reflag) -> Result<Outcome, Error> {
        check::reflagged(&change)?;
        let folder = self.owned(change.account, change.mailbox)?;
        let mut names = folder.keywords.clone();
        let mut wanted = BTreeMap::new();
        for it in &change.messages {
            let bits = check::keywords(&mut names, &it.keywords, check::Unknown::Add)?;
            wanted.insert(it.uid, (it.flags.0 & Flags::SYSTEM.0) | bits.0);
        }
        folder.keywords = names;
        let there = folder.messages.values();
        let there: Vec<Message> = there
            .filter(|it| wanted.contains_key(&it.uid))
            .cloned()
            .collect();
        let (mut modified, mut changed) = (Vec::new(), Vec::new());
        for message in there {
            let body = self.blobs.get(&message.blob);
            let born = (change.mailbox, message.uid, message.modseq);
            let flags = wanted.get(&message.uid).copied().unwrap_or_default();
            match body.is_some_and(|it| it.birth == born) {
                false => modified.push(message.uid),
                true if flags != message.flags.0 => changed.push((message, flags)),
                true => {}
            }
        }
        let folder = self.owned(change.account, change.mailbox)?;
        if !changed.is_empty() {
            let modseq = folder.next_modseq();
            let mut bodies = Vec::new();
            for (message, flags) in changed {
                bodies.push(message.blob);
                if let Some(it) = folder.messages.get_mut(&message.uid) {
                    (it.flags, it.modseq) = (Flags(flags), modseq);
                }
            }
            folder.count();
            for id in bodies {
                if let Some(body) = self.blobs.get_mut(&id) {
                    body.birth.2 = modseq;
                }
            }
        }
        let highest_modseq = self
            .owned(change.account, change.mailbox)?
            .mailbox
            .highest_modseq
            .0;
        Ok(Outcome::Stored(Stored {
            highest_modseq,
            modified,
        }))
    }

    /// What is noted of the messages that a mailbox has.
    pub(super) fn noted<T: Clone>(
        &self,
        mailbox: MailboxId,
        of: impl Fn(&Self) -> &BTreeMap<(MailboxId, Uid), T>,
    ) -> Vec<(Uid, T)> {
        let Some(folder) = self.mailboxes.get(&mailbox) else {
            return Vec::new();
        };
        let all = of(self).range((mailbox, Uid(0))..=(mailbox, Uid(u32::MAX)));
        let here = all.filter(|((_, uid), _)| folder.messages.contains_key(uid));
        here.map(|((_, uid), it)| (*uid, it.clone())).collect()
    }
}
