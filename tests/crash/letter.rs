//! A message that can be made again from its name, so that a lost octet is seen.

use std::fmt;
use std::str::FromStr;

use crate::random::Random;

/// The name of a message: who wrote it, when, and how large it was to be.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Letter {
    pub round: u64,
    pub writer: u64,
    pub number: u64,
    /// Lines of its body.
    pub lines: u64,
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            round,
            writer,
            number,
            lines,
        } = self;
        write!(f, "{round}.{writer}.{number}.{lines}")
    }
}

impl FromStr for Letter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
        match parts.as_deref() {
            Ok(&[round, writer, number, lines]) => Ok(Self {
                round,
                writer,
                number,
                lines,
            }),
            _ => Err(format!("{text} is no letter of ours")),
        }
    }
}

impl Letter {
    /// The message, with CRLF; some lines begin with dots.
    pub fn text(&self) -> String {
        let mut text = format!(
            "From: writer{}@elsewhere.test\r\nMessage-ID: <{self}@elsewhere.test>\r\nSubject: letter {self}\r\n\r\n",
            self.writer
        );
        let mut random = Random::new(self.round << 40 | self.writer << 20 | self.number);
        for line in 0..self.lines {
            match random.below(16) {
                0 => text.push_str(".\r\n"),
                1 => text.push_str("..\r\n"),
                _ => text.push_str(&format!(
                    "{line} {:016x}{:016x}{:016x}\r\n",
                    random.next(),
                    random.next(),
                    random.next()
                )),
            }
        }
        text
    }

    /// The letter that a stored message is, if it is whole. Delivery puts fields before it, and nothing else.
    pub fn of(stored: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(stored);
        let id = text
            .split_once("Message-ID: <")
            .and_then(|(_, rest)| rest.split_once("@elsewhere.test>"));
        let (id, _) =
            id.ok_or_else(|| format!("a message without its name, of {} octets", stored.len()))?;
        let letter: Self = id.parse()?;
        match stored.ends_with(letter.text().as_bytes()) {
            true => Ok(letter),
            false => Err(format!("{letter} is not whole: {} octets", stored.len())),
        }
    }
}
