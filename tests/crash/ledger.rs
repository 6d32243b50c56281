//! What the server was asked and what it answered, in the clients' hand.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use crate::letter::Letter;
use crate::shelf::Shelf;

/// Who gets mail.
pub const ACCOUNTS: [&str; 2] = ["ada@crash.test", "bob@crash.test"];

/// An account, by its place in [`ACCOUNTS`].
pub type Account = usize;

/// Which messages of INBOX are whose: by the remainder of their UID, so that two clients never want one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Share {
    /// These stay for ever; they are marked and copied.
    Stays,
    /// Expunged over IMAP.
    Gardener,
    /// Moved into another mailbox.
    Mover,
    /// Deleted over POP3.
    Postman,
}

const SHARES: u32 = 4;

/// What is known, and what has to be.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Book>);

/// The pages of a ledger.
#[derive(Debug, Default)]
pub struct Book {
    /// What was sent, and for whom.
    sent: HashSet<(Account, Letter)>,
    /// What was answered with yes, in the order of the answers, with the UID where it was told.
    answered: Vec<(Account, Letter, Option<u32>)>,
    /// Expunges asked for, and those answered with yes.
    doomed: HashSet<(Account, u32)>,
    expunged: HashSet<(Account, u32)>,
    /// What was read of each INBOX.
    pub mailboxes: [Mailbox; ACCOUNTS.len()],
    /// Everything beside INBOX.
    pub shelf: Shelf,
}

/// A mailbox as it was last read.
#[derive(Debug, Default)]
pub struct Mailbox {
    pub validity: Option<u32>,
    /// Above all UIDs that were ever seen or told.
    next: u32,
    /// What each UID names; those that are gone stay.
    names: BTreeMap<u32, Letter>,
    /// Those that are there.
    there: Vec<u32>,
    /// The highest that was read to the last octet.
    pub read: u32,
}

/// What a session sees of a mailbox now.
#[derive(Debug)]
pub struct Seen {
    pub validity: u32,
    pub next: u32,
    /// All UIDs, in order.
    pub uids: Vec<u32>,
    /// Messages above the last one read.
    pub messages: Vec<(u32, Letter)>,
    /// Flags and octets of all.
    pub flags: Vec<(u32, u8, u64)>,
}

impl Ledger {
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0
            .lock()
            .expect("nobody panics with the ledger in the hand")
    }

    /// Notes what is about to be sent.
    pub fn send(&self, account: Account, letter: Letter) {
        self.book().sent.insert((account, letter));
    }

    /// Notes a yes.
    pub fn yes(&self, account: Account, letter: Letter, uid: Option<u32>) {
        self.book().answered.push((account, letter, uid));
    }

    /// How often yes was said.
    pub fn answered(&self) -> usize {
        self.book().answered.len()
    }

    /// Chooses a message of INBOX, as it was at the beginning of the round; its letter.
    pub fn choose(&self, account: Account, share: Share, choice: u64) -> Option<(u32, Letter)> {
        let book = self.book();
        let mailbox = &book.mailboxes[account];
        let there: Vec<u32> = mailbox
            .there
            .iter()
            .copied()
            .filter(|uid| uid % SHARES == share as u32 && !book.doomed.contains(&(account, *uid)))
            .collect();
        let uid = *there.get(choice as usize % there.len().max(1))?;
        Some((uid, *mailbox.names.get(&uid)?))
    }

    /// Chooses one that may be gone from now on.
    pub fn doom(&self, account: Account, share: Share, choice: u64) -> Option<(u32, Letter)> {
        let (uid, letter) = self.choose(account, share, choice)?;
        self.dooms(account, uid);
        Some((uid, letter))
    }

    /// Notes that this one may be gone from now on.
    pub fn dooms(&self, account: Account, uid: u32) {
        self.book().doomed.insert((account, uid));
    }

    /// Notes that an expunge was answered with yes.
    pub fn expunged(&self, account: Account, uid: u32) {
        self.book().expunged.insert((account, uid));
    }

    /// Above which UID a mailbox has not been read.
    pub fn read_up_to(&self, account: Account) -> u32 {
        self.book().mailboxes[account].read
    }

    /// Everything is to be read again.
    pub fn forget_what_was_read(&self) {
        let mut book = self.book();
        let book = &mut *book;
        book.mailboxes.iter_mut().for_each(|it| it.read = 0);
        book.shelf.forget_what_was_read();
    }

    /// Holds what a session sees against what was answered.
    pub fn compare(&self, account: Account, seen: &Seen) -> Result<(), String> {
        let name = ACCOUNTS[account];
        let mut book = self.book();
        let book = &mut *book;
        let mailbox = &mut book.mailboxes[account];
        let told: Vec<_> = book.answered.iter().filter(|it| it.0 == account).collect();
        mailbox
            .check_uids(seen)
            .map_err(|why| format!("{name}: {why}"))?;
        let highest = told.iter().filter_map(|it| it.2).max().unwrap_or(0);
        if seen.next <= highest {
            return Err(format!(
                "{name}: UIDNEXT {} after UID {highest} was told",
                seen.next
            ));
        }
        let mut places: HashMap<Letter, Vec<u32>> = HashMap::new();
        for uid in &seen.uids {
            let letter = mailbox
                .names
                .get(uid)
                .ok_or_else(|| format!("{name}: UID {uid} was not fetched"))?;
            places.entry(*letter).or_default().push(*uid);
        }
        for (letter, uids) in &places {
            if !book.sent.contains(&(account, *letter)) {
                return Err(format!("{name}: {letter} was never sent there"));
            }
            if uids.len() > 1 {
                return Err(format!("{name}: {letter} is there as {uids:?}"));
            }
            if book.expunged.contains(&(account, uids[0])) {
                return Err(format!(
                    "{name}: {letter}, UID {}, came back after its expunge",
                    uids[0]
                ));
            }
        }
        let given: HashMap<Letter, u32> = mailbox
            .names
            .iter()
            .map(|(uid, letter)| (*letter, *uid))
            .collect();
        let mut last_of_writer: HashMap<(u64, u64), u32> = HashMap::new();
        for (_, letter, told) in told {
            let uid = given
                .get(letter)
                .copied()
                .ok_or_else(|| format!("{name}: {letter} was answered with yes and is lost"))?;
            if told.is_some_and(|it| it != uid) {
                return Err(format!(
                    "{name}: {letter} is UID {uid} and was told to be {told:?}"
                ));
            }
            if !places.contains_key(letter) && !book.doomed.contains(&(account, uid)) {
                return Err(format!(
                    "{name}: {letter}, UID {uid}, is gone and nobody expunged it"
                ));
            }
            let last = last_of_writer.insert((letter.round, letter.writer), uid);
            if last.is_some_and(|last| last >= uid) {
                return Err(format!(
                    "{name}: {letter} has UID {uid} after {last:?} for an earlier one"
                ));
            }
        }
        Ok(())
    }

    /// For the last line.
    pub fn summary(&self) -> String {
        let book = self.book();
        let there: usize = book.mailboxes.iter().map(|it| it.there.len()).sum();
        format!(
            "{} sent, {} answered with yes, {there} there, {} expunged, {}",
            book.sent.len(),
            book.answered.len(),
            book.expunged.len(),
            book.shelf.summary()
        )
    }
}

impl Mailbox {
    /// Those that are there, and what they are.
    pub fn there(&self) -> impl Iterator<Item = (u32, Letter)> + '_ {
        let name = |uid: &u32| Some((*uid, *self.names.get(uid)?));
        self.there.iter().filter_map(name)
    }

    /// Why a UID has no letter: it was not fetched.
    pub fn all_named(&self) -> Result<(), String> {
        match self.there.iter().find(|uid| !self.names.contains_key(uid)) {
            Some(uid) => Err(format!("UID {uid} was not fetched")),
            None => Ok(()),
        }
    }

    /// UIDs only rise, and name one message for ever.
    pub fn check_uids(&mut self, seen: &Seen) -> Result<(), String> {
        let validity = *self.validity.get_or_insert(seen.validity);
        if validity != seen.validity {
            return Err(format!(
                "UIDVALIDITY was {validity} and is {}",
                seen.validity
            ));
        }
        if seen.next < self.next {
            return Err(format!("UIDNEXT was {} and is {}", self.next, seen.next));
        }
        let rising = seen.uids.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || seen.uids.last().is_some_and(|last| *last >= seen.next) {
            return Err(format!("UIDNEXT {} and UIDs {:?}", seen.next, seen.uids));
        }
        for (uid, letter) in &seen.messages {
            match self.names.get(uid) {
                Some(before) if before != letter => {
                    return Err(format!("UID {uid} was {before} and is {letter}"));
                }
                None if *uid < self.next => {
                    return Err(format!(
                        "{letter} is new as UID {uid}, and UIDNEXT had been {}",
                        self.next
                    ));
                }
                _ => {
                    self.names.insert(*uid, *letter);
                    self.read = self.read.max(*uid);
                }
            }
        }
        self.next = seen.next;
        self.there = seen.uids.clone();
        Ok(())
    }
}
