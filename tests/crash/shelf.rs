//! What the ledger knows beside INBOX: copies, what was moved, flags, and mailboxes that come and go.
//!
//! **Invariants.** A copy that was answered with yes is there under the UID that was told, and no letter is there more often than it was
//! copied. A message whose move was asked for is in one of the two mailboxes, never in both and never in none. A flag that
//! was stored stays, and none appears that nobody stored. A mailbox is what the last yes made of it, or what the question after it asked for.

use std::collections::{BTreeMap, HashMap};

use crate::ledger::{ACCOUNTS, Account, Ledger, Mailbox, Seen};
use crate::letter::Letter;

/// Where copies go, and what is moved.
pub const SHELVES: [&str; 2] = ["Copies", "Moved"];
const COPIES: usize = 0;
const MOVED: usize = 1;

/// The flags that are stored, by their bit.
pub const FLAGS: [&str; 5] = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Marked"];

/// A message that was to be copied or moved.
#[derive(Clone, Copy, Debug)]
struct Carried {
    account: Account,
    /// In INBOX.
    uid: u32,
    letter: Letter,
    /// Its UID there, once it was told.
    told: Option<u32>,
}

/// A mailbox that comes and goes.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    pub account: Account,
    /// Its name, if it is there; and what was asked for and not answered.
    is: Option<String>,
    may: Option<Option<String>>,
    /// What was appended, and its UID once that was told.
    letter: Option<(Letter, Option<u32>)>,
    validity: Option<u32>,
}

/// The pages beside INBOX.
#[derive(Debug, Default)]
pub struct Shelf {
    carried: [Vec<Carried>; SHELVES.len()],
    /// Flags that were answered with yes, and those that were asked for.
    flags: HashMap<(Account, u32), (u8, u8)>,
    folders: BTreeMap<u64, Folder>,
    mailboxes: [[Mailbox; SHELVES.len()]; ACCOUNTS.len()],
}

impl Shelf {
    pub fn forget_what_was_read(&mut self) {
        let all = self.mailboxes.iter_mut().flatten();
        all.for_each(|it| it.read = 0);
    }

    pub fn summary(&self) -> String {
        let yes = |shelf: usize| self.carried[shelf].iter().filter(|it| it.told.is_some());
        format!(
            "{} copied, {} moved, {} marked, {} mailboxes made",
            yes(COPIES).count(),
            yes(MOVED).count(),
            self.flags.values().filter(|it| it.0 != 0).count(),
            self.folders.len()
        )
    }
}

impl Ledger {
    /// Notes that a message of INBOX is about to be copied or moved.
    pub fn carry(&self, shelf: usize, account: Account, (uid, letter): (u32, Letter)) {
        self.book().shelf.carried[shelf].push(Carried {
            account,
            uid,
            letter,
            told: None,
        });
    }

    /// Notes the yes to the last one.
    pub fn carried(&self, shelf: usize, account: Account, uid: u32, told: u32) {
        let mut book = self.book();
        let all = book.shelf.carried[shelf].iter_mut();
        let same = |it: &&mut Carried| (it.account, it.uid, it.told) == (account, uid, None);
        if let Some(last) = all.rev().find(same) {
            last.told = Some(told);
        }
    }

    /// Notes that a flag is about to be stored, or that it was.
    pub fn flag(&self, account: Account, uid: u32, bit: u8, answered: bool) {
        let mut book = self.book();
        let (yes, asked) = book.shelf.flags.entry((account, uid)).or_default();
        *asked |= bit;
        if answered {
            *yes |= bit;
        }
    }

    /// Notes what a mailbox is about to become: a name, or nothing.
    pub fn folder_may(&self, account: Account, id: u64, name: Option<String>) {
        let mut book = self.book();
        let folder = book.shelf.folders.entry(id).or_default();
        folder.account = account;
        folder.may = Some(name);
    }

    /// Notes the yes to that.
    pub fn folder_is(&self, id: u64) {
        if let Some(folder) = self.book().shelf.folders.get_mut(&id)
            && let Some(name) = folder.may.take()
        {
            folder.is = name;
        }
    }

    /// Notes what is about to be appended to a mailbox, or was.
    pub fn folder_holds(&self, id: u64, letter: Letter, told: Option<u32>) {
        if let Some(folder) = self.book().shelf.folders.get_mut(&id) {
            folder.letter = Some((letter, told));
        }
    }

    /// Above which UID a shelf has not been read.
    pub fn shelf_read_up_to(&self, account: Account, shelf: usize) -> u32 {
        self.book().shelf.mailboxes[account][shelf].read
    }

    /// Holds the flags of INBOX against what was stored.
    pub fn compare_flags(&self, account: Account, seen: &Seen) -> Result<(), String> {
        let book = self.book();
        for (uid, flags, _) in &seen.flags {
            let known = book.shelf.flags.get(&(account, *uid));
            let (yes, asked) = known.copied().unwrap_or_default();
            if yes & !flags != 0 || flags & !asked != 0 {
                return Err(format!(
                    "{}: UID {uid} has the flags {flags:05b}; stored were {yes:05b}, asked for {asked:05b}",
                    ACCOUNTS[account]
                ));
            }
        }
        Ok(())
    }

    /// Holds a shelf against what was carried there.
    pub fn compare_shelf(&self, account: Account, shelf: usize, seen: &Seen) -> Result<(), String> {
        let mut book = self.book();
        let book = &mut *book;
        let name = format!("{} {}", ACCOUNTS[account], SHELVES[shelf]);
        let mailbox = &mut book.shelf.mailboxes[account][shelf];
        mailbox
            .check_uids(seen)
            .map_err(|it| format!("{name}: {it}"))?;
        mailbox.all_named().map_err(|it| format!("{name}: {it}"))?;
        let mut there: HashMap<Letter, Vec<u32>> = HashMap::new();
        for (uid, letter) in mailbox.there() {
            there.entry(letter).or_default().push(uid);
        }
        let carried = &book.shelf.carried[shelf];
        let mut asked: HashMap<Letter, usize> = HashMap::new();
        for it in carried.iter().filter(|it| it.account == account) {
            *asked.entry(it.letter).or_default() += 1;
            let uids = there.get(&it.letter).map_or(&[][..], Vec::as_slice);
            if it.told.is_some_and(|told| !uids.contains(&told)) {
                return Err(format!(
                    "{name}: {} was told to be UID {:?} and is {uids:?}",
                    it.letter, it.told
                ));
            }
            if shelf == MOVED {
                let inbox = book.mailboxes[account]
                    .there()
                    .any(|(uid, _)| uid == it.uid);
                if inbox != uids.is_empty() {
                    return Err(format!(
                        "{name}: {}, UID {}, is there as {uids:?}; in INBOX: {inbox}",
                        it.letter, it.uid
                    ));
                }
            }
        }
        for (letter, uids) in there {
            if uids.len() > asked.get(&letter).copied().unwrap_or(0) {
                return Err(format!(
                    "{name}: {letter} is there as {uids:?}, carried {:?} times",
                    asked.get(&letter)
                ));
            }
        }
        Ok(())
    }

    /// Holds the names of an account's mailboxes against what was asked for; those that have to be looked into.
    pub fn compare_names(
        &self,
        account: Account,
        names: &[String],
    ) -> Result<Vec<(u64, String)>, String> {
        let mut book = self.book();
        let mut found = Vec::new();
        for (id, folder) in &mut book.shelf.folders {
            if folder.account != account {
                continue;
            }
            let ending = format!("-{id}");
            let mut all = names.iter().filter(|it| it.ends_with(&ending));
            let (is, more) = (all.next().cloned(), all.next());
            if more.is_some() || (is != folder.is && Some(&is) != folder.may.as_ref()) {
                return Err(format!(
                    "mailbox {id} is {is:?} (and {more:?}), and has to be {folder:?}"
                ));
            }
            (folder.is, folder.may) = (is.clone(), None);
            found.extend(is.map(|it| (*id, it)));
        }
        Ok(found)
    }

    /// Holds such a mailbox against what was appended to it.
    pub fn compare_folder(&self, id: u64, seen: &Seen) -> Result<(), String> {
        let mut book = self.book();
        let Some(folder) = book.shelf.folders.get_mut(&id) else {
            return Ok(());
        };
        let validity = *folder.validity.get_or_insert(seen.validity);
        let whole = match folder.letter {
            None => seen.messages.is_empty(),
            Some((letter, Some(uid))) => seen.messages == [(uid, letter)],
            Some((letter, None)) => {
                seen.messages.iter().all(|it| it.1 == letter) && seen.messages.len() < 2
            }
        };
        match whole && validity == seen.validity {
            true => Ok(()),
            false => Err(format!("{folder:?} holds {seen:?}")),
        }
    }
}
