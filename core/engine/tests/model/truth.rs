//! The model: two mailboxes as a list of messages each, and what each command makes of them.

use std::collections::BTreeMap;

use super::OTHER;
use super::session::Flags;

/// A message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    pub subject: String,
    pub flags: Flags,
}

/// A mailbox.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    pub last: u32,
    pub messages: BTreeMap<u32, Message>,
}

impl Mailbox {
    /// A new message; its UID.
    pub fn add(&mut self, message: Message) -> u32 {
        self.last += 1;
        self.messages.insert(self.last, message);
        self.last
    }

    pub fn uids(&self) -> Vec<u32> {
        self.messages.keys().copied().collect()
    }
}

/// What is true.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    inbox: Mailbox,
    other: Mailbox,
}

/// How STORE changes flags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    Replace,
    Add,
    Remove,
}

impl Mode {
    /// What becomes of a message's flags.
    pub fn change(self, now: &mut Flags, flags: &Flags) {
        match self {
            Self::Replace => *now = flags.clone(),
            Self::Add => now.extend(flags.iter().cloned()),
            Self::Remove => now.retain(|it| !flags.contains(it)),
        }
    }
}

impl Truth {
    pub fn mailbox(&mut self, name: &str) -> &mut Mailbox {
        match name == OTHER {
            true => &mut self.other,
            false => &mut self.inbox,
        }
    }

    /// STORE on those that are there.
    pub fn store(&mut self, mailbox: &str, uids: &[u32], mode: Mode, flags: &Flags) {
        for uid in uids {
            if let Some(message) = self.mailbox(mailbox).messages.get_mut(uid) {
                mode.change(&mut message.flags, flags);
            }
        }
    }

    /// COPY or MOVE of those that are there; old and new UIDs.
    pub fn carry(&mut self, from: &str, uids: &[u32], to: &str, moves: bool) -> Vec<(u32, u32)> {
        let mut carried = Vec::new();
        for uid in uids {
            let Some(message) = self.mailbox(from).messages.get(uid).cloned() else {
                continue;
            };
            if moves {
                self.mailbox(from).messages.remove(uid);
            }
            carried.push((*uid, self.mailbox(to).add(message)));
        }
        carried
    }

    /// EXPUNGE, of these or of all.
    pub fn expunge(&mut self, mailbox: &str, among: Option<&[u32]>) {
        let messages = &mut self.mailbox(mailbox).messages;
        messages.retain(|uid, message| {
            let wanted = among.is_none_or(|uids| uids.contains(uid));
            !(wanted && message.flags.contains("\\Deleted"))
        });
    }
}
