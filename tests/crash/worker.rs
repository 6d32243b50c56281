//! Clients that change what is there, until the server is gone: expunge, copy, move, flags, mailboxes, POP3.

use std::sync::Arc;
use std::thread::JoinHandle;

use postrider_tests::door::Door;

use crate::PASSWORD;
use crate::ledger::{ACCOUNTS, Account, Ledger, Share};
use crate::letter::Letter;
use crate::random::Random;
use crate::shelf::{FLAGS, SHELVES};
use crate::wire::{End, Manners, Wire};

/// What one does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    Expunge,
    Copy,
    Move,
    Mark,
    Mailboxes,
    Pop3,
}

impl Work {
    pub const ALL: [Self; 6] = [
        Self::Expunge,
        Self::Copy,
        Self::Move,
        Self::Mark,
        Self::Mailboxes,
        Self::Pop3,
    ];
}

/// Who does it.
pub struct Worker {
    pub account: Account,
    pub round: u64,
    /// Of this worker's mailboxes.
    pub number: u64,
    pub manners: Manners,
    pub random: Random,
    pub ledger: Arc<Ledger>,
    pub door: Door,
}

/// Starts one. Its thread ends with what the server must not have said.
pub fn start(
    door: &Door,
    work: Work,
    round: u64,
    manners: Manners,
    mut random: Random,
    ledger: Arc<Ledger>,
) -> JoinHandle<Result<(), String>> {
    let mut this = Worker {
        account: random.below(ACCOUNTS.len() as u64) as usize,
        round,
        number: 0,
        manners,
        random,
        ledger,
        door: door.clone(),
    };
    std::thread::spawn(move || manners.work(|| this.run(work)))
}

impl Worker {
    fn run(&mut self, work: Work) -> Result<(), End> {
        let name = ACCOUNTS[self.account];
        if work == Work::Pop3 {
            return self.pop3(name);
        }
        let (mut wire, _) = Wire::inbox(self.door.port("imap"), name, PASSWORD)?;
        while self.manners.goes_on() {
            let on = match work {
                Work::Expunge => self.expunge(&mut wire)?,
                Work::Copy => self.carry(&mut wire, 0)?,
                Work::Move => self.carry(&mut wire, 1)?,
                Work::Mark => self.mark(&mut wire)?,
                Work::Mailboxes => self.mailboxes(&mut wire)?,
                Work::Pop3 => None,
            };
            if on.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn expunge(&mut self, wire: &mut Wire) -> Result<Option<()>, End> {
        let (ledger, choice) = (&self.ledger, self.random.next());
        let Some((uid, _)) = ledger.doom(self.account, Share::Gardener, choice) else {
            return Ok(None);
        };
        self.expunge_one(wire, uid)?;
        Ok(Some(()))
    }

    /// A message that is doomed goes.
    pub fn expunge_one(&self, wire: &mut Wire, uid: u32) -> Result<(), End> {
        wire.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"))?;
        wire.ok(&format!("UID EXPUNGE {uid}"))?;
        self.ledger.expunged(self.account, uid);
        Ok(())
    }

    fn carry(&mut self, wire: &mut Wire, shelf: usize) -> Result<Option<()>, End> {
        let (ledger, choice) = (&self.ledger, self.random.next());
        let chosen = match shelf {
            0 => ledger.choose(self.account, Share::Stays, choice),
            _ => ledger.doom(self.account, Share::Mover, choice),
        };
        let Some(chosen) = chosen else {
            return Ok(None);
        };
        self.carry_one(wire, shelf, chosen)?;
        Ok(Some(()))
    }

    /// A message is copied, or one that is doomed is moved.
    pub fn carry_one(
        &self,
        wire: &mut Wire,
        shelf: usize,
        (uid, letter): (u32, Letter),
    ) -> Result<(), End> {
        let verb = ["COPY", "MOVE"][shelf];
        let ledger = &self.ledger;
        ledger.carry(shelf, self.account, (uid, letter));
        let command = format!("UID {verb} {uid} {}", SHELVES[shelf]);
        let (untagged, tagged) = wire.ok(&command)?;
        let told = untagged.iter().chain([&tagged]).find_map(|line| {
            let (code, _) = line.split_once("[COPYUID ")?.1.split_once(']')?;
            code.rsplit_once(' ')?.1.parse().ok()
        });
        let told = told.ok_or_else(|| End::Wrong(format!("{command} was answered {tagged}")))?;
        ledger.carried(shelf, self.account, uid, told);
        Ok(())
    }

    fn mark(&mut self, wire: &mut Wire) -> Result<Option<()>, End> {
        let (ledger, choice) = (&self.ledger, self.random.next());
        let Some((uid, _)) = ledger.choose(self.account, Share::Stays, choice) else {
            return Ok(None);
        };
        let at = self.random.below(FLAGS.len() as u64) as usize;
        self.mark_one(wire, uid, at)?;
        Ok(Some(()))
    }

    /// A message gets a flag, by its place in [`FLAGS`].
    pub fn mark_one(&self, wire: &mut Wire, uid: u32, at: usize) -> Result<(), End> {
        let ledger = &self.ledger;
        ledger.flag(self.account, uid, 1 << at, false);
        wire.ok(&format!("UID STORE {uid} +FLAGS.SILENT ({})", FLAGS[at]))?;
        ledger.flag(self.account, uid, 1 << at, true);
        Ok(())
    }

    /// A mailbox is made, gets a letter, another name, and mostly its end.
    pub fn mailboxes(&mut self, wire: &mut Wire) -> Result<Option<()>, End> {
        self.number += 1;
        let (account, ledger) = (self.account, &self.ledger);
        let id = self.round * 1_000_000 + self.number;
        let (first, second) = (format!("f-{id}"), format!("fx-{id}"));
        ledger.folder_may(account, id, Some(first.clone()));
        wire.ok(&format!("CREATE {first}"))?;
        ledger.folder_is(id);
        let letter = Letter {
            round: self.round,
            writer: 1000,
            number: self.number,
            lines: self.random.below(5),
        };
        ledger.folder_holds(id, letter, None);
        let uid = wire.append(&first, &letter.text())?;
        ledger.folder_holds(id, letter, Some(uid));
        ledger.folder_may(account, id, Some(second.clone()));
        wire.ok(&format!("RENAME {first} {second}"))?;
        ledger.folder_is(id);
        if self.number % 8 != 1 {
            ledger.folder_may(account, id, None);
            wire.ok(&format!("DELETE {second}"))?;
            ledger.folder_is(id);
        }
        Ok(Some(()))
    }

    /// Some messages a session; they are gone with the yes to QUIT, not before.
    fn pop3(&mut self, name: &str) -> Result<(), End> {
        while self.manners.goes_on() {
            let (mut wire, lines) = self.maildrop(name)?;
            let mut marked = Vec::new();
            while marked.len() < 3
                && let choice = self.random.next()
                && let Some((uid, _)) = self.ledger.doom(self.account, Share::Postman, choice)
            {
                self.dele(&mut wire, &lines, uid)?;
                marked.push(uid);
            }
            self.quit(&mut wire, &marked)?;
            if marked.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A POP3 session, and what it says to UIDL.
    pub fn maildrop(&self, name: &str) -> Result<(Wire, Vec<String>), End> {
        let mut wire = Wire::connect(self.door.port("pop3"))?;
        wire.status("the connection")?;
        wire.pop3(&format!("USER {name}"))?;
        wire.pop3(&format!("PASS {PASSWORD}"))?;
        let lines = wire.pop3_lines("UIDL")?;
        Ok((wire, lines))
    }

    /// A message that is doomed is marked.
    pub fn dele(&self, wire: &mut Wire, lines: &[String], uid: u32) -> Result<(), End> {
        let (start, mut numbers) = (format!("{uid:08x}"), lines.iter());
        let number = numbers.find_map(|line| {
            let (number, unique) = line.split_once(' ')?;
            unique.starts_with(&start).then_some(number)
        });
        let name = ACCOUNTS[self.account];
        let number = number.ok_or_else(|| {
            End::Wrong(format!(
                "{name}: UID {uid} is not in the maildrop: {lines:?}"
            ))
        })?;
        wire.pop3(&format!("DELE {number}"))?;
        Ok(())
    }

    /// Those that were marked go.
    pub fn quit(&self, wire: &mut Wire, marked: &[u32]) -> Result<(), End> {
        wire.pop3("QUIT")?;
        for uid in marked {
            self.ledger.expunged(self.account, *uid);
        }
        Ok(())
    }
}
