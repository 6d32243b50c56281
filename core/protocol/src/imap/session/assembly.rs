//! Puts a command together from its lines and literals (RFC 9051 section 4.3, RFC 7888).
//!
//! **Bounds.** A literal that would make the command longer than its limit is refused before it is read if the client waits for us, and
//! thrown away unbuffered if it does not; one that is too long even for that ends the connection.

use super::{ImapSession, Limits, State};
use crate::imap::command::Refusal;
use crate::imap::command::append;
use crate::imap::syntax::args::Utf8;
use crate::imap::syntax::command::{Command, CommandError};
use crate::limit::Limit;
use crate::line::Ends;
use crate::session::{Action, LineFault, Receive};

/// A command being put together.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// The command as on the wire, so far.
    buffer: Vec<u8>,
    /// The command is refused, and why; what still comes of it is thrown away.
    refused: Option<&'static str>,
}

const TOO_LONG: &str = "[TOOBIG] command too long";

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
            self.refused = self.refused.or(Some(TOO_LONG));
        }
        if self.refused.is_none() || self.buffer.is_empty() {
            self.buffer.extend_from_slice(line);
        }
        let Some(Announced { octets, sync }) = announced(line) else {
            let command = std::mem::take(&mut self.buffer);
            return match self.refused.take() {
                Some(text) => refused(&command, text),
                None => Assembled::Command(command),
            };
        };
        if self.refused.is_none() && login && append::announces_message(&self.buffer, utf8) {
            return match !sync && octets > discard_limit(limits, login) {
                true => Assembled::Hopeless,
                false => Assembled::Message {
                    command: std::mem::take(&mut self.buffer),
                    octets,
                    sync,
                },
            };
        }
        if self.refused.is_none() && octets <= (limit - self.buffer.len()) as u64 {
            return Assembled::Literal {
                octets: octets as usize,
                sync,
            };
        }
        self.refuse(octets, sync, TOO_LONG, limits, login)
    }

    /// Takes a line of the command of which only the ends are known.
    pub fn broken(
        &mut self,
        ends: &Ends,
        text: &'static str,
        limits: &Limits,
        login: bool,
    ) -> Assembled {
        if self.buffer.is_empty() {
            // A tag that may be cut short is none.
            self.buffer = match ends.head.contains(&b' ') {
                true => ends.head.clone(),
                false => b"*".to_vec(),
            };
        }
        match announced_at_end(ends) {
            Some(Announced { octets, sync }) => self.refuse(octets, sync, text, limits, login),
            None => {
                let text = self.refused.take().unwrap_or(text);
                refused(&std::mem::take(&mut self.buffer), text)
            }
        }
    }

    /// Refuses the command, whose line announces a literal.
    fn refuse(
        &mut self,
        octets: u64,
        sync: bool,
        text: &'static str,
        limits: &Limits,
        login: bool,
    ) -> Assembled {
        let text = *self.refused.get_or_insert(text);
        if sync {
            self.refused = None;
            return refused(&std::mem::take(&mut self.buffer), text);
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
}

impl ImapSession {
    /// Does what the line that was taken calls for.
    pub(super) fn on_assembled(&mut self, assembled: Assembled) {
        match assembled {
            Assembled::Command(command) => self.begin(&command),
            Assembled::Literal { octets, sync } => {
                if sync {
                    self.out.line("+ OK");
                }
                self.out.push(Action::Receive(Receive::Literal { octets }));
            }
            Assembled::Message {
                command,
                octets,
                sync,
            } => self.begin_append(&command, octets, sync),
            Assembled::Discard { octets } => {
                self.out.push(Action::Receive(Receive::Discard { octets }));
            }
            Assembled::Refused { tag, text } => {
                self.reach(Limit::Command);
                self.misunderstood(&tag, text);
            }
            Assembled::Hopeless => {
                self.reach(Limit::Literal);
                self.bye("literal too large");
            }
        }
    }

    /// A line that is gone. Octets that it announced are no commands, whatever the line was.
    pub(super) fn broken_line(&mut self, fault: LineFault, ends: &Ends) {
        let text = match fault {
            LineFault::TooLong => {
                self.reach(Limit::Line);
                "[TOOBIG] line too long"
            }
            LineFault::BareNewline => "lines end with CRLF",
        };
        if self.open.as_ref().is_some_and(|open| open.waits_for_line) {
            return match announced_at_end(ends) {
                Some(Announced { sync: false, .. }) => self.bye("a line with a literal is lost"),
                _ => self.end(Err(Refusal::Bad(text))),
            };
        }
        let login = self.state != State::NotAuthenticated;
        let limits = self.config.limits;
        match self.assembly.broken(ends, text, &limits, login) {
            // The line is the limit that was met, if any was.
            Assembled::Refused { tag, text } => self.misunderstood(&tag, text),
            assembled => self.on_assembled(assembled),
        }
    }
}

/// Octets that are read only to be thrown away; more ends the connection.
pub(in crate::imap) fn discard_limit(limits: &Limits, login: bool) -> u64 {
    match login {
        true => limits.message.saturating_mul(2),
        false => limits.command_before_login as u64,
    }
}

fn refused(command: &[u8], text: &'static str) -> Assembled {
    Assembled::Refused {
        tag: tag_of(command),
        text,
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

/// The literal that a line announces of which only the ends are known. One whose length begins before them has any length.
pub(super) fn announced_at_end(ends: &Ends) -> Option<Announced> {
    if let Some(announced) = announced(&ends.tail) {
        return Some(announced);
    }
    let inner = ends.tail.strip_suffix(b"}")?;
    let (digits, sync) = match inner.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (inner, true),
    };
    let is_cut = ends.tail.len() == Ends::LIMIT && digits.iter().all(u8::is_ascii_digit);
    let octets = u64::MAX;
    is_cut.then_some(Announced { octets, sync })
}

pub(super) struct Announced {
    octets: u64,
    pub sync: bool,
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
