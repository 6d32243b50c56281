//! Puts a command together from its lines and literals (RFC 9051 section 4.3, RFC 7888).
//!
//! **Bounds.** A literal that would make the command longer than its limit is refused before it is read if the client waits for us, and
//! thrown away unbuffered if it does not; one that is too long even for that ends the connection.

use super::Limits;
use crate::imap::command::append;
use crate::imap::syntax::args::Utf8;
use crate::imap::syntax::command::{Command, CommandError};

/// A command being put together.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// The command as on the wire, so far.
    buffer: Vec<u8>,
    /// The command is refused; what still comes of it is thrown away.
    refused: bool,
}

/// What a line brought.
pub(super) enum Assembled {
    /// The command is whole; here it is, without its last CRLF.
    Command(Vec<u8>),
    /// A literal follows; the client waits for a go-ahead if `sync`.
    Literal { octets: usize, sync: bool },
    /// The message of an APPEND follows; `command` ends with its announcement.
    Message {
        command: Vec<u8>,
        octets: u64,
        sync: bool,
    },
    /// A literal follows that is of no use.
    Discard { octets: u64 },
    /// The command is refused, and nothing of it follows.
    Refused { tag: String, text: &'static str },
    /// Too much follows to throw away.
    Hopeless,
}

impl Assembly {
    /// Whether a command has begun but is not whole.
    pub fn is_open(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Takes a line of the command.
    pub fn line(&mut self, line: &[u8], limits: &Limits, login: bool, utf8: Utf8) -> Assembled {
        let limit = match login {
            true => limits.command,
            false => limits.command_before_login,
        };
        if self.buffer.len() + line.len() > limit {
            self.refused = true;
        }
        if !self.refused || self.buffer.is_empty() {
            self.buffer.extend_from_slice(line);
        }
        let Some(Announced { octets, sync }) = announced(line) else {
            let command = std::mem::take(&mut self.buffer);
            return match std::mem::take(&mut self.refused) {
                true => refused(&command),
                false => Assembled::Command(command),
            };
        };
        if !self.refused && login && append::announces_message(&self.buffer, utf8) {
            return match !sync && octets > discard_limit(limits, login) {
                true => Assembled::Hopeless,
                false => Assembled::Message {
                    command: std::mem::take(&mut self.buffer),
                    octets,
                    sync,
                },
            };
        }
        if !self.refused && octets <= (limit - self.buffer.len()) as u64 {
            return Assembled::Literal {
                octets: octets as usize,
                sync,
            };
        }
        self.refused = true;
        if sync {
            self.refused = false;
            return refused(&std::mem::take(&mut self.buffer));
        }
        match octets > discard_limit(limits, login) {
            true => Assembled::Hopeless,
            false => Assembled::Discard { octets },
        }
    }

    /// Takes the octets of a literal.
    pub fn literal(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(b"\r\n");
        self.buffer.extend_from_slice(octets);
    }

    /// Gives the command up; its tag, or `*`.
    pub fn abandon(&mut self) -> String {
        self.refused = false;
        tag_of(&std::mem::take(&mut self.buffer))
    }
}

/// Octets that are read only to be thrown away; more ends the connection.
fn discard_limit(limits: &Limits, login: bool) -> u64 {
    match login {
        true => limits.message.saturating_mul(2),
        false => limits.command_before_login as u64,
    }
}

fn refused(command: &[u8]) -> Assembled {
    Assembled::Refused {
        tag: tag_of(command),
        text: "command too long",
    }
}

fn tag_of(command: &[u8]) -> String {
    match Command::parse(command, Utf8::Off) {
        Ok(Command { tag, .. }) | Err(CommandError::NoName { tag, .. }) => tag.to_owned(),
        Err(CommandError::NoTag) => "*".to_owned(),
    }
}

/// How many octets follow a line whether we want them or not.
pub(in crate::imap) fn unasked(line: &[u8]) -> Option<u64> {
    let announced = announced(line)?;
    (!announced.sync).then_some(announced.octets)
}

struct Announced {
    octets: u64,
    sync: bool,
}

/// The literal that a line announces at its end: `["~"] "{" number64 ["+"] "}"`. A number too large to count is the largest.
fn announced(line: &[u8]) -> Option<Announced> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, sync) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let open = inner.iter().rposition(|octet| *octet == b'{')?;
    let digits = &inner[open + 1..];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let octets = digits.iter().fold(0u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(Announced { octets, sync })
}
