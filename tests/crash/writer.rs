//! Clients that bring mail until the server is gone.

use std::sync::Arc;
use std::thread::JoinHandle;

use postrider_tests::door::Door;

use crate::PASSWORD;
use crate::ledger::{ACCOUNTS, Ledger};
use crate::letter::Letter;
use crate::random::Random;
use crate::wire::{End, Manners, Wire};

/// One client and what it has to know.
pub struct Writer {
    pub round: u64,
    pub writer: u64,
    pub number: u64,
    pub manners: Manners,
    pub random: Random,
    pub ledger: Arc<Ledger>,
}

/// Starts one; which protocol it speaks depends on its place. Its thread ends with what the server must not have said.
pub fn start(
    door: &Door,
    round: u64,
    writer: u64,
    manners: Manners,
    random: Random,
    ledger: Arc<Ledger>,
) -> JoinHandle<Result<(), String>> {
    let mut this = Writer {
        round,
        writer,
        number: 0,
        manners,
        random,
        ledger,
    };
    let door = door.clone();
    std::thread::spawn(move || {
        manners.work(|| match writer % 8 {
            0..=2 => this.smtp(door.port("smtp")),
            3..=5 => this.lmtp(door.port("lmtp")),
            _ => this.append(door.port("imap")),
        })
    })
}

impl Writer {
    /// Mostly small ones; some are larger than what a spool keeps in memory.
    fn letter(&mut self) -> Letter {
        self.number += 1;
        let lines = match self.random.below(12) {
            0 => 5_000 + self.random.below(5_000),
            _ => self.random.below(60),
        };
        Letter {
            round: self.round,
            writer: self.writer,
            number: self.number,
            lines,
        }
    }

    /// For one account or for both.
    fn recipients(&mut self) -> Vec<usize> {
        match self.random.below(3) {
            2 => vec![0, 1],
            one => vec![one as usize],
        }
    }

    fn envelope(&self, wire: &mut Wire, letter: Letter, recipients: &[usize]) -> Result<(), End> {
        wire.smtp("MAIL FROM:<writer@elsewhere.test>", "250")?;
        for account in recipients {
            wire.smtp(&format!("RCPT TO:<{}>", ACCOUNTS[*account]), "250")?;
            self.ledger.send(*account, letter);
        }
        wire.smtp("DATA", "354")?;
        wire.write(stuffed(&letter.text()).as_bytes())?;
        wire.write(b".\r\n")?;
        Ok(())
    }

    fn smtp(&mut self, port: u16) -> Result<(), End> {
        let mut wire = Wire::connect(port)?;
        wire.expect("the connection", "220")?;
        wire.smtp("EHLO client.elsewhere.test", "250")?;
        while self.manners.goes_on() {
            let (letter, recipients) = (self.letter(), self.recipients());
            self.by_smtp(&mut wire, letter, &recipients)?;
        }
        Ok(())
    }

    /// A letter that has one answer.
    pub fn by_smtp(
        &self,
        wire: &mut Wire,
        letter: Letter,
        recipients: &[usize],
    ) -> Result<(), End> {
        self.envelope(wire, letter, recipients)?;
        wire.expect("the message", "250")?;
        for account in recipients {
            self.ledger.yes(*account, letter, None);
        }
        Ok(())
    }

    fn lmtp(&mut self, port: u16) -> Result<(), End> {
        let mut wire = Wire::connect(port)?;
        wire.expect("the connection", "220")?;
        wire.smtp("LHLO client.elsewhere.test", "250")?;
        while self.manners.goes_on() {
            let (letter, recipients) = (self.letter(), self.recipients());
            self.by_lmtp(&mut wire, letter, &recipients)?;
        }
        Ok(())
    }

    /// A letter that has one for each recipient.
    pub fn by_lmtp(
        &self,
        wire: &mut Wire,
        letter: Letter,
        recipients: &[usize],
    ) -> Result<(), End> {
        self.envelope(wire, letter, recipients)?;
        for account in recipients {
            wire.expect("the message", "250")?;
            self.ledger.yes(*account, letter, None);
        }
        Ok(())
    }

    fn append(&mut self, port: u16) -> Result<(), End> {
        let account = (self.writer % 2) as usize;
        let (mut wire, _) = Wire::inbox(port, ACCOUNTS[account], PASSWORD)?;
        while self.manners.goes_on() {
            let letter = self.letter();
            self.ledger.send(account, letter);
            let uid = wire.append("INBOX", &letter.text())?;
            self.ledger.yes(account, letter, Some(uid));
        }
        Ok(())
    }
}

/// With a dot more where a line begins with one.
fn stuffed(text: &str) -> String {
    text.replace("\r\n.", "\r\n..")
}
