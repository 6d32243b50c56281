//! Messages that were expunged elsewhere, and can be brought back here as they could be there.

use super::{Body, Gone, GoneFolder, State};
use crate::{
    Error,
    index::{
        BlobId, ExpungedFrom, Flags, MailboxId, Outcome, PlaceExpunged, PlacedExpunged, Uid, check,
    },
};

impl State {
    pub(super) fn place_expunged(&mut self, change: PlaceExpunged) -> Result<Outcome, Error> {
        check::placed_expunged(&change)?;
        self.owner(change.account)?;
        let before = self.clone();
        let placed = self.place_each_expunged(change);
        if placed.is_err() {
            *self = before;
        }
        placed.map(Outcome::Placed)
    }

    fn place_each_expunged(&mut self, change: PlaceExpunged) -> Result<Vec<Option<Uid>>, Error> {
        let mut id = match &change.from {
            ExpungedFrom::There(id) => {
                let mailbox = &self.owned(change.account, *id)?.mailbox;
                let mut all = change.messages.iter();
                all.try_for_each(|it| check::went_from(mailbox, it))?;
                Some(*id)
            }
            ExpungedFrom::Gone { name, deleted } => {
                let mut all = self.gone.iter();
                let same = all.find(|(_, it)| {
                    (it.account, &it.name, it.at) == (change.account, name, *deleted)
                });
                same.map(|(id, _)| *id)
            }
            ExpungedFrom::Unknown => None,
        };
        let mut placed = Vec::new();
        let here: Vec<bool> = change
            .messages
            .iter()
            .map(|it| self.is_here(&change, id, it))
            .collect();
        for (from, here) in change.messages.iter().zip(here) {
            if here {
                placed.push(None);
                continue;
            }
            let to = match id {
                Some(id) => id,
                None => *id.insert(self.gone_again(&change)),
            };
            self.place_one_expunged(&change, to, from)?;
            placed.push(Some(from.uid));
        }
        Ok(placed)
    }

    fn is_here(
        &self,
        change: &PlaceExpunged,
        id: Option<MailboxId>,
        from: &PlacedExpunged,
    ) -> bool {
        if let Some(id) = id {
            let folder = self.mailboxes.get(&id);
            return folder.is_some_and(|it| it.messages.contains_key(&from.uid))
                || self.expunged.contains_key(&(change.account, id, from.uid));
        }
        if change.from != ExpungedFrom::Unknown {
            return false;
        }
        let body = self.keys.get(&from.blob.key);
        let mut all = self.expunged.iter();
        all.any(|((account, mailbox, uid), it)| {
            let same = (*account, *uid, it.at, Some(&it.blob))
                == (change.account, from.uid, from.expunged, body);
            same && !self.mailboxes.contains_key(mailbox) && !self.gone.contains_key(mailbox)
        })
    }

    /// A mailbox that went elsewhere.
    fn gone_again(&mut self, change: &PlaceExpunged) -> MailboxId {
        self.last.mailbox += 1;
        let id = MailboxId(self.last.mailbox);
        if let ExpungedFrom::Gone { name, deleted } = &change.from {
            let gone = GoneFolder {
                account: change.account,
                name: name.clone(),
                keywords: Vec::new(),
                at: *deleted,
            };
            self.gone.insert(id, gone);
        }
        id
    }

    fn place_one_expunged(
        &mut self,
        change: &PlaceExpunged,
        id: MailboxId,
        from: &PlacedExpunged,
    ) -> Result<(), Error> {
        check::octets(from.blob.size)?;
        let known = self.keys.get(&from.blob.key).copied();
        match known.and_then(|it| self.blobs.get(&it)) {
            Some(it)
                if it.account != change.account
                    || it.new.size != from.blob.size
                    || it.new.sha256 != from.blob.sha256 =>
            {
                return Err(Error::Exists("blob"));
            }
            Some(it) if it.doomed.is_some() => return Err(Error::NotFound("blob")),
            _ => {}
        }
        let blob = known.unwrap_or(BlobId(self.last.blob + 1));
        if known.is_none() {
            self.last.blob += 1;
            self.keys.insert(from.blob.key.clone(), blob);
            let body = Body {
                account: change.account,
                new: from.blob.clone(),
                birth: (id, from.uid, from.modseq),
                doomed: None,
            };
            self.blobs.insert(blob, body);
        }
        let names = match (self.mailboxes.get_mut(&id), self.gone.get_mut(&id)) {
            (Some(folder), _) => Some(&mut folder.keywords),
            (None, Some(gone)) => Some(&mut gone.keywords),
            (None, None) => None,
        };
        let keywords = match names {
            Some(names) => check::keywords(names, &from.keywords, check::Unknown::Add)?,
            None => Flags(0),
        };
        let gone = Gone {
            modseq: from.modseq.0,
            recoverable: true,
            flags: Flags(from.flags.0 & Flags::SYSTEM.0),
            keywords: keywords.0,
            size: from.blob.size,
            internal_date: from.internal_date,
            at: from.expunged,
            blob,
        };
        self.expunged.insert((change.account, id, from.uid), gone);
        Ok(())
    }
}
