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

struct Worker {
    account: Account,
    round: u64,
    /// Of this worker's mailboxes.
    number: u64,
    manners: Manners,
    random: Random,
    ledger: Arc<Ledger>,
    door: Door,
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
        wire.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"))?;
        wire.ok(&format!("UID EXPUNGE {uid}"))?;
        ledger.expunged(self.account, uid);
        Ok(Some(()))
    }

    fn carry(&mut self, wire: &mut Wire, shelf: usize) -> Result<Option<()>, End> {
        let (ledger, choice) = (&self.ledger, self.random.next());
        let (verb, chosen) = match shelf {
            0 => ("COPY", ledger.choose(self.account, Share::Stays, choice)),
            _ => ("MOVE", ledger.doom(self.account, Share::Mover, choice)),
        };
        let Some((uid, letter)) = chosen else {
            return Ok(None);
        };
        ledger.carry(shelf, self.account, (uid, letter));
        let command = format!("UID {verb} {uid} {}", SHELVES[shelf]);
        let (untagged, tagged) = wire.ok(&command)?;
        let told = untagged.iter().chain([&tagged]).find_map(|line| {
            let (code, _) = line.split_once("[COPYUID ")?.1.split_once(']')?;
            code.rsplit_once(' ')?.1.parse().ok()
        });
        let told = told.ok_or_else(|| End::Wrong(format!("{command} was answered {tagged}")))?;
        ledger.carried(shelf, self.account, uid, told);
        Ok(Some(()))
    }

    fn mark(&mut self, wire: &mut Wire) -> Result<Option<()>, End> {
        let (ledger, choice) = (&self.ledger, self.random.next());
        let Some((uid, _)) = ledger.choose(self.account, Share::Stays, choice) else {
            return Ok(None);
        };
        let at = self.random.below(FLAGS.len() as u64) as usize;
        ledger.flag(self.account, uid, 1 << at, false);
        wire.ok(&format!("UID STORE {uid} +FLAGS.SILENT ({})", FLAGS[at]))?;
        ledger.flag(self.account, uid, 1 << at, true);
        Ok(Some(()))
    }

    /// A mailbox is made, gets a letter, another name, and mostly its end.
    fn mailboxes(&mut self, wire: &mut Wire) -> Result<Option<()>, End> {
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
            let mut wire = Wire::connect(self.door.port("pop3"))?;
            wire.status("the connection")?;
            wire.pop3(&format!("USER {name}"))?;
            wire.pop3(&format!("PASS {PASSWORD}"))?;
            let lines = wire.pop3_lines("UIDL")?;
            let mut marked = Vec::new();
            while marked.len() < 3
                && let choice = self.random.next()
                && let Some((uid, _)) = self.ledger.doom(self.account, Share::Postman, choice)
            {
                let (start, mut numbers) = (format!("{uid:08x}"), lines.iter());
                let number = numbers.find_map(|line| {
                    let (number, unique) = line.split_once(' ')?;
                    unique.starts_with(&start).then_some(number)
                });
                let number = number.ok_or_else(|| {
                    End::Wrong(format!(
                        "{name}: UID {uid} is not in the maildrop: {lines:?}"
                    ))
                })?;
                wire.pop3(&format!("DELE {number}"))?;
                marked.push(uid);
            }
            wire.pop3("QUIT")?;
            if marked.is_empty() {
                return Ok(());
            }
            for uid in marked {
                self.ledger.expunged(self.account, uid);
            }
        }
        Ok(())
    }
}
