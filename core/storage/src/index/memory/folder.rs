//! A mailbox with its messages: what changed in it, its counters, its next modification sequence.

use super::Folder;
use crate::index::{Flags, MailboxChanges, ModSeq, Uid};

impl Folder {
    pub(super) fn changes(
        &self,
        since: ModSeq,
        log: impl Iterator<Item = (Uid, u64)>,
    ) -> MailboxChanges {
        let changed = self.messages.values().filter(|it| it.modseq > since);
        let expunged = match since.0 {
            0 => Vec::new(),
            since if since >= self.floor => log
                .filter(|(_, modseq)| *modseq > since)
                .map(|(uid, _)| uid)
                .collect(),
            _ => (1..self.mailbox.uid_next.0)
                .map(Uid)
                .filter(|uid| !self.messages.contains_key(uid))
                .collect(),
        };
        MailboxChanges {
            uid_validity: self.mailbox.uid_validity,
            highest_modseq: self.mailbox.highest_modseq.0,
            uid_next: self.mailbox.uid_next.0,
            changed: changed.copied().collect(),
            expunged,
            keywords: self.keywords.clone(),
        }
    }

    /// Sets the counters to what the messages say.
    pub(super) fn count(&mut self) {
        let all = || self.messages.values();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        self.mailbox.messages = number(all().count());
        self.mailbox.unseen = number(all().filter(|it| !it.flags.contains(Flags::SEEN)).count());
        self.mailbox.deleted = number(all().filter(|it| it.flags.contains(Flags::DELETED)).count());
        self.mailbox.size = all().map(|it| it.size).sum();
    }

    /// The next modification sequence, given.
    pub(super) fn next_modseq(&mut self) -> ModSeq {
        self.mailbox.highest_modseq.0 += 1;
        self.mailbox.highest_modseq
    }
}
