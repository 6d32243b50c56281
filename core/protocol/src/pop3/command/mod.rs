//! One file per POP3 command (RFC 1939 section 5 and section 7, RFC 2449); the table is the whole list.

pub(super) mod auth;

mod apop;
mod capa;
mod dele;
mod lang;
mod list;
mod noop;
mod pass;
mod quit;
mod retr;
mod rset;
mod stat;
mod stls;
mod top;
mod uidl;
pub(super) mod user;
mod utf8;

use super::ask::Ask;
use super::maildrop::Listing;
use super::response::Response;
use super::session::{Pop3Session, State, Waiting};
use crate::sasl::Exchange;

/// Where and how a command may run.
#[derive(Debug)]
pub(in crate::pop3) struct Spec {
    pub(super) name: &'static str,
    /// States it is valid in (RFC 1939 section 3).
    pub(super) states: &'static [State],
    pub(super) access: Access,
    /// Longest line, with its CRLF (RFC 2449 section 4).
    pub(super) limit: usize,
    pub(super) run: fn(&mut Pop3Session, Args<'_>) -> Result<Step, Response>,
}

/// On which connections a command may run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// On all.
    Anybody,
    /// Where nobody listens, or where the operator says so.
    Confidential,
}

/// What a command leads to.
#[derive(Debug)]
pub(super) enum Step {
    /// The one response.
    Response(Response),
    /// `+OK` and this.
    Data(String),
    /// `+OK`, these lines and a dot.
    Lines(Vec<String>),
    /// `+OK`, a line for each message and a dot.
    Listing(Listing),
    /// A SASL challenge, and who takes the answer.
    Challenge {
        /// Base64.
        text: String,
        /// It waits.
        exchange: Exchange,
    },
    /// A question, and who waits for the answer.
    Ask(Ask, Waiting),
    /// The handshake.
    StartTls,
}

/// In the order of RFC 1939, then by RFC.
pub(super) const COMMANDS: &[Spec] = &[
    quit::SPEC,
    stat::SPEC,
    list::SPEC,
    retr::SPEC,
    dele::SPEC,
    noop::SPEC,
    rset::SPEC,
    top::SPEC,
    uidl::SPEC,
    user::SPEC,
    pass::SPEC,
    apop::SPEC,
    auth::SPEC,
    capa::SPEC,
    stls::SPEC,
    utf8::SPEC,
    lang::SPEC,
];

/// RFC 2449 section 4.
pub(super) const LINE: usize = 255;

const ANY: &[State] = &[State::Authorization, State::Transaction];
const AUTHORIZATION: &[State] = &[State::Authorization];
const TRANSACTION: &[State] = &[State::Transaction];

/// What follows the keyword and one space, octet for octet: a password may end with blanks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Args<'a>(&'a [u8]);

impl<'a> Args<'a> {
    /// Cuts a line into keyword and arguments.
    pub(super) fn split(line: &'a [u8]) -> (&'a [u8], Self) {
        match line.iter().position(|&octet| octet == b' ') {
            Some(end) => (&line[..end], Self(&line[end + 1..])),
            None => (line, Self(b"")),
        }
    }

    /// All of it.
    fn octets(self) -> &'a [u8] {
        self.0
    }

    /// Words between blanks.
    fn words(self) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .split(|&octet| octet == b' ')
            .filter(|word| !word.is_empty())
    }

    /// Refuses arguments where there are none.
    fn none(self) -> Result<(), Response> {
        match self.words().next() {
            None => Ok(()),
            Some(_) => Err(Response::BadSyntax),
        }
    }

    /// One argument at most.
    fn at_most_one(self) -> Result<Option<&'a [u8]>, Response> {
        let mut words = self.words();
        match (words.next(), words.next()) {
            (word, None) => Ok(word),
            _ => Err(Response::BadSyntax),
        }
    }

    /// One argument.
    fn one(self) -> Result<&'a [u8], Response> {
        self.at_most_one()?.ok_or(Response::BadSyntax)
    }
}

/// Digits. What does not fit is the largest number there is.
fn number(digits: &[u8]) -> Result<u64, Response> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Response::BadSyntax);
    }
    Ok(digits.iter().fold(0_u64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}
