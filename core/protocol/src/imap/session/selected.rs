//! What a session knows of its selected mailbox, and which messages a set names in it.

use super::ImapSession;
use crate::imap::ask::{Access, Recent};
use crate::imap::command::Refusal;
use crate::imap::syntax::sequence::SequenceSet;
use crate::imap::types::{SeqNum, Uid};
use crate::imap::view::View;

/// What the client switched on by ENABLE, or by using it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::imap) struct Enabled {
    /// `IMAP4rev2`: UTF-8 names and strings, ESEARCH instead of SEARCH, no `\Recent`.
    pub rev2: bool,
}

/// The selected mailbox.
#[derive(Debug)]
pub(in crate::imap) struct Selected {
    pub access: Access,
    pub view: View,
    /// Ranges of UIDs that are `\Recent` for this session, rising.
    pub recent: Vec<std::ops::Range<u32>>,
    /// What `$` stands for (SEARCHRES, RFC 5182), rising.
    pub saved: Vec<Uid>,
}

impl ImapSession {
    /// The selected mailbox.
    pub(in crate::imap) fn selected(&mut self) -> Result<&mut Selected, Refusal> {
        self.selected.as_mut().ok_or(Refusal::Bug)
    }

    /// What becomes of `\Recent` in the selected mailbox.
    pub(in crate::imap) fn recent(&self) -> Recent {
        match &self.selected {
            Some(selected) => self.recent_of(selected.access),
            None => Recent::Leave,
        }
    }

    /// What becomes of `\Recent` in a mailbox that is selected so: rev2 does not know it, and who only looks at a mailbox
    /// sees it but leaves it to the next session (RFC 3501 section 6.3.2).
    pub(in crate::imap) fn recent_of(&self, access: Access) -> Recent {
        match access {
            _ if self.enabled.rev2 => Recent::Leave,
            Access::ReadWrite => Recent::Claim,
            Access::ReadOnly => Recent::See,
        }
    }

    /// The messages that a set names, by UID, rising. A sequence number beyond the last message is an error; a UID that names
    /// nothing is not (RFC 9051 section 6.4.9).
    pub(in crate::imap) fn named(&mut self, set: &SequenceSet) -> Result<Vec<Uid>, Refusal> {
        let by_uid = self.by_uid();
        let selected = self.selected()?;
        let messages = selected.view.messages();
        let SequenceSet::Listed(listed) = set else {
            return Ok(selected.saved.clone());
        };
        let mut uids = Vec::new();
        if by_uid {
            for (first, last) in listed.resolve(messages.last_uid()).ranges() {
                let from = messages.iter_from(*first).map(|(_, entry)| entry.uid);
                uids.extend(from.take_while(|uid| uid <= last));
            }
            return Ok(uids);
        }
        if listed.largest_written() > messages.count() || messages.count() == 0 {
            return Err(Refusal::Bad("no message has this sequence number"));
        }
        for (first, last) in listed.resolve(SeqNum(messages.count())).ranges() {
            let Some(from) = messages.get(*first) else {
                continue;
            };
            let from = messages.iter_from(from.uid);
            uids.extend(
                from.take_while(|(seq, _)| seq <= last)
                    .map(|(_, entry)| entry.uid),
            );
        }
        Ok(uids)
    }

    /// Nothing changes in a mailbox that was EXAMINEd.
    pub(in crate::imap) fn needs_write(&mut self) -> Result<(), Refusal> {
        match self.selected()?.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(Refusal::No(None, "mailbox is selected read-only")),
        }
    }
}
