//! What appends need to know, as it is after those before them.

use std::collections::{BTreeSet, HashMap};

use super::rows::{self, NewMessage};
use crate::{
    Error,
    index::{
        Append, Appended, Flags, ModSeq, Uid, UidValidity, check,
        postgres::{
            Conn,
            fault::{Fault, number},
            mailbox::{self, Shift},
        },
    },
};

/// An account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) quota: Option<u64>,
    pub(super) used: u64,
    pub(super) touched: bool,
}

/// A mailbox that can be selected.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    pub(super) account: i64,
    pub(super) uid_validity: u32,
    pub(super) uid_next: u32,
    pub(super) highest_modseq: u64,
    pub(super) shift: Shift,
    pub(super) touched: bool,
    /// By number. Read only where an append has keywords.
    pub(super) keywords: Vec<String>,
    /// How many of them the table has.
    pub(super) keywords_kept: usize,
}

/// A body that the index knows.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) account: i64,
    pub(super) size: i64,
    pub(super) sha256: Vec<u8>,
    pub(super) birth_mailbox: i64,
    pub(super) birth_uid: i64,
    pub(super) birth_modseq: i64,
    pub(super) doomed: bool,
}

/// All of it, and what is to be written.
#[derive(Debug, Default)]
pub(super) struct Ledger<'a> {
    pub(super) state: State,
    /// First message of a body in a mailbox that is not where it was born: UID and modification sequence.
    pub(super) places: HashMap<(i64, i64), (i64, i64)>,
    pub(super) messages: Vec<NewMessage<'a>>,
}

/// What a refused set of appends takes back.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) accounts: HashMap<i64, Account>,
    pub(super) mailboxes: HashMap<i64, Mailbox>,
    pub(super) known: HashMap<String, Known>,
}

/// A point to go back to.
#[derive(Debug)]
pub(super) struct Mark {
    state: State,
    messages: usize,
}

impl<'a> Ledger<'a> {
    /// Reads what these appends need.
    pub(super) fn read(conn: &mut Conn, appends: &[&Append]) -> Result<Ledger<'a>, Fault> {
        let mut wanted = rows::Wanted::default();
        let mut keys = BTreeSet::new();
        for append in appends {
            wanted.accounts.push(append.account.0);
            wanted.mailboxes.push(append.mailbox.0);
            wanted.keywords |= !append.keywords.is_empty();
            keys.insert(append.blob.key.as_str());
        }
        wanted.accounts.sort_unstable();
        wanted.accounts.dedup();
        wanted.mailboxes.sort_unstable();
        wanted.mailboxes.dedup();
        wanted.keys = keys.into_iter().map(str::to_owned).collect();
        rows::read(conn, &wanted)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            state: self.state.clone(),
            messages: self.messages.len(),
        }
    }

    pub(super) fn back_to(&mut self, mark: Mark) {
        self.state = mark.state;
        self.messages.truncate(mark.messages);
    }

    /// Appends one, or leaves everything as it was.
    pub(super) fn append(&mut self, change: &'a Append) -> Result<Appended, Error> {
        let (id, key) = (change.mailbox.0, change.blob.key.as_str());
        let state = &self.state;
        let account = state.accounts.get(&change.account.0);
        let account = *account.ok_or(Error::NotFound("account"))?;
        let mailbox = state.mailboxes.get(&id);
        let mailbox = mailbox.filter(|it| it.account == change.account.0);
        let mailbox = mailbox.ok_or(Error::NotFound("mailbox"))?;
        let size = check::octets(change.blob.size)?;
        let known = state.known.get(key);
        if let Some(known) = known {
            known.fits(change, size)?;
            if let Some((uid, modseq)) = self.place(known, id) {
                return appended(mailbox.uid_validity, uid, modseq);
            }
        }
        let used = check::room_for(account.used, change.blob.size, account.quota)?;
        let uid = mailbox.uid_next;
        let uid_next = check::uid_after(uid, 1)?;
        let modseq = mailbox::modseq_after(mailbox.highest_modseq)?;
        let mut keywords = mailbox.keywords.clone();
        let bits = check::keywords(&mut keywords, &change.keywords, check::Unknown::Add)?;
        let flags = (change.flags.0 & Flags::SYSTEM.0) | bits.0;
        let line_size = match change.blob.line_size {
            same if same == change.blob.size => None,
            other => Some(check::octets(other)?),
        };
        let (blob, new) = match known {
            Some(known) => (known.id, false),
            // It gets its number when it is written; until then it has one that no row has.
            None => (-1 - self.messages.len() as i64, true),
        };
        if new {
            let born = Known {
                id: blob,
                account: change.account.0,
                size,
                sha256: change.blob.sha256.to_vec(),
                birth_mailbox: id,
                birth_uid: uid.into(),
                birth_modseq: modseq,
                doomed: false,
            };
            self.state.known.insert(key.to_owned(), born);
        }
        self.messages.push(NewMessage {
            change,
            uid: uid.into(),
            modseq,
            flags: flags as i64,
            size,
            blob,
            body: new.then_some(line_size),
        });
        if let Some(account) = self.state.accounts.get_mut(&change.account.0) {
            account.used = used;
            account.touched = true;
        }
        if let Some(mailbox) = self.state.mailboxes.get_mut(&id) {
            mailbox.uid_next = uid_next;
            mailbox.highest_modseq = number(modseq, "MODSEQ")?;
            mailbox.shift.count(flags, size, 1);
            mailbox.keywords = keywords;
            mailbox.touched = true;
            return appended(mailbox.uid_validity, uid.into(), modseq);
        }
        Err(Error::NotFound("mailbox"))
    }

    /// What the first append of a body to a mailbox brought, wherever the message went since.
    fn place(&self, known: &Known, mailbox: i64) -> Option<(i64, i64)> {
        if known.birth_mailbox == mailbox {
            return Some((known.birth_uid, known.birth_modseq));
        }
        let mut now = self.messages.iter();
        let now = now.find(|it| it.blob == known.id && it.change.mailbox.0 == mailbox);
        let before = self.places.get(&(known.id, mailbox)).copied();
        before.or_else(|| now.map(|it| (it.uid, it.modseq)))
    }

    /// Lets what was appended go ahead of the next statement.
    pub(super) fn write(self, conn: &mut Conn) -> Result<(), Fault> {
        rows::write(conn, self);
        Ok(())
    }
}

impl Known {
    /// Another account's body, or other octets, never come under a key (I6); a doomed one never comes back (I2).
    fn fits(&self, change: &Append, size: i64) -> Result<(), Error> {
        let same = self.account == change.account.0
            && self.size == size
            && self.sha256 == change.blob.sha256;
        match (same, self.doomed) {
            (false, _) => Err(Error::Exists("blob")),
            (true, true) => Err(Error::NotFound("blob")),
            (true, false) => Ok(()),
        }
    }
}

fn appended(uid_validity: u32, uid: i64, modseq: i64) -> Result<Appended, Error> {
    Ok(Appended {
        uid_validity: UidValidity(uid_validity),
        uid: Uid(number(uid, "UID")?),
        modseq: ModSeq(number(modseq, "MODSEQ")?),
    })
}
